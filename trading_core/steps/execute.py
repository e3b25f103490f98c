"""Carry out what a tick wants: journal first, then send each order exactly once.

The broker takes no order id of ours, so the protocol is: the intent is committed before anything
leaves; under the account's order lock ``sending`` is committed with the order numbers the broker
already knows; one POST, never repeated by any layer; then its answer is committed. A lost answer
leaves ``unknown``, and only the broker's own book settles that (``steps.reconcile``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from trading_core.errors import (
    BrokerUnavailable,
    CircuitBreakerTripped,
    NotOffered,
    OrderOutcomeUnknown,
    OrderRejected,
    OrdersClosed,
    RateLimited,
    TokenExpired,
)
from trading_core.model.journal import HaltKind
from trading_core.model.market import MarketGroup
from trading_core.model.order import (
    ApprovedOrder,
    BrokerOrder,
    OrderAck,
    OrderEvent,
    OrderIntent,
    OrderRecord,
    OrderState,
    RefusalCode,
)
from trading_core.ports import Broker, OrderLock, Record, Store, StoreReader
from trading_core.rules import risk
from trading_core.rules.last_look import late_refusal
from trading_core.rules.order_life import event, known_numbers_note
from trading_core.steps.desk import Verdict
from trading_core.steps.reconcile import Books
from trading_core.steps.tick import TickPlan
from trading_core.steps.unfilled import CANCELLABLE

logger = logging.getLogger(__name__)

_NOT_TAKEN = (
    OrderRejected,
    NotOffered,
    OrdersClosed,
    RateLimited,
    TokenExpired,
    BrokerUnavailable,
)
"""After any of these a cancel has changed nothing."""


@dataclass(frozen=True, slots=True)
class Sent:
    """How one approved order ended up right after it was sent (or was not)."""

    order: ApprovedOrder
    state: OrderState
    order_no: str = ""
    code: str = ""
    detail: str = ""


def journal(store: Store, plan: TickPlan) -> None:
    """Commit everything a tick decided, before any of it is acted on."""
    records: list[Record] = [*plan.observations, *plan.matches, *plan.halts, *plan.guards]
    for verdict in plan.verdicts:
        records += _verdict_records(verdict)
    with store.write() as tx:
        tx.append(records)


def _verdict_records(verdict: Verdict) -> Iterable[Record]:
    yield verdict.decision
    gate = verdict.gate
    if gate is None:
        return
    yield gate.intent
    if isinstance(gate, ApprovedOrder):
        yield OrderEvent(gate.intent.intent_id, 0, OrderState.INTENDED, gate.approved_at)
    else:
        yield OrderEvent(
            gate.intent.intent_id,
            0,
            OrderState.REFUSED,
            gate.refused_at,
            code=gate.code.value,
            note=gate.detail,
        )


async def send_all(
    broker: Broker, store: Store, lock: OrderLock, books: Books, plan: TickPlan
) -> tuple[Sent, ...]:
    """Send every approved order of a plan, one after the other, exits first.

    Once the fate of one is unknown nothing else is sent for the account.

    Raises:
        CircuitBreakerTripped: as :func:`send`; ``sent`` of it is what went out before.
    """
    sent: list[Sent] = []
    for order in plan.approved:
        known = {*books.known_numbers, *(item.order_no for item in sent)} - {""}
        try:
            one = await send(
                broker, store, lock, order, group=books.group, known_numbers=known, at=plan.at
            )
        except CircuitBreakerTripped as tripped:
            raise CircuitBreakerTripped(tripped.message, tuple(sent)) from None
        sent.append(one)
        if sent[-1].state is OrderState.UNKNOWN:
            break
    return tuple(sent)


async def send(
    broker: Broker,
    store: Store,
    lock: OrderLock,
    order: ApprovedOrder,
    *,
    group: MarketGroup,
    known_numbers: Collection[str],
    at: datetime,
) -> Sent:
    """Send one journaled order, exactly once.

    Running it again for the same intent sends nothing: only ``intended`` may become ``sending``.
    Cancelled while the broker has not answered, it leaves the request on its way, writes
    ``unknown`` and only then lets go of the lock.

    Raises:
        CircuitBreakerTripped: an entry met a stored breaker halt on its way out.
    """
    with lock.hold():
        stopped = _claim(store, order, group=group, known_numbers=known_numbers, at=at)
        if stopped is not None:
            return stopped
        answer = await _post(broker, order)
        with store.write() as tx:
            record = _record(tx, order.intent)
            # Another run may have found the order in the broker's book before its answer came.
            if not answer.order_no or answer.order_no != record.order_no:
                tx.append(
                    [
                        event(
                            record,
                            answer.state,
                            at,
                            order_no=answer.order_no,
                            branch_no=answer.branch_no,
                            code=answer.code,
                            note=answer.note,
                        )
                    ]
                )
        if answer.stopped is not None:
            raise answer.stopped
    return Sent(order, answer.state, answer.order_no, answer.code, answer.note)


def _claim(
    store: Store,
    order: ApprovedOrder,
    *,
    group: MarketGroup,
    known_numbers: Collection[str],
    at: datetime,
) -> Sent | None:
    """Commit ``sending``; or commit why the order must not leave, and answer that."""
    intent = order.intent
    with store.write() as tx:
        live = tx.live_orders(None, intent.session)
        orders = [
            other
            for other in live
            if other.intent.session == intent.session
            and other.intent.instrument.market.group is group
        ]
        record = next(r for r in orders if r.intent.intent_id == intent.intent_id)
        if record.state is not OrderState.INTENDED:
            return Sent(order, record.state, record.order_no, detail="was dealt with before")
        halts = risk.halts_for(tx.open_halts(), group=group, currency=intent.currency)
        stop = late_refusal(order, orders, live, halts, known_numbers)
        if stop is None:
            claimed = {other.order_no for other in orders} - {""}
            note = known_numbers_note(claimed | set(known_numbers))
            tx.append([event(record, OrderState.SENDING, at, note=note)])
            return None
        code, note = stop
        tx.append([event(record, OrderState.REFUSED, at, code=code.value, note=note)])
    tripped = [halt for halt in halts if halt.kind is HaltKind.BREAKER]
    if code is RefusalCode.HALTED and tripped and intent.reason.is_entry:
        raise CircuitBreakerTripped(tripped[0].reason)
    return Sent(order, OrderState.REFUSED, code=code.value, detail=note)


@dataclass(frozen=True, slots=True)
class _Answer:
    state: OrderState
    order_no: str = ""
    branch_no: str = ""
    code: str = ""
    note: str = ""
    stopped: asyncio.CancelledError | None = None


async def _post(broker: Broker, order: ApprovedOrder) -> _Answer:
    # A task of its own, which nobody cancels: half a request is worse than a slow one.
    request = asyncio.ensure_future(broker.submit(order))
    try:
        await asyncio.wait({request})
    except asyncio.CancelledError as stopped:
        if not request.done():
            _leave(request, order)
            note = "stopped before the broker answered"
            return _Answer(OrderState.UNKNOWN, note=note, stopped=stopped)
        return replace(_answer_of(request), stopped=stopped)
    return _answer_of(request)


_left: set[asyncio.Future[OrderAck]] = set()
"""Requests nobody waits for any more; the event loop itself would forget them."""


def _leave(request: asyncio.Future[OrderAck], order: ApprovedOrder) -> None:
    def ended(done: asyncio.Future[OrderAck]) -> None:
        _left.discard(done)
        if not done.cancelled():
            said = done.exception() or f"accepted as {done.result().order_no}"
            logger.warning("a late answer to order %s: %s", order.intent.intent_id, said)

    _left.add(request)
    request.add_done_callback(ended)


def _answer_of(request: asyncio.Future[OrderAck]) -> _Answer:
    try:
        ack = request.result()
    except (OrderRejected, NotOffered) as error:
        return _Answer(OrderState.REJECTED, code=error.code, note=str(error))
    except (OrdersClosed, RateLimited, TokenExpired, BrokerUnavailable) as error:
        # The broker says it took nothing, or nothing ever left this machine.
        return _Answer(OrderState.NOT_SENT, code=error.code, note=str(error))
    except OrderOutcomeUnknown as error:
        return _Answer(OrderState.UNKNOWN, code=error.code, note=str(error))
    return _Answer(OrderState.ACCEPTED, ack.order_no, ack.branch_no)


def _record(store: StoreReader, intent: OrderIntent) -> OrderRecord:
    record = store.order(intent.intent_id)
    assert record is not None, "an order that was journaled is never removed"
    return record


async def cancel_all(
    broker: Broker, store: Store, lock: OrderLock, books: Books, plan: TickPlan
) -> None:
    """Cancel the working orders a plan gives up, those the broker's book shows."""
    for given_up in plan.cancels:
        record, row = given_up.record, books.row(given_up.record)
        if row is not None and row.is_open:
            await cancel(broker, store, lock, record, row, at=plan.at, code=given_up.code)


