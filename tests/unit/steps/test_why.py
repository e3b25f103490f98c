"""Why a symbol was or was not traded, as the store tells it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.record_factories import make_screened
from tests.trading_fakes import (
    ALWAYS,
    KR,
    POLICY,
    Floor,
    MakeFloor,
    busy,
    playbook,
    rule,
    still,
    when,
)
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.errors import ConfigError
from trading_core.model.order import Side
from trading_core.model.playbook import LintNote
from trading_core.steps import operate
from trading_core.steps.why import Funnel, why


@pytest.fixture
def floor(tmp_path):
    return MakeFloor(tmp_path)


def make(floor: Any, minutes: Any, plans: Any, *rules: Any, **changes: Any) -> Floor:
    desk: Floor = floor(minutes, playbook(plans, *rules).model_copy(update=changes))
    with desk.store.write() as tx:
        tx.append([desk.book])
    return desk


async def run(desk: Floor, *minutes: int) -> None:
    for n in minutes:
        await desk.tick(minute(n))


def ask(desk: Floor, symbol: str = "A", at: int | None = None) -> Funnel:
    when = None if at is None else minute(at)
    return why(desk.store, group=KR, session=SESSION, symbol=symbol, policy=POLICY, at=when)


def stage(found: Funnel, name: str) -> Any:
    return next(item for item in found.stages if item.name == name)


async def test_what_traded_is_told_from_the_scan_to_the_fill(floor):
    desk = make(floor, {"A": busy(*[10_000] * 6)}, {"A": [when("price <= 10000")]})
    screened = make_screened(session=SESSION, symbol="A", place=2, score=55.0)
    with desk.store.write() as tx:
        tx.append([screened])
    await run(desk, 2, 3, 4)
    found = ask(desk)
    names = [item.name for item in found.stages]
    assert names == ["candidate", "playbook", "observation", "match", "decision", "gate", "order",
                     "fill"]  # fmt: skip
    assert stage(found, "candidate").text == "chosen at place 2 with score 55.0"
    assert stage(found, "order").text.endswith("intended -> sending -> accepted -> filled")
    assert found.conclusion == "It traded: BUY 99 at 10,010, decided 09:02."
    assert found.at == minute(4)


async def test_what_did_not_match_says_every_condition_and_what_was_missing(floor):
    plan = [when("price < 9000"), when("price < 9990 and minutes_to_close > 0")]
    desk = make(floor, {"A": still(10_000, 9)}, {"A": plan})
    await run(desk, 2, 3)
    found = ask(desk)
    assert [look.scenario_id for look in found.scenarios] == ["A#0", "A#1"]
    first, second = found.scenarios[1].conditions
    assert (first.value, first.threshold, first.met) == (10_000.0, 9_990.0, False)
    assert first.distance == pytest.approx(10 / 9990)
    assert second.met
    assert found.conclusion == (
        "A#1 (BUY) was the nearest: price 10000, needed below 9990 (-0.1 %)."
    )
    assert "closest so far was A#1 (BUY) at 09:02" in stage(found, "match").text
    assert stage(found, "decision").passed is None


async def test_an_earlier_moment_is_asked_for_by_its_time(floor):
    desk = make(floor, {"A": [*still(10_000, 3), *still(9_000, 9)]}, {"A": [when("price < 8000")]})
    await run(desk, 2, 3, 5)
    assert ask(desk, at=4).at == minute(3)
    assert ask(desk, at=4).values["price"] == 10_000
    assert ask(desk).values["price"] == 9_000


async def test_before_the_first_look_there_is_nothing_to_say_but_that(floor):
    desk = make(floor, {"A": still(10_000, 9)}, {"A": [when("price < 8000")]})
    await run(desk, 3)
    found = ask(desk, at=2)
    assert (found.at, found.scenarios) == (None, ())
    assert stage(found, "observation").text == "no tick looked at it before that time"
    assert found.conclusion == "A usable price: without one nothing is decided."


async def test_a_refusal_of_the_gate_is_told_with_its_numbers(floor):
    desk = make(floor, {"A": busy(*[10_000] * 6)}, {"A": [when("price <= 10000")]})
    operate.halt(desk.store, scope="KR", reason="a doubt", at=minute(1))
    await run(desk, 2)
    found = ask(desk)
    assert stage(found, "gate").passed is False
    assert "refused it as halted: a doubt; the halt would have had to be lifted" in found.conclusion


async def test_confidence_below_the_threshold_is_told_as_what_held_it_back(floor):
    desk = make(floor, {"A": still(10_000, 9)}, {"A": [when("price <= 10000", confidence=79)]})
    await run(desk, 2, 3, 4)
    assert ask(desk).conclusion == (
        "A#0 matched at 09:02 and was held back: confidence 79 is below 80."
    )


async def test_a_near_miss_of_a_doubtful_scenario_says_both_things_it_lacked(floor):
    desk = make(floor, {"A": still(10_000, 9)}, {"A": [when("price < 10000", confidence=79)]})
    await run(desk, 2)
    assert ask(desk).conclusion.endswith("even then its confidence 79 is below the threshold 80.")


async def test_a_global_rule_in_force_is_named(floor):
    desk = make(
        floor, {"A": busy(*[10_000] * 6)}, {"A": [when("price <= 10000")]},
        rule(ALWAYS, "NO_ENTRIES"),
    )  # fmt: skip
    await run(desk, 2)
    found = ask(desk)
    assert "global rule NO_ENTRIES was in force (cash_pct >= 0, it was 100)" in (
        stage(found, "match").text
    )
    assert "the global rule would have had to be false" in found.conclusion


async def test_an_order_that_filled_nothing_is_told_with_its_state(floor):
    desk = make(floor, {"A": still(10_000, 9)}, {"A": [when("price <= 10000")]})
    desk.broker.script = ["reject"]
    await run(desk, 2)
    assert "bought or sold nothing: it is rejected (as told" in ask(desk).conclusion


async def test_the_held_are_asked_what_would_have_sold_them(floor):
    plan = [when("price <= 10000"), when("price >= 11000", "SELL")]
    desk = make(floor, {"A": [*busy(*[10_000] * 3), *busy(*[10_050] * 6)]}, {"A": plan})
    await run(desk, 1, 2, 5)
    found = ask(desk, at=6)
    assert found.conclusion == (
        "A#1 (SELL) was the nearest: price 10050, needed at or above 11000 (+9.5 %)."
    )
    assert "It traded: BUY" in ask(desk).conclusion


async def test_what_the_scanner_left_out_is_told_with_what_it_lacked(floor):
    desk = make(floor, {"A": still(10_000, 9)}, {"A": [when("price < 1")]})
    excluded = {"chosen": False, "place": None, "score": None}
    with desk.store.write() as tx:
        tx.append(
            [
                make_screened(session=SESSION, symbol="A", score=40.0),
                make_screened(
                    session=SESSION,
                    symbol="DULL",
                    reason="low_volatility",
                    selection={"value": 0.6, "bound": 0.8},
                    **excluded,
                ),
                make_screened(session=SESSION, symbol="LATE", chosen=False, place=2, score=39.0),
            ]
        )
    await run(desk, 2)
    assert ask(desk, "DULL").conclusion == (
        "A place in the playbook: excluded as low volatility: 0.6, needed at least 0.8."
    )
    assert "place 2 with score 39.0 and was not taken, the last one taken had 40.0" in (
        ask(desk, "LATE").conclusion
    )
    assert stage(ask(desk, "LATE"), "observation").text == "no tick looked at it in this session"


async def test_what_lint_dropped_is_told_with_the_reason(floor):
    note = LintNote(symbol="A", scenario=1, kind="dropped", reason="a BUY without a stop")
    desk = make(floor, {"A": still(10_000, 9)}, {"A": [when("price < 1")]}, notes=(note,))
    await run(desk, 2)
    assert stage(ask(desk), "playbook").text.endswith(
        "lint dropped scenario 1: a BUY without a stop"
    )


async def test_a_holding_nobody_planned_is_told_as_such(floor):
    desk = make(floor, {"A": busy(*[10_000] * 6)}, {})
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 10, 10_010)
    await run(desk, 3, 4)
    found = ask(desk)
    assert "watched by the guard of its position alone" in stage(found, "playbook").text
    assert found.conclusion == (
        "It is held and not planned: only the guard of the position sells it."
    )


async def test_a_session_without_a_playbook_says_so(floor):
    desk = floor({"A": still(10_000, 9)}, {"A": [when("price < 1")]})
    await run(desk, 2)
    found = ask(desk)
    assert stage(found, "playbook").text == "this session has no playbook"
    assert found.conclusion == "A playbook: without one nothing is bought."


async def test_a_symbol_nobody_ever_saw_is_refused(floor):
    desk = make(floor, {"A": still(10_000, 9)}, {"A": [when("price < 1")]})
    await run(desk, 2)
    with pytest.raises(ConfigError, match=r"nothing is known of ZZZ in KR"):
        ask(desk, "ZZZ")
    with pytest.raises(ConfigError):
        why(
            desk.store,
            group=KR,
            session=SESSION + timedelta(days=1),
            symbol="A",
            policy=POLICY,
        )


async def test_what_came_later_is_not_told_of_an_earlier_moment(floor):
    desk = make(
        floor, {"A": [*still(10_000, 3), *busy(*[9_000] * 9)]}, {"A": [when("price <= 9000")]}
    )
    await run(desk, 2, 3, 5, 6)
    found = ask(desk, at=3)
    assert (found.decisions, found.orders, found.fills) == ((), (), ())
    assert {row.kind for row in found.matches} == {"near"}
    assert "needed at or below 9000 (-10.0 %)" in found.conclusion
    assert "It traded: BUY" in ask(desk).conclusion
