"""Ask the sources before a plan is drafted: all at once, for a limited time, each failing alone.

What they say is stored with the time it was fetched, and what is used is read back from the store
as it was known at that time, so a replay sees neither more nor less. The store is not open while
the network is asked. Nothing a source does ends a plan: it is missing then, and the reason is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from trading_core.errors import StoreError, TradingError
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.sources import (
    EconomicEvent,
    Gathered,
    Headline,
    MarketReading,
    SourceAsk,
    SourceKind,
    plain_text,
)
from trading_core.ports import Record, Store, StoreReader
from trading_core.ports.sources import Sources
from trading_core.rules.headlines import sentiment_of, unique
from trading_core.rules.markets import zone_of

# Clocks of publishers run a little ahead of ours.
CLOCK_SKEW = timedelta(minutes=5)
READING_AGE = timedelta(days=7)
EVER = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_PROBLEM = 300

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Asked:
    """What one source has given so far, and how it ended."""

    kind: SourceKind
    name: str
    records: list[Any] = field(default_factory=list)
    problem: str = ""

    @property
    def ended(self) -> bool:
        return not self.problem


@dataclass(frozen=True, slots=True)
class _Window:
    """Events are asked for in ``[since, until)``, news from ``news_since`` on."""

    since: datetime
    until: datetime
    news_since: datetime


async def collect(
    store: Store,
    sources: Sources,
    *,
    group: MarketGroup,
    session: date,
    at: datetime,
    instruments: Sequence[Instrument] = (),
) -> Gathered:
    """What is known at ``at`` once every source was asked, and why some of it is missing.

    Args:
        session: Events of this day and the next, in the zone of the exchange, are asked for.
        instruments: Whose news to ask for, the most important first. The market's is always
            asked for.
    """
    if not sources:
        return Gathered()
    window = _Window(*event_window(group, session), at - sources.news_age)
    asked = _open_all(sources, group, instruments, window, at)
    deadline = asyncio.get_running_loop().time() + sources.limit.total_seconds()
    await asyncio.gather(*(_ask(one, answer, deadline, sources.limit) for one, answer in asked))
    answers = [one for one, _ in asked]
    for one in answers:
        _drop_untimely(one, window.news_since, at)
    reasons = tuple(reason for one in answers if (reason := _ask_of(one, group, at).reason))
    try:
        known = _remember(store, answers, group, [i.symbol for i in instruments], window, at)
    except StoreError as error:
        kinds = tuple(dict.fromkeys(one.kind for one in answers))
        return Gathered(reasons=(*reasons, f"sources: not stored: {error}"), missing=kinds)
    return replace(
        known,
        sentiment=sentiment_of(known.headlines),
        reasons=reasons,
        missing=_missing(answers, known),
    )


def _open_all(
    sources: Sources,
    group: MarketGroup,
    instruments: Sequence[Instrument],
    window: _Window,
    at: datetime,
) -> list[tuple[_Asked, AsyncIterator[Sequence[Any]]]]:
    """An answer of each source; nothing is asked before it is read from."""
    days = {"since": window.since, "until": window.until}
    news_since = window.news_since
    return [
        *(
            (
                _Asked(SourceKind.NEWS, s.name),
                s.headlines(group, instruments, since=news_since, at=at),
            )
            for s in sources.news
        ),
        *((_Asked(SourceKind.MARKET, s.name), s.readings(group, at=at)) for s in sources.market),
        *(
            (_Asked(SourceKind.CALENDAR, s.name), s.events(group.value, **days, at=at))
            for s in sources.calendar
        ),
    ]


def _remember(
    store: Store,
    answers: Sequence[_Asked],
    group: MarketGroup,
    symbols: Sequence[str],
    window: _Window,
    at: datetime,
) -> Gathered:
    """Store what came, and read back what is known by now."""
    with store.write() as tx:
        tx.append(_records(answers, tx, group, window, at))
        headlines = tx.headlines_known(
            at, market=group.value, symbols=symbols, since=window.news_since
        )
        events = tx.events_known(at, country=group.value, since=window.since, until=window.until)
        readings = tx.readings_known(at, since=at - READING_AGE)
    return Gathered(tuple(unique(headlines)), tuple(events), tuple(readings))


def event_window(group: MarketGroup, session: date) -> tuple[datetime, datetime]:
    """The session's day and the one after it, on the calendar of the exchange."""
    start = datetime.combine(session, time(), ZoneInfo(zone_of(group)))
    return start, start + timedelta(days=2)


