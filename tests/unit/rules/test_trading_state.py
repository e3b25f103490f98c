"""Active, reducing or halted: what the standing halts make of a market, and the breaker's room."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.record_factories import AT, SESSION, make_halt, make_switch
from trading_core.model.journal import Halt, HaltKind, HaltLevel, SwitchAction
from trading_core.model.limits import RiskLimits
from trading_core.model.market import Currency
from trading_core.rules.trading_state import (
    TradingState,
    accepted_pnl_pct,
    breaker_floor_pct,
    paused_deployments,
    planning_stopped_by,
    stops_everything,
    strictest,
    trading_state,
)

A, R, H = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED
LATER = AT + timedelta(minutes=1)


def halt(scope: str, level: str = "reducing", **changes: object) -> Halt:
    return make_halt(halt_id=f"{scope}-{level}", scope=scope, level=HaltLevel(level), **changes)


@pytest.mark.parametrize(
    ("halts", "kr", "us"),
    [
        ([], A, A),
        ([halt("KR")], R, A),
        ([halt("KRW")], R, A),
        ([halt("US")], A, R),
        ([halt("USD")], A, R),
        ([halt("ALL")], R, R),
        ([halt("KR", "halted")], H, A),
        ([halt("USD", "halted")], A, H),
        ([halt("ALL", "halted")], H, H),
        ([halt("ALL"), halt("US", "halted")], R, H),
        ([halt("KR", "halted"), halt("KR")], H, A),
        ([halt("KR", "halted", lifted_at=LATER), halt("KRW")], R, A),
        ([halt("ALL", "halted", lifted_at=LATER)], A, A),
        ([halt("JP", "halted"), halt("JPY")], A, A),
    ],
)
def test_a_market_is_as_its_strictest_standing_halt_says(
    halts: list[Halt], kr: TradingState, us: TradingState
) -> None:
    for order in (halts, halts[::-1]):
        assert trading_state(order, group="KR", currency=Currency.KRW) is kr
        assert trading_state(order, group="US", currency=Currency.USD) is us
    assert strictest([kr, us]) is max(kr, us, key=[A, R, H].index)


@pytest.mark.parametrize("kind", list(HaltKind))
def test_every_kind_of_halt_counts(kind: HaltKind) -> None:
    assert trading_state([halt("KR", kind=kind)], group="KR", currency=Currency.KRW) is R


def test_only_a_standing_halt_of_the_strictest_level_stops_everything() -> None:
    lifted = halt("KR", "halted", lifted_at=LATER)
    assert stops_everything([halt("KR"), lifted]) is None
    standing = halt("ALL", "halted")
    assert stops_everything([halt("KR"), lifted, standing]) == standing


# --- the loss a person accepted --------------------------------------------------------------


def lifted(pct: str, *, on: date = SESSION, minutes: int = 0, **changes: object) -> Halt:
    return make_halt(
        halt_id=f"lifted-{pct}-{minutes}",
        lifted_at=LATER + timedelta(minutes=minutes),
        accepted_pnl_pct=D(pct),
        accepted_on=on,
        **changes,
    )


def test_what_was_accepted_last_in_this_session_and_currency_counts() -> None:
    halts = [
        lifted("-4.1", minutes=5),
        lifted("-3.1"),
        lifted("-9", minutes=9, on=SESSION - timedelta(days=1)),
        lifted("-8", minutes=9, scope="USD"),
        lifted("-7", minutes=9, kind=HaltKind.OPERATOR),
    ]
    assert accepted_pnl_pct(halts, currency="KRW", session=SESSION) == D("-4.1")
    assert accepted_pnl_pct(halts, currency="JPY", session=SESSION) is None
    assert accepted_pnl_pct([make_halt()], currency="KRW", session=SESSION) is None


@pytest.mark.parametrize(
    ("limit", "accepted", "floor"),
    [
        (3.0, None, "-3"),
        (1.5, None, "-1.5"),
        (3.0, "-3.01", "-4.01"),
        (3.0, "-5", "-6"),
        (1.5, "-2", "-2.5"),
        # Recovered before it was lifted: the limit itself holds.
        (3.0, "-1.9", "-3"),
        (3.0, "2", "-3"),
    ],
)
def test_the_room_is_the_limit_or_a_third_of_it_below_what_was_accepted(
    limit: float, accepted: str | None, floor: str
) -> None:
    found = breaker_floor_pct(RiskLimits(max_loss_pct=limit), D(accepted) if accepted else None)
    assert found == D(floor)


@given(st.floats(min_value=0.1, max_value=3.0), st.none() | st.decimals(-100, 100, places=4))
def test_the_room_is_never_wider_than_the_limit_without_a_person_and_a_third_with_one(
    limit: float, accepted: D | None
) -> None:
    floor = breaker_floor_pct(RiskLimits(max_loss_pct=limit), accepted)
    assert floor <= -D(str(limit))
    if accepted is None or accepted > -D(str(limit)) * 2 / 3:
        assert floor == -D(str(limit))
    else:
        assert floor == accepted - D(str(limit)) / 3


# --- deployments ------------------------------------------------------------------------------


def test_a_watchdogs_halt_leaves_the_planning_alone() -> None:
    dog, hand = halt("KR", kind=HaltKind.WATCHDOG), halt("KRW", kind=HaltKind.OPERATOR)
    assert planning_stopped_by([dog, hand], group="KR", currency=Currency.KRW) == (hand,)


def test_a_deployment_is_paused_until_its_last_switch_restored_it() -> None:
    again = make_switch(at=AT + timedelta(hours=2), halts=("halt-3",))
    restored = make_switch(action=SwitchAction.RESTORED, at=AT + timedelta(hours=1), halts=())
    other = make_switch(deployment_id="another")
    assert paused_deployments([make_switch(), other, restored]) == (other,)
    assert set(paused_deployments([make_switch(), other, restored, again])) == {again, other}
