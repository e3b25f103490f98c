"""A whole day, from plan to review, with the rules trading and the rules in their shadow."""

from __future__ import annotations

import ast
import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flows.plan import plan
from flows.review import review
from flows.session import session
from flows.tick import tick
from tasks.review_page import review_page
from tasks.shadowing import ShadowRun
from tests.flows.test_stepped_session import runtime_at
from tests.record_factories import make_context, make_scorecard
from tests.trading_fakes import FakeNotifier, playbook, when
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.errors import PlannerUnavailable
from trading_core.model.journal import ContextLayer
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import ApprovedOrder, Fill, OrderRecord, Side
from trading_core.model.shadow import ShadowMark, ShadowPlan, ShadowTrade
from trading_core.ports.sources import Sources
from trading_core.rules.context_selector import MarketCondition, choose
from trading_core.steps.gather import Universe
from trading_core.steps.lessons import ModelLessons
from trading_core.steps.shadow_plan import ShadowPlanner
from trading_core.steps.summary import digest
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import serve
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec
from trading_core.wiring import TWIN_ACCOUNT, Runtime, configure, open_runtime, shared

ROOT = Path(__file__).parents[2]
KR = MarketGroup.KR
DAY = date(2026, 9, 10)
CASH = Decimal(50_000_000)
SYMBOLS = 80


class Watched:
    """The broker of the runtime, and the orders that reached it."""

    def __init__(self, runtime: Runtime) -> None:
        self._broker = runtime.broker
        self.sent: list[str] = []

    async def submit(self, order: ApprovedOrder) -> Any:
        self.sent.append(order.intent.intent_id)
        return await self._broker.submit(order)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


class Broken:
    """A planner that never plans."""

    async def draft(self, request: Any) -> Any:
        raise PlannerUnavailable("as told")


@dataclass
class Played:
    """What a day left behind."""

    home: Path
    digest: str
    sent: list[str]
    orders: list[OrderRecord]
    fills: list[Fill]
    trades: list[ShadowTrade]
    marks: list[ShadowMark]
    plans: dict[str, str]
    compared: dict[str, Any]
    reviewed_at: Any


async def play(home: Path, *shadows: ShadowPlanner) -> Played:
    tape = synthetic_tape(KR, DAY, symbols=SYMBOLS, seed=12)
    account = AccountSpec(TWIN_ACCOUNT, {Currency.KRW: CASH})
    begin = tape.hours.open_at - timedelta(minutes=40)
    twin = await serve(SimulatedExchange(tape, [account], at=begin))
    settings = configure(
        ouroboros_home=home,
        lock_dir=home,
        twin_url=twin.base_url,
        enabled_markets="KR",
        rescan_interval_seconds=1800,
        planner_max_stocks=SYMBOLS,
    )
    here: dict[str, Any] = {
        "universe": Universe(always=tuple(tape.instruments), max_candidates=SYMBOLS),
        "notifier": FakeNotifier(),
        "sources": Sources(),
        "shadows": shadows,
    }
    try:
        async with open_runtime(settings, **here) as runtime:
            broker = Watched(runtime)
            with shared(replace(runtime, broker=broker)):
                await plan.fn("KR")
                await session.fn("KR")
                await runtime.clock.sleep_until(tape.hours.close_at + timedelta(minutes=20))
                await review.fn("KR")
            return what_is_left(runtime, home, broker.sent)
    finally:
        await twin.stop()


def what_is_left(runtime: Runtime, home: Path, sent: list[str]) -> Played:
    with runtime.store.read() as db:
        entries = {entry.key: entry.value for entry in db.context(ContextLayer.L6)}
        return Played(
            home=home,
            digest=digest(db, KR, DAY),
            sent=sent,
            orders=list(db.orders("KR", DAY)),
            fills=list(db.fills("KR", DAY)),
            trades=list(db.shadow_trades("KR")),
            marks=list(db.shadow_marks("KR", DAY)),
            plans={p.planner: p.problem for p in db.shadow_plans("KR", since=DAY, until=DAY)},
            compared=entries.get("shadow_KR", {}),
            reviewed_at=runtime.clock.now(),
        )


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Played:
    shadows = ShadowPlanner("rules"), ShadowPlanner("gemini:broken", Broken())
    return asyncio.run(play(tmp_path_factory.mktemp("followed"), *shadows))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return asyncio.run(play(tmp_path_factory.mktemp("alone")))


