"""The review of a playbook: what is unsafe goes, exits stay, whoever wrote it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trading_core.model.limits import PlanLimits
from trading_core.model.playbook import (
    Action,
    Condition,
    LintNote,
    Outlook,
    PlaybookDraft,
    Scenario,
    StockPlan,
)
from trading_core.rules.loss_guard import LossGuard
from trading_core.rules.plan_review import ReviewBounds, entry_confidence, review

BOUNDS = ReviewBounds(
    plan=PlanLimits(max_new_positions=2),
    confidence_threshold=80,
    loosest_stop_pct=-7.0,
    total_allocation_pct=95.0,
    prices={"A": 100.0, "B": 100.0},
    atr_pct={"A": 2.0},
)


def when(field: str = "volume_ratio", op: str = ">", value: float = 2.0) -> tuple[Condition, ...]:
    return (Condition(field=field, op=op, value=value),)  # type: ignore[arg-type]


def buy(**fields: Any) -> Scenario:
    base: dict[str, Any] = {
        "conditions": when(),
        "action": Action.BUY,
        "confidence": 85,
        "allocation_pct": 5.0,
        "stop_loss_pct": -4.0,
    }
    return Scenario(**(base | fields))


SELL = Scenario(conditions=when("unrealized_pnl_pct", "<", -3), action=Action.SELL, confidence=90)
REDUCE = Scenario(conditions=when("rsi", ">", 80), action=Action.REDUCE, confidence=90)


def draft(outlook: Outlook = Outlook.NEUTRAL, **stocks: tuple[Scenario, ...]) -> PlaybookDraft:
    plans = tuple(StockPlan(symbol=symbol, scenarios=plan) for symbol, plan in stocks.items())
    return PlaybookDraft(outlook=outlook, stocks=plans)


def left(of: PlaybookDraft, bounds: ReviewBounds = BOUNDS) -> dict[str, list[Action]]:
    reviewed, _ = review(of, bounds)
    return {stock.symbol: [s.action for s in stock.scenarios] for stock in reviewed.stocks}


def notes(of: PlaybookDraft, bounds: ReviewBounds = BOUNDS) -> tuple[LintNote, ...]:
    return review(of, bounds)[1]


def test_a_good_draft_passes_as_it_is() -> None:
    good = draft(A=(SELL, buy()), B=(buy(),))
    assert review(good, BOUNDS) == (good, ())


@pytest.mark.parametrize(
    ("guard", "expected"),
    [
        (LossGuard(symbols={"A": "two losses"}), {"A": [Action.SELL], "B": [Action.BUY]}),
        (LossGuard(market="three losing sessions"), {"A": [Action.SELL]}),
    ],
)
def test_the_loss_guard_removes_every_buy_and_leaves_exits(
    guard: LossGuard, expected: dict[str, list[Action]]
) -> None:
    sure = draft(Outlook.BULLISH, A=(buy(confidence=100), SELL, buy()), B=(buy(confidence=100),))
    assert left(sure, replace(BOUNDS, guard=guard)) == expected
    found = notes(sure, replace(BOUNDS, guard=guard))
    assert {note.kind for note in found} == {"reviewed"}
    assert all("loss guard" in note.reason for note in found)


@pytest.mark.parametrize(
    ("outlook", "confidence", "stays"),
    [
        (Outlook.NEUTRAL, 80, True),
        (Outlook.NEUTRAL, 79, False),
        (Outlook.BULLISH, 79, False),
        (Outlook.BEARISH, 90, True),
        (Outlook.BEARISH, 89, False),
    ],
)
def test_a_buy_needs_the_confidence_its_outlook_asks_for(
    outlook: Outlook, confidence: int, stays: bool
) -> None:
    assert bool(left(draft(outlook, A=(buy(confidence=confidence),)))) is stays


def test_a_stricter_threshold_holds_for_every_outlook() -> None:
    assert entry_confidence(Outlook.BEARISH, 95) == entry_confidence(Outlook.BULLISH, 95) == 95


def test_a_sure_buy_does_not_take_the_place_of_an_unsure_one() -> None:
    ladder = draft(A=(buy(confidence=60), buy(confidence=95, conditions=when(value=3.0))))
    assert left(ladder) == {}


@pytest.mark.parametrize(("stop", "stays"), [(-7.0, True), (-7.5, False)])
def test_a_stop_wider_than_the_exits_use_costs_the_buy(stop: float, stays: bool) -> None:
    assert bool(left(draft(A=(buy(stop_loss_pct=stop),)))) is stays


@pytest.mark.parametrize(
    ("condition", "stays"),
    [
        (("change_pct", ">", 16.0), True),
        (("change_pct", ">", 17.0), False),
        (("gap_pct", "<", -17.0), False),
        (("change_pct", "<", 17.0), True),
        (("price", ">", 118.0), False),
        (("price", "<", 83.0), False),
        (("price", "<", 118.0), True),
        (("rsi", ">", 90.0), True),
    ],
)
def test_a_threshold_beyond_the_stocks_own_range_costs_the_buy(
    condition: tuple[str, str, float], stays: bool
) -> None:
    assert bool(left(draft(A=(buy(conditions=when(*condition)),)))) is stays
    assert left(draft(B=(buy(conditions=when(*condition)),)))  # its range is not known


def test_only_so_many_new_positions_are_opened_and_the_most_confident_stay() -> None:
    many = draft(A=(buy(confidence=81),), B=(buy(confidence=90), SELL), C=(buy(confidence=85),))
    assert set(left(many)) == {"B", "C"}
    assert set(left(many, replace(BOUNDS, held={"B"}))) == {"A", "B", "C"}
    unlimited = replace(BOUNDS, plan=PlanLimits(max_new_positions=0))
    assert set(left(many, unlimited)) == {"A", "B", "C"}


def test_all_entries_together_stay_under_their_cap() -> None:
    large = draft(A=(buy(confidence=90), SELL), B=(buy(confidence=95),))
    tight = replace(BOUNDS, total_allocation_pct=9.0)
    assert left(large, tight) == {"A": [Action.SELL], "B": [Action.BUY]}
    assert left(large, replace(BOUNDS, total_allocation_pct=10.0))["A"] == [Action.BUY, Action.SELL]


def test_an_exit_of_what_is_neither_held_nor_bought_is_removed() -> None:
    assert left(draft(A=(SELL, REDUCE))) == {}
    assert [n.reason for n in notes(draft(A=(SELL, REDUCE)))] == [
        "SELL of what is not held",
        "REDUCE of what is not held",
    ]
    held = replace(BOUNDS, held={"A"})
    assert left(draft(A=(SELL, REDUCE)), held) == {"A": [Action.SELL, Action.REDUCE]}


def test_our_own_rules_may_plan_more_than_is_bought_and_are_guarded_all_the_same() -> None:
    own = replace(BOUNDS, by_rules=True, total_allocation_pct=1.0)
    many = draft(A=(buy(),), B=(buy(), SELL), C=(buy(),), D=(SELL,))
    assert review(many, own) == (many, ())
    guarded = replace(own, guard=LossGuard(market="three losing sessions"))
    assert left(many, guarded) == {"B": [Action.SELL], "D": [Action.SELL]}
