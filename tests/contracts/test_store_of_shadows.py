"""What a store keeps of shadow planners, and that the real one never sees any of it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.record_factories import (
    APPLE,
    AT,
    MINUTE,
    SESSION,
    make_equity,
    make_playbook,
    make_shadow_guard,
    make_shadow_mark,
    make_shadow_plan,
    make_shadow_trade,
)
from trading_core.adapters.duck import DuckStore
from trading_core.model.audit import DecisionFilter
from trading_core.model.journal import ContextLayer
from trading_core.model.market import MarketGroup
from trading_core.ports import Record, Store
from trading_core.steps.gather import recall

NEXT_DAY = date(2026, 11, 23)


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return DuckStore(tmp_path / "state.duckdb" if request.param == "file" else ":memory:")


def append(store: Store, *records: Record) -> None:
    with store.write() as tx:
        tx.append(records)


def test_records_of_shadows_come_back_equal(store: Store) -> None:
    plan, trade = make_shadow_plan(), make_shadow_trade(limit_price=None, take_profit_pct=None)
    mark, guard = make_shadow_mark(krw_rate=Decimal(1)), make_shadow_guard()
    append(store, plan, trade, mark, guard)
    append(store, plan, trade, mark, guard)
    with store.read() as db:
        assert db.shadow_plans("KR", since=SESSION, until=SESSION) == [plan]
        assert db.shadow_trades("KR") == [trade]
        assert db.shadow_marks("KR", SESSION) == [mark]
        assert db.last_shadow_marks("KR") == {"rules": mark}
        assert db.shadow_guards("KR") == {("rules", "005930"): guard.protection}


def test_the_newest_plan_mark_and_guard_of_each_shadow_count(store: Store) -> None:
    later = AT + MINUTE
    plans = [make_shadow_plan(at=at, problem=str(at)) for at in (later, AT)]
    tomorrow = make_shadow_plan(planner="rules", session=NEXT_DAY)
    marks = [make_shadow_mark(at=at) for at in (later, AT)]
    other = make_shadow_mark("b", session=NEXT_DAY, at=later + MINUTE)
    guards = [make_shadow_guard(updated_at=at, blind_looks=n) for n, at in enumerate((later, AT))]
    append(store, *plans, tomorrow, *marks, other, *guards)
    with store.read() as db:
        assert db.shadow_plans("KR", since=SESSION, until=NEXT_DAY) == [plans[0], tomorrow]
        assert db.shadow_plans("KR", since=NEXT_DAY, until=NEXT_DAY) == [tomorrow]
        assert db.shadow_marks("KR", SESSION) == [marks[1], marks[0]]
        assert db.last_shadow_marks("KR") == {"rules": marks[0], "b": other}
        assert db.last_shadow_marks("KR", before=NEXT_DAY) == {"rules": marks[0]}
        assert db.shadow_guards("KR")["rules", "005930"] == guards[0].protection


def test_markets_and_shadows_are_kept_apart(store: Store) -> None:
    one, other = make_shadow_trade(), make_shadow_trade(planner="openai:other")
    abroad = make_shadow_trade(intent_id="intent-2", instrument=APPLE)
    append(store, one, other, abroad)
    with store.read() as db:
        assert db.shadow_trades("KR") == [one, other]
        assert db.shadow_trades("US") == [abroad]


REAL: dict[str, Any] = {
    "playbook": lambda db: db.playbook("KR", SESSION),
    "latest_playbook": lambda db: db.latest_playbook("KR", before=NEXT_DAY + timedelta(days=9)),
    "newest_session": lambda db: db.newest_session("KR"),
    "unreviewed": lambda db: db.unreviewed_sessions("KR", since=SESSION, before=NEXT_DAY),
    "orders": lambda db: [db.orders(), db.unsettled_orders(), db.live_orders(None, SESSION)],
    "fills": lambda db: db.fills(),
    "equity": lambda db: db.equity_curve("KR", SESSION),
    "guards": lambda db: db.protections("KR"),
    "decisions": lambda db: [db.decisions(), db.decision_log(DecisionFilter())],
    "counts": lambda db: db.counts("KR", SESSION),
    "prices": lambda db: db.last_prices("KR", SESSION),
    "traded": lambda db: db.recently_traded("KR", since=SESSION),
    "memory": lambda db: [db.context(layer) for layer in ContextLayer],
    "facts": lambda db: [db.fact_marks("KR"), db.memory_facts("KR")],
}


@pytest.mark.parametrize("name", REAL)
def test_no_query_of_the_real_planner_sees_a_shadow(store: Store, name: str) -> None:
    def answer() -> Any:
        with store.read() as db:
            return REAL[name](db)

    append(store, make_playbook(), make_equity())
    before = answer()
    rules = make_playbook(generated_at=AT + MINUTE, token_count=77)
    append(
        store,
        make_shadow_plan(at=AT + MINUTE, playbook=rules),
        make_shadow_plan(session=NEXT_DAY, playbook=make_playbook(session=NEXT_DAY)),
        make_shadow_trade(at=AT + MINUTE),
        make_shadow_mark(at=AT + MINUTE, session=NEXT_DAY),
        make_shadow_guard(),
    )
    assert answer() == before


def test_a_plan_recalls_no_shadow(store: Store) -> None:
    append(store, make_shadow_plan(), make_shadow_trade(), make_shadow_mark())
    recalled = recall(store, MarketGroup.KR, SESSION)
    assert recalled.stored is None and recalled.previous is None
    assert not recalled.closed and not recalled.recently_traded
