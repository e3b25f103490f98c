"""The won of the look-alike's world: one rate a day for each currency, the same in every run.

The day's rates are published when Seoul's morning begins, at 00:00 UTC, so one rate holds for the
whole session of every market.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

from trading_core.model.market import Currency

# Won per unit, about which the rates of the days lie.
NOMINAL_RATES: Mapping[Currency, Decimal] = {
    Currency.KRW: Decimal("1"),
    Currency.USD: Decimal("1400"),
    Currency.HKD: Decimal("180"),
    Currency.CNY: Decimal("195"),
    Currency.JPY: Decimal("9.2"),
    Currency.VND: Decimal("0.055"),
}
# Units of a currency that banks in Korea quote a rate for, where it is not one.
QUOTED_UNITS: Mapping[Currency, int] = {Currency.JPY: 100, Currency.VND: 100}
_WIDEST = 150
_STEP = Decimal("1e-4")
_PLACES = Decimal("1e-6")


@lru_cache(maxsize=64)
def rate_on(currency: Currency, day: date) -> Decimal:
    """Won for one unit on a day, up to 1.5 % from the nominal rate; the won itself is always 1."""
    rate = NOMINAL_RATES[currency]
    if currency is Currency.KRW:
        return rate
    drawn = hashlib.sha256(f"{currency}|{day.isoformat()}".encode()).digest()
    steps = int.from_bytes(drawn[:4], "big") % (2 * _WIDEST + 1) - _WIDEST
    return (rate * (1 + steps * _STEP)).quantize(_PLACES)


def rates_at(at: datetime) -> dict[Currency, Decimal]:
    """Won for one unit of each currency at a moment (aware)."""
    day = at.astimezone(UTC).date()
    return {currency: rate_on(currency, day) for currency in NOMINAL_RATES}
