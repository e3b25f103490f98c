"""Whether the rows of a store agree with each other, without asking the broker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from trading_core.model.order import TRANSITIONS, Fill, OrderRecord


def audit(orders: Sequence[OrderRecord], fills: Sequence[Fill]) -> list[str]:
    """A line for everything that cannot be; ``orders`` and ``fills`` are all there are."""
    return [*_lives(orders), *_fills(orders, fills)]


def _lives(orders: Sequence[OrderRecord]) -> Iterator[str]:
    for order in orders:
        name = order.intent.intent_id
        for position, event in enumerate(order.events):
            if event.sequence != position:
                yield f"order {name}: event {position} has the number {event.sequence}"
                break
        for before, after in zip(order.events, order.events[1:], strict=False):
            if after.state not in TRANSITIONS[before.state]:
                yield f"order {name}: was {before.state}, then {after.state}"


def _fills(orders: Sequence[OrderRecord], fills: Sequence[Fill]) -> Iterator[str]:
    wanted = {order.intent.intent_id: order.intent for order in orders}
    filled: Counter[str] = Counter()
    for fill in fills:
        filled[fill.intent_id] += fill.quantity
        intent = wanted.get(fill.intent_id)
        if intent is None:
            yield f"fill {fill.fill_id}: of an order that nobody wrote down"
        elif (intent.instrument, intent.side) != (fill.instrument, fill.side):
            yield f"fill {fill.fill_id}: not of the instrument and side of its order"
        if fill.quantity <= 0 or fill.price <= 0:
            yield f"fill {fill.fill_id}: {fill.quantity} shares at {fill.price}"
    for name, quantity in filled.items():
        if name in wanted and quantity > wanted[name].quantity:
            yield f"order {name}: {quantity} of {wanted[name].quantity} shares filled"
