"""The parts of a day's review that have names of their own, put together from one day's facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trading_core.model.audit import LoggedDecision, ScreenedRow
from trading_core.model.journal import ContextEntry, ContextLayer, Json, LlmCall, Scorecard
from trading_core.model.journal import ObservationRow as Observation
from trading_core.model.market import MarketGroup
from trading_core.model.order import Fill, OrderRecord
from trading_core.model.playbook import Playbook, PlaybookSource
from trading_core.model.portfolio import PositionOrigin, Protection
from trading_core.model.price import RankRow
from trading_core.rules.calibration import Calibration, calibrate
from trading_core.rules.coverage import coverage_summary, missed_movers, scenario_fates
from trading_core.rules.lessons import rule_lessons
from trading_core.rules.markets import currency_of
from trading_core.rules.positions import ClosedTrade
from trading_core.rules.scorecard import entry_of
from trading_core.rules.slippage import fill_costs, slippage_summary
from trading_core.rules.stop_review import exit_outcomes, stop_summary

NOBODY_CALLED = frozenset({PlaybookSource.RULES.value, PlaybookSource.EXIT_ONLY.value})
"""Sources of playbooks that no model had a part in."""


@dataclass(frozen=True, slots=True)
class DayFacts:
    """What one session left in the store.

    ``closed`` are the trades closed in it, ``orders`` and ``fills`` its own; ``all_orders`` and
    ``all_fills`` also those that opened what it closed. ``ranked`` is the broker's ranking after
    the close, None when it could not be had. ``entries`` are settled entries of the last
    sessions, ``opened`` the entries of what was closed today.
    """

    group: MarketGroup
    opened_at: datetime
    playbook: Playbook | None
    observations: Sequence[Observation]
    closed: Sequence[ClosedTrade]
    orders: Sequence[OrderRecord]
    fills: Sequence[Fill]
    all_orders: Sequence[OrderRecord]
    all_fills: Sequence[Fill]
    guards: Mapping[str, Protection]
    calls: Sequence[LlmCall]
    screened: Sequence[ScreenedRow]
    entries: Sequence[LoggedDecision]
    opened: Sequence[LoggedDecision]
    ranked: Sequence[RankRow] | None = None


def examine(day: DayFacts) -> tuple[Json, list[str]]:
    """The named parts as JSON values, and the lessons that rules draw from them."""
    fates = scenario_fates(day.playbook, day.observations) if day.playbook else ()
    coverage = coverage_summary(fates)
    slippage = slippage_summary(fill_costs(day.orders, day.fills))
    exits = exit_outcomes(day.closed, day.all_orders, day.all_fills, day.guards)
    calibration = calibration_of(day.entries)
    movers = None
    if day.ranked is not None:
        known = {row.symbol: row for row in day.screened}
        movers = missed_movers(day.ranked, day.playbook, known)
    details: Json = {
        "coverage": coverage,
        "slippage": slippage,
        "stops": stop_summary(exits),
        "calibration": calibration.summary(),
        "expectancy": _expectancy(day.closed),
        "llm": _llm(day),
        "movers": movers,
    }
    lessons = rule_lessons(
        opened_at=day.opened_at,
        exits=exits,
        slippage=slippage,
        coverage=coverage,
        movers=movers or (),
        calibration=calibration,
        currency=currency_of(day.group).value,
    )
    return details, lessons


def calibration_of(entries: Sequence[LoggedDecision]) -> Calibration:
    """Stated confidence of settled entries against what became of them."""
    return calibrate(
        (entry.decision.confidence, entry.outcome.outcome_accuracy >= 1.0)
        for entry in entries
        if entry.outcome is not None
    )


def _expectancy(closed: Sequence[ClosedTrade]) -> Json:
    """The mean profit after costs of a closed trade of the strategy, by currency."""
    by_currency: dict[str, list[Decimal]] = {}
    for trade in closed:
        if trade.origin is PositionOrigin.STRATEGY:
            by_currency.setdefault(trade.currency.value, []).append(trade.net)
    return {code: f"{sum(nets) / len(nets):.4f}" for code, nets in by_currency.items()}


def _llm(day: DayFacts) -> Json:
    """What the model cost today, and what the trades closed today made that it had planned."""
    planned = {
        entry.decision.decision_id
        for entry in day.opened
        if entry.decision.context_snapshot.get("source") not in NOBODY_CALLED
    }
    earned: dict[str, Decimal] = {}
    trades = 0
    for trade in day.closed:
        ours = trade.origin is PositionOrigin.STRATEGY
        if ours and entry_of(trade, day.all_orders) in planned:
            code = trade.currency.value
            earned[code] = earned.get(code, Decimal(0)) + trade.net
            trades += 1
    return {
        "calls": len(day.calls),
        "failed": sum(call.outcome not in ("ok", "reused") for call in day.calls),
        "tokens": sum(call.input_tokens + call.output_tokens for call in day.calls),
        "cost_usd": str(sum((call.cost_usd for call in day.calls), Decimal(0))),
        "trades": trades,
        "earned": {code: str(amount) for code, amount in earned.items()},
    }


def review_entries(card: Scorecard) -> list[ContextEntry]:
    """L6: ``scorecard_KR``, ``calibration_KR`` and ``coverage_KR``."""
    score = {
        "win_rate_pct": card.win_rate_pct,
        "average_confidence": card.average_confidence,
        "match_rate_pct": card.match_rate_pct,
        "net_pnl": {code: str(amount) for code, amount in card.net_pnl.items()},
        "lessons": card.lessons,
        "playbook_source": card.playbook_source,
    }
    values = {"scorecard": score} | {p: card.details[p] for p in ("calibration", "coverage")}
    day = card.session.isoformat()
    return [
        ContextEntry(ContextLayer.L6, day, f"{name}_{card.market}", value, card.at)
        for name, value in values.items()
    ]
