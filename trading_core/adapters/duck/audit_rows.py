"""The tables around a decision: the scan before it, the remarks after it, and how it is read."""

from __future__ import annotations

from trading_core.adapters.duck.codecs import BOOLEAN, DATE, FLOAT, INTEGER, JSON, TEXT, TIME
from trading_core.adapters.duck.instrument_columns import exchange_code
from trading_core.adapters.duck.tables import table
from trading_core.model.audit import DecisionReview, ScreenedRow

DECISION_REVIEWS = table(
    "decision_reviews",
    DecisionReview,
    {"decision_id": TEXT, "reviewed_at": (TIME, "at"), "reviewer": (TEXT, "by"), "note": TEXT},
    "decision_id reviewed_at",
)

SCREENED = table(
    "screened",
    ScreenedRow,
    {
        "market": TEXT,
        "session": DATE,
        "screened_at": (TIME, "at"),
        "symbol": TEXT,
        "chosen": BOOLEAN,
        "place": INTEGER,
        "score": FLOAT,
        "reason": TEXT,
        "selection": JSON,
    },
    "market session screened_at symbol",
    moment="screened_at",
)

NEWEST_OUTCOMES = """(
    SELECT * FROM decision_outcomes
    QUALIFY row_number() OVER (PARTITION BY decision_id ORDER BY reviewed_at DESC) = 1
)"""
NEWEST_REVIEWS = """(
    SELECT * FROM decision_reviews
    QUALIFY row_number() OVER (PARTITION BY decision_id ORDER BY reviewed_at DESC) = 1
)"""

AUDIT_TABLES: tuple[str, ...] = (
    "ALTER TABLE decisions ADD COLUMN prompt_id TEXT DEFAULT ''",
    # Exchanges stood here where a market group belongs, and no query found those rows.
    "UPDATE decisions SET market = split_part(market, '_', 1) WHERE contains(market, '_')",
    "ALTER TABLE scorecards ADD COLUMN details JSON DEFAULT '{}'",
    """
    CREATE TABLE decision_reviews (
        decision_id TEXT NOT NULL,
        reviewed_at TIMESTAMPTZ NOT NULL,
        reviewer TEXT NOT NULL,
        note TEXT NOT NULL,
        PRIMARY KEY (decision_id, reviewed_at)
    )""",
    """
    CREATE TABLE screened (
        market TEXT NOT NULL,
        session DATE NOT NULL,
        screened_at TIMESTAMPTZ NOT NULL,
        symbol TEXT NOT NULL,
        chosen BOOLEAN NOT NULL,
        place BIGINT,
        score DOUBLE,
        reason TEXT NOT NULL,
        selection JSON NOT NULL
    )""",
    f"""
    CREATE OR REPLACE VIEW decision_logs AS
    SELECT
        d.decision_id,
        d.decided_at AS "timestamp",
        d.symbol AS stock_code,
        d.market,
        {exchange_code("d.exchange")} AS exchange_code,
        d.action,
        d.confidence,
        d.rationale,
        d.context_snapshot,
        d.input_data,
        o.outcome_pnl,
        o.outcome_accuracy,
        r.decision_id IS NOT NULL OR coalesce(o.review_notes, '') <> '' AS reviewed,
        coalesce(r.note, nullif(o.review_notes, '')) AS review_notes,
        d.session,
        d.scenario_id,
        d.playbook_id,
        d.prompt_id,
        r.reviewer,
        r.reviewed_at
    FROM decisions d
    LEFT JOIN {NEWEST_OUTCOMES} o USING (decision_id)
    LEFT JOIN {NEWEST_REVIEWS} r USING (decision_id)""",
)
"""Frozen, as all schema statements are: a change is a new migration."""
