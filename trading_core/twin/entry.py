"""The order desk of one session: requests are checked, numbered, entered and answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from trading_core.model.order import NoticeKind, OrderType, Side
from trading_core.twin.checks import OrderChecks
from trading_core.twin.matching import Matching
from trading_core.twin.prices import Prices
from trading_core.twin.records import Records, copy_row
from trading_core.twin.resting import Working
from trading_core.twin.tape import Tape
from trading_core.twin.venue import (
    NewOrder,
    OrderFate,
    Pricing,
    RefusalKind,
    RowKind,
    TimeInForce,
    VenueOrder,
    VenueRefusal,
)

_KEPT_BY_MODIFY = (Pricing.AT_OPEN, Pricing.AT_CLOSE, Pricing.CONDITIONAL, Pricing.STOP)


class OrderEntry:
    """Where orders, modifies and cancels come in. Rows returned are copies.

    Every method takes the time of the request (aware UTC); a request that may trade at once also
    takes the cursor, the number of the tape's columns that are over.
    """

    def __init__(
        self,
        tape: Tape,
        prices: Prices,
        checks: OrderChecks,
        matching: Matching,
        records: Records,
    ) -> None:
        self._tape = tape
        self._prices = prices
        self._checks = checks
        self._matching = matching
        self._records = records

    def place(self, order: NewOrder, cursor: int, at: datetime) -> VenueOrder:
        """Raises :class:`VenueRefusal`; then nothing changed."""
        row = self._checks.require_listed(order.account_no, order.symbol)
        self._checks.require_open(at, order.pricing)
        self._checks.require_trading(row)
        state = self._matching.state(row, cursor, at)
        self._checks.require_kind(order, state.phase, continuous=state.continuous)
        kind, limit_price = order.order_type, order.limit_price
        if order.pricing in (Pricing.BEST, Pricing.PRIORITY):
            kind, limit_price = OrderType.LIMIT, self._best_of(row, order, cursor)
        self._checks.require_terms(row, kind, limit_price)
        self._checks.require_trigger(row, order.trigger_price)
        new = VenueOrder(
            order_no=self._records.next_no(),
            kind=RowKind.NEW,
            account_no=order.account_no,
            instrument=self._tape.instruments[row],
            side=order.side,
            order_type=kind,
            quantity=order.quantity,
            limit_price=limit_price,
            ordered_at=at,
            session=self._tape.session,
            pricing=order.pricing,
            time_in_force=order.time_in_force,
            trigger_price=order.trigger_price,
        )
        self._checks.require_quantity(row, new)
        cap, cover = self._checks.worst_prices(row, new, cursor)
        self._checks.require_cover(new, cover, freed=Decimal(0))
        self._accept(new)
        working = _working(new, cap, cover, order.fate)
        return self._let_work(row, working, cursor, continuous=state.continuous)

    def modify(
        self,
        named: tuple[str, int],
        limit_price: Decimal | None,
        quantity: int | None,
        cursor: int,
        at: datetime,
    ) -> VenueOrder:
        """Move a part of what remains of an order, ``named`` by account and number, to a new row.

        Raises:
            VenueRefusal: nothing changed.
        """
        account_no, order_no = named
        found = self._records.find(order_no)
        original, moved = self._checks.original(found, account_no, order_no, quantity, at)
        row = self._prices.row(original.instrument.symbol)
        self._checks.require_trading(row)
        kind = OrderType.LIMIT if limit_price is not None else OrderType.MARKET
        self._checks.require_terms(row, kind, limit_price)
        old = self._matching.working(order_no)
        new = self._follow(original, RowKind.MODIFY, moved, at)
        new.order_type, new.limit_price = kind, limit_price
        new.pricing = _pricing_after(original, old, kind)
        if new.pricing is Pricing.STOP:
            new.trigger_price = original.trigger_price
        cap, cover = self._checks.worst_prices(row, new, cursor)
        freed = self._checks.freed(original, old.cover, moved)
        self._checks.require_cover(new, cover, freed=freed)
        self._accept(new)
        self._matching.take_out(original, moved)
        self._records.tell(NoticeKind.CONFIRMED, new, at)
        working = _working(new, cap, cover, OrderFate())
        continuous = self._matching.state(row, cursor, at).continuous
        return self._let_work(row, working, cursor, continuous=continuous)

    def cancel(self, named: tuple[str, int], quantity: int | None, at: datetime) -> VenueOrder:
        """Take a part of what remains of an order off the book.

        Raises:
            VenueRefusal: nothing changed.
        """
        account_no, order_no = named
        found = self._records.find(order_no)
        original, taken = self._checks.original(found, account_no, order_no, quantity, at)
        new = self._follow(original, RowKind.CANCEL, taken, at)
        self._accept(new)
        self._matching.take_out(original, taken)
        new.cancelled_quantity = taken
        self._records.tell(NoticeKind.CONFIRMED, new, at)
        return copy_row(new)

    def _best_of(self, row: int, order: NewOrder, cursor: int) -> Decimal:
        ask, bid = self._prices.best(row, cursor)
        opposite = order.pricing is Pricing.BEST
        price = ask if (order.side is Side.BUY) is opposite else bid
        if price is None:
            raise VenueRefusal(RefusalKind.NOT_SUPPORTED, "that side of the book is empty")
        return price

    def _follow(
        self, original: VenueOrder, kind: RowKind, quantity: int, at: datetime
    ) -> VenueOrder:
        """A new row about a part of an order."""
        return replace(
            original,
            order_no=self._records.next_no(),
            kind=kind,
            quantity=quantity,
            ordered_at=at,
            original_no=original.order_no,
            filled_quantity=0,
            filled_amount=Decimal(0),
            cancelled_quantity=0,
            rejected_quantity=0,
            fee=Decimal(0),
            tax=Decimal(0),
            last_fill_at=None,
            trigger_price=None,
        )

    def _accept(self, new: VenueOrder) -> None:
        self._records.add(new)
        self._records.tell(NoticeKind.ACCEPTED, new, new.ordered_at)

    def _let_work(self, row: int, working: Working, cursor: int, *, continuous: bool) -> VenueOrder:
        """Enter an accepted order, match it at once, and take out what an immediate one leaves."""
        order, at = working.order, working.since
        self._matching.add(row, working)
        if continuous and not self._falls_short(row, working, cursor):
            self._matching.match_at_once(row, working, cursor, at)
        immediate = order.time_in_force is not TimeInForce.DAY and not working.reject
        if immediate and order.remaining_quantity:
            self._matching.expire(order, at)
        return copy_row(order)

    def _falls_short(self, row: int, working: Working, cursor: int) -> bool:
        """Whether an all-or-nothing order finds less than all."""
        order = working.order
        if order.time_in_force is not TimeInForce.FOK:
            return False
        offer = self._matching.offer(row, order.side, cursor)
        return offer is None or min(offer[1], working.fillable) < order.quantity


def _working(order: VenueOrder, cap: Decimal | None, cover: Decimal, fate: OrderFate) -> Working:
    return Working(
        order,
        cap,
        cover,
        since=order.ordered_at,
        allowance=fate.fill_at_most,
        reject=fate.reject_later,
        asleep=order.pricing is Pricing.STOP,
    )


def _pricing_after(original: VenueOrder, working: Working, kind: OrderType) -> Pricing:
    """What a modified order is: an order for an auction and a sleeping stop stay what they are."""
    pricing = original.pricing
    woken = pricing is Pricing.STOP and not working.asleep
    lifted = pricing is Pricing.CONDITIONAL and OrderType.MARKET in (kind, original.order_type)
    if pricing not in _KEPT_BY_MODIFY or woken or lifted:
        return Pricing.STATED
    return pricing
