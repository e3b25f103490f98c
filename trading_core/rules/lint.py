"""The check of a playbook before it is used, whoever wrote it.

What can never happen is dropped, what is missing or too loose is repaired, and each change leaves
a note. Lint only makes a playbook stricter: it never enters where the draft would not have, never
widens a stop or an allocation, and linting its own result changes nothing.

A scenario that lint drops although it could have matched leaves a gap in the order: a later BUY
could then act where the dropped one stood in its way. Such a BUY is dropped too.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from trading_core.model.limits import PlanLimits
from trading_core.model.playbook import (
    Action,
    Condition,
    GlobalAction,
    GlobalRule,
    LintNote,
    MarketCondition,
    PlaybookDraft,
    Scenario,
    StockPlan,
)
from trading_core.rules.exits import DEFAULT_STOP_LOSS_PCT

DEFAULT_ALLOCATION_PCT = 5.0
LOOSEST_STOP_LOSS_PCT = -10.0
# The dearest round trip of the markets traded here: fees of about a quarter percent a side.
LEAST_TAKE_PROFIT_PCT = 0.5
FARTHEST_PRICE_SHARE = 0.5

Range: TypeAlias = tuple[float, float]

_ABOVE_ZERO = math.nextafter(0.0, math.inf)
_ANY: Range = (-math.inf, math.inf)
_NOT_NEGATIVE: Range = (0.0, math.inf)
_SCALE: Range = (0.0, 100.0)
_CHANGE: Range = (-100.0, math.inf)

# What a field can be at all, in the units of the playbook.
_DOMAIN: Mapping[str, Range] = {
    "price": (_ABOVE_ZERO, math.inf),
    "change_pct": _CHANGE,
    "gap_pct": _CHANGE,
    "range_pct": _NOT_NEGATIVE,
    "volume_ratio": _NOT_NEGATIVE,
    "rsi": _SCALE,
    "atr_pct": _NOT_NEGATIVE,
    "return_5d_pct": _CHANGE,
    "return_20d_pct": _CHANGE,
    "momentum": _SCALE,
    "breakout_pct": _CHANGE,
    "spread_pct": (0.0, 200.0),
    "unrealized_pnl_pct": _CHANGE,
    "holding_days": _NOT_NEGATIVE,
    "minutes_to_close": (0.0, 1440.0),
    "day_pnl_pct": _CHANGE,
    "exposure_pct": _NOT_NEGATIVE,
    "index_change_pct": _CHANGE,
}

_DEFAULT_EXIT = Scenario(
    conditions=(Condition(field="unrealized_pnl_pct", op="<=", value=DEFAULT_STOP_LOSS_PCT),),
    action=Action.SELL,
    confidence=100,
    rationale="added: a holding needs an exit",
)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A scenario with its place in the draft; None for one that lint added."""

    index: int | None
    scenario: Scenario


@dataclass(slots=True)
class _Notes:
    """The notes about one symbol; ``""`` for the global rules."""

    symbol: str
    found: list[LintNote] = field(default_factory=list)

    def add(self, kind: Literal["dropped", "repaired"], index: int | None, reason: str) -> None:
        self.found.append(LintNote(symbol=self.symbol, scenario=index, kind=kind, reason=reason))


def lint(
    draft: PlaybookDraft,
    *,
    prices: Mapping[str, float],
    held: Collection[str],
    limits: PlanLimits,
) -> tuple[PlaybookDraft, tuple[LintNote, ...]]:
    """The draft as it may be used, and a note for each change.

    Args:
        prices: The last known price of each symbol a playbook may name, in its market's currency;
            NaN where there is none.
        held: Symbols of the account's holdings; each leaves with at least one exit.

    A note's ``scenario`` is the index in the draft as it was given, counted through all entries
    of a symbol; of a note about a global rule (symbol ``""``) it is the index of the rule.
    """
    notes: list[LintNote] = []
    rules = _lint_rules(draft.global_rules, notes)
    plans = _plans(draft.stocks, {*prices, *held}, notes)
    for symbol in sorted(set(held) - set(plans)):
        plans[symbol] = ()
    stocks = []
    for symbol, plan in plans.items():
        of_symbol = _Notes(symbol, notes)
        kept = _lint_plan(plan, prices.get(symbol, math.nan), limits, of_symbol)
        if symbol in held:
            kept = _with_exit(kept, of_symbol)
        kept = _cut(kept, max(limits.max_scenarios_per_stock, 1), symbol in held, of_symbol)
        if kept:
            scenarios = tuple(placed.scenario for placed in kept)
            stocks.append(StockPlan(symbol=symbol, scenarios=scenarios))
        else:
            of_symbol.add("dropped", None, "no scenario is left")
    return draft.model_copy(update={"global_rules": rules, "stocks": tuple(stocks)}), tuple(notes)