async def _ask(
    one: _Asked, answer: AsyncIterator[Sequence[Any]], deadline: float, limit: timedelta
) -> None:
    """Take what comes until it ends, fails or the time is up."""
    try:
        async with asyncio.timeout_at(deadline):
            async for batch in answer:
                one.records.extend(batch)
    except TimeoutError:
        one.problem = f"{one.name} had not finished after {limit.total_seconds():g} s"
    except TradingError as error:
        one.problem = str(error)
    except Exception as error:
        # Whatever an answer from outside brought about, the plan goes on without it.
        _log.warning("%s %s failed", one.kind.value, one.name, exc_info=error)
        one.problem = f"{one.name} failed: {type(error).__name__}"
    if one.problem and not one.problem.startswith(one.name):
        one.problem = f"{one.name}: {one.problem}"
    one.problem = plain_text(one.problem, _LONGEST_PROBLEM)


def _drop_untimely(one: _Asked, since: datetime, at: datetime) -> None:
    """News from before ``since`` is none; anything from after ``at`` cannot be known yet."""
    early, timely, ahead = 0, [], 0
    for record in one.records:
        moment = record.published_at if isinstance(record, Headline) else record.at
        if not isinstance(record, EconomicEvent) and moment > at + CLOCK_SKEW:
            ahead += 1
        elif isinstance(record, Headline) and moment < since:
            early += 1
        else:
            timely.append(record)
    one.records = timely
    if ahead and not one.problem:
        one.problem = f"{one.name} told {ahead} things from after {at:%Y-%m-%d %H:%M} UTC"


def _ask_of(one: _Asked, group: MarketGroup, at: datetime) -> SourceAsk:
    return SourceAsk(one.kind, one.name, group.value, at, len(one.records), one.problem)


def _records(
    answers: Sequence[_Asked],
    db: StoreReader,
    group: MarketGroup,
    window: _Window,
    at: datetime,
) -> list[Record]:
    """Everything to append; of events only what is new or has changed."""
    found: list[Record] = []
    for one in answers:
        found.append(_ask_of(one, group, at))
        if one.kind is SourceKind.CALENDAR:
            known = db.events_known(at, country=group.value, since=window.since, until=window.until)
            found += _revisions(one, [e for e in known if e.source == one.name], at)
        else:
            found += _without_doubles(one.records)
    return found


def _without_doubles(records: Sequence[Headline | MarketReading]) -> list[Headline | MarketReading]:
    """Headlines without doubles, and all the rest."""
    headlines = unique(r for r in records if isinstance(r, Headline))
    return [*headlines, *(r for r in records if not isinstance(r, Headline))]


def _revisions(one: _Asked, known: Sequence[EconomicEvent], at: datetime) -> list[EconomicEvent]:
    """New and changed events, and those that a complete answer no longer lists."""
    before = {event.event_id: event for event in known}
    listed = {event.event_id: event for event in one.records}
    changed = [
        event
        for name, event in listed.items()
        if name not in before or before[name].says != event.says
    ]
    if not one.ended:
        return changed
    gone = [event for name, event in before.items() if name not in listed]
    return [*changed, *(replace(event, is_withdrawn=True, fetched_at=at) for event in gone)]


def _missing(answers: Sequence[_Asked], known: Gathered) -> tuple[SourceKind, ...]:
    """The kinds that were asked for and of which nothing is known.

    A calendar that answered in full and lists nothing is an answer: nothing is due.
    """
    asked = {one.kind for one in answers}
    has = {
        SourceKind.NEWS: bool(known.headlines),
        SourceKind.MARKET: bool(known.readings),
        SourceKind.CALENDAR: bool(known.events)
        or any(one.ended for one in answers if one.kind is SourceKind.CALENDAR),
    }
    return tuple(kind for kind in SourceKind if kind in asked and not has[kind])


def listing(
    store: Store, names: Sequence[tuple[SourceKind, str]], at: datetime
) -> list[dict[str, Any]]:
    """Each of these sources with how it went when it was last asked, as JSON values."""
    with store.read() as db:
        asks = db.source_asks(since=EVER)
    return [
        _row(kind, name, [a for a in asks if (a.kind, a.source) == (kind, name)], at)
        for kind, name in names
    ]


def _row(kind: SourceKind, name: str, asks: Sequence[SourceAsk], at: datetime) -> dict[str, Any]:
    good = next((a for a in reversed(asks) if not a.problem), None)
    bad = next((a for a in reversed(asks) if a.problem), None)
    return {
        "kind": kind.value,
        "source": name,
        "asked": len(asks),
        "last_success_at": good.at if good else None,
        "last_success_market": good.market if good else None,
        "count": good.count if good else None,
        "age_minutes": round((at - good.at).total_seconds() / 60) if good else None,
        "last_failure_at": bad.at if bad else None,
        "problem": bad.problem if bad else None,
    }
