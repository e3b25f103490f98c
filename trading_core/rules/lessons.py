"""What a session teaches, from its own numbers; no model is asked, and none is needed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from trading_core.model.journal import Json
from trading_core.model.order import IntentReason
from trading_core.rules.calibration import ENOUGH, Calibration
from trading_core.rules.coverage import MOVER_PCT
from trading_core.rules.stop_review import ExitOutcome

MOST = 6
EARLY = timedelta(minutes=30)
SOON = timedelta(minutes=20)
FEW = 2
"""One of something is an accident, from this many on it is a lesson."""
ENOUGH_ORDERS = 3
ENOUGH_SCENARIOS = 10
DEAR_BPS = 5.0
OVERSHOOT_PCT = 0.5
CONFIDENCE_GAP = 20.0


def rule_lessons(
    *,
    opened_at: datetime,
    exits: Sequence[ExitOutcome],
    slippage: Json,
    coverage: Json,
    movers: Sequence[Json],
    calibration: Calibration,
    currency: str,
) -> list[str]:
    """One sentence per finding, the costliest kind first; at most :data:`MOST`.

    Args:
        opened_at: The session's open.
        exits: Of the session.
        slippage: From ``slippage.slippage_summary``.
        coverage: From ``coverage.coverage_summary``.
        movers: From ``coverage.missed_movers``.
        calibration: Over the last sessions.
        currency: Of the market.
    """
    found = [
        *_stopped(opened_at, exits),
        *_overshot(exits),
        *_paid(slippage, currency),
        *_stated(calibration),
        *_shut(coverage),
        *_missed(movers),
    ]
    return found[:MOST]


def _stopped(opened_at: datetime, exits: Sequence[ExitOutcome]) -> list[str]:
    lessons = []
    early = [e for e in exits if e.bought_at and opened_at <= e.bought_at < opened_at + EARLY]
    stopped = sum(e.is_stop for e in early)
    if stopped >= FEW and stopped * 2 >= len(early):
        lessons.append(
            f"{stopped} of {len(early)} positions bought in the first {_minutes(EARLY)} of the "
            "session were sold by a stop"
        )
    soon = sum(e.is_stop and e.held is not None and e.held <= SOON for e in exits)
    if soon >= FEW:
        lessons.append(
            f"{soon} of {len(exits)} closed positions were stopped within {_minutes(SOON)} of "
            "their purchase"
        )
    ended = sum(e.reason is IntentReason.SESSION_END for e in exits)
    if ended >= FEW and ended * 2 >= len(exits):
        lessons.append(
            f"{ended} of {len(exits)} positions were sold because the session ended: neither "
            "stop nor target was reached"
        )
    return lessons


def _overshot(exits: Sequence[ExitOutcome]) -> list[str]:
    beyond = [e for e in exits if (e.overshoot_pct or 0.0) >= OVERSHOOT_PCT]
    if not beyond:
        return []
    worst = max(beyond, key=lambda e: (e.overshoot_pct or 0.0, e.symbol))
    return [
        f"{worst.symbol} was sold at {worst.result_pct:+.2f} %, {worst.overshoot_pct:.2f} points "
        f"beyond its stop of {worst.stop_pct:g} %"
    ]


def _paid(slippage: Json, currency: str) -> list[str]:
    lessons = []
    for side, word in (("BUY", "buys"), ("SELL", "sells")):
        paid = slippage.get(side)
        if paid and paid["orders"] >= ENOUGH_ORDERS and paid["cost_bps"] >= DEAR_BPS:
            lessons.append(
                f"{word} filled {paid['cost_bps']:.1f} bps worse than decided: "
                f"{float(paid['cost']):,.0f} {currency} over {paid['orders']} orders, worst "
                f"{paid['worst_symbol']} at {paid['worst_bps']:.1f} bps"
            )
    return lessons


def _stated(calibration: Calibration) -> list[str]:
    known = [b for b in calibration.bins if b.count >= ENOUGH and abs(b.gap) >= CONFIDENCE_GAP]
    if not known:
        return []
    worst = max(known, key=lambda b: abs(b.gap))
    word = "over" if worst.gap > 0 else "under"
    return [
        f"confidence of {worst.stated_pct:.0f} came true in {worst.realized_pct:.0f} % of "
        f"{worst.count} trades: {word}stated by {abs(worst.gap):.0f} points"
    ]


def _shut(coverage: Json) -> list[str]:
    # Exits of what nobody held say nothing about the market.
    fates = coverage["fates"]
    asked = coverage["scenarios"] - fates.get("not_held", 0) - fates.get("unseen", 0)
    shut = fates.get("out_of_range", 0)
    if asked < ENOUGH_SCENARIOS or shut * 2 < asked or not coverage["blocked_by"]:
        return []
    first = coverage["blocked_by"][0]
    return [
        f"{shut} of {asked} scenarios asked for what the session never showed, most often "
        f"{first['condition']} ({first['scenarios']})"
    ]


def _missed(movers: Sequence[Json]) -> list[str]:
    if len(movers) < FEW:
        return []
    first = movers[0]
    return [
        f"at least {len(movers)} stocks moved {MOVER_PCT:g} % or more without a scenario, most "
        f"{first['symbol']} {first['change_pct']:+.1f} % ({first['why']})"
    ]


def _minutes(span: timedelta) -> str:
    return f"{span // timedelta(minutes=1)} minutes"
