"""Liquidity: the synthetic order book, and how resting orders meet a minute bar.

Orders of our accounts do not trade with each other; they take a share of what the tape traded.
Of every bar at most ``PARTICIPATION`` of the volume is ours, handed out in price-time order. A
price that was traded through gives the full share, one that was only touched gives half of it,
because others stood in that queue before us.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from trading_core.model.market import Instrument, Market
from trading_core.model.order import Side
from trading_core.model.price import BookLevel, OrderBook
from trading_core.rules.markets import (
    Rounding,
    is_on_increment,
    price_increment,
    round_to_increment,
)
from trading_core.twin.resting import Queue, RestingBook, Working
from trading_core.twin.venue import Pricing

PARTICIPATION = 0.10
LEVELS = 10
_UPPER_32 = 0xFFFFFFFF


def to_decimal(price: float) -> Decimal:
    """A tape price as an exact decimal: whole numbers without a fraction, else 4 digits."""
    if price == int(price):
        return Decimal(int(price))
    return Decimal(repr(round(float(price), 4)))


def share_of(volume: int, lot: int) -> int:
    """Shares of a bar that our orders may take: whole lots, one at least while there is one."""
    if volume < lot:
        return 0
    return max(int(volume * PARTICIPATION) // lot * lot, lot)


@dataclass(frozen=True, slots=True)
class Grid:
    """The allowed prices of one instrument in one session, between its daily limits."""

    market: Market
    on: date
    etf: bool
    upper: Decimal | None
    lower: Decimal | None

    def allows(self, price: Decimal) -> bool:
        """Whether an order may carry the price, limits aside."""
        return price > 0 and is_on_increment(self.market, price, self.on, etf=self.etf)

    def within(self, price: Decimal) -> bool:
        """Whether the price is inside the daily limits, both included."""
        return (self.upper is None or price <= self.upper) and (
            self.lower is None or price >= self.lower
        )

    def up(self, price: Decimal) -> Decimal:
        """The price itself or the next allowed one above."""
        return round_to_increment(self.market, price, self.on, Rounding.UP, etf=self.etf)

    def down(self, price: Decimal) -> Decimal:
        """The price itself or the next allowed one below."""
        return round_to_increment(self.market, price, self.on, Rounding.DOWN, etf=self.etf)

    def above(self, price: Decimal) -> Decimal | None:
        """The next allowed price above; None beyond the daily limit."""
        floor = self.down(price)
        step = price_increment(self.market, floor, self.on, etf=self.etf)
        # Where two steps meet the finer one may lead off the coarser grid; rounding puts it back.
        up = self.up(floor + step)
        return None if self.upper is not None and up > self.upper else up

    def below(self, price: Decimal) -> Decimal | None:
        """The next allowed price below; None beyond the daily limit or at zero."""
        top = self.up(price)
        step = price_increment(self.market, top, self.on, etf=self.etf)
        if top - step <= 0:
            # A lone increment above zero is the lowest price there is.
            return None
        # At the foot of a band the next price down belongs to the finer band.
        down = top - price_increment(self.market, top - step, self.on, etf=self.etf)
        return None if self.lower is not None and down < self.lower else down


def synthetic_book(
    instrument: Instrument,
    at: datetime,
    best: tuple[Decimal | None, Decimal | None],
    grid: Grid,
    first: int,
    minute: int,
) -> OrderBook:
    """Ten levels a side from the best ask and bid outwards, the same for the same minute.

    ``best`` is (ask, bid), None for a side that is empty; ``first`` is the quantity at the best
    price, which is what can be taken there now; deeper levels hold one to four times as much.
    """
    sides = []
    for name, start, step in (("ask", best[0], grid.above), ("bid", best[1], grid.below)):
        levels: list[BookLevel] = []
        price = start
        noise = zlib.crc32(f"{instrument.symbol}|{minute}|{name}".encode())
        while price is not None and len(levels) < LEVELS and first > 0:
            levels.append(BookLevel(price, first * (1 if not levels else 1 + noise % 4)))
            noise = (noise * 1664525 + 1013904223) & _UPPER_32
            price = step(price)
        sides.append(tuple(levels))
    return OrderBook(instrument, asks=sides[0], bids=sides[1], at=at)


@dataclass(frozen=True, slots=True)
class Bar:
    """One minute of one symbol as matching sees it.

    ``auction``: one price for all, no spread. ``single``: its first moment was such an auction,
    for the orders that were there before it began.
    """

    begins: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    auction: bool
    single: bool = False


def executable(working: Working, bar: Bar, grid: Grid) -> tuple[Decimal, bool] | None:
    """The price at which an order meets a bar, and whether it was traded through.

    A buy takes the ask of the bar's first moment (its open and one increment; the open itself in
    an auction) when that is within its limit, else its own limit when the bar went down to it. At
    the daily upper limit nobody sells: a bar that never left it fills no buy. Sells mirror this.
    Orders for the open or the close take that price or none.
    """
    order = working.order
    buy = order.side is Side.BUY
    locked = grid.upper if buy else grid.lower
    if locked is not None and (bar.low >= locked if buy else bar.high <= locked):
        return None
    if order.pricing in (Pricing.AT_OPEN, Pricing.AT_CLOSE):
        price = bar.open if order.pricing is Pricing.AT_OPEN else bar.close
        return (price, True) if working.takes(price) else None
    quoted: Decimal | None = bar.open
    if not bar.auction and not (bar.single and order.ordered_at < bar.begins):
        quoted = grid.above(bar.open) if buy else grid.below(bar.open)
    cap = working.cap
    if quoted is not None and working.takes(quoted):
        return quoted, True
    if cap is None:
        return bar.open, True
    if buy:
        return (cap, bar.low < cap) if bar.low <= cap else None
    return (cap, bar.high > cap) if bar.high >= cap else None


_Meeting = tuple[Working, Decimal, bool]


def _meetings(queue: Queue, bar: Bar, grid: Grid, reach: Decimal) -> Iterator[_Meeting]:
    """Who of one side can trade in a bar, in price-time order: (order, price, traded through)."""
    for working in queue.reaching(reach):
        # At the close everyone meets who came before it, within the last minute too.
        late = working.since > bar.begins and working.order.pricing is not Pricing.AT_CLOSE
        if late or working.fillable == 0:
            continue
        met = executable(working, bar, grid)
        if met is not None:
            yield working, *met


def match_bar(
    book: RestingBook, bar: Bar, grid: Grid, lot: int
) -> list[tuple[Working, int, Decimal]]:
    """Fills of one bar: (order, shares, price). Nothing in the book is changed.

    Both sides come in price-time order; between the two best, the one that came first.
    """
    left = share_of(bar.volume, lot)
    # Off-grid lots cannot be split further than the lot; an odd remainder goes in one piece.
    touch = max(left // 2 // lot * lot, lot) if left else 0
    fills = []
    for working, price, through in heapq.merge(
        _meetings(book.buys, bar, grid, bar.low),
        _meetings(book.sells, bar, grid, bar.high),
        key=lambda meeting: meeting[0].order.order_no,
    ):
        quantity = min(working.fillable, left if through else min(left, touch))
        if quantity <= 0:
            continue
        left -= quantity
        touch -= 0 if through else quantity
        fills.append((working, quantity, price))
        if left <= 0:
            break
    return fills
