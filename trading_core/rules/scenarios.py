"""Meeting a playbook with what one tick saw.

Global rules come first, in order: the first true one is the tick's global rule. Then each symbol
takes the first of its scenarios that matches. A comparison is exactly its operator. A field that
is NaN, not in the frame, or of a symbol that was not observed never matches and is counted.

Which of the two wins, and what a rule or scenario leads to, is decided by the caller: both are
always worked out, so that both can be written down.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trading_core.model.journal import MatchRow
from trading_core.model.playbook import Action, Condition, GlobalRule, MarketCondition
from trading_core.model.price import ObservationFrame
from trading_core.rules.compiled import (
    CompiledPlaybook,
    Floats,
    Indices,
    ScenarioMatch,
    compile_playbook,
)

__all__ = [
    "CompiledPlaybook",
    "GlobalMatch",
    "MatchResult",
    "NearMiss",
    "ScenarioMatch",
    "compile_playbook",
    "match",
]

COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class GlobalMatch:
    """A global rule that is true; ``index`` is its place in the playbook, from 0."""

    index: int
    rule: GlobalRule
    value: float

    def row(self, market: str, session: date, at: datetime) -> MatchRow:
        return MatchRow(
            market=market,
            session=session,
            at=at,
            symbol="",
            scenario_id=f"global#{self.index}",
            kind="global",
            action=self.rule.action.value,
            confidence=100,
            field=self.rule.condition.field,
            op=self.rule.condition.op,
            threshold=self.rule.condition.value,
            value=self.value,
        )


class NearMiss(NamedTuple):
    """The scenario of a symbol that came closest without matching.

    ``condition`` is the one that failed by the most and ``value`` what was seen; ``distance`` is
    by how much: |value - threshold| / max(|threshold|, 1), so relative, but absolute for
    thresholds below 1, and 0 for a value that stands on a bound it had to pass.
    """

    match: ScenarioMatch
    condition: Condition
    value: float
    distance: float


@dataclass(frozen=True, eq=False)
class MatchResult:
    """How one tick met its playbook. Symbols stand in the order of the playbook.

    ``global_rule`` is the first true global rule, ``global_matches`` all true ones. ``first`` has
    the symbols with a match only; every other symbol holds. The rest is worked out when asked
    for, from a copy of the tick's values.
    """

    at: datetime
    global_matches: tuple[GlobalMatch, ...]
    first: Mapping[str, ScenarioMatch]
    _compiled: CompiledPlaybook = field(repr=False)
    _values: Floats = field(repr=False)
    _held: NDArray[np.bool_] = field(repr=False)
    _matched: NDArray[np.bool_] = field(repr=False)
    _missing_market: tuple[str, ...] = field(repr=False)

    @property
    def global_rule(self) -> GlobalRule | None:
        return self.global_matches[0].rule if self.global_matches else None

    @property
    def matched_symbols(self) -> tuple[str, ...]:
        return tuple(self.first)

    def action(self, symbol: str) -> Action:
        """What the symbol's own plan asks for; HOLD when nothing matched or nobody planned it."""
        found = self.first.get(symbol)
        return found.scenario.action if found else Action.HOLD

    @cached_property
    def also(self) -> Mapping[str, tuple[ScenarioMatch, ...]]:
        """Scenarios that matched behind the first one, per symbol, in order."""
        found: dict[str, list[ScenarioMatch]] = {}
        for index in np.flatnonzero(self._matched).tolist():
            match = self._compiled.scenarios[index]
            if self.first[match.symbol] is not match:
                found.setdefault(match.symbol, []).append(match)
        return {symbol: tuple(matches) for symbol, matches in found.items()}

    @cached_property
    def missing(self) -> Mapping[str, int]:
        """Per field, how many planned symbols had no data for a condition that reads it.

        A field of a global rule counts once.
        """
        cells = self._compiled.cells_read
        absent = cells[np.isnan(self._values.ravel()[cells])]
        counts = Counter(self._missing_market)
        if absent.size:
            per_field = np.bincount(
                absent // len(self._compiled.symbols), minlength=len(self._compiled.fields)
            )
            for name, count in zip(self._compiled.fields, per_field.tolist(), strict=True):
                if count:
                    counts[name] = count
        return dict(counts)

    @cached_property
    def nearest(self) -> Mapping[str, NearMiss]:
        """The nearest miss per symbol.

        Of the scenarios that did not match, the one whose largest distance over its failing
        conditions is smallest; the earlier one on a tie. A scenario that failed for want of data,
        or by an infinite distance, is not near anything.
        """
        compiled = self._compiled
        if not compiled.scenarios:
            return {}
        value = self._values.ravel()[compiled.plain_cell]
        with np.errstate(over="ignore", invalid="ignore"):
            short = np.abs(value - compiled.threshold) / np.maximum(np.abs(compiled.threshold), 1.0)
        short[np.isnan(short)] = np.inf
        short[self._held] = -1.0
        farthest = np.empty(len(compiled.scenarios))
        failing = np.empty(len(compiled.scenarios), dtype=np.intp)
        for block in compiled.blocks:
            table = short[block.span].reshape(block.arity, -1)
            place = table.argmax(axis=0)
            column = np.arange(len(block.members))
            farthest[block.members] = table[place, column]
            failing[block.members] = block.span.start + place * len(block.members) + column
        farthest[self._matched] = np.inf
        best = np.minimum.reduceat(farthest, compiled.first_scenario)
        near = np.isfinite(farthest) & (farthest == best[compiled.plan_of])
        chosen = _first_of_each(np.flatnonzero(near), compiled.plan_of)
        condition = failing[chosen]
        misses = zip(
            map(compiled.scenarios.__getitem__, chosen.tolist()),
            map(compiled.conditions.__getitem__, condition.tolist()),
            value[condition].tolist(),
            farthest[chosen].tolist(),
            strict=True,
        )
        symbols = map(compiled.symbols.__getitem__, compiled.plan_of[chosen].tolist())
        return dict(zip(symbols, map(NearMiss._make, misses), strict=True))

    def rows(self, market: str, session: date) -> list[MatchRow]:
        """All of it for the journal: true global rules, then per symbol first, also and near.

        A global rule has the symbol ``""`` and the id ``global#<index>``; the one in force is the
        lowest. ``field`` to ``distance`` tell of the one condition of a rule and of the failing
        condition of a near miss, and stay empty for a match, where every condition held.
        """

        def row(match: ScenarioMatch, kind: str, near: NearMiss | None = None) -> MatchRow:
            return MatchRow(
                market=market,
                session=session,
                at=self.at,
                symbol=match.symbol,
                scenario_id=match.scenario_id,
                kind=kind,
                action=match.scenario.action.value,
                confidence=match.scenario.confidence,
                field=near.condition.field if near else "",
                op=near.condition.op if near else "",
                threshold=near.condition.value if near else None,
                value=near.value if near else None,
                distance=near.distance if near else None,
            )

        rows = [hit.row(market, session, self.at) for hit in self.global_matches]
        for symbol in self._compiled.symbols:
            if first := self.first.get(symbol):
                rows.append(row(first, "first"))
            rows.extend(row(match, "also") for match in self.also.get(symbol, ()))
            if near := self.nearest.get(symbol):
                rows.append(row(near.match, "near", near))
        return rows


