"""The table of what store and broker did not agree on."""

from __future__ import annotations

from trading_core.adapters.duck.codecs import DATE, DECIMAL, TEXT, TIME, enum_of
from trading_core.adapters.duck.tables import table
from trading_core.model.difference import Difference, DifferenceKind, Severity

DIFFERENCES = table(
    "differences",
    Difference,
    {
        "difference_id": TEXT,
        "kind": enum_of(DifferenceKind),
        "market": TEXT,
        "session": DATE,
        "seen_at": (TIME, "at"),
        "subject": TEXT,
        "expected": TEXT,
        "found": TEXT,
        "severity": enum_of(Severity),
        "repaired_by": TEXT,
        "amount": DECIMAL,
    },
    "difference_id",
    numbered=True,
)

DIFFERENCE_TABLES: tuple[str, ...] = (
    """
    CREATE TABLE differences (
        id BIGINT NOT NULL,
        difference_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        market TEXT NOT NULL,
        session DATE NOT NULL,
        seen_at TIMESTAMPTZ NOT NULL,
        subject TEXT NOT NULL,
        expected TEXT NOT NULL,
        found TEXT NOT NULL,
        severity TEXT NOT NULL,
        repaired_by TEXT NOT NULL,
        amount DECIMAL(38, 10)
    )""",
)
"""Frozen, as all schema statements are: a change is a new migration."""
