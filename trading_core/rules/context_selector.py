"""Which memories a plan is shown: the market's condition decides what is worth its tokens.

``score = relevance x recency x importance``, each 0 to 1:

- relevance: how much a layer tells in this condition (``RELEVANCE``), for memories of another
  market times ``OTHER_MARKET``;
- recency: 0.5 ** (days since the timeframe ended / the layer's half-life);
- importance: by what the entry is about (``IMPORTANCE``), the first word of its key.

The three parts are those of Park et al., "Generative Agents" (2023), section 4.1, which adds them;
multiplied, a memory has to be worth its place in each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from trading_core.model.journal import ContextEntry, ContextLayer, Scorecard
from trading_core.model.sources import EconomicEvent, Gathered, Importance
from trading_core.rules.memory_layers import market_of
from trading_core.rules.prompt_budget import estimate_tokens, quoted
from trading_core.rules.prompt_sections import MAX_REMARK, SessionFacts
from trading_core.rules.summarise import summarise

MEMORY_TOKENS: Final = 700
ENTRY_TOKENS: Final = 90
WIDE_ENTRY_TOKENS: Final = 250
INDEX_MOVE_PCT: Final = 2.0
VIX_LEVEL: Final = 30.0
VIX_MOVE_PCT: Final = 15.0
LOOK_BACK: Final = timedelta(days=7)
OTHER_MARKET: Final = 0.4
NO_MARKET: Final = 0.7
UNKNOWN_IMPORTANCE: Final = 0.5
NEVER_SHOWN: Final = "shadow_"
"""How keys begin of what no planner may see: what others would have earned in its place."""

INDICES: Final = frozenset({"S&P 500", "KOSPI", "KOSDAQ"})


class MarketCondition(StrEnum):
    """``STRATEGIC`` asks for the longer view, ``MAJOR_EVENT`` for what just happened."""

    NORMAL = "normal"
    STRATEGIC = "strategic"
    MAJOR_EVENT = "major event"


def _by_layer(*values: float) -> Mapping[ContextLayer, float]:
    """One value for each layer, L1 first."""
    return dict(zip(ContextLayer, values, strict=True))


RELEVANCE: Final[Mapping[MarketCondition, Mapping[ContextLayer, float]]] = {
    MarketCondition.NORMAL: _by_layer(0.1, 0.5, 0.8, 0.6, 0.4, 1.0, 0.6),
    MarketCondition.STRATEGIC: _by_layer(0.1, 0.2, 0.4, 0.9, 1.0, 0.7, 1.0),
    MarketCondition.MAJOR_EVENT: _by_layer(0.3, 0.9, 1.0, 0.5, 0.2, 1.0, 0.4),
}
HALF_LIFE_DAYS: Final = _by_layer(1.0, 2.0, 4.0, 14.0, 60.0, 5.0, 180.0)
IMPORTANCE: Final[Mapping[str, float]] = {
    "lessons": 1.0,
    "scorecard": 0.9,
    "calibration": 0.9,
    "total": 0.8,
    "rolling20": 0.8,
    "rolling60": 0.7,
    "day": 0.8,
    "week": 0.8,
    "month": 0.8,
    "year": 0.6,
    "scenarios": 0.7,
    "sources": 0.6,
    "session": 0.6,
    "coverage": 0.4,
    "tick": 0.3,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of the market before a session, and what made it that."""

    kind: MarketCondition
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind.value}: {', '.join(self.reasons)}" if self.reasons else self.kind.value


@dataclass(frozen=True, slots=True)
class Chosen:
    """A memory with its line for the prompt and the three parts of its score (0-1)."""

    entry: ContextEntry
    line: str
    relevance: float
    recency: float
    importance: float

    @property
    def score(self) -> float:
        return self.relevance * self.recency * self.importance

    @property
    def why(self) -> str:
        name = f"{self.entry.layer.value} {self.entry.timeframe} {self.entry.key}"
        parts = (self.relevance, self.recency, self.importance)
        return f"{name}: {self.score:.2f} = " + " x ".join(f"{part:.2f}" for part in parts)


