"""The accounts' books: cash by settlement date, holdings at average cost, what orders hold back.

At every moment, for each account and the venue's currency,
``cash + cost of holdings == initial cash + realised - fees - taxes``, to the last unit.
Costs belong to orders, not executions: each fill pays what the order's costs grew by, so slicing
an order differently changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from trading_core.errors import DataError
from trading_core.model.market import Currency, Instrument, MarketGroup
from trading_core.model.order import Side
from trading_core.rules.calendar import sessions_between
from trading_core.rules.costs import Costs, trade_costs
from trading_core.rules.markets import currency_of
from trading_core.twin.venue import (
    AccountSpec,
    AccountView,
    RefusalKind,
    VenueHolding,
    VenueOrder,
    VenueRefusal,
)

ZERO = Decimal(0)
_AVERAGE_UNIT = Decimal("0.0001")
_SETTLEMENT_SESSIONS = {
    MarketGroup.KR: 2,
    MarketGroup.US: 1,
    MarketGroup.JP: 2,
    MarketGroup.HK: 2,
    MarketGroup.CN: 1,
    MarketGroup.VN: 2,
}
_US_T1_SINCE = date(2024, 5, 28)
_US_T2_SINCE = date(2017, 9, 5)
_JP_T2_SINCE = date(2019, 7, 16)
# Sessions until shares that were bought can be sold, where that is not at once. China: the next
# one. Vietnam: they arrive at noon of the second one (2022-08-29 on); its morning counts here too.
_HELD_SESSIONS = {MarketGroup.CN: 1, MarketGroup.VN: 2}


def settlement_sessions(group: MarketGroup, on: date) -> int:
    """Sessions between a trade and its cash: two in Korea; one in the US since 2024-05-28 (two
    from 2017-09-05, three before); two in Japan since 2019-07-16 (three before)."""
    if group is MarketGroup.JP and on < _JP_T2_SINCE:
        return 3
    if group is MarketGroup.US and on < _US_T1_SINCE:
        return 2 if on >= _US_T2_SINCE else 3
    return _SETTLEMENT_SESSIONS[group]


@dataclass(frozen=True, slots=True)
class Balance:
    """The two sides of one account's books; ``cash + cost == initial + realised - costs``."""

    initial: Decimal
    cash: Decimal
    cost: Decimal
    realised: Decimal
    fees: Decimal
    taxes: Decimal

    @property
    def is_even(self) -> bool:
        return self.cash + self.cost == self.initial + self.realised - self.fees - self.taxes