def _plans(
    stocks: Iterable[StockPlan], known: Collection[str], notes: list[LintNote]
) -> dict[str, tuple[Scenario, ...]]:
    """Scenarios by known symbol; a symbol named twice keeps both lists, in order."""
    plans: dict[str, tuple[Scenario, ...]] = {}
    for stock in stocks:
        of_symbol = _Notes(stock.symbol, notes)
        if stock.symbol not in known:
            of_symbol.add("dropped", None, "neither a candidate nor a holding")
            continue
        if stock.symbol in plans:
            of_symbol.add("repaired", None, "named twice; its scenarios were joined in order")
        plans[stock.symbol] = plans.get(stock.symbol, ()) + stock.scenarios
    return plans


def _lint_plan(
    plan: tuple[Scenario, ...], price: float, limits: PlanLimits, notes: _Notes
) -> list[_Placed]:
    """The scenarios of one symbol that can be used, repaired."""
    kept: list[_Placed] = []
    gaps: list[Scenario] = []
    for index, scenario in enumerate(plan):
        if never := _never(scenario.conditions):
            notes.add("dropped", index, never)
        elif unfit := _unfit(scenario, price, limits) or exposed(scenario, gaps):
            notes.add("dropped", index, unfit)
            gaps.append(scenario)
        else:
            kept.append(_Placed(index, _repaired(scenario, index, limits, notes)))
    return _unshadowed(kept, notes)


def _never(conditions: Iterable[Condition | MarketCondition]) -> str:
    """Why these conditions can never hold together; empty when they can."""
    for condition in conditions:
        if not math.isfinite(condition.value):
            return f"the threshold of {condition.field} is not a number"
    for name, (low, high) in _ranges(conditions).items():
        if low > high:
            return f"the conditions on {name} contradict each other"
        least, most = _DOMAIN.get(name, _ANY)
        if max(low, least) > min(high, most):
            return f"{name} can never get there"
    return ""


def _unfit(scenario: Scenario, price: float, limits: PlanLimits) -> str:
    """Why a scenario that could match is not to be trusted; empty when it is."""
    is_entry = scenario.action is Action.BUY
    if is_entry and limits.max_allocation_pct <= 0:
        return "no allocation is allowed"
    for condition in scenario.conditions:
        if condition.field != "price":
            continue
        if price > 0 and math.isfinite(price):
            if abs(condition.value - price) > FARTHEST_PRICE_SHARE * price:
                return f"price {condition.op} {condition.value:g} is far off the price {price:g}"
        elif is_entry:
            return "there is no price to check the price condition against"
    return ""


def exposed(scenario: Scenario, gaps: Iterable[Scenario]) -> str:
    """Why a BUY may not stay behind what was dropped; empty when it may.

    A dropped BUY of at least the same confidence stood in nobody's way.
    """
    if scenario.action is not Action.BUY:
        return ""
    for gap in gaps:
        was_entry = gap.action is Action.BUY and gap.confidence >= scenario.confidence
        if not was_entry and _overlap(scenario, gap):
            return "it stood behind a scenario that was dropped and could now act in its place"
    return ""


def _repaired(scenario: Scenario, index: int, limits: PlanLimits, notes: _Notes) -> Scenario:
    """The scenario within its limits; a stop only ever gets tighter."""
    changes: dict[str, float | None] = {}
    cap, share = limits.max_allocation_pct, scenario.allocation_pct
    stop, target = scenario.stop_loss_pct, scenario.take_profit_pct
    if scenario.action is Action.BUY:
        if share <= 0:
            changes["allocation_pct"] = given = min(DEFAULT_ALLOCATION_PCT, cap)
            notes.add("repaired", index, f"a BUY without allocation; it gets {given:g} %")
        elif share > cap:
            changes["allocation_pct"] = cap
            notes.add("repaired", index, f"allocation of {share:g} % cut to the cap of {cap:g} %")
        if stop is None:
            changes["stop_loss_pct"] = DEFAULT_STOP_LOSS_PCT
            notes.add("repaired", index, f"a BUY without stop; it gets {DEFAULT_STOP_LOSS_PCT:g} %")
    if stop is not None and stop < LOOSEST_STOP_LOSS_PCT:
        changes["stop_loss_pct"] = LOOSEST_STOP_LOSS_PCT
        notes.add("repaired", index, f"stop of {stop:g} % tightened to {LOOSEST_STOP_LOSS_PCT:g} %")
    if target is not None and target <= LEAST_TAKE_PROFIT_PCT:
        changes["take_profit_pct"] = None
        notes.add("repaired", index, f"a target of {target:g} % does not pay its costs; left out")
    return scenario.model_copy(update=changes) if changes else scenario


