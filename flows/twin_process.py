"""The twin as a process: serving it, and starting one as a child."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast, get_args

from trading_core.clock import SystemClock
from trading_core.errors import ConfigError, TradingError
from trading_core.model.market import Currency, MarketGroup
from trading_core.rules.markets import currency_of
from trading_core.twin.faults import load_faults
from trading_core.twin.launch import (
    LEAD,
    Opening,
    Stage,
    TwinPlan,
    busiest,
    data_notes,
    default_cash,
    serve_stage,
)
from trading_core.twin.present import Present
from trading_core.twin.server import TwinOptions, is_loopback
from trading_core.twin.stream.layouts import Layout
from trading_core.twin.venue import AccountSpec
from trading_core.twin.wire.desk import Personality
from trading_core.wiring import TWIN_ACCOUNT, TWIN_LINK, home_folder, warm_calendars

SYNTHETIC_DATE = date(2026, 9, 10)
"""The session the synthetic market plays when no date is asked for."""

BUSIEST = 200
"""How many of the busiest symbols the twin names when it starts."""

BROKER_CALLS_A_SECOND = {"real": 20.0, "paper": 2.0, "both": 20.0}
"""What ``--strict`` allows an app key, as the broker does."""

NEXT_SESSION_SECONDS = 300
"""How long the prices of another session may take to be read."""

BROKER_TOKEN_SECONDS = 60.0
"""Between two token requests of an app key, as at the broker."""


class TwinFailed(TradingError):
    """The child could not start; its own words are the message."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class TwinWish:
    """What ``ouroboros twin serve`` was asked for; see its ``--help``.

    ``speed`` is exchange seconds a second, None for a clock that stands still. ``today`` plays
    every session on its own day, in real time. ``accounts`` are
    texts such as ``12345678-01=KRW:50000000,USD:50000``. ``confirmed`` says for the second time
    that other machines may reach the twin.
    """

    market: str = "KR"
    session: date | None = None
    data: tuple[Path, ...] = ()
    capital: Decimal | None = None
    accounts: tuple[str, ...] = ()
    seed: int = 0
    speed: float | None = 1.0
    today: bool = False
    at_open: bool = False
    mode: str = "both"
    layout: str = "2026-09"
    strict: bool = False
    rate_limit: float | None = None
    faults: Path | None = None
    state: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    allow_remote: bool = False
    confirmed: bool = False


def serve(wish: TwinWish, show: Callable[[dict[str, Any]], None]) -> None:
    """Serve in this process until it is told to stop; leaves its address in the home meanwhile.

    Raises:
        ConfigError, NotASession, DataError: what was asked for cannot be played; says what to do.
    """
    plan, options = _plan(wish), _options(wish)
    _check_host(wish)
    home = home_folder()
    warm_calendars(home, plan.groups)
    link = home / TWIN_LINK

    def ready(opening: Opening) -> None:
        link.write_text(json.dumps({"url": opening.url, "pid": os.getpid()}))
        show(_answer(wish, plan, options, opening))

    try:
        present = Present(plan, SystemClock().now) if wish.today else None
        if present is not None:
            options |= {"follow": present.moment}
        serve_stage(
            Stage.build(plan) if present is None else present.stage,
            on_listening=ready,
            host=wish.host,
            port=wish.port,
            allow_remote=wish.allow_remote,
            options=options,
        )
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ConfigError(
            f"--port {wish.port}: is taken; name another, or 0 for any free one"
        ) from None
    finally:
        _take_away(link)


def _plan(wish: TwinWish) -> TwinPlan:
    if wish.today and (wish.data or wish.session or wish.at_open or wish.speed != 1.0):
        raise ConfigError(
            "--today plays made-up prices on the real calendar, in real time: leave out --date, "
            "--data, --now, --speed and --stepped"
        )
    if wish.data and wish.session is None:
        raise ConfigError("--data needs --date: which session of the files is to be played?")
    groups = _groups(wish.market)
    if wish.capital is not None and wish.accounts:
        raise ConfigError("--capital belongs to the usual account; with --account say it there")
    if wish.capital is not None and len(groups) > 1:
        raise ConfigError(
            f"--capital has one currency and {wish.market} has several; say it with "
            f"--account {TWIN_ACCOUNT}=KRW:50000000,USD:50000"
        )
    cash = default_cash(groups)
    if wish.capital is not None:
        cash = dict.fromkeys(cash, wish.capital)
    accounts = [_account(text) for text in wish.accounts] or [AccountSpec(TWIN_ACCOUNT, cash)]
    numbers = [spec.account_no for spec in accounts]
    for number in numbers:
        if numbers.count(number) > 1:
            raise ConfigError(f"--account {number}: named twice; put its currencies in one")
    for spec in accounts:
        for currency in cash:
            spec.cash.setdefault(currency, Decimal(0))
    return TwinPlan(
        groups=groups,
        session=wish.session or SYNTHETIC_DATE,
        accounts=tuple(accounts),
        data=wish.data,
        seed=wish.seed,
        lead=timedelta(0) if wish.at_open else LEAD,
        state=wish.state,
    )


def _groups(text: str) -> tuple[MarketGroup, ...]:
    groups = [MarketGroup.parse(code) for code in text.split(",") if code.strip()]
    if not groups:
        raise ConfigError("--market: name a market, such as KR, or several: KR,US")
    return tuple(dict.fromkeys(groups))


