"""What the risk gate could not know: what happened between its answer and the sending. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from trading_core.model.journal import Halt
from trading_core.model.order import (
    ApprovedOrder,
    OrderIntent,
    OrderRecord,
    OrderState,
    RefusalCode,
)
from trading_core.rules.trading_state import stops_everything


def late_refusal(
    order: ApprovedOrder,
    orders: Sequence[OrderRecord],
    live: Sequence[OrderRecord],
    halts: Sequence[Halt],
    known_numbers: Collection[str],
) -> tuple[RefusalCode, str] | None:
    """What may have changed since the risk gate, looked at under the order lock.

    Two runs may have decided the same thing at the same moment; only the first to get here sends.
    """
    intent = order.intent
    # Whoever sends holds the lock, so "sending" was left behind by a sender that died.
    if any(record.state.is_unsure for record in live):
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
    followed = _followed_meanwhile(intent, others)
    if followed:
        return RefusalCode.ALREADY_WORKING, followed
    stopped = stops_everything(halts)
    if stopped is not None:
        return RefusalCode.HALTED, f"nothing is sent: {stopped.reason}"
    if not intent.reason.is_entry:
        return None
    if halts:
        return RefusalCode.HALTED, halts[0].reason
    sold = sum(
        record.filled_quantity
        for record in orders
        if record.intent.instrument.symbol == intent.instrument.symbol
        and record.intent.side is not intent.side
    )
    entered = [r for r in others if r.intent.intent_id != intent.chases]
    if sum(record.filled_quantity for record in entered) > sold:
        return RefusalCode.REENTRY, "had its entry in this session"
    return None


def _followed_meanwhile(intent: OrderIntent, others: Sequence[OrderRecord]) -> str:
    """Why an order must not follow the one it chases any more; empty while it may.

    Nothing of the other works here. What it bought since the decision, or what another run sent
    in its place, must not be bought again.
    """
    if not intent.chases:
        return ""
    if any(r.intent.chases == intent.chases and r.order_no for r in others):
        return "another order has followed the one that did not fill"
    before = next((r for r in others if r.intent.intent_id == intent.chases), None)
    if before is None or before.state is not OrderState.CANCELLED:
        return "the order it is to follow is not known to be cancelled"
    if not intent.reason.is_entry:
        return ""
    if before.filled_quantity + intent.quantity > before.intent.quantity:
        return "more of the order it follows has filled since the decision"
    return ""
