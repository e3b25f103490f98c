"""The facts of a session as sections of the prompt: compact tables that can be read back.

Names, headlines, lessons and memory come from outside and may carry anything, so they are escaped
and put between data marks. A cell without data is ``-``, never a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from trading_core.model.journal import Scorecard
from trading_core.model.market import MarketGroup
from trading_core.model.price import Candidate
from trading_core.rules.prompt_budget import Section, quoted

MAX_NAME: Final = 40
MAX_HEADLINE: Final = 200
MAX_HEADLINES: Final = 40
MAX_SCORECARDS: Final = 5
MAX_REMARK: Final = 400

CANDIDATE_COLUMNS: Final = (
    *("symbol", "price", "change_pct", "range_pct", "volume_ratio", "rsi", "atr_pct"),
    *("return_5d_pct", "return_20d_pct", "momentum", "breakout_pct", "score", "signal"),
    *("volume_rank", "name"),
)
HOLDING_COLUMNS: Final = (
    *("symbol", "quantity", "average_price", "last_price", "unrealized_pnl_pct", "days_held"),
    "name",
)
SCORECARD_COLUMNS: Final = (
    *("market", "session", "net_pnl", "buys", "sells", "wins", "losses", "win_rate_pct"),
    "average_confidence",
)
# Cut first to last: what is said elsewhere too, then what is oldest, then what moves a session.
_NEWS, _LESSONS, _PAST, _MEMORY, _READINGS, _EVENTS = range(1, 7)


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """The calendar of the session; times aware, shown in ``zone`` (an IANA name).

    ``next_holiday`` is the next weekday on which the exchange is shut. ``remark`` is what is
    different about this session, in words of our own.
    """

    session: date
    zone: str
    opens_at: datetime
    closes_at: datetime
    early_close: bool = False
    next_holiday: date | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class HeldFacts:
    """A holding as the prompt shows it; prices in the currency of the market.

    ``days_held`` counts calendar days and is None for shares that we did not buy.
    """

    symbol: str
    name: str
    quantity: int
    average_price: Decimal
    last_price: Decimal
    days_held: int | None = None

    @property
    def pnl_pct(self) -> float:
        """Last against the average price, in percent; NaN when one of them is not above 0."""
        if self.average_price <= 0 or self.last_price <= 0:
            return math.nan
        return float((self.last_price / self.average_price - 1) * 100)


def session_section(group: MarketGroup, facts: SessionFacts) -> Section:
    """The day, the hours on the exchange's clock, what is special about them."""
    zone = ZoneInfo(facts.zone)
    opens, closes = (
        t.astimezone(zone).strftime("%H:%M") for t in (facts.opens_at, facts.closes_at)
    )
    early = " (early close)" if facts.early_close else ""
    lines = [
        f"date: {facts.session:%Y-%m-%d %A}",
        f"hours: {opens}-{closes} {facts.zone}{early}",
    ]
    if facts.next_holiday is not None:
        lines.append(f"next holiday: {facts.next_holiday:%Y-%m-%d %A}")
    if facts.remark:
        lines.append(facts.remark)
    return Section(f"Session ({group.value})", tuple(lines))


def guard_section(market_reason: str, symbols: Mapping[str, str]) -> Section:
    """What may not be bought today, and why; a section without lines when all may."""
    lines = [f"the whole market: {market_reason}"] if market_reason else []
    lines += [f"{symbol}: {why}" for symbol, why in sorted(symbols.items())]
    return Section("No BUY today (recent losses; such a scenario is removed)", tuple(lines))


def candidate_section(candidates: Sequence[Candidate]) -> Section:
    """One row a candidate, the best score first."""
    title = "Candidates, at the last close (signal m: momentum, o: oversold)"
    if not candidates:
        return Section("Candidates, at the last close", ("none",))
    rows = [",".join(CANDIDATE_COLUMNS)]
    rows += [_candidate_row(c) for c in sorted(candidates, key=_by_score)]
    return Section(title, tuple(rows), fence="candidates")


