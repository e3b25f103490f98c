"""How much of a playbook was alive: which scenarios met their market, which came close or could
not, and what moved without one.

Worked out from the observations of a session, so it says the same however often it is asked.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from trading_core.model.audit import ScreenedRow
from trading_core.model.journal import Json, ObservationRow
from trading_core.model.playbook import Condition, Playbook, Scenario, scenario_id
from trading_core.model.price import RankRow
from trading_core.rules.indicators import Floats

NEAR = 0.05
"""A scenario came close when no condition was further off than this at one moment (see
:class:`trading_core.rules.scenarios.NearMiss` for the distance)."""
SHOWN = 5
MOVER_PCT = 5.0
_COMPARE = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
_Flags: TypeAlias = NDArray[np.bool_]
OF_HOLDINGS = frozenset({"unrealized_pnl_pct", "holding_days"})


class Fate(StrEnum):
    """What became of a scenario in one session; the first that is true.

    ``NOT_HELD``: it reads a field of holdings and the stock was not held. ``OUT_OF_RANGE``: some
    condition held at no moment. ``NEVER_TOGETHER``: each held at some moment, all at none.
    """

    UNSEEN = "unseen"
    MATCHED = "matched"
    BEHIND_ANOTHER = "behind_another"
    NOT_HELD = "not_held"
    NO_DATA = "no_data"
    NEAR = "near"
    OUT_OF_RANGE = "out_of_range"
    NEVER_TOGETHER = "never_together"


@dataclass(frozen=True, slots=True)
class Closest:
    """The moment a scenario came closest, and the condition that was then furthest off."""

    condition: Condition
    value: float
    distance: float
    at: datetime


@dataclass(frozen=True, slots=True)
class ScenarioFate:
    """``impossible`` are the conditions that held at no moment, with the values seen."""

    symbol: str
    scenario_id: str
    scenario: Scenario
    fate: Fate
    closest: Closest | None = None
    impossible: tuple[tuple[Condition, float, float], ...] = ()


def scenario_fates(
    playbook: Playbook, observations: Sequence[ObservationRow], *, near: float = NEAR
) -> tuple[ScenarioFate, ...]:
    """The fate of every scenario, in the order of the playbook."""
    rows: dict[str, list[ObservationRow]] = {}
    for row in observations:
        rows.setdefault(row.symbol, []).append(row)
    fates: list[ScenarioFate] = []
    for stock in playbook.stocks:
        seen = rows.get(stock.symbol, [])
        taken = np.zeros(len(seen), dtype=bool)
        for index, scenario in enumerate(stock.scenarios):
            name = scenario_id(stock.symbol, index)
            fate, held = _fate(stock.symbol, name, scenario, seen, taken, near)
            fates.append(fate)
            taken |= held
    return tuple(fates)


def _fate(
    symbol: str,
    name: str,
    scenario: Scenario,
    seen: Sequence[ObservationRow],
    taken: _Flags,
    near: float,
) -> tuple[ScenarioFate, _Flags]:
    if not seen:
        return ScenarioFate(symbol, name, scenario, Fate.UNSEEN), taken
    columns = [_column(seen, condition.field) for condition in scenario.conditions]
    held = np.array(
        [
            _COMPARE[c.op](column, c.value)
            for c, column in zip(scenario.conditions, columns, strict=True)
        ]
    )
    together: _Flags = np.logical_and.reduce(held)
    if together.any():
        fate = Fate.MATCHED if (together & ~taken).any() else Fate.BEHIND_ANOTHER
        return ScenarioFate(symbol, name, scenario, fate), together
    blank = [
        c.field
        for c, column in zip(scenario.conditions, columns, strict=True)
        if np.isnan(column).all()
    ]
    if blank:
        fate = Fate.NOT_HELD if OF_HOLDINGS.intersection(blank) else Fate.NO_DATA
        return ScenarioFate(symbol, name, scenario, fate), together
    closest = _closest(scenario, seen, columns, held)
    impossible = tuple(
        (c, float(np.nanmin(column)), float(np.nanmax(column)))
        for c, column, row in zip(scenario.conditions, columns, held, strict=True)
        if not row.any()
    )
    if closest is not None and closest.distance <= near:
        fate = Fate.NEAR
    else:
        fate = Fate.OUT_OF_RANGE if impossible else Fate.NEVER_TOGETHER
    return ScenarioFate(symbol, name, scenario, fate, closest, impossible), together


def _column(seen: Sequence[ObservationRow], name: str) -> Floats:
    values = (row.values.get(name) for row in seen)
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def _closest(
    scenario: Scenario,
    seen: Sequence[ObservationRow],
    columns: Sequence[Floats],
    held: _Flags,
) -> Closest | None:
    """None when no moment had data for every condition."""
    short = np.array(
        [
            np.abs(column - c.value) / max(abs(c.value), 1.0)
            for c, column in zip(scenario.conditions, columns, strict=True)
        ]
    )
    short[np.isnan(short)] = np.inf
    short[held] = -1.0
    farthest = short.max(axis=0)
    moment = int(farthest.argmin())
    if not np.isfinite(farthest[moment]):
        return None
    place = int(short[:, moment].argmax())
    return Closest(
        scenario.conditions[place],
        float(columns[place][moment]),
        float(farthest[moment]),
        seen[moment].at,
    )


def coverage_summary(fates: Sequence[ScenarioFate]) -> Json:
    """Counts per fate, the nearest misses, and the conditions that kept most scenarios shut."""
    counts = Counter(fate.fate.value for fate in fates)
    missed = [fate for fate in fates if fate.closest is not None]
    missed.sort(key=lambda fate: (fate.closest.distance if fate.closest else 0, fate.scenario_id))
    blocked = Counter(f"{c.field} {c.op}" for fate in fates for c, _, _ in fate.impossible)
    return {
        "scenarios": len(fates),
        "fates": {fate.value: counts[fate.value] for fate in Fate if counts[fate.value]},
        "nearest": [_brief(fate, fate.closest) for fate in missed[:SHOWN] if fate.closest],
        "blocked_by": [
            {"condition": name, "scenarios": count} for name, count in blocked.most_common(SHOWN)
        ],
    }


def _brief(fate: ScenarioFate, closest: Closest) -> Json:
    return {
        "scenario_id": fate.scenario_id,
        "action": fate.scenario.action.value,
        "field": closest.condition.field,
        "op": closest.condition.op,
        "threshold": closest.condition.value,
        "value": closest.value,
        "distance": round(closest.distance, 6),
        "at": closest.at.isoformat(),
    }


def missed_movers(
    ranked: Iterable[RankRow],
    playbook: Playbook | None,
    screened: Mapping[str, ScreenedRow],
    *,
    least_pct: float = MOVER_PCT,
) -> list[Json]:
    """The largest moves of the day among the ranked that the playbook had no scenario for.

    ``least_pct`` is the smallest absolute day change that counts, in percent; ``why`` says what
    the scanner had made of the symbol before the open.
    """
    planned = frozenset(playbook.symbols) if playbook else frozenset()
    found = [
        row
        for row in ranked
        if row.instrument.symbol not in planned and abs(row.change_pct) >= least_pct
    ]
    found.sort(key=lambda row: (-abs(row.change_pct), row.instrument.symbol))
    return [
        {
            "symbol": row.instrument.symbol,
            "change_pct": round(row.change_pct, 2),
            "why": _standing(screened.get(row.instrument.symbol)),
        }
        for row in found[:SHOWN]
    ]


def _standing(row: ScreenedRow | None) -> str:
    if row is None:
        return "not in the scanner's universe"
    if row.reason:
        return row.reason.replace("_", " ")
    return "chosen, but not planned" if row.chosen else f"place {row.place} of the scan"
