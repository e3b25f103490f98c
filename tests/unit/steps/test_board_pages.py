"""What the pages are told: hours, money against its limit, positions, thresholds, the long run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.record_factories import (
    AT,
    MINUTE,
    SAMSUNG,
    SESSION,
    make_decision,
    make_equity,
    make_fill,
    make_halt,
    make_intent,
    make_observation,
    make_order_life,
    make_playbook,
    make_protection,
    make_reading,
)
from tests.trading_fakes import POLICY
from trading_core.adapters.duck import DuckStore
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import OrderState, Side
from trading_core.ports import Record
from trading_core.steps.board import performance, playbook, today

KR = MarketGroup.KR


def stored(*records: Record) -> DuckStore:
    store = DuckStore(":memory:")
    with store.write() as tx:
        tx.append(records)
    return store


def shown(store: DuckStore) -> dict[str, Any]:
    with store.read() as db:
        facts = today.read(db, KR)
    assert facts is not None
    return today.day(facts, POLICY)


@pytest.mark.parametrize(
    ("at", "phase", "turns", "turns_at"),
    [
        ("2026-11-20T00:30+00:00", "continuous", "close", "2026-11-20T06:30+00:00"),
        ("2026-11-20T06:30+00:00", "after_close", "open", "2026-11-23T00:00+00:00"),
        ("2026-11-19T23:00+00:00", "pre_open", "open", "2026-11-20T00:00+00:00"),
        ("2026-11-21T03:00+00:00", "closed", "open", "2026-11-23T00:00+00:00"),
    ],
)
def test_hours_say_what_comes_next(at: str, phase: str, turns: str, turns_at: str) -> None:
    found = today.hours(KR, datetime.fromisoformat(at))
    assert found["phase"] == phase
    assert (found["turns"], found["turns_at"]) == (turns, datetime.fromisoformat(turns_at))


def test_before_the_first_session_there_is_nothing() -> None:
    with stored().read() as db:
        assert today.read(db, KR) is None
        assert playbook.playbook(db, KR, SESSION) is None
        assert performance.performance(performance.read(db, [KR])) == []


def test_the_limit_is_the_one_the_breaker_goes_by() -> None:
    curve = [
        make_equity(equity=Decimal(10_000_000)),
        make_equity(at=AT + MINUTE, equity=Decimal(9_700_000)),
        make_equity(at=AT + 2 * MINUTE, equity=Decimal(9_800_000)),
    ]
    store = stored(make_playbook(), *curve)
    found = shown(store)
    [money] = found["money"]
    assert (money["pct"], money["lowest_pct"], money["floor_pct"]) == (-2, -3, -3)
    assert money["floor"] == 9_700_000
    with store.write() as tx:
        tx.append([make_halt(scope="KRW")])
        tx.lift_halt(
            "halt-1", at=AT + 3 * MINUTE, by="me", accepted_pnl_pct=Decimal(-4), accepted_on=SESSION
        )
    accepted = shown(store)
    assert accepted["money"][0]["floor_pct"] == -5
    assert accepted["halts"] == []


def test_currencies_of_one_session_stand_apart() -> None:
    dollars = make_equity(currency=Currency.USD, equity=Decimal(50), cash=Decimal(50))
    found = shown(stored(make_equity(), dollars))
    assert {row["currency"]: row["now"] for row in found["money"]} == {
        "KRW": 10_000_000,
        "USD": 50,
    }


def test_a_position_without_a_price_has_no_worth_and_no_distance() -> None:
    [line] = shown(stored(make_equity(), make_fill()))["positions"]
    assert line["quantity"] == 10
    assert line["last_price"] is line["value"] is line["unrealized"] is None
    assert line["stop"] is line["to_stop_pct"] is line["guard"] is None


def test_the_distance_to_the_stop_is_what_the_price_may_fall() -> None:
    guard = make_protection()
    plain = replace(guard, protection=replace(guard.protection, stop_loss_pct=-10.0))
    holding = replace(plain, protection=replace(plain.protection, armed=plain.protection.state))
    seen = make_observation(values={"price": 80_000.0})
    [line] = shown(stored(make_equity(), make_fill(), seen, holding))["positions"]
    assert line["stop"] == Decimal("63450.0")
    assert line["to_stop_pct"] == pytest.approx((80_000 - 63_450) / 80_000 * 100)


def test_orders_of_another_session_that_still_work_are_shown_and_not_counted() -> None:
    states = (OrderState.INTENDED, OrderState.SENDING, OrderState.ACCEPTED)
    left = make_intent(intent_id="old", session=SESSION - timedelta(days=1))
    found = shown(stored(make_equity(), left, *make_order_life(*states, intent_id="old")))
    assert [row["session"] for row in found["working"]] == [SESSION - timedelta(days=1)]
    assert found["orders"]["accepted"] == 0


def test_a_condition_without_data_is_neither_met_nor_far() -> None:
    with stored(make_playbook()).read() as db:
        found = playbook.playbook(db, KR, SESSION)
    assert found is not None
    [scenario] = found["stocks"][0]["scenarios"]
    assert [each["met"] for each in scenario["conditions"]] == [None, None]
    assert not scenario["holds_now"]
    seen = make_observation(values={"rsi": 20.0, "price": None})
    with stored(make_playbook(), seen).read() as db:
        found = playbook.playbook(db, KR, SESSION)
    assert found is not None
    rsi, price = found["stocks"][0]["scenarios"][0]["conditions"]
    assert (rsi["met"], price["met"], price["distance"]) == (True, False, None)


def sessions(*nets: int, flow: int = 0) -> DuckStore:
    """A round trip a session that makes so much before costs; then ``flow`` comes in from outside
    in the last session."""
    records: list[Record] = []
    cash = Decimal(10_000_000)
    for n, net in enumerate(nets):
        day = SESSION + timedelta(days=n)
        at = AT + timedelta(days=n)
        records.append(make_equity(session=day, at=at, cash=cash, equity=cash))
        for name, side, price, minute in (
            ("b", Side.BUY, Decimal(70_000), 1),
            ("s", Side.SELL, Decimal(70_000) + Decimal(net) / 10, 2),
        ):
            records += [
                make_decision(decision_id=f"{name}{n}", at=at, session=day, action=side.value),
                make_intent(
                    intent_id=f"{name}{n}", decision_id=f"{name}{n}", session=day, side=side
                ),
                make_fill(
                    fill_id=f"{name}{n}",
                    intent_id=f"{name}{n}",
                    session=day,
                    side=side,
                    price=price,
                    fee=Decimal(0),
                    filled_at=at + minute * MINUTE,
                ),
            ]
        cash += net + (flow if n == len(nets) - 1 else 0)
        closing = make_equity(session=day, at=at + 9 * MINUTE, cash=cash, equity=cash)
        records.append(replace(closing, holdings_value=Decimal(0)))
    return stored(*records)


def test_performance_adds_up_and_what_came_in_is_no_profit() -> None:
    with sessions(100_000, -50_000, 20_000, flow=1_000_000).read() as db:
        facts = performance.read(db, [KR])
    [found] = performance.performance(facts)
    assert found["currency"] == "KRW"
    assert found["net"] == 70_000
    assert found["cash_flow"] == 1_000_000
    assert [day["net"] for day in found["days"]] == [100_000, -50_000, 20_000]
    assert found["return_pct"] == pytest.approx(
        (1.01 * (1 - 0.05 / 10.1) * (1 + 0.02 / 11.05) - 1) * 100
    )
    assert found["drawdown_pct"] == pytest.approx(-0.05 / 10.1 * 100)
    assert (found["trades"], found["wins"], found["losses"]) == (3, 2, 1)
    assert sum(row["net"] for row in found["by_hour"]) == sum(found["nets"]) == 70_000
    assert found["by_symbol"][0]["key"] == SAMSUNG.symbol


def test_only_sessions_of_the_span_count() -> None:
    with sessions(100_000, -50_000).read() as db:
        facts = performance.read(db, [KR])
    [found] = performance.performance(facts, since=SESSION + timedelta(days=1))
    assert [day["net"] for day in found["days"]] == [-50_000]
    assert found["trades"] == 1
    assert performance.performance(facts, since=date(2030, 1, 1)) == []


def test_a_benchmark_grows_from_the_first_session_that_counts() -> None:
    store = sessions(100_000, -50_000)
    start = datetime.combine(SESSION, datetime.min.time(), UTC)
    with store.write() as tx:
        tx.append(
            make_reading(
                value=value,
                at=start + timedelta(days=n),
                fetched_at=start + timedelta(days=n),
            )
            for n, value in ((-3, 1.0), (0, 4000.0), (1, 4100.0))
        )
    with store.read() as db:
        [found] = performance.performance(performance.read(db, [KR]))
    assert found["benchmark"] == {
        "KOSPI": [(SESSION, 0.0), (SESSION + timedelta(days=1), pytest.approx(2.5))]
    }
