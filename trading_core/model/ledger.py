"""What trading cost, summed up by the store because the fills are many."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from trading_core.model.market import Currency


@dataclass(frozen=True, slots=True)
class TradingCost:
    """The fills of one market group (code), session and currency; money in that currency.

    ``bought`` and ``sold`` are what shares changed hands for, before ``fee`` and ``tax``. Costs of
    a fill are estimates until the broker's statement says otherwise.
    """

    market: str
    session: date
    currency: Currency
    fills: int
    bought: Decimal
    sold: Decimal
    fee: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class SlippageRow:
    """Filled orders of one market group, session, side and reason, in one currency.

    ``worse`` is what they cost more than the price they were decided at, in money, below 0 where
    they did better; costs are not part of it. ``amount`` is what they were filled for.
    """

    market: str
    session: date
    side: str
    reason: str
    currency: Currency
    orders: int
    amount: Decimal
    worse: Decimal

    @property
    def bps(self) -> float:
        """Hundredths of a percent of what would have been paid at the decided prices."""
        decided = self.amount - self.worse if self.side == "BUY" else self.amount + self.worse
        return float(self.worse / decided * 10_000) if decided else 0.0
