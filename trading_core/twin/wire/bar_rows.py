"""Rows of daily bars, rendered once for the sessions that are over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal

from trading_core.model.price import DailyBar
from trading_core.twin.venue import Venue
from trading_core.twin.wire.desk import Desk

DAILY_ROWS = 100
# Enough calendar days for one session before the range, across the longest holidays.
LOOK_BACK = timedelta(days=14)

BarRequest = tuple[Venue, str, date, date, str, bool]
RenderBars = Callable[[Sequence[DailyBar], Decimal | None], list[dict[str, str]]]


def rendered_bars(desk: Desk, asked: BarRequest, render: RenderBars) -> list[dict[str, str]]:
    """Rows of a range of bars, newest first; rows of past sessions are rendered once.

    ``asked`` is venue, symbol, first and last date, period and whether adjusted. ``render`` is
    given the bars of the range, oldest first, and the close before them.
    """
    venue, symbol, start, end, period, adjusted = asked
    session = desk.session(venue)
    if start > min(end, session):
        return []

    def rows(until: date) -> list[dict[str, str]]:
        # One bar before the range is read, for the change of its first row.
        earlier = max(start, date(1, 1, 1) + LOOK_BACK) - LOOK_BACK
        bars = venue.daily_bars(symbol, start=earlier, end=until, adjusted=adjusted)
        inside = [bar for bar in bars if bar.session >= start]
        outside = bars[: len(bars) - len(inside)]
        return render(inside, outside[-1].close if outside else None)

    if end < session or period != "D":
        # Only days can be put together from the past and the forming one.
        key = ("bars", venue.group, session, symbol, start, end, period, adjusted)
        return desk.remembered(key, lambda: rows(end)) if end < session else rows(end)
    key = ("bars", venue.group, session, symbol, start, session, period, adjusted)
    before = session - timedelta(days=1)
    past = desk.remembered(key, lambda: rows(before)) if start <= before else []
    today = venue.daily_bars(
        symbol, start=max(session - LOOK_BACK, date.min), end=session, adjusted=adjusted
    )
    forming = [bar for bar in today if bar.session == session]
    close = next((bar.close for bar in reversed(today) if bar.session < session), None)
    return [*render(forming, close), *past][:DAILY_ROWS]
