"""The review of one session as it was written down, in parts that a page can show."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from trading_core.model.journal import ContextEntry, ContextLayer
from trading_core.model.market import MarketGroup
from trading_core.ports import StoreReader
from trading_core.rules.markets import currency_of

Json = dict[str, Any]
BEFORE = 20
"""Sessions before it whose scores are shown beside it."""


def scorecard(reader: StoreReader, group: MarketGroup, session: date) -> Json | None:
    """The newest review of a session; None before it was reviewed.

    ``earlier`` are the scores of the sessions up to it, oldest first. ``shadows`` is what other
    planners would have made of the session, None where none was asked.
    """
    card = reader.scorecard(group, session)
    if card is None:
        return None
    remembered = reader.context(ContextLayer.L6, session.isoformat())
    lessons = _value(remembered, f"lessons_{group}") or {}
    cards = [c for c in reader.scorecards(group, limit=400) if c.session <= session]
    return {
        "market": group.value,
        "currency": currency_of(group).value,
        **asdict(card),
        "by_model": lessons.get("by_model", []),
        "no_model_because": lessons.get("no_model_because", ""),
        "shadows": _value(remembered, f"shadow_{group}"),
        "earlier": [
            {
                "session": each.session,
                "net": each.net_pnl.get(currency_of(group).value),
                "win_rate_pct": each.win_rate_pct,
                "match_rate_pct": each.match_rate_pct,
            }
            for each in reversed(cards[:BEFORE])
        ],
    }


def _value(entries: Any, key: str) -> Any:
    found: list[ContextEntry] = [entry for entry in entries if entry.key == key]
    return found[0].value if found else None
