"""The book of positions as values: lines with their lots, closed trades, profit in won.

Profit in won has two parts. What a trade earned in its own currency, taken at the rate of today
(open) or of the exit (closed), is the strategy's; what the money that was paid for the shares
gained or lost by the change of the rate since is the currency's. Both are after costs and together
are exactly the won received less the won paid. Where a rate is not known there is no profit in won.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

from trading_core.model.market import Currency, Instrument
from trading_core.model.portfolio import Lot, Position, PositionOrigin

QUANTUM = Decimal("1e-10")
EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_ZERO = Decimal(0)


def won_rate(currency: Currency, told: Decimal | None) -> Decimal | None:
    """Won for one unit: 1 for the won itself, else what was told; None for 0 or nothing."""
    if currency is Currency.KRW:
        return Decimal(1)
    return told if told is not None and told > 0 else None


@dataclass(frozen=True, slots=True)
class KrwPnl:
    """Profit in won after costs, by where it comes from; ``total`` is the sum, exactly."""

    strategy: Decimal = _ZERO
    fx: Decimal = _ZERO

    @property
    def total(self) -> Decimal:
        return EXACT.add(self.strategy, self.fx)

    def plus(self, other: KrwPnl) -> KrwPnl:
        return KrwPnl(EXACT.add(self.strategy, other.strategy), EXACT.add(self.fx, other.fx))


def krw_pnl(
    *, received: Decimal, paid: Decimal, paid_krw: Decimal | None, rate: Decimal | None
) -> KrwPnl | None:
    """Profit in won of money that was ``paid`` once and comes back as ``received`` at ``rate``.

    Args:
        received: In the currency, after the costs of the exit.
        paid: In the currency, with the costs of the entry.
        paid_krw: The won that was worth when it was paid; None when nobody knows.
        rate: Won for one unit when it comes back; None when nobody knows.
    """
    if paid_krw is None or rate is None:
        return None
    with localcontext(EXACT):
        return KrwPnl(strategy=(received - paid) * rate, fx=paid * rate - paid_krw)


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """Shares that left one line of the book, by a sell fill or a negative adopted lot.

    ``cost`` is what the shares had cost, ``entry_costs`` their part of the fees and taxes paid
    when they were bought, ``exit_costs`` fee and tax of the sale; all in ``currency``.
    ``entry_krw`` is the won that cost and entry costs were worth when they were paid,
    ``exit_rate`` the won for one unit at the sale; None where a rate is not known.
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
    entry_krw: Decimal | None = None
    exit_rate: Decimal | None = None

    @property
    def gross(self) -> Decimal:
        """Proceeds less cost, before fees and taxes."""
        return EXACT.subtract(self.proceeds, self.cost)

    @property
    def net(self) -> Decimal:
        """After the fees and taxes of both ends; above zero means the trade made money."""
        return EXACT.subtract(self.gross, EXACT.add(self.entry_costs, self.exit_costs))

    @property
    def krw(self) -> KrwPnl | None:
        """Profit in won after the costs of both ends; None where a rate is not known."""
        return krw_pnl(
            received=EXACT.subtract(self.proceeds, self.exit_costs),
            paid=EXACT.add(self.cost, self.entry_costs),
            paid_krw=self.entry_krw,
            rate=self.exit_rate,
        )

    @property
    def strategy_krw(self) -> Decimal | None:
        krw = self.krw
        return None if krw is None else krw.strategy

    @property
    def fx_krw(self) -> Decimal | None:
        krw = self.krw
        return None if krw is None else krw.fx


@dataclass(frozen=True, slots=True)
class Realized:
    """What one currency has earned so far. ``fees`` and ``taxes`` are all that were paid, those
    of shares still held too."""

    gross: Decimal = _ZERO
    fees: Decimal = _ZERO
    taxes: Decimal = _ZERO

    @property
    def net(self) -> Decimal:
        return EXACT.subtract(self.gross, EXACT.add(self.fees, self.taxes))


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
    them, ``entry_krw`` the won both were worth when they were paid (None where a rate is not
    known). ``realized_krw`` is the profit in won of all that was closed, after costs; None once
    one of them is not known. ``lots`` are the purchases, first in first out, for people to read:
    their quantities sum up to the position's, profit goes by average cost.
    ``position.quantity`` is 0 for a line that was closed.
    """

    position: Position
    cost: Decimal
    entry_costs: Decimal
    entry_krw: Decimal | None
    realized_krw: KrwPnl | None
    lots: tuple[Lot, ...]

    @property
    def entry_rate(self) -> Decimal | None:
        """Won for one unit when the shares were bought, on average; None when not known."""
        paid = EXACT.add(self.cost, self.entry_costs)
        if self.entry_krw is None or paid <= 0:
            return None
        return EXACT.divide(self.entry_krw, paid).quantize(QUANTUM)

    def unrealized_krw(self, price: Decimal, rate: Decimal | None) -> KrwPnl | None:
        """Profit in won of the shares held, after the costs paid so far.

        Args:
            price: Of a share now, in the position's currency.
            rate: Won for one unit of it now; None when nobody knows.
        """
        return krw_pnl(
            received=EXACT.multiply(Decimal(self.position.quantity), price),
            paid=EXACT.add(self.cost, self.entry_costs),
            paid_krw=self.entry_krw,
            rate=won_rate(self.position.currency, rate),
        )


@dataclass(frozen=True, slots=True)
class PositionBook:
    """Every line that ever held shares, in the order of their first purchase."""

    lines: tuple[BookLine, ...]
    closed: tuple[ClosedTrade, ...]
    uncovered: tuple[Uncovered, ...]

    @property
    def open_positions(self) -> tuple[Position, ...]:
        return tuple(line.position for line in self.open_lines)

    @property
    def open_lines(self) -> tuple[BookLine, ...]:
        return tuple(line for line in self.lines if line.position.quantity)

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
        with localcontext(EXACT):
            for position in (line.position for line in self.lines):
                if position.origin is origin:
                    so_far = totals.get(position.currency, Realized())
                    totals[position.currency] = Realized(
                        so_far.gross + position.realized,
                        so_far.fees + position.fees,
                        so_far.taxes + position.taxes,
                    )
        return totals
