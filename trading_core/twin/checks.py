"""What an order must satisfy to be taken; everything that fails raises ``VenueRefusal``."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from trading_core.model.order import OrderType, Side
from trading_core.rules.calendar import Phase, session_on
from trading_core.twin.ledger import Ledger
from trading_core.twin.phases import SessionPhases
from trading_core.twin.prices import Prices
from trading_core.twin.tape import Tape
from trading_core.twin.venue import (
    NewOrder,
    Pricing,
    RefusalKind,
    TimeInForce,
    VenueOrder,
    VenueRefusal,
)

_AT_MARKET = (Pricing.BEST, Pricing.PRIORITY)
_IMMEDIATE = (Pricing.STATED, Pricing.BEST)
_UNLIMITED_MARKET_BUY = Decimal("1.05")
"""A market buy where no daily limit exists is reserved, and capped, at this times the last."""


class OrderChecks:
    """The checks of one session."""

    def __init__(self, tape: Tape, prices: Prices, phases: SessionPhases, ledger: Ledger) -> None:
        self._tape = tape
        self._prices = prices
        self._phases = phases
        self._ledger = ledger

    def require_listed(self, account_no: str, symbol: str) -> int:
        """The row of a symbol, for an account that exists."""
        self._ledger.require(account_no)
        row = self._prices.find(symbol)
        if row is None:
            raise VenueRefusal(RefusalKind.UNKNOWN_SYMBOL, f"{symbol} is not listed here")
        return row

    def require_open(self, now: datetime, pricing: Pricing = Pricing.STATED) -> None:
        """Orders, modifies and cancels are taken from the opening auction's first minute to the
        close, the break included.

        Where that auction takes no minutes of its own, orders for it are taken all the morning.
        """
        hours = self._tape.hours
        if hours.open_at <= now < hours.close_at:
            return
        today = self._prices.local_date(now)
        if today != hours.date and session_on(hours.group, today) is None:
            raise VenueRefusal(RefusalKind.NOT_A_SESSION, f"{today} is not a session")
        early = now < self._phases.auction_from
        if early and pricing is Pricing.AT_OPEN and self._phases.auction_from == hours.open_at:
            early = today != hours.date
        if early:
            raise VenueRefusal(RefusalKind.BEFORE_OPEN, f"the session opens at {hours.open_at}")
        if now >= hours.close_at:
            raise VenueRefusal(RefusalKind.AFTER_CLOSE, f"the session closed at {hours.close_at}")

    def require_trading(self, row: int) -> None:
        """The instrument is not halted."""
        if self._tape.halted[row]:
            symbol = self._tape.instruments[row].symbol
            raise VenueRefusal(RefusalKind.HALTED, f"{symbol} is halted")

    def require_kind(self, order: NewOrder, phase: Phase, *, continuous: bool) -> None:
        """Pricing and time in force that go together, and with what the exchange does now."""
        problem = _combination(order)
        if problem is None:
            problem = self._untimely(order, phase, continuous)
        if problem is not None:
            raise VenueRefusal(RefusalKind.NOT_SUPPORTED, problem)

    def _untimely(self, order: NewOrder, phase: Phase, continuous: bool) -> str | None:
        pricing = order.pricing
        needs_trading = pricing in _AT_MARKET or order.time_in_force is not TimeInForce.DAY
        if needs_trading and not continuous:
            return "this order is only taken while the exchange trades continuously"
        if pricing is Pricing.AT_OPEN and phase not in (Phase.PRE_OPEN, Phase.OPENING_AUCTION):
            return "the opening auction is over"
        if pricing is Pricing.CONDITIONAL:
            if not self._phases.closes_by_auction:
                return "there is no closing auction here"
            if phase is Phase.CLOSING_AUCTION:
                return "the closing auction is already on"
        return None

    def require_trigger(self, row: int, trigger: Decimal | None) -> None:
        """A stop's trigger is a price the exchange could trade at."""
        if trigger is not None:
            self._require_price(row, trigger)

    def require_terms(self, row: int, kind: OrderType, limit_price: Decimal | None) -> None:
        """A limit on the price grid and inside the daily limits, or a market order without one."""
        if (kind is OrderType.LIMIT) != (limit_price is not None):
            raise VenueRefusal(
                RefusalKind.NOT_SUPPORTED, "a limit order needs a price, a market order has none"
            )
        if limit_price is not None:
            self._require_price(row, limit_price)

    def _require_price(self, row: int, price: Decimal) -> None:
        grid = self._prices.grid(row)
        if not grid.allows(price):
            raise VenueRefusal(RefusalKind.PRICE_INCREMENT, f"{price} is not on the price grid")
        if not grid.within(price):
            raise VenueRefusal(
                RefusalKind.PRICE_LIMIT,
                f"{price} is outside the daily limits {grid.lower} to {grid.upper}",
            )

    def require_quantity(self, row: int, order: VenueOrder) -> None:
        """Whole lots; a sell at most what is sellable, of which an odd rest may go in one piece."""
        lot = self._prices.lot(row, order.side)
        if order.quantity <= 0:
            raise VenueRefusal(RefusalKind.QUANTITY, "the quantity must be above zero")
        if order.side is Side.SELL:
            symbol = order.instrument.symbol
            if self._ledger.held(order.account_no, symbol) == 0:
                raise VenueRefusal(RefusalKind.NO_POSITION, f"{symbol} is not held")
            free = self._ledger.sellable(order.account_no, symbol)
            if order.quantity > free:
                raise VenueRefusal(RefusalKind.QUANTITY, f"{free} shares of {symbol} can be sold")
            if order.quantity == free:
                return
        if order.quantity % lot:
            raise VenueRefusal(RefusalKind.QUANTITY, f"the quantity must be a multiple of {lot}")

    def require_cover(self, order: VenueOrder, cover: Decimal, *, freed: Decimal) -> None:
        """Cash for a buy at its worst price, ``freed`` being what a replaced order gives back."""
        if order.side is Side.SELL:
            return
        need = self._ledger.needed(order, cover)
        free = self._ledger.available(order.account_no) + freed
        if need > free:
            raise VenueRefusal(RefusalKind.CASH, f"needs {need}, {free} can be used")

    def freed(self, original: VenueOrder, cover: Decimal, moved: int) -> Decimal:
        """Cash that a part of a buy gives back when it leaves."""
        if original.side is Side.SELL:
            return Decimal(0)
        after = replace(original, cancelled_quantity=original.cancelled_quantity + moved)
        return self._ledger.needed(original, cover) - self._ledger.needed(after, cover)

    def original(
        self,
        named: VenueOrder | None,
        account_no: str,
        order_no: int,
        quantity: int | None,
        now: datetime,
    ) -> tuple[VenueOrder, int]:
        """The row a modify or cancel names, and how many of its shares it is about."""
        self._ledger.require(account_no)
        if named is None or named.account_no != account_no:
            raise VenueRefusal(RefusalKind.ORIGINAL_NOT_FOUND, f"no order {order_no} today")
        self.require_open(now, named.pricing)
        left = named.remaining_quantity
        if left == 0:
            raise VenueRefusal(RefusalKind.NOTHING_LEFT, f"nothing of order {order_no} is open")
        wanted = left if quantity is None else quantity
        if wanted <= 0:
            raise VenueRefusal(RefusalKind.QUANTITY, "the quantity must be above zero")
        if wanted > left:
            raise VenueRefusal(
                RefusalKind.QUANTITY_TOO_LARGE, f"only {left} of order {order_no} are open"
            )
        return named, wanted

    def worst_prices(
        self, row: int, order: VenueOrder, cursor: int
    ) -> tuple[Decimal | None, Decimal]:
        """(cap, cover): the worst price an order may trade at, and what a share is reserved at.

        The cap of a market sell is None, the cover of any sell 0. What may become a market buy is
        covered as one: at the upper limit, or 5 % above the last price where there is no limit.
        """
        limit = order.limit_price
        if order.side is Side.SELL:
            return limit, Decimal(0)
        if limit is not None and order.pricing is not Pricing.CONDITIONAL:
            return limit, limit
        grid = self._prices.grid(row)
        last = self._prices.last(row, cursor)
        if grid.upper is None and last <= 0:
            raise VenueRefusal(RefusalKind.NOT_SUPPORTED, "there is no price to reserve cash at")
        worst = grid.upper or grid.down(last * _UNLIMITED_MARKET_BUY)
        return (worst if limit is None else limit), worst


def _combination(order: NewOrder) -> str | None:
    """Why an order's own terms do not go together; None when they do."""
    pricing, priced = order.pricing, order.limit_price is not None
    if (pricing is Pricing.STOP) != (order.trigger_price is not None):
        return "a stop order has a trigger price and no other has one"
    if pricing in _AT_MARKET and priced:
        return "the exchange sets the price of this order"
    if pricing is Pricing.CONDITIONAL and not priced:
        return "a conditional limit needs a price"
    if order.time_in_force is not TimeInForce.DAY and pricing not in _IMMEDIATE:
        return f"a {pricing} order cannot be immediate"
    return None
