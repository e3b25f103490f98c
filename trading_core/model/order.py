"""The life of an order, from the wish to the fill."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from trading_core.model.market import Currency, Instrument


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """``MARKET`` exists only where the exchange and the phase allow it; most orders are limits."""

    LIMIT = "limit"
    MARKET = "market"


class IntentReason(StrEnum):
    """Why an order is wanted. All but ``ENTRY`` reduce risk and are exempt from entry limits."""

    ENTRY = "entry"
    SCENARIO_EXIT = "scenario_exit"
    HARD_STOP = "hard_stop"
    TAKE_PROFIT = "take_profit"
    BREAK_EVEN = "break_even"
    TRAIL = "trail"
    REDUCE_ALL = "reduce_all"
    TIME_STOP = "time_stop"
    SESSION_END = "session_end"

    @property
    def is_entry(self) -> bool:
        return self is IntentReason.ENTRY


class OrderState(StrEnum):
    INTENDED = "intended"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCEL_REQUESTED = "cancel_requested"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    NOT_SENT = "not_sent"
    REFUSED = "refused"

    @property
    def is_final(self) -> bool:
        """Nothing more can happen to the order."""
        return not TRANSITIONS[self]

    @property
    def is_working(self) -> bool:
        """The exchange may still fill it (``unknown`` counts: it may be there)."""
        return self in _WORKING

    @property
    def is_unsure(self) -> bool:
        """It was sent, or was about to be, and nobody has said what became of it."""
        return self in _UNSURE


_S = OrderState
_UNSURE = frozenset({_S.SENDING, _S.UNKNOWN})
_WORKING = frozenset(
    {_S.SENDING, _S.UNKNOWN, _S.ACCEPTED, _S.PARTIALLY_FILLED, _S.CANCEL_REQUESTED}
)
_LIVE = frozenset(
    {_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCEL_REQUESTED, _S.CANCELLED, _S.REJECTED, _S.EXPIRED}
)

TRANSITIONS: Mapping[OrderState, frozenset[OrderState]] = {
    # A crash between the wish and the send leaves "intended"; nothing went out, so it is not_sent.
    _S.INTENDED: frozenset({_S.SENDING, _S.NOT_SENT, _S.REFUSED}),
    _S.SENDING: frozenset({_S.ACCEPTED, _S.REJECTED, _S.UNKNOWN, _S.NOT_SENT}),
    # Settled only by what the broker's books say; unknown again = looked for and not found.
    _S.UNKNOWN: frozenset({_S.UNKNOWN, _S.ACCEPTED, _S.REJECTED, _S.NOT_SENT}) | _LIVE,
    _S.ACCEPTED: _LIVE,
    # Cancelled or expired after a partial fill: the filled part stays a fill.
    _S.PARTIALLY_FILLED: frozenset(
        {_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCEL_REQUESTED, _S.CANCELLED, _S.EXPIRED}
    ),
    # A fill or a late rejection may win the race against the cancel, and a refused cancel leaves
    # the order working.
    _S.CANCEL_REQUESTED: frozenset(
        {
            _S.CANCEL_REQUESTED,
            _S.ACCEPTED,
            _S.PARTIALLY_FILLED,
            _S.FILLED,
            _S.CANCELLED,
            _S.REJECTED,
            _S.EXPIRED,
        }
    ),
    _S.FILLED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.NOT_SENT: frozenset(),
    _S.REFUSED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """An order somebody wants. ``limit_price`` is None for a market order.

    ``decided_price`` is the last price the decision stood on, in ``currency``. ``chases`` is the
    intent whose unfilled rest this one is for, empty for the first order of its kind.
    """

    intent_id: str
    decision_id: str
    instrument: Instrument
    session: date
    side: Side
    quantity: int
    order_type: OrderType
    limit_price: Decimal | None
    decided_price: Decimal
    currency: Currency
    reason: IntentReason
    created_at: datetime
    chases: str = ""

    @property
    def notional(self) -> Decimal:
        """Quantity times the limit price (the decided price for a market order)."""
        return self.quantity * (self.limit_price or self.decided_price)

    @staticmethod
    def make_id(
        market: str, session: date, at: datetime, symbol: str, side: Side, decision_id: str
    ) -> str:
        """The same wish always gets the same id, so running a tick twice cannot order twice."""
        text = f"{market}|{session}|{at.isoformat()}|{symbol}|{side}|{decision_id}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class RefusalCode(StrEnum):
    """Why an order intent never left the house."""

    HALTED = "halted"
    NO_ENTRIES = "no_entries"
    CASH_UNKNOWN = "cash_unknown"
    NO_CASH = "no_cash"
    FAT_FINGER = "fat_finger"
    CONFIDENCE = "confidence"
    NO_PRICE = "no_price"
    NOT_HELD = "not_held"
    ALREADY_HELD = "already_held"
    ALREADY_WORKING = "already_working"
    REENTRY = "reentry"
    BELOW_LOT = "below_lot"
    UNKNOWN_ORDER = "unknown_order"
    MARKET_CLOSED = "market_closed"
    NOT_OFFERED = "not_offered"
    ENTRY_TRIED = "entry_tried"
    ABOVE_LAST_SALE = "above_last_sale"
    CHASING_HIGH = "chasing_high"
    PRICE_TOO_LOW = "price_too_low"
    CASH_BUFFER = "cash_buffer"
    CASH_PAUSE = "cash_pause"
    SYMBOL_CAP = "symbol_cap"
    SECTOR_CAP = "sector_cap"
    EXPOSURE_CAP = "exposure_cap"
    ORDERS_PER_SESSION = "orders_per_session"
    ORDERS_PER_MINUTE = "orders_per_minute"
    TOO_SOON = "too_soon"
    CHASE_GAP = "chase_gap"
    CHASE_TOO_LATE = "chase_too_late"
    UNFILLED_PAUSE = "unfilled_pause"
    NO_BALANCE = "no_balance"
    BLACKOUT = "blackout"


@dataclass(frozen=True, slots=True)
class ApprovedOrder:
    """An intent that passed the risk gate. Only ``rules.risk`` makes one."""

    intent: OrderIntent
    approved_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """An intent that did not pass, with the coded reason and a sentence for a person."""

    intent: OrderIntent
    code: RefusalCode
    detail: str
    refused_at: datetime


@dataclass(frozen=True, slots=True)
class OrderAck:
    """The broker has received a request: it is *accepted*, not filled.

    ``branch_no`` is the broker's routing number, needed to modify or cancel.
    """

    order_no: str
    branch_no: str
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """One order as the broker's own book shows it.

    ``filled_amount`` is the sum of price x quantity over its fills, in ``currency``.
    A modify or cancel has its own ``order_no`` and names the order it acts on in ``original_no``.
    ``route`` is where the broker sent it, where it has a choice; modifies and cancels follow it.
    """

    order_no: str
    instrument: Instrument
    side: Side
    quantity: int
    filled_quantity: int
    filled_amount: Decimal
    remaining_quantity: int
    limit_price: Decimal | None
    currency: Currency
    session: date
    ordered_at: datetime
    branch_no: str = ""
    original_no: str = ""
    cancelled_quantity: int = 0
    rejected_quantity: int = 0
    route: str = ""

    @property
    def is_open(self) -> bool:
        return self.remaining_quantity > 0


class NoticeKind(StrEnum):
    """What a notice of the broker says about an order.

    ``ACCEPTED``: a new order, modify or cancel reached the exchange. ``CONFIRMED``: a modify or
    cancel took effect. ``EXPIRED``: what an immediate order could not fill was taken out.
    """

    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    FILLED = "filled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class OrderNotice:
    """Something that happened to an order, as the broker told it the moment it happened.

    ``quantity`` and ``price`` are those of the execution for ``FILLED``, else of the order; the
    price is None for an order without one, in the market's currency otherwise. Notices can be
    lost or come twice, so books are kept from the broker's own order list; a notice says when to
    look.
    """

    kind: NoticeKind
    order_no: str
    instrument: Instrument
    side: Side
    quantity: int
    price: Decimal | None
    at: datetime
    original_no: str = ""


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One step in an order's life; appended, never changed.

    ``sequence`` counts the events of one intent from 0. ``note`` says why in a few words.
    """

    intent_id: str
    sequence: int
    state: OrderState
    at: datetime
    order_no: str = ""
    branch_no: str = ""
    code: str = ""
    note: str = ""

    @property
    def event_id(self) -> str:
        return f"{self.intent_id}:{self.sequence}"


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An intent together with where it stands now."""

    intent: OrderIntent
    state: OrderState
    events: tuple[OrderEvent, ...]
    filled_quantity: int = 0
    filled_amount: Decimal = Decimal(0)

    @property
    def order_no(self) -> str:
        """The broker's number; empty until the broker named one."""
        return next((event.order_no for event in reversed(self.events) if event.order_no), "")

    @property
    def branch_no(self) -> str:
        return next((event.branch_no for event in reversed(self.events) if event.branch_no), "")

    @property
    def next_sequence(self) -> int:
        return len(self.events)

    def after(self, events: Sequence[OrderEvent], fill: Fill | None) -> OrderRecord:
        """The order once these events, and this fill, have happened to it."""
        return OrderRecord(
            self.intent,
            events[-1].state if events else self.state,
            (*self.events, *events),
            self.filled_quantity + (fill.quantity if fill else 0),
            self.filled_amount + (fill.amount if fill else 0),
        )


@dataclass(frozen=True, slots=True)
class Fill:
    """Shares that changed hands. ``amount`` = quantity x price; ``fee`` and ``tax`` are >= 0.

    KIS reports an order's total, not its single executions, so a fill is the growth of that total
    since the last look, and ``price`` its average. ``krw_rate`` is the won for one unit of the
    currency when the fill was seen; None when nobody knows.
    """

    fill_id: str
    intent_id: str
    order_no: str
    instrument: Instrument
    session: date
    side: Side
    quantity: int
    price: Decimal
    amount: Decimal
    fee: Decimal
    tax: Decimal
    currency: Currency
    filled_at: datetime
    krw_rate: Decimal | None = None
