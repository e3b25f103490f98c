"""How a position is guarded."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.record_factories import AT
from trading_core.model.order import IntentReason
from trading_core.model.portfolio import ExitState, Protection
from trading_core.rules.exits import (
    DEFAULT_STOP_LOSS_PCT,
    Guard,
    new_protection,
    unrealized_pct,
    watch,
)

LATER = AT + timedelta(minutes=1)
PLANNED = new_protection("005930", price=D(100), at=AT, stop_loss_pct=-3.0, take_profit_pct=5.0)
NO_PRICES = [D(0), D(-1), D("NaN"), D("sNaN"), D("Infinity"), D("-Infinity")]


def look(last: str, protection: Protection = PLANNED, average: str = "100") -> Guard:
    return watch(protection, average_price=D(average), last=D(last), at=LATER)


def reason_of(guard: Guard) -> IntentReason | None:
    return guard.signal.reason if guard.signal else None


def test_a_new_guard_takes_the_plans_stop_and_target() -> None:
    assert Protection("005930", -3.0, 5.0, ExitState.HOLDING, D(100), AT) == PLANNED


def test_a_position_nobody_planned_has_the_default_stop_and_no_target() -> None:
    guard = new_protection("005930", price=D(100), at=AT)
    assert guard.stop_loss_pct == DEFAULT_STOP_LOSS_PCT == -3.0
    assert guard.take_profit_pct is None
    assert reason_of(look("97", guard)) is IntentReason.HARD_STOP
    assert look("1000", guard).signal is None


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("97.01", None),
        ("97", IntentReason.HARD_STOP),
        ("96.99", IntentReason.HARD_STOP),
        ("50", IntentReason.HARD_STOP),
        ("0.01", IntentReason.HARD_STOP),
        ("100", None),
        ("104.99", None),
        ("105", IntentReason.TAKE_PROFIT),
        ("105.01", IntentReason.TAKE_PROFIT),
        ("300", IntentReason.TAKE_PROFIT),
    ],
)
def test_at_the_stop_and_at_the_target_the_position_is_sold(
    last: str, reason: IntentReason | None
) -> None:
    guard = look(last)
    assert reason_of(guard) is reason
    assert guard.protection.state is (ExitState.EXITING if reason else ExitState.HOLDING)
    assert guard.signal is None or guard.signal.detail


@pytest.mark.parametrize(
    ("average", "last", "stop"),
    [("70300", "68191", -3.0), ("3", "2.91", -3.0), ("19.99", "19.33033", -3.3)],
)
def test_a_price_exactly_at_the_stop_is_seen_for_averages_of_any_size(
    average: str, last: str, stop: float
) -> None:
    guard = replace(PLANNED, stop_loss_pct=stop)
    assert reason_of(look(last, guard, average)) is IntentReason.HARD_STOP


def test_a_gap_through_the_stop_is_sold_in_the_one_look_that_sees_it() -> None:
    calm = look("99.5")
    assert reason_of(look("80", calm.protection)) is IntentReason.HARD_STOP


def test_where_one_price_is_through_stop_and_target_the_stop_wins() -> None:
    crossed = replace(PLANNED, stop_loss_pct=-3.0, take_profit_pct=-4.0)
    assert reason_of(look("96.5", crossed)) is IntentReason.HARD_STOP


@pytest.mark.parametrize("last", NO_PRICES)
def test_a_price_that_is_none_decides_nothing_and_changes_nothing(last: D) -> None:
    guard = watch(PLANNED, average_price=D(100), last=last, at=LATER)
    assert guard == Guard(PLANNED, None, near_stop=False)


@pytest.mark.parametrize("average", NO_PRICES)
def test_an_average_price_that_is_none_decides_nothing(average: D) -> None:
    guard = watch(PLANNED, average_price=average, last=D(50), at=LATER)
    assert guard == Guard(PLANNED, None, near_stop=False)


def test_the_unrealized_result_is_in_percent_of_the_average_price() -> None:
    assert unrealized_pct(D(200), D(190)) == -5.0
    assert unrealized_pct(D("68000.5"), D("68000.5")) == 0.0
    for none in NO_PRICES:
        assert math.isnan(unrealized_pct(none, D(100)))
        assert math.isnan(unrealized_pct(D(100), none))


@pytest.mark.parametrize(
    ("last", "near"), [("98", False), ("97.61", False), ("97.59", True), ("97.01", True)]
)
def test_a_stop_is_near_in_the_last_fifth_of_the_way_to_it(last: str, near: bool) -> None:
    assert look(last).near_stop is near


def test_a_stop_that_was_hit_is_not_called_near() -> None:
    assert look("97").near_stop is False


def test_after_an_exit_was_signalled_the_state_does_not_fall_back() -> None:
    leaving = look("97").protection
    recovered = look("100", leaving)
    assert recovered.signal is None
    assert recovered.protection.state is ExitState.EXITING
    assert reason_of(look("96", recovered.protection)) is IntentReason.HARD_STOP


def test_each_look_is_dated() -> None:
    assert look("100").protection.updated_at == LATER


@given(
    st.lists(
        st.decimals("0.01", 1000, places=2) | st.sampled_from(NO_PRICES), min_size=1, max_size=30
    )
)
def test_the_peak_is_the_highest_price_seen_and_never_falls(prices: list[D]) -> None:
    protection, highest = PLANNED, PLANNED.peak_price
    for price in prices:
        after = watch(protection, average_price=D(100), last=price, at=LATER).protection
        if price.is_finite() and price > 0:
            highest = max(highest, price)
        assert after.peak_price == highest
        assert list(ExitState).index(after.state) >= list(ExitState).index(protection.state)
        protection = after


@given(
    st.decimals("0.01", 10**6, places=2),
    st.decimals("0.01", 10**6, places=2),
    st.floats(-99, -0.01),
    st.floats(0.01, 500) | st.none(),
)
def test_a_position_is_sold_exactly_when_a_threshold_is_reached(
    average: D, last: D, stop: float, target: float | None
) -> None:
    protection = replace(PLANNED, stop_loss_pct=stop, take_profit_pct=target)
    guard = watch(protection, average_price=average, last=last, at=LATER)
    pnl = unrealized_pct(average, last)
    reached = pnl <= stop or (target is not None and pnl >= target)
    assert (guard.signal is not None) is reached
