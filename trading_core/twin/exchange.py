"""A simulated exchange: a tape of prices, accounts, and orders that fill only against the tape.

What "now" sees: at time ``t`` the bars whose minute is over (``end <= t``). At 10:35:00 the last
price is the close of the 10:34 bar. Before a symbol's first bar ``last`` is the previous close and
open, high, low and volume are 0. The closing auction is seen at the close.

Matching: an order that can trade at the quote (last price and one increment, or the tape's own bid
and ask) fills at once, up to what stands there: the order book's first level. The rest, and every
other order, meets the bars that begin at or after it was placed; see :mod:`.book`. Nothing trades
in a break, a halt, a minute without volume, or (at once) in the minutes of the closing auction.
What is left at the close is taken out.

Auctions: orders collected before the open trade at the open of a symbol's first bar, those of the
closing auction at its price, where the tape has it. In Korea a volatility interruption collects
orders for two minutes; see :mod:`.interruptions`. The bars themselves are never changed by it.

Order types: ``BEST`` and ``PRIORITY`` become limits on arrival. ``AT_OPEN`` and ``AT_CLOSE`` trade
at that price or not at all. A ``CONDITIONAL`` limit is reserved as the market order it may become.
A ``STOP`` whose trigger trades in a minute works from the next one on. ``IOC`` and ``FOK`` look at
the best price alone, because that is all the tape vouches for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.price import DailyBar, MinuteBar, OrderBook, Quote, Ranking, RankRow
from trading_core.rules.calendar import session_on
from trading_core.twin.checks import OrderChecks
from trading_core.twin.entry import OrderEntry
from trading_core.twin.ledger import Balance, Ledger
from trading_core.twin.matching import Matching
from trading_core.twin.past import PastMinutes
from trading_core.twin.phases import SessionPhases
from trading_core.twin.prices import Prices
from trading_core.twin.records import Records
from trading_core.twin.tape import Tape
from trading_core.twin.venue import (
    AccountSpec,
    AccountView,
    NewOrder,
    TradingState,
    VenueFill,
    VenueNotice,
    VenueOrder,
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
        self._records = Records()
        self._played: Prices | None = None
        self._begin(tape, at)

    def _begin(self, tape: Tape, at: datetime | None) -> None:
        self._tape = tape
        self._prices = Prices(tape)
        self._past = PastMinutes(tape)
        phases = SessionPhases(tape.hours)
        checks = OrderChecks(tape, self._prices, phases, self._ledger)
        self._matching = Matching(tape, self._prices, phases, self._ledger, self._records)
        self._entry = OrderEntry(tape, self._prices, checks, self._matching, self._records)
        funds = frozenset(i.symbol for i, e in zip(tape.instruments, tape.etf, strict=True) if e)
        self._ledger.start_session(tape.session, funds)
        self._records.start_session()
        self._now = _utc(at) if at is not None else tape.hours.open_at
        self._cursor = 0
        self._move_to(self._now)

    def start_session(self, tape: Tape, *, at: datetime | None = None) -> None:
        """Go on with a later session's tape; accounts, holdings and past orders stay.

        Raises:
            ValueError: the tape is of another group or not later than the present session.
        """
        if tape.group is not self.group or tape.session <= self._tape.session:
            raise ValueError(f"{tape.group} {tape.session} does not follow this session")
        self.advance_to(self._tape.hours.close_at)
        self._played = self._prices
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
        if at > self._now:
            self._matching.reject_doomed(self._now)
        target = self._prices.columns_ended(at)
        made = self._matching.play(self._cursor, target, at)
        self._cursor = target
        self._now = at
        if at >= self._tape.hours.close_at:
            self._matching.expire_all(self._tape.hours.close_at)
        return made

    # --- what can be seen -------------------------------------------------------------------

    def state(self) -> VenueState:
        return VenueState(
            now=self._now,
            group=self.group,
            session=self._tape.session,
            is_open=self._tape.hours.contains(self._now),
            symbols=len(self._tape.instruments),
            orders=self._records.order_count,
            fills=self._records.fill_count,
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
        quiet = not self._matching.state(row, self._cursor, self._now).continuous
        return self._prices.order_book(row, self._cursor, self._now, quiet=quiet)

    def trading_state(self, symbol: str) -> TradingState | None:
        """Phase, halt and interruption now.

        In an auction ``expected_price`` is the last price (the tape's own single price is not
        known before it is made) and ``expected_quantity`` the shares of the orders collected here
        that it would let trade.
        """
        row = self._prices.find(symbol)
        return None if row is None else self._matching.auction_state(row, self._cursor, self._now)

    def daily_bars(
        self, symbol: str, *, start: date | None, end: date, adjusted: bool = True
    ) -> list[DailyBar]:
        """See :class:`~trading_core.twin.venue.Venue`.

        Adjusted bars are on the present session's level, splits before it taken out. The others
        are as the price file has them, so a file of adjusted prices has only the one kind.
        """
        row = self._prices.find(symbol)
        if row is None:
            return []
        return self._prices.daily_bars(row, self._cursor, start, end, adjusted=adjusted)

    def bars_between(self, symbol: str, *, after: datetime, until: datetime) -> list[MinuteBar]:
        row = self._prices.find(symbol)
        if row is None:
            return []
        return self._prices.bars_between(row, self._cursor, _utc(after), _utc(until))

    def minute_bars(self, symbol: str, *, session: date, until: datetime) -> list[MinuteBar]:
        """Only bars that are over: the forming minute is not shown.

        The session played just before is shown as it was; see :mod:`.past` for other earlier ones.
        """
        row, until = self._prices.find(symbol), _utc(until)
        if self._played is not None and session == self._played.session:
            played = self._played.find(symbol)
            if played is not None:
                return self._played.minute_bars(played, self._played.columns, until)
        if row is None or session > self._tape.session:
            return []
        if session < self._tape.session:
            return self._past.bars(row, session, until)
        return self._prices.minute_bars(row, self._cursor, until)

    def ranking(
        self, ranking: Ranking, market: Market, *, descending: bool = True
    ) -> list[RankRow]:
        return self._prices.ranking(ranking, market, self._cursor, descending)

    def is_session(self, day: date) -> bool:
        return session_on(self.group, day) is not None

    # --- orders -----------------------------------------------------------------------------

    def place(self, order: NewOrder) -> VenueOrder:
        """Check, accept and match what can trade at once. The row returned is a copy."""
        return self._entry.place(order, self._cursor, self._now)

    def modify(
        self, account_no: str, order_no: int, *, limit_price: Decimal | None, quantity: int | None
    ) -> VenueOrder:
        """Reprice ``quantity`` (None: all) of what remains; None as price makes it a market order.

        The part that moves leaves the original row (as cancelled there) and its place in the
        queue; the new row works from now on. A fate stays with the row it was given to.
        """
        named = account_no, order_no
        return self._entry.modify(named, limit_price, quantity, self._cursor, self._now)

    def cancel(self, account_no: str, order_no: int, *, quantity: int | None) -> VenueOrder:
        """Take ``quantity`` (None: all) of what remains off the book; returns the cancel's row."""
        return self._entry.cancel((account_no, order_no), quantity, self._now)

    def orders(self, account_no: str, *, start: date, end: date) -> list[VenueOrder]:
        self._ledger.require(account_no)
        return self._records.between(account_no, start, end)

    def fills(self, account_no: str) -> list[VenueFill]:
        self._ledger.require(account_no)
        return self._records.fills_of(account_no)

    def account(self, account_no: str, currency: Currency) -> AccountView:
        today = self._prices.local_date(self._now)
        return self._ledger.view(account_no, currency, today, self._last)

    def accounts(self) -> list[AccountSpec]:
        return self._ledger.specs()

    def balance(self, account_no: str) -> Balance:
        """Both sides of an account's books."""
        return self._ledger.balance(account_no)

    def listen(self, listener: Callable[[VenueNotice], None]) -> None:
        """See :class:`~trading_core.twin.venue.Venue`.

        A modify or cancel is ``ACCEPTED``, then ``CONFIRMED`` when its quantity has left the
        original, which its row names; the original has no notice of its own.
        """
        self._records.listen(listener)

    def _last(self, symbol: str) -> Decimal:
        row = self._prices.find(symbol)
        return Decimal(0) if row is None else self._prices.last(row, self._cursor)


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("the exchange needs aware times")
    return at.astimezone(UTC)
