"""The invariants of orders and their fills; ``rules.invariants`` says each in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from trading_core.model.difference import Difference, DifferenceKind, Severity
from trading_core.model.order import BrokerOrder, OrderRecord, OrderState
from trading_core.rules.evidence import Evidence
from trading_core.rules.order_life import GRACE

STATE_GRACE = timedelta(minutes=5)
"""So long after it was sent an order must have a known state; it takes two looks to give one up."""

_K = DifferenceKind
_S = OrderState
_WITH_BROKER = frozenset({_S.ACCEPTED, _S.PARTIALLY_FILLED, _S.CANCEL_REQUESTED})


def _what(record: OrderRecord) -> str:
    intent = record.intent
    return f"{intent.side} {intent.quantity} {intent.instrument.symbol}"


def _row(row: BrokerOrder) -> str:
    price = "market" if row.limit_price is None else f"{row.limit_price:f}"
    return f"{row.side} {row.quantity} {row.instrument.symbol} at {price}"


def stray_fills(evidence: Evidence) -> Iterator[Difference]:
    intents = {record.intent.intent_id: record.intent for record in evidence.orders}
    for fill in evidence.fills:
        intent = intents.get(fill.intent_id)
        if intent is not None and (intent.instrument, intent.side) == (fill.instrument, fill.side):
            continue
        yield evidence.difference(
            _K.STRAY_FILL,
            fill.fill_id,
            expected="an order of ours"
            if intent is None
            else f"{intent.side} of {intent.instrument.symbol}",
            found=f"a fill of {fill.side} {fill.quantity} {fill.instrument.symbol}",
            severity=Severity.CRITICAL,
        )


def overfilled(evidence: Evidence) -> Iterator[Difference]:
    for record in evidence.orders:
        more = record.filled_quantity - record.intent.quantity
        if more > 0:
            yield evidence.difference(
                _K.OVERFILLED,
                record.intent.intent_id,
                expected=f"at most {record.intent.quantity} shares",
                found=f"{record.filled_quantity} filled of {_what(record)}",
                severity=Severity.CRITICAL,
                amount=Decimal(more),
            )


def shared_numbers(evidence: Evidence) -> Iterator[Difference]:
    claims = Counter((r.intent.session, r.order_no) for r in evidence.orders if r.order_no)
    for (session, number), count in claims.items():
        if count > 1:
            yield evidence.difference(
                _K.SHARED_NUMBER,
                f"{session} {number}",
                expected="one order",
                found=f"{count} orders claim it",
                severity=Severity.CRITICAL,
            )


def fills_differ(evidence: Evidence) -> Iterator[Difference]:
    for fill in evidence.late_fills:
        yield evidence.difference(
            _K.FILLS_DIFFER,
            fill.fill_id,
            subject=fill.intent_id,
            expected="no further fill",
            found=f"{fill.quantity} more of {fill.instrument.symbol}",
            repaired_by=fill.fill_id,
            amount=Decimal(fill.quantity),
        )
    rows = {(row.session, row.order_no): row for row in evidence.book}
    for record in evidence.orders:
        if not record.state.is_final or record.filled_quantity > record.intent.quantity:
            continue
        row = rows.get((record.intent.session, record.order_no))
        if row is not None:
            told, where = row.filled_quantity, "at the broker"
        elif record.state is _S.FILLED:
            told, where = record.intent.quantity, "by its state"
        else:
            continue
        # The book may lag behind what it has shown before.
        if told == record.filled_quantity or evidence.at - record.events[-1].at < GRACE:
            continue
        yield evidence.difference(
            _K.FILLS_DIFFER,
            f"{record.intent.intent_id}:{told}",
            subject=record.intent.intent_id,
            expected=f"{record.filled_quantity} filled of {_what(record)}",
            found=f"{told} {where}",
            amount=Decimal(told - record.filled_quantity),
        )


def no_state(evidence: Evidence) -> Iterator[Difference]:
    for record in evidence.orders:
        if not record.state.is_unsure:
            continue
        sent = next((e.at for e in record.events if e.state is _S.SENDING), record.events[0].at)
        if evidence.at - sent > STATE_GRACE:
            yield evidence.difference(
                _K.NO_STATE,
                record.intent.intent_id,
                expected=f"a known state of {_what(record)}",
                found=f"none since {sent:%Y-%m-%d %H:%M:%S} UTC",
            )


def answers_lost(evidence: Evidence) -> Iterator[Difference]:
    for record in evidence.settled:
        found = f"accepted as {record.order_no}" if record.order_no else "never taken"
        yield evidence.difference(
            _K.ANSWER_LOST,
            record.intent.intent_id,
            expected=f"an answer to {_what(record)}",
            found=f"{found}, by the broker's book",
            severity=Severity.INFO,
            repaired_by=record.events[-1].event_id,
        )


def not_in_book(evidence: Evidence) -> Iterator[Difference]:
    shown = {(row.session, row.order_no) for row in evidence.book}
    for record in evidence.orders:
        if record.state not in _WITH_BROKER or record.intent.session != evidence.session:
            continue
        if (record.intent.session, record.order_no) in shown:
            continue
        taken = next(e.at for e in record.events if e.order_no)
        if evidence.at - taken >= GRACE:
            yield evidence.difference(
                _K.NOT_IN_BOOK,
                record.order_no,
                expected=f"{_what(record)} in the broker's book",
                found="nothing under this number",
            )


def foreign_orders(evidence: Evidence) -> Iterator[Difference]:
    foreign = evidence.foreign
    given_up = {
        (r.intent.instrument.symbol, r.intent.side, r.intent.quantity): r.intent.intent_id
        for r in (evidence.orders if foreign else ())
        if r.state is _S.NOT_SENT and r.next_sequence > 2 and r.intent.session == evidence.session
    }
    for row in foreign:
        like = given_up.get((row.instrument.symbol, row.side, row.quantity))
        yield evidence.difference(
            _K.FOREIGN_ORDER,
            row.order_no,
            expected=f"nothing; {like} of this kind was given up as not sent"
            if like
            else "an order of ours, or nothing",
            found=f"{_row(row)}, placed by hand or by another program",
            severity=Severity.CRITICAL if like else Severity.WARNING,
        )
