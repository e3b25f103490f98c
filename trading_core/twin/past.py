"""Minute bars of the sessions before a tape's own, read or made when they are asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, OrderedDict
from datetime import UTC, date, datetime, timedelta

import numpy as np

from trading_core.errors import DataError
from trading_core.model.price import MinuteBar
from trading_core.rules.calendar import Session, session_on
from trading_core.twin import bars as files
from trading_core.twin.bridge import Bars, Ints
from trading_core.twin.columns import (
    bridged,
    closing_auction_minutes,
    minute_columns,
    place_minutes,
)
from trading_core.twin.levels import DayHistory
from trading_core.twin.prices import minute_bar
from trading_core.twin.tape import Tape, day_history

_KEPT = 512


class PastMinutes:
    """The minutes of earlier sessions of a tape's symbols; what was asked for last is kept.

    The tape's files are read for one symbol and session at a time, as traded. A session they hold
    no minutes of is bridged from its daily bar, the same each time. A session with neither, or in
    which the symbol was halted, has none.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._known: OrderedDict[tuple[int, date], list[MinuteBar]] = OrderedDict()

    def bars(self, row: int, session: date, until: datetime) -> list[MinuteBar]:
        """Bars of an earlier session, oldest first, that began at ``until`` or before.

        Raises:
            DataError: a price file can no longer be read.
        """
        key = (row, session)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._found(row, session)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return known[: bisect_right(known, until, key=lambda bar: bar.start_at)]

    def _found(self, row: int, session: date) -> list[MinuteBar]:
        hours = session_on(self._tape.group, session) if session < self._tape.session else None
        if hours is None:
            return []
        return self._read(row, hours) or self._bridged(row, hours)

    def _read(self, row: int, hours: Session) -> list[MinuteBar]:
        symbol = self._tape.instruments[row].symbol
        end = hours.close_at + timedelta(minutes=1)
        minutes = files.read_minutes(
            self._tape.sources, Counter(), start=hours.open_at, end=end, symbols=[symbol]
        )
        if minutes is None:
            return []
        try:
            placed = place_minutes(minutes, hours, Counter())
        except DataError:
            # Bars of several minutes are no minutes.
            return []
        return [] if placed is None else _listed(placed.bars, placed.starts)

    def _bridged(self, row: int, hours: Session) -> list[MinuteBar]:
        item, day = self._tape.instruments[row], np.datetime64(hours.date, "D")
        known: DayHistory = day_history(self._tape.history, row)
        at = int(np.searchsorted(known.dates, day))
        if at == len(known.dates) or known.dates[at] != day or known.volume[at] <= 0:
            return []
        o, h, low, c = (known.prices[n, at : at + 1] for n in range(4))
        volume = known.volume[at : at + 1]
        seed = self._tape.seed
        made = bridged([item.symbol], [item.market], hours, seed, (o, h, low, c), volume)
        starts, _ = minute_columns(hours, auction=closing_auction_minutes(hours) > 0)
        return _listed(made, starts)


def _listed(bars: Bars, starts: Ints) -> list[MinuteBar]:
    """The only row of a block, from its first price on."""
    priced = np.flatnonzero(np.isfinite(bars.close[0]))
    return [
        minute_bar(bars, 0, column, datetime.fromtimestamp(int(starts[column]), UTC))
        for column in range(int(priced[0]) if len(priced) else len(starts), len(starts))
    ]
