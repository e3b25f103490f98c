"""Positions and realised profit from fills, by the average-cost method.

The cost of a position is kept as a total and the average is derived from it, because an average
may be a repeating fraction. A part of a cost is rounded half even to :data:`QUANTUM` when shares
leave, and what remains is the exact difference, so nothing is ever lost: selling everything leaves
a cost of exactly zero. What the cost was worth in won when it was paid is kept by the same method.

Shares we bought (``STRATEGY``) and shares found at the broker (``ADOPTED``) are two lines of the
book. A sell takes strategy shares first, then adopted ones. Shares sold by hand (a lot with a
negative quantity) take adopted shares first, then the strategy's. A split changes the number of
shares of both lines and what one of them has cost, and no total.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal, localcontext
from typing import TypeAlias

from trading_core.errors import CurrencyMismatch
from trading_core.model.market import Currency, Instrument, MarketGroup
from trading_core.model.order import Fill, Side
from trading_core.model.portfolio import AdoptedLot, Lot, Position, PositionOrigin, Split
from trading_core.rules.position_book import EXACT, QUANTUM, BookLine, KrwPnl, Uncovered, won_rate
from trading_core.rules.position_book import ClosedTrade as ClosedTrade
from trading_core.rules.position_book import PositionBook as PositionBook
from trading_core.rules.position_book import Realized as Realized

_ZERO = Decimal(0)

_LineKey: TypeAlias = tuple[MarketGroup, str, PositionOrigin]
_Entry: TypeAlias = Fill | AdoptedLot | Split


@dataclass(slots=True)
class _Line:
    instrument: Instrument
    origin: PositionOrigin
    currency: Currency
    opened_on: date
    opened_at: datetime
    quantity: int = 0
    cost: Decimal = _ZERO
    entry_costs: Decimal = _ZERO
    entry_krw: Decimal | None = _ZERO
    realized: Decimal = _ZERO
    realized_krw: KrwPnl | None = field(default_factory=KrwPnl)
    fees: Decimal = _ZERO
    taxes: Decimal = _ZERO
    lots: deque[Lot] = field(default_factory=deque)

    def add(self, lot: Lot, amount: Decimal, fee: Decimal = _ZERO, tax: Decimal = _ZERO) -> None:
        if self.quantity == 0:
            self.entry_krw = _ZERO
        if self.entry_krw is None or lot.krw_rate is None:
            self.entry_krw = None
        else:
            self.entry_krw += ((amount + fee + tax) * lot.krw_rate).quantize(QUANTUM)
        self.quantity += lot.quantity
        self.cost += amount
        self.entry_costs += fee + tax
        self.fees += fee
        self.taxes += tax
        self.lots.append(lot)

    def take(self, quantity: int) -> tuple[Decimal, Decimal, Decimal | None]:
        """Remove shares; returns their cost, their entry costs, and what both were in won."""
        cost = _part(self.cost, quantity, self.quantity)
        entry_costs = _part(self.entry_costs, quantity, self.quantity)
        krw = None
        if self.entry_krw is not None:
            krw = _part(self.entry_krw, quantity, self.quantity)
            self.entry_krw -= krw
        self.quantity -= quantity
        self.cost -= cost
        self.entry_costs -= entry_costs
        self._take_lots(quantity)
        return cost, entry_costs, krw

    def _take_lots(self, quantity: int) -> None:
        while quantity:
            lot = self.lots.popleft()
            if lot.quantity > quantity:
                self.lots.appendleft(replace(lot, quantity=lot.quantity - quantity))
                return
            quantity -= lot.quantity

    def split(self, split: Split) -> None:
        """Count the same worth in other shares; every line that holds one goes on holding one."""
        if not self.quantity:
            return
        lots: deque[Lot] = deque()
        before = after = 0
        for lot in self.lots:
            before += lot.quantity
            quantity = split.quantity_of(before) - after
            after += quantity
            if quantity:
                price = split.price_of(lot.price).quantize(QUANTUM)
                lots.append(replace(lot, quantity=quantity, price=price))
        self.lots, self.quantity, self.opened_at = lots, after, split.at

    def close(self, trade: ClosedTrade) -> None:
        """Book what a trade has earned."""
        self.realized += trade.proceeds - trade.cost
        krw = trade.krw
        so_far = self.realized_krw
        self.realized_krw = None if krw is None or so_far is None else so_far.plus(krw)

    def frozen(self) -> BookLine:
        average = (self.cost / self.quantity).quantize(QUANTUM) if self.quantity else _ZERO
        position = Position(
            instrument=self.instrument,
            quantity=self.quantity,
            average_price=average,
            currency=self.currency,
            opened_on=self.opened_on,
            opened_at=self.opened_at,
            origin=self.origin,
            realized=self.realized,
            fees=self.fees,
            taxes=self.taxes,
        )
        return BookLine(
            position,
            self.cost,
            self.entry_costs,
            self.entry_krw,
            self.realized_krw,
            tuple(self.lots),
        )


@dataclass(slots=True)
class _Sale:
    """What is left to book of one sale; each share taken takes its part of the amounts along."""

    closing_id: str
    intent_id: str
    instrument: Instrument
    session: date
    filled_at: datetime
    currency: Currency
    quantity: int
    proceeds: Decimal
    fee: Decimal
    tax: Decimal
    krw_rate: Decimal | None

    def split(self, quantity: int) -> tuple[Decimal, Decimal, Decimal]:
        parts = tuple(
            _part(total, quantity, self.quantity) for total in (self.proceeds, self.fee, self.tax)
        )
        self.proceeds -= parts[0]
        self.fee -= parts[1]
        self.tax -= parts[2]
        self.quantity -= quantity
        return parts[0], parts[1], parts[2]


@dataclass(slots=True)
class _Ledger:
    lines: dict[_LineKey, _Line] = field(default_factory=dict)
    closed: list[ClosedTrade] = field(default_factory=list)
    uncovered: list[Uncovered] = field(default_factory=list)

    def line(self, traded: Fill | AdoptedLot | _Sale, origin: PositionOrigin) -> _Line:
        """The line of this symbol; one that holds nothing opens (again) with this trade."""
        at = traded.adopted_at if isinstance(traded, AdoptedLot) else traded.filled_at
        line = self.lines.setdefault(
            _key(traded.instrument, origin),
            _Line(traded.instrument, origin, traded.currency, traded.session, at),
        )
        _check_currency(line, traded)
        if line.quantity == 0:
            line.opened_on, line.opened_at = traded.session, at
        return line

    def sell(self, sale: _Sale, order: Sequence[PositionOrigin]) -> None:
        """Take the shares of ``sale`` from the lines of its symbol, in ``order``."""
        for origin in order:
            line = self.lines.get(_key(sale.instrument, origin))
            quantity = min(sale.quantity, line.quantity) if line else 0
            if line is None or quantity == 0:
                continue
            _check_currency(line, sale)
            proceeds, fee, tax = sale.split(quantity)
            cost, entry_costs, entry_krw = line.take(quantity)
            line.fees += fee
            line.taxes += tax
            trade = ClosedTrade(
                closing_id=sale.closing_id,
                intent_id=sale.intent_id,
                origin=origin,
                instrument=sale.instrument,
                session=sale.session,
                quantity=quantity,
                proceeds=proceeds,
                cost=cost,
                entry_costs=entry_costs,
                exit_costs=fee + tax,
                currency=sale.currency,
                closed_at=sale.filled_at,
                entry_krw=entry_krw,
                exit_rate=won_rate(sale.currency, sale.krw_rate),
            )
            line.close(trade)
            self.closed.append(trade)
        if sale.quantity:
            self._book_uncovered(sale)

    def _book_uncovered(self, sale: _Sale) -> None:
        self.uncovered.append(
            Uncovered(sale.closing_id, sale.instrument, sale.quantity, sale.proceeds, sale.currency)
        )
        if sale.fee or sale.tax:
            # They were paid, whatever was sold, so they belong into the books.
            line = self.line(sale, PositionOrigin.STRATEGY)
            line.fees += sale.fee
            line.taxes += sale.tax


def fold_positions(
    fills: Sequence[Fill], lots: Sequence[AdoptedLot] = (), splits: Sequence[Split] = ()
) -> PositionBook:
    """The book after these fills, adopted lots and splits, taken in order of time.

    At the same moment a lot comes before a fill and a split after both. Fills keep their order
    among themselves when their times are equal. Symbols are told apart per market group.

    Raises:
        CurrencyMismatch: one symbol was traded in two currencies.
    """
    ledger = _Ledger()
    with localcontext(EXACT):
        for entry in _in_time(fills, lots, splits):
            if isinstance(entry, Fill):
                _book_fill(ledger, entry)
            elif isinstance(entry, AdoptedLot):
                _book_lot(ledger, entry)
            else:
                _book_split(ledger, entry)
        lines = tuple(line.frozen() for line in ledger.lines.values())
    return PositionBook(lines, tuple(ledger.closed), tuple(ledger.uncovered))


def _key(instrument: Instrument, origin: PositionOrigin) -> _LineKey:
    return instrument.market.group, instrument.symbol, origin


def _check_currency(line: _Line, traded: Fill | AdoptedLot | _Sale) -> None:
    if line.currency is not traded.currency:
        raise CurrencyMismatch(
            f"{traded.instrument.symbol} was traded in {line.currency} and in {traded.currency}"
        )


def _part(total: Decimal, quantity: int, of: int) -> Decimal:
    """The share of ``total`` that belongs to ``quantity`` of ``of``; all of it for all."""
    return total if quantity == of else (total * quantity / of).quantize(QUANTUM)


def _in_time(
    fills: Sequence[Fill], lots: Sequence[AdoptedLot], splits: Sequence[Split]
) -> Iterator[_Entry]:
    timed: list[tuple[datetime, int, _Entry]] = [
        *((lot.adopted_at, 0, lot) for lot in lots),
        *((fill.filled_at, 1, fill) for fill in fills),
        *((split.at, 2, split) for split in splits),
    ]
    return (entry for _, _, entry in sorted(timed, key=lambda item: item[:2]))


def _book_split(ledger: _Ledger, split: Split) -> None:
    for origin in PositionOrigin:
        line = ledger.lines.get(_key(split.instrument, origin))
        if line is not None:
            line.split(split)


def _book_fill(ledger: _Ledger, fill: Fill) -> None:
    if fill.side is Side.BUY:
        line = ledger.line(fill, PositionOrigin.STRATEGY)
        rate = won_rate(fill.currency, fill.krw_rate)
        lot = Lot(fill.session, fill.quantity, fill.price, rate)
        line.add(lot, fill.amount, fill.fee, fill.tax)
        return
    sale = _Sale(
        closing_id=fill.fill_id,
        intent_id=fill.intent_id,
        instrument=fill.instrument,
        session=fill.session,
        filled_at=fill.filled_at,
        currency=fill.currency,
        quantity=fill.quantity,
        proceeds=fill.amount,
        fee=fill.fee,
        tax=fill.tax,
        krw_rate=fill.krw_rate,
    )
    ledger.sell(sale, (PositionOrigin.STRATEGY, PositionOrigin.ADOPTED))


def _book_lot(ledger: _Ledger, found: AdoptedLot) -> None:
    if found.quantity > 0:
        line = ledger.line(found, PositionOrigin.ADOPTED)
        rate = won_rate(found.currency, found.krw_rate)
        lot = Lot(found.session, found.quantity, found.price, rate)
        line.add(lot, found.quantity * found.price)
        return
    sale = _Sale(
        closing_id=found.lot_id,
        intent_id="",
        instrument=found.instrument,
        session=found.session,
        filled_at=found.adopted_at,
        currency=found.currency,
        quantity=-found.quantity,
        proceeds=-found.quantity * found.price,
        fee=_ZERO,
        tax=_ZERO,
        krw_rate=found.krw_rate,
    )
    ledger.sell(sale, (PositionOrigin.ADOPTED, PositionOrigin.STRATEGY))