def _account(text: str) -> AccountSpec:
    """``12345678-01=KRW:50000000,USD:50000``."""
    number, _, cash_text = text.partition("=")
    digits = number.strip().replace("-", "")
    if not digits.isdecimal() or len(digits) not in (8, 10):
        raise ConfigError(
            f"--account {text}: a number has 8 digits, or 8 and 2: {TWIN_ACCOUNT}=KRW:50000000"
        )
    cash: dict[Currency, Decimal] = {}
    for part in cash_text.split(","):
        code, _, amount_text = part.partition(":")
        try:
            currency = Currency(code.strip().upper())
            amount = Decimal(amount_text.strip().replace("_", ""))
        except (ValueError, ArithmeticError):
            raise ConfigError(
                f"--account {text}: write {number}=KRW:50000000,USD:50000; currencies are "
                f"{', '.join(Currency)}"
            ) from None
        if not amount.is_finite() or amount < 0:
            raise ConfigError(f"--account {text}: {part} is below 0")
        if currency in cash:
            raise ConfigError(f"--account {text}: {currency} is there twice")
        cash[currency] = currency.round(amount)
    return AccountSpec(f"{digits[:8]}-{digits[8:] or '01'}", cash)


def _options(wish: TwinWish) -> TwinOptions:
    if wish.mode not in get_args(Personality):
        raise ConfigError(f"--mode {wish.mode}: choose {' or '.join(get_args(Personality))}")
    if wish.layout not in get_args(Layout):
        raise ConfigError(f"--layout {wish.layout}: choose {' or '.join(get_args(Layout))}")
    limit = wish.rate_limit
    if limit is None and wish.strict:
        limit = BROKER_CALLS_A_SECOND[wish.mode]
    options = TwinOptions(
        personality=cast(Personality, wish.mode),
        layout=cast(Layout, wish.layout),
        rate_limit_rps=limit,
        token_cooldown_seconds=BROKER_TOKEN_SECONDS if wish.strict else 0.0,
    )
    if wish.faults is not None:
        options["faults"] = load_faults(wish.faults)
    if wish.speed is not None:
        options |= {"clock": "running", "speed": wish.speed}
    return options


def _check_host(wish: TwinWish) -> None:
    if is_loopback(wish.host) or (wish.allow_remote and wish.confirmed):
        return
    raise ConfigError(
        f"--host {wish.host}: other machines could reach the twin, which takes any key and asks "
        "for no password; if that is wanted, say --allow-remote and --yes-allow-remote"
    )


def _answer(
    wish: TwinWish, plan: TwinPlan, options: TwinOptions, opening: Opening
) -> dict[str, Any]:
    tapes = opening.tapes
    own = plan.accounts[0]
    faults = options.get("faults")
    return {
        "url": opening.url,
        "ws_url": opening.url.replace("http", "ws", 1),
        "pid": os.getpid(),
        "app_key": "any",
        "app_secret": "any",
        "account_no": own.account_no,
        "accounts": [
            {
                "account_no": spec.account_no,
                "cash": {currency.value: str(cash) for currency, cash in spec.cash.items()},
            }
            for spec in plan.accounts
        ],
        "market": ",".join(plan.groups),
        "session": max(tape.session for tape in tapes).isoformat(),
        "sessions": [
            {
                "market": tape.group.value,
                "session": tape.session.isoformat(),
                "open_at": tape.hours.open_at.isoformat(),
                "close_at": tape.hours.close_at.isoformat(),
                "symbols": len(tape.instruments),
            }
            for tape in tapes
        ],
        "mode": wish.mode,
        "layout": wish.layout,
        "now": opening.now.isoformat(),
        "clock": options.get("clock", "stepped"),
        "speed": wish.speed,
        "rate_limit": options.get("rate_limit_rps"),
        "faults": len(faults.rules) if faults else 0,
        "state": str(wish.state) if wish.state else None,
        "restored": opening.restored,
        "capital": str(own.cash[currency_of(plan.groups[0])]),
        "symbols": sum(len(tape.instruments) for tape in tapes),
        "busiest": [asdict(item) for item in busiest(tapes, BUSIEST)],
        "data_notes": dict(data_notes(tapes)),
    }


def _take_away(link: Path) -> None:
    """Remove the address this process left; not that of another twin."""
    with suppress(OSError, ValueError):
        if json.loads(link.read_text())["pid"] == os.getpid():
            link.unlink()


class TwinChild:
    """A stepped twin in a process of its own; use as a context manager.

    Args:
        arguments: Of ``ouroboros twin serve``, without the ones set here.
        home: Its ``OUROBOROS_HOME``.
    """

    def __init__(self, arguments: list[str], home: Path) -> None:
        self._url = ""
        command = [sys.executable, "-m", "flows.cli", "twin", "serve", "--stepped", "--json"]
        self._process = subprocess.Popen(
            [*command, *arguments],
            env={**os.environ, "OUROBOROS_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self) -> dict[str, Any]:
        """What the twin says of itself once it listens. Raises ``TwinFailed``."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate()
            lines = errors.strip().splitlines() or ["the twin ended without a word"]
            raise TwinFailed(lines[-1].removeprefix("error: "))
        answer: dict[str, Any] = json.loads(line)
        self._url = answer["url"]
        return answer

    def begin_session(self, day: date) -> None:
        """Play on to the session of ``day``; its clock then stands before that open.

        Raises:
            TwinFailed: it has no such session, with its own words.
        """
        url = f"{self._url}/twin/clock"
        body = json.dumps({"session": day.isoformat()}).encode()
        # Straight to this machine, whatever proxy the environment names.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, data=body, timeout=NEXT_SESSION_SECONDS) as reply:
                reply.read()
        except urllib.error.HTTPError as error:
            raise TwinFailed(f"{day}: {json.loads(error.read())['error']}") from None
        except OSError as error:
            raise TwinFailed(f"{day}: the exchange does not answer: {error}") from None

    def __enter__(self) -> TwinChild:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