def _candidate_row(c: Candidate) -> str:
    numbers = (
        (c.change_pct, 1),
        (c.range_pct, 1),
        (c.volume_ratio, 1),
        (c.rsi, 0),
        (c.atr_pct, 1),
        (c.return_5d_pct, 1),
        (c.return_20d_pct, 1),
        (c.momentum, 0),
        (c.breakout_pct, 1),
        (c.score, 0),
    )
    return ",".join(
        [
            c.instrument.symbol,
            plain_price(c.price),
            *(number(value, digits) for value, digits in numbers),
            c.signal.value[:1],
            str(c.volume_rank or "-"),
            _name(c.instrument.name),
        ]
    )


def _by_score(candidate: Candidate) -> tuple[float, str]:
    score = -1.0 if math.isnan(candidate.score) else candidate.score
    return (-score, candidate.instrument.symbol)


def holding_section(holdings: Sequence[HeldFacts]) -> Section:
    """One row a holding, by symbol."""
    if not holdings:
        return Section("Holdings", ("none",))
    rows = [",".join(HOLDING_COLUMNS)]
    for h in sorted(holdings, key=lambda h: h.symbol):
        days = "-" if h.days_held is None else str(h.days_held)
        prices = (plain_price(h.average_price), plain_price(h.last_price))
        cells = (h.symbol, str(h.quantity), *prices, number(h.pnl_pct, 2), days, _name(h.name))
        rows.append(",".join(cells))
    return Section("Holdings", tuple(rows), fence="holdings")


def scorecard_sections(scorecards: Sequence[Scorecard], market: str) -> tuple[Section, ...]:
    """The newest session of each market is required, the market's own first; older ones and the
    lessons can be cut."""
    ranked = sorted(scorecards, key=lambda s: s.market)
    ranked.sort(key=lambda s: s.session, reverse=True)
    newest: dict[str, Scorecard] = {}
    for card in ranked:
        newest.setdefault(card.market, card)
    first = sorted(newest.values(), key=lambda s: (s.market != market, s.market))
    older = [card for card in ranked if card not in first][: max(0, MAX_SCORECARDS - len(first))]
    if not first:
        return ()
    lessons = [
        quoted(f"{s.market} {s.session} {lesson}", MAX_HEADLINE)
        for s in (*first, *older)
        for lesson in s.lessons
    ]
    header = ",".join(SCORECARD_COLUMNS)
    return (
        Section(
            "Past sessions",
            (header, *map(_scorecard_row, first)),
            tuple(map(_scorecard_row, older)),
            priority=_PAST,
        ),
        Section("Lessons", (), tuple(lessons), priority=_LESSONS, fence="lessons", budget=500),
    )


def _scorecard_row(s: Scorecard) -> str:
    money = " ".join(f"{amount} {code}" for code, amount in sorted(s.net_pnl.items())) or "0"
    counts = (s.buys, s.sells, s.wins, s.losses)
    rates = [
        number(math.nan if v is None else v, 0) for v in (s.win_rate_pct, s.average_confidence)
    ]
    return ",".join([s.market, f"{s.session}", money, *map(str, counts), *rates])


def memory_section(lines: Sequence[str]) -> Section:
    """Chosen entries of memory, the best score first."""
    shown = tuple(quoted(line, MAX_REMARK) for line in lines)
    return Section("Memory", (), shown, priority=_MEMORY, fence="memory")


def reading_section(readings: Sequence[str]) -> Section:
    return _outside("Markets", "markets", readings, required=1, priority=_READINGS)


def event_section(events: Sequence[str], important: int = 1) -> Section:
    """Economic events; the first ``important`` lines are never cut."""
    title = "Due today and tomorrow"
    return _outside(title, "events", events, required=important, priority=_EVENTS)


def news_section(headlines: Sequence[str]) -> Section:
    """Headlines; the first line is never cut, because it may say that there is no data."""
    return _outside("News", "news", headlines, required=1, priority=_NEWS, budget=1600)


def _outside(
    title: str,
    fence: str,
    lines: Sequence[str],
    *,
    required: int,
    priority: int,
    budget: int | None = None,
) -> Section:
    shown = tuple(quoted(text, MAX_HEADLINE) for text in lines[:MAX_HEADLINES])
    return Section(title, shown[:required], shown[required:], priority, fence, budget)


def number(value: float, digits: int) -> str:
    """At most ``digits`` decimals and no zeros at the end; ``-`` for no data."""
    if not math.isfinite(value):
        return "-"
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def plain_price(price: Decimal) -> str:
    return f"{price.normalize():f}"


def _name(name: str) -> str:
    return quoted(name, MAX_NAME) if name else "-"
