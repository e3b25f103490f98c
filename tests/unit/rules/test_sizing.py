"""How many shares an entry buys."""

from __future__ import annotations

import math
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.guard_books import NO_GUARDS
from tests.record_factories import AT, make_intent
from trading_core.model.limits import RiskLimits, SizingPolicy
from trading_core.model.market import Currency
from trading_core.model.order import ApprovedOrder
from trading_core.model.portfolio import Account
from trading_core.rules.risk import RiskState, check
from trading_core.rules.sizing import allocation_pct, entry_quantity, volatility_score

NAN = float("nan")
POLICY = SizingPolicy()
LIMITS = RiskLimits()
SCORES = st.floats(0, 100)
CONFIDENCES = st.integers(0, 100)
POLICIES = st.builds(
    lambda base, low, span, target: SizingPolicy(True, base, low, low + span, target),
    st.floats(0.1, 30),
    st.floats(0.1, 10),
    st.floats(0, 20),
    st.floats(1, 100),
)


def quantity(cash: str, price: str, pct: float, **changes: Any) -> int:
    values: dict[str, Any] = {
        "cash": D(cash),
        "available": D(cash),
        "price": D(price),
        "lot": 1,
        "pct": pct,
        "limits": LIMITS,
    }
    return entry_quantity(**(values | changes))


def test_the_score_is_ten_times_the_largest_move_and_at_most_a_hundred() -> None:
    assert volatility_score(change_pct=-4.0, range_pct=2.0, atr_pct=3.0) == 40.0
    assert volatility_score(change_pct=1.0, range_pct=5.5, atr_pct=3.0) == 55.0
    assert volatility_score(change_pct=1.0, range_pct=2.0, atr_pct=30.0) == 100.0
    assert volatility_score(change_pct=0.0, range_pct=0.0, atr_pct=0.0) == 0.0


def test_measures_without_data_are_left_out_and_none_at_all_is_the_most_careful_score() -> None:
    assert volatility_score(change_pct=NAN, range_pct=2.0, atr_pct=NAN) == 20.0
    assert volatility_score(change_pct=NAN, range_pct=NAN, atr_pct=NAN) == 100.0


def test_the_allocation_is_base_times_target_over_score_scaled_by_confidence() -> None:
    pct = allocation_pct(score=40.0, confidence=80, scenario_pct=0, policy=POLICY)
    assert pct == pytest.approx(5.0 * 50 / 40 * 0.8)


def test_the_allocation_stays_between_minimum_and_maximum() -> None:
    calm = allocation_pct(score=0.0, confidence=100, scenario_pct=0, policy=POLICY)
    assert calm == POLICY.max_allocation_pct
    wild = allocation_pct(score=100.0, confidence=1, scenario_pct=0, policy=POLICY)
    assert wild == POLICY.min_allocation_pct


def test_the_scenarios_own_allocation_is_a_ceiling_even_below_the_minimum() -> None:
    assert allocation_pct(score=10.0, confidence=100, scenario_pct=4.0, policy=POLICY) == 4.0
    assert allocation_pct(score=10.0, confidence=100, scenario_pct=0.5, policy=POLICY) == 0.5
    assert allocation_pct(score=10.0, confidence=100, scenario_pct=50, policy=POLICY) == 10.0


def test_without_sizing_the_scenario_decides_up_to_the_maximum() -> None:
    off = SizingPolicy(enabled=False)
    for score in (1.0, 50.0, 100.0):
        assert allocation_pct(score=score, confidence=85, scenario_pct=7.5, policy=off) == 7.5
        assert allocation_pct(score=score, confidence=85, scenario_pct=90, policy=off) == 10.0
        assert allocation_pct(score=score, confidence=85, scenario_pct=0, policy=off) == 1.0


@given(SCORES, SCORES, CONFIDENCES, st.floats(0, 100), POLICIES)
def test_a_higher_volatility_is_never_a_larger_allocation(
    one: float, other: float, confidence: int, scenario_pct: float, policy: SizingPolicy
) -> None:
    calm, wild = sorted((one, other))
    of_calm, of_wild = (
        allocation_pct(score=score, confidence=confidence, scenario_pct=scenario_pct, policy=policy)
        for score in (calm, wild)
    )
    assert of_wild <= of_calm


@given(SCORES, CONFIDENCES, CONFIDENCES, POLICIES)
def test_more_confidence_is_never_a_smaller_allocation(
    score: float, one: int, other: int, policy: SizingPolicy
) -> None:
    less, more = sorted((one, other))
    of_less, of_more = (
        allocation_pct(score=score, confidence=c, scenario_pct=0, policy=policy)
        for c in (less, more)
    )
    assert of_less <= of_more


