"""What an order must satisfy to be taken; everything that fails raises ``VenueRefusal``."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from trading_core.model.order import OrderType, Side
from trading_core.rules.calendar import session_on
from trading_core.twin.ledger import Ledger
from trading_core.twin.prices import Prices
from trading_core.twin.tape import Tape
from trading_core.twin.venue import RefusalKind, VenueOrder, VenueRefusal

_UNLIMITED_MARKET_BUY = Decimal("1.05")
"""A market buy where no daily limit exists is reserved, and capped, at this times the last."""


class OrderChecks:
    """The checks of one session."""

    def __init__(self, tape: Tape, prices: Prices, ledger: Ledger) -> None:
        self._tape = tape
        self._prices = prices
        self._ledger = ledger

    def require_open(self, now: datetime) -> None:
        """Orders, modifies and cancels are taken from the open to the close, its break included."""
        hours = self._tape.hours
        today = self._prices.local_date(now)
        if today != hours.date and session_on(hours.group, today) is None:
            raise VenueRefusal(RefusalKind.NOT_A_SESSION, f"{today} is not a session")
        if now < hours.open_at:
            raise VenueRefusal(RefusalKind.BEFORE_OPEN, f"the session opens at {hours.open_at}")
        if now >= hours.close_at:
            raise VenueRefusal(RefusalKind.AFTER_CLOSE, f"the session closed at {hours.close_at}")

    def require_trading(self, row: int) -> None:
        """The instrument is not halted."""
        if self._tape.halted[row]:
            symbol = self._tape.instruments[row].symbol
            raise VenueRefusal(RefusalKind.HALTED, f"{symbol} is halted")

    def require_terms(self, row: int, kind: OrderType, limit_price: Decimal | None) -> None:
        """A limit on the price grid and inside the daily limits, or a market order without one."""
        if (kind is OrderType.LIMIT) != (limit_price is not None):
            raise VenueRefusal(
                RefusalKind.NOT_SUPPORTED, "a limit order needs a price, a market order has none"
            )
        if limit_price is None:
            return
        grid = self._prices.grid(row)
        if not grid.allows(limit_price):
            raise VenueRefusal(
                RefusalKind.PRICE_INCREMENT, f"{limit_price} is not on the price grid"
            )
        if not grid.within(limit_price):
            raise VenueRefusal(
                RefusalKind.PRICE_LIMIT,
                f"{limit_price} is outside the daily limits {grid.lower} to {grid.upper}",
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

    def require_cover(self, order: VenueOrder, cap: Decimal | None, *, freed: Decimal) -> None:
        """Cash for a buy at its worst price, ``freed`` being what a replaced order gives back."""
        if order.side is Side.SELL or cap is None:
            return
        need = self._ledger.needed(order, cap)
        free = self._ledger.available(order.account_no) + freed
        if need > free:
            raise VenueRefusal(RefusalKind.CASH, f"needs {need}, {free} can be used")

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
        self.require_open(now)
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

    def worst_price(self, row: int, order: VenueOrder, cursor: int) -> Decimal | None:
        """What an order may trade at and is reserved at; None for a market sell (any price)."""
        if order.limit_price is not None:
            return order.limit_price
        if order.side is Side.SELL:
            return None
        grid = self._prices.grid(row)
        if grid.upper is not None:
            return grid.upper
        return grid.down(self._prices.last(row, cursor) * _UNLIMITED_MARKET_BUY)
