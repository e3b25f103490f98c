"""The listener of the chat, put together: settings in, one process that obeys one chat."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trading_core.clock import Clock, SystemClock
from trading_core.errors import ConfigError, TradingError
from trading_core.model.chat import Answer, Asked
from trading_core.policies import policy_of
from trading_core.settings import Settings
from trading_core.steps.close import Closed, close_positions
from trading_core.steps.commands import answering
from trading_core.steps.commands.office import Machine, Office
from trading_core.steps.kill_steps import KillPorts
from trading_core.wiring.alerts import sending
from trading_core.wiring.broker import Place, open_clock
from trading_core.wiring.reading import make_home, open_store
from trading_core.wiring.runtime import open_runtime, warm_calendars

if TYPE_CHECKING:
    from trading_core.adapters.telegram.listener import Listener

PROBE_SECONDS = 1.0

HaltsChanged = Callable[[datetime], Awaitable[None]]


def check_telegram(settings: Settings) -> None:
    """Raises ``ConfigError`` with what is missing when there is no chat to listen to."""
    if not settings.telegram_enabled or not settings.telegram_commands_enabled:
        raise ConfigError(
            "commands are switched off: TELEGRAM_ENABLED and TELEGRAM_COMMANDS_ENABLED must be true"
        )
    names = {
        "TELEGRAM_BOT_TOKEN": settings.telegram_bot_token,
        "TELEGRAM_CHAT_ID": settings.telegram_chat_id,
    }
    missing = [name for name, value in names.items() if value is None]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} not set: make a bot with @BotFather, write to it, and see "
            "docs/telegram.md for the number of your chat"
        )


@asynccontextmanager
async def open_listener(
    settings: Settings, *, halts_changed: HaltsChanged
) -> AsyncIterator[Listener]:
    """The one listener of the bot; beside the block it also sends what any process has to tell.

    Args:
        halts_changed: Is called once a command has raised or lifted halts.

    Raises:
        ConfigError: there is no chat to listen to, or another process listens to the bot.
    """
    from trading_core.adapters.telegram.listener import Listener, Manner, Meaning

    check_telegram(settings)
    token, chat = settings.telegram_bot_token, settings.telegram_chat_id
    assert token is not None and chat is not None
    secret = token.get_secret_value()
    with only_listener(settings.lock_dir, secret):
        office = _office(settings, halts_changed)

        async def answer(asked: Asked) -> Answer:
            return await answering.answer(office, asked)

        listener = Listener(
            token=secret,
            base_url=str(settings.telegram_base_url),
            chat_id=int(chat.get_secret_value()),
            meaning=Meaning(
                answer=answer,
                is_urgent=answering.is_urgent,
                changes=answering.changes,
                repeats=answering.repeats,
                overruled=answering.overruled,
                menu=answering.menu(),
            ),
            clock=office.clock,
            manner=Manner(interval_seconds=settings.telegram_polling_interval),
        )
        office = replace(office, listener_lines=listener.lines)
        async with sending(settings, office.store):
            yield listener


@contextmanager
def only_listener(folder: Path | None, token: str) -> Iterator[None]:
    """Hold the bot for the block, of all processes of this user on this machine.

    Raises:
        ConfigError: another process listens to the bot, or the folder cannot be used.
    """
    from filelock import FileLock, Timeout

    folder = folder or Path.home() / ".cache" / "ouroboros"
    name = hashlib.sha256(token.encode()).hexdigest()[:12]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"telegram-{name}.lock", mode=0o600, thread_local=False)
        lock.acquire(blocking=False)
    except Timeout:
        raise ConfigError(
            "another process listens to this Telegram bot already (ouroboros telegram, or "
            "ouroboros up); stop it first, one is enough"
        ) from None
    except OSError as error:
        raise ConfigError(f"LOCK_DIR={folder}: cannot be used: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def _office(settings: Settings, halts_changed: HaltsChanged) -> Office:
    make_home(settings.ouroboros_home)
    warm_calendars(settings.ouroboros_home, settings.enabled_markets)
    return Office(
        store=open_store(settings),
        groups=settings.enabled_markets,
        policy=policy_of(settings),
        clock=SystemClock(),
        market_now=_MarketTime(settings).now,
        close=partial(_close, settings),
        halts_changed=halts_changed,
        mode=settings.mode,
        account=_account(settings),
        dashboard_url=f"http://{settings.dashboard_host}:{settings.dashboard_port}",
        dashboard_answers=partial(_answers, settings.dashboard_host, settings.dashboard_port),
        machine=partial(_machine, settings.store_path),
    )


def _account(settings: Settings) -> str:
    try:
        return Place.of(settings).label
    except ConfigError:
        return "no broker yet"


@dataclass(slots=True)
class _MarketTime:
    """The time at the exchange; real time for as long as a simulated one cannot be asked."""

    settings: Settings
    clock: Clock | None = None

    async def now(self) -> datetime:
        if self.clock is None:
            try:
                self.clock = await open_clock(Place.of(self.settings))
            except TradingError:
                return SystemClock().now()
        return self.clock.now()


async def _close(settings: Settings, symbols: Collection[str] | None, because: str) -> Closed:
    """Connect to the broker for as long as it takes to send the sales."""
    # What a person wants sold is sold in live mode too, whoever confirmed it for the day.
    async with open_runtime(settings, unconfirmed=True) as runtime:
        ports = KillPorts(
            store=runtime.store,
            broker=runtime.broker,
            market_data=runtime.market_data,
            lock=runtime.lock,
            archive=runtime.archive,
            notifier=runtime.notifier,
            clock=runtime.clock,
            policy=runtime.policy,
            groups=runtime.groups,
        )
        with runtime.claim(runtime.clock.now()):
            return await close_positions(
                ports, groups=runtime.groups, symbols=symbols, because=because
            )


async def _answers(host: str, port: int) -> bool:
    place = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(place, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _machine(store: Path) -> Machine:
    try:
        return Machine(store.stat().st_size, shutil.disk_usage(store.parent).free)
    except OSError:
        return Machine()