def match(compiled: CompiledPlaybook, frame: ObservationFrame) -> MatchResult:
    """Compare everything the playbook says with everything the tick saw, in one pass.

    Of a symbol that the frame holds twice, the first row counts.

    Raises:
        ValueError: a column of the frame is not as long as its symbols.
    """
    signed = _snapshot(compiled, frame)
    held = signed.ravel()[compiled.cell] < compiled.bound
    matched = np.empty(len(compiled.scenarios), dtype=bool)
    for block in compiled.blocks:
        matched[block.members] = held[block.span].reshape(block.arity, -1).all(axis=0)
    firsts = _first_of_each(np.flatnonzero(matched), compiled.plan_of)
    found = [compiled.scenarios[index] for index in firsts.tolist()]
    global_matches, missing_market = _global_matches(compiled, frame)
    return MatchResult(
        at=frame.at,
        global_matches=global_matches,
        first={match.symbol: match for match in found},
        _compiled=compiled,
        _values=signed[0],
        _held=held,
        _matched=matched,
        _missing_market=missing_market,
    )


def _snapshot(compiled: CompiledPlaybook, frame: ObservationFrame) -> Floats:
    """A copy of the cells the playbook reads and their negatives, shape (2, F, P)."""
    signed = np.full((2, len(compiled.fields), len(compiled.symbols)), np.nan)
    values = signed[0]
    if not frame.symbols:
        return signed
    row_of, absent = _rows(compiled.symbols, frame.symbols)
    for row, name in zip(values, compiled.fields, strict=True):
        column = frame.columns.get(name)
        if column is None:
            continue
        if len(column) != len(frame.symbols):
            raise ValueError(
                f"column {name} has {len(column)} values for {len(frame.symbols)} symbols"
            )
        np.take(np.asarray(column, dtype=np.float64), row_of, out=row, mode="clip")
    values[:, absent] = np.nan
    np.negative(values, out=signed[1])
    return signed


@lru_cache(maxsize=16)
def _rows(planned: tuple[str, ...], observed: tuple[str, ...]) -> tuple[Indices, Indices]:
    """The row of each planned symbol among the observed, and which of them have none.

    Remembered, because a tick mostly observes what the tick before it did.
    """
    last = len(observed) - 1
    # Written back to front, so that the first row of a doubled symbol is the one that stays.
    row_of = dict(zip(reversed(observed), range(last, -1, -1), strict=True))
    rows = np.array([row_of.get(symbol, -1) for symbol in planned], dtype=np.intp)
    absent = np.flatnonzero(rows < 0)
    rows.flags.writeable = absent.flags.writeable = False
    return rows, absent


def _first_of_each(hits: Indices, group_of: Indices) -> Indices:
    """Of ascending ``hits``, the first in each group; groups are contiguous."""
    group = group_of[hits]
    leads = np.ones(len(hits), dtype=bool)
    leads[1:] = group[1:] != group[:-1]
    return hits[leads]


def _global_matches(
    compiled: CompiledPlaybook, frame: ObservationFrame
) -> tuple[tuple[GlobalMatch, ...], tuple[str, ...]]:
    """The true global rules in order, and the market fields that had no data."""
    found = []
    missing: dict[str, None] = {}
    for index, rule in enumerate(compiled.playbook.global_rules):
        value = frame.market_fields.get(rule.condition.field, math.nan)
        if math.isnan(value):
            missing[rule.condition.field] = None
        elif _holds(rule.condition, value):
            found.append(GlobalMatch(index, rule, value))
    return tuple(found), tuple(missing)


def _holds(condition: MarketCondition, value: float) -> bool:
    return COMPARE[condition.op](value, condition.value)
