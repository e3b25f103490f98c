"""The store as it was known at a moment: every query answers as it would have answered then.

Rows are appended, so the past is a filter on when a row was written. A view of the connection's
own (``TEMP``) shadows each table under its name, with the rows of that time alone, and the store's
views are made again on top of these; the queries themselves know nothing of it. The file is not
touched, and a read of the present pays nothing.

``WRITTEN`` says of every table when its rows were written. A table that nobody names here would be
shown as it is now; a test sees to it that there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from duckdb import DuckDBPyConnection

from trading_core.adapters.duck.codecs import to_micros

TIMELESS = frozenset({"schema_migrations", "context_metadata"})
"""Tables that say what the store is, not what happened."""

WRITTEN: Mapping[str, str] = {
    "adopted_lots": "adopted_at",
    "backup_checks": "checked_at",
    "backup_uploads": "uploaded_at",
    "backups": "created_at",
    "closed_trades": "closed_at",
    "context_versions": "written_at",
    "decision_cycles": "decided_at",
    "decision_outcomes": "reviewed_at",
    "decision_reviews": "reviewed_at",
    "decisions": "decided_at",
    "deployment_switches": "switched_at",
    "differences": "seen_at",
    "economic_events": "fetched_at",
    "equity": "observed_at",
    "fills": "filled_at",
    "halts": "raised_at",
    "headlines": "fetched_at",
    "kill_steps": "ended_at",
    "leases": "renewed_at",
    # A call is written down when its reply is there.
    "llm_calls": "called_at + to_milliseconds(latency_ms)",
    "llm_reservations": "reserved_at",
    "llm_texts": "stored_at",
    "market_readings": "fetched_at",
    "matches": "matched_at",
    "notification_levels": "set_at",
    "notification_sends": "ended_at",
    "notifications": "sent_at",
    "observations": "observed_at",
    "operator_commands": "given_at",
    "order_events": "occurred_at",
    "order_intents": "created_at",
    "playbook_versions": "generated_at",
    "proposals": "changed_at",
    "protections": "updated_at",
    "restores": "restored_at",
    "scorecards": "scored_at",
    "screened": "screened_at",
    "shadow_equity": "observed_at",
    "shadow_guards": "updated_at",
    "shadow_plans": "planned_at",
    "shadow_trades": "traded_at",
    "source_asks": "asked_at",
    "splits": "split_at",
}
"""The column, or an expression, that says when a row was written, by table."""

# What was written later over a row that stays: it is taken back.
_TAKEN_BACK: Mapping[str, str] = {
    "halts": """REPLACE (
        CASE WHEN lifted_at <= {at} THEN lifted_at END AS lifted_at,
        CASE WHEN lifted_at <= {at} THEN lifted_by ELSE '' END AS lifted_by,
        CASE WHEN lifted_at <= {at} THEN accepted_pnl_pct END AS accepted_pnl_pct,
        CASE WHEN lifted_at <= {at} THEN accepted_on END AS accepted_on
    )""",
}

VERSIONED: Mapping[str, str] = {
    "context_entries": """
        SELECT * EXCLUDE (is_forgotten, written_at), written_at AS updated_at
        FROM (
            SELECT
                0::BIGINT AS id, layer, timeframe, key, value,
                min(written_at) OVER (PARTITION BY layer, timeframe, key) AS created_at,
                written_at, is_forgotten
            FROM {database}.main.context_versions WHERE written_at <= {at}
            QUALIFY row_number() OVER (
                PARTITION BY layer, timeframe, key ORDER BY written_at DESC, rowid DESC
            ) = 1
        )
        WHERE NOT is_forgotten""",
}
"""Tables whose rows are replaced or deleted; their versions are kept beside them."""


def look_back(connection: DuckDBPyConnection, as_of: datetime) -> None:
    """Let this connection see what was written up to and at ``as_of`` (aware).

    Of a lease only the newest renewal is kept, so of an earlier moment its holder is not known.

    Raises:
        ValueError: ``as_of`` has no time zone.
    """
    at = f"make_timestamptz({to_micros(as_of)})"
    row = connection.execute("SELECT current_database()").fetchone()
    database = f'"{row[0]}"' if row else "memory"
    views = connection.execute(
        "SELECT sql FROM duckdb_views()"
        " WHERE NOT internal AND NOT temporary AND database_name = current_database()"
    ).fetchall()
    script = [_shadow(table, database, at) for table in (*WRITTEN, *VERSIONED)]
    script += [sql.replace("CREATE VIEW ", "CREATE TEMP VIEW ", 1).rstrip(";") for (sql,) in views]
    connection.execute(";\n".join(script))


def _shadow(table: str, database: str, at: str) -> str:
    """The view that stands before a table."""
    if table in VERSIONED:
        return f'CREATE TEMP VIEW "{table}" AS {VERSIONED[table].format(database=database, at=at)}'
    taken_back = _TAKEN_BACK.get(table, "").format(at=at)
    # Queries sort rows of one moment by their place in the table.
    return (
        f'CREATE TEMP VIEW "{table}" AS SELECT * {taken_back}, rowid AS rowid'
        f' FROM {database}.main."{table}" WHERE {WRITTEN[table]} <= {at}'
    )
