"""A whole year of every exchange: nothing missing, nothing twice, nothing outside a session.

The library's own schedules are asked anew here; what our dated tables say besides is written out
by hand.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import exchange_calendars
import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from trading_core.errors import DataError
from trading_core.model.market import Market, MarketGroup
from trading_core.rules.calendar import session_on
from trading_core.rules.markets import zone_of
from trading_core.rules.schedules import (
    LONGEST_RULE,
    BookedFlow,
    Booking,
    SchedulePolicy,
    bookings,
    known_until,
    rrule_of,
    schedules,
    too_late,
    window,
)

YEARS = [(date(2026, 1, 1), date(2026, 12, 31)), (date(2025, 7, 1), date(2026, 6, 30))]
CALENDARS = {
    Market.KR: "XKRX",
    Market.US_NASDAQ: "XNYS",
    Market.US_NYSE: "XNYS",
    Market.US_AMEX: "XNYS",
    Market.JP: "XTKS",
    Market.HK: "XHKG",
    Market.CN_SHA: "XSHG",
    Market.CN_SZA: "XSHG",
}
SHUT = {
    MarketGroup.KR: {date(2026, 6, 3), date(2026, 7, 17)},
}
"""Dates the installed library may still take for sessions."""
EXAM_DAYS = {date(2025, 11, 13), date(2026, 11, 19)}
VIETNAM_SHUT = {
    *(date(2025, 9, day) for day in (1, 2)),
    date(2026, 1, 1),
    *(date(2026, 2, day) for day in (16, 17, 18, 19, 20)),
    *(date(2026, 4, day) for day in (27, 30)),
    date(2026, 5, 1),
    date(2026, 8, 31),
    *(date(2026, 9, day) for day in (1, 2)),
    date(2026, 11, 24),
}
MINUTE = timedelta(minutes=1)
POLICY = SchedulePolicy(pre_market=30 * MINUTE, rounds=4, round_every=timedelta(hours=3))


@cache
def library_rows(name: str) -> list[tuple[Any, ...]]:
    calendar = exchange_calendars.get_calendar(name, start="2025-07-01", end="2026-12-31")
    return list(calendar.schedule.itertuples())


Hours = tuple[datetime, datetime, datetime | None, datetime | None]
"""Open, close, and the break's start and end."""


@cache
def expected(market: Market, first: date, last: date) -> dict[date, Hours]:
    """The sessions of one exchange, from the library or, for Vietnam, from the law."""
    if market.group is MarketGroup.VN:
        zone = ZoneInfo("Asia/Ho_Chi_Minh")
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        hours = time(9), time(14, 45), time(11, 30), time(13)
        return {
            day: tuple(datetime.combine(day, each, zone).astimezone(UTC) for each in hours)  # type: ignore[misc]
            for day in days
            if day.weekday() < 5 and day not in VIETNAM_SHUT
        }
    found: dict[date, Hours] = {}
    for label, opened, break_start, break_end, closed in library_rows(CALENDARS[market]):
        day = label.date()
        if not first <= day <= last or day in SHUT.get(market.group, ()):
            continue
        pause = (None, None) if break_start != break_start else (break_start, break_end)
        start, end = (None if each is None else each.to_pydatetime() for each in pause)
        found[day] = opened.to_pydatetime(), closed.to_pydatetime(), start, end
        if market is Market.KR and day in EXAM_DAYS:
            korea = ZoneInfo("Asia/Seoul")
            exam = (datetime.combine(day, each, korea) for each in (time(10), time(16, 30)))
            found[day] = *exam, None, None  # type: ignore[assignment]
    return found


@cache
def booked(group: MarketGroup, first: date, last: date) -> tuple[Booking, ...]:
    return tuple(bookings([group], first, last, POLICY))


