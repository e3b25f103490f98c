"""What a guard looks at: one position at one price, and the price at which it breaks even."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from trading_core.model.market import Market, MarketGroup
from trading_core.model.order import Side
from trading_core.model.portfolio import Holding
from trading_core.rules.costs import trade_costs
from trading_core.rules.markets import Rounding, round_to_increment

ATR_STOP_GROUPS = frozenset({MarketGroup.KR})
"""Where the hard stop is weighed against volatility: small caps of a market with daily limits of
30 % move more in an hour than a fixed stop of a few percent allows."""


NAN = Decimal("NaN")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class ExitView:
    """What one look at a position sees. Prices are in the market's currency.

    ``break_even`` is the lowest price at which a sale loses nothing after the costs of both ends,
    see :func:`break_even_price`. ``atr`` is the average true range now, None when it is not known;
    ``atr_stop`` says whether it may set the hard stop. ``minutes_to_close`` is that of the
    session, ``sessions_held`` counts the sessions after the one the position was opened in.
    ``reduce_all`` is why everything is to be sold, empty when it is not. ``at`` is aware UTC.
    """

    average_price: Decimal
    last: Decimal
    at: datetime
    break_even: Decimal
    atr: Decimal | None = None
    atr_stop: bool = False
    minutes_to_close: float = math.inf
    sessions_held: int = 0
    reduce_all: str = ""

    @property
    def usable(self) -> bool:
        """Whether anything may be decided on it."""
        return is_price(self.last) and self.has_levels

    @property
    def has_levels(self) -> bool:
        """Whether the levels of a guard can be known."""
        return is_price(self.average_price) and is_price(self.break_even)

    @property
    def known_atr(self) -> Decimal | None:
        return self.atr if self.atr is not None and is_price(self.atr) else None

    @property
    def loses(self) -> bool:
        """Whether a sale at the last price would lose after the costs of both ends."""
        return self.last < self.break_even

    @property
    def can_lock(self) -> bool:
        """Whether break-even is below the price. Where costs are large, a lock above it would
        sell at once, and at a loss."""
        return self.last > self.break_even


def exit_view(
    holding: Holding,
    *,
    last: Decimal,
    at: datetime,
    on: date,
    opened_on: date,
    atr_pct: float = math.nan,
    minutes_to_close: float = math.inf,
    sessions_held: int = 0,
    reduce_all: str = "",
) -> ExitView:
    """The view of a holding at a price.

    Args:
        holding: Gives the average price, the quantity and the market.
        last: The last price, in the market's currency.
        at: Now, aware UTC.
        on: Date of the session that is on.
        opened_on: Session date of the purchase.
        atr_pct: Average true range in percent of the last price; NaN when it is not known.
        minutes_to_close: Of the session.
        sessions_held: Sessions after the one of the purchase.
        reduce_all: Why everything is to be sold, empty when it is not.
    """
    instrument = holding.instrument
    known = is_price(last) and 0 < atr_pct < math.inf
    return ExitView(
        average_price=holding.average_price,
        last=last,
        at=at,
        break_even=break_even_price(
            instrument.market,
            holding.average_price,
            holding.quantity,
            bought_on=opened_on,
            on=on,
            etf=instrument.is_fund,
        ),
        atr=Decimal(str(atr_pct)) * last / 100 if known else None,
        atr_stop=instrument.market.group in ATR_STOP_GROUPS,
        minutes_to_close=minutes_to_close,
        sessions_held=sessions_held,
        reduce_all=reduce_all,
    )


def is_price(value: Decimal) -> bool:
    """Whether it is a number above zero."""
    return value.is_finite() and value > 0


def unrealized_pct(average_price: Decimal, last: Decimal) -> float:
    """Last against the average price, in percent; NaN without a usable price of both."""
    if not (is_price(average_price) and is_price(last)):
        return float("nan")
    return float((last / average_price - 1) * 100)


def break_even_price(
    market: Market,
    average_price: Decimal,
    quantity: int,
    *,
    bought_on: date,
    on: date,
    etf: bool = False,
) -> Decimal:
    """The lowest price of the market's grid at which selling everything loses nothing.

    Args:
        market: Whose fees, taxes and price grid apply.
        average_price: What was paid per share, before costs, in the market's currency.
        quantity: Shares held, at least one; costs are rounded per order.
        bought_on: Session date of the purchase, for the costs of the buy.
        on: Session date of the sale, for its costs and for the grid.
        etf: Whether it is a fund.

    Without a usable average price or quantity there is no such price: NaN.
    """
    if not is_price(average_price) or quantity <= 0:
        return NAN
    return _break_even(market, average_price, quantity, bought_on, on, etf)


@lru_cache(maxsize=1024)
def _break_even(
    market: Market, average_price: Decimal, quantity: int, bought_on: date, on: date, etf: bool
) -> Decimal:
    def costs(side: Side, amount: Decimal, day: date) -> Decimal:
        return trade_costs(market, side, amount, day, quantity=quantity, etf=etf).total

    paid = average_price * quantity
    paid += costs(Side.BUY, paid, bought_on)
    price = _ZERO
    while True:
        # Costs never fall when the amount grows, so this climbs to the fixed point from below.
        needed = (paid + costs(Side.SELL, price * quantity, on)) / quantity
        needed = round_to_increment(market, needed, on, Rounding.UP, etf=etf)
        if needed <= price:
            return price
        price = needed
