"""Indicators over a whole universe at once: arrays of shape (symbols, bars), float64.

Arrays are right-aligned: the last column is the newest closed session, and symbols with a shorter
history have NaN on the left. NaN is "no data", and it is the only answer to a flat, halted, broken
or too short history: a number there (TA-Lib answers RSI 0 for a flat price) would look like a
signal. Percent results are percentages, so 1.5 means 1.5 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from trading_core.errors import DataError
from trading_core.model.market import MarketGroup
from trading_core.model.price import DailyBar
from trading_core.rules.wilder import PERIOD, bars_first, gains_and_losses, rsi_of, wilder_average
from trading_core.rules.wilder import Floats as Floats

WINDOW = 20
SHORT_WINDOW = 5

ANY_OPEN = (0.55, 1.8)
"""Open over previous close where no daily limit holds: outside of it lies every split from 2:1."""

PLAUSIBLE_OPEN: Mapping[MarketGroup, tuple[float, float]] = MappingProxyType(
    {
        # Daily limits of 30 %, 20 % (widest board) and 10 % (wider exchange), plus rounding.
        MarketGroup.KR: (0.69, 1.31),
        MarketGroup.CN: (0.79, 1.21),
        MarketGroup.VN: (0.88, 1.12),
    }
)
"""Tighter bounds for exchanges whose rules forbid larger moves; the others use ``ANY_OPEN``."""


@dataclass(frozen=True, slots=True)
class BarPanel:
    """Daily bars of many symbols, each array (symbols, bars), right-aligned.

    Prices are in the market's currency, volume in shares. ``open_bounds`` are the lowest and the
    highest open over previous close that still counts as a price move.

    Raises:
        DataError: the arrays differ in shape, or their rows are not the symbols.
    """

    symbols: tuple[str, ...]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    open_bounds: tuple[float, float] = ANY_OPEN

    def __post_init__(self) -> None:
        shapes = {a.shape for a in (self.open, self.high, self.low, self.close, self.volume)}
        if len(shapes) != 1 or self.close.ndim != 2 or len(self.close) != len(self.symbols):
            raise DataError(f"bar arrays of shapes {shapes} for {len(self.symbols)} symbols")

    @classmethod
    def from_bars(
        cls,
        bars: Mapping[str, Sequence[DailyBar]],
        length: int,
        *,
        last_session: date | None = None,
        open_bounds: tuple[float, float] = ANY_OPEN,
    ) -> BarPanel:
        """The newest ``length`` usable bars of each symbol.

        A halted bar (open, high and low 0, or no volume and no range) is left out, so the bars
        around it become neighbours. A broken bar (a price that is missing or <= 0, or high < low)
        keeps its place as NaN. Bars before an open outside of ``open_bounds`` belong to another
        price basis (an unadjusted split, a rights issue) and are left out. When the newest bar is
        halted, or is not of ``last_session``, the last column of that symbol is NaN and with it
        every indicator.

        Args:
            bars: Of each symbol, strictly oldest first.
            length: Columns of the panel.
            last_session: The newest closed session, in the exchange's zone; later bars (today's
                forming one) are left out. None takes each symbol's bars as they end.
            open_bounds: ``PLAUSIBLE_OPEN[group]`` where there is one.

        Raises:
            DataError: bars of a symbol are not strictly oldest first, or ``length`` < 1.
        """
        if length < 1:
            raise DataError(f"a panel of {length} bars: at least 1 is needed")
        # Bars are the outer axis in memory: the recursions walk them one column at a time.
        block = np.full((5, length, len(bars)), np.nan)
        for row, (symbol, series) in enumerate(bars.items()):
            usable = _usable(symbol, series, last_session, open_bounds)[-length:]
            if len(usable):
                block[:, length - len(usable) :, row] = usable.T
        opens, high, low, close, volume = (plane.T for plane in block)
        return cls(tuple(bars), opens, high, low, close, volume, open_bounds)

    @property
    def length(self) -> int:
        """Columns."""
        return int(self.close.shape[1])

    def without_last(self) -> BarPanel:
        """The panel as it was one session earlier."""
        return replace(
            self,
            open=self.open[:, :-1],
            high=self.high[:, :-1],
            low=self.low[:, :-1],
            close=self.close[:, :-1],
            volume=self.volume[:, :-1],
        )


def _usable(
    symbol: str,
    bars: Sequence[DailyBar],
    last_session: date | None,
    open_bounds: tuple[float, float],
) -> Floats:
    """Rows of (open, high, low, close, volume) that stand on today's price basis."""
    if any(a.session >= b.session for a, b in pairwise(bars)):
        raise DataError(f"daily bars of {symbol} are not strictly oldest first")
    if last_session is not None:
        bars = [bar for bar in bars if bar.session <= last_session]
    if not bars:
        return np.empty((0, 5))
    table = np.array([(b.open, b.high, b.low, b.close, b.volume) for b in bars], dtype=np.float64)
    prices, highs, lows, volumes = table[:, :4], table[:, 1], table[:, 2], table[:, 4]
    halted = (prices[:, :3] == 0).all(axis=1) | ((volumes == 0) & (highs == lows))
    broken = ~((prices > 0) & (prices < np.inf)).all(axis=1) | ~(highs >= lows)
    table[broken] = np.nan
    volumes[~(volumes > 0)] = np.nan
    newest_missing = halted[-1] or (last_session is not None and bars[-1].session != last_session)
    table = table[~halted]
    table = table[_basis_start(table, open_bounds) :]
    return np.vstack((table, np.full((1, 5), np.nan))) if newest_missing else table


