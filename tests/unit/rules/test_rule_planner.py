"""The planner that needs no model."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planning_fakes import candidate, holding
from trading_core.model.limits import PlanLimits, ScanLimits
from trading_core.model.playbook import Action, GlobalAction, Outlook, PlaybookDraft
from trading_core.model.portfolio import Holding
from trading_core.model.price import Candidate
from trading_core.rules.lint import lint
from trading_core.rules.rule_planner import draft_by_rules, exit_only, stop_pct

NAN = math.nan
OVERSOLD = {
    "rsi": 26.0,
    "return_5d_pct": -9.0,
    "return_20d_pct": -15.0,
    "momentum": 15.0,
    "breakout_pct": -18.0,
    "change_pct": -2.0,
    "volume_ratio": 1.6,
}
PULLBACK = {
    "rsi": 52.0,
    "return_5d_pct": -3.0,
    "return_20d_pct": 12.0,
    "momentum": 60.0,
    "breakout_pct": -8.0,
    "volume_ratio": 0.8,
}


def draft(
    *candidates: Candidate,
    holdings: tuple[Holding, ...] = (),
    limits: ScanLimits | None = None,
    plan: PlanLimits | None = None,
) -> PlaybookDraft:
    return draft_by_rules(
        candidates=candidates,
        holdings=holdings,
        limits=limits or ScanLimits(),
        plan=plan or PlanLimits(),
    )


def entries(book: PlaybookDraft) -> list[Any]:
    return [s for stock in book.stocks for s in stock.scenarios if s.action is Action.BUY]


def fields(scenario: Any) -> set[str]:
    return {condition.field for condition in scenario.conditions}


def test_a_stock_near_its_high_gets_a_breakout_entry_on_volume() -> None:
    (entry,) = entries(draft(candidate()))
    assert {"breakout_pct", "volume_ratio", "rsi", "change_pct"} == fields(entry)
    tests = {(c.field, c.op): c.value for c in entry.conditions}
    assert tests["volume_ratio", ">"] == ScanLimits().volume_multiplier
    assert tests["rsi", "<"] == ScanLimits().rsi_momentum
    assert entry.confidence >= 80


def test_an_oversold_stock_gets_a_rebound_entry_that_waits_for_the_turn() -> None:
    (entry,) = entries(draft(candidate(**OVERSOLD)))
    tests = {(c.field, c.op): c.value for c in entry.conditions}
    assert tests["rsi", "<"] == ScanLimits().rsi_oversold
    assert tests["change_pct", ">"] > 0
    assert "volume_ratio" in fields(entry)
    assert entry.confidence >= 80


def test_a_dip_in_an_upward_trend_gets_a_pullback_entry() -> None:
    (entry,) = entries(draft(candidate(**PULLBACK)))
    assert {"return_20d_pct", "return_5d_pct"} <= fields(entry)
    assert entry.confidence >= 80


def test_thin_evidence_stays_below_the_threshold() -> None:
    weak = candidate(momentum=40.0, breakout_pct=-9.0, atr_pct=7.0, volume_ratio=0.4)
    assert all(entry.confidence < 80 for entry in entries(draft(weak)))


@pytest.mark.parametrize("name", ["rsi", "atr_pct", "momentum", "return_20d_pct"])
def test_a_missing_indicator_means_no_entry_but_still_exits(name: str) -> None:
    book = draft(candidate(**{name: NAN}))
    assert entries(book) == []
    assert len(book.stocks[0].scenarios) >= 2
    assert {s.action for s in book.stocks[0].scenarios} == {Action.SELL}


def test_a_stock_between_two_patterns_gets_no_entry() -> None:
    nothing = candidate(rsi=45.0, return_20d_pct=-3.0, return_5d_pct=1.0, breakout_pct=-9.0)
    assert entries(draft(nothing)) == []


def test_exits_stand_before_entries_so_that_an_entry_cannot_hide_them() -> None:
    (stock,) = draft(candidate()).stocks
    actions = [s.action for s in stock.scenarios]
    assert actions == sorted(actions, key=lambda action: action is Action.BUY)
    exits = [s for s in stock.scenarios if s.action is Action.SELL]
    assert all("unrealized_pnl_pct" in fields(s) for s in exits)


def test_a_holding_gets_exits_and_no_entry_even_as_a_candidate() -> None:
    book = draft(candidate("005930"), holdings=(holding("005930"), holding("000660")))
    assert [stock.symbol for stock in book.stocks] == ["005930", "000660"]
    assert entries(book) == []


def test_a_holding_of_nothing_is_no_holding() -> None:
    assert draft(holdings=(holding("000660", quantity=0),)).stocks == ()


@pytest.mark.parametrize(
    ("atr_pct", "stop"),
    [(0.1, -2.0), (1.0, -2.0), (2.0, -4.0), (3.5, -7.0), (9.0, -7.0), (NAN, -3.0), (0.0, -3.0)],
)
def test_the_stop_is_two_atr_between_two_and_seven_percent(atr_pct: float, stop: float) -> None:
    assert stop_pct(atr_pct) == pytest.approx(stop)


def test_the_target_is_one_and_a_half_to_two_times_the_stop() -> None:
    for values in ({}, OVERSOLD, PULLBACK):
        for entry in entries(draft(candidate(**values))):
            assert 1.5 <= entry.take_profit_pct / -entry.stop_loss_pct <= 2.0


def test_the_day_is_guarded_before_the_breaker_and_the_stricter_rule_comes_first() -> None:
    rules = draft(candidate()).global_rules
    assert [(r.action, r.condition.value) for r in rules] == [
        (GlobalAction.REDUCE_ALL, -2.0),
        (GlobalAction.NO_ENTRIES, -1.5),
    ]


@pytest.mark.parametrize(
    ("moves", "outlook"),
    [
        ([1.0, 2.0, 3.0], Outlook.NEUTRAL_TO_BULLISH),
        ([-1.0, -2.0, -3.0], Outlook.NEUTRAL_TO_BEARISH),
        ([1.0, -2.0, 3.0, -1.0], Outlook.NEUTRAL),
        ([1.0, NAN], Outlook.NEUTRAL),
    ],
)
def test_the_outlook_follows_how_many_candidates_rose(moves: list[float], outlook: Outlook) -> None:
    book = draft(*(candidate(f"{n:06}", change_pct=move) for n, move in enumerate(moves)))
    assert book.outlook is outlook


def test_exit_only_sells_and_never_buys() -> None:
    book = exit_only([holding("005930")], limits=ScanLimits(), plan=PlanLimits())
    assert [stock.symbol for stock in book.stocks] == ["005930"]
    assert {s.action for s in book.stocks[0].scenarios} == {Action.SELL}


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5])
def test_no_stock_has_more_scenarios_than_allowed_and_each_has_an_exit(most: int) -> None:
    plan = PlanLimits(max_scenarios_per_stock=most)
    both = candidate(**{**PULLBACK, "breakout_pct": -1.0})
    for stock in draft(both, candidate("000660", **OVERSOLD), plan=plan).stocks:
        assert 1 <= len(stock.scenarios) <= most
        assert any(s.action is Action.SELL for s in stock.scenarios)


_NUMBER = st.floats(-100, 400) | st.sampled_from([NAN, math.inf, -math.inf, 0.0])
_NAMES = "change_pct range_pct volume_ratio rsi atr_pct return_5d_pct return_20d_pct momentum"
_INDICATORS = st.fixed_dictionaries(dict.fromkeys([*_NAMES.split(), "breakout_pct"], _NUMBER))
_LIMITS = st.builds(
    ScanLimits,
    rsi_oversold=st.floats(0, 50),
    rsi_momentum=st.floats(50, 100),
    volume_multiplier=st.floats(0.5, 10),
)
_PLAN = st.builds(
    PlanLimits,
    max_scenarios_per_stock=st.integers(1, 8),
    max_allocation_pct=st.floats(0.5, 30),
)


@given(st.lists(_INDICATORS, max_size=6), st.integers(0, 3), _LIMITS, _PLAN)
def test_whatever_the_candidates_the_draft_passes_lint_as_it_is(
    indicators: list[dict[str, float]], held: int, limits: ScanLimits, plan: PlanLimits
) -> None:
    candidates = [candidate(f"{n:06}", **values) for n, values in enumerate(indicators)]
    holdings = tuple(holding(f"{n + 4:06}") for n in range(held))
    book = draft(*candidates, holdings=holdings, limits=limits, plan=plan)
    prices = {f"{n:06}": 100.0 for n in range(12)}
    linted, notes = lint(
        book, prices=prices, held={h.instrument.symbol for h in holdings}, limits=plan
    )
    assert notes == ()
    assert linted == book
    for entry in entries(book):
        assert -7.0 <= entry.stop_loss_pct <= -2.0
        assert entry.take_profit_pct > 0
        assert 0 < entry.allocation_pct <= plan.max_allocation_pct
        assert 0 <= entry.confidence <= 90


def test_the_draft_is_the_same_every_time() -> None:
    candidates = [candidate(f"{n:06}", price=Decimal(100 + n)) for n in range(5)]
    assert draft(*candidates) == draft(*candidates)
