"""When exchanges trade: sessions, phases, what is open now and what opens next.

Holidays, early closes, lunch breaks and daylight saving come from the exchange_calendars library,
corrected by :mod:`trading_core.rules.calendar_exceptions`, which is also all there is for Vietnam.
Building a table takes the library and pandas with it, so it is done on first use, once per
process; :func:`install_sessions` hands in a table made earlier and then neither is imported.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from importlib import import_module
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from trading_core.errors import DataError, NotASession
from trading_core.model.market import Market, MarketGroup
from trading_core.rules import calendar_exceptions as exceptions
from trading_core.rules.markets import market_info, zone_of
from trading_core.rules.sessions import Session as Session
from trading_core.rules.sessions import SessionTable as SessionTable

_tables: dict[MarketGroup, SessionTable] = {}


class Phase(StrEnum):
    """Where the local day of an exchange stands.

    CLOSED is a date without a session. PRE_OPEN and AFTER_CLOSE are the rest of a session's date
    before and after everything else.
    """

    CLOSED = "closed"
    PRE_OPEN = "pre_open"
    OPENING_AUCTION = "opening_auction"
    CONTINUOUS = "continuous"
    LUNCH = "lunch"
    CLOSING_AUCTION = "closing_auction"
    AFTER_CLOSE = "after_close"


# Minutes before the open in which orders for the opening auction are taken, and minutes before
# the close that are an auction: the exchanges' present rules (Tokyo's closing auction since
# 2024-11-05; Hong Kong's comes after its close). New York's auctions take no minutes of their own.
_AUCTION_MINUTES: dict[MarketGroup, tuple[int, int]] = {
    MarketGroup.KR: (30, 10),
    MarketGroup.US: (0, 0),
    MarketGroup.JP: (60, 5),
    MarketGroup.HK: (30, 0),
    MarketGroup.CN: (15, 3),
    MarketGroup.VN: (0, 15),
}
_JP_CLOSING_AUCTION_SINCE = date(2024, 11, 5)


def install_sessions(table: SessionTable) -> None:
    """Use this table for its group from now on in this process."""
    _tables[table.group] = table


def session_table(group: MarketGroup) -> SessionTable:
    """The group's table: the installed one, else built now and kept."""
    table = _tables.get(group)
    if table is None:
        table = _tables[group] = build_sessions(group)
    return table


def calendar_name(group: MarketGroup) -> str | None:
    """The library's calendar for a group, None where it has none."""
    name = market_info(group.markets[0]).calendar
    # NASDAQ keeps New York's hours; the library knows it only as an alias.
    return "XNYS" if group is MarketGroup.US else name


def build_sessions(group: MarketGroup) -> SessionTable:
    """Every session the library and our own table know of a group. Slow: imports pandas."""
    name = calendar_name(group)
    if name is None:
        first, last = exceptions.VN_FIRST_DAY, exceptions.VN_LAST_DAY
        sessions = _weekday_sessions(group, first, last, exceptions.VN_HOURS)
    else:
        first = exceptions.FIRST_DAY
        module = import_module(f"exchange_calendars.exchange_calendar_{name.lower()}")
        calendar_class = getattr(module, f"{name}ExchangeCalendar")
        bound = calendar_class.bound_max()
        last = exceptions.LAST_DAY if bound is None else min(bound.date(), exceptions.LAST_DAY)
        schedule = calendar_class(start=first.isoformat(), end=last.isoformat()).schedule
        sessions = _library_sessions(group, schedule.itertuples())
    shut = exceptions.CLOSED.get(group, {})
    kept = tuple(session for session in sessions if session.date not in shut)
    return SessionTable(group, first, last, kept)


def _weekday_sessions(
    group: MarketGroup, first: date, last: date, hours: exceptions.Hours
) -> Iterator[Session]:
    days = ((first + timedelta(days=n)) for n in range((last - first).days + 1))
    return (_session(group, day, hours) for day in days if day.weekday() < 5)


def _library_sessions(
    group: MarketGroup, rows: Iterable[tuple[Any, Any, Any, Any, Any]]
) -> Iterator[Session]:
    special = exceptions.HOURS.get(group, {})
    breaks = exceptions.BREAKS.get(group)
    zone = ZoneInfo(zone_of(group))
    for label, opened, break_start, break_end, closed in rows:
        day = label.date()
        if day in special:
            yield _session(group, day, special[day])
            continue
        # A day without a break has NaT there, the only value that differs from itself.
        pause = None if break_start != break_start else (_plain(break_start), _plain(break_end))
        if pause is not None and breaks is not None:
            row = breaks[bisect_right(breaks, day, key=lambda item: item[0]) - 1]
            pause = _utc(day, row[1], zone), _utc(day, row[2], zone)
        yield Session(group, day, _plain(opened), _plain(closed), *(pause or (None, None)))


