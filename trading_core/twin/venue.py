"""What the twin's exchange offers to the servers in front of it: plain values, no wire format.

``SimulatedExchange`` (exchange.py) implements :class:`Venue`; the KIS-speaking server (server.py)
and the in-process broker (adapters/simulated.py) are two faces of the same venue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import NoticeKind, OrderType, Side
from trading_core.model.price import DailyBar, MinuteBar, OrderBook, Quote, Ranking, RankRow
from trading_core.rules.calendar import Phase


class RefusalKind(StrEnum):
    """Why the exchange refuses an order; the server turns each into the broker's own code."""

    PRICE_INCREMENT = "price_increment"
    PRICE_LIMIT = "price_limit"
    CASH = "cash"
    QUANTITY = "quantity"
    NO_POSITION = "no_position"
    BEFORE_OPEN = "before_open"
    AFTER_CLOSE = "after_close"
    NOT_A_SESSION = "not_a_session"
    UNKNOWN_SYMBOL = "unknown_symbol"
    HALTED = "halted"
    ORIGINAL_NOT_FOUND = "original_not_found"
    NOTHING_LEFT = "nothing_left"
    QUANTITY_TOO_LARGE = "quantity_too_large"
    NOT_SUPPORTED = "not_supported"
    UNKNOWN_ACCOUNT = "unknown_account"


