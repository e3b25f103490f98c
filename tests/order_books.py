"""Rows of a broker's book and the record that grows out of settling against them.

``from tests.order_books import make_row, make_record, grow``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.record_factories import AT, make_event, make_intent
from trading_core.model.order import (
    TRANSITIONS,
    BrokerOrder,
    Fill,
    OrderEvent,
    OrderIntent,
    OrderRecord,
    OrderState,
)
from trading_core.rules.order_life import Settlement, known_numbers_note

NUMBER = "0000117057"
S = OrderState

# The shortest way our own program brings an order to each state that is not final.
WAYS: dict[OrderState, tuple[OrderState, ...]] = {
    S.INTENDED: (S.INTENDED,),
    S.SENDING: (S.INTENDED, S.SENDING),
    S.UNKNOWN: (S.INTENDED, S.SENDING, S.UNKNOWN),
    S.ACCEPTED: (S.INTENDED, S.SENDING, S.ACCEPTED),
    S.PARTIALLY_FILLED: (S.INTENDED, S.SENDING, S.ACCEPTED, S.PARTIALLY_FILLED),
    S.CANCEL_REQUESTED: (S.INTENDED, S.SENDING, S.ACCEPTED, S.CANCEL_REQUESTED),
}


def make_row(intent: OrderIntent | None = None, **changes: Any) -> BrokerOrder:
    """A row that shows ``intent`` as working; ``remaining_quantity`` is what nothing else took."""
    wanted = intent or make_intent()
    values: dict[str, Any] = {
        "order_no": NUMBER,
        "instrument": wanted.instrument,
        "side": wanted.side,
        "quantity": wanted.quantity,
        "filled_quantity": 0,
        "limit_price": wanted.limit_price,
        "currency": wanted.currency,
        "session": wanted.session,
        "ordered_at": AT,
        "cancelled_quantity": 0,
        "rejected_quantity": 0,
    } | changes
    price = values["limit_price"] or wanted.decided_price
    values.setdefault("filled_amount", values["filled_quantity"] * price)
    gone = sum(values[f"{name}_quantity"] for name in ("filled", "cancelled", "rejected"))
    values.setdefault("remaining_quantity", values["quantity"] - gone)
    return BrokerOrder(**values)


def make_record(
    state: OrderState,
    *,
    intent: OrderIntent | None = None,
    known: Sequence[str] = (),
    at: datetime = AT,
    filled_quantity: int = 0,
    filled_amount: Decimal | None = None,
) -> OrderRecord:
    """A record on the shortest way to ``state``, all at one moment."""
    wanted = intent or make_intent()
    events = []
    for sequence, step in enumerate(WAYS[state]):
        named = S.ACCEPTED in WAYS[state][: sequence + 1]
        events.append(
            make_event(
                intent_id=wanted.intent_id,
                sequence=sequence,
                state=step,
                at=at,
                order_no=NUMBER if named else "",
                note=known_numbers_note(known) if step is S.SENDING else "",
            )
        )
    price = wanted.limit_price or wanted.decided_price
    amount = filled_quantity * price if filled_amount is None else filled_amount
    return OrderRecord(wanted, state, tuple(events), filled_quantity, amount)


def with_events(record: OrderRecord, *events: OrderEvent) -> OrderRecord:
    """The record after these events; fails when one may not follow."""
    for event in events:
        assert event.intent_id == record.intent.intent_id
        assert event.sequence == record.next_sequence, event
        assert event.state in TRANSITIONS[record.state], f"{event.state} after {record.state}"
        record = OrderRecord(
            record.intent,
            event.state,
            (*record.events, event),
            record.filled_quantity,
            record.filled_amount,
        )
    return record


def with_fill(record: OrderRecord, fill: Fill) -> OrderRecord:
    """The record after a fill, as a store counts it."""
    return OrderRecord(
        record.intent,
        record.state,
        record.events,
        record.filled_quantity + fill.quantity,
        record.filled_amount + fill.amount,
    )


def grow(record: OrderRecord, settlement: Settlement) -> OrderRecord:
    """The record after what was settled is appended; fails on what no store would take."""
    grown = with_events(record, *settlement.events)
    return with_fill(grown, settlement.fill) if settlement.fill else grown
