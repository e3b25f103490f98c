"""How exits behaved."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from tests.record_factories import (
    AT,
    MINUTE,
    SAMSUNG,
    SESSION,
    make_fill,
    make_intent,
    make_protection,
)
from trading_core.model.market import Currency
from trading_core.model.order import IntentReason, OrderRecord, OrderState, Side
from trading_core.model.portfolio import PositionOrigin, Protection
from trading_core.rules.positions import ClosedTrade
from trading_core.rules.stop_review import ExitOutcome, exit_outcomes, stop_summary

SOLD_AT = AT + 30 * MINUTE


def guard(**changes: Any) -> dict[str, Protection]:
    values = {"stop_loss_pct": -3.0, "opened_at": AT} | changes
    return {"005930": make_protection(**values).protection}


def trade(proceeds: int = 96, **changes: Any) -> ClosedTrade:
    values: dict[str, Any] = {
        "closing_id": "fill-9",
        "intent_id": "exit",
        "origin": PositionOrigin.STRATEGY,
        "instrument": SAMSUNG,
        "session": SESSION,
        "quantity": 1,
        "proceeds": D(proceeds),
        "cost": D(100),
        "entry_costs": D(1),
        "exit_costs": D(1),
        "currency": Currency.KRW,
        "closed_at": SOLD_AT,
    }
    return ClosedTrade(**(values | changes))


def leave(reason: IntentReason = IntentReason.HARD_STOP) -> OrderRecord:
    intent = make_intent(intent_id="exit", side=Side.SELL, reason=reason)
    return OrderRecord(intent, OrderState.FILLED, ())


def look(*trades: ClosedTrade, **guards: Any) -> tuple[ExitOutcome, ...]:
    bought = [make_fill(filled_at=AT), make_fill(fill_id="2", filled_at=AT + 10 * MINUTE)]
    later = make_fill(fill_id="3", filled_at=SOLD_AT + MINUTE)
    return exit_outcomes(trades or [trade()], [leave()], [*bought, later], guard(**guards))


def test_a_stop_knows_its_result_its_level_and_how_long_it_was_held() -> None:
    [found] = look()
    assert found.result_pct == pytest.approx(-4.0)
    assert found.overshoot_pct == pytest.approx(1.0)
    assert found.held == timedelta(minutes=20)
    assert found.is_stop


def test_a_stop_above_its_level_overshot_nothing() -> None:
    [found] = look(trade(98))
    assert found.overshoot_pct == 0.0


def test_the_level_of_a_later_position_is_not_taken_for_this_one() -> None:
    [found] = look(opened_at=SOLD_AT + MINUTE)
    assert (found.stop_pct, found.overshoot_pct) == (None, None)


def test_only_hard_stops_can_overshoot() -> None:
    [found] = exit_outcomes([trade()], [leave(IntentReason.TRAIL)], [], guard())
    assert (found.overshoot_pct, found.is_stop, found.held) == (None, True, None)


def test_adopted_shares_and_sales_by_hand_are_left_out() -> None:
    assert look(trade(origin=PositionOrigin.ADOPTED), trade(intent_id="")) == ()


def test_the_summary_counts_reasons_and_names_the_worst() -> None:
    found = stop_summary(look(trade(98), trade(90)))
    assert found["exits"] == {"hard_stop": 2}
    assert (found["hard_stops"], found["worst_overshoot_pct"]) == (2, 7.0)
    assert stop_summary(())["worst_symbol"] is None
