"""Numbers and times as people of a market write them. What is not known is a dash, never 0."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from dashboards.texts import t
from trading_core.model.market import Currency, MarketGroup

NO_DATA = "—"

_SIGNS = {"KRW": "₩", "USD": "$", "JPY": "¥", "HKD": "HK$", "CNY": "CN¥", "VND": "₫"}
_ZONES = {
    MarketGroup.KR: "Asia/Seoul",
    MarketGroup.US: "America/New_York",
    MarketGroup.JP: "Asia/Tokyo",
    MarketGroup.HK: "Asia/Hong_Kong",
    MarketGroup.CN: "Asia/Shanghai",
    MarketGroup.VN: "Asia/Ho_Chi_Minh",
}

Number = Decimal | float | int


def zone(market: str) -> str:
    """The exchange's time zone; UTC where no market is named."""
    return _ZONES[MarketGroup(market)] if market in set(MarketGroup) else "UTC"


def is_known(value: Number | None) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def money(value: Number | None, currency: str, *, signed: bool = False) -> str:
    """``₩1,234,567`` or ``$1,234.56``; won, yen and dong have no decimals."""
    if value is None or not is_known(value):
        return NO_DATA
    digits = Currency(currency).exponent
    amount = f"{abs(value):,.{digits}f}"
    is_zero = float(amount.replace(",", "")) == 0
    sign = "" if is_zero else "−" if value < 0 else "+" if signed else ""
    return f"{sign}{_SIGNS.get(currency, currency)}{amount}"


def price(value: Number | None, currency: str) -> str:
    """A price without a currency sign: ``71,000`` in won, ``189.30`` in dollars."""
    if value is None or not is_known(value):
        return NO_DATA
    return f"{value:,.{Currency(currency).exponent}f}"


def pct(value: Number | None, digits: int = 2, *, signed: bool = True) -> str:
    """A percentage of 0-100, ``+1.25 %``."""
    if value is None or not is_known(value):
        return NO_DATA
    text = f"{float(value):{'+' if signed else ''}.{digits}f}".replace("-", "−")
    zero = f"{0:.{digits}f}"
    return f"{zero if text.lstrip('+−') == zero else text} %"


def delta(value: Number | None) -> str | None:
    """A percentage as ``st.metric`` wants its change: with a plain minus; None is no change."""
    return None if value is None or not is_known(value) else pct(value).replace("−", "-")


def count(value: int | None) -> str:
    return NO_DATA if value is None else f"{value:,}"


def value_of(field: str, value: Number | None) -> str:
    """A number of a playbook's field: percentages with two places, counts without."""
    if value is None or not is_known(value):
        return NO_DATA
    number = float(value)
    if field == "price":
        return f"{number:,.10g}"
    return f"{number:,.4g}".replace("-", "−")


def clock(at: datetime | None, market: str, *, seconds: bool = False) -> str:
    """``09:30`` in the exchange's zone."""
    if at is None:
        return NO_DATA
    return f"{at.astimezone(ZoneInfo(zone(market))):%H:%M{':%S' if seconds else ''}}"


def moment(at: datetime | None, market: str) -> str:
    """``2026-03-02 09:30 KST`` in the exchange's zone."""
    if at is None:
        return NO_DATA
    return f"{at.astimezone(ZoneInfo(zone(market))):%Y-%m-%d %H:%M %Z}"


def local(at: datetime, market: str) -> datetime:
    """The exchange's wall clock without a zone, as charts want their axis."""
    return at.astimezone(ZoneInfo(zone(market))).replace(tzinfo=None)


def day(session: date | None) -> str:
    """``2026-03-02 (Mon)``."""
    if session is None:
        return NO_DATA
    return f"{session.isoformat()} ({t(f'weekday.{session.weekday()}')})"


def duration(span: timedelta | None) -> str:
    """The two largest units of a span: ``3 d 4 h``, ``12 min``, ``40 s``."""
    if span is None:
        return NO_DATA
    seconds = max(int(span.total_seconds()), 0)
    units = ((86_400, "unit.day"), (3600, "unit.hour"), (60, "unit.minute"), (1, "unit.second"))
    parts: list[str] = []
    for size, name in units:
        number, seconds = divmod(seconds, size)
        if number or (size == 1 and not parts):
            parts.append(f"{number}{t(name)}")
    return " ".join(parts[:1] if parts[0].endswith(t("unit.second")) else parts[:2])


def ago(at: datetime | None, now: datetime) -> str:
    """``4 min ago``; a moment of the future is ``in 4 min``."""
    if at is None:
        return NO_DATA
    key = "time.ago" if at <= now else "time.ahead"
    return t(key, span=duration(abs(now - at)))
