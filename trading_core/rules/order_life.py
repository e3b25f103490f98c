"""What the broker's book says about our orders, turned into events and fills.

The broker takes no order id of ours. An order whose answer was lost is found again by what it is
(symbol, side, quantity, price) among the order numbers nobody claims and that were not there
before it was sent. Two candidates are never guessed between.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from trading_core.model.order import (
    BrokerOrder,
    Fill,
    NoticeKind,
    OrderEvent,
    OrderNotice,
    OrderRecord,
    OrderState,
)
from trading_core.rules.costs import trade_costs

GRACE = timedelta(seconds=60)
LOOKS = 2
KNOWN_PREFIX = "known:"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What to append for one order. ``ambiguous`` names the numbers nobody can choose between."""

    events: tuple[OrderEvent, ...] = ()
    fill: Fill | None = None
    ambiguous: tuple[str, ...] = ()


def known_numbers_note(numbers: Collection[str]) -> str:
    """The note of a ``sending`` event: order numbers that were in the broker's book before it."""
    return KNOWN_PREFIX + ",".join(sorted(numbers))


def event(record: OrderRecord, state: OrderState, at: datetime, **fields: str) -> OrderEvent:
    """The next event of an order."""
    return OrderEvent(record.intent.intent_id, record.next_sequence, state, at, **fields)


def settle(
    record: OrderRecord,
    book: Sequence[BrokerOrder],
    *,
    claimed: Collection[str],
    at: datetime,
    session_over: bool,
    krw_rate: Decimal | None = None,
) -> Settlement:
    """Compare one unsettled order with the broker's book of its session.

    Args:
        record: An order whose state is not final.
        book: Every order of the record's session, as the broker shows it.
        claimed: Order numbers that belong to other orders of ours.
        at: Now, aware UTC.
        session_over: The order's session has closed, so what is not filled never will be.
        krw_rate: Won for one unit of the order's currency, kept with what was filled.
    """
    if record.state is OrderState.INTENDED:
        return Settlement((event(record, OrderState.NOT_SENT, at, note="never left the house"),))
    if record.state.is_unsure:
        return _settle_unknown(
            record, book, claimed=claimed, at=at, session_over=session_over, krw_rate=krw_rate
        )
    row = next((row for row in book if row.order_no == record.order_no), None)
    if row is None:
        if session_over:
            return Settlement(
                (event(record, OrderState.EXPIRED, at, note="session over, not in the book"),)
            )
        return Settlement()
    return _follow(record, row, at=at, session_over=session_over, krw_rate=krw_rate)


def _settle_unknown(
    record: OrderRecord,
    book: Sequence[BrokerOrder],
    *,
    claimed: Collection[str],
    at: datetime,
    session_over: bool,
    krw_rate: Decimal | None,
) -> Settlement:
    candidates = [row for row in book if _could_be(record, row) and row.order_no not in claimed]
    if len(candidates) > 1:
        return Settlement(ambiguous=tuple(row.order_no for row in candidates))
    if candidates:
        row = candidates[0]
        first: tuple[OrderEvent, ...] = ()
        if record.state is OrderState.SENDING:
            # The sender died between the send and the answer.
            first = (event(record, OrderState.UNKNOWN, at, note="no answer was recorded"),)
        found = OrderEvent(
            record.intent.intent_id,
            record.next_sequence + len(first),
            OrderState.ACCEPTED,
            at,
            order_no=row.order_no,
            branch_no=row.branch_no,
            note="found in the broker's book",
        )
        seen = OrderRecord(
            record.intent,
            OrderState.ACCEPTED,
            (*record.events, *first, found),
            record.filled_quantity,
            record.filled_amount,
        )
        rest = _follow(seen, row, at=at, session_over=session_over, krw_rate=krw_rate)
        return Settlement((*first, found, *rest.events), rest.fill)
    if record.state is OrderState.SENDING:
        return Settlement((event(record, OrderState.UNKNOWN, at, note="no answer was recorded"),))
    since = next(item.at for item in record.events if item.state is OrderState.UNKNOWN)
    looks = sum(item.state is OrderState.UNKNOWN for item in record.events)
    if looks >= LOOKS and at - since >= GRACE:
        return Settlement(
            (event(record, OrderState.NOT_SENT, at, note=f"looked for {looks} times, not there"),)
        )
    return Settlement((event(record, OrderState.UNKNOWN, at, note="not in the broker's book"),))


def _could_be(record: OrderRecord, row: BrokerOrder) -> bool:
    intent = record.intent
    return (
        not row.original_no
        and row.instrument.symbol == intent.instrument.symbol
        and row.side is intent.side
        and row.quantity == intent.quantity
        and (row.limit_price or None) == intent.limit_price
        and row.order_no not in _known_before(record)
    )


