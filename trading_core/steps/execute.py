"""Carry out what a tick wants: journal first, then send each order exactly once.

The broker takes no order id of ours, so the protocol is: the intent is committed before anything
leaves; under the account's order lock ``sending`` is committed with the order numbers the broker
already knows; one POST, never repeated by any layer; then its answer is committed. A lost answer
leaves ``unknown``, and only the broker's own book settles that (``steps.reconcile``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from trading_core.errors import (
    BrokerUnavailable,
    CircuitBreakerTripped,
    NotOffered,
    OrderOutcomeUnknown,
    OrderRejected,
    RateLimited,
    TokenExpired,
)
from trading_core.model.journal import Halt, HaltKind
from trading_core.model.market import MarketGroup
from trading_core.model.order import (
    ApprovedOrder,
    BrokerOrder,
    OrderEvent,
    OrderIntent,
    OrderRecord,
    OrderState,
    RefusalCode,
)
from trading_core.ports import Broker, OrderLock, Record, Store
from trading_core.rules import risk
from trading_core.rules.order_life import event, known_numbers_note
from trading_core.steps.desk import Verdict
from trading_core.steps.reconcile import Books
from trading_core.steps.tick import CANCELLABLE, TickPlan


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
        CircuitBreakerTripped: as :func:`send`.
    """
    sent: list[Sent] = []
    for order in plan.approved:
        known = {*books.known_numbers, *(item.order_no for item in sent)} - {""}
        sent.append(
            await send(
                broker, store, lock, order, group=books.group, known_numbers=known, at=plan.at
            )
        )
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

    Raises:
        CircuitBreakerTripped: an entry met a stored breaker halt on its way out.
    """
    with lock.hold():
        stopped = _claim(store, order, group=group, known_numbers=known_numbers, at=at)
        if stopped is not None:
            return stopped
        answer = await _post(broker, order, at)
        with store.write() as tx:
            record = _record(tx.orders(group, order.intent.session), order.intent)
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
        orders = tx.orders(group, intent.session)
        record = _record(orders, intent)
        if record.state is not OrderState.INTENDED:
            return Sent(order, record.state, record.order_no, detail="was dealt with before")
        halts = risk.halts_for(tx.open_halts(), group=group, currency=intent.currency)
        unsettled = tx.unsettled_orders(group)
        stop = _late_refusal(order, orders, unsettled, halts, known_numbers)
        if stop is None:
            claimed = {other.order_no for other in orders} - {""}
            note = known_numbers_note(claimed | set(known_numbers))
            tx.append([event(record, OrderState.SENDING, at, note=note)])
            return None
        code, note = stop
        tx.append([event(record, OrderState.REFUSED, at, code=code.value, note=note)])
    tripped = [halt for halt in halts if halt.kind is HaltKind.BREAKER]
    if code is RefusalCode.HALTED and tripped:
        raise CircuitBreakerTripped(tripped[0].reason)
    return Sent(order, OrderState.REFUSED, code=code.value, detail=note)


def _late_refusal(
    order: ApprovedOrder,
    orders: Sequence[OrderRecord],
    unsettled: Sequence[OrderRecord],
    halts: Sequence[Halt],
    known_numbers: Collection[str],
) -> tuple[RefusalCode, str] | None:
    """What may have changed since the risk gate, looked at under the order lock.

    Two runs may have decided the same thing at the same moment; only the first to get here sends.
    """
    intent = order.intent
    # Whoever sends holds the lock, so "sending" was left behind by a sender that died.
    if any(record.state in (OrderState.SENDING, OrderState.UNKNOWN) for record in unsettled):
        return RefusalCode.UNKNOWN_ORDER, "an order's fate is unknown; nothing else is sent"
    others = [
        record
        for record in orders
        if record.intent.intent_id != intent.intent_id
        and record.intent.instrument.symbol == intent.instrument.symbol
        and record.intent.side is intent.side
    ]
    if any(record.state.is_working for record in others):
        return RefusalCode.ALREADY_WORKING, f"a {intent.side} order is working"
    if any(record.order_no and record.order_no not in known_numbers for record in others):
        return RefusalCode.ALREADY_WORKING, f"a {intent.side} order went out since the decision"
    if not intent.reason.is_entry:
        return None
    if halts:
        return RefusalCode.HALTED, halts[0].reason
    if any(record.filled_quantity for record in others):
        return RefusalCode.REENTRY, "had its entry in this session"
    return None


@dataclass(frozen=True, slots=True)
class _Answer:
    state: OrderState
    order_no: str = ""
    branch_no: str = ""
    code: str = ""
    note: str = ""


async def _post(broker: Broker, order: ApprovedOrder, at: datetime) -> _Answer:
    try:
        ack = await broker.submit(order)
    except (OrderRejected, NotOffered) as error:
        return _Answer(OrderState.REJECTED, code=error.code, note=str(error))
    except (RateLimited, TokenExpired, BrokerUnavailable) as error:
        # The broker says it took nothing, or nothing ever left this machine.
        return _Answer(OrderState.NOT_SENT, code=error.code, note=str(error))
    except OrderOutcomeUnknown as error:
        return _Answer(OrderState.UNKNOWN, code=error.code, note=str(error))
    return _Answer(OrderState.ACCEPTED, ack.order_no, ack.branch_no)


def _record(orders: Sequence[OrderRecord], intent: OrderIntent) -> OrderRecord:
    return next(r for r in orders if r.intent.intent_id == intent.intent_id)


async def cancel_all(
    broker: Broker, store: Store, lock: OrderLock, books: Books, plan: TickPlan
) -> None:
    """Cancel the working orders a plan gives up, those the broker's book shows."""
    for record in plan.cancels:
        row = books.row(record)
        if row is not None and row.is_open:
            await cancel(broker, store, lock, record, row, at=plan.at)


async def cancel(
    broker: Broker,
    store: Store,
    lock: OrderLock,
    record: OrderRecord,
    row: BrokerOrder,
    *,
    at: datetime,
) -> OrderState:
    """Ask the broker to cancel what remains of an order; a fill may still win the race.

    An order that another run has settled meanwhile is left alone.
    """
    intent = record.intent
    group, session = intent.instrument.market.group, intent.session
    with lock.hold():
        with store.write() as tx:
            now = _record(tx.orders(group, session), intent)
            if now.state not in CANCELLABLE:
                return now.state
            tx.append([event(now, OrderState.CANCEL_REQUESTED, at, note="cancel asked for")])
        try:
            await broker.cancel(row)
        except (OrderRejected, NotOffered, RateLimited, TokenExpired, BrokerUnavailable) as error:
            note = f"cancel not taken: {error}"
            with store.write() as tx:
                now = _record(tx.orders(group, session), intent)
                if now.state is not OrderState.CANCEL_REQUESTED:
                    return now.state
                back = OrderState.PARTIALLY_FILLED if now.filled_quantity else OrderState.ACCEPTED
                tx.append([event(now, back, at, code=error.code, note=note)])
            return back
        except OrderOutcomeUnknown:
            # Harmless to leave open: the next tick reads the book, and asks again if it must.
            return OrderState.CANCEL_REQUESTED
    return OrderState.CANCEL_REQUESTED
