"""Why a symbol was or was not traded at one moment: every condition with its value, threshold and
distance, and the smallest change that would have let it through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trading_core.model.audit import ScreenedRow
from trading_core.model.order import RefusalCode
from trading_core.model.playbook import Action, Condition, MarketCondition, Playbook, scenario_id
from trading_core.rules.scenarios import COMPARE

_FIELD_WORDS = {"<": "below", "<=": "at or below", ">": "above", ">=": "at or above"}

ADVICE: Mapping[RefusalCode, str] = {
    RefusalCode.HALTED: "the halt would have had to be lifted",
    RefusalCode.NO_ENTRIES: "the global rule would have had to be false",
    RefusalCode.NO_CASH: "cash would have had to be free",
    RefusalCode.CASH_UNKNOWN: "the account's worth would have had to be known",
    RefusalCode.FAT_FINGER: "a smaller allocation, or more free cash",
    RefusalCode.BELOW_LOT: "an allocation that pays for one lot",
    RefusalCode.ALREADY_WORKING: "the order at work would have had to end first",
    RefusalCode.ALREADY_HELD: "it would have had to be sold first",
    RefusalCode.UNKNOWN_ORDER: "the fate of the other order would have had to be known",
    RefusalCode.REENTRY: "the pause after the last exit would have had to be over",
    RefusalCode.NOT_HELD: "shares to sell",
    RefusalCode.NO_PRICE: "a usable price",
}
"""What the smallest change is where the gate's own words do not say it."""


@dataclass(frozen=True, slots=True)
class ConditionLook:
    """One condition at one moment. ``value`` is None for "no data", which never holds.

    ``distance`` is how far off a failing condition was, relative to its threshold (see
    ``scenarios.NearMiss``); None where it held or there was no data.
    """

    field: str
    op: str
    threshold: float
    value: float | None
    met: bool
    distance: float | None = None

    @property
    def needed(self) -> str:
        """``rsi 31.2, needed below 30 (-3.8 %)``."""
        bound = f"{_FIELD_WORDS[self.op]} {self.threshold:g}"
        if self.value is None:
            return f"{self.field} had no data, needed {bound}"
        change = ""
        if self.value and self.value != self.threshold:
            change = f" ({(self.threshold - self.value) / abs(self.value) * 100:+.1f} %)"
        return f"{self.field} {self.value:g}, needed {bound}{change}"


@dataclass(frozen=True, slots=True)
class ScenarioLook:
    """One scenario at one moment. ``distance`` is that of its worst failing condition, None when
    all held or one had no data."""

    scenario_id: str
    action: str
    confidence: int
    conditions: tuple[ConditionLook, ...]

    @property
    def matched(self) -> bool:
        return all(condition.met for condition in self.conditions)

    @property
    def failing(self) -> tuple[ConditionLook, ...]:
        return tuple(condition for condition in self.conditions if not condition.met)

    @property
    def distance(self) -> float | None:
        off = [condition.distance for condition in self.failing]
        known = [distance for distance in off if distance is not None]
        return max(known) if known and len(known) == len(off) else None


def look_at(
    condition: Condition | MarketCondition, values: Mapping[str, float | None]
) -> ConditionLook:
    """Compare one condition with what was observed."""
    value = values.get(condition.field)
    if value is None or value != value:
        return ConditionLook(condition.field, condition.op, condition.value, None, met=False)
    met = COMPARE[condition.op](value, condition.value)
    off = abs(value - condition.value) / max(abs(condition.value), 1.0)
    return ConditionLook(
        condition.field, condition.op, condition.value, value, met, None if met else off
    )


def scenario_looks(
    playbook: Playbook, symbol: str, values: Mapping[str, float | None]
) -> tuple[ScenarioLook, ...]:
    """Every scenario of a symbol against one observation, in the order they are tried."""
    scenarios = [s for stock in playbook.stocks if stock.symbol == symbol for s in stock.scenarios]
    return tuple(
        ScenarioLook(
            scenario_id=scenario_id(symbol, index),
            action=scenario.action.value,
            confidence=scenario.confidence,
            conditions=tuple(look_at(condition, values) for condition in scenario.conditions),
        )
        for index, scenario in enumerate(scenarios)
    )


def nearest(looks: Sequence[ScenarioLook], *, held: bool) -> ScenarioLook | None:
    """The scenario that came closest: of the exits when it is held, of the entries when not.

    One that lacks data is further away than any that does not; the earlier one on a tie.
    """
    wanted = {Action.SELL.value, Action.REDUCE.value} if held else {Action.BUY.value}
    able = [look for look in looks if look.action in wanted and not look.matched]
    return min(
        able,
        key=lambda look: (look.distance is None, look.distance or 0.0, len(look.failing)),
        default=None,
    )


def missing_change(look: ScenarioLook, *, confidence_threshold: int) -> str:
    """What would have had to be different for a scenario that did not match."""
    needs = "; ".join(condition.needed for condition in look.failing)
    words = f"{look.scenario_id} ({look.action}) was the nearest: {needs}"
    if look.action == Action.BUY.value and look.confidence < confidence_threshold:
        words += (
            f"; even then its confidence {look.confidence} is below the threshold "
            f"{confidence_threshold}"
        )
    return words


def refusal_change(code: str, note: str) -> str:
    """What would have had to be different for an order that the gate refused."""
    words = f"the risk gate refused it as {code.replace('_', ' ')}: {note}"
    advice = ADVICE.get(RefusalCode(code)) if code in set(RefusalCode) else None
    return f"{words}; {advice}" if advice else words


def standing_in_scan(row: ScreenedRow | None, *, scanned: int, last_score: float | None) -> str:
    """What the scanner made of a symbol, and what it lacked.

    Args:
        row: Its row of the scan; None when it was not in the universe.
        scanned: How many symbols were; 0 when no scan was written down.
        last_score: The lowest score that was still chosen.
    """
    if row is None:
        if not scanned:
            return "no scan of this session was written down"
        return f"not among the {scanned} symbols that were scanned"
    if row.reason:
        words = f"excluded as {row.reason.replace('_', ' ')}"
        value, bound = row.selection.get("value"), row.selection.get("bound")
        return words if value is None else f"{words}: {value:.4g}, needed at least {bound:g}"
    score = "" if row.score is None else f" with score {row.score:.1f}"
    if row.chosen:
        return f"chosen at place {row.place}{score}"
    lacking = "" if last_score is None else f", the last one taken had {last_score:.1f}"
    return f"qualified at place {row.place}{score} and was not taken{lacking}"