@pytest.mark.parametrize(("first", "last"), YEARS, ids=["2026", "2025-07 to 2026-06"])
@pytest.mark.parametrize("market", Market)
def test_every_session_has_each_run_once_at_its_minute(
    market: Market, first: date, last: date
) -> None:
    sessions = expected(market, first, last)
    found = booked(market.group, first, last)

    assert 235 < len(sessions) < 262
    for flow, when in {
        BookedFlow.PLAN: {day: hours[0] - 30 * MINUTE for day, hours in sessions.items()},
        BookedFlow.SESSION: {day: hours[0] - 5 * MINUTE for day, hours in sessions.items()},
        BookedFlow.REVIEW: {day: hours[1] + 20 * MINUTE for day, hours in sessions.items()},
        BookedFlow.BACKUP: {day: hours[1] + 40 * MINUTE for day, hours in sessions.items()},
    }.items():
        mine = [item for item in found if item.flow is flow]
        assert {item.session: item.scheduled_at for item in mine} == when
        assert len(mine) == len(when)


@pytest.mark.parametrize("market", Market)
def test_rounds_come_every_so_often_from_the_open_and_only_while_it_trades(market: Market) -> None:
    first, last = YEARS[0]
    sessions = expected(market, first, last)
    rounds = [item for item in booked(market.group, first, last) if item.flow is BookedFlow.TICK]

    assert {item.session for item in rounds} == set(sessions)
    assert max(Counter((item.session, item.scheduled_at) for item in rounds).values()) == 1
    for day, (opened, closed, break_start, break_end) in sessions.items():
        plain = [opened + n * timedelta(hours=3) for n in range(4)]
        moved = [
            break_end if break_start and break_end and break_start <= at < break_end else at
            for at in plain
        ]
        want = sorted({at for at in moved if at < closed})
        assert [item.scheduled_at for item in rounds if item.session == day] == want


def test_the_days_that_everybody_gets_wrong_once() -> None:
    def minutes(group: MarketGroup, day: date) -> dict[str, str]:
        found = [item for item in booked(group, *YEARS[0]) if item.session == day]
        return {item.flow.value: f"{item.scheduled_at:%m-%d %H:%M}" for item in found}

    # New York's clocks go back on November 1st and forward on March 8th.
    assert minutes(MarketGroup.US, date(2026, 10, 30))["session"] == "10-30 13:25"
    assert minutes(MarketGroup.US, date(2026, 11, 2))["session"] == "11-02 14:25"
    assert minutes(MarketGroup.US, date(2026, 3, 6))["review"] == "03-06 21:20"
    assert minutes(MarketGroup.US, date(2026, 3, 9))["review"] == "03-09 20:20"
    # Thanksgiving, and the short day after it.
    assert minutes(MarketGroup.US, date(2026, 11, 26)) == {}
    assert minutes(MarketGroup.US, date(2026, 11, 27))["review"] == "11-27 18:20"
    # Korea's exam day is an hour late at both ends.
    assert minutes(MarketGroup.KR, date(2026, 11, 19))["plan"] == "11-19 00:30"
    assert minutes(MarketGroup.KR, date(2026, 11, 19))["review"] == "11-19 07:50"
    # Hong Kong's Christmas Eve ends at noon.
    assert minutes(MarketGroup.HK, date(2026, 12, 24))["review"] == "12-24 04:20"


def test_outside_daily_mode_there_are_no_rounds() -> None:
    found = bookings([MarketGroup.KR], *YEARS[0], SchedulePolicy())

    assert {item.flow for item in found} == set(BookedFlow) - {BookedFlow.TICK}


def test_what_the_calendar_does_not_know_is_left_out() -> None:
    end = known_until(MarketGroup.VN)

    found = bookings([MarketGroup.VN], end, end + timedelta(days=60), POLICY)

    assert {item.session for item in found} <= {end}
    assert bookings([MarketGroup.VN], end + timedelta(days=1), end, POLICY) == []


