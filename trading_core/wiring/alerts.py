"""Where people are told what happens, and who carries it there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from trading_core.adapters.background import Background
from trading_core.adapters.notifiers import LogNotifier
from trading_core.adapters.sender_lock import FileSenderLock
from trading_core.clock import SystemClock
from trading_core.model.journal import Notification
from trading_core.model.market import MarketGroup
from trading_core.model.notice import QuietHours
from trading_core.ports import Channel, Notifier, Store
from trading_core.rules.markets import zone_of
from trading_core.settings import Settings, load_settings
from trading_core.steps.outbox import Sender, SenderPolicy
from trading_core.steps.tell import tell
from trading_core.wiring.reading import open_store

logger = logging.getLogger(__name__)

LAST_SECONDS = 10.0
"""So long a process that ends goes on sending what it has left to say."""
STOP_SECONDS = 15.0
"""A message that is on its way may take so much longer."""


def notifier_of(settings: Settings) -> Notifier:
    """What ``steps.tell`` shows messages to, for whoever leaves the sending to others."""
    return LogNotifier(channel_names(settings))


@asynccontextmanager
async def telling(settings: Settings, store: Store) -> AsyncIterator[Notifier]:
    """The same, and from the first message on this process helps to send; at the end of the block
    it sends what is left for a few seconds."""
    async with _beside(settings, store) as beside:
        yield LogNotifier(channel_names(settings), beside.start) if beside else LogNotifier()


@asynccontextmanager
async def sending(
    settings: Settings | None = None, store: Store | None = None
) -> AsyncIterator[None]:
    """Send beside the block whatever any process has to say; nothing without a channel, and nothing
    inside a runtime, which sends what is told in it."""
    from trading_core.wiring.runtime import standing_runtime

    if standing_runtime() is not None:
        yield
        return
    settings = settings or load_settings()
    async with _beside(settings, store or open_store(settings)) as beside:
        if beside is not None:
            beside.start()
        yield


@asynccontextmanager
async def _beside(settings: Settings, store: Store) -> AsyncIterator[Background | None]:
    sender = sender_of(settings, store)
    if sender is None:
        yield None
        return
    beside = Background(sender.run, "sender")
    try:
        yield beside
    finally:
        sender.finish(timedelta(seconds=LAST_SECONDS))
        if not await asyncio.to_thread(beside.join, LAST_SECONDS + STOP_SECONDS):
            logger.warning("a message is still on its way; what is left is sent by the next run")


async def tell_people(notes: Sequence[Notification], settings: Settings | None = None) -> None:
    """Tell this, for whoever has no runtime; back once it is sent, or cannot be for now.

    Raises:
        StoreError: it could not be written down.
    """
    settings = settings or load_settings()
    store = open_store(settings)
    async with telling(settings, store) as notifier:
        await tell(notifier, store, notes)


def channel_names(settings: Settings) -> tuple[str, ...]:
    """The channels that are configured, without loading any of them."""
    from trading_core.adapters.apprise_channel import channel_name
    from trading_core.adapters.telegram_channel import NAME

    telegram = (NAME,) if _telegram(settings) else ()
    return (*telegram, *map(channel_name, _urls(settings)))


def sender_of(settings: Settings, store: Store) -> Sender | None:
    """Who carries messages from the store to the channels; None when there is no channel."""
    channels = channels_of(settings)
    if not channels:
        return None
    zone, hours = settings.notify_zone, settings.notify_quiet_hours
    policy = SenderPolicy(
        every=timedelta(seconds=settings.notify_interval_seconds),
        quiet=QuietHours.parse(hours, zone) if hours else None,
        zone=ZoneInfo(zone),
    )
    lock = FileSenderLock(settings.store_path.with_name(f"{settings.store_path.name}.sender.lock"))
    # Channels and people live in real time, whatever time the market plays in.
    return Sender(store, channels, SystemClock(), lock, policy, draw)


def channels_of(settings: Settings) -> list[Channel]:
    """Every way out that is configured; their libraries are loaded with the first message."""
    channels: list[Channel] = []
    account = _telegram(settings)
    if account is not None:
        from trading_core.adapters.telegram_channel import TelegramChannel

        channels.append(TelegramChannel(*account, base_url=str(settings.telegram_base_url)))
    urls = _urls(settings)
    if urls:
        from trading_core.adapters.apprise_channel import AppriseChannel

        channels += map(AppriseChannel, urls)
    return channels


def draw(store: Store, name: str) -> bytes | None:
    """The picture a notification names: ``equity MARKET DATE``."""
    what, market, day = name.split()
    if what != "equity":
        return None
    with store.read() as reader:
        points = reader.equity_curve(market, date.fromisoformat(day))
    if not points:
        return None
    from trading_core.adapters.pictures import equity_picture

    zone = zone_of(MarketGroup.parse(market))
    return equity_picture(points, zone=zone, title=f"{market} {day}")


def _telegram(settings: Settings) -> tuple[str, str] | None:
    token, chat = settings.telegram_bot_token, settings.telegram_chat_id
    if not settings.telegram_enabled or token is None or chat is None:
        return None
    return token.get_secret_value(), chat.get_secret_value()


def _urls(settings: Settings) -> list[str]:
    urls = settings.notify_urls
    return list(dict.fromkeys(urls.get_secret_value().split())) if urls else []
