"""What execution cost: the price of each fill against the price its decision stood on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from trading_core.model.journal import Json
from trading_core.model.order import Fill, OrderRecord, OrderState, Side

_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class FillCost:
    """One order that filled. ``price`` is the average of its fills, in the market's currency.

    ``cost`` is what the fills cost more than the decided price would have, in the same currency;
    ``cost_bps`` the same in hundredths of a percent of the decided amount. Both are positive for
    a cost and negative for a gain, on either side. The two delays are in seconds from the
    decision, None when nobody wrote down the moment; a fill is dated when it was first seen.
    """

    intent_id: str
    symbol: str
    side: Side
    quantity: int
    decided_price: Decimal
    price: Decimal
    cost: Decimal
    accepted_after: float | None
    filled_after: float | None

    @property
    def decided_amount(self) -> Decimal:
        return self.decided_price * self.quantity

    @property
    def cost_bps(self) -> float:
        return float(self.cost / self.decided_amount * _BPS)


def fill_costs(orders: Sequence[OrderRecord], fills: Sequence[Fill]) -> tuple[FillCost, ...]:
    """One row per order that filled and was decided at a price above zero."""
    found = []
    for record in orders:
        intent = record.intent
        theirs = [fill for fill in fills if fill.intent_id == intent.intent_id]
        quantity = sum(fill.quantity for fill in theirs)
        if not quantity or intent.decided_price <= 0:
            continue
        amount = sum((fill.amount for fill in theirs), Decimal(0))
        more = amount - intent.decided_price * quantity
        accepted = next((e.at for e in record.events if e.state is OrderState.ACCEPTED), None)
        first = min(fill.filled_at for fill in theirs)
        found.append(
            FillCost(
                intent_id=intent.intent_id,
                symbol=intent.instrument.symbol,
                side=intent.side,
                quantity=quantity,
                decided_price=intent.decided_price,
                price=amount / quantity,
                cost=more if intent.side is Side.BUY else -more,
                accepted_after=(accepted - intent.created_at).total_seconds() if accepted else None,
                filled_after=(first - intent.created_at).total_seconds(),
            )
        )
    return tuple(found)


def slippage_summary(costs: Sequence[FillCost]) -> Json:
    """Per side: orders, cost, cost in bps weighted by amount, the dearest one, median delays."""
    return {
        side.value: _of_side(theirs)
        for side in Side
        if (theirs := [cost for cost in costs if cost.side is side])
    }


def _of_side(costs: Sequence[FillCost]) -> Json:
    total = sum((cost.cost for cost in costs), Decimal(0))
    amount = sum((cost.decided_amount for cost in costs), Decimal(0))
    worst = max(costs, key=lambda cost: (cost.cost_bps, cost.symbol))
    return {
        "orders": len(costs),
        "cost": str(total),
        "cost_bps": round(float(total / amount * _BPS), 2),
        "worst_bps": round(worst.cost_bps, 2),
        "worst_symbol": worst.symbol,
        "accepted_after_s": _median([c.accepted_after for c in costs]),
        "filled_after_s": _median([c.filled_after for c in costs]),
    }


def _median(seconds: Sequence[float | None]) -> float | None:
    known = [value for value in seconds if value is not None]
    return round(median(known), 3) if known else None
