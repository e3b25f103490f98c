"""A simulated exchange: a tape of prices, accounts, and orders that fill only against the tape.

What "now" sees: at time ``t`` the bars whose minute is over (``end <= t``). At 10:35:00 the last
price is the close of the 10:34 bar. Before a symbol's first bar ``last`` is the previous close and
open, high, low and volume are 0. The closing auction is seen at the close.

Matching: an order that can trade at the quote (last price and one increment, or the tape's own bid
and ask) fills at once, up to what stands there: the order book's first level. The rest, and every
other order, meets the bars that begin at or after it was placed; see :mod:`.book`. Nothing trades
in a break, a halt, a minute without volume, or (at once) in the minutes of the closing auction.
What is left at the close is cancelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import OrderType, Side
from trading_core.model.price import DailyBar, MinuteBar, OrderBook, Quote, Ranking, RankRow
from trading_core.rules.calendar import session_on
from trading_core.twin.book import Working, match_bar
from trading_core.twin.checks import OrderChecks
from trading_core.twin.ledger import Balance, Ledger
from trading_core.twin.prices import Prices
from trading_core.twin.tape import Tape
from trading_core.twin.venue import (
    AccountSpec,
    AccountView,
    NewOrder,
    RefusalKind,
    RowKind,
    VenueFill,
    VenueOrder,
    VenueRefusal,
    VenueState,
)


class SimulatedExchange:
    """Implements :class:`~trading_core.twin.venue.Venue` over a tape.

    Args:
        tape: The session to play.
        accounts: Opened with their cash; at least one.
        at: Where the clock starts; the session's open when not given.
    """

    def __init__(
        self, tape: Tape, accounts: Sequence[AccountSpec], *, at: datetime | None = None
    ) -> None:
        self._ledger = Ledger(tape.group, accounts, tape.session)
        self._past: list[VenueOrder] = []
        self._fills: list[VenueFill] = []
        self._begin(tape, at)

    def _begin(self, tape: Tape, at: datetime | None) -> None:
        self._tape = tape
        self._prices = Prices(tape)
        self._checks = OrderChecks(tape, self._prices, self._ledger)
        funds = frozenset(i.symbol for i, e in zip(tape.instruments, tape.etf, strict=True) if e)
        self._ledger.start_session(tape.session, funds)
        self._rows: dict[int, VenueOrder] = {}
        self._working: dict[int, Working] = {}
        self._taken: dict[tuple[int, Side], tuple[int, int]] = {}
        self._now = _utc(at) if at is not None else tape.hours.open_at
        self._cursor = 0
        self._expired = False
        self._move_to(self._now)

    def start_session(self, tape: Tape, *, at: datetime | None = None) -> None:
        """Go on with a later session's tape; accounts, holdings and past orders stay.

        Raises:
            ValueError: the tape is of another group or not later than the present session.
        """
        if tape.group is not self.group or tape.session <= self._tape.session:
            raise ValueError(f"{tape.group} {tape.session} does not follow this session")
        self.advance_to(self._tape.hours.close_at)
        self._past.extend(self._rows.values())
        self._begin(tape, at)

    @property
    def now(self) -> datetime:
        return self._now

    @property
    def group(self) -> MarketGroup:
        return self._tape.group

    @property
    def tape(self) -> Tape:
        return self._tape

    def advance_to(self, at: datetime) -> list[VenueFill]:
        """Move the clock and match every bar that ended on the way. A time in the past is now."""
        return self._move_to(max(_utc(at), self._now))

    def _move_to(self, at: datetime) -> list[VenueFill]:
        target = self._prices.columns_ended(at)
        made: list[VenueFill] = []
        for column in range(self._cursor, target) if self._working else ():
            made += self._match_column(column)
            if not self._working:
                break
        self._cursor = target
        self._now = at
        if at >= self._tape.hours.close_at and not self._expired:
            self._expired = True
            for working in list(self._working.values()):
                self._take_out(working.order, working.order.remaining_quantity)
        return made

    def _match_column(self, column: int) -> list[VenueFill]:
        begins = self._prices.start_of(column)
        ended = self._prices.end_of(column)
        by_symbol: dict[int, list[Working]] = {}
        for working in self._working.values():
            if working.order.ordered_at <= begins:
                row = self._prices.row(working.order.instrument.symbol)
                by_symbol.setdefault(row, []).append(working)
        made = []
        for row, orders in by_symbol.items():
            bar = self._prices.bar(row, column)
            if bar is None:
                continue
            lot = self._prices.lot(row)
            for working, quantity, price in match_bar(orders, bar, self._prices.grid(row), lot):
                made.append(self._fill(working, quantity, price, ended))
        return made

    def _fill(self, working: Working, quantity: int, price: Decimal, at: datetime) -> VenueFill:
        order = working.order
        self._ledger.record_fill(order, quantity, price)
        order.last_fill_at = at
        self._settle_working(working)
        fill = VenueFill(
            order.order_no, order.account_no, order.instrument, order.side, quantity, price, at
        )
        self._fills.append(fill)
        return fill

    def _settle_working(self, working: Working) -> None:
        """What the order still reserves follows from what remains; a finished one leaves."""
        self._ledger.hold_back(working.order, working.cap or Decimal(0))
        if working.order.remaining_quantity == 0:
            del self._working[working.order.order_no]

    def _take_out(self, order: VenueOrder, quantity: int) -> None:
        order.cancelled_quantity += quantity
        self._settle_working(self._working[order.order_no])

    # --- what can be seen -------------------------------------------------------------------

    def state(self) -> VenueState:
        return VenueState(
            now=self._now,
            group=self.group,
            session=self._tape.session,
            is_open=self._tape.hours.contains(self._now),
            symbols=len(self._tape.instruments),
            orders=len(self._past) + len(self._rows),
            fills=len(self._fills),
            accounts=[spec.account_no for spec in self._ledger.specs()],
        )

    def instruments(self) -> Sequence[Instrument]:
        return self._tape.instruments

    def instrument(self, symbol: str) -> Instrument | None:
        row = self._prices.find(symbol)
        return None if row is None else self._tape.instruments[row]

    def quote(self, symbol: str) -> Quote | None:
        row = self._prices.find(symbol)
        return None if row is None else self._prices.quote(row, self._cursor, self._now)

    def order_book(self, symbol: str) -> OrderBook | None:
        """Ten synthetic levels a side; empty while nothing can trade."""
        row = self._prices.find(symbol)
        if row is None:
            return None
        quiet = self._prices.is_quiet(self._now)
        return self._prices.order_book(row, self._cursor, self._now, quiet=quiet)

    def daily_bars(self, symbol: str, *, start: date | None, end: date) -> list[DailyBar]:
        row = self._prices.find(symbol)
        return [] if row is None else self._prices.daily_bars(row, self._cursor, start, end)

    def minute_bars(self, symbol: str, *, session: date, until: datetime) -> list[MinuteBar]:
        """Only bars that are over: the forming minute is not shown, other sessions are empty."""
        row = self._prices.find(symbol)
        if row is None or session != self._tape.session:
            return []
        return self._prices.minute_bars(row, self._cursor, _utc(until))

    def ranking(
        self, ranking: Ranking, market: Market, *, descending: bool = True
    ) -> list[RankRow]:
        return self._prices.ranking(ranking, market, self._cursor, descending)

    def is_session(self, day: date) -> bool:
        return session_on(self.group, day) is not None

    # --- orders -----------------------------------------------------------------------------

    def place(self, order: NewOrder) -> VenueOrder:
        """Check, accept and match what can trade at once. The row returned is a copy."""
        self._ledger.require(order.account_no)
        row = self._prices.find(order.symbol)
        if row is None:
            raise VenueRefusal(RefusalKind.UNKNOWN_SYMBOL, f"{order.symbol} is not listed here")
        self._checks.require_open(self._now)
        self._checks.require_trading(row)
        self._checks.require_terms(row, order.order_type, order.limit_price)
        new = VenueOrder(
            order_no=self._next_no(),
            kind=RowKind.NEW,
            account_no=order.account_no,
            instrument=self._tape.instruments[row],
            side=order.side,
            order_type=order.order_type,
            quantity=order.quantity,
            limit_price=order.limit_price,
            ordered_at=self._now,
            session=self._tape.session,
        )
        self._checks.require_quantity(row, new)
        cap = self._checks.worst_price(row, new, self._cursor)
        self._checks.require_cover(new, cap, freed=Decimal(0))
        return self._accept(row, new, cap)

    def modify(
        self, account_no: str, order_no: int, *, limit_price: Decimal | None, quantity: int | None
    ) -> VenueOrder:
        """Reprice ``quantity`` (None: all) of what remains; None as price makes it a market order.

        The part that moves leaves the original row (as cancelled there) and its place in the
        queue; the new row works from now on.
        """
        original, moved = self._checks.original(
            self._rows.get(order_no), account_no, order_no, quantity, self._now
        )
        row = self._prices.row(original.instrument.symbol)
        self._checks.require_trading(row)
        kind = OrderType.LIMIT if limit_price is not None else OrderType.MARKET
        self._checks.require_terms(row, kind, limit_price)
        new = self._follow(original, RowKind.MODIFY, moved)
        new.order_type, new.limit_price = kind, limit_price
        cap = self._checks.worst_price(row, new, self._cursor)
        if new.side is Side.BUY:
            old_cap = self._working[order_no].cap or Decimal(0)
            after = replace(original, cancelled_quantity=original.cancelled_quantity + moved)
            freed = self._ledger.needed(original, old_cap) - self._ledger.needed(after, old_cap)
            self._checks.require_cover(new, cap, freed=freed)
        self._take_out(original, moved)
        return self._accept(row, new, cap)

    def cancel(self, account_no: str, order_no: int, *, quantity: int | None) -> VenueOrder:
        """Take ``quantity`` (None: all) of what remains off the book; returns the cancel's row."""
        original, taken = self._checks.original(
            self._rows.get(order_no), account_no, order_no, quantity, self._now
        )
        self._take_out(original, taken)
        new = self._follow(original, RowKind.CANCEL, taken)
        new.cancelled_quantity = taken
        self._rows[new.order_no] = new
        return copy(new)

    def orders(self, account_no: str, *, start: date, end: date) -> list[VenueOrder]:
        self._ledger.require(account_no)
        rows = [*self._past, *self._rows.values()]
        return [
            copy(row)
            for row in rows
            if row.account_no == account_no and start <= row.session <= end
        ]

    def fills(self, account_no: str) -> list[VenueFill]:
        self._ledger.require(account_no)
        return [fill for fill in self._fills if fill.account_no == account_no]

    def account(self, account_no: str, currency: Currency) -> AccountView:
        today = self._prices.local_date(self._now)
        return self._ledger.view(account_no, currency, today, self._last)

    def accounts(self) -> list[AccountSpec]:
        return self._ledger.specs()

    def balance(self, account_no: str) -> Balance:
        """Both sides of an account's books."""
        return self._ledger.balance(account_no)

    # --- accepting --------------------------------------------------------------------------

    def _next_no(self) -> int:
        return len(self._rows) + 1

    def _follow(self, original: VenueOrder, kind: RowKind, quantity: int) -> VenueOrder:
        """A new row about a part of an order."""
        return VenueOrder(
            order_no=self._next_no(),
            kind=kind,
            account_no=original.account_no,
            instrument=original.instrument,
            side=original.side,
            order_type=original.order_type,
            quantity=quantity,
            limit_price=original.limit_price,
            ordered_at=self._now,
            session=original.session,
            original_no=original.order_no,
        )

    def _accept(self, row: int, order: VenueOrder, cap: Decimal | None) -> VenueOrder:
        working = Working(order, cap)
        self._rows[order.order_no] = order
        self._working[order.order_no] = working
        self._ledger.hold_back(order, cap or Decimal(0))
        self._match_at_once(row, working)
        return copy(order)

    def _match_at_once(self, row: int, working: Working) -> None:
        """Take what stands at the opposite best price, if the order may trade there."""
        if self._prices.is_quiet(self._now):
            return
        ask, bid = self._prices.best(row, self._cursor)
        buy = working.order.side is Side.BUY
        price, cap = (ask if buy else bid), working.cap
        if price is None or (cap is not None and (price > cap if buy else price < cap)):
            return
        key = (row, working.order.side)
        minute, taken = self._taken.get(key, (self._cursor, 0))
        if minute != self._cursor:
            taken = 0
        quantity = min(
            self._prices.standing(row, self._cursor) - taken, working.order.remaining_quantity
        )
        if quantity > 0:
            self._taken[key] = (self._cursor, taken + quantity)
            self._fill(working, quantity, price, self._now)

    def _last(self, symbol: str) -> Decimal:
        row = self._prices.find(symbol)
        return Decimal(0) if row is None else self._prices.last(row, self._cursor)


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("the exchange needs aware times")
    return at.astimezone(UTC)
