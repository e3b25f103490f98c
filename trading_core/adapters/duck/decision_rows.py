"""The table of the rounds in which a language model was asked during a session."""

from __future__ import annotations

from trading_core.adapters.duck.codecs import DATE, FLOAT, INTEGER, TEXT, TIME, enum_of
from trading_core.adapters.duck.tables import table
from trading_core.model.decision import DecidedBy, DecisionCycle

DECISION_CYCLES = table(
    "decision_cycles",
    DecisionCycle,
    {
        "market": TEXT,
        "session": DATE,
        "decided_at": (TIME, "at"),
        "decided_by": enum_of(DecidedBy),
        "candidates": INTEGER,
        "asked": INTEGER,
        "reused": INTEGER,
        "failed": INTEGER,
        "reason": TEXT,
        "seconds": FLOAT,
    },
    "market session decided_at",
    moment="decided_at",
)

DECISION_TABLES: tuple[str, ...] = (
    """
    CREATE TABLE decision_cycles (
        market TEXT NOT NULL,
        session DATE NOT NULL,
        decided_at TIMESTAMPTZ NOT NULL,
        decided_by TEXT NOT NULL,
        candidates INTEGER NOT NULL,
        asked INTEGER NOT NULL,
        reused INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        reason TEXT NOT NULL,
        seconds DOUBLE NOT NULL,
        PRIMARY KEY (market, session, decided_at)
    )""",
)
"""Frozen, as all schema statements are: a change is a new migration."""
