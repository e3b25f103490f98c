"""The tables of what outside sources said, and the queries over what was known when."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from trading_core.adapters.duck.codecs import (
    BOOLEAN,
    FLOAT,
    INTEGER,
    TEXT,
    TIME,
    enum_of,
    to_micros,
)
from trading_core.adapters.duck.queries import Queries
from trading_core.adapters.duck.tables import Table, table
from trading_core.model.sources import (
    EconomicEvent,
    Headline,
    Importance,
    MarketReading,
    SourceAsk,
    SourceKind,
)

HEADLINES = table(
    "headlines",
    Headline,
    {
        "market": TEXT,
        "symbol": TEXT,
        "source": TEXT,
        "publisher": TEXT,
        "title": TEXT,
        "url": TEXT,
        "published_at": TIME,
        "fetched_at": TIME,
        "sentiment": FLOAT,
        "sentiment_by": TEXT,
    },
    "headline_id",
    stored_only={"headline_id": (TEXT, "headline_id")},
)

MARKET_READINGS = table(
    "market_readings",
    MarketReading,
    {
        "name": TEXT,
        "value": FLOAT,
        "change_pct": FLOAT,
        "observed_at": (TIME, "at"),
        "source": TEXT,
        "fetched_at": TIME,
    },
    "name source fetched_at",
    moment="fetched_at",
)

ECONOMIC_EVENTS = table(
    "economic_events",
    EconomicEvent,
    {
        "due_at": (TIME, "at"),
        "country": TEXT,
        "name": TEXT,
        "source": TEXT,
        "fetched_at": TIME,
        "importance": enum_of(Importance),
        "forecast": TEXT,
        "previous": TEXT,
        "actual": TEXT,
        "is_withdrawn": BOOLEAN,
    },
    "event_id fetched_at",
    stored_only={"event_id": (TEXT, "event_id")},
)

SOURCE_ASKS = table(
    "source_asks",
    SourceAsk,
    {
        "kind": enum_of(SourceKind),
        "source": TEXT,
        "market": TEXT,
        "asked_at": (TIME, "at"),
        "count": INTEGER,
        "problem": TEXT,
    },
    "kind source market asked_at",
    moment="asked_at",
)

SOURCE_RECORD_TABLES: tuple[Table[Any], ...] = (
    HEADLINES,
    MARKET_READINGS,
    ECONOMIC_EVENTS,
    SOURCE_ASKS,
)

SOURCE_TABLES: tuple[str, ...] = (
    """
    CREATE TABLE headlines (
        headline_id TEXT NOT NULL,
        market TEXT NOT NULL,
        symbol TEXT,
        source TEXT NOT NULL,
        publisher TEXT NOT NULL,
        title TEXT NOT NULL,
        url TEXT NOT NULL,
        published_at TIMESTAMPTZ NOT NULL,
        fetched_at TIMESTAMPTZ NOT NULL,
        sentiment DOUBLE,
        sentiment_by TEXT NOT NULL
    )""",
    """
    CREATE TABLE market_readings (
        name TEXT NOT NULL,
        "value" DOUBLE NOT NULL,
        change_pct DOUBLE,
        observed_at TIMESTAMPTZ NOT NULL,
        source TEXT NOT NULL,
        fetched_at TIMESTAMPTZ NOT NULL
    )""",
    """
    CREATE TABLE economic_events (
        event_id TEXT NOT NULL,
        due_at TIMESTAMPTZ NOT NULL,
        country TEXT NOT NULL,
        name TEXT NOT NULL,
        source TEXT NOT NULL,
        fetched_at TIMESTAMPTZ NOT NULL,
        importance TEXT NOT NULL,
        forecast TEXT,
        previous TEXT,
        actual TEXT,
        is_withdrawn BOOLEAN NOT NULL
    )""",
    """
    CREATE TABLE source_asks (
        kind TEXT NOT NULL,
        source TEXT NOT NULL,
        market TEXT NOT NULL,
        asked_at TIMESTAMPTZ NOT NULL,
        "count" BIGINT NOT NULL,
        problem TEXT NOT NULL
    )""",
)
"""Frozen, as all schema statements are: a change is a new migration."""

_TIME = "make_timestamptz(?::BIGINT)"


class SourceQueries(Queries):
    """The queries of the ``SourceReader`` port over one open connection."""

    def headlines_known(
        self, at: datetime, *, market: str, symbols: Collection[str], since: datetime
    ) -> Sequence[Headline]:
        return self._records(
            HEADLINES,
            f"WHERE t.market = ? AND t.fetched_at <= {_TIME} AND t.published_at >= {_TIME}"
            " AND (t.symbol IS NULL OR list_contains(?::VARCHAR[], t.symbol))"
            " ORDER BY t.published_at DESC, t.headline_id",
            [market, to_micros(at), to_micros(since), list(symbols)],
        )

    def readings_known(self, at: datetime, *, since: datetime) -> Sequence[MarketReading]:
        return self._records(
            MARKET_READINGS,
            f"WHERE t.fetched_at <= {_TIME} AND t.observed_at >= {_TIME}"
            " QUALIFY row_number() OVER (PARTITION BY t.name"
            " ORDER BY t.observed_at DESC, t.fetched_at DESC, t.source) = 1 ORDER BY t.name",
            [to_micros(at), to_micros(since)],
        )

    def events_known(
        self, at: datetime, *, country: str, since: datetime, until: datetime
    ) -> Sequence[EconomicEvent]:
        found = self._records(
            ECONOMIC_EVENTS,
            f"WHERE t.country = ? AND t.fetched_at <= {_TIME}"
            " QUALIFY row_number() OVER"
            " (PARTITION BY t.event_id ORDER BY t.fetched_at DESC) = 1"
            f" AND t.due_at >= {_TIME} AND t.due_at < {_TIME}"
            " ORDER BY t.due_at, t.name, t.event_id",
            [country, to_micros(at), to_micros(since), to_micros(until)],
        )
        return [event for event in found if not event.is_withdrawn]

    def source_asks(self, *, since: datetime) -> Sequence[SourceAsk]:
        return self._records(
            SOURCE_ASKS,
            f"WHERE t.asked_at >= {_TIME} ORDER BY t.asked_at, t.kind, t.source, t.market",
            [to_micros(since)],
        )
