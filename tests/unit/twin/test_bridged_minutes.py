"""The minute path drawn through a day's open, high, low and close."""

from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_core.model.market import Market, MarketGroup
from trading_core.rules.calendar import require_session
from trading_core.rules.markets import price_increment
from trading_core.twin.bridge import common_increment, increments
from trading_core.twin.columns import bridged
from trading_core.twin.synthetic import synthetic_tape

DAY = date(2024, 5, 2)
HOURS = require_session(MarketGroup.KR, DAY)


def path(day: tuple[int, int, int, int], volume: int, seed: int = 0, symbol: str = "A"):
    prices = tuple(np.array([float(p)]) for p in day)
    return bridged([symbol], [Market.KR], HOURS, seed, prices, np.array([volume]))


days = st.lists(st.integers(3_000, 4_900), min_size=4, max_size=4).map(
    lambda p: (p[0] // 5 * 5, max(p) // 5 * 5, min(p) // 5 * 5, p[1] // 5 * 5)
)


@settings(max_examples=60, deadline=None)
@given(days, st.integers(1, 5_000_000), st.integers(0, 99))
def test_the_path_touches_the_days_bar_exactly_and_its_volumes_sum(day, volume, seed):
    bars = path(day, volume, seed)
    assert bars.open[0, 0] == day[0]
    assert bars.high.max() == day[1]
    assert bars.low.min() == day[2]
    assert bars.close[0, -1] == day[3]
    assert bars.volume.sum() == volume
    assert (bars.volume >= 0).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    every = np.concatenate([bars.open, bars.high, bars.low, bars.close])
    assert (every % 5 == 0).all()


def test_a_path_depends_on_symbol_and_seed_and_on_nothing_else():
    day = (9_000, 9_500, 8_800, 9_200)
    one = path(day, 10_000)
    again = path(day, 10_000)
    assert (one.close == again.close).all() and (one.volume == again.volume).all()
    assert (path(day, 10_000, seed=1).close != one.close).any()
    assert (path(day, 10_000, symbol="B").close != one.close).any()
    prices = tuple(np.array([float(p), float(p)]) for p in day)
    volume = np.array([10_000, 10_000])
    both = bridged(["B", "A"], [Market.KR] * 2, HOURS, 0, prices, volume)
    assert (both.close[1] == one.close[0]).all()


def test_nothing_trades_in_the_minutes_of_the_closing_auction_but_the_auction_itself():
    bars = path((9_000, 9_500, 8_800, 9_200), 1_000_000)
    assert bars.volume.shape == (1, 391)
    assert bars.volume[0, 380:390].sum() == 0
    assert bars.volume[0, 390] == 60_000
    assert bars.volume[0, :30].sum() > bars.volume[0, 180:210].sum()


def test_the_vectorised_increments_equal_the_exchange_table():
    prices = np.array([999.0, 1_000, 2_000, 4_999, 5_000, 20_000, 49_950, 200_000, 512_000, 0])
    steps = increments(Market.KR, prices, DAY)
    from decimal import Decimal

    wanted = [float(price_increment(Market.KR, Decimal(str(p)), DAY)) for p in prices[:-1]]
    assert steps[:-1].tolist() == wanted
    assert np.isnan(steps[-1])


def test_a_step_that_fits_both_grids_is_a_multiple_of_both():
    low, high = np.array([0.01, 0.02, 5.0]), np.array([0.01, 0.05, 10.0])
    assert common_increment(low, high).tolist() == [0.01, 0.1, 10.0]


def test_the_same_seed_gives_the_same_synthetic_market():
    first, again = (synthetic_tape(MarketGroup.KR, DAY, seed=7) for _ in range(2))
    assert first.instruments == again.instruments
    for name in ("open", "high", "low", "close", "volume"):
        left, right = getattr(first.bars, name), getattr(again.bars, name)
        assert np.array_equal(left, right, equal_nan=True)
    assert (first.history.close == again.history.close).all()
    other = synthetic_tape(MarketGroup.KR, DAY, seed=8)
    assert not np.array_equal(other.previous_close, first.previous_close)


def test_a_synthetic_market_has_halts_limit_moves_gaps_and_fat_tails():
    tape = synthetic_tape(MarketGroup.KR, DAY)
    assert len(tape.instruments) == 200
    assert len({item.symbol for item in tape.instruments}) == 200
    assert tape.halted.sum() >= 2
    live = ~tape.halted
    change = tape.bars.close[live, -1] / tape.previous_close[live] - 1
    assert change.max() > 0.29 and change.min() < -0.29
    assert np.abs(tape.bars.open[live, 0] / tape.previous_close[live] - 1).mean() > 0.001
    closes = tape.history.close.reshape(200, -1)
    assert closes.shape[1] == 120
    returns = np.diff(np.log(closes), axis=1).ravel()
    normal = (returns - returns.mean()) / returns.std()
    assert (normal**4).mean() > 4
    assert (tape.history.high >= tape.history.low).all()


def test_every_group_has_a_synthetic_market():
    for group in MarketGroup:
        tape = synthetic_tape(group, date(2025, 9, 3), symbols=25)
        assert len(tape.instruments) == 25
        assert {item.market.group for item in tape.instruments} == {group}
        assert np.isfinite(tape.bars.close[~tape.halted]).all()


def test_named_symbols_are_used_as_they_are():
    tape = synthetic_tape(MarketGroup.US, date(2025, 9, 3), symbols=["AAA", "BBB"])
    assert [item.symbol for item in tape.instruments] == ["AAA", "BBB"]
    assert not tape.halted.any()
