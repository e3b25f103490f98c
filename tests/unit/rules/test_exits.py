"""How a position is guarded: the levels, the states, and what a look may decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.record_factories import AT
from trading_core.model.limits import ExitPolicy, SessionEnd
from trading_core.model.order import IntentReason
from trading_core.model.portfolio import ExitState, Protection, StopBasis
from trading_core.rules.exits import (
    DEFAULT_STOP_LOSS_PCT,
    Guard,
    look_in_vain,
    new_protection,
    stop_level,
    target_level,
    watch,
)
from trading_core.rules.exits_view import ExitView

LATER = AT + timedelta(minutes=1)
POLICY = ExitPolicy()
PLANNED = new_protection("005930", price=D(100), at=AT, stop_loss_pct=-3.0, take_profit_pct=5.0)
NO_TARGET = replace(PLANNED, take_profit_pct=None)
NO_PRICES = [D(0), D(-1), D("NaN"), D("sNaN"), D("Infinity"), D("-Infinity")]
VIEW = ExitView(average_price=D(100), last=D(100), at=LATER, break_even=D("100.5"), atr=D(1))
TRAILING = replace(
    NO_TARGET,
    state=ExitState.TRAILING,
    armed=ExitState.TRAILING,
    peak_price=D(110),
    trail_atr=D(2),
    stop_basis=StopBasis.SET,
)
LOCKED = replace(
    NO_TARGET,
    state=ExitState.BREAK_EVEN,
    armed=ExitState.BREAK_EVEN,
    peak_price=D(102),
    stop_basis=StopBasis.SET,
)


def look(
    last: str,
    protection: Protection = PLANNED,
    policy: ExitPolicy = POLICY,
    **view: object,
) -> Guard:
    return watch(protection, replace(VIEW, last=D(last), **view), policy)


def reason_of(guard: Guard) -> IntentReason | None:
    return guard.signal.reason if guard.signal else None


# --- the hard stop and the target -----------------------------------------------------------------


def test_a_new_guard_takes_the_plans_stop_and_target() -> None:
    assert (PLANNED.stop_loss_pct, PLANNED.take_profit_pct) == (-3.0, 5.0)
    assert (PLANNED.state, PLANNED.armed) == (ExitState.HOLDING, ExitState.HOLDING)
    assert (PLANNED.peak_price, PLANNED.stop_basis) == (D(100), StopBasis.PLANNED)


def test_a_position_nobody_planned_has_the_default_stop_and_no_target() -> None:
    guard = new_protection("005930", price=D(100), at=AT)
    assert guard.stop_loss_pct == DEFAULT_STOP_LOSS_PCT == -3.0
    assert guard.stop_basis is StopBasis.DEFAULT
    assert reason_of(look("97", guard)) is IntentReason.HARD_STOP
    assert look("1000", guard).signal is None


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("97.01", None),
        ("97", IntentReason.HARD_STOP),
        ("96.99", IntentReason.HARD_STOP),
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
    assert (guard.protection.state is ExitState.EXITING) is (reason is not None)


@pytest.mark.parametrize(
    ("average", "last", "stop"),
    [("70300", "68191", -3.0), ("3", "2.91", -3.0), ("19.99", "19.33033", -3.3)],
)
def test_a_price_exactly_at_the_stop_is_seen_for_averages_of_any_size(
    average: str, last: str, stop: float
) -> None:
    guard, price = replace(NO_TARGET, stop_loss_pct=stop), D(average)
    seen = look(last, guard, average_price=price, break_even=price)
    assert reason_of(seen) is IntentReason.HARD_STOP
    above = str(D(last) + D("0.00001"))
    assert look(above, guard, average_price=price, break_even=price).signal is None


def test_a_sentence_names_the_price_and_the_level() -> None:
    stop, target = look("96.5").signal, look("105").signal
    assert stop is not None and target is not None
    assert stop.detail == "96.5 (-3.50 %) is at or below the stop 97"
    assert target.detail == "105 (+5.00 %) reached the target 105"


def test_where_one_price_is_through_stop_and_target_the_stop_wins() -> None:
    crossed = replace(PLANNED, take_profit_pct=-4.0)
    assert reason_of(look("96.5", crossed)) is IntentReason.HARD_STOP


def test_the_default_target_is_for_those_without_one() -> None:
    policy = ExitPolicy(take_profit_pct=3.0)
    assert look("102.99", NO_TARGET, policy).signal is None
    assert reason_of(look("103", NO_TARGET, policy)) is IntentReason.TAKE_PROFIT
    assert look("103", PLANNED, policy).signal is None
    assert target_level(NO_TARGET, VIEW, policy) == D(103)
    assert target_level(PLANNED, VIEW, policy) == D(105)
    assert target_level(NO_TARGET, VIEW, POLICY) is None


# --- the stop that knows the range ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("atr", "stop"),
    [("0.5", -2.0), ("1", -2.0), ("1.01", -2.02), ("2.5", -5.0), ("3.5", -7.0), ("9", -7.0)],
)
def test_a_stop_nobody_planned_is_two_ranges_away_inside_the_band(atr: str, stop: float) -> None:
    guard = new_protection("005930", price=D(100), at=AT)
    seen = look("100", guard, atr=D(atr), atr_stop=True).protection
    assert (seen.stop_loss_pct, seen.stop_basis) == (stop, StopBasis.SET)


@pytest.mark.parametrize(("atr", "stop"), [("0.5", -2.0), ("1.4", -2.8), ("1.6", -3.0), ("9", -3)])
def test_the_range_never_loosens_the_plans_stop(atr: str, stop: float) -> None:
    assert look("100", atr=D(atr), atr_stop=True).protection.stop_loss_pct == stop


def test_band_and_multiple_are_the_policys() -> None:
    policy = ExitPolicy(
        atr_stop_multiple=3.0, atr_stop_tightest_pct=-1.0, atr_stop_loosest_pct=-4.0
    )
    guard = new_protection("005930", price=D(100), at=AT)
    stops = [
        look("100", guard, policy, atr=D(atr), atr_stop=True).protection.stop_loss_pct
        for atr in ("0.2", "1", "2")
    ]
    assert stops == [-1.0, -3.0, -4.0]


@pytest.mark.parametrize("view", [{"atr": None}, {"atr": D("NaN")}, {"atr": D(0)}, {}])
def test_without_a_range_or_in_other_markets_the_stop_stays_as_it_was(view: dict) -> None:
    seen = look("100", atr_stop="atr" in view, **view).protection
    assert (seen.stop_loss_pct, seen.stop_basis) == (-3.0, StopBasis.SET)


def test_the_first_look_sets_the_stop_for_good() -> None:
    guard = new_protection("005930", price=D(100), at=AT)
    first = look("100", guard, atr=D(2), atr_stop=True).protection
    assert first.stop_loss_pct == -4.0
    for atr in ("0.1", "3", "9"):
        assert look("100", first, atr=D(atr), atr_stop=True).protection.stop_loss_pct == -4.0
    blind_first = look("100", guard, atr=None, atr_stop=True).protection
    assert look("100", blind_first, atr=D(9), atr_stop=True).protection.stop_loss_pct == -3.0


def test_the_first_look_sells_at_the_stop_it_sets() -> None:
    guard = new_protection("005930", price=D(100), at=AT)
    assert look("96.01", guard, atr=D(2), atr_stop=True).signal is None
    assert reason_of(look("96", guard, atr=D(2), atr_stop=True)) is IntentReason.HARD_STOP


# --- break-even -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "state"),
    [
        ("101.99", ExitState.HOLDING),
        ("102", ExitState.BREAK_EVEN),
        ("103.99", ExitState.BREAK_EVEN),
        ("104", ExitState.TRAILING),
    ],
)
def test_the_gain_arms_break_even_and_then_the_trail(last: str, state: ExitState) -> None:
    seen = look(last, NO_TARGET).protection
    assert (seen.state, seen.armed) == (state, state)


def test_once_locked_the_position_is_sold_at_break_even_after_costs() -> None:
    assert look("100.51", LOCKED).signal is None
    sold = look("100.5", LOCKED)
    assert reason_of(sold) is IntentReason.BREAK_EVEN
    assert sold.signal is not None and "break-even after costs 100.5" in sold.signal.detail
    assert look("100.5", NO_TARGET).signal is None


def test_a_lock_that_would_sell_at_once_is_not_armed() -> None:
    for last in ("102", "150"):
        seen = look(last, NO_TARGET, break_even=D(last)).protection
        assert seen.state is ExitState.HOLDING
    assert look("150", NO_TARGET, break_even=D("149.9")).protection.state is ExitState.TRAILING


# --- the trail ------------------------------------------------------------------------------------


def test_the_trail_follows_the_peak_at_its_distance() -> None:
    assert stop_level(TRAILING, VIEW, POLICY) == D(106)
    assert look("106.01", TRAILING).signal is None
    sold = look("106", TRAILING)
    assert reason_of(sold) is IntentReason.TRAIL
    assert sold.signal is not None and "the trail 106" in sold.signal.detail
    higher = look("112", TRAILING).protection
    assert (higher.peak_price, stop_level(higher, VIEW, POLICY)) == (D(112), D(108))


def test_a_price_that_falls_back_takes_back_neither_lock_nor_peak() -> None:
    assert look("101", LOCKED).protection.armed is ExitState.BREAK_EVEN
    fallen = look("107", TRAILING).protection
    assert (fallen.peak_price, stop_level(fallen, VIEW, POLICY)) == (D(110), D(106))


def test_the_distance_is_fixed_when_the_trail_is_armed() -> None:
    armed = look("104", NO_TARGET, atr=D(1)).protection
    assert armed.trail_atr == D(1)
    assert look("105", armed, atr=D(3)).protection.trail_atr == D(1)


def test_a_trail_armed_without_a_range_takes_the_first_one_that_is_known() -> None:
    armed = look("104", NO_TARGET, atr=None).protection
    assert (armed.state, armed.trail_atr) == (ExitState.TRAILING, None)
    assert stop_level(armed, VIEW, POLICY) == VIEW.break_even
    assert look("104", armed, atr=D(1)).protection.trail_atr == D(1)


def test_the_trail_is_never_below_break_even() -> None:
    wide = replace(TRAILING, trail_atr=D(50))
    assert stop_level(wide, VIEW, POLICY) == VIEW.break_even
    assert reason_of(look("100.5", wide)) is IntentReason.BREAK_EVEN


def test_a_gap_through_both_thresholds_goes_to_the_highest_state_at_once() -> None:
    seen = look("120", NO_TARGET).protection
    assert (seen.state, seen.peak_price, seen.trail_atr) == (ExitState.TRAILING, D(120), D(1))


def test_the_stop_wins_over_a_new_peak_by_the_level_that_stood_before() -> None:
    low_peak = replace(LOCKED, peak_price=D(100))
    seen = look("100.4", low_peak)
    assert reason_of(seen) is IntentReason.BREAK_EVEN
    assert seen.protection.peak_price == D("100.4")


def test_a_trail_that_is_pulled_above_the_price_sells_at_the_next_look() -> None:
    waiting = replace(TRAILING, trail_atr=None)
    first = look("105", waiting, atr=D(2))
    assert first.signal is None
    assert stop_level(first.protection, VIEW, POLICY) == D(106)
    assert reason_of(look("105", first.protection)) is IntentReason.TRAIL


def test_a_target_can_arm_the_trail_instead_of_selling() -> None:
    policy = ExitPolicy(trail_after_take_profit=True)
    near_target = replace(PLANNED, take_profit_pct=1.0)
    seen = look("101", near_target, policy)
    assert seen.signal is None
    assert (seen.protection.state, seen.protection.trail_atr) == (ExitState.TRAILING, D(1))
    sold = look("101", near_target, POLICY)
    assert reason_of(sold) is IntentReason.TAKE_PROFIT
    assert sold.protection.armed is ExitState.HOLDING
    without_range = look("101", near_target, policy, atr=None)
    assert reason_of(without_range) is IntentReason.TAKE_PROFIT
    below_costs = look("101", near_target, policy, break_even=D(101))
    assert reason_of(below_costs) is IntentReason.TAKE_PROFIT


def test_a_target_sells_a_position_that_trails_already() -> None:
    trailing = replace(TRAILING, take_profit_pct=12.0)
    assert reason_of(look("112", trailing)) is IntentReason.TAKE_PROFIT
    assert look("112", trailing, ExitPolicy(trail_after_take_profit=True)).signal is None


# --- time, the session's end, and everything ------------------------------------------------------


@pytest.mark.parametrize(
    ("sessions", "last", "leaves"),
    [(4, "100.4", False), (5, "100.4", True), (9, "100.4", True), (5, "100.5", False)],
)
def test_a_position_below_break_even_is_left_after_so_many_sessions(
    sessions: int, last: str, leaves: bool
) -> None:
    seen = look(last, NO_TARGET, ExitPolicy(time_stop_sessions=5), sessions_held=sessions)
    assert reason_of(seen) is (IntentReason.TIME_STOP if leaves else None)


def test_the_time_stop_is_off_by_default() -> None:
    assert look("99", NO_TARGET, sessions_held=10_000).signal is None


@pytest.mark.parametrize(
    ("ending", "minutes", "last", "leaves"),
    [
        (SessionEnd.HOLD, 5.0, "99", False),
        (SessionEnd.CLOSE_LOSERS, 15.0, "100.4", True),
        (SessionEnd.CLOSE_LOSERS, 15.0, "100.5", False),
        (SessionEnd.CLOSE_LOSERS, 15.1, "100.4", False),
        (SessionEnd.CLOSE_ALL, 15.0, "101", True),
        (SessionEnd.CLOSE_ALL, 15.1, "101", False),
        (SessionEnd.CLOSE_ALL, 0.0, "101", False),
    ],
)
def test_the_last_minutes_close_what_the_policy_says(
    ending: SessionEnd, minutes: float, last: str, leaves: bool
) -> None:
    policy = ExitPolicy(at_session_end=ending, session_end_minutes=15)
    seen = look(last, NO_TARGET, policy, minutes_to_close=minutes)
    assert reason_of(seen) is (IntentReason.SESSION_END if leaves else None)


def test_reduce_all_sells_whatever_the_price_and_a_stop_stays_a_stop() -> None:
    for last in ("97.01", "100", "104.9", "105"):
        assert reason_of(look(last, reduce_all="a bad day")) is IntentReason.REDUCE_ALL
    assert reason_of(look("97", reduce_all="a bad day")) is IntentReason.HARD_STOP
    signal = look("100", reduce_all="a bad day").signal
    assert signal is not None and signal.detail == "a bad day; sold at 100 (+0.00 %)"


# --- states ---------------------------------------------------------------------------------------


def test_exiting_is_no_trap() -> None:
    leaving = look("106", TRAILING).protection
    assert leaving.state is ExitState.EXITING
    recovered = look("106.5", leaving)
    assert (recovered.signal, recovered.protection.state) == (None, ExitState.EXITING)
    assert reason_of(look("106", recovered.protection)) is IntentReason.TRAIL
    assert look("115", recovered.protection).protection.peak_price == D(115)


def test_what_arms_while_leaving_guards_when_the_sale_fails() -> None:
    taken = look("105").protection
    assert (taken.state, taken.armed) == (ExitState.EXITING, ExitState.TRAILING)
    assert stop_level(taken, VIEW, POLICY) == D(103)
    assert reason_of(look("103", taken)) is IntentReason.TRAIL


@pytest.mark.parametrize("last", NO_PRICES)
def test_a_price_that_is_none_decides_nothing_and_changes_nothing(last: D) -> None:
    seen = watch(PLANNED, replace(VIEW, last=last, reduce_all="x"), POLICY)
    assert seen == Guard(PLANNED, None)


@pytest.mark.parametrize("field", ["average_price", "break_even"])
@pytest.mark.parametrize("none", NO_PRICES)
def test_without_a_cost_nothing_is_decided(field: str, none: D) -> None:
    view = replace(VIEW, last=D(50), **{field: none})
    assert watch(PLANNED, view, POLICY) == Guard(PLANNED, None)
    assert stop_level(PLANNED, view, POLICY).is_nan()


def test_looks_in_vain_are_counted_once_each_and_forgotten_at_the_first_price() -> None:
    once = look_in_vain(PLANNED, LATER)
    assert (once.blind_since, once.blind_looks) == (LATER, 1)
    assert look_in_vain(once, LATER) == once
    twice = look_in_vain(once, LATER + timedelta(minutes=1))
    assert (twice.blind_since, twice.blind_looks) == (LATER, 2)
    seen = look("100", twice, at=LATER + timedelta(minutes=2)).protection
    assert (seen.blind_since, seen.blind_looks) == (None, 0)
    assert look_in_vain(replace(PLANNED, updated_at=LATER), LATER).blind_looks == 1


# --- nearness -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "near"), [("98", False), ("97.61", False), ("97.6", True), ("97.01", True)]
)
def test_a_stop_is_near_in_the_last_fifth_of_the_way_to_it(last: str, near: bool) -> None:
    seen = look(last)
    assert bool(seen.near) is near
    assert seen.protection.approached_at == (LATER if near else None)


def test_the_way_to_a_trail_begins_at_the_peak() -> None:
    assert not look("106.81", TRAILING).near
    assert look("106.8", TRAILING).near == "106.8 is close to the trail 106"


def test_a_stop_that_was_hit_is_breached_and_not_near() -> None:
    seen = look("97")
    assert not seen.near
    assert seen.signal is not None and seen.signal.is_stop
    assert seen.protection.approached_at == LATER
    target = look("105").signal
    assert target is not None and not target.is_stop


def test_an_approach_lasts_until_half_of_the_way_is_regained() -> None:
    first = look("97.5").protection
    for last in ("97.9", "98.5", "97.2", "97"):
        assert look(last, first).protection.approached_at == LATER
    assert look("98.51", first).protection.approached_at is None


# --- properties -----------------------------------------------------------------------------------

PRICES = st.decimals("60", "160", places=2)
ANY_PRICES = st.lists(PRICES | st.sampled_from(NO_PRICES), min_size=1, max_size=30)
POLICIES = st.builds(
    ExitPolicy,
    trail_after_take_profit=st.booleans(),
    break_even_arm_pct=st.sampled_from([0.5, 2.0, 5.0]),
    trail_arm_pct=st.sampled_from([5.5, 8.0, 20.0]),
    trail_atr_multiple=st.floats(0.5, 5),
    take_profit_pct=st.none() | st.floats(1, 30),
    time_stop_sessions=st.integers(0, 3),
    at_session_end=st.sampled_from(SessionEnd),
)
VIEWS = st.builds(
    ExitView,
    average_price=st.just(D(100)),
    last=st.just(D(100)),
    at=st.just(LATER),
    break_even=st.sampled_from([D(100), D("100.5"), D(101), D(140)]),
    atr=st.none() | st.decimals("0.1", "10", places=2),
    atr_stop=st.booleans(),
    minutes_to_close=st.floats(0, 400),
    sessions_held=st.integers(0, 5),
)
GUARDS = st.builds(
    new_protection,
    st.just("005930"),
    price=st.just(D(100)),
    at=st.just(AT),
    stop_loss_pct=st.none() | st.floats(-30, -0.5),
    take_profit_pct=st.none() | st.floats(1, 30),
)


@given(GUARDS, VIEWS, POLICIES, ANY_PRICES)
def test_states_stops_and_peaks_never_go_down(
    guard: Protection, view: ExitView, policy: ExitPolicy, prices: list[D]
) -> None:
    guard = watch(guard, view, policy).protection
    for price in prices:
        after = watch(guard, replace(view, last=price), policy).protection
        assert after.state.rank >= guard.state.rank
        assert after.armed.rank >= guard.armed.rank
        assert after.peak_price >= guard.peak_price
        assert stop_level(after, view, policy) >= stop_level(guard, view, policy)
        guard = after


@given(GUARDS, VIEWS, POLICIES, ANY_PRICES)
def test_nothing_is_decided_without_a_price_and_every_stop_is_at_its_level(
    guard: Protection, view: ExitView, policy: ExitPolicy, prices: list[D]
) -> None:
    for price in prices:
        level = stop_level(guard, view, policy)
        seen = watch(guard, replace(view, last=price), policy)
        if not price.is_finite() or price <= 0:
            assert seen == Guard(guard, None)
        else:
            breached = seen.signal is not None and seen.signal.is_stop
            assert breached is (price <= level)
        guard = seen.protection


@given(GUARDS, VIEWS, POLICIES, PRICES, st.lists(PRICES, max_size=8))
def test_a_gap_ends_where_the_same_way_in_small_steps_ends(
    guard: Protection, view: ExitView, policy: ExitPolicy, end: D, between: list[D]
) -> None:
    begun = watch(guard, view, policy)
    assume(begun.signal is None)
    low, high = sorted([D(100), end])
    steps = sorted((p for p in between if low <= p <= high), reverse=end < 100)
    walked = begun.protection
    for price in [*steps, end]:
        walked = watch(walked, replace(view, last=price), policy).protection
    jumped = watch(begun.protection, replace(view, last=end), policy).protection
    assert walked == jumped


@given(GUARDS, VIEWS, POLICIES, PRICES)
def test_a_stop_above_cost_is_only_ever_a_locked_one(
    guard: Protection, view: ExitView, policy: ExitPolicy, price: D
) -> None:
    seen = watch(guard, replace(view, last=price), policy).protection
    level = stop_level(seen, view, policy)
    if seen.armed is ExitState.HOLDING:
        assert level < view.average_price
    else:
        assert level >= view.break_even
