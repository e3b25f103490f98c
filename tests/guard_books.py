"""Books that the guards of the risk gate judge, and limits with every guard off."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal as D
from typing import Any

from tests.record_factories import APPLE, AT, SAMSUNG, make_fill, make_intent
from trading_core.model.limits import GuardLimits
from trading_core.model.market import Currency, Instrument
from trading_core.model.order import OrderEvent, OrderIntent, OrderRecord, OrderState, Side
from trading_core.model.price import Quote
from trading_core.rules.positions import fold_positions

NONE = timedelta(0)
NO_GUARDS = GuardLimits(
    entry_tries_per_session=0,
    reentry_after_loss=NONE,
    not_above_sale=NONE,
    chase_gain_pct=0,
    min_prices={},
    cash_buffer_pct=0,
    pause_after_no_cash=NONE,
    pause_after_unfilled=NONE,
    max_symbol_pct=0,
    max_sector_pct=0,
    max_exposure_pct=0,
    max_orders_per_session=0,
    max_orders_per_minute=0,
    repeat_after=NONE,
)
"""Every guard switched off."""


def ago(**units: float) -> datetime:
    return AT - timedelta(**units)


HALF_AN_HOUR_AGO = ago(minutes=30)


def make_quote(
    last: D = D(70_400), *, high: D | None = None, before: D = D(70_000), of: Instrument = SAMSUNG
) -> Quote:
    top = last if high is None else high
    return Quote(of, last, before, top, min(last, before), before, 1000, AT)


def make_record(
    state: OrderState = OrderState.CANCELLED,
    *,
    sent: datetime | None = HALF_AN_HOUR_AGO,
    ended: datetime | None = None,
    filled: int = 0,
    code: str = "",
    **changes: Any,
) -> OrderRecord:
    """An order that was sent at ``sent`` (None: never) and has come to ``state``."""
    begun = sent or HALF_AN_HOUR_AGO
    name = f"{begun.isoformat()}-{changes.get('side', 'BUY')}-{changes.get('instrument', '')}"
    intent = make_intent(**({"intent_id": name, "created_at": begun} | changes))
    states = [(OrderState.INTENDED, begun, "")]
    if sent is not None:
        states.append((OrderState.SENDING, sent, ""))
    if state not in (OrderState.INTENDED, OrderState.SENDING):
        states.append((state, ended or begun, code))
    events = tuple(
        OrderEvent(name, number, reached, at, code=said)
        for number, (reached, at, said) in enumerate(states)
    )
    return OrderRecord(intent, state, events, filled, filled * intent.limit_price)


def traded(
    *trades: tuple[Side, int, int, datetime], of: Instrument = SAMSUNG, fee: int = 0
) -> dict[str, Any]:
    """Fills and closed trades of ``(side, quantity, price, when)``, each an order of its own."""
    fills = [
        make_fill(
            fill_id=f"{of.symbol}-{n}",
            intent_id=f"{of.symbol}-order-{n}",
            instrument=of,
            side=side,
            quantity=quantity,
            price=D(price),
            fee=D(fee),
            filled_at=when,
        )
        for n, (side, quantity, price, when) in enumerate(trades)
    ]
    return {"fills": fills, "closed": fold_positions(fills).closed}


def at_price(price: str | int, quantity: int = 1, **changes: Any) -> OrderIntent:
    return make_intent(quantity=quantity, limit_price=D(price), decided_price=D(price), **changes)


def in_dollars(price: str = "100", quantity: int = 10, **changes: Any) -> OrderIntent:
    return at_price(price, quantity, **({"instrument": APPLE, "currency": Currency.USD} | changes))
