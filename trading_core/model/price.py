"""Prices: quotes, bars, rankings, candidates and the columnar observation of one tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from trading_core.model.market import Instrument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Quote:
    """The state of one instrument at one moment; prices in the market's currency.

    ``volume`` and ``turnover`` are the session's totals so far. ``last`` is 0 when the broker gave
    no price: that is "no data", never a price.
    """

    instrument: Instrument
    last: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    previous_close: Decimal
    volume: int
    at: datetime
    turnover: Decimal = Decimal(0)
    upper_limit: Decimal | None = None
    lower_limit: Decimal | None = None
    halted: bool = False

    @property
    def usable(self) -> bool:
        """Whether a decision may stand on it: a price above zero and not halted."""
        return self.last > 0 and not self.halted

    @property
    def change_pct(self) -> float:
        """Last against the previous close, in percent; NaN without a previous close."""
        if self.previous_close <= 0 or self.last <= 0:
            return float("nan")
        return float((self.last / self.previous_close - 1) * 100)


@dataclass(frozen=True, slots=True)
class BookLevel:
    """One price level of an order book."""

    price: Decimal
    quantity: int


@dataclass(frozen=True, slots=True)
class OrderBook:
    """Best levels first; at most ten a side."""

    instrument: Instrument
    asks: tuple[BookLevel, ...]
    bids: tuple[BookLevel, ...]
    at: datetime

    @property
    def spread_pct(self) -> float:
        """Best ask less best bid over the middle, in percent; NaN without both sides."""
        if not self.asks or not self.bids:
            return float("nan")
        ask, bid = self.asks[0].price, self.bids[0].price
        if ask <= 0 or bid <= 0:
            return float("nan")
        return float((ask - bid) / ((ask + bid) / 2) * 100)


@dataclass(frozen=True, slots=True)
class DailyBar:
    """One session of one instrument. A halted session has open = high = low = 0 or volume 0."""

    session: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(frozen=True, slots=True)
class MinuteBar:
    """One minute of one instrument; ``start_at`` is the bar's first instant, aware UTC."""

    start_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


class Ranking(StrEnum):
    """The two universes the scanner reads."""

    FLUCTUATION = "fluctuation"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True)
class RankRow:
    """One row of a broker ranking, best rank first (``rank`` starts at 1)."""

    instrument: Instrument
    rank: int
    last: Decimal
    change_pct: float
    volume: int


class Signal(StrEnum):
    """What the scanner saw in a candidate."""

    MOMENTUM = "momentum"
    OVERSOLD = "oversold"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An instrument the scanner qualified, with why (the *selection context*).

    Floats are indicators; NaN means "no data". ``score`` is 0-100.
    """

    instrument: Instrument
    price: Decimal
    change_pct: float
    range_pct: float
    volume_ratio: float
    rsi: float
    atr_pct: float
    return_5d_pct: float
    return_20d_pct: float
    momentum: float
    breakout_pct: float
    score: float
    signal: Signal
    volume_rank: int | None = None

    def selection_context(self) -> dict[str, float | str | int | None]:
        """The JSON that is stored with the trade: rsi, volume_ratio, signal, score and the rest."""
        return {
            "rsi": _none_if_nan(self.rsi),
            "volume_ratio": _none_if_nan(self.volume_ratio),
            "signal": self.signal.value,
            "score": _none_if_nan(self.score),
            "change_pct": _none_if_nan(self.change_pct),
            "range_pct": _none_if_nan(self.range_pct),
            "volume_rank": self.volume_rank,
        }


def _none_if_nan(value: float) -> float | None:
    return None if value != value else round(value, 6)


@dataclass(frozen=True)
class ObservationFrame:
    """What one tick saw, one row per symbol, columns as float64 arrays of equal length.

    ``columns`` maps a playbook field name to its values; NaN is "no data". ``market_fields`` are
    the fields of global rules (``day_pnl_pct`` ...), one value for the whole market.
    """

    at: datetime
    symbols: tuple[str, ...]
    columns: Mapping[str, NDArray[np.float64]]
    market_fields: Mapping[str, float] = field(default_factory=dict)

    def value(self, symbol: str, name: str) -> float:
        """One cell; NaN when the symbol or the column is not there."""
        column = self.columns.get(name)
        if column is None or symbol not in self.symbols:
            return float("nan")
        return float(column[self.symbols.index(symbol)])

    def row(self, symbol: str) -> dict[str, float]:
        """All fields of one symbol; empty when it was not observed."""
        if symbol not in self.symbols:
            return {}
        index = self.symbols.index(symbol)
        return {name: float(column[index]) for name, column in self.columns.items()}
