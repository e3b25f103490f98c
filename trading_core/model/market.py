"""Markets, currencies, instruments and money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from trading_core.errors import CurrencyMismatch, UnknownMarket


class Currency(StrEnum):
    """ISO 4217 codes of the currencies that are traded in."""

    KRW = "KRW"
    USD = "USD"
    JPY = "JPY"
    HKD = "HKD"
    CNY = "CNY"
    VND = "VND"

    @property
    def exponent(self) -> int:
        """Digits after the decimal point of the smallest cash unit (ISO 4217)."""
        return 0 if self in (Currency.KRW, Currency.JPY, Currency.VND) else 2

    def round(self, amount: Decimal) -> Decimal:
        """``amount`` rounded half up to the smallest cash unit."""
        return amount.quantize(Decimal(1).scaleb(-self.exponent), rounding=ROUND_HALF_UP)


class Market(StrEnum):
    """The ten exchanges an order can be sent to."""

    KR = "KR"
    US_NASDAQ = "US_NASDAQ"
    US_NYSE = "US_NYSE"
    US_AMEX = "US_AMEX"
    JP = "JP"
    HK = "HK"
    CN_SHA = "CN_SHA"
    CN_SZA = "CN_SZA"
    VN_HNX = "VN_HNX"
    VN_HSX = "VN_HSX"

    @property
    def group(self) -> MarketGroup:
        """The group that plans and trades this exchange."""
        return next(group for group, markets in _MARKETS_OF.items() if self in markets)


class MarketGroup(StrEnum):
    """Exchanges with one calendar, one currency and one playbook a session.

    Symbols are unique within a group, so ``US`` plans NASDAQ, NYSE and AMEX in one call.
    """

    KR = "KR"
    US = "US"
    JP = "JP"
    HK = "HK"
    CN = "CN"
    VN = "VN"

    @property
    def markets(self) -> tuple[Market, ...]:
        """The exchanges of this group, in the order they are asked."""
        return _MARKETS_OF[self]

    @classmethod
    def parse(cls, code: str) -> MarketGroup:
        """The group named by a group code (``US``) or by one of its markets (``US_NASDAQ``).

        Raises:
            UnknownMarket: ``code`` names neither.
        """
        wanted = code.strip().upper()
        for group, markets in _MARKETS_OF.items():
            if wanted == group.value or wanted in markets:
                return group
        known = ", ".join([*MarketGroup, *(m for m in Market if "_" in m)])
        raise UnknownMarket(f"unknown market {code!r}; known are {known}")


_MARKETS_OF: Mapping[MarketGroup, tuple[Market, ...]] = {
    MarketGroup.KR: (Market.KR,),
    MarketGroup.US: (Market.US_NASDAQ, Market.US_NYSE, Market.US_AMEX),
    MarketGroup.JP: (Market.JP,),
    MarketGroup.HK: (Market.HK,),
    MarketGroup.CN: (Market.CN_SHA, Market.CN_SZA),
    MarketGroup.VN: (Market.VN_HNX, Market.VN_HSX),
}


@dataclass(frozen=True, slots=True, order=True)
class Instrument:
    """One listed security; ``symbol`` is the exchange's own code (``005930``, ``AAPL``).

    ``is_fund`` marks an ETF or ETN, which have a price grid and taxes of their own. Name and kind
    are descriptions: two instruments are equal when symbol and market are.
    """

    symbol: str
    market: Market
    name: str = field(default="", compare=False)
    is_fund: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in one currency. Adding KRW to USD raises :class:`CurrencyMismatch`."""

    amount: Decimal
    currency: Currency

    def _same(self, other: Money) -> None:
        if not isinstance(other, Money) or other.currency is not self.currency:
            raise CurrencyMismatch(f"cannot combine {self} with {other}")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, factor: int | Decimal) -> Money:
        return Money(self.amount * factor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.amount < other.amount

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.amount <= other.amount

    def rounded(self) -> Money:
        """Rounded half up to the currency's smallest cash unit."""
        return Money(self.currency.round(self.amount), self.currency)

    def __str__(self) -> str:
        return f"{self.amount:,} {self.currency}"
