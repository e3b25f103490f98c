"""What lint drops, what it repairs, and that it only ever makes a playbook stricter."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_core.model.limits import PlanLimits
from trading_core.model.playbook import (
    Action,
    Condition,
    GlobalAction,
    GlobalRule,
    LintNote,
    MarketCondition,
    Outlook,
    Playbook,
    PlaybookDraft,
    PlaybookSource,
    Scenario,
    StockPlan,
)
from trading_core.model.price import ObservationFrame
from trading_core.rules.exits import DEFAULT_STOP_LOSS_PCT
from trading_core.rules.lint import DEFAULT_ALLOCATION_PCT, LOOSEST_STOP_LOSS_PCT, lint
from trading_core.rules.scenarios import MatchResult, compile_playbook, match

AT = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
LIMITS = PlanLimits()
PRICES = {"A": 100.0, "B": 50.0}


def conditions(*texts: str) -> tuple[Condition, ...]:
    parts = [text.split() for text in texts]
    return tuple(Condition(field=f, op=o, value=float(v)) for f, o, v in parts)


def buy(*texts: str, **changes: Any) -> Scenario:
    fields: dict[str, Any] = {"confidence": 85, "allocation_pct": 5.0, "stop_loss_pct": -2.0}
    return Scenario(conditions=conditions(*texts), action=Action.BUY, **(fields | changes))


def sell(*texts: str) -> Scenario:
    return Scenario(conditions=conditions(*texts), action=Action.SELL, confidence=90)


def hold(*texts: str) -> Scenario:
    return Scenario(conditions=conditions(*texts), action=Action.HOLD, confidence=50)


def rule(text: str, action: GlobalAction) -> GlobalRule:
    name, op, value = text.split()
    return GlobalRule(
        condition=MarketCondition(field=name, op=op, value=float(value)), action=action
    )


def draft(
    *scenarios: Scenario, symbol: str = "A", rules: tuple[GlobalRule, ...] = ()
) -> PlaybookDraft:
    stocks = (StockPlan(symbol=symbol, scenarios=scenarios),) if scenarios else ()
    return PlaybookDraft(outlook=Outlook.NEUTRAL, global_rules=rules, stocks=stocks)


def checked(
    written: PlaybookDraft,
    *,
    prices: Mapping[str, float] = PRICES,
    held: Collection[str] = (),
    limits: PlanLimits = LIMITS,
) -> tuple[PlaybookDraft, tuple[LintNote, ...]]:
    return lint(written, prices=prices, held=held, limits=limits)


def left(written: PlaybookDraft, **given: Any) -> list[Scenario]:
    """The scenarios of the first stock that lint leaves."""
    result, _ = checked(written, **given)
    return list(result.stocks[0].scenarios) if result.stocks else []


def told(notes: tuple[LintNote, ...]) -> list[tuple[str, int | None, str]]:
    return [(note.symbol, note.scenario, note.kind) for note in notes]


def test_a_sound_draft_passes_unchanged_and_without_notes() -> None:
    sound = draft(
        sell("unrealized_pnl_pct <= -2"),
        buy("rsi < 30", "price > 60", take_profit_pct=3.0),
        rules=(rule("day_pnl_pct < -2", GlobalAction.REDUCE_ALL),),
    )
    assert checked(sound) == (sound, ())


def test_an_unknown_symbol_is_dropped() -> None:
    result, notes = checked(draft(buy("rsi < 30"), symbol="ZZZZ"))
    assert result.stocks == ()
    assert told(notes) == [("ZZZZ", None, "dropped")]


def test_a_holding_is_known_without_a_price() -> None:
    kept = left(draft(sell("rsi > 70"), symbol="H"), held={"H"})
    assert kept == [sell("rsi > 70")]


@pytest.mark.parametrize(
    "impossible",
    [
        ("rsi < 30", "rsi > 70"),
        ("rsi < 30", "rsi >= 30"),
        ("rsi < 30", "change_pct > 1", "rsi > 30"),
        ("rsi < 0",),
        ("rsi > 100",),
        ("momentum > 100",),
        ("momentum <= -1",),
        ("minutes_to_close < 0",),
        ("minutes_to_close > 2000",),
        ("price <= 0",),
        ("volume_ratio < 0",),
        ("change_pct < -100",),
        ("holding_days < 0",),
    ],
)
def test_conditions_that_can_never_hold_are_dropped(impossible: tuple[str, ...]) -> None:
    result, notes = checked(draft(buy(*impossible), sell("rsi > 80")))
    assert result.stocks[0].scenarios == (sell("rsi > 80"),)
    assert told(notes) == [("A", 0, "dropped")]


@pytest.mark.parametrize(
    "possible",
    [
        ("rsi <= 30", "rsi >= 30"),
        ("rsi <= 0",),
        ("rsi >= 100",),
        ("rsi > 30", "rsi < 30.000000000000007"),
        ("change_pct <= -100",),
        ("minutes_to_close <= 0",),
    ],
)
def test_conditions_that_hold_for_a_single_value_stay(possible: tuple[str, ...]) -> None:
    assert left(draft(sell(*possible))) == [sell(*possible)]


def test_a_threshold_that_is_not_a_number_is_dropped() -> None:
    odd = Condition.model_construct(field="rsi", op="<", value=math.nan)
    scenario = sell("rsi > 80").model_copy(update={"conditions": (odd,)})
    assert left(draft(scenario, sell("rsi > 80"))) == [sell("rsi > 80")]


def test_a_duplicate_scenario_is_dropped_and_the_first_stays() -> None:
    result, notes = checked(draft(sell("rsi > 70"), hold("rsi > 70")))
    assert result.stocks[0].scenarios == (sell("rsi > 70"),)
    assert told(notes) == [("A", 1, "dropped")]


def test_a_scenario_behind_a_wider_one_is_dropped() -> None:
    narrow = sell("rsi > 80", "volume_ratio > 2")
    assert left(draft(sell("rsi > 70"), narrow)) == [sell("rsi > 70")]


def test_a_scenario_before_a_wider_one_stays() -> None:
    plan = [sell("rsi > 80"), hold("rsi > 70")]
    assert left(draft(*plan)) == plan


def test_a_field_that_may_be_missing_does_not_shadow() -> None:
    plan = [hold("rsi >= 0"), sell("change_pct < -3")]
    assert left(draft(*plan)) == plan


def test_a_price_threshold_far_off_the_market_is_dropped() -> None:
    written = draft(sell("price > 151"), sell("price < 49"), sell("price > 150"))
    result, notes = checked(written)
    assert result.stocks[0].scenarios == (sell("price > 150"),)
    assert [note.scenario for note in notes] == [0, 1]
    assert "far off" in notes[0].reason


def test_a_buy_whose_price_cannot_be_checked_is_dropped_and_an_exit_stays() -> None:
    written = draft(sell("price < 90"), buy("price > 90"))
    assert left(written, prices={"A": math.nan}) == [sell("price < 90")]


def test_a_buy_behind_a_dropped_scenario_does_not_take_its_place() -> None:
    written = draft(hold("price < 700"), buy("rsi < 30"), sell("rsi > 80"))
    result, notes = checked(written)
    assert result.stocks[0].scenarios == (sell("rsi > 80"),)
    assert [note.scenario for note in notes] == [0, 1]


def test_a_buy_that_could_not_meet_the_dropped_scenario_stays() -> None:
    written = draft(hold("price < 700", "rsi > 50"), buy("rsi < 30"))
    assert left(written) == [buy("rsi < 30")]


def test_a_buy_behind_a_dropped_buy_stays_only_with_no_higher_confidence() -> None:
    far = buy("price < 7", confidence=80)
    assert left(draft(far, buy("rsi < 30", confidence=80))) == [buy("rsi < 30", confidence=80)]
    assert left(draft(far, buy("rsi < 30", confidence=81))) == []


def test_a_buy_without_stop_gets_the_default_stop() -> None:
    result, notes = checked(draft(buy("rsi < 30", stop_loss_pct=None)))
    assert result.stocks[0].scenarios[0].stop_loss_pct == DEFAULT_STOP_LOSS_PCT
    assert told(notes) == [("A", 0, "repaired")]


def test_a_stop_too_wide_is_tightened_and_a_tight_one_is_left() -> None:
    written = draft(buy("rsi < 30", stop_loss_pct=-60), buy("rsi > 60", stop_loss_pct=-0.5))
    assert [s.stop_loss_pct for s in left(written)] == [LOOSEST_STOP_LOSS_PCT, -0.5]


def test_a_target_below_the_costs_is_left_out() -> None:
    result, notes = checked(draft(buy("rsi < 30", take_profit_pct=0.2)))
    assert result.stocks[0].scenarios[0].take_profit_pct is None
    assert told(notes) == [("A", 0, "repaired")]


def test_a_buy_without_allocation_gets_the_default_within_the_cap() -> None:
    written = draft(buy("rsi < 30", allocation_pct=0))
    assert left(written)[0].allocation_pct == DEFAULT_ALLOCATION_PCT
    assert left(written, limits=PlanLimits(max_allocation_pct=2.0))[0].allocation_pct == 2.0


def test_an_allocation_over_the_cap_is_cut_and_one_on_it_is_left() -> None:
    written = draft(buy("rsi < 30", allocation_pct=80), buy("rsi > 60", allocation_pct=10))
    result, notes = checked(written)
    assert [s.allocation_pct for s in result.stocks[0].scenarios] == [10.0, 10.0]
    assert told(notes) == [("A", 0, "repaired")]


def test_no_buy_is_left_when_no_allocation_is_allowed() -> None:
    assert left(draft(buy("rsi < 30")), limits=PlanLimits(max_allocation_pct=0.0)) == []


def test_an_exit_for_a_symbol_not_held_stays() -> None:
    assert left(draft(sell("rsi > 80"))) == [sell("rsi > 80")]


def test_scenarios_beyond_the_limit_are_cut() -> None:
    plan = [hold(f"rsi > {bound}") for bound in (90, 80, 70, 60, 50, 40)]
    result, notes = checked(draft(*plan))
    assert list(result.stocks[0].scenarios) == plan[:5]
    assert told(notes) == [("A", 5, "dropped")]


def test_the_cut_of_a_holding_spares_its_exit() -> None:
    plan = [hold(f"rsi > {bound}") for bound in (90, 80, 70, 60, 50)]
    exit_ = sell("change_pct < -2")
    result, notes = checked(draft(*plan, exit_), held={"A"})
    assert list(result.stocks[0].scenarios) == [*plan[:4], exit_]
    assert told(notes) == [("A", 4, "dropped")]


def test_a_holding_without_exit_gets_one_that_nothing_stands_before() -> None:
    result, notes = checked(draft(hold("unrealized_pnl_pct < 0")), held={"A"})
    added, kept = result.stocks[0].scenarios
    assert (added.action, kept) == (Action.SELL, hold("unrealized_pnl_pct < 0"))
    assert added.conditions == conditions(f"unrealized_pnl_pct <= {DEFAULT_STOP_LOSS_PCT}")
    assert told(notes) == [("A", None, "repaired")]


def test_an_exit_that_can_never_act_is_no_exit() -> None:
    written = draft(hold("rsi > 50"), sell("rsi > 80"))
    assert [s.action for s in left(written, held={"A"})] == [Action.SELL, Action.HOLD]


def test_a_holding_that_nobody_planned_gets_an_exit() -> None:
    result, notes = checked(draft(buy("rsi < 30")), held={"H"})
    assert [stock.symbol for stock in result.stocks] == ["A", "H"]
    assert [s.action for s in result.stocks[1].scenarios] == [Action.SELL]
    assert told(notes) == [("H", None, "repaired")]


def test_a_stock_with_nothing_left_is_dropped() -> None:
    result, notes = checked(draft(buy("rsi < 0")))
    assert result.stocks == ()
    assert told(notes) == [("A", 0, "dropped"), ("A", None, "dropped")]


def test_a_symbol_named_twice_is_joined_in_order() -> None:
    once = draft(sell("rsi > 80"))
    twice = once.model_copy(
        update={"stocks": (*once.stocks, StockPlan(symbol="A", scenarios=(buy("rsi < 30"),)))}
    )
    result, notes = checked(twice)
    assert result.stocks == (StockPlan(symbol="A", scenarios=(sell("rsi > 80"), buy("rsi < 30"))),)
    assert told(notes) == [("A", None, "repaired")]


def test_a_global_rule_that_can_never_be_true_is_dropped() -> None:
    result, notes = checked(draft(rules=(rule("day_pnl_pct < -100", GlobalAction.REDUCE_ALL),)))
    assert result.global_rules == ()
    assert told(notes) == [("", 0, "dropped")]


def test_a_reduce_all_behind_a_wider_no_entries_moves_in_front() -> None:
    light = rule("day_pnl_pct < -1", GlobalAction.NO_ENTRIES)
    heavy = rule("day_pnl_pct < -2", GlobalAction.REDUCE_ALL)
    result, notes = checked(draft(rules=(light, heavy)))
    assert result.global_rules == (heavy, light)
    assert told(notes) == [("", 1, "repaired")]


def test_a_no_entries_rule_that_says_the_same_as_a_moved_reduce_all_is_dropped() -> None:
    light = rule("day_pnl_pct < -1", GlobalAction.NO_ENTRIES)
    heavy = rule("day_pnl_pct < -1", GlobalAction.REDUCE_ALL)
    result, notes = checked(draft(rules=(light, heavy)))
    assert result.global_rules == (heavy,)
    assert told(notes) == [("", 1, "repaired"), ("", 0, "dropped")]


def test_a_global_rule_behind_a_wider_one_of_its_kind_is_dropped() -> None:
    wide = rule("day_pnl_pct < -1", GlobalAction.REDUCE_ALL)
    narrow = rule("day_pnl_pct <= -2", GlobalAction.REDUCE_ALL)
    result, notes = checked(draft(rules=(wide, narrow)))
    assert result.global_rules == (wide,)
    assert told(notes) == [("", 1, "dropped")]


BOUNDS: dict[str, list[float]] = {
    "price": [0.0, 20.0, 49.0, 50.0, 90.0, 110.0, 151.0, 1000.0],
    "rsi": [-5.0, 0.0, 30.0, 50.0, 70.0, 100.0],
    "unrealized_pnl_pct": [-100.0, -5.0, -3.0, 0.0, 5.0],
}
SEEN: dict[str, list[float]] = {
    "price": [1e-9, 20.0, 35.0, 50.0, 100.0, 110.0, 160.0, 2000.0, math.nan],
    "rsi": [0.0, 10.0, 30.0, 40.0, 50.0, 60.0, 70.0, 90.0, 100.0, math.nan],
    "unrealized_pnl_pct": [-100.0, -7.0, -5.0, -4.0, -3.0, -1.0, 0.0, 3.0, 8.0, math.nan],
}
MARKET_SEEN = [-100.0, -5.0, -3.0, -2.5, -2.0, -1.0, 0.0, 4.0, math.nan]
operators = st.sampled_from(["<", "<=", ">", ">="])
any_condition = st.sampled_from(sorted(BOUNDS)).flatmap(
    lambda name: st.builds(
        Condition, field=st.just(name), op=operators, value=st.sampled_from(BOUNDS[name])
    )
)
any_scenario = st.builds(
    Scenario,
    conditions=st.lists(any_condition, min_size=1, max_size=3).map(tuple),
    action=st.sampled_from(Action),
    confidence=st.sampled_from([50, 80, 90]),
    allocation_pct=st.sampled_from([0.0, 5.0, 10.0, 80.0]),
    stop_loss_pct=st.sampled_from([None, -0.5, -3.0, -60.0]),
    take_profit_pct=st.sampled_from([None, 0.1, 4.0]),
)
any_stock = st.builds(
    StockPlan,
    symbol=st.sampled_from(["A", "B", "H", "ZZZZ"]),
    scenarios=st.lists(any_scenario, min_size=1, max_size=6).map(tuple),
)
any_rule = st.builds(
    GlobalRule,
    condition=st.builds(
        MarketCondition,
        field=st.sampled_from(["day_pnl_pct", "index_change_pct"]),
        op=operators,
        value=st.sampled_from([-100.0, -3.0, -2.0, 0.0]),
    ),
    action=st.sampled_from(GlobalAction),
)
any_draft = st.builds(
    PlaybookDraft,
    outlook=st.just(Outlook.NEUTRAL),
    global_rules=st.lists(any_rule, max_size=4).map(tuple),
    stocks=st.lists(any_stock, max_size=3).map(tuple),
)
any_held = st.sets(st.sampled_from(["A", "H"]))
any_limits = st.builds(
    PlanLimits,
    max_scenarios_per_stock=st.sampled_from([1, 2, 5]),
    max_allocation_pct=st.sampled_from([0.0, 4.0, 10.0]),
)


@st.composite
def any_frame(draw: st.DrawFn) -> ObservationFrame:
    symbols = ("A", "B", "H", "ZZZZ")
    columns = {
        name: np.array([draw(st.sampled_from(seen)) for _ in symbols])
        for name, seen in SEEN.items()
    }
    market = {
        name: draw(st.sampled_from(MARKET_SEEN)) for name in ("day_pnl_pct", "index_change_pct")
    }
    return ObservationFrame(AT, symbols, columns, market)


def met(written: PlaybookDraft, frame: ObservationFrame) -> MatchResult:
    playbook = Playbook(
        session=date(2026, 11, 20),
        market="KR",
        source=PlaybookSource.GEMINI,
        outlook=written.outlook,
        global_rules=written.global_rules,
        stocks=written.stocks,
        generated_at=AT,
    )
    return match(compile_playbook(playbook), frame)


@settings(max_examples=100, deadline=None)
@given(any_draft, any_held, any_limits)
def test_lint_of_its_own_result_changes_nothing(
    written: PlaybookDraft, held: set[str], limits: PlanLimits
) -> None:
    once, _ = checked(written, held=held, limits=limits)
    assert checked(once, held=held, limits=limits) == (once, ())


@settings(max_examples=100, deadline=None)
@given(any_draft, any_held, any_limits)
def test_every_change_has_a_note_and_every_note_a_change(
    written: PlaybookDraft, held: set[str], limits: PlanLimits
) -> None:
    result, notes = checked(written, held=held, limits=limits)
    assert (result == written) is (notes == ())
    before = [s for stock in written.stocks for s in stock.scenarios]
    after = [s for stock in result.stocks for s in stock.scenarios]
    dropped = sum(note.kind == "dropped" and note.scenario is not None for note in notes)
    unknown = sum(len(s.scenarios) for s in written.stocks if s.symbol not in {*PRICES, *held})
    added = sum("without exit" in note.reason for note in notes)
    rules_dropped = len(written.global_rules) - len(result.global_rules)
    assert len(before) + added - len(after) == dropped - rules_dropped + unknown


@settings(max_examples=100, deadline=None)
@given(any_draft, any_held, any_limits)
def test_what_lint_leaves_keeps_within_the_limits(
    written: PlaybookDraft, held: set[str], limits: PlanLimits
) -> None:
    result, _ = checked(written, held=held, limits=limits)
    symbols = [stock.symbol for stock in result.stocks]
    assert len(symbols) == len(set(symbols))
    assert held <= set(symbols) <= {*PRICES, *held}
    for stock in result.stocks:
        StockPlan.model_validate(stock.model_dump())
        assert len(stock.scenarios) <= limits.max_scenarios_per_stock
        if stock.symbol in held:
            assert any(s.action in (Action.SELL, Action.REDUCE) for s in stock.scenarios)
        for scenario in stock.scenarios:
            if scenario.action is Action.BUY:
                assert 0 < scenario.allocation_pct <= limits.max_allocation_pct
                assert scenario.stop_loss_pct is not None
                assert scenario.stop_loss_pct >= LOOSEST_STOP_LOSS_PCT


@settings(max_examples=150, deadline=None)
@given(any_draft, any_held, any_limits, any_frame())
def test_lint_never_loosens(
    written: PlaybookDraft, held: set[str], limits: PlanLimits, frame: ObservationFrame
) -> None:
    result, _ = checked(written, held=held, limits=limits)
    before, after = met(written, frame), met(result, frame)
    for symbol, found in after.first.items():
        if found.scenario.action is Action.BUY:
            original = before.first[symbol].scenario
            assert original.action is Action.BUY
            assert original.confidence >= found.scenario.confidence
    if before.global_rule is not None:
        assert after.global_rule is not None
        if before.global_rule.action is GlobalAction.REDUCE_ALL:
            assert after.global_rule.action is GlobalAction.REDUCE_ALL
