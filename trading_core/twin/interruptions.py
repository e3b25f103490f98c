"""Volatility interruptions of the Korean exchange, as far as minute bars show them.

The static interruption of KRX (KOSPI Market Business Regulation, article 20-2; in force in this
form since 2015-06-15): a trade 10 % or more away from the last single price stops continuous
trading for two minutes, after which the collected orders trade at one price, the new reference.

What is modelled: the first single price is the open of a symbol's first traded bar. A bar whose
range reaches 10 % interrupts from its end on for two minutes; bars inside are seen as they are but
match nothing, and the next traded bar begins with the single price, its own open. Minutes of real
trading hold their own interruptions, static and dynamic: a steadily traded symbol pauses for a
minute or more. The bar after such a pause, and one that reaches 10 % right after any pause, begins
with a single price, its open, and nothing more is stopped. An interruption that would reach into
the closing auction ends in it. The dynamic interruption (against the trade just before) cannot be
seen where minutes are made from daily bars and is not added, nor are the random seconds at an end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from trading_core.model.market import MarketGroup
from trading_core.twin.bridge import Floats, Ints
from trading_core.twin.tape import Tape

STATIC_SINCE = date(2015, 6, 15)
STATIC_SHARE = 0.10
STATIC_SECONDS = 120
_ROUNDING = 1e-9
# A symbol that traded in each of so many minutes and then in none of a few was interrupted.
_STEADY = 10
_LONGEST_PAUSE = 3


@dataclass(frozen=True, slots=True)
class Interruption:
    """One stop of one symbol, in columns of the tape.

    ``trigger`` reached the bound; columns from ``trigger + 1`` to before ``resumes`` match
    nothing. ``until`` is in POSIX seconds.
    """

    trigger: int
    resumes: int
    until: int


@dataclass(frozen=True, slots=True)
class SymbolDay:
    """A symbol's stops, and the columns that begin with a single price, both oldest first."""

    stops: tuple[Interruption, ...]
    singles: tuple[int, ...]


class Interruptions:
    """The static interruptions of one session, found symbol by symbol when first asked.

    Every answer for a moment stands on bars that are over at that moment.
    """

    def __init__(self, tape: Tape, quiet_from: datetime) -> None:
        self._tape = tape
        self._quiet_from = int(quiet_from.timestamp())
        self._known: dict[int, SymbolDay] = {}
        self._offered = tape.group is MarketGroup.KR and tape.session >= STATIC_SINCE

    def day(self, row: int) -> SymbolDay:
        """The whole session of a symbol."""
        known = self._known.get(row)
        if known is None:
            known = self._known[row] = self._found(row)
        return known

    def blocks(self, row: int, column: int) -> bool:
        """Whether a column lies in an interruption."""
        return any(stop.trigger < column < stop.resumes for stop in self.day(row).stops)

    def begins_single(self, row: int, column: int) -> bool:
        """Whether a column begins with a single price: the open, or the end of an interruption."""
        return column in self.day(row).singles

    def until(self, row: int, cursor: int, at: datetime) -> datetime | None:
        """When the interruption that is on at a moment ends; None while there is none."""
        for stop in self.day(row).stops:
            if stop.trigger < cursor and at.timestamp() < stop.until:
                return datetime.fromtimestamp(stop.until, UTC)
        return None

    def reference(self, row: int, cursor: int) -> float | None:
        """The last single price that is over; None before the first, and where there is no rule."""
        over = [column for column in self.day(row).singles if column < cursor]
        if not self._offered or not over:
            return None
        return float(self._tape.bars.open[row, over[-1]])

    def _found(self, row: int) -> SymbolDay:
        tape, bars = self._tape, self._tape.bars
        traded = np.flatnonzero((bars.volume[row] > 0) & (tape.ends < self._quiet_from))
        if not len(traded) or tape.halted[row]:
            return SymbolDay((), ())
        singles = [int(traded[0])]
        if not self._offered:
            return SymbolDay((), tuple(singles))
        opened, high, low = (p[row, traded] for p in (bars.open, bars.high, bars.low))
        pauses = _pauses(traded)
        stops: list[Interruption] = []
        at, reference = 0, float(opened[0])
        while True:
            hit = _reached(high, low, reference, at)
            later = pauses[pauses > at]
            if len(later) and (hit is None or later[0] <= hit):
                at = int(later[0])
            elif hit is None:
                break
            elif hit > at and traded[hit] - traded[hit - 1] > 1:
                at = hit
            else:
                column = int(traded[hit])
                until = min(int(tape.ends[column]) + STATIC_SECONDS, self._quiet_from)
                resumes = int(np.searchsorted(tape.starts, until))
                stops.append(Interruption(column, resumes, until))
                at = int(np.searchsorted(traded, resumes))
                if at == len(traded):
                    break
            singles.append(int(traded[at]))
            reference = float(opened[at])
        return SymbolDay(tuple(stops), tuple(singles))


def _pauses(traded: Ints) -> Ints:
    """Positions right after a short pause of a symbol that had traded in every minute before."""
    gap = np.diff(traded) - 1
    after = np.arange(1, len(traded))[(gap >= 1) & (gap <= _LONGEST_PAUSE)]
    after = after[after >= _STEADY]
    steady = traded[after - 1] - traded[after - _STEADY] == _STEADY - 1
    return np.asarray(after[steady])


def _reached(high: Floats, low: Floats, reference: float, start: int) -> int | None:
    """The first position from ``start`` on whose range reaches the bound around a reference."""
    upper = reference * (1 + STATIC_SHARE - _ROUNDING)
    lower = reference * (1 - STATIC_SHARE + _ROUNDING)
    hits = np.flatnonzero((high[start:] >= upper) | (low[start:] <= lower))
    return None if not len(hits) else start + int(hits[0])
