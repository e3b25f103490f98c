"""The tables of memory, the view that adds the newest ticks to them, and their queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from duckdb import DuckDBPyConnection

from trading_core.adapters.duck.codecs import (
    JSON,
    TEXT,
    TIME,
    enum_of,
    from_micros,
    tidy,
    to_micros,
)
from trading_core.adapters.duck.queries import Queries
from trading_core.adapters.duck.tables import table
from trading_core.model.journal import ContextEntry, ContextLayer
from trading_core.model.market import Currency
from trading_core.model.memory import ContextMetadata, EntryOrigin, EquityDay, MemoryFacts

CONTEXTS = table(
    "context_entries",
    ContextEntry,
    {
        "layer": enum_of(ContextLayer),
        "timeframe": TEXT,
        "key": TEXT,
        "value": JSON,
        "updated_at": (TIME, "at"),
    },
    "layer timeframe key",
    numbered=True,
    stored_only={"created_at": (TIME, "at")},
    replaces=("value", "updated_at"),
)

VERSION_TABLES: tuple[str, ...] = (
    # Every value an entry ever had, because context_entries keeps the newest alone.
    """
    CREATE TABLE context_versions (
        layer TEXT NOT NULL,
        timeframe TEXT NOT NULL,
        key TEXT NOT NULL,
        value JSON,
        written_at TIMESTAMPTZ NOT NULL,
        is_forgotten BOOLEAN DEFAULT false
    )""",
    """
    INSERT INTO context_versions (layer, timeframe, key, value, written_at)
    SELECT layer, timeframe, key, value, updated_at FROM context_entries
    ORDER BY updated_at, layer, timeframe, key""",
)
"""Frozen, as all schema statements are: a change is a new migration."""

MEMORY_TABLES: tuple[str, ...] = (
    "ALTER TABLE context_metadata ADD COLUMN name TEXT",
    "ALTER TABLE context_metadata ADD COLUMN timeframe_format TEXT",
    "ALTER TABLE context_metadata ADD COLUMN keys TEXT",
    # Their form has changed; they are computed from facts again.
    "DELETE FROM contexts WHERE layer IN ('L2', 'L3', 'L4', 'L5')",
    "ALTER TABLE contexts RENAME TO context_entries",
    # Only the last days are looked at: a constant bound lets DuckDB skip all older row groups.
    """
    CREATE VIEW contexts AS
    SELECT id, layer, timeframe, key, value, created_at, updated_at FROM context_entries
    UNION ALL
    SELECT
        0, 'L1', session::TEXT, 'tick_' || market || '_' || symbol,
        arg_max(fields, observed_at), min(observed_at), max(observed_at)
    FROM observations
    WHERE session > (SELECT max(session) - 7 FROM observations)
    GROUP BY market, session, symbol""",
)
"""Frozen, as all schema statements are: a change is a new migration."""

# name, timeframe format, keys, days kept (None: for good), made from, description, layer
MEMORY_LAYERS: tuple[tuple[str, str, str, int | None, str, str, str], ...] = (
    (
        "Tick",
        "YYYY-MM-DD",
        "tick_<market>_<symbol>",
        7,
        "observations",
        "The newest look at each symbol in a session, with every playbook field; a view, so no "
        "tick writes it and it never lags",
        "L1",
    ),
    (
        "Intraday",
        "YYYY-MM-DD",
        "session_<market>_<currency>",
        90,
        "equity, decisions, fills",
        "The shape of a session: equity at its open, low, high and close, what was decided",
        "L2",
    ),
    (
        "Daily",
        "YYYY-MM-DD",
        "day_<market>_<currency>",
        365,
        "equity, fills, adopted_lots, splits, decisions",
        "The result from the close before to this close: profit before and after costs, closed "
        "trades, turnover",
        "L3",
    ),
    (
        "Weekly",
        "YYYY-Www",
        "week_<market>_<currency>",
        730,
        "equity, fills, adopted_lots, splits, decisions",
        "The sessions of one ISO week",
        "L4",
    ),
    (
        "Monthly",
        "YYYY-MM",
        "month_<market>_<currency>",
        1095,
        "equity, fills, adopted_lots, splits, decisions",
        "The sessions of one calendar month",
        "L5",
    ),
    (
        "Daily review",
        "YYYY-MM-DD",
        "scorecard_, calibration_, coverage_ and lessons_<market>",
        3650,
        "scorecards, decision_logs, matches",
        "What the review of a session found, and its lessons",
        "L6",
    ),
    (
        "Evolution",
        "all, or YYYY",
        "total_, rolling20_, rolling60_, scenarios_, sources_ and year_<market>_<currency>",
        None,
        "equity, fills, adopted_lots, splits, decisions, playbooks",
        "The long run: since the start, the last 20 and 60 sessions, calendar years, by scenario "
        "and by who wrote the playbook",
        "L7",
    ),
)
"""Frozen too; a test holds them against ``rules.memory_layers``."""

DESCRIBE_LAYER = (
    "UPDATE context_metadata SET name = ?, timeframe_format = ?, keys = ?, retention_days = ?,"
    " aggregation_source = ?, description = ? WHERE layer = ?"
)

_FORM = "regexp_replace(t.timeframe, '[0-9]', '9', 'g')"
_MARKET = "regexp_extract(t.key, '_([A-Z]{2})(_|$)', 1)"

_EQUITY_DAYS = """
    SELECT
        session, currency,
        arg_min(equity, observed_at), min(equity), max(equity), arg_max(equity, observed_at),
        arg_min(cash, observed_at), arg_max(cash, observed_at),
        epoch_us(min(observed_at)), epoch_us(max(observed_at)), count(*)
    FROM equity WHERE market = ? GROUP BY session, currency ORDER BY session, currency"""

_ORIGINS = """
    SELECT i.intent_id, d.confidence, d.scenario_id, coalesce(p.source, '')
    FROM order_intents i
    JOIN decisions d USING (decision_id)
    LEFT JOIN (
        SELECT playbook_id, any_value(source) AS source FROM playbook_versions GROUP BY playbook_id
    ) p USING (playbook_id)
    WHERE i.market = $1 AND i.side = 'BUY'
        AND i.intent_id IN (SELECT intent_id FROM fills WHERE market = $1 AND side = 'BUY')"""

_DECISIONS = """
    SELECT session, action, count(*) FROM decisions WHERE market = ? GROUP BY session, action"""

_CASH_MOVED = """
    SELECT session, subject, sum(amount)::DECIMAL(38, 10) FROM differences
    WHERE market = ? AND kind = 'cash_moved' AND amount IS NOT NULL GROUP BY session, subject"""

# The rows of a table are only ever added to, so their number and the newest of them say it all.
_MARKS = """
    SELECT session, string_agg(mark, ' ' ORDER BY place)
    FROM (
        SELECT session, 1 AS place, 'fills:' || count(*) || ':' || max(id) AS mark
        FROM fills WHERE market = $1 GROUP BY session
        UNION ALL
        SELECT session, 2, 'lots:' || count(*) FROM adopted_lots WHERE market = $1 GROUP BY session
        UNION ALL
        SELECT session, 3, 'splits:' || count(*) FROM splits WHERE market = $1 GROUP BY session
        UNION ALL
        SELECT session, 4, 'equity:' || count(*) || ':' || epoch_us(max(observed_at))
        FROM equity WHERE market = $1 GROUP BY session
        UNION ALL
        SELECT session, 5, 'decisions:' || count(*) FROM decisions WHERE market = $1
        GROUP BY session
        UNION ALL
        SELECT session, 6, 'moves:' || count(*) FROM differences
        WHERE market = $1 AND kind = 'cash_moved' GROUP BY session
    )
    GROUP BY session"""


class MemoryQueries(Queries):
    """The queries of the ``MemoryReader`` port over one open connection."""

    def context(self, layer: ContextLayer, timeframe: str | None = None) -> Sequence[ContextEntry]:
        if timeframe is not None:
            return self._entries(layer, "AND t.timeframe = ? ORDER BY t.key", [timeframe])
        # Timeframes of one form sort as text; the newest is not the one that was written last,
        # because an old day may be summed up again.
        return self._entries(
            layer,
            "QUALIFY t.timeframe = max(t.timeframe) OVER"
            f" (PARTITION BY {_MARKET}, {_FORM}) ORDER BY t.key, t.timeframe",
        )

    def context_history(
        self, layer: ContextLayer, *, market: str | None = None, before: str | None = None
    ) -> Sequence[ContextEntry]:
        given = [(f"AND {_MARKET} = ?", market), ("AND t.timeframe < ?", before)]
        terms = " ".join(term for term, value in given if value is not None)
        return self._entries(
            layer,
            f"{terms} ORDER BY t.timeframe, t.key",
            [value for _, value in given if value is not None],
        )

    def _entries(
        self, layer: ContextLayer, rest: str, parameters: Sequence[Any] = ()
    ) -> list[ContextEntry]:
        # The layer is written out, so that DuckDB leaves out the half of the view without it.
        sql = f"SELECT {CONTEXTS.select('t')} FROM contexts t WHERE t.layer = '{layer}' {rest}"
        return [CONTEXTS.decode(row) for row in self._rows(sql, parameters)]

    def context_layers(self) -> Sequence[ContextMetadata]:
        found = self._rows(
            "SELECT layer, name, timeframe_format, keys, retention_days, aggregation_source,"
            " description FROM context_metadata ORDER BY layer"
        )
        return [ContextMetadata(ContextLayer(layer), *rest) for layer, *rest in found]

    def fact_marks(self, market: str) -> Mapping[date, str]:
        return dict(self._rows(_MARKS, [market]))

    def memory_facts(self, market: str) -> MemoryFacts:
        def ask(sql: str) -> list[tuple[Any, ...]]:
            return self._rows(sql, [market])

        decisions: dict[date, dict[str, int]] = {}
        for session, action, count in ask(_DECISIONS):
            decisions.setdefault(session, {})[action] = count
        return MemoryFacts(
            equity=tuple(_equity_day(row) for row in ask(_EQUITY_DAYS)),
            origins={intent_id: EntryOrigin(*origin) for intent_id, *origin in ask(_ORIGINS)},
            decisions=decisions,
            cash_moved={
                (session, Currency(code)): tidy(amount)
                for session, code, amount in ask(_CASH_MOVED)
                if code in set(Currency)
            },
        )


class MemoryChanges:
    """The ``MemoryWriter`` port over one open connection."""

    _connection: DuckDBPyConnection

    def keep_versions(self, entries: Iterable[ContextEntry]) -> None:
        """Keep the values that these entries have now, where they are not the newest kept."""
        columns = _names_of(entries)
        if columns:
            self._connection.execute(
                "INSERT INTO context_versions (layer, timeframe, key, value, written_at)"
                " SELECT layer, timeframe, key, e.value, e.updated_at FROM context_entries e"
                " LEFT JOIN (SELECT * FROM context_versions"
                f"  WHERE (layer, timeframe, key) IN ({_NAMED})"
                "  QUALIFY row_number() OVER (PARTITION BY layer, timeframe, key"
                "   ORDER BY written_at DESC, rowid DESC) = 1) v USING (layer, timeframe, key)"
                f" WHERE (layer, timeframe, key) IN ({_NAMED})"
                " AND (coalesce(v.is_forgotten, true) OR v.written_at <> e.updated_at"
                "  OR v.value::VARCHAR <> e.value::VARCHAR)",
                [*columns, *columns],
            )

    def forget(self, entries: Iterable[ContextEntry], *, at: datetime) -> None:
        columns = _names_of(entries)
        if not columns:
            return
        self._connection.execute(
            f"DELETE FROM context_entries WHERE (layer, timeframe, key) IN ({_NAMED})", columns
        )
        self._connection.execute(
            "INSERT INTO context_versions (layer, timeframe, key, written_at, is_forgotten)"
            f" {_NAMED}, make_timestamptz(?::BIGINT), true",
            [*columns, to_micros(at)],
        )


_NAMED = "SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), unnest(?::VARCHAR[])"


def _names_of(entries: Iterable[ContextEntry]) -> list[list[str]]:
    """Layers, timeframes and keys as three parameters of a statement; empty without entries."""
    names = [(str(entry.layer), entry.timeframe, entry.key) for entry in entries]
    return [list(column) for column in zip(*names, strict=True)]


def _equity_day(row: Sequence[Any]) -> EquityDay:
    session, currency, first, low, high, last, first_cash, last_cash, *when, points = row
    opened_at, closed_at = map(from_micros, when)
    return EquityDay(
        session=session,
        currency=Currency(currency),
        open=tidy(first),
        low=tidy(low),
        high=tidy(high),
        close=tidy(last),
        open_cash=tidy(first_cash),
        close_cash=tidy(last_cash),
        opened_at=opened_at,
        closed_at=closed_at,
        points=points,
    )
