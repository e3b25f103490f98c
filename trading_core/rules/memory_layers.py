"""The seven layers of memory: what each holds, under which names, and for how long.

A key is ``<what>_<market group>_<rest>``, so the market of an entry can be read from it. L2 to L5
and L7 are computed from facts by ``rules.aggregate``, L1 is a view of the newest observations,
L6 is written by the daily review.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta

from trading_core.model.journal import ContextLayer
from trading_core.model.memory import ContextMetadata

ALL_TIME = "all"

LAYERS: tuple[ContextMetadata, ...] = (
    ContextMetadata(
        ContextLayer.L1,
        "Tick",
        "YYYY-MM-DD",
        "tick_<market>_<symbol>",
        7,
        "observations",
        "The newest look at each symbol in a session, with every playbook field; a view, so no "
        "tick writes it and it never lags",
    ),
    ContextMetadata(
        ContextLayer.L2,
        "Intraday",
        "YYYY-MM-DD",
        "session_<market>_<currency>",
        90,
        "equity, decisions, fills",
        "The shape of a session: equity at its open, low, high and close, what was decided",
    ),
    ContextMetadata(
        ContextLayer.L3,
        "Daily",
        "YYYY-MM-DD",
        "day_<market>_<currency>",
        365,
        "equity, fills, adopted_lots, splits, decisions",
        "The result from the close before to this close: profit before and after costs, closed "
        "trades, turnover",
    ),
    ContextMetadata(
        ContextLayer.L4,
        "Weekly",
        "YYYY-Www",
        "week_<market>_<currency>",
        730,
        "equity, fills, adopted_lots, splits, decisions",
        "The sessions of one ISO week",
    ),
    ContextMetadata(
        ContextLayer.L5,
        "Monthly",
        "YYYY-MM",
        "month_<market>_<currency>",
        1095,
        "equity, fills, adopted_lots, splits, decisions",
        "The sessions of one calendar month",
    ),
    ContextMetadata(
        ContextLayer.L6,
        "Daily review",
        "YYYY-MM-DD",
        "scorecard_, calibration_, coverage_, lessons_ and shadow_<market>",
        3650,
        "scorecards, decision_logs, matches, shadow_equity",
        "What the review of a session found, and its lessons",
    ),
    ContextMetadata(
        ContextLayer.L7,
        "Evolution",
        "all, or YYYY",
        "total_, rolling20_, rolling60_, scenarios_, sources_ and year_<market>_<currency>",
        None,
        "equity, fills, adopted_lots, splits, decisions, playbooks",
        "The long run: since the start, the last 20 and 60 sessions, calendar years, by scenario "
        "and by who wrote the playbook",
    ),
)
"""Retention is in days after a timeframe has ended; what memory is made from is never deleted."""

RETENTION_DAYS: Mapping[ContextLayer, int | None] = {
    layer.layer: layer.retention_days for layer in LAYERS
}


_MARKET = re.compile("_([A-Z]{2})(?:_|$)")


def market_of(key: str) -> str:
    """The market group code in a key, empty without one: ``KR`` of ``day_KR_KRW``."""
    found = _MARKET.search(key)
    return found[1] if found else ""


def iso_week(day: date) -> str:
    """``2024-12-30`` is in ``2025-W01``: the ISO year goes with the ISO week (ISO 8601)."""
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def month(day: date) -> str:
    return f"{day:%Y-%m}"


def timeframe_of(layer: ContextLayer, day: date) -> str:
    """The timeframe of a layer that a session belongs to; of L7 the calendar year."""
    match layer:
        case ContextLayer.L4:
            return iso_week(day)
        case ContextLayer.L5:
            return month(day)
        case ContextLayer.L7:
            return f"{day.year:04d}"
        case _:
            return day.isoformat()


def first_kept(layer: ContextLayer, today: date) -> str:
    """The oldest timeframe that is still remembered on that day; empty when nothing expires.

    Timeframes of one layer sort as text.
    """
    days = RETENTION_DAYS[layer]
    return "" if days is None else timeframe_of(layer, today - timedelta(days=days))
