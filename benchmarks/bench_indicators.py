"""Indicators over a universe, next to TA-Lib in the same run.

Run with ``pytest benchmarks/bench_indicators.py``; prices are seeded random walks.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from functools import cache

import numpy as np
import pytest

from trading_core.model.price import DailyBar
from trading_core.rules.indicators import BarPanel, atr, returns_pct, rsi, volume_ratio
from trading_core.rules.observation import IndicatorState, observe_columns

talib = pytest.importorskip("talib")

BARS = 250
UNIVERSES = (200, 10_000)


@cache
def universe(symbols: int) -> BarPanel:
    """A panel in the memory layout ``BarPanel.from_bars`` gives."""
    rng = np.random.default_rng(14)
    close = 10_000 * np.exp(rng.normal(0, 0.015, (BARS, symbols)).cumsum(axis=0))
    high = close * (1 + rng.uniform(0, 0.02, close.shape))
    low = close * (1 - rng.uniform(0, 0.02, close.shape))
    volume = rng.integers(1_000, 100_000, close.shape).astype(np.float64)
    names = tuple(f"S{i:05}" for i in range(symbols))
    return BarPanel(names, close.T, high.T, low.T, close.T, volume.T)


def talib_rsi_and_atr(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> None:
    for row in range(len(close)):
        talib.RSI(close[row], 14)
        talib.ATR(high[row], low[row], close[row], 14)


def ours_rsi_and_atr(panel: BarPanel) -> None:
    rsi(panel.close)
    atr(panel.high, panel.low, panel.close)


@pytest.mark.parametrize("symbols", UNIVERSES)
@pytest.mark.benchmark(group="RSI and ATR of every bar")
def test_rsi_and_atr_in_numpy(benchmark, symbols: int) -> None:
    benchmark(ours_rsi_and_atr, universe(symbols))


@pytest.mark.parametrize("symbols", UNIVERSES)
@pytest.mark.benchmark(group="RSI and ATR of every bar")
def test_rsi_and_atr_in_talib(benchmark, symbols: int) -> None:
    panel = universe(symbols)
    rows = [np.ascontiguousarray(a) for a in (panel.high, panel.low, panel.close)]
    benchmark(talib_rsi_and_atr, *rows)


@pytest.mark.parametrize("symbols", UNIVERSES)
@pytest.mark.benchmark(group="RSI, ATR, volume ratio and three returns of every bar")
def test_full_set_in_numpy(benchmark, symbols: int) -> None:
    panel = universe(symbols)

    def run() -> None:
        ours_rsi_and_atr(panel)
        volume_ratio(panel.volume)
        for n in (1, 5, 20):
            returns_pct(panel.close, n)

    benchmark(run)


@pytest.mark.parametrize("symbols", UNIVERSES)
@pytest.mark.benchmark(group="RSI, ATR, volume ratio and three returns of every bar")
def test_full_set_in_talib(benchmark, symbols: int) -> None:
    panel = universe(symbols)
    high, low, close, volume = (
        np.ascontiguousarray(a) for a in (panel.high, panel.low, panel.close, panel.volume)
    )

    def run() -> None:
        talib_rsi_and_atr(high, low, close)
        for row in range(symbols):
            volume[row, 1:] / talib.SMA(volume[row], 20)[:-1]
            for n in (1, 5, 20):
                talib.ROC(close[row], n)

    benchmark(run)


@pytest.mark.parametrize("symbols", UNIVERSES)
@pytest.mark.benchmark(group="state of a session")
def test_state_from_panel(benchmark, symbols: int) -> None:
    benchmark(IndicatorState.from_panel, universe(symbols))


@pytest.mark.benchmark(group="state of a session")
def test_panel_of_200_symbols_from_bars(benchmark) -> None:
    start = date(2025, 1, 1)
    price = [Decimal(10_000 + 10 * (day % 7)) for day in range(BARS)]
    series = [
        DailyBar(start + timedelta(days=day), p, p + 20, p - 20, p, 1000)
        for day, p in enumerate(price)
    ]
    bars = {f"S{i}": series for i in range(200)}
    benchmark(BarPanel.from_bars, bars, BARS)


@pytest.mark.parametrize("symbols", UNIVERSES)
@pytest.mark.benchmark(group="one-bar update of every field")
def test_one_bar_update(benchmark, symbols: int) -> None:
    panel = universe(symbols)
    state = IndicatorState.from_panel(panel)
    last = state.last_close * 1.01
    today = {
        "last": last,
        "open": state.last_close * 1.002,
        "high": last * 1.005,
        "low": state.last_close * 0.995,
        "previous_close": state.last_close,
        "volume": state.mean_volume_20 * 0.4,
    }
    benchmark(observe_columns, state, elapsed_fraction=0.5, **today)


@pytest.mark.benchmark(group="one-bar update of every field")
def test_one_bar_by_talib_over_200_histories(benchmark) -> None:
    """What a tick costs without a state: RSI and ATR alone, over the last 250 bars again."""
    panel = universe(200)
    rows = [np.ascontiguousarray(a) for a in (panel.high, panel.low, panel.close)]
    benchmark(talib_rsi_and_atr, *rows)
