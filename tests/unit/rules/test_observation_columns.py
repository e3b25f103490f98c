"""The one-bar update against the full computation, and what counts as no data."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_core.model.market import Instrument, Market
from trading_core.model.price import Quote
from trading_core.rules.indicators import (
    BarPanel,
    atr,
    breakout_pct,
    momentum,
    returns_pct,
    rsi,
    volume_ratio,
)
from trading_core.rules.observation import IndicatorState, observe_columns, observe_quotes

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
HISTORY_FIELDS = {
    "volume_ratio",
    "rsi",
    "atr_pct",
    "return_5d_pct",
    "return_20d_pct",
    "momentum",
    "breakout_pct",
}


def random_panel(seed: int, symbols: int, bars: int, *, ragged: bool = True) -> BarPanel:
    """Random walks with daily moves far below any split; ragged on the left, with some holes."""
    rng = np.random.default_rng(seed)
    close = 5_000 * np.exp(rng.normal(0, 0.01, (symbols, bars)).cumsum(axis=1))
    open = close * (1 + rng.uniform(-0.01, 0.01, close.shape))
    high = np.maximum(open, close) * (1 + rng.uniform(0, 0.01, close.shape))
    low = np.minimum(open, close) * (1 - rng.uniform(0, 0.01, close.shape))
    volume = rng.integers(1_000, 9_000, close.shape).astype(np.float64)
    if ragged:
        for row in range(symbols):
            holes = [slice(0, int(rng.integers(0, bars)))]
            if bars > 4 and rng.random() < 0.3:
                holes.append(slice(hole := int(rng.integers(0, bars - 2)), hole + 1))
            for values in (open, high, low, close, volume):
                for hole_ in holes:
                    values[row, hole_] = np.nan
    return BarPanel(tuple(f"S{i}" for i in range(symbols)), open, high, low, close, volume)


def observe_last(panel: BarPanel, **changes: object) -> dict[str, np.ndarray]:
    """The last bar of the panel as today's, on the state of the bars before it."""
    state = IndicatorState.from_panel(panel.without_last())
    today: dict[str, object] = {
        "last": panel.close[:, -1],
        "open": panel.open[:, -1],
        "high": panel.high[:, -1],
        "low": panel.low[:, -1],
        "previous_close": state.last_close,
        "volume": panel.volume[:, -1],
        "elapsed_fraction": 1.0,
    }
    return observe_columns(state, **(today | changes))  # type: ignore[arg-type]


@given(st.integers(0, 2**32 - 1), st.integers(2, 70))
@settings(max_examples=80, deadline=None)
def test_the_update_with_the_final_bar_equals_the_full_computation(seed: int, bars: int) -> None:
    panel = random_panel(seed, 5, bars)
    close = panel.close
    full = {
        "price": close,
        "change_pct": returns_pct(close, 1),
        "range_pct": (panel.high - panel.low) / close * 100,
        "volume_ratio": volume_ratio(panel.volume),
        "rsi": rsi(close),
        "atr_pct": atr(panel.high, panel.low, close) / close * 100,
        "return_5d_pct": returns_pct(close, 5),
        "return_20d_pct": returns_pct(close, 20),
        "momentum": momentum(panel.high, panel.low, close),
        "breakout_pct": breakout_pct(panel.high, close),
    }
    columns = observe_last(panel)
    assert set(columns) == {*full, "gap_pct"}
    # A bar right after a hole is left to the broker's own fields.
    continued = np.isfinite(close[:, -2])
    for name, values in full.items():
        np.testing.assert_allclose(
            columns[name][continued], values[continued, -1], rtol=0, atol=1e-9, err_msg=name
        )


def test_the_states_own_rsi_and_atr_are_those_of_the_last_closed_session() -> None:
    panel = random_panel(11, 8, 60)
    state = IndicatorState.from_panel(panel)
    np.testing.assert_allclose(state.rsi, rsi(panel.close)[:, -1], rtol=0, atol=1e-12)
    expected = atr(panel.high, panel.low, panel.close)[:, -1]
    np.testing.assert_allclose(state.atr, expected, rtol=0, atol=1e-12)


def test_the_days_own_fields_are_plain_percentages() -> None:
    panel = random_panel(1, 1, 30, ragged=False)
    one = np.ones(1)
    columns = observe_last(
        panel,
        last=101 * one,
        open=102 * one,
        high=104 * one,
        low=99 * one,
        previous_close=100 * one,
    )
    assert columns["change_pct"][0] == pytest.approx(1.0)
    assert columns["gap_pct"][0] == pytest.approx(2.0)
    assert columns["range_pct"][0] == pytest.approx(5 / 101 * 100)


@pytest.mark.parametrize("missing", [0.0, -5.0, float("nan"), float("inf")])
def test_a_missing_price_leaves_no_field_at_all(missing: float) -> None:
    panel = random_panel(2, 3, 60, ragged=False)
    last = panel.close[:, -1].copy()
    last[1] = missing
    columns = observe_last(panel, last=last)
    for name, values in columns.items():
        if name != "gap_pct":
            assert np.isnan(values[1]), name
        assert np.isfinite(values[[0, 2]]).all(), name


