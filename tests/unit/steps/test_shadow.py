"""Shadow planners: the rules of a tick on books of their own, and never an order."""

from __future__ import annotations

import ast
import inspect
import logging
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.record_factories import make_halt, make_shadow_mark, make_shadow_trade
from tests.shadow_floor import Plans, ShadowFloor, shadow_plan
from tests.trading_fakes import POLICY, MakeFloor, all_rows, busy, when
from tests.unit.twin.handmade_tape import OPEN, SESSION, minute
from trading_core.adapters.duck.shadow_rows import SHADOW_RECORD_TABLES
from trading_core.errors import BrokerUnavailable
from trading_core.model.journal import HaltKind
from trading_core.model.market import Instrument, Market
from trading_core.model.order import IntentReason, Side
from trading_core.rules.costs import trade_costs
from trading_core.steps import shadow, shadow_books, shadow_review
from trading_core.steps import shadow_plan as drafting
from trading_core.steps.shadow import Shadows

DAY_BEFORE = SESSION - timedelta(days=1)
YESTERDAY = OPEN - timedelta(days=1)
NOTHING: Plans = {}
A = Instrument("A", Market.KR)


@pytest.fixture
def floor(tmp_path: Path) -> MakeFloor:
    return MakeFloor(tmp_path)


def bought_yesterday(quantity: int = 100, price: int = 10_000, **values: Any) -> Any:
    base = {
        "instrument": A,
        "session": DAY_BEFORE,
        "at": YESTERDAY,
        "quantity": quantity,
        "price": Decimal(price),
        "decided_price": Decimal(price),
        "limit_price": Decimal(price),
        "fee": Decimal(140),
    }
    return make_shadow_trade(**(base | values))


def mark_of_yesterday(cash: int = 9_000_000, equity: int = 10_000_000, **values: Any) -> Any:
    when_at = {"session": DAY_BEFORE, "at": YESTERDAY + timedelta(hours=6)}
    money = {
        "cash": Decimal(cash),
        "holdings_value": Decimal(equity - cash),
        "equity": Decimal(equity),
    }
    return make_shadow_mark(**(when_at | money | values))


async def test_a_shadow_buys_on_paper_at_the_ask_and_pays_for_it(floor: MakeFloor) -> None:
    stage = ShadowFloor(floor({"A": busy(*[10_000] * 9)}))
    stage.append(shadow_plan({"A": [when("price >= 10000", take_profit_pct=4.0)]}))
    await stage.tick(minute(1))
    [trade] = stage.trades()
    ask = (await stage.desk.broker.inner.order_book(A)).asks[0].price
    assert (trade.side, trade.price, trade.reason) == (Side.BUY, ask, IntentReason.ENTRY)
    assert ask > trade.decided_price == 10_000
    costs = trade_costs(Market.KR, Side.BUY, trade.amount, SESSION, quantity=trade.quantity)
    assert (trade.fee, trade.tax) == (costs.fee, costs.tax)
    assert (trade.stop_loss_pct, trade.take_profit_pct) == (-3.0, 4.0)
    before, after = stage.marks()
    assert before.point.equity == before.point.cash == 100_000_000
    assert after.point.cash == before.point.cash + trade.cash_moved
    paid_too_much = (ask - 10_000) * trade.quantity + costs.total
    assert after.point.equity == before.point.equity - paid_too_much
    assert not stage.desk.broker.submitted and not stage.desk.orders()


async def test_it_holds_what_it_bought_and_its_guard_sells_it(floor: MakeFloor) -> None:
    prices = [10_000] * 4 + [10_600] * 3 + [9_500] * 4
    stage = ShadowFloor(floor({"A": busy(*prices)}))
    stage.append(shadow_plan({"A": [when("price <= 10000 and minutes_to_close > 388")]}))
    for n in (1, 5, 8):
        await stage.tick(minute(n))
    bought, sold = stage.trades()
    assert sold.side is Side.SELL and sold.quantity == bought.quantity
    # A gain of 6 % had pulled its stop up to break-even, and that was stored.
    assert sold.reason is IntentReason.BREAK_EVEN
    bid = (await stage.desk.broker.inner.order_book(A)).bids[0].price
    assert sold.price == bid < sold.decided_price
    assert stage.marks()[-1].point.holdings_value == 0