async def cancel(
    broker: Broker,
    store: Store,
    lock: OrderLock,
    record: OrderRecord,
    row: BrokerOrder,
    *,
    at: datetime,
    code: str = "",
) -> OrderState:
    """Ask the broker to cancel what remains of an order; a fill may still win the race.

    An order that another run has settled meanwhile is left alone. ``code`` is written with the
    request; what is cancelled as ``unfilled`` is followed by another order (``rules.chase``).
    """
    intent = record.intent
    with lock.hold():
        with store.write() as tx:
            now = _record(tx, intent)
            if now.state not in CANCELLABLE:
                return now.state
            note = "cancel asked for"
            tx.append([event(now, OrderState.CANCEL_REQUESTED, at, code=code, note=note)])
        try:
            await broker.cancel(row)
        except _NOT_TAKEN as error:
            note = f"cancel not taken: {error}"
            with store.write() as tx:
                now = _record(tx, intent)
                if now.state is not OrderState.CANCEL_REQUESTED:
                    return now.state
                back = OrderState.PARTIALLY_FILLED if now.filled_quantity else OrderState.ACCEPTED
                tx.append([event(now, back, at, code=error.code, note=note)])
            return back
        except OrderOutcomeUnknown:
            # Harmless to leave open: the next tick reads the book, and asks again if it must.
            return OrderState.CANCEL_REQUESTED
    return OrderState.CANCEL_REQUESTED
