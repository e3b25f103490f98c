"""The playbook's meaning as a plain loop over its models, for tests and benchmarks to compare with.

Nothing here is shared with the compiled engine, on purpose.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from trading_core.model.playbook import GlobalRule, Playbook, Scenario
from trading_core.model.price import ObservationFrame


@dataclass
class PlainNear:
    index: int
    field: str
    op: str
    threshold: float
    value: float
    distance: float


@dataclass
class PlainResult:
    global_rules: list[int] = field(default_factory=list)
    first: dict[str, int] = field(default_factory=dict)
    also: dict[str, list[int]] = field(default_factory=dict)
    nearest: dict[str, PlainNear] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)


def holds(value: float, op: str, threshold: float) -> bool:
    if op == "<":
        return value < threshold
    if op == "<=":
        return value <= threshold
    if op == ">":
        return value > threshold
    return value >= threshold


def rows_by_symbol(frame: ObservationFrame) -> dict[str, dict[str, float]]:
    """One dict per symbol, the first row of a doubled one."""
    rows: dict[str, dict[str, float]] = {}
    for index, symbol in enumerate(frame.symbols):
        if symbol not in rows:
            rows[symbol] = {name: float(column[index]) for name, column in frame.columns.items()}
    return rows


def plans_of(playbook: Playbook) -> dict[str, list[Scenario]]:
    plans: dict[str, list[Scenario]] = {}
    for stock in playbook.stocks:
        plans.setdefault(stock.symbol, []).extend(stock.scenarios)
    return plans


def scenario_matches(scenario: Scenario, row: dict[str, float]) -> bool:
    for condition in scenario.conditions:
        value = row.get(condition.field, math.nan)
        if not holds(value, condition.op, condition.value):
            return False
    return True


def first_matches(playbook: Playbook, rows: dict[str, dict[str, float]]) -> dict[str, int]:
    """Only what a tick acts on: the first match of each symbol, leaving off as early as it can."""
    found = {}
    for stock in playbook.stocks:
        row = rows.get(stock.symbol, {})
        for index, scenario in enumerate(stock.scenarios):
            if scenario_matches(scenario, row):
                found[stock.symbol] = index
                break
    return found


def true_rules(rules: tuple[GlobalRule, ...], fields: dict[str, float]) -> list[int]:
    return [
        index
        for index, rule in enumerate(rules)
        if holds(
            fields.get(rule.condition.field, math.nan), rule.condition.op, rule.condition.value
        )
    ]


def shortfall(scenario: Scenario, row: dict[str, float]) -> PlainNear | None:
    """The failing condition that is farthest off; None when there is no finite distance."""
    worst: PlainNear | None = None
    for condition in scenario.conditions:
        value = row.get(condition.field, math.nan)
        if holds(value, condition.op, condition.value):
            continue
        distance = abs(value - condition.value) / max(abs(condition.value), 1.0)
        if not math.isfinite(distance):
            return None
        if worst is None or distance > worst.distance:
            worst = PlainNear(-1, condition.field, condition.op, condition.value, value, distance)
    return worst


def plain_match(playbook: Playbook, frame: ObservationFrame) -> PlainResult:
    """Everything the engine reports, by the book."""
    result = PlainResult()
    result.global_rules = true_rules(playbook.global_rules, dict(frame.market_fields))
    missing: Counter[str] = Counter()
    for name in {rule.condition.field for rule in playbook.global_rules}:
        if math.isnan(frame.market_fields.get(name, math.nan)):
            missing[name] += 1
    rows = rows_by_symbol(frame)
    for symbol, scenarios in plans_of(playbook).items():
        row = rows.get(symbol, {})
        hits = [i for i, scenario in enumerate(scenarios) if scenario_matches(scenario, row)]
        if hits:
            result.first[symbol] = hits[0]
        if hits[1:]:
            result.also[symbol] = hits[1:]
        near: PlainNear | None = None
        for index, scenario in enumerate(scenarios):
            if index in hits:
                continue
            candidate = shortfall(scenario, row)
            if candidate is not None and (near is None or candidate.distance < near.distance):
                near = candidate
                near.index = index
        if near is not None:
            result.nearest[symbol] = near
        read = {condition.field for scenario in scenarios for condition in scenario.conditions}
        for name in read:
            if math.isnan(row.get(name, math.nan)):
                missing[name] += 1
    result.missing = dict(missing)
    return result