async def test_a_tick_that_is_run_twice_appends_nothing(floor: MakeFloor, tmp_path: Path) -> None:
    stage = ShadowFloor(floor({"A": busy(*[10_000] * 9), "B": busy(*[10_000] * 9)}))
    exit_at_once = when("unrealized_pnl_pct < 0", "SELL")
    stage.append(shadow_plan({"A": [exit_at_once, when("price > 1")], "B": [when("price > 1")]}))
    made = await stage.tick(minute(1))
    names = {table.name for table in SHADOW_RECORD_TABLES}
    rows = all_rows(stage.desk.store, tmp_path / "before")
    assert len(rows["shadow_trades"]) == 2
    stage.restart()
    await stage.shadows.follow(await stage.desk.day(), made.view)
    assert all_rows(stage.desk.store, tmp_path / "after") == rows
    assert names <= rows.keys()


async def test_a_process_that_dies_forgets_nothing(floor: MakeFloor, tmp_path: Path) -> None:
    prices = [10_000] * 3 + [10_450] * 2 + [10_150] * 2 + [9_600] * 4

    async def day(home: str, *, dies: bool) -> dict[str, Any]:
        stage = ShadowFloor(MakeFloor(tmp_path / home)({"A": busy(*prices)}))
        stage.append(shadow_plan({"A": [when("price <= 10000")]}))
        for n in (1, 4, 6, 8):
            if dies:
                stage.restart()
            await stage.tick(minute(n))
        rows = all_rows(stage.desk.store, tmp_path / f"{home}.db")
        return {name: row for name, row in rows.items() if name.startswith("shadow")}

    one, many = await day("one", dies=False), await day("many", dies=True)
    assert one == many
    assert len(one["shadow_trades"]) >= 2 and len(one["shadow_guards"]) >= 2


async def test_what_another_run_wrote_meanwhile_stands(floor: MakeFloor) -> None:
    stage = ShadowFloor(floor({"A": busy(*[10_000] * 9)}))
    stage.append(shadow_plan({"A": [when("price > 1")]}))
    made, day = await stage.desk.tick(minute(1)), await stage.desk.day()
    theirs = make_shadow_mark(session=SESSION, at=minute(1))

    class Slow:
        """Somebody is faster while the order book is asked for."""

        def __getattr__(self, name: str) -> Any:
            return getattr(stage.desk.broker, name)

        async def order_book(self, instrument: Instrument) -> Any:
            stage.append(theirs)
            return await stage.desk.broker.order_book(instrument)

    slow = Shadows(stage.desk.store, Slow(), stage.desk.history, ["rules"], POLICY)  # type: ignore[arg-type]
    await slow.follow(day, made.view)
    assert stage.marks() == [theirs] and stage.trades() == []


async def test_positions_are_carried_over_days_with_their_cash_and_their_guard(
    floor: MakeFloor,
) -> None:
    stage = ShadowFloor(floor({"A": busy(*[9_900] * 3, *[9_600] * 5)}))
    stage.append(bought_yesterday(), mark_of_yesterday(), shadow_plan(NOTHING))
    await stage.tick(minute(1))
    [mark] = stage.marks()
    assert mark.point.cash == 9_000_000 and mark.point.holdings_value == 990_000
    await stage.tick(minute(5))
    *_, sold = stage.trades()
    # The stop of its entry, 3.5 %, at 9 650.
    assert (sold.quantity, sold.reason) == (100, IntentReason.HARD_STOP)


async def test_what_it_holds_is_guarded_when_it_has_no_plan(floor: MakeFloor) -> None:
    stage = ShadowFloor(floor({"A": busy(*[9_600] * 5)}))
    stage.append(bought_yesterday(), mark_of_yesterday())
    await stage.tick(minute(1))
    assert [said[0] for said in stage.said()] == ["BUY", "SELL"]


async def test_a_shadow_with_neither_plan_nor_shares_leaves_no_trace(floor: MakeFloor) -> None:
    stage = ShadowFloor(floor({"A": busy(*[10_000] * 5)}))
    await stage.tick(minute(1))
    assert stage.marks() == []


