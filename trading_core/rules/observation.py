"""What one tick knows of each symbol: the session's history, moved on by the forming bar.

History is read once per session into an :class:`IndicatorState`; every tick then costs a few
vector operations, whatever the length of the history. With the session's final bar the result is
that of :mod:`trading_core.rules.indicators` over the history with that bar appended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_core.model.price import Quote
from trading_core.rules.indicators import (
    SHORT_WINDOW,
    WINDOW,
    BarPanel,
    momentum_score,
    true_range,
)
from trading_core.rules.wilder import (
    PERIOD,
    Floats,
    bars_first,
    gains_and_losses,
    rsi_of,
    wilder_average,
)

BASIS_TOLERANCE = 0.1
"""How far the broker's previous close may lie from the last close of the history, as a fraction.

A dividend moves it by less, a split, a bonus issue or a history that stopped weeks ago by more.
"""


@dataclass(frozen=True, slots=True)
class IndicatorState:
    """History as one tick needs it, each array of shape (symbols,), NaN for "no data".

    ``*_carry`` is what Wilder's average of the next bar adds its own value to before it divides by
    14: 13 averages once it is seeded, and the sum of the first 13 values on the bar before it is.
    ``high_20`` and ``low_20`` are over the last 20 closed sessions, ``close_5`` and ``close_20``
    the closes the forming bar's 5 and 20 session returns start from; ``atr`` (price units) and
    ``rsi`` are those of the last closed session, ``mean_volume_20`` is in shares a session.
    """

    symbols: tuple[str, ...]
    last_close: Floats
    gain_carry: Floats
    loss_carry: Floats
    range_carry: Floats
    mean_volume_20: Floats
    high_20: Floats
    low_20: Floats
    close_5: Floats
    close_20: Floats
    atr: Floats
    rsi: Floats
    open_bounds: tuple[float, float]

    @classmethod
    def from_panel(cls, panel: BarPanel) -> IndicatorState:
        """The state after the last column of ``panel``."""
        count = len(panel.symbols)
        close = bars_first(panel.close)
        moves = gains_and_losses(close)
        averages, carry = _last_average(moves, 2 * count)
        ranges = bars_first(true_range(panel.high, panel.low, panel.close))[1:]
        atr, range_carry = _last_average(ranges, count)
        return cls(
            symbols=panel.symbols,
            last_close=_back(panel.close, 1),
            gain_carry=carry[:count],
            loss_carry=carry[count:],
            range_carry=range_carry,
            mean_volume_20=_newest(panel.volume).mean(axis=1),
            high_20=_newest(panel.high).max(axis=1),
            low_20=_newest(panel.low).min(axis=1),
            close_5=_back(panel.close, SHORT_WINDOW),
            close_20=_back(panel.close, WINDOW),
            atr=np.where(atr > 0, atr, np.nan),
            rsi=rsi_of(averages[:count], averages[count:]),
            open_bounds=panel.open_bounds,
        )

    def select(self, symbols: Sequence[str]) -> IndicatorState:
        """The state of ``symbols`` in that order; NaN throughout for one that is not here."""
        if tuple(symbols) == self.symbols:
            return self
        row_of = {symbol: row for row, symbol in enumerate(self.symbols)}
        rows = np.array([row_of.get(symbol, -1) for symbol in symbols], dtype=np.intp)

        def take(values: Floats) -> Floats:
            # A NaN at the end is what the row -1 of an unknown symbol points at.
            return np.append(values, np.nan)[rows]

        return IndicatorState(
            symbols=tuple(symbols),
            last_close=take(self.last_close),
            gain_carry=take(self.gain_carry),
            loss_carry=take(self.loss_carry),
            range_carry=take(self.range_carry),
            mean_volume_20=take(self.mean_volume_20),
            high_20=take(self.high_20),
            low_20=take(self.low_20),
            close_5=take(self.close_5),
            close_20=take(self.close_20),
            atr=take(self.atr),
            rsi=take(self.rsi),
            open_bounds=self.open_bounds,
        )


def _last_average(values: Floats, width: int) -> tuple[Floats, Floats]:
    """Wilder's average at the last bar of (bars, width), and the carry of the next one.

    ``values`` is used up.
    """
    average = np.full(width, np.nan)
    carry = np.full(width, np.nan)
    if len(values) >= PERIOD - 1:
        carry = values[-(PERIOD - 1) :].sum(axis=0)
    if len(values) >= PERIOD:
        average = wilder_average(values, PERIOD)[-1]
        carry = np.where(np.isfinite(average), (PERIOD - 1) * average, carry)
    return average, carry


def _newest(values: Floats) -> Floats:
    """The last 20 columns, all NaN when there are fewer."""
    if values.shape[1] < WINDOW:
        return np.full((values.shape[0], 1), np.nan)
    return values[:, -WINDOW:]


def _back(values: Floats, columns: int) -> Floats:
    """The column that many from the right, NaN when there are fewer."""
    if values.shape[1] < columns:
        return np.full(values.shape[0], np.nan)
    return values[:, -columns].copy()


def _positive(values: Floats) -> Floats:
    return np.where((values > 0) & (values < np.inf), values, np.nan)


def _same_basis(state: IndicatorState, open: Floats, previous_close: Floats) -> NDArray[np.bool_]:
    """Whether today's prices continue the history (no split between the two)."""
    lowest, highest = state.open_bounds
    jump = open / state.last_close
    shift = previous_close / state.last_close
    broken = (jump < lowest) | (jump > highest) | (np.abs(shift - 1) > BASIS_TOLERANCE)
    return np.isfinite(state.last_close) & ~broken


