"""A session as a value, and the table of all sessions of one group with its lookups."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from trading_core.errors import DataError
from trading_core.model.market import MarketGroup

_ONE_MINUTE = timedelta(minutes=1)


class Session(NamedTuple):
    """One trading day of an exchange. ``date`` is local to the exchange; times are aware UTC.

    A named tuple because a table holds five thousand of them and is loaded by short processes.
    """

    group: MarketGroup
    date: date
    open_at: datetime
    close_at: datetime
    break_start_at: datetime | None = None
    break_end_at: datetime | None = None

    @property
    def _break(self) -> timedelta:
        if self.break_start_at is None or self.break_end_at is None:
            return timedelta(0)
        return self.break_end_at - self.break_start_at

    @property
    def minutes(self) -> int:
        """Minutes of trading, the break left out."""
        return (self.close_at - self.open_at - self._break) // _ONE_MINUTE

    def in_break(self, at: datetime) -> bool:
        """Whether the lunch break is on at ``at``: [start, end)."""
        if self.break_start_at is None or self.break_end_at is None:
            return False
        return self.break_start_at <= at < self.break_end_at

    def contains(self, at: datetime) -> bool:
        """Whether it trades at ``at``: [open, close) less the break."""
        return self.open_at <= at < self.close_at and not self.in_break(at)

    def elapsed_fraction(self, at: datetime) -> float:
        """The part of the trading minutes that is over, 0 before the open to 1 after the close."""
        passed = min(max(at, self.open_at), self.close_at) - self.open_at
        if self.break_start_at is not None and self.break_end_at is not None:
            in_break = min(max(at, self.break_start_at), self.break_end_at) - self.break_start_at
            passed -= in_break
        return passed / (self.close_at - self.open_at - self._break)

    def minutes_to_close(self, at: datetime) -> float:
        """Minutes on the clock until the close, a break ahead included; 0 after it."""
        return max((self.close_at - at) / _ONE_MINUTE, 0.0)


@dataclass(frozen=True)
class SessionTable:
    """All sessions of a group from ``first_day`` to ``last_day``, oldest first.

    Days outside that span are unknown, not shut: asking for one raises ``DataError``.
    """

    group: MarketGroup
    first_day: date
    last_day: date
    sessions: tuple[Session, ...]

    @cached_property
    def _dates(self) -> list[date]:
        return [session.date for session in self.sessions]

    def _check(self, day: date) -> None:
        if not self.first_day <= day <= self.last_day:
            raise DataError(
                f"sessions of {self.group} are known from {self.first_day} to {self.last_day},"
                f" not for {day}; a newer exchange-calendars may know more"
            )

    def on(self, day: date) -> Session | None:
        """The session of a date, None when the exchange is shut."""
        self._check(day)
        index = bisect_left(self._dates, day)
        if index < len(self.sessions) and self._dates[index] == day:
            return self.sessions[index]
        return None

    def between(self, start: date, end: date) -> tuple[Session, ...]:
        """The sessions of a span of dates, both ends included."""
        self._check(start)
        self._check(end)
        return self.sessions[bisect_left(self._dates, start) : bisect_right(self._dates, end)]

    def after(self, day: date) -> Session:
        """The first session later than a date."""
        self._check(day)
        index = bisect_right(self._dates, day)
        if index == len(self.sessions):
            self._check(self.last_day + timedelta(days=1))
        return self.sessions[index]

    def before(self, day: date) -> Session:
        """The last session earlier than a date."""
        self._check(day)
        index = bisect_left(self._dates, day) - 1
        if index < 0:
            self._check(self.first_day - timedelta(days=1))
        return self.sessions[index]
