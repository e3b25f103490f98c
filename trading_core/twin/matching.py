"""The working orders of one session and how they meet the tape, minute by minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from trading_core.model.market import MarketGroup
from trading_core.model.order import NoticeKind, OrderType, Side
from trading_core.rules.calendar import Phase
from trading_core.twin.book import Bar, match_bar, to_decimal
from trading_core.twin.interruptions import Interruptions
from trading_core.twin.ledger import Ledger
from trading_core.twin.phases import SessionPhases
from trading_core.twin.prices import Prices
from trading_core.twin.records import Records
from trading_core.twin.resting import RestingBook, Working
from trading_core.twin.tape import Tape
from trading_core.twin.venue import Pricing, TradingState, VenueFill, VenueOrder

_AUCTIONS = (Phase.OPENING_AUCTION, Phase.CLOSING_AUCTION)


class Matching:
    """Takes orders in, lets them trade and takes them out; every change is booked and told.

    Only working orders are ever touched, and of a minute only those its prices reach.
    """

    def __init__(
        self,
        tape: Tape,
        prices: Prices,
        phases: SessionPhases,
        ledger: Ledger,
        records: Records,
    ) -> None:
        self._tape = tape
        self._prices = prices
        self._phases = phases
        self._ledger = ledger
        self._records = records
        self.interruptions = Interruptions(tape, phases.quiet_from)
        self._working: dict[int, Working] = {}
        self._books: dict[int, RestingBook] = {}
        self._doomed: list[Working] = []
        self._conditional: dict[int, Working] = {}
        self._taken: dict[tuple[int, Side], tuple[int, int]] = {}

    def working(self, order_no: int) -> Working:
        return self._working[order_no]

    # --- whether anything trades ------------------------------------------------------------

    def state(self, row: int, cursor: int, at: datetime) -> TradingState:
        """Phase, halt and interruption at a moment."""
        phase = self._phases.at(at)
        until = None
        if phase is Phase.CONTINUOUS:
            until = self.interruptions.until(row, cursor, at)
        reference = self.interruptions.reference(row, cursor)
        return TradingState(
            phase=phase,
            halted=bool(self._tape.halted[row]),
            interrupted=until is not None,
            interrupted_until=until,
            reference_price=None if reference is None else to_decimal(reference),
        )

    def auction_state(self, row: int, cursor: int, at: datetime) -> TradingState:
        """The state, in an auction with what is expected of it."""
        state = self.state(row, cursor, at)
        if not state.interrupted and state.phase not in _AUCTIONS:
            return state
        price = self._prices.last(row, cursor)
        book = self._books.get(row)
        shares = 0 if book is None else book.shares_at(price)
        return replace(state, expected_price=price, expected_quantity=shares)

    # --- in and out -------------------------------------------------------------------------

    def add(self, row: int, working: Working) -> None:
        """Let an accepted order work, with what it may cost held back."""
        order = working.order
        self._working[order.order_no] = working
        self._books.setdefault(row, RestingBook()).add(working)
        if working.reject:
            self._doomed.append(working)
        if order.pricing is Pricing.CONDITIONAL:
            self._conditional[order.order_no] = working
        self._ledger.hold_back(order, working.cover)

    def take_out(self, order: VenueOrder, quantity: int) -> None:
        """Cancel a part of what works."""
        order.cancelled_quantity += quantity
        self._settle(self._working[order.order_no])

    def expire(self, order: VenueOrder, at: datetime) -> None:
        """Take out all that is left, and say so."""
        self.take_out(order, order.remaining_quantity)
        self._records.tell(NoticeKind.EXPIRED, order, at)

    def expire_all(self, at: datetime) -> None:
        for working in list(self._working.values()):
            self.expire(working.order, at)

    def reject_doomed(self, at: datetime) -> None:
        """The exchange refuses what it was told to refuse late."""
        for working in self._doomed:
            order = working.order
            if order.remaining_quantity:
                order.rejected_quantity += order.remaining_quantity
                self._settle(working)
                self._records.tell(NoticeKind.REJECTED, order, at)
        self._doomed.clear()

    def _settle(self, working: Working) -> None:
        """What the order still reserves follows from what remains; a finished one leaves."""
        order = working.order
        self._ledger.hold_back(order, working.cover)
        row = self._prices.row(order.instrument.symbol)
        book = self._books[row]
        if order.remaining_quantity:
            book.recount(working)
            return
        book.remove(working)
        if not book:
            del self._books[row]
        del self._working[order.order_no]
        self._conditional.pop(order.order_no, None)

    def _fill(self, working: Working, quantity: int, price: Decimal, at: datetime) -> VenueFill:
        order = working.order
        self._ledger.record_fill(order, quantity, price)
        order.last_fill_at = at
        if working.allowance is not None:
            working.allowance -= quantity
        self._settle(working)
        fill = VenueFill(
            order.order_no, order.account_no, order.instrument, order.side, quantity, price, at
        )
        self._records.add_fill(fill)
        self._records.tell(NoticeKind.FILLED, order, at, (quantity, price))
        return fill

    # --- at once ----------------------------------------------------------------------------

    def offer(self, row: int, side: Side, cursor: int) -> tuple[Decimal, int] | None:
        """The opposite best price, and the shares that can still be had there in this minute."""
        ask, bid = self._prices.best(row, cursor)
        price = ask if side is Side.BUY else bid
        if price is None:
            return None
        minute, taken = self._taken.get((row, side), (cursor, 0))
        left = self._prices.standing(row, cursor) - (taken if minute == cursor else 0)
        return (price, left) if left > 0 else None

    def match_at_once(self, row: int, working: Working, cursor: int, at: datetime) -> None:
        """Take what stands at the opposite best price, if the order may trade there."""
        side = working.order.side
        offer = None if working.waits else self.offer(row, side, cursor)
        if offer is None or not working.takes(offer[0]):
            return
        price, left = offer
        quantity = min(left, working.fillable)
        if quantity > 0:
            minute, taken = self._taken.get((row, side), (cursor, 0))
            before = taken if minute == cursor else 0
            self._taken[row, side] = (cursor, before + quantity)
            self._fill(working, quantity, price, at)

    # --- minute by minute -------------------------------------------------------------------

    def play(self, start: int, stop: int, until: datetime) -> list[VenueFill]:
        """Match the columns from ``start`` to before ``stop``; ``until`` is the clock's aim."""
        made: list[VenueFill] = []
        for column in range(start, stop):
            if not self._working:
                break
            if self._conditional and self._prices.end_of(column) > self._phases.quiet_from:
                self._lift_limits()
            for row, book in list(self._books.items()):
                made += self._meet(row, book, column)
        if self._conditional and until >= self._phases.quiet_from:
            self._lift_limits()
        return made

    def _meet(self, row: int, book: RestingBook, column: int) -> list[VenueFill]:
        reach = self._prices.traded_range(row, column)
        if reach is None or not book.reaches(*reach):
            return []
        if self._is_collecting(column) or self.interruptions.blocks(row, column):
            return []
        single = self.interruptions.begins_single(row, column) or self._reopens(column)
        bar = self._prices.bar(row, column, single=single)
        for_the_open = self._enter_auctions(row, book, column) if book.aside else []
        ended = self._prices.end_of(column)
        made = [
            self._fill(working, quantity, price, ended)
            for working, quantity, price in match_bar(
                book, bar, self._prices.grid(row), self._prices.lot(row)
            )
        ]
        for working in for_the_open:
            if working.order.remaining_quantity:
                self.expire(working.order, ended)
        if book.aside:
            _wake(book, bar, ended)
        return made

    def _is_collecting(self, column: int) -> bool:
        """Whether a minute only collects orders for the closing auction."""
        quiet = self._prices.start_of(column) >= self._phases.quiet_from
        return quiet and not self._prices.is_auction(column)

    def _reopens(self, column: int) -> bool:
        """Tokyo's afternoon begins with an auction of its own."""
        hours = self._tape.hours
        return hours.group is MarketGroup.JP and hours.break_end_at == self._prices.start_of(column)

    def _enter_auctions(self, row: int, book: RestingBook, column: int) -> list[Working]:
        """Orders for the open join a symbol's first bar, those for the close the closing auction.

        Where the exchange closes without an auction of its own the last minute ends on the closing
        price. Returns those for the open.
        """
        last = column == len(self._tape.starts) - 1
        closing = last and self._phases.closes_by_auction == self._prices.is_auction(column)
        opening = self.interruptions.day(row).singles[:1] == (column,)
        joined = []
        for working in list(book.aside.values()):
            pricing = working.order.pricing
            if opening and pricing is Pricing.AT_OPEN:
                book.enter(working)
                joined.append(working)
            elif closing and pricing is Pricing.AT_CLOSE:
                book.enter(working)
        return joined

    def _lift_limits(self) -> None:
        """In the closing auction a conditional limit is a market order, last in its queue."""
        for working in list(self._conditional.values()):
            order = working.order
            book = self._books[self._prices.row(order.instrument.symbol)]
            book.remove(working)
            order.order_type, order.limit_price = OrderType.MARKET, None
            working.cap = working.cover if order.side is Side.BUY else None
            book.add(working)
        self._conditional.clear()


def _wake(book: RestingBook, bar: Bar, at: datetime) -> None:
    """Stops whose trigger traded work from the next minute on."""
    for working in list(book.aside.values()):
        trigger = working.order.trigger_price
        if not working.asleep or trigger is None or working.since > bar.begins:
            continue
        if bar.high >= trigger if working.order.side is Side.BUY else bar.low <= trigger:
            working.asleep, working.since = False, at
            book.enter(working)
