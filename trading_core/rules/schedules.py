"""When each flow of each market is to run: the sessions of the calendars as moments in UTC.

A year of them goes to Prefect as recurrence rules that are nothing but dates (RFC 5545, RDATE), so
holidays, early closes, late opens and both ends of daylight saving are exact.

In daily mode a session has *rounds* besides its ticks: looks at the whole market at the open and
every ``SESSION_INTERVAL_HOURS`` after it, ``DAILY_SESSIONS`` of them at most and none after the
close. They are counted from each market's own open, because rounds counted from the start of a
process or from midnight meet some markets once and others never; one that falls into lunch comes
after it. A round is a tick of its own, and only where no session is watching the market: with
one it would look at what was looked at a moment ago.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from trading_core.errors import DataError
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import (
    Session,
    local_date,
    next_session,
    previous_session,
    session_on,
    session_table,
    sessions_between,
)

SESSION_LEAD = timedelta(minutes=5)
"""A session run is started so long before the open, and waits for it."""
REVIEW_AFTER = timedelta(minutes=20)
BACKUP_AFTER_REVIEW = timedelta(minutes=20)
DAY = timedelta(days=1)

SLUG = "calendar"
"""How the names of booked schedules begin; others of a deployment are somebody else's."""
LONGEST_RULE = 6500
"""Characters a recurrence rule may have at the Prefect API."""


class BookedFlow(StrEnum):
    """The flows that the calendar books."""

    PLAN = "plan"
    SESSION = "session"
    TICK = "tick"
    REVIEW = "review"
    BACKUP = "backup"


