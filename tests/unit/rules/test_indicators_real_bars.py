"""Indicators on real sessions: halts, splits, and equality with TA-Lib across many symbols."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trading_core.model.market import MarketGroup
from trading_core.model.price import DailyBar
from trading_core.rules.indicators import PLAUSIBLE_OPEN, BarPanel, atr, rsi

talib = pytest.importorskip("talib")

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
KR_BOUNDS = PLAUSIBLE_OPEN[MarketGroup.KR]


@cache
def frame(name: str) -> pl.DataFrame:
    path = DATA / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"no {name} market data beside the project")
    return pl.read_parquet(path).sort("symbol", "date")


def bars_of(rows: pl.DataFrame) -> list[DailyBar]:
    picked = rows.select("date", "open", "high", "low", "close", "volume").iter_rows()
    return [
        DailyBar(day, *(Decimal(str(price)) for price in prices), int(volume))
        for day, *prices, volume in picked
    ]


def every(rows: pl.DataFrame, nth: int) -> list[str]:
    """Every ``nth`` symbol, so that a test sees the whole list without reading all of it."""
    return rows["symbol"].unique(maintain_order=True).to_list()[::nth]


@pytest.mark.parametrize(("name", "nth"), [("krx_daily", 20), ("us_daily", 5)])
def test_real_histories_equal_talib_on_every_bar(name: str, nth: int) -> None:
    rows = frame(name)
    symbols = every(rows, nth)
    wanted = rows.filter(pl.col("symbol").is_in(symbols))
    series = {str(k[0]): bars_of(g) for k, g in wanted.group_by("symbol", maintain_order=True)}
    panel = BarPanel.from_bars(series, 600)
    ours_rsi = rsi(panel.close)
    ours_atr = atr(panel.high, panel.low, panel.close)
    compared = 0
    for row in range(len(panel.symbols)):
        there = np.isfinite(panel.close[row])
        if not there[-1] or there.sum() < 15:
            continue
        start = int(np.flatnonzero(there)[0])
        high, low, close = (v[row, start:] for v in (panel.high, panel.low, panel.close))
        expected = talib.RSI(close, 14)
        # The one difference: while nothing at all has moved TA-Lib says 0, and we say nothing.
        moved = np.maximum.accumulate(np.abs(np.diff(close, prepend=close[0]))) > 0
        np.testing.assert_allclose(ours_rsi[row, start:][moved], expected[moved], rtol=0, atol=1e-9)
        assert np.isnan(ours_rsi[row, start:][~moved]).all()
        np.testing.assert_allclose(
            ours_atr[row, start:], talib.ATR(high, low, close, 14), rtol=0, atol=1e-9
        )
        compared += len(close)
    assert compared > 10_000


def test_a_halted_korean_stock_is_never_oversold() -> None:
    rows = frame("krx_daily")
    halted = rows.filter((pl.col("open") == 0) & (pl.col("volume") == 0))
    # The stocks with the longest halts, each as seen on its last halted day.
    longest = halted.group_by("symbol").agg(pl.len(), pl.col("date").max()).sort("len", "symbol")
    talib_would_buy = 0
    series: dict[str, list[DailyBar]] = {}
    for symbol, _, day in longest.tail(60).iter_rows():
        seen = rows.filter((pl.col("symbol") == symbol) & (pl.col("date") <= day))
        series[symbol] = bars_of(seen)
        value = talib.RSI(seen["close"].to_numpy().astype(float), 14)
        talib_would_buy += bool(len(value) > 0 and value[-1] < 30)
    panel = BarPanel.from_bars(series, 100, open_bounds=KR_BOUNDS)
    assert np.isnan(panel.close[:, -1]).all()
    assert np.isnan(rsi(panel.close)[:, -1]).all()
    assert np.isnan(atr(panel.high, panel.low, panel.close)[:, -1]).all()
    # The data does hold the trap this guards against.
    assert talib_would_buy > 0


@pytest.mark.parametrize(
    ("symbol", "day"),
    [
        pytest.param("278470", date(2024, 10, 31), id="five-for-one split"),
        pytest.param("042700", date(2022, 4, 6), id="two-for-one split"),
        pytest.param("017670", date(2021, 11, 29), id="five-for-one split with a spin-off"),
        pytest.param("207940", date(2025, 11, 24), id="spin-off that reopened 46 % higher"),
    ],
)
def test_a_real_unadjusted_split_cuts_the_history(symbol: str, day: date) -> None:
    rows = frame("krx_daily_raw").filter(
        (pl.col("symbol") == symbol) & pl.col("source").str.contains("jiropark")
    )
    if rows.filter(pl.col("date") == day).is_empty():
        pytest.skip(f"no bar of {symbol} on {day}")

    def panel_of(until: date) -> BarPanel:
        seen = bars_of(rows.filter(pl.col("date") <= until))
        return BarPanel.from_bars({symbol: seen}, 100, open_bounds=KR_BOUNDS)

    before = rows.filter((pl.col("date") < day) & (pl.col("volume") > 0))["date"].max()
    after = rows.filter(pl.col("date") > day)["date"].to_list()
    assert np.isfinite(rsi(panel_of(before).close)[0, -1])
    assert np.isfinite(panel_of(day).close).sum() == 1
    assert np.isnan(rsi(panel_of(after[12]).close)[0, -1])
    assert np.isfinite(rsi(panel_of(after[13]).close)[0, -1])


def test_adjusted_large_caps_are_not_cut_by_the_korean_bounds() -> None:
    rows = frame("krx_daily_long")
    series = {
        symbol: bars_of(rows.filter(pl.col("symbol") == symbol)) for symbol in every(rows, 10)
    }
    panel = BarPanel.from_bars(series, 250, open_bounds=KR_BOUNDS)
    full = np.isfinite(panel.close).sum(axis=1) == 250
    assert full.mean() > 0.8


def test_a_stock_whose_bars_stopped_is_not_read_as_of_today() -> None:
    rows = frame("us_daily")
    last = rows["date"].max()
    symbol = rows.filter(pl.col("date") == last)["symbol"][0]
    series = {symbol: bars_of(rows.filter(pl.col("symbol") == symbol))}
    fresh = BarPanel.from_bars(series, 60, last_session=last)
    stale = BarPanel.from_bars(series, 60, last_session=last + timedelta(days=3))
    assert np.isfinite(rsi(fresh.close)[0, -1])
    assert np.isnan(rsi(stale.close)[0, -1])