def _known_before(record: OrderRecord) -> frozenset[str]:
    for item in record.events:
        if item.state is OrderState.SENDING and item.note.startswith(KNOWN_PREFIX):
            return frozenset(filter(None, item.note.removeprefix(KNOWN_PREFIX).split(",")))
    return frozenset()


def _follow(
    record: OrderRecord,
    row: BrokerOrder,
    *,
    at: datetime,
    session_over: bool,
    krw_rate: Decimal | None,
) -> Settlement:
    fill = fill_of_row(record, row, at=at, krw_rate=krw_rate)
    state = _state_of(record, row, session_over=session_over)
    if state is record.state and fill is None:
        return Settlement()
    note = f"{row.filled_quantity} of {row.quantity} filled"
    return Settlement((event(record, state, at, order_no=row.order_no, note=note),), fill)


def _state_of(record: OrderRecord, row: BrokerOrder, *, session_over: bool) -> OrderState:
    # A book may lag behind what it has shown before; a fill that was seen stays a fill.
    filled = max(row.filled_quantity, record.filled_quantity)
    if filled >= row.quantity:
        return OrderState.FILLED
    if row.remaining_quantity > 0 and not session_over:
        if record.state is OrderState.CANCEL_REQUESTED:
            return OrderState.CANCEL_REQUESTED
        return OrderState.PARTIALLY_FILLED if filled else OrderState.ACCEPTED
    if row.rejected_quantity and not filled:
        return OrderState.REJECTED
    if session_over and record.state is not OrderState.CANCEL_REQUESTED:
        return OrderState.EXPIRED
    return OrderState.CANCELLED


def fill_of_row(
    record: OrderRecord,
    row: BrokerOrder,
    *,
    at: datetime,
    krw_rate: Decimal | None = None,
) -> Fill | None:
    """What the broker's book shows as filled of an order and we do not know of, if anything."""
    return _growth(
        record, row.order_no, row.filled_quantity, row.filled_amount, at=at, krw_rate=krw_rate
    )


def fill_of_notice(
    record: OrderRecord, notice: OrderNotice, *, krw_rate: Decimal | None = None
) -> Fill | None:
    """The fill that a notice of one execution tells of, as the next look at the book would.

    The notice must be the first execution since ``record``: notices carry no number of their own,
    so one that comes twice cannot be told from a second execution of the same size, unless the
    order would be overfilled. The broker's book corrects that.

    Returns:
        None when the notice is of another order, tells of no execution, or of more shares than
        the order has left.
    """
    intent = record.intent
    if (
        notice.kind is not NoticeKind.FILLED
        or notice.price is None
        or not record.order_no
        or notice.order_no != record.order_no
        or notice.instrument != intent.instrument
        or notice.side is not intent.side
    ):
        return None
    quantity = record.filled_quantity + notice.quantity
    if quantity > intent.quantity:
        return None
    amount = record.filled_amount + notice.quantity * notice.price
    return _growth(record, notice.order_no, quantity, amount, at=notice.at, krw_rate=krw_rate)


def _growth(
    record: OrderRecord,
    order_no: str,
    filled_quantity: int,
    filled_amount: Decimal,
    *,
    at: datetime,
    krw_rate: Decimal | None,
) -> Fill | None:
    """The growth of the order's filled total since the last look, with its share of the costs."""
    quantity = filled_quantity - record.filled_quantity
    if quantity <= 0:
        return None
    intent = record.intent
    amount = filled_amount - record.filled_amount

    def costs(total: Decimal, shares: int) -> tuple[Decimal, Decimal]:
        if shares == 0:
            return Decimal(0), Decimal(0)
        sums = trade_costs(
            intent.instrument.market,
            intent.side,
            total,
            intent.session,
            quantity=shares,
            etf=intent.instrument.is_fund,
        )
        return sums.fee, sums.tax

    fee_now, tax_now = costs(filled_amount, filled_quantity)
    fee_before, tax_before = costs(record.filled_amount, record.filled_quantity)
    return Fill(
        fill_id=f"{intent.intent_id}:{filled_quantity}",
        intent_id=intent.intent_id,
        order_no=order_no,
        instrument=intent.instrument,
        session=intent.session,
        side=intent.side,
        quantity=quantity,
        price=amount / quantity,
        amount=amount,
        fee=fee_now - fee_before,
        tax=tax_now - tax_before,
        currency=intent.currency,
        filled_at=at,
        krw_rate=krw_rate,
    )