@dataclass(frozen=True, slots=True)
class SchedulePolicy:
    """What the settings say of times: minutes before the open, rounds and hours between them."""

    pre_market: timedelta = timedelta(minutes=30)
    rounds: int = 0
    round_every: timedelta = timedelta(hours=6)
    tick_every: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Booking:
    """One run that is to come; ``session`` is the exchange's date, ``scheduled_at`` aware UTC."""

    market: MarketGroup
    session: date
    flow: BookedFlow
    scheduled_at: datetime
    slug: str = SLUG

    @property
    def deployment(self) -> str:
        """``plan/KR``; the copies after all reviews are one deployment's."""
        if self.flow is BookedFlow.BACKUP:
            return "backup/after-review"
        return f"{self.flow}/{self.market}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """One recurrence rule of a deployment, and what its runs get besides the deployment's own
    parameters."""

    rrule: str
    parameters: Mapping[str, object] = field(default_factory=dict)


def known_until(group: MarketGroup) -> date:
    """The last date of which the calendar says whether the exchange trades."""
    return session_table(group).last_day


def round_times(session: Session, policy: SchedulePolicy) -> list[datetime]:
    """The rounds of a session, oldest first, no two at one time."""
    times: list[datetime] = []
    for number in range(policy.rounds):
        at = session.open_at + number * policy.round_every
        if session.in_break(at):
            assert session.break_end_at is not None
            at = session.break_end_at
        if at < session.close_at and at not in times:
            times.append(at)
    return times


def bookings(
    groups: Iterable[MarketGroup], first: date, last: date, policy: SchedulePolicy
) -> list[Booking]:
    """Every run of the sessions dated ``first`` to ``last``, both included, in order of time.

    What lies beyond :func:`known_until` is left out.

    Raises:
        DataError: ``first`` is before the years that the calendar of a group covers.
    """
    found = [
        booking
        for group in groups
        for session in _known_sessions(group, first, last)
        for booking in _of_session(session, policy)
    ]
    return sorted(found, key=lambda b: (b.scheduled_at, b.market, b.flow))


def _known_sessions(group: MarketGroup, first: date, last: date) -> tuple[Session, ...]:
    last = min(last, known_until(group))
    return sessions_between(group, first, last) if first <= last else ()


def _of_session(session: Session, policy: SchedulePolicy) -> Iterable[Booking]:
    group, day = session.group, session.date
    review_at = session.close_at + REVIEW_AFTER
    yield Booking(group, day, BookedFlow.PLAN, session.open_at - policy.pre_market)
    yield Booking(group, day, BookedFlow.SESSION, session.open_at - SESSION_LEAD)
    for number, at in enumerate(round_times(session, policy), start=1):
        # One rule holds a date a session, so each round of the day has a rule of its own.
        yield Booking(group, day, BookedFlow.TICK, at, f"{SLUG}-round-{number}")
    yield Booking(group, day, BookedFlow.REVIEW, review_at)
    backup_at = review_at + BACKUP_AFTER_REVIEW
    yield Booking(group, day, BookedFlow.BACKUP, backup_at, f"{SLUG}-{group.lower()}")


def window(today: date) -> tuple[date, date]:
    """The dates that are booked: this month and the twelve after it.

    It moves once a month, because a rule that changes makes Prefect plan its runs anew.
    """
    first = today.replace(day=1)
    return first, (first + timedelta(days=13 * 31)).replace(day=1) - DAY


def schedules(booked: Iterable[Booking]) -> dict[str, dict[str, Schedule]]:
    """Recurrence rules by deployment and slug. No deployment runs twice at one time.

    Raises:
        DataError: a rule is longer than the API takes.
    """
    times: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    taken: set[tuple[str, datetime]] = set()
    for booking in booked:
        key = booking.deployment, booking.scheduled_at
        if key not in taken:
            taken.add(key)
            times[booking.deployment][booking.slug].append(booking.scheduled_at)
    return {
        deployment: {
            slug: Schedule(rrule_of(moments), _parameters(deployment))
            for slug, moments in slugs.items()
        }
        for deployment, slugs in times.items()
    }


def _parameters(deployment: str) -> dict[str, object]:
    is_round = deployment.startswith(f"{BookedFlow.TICK}/")
    return {"unless_watched": True} if is_round else {}


def rrule_of(moments: Iterable[datetime]) -> str:
    """A recurrence rule of exactly these moments, in UTC.

    Raises:
        DataError: there are none, or more than fit into a rule.
    """
    texts = [f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}" for at in sorted(set(moments))]
    if not texts:
        raise DataError("a schedule without a date")
    rule = f"DTSTART:{texts[0]}\nRDATE:{','.join(texts)}"
    if len(rule) > LONGEST_RULE:
        raise DataError(f"{len(texts)} dates do not fit into one schedule")
    return rule


def too_late(
    flow: str,
    *,
    late: timedelta,
    at: datetime,
    group: MarketGroup | None = None,
    every: timedelta = DAY,
) -> str | None:
    """Why a run that starts ``late`` after it was due is of no use any more; None while it is.

    A tick is looked for again by the next one. Plan and session are of use until the session that
    they were booked for has closed; a review until the next one is due, which makes up for all that
    were missed. What belongs to no market comes every ``every``.

    Args:
        at: Now, by the exchange's clock.
    """
    if late <= timedelta(minutes=1):
        return None
    try:
        over = _over(flow, at - late, at, group, every)
    except DataError:
        # Beyond the end of a calendar the flow itself says so.
        over = None
    return None if over is None else f"due {_words(late)} ago, too late: {over}"


def _over(
    flow: str, due: datetime, at: datetime, group: MarketGroup | None, every: timedelta
) -> str | None:
    over = None
    if group is None or flow == BookedFlow.TICK:
        over = f"the next one comes {_words(every)} after it" if at - due > every else None
    elif flow == BookedFlow.REVIEW:
        after = next_session(group, _closed_before(group, due).date)
        over = f"that of {after.date} is due" if at >= after.close_at + REVIEW_AFTER else None
    else:
        booked = _closing_after(group, due)
        over = f"the session of {booked.date} is over" if at >= booked.close_at else None
    return over


def _closing_after(group: MarketGroup, at: datetime) -> Session:
    """The session that is on or comes next."""
    today = session_on(group, local_date(group, at))
    return today if today and at < today.close_at else next_session(group, local_date(group, at))


def _closed_before(group: MarketGroup, at: datetime) -> Session:
    day = local_date(group, at)
    today = session_on(group, day)
    return today if today and at >= today.close_at else previous_session(group, day)


def _words(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes / 60:.0f} hours" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"