def condition_before(
    facts: SessionFacts,
    told: Gathered,
    *,
    previous: date,
    scorecards: Iterable[Scorecard],
    market: str,
) -> Condition:
    """The condition before a session; a major event comes before a strategic day.

    Args:
        previous: The session before. Where it was in another month or week, or the market lost
            over the last seven days, the longer view is asked for.
        scorecards: Of any market; only those of ``market`` (a group code) are looked at.
    """
    if major := _major(facts, told):
        return Condition(MarketCondition.MAJOR_EVENT, tuple(major))
    strategic = []
    if (previous.year, previous.month) != (facts.session.year, facts.session.month):
        strategic.append("first session of the month")
    if previous.isocalendar()[:2] != facts.session.isocalendar()[:2]:
        strategic.append("first session of the week")
    since = facts.session - LOOK_BACK
    losing = [s for s in scorecards if s.market == market and s.session >= since]
    totals: dict[str, Decimal] = {}
    for card in losing:
        for currency, amount in card.net_pnl.items():
            totals[currency] = totals.get(currency, Decimal(0)) + amount
    if any(total < 0 for total in totals.values()):
        strategic.append("a losing week")
    kind = MarketCondition.STRATEGIC if strategic else MarketCondition.NORMAL
    return Condition(kind, tuple(strategic))


def important_today(events: Iterable[EconomicEvent], session: date, zone: str) -> int:
    """How many events of high importance are due on the session's own date."""
    local = ZoneInfo(zone)
    return sum(
        e.importance is Importance.HIGH and e.at.astimezone(local).date() == session for e in events
    )


def _major(facts: SessionFacts, told: Gathered) -> list[str]:
    # Nothing here repeats words from outside: the reasons are shown unfenced.
    found = []
    if count := important_today(told.events, facts.session, facts.zone):
        found.append(f"{count} important economic event{'s' if count > 1 else ''} today")
    for reading in told.readings:
        change = reading.change_pct
        if reading.name in INDICES and change is not None and abs(change) >= INDEX_MOVE_PCT:
            found.append(f"{reading.name} moved {change:+.1f} %")
        if reading.name == "VIX":
            if reading.value >= VIX_LEVEL:
                found.append(f"VIX at {reading.value:.0f}")
            elif change is not None and abs(change) >= VIX_MOVE_PCT:
                found.append(f"VIX moved {change:+.0f} %")
    if facts.early_close:
        found.append("an early close")
    if facts.next_holiday == facts.session + timedelta(days=1):
        found.append("a holiday tomorrow")
    return found


def choose(
    entries: Sequence[ContextEntry],
    kind: MarketCondition,
    *,
    market: str,
    session: date,
    at: datetime,
    budget: int = MEMORY_TOKENS,
) -> tuple[Chosen, ...]:
    """The memories with the best scores that fit into ``budget`` tokens, best first.

    Entries written after ``at`` are unknown to it. The same entries give the same choice, in
    whatever order they come.
    """
    known = [e for e in entries if e.at <= at and not e.key.startswith(NEVER_SHOWN)]
    scored = [_scored(entry, kind, market, session) for entry in known]
    scored.sort(key=lambda c: (-c.score, c.entry.layer, c.entry.timeframe, c.entry.key))
    chosen, left = [], budget
    for one in scored:
        tokens = estimate_tokens(f"{quoted(one.line, MAX_REMARK)}\n")
        if one.line and tokens <= left:
            chosen.append(one)
            left -= tokens
    return tuple(chosen)


def _scored(entry: ContextEntry, kind: MarketCondition, market: str, session: date) -> Chosen:
    of = market_of(entry.key)
    near = 1.0 if of == market else OTHER_MARKET if of else NO_MARKET
    age = max(0, (session - _ended(entry)).days)
    return Chosen(
        entry,
        _line(entry),
        relevance=RELEVANCE[kind][entry.layer] * near,
        recency=0.5 ** (age / HALF_LIFE_DAYS[entry.layer]),
        importance=IMPORTANCE.get(entry.key.partition("_")[0], UNKNOWN_IMPORTANCE),
    )


def _line(entry: ContextEntry) -> str:
    """A short line, or a longer one where one clause in wide characters takes more."""
    short = summarise([entry], budget=ENTRY_TOKENS).text
    return short or summarise([entry], budget=WIDE_ENTRY_TOKENS).text


def _ended(entry: ContextEntry) -> date:
    """The last day of an entry's timeframe, or the day it was written when it has no end yet."""
    written, frame = entry.at.date(), entry.timeframe
    try:
        if week := re.fullmatch(r"(\d{4})-W(\d\d)", frame):
            end = date.fromisocalendar(int(week[1]), int(week[2]), 7)
        elif month := re.fullmatch(r"(\d{4})-(\d\d)", frame):
            first = date(int(month[1]), int(month[2]), 1)
            end = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        elif re.fullmatch(r"\d{4}-\d\d-\d\d", frame):
            end = date.fromisoformat(frame)
        else:
            end = written
    except ValueError:
        end = written
    return min(end, written)
