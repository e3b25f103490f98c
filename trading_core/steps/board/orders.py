"""The life of every order, what store and broker did not agree on, and slippage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from trading_core.model.order import Fill, OrderRecord, OrderState, Side
from trading_core.ports import StoreReader

Json = dict[str, Any]


def day(reader: StoreReader, market: str, session: date) -> Json:
    """Orders of a session, oldest first, with events and fills, and its differences."""
    fills: dict[str, list[Fill]] = {}
    for fill in reader.fills(market, session):
        fills.setdefault(fill.intent_id, []).append(fill)
    records = reader.live_orders(market, session)
    return {
        "orders": [order_row(r, fills.get(r.intent.intent_id, ())) for r in records],
        "differences": [asdict(item) for item in reader.differences(market, session)],
        "splits": [
            {
                "at": split.at,
                "symbol": split.instrument.symbol,
                "numerator": split.numerator,
                "denominator": split.denominator,
                "added": split.added,
            }
            for split in reader.splits(market)
            if split.session == session
        ],
        "adopted": [
            {
                "at": lot.adopted_at,
                "symbol": lot.instrument.symbol,
                "quantity": lot.quantity,
                "price": lot.price,
                "currency": lot.currency.value,
                "note": lot.note,
            }
            for lot in reader.adopted_lots(market)
            if lot.session == session
        ],
    }


def slippage(reader: StoreReader, market: str | None, since: date) -> list[Json]:
    """By session, market, side and reason; ``bps`` above 0 is worse than the decided price."""
    return [asdict(row) | {"bps": row.bps} for row in reader.slippage(market, since=since)]


def order_row(record: OrderRecord, fills: Sequence[Fill]) -> Json:
    """One order. ``accepted`` says that the broker took it, ``filled`` how much changed hands:
    the two are never the same thing. ``slippage_bps`` is None while nothing was filled."""
    intent = record.intent
    average = record.filled_amount / record.filled_quantity if record.filled_quantity else None
    return {
        "id": intent.intent_id,
        "decision_id": intent.decision_id,
        "at": intent.created_at,
        "session": intent.session,
        "symbol": intent.instrument.symbol,
        "name": intent.instrument.name,
        "side": intent.side.value,
        "quantity": intent.quantity,
        "limit_price": intent.limit_price,
        "decided_price": intent.decided_price,
        "currency": intent.currency.value,
        "reason": intent.reason.value,
        "state": record.state.value,
        "is_final": record.state.is_final,
        "accepted": any(event.state is OrderState.ACCEPTED for event in record.events),
        "filled": record.filled_quantity,
        "average_price": average,
        "slippage_bps": _slippage(intent.side, average, intent.decided_price),
        "order_no": record.order_no,
        "chases": intent.chases,
        "note": record.events[-1].note if record.events else "",
        "code": record.events[-1].code if record.events else "",
        "events": [
            {
                "at": event.at,
                "state": event.state.value,
                "order_no": event.order_no,
                "code": event.code,
                "note": event.note,
            }
            for event in record.events
        ],
        "fills": [
            {
                "at": fill.filled_at,
                "quantity": fill.quantity,
                "price": fill.price,
                "amount": fill.amount,
                "fee": fill.fee,
                "tax": fill.tax,
            }
            for fill in fills
        ],
    }


def _slippage(side: Side, average: Decimal | None, decided: Decimal) -> float | None:
    if average is None or not decided:
        return None
    worse = average - decided if side is Side.BUY else decided - average
    return float(worse / decided * 10_000)
