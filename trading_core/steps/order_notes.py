"""What a person is told of orders: accepted, filled, followed, given up, or gone wrong.

Accepted is not filled: each has a message of its own. The first line says what happened, the second
on what it stood: the company, how sure the decision was, and why it was taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from trading_core.model.difference import Severity
from trading_core.model.journal import Decision, Notification
from trading_core.model.notice import NotifyKind
from trading_core.model.order import (
    Fill,
    OrderIntent,
    OrderRecord,
    OrderState,
    RefusalCode,
    Side,
)
from trading_core.rules.chase import CancelCode
from trading_core.steps.execute import Sent
from trading_core.steps.tick import TickPlan

# The average of several executions may be a fraction without end.
_SHOWN = Decimal("0.0001")

_KINDS = {
    OrderState.ACCEPTED: NotifyKind.ORDER_ACCEPTED,
    OrderState.UNKNOWN: NotifyKind.ORDER_UNKNOWN,
    OrderState.REJECTED: NotifyKind.ORDER_REJECTED,
    OrderState.NOT_SENT: NotifyKind.ORDER_NOT_SENT,
}
"""Of everything else an order was stopped or dealt with before it could go out."""

Decided = Mapping[str, Decision]


def of_sent(
    sent: Iterable[Sent], at: datetime, decided: Decided | None = None
) -> list[Notification]:
    """Orders the broker accepted, refused, or whose fate is unknown. ``decided`` are the decisions
    behind them, by id."""
    return [
        of_order(item.order.intent, item.state, item.detail, at, decided or {}) for item in sent
    ]


def of_accepted(
    orders: Iterable[OrderRecord], at: datetime, decided: Decided | None = None
) -> list[Notification]:
    """Orders the broker accepted, of a session; for those a stopped run could not tell of."""
    return [
        of_order(record.intent, OrderState.ACCEPTED, "", at, decided or {})
        for record in orders
        if any(event.state is OrderState.ACCEPTED for event in record.events)
    ]


def of_fills(
    fills: Iterable[Fill], orders: Iterable[OrderRecord], decided: Decided
) -> list[Notification]:
    """Shares that changed hands, each told at the time it was seen."""
    intents = {record.intent.intent_id: record.intent for record in orders}
    return [_fill(fill, intents.get(fill.intent_id), decided) for fill in fills]


def of_unfilled(plan: TickPlan) -> list[Notification]:
    """Orders that waited too long and are cancelled, so that another one can take their place."""
    notes = []
    for cancel in plan.cancels:
        intent, chased = cancel.record.intent, cancel.record.intent.chases
        ends_here = intent.side is Side.BUY and chased
        if cancel.code is CancelCode.HALTED or ends_here:
            continue
        text = f"not filled in time: {what(intent)}, {cancel.record.filled_quantity} filled; "
        text += "the rest is cancelled and tried once more"
        notes.append(
            note(f"unfilled-{intent.intent_id}", plan.at, NotifyKind.UNFILLED, Severity.INFO, text)
        )
    return notes


def of_given_up(plan: TickPlan) -> list[Notification]:
    """Entries that end here: a chase that did not fill, or that may not go out."""
    ends = {
        cancel.record.intent.chases: f"{what(cancel.record.intent)} did not fill either"
        for cancel in plan.cancels
        if cancel.code is CancelCode.UNFILLED and cancel.record.intent.side is Side.BUY
    }
    ends |= {
        refusal.intent.chases: f"{what(refusal.intent)}: {refusal.detail}"
        for refusal in plan.refused
        if refusal.intent.side is Side.BUY and refusal.code is not RefusalCode.BLACKOUT
    }
    return [
        note(
            f"given-up-{chased}",
            plan.at,
            NotifyKind.GIVEN_UP,
            Severity.WARNING,
            f"given up: {why}",
        )
        for chased, why in ends.items()
        if chased
    ]


def of_order(
    intent: OrderIntent, state: OrderState, detail: str, at: datetime, decided: Decided
) -> Notification:
    """What became of an order right after it was sent, or when it was found again."""
    match state:
        case OrderState.ACCEPTED:
            found = f", {detail}" if detail else ""
            severity = Severity.INFO
            text = f"accepted: {what(intent)} ({intent.reason.value}{found})"
            text += _why(intent, decided)
        case OrderState.UNKNOWN:
            severity = Severity.CRITICAL
            text = f"fate unknown: {what(intent)}; nothing else is sent until it is"
        case _:
            severity, text = Severity.WARNING, f"{state.value}: {what(intent)}: {detail}"
    kind = _KINDS.get(state, NotifyKind.ORDER_REFUSED)
    return note(f"{state.value}-{intent.intent_id}", at, kind, severity, text)


def what(intent: OrderIntent) -> str:
    """``BUY 99 005930 at 70100``; an order at the market has no price yet."""
    price = intent.limit_price or "market"
    return f"{intent.side} {intent.quantity} {intent.instrument.symbol} at {price}"


def note(
    name: str, at: datetime, kind: NotifyKind, severity: Severity, text: str, picture: str = ""
) -> Notification:
    """A notification that nobody was told yet."""
    return Notification(name, at, kind.value, severity.value, text, picture=picture)


def _fill(fill: Fill, intent: OrderIntent | None, decided: Decided) -> Notification:
    text = (
        f"filled: {fill.side} {fill.quantity} {fill.instrument.symbol} at "
        f"{fill.price.quantize(_SHOWN).normalize():,f} {fill.currency}"
    )
    if intent is not None:
        text += _why(intent, decided)
    name = f"fill-{fill.fill_id}"
    return note(name, fill.filled_at, NotifyKind.ORDER_FILLED, Severity.INFO, text)


def _why(intent: OrderIntent, decided: Decided) -> str:
    """The second line: company, confidence and rationale, as far as they are known."""
    decision = decided.get(intent.decision_id)
    name = intent.instrument.name if intent.instrument.name != intent.instrument.symbol else ""
    parts = [name]
    if decision is not None:
        rationale = f": {decision.rationale}" if decision.rationale else ""
        parts.append(f"confidence {decision.confidence}{rationale}")
    words = ", ".join(part for part in parts if part)
    return f"\n{words}" if words else ""
