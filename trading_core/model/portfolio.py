"""What is owned: the broker's view (holdings, account) and ours (positions with lots)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from trading_core.model.market import Currency, Instrument


@dataclass(frozen=True, slots=True)
class Holding:
    """Shares at the broker. ``sellable`` may be below ``quantity`` while a sell order works."""

    instrument: Instrument
    quantity: int
    sellable: int
    average_price: Decimal
    last_price: Decimal

    @property
    def value(self) -> Decimal:
        return self.quantity * self.last_price


@dataclass(frozen=True, slots=True)
class Account:
    """One currency of the account at one moment.

    ``cash`` is what will be there once everything traded so far has settled, before open orders.
    ``orderable`` is what a new buy may use: cash less what open buy orders have reserved.
    ``equity`` = cash + value of the holdings. ``krw_rate`` is the broker's won for one unit of the
    currency (1 for KRW); None when it is not known. Nothing is decided by it.
    """

    currency: Currency
    cash: Decimal
    orderable: Decimal
    holdings: tuple[Holding, ...]
    at: datetime
    krw_rate: Decimal | None = None

    @property
    def equity(self) -> Decimal:
        return self.cash + sum((holding.value for holding in self.holdings), Decimal(0))

    def holding(self, symbol: str) -> Holding | None:
        return next((h for h in self.holdings if h.instrument.symbol == symbol), None)


class PositionOrigin(StrEnum):
    """``ADOPTED`` shares were bought by hand or by someone else; they are protected, but their
    profit is kept apart from the strategy's."""

    STRATEGY = "strategy"
    ADOPTED = "adopted"


class ExitState(StrEnum):
    """Promotions only, never back: HOLDING -> BREAK_EVEN -> TRAILING -> EXITING."""

    HOLDING = "holding"
    BREAK_EVEN = "break_even"
    TRAILING = "trailing"
    EXITING = "exiting"

    @property
    def rank(self) -> int:
        """Its place in the order of promotion, from 0."""
        return _RANKS[self]

    def promoted(self, to: ExitState) -> ExitState:
        """The higher of the two."""
        return to if to.rank > self.rank else self


_RANKS = {state: place for place, state in enumerate(ExitState)}


class StopBasis(StrEnum):
    """What a hard stop stands on: the plan's or the default until the first look at the market,
    which weighs it against the stock's volatility; ``SET`` from then on."""

    PLANNED = "planned"
    DEFAULT = "default"
    SET = "set"


@dataclass(frozen=True, slots=True)
class Protection:
    """How a position is guarded; stored, so that a restart forgets nothing.

    ``stop_loss_pct`` < 0 and ``take_profit_pct`` > 0 are against the average price, in percent.
    ``peak_price`` is the highest price seen since the position was opened. ``opened_at`` says
    which position of the symbol is guarded; None in a guard from before that was written down.

    ``armed`` is the highest of HOLDING, BREAK_EVEN and TRAILING that was reached: what still
    guards the position while ``state`` says EXITING. ``trail_atr`` is the average true range the
    trail keeps its distance by, in the market's currency, as it was when the trail was armed.

    ``approached_at`` is when the price last came close to the stop, None while it is away from
    it. ``blind_since`` and ``blind_looks`` count looks in a row without a usable price.
    """

    symbol: str
    stop_loss_pct: float
    take_profit_pct: float | None
    state: ExitState
    peak_price: Decimal
    updated_at: datetime
    opened_at: datetime | None = None
    stop_basis: StopBasis = StopBasis.SET
    armed: ExitState = ExitState.HOLDING
    trail_atr: Decimal | None = None
    approached_at: datetime | None = None
    blind_since: datetime | None = None
    blind_looks: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """Shares we account for, by the average-cost method; costs in the market's currency.

    ``opened_at`` is when they were first bought, or when a split last changed what a share is:
    prices from before it are not to be compared with those after.
    """

    instrument: Instrument
    quantity: int
    average_price: Decimal
    currency: Currency
    opened_on: date
    opened_at: datetime
    origin: PositionOrigin
    realized: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    taxes: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class AdoptedLot:
    """Shares found at the broker that no order of ours explains; ``quantity`` may be negative
    when shares of ours were sold by hand. ``krw_rate`` is the won for one unit of the currency
    when they were found."""

    lot_id: str
    instrument: Instrument
    session: date
    quantity: int
    price: Decimal
    currency: Currency
    adopted_at: datetime
    note: str = ""
    krw_rate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Lot:
    """What is left of one purchase, oldest first in a position, in shares as they are now.

    ``krw_rate`` is the won for one unit of the currency when it was bought; None when nobody knows.
    """

    opened_on: date
    quantity: int
    price: Decimal
    krw_rate: Decimal | None


@dataclass(frozen=True, slots=True)
class Split:
    """``numerator`` shares for every ``denominator`` held before; what they cost stays the same.

    Below 1 it is a reverse split. ``added`` are the shares it brought to our books, negative when
    shares were merged.
    """

    split_id: str
    instrument: Instrument
    session: date
    numerator: int
    denominator: int
    added: int
    at: datetime

    def adding(self, held: Iterable[int]) -> Split:
        """The same with what it adds to lines of our books that hold so many shares."""
        return replace(self, added=sum(self.quantity_of(shares) - shares for shares in held))

    def quantity_of(self, before: int) -> int:
        """Shares after the split; a part of a share counts as one, so nothing held is lost."""
        return -(-before * self.numerator // self.denominator)

    def price_of(self, before: Decimal) -> Decimal:
        """The price of today's share that a price from before the split stands for."""
        return before * self.denominator / self.numerator
