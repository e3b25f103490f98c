"""Orders that do not fill: when one is given up, and what takes its place. Pure.

An order is repriced by a cancel and, once the broker's book shows that nothing of it works any
more, by a new order for the rest. It is never modified: a modify gets a number of its own and
races with the fills of the order it changes, so a lost answer leaves two numbers that may both
trade, and China and Vietnam offer none. A cancel can only lose the race to a fill, which the book
shows before anything else is sent.

Entries are chased once. Exits go on until they are out: first at the best bid, after two misses by
the strongest order that may be sent. Everything follows from stored orders and their events; an
order names the one it follows in ``chases``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from trading_core.model.journal import Decision
from trading_core.model.limits import UnfilledPolicy
from trading_core.model.market import MarketGroup
from trading_core.model.order import (
    BrokerOrder,
    OrderEvent,
    OrderIntent,
    OrderRecord,
    OrderState,
    OrderType,
    RefusalCode,
    Side,
)
from trading_core.model.portfolio import Holding
from trading_core.model.price import OrderBook, Quote
from trading_core.rules.calendar import Phase
from trading_core.rules.pricing import deep_price, executable_price, limit_price

NO_BALANCE_CODES = frozenset({"APBK0400", "40240000"})
"""What the broker answers to a sale of shares it does not have: a real account, a paper one."""

MISSES_AT_THE_BID = 2
"""After so many misses an exit goes out as the strongest order there is."""

ASK_AGAIN_AFTER = timedelta(seconds=10)
"""How long a cancel may take before it is asked for again."""

DECISION_STANDS = timedelta(minutes=30)
"""An entry is not chased later than this after its first decision."""

Key = tuple[str, Side]


class CancelCode(StrEnum):
    """Why a cancel was asked for; only what did not fill is chased. ``STUCK``: an exit that waited
    twice at a price at which it should have traded, so it counts as two misses."""

    UNFILLED = "unfilled"
    STUCK = "stuck"
    HALTED = "halted"


_CHASED = frozenset({CancelCode.UNFILLED, CancelCode.STUCK})


@dataclass(frozen=True, slots=True)
class Cancel:
    """A working order that is given up, and why."""

    record: OrderRecord
    code: CancelCode


@dataclass(frozen=True, slots=True)
class Chain:
    """Orders of which each followed the one before it, oldest first; none of them works."""

    orders: tuple[OrderRecord, ...]

    @property
    def first(self) -> OrderRecord:
        return self.orders[0]

    @property
    def last(self) -> OrderRecord:
        return self.orders[-1]

    @property
    def remaining(self) -> int:
        """Shares of the last order that did not trade."""
        return self.last.intent.quantity - self.last.filled_quantity


@dataclass(frozen=True, slots=True)
class Terms:
    """How an order is to be sent; ``limit_price`` is None for a market order."""

    order_type: OrderType
    limit_price: Decimal | None

    def reaches_further(self, than: OrderIntent) -> bool:
        """Whether a sale on these terms meets buyers that the other one does not."""
        if than.limit_price is None:
            return False
        return self.limit_price is None or self.limit_price < than.limit_price


def chains_due(
    orders: Iterable[OrderRecord], book: Sequence[BrokerOrder], *, session: date
) -> dict[Key, Chain]:
    """What is to be followed by another order now, by symbol and side.

    An order is due when it is the newest of its symbol and side that reached the exchange, we
    cancelled it because it did not fill, and the broker's book accounts for every share of it. An
    entry is due once: not when it is itself a chase, nor when one was decided before and not only
    put off by a blackout.

    Args:
        orders: At least all of the session, refused ones too.
        book: The broker's own list.
        session: The one in progress; what is left over from another one is not chased.
    """
    mine = [record for record in orders if record.intent.session == session]
    mine.sort(key=lambda record: record.intent.created_at)
    by_id = {record.intent.intent_id: record for record in mine}
    newest: dict[Key, OrderRecord] = {}
    for record in mine:
        if record.state.is_working or record.order_no:
            newest[record.intent.instrument.symbol, record.intent.side] = record
    decided = {record.intent.chases for record in mine if not _is_put_off(record)} - {""}
    found = {}
    for key, record in newest.items():
        once = key[1] is Side.BUY
        if once and (record.intent.chases or record.intent.intent_id in decided):
            continue
        if _is_over(record, book):
            found[key] = Chain(_followed(record, by_id))
    return found


def _is_put_off(record: OrderRecord) -> bool:
    """Whether the order never left for a reason that says nothing about it."""
    if record.state is OrderState.REFUSED:
        return record.events[-1].code == RefusalCode.BLACKOUT
    return record.state is OrderState.NOT_SENT


def _followed(record: OrderRecord, by_id: Mapping[str, OrderRecord]) -> tuple[OrderRecord, ...]:
    found = [record]
    while (before := by_id.get(found[-1].intent.chases)) is not None and before not in found:
        found.append(before)
    return tuple(reversed(found))


def _is_over(record: OrderRecord, book: Sequence[BrokerOrder]) -> bool:
    """Whether our cancel left a part unfilled, and nothing of the order can trade any more."""
    asked = last_asked(record)
    if record.state is not OrderState.CANCELLED or asked is None:
        return False
    if asked.code not in _CHASED or record.filled_quantity >= record.intent.quantity:
        return False
    session = record.intent.session
    rows = [row for row in book if row.session == session]
    row = next((row for row in rows if row.order_no == record.order_no), None)
    if row is None or row.is_open or row.filled_quantity != record.filled_quantity:
        return False
    if any(other.original_no == row.order_no and other.is_open for other in rows):
        # Somebody modified it by hand; the rest works under another number.
        return False
    return row.filled_quantity + row.cancelled_quantity + row.rejected_quantity >= row.quantity


def last_asked(record: OrderRecord) -> OrderEvent | None:
    """The newest request to cancel an order; None without any."""
    asked = (e for e in reversed(record.events) if e.state is OrderState.CANCEL_REQUESTED)
    return next(asked, None)


def may_ask(record: OrderRecord, at: datetime) -> bool:
    """Whether a cancel of a working order may be asked for: not while one is on its way."""
    if record.state is OrderState.CANCEL_REQUESTED:
        return at - record.events[-1].at >= ASK_AGAIN_AFTER
    return True


def waited_out(record: OrderRecord, at: datetime, policy: UnfilledPolicy) -> bool:
    """Whether a working order has waited for its fill as long as it may."""
    entry = record.intent.side is Side.BUY
    return at - record.intent.created_at >= (policy.entry_wait if entry else policy.exit_wait)


def followed_by(record: OrderRecord, orders: Iterable[OrderRecord]) -> tuple[OrderRecord, ...]:
    """The chain that ends in this order, whatever its state, oldest first."""
    return _followed(record, {other.intent.intent_id: other for other in orders})


def misses(orders: Iterable[OrderRecord]) -> int:
    """How often an exit has missed, given the orders of it that did not fill."""
    asked = map(last_asked, orders)
    return sum(2 if item is not None and item.code == CancelCode.STUCK else 1 for item in asked)


def exit_terms(
    before: OrderIntent,
    quote: Quote,
    book: OrderBook | None,
    *,
    missed: int,
    phase: Phase,
    policy: UnfilledPolicy,
    market_refused: bool = False,
) -> Terms:
    """How what remains of an exit is sold. There is no cap on the gap: it must get out.

    At the best bid, or as far below the last price as its reason allows, and never above what was
    asked before. After two misses a market order in Korea's continuous session; in an auction and
    abroad, where the broker takes none, a limit well through the book.

    Args:
        before: The last order that missed.
        quote: A usable quote.
        book: The broker's order book, None when it gave none.
        missed: How often it has missed, that order included.
        phase: Of the exchange now.
        policy: Whether the route takes market orders.
        market_refused: The broker refused a market order of the symbol in this session.
    """
    on, group = before.session, before.instrument.market.group
    if missed >= MISSES_AT_THE_BID:
        allowed = policy.market_orders and not market_refused
        if allowed and group is MarketGroup.KR and phase is Phase.CONTINUOUS:
            return Terms(OrderType.MARKET, None)
        price = deep_price(quote, book, on)
    else:
        usual = limit_price(quote, Side.SELL, before.reason, on)
        price = min(executable_price(quote, Side.SELL, book, on), usual)
    if before.limit_price is not None:
        price = min(price, before.limit_price)
    return Terms(OrderType.LIMIT, price)


def exit_given_up(
    record: OrderRecord, terms: Terms, strongest: Terms, at: datetime, policy: UnfilledPolicy
) -> CancelCode | None:
    """Why a working exit is cancelled; None while it is left to work.

    Only for an order that reaches further: else its place in the queue would be lost for nothing.
    One that reaches as far as an order at the bid would is stuck after twice the wait, and what
    follows it is the strongest order.

    Args:
        record: The working order.
        terms: What would follow it after this miss.
        strongest: What would follow it after two.
        at: Now, aware UTC.
        policy: How long an exit waits.
    """
    if not waited_out(record, at, policy):
        return None
    asked = last_asked(record)
    if record.state is OrderState.CANCEL_REQUESTED and asked is not None:
        return CancelCode(asked.code or CancelCode.UNFILLED)
    if terms.reaches_further(record.intent):
        return CancelCode.UNFILLED
    waited_twice = at - record.intent.created_at >= 2 * policy.exit_wait
    return CancelCode.STUCK if waited_twice and strongest.reaches_further(record.intent) else None


def entry_given_up(
    chain: Chain, price: Decimal, *, at: datetime, policy: UnfilledPolicy
) -> tuple[RefusalCode, str] | None:
    """Why an entry is not chased to this price; None when it may be. The cap itself may be paid."""
    first = chain.first.intent
    if at - first.created_at > DECISION_STANDS:
        return RefusalCode.CHASE_TOO_LATE, f"decided at {first.created_at:%H:%M} UTC, too long ago"
    gap = (price - first.decided_price) / first.decided_price * 100
    if gap <= Decimal(str(policy.max_gap_pct)):
        return None
    return (
        RefusalCode.CHASE_GAP,
        f"{price:f} is {gap:.2f} % above {first.decided_price:f}, the price it was decided at; "
        f"at most {policy.max_gap_pct} % is paid",
    )


def bought_before(orders: Iterable[OrderRecord]) -> dict[str, int]:
    """Shares that the entries bought which another one may follow, by their intent."""
    return {
        record.intent.intent_id: record.filled_quantity
        for record in orders
        if record.intent.side is Side.BUY
    }


def has_no_balance(
    holding: Holding, orders: Iterable[OrderRecord], known: Mapping[str, tuple[int, int]]
) -> bool:
    """Whether the broker refused to sell these shares because it has none, and nothing changed.

    Args:
        holding: As the broker's account shows it now.
        orders: Of the session, refused ones too.
        known: By decision, the holding's quantity and sellable that it stood on.
    """
    symbol = holding.instrument.symbol
    now = holding.quantity, holding.sellable
    then: tuple[int, int] | None = None
    for record in sorted(orders, key=lambda r: r.intent.created_at):
        intent = record.intent
        if intent.side is not Side.SELL or intent.instrument.symbol != symbol:
            continue
        stood_on = known.get(intent.decision_id)
        last = record.events[-1] if record.events else None
        if record.state is OrderState.REJECTED and last and last.code in NO_BALANCE_CODES:
            then = stood_on
        elif stood_on != then:
            then = None
    return then == now


def stood_on(decisions: Iterable[Decision]) -> dict[str, tuple[int, int]]:
    """By decision, the shares held and sellable it stood on; only those that say so."""
    return {
        decision.decision_id: (int(seen["held"]), int(seen["sellable"]))
        for decision in decisions
        if {"held", "sellable"} <= (seen := decision.context_snapshot).keys()
    }


def market_refused(symbol: str, orders: Iterable[OrderRecord]) -> bool:
    """Whether the broker refused a market order of this symbol."""
    return any(
        record.intent.order_type is OrderType.MARKET
        and record.state is OrderState.REJECTED
        and record.intent.instrument.symbol == symbol
        for record in orders
    )
