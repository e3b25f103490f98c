"""Positions and realised profit from fills, by the average-cost method.

The cost of a position is kept as a total and the average is derived from it, because an average
may be a repeating fraction. A part of a cost is rounded half even to :data:`QUANTUM` when shares
leave, and what remains is the exact difference, so nothing is ever lost: selling everything leaves
a cost of exactly zero.

Shares we bought (``STRATEGY``) and shares found at the broker (``ADOPTED``) are two lines of the
book. A sell takes strategy shares first, then adopted ones. Shares sold by hand (a lot with a
negative quantity) take adopted shares first, then the strategy's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

from trading_core.errors import CurrencyMismatch
from trading_core.model.market import Currency, Instrument, MarketGroup
from trading_core.model.order import Fill, Side
from trading_core.model.portfolio import AdoptedLot, Position, PositionOrigin

QUANTUM = Decimal("1e-10")
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_ZERO = Decimal(0)

_LineKey = tuple[MarketGroup, str, PositionOrigin]


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """Shares that left one line of the book, by a sell fill or a negative adopted lot.

    ``cost`` is what the shares had cost, ``entry_costs`` their part of the fees and taxes paid
    when they were bought, ``exit_costs`` fee and tax of the sale; all in ``currency``.
    """

    closing_id: str
    intent_id: str
    origin: PositionOrigin
    instrument: Instrument
    session: date
    quantity: int
    proceeds: Decimal
    cost: Decimal
    entry_costs: Decimal
    exit_costs: Decimal
    currency: Currency
    closed_at: datetime

    @property
    def gross(self) -> Decimal:
        """Proceeds less cost, before fees and taxes."""
        return _EXACT.subtract(self.proceeds, self.cost)

    @property
    def net(self) -> Decimal:
        """After the fees and taxes of both ends; above zero means the trade made money."""
        return _EXACT.subtract(self.gross, _EXACT.add(self.entry_costs, self.exit_costs))


@dataclass(frozen=True, slots=True)
class Realized:
    """What one currency has earned so far. ``fees`` and ``taxes`` are all that were paid, those
    of shares still held too."""

    gross: Decimal = _ZERO
    fees: Decimal = _ZERO
    taxes: Decimal = _ZERO

    @property
    def net(self) -> Decimal:
        return _EXACT.subtract(self.gross, _EXACT.add(self.fees, self.taxes))


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Shares sold that no line of the book held; their cost is unknown and no profit is booked."""

    closing_id: str
    instrument: Instrument
    quantity: int
    proceeds: Decimal
    currency: Currency


@dataclass(frozen=True, slots=True)
class BookLine:
    """One position and the exact totals behind it.

    ``cost`` is what the shares held now have cost, ``entry_costs`` the fees and taxes paid to buy
    them. ``position.quantity`` is 0 for a line that was closed.
    """

    position: Position
    cost: Decimal
    entry_costs: Decimal


@dataclass(frozen=True, slots=True)
class PositionBook:
    """Every line that ever held shares, in the order of their first purchase."""

    lines: tuple[BookLine, ...]
    closed: tuple[ClosedTrade, ...]
    uncovered: tuple[Uncovered, ...]

    @property
    def open_positions(self) -> tuple[Position, ...]:
        return tuple(line.position for line in self.lines if line.position.quantity)

    def line(
        self, symbol: str, origin: PositionOrigin = PositionOrigin.STRATEGY
    ) -> BookLine | None:
        """The line of a symbol; of the first market group that has it."""
        return next(
            (
                line
                for line in self.lines
                if line.position.instrument.symbol == symbol and line.position.origin is origin
            ),
            None,
        )

    def quantity(self, symbol: str) -> int:
        """Shares held, of both origins."""
        return sum(p.quantity for p in self.open_positions if p.instrument.symbol == symbol)

    def realized(
        self, origin: PositionOrigin = PositionOrigin.STRATEGY
    ) -> dict[Currency, Realized]:
        """Totals per currency of the shares of one origin."""
        totals: dict[Currency, Realized] = {}
        with localcontext(_EXACT):
            for position in (line.position for line in self.lines):
                if position.origin is origin:
                    so_far = totals.get(position.currency, Realized())
                    totals[position.currency] = Realized(
                        so_far.gross + position.realized,
                        so_far.fees + position.fees,
                        so_far.taxes + position.taxes,
                    )
        return totals


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
    realized: Decimal = _ZERO
    fees: Decimal = _ZERO
    taxes: Decimal = _ZERO

    def add(self, quantity: int, amount: Decimal, fee: Decimal, tax: Decimal) -> None:
        self.quantity += quantity
        self.cost += amount
        self.entry_costs += fee + tax
        self.fees += fee
        self.taxes += tax

    def take(self, quantity: int) -> tuple[Decimal, Decimal]:
        """Remove shares; returns their cost and their entry costs."""
        cost = _part(self.cost, quantity, self.quantity)
        entry_costs = _part(self.entry_costs, quantity, self.quantity)
        self.quantity -= quantity
        self.cost -= cost
        self.entry_costs -= entry_costs
        return cost, entry_costs

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
        return BookLine(position, self.cost, self.entry_costs)


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
            cost, entry_costs = line.take(quantity)
            line.realized += proceeds - cost
            line.fees += fee
            line.taxes += tax
            self.closed.append(
                ClosedTrade(
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
                )
            )
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


def fold_positions(fills: Sequence[Fill], lots: Sequence[AdoptedLot] = ()) -> PositionBook:
    """The book after these fills and adopted lots, taken in order of time.

    At the same moment a lot comes before a fill. Fills keep their order among themselves when
    their times are equal. Symbols are told apart per market group.

    Raises:
        CurrencyMismatch: one symbol was traded in two currencies.
    """
    ledger = _Ledger()
    with localcontext(_EXACT):
        for entry in _in_time(fills, lots):
            if isinstance(entry, AdoptedLot):
                _book_lot(ledger, entry)
            else:
                _book_fill(ledger, entry)
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


def _in_time(fills: Sequence[Fill], lots: Sequence[AdoptedLot]) -> Iterator[Fill | AdoptedLot]:
    timed: list[tuple[datetime, int, Fill | AdoptedLot]] = [
        *((lot.adopted_at, 0, lot) for lot in lots),
        *((fill.filled_at, 1, fill) for fill in fills),
    ]
    return (entry for _, _, entry in sorted(timed, key=lambda item: item[:2]))


def _book_fill(ledger: _Ledger, fill: Fill) -> None:
    if fill.side is Side.BUY:
        line = ledger.line(fill, PositionOrigin.STRATEGY)
        line.add(fill.quantity, fill.amount, fill.fee, fill.tax)
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
    )
    ledger.sell(sale, (PositionOrigin.STRATEGY, PositionOrigin.ADOPTED))


def _book_lot(ledger: _Ledger, lot: AdoptedLot) -> None:
    if lot.quantity > 0:
        line = ledger.line(lot, PositionOrigin.ADOPTED)
        line.add(lot.quantity, lot.quantity * lot.price, _ZERO, _ZERO)
        return
    sale = _Sale(
        closing_id=lot.lot_id,
        intent_id="",
        instrument=lot.instrument,
        session=lot.session,
        filled_at=lot.adopted_at,
        currency=lot.currency,
        quantity=-lot.quantity,
        proceeds=-lot.quantity * lot.price,
        fee=_ZERO,
        tax=_ZERO,
    )
    ledger.sell(sale, (PositionOrigin.ADOPTED, PositionOrigin.STRATEGY))
