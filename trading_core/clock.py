"""The one place that asks the operating system for the time.

A flow asks its clock once, at the top, and hands ``at`` down. Everything below takes the time as
an argument, so a day can be replayed and a test can stand still.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Time as the trader sees it. All times are aware UTC."""

    def now(self) -> datetime:
        """The present moment, aware UTC."""
        ...

    async def sleep_until(self, at: datetime) -> None:
        """Return once ``now() >= at``; at once when that is already so."""
        ...

    @property
    def runs(self) -> bool:
        """Whether time passes by itself. Else it is :meth:`sleep_until` that moves it."""
        ...


class SystemClock:
    """Real time."""

    runs = True

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, at: datetime) -> None:
        # Short naps, because a laptop that sleeps stops the monotonic clock but not the market.
        while (left := (at - self.now()).total_seconds()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, 5.0))


class FixedClock:
    """A clock that moves only when told to; ``sleep_until`` moves it."""

    runs = False

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("FixedClock needs an aware datetime")
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        return self._at

    def advance(self, by: timedelta) -> None:
        """Move forward by ``by``."""
        self._at += by

    async def sleep_until(self, at: datetime) -> None:
        self._at = max(self._at, at.astimezone(UTC))
