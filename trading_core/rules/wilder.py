"""Wilder's recursive average over many histories at once, and what RSI makes of it.

J. Welles Wilder, *New Concepts in Technical Trading Systems* (1978), with the seed TA-Lib uses: the
first average is the simple mean of the first ``period`` values. Arrays here are (bars, symbols),
so that the values one step works on lie side by side in memory.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

PERIOD = 14


def bars_first(values: Floats) -> Floats:
    """(bars, symbols) with the symbols of one bar side by side in memory."""
    return np.ascontiguousarray(values.T)


def wilder_average(values: Floats, period: int) -> Floats:
    """Wilder's average down the first axis (bars); NaN until ``period`` values without a hole.

    ``average = (average * (period - 1) + value) / period``; a NaN makes all that follows NaN until
    the next ``period`` clean values seed it again. The answer takes the place of ``values``.
    """
    seed_bars, columns = _seeds(np.isfinite(values), period)
    span = np.arange(1 - period, 1)[:, None]
    seeds = values[seed_bars + span, columns].mean(axis=0)
    starts = np.searchsorted(seed_bars, np.arange(len(values) + 1))
    values /= period
    carried = np.full(values.shape[1], np.nan)
    for bar, row in enumerate(values):
        row += carried
        seeded = slice(starts[bar], starts[bar + 1])
        if seeded.start < seeded.stop:
            row[columns[seeded]] = seeds[seeded]
        np.multiply(row, (period - 1) / period, out=carried)
    return values


def _seeds(finite: NDArray[np.bool_], period: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(bars, columns) where exactly ``period`` values stand after a hole, in order of bars.

    The bar before the first one counts as a hole.
    """
    bars, width = finite.shape
    holes = np.ones((width, bars + 2), dtype=np.bool_)
    np.logical_not(finite.T, out=holes[:, 1:-1])
    columns, at = np.divmod(np.flatnonzero(holes), bars + 2)
    # The last hole of a column is the one behind its end, where no run begins.
    long_enough = np.flatnonzero((at[1:] - at[:-1] > period) & (columns[1:] == columns[:-1]))
    seed_bars, columns = at[long_enough] - 1 + period, columns[long_enough]
    order = np.argsort(seed_bars, kind="stable")
    return seed_bars[order], columns[order]


def gains_and_losses(close: Floats) -> Floats:
    """Of closes (bars, symbols): (bars - 1, 2 * symbols), gains left, losses right, all >= 0."""
    bars, symbols = close.shape
    moves = np.empty((max(bars - 1, 0), 2 * symbols))
    np.subtract(close[1:], close[:-1], out=moves[:, :symbols])
    np.negative(moves[:, :symbols], out=moves[:, symbols:])
    return np.maximum(moves, 0.0, out=moves)


def rsi_of(gain: Floats, loss: Floats) -> Floats:
    """100 * gain / (gain + loss) of two averages; NaN when nothing moved."""
    total = gain + loss
    total[total <= 0] = np.nan
    np.divide(gain, total, out=total)
    total *= 100.0
    return total
