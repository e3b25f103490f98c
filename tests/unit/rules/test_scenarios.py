"""How one tick meets its playbook, case by case."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import pytest

from trading_core.model.playbook import (
    Action,
    Condition,
    GlobalAction,
    GlobalRule,
    MarketCondition,
    Outlook,
    Playbook,
    PlaybookSource,
    Scenario,
    StockPlan,
)
from trading_core.model.price import ObservationFrame
from trading_core.rules.scenarios import MatchResult, compile_playbook, match

AT = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
SESSION = date(2026, 11, 20)


def scenario(action: Action, *conditions: str, confidence: int = 85) -> Scenario:
    """``scenario(Action.BUY, "rsi < 30", "volume_ratio >= 2")``."""
    parts = [text.split() for text in conditions]
    return Scenario(
        conditions=tuple(Condition(field=f, op=o, value=float(v)) for f, o, v in parts),
        action=action,
        confidence=confidence,
    )


def rule(text: str, action: GlobalAction) -> GlobalRule:
    name, op, value = text.split()
    return GlobalRule(
        condition=MarketCondition(field=name, op=op, value=float(value)), action=action
    )


def playbook(plans: dict[str, list[Scenario]], *rules: GlobalRule) -> Playbook:
    return Playbook(
        session=SESSION,
        market="KR",
        source=PlaybookSource.GEMINI,
        outlook=Outlook.NEUTRAL,
        global_rules=rules,
        stocks=tuple(StockPlan(symbol=s, scenarios=tuple(p)) for s, p in plans.items()),
        generated_at=AT,
    )


def frame(
    rows: dict[str, dict[str, float]], market: dict[str, float] | None = None
) -> ObservationFrame:
    names = sorted({name for row in rows.values() for name in row})
    columns = {
        name: np.array([row.get(name, math.nan) for row in rows.values()], dtype=np.float64)
        for name in names
    }
    return ObservationFrame(AT, tuple(rows), columns, market or {})


def met(book: Playbook, seen: ObservationFrame) -> MatchResult:
    return match(compile_playbook(book), seen)


OVERSOLD = scenario(Action.BUY, "rsi < 30")
LOSS = scenario(Action.SELL, "unrealized_pnl_pct <= -3", confidence=90)


@pytest.mark.parametrize(
    ("op", "value", "matches"),
    [
        ("<", 29.999, True),
        ("<", 30.0, False),
        ("<=", 30.0, True),
        ("<=", 30.001, False),
        (">", 30.0, False),
        (">", 30.001, True),
        (">=", 30.0, True),
        (">=", 29.999, False),
    ],
)
def test_a_value_equal_to_the_bound_matches_only_the_closed_operators(
    op: str, value: float, matches: bool
) -> None:
    result = met(
        playbook({"A": [scenario(Action.BUY, f"rsi {op} 30")]}), frame({"A": {"rsi": value}})
    )
    assert ("A" in result.first) is matches


def test_the_first_matching_scenario_wins_and_the_second_is_recorded() -> None:
    book = playbook({"A": [OVERSOLD, scenario(Action.HOLD, "rsi < 40")]})
    result = met(book, frame({"A": {"rsi": 25.0}}))
    assert result.first["A"].scenario.action is Action.BUY
    assert result.first["A"].scenario_id == "A#0"
    assert [found.scenario_id for found in result.also["A"]] == ["A#1"]
    assert [(row.kind, row.scenario_id) for row in result.rows("KR", SESSION)] == [
        ("first", "A#0"),
        ("also", "A#1"),
    ]


def test_swapping_two_scenarios_that_both_match_swaps_the_winner() -> None:
    both = [OVERSOLD, scenario(Action.HOLD, "rsi < 40")]
    seen = frame({"A": {"rsi": 25.0}})
    assert met(playbook({"A": both}), seen).action("A") is Action.BUY
    assert met(playbook({"A": both[::-1]}), seen).action("A") is Action.HOLD


def test_all_conditions_of_a_scenario_must_hold() -> None:
    book = playbook({"A": [scenario(Action.BUY, "rsi < 30", "volume_ratio > 2")]})
    assert not met(book, frame({"A": {"rsi": 20.0, "volume_ratio": 2.0}})).first
    assert met(book, frame({"A": {"rsi": 20.0, "volume_ratio": 2.1}})).first


def test_a_missing_field_never_matches_and_is_counted_once_per_symbol() -> None:
    book = playbook(
        {
            "A": [OVERSOLD, scenario(Action.HOLD, "rsi >= 30", "price > 1")],
            "B": [OVERSOLD],
            "C": [OVERSOLD],
        },
        rule("index_change_pct < -2", GlobalAction.NO_ENTRIES),
    )
    result = met(book, frame({"A": {"rsi": math.nan}, "B": {"rsi": 10.0}}))
    assert result.matched_symbols == ("B",)
    assert result.missing == {"rsi": 2, "price": 1, "index_change_pct": 1}


def test_a_scenario_that_failed_for_want_of_data_is_no_near_miss() -> None:
    book = playbook({"A": [scenario(Action.BUY, "rsi < 30", "volume_ratio > 2")]})
    assert met(book, frame({"A": {"rsi": 30.5}})).nearest == {}


def test_a_frame_without_symbols_matches_nothing() -> None:
    result = met(playbook({"A": [OVERSOLD]}), frame({}))
    assert (result.first, result.missing, result.rows("KR", SESSION)) == ({}, {"rsi": 1}, [])


def test_an_empty_playbook_matches_nothing() -> None:
    result = met(playbook({}), frame({"A": {"rsi": 10.0}}))
    assert (result.first, result.nearest, result.missing) == ({}, {}, {})
    assert result.rows("KR", SESSION) == []
    assert compile_playbook(playbook({})).symbols == ()


def test_a_holding_that_nobody_planned_holds() -> None:
    result = met(playbook({"A": [OVERSOLD]}), frame({"A": {"rsi": 10.0}, "Z": {"rsi": 10.0}}))
    assert result.action("A") is Action.BUY
    assert result.action("Z") is Action.HOLD


def test_symbols_are_found_whatever_the_order_of_the_frame() -> None:
    book = playbook({"A": [OVERSOLD], "B": [LOSS]})
    seen = frame({"Z": {"rsi": 1.0}, "B": {"unrealized_pnl_pct": -3.0}, "A": {"rsi": 29.0}})
    result = met(book, seen)
    assert {symbol: found.scenario for symbol, found in result.first.items()} == {
        "A": OVERSOLD,
        "B": LOSS,
    }


def test_the_first_true_global_rule_is_in_force_and_the_others_are_recorded() -> None:
    book = playbook(
        {"A": [OVERSOLD]},
        rule("cash_pct < 5", GlobalAction.NO_ENTRIES),
        rule("day_pnl_pct < -2", GlobalAction.REDUCE_ALL),
        rule("day_pnl_pct < -1", GlobalAction.NO_ENTRIES),
    )
    seen = frame({"A": {"rsi": 10.0}}, {"day_pnl_pct": -2.5, "cash_pct": 50.0})
    result = met(book, seen)
    assert result.global_rule is book.global_rules[1]
    rows = result.rows("KR", SESSION)
    assert [(row.kind, row.scenario_id, row.action) for row in rows] == [
        ("global", "global#1", "REDUCE_ALL"),
        ("global", "global#2", "NO_ENTRIES"),
        ("first", "A#0", "BUY"),
    ]
    assert (rows[0].field, rows[0].op, rows[0].threshold, rows[0].value) == (
        "day_pnl_pct",
        "<",
        -2.0,
        -2.5,
    )


def test_a_global_rule_on_its_bound_is_not_true() -> None:
    book = playbook({}, rule("day_pnl_pct < -2", GlobalAction.REDUCE_ALL))
    assert met(book, frame({}, {"day_pnl_pct": -2.0})).global_rule is None


def test_the_nearest_miss_names_the_condition_that_failed_by_the_most() -> None:
    book = playbook(
        {
            "A": [
                scenario(Action.BUY, "rsi < 20", "volume_ratio > 2"),
                scenario(Action.BUY, "rsi < 30", "volume_ratio > 2", confidence=70),
            ]
        }
    )
    near = met(book, frame({"A": {"rsi": 33.0, "volume_ratio": 1.9}})).nearest["A"]
    assert near.match.scenario_id == "A#1"
    assert near.condition == Condition(field="rsi", op="<", value=30.0)
    assert near.value == 33.0
    assert near.distance == pytest.approx(0.1)


def test_a_near_miss_on_the_bound_has_distance_zero() -> None:
    near = met(playbook({"A": [OVERSOLD]}), frame({"A": {"rsi": 30.0}})).nearest["A"]
    assert near.distance == 0.0


def test_a_near_miss_row_carries_its_numbers() -> None:
    [row] = met(playbook({"A": [OVERSOLD]}), frame({"A": {"rsi": 33.0}})).rows("KR", SESSION)
    assert (row.market, row.session, row.at, row.symbol) == ("KR", SESSION, AT, "A")
    assert (row.kind, row.scenario_id, row.action, row.confidence) == ("near", "A#0", "BUY", 85)
    assert (row.field, row.op, row.threshold, row.value) == ("rsi", "<", 30.0, 33.0)
    assert row.distance == pytest.approx(0.1)


def test_a_distance_below_a_threshold_of_one_is_absolute() -> None:
    book = playbook({"A": [scenario(Action.BUY, "change_pct > 0")]})
    near = met(book, frame({"A": {"change_pct": -0.25}})).nearest["A"]
    assert near.distance == 0.25


def test_a_symbol_planned_twice_is_one_plan_in_the_order_written() -> None:
    once = playbook({"A": [OVERSOLD]})
    book = once.model_copy(
        update={"stocks": (*once.stocks, StockPlan(symbol="A", scenarios=(LOSS,)))}
    )
    result = met(book, frame({"A": {"rsi": 50.0, "unrealized_pnl_pct": -5.0}}))
    assert result.first["A"].scenario_id == "A#1"
    assert compile_playbook(book).symbols == ("A",)


def test_the_first_row_of_a_symbol_seen_twice_counts() -> None:
    seen = ObservationFrame(AT, ("A", "A"), {"rsi": np.array([50.0, 10.0])})
    assert met(playbook({"A": [OVERSOLD]}), seen).first == {}


def test_the_fields_used_tell_what_must_be_observed() -> None:
    compiled = compile_playbook(
        playbook({"A": [OVERSOLD, LOSS]}, rule("cash_pct < 5", GlobalAction.NO_ENTRIES))
    )
    assert compiled.fields_used == {"rsi", "unrealized_pnl_pct"}
    assert compiled.market_fields_used == {"cash_pct"}
    assert compiled.symbols == ("A",)


def test_a_result_does_not_change_when_the_frame_is_written_over() -> None:
    seen = frame({"A": {"rsi": 33.0}})
    result = met(playbook({"A": [OVERSOLD]}), seen)
    seen.columns["rsi"][0] = math.nan
    assert result.missing == {}
    assert result.nearest["A"].value == 33.0


def test_a_column_of_another_length_is_an_error_not_a_shifted_answer() -> None:
    seen = ObservationFrame(AT, ("A", "B"), {"rsi": np.array([10.0])})
    with pytest.raises(ValueError, match="rsi has 1 values for 2 symbols"):
        met(playbook({"A": [OVERSOLD]}), seen)


def test_a_scenario_without_conditions_does_not_compile() -> None:
    hollow = OVERSOLD.model_copy(update={"conditions": ()})
    book = playbook({"A": [OVERSOLD]})
    broken = book.stocks[0].model_copy(update={"scenarios": (OVERSOLD, hollow)})
    with pytest.raises(ValueError, match="A#1 has no condition"):
        compile_playbook(book.model_copy(update={"stocks": (broken,)}))


def test_a_threshold_that_is_not_finite_does_not_compile() -> None:
    endless = Condition.model_construct(field="rsi", op="<=", value=math.inf)
    broken = StockPlan.model_construct(
        symbol="A", scenarios=(OVERSOLD.model_copy(update={"conditions": (endless,)}),)
    )
    with pytest.raises(ValueError, match="not finite"):
        compile_playbook(playbook({}).model_copy(update={"stocks": (broken,)}))
