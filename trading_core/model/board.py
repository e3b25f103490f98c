"""Little rows that the store makes of many, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trading_core.model.order import Fill
from trading_core.model.portfolio import AdoptedLot, Split


@dataclass(frozen=True, slots=True)
class PricePoint:
    """A price that was seen, in the market's currency."""

    at: datetime
    price: float


@dataclass(frozen=True, slots=True)
class MatchTotal:
    """The matches of one scenario and kind in one session (see ``journal.MatchRow``).

    ``distance`` is the smallest one, None for a kind that has none.
    """

    symbol: str
    scenario_id: str
    kind: str
    action: str
    count: int
    first_at: datetime
    last_at: datetime
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class TradeHistory:
    """What position books are folded from; fills in the order they were observed, the rest oldest
    first."""

    fills: tuple[Fill, ...]
    lots: tuple[AdoptedLot, ...]
    splits: tuple[Split, ...]
