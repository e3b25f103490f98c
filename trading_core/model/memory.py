"""Memory: what its layers are, and the facts of the store that it is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from trading_core.model.journal import ContextLayer
from trading_core.model.market import Currency


@dataclass(frozen=True, slots=True)
class ContextMetadata:
    """One layer of memory; a row of ``context_metadata``.

    ``retention_days`` counts from the end of a timeframe, None keeps it for good.
    ``aggregates_from`` names the tables it is computed from.
    """

    layer: ContextLayer
    name: str
    timeframe_format: str
    keys: str
    retention_days: int | None
    aggregates_from: str
    description: str


@dataclass(frozen=True, slots=True)
class EquityDay:
    """The equity points of one currency in one session, in short; amounts in the currency.

    ``opened_at`` and ``closed_at`` are the times of the first and the last point.
    """

    session: date
    currency: Currency
    open: Decimal
    low: Decimal
    high: Decimal
    close: Decimal
    open_cash: Decimal
    close_cash: Decimal
    opened_at: datetime
    closed_at: datetime
    points: int


@dataclass(frozen=True, slots=True)
class EntryOrigin:
    """What stood behind an entry order: the decision's confidence (0-100), its scenario, and who
    wrote the playbook; empty where that is not known."""

    confidence: int
    scenario_id: str
    source: str


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """What the store sums up itself of one market group, because the rows are many.

    ``origins`` are by the intent of a filled entry. ``decisions`` count the actions of a session.
    ``cash_moved`` is the cash of a session that no trade explains, by currency.
    """

    equity: tuple[EquityDay, ...] = ()
    origins: Mapping[str, EntryOrigin] = field(default_factory=dict)
    decisions: Mapping[date, Mapping[str, int]] = field(default_factory=dict)
    cash_moved: Mapping[tuple[date, Currency], Decimal] = field(default_factory=dict)