async def test_until_its_first_trade_it_has_the_cash_the_account_may_spend(
    floor: MakeFloor,
) -> None:
    stage = ShadowFloor(floor({"A": busy(*[10_000] * 5)}))
    stage.append(mark_of_yesterday(cash=1, equity=1), shadow_plan(NOTHING))
    await stage.tick(minute(1))
    assert [mark.point.cash for mark in stage.marks()] == [100_000_000]


async def test_symbols_of_shadows_are_asked_once_and_only_after_the_orders(
    floor: MakeFloor,
) -> None:
    rows = {symbol: busy(*[10_000] * 9) for symbol in "ABC"}
    stage = ShadowFloor(floor(rows, {"A": [when("price > 1")]}), ("one", "two"))
    for planner in ("one", "two"):
        plan = {"A": [when("price > 1")], "B": [when("price > 1")]}
        stage.append(shadow_plan(plan, planner=planner))
    asked: list[tuple[str, ...]] = []
    quotes = stage.desk.broker.quotes

    async def watched(instruments: Any, **more: Any) -> Any:
        asked.append((*(i.symbol for i in instruments), f"{len(stage.desk.broker.submitted)} sent"))
        return await quotes(instruments, **more)

    stage.desk.broker.quotes = watched  # type: ignore[method-assign]
    made = await stage.tick(minute(1))
    assert asked == [("A", "0 sent"), ("B", "1 sent")]
    assert made.view.frame.symbols == ("A",)
    assert [mark.observed for mark in stage.marks("one")] == [2, 0]
    assert [mark.matched for mark in stage.marks("one")] == [2, 0]


async def test_a_playbook_that_reads_the_spread_gets_it(floor: MakeFloor) -> None:
    stage = ShadowFloor(floor({"A": busy(*[10_000] * 5)}))
    stage.append(shadow_plan({"A": [when("spread_pct < 5")]}))
    await stage.tick(minute(1))
    assert stage.said() == [("BUY", "A", stage.trades()[0].quantity, "entry")]


async def test_failures_stay_with_the_shadow_and_are_logged_once(
    floor: MakeFloor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"A": busy(*[10_000] * 9)}
    stage = ShadowFloor(floor(rows, {"A": [when("price > 1")]}), ("bad", "good"))
    for planner in ("bad", "good"):
        stage.append(shadow_plan({"A": [when("price > 1")]}, planner=planner))

    def broken(state: Any, *rest: Any, **more: Any) -> Any:
        if state.planner == "bad":
            raise ZeroDivisionError("as told")
        return shadow_books.books_of(state, *rest, **more)

    monkeypatch.setattr(shadow, "books_of", broken)
    with caplog.at_level(logging.WARNING, logger=shadow.__name__):
        for n in (1, 2, 3):
            made = await stage.tick(minute(n))
            assert made.report.sent or n > 1
    assert [r.getMessage() for r in caplog.records] == [
        "bad: not followed: ZeroDivisionError: as told"
    ]
    assert stage.trades("good") and stage.marks("bad") == []


async def test_no_prices_besides_the_real_ones_is_no_failure(floor: MakeFloor) -> None:
    stage = ShadowFloor(floor({"A": busy(*[10_000] * 9), "B": busy(*[10_000] * 9)}))
    stage.append(shadow_plan({"B": [when("price > 1")]}))
    made, day = await stage.desk.tick(minute(1)), await stage.desk.day()

    async def down(*_: Any, **__: Any) -> Any:
        raise BrokerUnavailable("down")

    stage.desk.broker.quotes = down  # type: ignore[method-assign]
    await stage.shadows.follow(day, made.view)
    assert len(stage.marks()) == 1 and stage.trades() == []


async def test_a_store_that_is_busy_costs_the_shadows_a_tick_and_nothing_else(
    floor: MakeFloor, caplog: pytest.LogCaptureFixture
) -> None:
    stage = ShadowFloor(floor({"A": busy(*[10_000] * 9)}))
    made, day = await stage.desk.tick(minute(1)), await stage.desk.day()
    with caplog.at_level(logging.CRITICAL), stage.desk.store.read():
        await stage.shadows.follow(day, made.view)
    assert stage.marks() == []


