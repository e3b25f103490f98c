"""The last word on a playbook before it is stored: what is unsafe goes, whoever wrote it.

Lint takes out what cannot work; the review takes out what could work and must not. It looks at
entries alone, and at exits of what can never be held; exits and global rules stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from trading_core.model.limits import PlanLimits
from trading_core.model.playbook import (
    Action,
    LintNote,
    Outlook,
    PlaybookDraft,
    Scenario,
    StockPlan,
)
from trading_core.rules.lint import exposed
from trading_core.rules.loss_guard import LossGuard

BEARISH_CONFIDENCE: Final = 90
"""A stock bought against a falling market has to be that sure."""
FARTHEST_ATRS: Final = 8.0
"""A session that moves a stock by more average true ranges is an accident, not a plan."""

_MOVES: Final = frozenset({"change_pct", "gap_pct"})


@dataclass(frozen=True, slots=True)
class ReviewBounds:
    """What an entry is held against.

    ``atr_pct`` and ``prices`` are by symbol, NaN or absent where not known; ``loosest_stop_pct``
    (< 0) is the widest stop that the exits work with, ``total_allocation_pct`` what all entries
    together may ask for (0: no limit), ``held`` the symbols of the account's holdings. Our own
    rules plan every candidate and leave counting to the risk gate: with ``by_rules`` entries are
    not counted, and exits stand ready for what is not held.
    """

    plan: PlanLimits
    confidence_threshold: int
    loosest_stop_pct: float
    total_allocation_pct: float = 0.0
    by_rules: bool = False
    guard: LossGuard = field(default_factory=LossGuard)
    held: Collection[str] = ()
    prices: Mapping[str, float] = field(default_factory=dict)
    atr_pct: Mapping[str, float] = field(default_factory=dict)


def entry_confidence(outlook: Outlook, threshold: int) -> int:
    """The confidence (0-100) an entry needs under this outlook; never less than the threshold."""
    return max(threshold, BEARISH_CONFIDENCE) if outlook is Outlook.BEARISH else threshold


def review(
    draft: PlaybookDraft, bounds: ReviewBounds
) -> tuple[PlaybookDraft, tuple[LintNote, ...]]:
    """The draft, after lint, without what is unsafe; a note of kind ``reviewed`` for each removal.

    A note's ``scenario`` is the index in the draft as it was given. The exits of an entry that was
    removed stay.
    """
    notes: list[LintNote] = []
    stocks = [
        StockPlan(symbol=stock.symbol, scenarios=kept)
        for stock in draft.stocks
        if (kept := _reviewed(stock, draft.outlook, bounds, notes))
    ]
    too_many = {} if bounds.by_rules else _too_many(stocks, bounds)
    final = []
    for stock in stocks:
        if why := too_many.get(stock.symbol):
            notes.append(_note(stock.symbol, None, why))
            exits = tuple(s for s in stock.scenarios if s.action is not Action.BUY)
            if not exits:
                continue
            stock = stock.model_copy(update={"scenarios": exits})
        final.append(stock)
    return draft.model_copy(update={"stocks": tuple(final)}), tuple(notes)


def _reviewed(
    stock: StockPlan, outlook: Outlook, bounds: ReviewBounds, notes: list[LintNote]
) -> tuple[Scenario, ...]:
    kept: list[Scenario] = []
    gaps: list[Scenario] = []
    can_be_held = bounds.by_rules or stock.symbol in bounds.held or bool(_entries(stock))
    for index, scenario in enumerate(stock.scenarios):
        if scenario.action is Action.BUY:
            why = _unsafe(stock.symbol, scenario, outlook, bounds) or exposed(scenario, gaps)
            if why:
                gaps.append(scenario)
        else:
            # Shares that come by another way during the session have the stops of the exits.
            is_exit = scenario.action is not Action.HOLD
            why = f"{scenario.action.value} of what is not held" if is_exit else ""
            why = "" if can_be_held else why
        if why:
            notes.append(_note(stock.symbol, index, why))
        else:
            kept.append(scenario)
    return tuple(kept)


def _unsafe(symbol: str, entry: Scenario, outlook: Outlook, bounds: ReviewBounds) -> str:
    """Why this entry must not act; empty when it may."""
    if why := bounds.guard.reason(symbol):
        return f"BUY removed by the loss guard: {why}"
    needed = entry_confidence(outlook, bounds.confidence_threshold)
    if entry.confidence < needed:
        return f"BUY at confidence {entry.confidence}, below {needed} (outlook {outlook.value})"
    stop = entry.stop_loss_pct
    if stop is not None and stop < bounds.loosest_stop_pct:
        return f"BUY with a stop of {stop:g} %, wider than {bounds.loosest_stop_pct:g} %"
    return _absurd(symbol, entry, bounds)


def _absurd(symbol: str, entry: Scenario, bounds: ReviewBounds) -> str:
    """A threshold that the stock does not reach in one session by its own range."""
    atr = bounds.atr_pct.get(symbol, math.nan)
    if not atr > 0:
        return ""
    price = bounds.prices.get(symbol, math.nan)
    for condition in entry.conditions:
        if condition.field in _MOVES:
            move = condition.value
        elif condition.field == "price" and price > 0:
            move = (condition.value / price - 1) * 100
        else:
            continue
        must_rise, must_fall = condition.op in (">", ">="), condition.op in ("<", "<=")
        far = FARTHEST_ATRS * atr
        if (must_rise and move > far) or (must_fall and move < -far):
            asked = f"{condition.field} {condition.op} {condition.value:g}"
            return f"BUY at {asked}: {abs(move) / atr:.0f} average ranges ({atr:.1f} %) away"
    return ""


def _too_many(stocks: list[StockPlan], bounds: ReviewBounds) -> dict[str, str]:
    """The symbols whose entries go because others come first; the most confident are kept."""
    entries = {s.symbol: buys for s in stocks if (buys := _entries(s))}
    ranked = sorted(entries, key=lambda symbol: -max(s.confidence for s in entries[symbol]))
    most, cap = bounds.plan.max_new_positions, bounds.total_allocation_pct
    new, total = 0, 0.0
    removed: dict[str, str] = {}
    for symbol in ranked:
        share = max(s.allocation_pct for s in entries[symbol])
        is_new = symbol not in bounds.held
        if is_new and most and new >= most:
            removed[symbol] = f"BUY removed: more than {most} new positions"
        elif cap and total + share > cap:
            removed[symbol] = f"BUY removed: all entries together would be above {cap:g} % of cash"
        else:
            new, total = new + is_new, total + share
    return removed


def _entries(stock: StockPlan) -> list[Scenario]:
    return [s for s in stock.scenarios if s.action is Action.BUY]


def _note(symbol: str, index: int | None, reason: str) -> LintNote:
    return LintNote(symbol=symbol, scenario=index, kind="reviewed", reason=reason)