def test_volume_is_measured_against_the_part_of_the_session_that_has_passed() -> None:
    panel = random_panel(3, 2, 60, ragged=False)
    whole = observe_last(panel)["volume_ratio"]
    quarter = observe_last(panel, elapsed_fraction=0.25)["volume_ratio"]
    np.testing.assert_allclose(quarter, whole * 4)
    late = observe_last(panel, elapsed_fraction=1.5)["volume_ratio"]
    np.testing.assert_allclose(late, whole)


@pytest.mark.parametrize("elapsed", [0.0, -0.1, float("nan")])
def test_there_is_no_volume_ratio_before_the_session_has_begun(elapsed: float) -> None:
    panel = random_panel(3, 2, 60, ragged=False)
    assert np.isnan(observe_last(panel, elapsed_fraction=elapsed)["volume_ratio"]).all()


def test_nothing_traded_yet_is_not_a_flat_bar() -> None:
    panel = random_panel(4, 1, 60, ragged=False)
    close = panel.close[:, -2]
    zero = np.zeros(1)
    for flat in (zero, close):
        columns = observe_last(panel, last=close, open=flat, high=flat, low=flat, volume=zero)
        assert columns["change_pct"][0] == 0.0
        assert all(np.isnan(columns[name][0]) for name in HISTORY_FIELDS)


def test_without_todays_range_the_fields_of_closes_are_still_there() -> None:
    panel = random_panel(4, 1, 60, ragged=False)
    none = np.zeros(1)
    columns = observe_last(panel, open=none, high=none, low=none)
    full = observe_last(panel)
    for name in ("rsi", "return_5d_pct", "return_20d_pct", "breakout_pct", "change_pct"):
        assert columns[name][0] == full[name][0]
    for name in ("range_pct", "gap_pct", "atr_pct", "momentum"):
        assert np.isnan(columns[name][0])


def test_a_high_below_the_low_is_no_range() -> None:
    panel = random_panel(4, 1, 60, ragged=False)
    columns = observe_last(panel, high=panel.low[:, -1], low=panel.high[:, -1])
    for name in ("range_pct", "atr_pct", "momentum"):
        assert np.isnan(columns[name][0])
    assert np.isfinite(columns["rsi"][0])


@pytest.mark.parametrize(
    ("open_factor", "previous_factor"), [(0.2, 0.2), (0.5, 1.0), (2.0, 1.0), (1.0, 0.667)]
)
def test_a_split_today_leaves_only_the_days_own_fields(
    open_factor: float, previous_factor: float
) -> None:
    panel = random_panel(5, 1, 60, ragged=False)
    previous = panel.close[:, -2]
    columns = observe_last(
        panel, open=previous * open_factor, previous_close=previous * previous_factor
    )
    assert all(np.isnan(columns[name][0]) for name in HISTORY_FIELDS)
    assert np.isfinite(columns["price"][0])
    assert np.isfinite(columns["change_pct"][0])


def test_a_dividend_in_the_previous_close_keeps_the_history() -> None:
    panel = random_panel(5, 1, 60, ragged=False)
    columns = observe_last(panel, previous_close=panel.close[:, -2] * 0.96)
    assert all(np.isfinite(columns[name][0]) for name in HISTORY_FIELDS)


def test_the_session_after_one_without_a_bar_has_no_history_fields() -> None:
    panel = random_panel(6, 1, 60, ragged=False)
    for values in (panel.open, panel.high, panel.low, panel.close, panel.volume):
        values[0, -2] = np.nan
    columns = observe_last(panel, previous_close=panel.close[:, -3])
    assert all(np.isnan(columns[name][0]) for name in HISTORY_FIELDS)
    assert np.isfinite(columns["change_pct"][0])


def test_a_flat_history_has_no_rsi_until_the_price_moves() -> None:
    flat = np.full((1, 40), 900.0)
    panel = BarPanel(("A",), flat, flat, flat, flat, np.full((1, 40), 10.0))
    still = observe_last(panel)
    assert np.isnan(still["rsi"][0])
    assert np.isnan(still["atr_pct"][0])
    assert observe_last(panel, last=np.array([901.0]))["rsi"][0] == 100.0


def test_selecting_symbols_reorders_and_leaves_unknown_ones_empty() -> None:
    state = IndicatorState.from_panel(random_panel(8, 3, 60, ragged=False))
    chosen = state.select(["S2", "X", "S0"])
    assert chosen.symbols == ("S2", "X", "S0")
    assert chosen.last_close[0] == state.last_close[2]
    assert chosen.rsi[2] == state.rsi[0]
    assert np.isnan(chosen.gain_carry[1])
    assert state.select(["S0", "S1", "S2"]) is state


def test_a_quote_that_is_halted_or_missing_is_no_data() -> None:
    panel = random_panel(9, 3, 60, ragged=False)
    state = IndicatorState.from_panel(panel)
    quotes = {
        symbol: Quote(
            Instrument(symbol, Market.KR),
            *(Decimal(str(float(state.last_close[row]))) for _ in range(5)),
            volume=500,
            at=AT,
            halted=symbol == "S1",
        )
        for row, symbol in enumerate(("S0", "S1"))
    }
    columns = observe_quotes(state, quotes, elapsed_fraction=0.5)
    assert np.isfinite(columns["rsi"][0])
    for values in columns.values():
        assert np.isnan(values[1:]).all()