@pytest.mark.parametrize(
    ("kind", "buys"),
    [(HaltKind.OPERATOR, False), (HaltKind.KILL, False), (HaltKind.BREAKER, True)],
)
async def test_a_person_halts_shadows_too_but_the_real_ones_losses_do_not(
    floor: MakeFloor, kind: HaltKind, buys: bool
) -> None:
    stage = ShadowFloor(floor({"A": busy(*[10_000] * 9)}))
    stage.append(
        shadow_plan({"A": [when("price > 1")]}),
        make_halt(kind=kind, scope="KRW", raised_at=minute(0)),
    )
    await stage.tick(minute(1))
    assert bool(stage.trades()) is buys


async def test_a_shadow_that_lost_too_much_today_buys_no_more(floor: MakeFloor) -> None:
    stage = ShadowFloor(floor({"A": busy(*[10_000] * 9)}))
    worth = [(10_000_000, 0), (9_690_000, 1), (9_900_000, 2)]
    lost = [mark_of_yesterday(e, e, session=SESSION, at=minute(n)) for e, n in worth]
    other = bought_yesterday(instrument=Instrument("B", Market.KR))
    gone = replace(other, side=Side.SELL, intent_id="gone", at=YESTERDAY + timedelta(hours=1))
    stage.append(other, gone, *lost, shadow_plan({"A": [when("price > 1")]}))
    await stage.tick(minute(3))
    assert [t for t in stage.trades() if t.session == SESSION] == []
    # The same without the deep point in between.
    again = ShadowFloor(floor({"A": busy(*[10_000] * 9)}))
    again.append(other, gone, lost[0], lost[2], shadow_plan({"A": [when("price > 1")]}))
    await again.tick(minute(3))
    assert [t.side for t in again.trades() if t.session == SESSION] == [Side.BUY]


def test_nothing_of_a_shadow_can_reach_a_broker() -> None:
    forbidden = {"Broker", "submit", "cancel", "modify", "ApprovedOrderSender", "send_all", "send"}
    for module in (shadow, shadow_books, drafting, shadow_review):
        tree = ast.parse(inspect.getsource(module))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names |= {
            a.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for a in node.names
        }
        imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not names & forbidden, module.__name__
        assert not any(m and m.endswith((".execute", ".operate", ".kill")) for m in imported)
    for function in (Shadows.__init__, drafting.draft_shadows, shadow_review.review_shadows):
        kinds = {str(p.annotation) for p in inspect.signature(function).parameters.values()}
        assert not any("Broker" in kind or "Runtime" in kind for kind in kinds)


SCENARIOS = st.sampled_from(
    [
        when("price > 1"),
        when("price <= 9900"),
        when("change_pct > 0.5", allocation=3.0),
        when("unrealized_pnl_pct > 0.5", "SELL"),
        when("unrealized_pnl_pct < -0.5", "REDUCE"),
        when("spread_pct < 5"),
    ]
)
BOOKS = st.dictionaries(st.sampled_from("ABC"), st.lists(SCENARIOS, min_size=1, max_size=3))


@settings(
    max_examples=4,
    # A day takes half a second; a smaller example is not worth hundreds of them.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    real=BOOKS, one=BOOKS, two=BOOKS, moves=st.lists(st.integers(-30, 30), min_size=24, max_size=24)
)
async def test_no_shadow_ever_changes_the_real_orders(
    tmp_path: Path, real: Plans, one: Plans, two: Plans, moves: list[int]
) -> None:
    rows = {
        symbol: busy(*(10_000 + 50 * sum(moves[k : n + k + 1]) for n in range(12)))
        for k, symbol in enumerate("ABC", start=1)
    }

    async def day(*planners: str) -> tuple[Any, ...]:
        stage = ShadowFloor(MakeFloor(tmp_path)(rows, real), planners)
        plans = {"one": one, "two": two}
        stage.append(*(shadow_plan(plans[name], planner=name) for name in planners))
        for n in (1, 5, 10):
            if planners:
                await stage.tick(minute(n))
            else:
                await stage.desk.tick(minute(n))
        kept = all_rows(stage.desk.store, tmp_path / "rows.db")
        real_rows = {name: row for name, row in kept.items() if not name.startswith("shadow_")}
        return stage.desk.broker.submitted, stage.desk.broker.cancelled, real_rows

    assert await day() == await day("one", "two")