def _unshadowed(plan: list[_Placed], notes: _Notes) -> list[_Placed]:
    """Without the scenarios that an earlier one always beats to it."""
    kept: list[_Placed] = []
    for placed in plan:
        conditions = placed.scenario.conditions
        if any(_implies(conditions, earlier.scenario.conditions) for earlier in kept):
            notes.add("dropped", placed.index, "an earlier scenario always matches before it")
        else:
            kept.append(placed)
    return kept


def _with_exit(plan: list[_Placed], notes: _Notes) -> list[_Placed]:
    """The plan of a holding; one without an exit gets a stop in front, so that nothing can stand
    before it."""
    if any(_is_exit(placed.scenario) for placed in plan):
        return plan
    notes.add("repaired", None, f"a holding without exit; it sells at {DEFAULT_STOP_LOSS_PCT:g} %")
    return _unshadowed([_Placed(None, _DEFAULT_EXIT), *plan], notes)


def _cut(plan: list[_Placed], most: int, held: bool, notes: _Notes) -> list[_Placed]:
    """At most ``most`` scenarios, the first ones; of a holding an exit stays among them."""
    kept, rest = plan[:most], plan[most:]
    if held and rest and not any(_is_exit(placed.scenario) for placed in kept):
        exit_ = next(placed for placed in rest if _is_exit(placed.scenario))
        rest = [kept[-1], *(placed for placed in rest if placed is not exit_)]
        kept = [*kept[:-1], exit_]
    for placed in rest:
        notes.add("dropped", placed.index, f"more than {most} scenarios for one stock")
    return kept


def _is_exit(scenario: Scenario) -> bool:
    return scenario.action in (Action.SELL, Action.REDUCE)


def _lint_rules(rules: tuple[GlobalRule, ...], notes: list[LintNote]) -> tuple[GlobalRule, ...]:
    """Global rules that can come into force.

    Behind a NO_ENTRIES that covers it, a REDUCE_ALL could never act: it moves in front.
    """
    of_rules = _Notes("", notes)
    ordered: list[tuple[int, GlobalRule]] = []
    for index, rule in enumerate(rules):
        if never := _never((rule.condition,)):
            of_rules.add("dropped", index, never)
            continue
        place = len(ordered)
        if rule.action is GlobalAction.REDUCE_ALL:
            covers = (
                at
                for at, (_, earlier) in enumerate(ordered)
                if earlier.action is not rule.action and _covered(rule, earlier)
            )
            place = next(covers, place)
        if place < len(ordered):
            of_rules.add("repaired", index, "moved before the NO_ENTRIES rule that covered it")
        ordered.insert(place, (index, rule))
    kept: list[GlobalRule] = []
    for index, rule in ordered:
        if any(_covered(rule, earlier) for earlier in kept):
            of_rules.add("dropped", index, "an earlier rule is always true before it")
        else:
            kept.append(rule)
    return tuple(kept)


def _covered(rule: GlobalRule, earlier: GlobalRule) -> bool:
    return _implies((rule.condition,), (earlier.condition,))


def _ranges(conditions: Iterable[Condition | MarketCondition]) -> dict[str, Range]:
    """Per field the closed range of doubles that passes all its conditions; empty if low > high."""
    ranges: dict[str, Range] = {}
    for condition in conditions:
        low, high = ranges.get(condition.field, _ANY)
        match condition.op:
            case "<":
                high = min(high, math.nextafter(condition.value, -math.inf))
            case "<=":
                high = min(high, condition.value)
            case ">":
                low = max(low, math.nextafter(condition.value, math.inf))
            case ">=":
                low = max(low, condition.value)
        ranges[condition.field] = (low, high)
    return ranges


def _implies(
    these: Iterable[Condition | MarketCondition], those: Iterable[Condition | MarketCondition]
) -> bool:
    """Whether ``those`` hold wherever ``these`` do; a field that is not read may be missing."""
    inner = _ranges(these)
    for name, (low, high) in _ranges(those).items():
        if name not in inner:
            return False
        least, most = _DOMAIN.get(name, _ANY)
        if max(inner[name][0], least) < low or min(inner[name][1], most) > high:
            return False
    return True


def _overlap(one: Scenario, other: Scenario) -> bool:
    """Whether one observation could match both."""
    theirs = _ranges(other.conditions)
    for name, (low, high) in _ranges(one.conditions).items():
        their_low, their_high = theirs.get(name, _ANY)
        if max(low, their_low) > min(high, their_high):
            return False
    return True
