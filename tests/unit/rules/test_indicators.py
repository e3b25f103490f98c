"""Indicators on hand-made and generated prices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trading_core.errors import DataError
from trading_core.model.market import MarketGroup
from trading_core.model.price import DailyBar
from trading_core.rules.indicators import (
    PLAUSIBLE_OPEN,
    BarPanel,
    atr,
    breakdown_pct,
    breakout_pct,
    momentum,
    previous_high,
    previous_low,
    price_volume_divergence,
    returns_pct,
    rsi,
    true_range,
    volume_ratio,
)

START = date(2026, 1, 5)


def bar(day: int, close: float, *, open: float | None = None, volume: int = 1000) -> DailyBar:
    """A bar with one unit of room above and below."""
    first = close if open is None else open
    return DailyBar(
        START + timedelta(days=day),
        Decimal(str(first)),
        Decimal(str(max(first, close) + 1)),
        Decimal(str(min(first, close) - 1)),
        Decimal(str(close)),
        volume,
    )


def halted(day: int, close: float) -> DailyBar:
    zero = Decimal(0)
    return DailyBar(START + timedelta(days=day), zero, zero, zero, Decimal(str(close)), 0)


def zigzag(count: int, *, first: int = 0, level: float = 100.0) -> list[DailyBar]:
    return [bar(first + i, level + (i % 3) - (i % 5) / 2) for i in range(count)]


def panel(bars: Sequence[DailyBar], length: int = 60, **options: object) -> BarPanel:
    return BarPanel.from_bars({"A": bars}, length, **options)  # type: ignore[arg-type]


def newest(values: np.ndarray) -> float:
    return float(values[0, -1])


# --- RSI and ATR -------------------------------------------------------------------------------


def test_wilders_first_average_is_the_mean_of_the_first_fourteen_changes() -> None:
    # 10 rises of 1 and 4 falls of 0.5: gain 10, loss 2, so 100 * 10 / 12.
    moves = [1.0] * 10 + [-0.5] * 4
    close = np.cumsum([100.0, *moves])[None, :]
    assert newest(rsi(close)) == pytest.approx(100 * 10 / 12, abs=1e-12)


def test_the_next_average_keeps_thirteen_parts_of_the_last() -> None:
    moves = [1.0] * 10 + [-0.5] * 4 + [-3.0]
    close = np.cumsum([100.0, *moves])[None, :]
    gain, loss = (10 / 14 * 13) / 14, (2 / 14 * 13 + 3) / 14
    assert newest(rsi(close)) == pytest.approx(100 * gain / (gain + loss), abs=1e-12)


def test_a_flat_history_has_no_rsi_and_no_atr() -> None:
    flat = np.full((2, 60), 500.0)
    assert np.isnan(rsi(flat)).all()
    assert np.isnan(atr(flat, flat, flat)).all()
    assert np.isnan(momentum(flat, flat, flat)).all()


def test_only_rises_are_100_and_only_falls_are_0() -> None:
    up = np.linspace(100, 130, 30)[None, :]
    assert newest(rsi(up)) == 100.0
    assert newest(rsi(up[:, ::-1])) == 0.0


def test_fifteen_bars_are_the_first_that_have_an_rsi() -> None:
    close = 100 + np.cumsum(np.tile([1.0, -0.4, 0.7], 5))[None, :]
    assert np.isnan(newest(rsi(close[:, :14])))
    assert np.isfinite(newest(rsi(close[:, :15])))


def test_a_hole_silences_rsi_until_fourteen_clean_changes_follow() -> None:
    close = 100 + np.sin(np.arange(60.0))[None, :] * 5
    close[0, 20] = np.nan
    values = rsi(close)[0]
    assert np.isfinite(values[14:20]).all()
    assert np.isnan(values[20:35]).all()
    assert np.isfinite(values[35:]).all()
    # The history before the hole has no say in what comes after it.
    np.testing.assert_allclose(values[21:], rsi(close[:, 21:])[0], atol=1e-12)


def test_a_hole_silences_atr_until_fourteen_clean_ranges_follow() -> None:
    close = 100 + np.sin(np.arange(60.0))[None, :] * 5
    high, low = close + 2, close - 2
    for values in (high, low, close):
        values[0, 20] = np.nan
    values = atr(high, low, close)[0]
    assert np.isfinite(values[14:20]).all()
    assert np.isnan(values[20:35]).all()
    assert np.isfinite(values[35:]).all()


def test_each_row_is_its_own_history() -> None:
    rng = np.random.default_rng(7)
    close = 100 + rng.normal(size=(5, 80)).cumsum(axis=1)
    close[1, :30] = np.nan
    close[3, 40] = np.nan
    together = rsi(close)
    for row in range(5):
        np.testing.assert_array_equal(together[row], rsi(close[row : row + 1])[0])


def test_true_range_reaches_from_the_previous_close() -> None:
    high, low = np.array([[11.0, 15.0, 9.0, 10.0]]), np.array([[9.0, 14.0, 8.0, 7.0]])
    close = np.array([[10.0, 14.0, 8.5, 9.0]])
    np.testing.assert_array_equal(true_range(high, low, close)[0], [np.nan, 5.0, 6.0, 3.0])


# --- the windows -------------------------------------------------------------------------------


def test_a_return_looks_back_exactly_n_bars() -> None:
    close = np.array([[100.0, 110.0, 99.0, 121.0]])
    np.testing.assert_allclose(returns_pct(close, 1)[0], [np.nan, 10.0, -10.0, 200 / 9])
    np.testing.assert_allclose(returns_pct(close, 3)[0], [np.nan, np.nan, np.nan, 21.0])
    assert np.isnan(returns_pct(close, 4)).all()


def test_volume_ratio_leaves_the_bar_itself_out_of_the_mean() -> None:
    volume = np.array([[100.0] * 20 + [300.0]])
    assert newest(volume_ratio(volume)) == pytest.approx(3.0)
    assert np.isnan(volume_ratio(volume)[0, :20]).all()


def test_a_close_at_the_old_high_is_not_yet_a_breakout() -> None:
    high = np.array([[50.0] * 20 + [52.0]])
    assert newest(breakout_pct(high, np.array([[49.0] * 20 + [50.0]]))) == 0.0
    assert newest(breakout_pct(high, np.array([[49.0] * 20 + [51.0]]))) == pytest.approx(2.0)


def test_a_close_under_the_old_low_is_a_breakdown() -> None:
    low = np.array([[50.0] * 20 + [47.0]])
    assert newest(breakdown_pct(low, np.array([[55.0] * 20 + [48.0]]))) == pytest.approx(-4.0)


def test_momentum_is_high_in_a_rise_and_mirrored_in_a_fall() -> None:
    rise = np.linspace(100, 140, 60)[None, :]
    fall = rise[:, ::-1]
    up = newest(momentum(rise + 1, rise - 1, rise))
    down = newest(momentum(fall + 1, fall - 1, fall))
    assert up > 80
    assert down < 20


@pytest.mark.parametrize(
    ("price_step", "volume_step", "expected"),
    [(1, -10, -1.0), (-1, 10, 1.0), (1, 10, 0.0), (-1, -10, 0.0), (0, -10, -0.5)],
)
def test_divergence_is_the_disagreement_of_two_signs(
    price_step: int, volume_step: int, expected: float
) -> None:
    steps = np.arange(10.0)[None, :]
    assert (
        newest(price_volume_divergence(100 + price_step * steps, 1000 + volume_step * steps))
        == expected
    )


# --- the panel ---------------------------------------------------------------------------------


def test_histories_of_different_length_end_in_the_same_column() -> None:
    built = BarPanel.from_bars({"A": zigzag(30), "B": zigzag(5)}, 20)
    assert built.close.shape == (2, 20)
    assert np.isfinite(built.close[0]).all()
    assert np.isnan(built.close[1, :15]).all()
    assert built.close[1, -1] == float(zigzag(5)[-1].close)


def test_a_halted_bar_inside_is_left_out() -> None:
    bars = [*zigzag(20), halted(20, 100), halted(21, 100), *zigzag(20, first=22)]
    clean = [*zigzag(20), *zigzag(20, first=22)]
    np.testing.assert_array_equal(panel(bars).close, panel(clean).close)


def test_a_repeated_price_without_volume_is_halted_too() -> None:
    price = Decimal(100)
    still = DailyBar(START + timedelta(days=20), price, price, price, price, 0)
    bars = [*zigzag(20), still, *zigzag(20, first=21)]
    assert np.isfinite(panel(bars).close).sum() == 40


def test_a_bar_of_zeros_is_halted_whatever_its_volume() -> None:
    zero = Decimal(0)
    stray = DailyBar(START + timedelta(days=20), zero, zero, zero, Decimal(100), 300)
    bars = [*zigzag(20), stray, *zigzag(20, first=21)]
    assert np.isfinite(panel(bars).close[0, -40:]).all()


def test_a_day_locked_at_its_limit_is_a_real_bar() -> None:
    price = Decimal(130)
    locked = DailyBar(START + timedelta(days=20), price, price, price, price, 5000)
    assert panel([*zigzag(20), locked]).close[0, -1] == 130


def test_a_symbol_halted_on_the_newest_bar_has_no_indicators() -> None:
    built = panel([*zigzag(40), halted(40, 100)])
    assert np.isnan(newest(built.close))
    assert np.isnan(newest(rsi(built.close)))
    assert np.isnan(newest(atr(built.high, built.low, built.close)))
    assert np.isnan(newest(returns_pct(built.close, 5)))


@pytest.mark.parametrize("broken", ["zero low", "nan close", "high below low"])
def test_a_broken_bar_is_a_hole_that_keeps_its_place(broken: str) -> None:
    good = bar(20, 100)
    prices = {
        "zero low": (good.open, good.high, Decimal(0), good.close),
        "nan close": (good.open, good.high, good.low, Decimal("NaN")),
        "high below low": (good.open, good.low, good.high, good.close),
    }[broken]
    bars = [*zigzag(20), DailyBar(good.session, *prices, 1000), *zigzag(10, first=21)]
    close = panel(bars).close[0]
    assert np.isnan(close[-11])
    assert np.isfinite(close[-31:-11]).all()
    assert np.isnan(newest(rsi(panel(bars).close)))


def test_an_unadjusted_split_cuts_the_history_before_it() -> None:
    bars = [*zigzag(40), *zigzag(10, first=40, level=50.0)]
    close = panel(bars).close[0]
    assert np.isfinite(close).sum() == 10
    assert np.isnan(newest(rsi(panel(bars).close)))
    grown = [*zigzag(40), *zigzag(15, first=40, level=50.0)]
    assert np.isfinite(newest(rsi(panel(grown).close)))


def test_only_the_bars_after_the_last_of_two_splits_are_used() -> None:
    bars = [*zigzag(9), *zigzag(9, first=9, level=50.0), *zigzag(9, first=18, level=10.0)]
    assert np.isfinite(panel(bars).close).sum() == 9


def test_a_move_within_the_day_is_no_split() -> None:
    doubled = [*zigzag(40), bar(40, 210.0, open=101.0)]
    assert np.isfinite(panel(doubled).close).sum() == 41


def test_a_korean_open_beyond_the_daily_limit_is_another_price_basis() -> None:
    bounds = PLAUSIBLE_OPEN[MarketGroup.KR]
    at_limit = [
        *zigzag(40, level=100.0),
        bar(40, 130.0, open=130.0 * float(zigzag(40)[-1].close) / 100),
    ]
    assert np.isfinite(panel(at_limit, open_bounds=bounds).close).sum() == 41
    beyond = [*zigzag(40), bar(40, 147.0, open=146.5)]
    assert np.isfinite(panel(beyond, open_bounds=bounds).close).sum() == 1
    assert np.isfinite(panel(beyond).close).sum() == 41


def test_bars_after_the_last_session_are_left_out() -> None:
    bars = zigzag(40)
    built = panel(bars, last_session=bars[-2].session)
    np.testing.assert_array_equal(built.close, panel(bars[:-1]).close)


def test_a_symbol_without_a_bar_of_the_last_session_has_no_newest_bar() -> None:
    bars = zigzag(40)
    built = panel(bars, last_session=bars[-1].session + timedelta(days=1))
    assert np.isnan(newest(built.close))
    assert np.isfinite(built.close[0, -2])


def test_bars_that_are_not_oldest_first_are_refused() -> None:
    with pytest.raises(DataError, match="oldest first"):
        panel(zigzag(10)[::-1])
    with pytest.raises(DataError, match="oldest first"):
        panel([bar(1, 100), bar(1, 100)])


def test_a_panel_of_nothing_is_empty() -> None:
    assert BarPanel.from_bars({}, 10).close.shape == (0, 10)
    assert np.isnan(panel([], 10).close).all()
    with pytest.raises(DataError):
        panel([], 0)


def test_arrays_that_do_not_fit_the_symbols_are_refused() -> None:
    block = np.ones((2, 5))
    with pytest.raises(DataError):
        BarPanel(("A",), block, block, block, block, block)


# --- properties --------------------------------------------------------------------------------

PRICES = st.floats(0.01, 1e7) | st.just(float("nan"))
CLOSES = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 50)), elements=PRICES)


@given(CLOSES)
@settings(deadline=None)
def test_rsi_is_between_0_and_100_or_not_there(close: np.ndarray) -> None:
    values = rsi(close)
    assert values.shape == close.shape
    there = values[~np.isnan(values)]
    assert ((there >= 0) & (there <= 100)).all()
    assert np.isnan(values[np.isnan(close)]).all()


@given(CLOSES, st.floats(0, 5), st.floats(0, 5))
@settings(deadline=None)
def test_atr_is_above_zero_or_not_there(close: np.ndarray, above: float, below: float) -> None:
    values = atr(close + above, close - below, close)
    assert values.shape == close.shape
    assert (values[~np.isnan(values)] > 0).all()


@given(CLOSES, st.floats(0, 5), st.floats(0, 5))
@settings(deadline=None)
def test_momentum_is_between_0_and_100_or_not_there(
    close: np.ndarray, above: float, below: float
) -> None:
    values = momentum(close + above, close - below, close)
    there = values[~np.isnan(values)]
    assert ((there >= 0) & (there <= 100)).all()


@given(CLOSES, st.floats(0.001, 1000))
@settings(deadline=None)
def test_rsi_does_not_depend_on_the_currency_unit(close: np.ndarray, factor: float) -> None:
    before, after = rsi(close), rsi(close * factor)
    both = ~np.isnan(before) & ~np.isnan(after)
    np.testing.assert_allclose(after[both], before[both], atol=1e-4)


@given(CLOSES, st.integers(1, 25))
@settings(deadline=None)
def test_windows_equal_a_plain_loop(close: np.ndarray, window: int) -> None:
    highest, lowest = previous_high(close, window), previous_low(close, window)
    ratio = volume_ratio(close, window)
    for row, bar_ in np.ndindex(close.shape):
        before = close[row, max(bar_ - window, 0) : bar_]
        if len(before) < window:
            assert np.isnan([highest[row, bar_], lowest[row, bar_], ratio[row, bar_]]).all()
            continue
        np.testing.assert_equal(highest[row, bar_], before.max())
        np.testing.assert_equal(lowest[row, bar_], before.min())
        np.testing.assert_allclose(ratio[row, bar_], close[row, bar_] / before.mean(), rtol=1e-9)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_arrays_given_are_left_as_they_were(order: str) -> None:
    rng = np.random.default_rng(5)
    close = np.array(100 + rng.normal(size=(3, 60)).cumsum(axis=1), order=order)
    high, low, volume = close + 1, close - 1, np.abs(close) * 10
    before = [values.copy() for values in (high, low, close, volume)]
    rsi(close)
    atr(high, low, close)
    momentum(high, low, close)
    volume_ratio(volume)
    volume_ratio(volume, 1)
    price_volume_divergence(close, volume, 1)
    for values, expected in zip((high, low, close, volume), before, strict=True):
        np.testing.assert_array_equal(values, expected)