def _basis_start(table: Floats, open_bounds: tuple[float, float]) -> int:
    """The row from which on no open jumps out of ``open_bounds``."""
    priced = np.flatnonzero(np.isfinite(table[:, 3]))
    jump = table[priced[1:], 0] / table[priced[:-1], 3]
    breaks = np.flatnonzero((jump < open_bounds[0]) | (jump > open_bounds[1]))
    return int(priced[breaks[-1] + 1]) if len(breaks) else 0


def rsi(close: Floats, period: int = PERIOD) -> Floats:
    """Wilder's relative strength index, 0-100, (symbols, bars).

    Defined from the ``period``-th change on (bar 14 of a history for 14), as in TA-Lib. NaN before
    that, after a NaN until ``period`` clean changes, and where no close of the history moved.
    """
    result = np.full(close.shape[::-1], np.nan)
    if close.shape[1] > 1:
        averages = wilder_average(gains_and_losses(bars_first(close)), period)
        symbols = close.shape[0]
        result[1:] = rsi_of(averages[:, :symbols], averages[:, symbols:])
    return result.T


def true_range(high: Floats, low: Floats, close: Floats) -> Floats:
    """The larger of the bar's range and its reach from the previous close, in price units.

    NaN in the first bar: there is no previous close.
    """
    result = np.full(close.shape[::-1], np.nan)
    previous = bars_first(close)[:-1]
    result[1:] = np.maximum(bars_first(high)[1:], previous)
    result[1:] -= np.minimum(bars_first(low)[1:], previous)
    return result.T


def atr(high: Floats, low: Floats, close: Floats, period: int = PERIOD) -> Floats:
    """Wilder's average of the true range, in price units; seeded as in TA-Lib.

    NaN too short, after a NaN until ``period`` clean ranges, and where no bar had any range.
    """
    averages = wilder_average(true_range(high, low, close).T, period)
    averages[averages <= 0] = np.nan
    return averages.T


def returns_pct(close: Floats, n: int) -> Floats:
    """Close against the close ``n`` bars back, in percent."""
    result = np.full_like(close, np.nan)
    if n < close.shape[1]:
        moved = result[:, n:]
        np.divide(close[:, n:], close[:, :-n], out=moved)
        moved -= 1
        moved *= 100
    return result


def previous_high(high: Floats, window: int = WINDOW) -> Floats:
    """The highest high of the ``window`` bars before each bar, that bar not included."""
    return _previous(high, window, np.maximum)


def previous_low(low: Floats, window: int = WINDOW) -> Floats:
    """The lowest low of the ``window`` bars before each bar, that bar not included."""
    return _previous(low, window, np.minimum)