@given(SCORES, CONFIDENCES, st.floats(0, 100), POLICIES)
def test_the_allocation_is_within_bounds_and_never_above_the_scenarios(
    score: float, confidence: int, scenario_pct: float, policy: SizingPolicy
) -> None:
    pct = allocation_pct(
        score=score, confidence=confidence, scenario_pct=scenario_pct, policy=policy
    )
    assert pct <= policy.max_allocation_pct
    if scenario_pct > 0:
        assert pct <= scenario_pct
    if scenario_pct == 0 or scenario_pct >= policy.max_allocation_pct:
        assert pct >= policy.min_allocation_pct


@given(*(st.floats(-50, 50) | st.just(NAN) for _ in range(3)))
def test_the_score_is_always_a_number_from_zero_to_a_hundred(
    change: float, spread: float, atr: float
) -> None:
    score = volatility_score(change_pct=change, range_pct=spread, atr_pct=atr)
    assert 0 <= score <= 100
    assert not math.isnan(score)


def test_the_quantity_is_what_the_percentage_of_the_cash_buys_rounded_down() -> None:
    assert quantity("10000000", "70000", 5.0) == 7
    assert quantity("10000000", "71429", 5.0) == 6
    assert quantity("10000", "199.99", 10.0) == 5


def test_the_quantity_is_cut_down_to_whole_lots() -> None:
    assert quantity("10000000", "1000", 5.0, lot=100) == 500
    assert quantity("10000000", "1001", 5.0, lot=100) == 400
    assert quantity("10000000", "6000", 5.0, lot=100) == 0


def test_the_quantity_never_exceeds_the_cap_on_what_is_left() -> None:
    assert quantity("10000000", "1000", 10.0, available=D(1_000_000)) == 300
    strict = RiskLimits(max_order_pct=1.0)
    assert quantity("10000000", "1000", 10.0, limits=strict) == 100


@pytest.mark.parametrize("name", ["cash", "available", "price"])
@pytest.mark.parametrize("amount", [D(0), D(-1)])
def test_nothing_is_bought_without_a_price_or_without_cash(name: str, amount: D) -> None:
    values = {"cash": D(10_000_000), "available": D(10_000_000), "price": D(1000)}
    shares = entry_quantity(**(values | {name: amount}), lot=1, pct=5.0, limits=LIMITS)
    assert shares == 0


def test_an_unaffordable_share_is_no_order() -> None:
    assert quantity("10000", "600", 5.0) == 0


@given(
    orderable=st.decimals("0.01", 10**12, places=4),
    promised_share=st.decimals(0, 1, places=4),
    price=st.decimals("0.0001", 10**7, places=4),
    lot=st.sampled_from([1, 10, 100, 500]),
    score=SCORES,
    confidence=st.integers(80, 100),
    scenario_pct=st.floats(0, 100),
    policy=POLICIES,
    max_order_pct=st.floats(0.01, 30.0),
)
@example(
    orderable=D("1000000000000"),
    promised_share=D(0),
    price=D("0.0003"),
    lot=1,
    score=0.0,
    confidence=100,
    scenario_pct=0.0,
    policy=SizingPolicy(True, 30, 1, 100, 50),
    max_order_pct=29.999999999999996,
)
def test_a_sized_entry_always_passes_the_fat_finger_check(
    orderable: D,
    promised_share: D,
    price: D,
    lot: int,
    score: float,
    confidence: int,
    scenario_pct: float,
    policy: SizingPolicy,
    max_order_pct: float,
) -> None:
    limits = RiskLimits(max_order_pct=max_order_pct)
    account = Account(Currency.KRW, orderable, orderable, (), AT)
    state = RiskState(account, orderable, promised=orderable * promised_share)
    shares = entry_quantity(
        cash=orderable,
        available=state.available,
        price=price,
        lot=lot,
        pct=allocation_pct(
            score=score, confidence=confidence, scenario_pct=scenario_pct, policy=policy
        ),
        limits=limits,
    )
    assert shares % lot == 0
    assume(shares > 0)
    intent = make_intent(quantity=shares, limit_price=price, decided_price=price)
    answer = check(intent, state, limits, confidence=confidence, lot=lot, at=AT, guards=NO_GUARDS)
    assert isinstance(answer, ApprovedOrder)


@given(
    st.decimals(1, 10**9, places=2),
    st.decimals("0.01", 10**5, places=2),
    SCORES,
    SCORES,
    CONFIDENCES,
)
def test_a_higher_volatility_is_never_more_shares(
    cash: D, price: D, one: float, other: float, confidence: int
) -> None:
    calm, wild = sorted((one, other))
    of_calm, of_wild = (
        quantity(
            str(cash),
            str(price),
            allocation_pct(score=score, confidence=confidence, scenario_pct=0, policy=POLICY),
        )
        for score in (calm, wild)
    )
    assert of_wild <= of_calm
