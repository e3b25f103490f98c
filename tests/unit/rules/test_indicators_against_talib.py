"""TA-Lib as the oracle: generated prices of every awkward shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trading_core.rules.indicators import atr, rsi, true_range

talib = pytest.importorskip("talib")


def walk(seed: int, symbols: int, bars: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """High, low and close of random walks around 10,000, some of them in whole steps of 10."""
    rng = np.random.default_rng(seed)
    close = 10_000 * np.exp(rng.normal(0, 0.02, (symbols, bars)).cumsum(axis=1))
    close[::2] = np.maximum(np.round(close[::2], -1), 10)
    high = close * (1 + rng.uniform(0, 0.02, close.shape))
    low = close * (1 - rng.uniform(0, 0.02, close.shape))
    return high, low, close


@given(st.integers(0, 2**32 - 1), st.integers(2, 300), st.integers(2, 30))
@example(seed=9373, bars=3, period=2)
@settings(max_examples=60, deadline=None)
def test_rsi_and_atr_equal_talib_on_every_bar(seed: int, bars: int, period: int) -> None:
    high, low, close = walk(seed, 4, bars)
    ours_rsi, ours_atr = rsi(close, period), atr(high, low, close, period)
    ours_range = true_range(high, low, close)
    for row in range(4):
        h, lo, c = high[row], low[row], close[row]
        expected = talib.RSI(c, period)
        # Before the price has moved at all TA-Lib says 0 and we say nothing, see below.
        expected[np.maximum.accumulate(c) == np.minimum.accumulate(c)] = np.nan
        np.testing.assert_allclose(ours_rsi[row], expected, rtol=0, atol=1e-9)
        np.testing.assert_allclose(ours_atr[row], talib.ATR(h, lo, c, period), rtol=0, atol=1e-9)
        np.testing.assert_allclose(ours_range[row], talib.TRANGE(h, lo, c), rtol=0, atol=1e-9)


def test_a_history_padded_on_the_left_equals_talib_on_the_bars_alone() -> None:
    high, low, close = walk(1, 6, 120)
    for row, start in enumerate((0, 1, 40, 104, 105, 106)):
        for values in (high, low, close):
            values[row, :start] = np.nan
    ours_rsi, ours_atr = rsi(close), atr(high, low, close)
    for row, start in enumerate((0, 1, 40, 104, 105, 106)):
        bars = slice(start, None)
        expected = talib.RSI(close[row, bars], 14)
        np.testing.assert_allclose(ours_rsi[row, bars], expected, rtol=0, atol=1e-9)
        expected = talib.ATR(high[row, bars], low[row, bars], close[row, bars], 14)
        np.testing.assert_allclose(ours_atr[row, bars], expected, rtol=0, atol=1e-9)
        assert np.isnan(ours_rsi[row, :start]).all()


def test_where_talib_calls_a_flat_price_rsi_zero_there_is_no_rsi() -> None:
    flat = np.full(60, 71_900.0)
    assert talib.RSI(flat, 14)[-1] == 0.0
    assert np.isnan(rsi(flat[None, :])).all()


def test_where_talib_reads_zero_for_ever_after_a_hole_there_is_an_rsi_again() -> None:
    close = walk(3, 1, 60)[2]
    close[0, 20] = np.nan
    assert talib.RSI(close[0], 14)[-1] == 0.0
    assert rsi(close)[0, -1] == pytest.approx(talib.RSI(close[0, 21:], 14)[-1], abs=1e-9)