class VenueRefusal(Exception):
    """The exchange did not take a request; nothing changed."""

    def __init__(self, kind: RefusalKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """An account as it is opened; ``cash`` per currency in that currency's units."""

    account_no: str
    cash: dict[Currency, Decimal]


class Pricing(StrEnum):
    """Where an order's price comes from, beyond what its type says.

    ``BEST`` and ``PRIORITY`` become limits when they arrive, at the best price of the opposite
    side and of their own. ``AT_OPEN`` and ``AT_CLOSE`` trade in that auction alone. A
    ``CONDITIONAL`` limit becomes a market order in the closing auction. ``STOP`` sleeps until a
    trade at its trigger price or beyond.
    """

    STATED = "stated"
    BEST = "best"
    PRIORITY = "priority"
    AT_OPEN = "at_open"
    AT_CLOSE = "at_close"
    CONDITIONAL = "conditional"
    STOP = "stop"


class TimeInForce(StrEnum):
    """How long an order works: the session, only now, or only now and only as a whole."""

    DAY = "day"
    IOC = "ioc"
    FOK = "fok"


@dataclass(frozen=True, slots=True)
class OrderFate:
    """What is to go wrong with an order, on demand.

    ``reject_later``: taken by the broker, refused by the exchange the next time the clock moves.
    ``fill_at_most``: shares it may fill in all; what is left stays open.
    """

    reject_later: bool = False
    fill_at_most: int | None = None


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A request for a new order. ``limit_price`` is None for a market order."""

    account_no: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: int
    limit_price: Decimal | None
    pricing: Pricing = Pricing.STATED
    time_in_force: TimeInForce = TimeInForce.DAY
    trigger_price: Decimal | None = None
    fate: OrderFate = OrderFate()


class RowKind(StrEnum):
    NEW = "new"
    MODIFY = "modify"
    CANCEL = "cancel"


@dataclass(slots=True)
class VenueOrder:
    """One row of the exchange's book. A modify or cancel is a row of its own with ``original_no``.

    ``fee`` and ``tax`` are those of the filled amount so far, rounded as one order.
    """

    order_no: int
    kind: RowKind
    account_no: str
    instrument: Instrument
    side: Side
    order_type: OrderType
    quantity: int
    limit_price: Decimal | None
    ordered_at: datetime
    session: date
    original_no: int = 0
    filled_quantity: int = 0
    filled_amount: Decimal = Decimal(0)
    cancelled_quantity: int = 0
    rejected_quantity: int = 0
    fee: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    last_fill_at: datetime | None = None
    pricing: Pricing = Pricing.STATED
    time_in_force: TimeInForce = TimeInForce.DAY
    trigger_price: Decimal | None = None

    @property
    def remaining_quantity(self) -> int:
        """Shares still working; a cancel row never works."""
        if self.kind is RowKind.CANCEL:
            return 0
        done = self.filled_quantity + self.cancelled_quantity + self.rejected_quantity
        return self.quantity - done


@dataclass(frozen=True, slots=True)
class VenueHolding:
    """Shares in the account; ``cost`` = what was paid for those still held, without fees."""

    instrument: Instrument
    quantity: int
    sellable: int
    average_price: Decimal
    last_price: Decimal
    bought_today: int
    sold_today: int

    @property
    def value(self) -> Decimal:
        return self.quantity * self.last_price


@dataclass(frozen=True, slots=True)
class AccountView:
    """One currency of an account.

    ``deposit`` is settled cash today, ``next_day`` on the next session, ``settled`` once
    everything traded has settled (T+2 in Korea). ``reserved`` is what open buy orders hold back;
    ``orderable`` = settled - reserved.
    """

    account_no: str
    currency: Currency
    deposit: Decimal
    next_day: Decimal
    settled: Decimal
    reserved: Decimal
    holdings: tuple[VenueHolding, ...]
    bought_amount_today: Decimal
    sold_amount_today: Decimal
    fees_today: Decimal
    taxes_today: Decimal

    @property
    def orderable(self) -> Decimal:
        return self.settled - self.reserved


@dataclass(frozen=True, slots=True)
class VenueFill:
    """One execution, as the exchange made it."""

    order_no: int
    account_no: str
    instrument: Instrument
    side: Side
    quantity: int
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class VenueNotice:
    """Something that happened to an order; ``order`` is a copy of its row right after it.

    ``quantity`` and ``price`` are those of the execution for ``FILLED``, else of the order.
    """

    kind: NoticeKind
    order: VenueOrder
    quantity: int
    price: Decimal | None
    at: datetime


@dataclass(frozen=True, slots=True)
class TradingState:
    """Whether an instrument trades continuously now, and what an auction would make.

    ``interrupted``: a volatility interruption, an auction of its own until ``interrupted_until``
    around ``reference_price``. ``expected_price`` and ``expected_quantity`` are told in auctions.
    """

    phase: Phase
    halted: bool
    interrupted: bool = False
    interrupted_until: datetime | None = None
    reference_price: Decimal | None = None
    expected_price: Decimal | None = None
    expected_quantity: int = 0

    @property
    def continuous(self) -> bool:
        return self.phase is Phase.CONTINUOUS and not self.halted and not self.interrupted


@dataclass(slots=True)
class VenueState:
    """Where the exchange stands, for people and for the admin endpoint."""

    now: datetime
    group: MarketGroup
    session: date
    is_open: bool
    symbols: int
    orders: int
    fills: int
    accounts: list[str] = field(default_factory=list)


class Venue(Protocol):
    """An exchange with accounts, driven by a tape of prices and its own clock (aware UTC).

    Nothing happens between two calls of :meth:`advance_to`; orders placed at time ``t`` match
    against the tape from ``t`` on. Prices are raw (as traded) in the market's currency.
    """

    @property
    def now(self) -> datetime: ...

    @property
    def group(self) -> MarketGroup: ...

    def advance_to(self, at: datetime) -> list[VenueFill]:
        """Move the clock (never back) and match everything that became possible on the way."""
        ...

    def state(self) -> VenueState: ...

    def instruments(self) -> Sequence[Instrument]: ...

    def instrument(self, symbol: str) -> Instrument | None: ...

    def quote(self, symbol: str) -> Quote | None:
        """None for a symbol the venue does not list."""
        ...

    def order_book(self, symbol: str) -> OrderBook | None: ...

    def trading_state(self, symbol: str) -> TradingState | None:
        """None for a symbol the venue does not list."""
        ...

    def daily_bars(
        self, symbol: str, *, start: date | None, end: date, adjusted: bool = True
    ) -> list[DailyBar]:
        """Bars, oldest first, both ends included; today's forming bar too.

        Adjusted for splits and the like, or as they were traded.
        """
        ...

    def bars_between(self, symbol: str, *, after: datetime, until: datetime) -> list[MinuteBar]:
        """Bars of the present session that ended after ``after`` and by ``until``, oldest first."""
        ...

    def minute_bars(self, symbol: str, *, session: date, until: datetime) -> list[MinuteBar]:
        """One-minute bars of a session, oldest first, that have begun at ``until`` or before."""
        ...

    def ranking(
        self, ranking: Ranking, market: Market, *, descending: bool = True
    ) -> list[RankRow]:
        """All instruments of a market; by day change or by volume."""
        ...

    def is_session(self, day: date) -> bool: ...

    def place(self, order: NewOrder) -> VenueOrder:
        """Raises :class:`VenueRefusal`. May fill at once."""
        ...

    def modify(
        self, account_no: str, order_no: int, *, limit_price: Decimal | None, quantity: int | None
    ) -> VenueOrder:
        """Reprice ``quantity`` (None: all) of what remains; returns the new row."""
        ...

    def cancel(self, account_no: str, order_no: int, *, quantity: int | None) -> VenueOrder: ...

    def orders(self, account_no: str, *, start: date, end: date) -> list[VenueOrder]:
        """All rows of these sessions, oldest first."""
        ...

    def fills(self, account_no: str) -> list[VenueFill]: ...

    def account(self, account_no: str, currency: Currency) -> AccountView:
        """Raises :class:`VenueRefusal` for an unknown account."""
        ...

    def accounts(self) -> list[AccountSpec]: ...

    def listen(self, listener: Callable[[VenueNotice], None]) -> None:
        """Call ``listener`` for every notice from now on, in the order things happen.

        It is called inside the venue's own methods and must not call back into the venue.
        """
        ...
