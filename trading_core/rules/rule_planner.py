"""The planner that needs no model: the same playbook, drafted by fixed rules.

It plans when there is no key, and when the model and yesterday's playbook both failed. Entries
ask for several confirmations at once, so that an ordinary day brings a few of them and not
hundreds; without the indicators a rule stands on there is no entry at all. Every symbol gets
exits, and those stand first: they read ``unrealized_pnl_pct``, which only a holding has, and an
entry that still matches after it was bought must not hide them.

The patterns are textbook ones: a close above the 20-session high on volume (Donchian channel), an
oversold RSI that turns up (Wilder, 1978), and a dip within an upward trend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from trading_core.model.limits import PlanLimits, ScanLimits
from trading_core.model.playbook import (
    Action,
    Condition,
    GlobalAction,
    GlobalRule,
    MarketCondition,
    Operator,
    Outlook,
    PlaybookDraft,
    Scenario,
    StockField,
    StockPlan,
)
from trading_core.model.portfolio import Holding
from trading_core.model.price import Candidate

STOP_ATRS: Final = 2.0
NEAREST_STOP_PCT: Final = 2.0
FARTHEST_STOP_PCT: Final = 7.0
UNKNOWN_STOP_PCT: Final = 3.0
"""The stop of a symbol without an ATR."""

REDUCE_ALL_BELOW_PCT: Final = -2.0
NO_ENTRIES_BELOW_PCT: Final = -1.5

_Test = tuple[StockField, Operator, float]


def draft_by_rules(
    *,
    candidates: Sequence[Candidate],
    holdings: Sequence[Holding],
    limits: ScanLimits,
    plan: PlanLimits,
) -> PlaybookDraft:
    """A draft for every candidate and holding; it passes lint as it is.

    Args:
        candidates: Best first; of a symbol given twice the first counts.
        holdings: Get exits only, unless they are candidates too.
        limits: RSI bounds and the volume multiple of the entries.
        plan: Scenarios per stock, and the cap on an allocation.
    """
    by_symbol: dict[str, Candidate | None] = {}
    for candidate in candidates:
        by_symbol.setdefault(candidate.instrument.symbol, candidate)
    for holding in holdings:
        if holding.quantity > 0:
            by_symbol.setdefault(holding.instrument.symbol, None)
    held = {h.instrument.symbol for h in holdings if h.quantity > 0}
    stocks = tuple(
        _stock_plan(symbol, candidate, symbol in held, limits, plan)
        for symbol, candidate in by_symbol.items()
    )
    return PlaybookDraft(outlook=_outlook(candidates), global_rules=_guards(), stocks=stocks)


def exit_only(
    holdings: Sequence[Holding], *, limits: ScanLimits, plan: PlanLimits
) -> PlaybookDraft:
    """Exits for what is held, and nothing else: the last resort, and the plan of a market that
    has holdings but no candidates."""
    return draft_by_rules(candidates=(), holdings=holdings, limits=limits, plan=plan)


def stop_pct(atr_pct: float) -> float:
    """``-clamp(2 x ATR %, 2, 7)``: wide enough for the stock's usual day, never wider than 7 %.

    -3 without an ATR.
    """
    if not atr_pct > 0:
        return -UNKNOWN_STOP_PCT
    return -round(min(max(STOP_ATRS * atr_pct, NEAREST_STOP_PCT), FARTHEST_STOP_PCT), 2)


def _stock_plan(
    symbol: str, candidate: Candidate | None, is_held: bool, limits: ScanLimits, plan: PlanLimits
) -> StockPlan:
    stop = stop_pct(math.nan if candidate is None else candidate.atr_pct)
    entries = [] if candidate is None or is_held else _entries(candidate, stop, limits, plan)
    most = max(plan.max_scenarios_per_stock, 1)
    entries = entries[: min(2, most - 1)]
    exits = _exits(stop, limits)[: most - len(entries)]
    return StockPlan(symbol=symbol, scenarios=(*exits, *entries))


def _exits(stop: float, limits: ScanLimits) -> list[Scenario]:
    """In order of weight, for when there is room for few."""
    overbought = min(max(limits.rsi_momentum, 70.0) + 5.0, 95.0)
    return [
        _exit(95, f"loss beyond {-stop:g} %", ("unrealized_pnl_pct", "<=", stop)),
        _exit(
            85,
            "overbought: take the gain",
            ("rsi", ">", overbought),
            ("unrealized_pnl_pct", ">", -stop),
        ),
        _exit(
            80,
            "weak into the close: not held overnight",
            ("minutes_to_close", "<=", 30.0),
            ("change_pct", "<", -1.0),
            ("unrealized_pnl_pct", "<", -1.0),
        ),
    ]


def _entries(
    candidate: Candidate, stop: float, limits: ScanLimits, plan: PlanLimits
) -> list[Scenario]:
    """What the last close makes possible, the most likely first; empty without indicators."""
    known = (candidate.rsi, candidate.atr_pct, candidate.momentum, candidate.return_20d_pct)
    if not all(math.isfinite(value) for value in known):
        return []
    found = [
        _breakout(candidate, stop, limits, plan),
        _rebound(candidate, stop, limits, plan),
        _pullback(candidate, stop, limits, plan),
    ]
    entries = [entry for entry in found if entry is not None]
    return sorted(entries, key=lambda entry: -entry.confidence)


def _breakout(c: Candidate, stop: float, limits: ScanLimits, plan: PlanLimits) -> Scenario | None:
    """A new 20-session high on volume, not yet overbought and not chased."""
    near_high = c.breakout_pct > -2 * c.atr_pct
    if not (near_high and c.return_20d_pct > 0 and c.rsi < limits.rsi_momentum):
        return None
    evidence = (
        c.momentum >= 65,
        c.breakout_pct > -c.atr_pct,
        c.return_20d_pct <= 40,
        c.volume_ratio >= 1,
        c.atr_pct <= 6,
    )
    farthest = round(min(max(1.5 * c.atr_pct, 3.0), 8.0), 2)
    return _entry(
        70 + 4 * sum(evidence),
        "20-session breakout on volume",
        stop,
        2.0,
        plan,
        ("breakout_pct", ">", 0.0),
        ("volume_ratio", ">", limits.volume_multiplier),
        ("rsi", "<", limits.rsi_momentum),
        ("change_pct", ">", 0.5),
        ("change_pct", "<", farthest),
    )


def _rebound(c: Candidate, stop: float, limits: ScanLimits, plan: PlanLimits) -> Scenario | None:
    """Oversold and turning up on more than usual volume."""
    if not (limits.rsi_oversold > 0 and c.rsi < limits.rsi_oversold + 5):
        return None
    evidence = (
        c.rsi < limits.rsi_oversold,
        c.return_20d_pct > -30,
        c.return_5d_pct < -5,
        c.volume_ratio >= 1,
        c.atr_pct <= 6,
    )
    return _entry(
        68 + 4 * sum(evidence),
        "oversold and turning up",
        stop,
        1.5,
        plan,
        ("rsi", "<", limits.rsi_oversold),
        ("change_pct", ">", 0.5),
        ("volume_ratio", ">", 1.0),
        ("return_5d_pct", "<", 0.0),
    )


def _pullback(c: Candidate, stop: float, limits: ScanLimits, plan: PlanLimits) -> Scenario | None:
    """A dip within an upward trend that turns up again."""
    if not (c.return_20d_pct > 5 and c.return_5d_pct < 0 and c.rsi < 60):
        return None
    evidence = (
        c.return_20d_pct <= 40,
        c.return_5d_pct > -10,
        c.momentum >= 50,
        c.volume_ratio < 1.2,
        c.atr_pct <= 6,
    )
    return _entry(
        68 + 4 * sum(evidence),
        "dip in an upward trend, turning up",
        stop,
        1.5,
        plan,
        ("return_20d_pct", ">", 3.0),
        ("return_5d_pct", "<", 3.0),
        ("rsi", ">", 40.0),
        ("rsi", "<", 62.0),
        ("change_pct", ">", 1.0),
        ("volume_ratio", ">", 1.0),
    )


def _entry(
    confidence: int, why: str, stop: float, reward: float, plan: PlanLimits, *tests: _Test
) -> Scenario:
    # The allocation grows with the evidence and ends at the cap; sizing may only make it smaller.
    share = min(max((confidence - 60) / 30, 0.2), 1.0)
    return Scenario(
        conditions=_conditions(tests),
        action=Action.BUY,
        confidence=confidence,
        allocation_pct=plan.max_allocation_pct * share,
        stop_loss_pct=stop,
        take_profit_pct=round(-stop * reward, 2),
        rationale=why,
    )


def _exit(confidence: int, why: str, *tests: _Test) -> Scenario:
    return Scenario(
        conditions=_conditions(tests), action=Action.SELL, confidence=confidence, rationale=why
    )


def _conditions(tests: Sequence[_Test]) -> tuple[Condition, ...]:
    return tuple(Condition(field=name, op=op, value=value) for name, op, value in tests)


def _guards() -> tuple[GlobalRule, ...]:
    # The stricter one first: the first global rule that is true is the one that counts.
    rules = (
        (REDUCE_ALL_BELOW_PCT, GlobalAction.REDUCE_ALL, "well before the breaker"),
        (NO_ENTRIES_BELOW_PCT, GlobalAction.NO_ENTRIES, "no new risk on a losing day"),
    )
    return tuple(
        GlobalRule(
            condition=MarketCondition(field="day_pnl_pct", op="<", value=below),
            action=action,
            rationale=why,
        )
        for below, action, why in rules
    )


def _outlook(candidates: Sequence[Candidate]) -> Outlook:
    """The share of candidates that rose: above two thirds leans up, below one third down."""
    moves = [c.change_pct for c in candidates if math.isfinite(c.change_pct)]
    if len(moves) < 3:
        return Outlook.NEUTRAL
    rising = sum(move > 0 for move in moves) / len(moves)
    if rising > 2 / 3:
        return Outlook.NEUTRAL_TO_BULLISH
    return Outlook.NEUTRAL_TO_BEARISH if rising < 1 / 3 else Outlook.NEUTRAL
