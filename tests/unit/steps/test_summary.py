"""A session in one object."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from tests.record_factories import (
    APPLE,
    AT,
    MINUTE,
    make_equity,
    make_fill,
    make_llm_call,
    make_playbook,
)
from tests.record_factories import SESSION as DAY
from tests.trading_fakes import KR, MakeFloor, busy, still, when
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import Side
from trading_core.model.portfolio import Account, Holding
from trading_core.steps import operate
from trading_core.steps.summary import count_orders, digest, plain, summarize

CHEAP = [when("price <= 10000")]


@pytest.fixture
def floor(tmp_path):
    return MakeFloor(tmp_path)


async def test_an_empty_store_gives_an_empty_summary():
    answer = summarize(DuckStore(":memory:"), group=KR, session=SESSION, account=None)
    assert json.loads(json.dumps(answer)) == answer
    assert (answer["ticks"], answer["fills"], answer["pnl"], answer["positions"]) == (0, 0, {}, [])
    assert answer["playbook"]["source"] is None
    assert answer["scorecard"] is None
    assert answer["backup"] is None


async def test_a_session_is_told_in_plain_values_that_add_up(floor):
    rows = busy(*[10_000] * 4, *[10_100] * 9)
    plan = {"A": CHEAP, "B": CHEAP, "C": [when("price <= 10000", allocation=0.001)]}
    desk = floor({"A": rows, "B": still(10_000, 20), "C": rows}, plan)
    desk.broker.script = ["", "reject"]
    for n in (2, 3, 6):
        await desk.tick(minute(n))
    operate.halt(desk.store, scope="KR", reason="enough", at=minute(6))
    account = await desk.broker.account(KR)
    answer = summarize(desk.store, group=KR, session=SESSION, account=account)
    assert json.loads(json.dumps(answer)) == answer
    assert answer["ticks"] == 3
    assert answer["observations"] == 9
    orders = answer["orders"]
    assert orders["intended"] == len(desk.orders())
    assert (orders["accepted"], orders["filled"], orders["rejected"]) == (1, 1, 1)
    assert orders["refused"] == sum(answer["refusals"].values())
    pnl = {name: Decimal(text) for name, text in answer["pnl"]["KRW"].items()}
    assert pnl["net"] == pnl["gross"] - pnl["fees"] - pnl["tax"]
    assert pnl["net"] == account.equity - Decimal(100_000_000)
    equity = answer["equity"]["KRW"]
    assert Decimal(equity["end"]) - Decimal(equity["start"]) == pnl["net"]
    by_symbol = {row["symbol"]: row for row in answer["positions"]}
    held = by_symbol["A"]
    assert held["origin"] == "strategy"
    assert (held["quantity"], held["last_price"]) == (99, "10100")
    assert Decimal(held["unrealized"]) == 99 * (10_100 - 10_010)
    (halt,) = answer["halts"]
    assert (halt["kind"], halt["scope"], halt["reason"]) == ("operator", "KR", "enough")


async def test_without_the_broker_positions_are_valued_at_the_last_price_seen(floor):
    desk = floor({"A": busy(*[10_000] * 3, *[10_100] * 9)}, {"A": CHEAP})
    for n in (2, 3, 5):
        await desk.tick(minute(n))
    desk.broker.silent = {"A"}
    await desk.tick(minute(6))
    (row,) = summarize(desk.store, group=KR, session=SESSION, account=None)["positions"]
    assert (row["last_price"], row["unrealized"]) == ("10100", "8910")


def test_calls_of_the_model_are_summed_with_their_cost():
    store = DuckStore(":memory:")
    with store.write() as tx:
        tx.append([make_llm_call(call_id=name, session=make_playbook().session) for name in "ab"])
        tx.append([make_playbook()])
    one = make_llm_call()
    answer = summarize(store, group=KR, session=one.session, account=None)
    assert answer["llm"] == {
        "calls": 2,
        "tokens": 2 * (one.input_tokens + one.output_tokens),
        "cost": f"{(2 * one.cost_usd).normalize():f}",
    }
    assert answer["playbook"]["dropped"] == 1


async def test_an_unsettled_order_counts_as_unknown_and_one_cancelled_as_cancelled(floor):
    desk = floor({"A": still(10_000, 60), "B": still(10_000, 60)}, {"A": CHEAP})
    await desk.tick(minute(2))
    await desk.tick(minute(17))
    await desk.tick(minute(18))
    assert count_orders(desk.orders())["cancelled"] == 1
    desk.by_hand(Side.BUY, 1, 9_000)
    desk.broker.script = ["lost request"]
    desk.book = desk.book.model_copy(
        update={"stocks": (desk.book.stocks[0].model_copy(update={"symbol": "B"}),)}
    )
    await desk.tick(minute(19))
    assert count_orders(desk.orders())["unknown"] == 1


async def test_the_digest_depends_on_what_was_decided_and_traded(floor, tmp_path):
    async def run(seed):
        desk = MakeFloor(tmp_path / str(seed))({"A": busy(*[10_000] * 9)}, {"A": CHEAP})
        for n in (2, 3, 4):
            await desk.tick(minute(n + (seed == 2)))
        with desk.store.read() as reader:
            return digest(reader, KR, SESSION)

    first, again, later = await run(0), await run(1), await run(2)
    assert first == again
    assert first != later


def test_a_foreign_position_tells_its_currency_its_costs_and_both_sources_of_its_profit():
    store = DuckStore(":memory:")
    dollars = {"instrument": APPLE, "currency": Currency.USD, "session": DAY}
    with store.write() as tx:
        tx.append(
            [
                make_fill(price=Decimal(100), fee=Decimal(1), krw_rate=Decimal(1300), **dollars),
                make_fill(
                    fill_id="out", side=Side.SELL, quantity=4, price=Decimal(110), fee=Decimal(1),
                    tax=Decimal("0.5"), filled_at=AT + 2 * MINUTE, krw_rate=Decimal(1400),
                    **dollars,
                ),
                *(
                    make_equity(
                        market="US", session=DAY, currency=Currency.USD, at=AT + n * MINUTE,
                        equity=Decimal(equity), krw_rate=Decimal(rate),
                    )
                    for n, equity, rate in ((0, 10_000, 1300), (9, 10_100, 1500))
                ),
            ]
        )  # fmt: skip
    holding = Holding(APPLE, 6, 6, Decimal(100), Decimal(120))
    account = Account(Currency.USD, Decimal(1), Decimal(1), (holding,), AT, krw_rate=Decimal(1500))
    answer = summarize(store, group=MarketGroup.US, session=DAY, account=account)
    [row] = answer["positions"]
    assert (row["currency"], row["krw_rate"], row["entry_krw_rate"]) == ("USD", "1500", "1300")
    assert (row["realized"], row["fees"], row["taxes"]) == ("40", "2", "0.5")
    assert row["unrealized"] == "120"
    # 40 less 1.5 and 0.4 of costs, at 1400; and 400.4 dollars that are worth 100 won more each.
    assert row["realized_strategy_krw"] == "53340"
    assert row["realized_fx_krw"] == "40040"
    assert row["realized_total_krw"] == "93380"
    # 120 less 0.6 of costs, at 1500; and 600.6 dollars that are worth 200 won more each.
    assert row["unrealized_strategy_krw"] == "179100"
    assert row["unrealized_fx_krw"] == "120120"
    assert row["unrealized_total_krw"] == "299220"
    assert row["lots"] == [
        {"opened_on": DAY.isoformat(), "quantity": 6, "price": "100", "krw_rate": "1300"}
    ]
    pnl = answer["pnl"]["USD"]
    assert (pnl["net"], pnl["krw_rate"], pnl["strategy_krw"]) == ("100", "1500", "150000")
    assert (pnl["fx_krw"], pnl["total_krw"]) == ("2000000", "2150000")
    unknown = summarize(
        store, group=MarketGroup.US, session=DAY, account=replace(account, krw_rate=None)
    )
    [row] = unknown["positions"]
    assert (row["krw_rate"], row["unrealized_total_krw"]) == (None, None)
    assert row["realized_total_krw"] == "93380"


def test_plain_values_keep_money_as_text():
    value = {"a": Decimal("1E+3"), 1: (date(2025, 9, 3), [Decimal("0.10"), None, 1.5])}
    assert plain(value) == {"a": "1000", "1": ["2025-09-03", ["0.1", None, 1.5]]}
    assert plain(Decimal(0)) == "0"
    assert type(plain(Side.BUY)) is str
