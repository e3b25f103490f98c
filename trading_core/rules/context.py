"""Memory: what a session leaves behind, rolled up from day to week to month.

Every layer is computed from the scorecards, never from the layer below it alone, so a roll-up can
be run again at any time and repairs what it missed. Timeframes: L2 and L3 ``2025-09-10``, L4 the
ISO week ``2025-W37``, L5 the month ``2025-09``, L6 ``2025-09-10``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from trading_core.model.journal import ContextEntry, ContextLayer, EquityPoint, Scorecard


def iso_week(day: date) -> str:
    """``2024-12-30`` is in ``2025-W01``: the ISO year goes with the ISO week."""
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def month(day: date) -> str:
    return f"{day:%Y-%m}"


def session_entries(
    card: Scorecard, curve: Sequence[EquityPoint], at: datetime
) -> list[ContextEntry]:
    """L2 (the session's shape), L3 (the day's result) and L6 (the scorecard) of one session."""
    day, market = card.session.isoformat(), card.market
    equity = [point.equity for point in curve]
    shape = {
        "open_equity": str(equity[0]) if equity else None,
        "low_equity": str(min(equity)) if equity else None,
        "high_equity": str(max(equity)) if equity else None,
        "close_equity": str(equity[-1]) if equity else None,
        "ticks": len(equity),
    }
    result = {
        "net_pnl": {c: str(v) for c, v in card.net_pnl.items()},
        "trades": card.wins + card.losses,
        "wins": card.wins,
        "losses": card.losses,
        "orders": card.orders,
    }
    review = {
        "win_rate_pct": card.win_rate_pct,
        "average_confidence": card.average_confidence,
        "match_rate_pct": card.match_rate_pct,
        "net_pnl": result["net_pnl"],
        "lessons": card.lessons,
        "playbook_source": card.playbook_source,
    }
    return [
        ContextEntry(ContextLayer.L2, day, f"session_{market}", shape, at),
        ContextEntry(ContextLayer.L3, day, f"day_{market}", result, at),
        ContextEntry(ContextLayer.L6, day, f"scorecard_{market}", review, at),
    ]


def roll_up(cards: Iterable[Scorecard], *, session: date, at: datetime) -> list[ContextEntry]:
    """L4 and L5 of the week and month of ``session``, from the scorecards of one market."""
    kept = list(cards)
    week = [card for card in kept if iso_week(card.session) == iso_week(session)]
    of_month = [card for card in kept if month(card.session) == month(session)]
    entries = []
    for layer, timeframe, members in (
        (ContextLayer.L4, iso_week(session), week),
        (ContextLayer.L5, month(session), of_month),
    ):
        if members:
            key = f"summary_{members[0].market}"
            entries.append(ContextEntry(layer, timeframe, key, _sum(members), at))
    return entries


def _sum(cards: Sequence[Scorecard]) -> dict[str, Any]:
    net: dict[str, Decimal] = {}
    for card in cards:
        for currency, amount in card.net_pnl.items():
            net[currency] = net.get(currency, Decimal(0)) + amount
    wins, losses = sum(c.wins for c in cards), sum(c.losses for c in cards)
    return {
        "sessions": len(cards),
        "net_pnl": {currency: str(amount) for currency, amount in net.items()},
        "wins": wins,
        "losses": losses,
        "win_rate_pct": wins / (wins + losses) * 100 if wins + losses else None,
    }
