"""When the broker takes no orders: its daily batch, and windows that a person names. Pure.

A window is on Seoul's clock, where the broker is, whatever market an order is for. What is wanted
meanwhile is refused and decided anew afterwards, at the prices of then; nothing is queued.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from trading_core.model.limits import BlackoutWindow

SEOUL = ZoneInfo("Asia/Seoul")


def blackout_until(windows: Sequence[BlackoutWindow], at: datetime) -> datetime | None:
    """When orders are taken again (aware UTC); None when they are taken at ``at``.

    Windows that overlap or touch are one.
    """
    until = at
    for _ in windows:
        ends = [end for window in windows if (end := _end(window, until)) is not None]
        if not ends:
            break
        until = max(ends)
    return until if until > at else None


def blackout_words(windows: Sequence[BlackoutWindow], at: datetime) -> str:
    """``blackout until 00:10 KST``; empty when orders are taken at ``at``."""
    until = blackout_until(windows, at)
    return "" if until is None else f"blackout until {until.astimezone(SEOUL):%H:%M} KST"


def _end(window: BlackoutWindow, at: datetime) -> datetime | None:
    """The end of the window that ``at`` falls into."""
    today = at.astimezone(SEOUL).date()
    for day in (today, today - timedelta(days=1)):
        start = datetime.combine(day, window.start, SEOUL)
        end = datetime.combine(day, window.end, SEOUL)
        if end < start:
            end += timedelta(days=1)
        if start <= at < end:
            return end.astimezone(UTC)
    return None