def observe_columns(
    state: IndicatorState,
    *,
    last: Floats,
    open: Floats,
    high: Floats,
    low: Floats,
    previous_close: Floats,
    volume: Floats,
    elapsed_fraction: float,
) -> dict[str, Floats]:
    """The playbook fields of every symbol, with today's prices as the forming bar.

    All arrays are (symbols,) in the order of ``state.symbols``: prices in the market's currency,
    ``volume`` the session's shares so far. A price that is NaN or <= 0 is missing.

    ``change_pct`` and ``gap_pct`` are against ``previous_close``, ``range_pct`` is the day's range
    over the last price. ``volume_ratio`` is the volume so far over that part of the mean session
    that has passed. Fields that stand on history are NaN while nothing has traded today (volume 0
    and no range), after a session without a bar, and when today's open or previous close is not on
    the history's price basis. Without today's high and low, ``atr_pct`` and ``momentum`` are NaN.

    Args:
        elapsed_fraction: Part of the regular session that has passed, 0 to 1; at 0 (or NaN) there
            is no volume ratio.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        last, open, previous_close = _positive(last), _positive(open), _positive(previous_close)
        high, low = _positive(high), _positive(low)
        span = np.where(high >= low, high - low, np.nan)
        idle = (volume == 0) & ~(span > 0)
        close = np.where(_same_basis(state, open, previous_close) & ~idle, last, np.nan)
        move = close - state.last_close
        gain = state.gain_carry + np.maximum(move, 0.0)
        loss = state.loss_carry + np.maximum(-move, 0.0)
        reach = np.maximum(high, state.last_close) - np.minimum(low, state.last_close)
        atr_pct = (state.range_carry + reach + span * 0) / PERIOD / close * 100
        atr_pct = np.where(atr_pct > 0, atr_pct, np.nan)
        return_20d_pct = (close / state.close_20 - 1) * 100
        elapsed = min(elapsed_fraction, 1.0) if elapsed_fraction > 0 else np.nan
        usual = _positive(state.mean_volume_20) * elapsed
        return {
            "price": last,
            "change_pct": (last / previous_close - 1) * 100,
            "gap_pct": (open / previous_close - 1) * 100,
            "range_pct": span / last * 100,
            "volume_ratio": np.where(np.isfinite(close), _positive(volume) / usual, np.nan),
            "rsi": rsi_of(gain, loss),
            "atr_pct": atr_pct,
            "return_5d_pct": (close / state.close_5 - 1) * 100,
            "return_20d_pct": return_20d_pct,
            "momentum": momentum_score(
                close,
                np.maximum(state.high_20, high),
                np.minimum(state.low_20, low),
                return_20d_pct,
                atr_pct,
            ),
            "breakout_pct": (close / state.high_20 - 1) * 100,
        }


def observe_quotes(
    state: IndicatorState, quotes: Mapping[str, Quote], *, elapsed_fraction: float
) -> dict[str, Floats]:
    """:func:`observe_columns` of quotes by symbol; a symbol that has none, is halted or has no
    price is NaN in every column."""
    table = np.full((len(state.symbols), 6), np.nan)
    for row, symbol in enumerate(state.symbols):
        quote = quotes.get(symbol)
        if quote is not None and quote.usable:
            table[row] = (
                quote.last,
                quote.open,
                quote.high,
                quote.low,
                quote.previous_close,
                quote.volume,
            )
    last, opens, high, low, previous_close, volume = np.ascontiguousarray(table.T)
    return observe_columns(
        state,
        last=last,
        open=opens,
        high=high,
        low=low,
        previous_close=previous_close,
        volume=volume,
        elapsed_fraction=elapsed_fraction,
    )
