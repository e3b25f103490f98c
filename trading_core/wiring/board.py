"""What the pages of the dashboard that follow the trading read; each call is one short read.

``as_of`` (aware) shows what was known then; the present where it is None. All of it raises
``TradingError`` with one line for a person.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import asdict
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from trading_core.adapters.history_cache import HistoryCache
from trading_core.clock import Clock, SystemClock
from trading_core.errors import TradingError
from trading_core.model.market import MarketGroup
from trading_core.policies import policy_of
from trading_core.settings import Settings
from trading_core.steps.board import performance as performance_page
from trading_core.steps.board import playbook as playbook_page
from trading_core.steps.board import scorecard as scorecard_page
from trading_core.steps.board import today as today_page
from trading_core.wiring.broker import Place, open_clock
from trading_core.wiring.reading import open_store, present_settings
from trading_core.wiring.records import store_as_of
from trading_core.wiring.runtime import warm_calendars

Json = dict[str, Any]
CLOCK_SECONDS = 1.0
"""How long the exchange's clock is waited for."""


def frame() -> Json:
    """What stands around every page: the language, the enabled markets, the kind of account."""
    settings = present_settings()
    return {
        "language": settings.dashboard_lang,
        "has_password": settings.dashboard_password is not None,
        "markets": [group.value for group in settings.enabled_markets],
        "account": settings.mode if settings.has_kis_keys else "twin",
        "store": str(settings.store_path),
    }


def is_password(given: str) -> bool:
    """Whether it is ``DASHBOARD_PASSWORD``; compared in a time that tells nothing."""
    settings = present_settings()
    wanted = settings.dashboard_password
    if wanted is None:
        return True
    return hmac.compare_digest(given.encode(), wanted.get_secret_value().encode())


def stamp() -> str:
    """Another text once the store has changed. Takes no lock."""
    return open_store().fingerprint()


def clock() -> Clock:
    """The exchange's clock; this machine's where the exchange does not answer at once."""
    settings = present_settings()
    try:
        return asyncio.run(asyncio.wait_for(_exchange_clock(settings), CLOCK_SECONDS))
    except (TradingError, TimeoutError):
        return SystemClock()


async def _exchange_clock(settings: Settings) -> Clock:
    return await open_clock(Place.of(settings))


def hours(at: datetime) -> dict[str, Json]:
    """Of every enabled market where its day stands at ``at``, and what comes next."""
    settings = present_settings()
    groups = settings.enabled_markets
    _warm(settings.ouroboros_home, groups)
    return {group.value: today_page.hours(group, at) for group in groups}


@lru_cache(maxsize=1)
def _warm(home: Path, groups: tuple[MarketGroup, ...]) -> None:
    warm_calendars(home, groups)


def today(market: str, as_of: datetime | None = None) -> Json | None:
    """The newest session of a market; None before there was one."""
    settings = present_settings()
    group = MarketGroup.parse(market)
    with store_as_of(as_of, settings).read() as reader:
        facts = today_page.read(reader, group)
    return None if facts is None else today_page.day(facts, policy_of(settings))


def playbook(market: str, session: date, as_of: datetime | None = None) -> Json | None:
    """The newest playbook of a session with how it met the market; None without one."""
    settings, group = present_settings(), MarketGroup.parse(market)
    with store_as_of(as_of, settings).read() as reader:
        found = playbook_page.playbook(reader, group, session)
    if found is not None and any(not stock["name"] for stock in found["stocks"]):
        kept = HistoryCache(settings.ouroboros_home / "cache").load(group, session)
        names = {instrument.symbol: instrument.name for instrument in kept}
        for stock in found["stocks"]:
            stock["name"] = stock["name"] or names.get(stock["symbol"], "")
    return found


def daily_bars(
    market: str, session: date, symbol: str, as_of: datetime | None = None
) -> list[Json]:
    """The daily bars before a session that its plan was made on, oldest first; they are kept for
    the newest session alone, so there are none of earlier ones."""
    if as_of is not None:
        return []
    home, group = present_settings().ouroboros_home, MarketGroup.parse(market)
    kept = HistoryCache(home / "cache").load(group, session)
    bars = next((bars for each, bars in kept.items() if each.symbol == symbol), [])
    return [asdict(bar) for bar in bars]


def price_path(
    market: str, session: date, symbol: str, as_of: datetime | None = None
) -> Json | None:
    """The observed prices of a symbol in a session with what was done at them."""
    settings = present_settings()
    with store_as_of(as_of, settings).read() as reader:
        group = MarketGroup.parse(market)
        return playbook_page.price_path(reader, group, session, symbol, policy_of(settings).exits)


def scorecard(market: str, session: date, as_of: datetime | None = None) -> Json | None:
    """The newest review of a session; None before it was reviewed."""
    with store_as_of(as_of).read() as reader:
        return scorecard_page.scorecard(reader, MarketGroup.parse(market), session)


def performance(
    markets: tuple[str, ...], since: date | None = None, as_of: datetime | None = None
) -> list[Json]:
    """How these markets did from a session on, one entry per currency."""
    with store_as_of(as_of).read() as reader:
        facts = performance_page.read(reader, [MarketGroup.parse(market) for market in markets])
    return performance_page.performance(facts, since)
