"""What execution cost against the price that was decided on."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from tests.record_factories import AT, MINUTE, make_event, make_fill, make_intent
from trading_core.model.order import Fill, OrderRecord, OrderState, Side
from trading_core.rules.slippage import fill_costs, slippage_summary


def order(name: str = "intent-1", side: Side = Side.BUY, decided: int = 1000) -> OrderRecord:
    intent = make_intent(intent_id=name, side=side, decided_price=D(decided))
    events = (
        make_event(intent_id=name),
        make_event(intent_id=name, sequence=1, state=OrderState.SENDING),
        make_event(intent_id=name, sequence=2, state=OrderState.ACCEPTED, at=AT + MINUTE),
    )
    return OrderRecord(intent, OrderState.FILLED, events)


def fill(price: str, quantity: int = 10, name: str = "intent-1", side: Side = Side.BUY) -> Fill:
    return make_fill(
        fill_id=f"{name}-{price}",
        intent_id=name,
        side=side,
        quantity=quantity,
        price=D(price),
        filled_at=AT + 2 * MINUTE,
    )


@pytest.mark.parametrize(
    ("side", "price", "bps"),
    [
        (Side.BUY, "1001", 10.0),
        (Side.BUY, "999", -10.0),
        (Side.SELL, "999", 10.0),
        (Side.SELL, "1001", -10.0),
        (Side.BUY, "1000", 0.0),
    ],
)
def test_a_worse_price_is_a_cost_on_either_side(side: Side, price: str, bps: float) -> None:
    [cost] = fill_costs([order(side=side)], [fill(price, side=side)])
    assert cost.cost_bps == pytest.approx(bps)
    assert cost.cost == D(bps) * 10 / 10


def test_an_order_that_filled_in_parts_is_judged_by_its_average() -> None:
    [cost] = fill_costs([order()], [fill("1000", 30), fill("1004", 10)])
    assert (cost.quantity, cost.price, cost.cost) == (40, D(1001), D(40))
    assert cost.cost_bps == pytest.approx(10.0)


def test_delays_are_counted_from_the_decision() -> None:
    [cost] = fill_costs([order()], [fill("1000")])
    assert (cost.accepted_after, cost.filled_after) == (60.0, 120.0)


def test_an_order_without_a_fill_or_a_decided_price_has_no_cost() -> None:
    assert fill_costs([order()], []) == ()
    assert fill_costs([order(decided=0)], [fill("1000")]) == ()


def test_the_summary_weighs_orders_by_their_amount() -> None:
    orders = [order("a"), order("b"), order("c", Side.SELL)]
    fills = [
        fill("1010", 10, "a"),
        fill("1000", 90, "b"),
        fill("995", 10, "c", Side.SELL),
    ]
    found = slippage_summary(fill_costs(orders, fills))
    assert found["BUY"]["orders"] == 2
    assert found["BUY"]["cost_bps"] == 10.0
    assert (found["BUY"]["worst_bps"], found["BUY"]["cost"]) == (100.0, "100")
    assert found["SELL"]["cost_bps"] == 50.0
    assert slippage_summary(()) == {}