def _previous(values: Floats, window: int, combine: np.ufunc) -> Floats:
    """``combine`` over the ``window`` bars before each bar; NaN where there are fewer."""
    result = np.full(values.shape[::-1], np.nan)
    if window < values.shape[1]:
        result[window:] = _rolling(bars_first(values)[:-1], window, combine)
    return result.T


def _rolling(values: Floats, window: int, combine: np.ufunc) -> Floats:
    """``combine`` over each run of ``window`` rows, in about log2(window) passes.

    Runs of 1, 2, 4, ... rows are made by combining two neighbours, and the window out of those.
    """
    block, size = values, 1
    result, covered = None, 0
    while covered < window:
        if window & size:
            if result is None:
                result = block
            else:
                tail = block[covered:]
                result = combine(result[: len(tail)], tail)
            covered += size
        block = combine(block[:-size], block[size:])
        size *= 2
    return result if result is not None else values


def volume_ratio(volume: Floats, window: int = WINDOW) -> Floats:
    """Volume over the mean of the ``window`` bars before it; 1 is an ordinary session."""
    mean = _previous(volume, window, np.add)
    mean /= window
    mean[mean <= 0] = np.nan
    return np.divide(volume, mean, out=mean)


def breakout_pct(high: Floats, close: Floats, window: int = WINDOW) -> Floats:
    """Close against the highest high of the ``window`` bars before; above 0 is a breakout."""
    return (close / previous_high(high, window) - 1) * 100


def breakdown_pct(low: Floats, close: Floats, window: int = WINDOW) -> Floats:
    """Close against the lowest low of the ``window`` bars before; below 0 is a breakdown."""
    return (close / previous_low(low, window) - 1) * 100


def momentum_score(
    close: Floats, highest: Floats, lowest: Floats, return_20d_pct: Floats, atr_pct: Floats
) -> Floats:
    """0-100, the mean of two halves that are each 0-100; 50 is no momentum. Any shapes that agree.

    *Location*: where the close lies between ``lowest`` and ``highest`` of the last 21 bars, this
    one included (Lane's stochastic %K). *Drift*: the 20-bar return over what true ranges of this
    size would drift by chance in 20 bars, ``50 * (1 + tanh(return / (atr_pct * sqrt(20))))``, so
    that a calm and a wild stock are measured by their own yardsticks. NaN when either half is.
    """
    span = highest - lowest
    location = (close - lowest) / np.where(span > 0, span, np.nan)
    chance = np.where(atr_pct > 0, atr_pct, np.nan) * np.sqrt(WINDOW)
    drift = (1 + np.tanh(return_20d_pct / chance)) / 2
    # A close may lie a step outside of its own range: adjusted prices are rounded one by one.
    blend: Floats = 50.0 * (np.minimum(np.maximum(location, 0.0), 1.0) + drift)
    return blend


def momentum(high: Floats, low: Floats, close: Floats) -> Floats:
    """:func:`momentum_score` of every bar, (symbols, bars)."""
    return momentum_score(
        close,
        np.maximum(previous_high(high), high),
        np.minimum(previous_low(low), low),
        returns_pct(close, WINDOW),
        atr(high, low, close) / close * 100,
    )


def price_volume_divergence(close: Floats, volume: Floats, window: int = SHORT_WINDOW) -> Floats:
    """Do price and volume pull apart? -1 .. 1, (symbols, bars).

    Half the difference of two signs: that of mean volume of the last ``window`` bars less that of
    the ``window`` before, and that of the ``window``-bar return. -1: the price rises on falling
    volume; 1: it falls on rising volume; 0: both go the same way; a half where one stands still.
    """
    result = np.full_like(close, np.nan)
    first = 2 * window - 1
    if first < close.shape[1]:
        volumes = _rolling(bars_first(volume), window, np.add).T
        trend = np.sign(volumes[:, window:] - volumes[:, :-window])
        result[:, first:] = (trend - np.sign(returns_pct(close, window)[:, first:])) / 2
    return result
