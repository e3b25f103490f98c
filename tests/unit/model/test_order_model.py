"""The order's life as a table, and the identity of intents."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from tests.record_factories import AT, SESSION, make_event, make_intent, make_order_life
from trading_core.model.order import (
    TRANSITIONS,
    IntentReason,
    OrderIntent,
    OrderRecord,
    OrderState,
    OrderType,
    Side,
)

S = OrderState
FINAL = {S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED, S.NOT_SENT, S.REFUSED}
MAY_FILL = {S.SENDING, S.UNKNOWN, S.ACCEPTED, S.PARTIALLY_FILLED, S.CANCEL_REQUESTED}


def make_id(**changes: object) -> str:
    values: dict[str, object] = {
        "market": "KR",
        "session": SESSION,
        "at": AT,
        "symbol": "005930",
        "side": Side.BUY,
        "decision_id": "d1",
    }
    return OrderIntent.make_id(**(values | changes))  # type: ignore[arg-type]


def reachable(start: OrderState, *, without: frozenset[OrderState]) -> set[OrderState]:
    seen, todo = {start}, [start]
    while todo:
        for after in TRANSITIONS[todo.pop()] - without - seen:
            seen.add(after)
            todo.append(after)
    return seen


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(OrderState)


@pytest.mark.parametrize("state", list(OrderState))
def test_a_state_is_final_or_may_go_on(state: OrderState) -> None:
    assert state.is_final is (state in FINAL)
    assert state.is_working is (state in MAY_FILL)


def test_nothing_follows_a_final_state() -> None:
    assert all(not TRANSITIONS[state] for state in FINAL)


def test_only_the_wish_can_become_a_sending_so_no_order_is_sent_twice() -> None:
    before = {state for state, after in TRANSITIONS.items() if S.SENDING in after}
    assert before == {S.INTENDED}
    assert S.INTENDED not in {after for row in TRANSITIONS.values() for after in row}


def test_no_order_is_filled_that_was_not_sent() -> None:
    never_sent = reachable(S.INTENDED, without=frozenset({S.SENDING}))
    assert never_sent == {S.INTENDED, S.NOT_SENT, S.REFUSED}


def test_what_the_broker_accepted_can_no_longer_be_called_not_sent_or_unknown() -> None:
    assert reachable(S.ACCEPTED, without=frozenset()) & {S.NOT_SENT, S.UNKNOWN, S.SENDING} == set()


def test_a_sent_order_can_end_in_every_way_but_a_refusal_by_our_own_gate() -> None:
    assert reachable(S.SENDING, without=frozenset()) >= FINAL - {S.REFUSED}
    assert S.REFUSED not in reachable(S.SENDING, without=frozenset())


def test_an_order_with_fills_cannot_become_rejected() -> None:
    assert S.REJECTED not in TRANSITIONS[S.PARTIALLY_FILLED]


def test_a_cancel_may_lose_against_a_fill_a_rejection_or_the_close() -> None:
    assert TRANSITIONS[S.CANCEL_REQUESTED] >= {
        S.FILLED, S.PARTIALLY_FILLED, S.ACCEPTED, S.REJECTED, S.EXPIRED, S.CANCELLED,
    }  # fmt: skip


def test_the_same_wish_has_the_same_id_and_any_other_wish_another() -> None:
    assert make_id() == make_id()
    others = [
        make_id(market="US"),
        make_id(session=SESSION + timedelta(days=1)),
        make_id(at=AT + timedelta(seconds=1)),
        make_id(symbol="000660"),
        make_id(side=Side.SELL),
        make_id(decision_id="d2"),
    ]
    assert len({make_id(), *others}) == 7


def test_the_id_stays_the_same_across_runs_of_the_program() -> None:
    assert make_id() == "264a17370c37313ef963cdee7a310517"


def test_the_amount_of_an_order_is_taken_at_its_limit_or_at_the_price_decided_on() -> None:
    intent = make_intent(quantity=3, limit_price=D("10.5"), decided_price=D(10))
    assert intent.notional == D("31.5")
    at_market = replace(intent, order_type=OrderType.MARKET, limit_price=None)
    assert at_market.notional == 30


def test_only_an_entry_is_an_entry() -> None:
    assert [reason for reason in IntentReason if reason.is_entry] == [IntentReason.ENTRY]


def test_a_record_knows_the_newest_number_the_broker_named() -> None:
    events = tuple(make_order_life(S.INTENDED, S.SENDING))
    record = OrderRecord(make_intent(), S.SENDING, events)
    assert (record.order_no, record.branch_no, record.next_sequence) == ("", "", 2)
    accepted = make_event(sequence=2, state=S.ACCEPTED, order_no="17", branch_no="06010")
    asked = make_event(sequence=3, state=S.CANCEL_REQUESTED)
    record = OrderRecord(make_intent(), S.CANCEL_REQUESTED, (*events, accepted, asked))
    assert (record.order_no, record.branch_no, record.next_sequence) == ("17", "06010", 4)
    assert asked.event_id == "intent-1:3"