def _plain(stamp: Any) -> datetime:
    moment: datetime = stamp.to_pydatetime()
    return moment.astimezone(UTC)


def _session(group: MarketGroup, day: date, hours: exceptions.Hours) -> Session:
    zone = ZoneInfo(zone_of(group))
    return Session(
        group,
        day,
        _utc(day, hours.open, zone),
        _utc(day, hours.close, zone),
        _utc(day, hours.break_start, zone) if hours.break_start else None,
        _utc(day, hours.break_end, zone) if hours.break_end else None,
    )


def _utc(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, zone).astimezone(UTC)


def local_date(group: MarketGroup, at: datetime) -> date:
    """The calendar date at the exchange; ``at`` must be aware."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone names no moment")
    return at.astimezone(ZoneInfo(zone_of(group))).date()


def session_on(group: MarketGroup, day: date) -> Session | None:
    """The session of an exchange date, None when it is shut.

    Raises:
        DataError: the date is outside the years the calendar covers (here and below).
    """
    return session_table(group).on(day)


def require_session(group: MarketGroup, day: date) -> Session:
    """The session of an exchange date.

    Raises:
        NotASession: it is shut; the message says why and names the next session.
    """
    session = session_on(group, day)
    if session is not None:
        return session
    reason = exceptions.CLOSED.get(group, {}).get(day, "an exchange holiday")
    if day.weekday() >= 5:
        reason = f"a {day:%A}"
    try:
        following = f"the next session is {next_session(group, day).date}"
    except DataError:
        following = "no later session is known"
    raise NotASession(f"{group} has no session on {day} ({reason}); {following}")


def sessions_between(group: MarketGroup, start: date, end: date) -> tuple[Session, ...]:
    """Sessions dated from ``start`` to ``end``, both included, oldest first."""
    return session_table(group).between(start, end)


def next_session(group: MarketGroup, after: date) -> Session:
    """The first session dated later than ``after``."""
    return session_table(group).after(after)


def previous_session(group: MarketGroup, before: date) -> Session:
    """The last session dated earlier than ``before``."""
    return session_table(group).before(before)


def session_at(group: MarketGroup, at: datetime) -> Session | None:
    """The session under way at ``at``, from open to close, its lunch break included."""
    session = session_on(group, local_date(group, at))
    if session is None or not session.open_at <= at < session.close_at:
        return None
    return session


def phase_at(group: MarketGroup, at: datetime) -> Phase:
    """The phase of the exchange's local day at ``at``."""
    session = session_on(group, local_date(group, at))
    if session is None:
        return Phase.CLOSED
    opening, closing = _AUCTION_MINUTES[group]
    if group is MarketGroup.JP and session.date < _JP_CLOSING_AUCTION_SINCE:
        closing = 0
    if at < session.open_at:
        auction_at = session.open_at - timedelta(minutes=opening)
        return Phase.OPENING_AUCTION if at >= auction_at else Phase.PRE_OPEN
    if at >= session.close_at:
        return Phase.AFTER_CLOSE
    if session.in_break(at):
        return Phase.LUNCH
    if at >= session.close_at - timedelta(minutes=closing):
        return Phase.CLOSING_AUCTION
    return Phase.CONTINUOUS


AnyMarket = TypeVar("AnyMarket", Market, MarketGroup)


def _group_of(market: Market | MarketGroup) -> MarketGroup:
    return market if isinstance(market, MarketGroup) else market.group


def is_market_open(market: Market | MarketGroup, at: datetime) -> bool:
    """Whether it trades at ``at``: inside a session and not at lunch. Auctions count as open."""
    session = session_at(_group_of(market), at)
    return session is not None and session.contains(at)


def get_open_markets(markets: Iterable[AnyMarket], at: datetime) -> list[AnyMarket]:
    """Those of ``markets`` that trade at ``at``, in the order given."""
    return [market for market in markets if is_market_open(market, at)]


def get_next_market_open(markets: Iterable[AnyMarket], at: datetime) -> tuple[AnyMarket, datetime]:
    """The market whose next session opens first, and when (aware UTC, later than ``at``).

    The end of a lunch break is not an open. Among equals the first given wins. A market whose
    calendar ends before its next session is passed over while another one has an answer.

    Raises:
        DataError: no market was given, or none has a known session ahead.
    """
    best: tuple[AnyMarket, datetime] | None = None
    unknown: DataError | None = None
    for market in markets:
        try:
            opens = _next_open(_group_of(market), at)
        except DataError as error:
            unknown = error
            continue
        if best is None or opens < best[1]:
            best = market, opens
    if best is None:
        raise unknown or DataError("no market was named")
    return best


def _next_open(group: MarketGroup, at: datetime) -> datetime:
    day = local_date(group, at)
    session = session_on(group, day)
    if session is not None and session.open_at > at:
        return session.open_at
    return next_session(group, day).open_at
