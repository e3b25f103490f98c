"""Words of answers: everything that comes from outside is escaped here, and nowhere else."""

from __future__ import annotations

import html
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import OrderRecord, OrderState
from trading_core.rules.markets import zone_of

NO_DATA = "no data"
_LONGEST = 200
_SHOWN = Decimal("0.0001")


def esc(value: object, longest: int = _LONGEST) -> str:
    """Any text as HTML that shows it as it is, on one line and cut to ``longest`` characters."""
    text = " ".join(str(value).split())
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    return html.escape(text, quote=False)


def bold(value: object) -> str:
    return f"<b>{esc(value)}</b>"


def code(value: object) -> str:
    return f"<code>{esc(value)}</code>"


def money(amount: Decimal | None, currency: Currency, *, signed: bool = False) -> str:
    """``+12,300 KRW``; the amount in the digits of its currency."""
    if amount is None:
        return NO_DATA
    rounded = currency.round(amount)
    return f"{rounded:+,} {currency}" if signed and rounded else f"{rounded:,} {currency}"


def price(amount: Decimal | None) -> str:
    """A price with no more digits than it needs."""
    return NO_DATA if amount is None else f"{amount.quantize(_SHOWN).normalize():,f}"


def pct(value: Decimal | float | None, digits: int = 2) -> str:
    """``+0.42 %``."""
    return NO_DATA if value is None else f"{value:+.{digits}f} %"


def moment(at: datetime, group: MarketGroup) -> str:
    """``10:35``, in the exchange's time."""
    return f"{at.astimezone(ZoneInfo(zone_of(group))):%H:%M}"


def day_and_time(at: datetime, group: MarketGroup) -> str:
    """``Mon 23 Nov 09:00 KST``."""
    return f"{at.astimezone(ZoneInfo(zone_of(group))):%a %-d %b %H:%M %Z}"


def short_day(day: date) -> str:
    return f"{day:%a %m-%d}"


def span(length: timedelta) -> str:
    """``2 h 13 min``, or seconds below two minutes."""
    seconds = max(int(length.total_seconds()), 0)
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours // 24} days" if hours >= 72 else f"{hours} h {rest} min"


def count(number: int, one: str, many: str = "") -> str:
    """``1 order``, ``3 orders``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def order_line(record: OrderRecord, group: MarketGroup) -> str:
    """``10:35 BUY 3 005930 at 70,000: accepted, not filled``."""
    intent = record.intent
    at = "the market's price" if intent.limit_price is None else price(intent.limit_price)
    what = f"{intent.side} {intent.quantity:,} {bold(intent.instrument.symbol)} at {at}"
    return f"{moment(intent.created_at, group)} {what}: {_standing(record)}"


def _standing(record: OrderRecord) -> str:
    """Accepted is not filled: what is said of an order is what the broker said of it."""
    filled, wanted = record.filled_quantity, record.intent.quantity
    average = price(record.filled_amount / filled) if filled else ""
    part = f"{filled:,} of {wanted:,} filled at {average}" if filled else "nothing filled"
    last = record.events[-1] if record.events else None
    note = f" ({esc(last.note, 80)})" if last is not None and last.note else ""
    match record.state:
        case OrderState.FILLED:
            return f"filled at {average}"
        case OrderState.ACCEPTED | OrderState.PARTIALLY_FILLED:
            return f"accepted, {part}"
        case OrderState.CANCEL_REQUESTED:
            return f"cancel asked for, {part}"
        case OrderState.CANCELLED | OrderState.EXPIRED:
            return f"{record.state}, {part}"
        case OrderState.SENDING | OrderState.UNKNOWN:
            return "⚠ fate unknown, the broker is being asked"
        case OrderState.INTENDED:
            return "intended, not sent"
        case OrderState.REFUSED:
            return f"refused by our limits{note}"
        case OrderState.REJECTED:
            return f"rejected by the broker{note}"
        case _:
            return f"{str(record.state).replace('_', ' ')}{note}"