def test_the_real_day_is_the_same_with_shadows_and_without(followed: Played, alone: Played) -> None:
    assert followed.digest == alone.digest
    assert followed.sent == alone.sent and len(alone.sent) >= 5
    assert not alone.trades and not alone.marks and not alone.compared


def test_what_reached_the_broker_are_the_real_orders_and_no_other(followed: Played) -> None:
    real = {order.intent.intent_id for order in followed.orders if order.order_no}
    assert set(followed.sent) == real and len(followed.sent) == len(real)
    assert len(followed.trades) >= 5


def test_the_rules_in_shadow_want_what_the_real_rules_want(followed: Played) -> None:
    def said(trades: Any) -> Counter[tuple[Any, ...]]:
        return Counter((t.side, t.instrument.symbol, t.quantity, t.reason) for t in trades)

    # Of an order that traded in parts the broker tells the sum.
    real = [order.intent for order in followed.orders if order.filled_quantity]
    assert said(real) == said(followed.trades)


def test_they_earn_what_the_real_rules_earned_but_for_the_depth_of_the_book(
    followed: Played,
) -> None:
    """A real order of many shares trades through several prices of the book; a shadow's is filled
    whole at the best one. Nothing else may differ."""
    real, shadow = (Decimal(followed.compared["planners"][n]["net"]) for n in ("real", "rules"))
    moved = sum(
        (f.amount if f.side is Side.SELL else -f.amount) - f.fee - f.tax for f in followed.fills
    )
    by_fills = sum(trade.cash_moved for trade in followed.trades) - moved
    assert shadow - real == by_fills
    traded = sum(fill.amount for fill in followed.fills)
    assert abs(by_fills) < traded / 2000, "five hundredths of a percent of what was traded"
    for name in ("trades", "won", "lost", "win_rate_pct", "match_rate_pct", "positions"):
        scores = followed.compared["planners"]
        assert scores["rules"][name] == scores["real"][name], name


def test_the_marks_say_what_cash_and_shares_were_worth_all_day(followed: Played) -> None:
    mine = [mark.point for mark in followed.marks if mark.planner == "rules"]
    assert mine[0].equity == CASH
    assert mine[-1].cash == CASH + sum(trade.cash_moved for trade in followed.trades)
    assert all(point.equity == point.cash + point.holdings_value for point in mine)
    # The last one is of the close, which the review asks for.
    assert mine[-1].at == followed.reviewed_at
    net = Decimal(followed.compared["planners"]["rules"]["net"])
    assert net == mine[-1].equity - CASH


def test_a_shadow_that_cannot_plan_is_shown_with_its_reason(followed: Played) -> None:
    assert followed.plans == {"rules": "", "gemini:broken": "PlannerUnavailable: as told"}
    score = followed.compared["planners"]["gemini:broken"]
    assert score["problem"] == "PlannerUnavailable: as told"
    assert (score["net"], score["trades"], score["source"]) == ("0", 0, "exit_only")


def test_the_review_page_compares_them(followed: Played) -> None:
    lessons = ModelLessons(reason="no model")
    card = make_scorecard(best=[])
    page = review_page(card, lessons, followed.compared)
    assert "## Planners" in page
    rows = [line for line in page.splitlines() if line.startswith(("| real", "| rules"))]
    assert len(rows) == 2
    net = Decimal(followed.compared["planners"]["rules"]["net"])
    assert f"{net:+,}" in rows[1]
    assert "| gemini:broken |" in page and "as told" in page
    assert "## Planners" not in review_page(card, lessons)