def test_rules_of_a_year_say_exactly_the_bookings_and_fit_into_the_api() -> None:
    everything = bookings(MarketGroup, *window(date(2026, 11, 22)), SchedulePolicy(rounds=10))
    rules = schedules(everything)

    for name, slugs in rules.items():
        read: list[datetime] = []
        for slug, schedule in slugs.items():
            assert len(schedule.rrule) <= LONGEST_RULE
            assert slug.startswith("calendar")
            assert schedule.parameters == (
                {"unless_watched": True} if name.startswith("tick/") else {}
            )
            read += list(rrulestr(schedule.rrule))
        assert sorted(read) == sorted(
            {item.scheduled_at for item in everything if item.deployment == name}
        )
        assert len(read) == len(set(read)), f"{name} would run twice"


def test_a_rule_without_dates_or_with_too_many_is_refused() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(DataError):
        rrule_of([])
    with pytest.raises(DataError, match="do not fit"):
        rrule_of(day + timedelta(days=n) for n in range(400))


@given(st.dates(date(2020, 1, 1), date(2026, 12, 1)))
def test_the_window_is_this_month_and_the_twelve_after_it(today: date) -> None:
    first, last = window(today)

    assert first == today.replace(day=1)
    assert (last + timedelta(days=1)).day == 1
    months = (last.year - first.year) * 12 + last.month - first.month
    assert months == 12
    assert last - today >= timedelta(days=365)


# --- What comes too late -------------------------------------------------------------------------

FRIDAY = date(2026, 11, 20)


def korea(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), ZoneInfo(zone_of(MarketGroup.KR)))


def late(flow: str, due: datetime, at: datetime, **more: object) -> str | None:
    group = None if flow in ("backup", "memory") else MarketGroup.KR
    return too_late(flow, late=at - due, at=at, group=group, **more)  # type: ignore[arg-type]


def test_a_tick_is_dropped_when_it_is_late_by_more_than_its_interval() -> None:
    due, every = korea(FRIDAY, 12), timedelta(minutes=5)

    assert late("tick", due, due + every, every=every) is None
    why = late("tick", due, due + every + MINUTE, every=every)
    assert why == "due 6 minutes ago, too late: the next one comes 5 minutes after it"


@pytest.mark.parametrize("flow", ["plan", "session"])
def test_plan_and_session_are_of_use_until_their_session_closes(flow: str) -> None:
    due = korea(FRIDAY, 8, 30)

    assert late(flow, due, korea(FRIDAY, 15, 29)) is None
    assert "the session of 2026-11-20 is over" in str(late(flow, due, korea(FRIDAY, 15, 30)))
    monday = FRIDAY + timedelta(days=3)
    assert "the session of 2026-11-20 is over" in str(late(flow, due, korea(monday, 9)))


def test_a_review_is_of_use_until_the_next_one_is_due() -> None:
    due, monday = korea(FRIDAY, 15, 50), FRIDAY + timedelta(days=3)

    assert late("review", due, korea(monday, 15, 49)) is None
    assert "that of 2026-11-23 is due" in str(late("review", due, korea(monday, 15, 50)))


def test_what_belongs_to_no_market_is_of_use_until_the_next_day() -> None:
    due = korea(FRIDAY, 17, 30)

    assert late("backup", due, due + timedelta(hours=24)) is None
    assert "due 25 hours ago" in str(late("backup", due, due + timedelta(hours=25)))


def test_a_run_on_time_is_never_too_late_whatever_the_hour() -> None:
    """A person may start anything at any time; the flow itself says when there is nothing to do."""
    sunday = korea(FRIDAY + timedelta(days=2), 12)

    assert session_on(MarketGroup.KR, sunday.date()) is None
    for flow in ("plan", "session", "tick", "review", "backup", "memory"):
        assert late(flow, sunday, sunday + MINUTE, every=MINUTE / 2) is None


def test_at_the_end_of_a_calendar_a_review_is_not_dropped() -> None:
    last = known_until(MarketGroup.VN)
    at = datetime.combine(last, time(23), UTC)

    assert too_late("review", late=timedelta(hours=5), at=at, group=MarketGroup.VN) is None
