"""The compiled engine and the plain loop must agree on everything, for any playbook and frame."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import get_args

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.plain_matcher import holds, plain_match
from trading_core.model.playbook import (
    Action,
    Condition,
    GlobalAction,
    GlobalRule,
    MarketCondition,
    MarketField,
    Operator,
    Outlook,
    Playbook,
    PlaybookSource,
    Scenario,
    StockField,
    StockPlan,
)
from trading_core.model.price import ObservationFrame
from trading_core.rules.scenarios import compile_playbook, match

AT = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
SESSION = date(2026, 11, 20)
FIELDS = get_args(StockField)
OPERATORS = get_args(Operator)
MARKET_FIELDS = get_args(MarketField)
SMALLEST, LARGEST = 5e-324, 1.7976931348623157e308

# Few distinct numbers, so that values meet bounds often, and the corners of the doubles.
ordinary = [1.0, 30.0, math.nextafter(30.0, 0), math.nextafter(30.0, 99), -3.0, 0.1 + 0.2, 0.3]
extreme = [0.0, -0.0, SMALLEST, -SMALLEST, 2.2250738585072014e-308, LARGEST, -LARGEST]
corners = st.sampled_from([*ordinary, *extreme])
bounds = corners | st.floats(allow_nan=False, allow_infinity=False)
values = bounds | st.sampled_from([math.nan, math.inf, -math.inf])
symbols = st.sampled_from(["005930", "000660", "AAPL", "MSFT"])
conditions = st.builds(
    Condition, field=st.sampled_from(FIELDS[:4]), op=st.sampled_from(OPERATORS), value=bounds
)
scenarios = st.builds(
    Scenario,
    conditions=st.lists(conditions, min_size=1, max_size=4).map(tuple),
    action=st.sampled_from(Action),
    confidence=st.integers(0, 100),
)
stocks = st.builds(
    StockPlan, symbol=symbols, scenarios=st.lists(scenarios, min_size=1, max_size=4).map(tuple)
)
rules = st.builds(
    GlobalRule,
    condition=st.builds(
        MarketCondition,
        field=st.sampled_from(MARKET_FIELDS),
        op=st.sampled_from(OPERATORS),
        value=bounds,
    ),
    action=st.sampled_from(GlobalAction),
)


def playbook_of(stocks: tuple[StockPlan, ...], rules: tuple[GlobalRule, ...] = ()) -> Playbook:
    return Playbook(
        session=SESSION,
        market="KR",
        source=PlaybookSource.RULES,
        outlook=Outlook.NEUTRAL,
        global_rules=rules,
        stocks=stocks,
        generated_at=AT,
    )


playbooks = st.builds(
    playbook_of,
    st.lists(stocks, max_size=4).map(tuple),
    st.lists(rules, max_size=3).map(tuple),
)


@st.composite
def frames(draw: st.DrawFn) -> ObservationFrame:
    names = tuple(draw(st.lists(symbols, max_size=5)))
    columns = {
        name: np.array(draw(st.lists(values, min_size=len(names), max_size=len(names))))
        for name in draw(st.lists(st.sampled_from(FIELDS[:5]), unique=True, max_size=5))
    }
    market = draw(st.dictionaries(st.sampled_from(MARKET_FIELDS), values))
    return ObservationFrame(AT, names, columns, market)


@settings(max_examples=200, deadline=None)
@given(playbooks, frames())
def test_the_compiled_engine_says_what_the_plain_loop_says(
    playbook: Playbook, frame: ObservationFrame
) -> None:
    compiled = compile_playbook(playbook)
    result = match(compiled, frame)
    expected = plain_match(playbook, frame)

    assert [hit.index for hit in result.global_matches] == expected.global_rules
    first_rule = playbook.global_rules[expected.global_rules[0]] if expected.global_rules else None
    assert result.global_rule is first_rule
    assert {symbol: found.index for symbol, found in result.first.items()} == expected.first
    assert {
        symbol: [found.index for found in matches] for symbol, matches in result.also.items()
    } == expected.also
    assert {
        symbol: (near.match.index, *near.condition.model_dump().values(), near.value, near.distance)
        for symbol, near in result.nearest.items()
    } == {
        symbol: (near.index, near.field, near.op, near.threshold, near.value, near.distance)
        for symbol, near in expected.nearest.items()
    }
    assert dict(result.missing) == expected.missing
    assert compiled.fields_used == {
        condition.field
        for stock in playbook.stocks
        for scenario in stock.scenarios
        for condition in scenario.conditions
    }


@settings(max_examples=200, deadline=None)
@given(values, st.sampled_from(OPERATORS), bounds)
@example(30.0, "<", 30.0)
@example(30.0, "<=", 30.0)
@example(-0.0, ">=", 0.0)
@example(0.0, ">", -0.0)
@example(SMALLEST, "<=", 0.0)
@example(-SMALLEST, ">=", 0.0)
@example(math.inf, "<=", LARGEST)
@example(-math.inf, ">=", -LARGEST)
@example(LARGEST, "<=", LARGEST)
def test_one_comparison_is_exactly_its_operator(value: float, op: str, bound: float) -> None:
    scenario = Scenario(
        conditions=(Condition(field="rsi", op=op, value=bound),), action=Action.BUY, confidence=1
    )
    compiled = compile_playbook(playbook_of((StockPlan(symbol="A", scenarios=(scenario,)),)))
    frame = ObservationFrame(AT, ("A",), {"rsi": np.array([value])})
    assert bool(match(compiled, frame).first) is holds(value, op, bound)


@settings(max_examples=60, deadline=None)
@given(playbooks, frames())
def test_the_journal_rows_are_the_result_written_down(
    playbook: Playbook, frame: ObservationFrame
) -> None:
    result = match(compile_playbook(playbook), frame)
    rows = result.rows("KR", SESSION)
    by_kind: dict[str, list[str]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row.scenario_id)
    assert by_kind.get("global", []) == [f"global#{hit.index}" for hit in result.global_matches]
    assert by_kind.get("first", []) == [found.scenario_id for found in result.first.values()]
    assert by_kind.get("also", []) == [
        found.scenario_id for matches in result.also.values() for found in matches
    ]
    assert by_kind.get("near", []) == [near.match.scenario_id for near in result.nearest.values()]
    assert len({(row.scenario_id, row.kind) for row in rows}) == len(rows)
