"""What the pages about decisions, orders, memory, costs and operations read."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.record_factories import (
    APPLE,
    AT,
    MINUTE,
    SESSION,
    make_ask,
    make_context,
    make_decision,
    make_decision_review,
    make_equity,
    make_fill,
    make_halt,
    make_intent,
    make_llm_call,
    make_match,
    make_notification,
    make_observation,
    make_order_life,
    make_outcome,
    make_playbook,
    make_scorecard,
    make_screened,
    make_switch,
)
from tests.trading_fakes import POLICY
from trading_core.adapters.duck import DuckStore
from trading_core.model.audit import DecisionFilter, DecisionResult
from trading_core.model.journal import ContextLayer
from trading_core.model.limits import LlmBudget
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import OrderState, Side
from trading_core.ports import Record
from trading_core.steps.board import costs, decisions, memory, operations, orders, why

S = OrderState
LIFE = (S.INTENDED, S.SENDING, S.ACCEPTED, S.FILLED)


def store_of(*records: Record) -> DuckStore:
    store = DuckStore(":memory:")
    with store.write() as tx:
        tx.append(records)
    return store


def search(store: DuckStore, **wanted: Any) -> list[str]:
    with store.read() as reader:
        return [row["id"] for row in decisions.search(reader, DecisionFilter(**wanted))]


@pytest.fixture
def three() -> DuckStore:
    won = make_decision(decision_id="won", at=AT)
    lost = make_decision(decision_id="lost", at=AT + MINUTE, rationale="100% of a breakout_now")
    held = make_decision(
        decision_id="open", at=AT + 2 * MINUTE, market="US", instrument=APPLE, action="HOLD"
    )
    return store_of(
        won,
        lost,
        held,
        make_outcome(decision_id="won", outcome_pnl=Decimal("12.5"), outcome_accuracy=1.0),
        make_outcome(decision_id="lost", outcome_pnl=Decimal(0), note="broke even"),
        make_decision_review(decision_id="won", note="well done"),
    )


def test_decisions_are_found_by_words_anywhere_in_any_case(three: DuckStore) -> None:
    assert search(three, words="BREAKOUT") == ["lost"]
    assert search(three, words="삼성") == ["lost", "won"]
    assert search(three, words="aapl") == ["open"]
    # Nothing in a search is a pattern.
    assert search(three, words="100%") == ["lost"]
    assert search(three, words="%") == ["lost"]
    assert search(three, words="breakout now") == []


def test_decisions_are_found_by_what_became_of_them(three: DuckStore) -> None:
    assert search(three, result=DecisionResult.WON) == ["won"]
    # Nothing earned is nothing won.
    assert search(three, result=DecisionResult.LOST) == ["lost"]
    assert search(three, result=DecisionResult.OPEN) == ["open"]
    assert search(three, limit=1, skip=1) == ["lost"]
    assert search(three, skip=2) == ["won"]


def test_a_decision_without_an_outcome_has_none_and_not_zero(three: DuckStore) -> None:
    with three.read() as reader:
        rows = {row["id"]: row for row in decisions.search(reader, DecisionFilter())}
    assert (rows["open"]["outcome"], rows["open"]["currency"]) == (None, "USD")
    assert (rows["won"]["outcome"], rows["won"]["currency"]) == (Decimal("12.5"), "KRW")
    assert rows["won"]["remark"] == "well done"
    assert rows["lost"]["remark"] == "broke even"


def traded() -> DuckStore:
    return store_of(
        make_playbook(),
        make_screened(),
        make_decision(),
        make_intent(),
        *make_order_life(*LIFE),
        make_fill(price=Decimal(70_470)),
        make_observation(values={"price": 70_400.0, "rsi": 28.0}),
        make_observation(at=AT + MINUTE, values={"price": 70_500.0, "rsi": 31.0}),
        make_observation(at=AT + 2 * MINUTE, values={"price": None, "rsi": None}),
        make_match(kind="first", distance=None),
        make_match(at=AT + MINUTE, distance=0.5),
        make_match(at=AT + MINUTE, distance=0.2, scenario_id="005930#1"),
        make_observation(symbol="000660"),
    )


def test_one_decision_is_told_with_its_funnel_and_orders() -> None:
    found = decisions.one(traded(), "decision-1", POLICY)
    assert found is not None
    [order] = found["orders"]
    assert (order["state"], order["fills"][0]["price"]) == ("filled", Decimal(70_470))
    names = [stage["name"] for stage in found["funnel"]["stages"]]
    assert names[0] == "candidate" and "match" in names
    assert found["facts"]["price"] == 70_500.0
    assert found["prompt"] is None
    assert decisions.one(traded(), "nobody", POLICY) is None


def test_symbols_of_a_session_begin_with_those_decided_on() -> None:
    with traded().read() as reader:
        rows = why.known_symbols(reader, "KR", SESSION)
    assert [(row["symbol"], row["decided"], row["observed"]) for row in rows] == [
        ("005930", True, True),
        ("000660", False, True),
    ]
    assert rows[0]["name"] == "삼성전자"


def test_every_look_at_a_symbol_has_its_price_and_what_came_closest() -> None:
    with traded().read() as reader:
        rows = why.looks(reader, "KR", SESSION, "005930")
    assert [row["price"] for row in rows] == [70_400.0, 70_500.0, None]
    assert [row["distance"] for row in rows] == [0.0, 0.2, None]
    assert rows[1]["scenario"] == "005930#1"


def test_nothing_known_of_a_symbol_is_no_funnel() -> None:
    found = why.funnel(
        traded(), group=MarketGroup.KR, session=SESSION, symbol="NOPE", policy=POLICY
    )
    assert found is None


def test_an_order_says_accepted_and_filled_apart_and_how_much_worse_it_was() -> None:
    store = traded()
    with store.write() as tx:
        tx.append([make_intent(intent_id="two", side=Side.SELL, created_at=AT + MINUTE)])
        tx.append(make_order_life(*LIFE[:3], intent_id="two"))
    with store.read() as reader:
        filled, working = orders.day(reader, "KR", SESSION)["orders"]
        [row] = orders.slippage(reader, "KR", SESSION)
    assert (filled["accepted"], filled["filled"]) == (True, 10)
    assert filled["slippage_bps"] == pytest.approx(70 / 70_400 * 10_000)
    assert [event["state"] for event in filled["events"]] == [s.value for s in LIFE]
    assert (working["accepted"], working["filled"], working["slippage_bps"]) == (True, 0, None)
    assert working["average_price"] is None
    assert (row["orders"], row["worse"]) == (1, Decimal(700))
    assert row["bps"] == pytest.approx(filled["slippage_bps"])


def test_a_sale_below_the_decided_price_is_worse() -> None:
    sold = make_intent(side=Side.SELL, decided_price=Decimal(100))
    store = store_of(
        sold, *make_order_life(*LIFE), make_fill(side=Side.SELL, price=Decimal(99), quantity=5)
    )
    with store.read() as reader:
        [row] = orders.slippage(reader, None, SESSION)
        [order] = orders.day(reader, "KR", SESSION)["orders"]
    assert row["worse"] == Decimal(5)
    assert row["bps"] == order["slippage_bps"] == pytest.approx(100.0)


def test_fees_and_taxes_of_two_currencies_are_never_one_sum() -> None:
    store = store_of(
        make_fill(),
        make_fill(fill_id="2", side=Side.SELL, tax=Decimal(7)),
        make_fill(
            fill_id="3", instrument=APPLE, currency=Currency.USD, fee=Decimal("0.5"), quantity=1
        ),
    )
    found = costs.costs(store, LlmBudget(), at=AT, days=7, groups=())
    rows = {(row["market"], row["currency"]): row for row in found["trading"]}
    assert set(rows) == {("KR", "KRW"), ("US", "USD")}
    kr = rows["KR", "KRW"]
    assert (kr["fills"], kr["fee"], kr["tax"]) == (2, Decimal(210), Decimal(7))
    assert kr["bought"] == kr["sold"] == Decimal(705_000)
    assert rows["US", "USD"]["sold"] == 0


def test_costs_of_a_session_that_is_long_over_are_counted_from_it() -> None:
    store = store_of(make_fill(), make_equity(), make_llm_call())
    later = AT + timedelta(days=400)
    assert costs.costs(store, LlmBudget(), at=later, days=7)["trading"] == []
    found = costs.costs(store, LlmBudget(), at=later, days=7, groups=(MarketGroup.KR,))
    assert len(found["trading"]) == 1
    assert found["calls"] == []


def test_memory_is_found_by_words_and_its_numbers_followed_over_time() -> None:
    day = timedelta(days=1)
    store = store_of(
        *(
            make_context(timeframe=f"2026-11-{20 + n}", at=AT + n * day, value={"net": {"KRW": v}})
            for n, v in enumerate(("13.5", "-2", None))
        ),
        make_context(layer=ContextLayer.L6, key="lessons_KR", value={"lessons": ["Stop EARLIER"]}),
    )
    with store.read() as reader:
        layers = {row["layer"]: row for row in memory.layers(reader)}
        rows = memory.entries(reader, "L3")
        found = memory.search(reader, "earlier stop")
        assert memory.search(reader, "  ") == []
        assert memory.search(reader, "earlier never") == []
    assert (layers["L3"]["entries"], layers["L3"]["newest"]) == (3, "2026-11-22")
    assert layers["L7"]["newest"] is None
    assert [row["timeframe"] for row in rows] == ["2026-11-22", "2026-11-21", "2026-11-20"]
    assert memory.numbers(rows) == {"net.KRW": [("2026-11-20", 13.5), ("2026-11-21", -2.0)]}
    assert [row["key"] for row in found] == ["lessons_KR"]


def test_operations_know_the_newest_sign_of_every_part() -> None:
    store = store_of(
        make_playbook(),
        make_equity(),
        make_equity(at=AT + MINUTE),
        make_scorecard(),
        make_ask(),
        make_ask(at=AT + MINUTE, problem="timed out"),
        make_llm_call(outcome="PlannerTimeout", detail="no reply"),
        make_halt(),
        make_switch(),
        make_notification(),
    )
    with store.read() as reader:
        found = operations.operations(reader, [MarketGroup.KR, MarketGroup.US], AT + MINUTE)
    signs = {(sign["part"], sign["of"]): sign for sign in found["signs"]}
    assert signs["ticks", "KR"]["at"] == AT + MINUTE
    assert signs["ticks", "US"]["at"] is None
    assert signs["source", "news finnhub"]["problem"] == "timed out"
    assert signs["model", "a-model"]["problem"] == "PlannerTimeout: no reply"
    assert found["halts"][0]["lift_with"].startswith("ouroboros resume")
    assert found["paused"] == ["plan/KR"]
    assert len(found["messages"]) == 1