def test_no_planner_is_shown_what_the_others_would_have_earned(followed: Played) -> None:
    entries = [
        make_context(layer=ContextLayer.L6, timeframe=DAY.isoformat(), key=key, value={"net": 7})
        for key in ("shadow_KR", "scorecard_KR")
    ]
    at = entries[0].at + timedelta(days=1)
    chosen = choose(entries, MarketCondition.NORMAL, market="KR", session=at.date(), at=at)
    assert [item.entry.key for item in chosen] == ["scorecard_KR"]


def test_the_command_shows_them_side_by_side(
    followed: Played, run_cli: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUROBOROS_HOME", str(followed.home))
    monkeypatch.setenv("SHADOW_PLANNERS", "rules,openai:x@/no/such/file.md")
    code, text, _ = run_cli("shadow", "--market", "KR", "--days", "3660", "--json")
    assert code == 0
    answer = json.loads(text)
    [market] = answer["markets"]
    assert market["planners"].keys() == {"real", "rules", "gemini:broken"}
    assert market["sessions"][0] == followed.compared
    assert market["planners"]["rules"]["net"] == followed.compared["planners"]["rules"]["net"]
    assert [entry["planner"] for entry in answer["configured"]][:1] == ["rules"]
    code, text, _ = run_cli("shadow", "--days", "3660")
    assert code == 0 and "cannot be read" in text
    for name in ("real", "rules", "gemini:broken"):
        assert name in text
    code, text, _ = run_cli("shadow", "--market", "US")
    assert code == 0 and "nothing was planned in shadow" in text


def imports_when_loaded(tree: ast.Module) -> set[str]:
    """Modules that are imported as soon as this one is."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found


def test_nothing_of_shadows_is_loaded_where_none_is_configured() -> None:
    files = [*ROOT.glob("flows/*.py"), *ROOT.glob("tasks/*.py"), *ROOT.rglob("wiring/*.py")]
    files += [f for f in ROOT.glob("trading_core/steps/*.py") if not f.name.startswith("shadow")]
    loading = {
        file.name
        for file in files
        if any(
            name.startswith("trading_core.steps.shadow")
            for name in imports_when_loaded(ast.parse(file.read_text()))
        )
    }
    assert len(files) > 60 and loading == set()


async def test_without_shadows_nothing_is_asked() -> None:
    class Untouched:
        shadows = ()

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was looked at")

    run = ShadowRun(Untouched(), KR, None)  # type: ignore[arg-type]
    nothing: Any = None
    await run.draft(nothing, anew=True)
    await run.draft_soon(nothing)
    await run.follow(nothing, nothing)
    await run.finish()


async def test_a_slow_shadow_never_makes_a_tick_wait(caplog: pytest.LogCaptureFixture) -> None:
    class Clock:
        runs = True

    class Here:
        shadows = (ShadowPlanner("rules"),)
        clock = Clock()

    released, begun = asyncio.Event(), []

    class Slow:
        async def follow(self, day: Any, view: Any) -> None:
            begun.append(view)
            await released.wait()

    run: Any = ShadowRun(Here(), KR, None)  # type: ignore[arg-type]
    run._shadows = Slow()

    @dataclass
    class Made:
        view: str

    for n in "abc":
        await run.follow(None, Made(n))
        await asyncio.sleep(0)
    assert begun == ["a"]
    assert [r.getMessage() for r in caplog.records] == [
        "shadow planners are slow: a tick was left out"
    ] * 2
    released.set()
    await run.finish()
    await run.follow(None, Made("d"))
    await run.finish()
    assert begun == ["a", "d"]


async def test_a_tick_by_hand_has_its_shadows_too(tmp_path: Path) -> None:
    async with runtime_at(minute(2), tmp_path, "price < 1") as runtime:
        book = playbook({"005930": [when("price > 1")]})
        with runtime.store.write() as tx:
            tx.append([ShadowPlan("rules", "KR", SESSION, minute(0), book)])
        with shared(replace(runtime, shadows=(ShadowPlanner("rules"),))):
            await tick.fn("KR")
        with runtime.store.read() as db:
            assert [trade.planner for trade in db.shadow_trades("KR")] == ["rules"]
            assert db.orders("KR") == []
