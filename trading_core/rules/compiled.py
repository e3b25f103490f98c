"""A playbook as numpy columns, made once, so that a tick compares everything in one pass.

Every condition becomes one strict comparison ``signed value < bound``:

    value <  t    value  <  t
    value <= t    value  <  the next double above t
    value >  t   -value  < -t
    value >= t   -value  <  the next double above -t

There is no double between ``t`` and its successor and negation loses no bit, so each line says
exactly what its operator says: for denormals, both zeros and infinite values too. A NaN compares
false in all four. Thresholds are finite, which the model checks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_core.model.playbook import Condition, Playbook, Scenario, scenario_id

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ScenarioMatch:
    """A scenario and its place: ``index`` counts the scenarios of ``symbol`` from 0."""

    symbol: str
    index: int
    scenario: Scenario
    scenario_id: str


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The n scenarios of a playbook that have the same number of conditions.

    ``members`` are their numbers, shape (n,). ``span`` is where their conditions lie: all first
    conditions, then all second ones, and so on, so that ``column[span].reshape(arity, n)`` has
    one scenario per column.
    """

    arity: int
    members: Indices
    span: slice


@dataclass(frozen=True, eq=False)
class CompiledPlaybook:
    """The columns of a playbook: P planned symbols, S scenarios, C conditions, F fields.

    ``symbols`` and ``fields`` name the columns and rows of a snapshot; ``scenarios`` holds all S
    scenarios, symbol by symbol, in the order they are tried. A symbol planned twice is one plan,
    its scenarios in the order they were written. ``conditions`` lie in ``blocks``.

    ``cell``, ``bound``, ``threshold``, ``plain_cell`` have shape (C,), ``plan_of`` (S,) and
    ``first_scenario`` (P,). ``cell`` points into the flattened (2, F, P) snapshot of values and
    negated values, ``plain_cell`` into its first half; ``cells_read`` lists the latter once each.
    """

    playbook: Playbook
    symbols: tuple[str, ...]
    fields: tuple[str, ...]
    scenarios: tuple[ScenarioMatch, ...]
    conditions: tuple[Condition, ...]
    blocks: tuple[Block, ...]
    cell: Indices
    plain_cell: Indices
    bound: Floats
    threshold: Floats
    plan_of: Indices
    first_scenario: Indices
    cells_read: Indices

    @property
    def fields_used(self) -> frozenset[str]:
        """The stock fields that any scenario reads; others need not be observed."""
        return frozenset(self.fields)

    @property
    def market_fields_used(self) -> frozenset[str]:
        """The market fields that any global rule reads."""
        return frozenset(rule.condition.field for rule in self.playbook.global_rules)


def compile_playbook(playbook: Playbook) -> CompiledPlaybook:
    """Lay a playbook out for :func:`trading_core.rules.scenarios.match`.

    Raises:
        ValueError: a scenario has no condition, or a threshold is not finite.
    """
    plans: dict[str, list[Scenario]] = {}
    for stock in playbook.stocks:
        plans.setdefault(stock.symbol, []).extend(stock.scenarios)
    scenarios = tuple(
        ScenarioMatch(symbol, index, scenario, scenario_id(symbol, index))
        for symbol, plan in plans.items()
        for index, scenario in enumerate(plan)
    )
    for match in scenarios:
        _check(match)
    sizes = np.array([len(plan) for plan in plans.values()], dtype=np.intp)
    plan_of = np.repeat(np.arange(len(plans)), sizes)
    blocks, conditions = _lay_out(scenarios)
    fields = tuple(dict.fromkeys(condition.field for condition in conditions))

    row = {name: index for index, name in enumerate(fields)}
    field_of = np.array([row[condition.field] for condition in conditions], dtype=np.intp)
    owner = [np.tile(block.members, block.arity) for block in blocks]
    scenario_of = np.concatenate(owner) if owner else np.zeros(0, dtype=np.intp)
    plain_cell = field_of * len(plans) + plan_of[scenario_of]
    threshold = np.array([condition.value for condition in conditions], dtype=np.float64)
    negated = np.array([condition.op in (">", ">=") for condition in conditions], dtype=bool)
    closed = np.array([condition.op in ("<=", ">=") for condition in conditions], dtype=bool)
    bound = np.where(negated, -threshold, threshold)
    with np.errstate(over="ignore", under="ignore"):
        bound = np.where(closed, np.nextafter(bound, np.inf), bound)
    return CompiledPlaybook(
        playbook=playbook,
        symbols=tuple(plans),
        fields=fields,
        scenarios=scenarios,
        conditions=conditions,
        blocks=blocks,
        cell=plain_cell + negated * (len(fields) * len(plans)),
        plain_cell=plain_cell,
        bound=bound,
        threshold=threshold,
        plan_of=plan_of,
        first_scenario=np.cumsum(sizes) - sizes,
        cells_read=np.unique(plain_cell),
    )


def _check(match: ScenarioMatch) -> None:
    # Validation forbids both, but a copied model is not validated again.
    if not match.scenario.conditions:
        raise ValueError(f"scenario {match.scenario_id} has no condition")
    if not all(math.isfinite(condition.value) for condition in match.scenario.conditions):
        raise ValueError(f"scenario {match.scenario_id} has a threshold that is not finite")


def _lay_out(
    scenarios: tuple[ScenarioMatch, ...],
) -> tuple[tuple[Block, ...], tuple[Condition, ...]]:
    """Scenarios grouped by their number of conditions, and the conditions in that layout."""
    by_arity: dict[int, list[int]] = {}
    for number, match in enumerate(scenarios):
        by_arity.setdefault(len(match.scenario.conditions), []).append(number)
    blocks: list[Block] = []
    conditions: list[Condition] = []
    for arity, members in sorted(by_arity.items()):
        start = len(conditions)
        conditions.extend(
            scenarios[number].scenario.conditions[place]
            for place in range(arity)
            for number in members
        )
        span = slice(start, len(conditions))
        blocks.append(Block(arity, np.array(members, dtype=np.intp), span))
    return tuple(blocks), tuple(conditions)
