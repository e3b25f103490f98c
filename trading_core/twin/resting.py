"""Orders that wait at the exchange: one queue a symbol and side, by price and then by time.

Entering, leaving and finding the next to trade cost the same however many orders wait.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from trading_core.model.order import OrderType, Side
from trading_core.twin.venue import Pricing, VenueOrder


@dataclass(slots=True)
class Working:
    """An order the exchange may still fill.

    Args:
        order: Its row in the venue's book.
        cap: The worst price it may trade at; None for a sell that takes any price.
        cover: What a share of a buy is reserved at; 0 for a sell.
        since: It meets bars that begin at this time or later (aware UTC).
        allowance: Shares it may still fill where its fate sets a bound.
        reject: The exchange refuses it the next time the clock moves.
        asleep: A stop whose trigger has not traded yet.
    """

    order: VenueOrder
    cap: Decimal | None
    cover: Decimal
    since: datetime
    allowance: int | None = None
    reject: bool = False
    asleep: bool = False
    queued: bool = False
    level: Decimal | None = None
    counted: int = 0

    @property
    def fillable(self) -> int:
        """Shares that may trade now."""
        left = self.order.remaining_quantity
        return left if self.allowance is None else min(left, self.allowance)

    @property
    def waits(self) -> bool:
        """Whether it stands outside the queue: asleep, or for an auction, or refused in a moment.

        Where it waits for an auction, only that auction puts it into the queue.
        """
        auction = self.order.pricing in (Pricing.AT_OPEN, Pricing.AT_CLOSE)
        return self.asleep or self.reject or auction

    def takes(self, price: Decimal) -> bool:
        """Whether the price is within its cap."""
        if self.cap is None:
            return True
        return price <= self.cap if self.order.side is Side.BUY else price >= self.cap


@dataclass(slots=True)
class _Level:
    orders: dict[int, Working] = field(default_factory=dict)
    shares: int = 0


class Queue:
    """One side of one symbol: orders without a limit first, then the better price, then time."""

    def __init__(self, side: Side) -> None:
        self._sign = -1 if side is Side.BUY else 1
        self._levels: dict[Decimal | None, _Level] = {}
        self._keys: list[Decimal] = []

    def __bool__(self) -> bool:
        return bool(self._levels)

    def add(self, working: Working) -> None:
        """At the end of its price level."""
        order = working.order
        price = None if order.order_type is OrderType.MARKET else order.limit_price
        level = self._levels.get(price)
        if level is None:
            level = self._levels[price] = _Level()
            if price is not None:
                key = self._sign * price
                self._keys.insert(bisect_left(self._keys, key), key)
        level.orders[order.order_no] = working
        working.queued, working.level, working.counted = True, price, 0
        self.recount(working)

    def remove(self, working: Working) -> None:
        level = self._levels[working.level]
        del level.orders[working.order.order_no]
        level.shares -= working.counted
        working.queued = False
        if not level.orders:
            del self._levels[working.level]
            if working.level is not None:
                del self._keys[bisect_left(self._keys, self._sign * working.level)]

    def recount(self, working: Working) -> None:
        """After its fillable quantity changed."""
        now = working.fillable
        self._levels[working.level].shares += now - working.counted
        working.counted = now

    def reaches(self, price: float | Decimal) -> bool:
        """Whether anything here could trade at a price."""
        return None in self._levels or bool(self._keys and self._keys[0] <= self._sign * price)

    def reaching(self, price: Decimal) -> Iterator[Working]:
        """Orders without a limit and those whose limit allows the price, in their turn."""
        for level in self._levels_to(price):
            yield from level.orders.values()

    def shares_at(self, price: Decimal) -> int:
        """Shares that would trade at a price."""
        return sum(level.shares for level in self._levels_to(price))

    def _levels_to(self, price: Decimal) -> Iterator[_Level]:
        if None in self._levels:
            yield self._levels[None]
        bound = self._sign * price
        for key in self._keys:
            if key > bound:
                return
            yield self._levels[self._sign * key]


class RestingBook:
    """Both queues of one symbol, and the orders ``aside`` that are not in them yet."""

    def __init__(self) -> None:
        self.buys = Queue(Side.BUY)
        self.sells = Queue(Side.SELL)
        self.aside: dict[int, Working] = {}

    def __bool__(self) -> bool:
        return bool(self.buys or self.sells or self.aside)

    def add(self, working: Working) -> None:
        """Into its queue, or aside while it waits."""
        if working.waits:
            self.aside[working.order.order_no] = working
        else:
            self._queue(working).add(working)

    def enter(self, working: Working) -> None:
        """From aside into its queue."""
        del self.aside[working.order.order_no]
        self._queue(working).add(working)

    def remove(self, working: Working) -> None:
        if working.queued:
            self._queue(working).remove(working)
        else:
            del self.aside[working.order.order_no]

    def recount(self, working: Working) -> None:
        if working.queued:
            self._queue(working).recount(working)

    def reaches(self, low: float, high: float) -> bool:
        """Whether a bar between these prices can matter to any order here."""
        return bool(self.aside) or self.buys.reaches(low) or self.sells.reaches(high)

    def shares_at(self, price: Decimal) -> int:
        """Shares of both sides that one price would let trade."""
        return self.buys.shares_at(price) + self.sells.shares_at(price)

    def _queue(self, working: Working) -> Queue:
        return self.buys if working.order.side is Side.BUY else self.sells