@dataclass(slots=True)
class _Lot:
    instrument: Instrument
    quantity: int = 0
    cost: Decimal = ZERO
    bought_today: int = 0
    sold_today: int = 0
    in_open_sells: int = 0
    arriving: dict[date, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Books:
    spec: AccountSpec
    flows: dict[date, Decimal] = field(default_factory=dict)
    settled_before: Decimal = ZERO
    lots: dict[str, _Lot] = field(default_factory=dict)
    held_back: dict[int, Decimal] = field(default_factory=dict)
    selling: dict[int, int] = field(default_factory=dict)
    reserved: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    taxes: Decimal = ZERO
    bought_today: Decimal = ZERO
    sold_today: Decimal = ZERO
    fees_today: Decimal = ZERO
    taxes_today: Decimal = ZERO


class Ledger:
    """Books of all accounts of one venue. Amounts are exact decimals in the group's currency.

    Args:
        group: Gives the currency, the settlement lag and the costs.
        accounts: Cash per currency; a currency that is not named starts at zero.
        session: The first session traded.
    """

    def __init__(self, group: MarketGroup, accounts: Sequence[AccountSpec], session: date) -> None:
        self._group = group
        self._currency = currency_of(group)
        self._books = {spec.account_no: _Books(spec) for spec in accounts}
        if len(self._books) < len(accounts):
            raise DataError("two accounts have the same number; name each account once")
        self.start_session(session)

    @property
    def currency(self) -> Currency:
        return self._currency

    def start_session(self, session: date, funds: frozenset[str] = frozenset()) -> None:
        """Begin a session: today's counters start at zero, nothing is held back.

        ``funds`` are the symbols that some taxes spare.
        """
        self._session = session
        self._funds = funds
        days = [
            s.date
            for s in sessions_between(
                self._group, session + timedelta(days=1), session + timedelta(days=25)
            )
        ]
        lag = settlement_sessions(self._group, session)
        if len(days) < lag:
            raise DataError(f"no session of {self._group} is known after {session} to settle on")
        self._next_session, self._settles_on = days[0], days[lag - 1]
        held = _HELD_SESSIONS.get(self._group)
        self._sellable_from = session if held is None else days[held - 1]
        for books in self._books.values():
            due = [day for day in books.flows if day <= session]
            books.settled_before += sum((books.flows.pop(day) for day in due), ZERO)
            books.held_back.clear()
            books.selling.clear()
            books.reserved = ZERO
            books.bought_today = books.sold_today = ZERO
            books.fees_today = books.taxes_today = ZERO
            books.lots = {s: lot for s, lot in books.lots.items() if lot.quantity}
            for lot in books.lots.values():
                lot.bought_today = lot.sold_today = lot.in_open_sells = 0
                lot.arriving = {day: n for day, n in lot.arriving.items() if day > session}

    def specs(self) -> list[AccountSpec]:
        """The accounts as they were opened."""
        return [books.spec for books in self._books.values()]

    def require(self, account_no: str) -> None:
        """Raises :class:`VenueRefusal` for an account that does not exist."""
        self._of(account_no)

    def costs(self, order: VenueOrder, amount: Decimal, quantity: int) -> Costs:
        """Fee and taxes of an order that has traded ``amount`` in all."""
        return trade_costs(
            order.instrument.market,
            order.side,
            amount,
            self._session,
            quantity=quantity,
            etf=order.instrument.symbol in self._funds,
        )

    def available(self, account_no: str) -> Decimal:
        """Cash a new buy may still use."""
        books = self._of(account_no)
        return self._cash(books) - books.reserved

    def needed(self, order: VenueOrder, cap: Decimal) -> Decimal:
        """What the unfilled part of a buy may still cost at ``cap`` a share, costs included."""
        left = order.remaining_quantity
        if left <= 0:
            return ZERO
        most = order.filled_amount + left * cap
        total = self.costs(order, most, order.filled_quantity + left).total
        return left * cap + total - order.fee - order.tax

    def sellable(self, account_no: str, symbol: str) -> int:
        """Shares that no open sell order holds."""
        lot = self._of(account_no).lots.get(symbol)
        return 0 if lot is None else self._sellable(lot)

    def held(self, account_no: str, symbol: str) -> int:
        lot = self._of(account_no).lots.get(symbol)
        return 0 if lot is None else lot.quantity

    def hold_back(self, order: VenueOrder, cap: Decimal) -> None:
        """Bring what an order reserves (cash or shares) up to date with what remains of it."""
        books = self._of(order.account_no)
        if order.side is Side.BUY:
            books.reserved -= books.held_back.pop(order.order_no, ZERO)
            if need := self.needed(order, cap):
                books.held_back[order.order_no] = need
                books.reserved += need
            return
        lot = books.lots[order.instrument.symbol]
        lot.in_open_sells -= books.selling.pop(order.order_no, 0)
        if order.remaining_quantity > 0:
            books.selling[order.order_no] = order.remaining_quantity
            lot.in_open_sells += order.remaining_quantity

    def record_fill(self, order: VenueOrder, quantity: int, price: Decimal) -> None:
        """Book an execution and bring the order's filled amount, fee and tax up to date."""
        books = self._of(order.account_no)
        amount = quantity * price
        order.filled_quantity += quantity
        order.filled_amount += amount
        total = self.costs(order, order.filled_amount, order.filled_quantity)
        fee, tax = total.fee - order.fee, total.tax - order.tax
        order.fee, order.tax = total.fee, total.tax
        symbol = order.instrument.symbol
        lot = books.lots.setdefault(symbol, _Lot(order.instrument))
        if order.side is Side.BUY:
            lot.quantity += quantity
            lot.cost += amount
            lot.bought_today += quantity
            if self._sellable_from > self._session:
                due = self._sellable_from
                lot.arriving[due] = lot.arriving.get(due, 0) + quantity
            books.bought_today += amount
            flow = -amount
        else:
            removed = lot.cost
            if quantity < lot.quantity:
                removed = (lot.cost * quantity / lot.quantity).quantize(
                    _AVERAGE_UNIT, rounding=ROUND_HALF_EVEN
                )
            lot.quantity -= quantity
            lot.cost -= removed
            lot.sold_today += quantity
            books.sold_today += amount
            books.realised += amount - removed
            flow = amount
        books.fees += fee
        books.taxes += tax
        books.fees_today += fee
        books.taxes_today += tax
        due = self._settles_on
        books.flows[due] = books.flows.get(due, ZERO) + flow - fee - tax

    def balance(self, account_no: str) -> Balance:
        """Both sides of the books, for whoever wants to check that they are even."""
        books = self._of(account_no)
        return Balance(
            initial=books.spec.cash.get(self._currency, ZERO),
            cash=self._cash(books),
            cost=sum((lot.cost for lot in books.lots.values()), ZERO),
            realised=books.realised,
            fees=books.fees,
            taxes=books.taxes,
        )

    def view(
        self, account_no: str, currency: Currency, today: date, last: Callable[[str], Decimal]
    ) -> AccountView:
        """One currency of an account; ``last`` gives a symbol's last price, 0 when unknown.

        Shares sold out today are still listed, with quantity 0, until the session ends.
        """
        books = self._of(account_no)
        if currency is not self._currency:
            cash = books.spec.cash.get(currency, ZERO)
            return AccountView(
                account_no, currency, cash, cash, cash, ZERO, (), ZERO, ZERO, ZERO, ZERO
            )
        following = self._next_session if today < self._next_session else self._settles_on
        base = books.spec.cash.get(currency, ZERO) + books.settled_before
        holdings = tuple(self._holding(lot, last) for _, lot in sorted(books.lots.items()))
        return AccountView(
            account_no=account_no,
            currency=currency,
            deposit=base + _due(books.flows, today),
            next_day=base + _due(books.flows, following),
            settled=self._cash(books),
            reserved=books.reserved,
            holdings=holdings,
            bought_amount_today=books.bought_today,
            sold_amount_today=books.sold_today,
            fees_today=books.fees_today,
            taxes_today=books.taxes_today,
        )

    def _holding(self, lot: _Lot, last: Callable[[str], Decimal]) -> VenueHolding:
        average = (lot.cost / lot.quantity).quantize(_AVERAGE_UNIT) if lot.quantity else ZERO
        return VenueHolding(
            instrument=lot.instrument,
            quantity=lot.quantity,
            sellable=self._sellable(lot),
            average_price=average,
            last_price=last(lot.instrument.symbol) or average,
            bought_today=lot.bought_today,
            sold_today=lot.sold_today,
        )

    def _sellable(self, lot: _Lot) -> int:
        return max(lot.quantity - lot.in_open_sells - sum(lot.arriving.values()), 0)

    def _cash(self, books: _Books) -> Decimal:
        initial = books.spec.cash.get(self._currency, ZERO)
        return initial + books.settled_before + sum(books.flows.values(), ZERO)

    def _of(self, account_no: str) -> _Books:
        books = self._books.get(account_no)
        if books is None:
            raise VenueRefusal(RefusalKind.UNKNOWN_ACCOUNT, f"no account {account_no}")
        return books


def _due(flows: dict[date, Decimal], until: date) -> Decimal:
    return sum((amount for day, amount in flows.items() if day <= until), ZERO)
