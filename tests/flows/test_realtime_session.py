"""A session in realtime mode: the twin as the exchange, a Gemini look-alike as the model."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from flows import decide_cli
from flows.session import _Run, session
from flows.tick import tick
from tasks.planning import open_day
from tasks.shadowing import ShadowRun
from tests.gemini_stand_in import GeminiStandIn, Scripted, gemini_stand_in
from tests.trading_fakes import FakeNotifier, busy, playbook, when
from tests.unit.twin.handmade_tape import SESSION, make_tape, minute
from trading_core.errors import BrokerUnavailable, ConfigError
from trading_core.model.decision import DecidedBy, DecisionCycle
from trading_core.model.journal import Decision
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import OrderRecord, OrderState, Side
from trading_core.model.playbook import Playbook, PlaybookSource, Scenario
from trading_core.rules.calendar import require_session
from trading_core.steps.lease import Lease
from trading_core.steps.summary import overview
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import serve
from trading_core.twin.venue import AccountSpec
from trading_core.wiring import TWIN_ACCOUNT, Runtime, configure, open_runtime

WILD, CALM, DULL = "005930", "000660", "035420"
PRICES = {WILD: 9_500, CALM: 9_700, DULL: 9_990}
"""Down 5 % and 3 % on the day, and hardly at all, from 10 000."""

Say = Callable[[str], Scripted]


def said(symbol: str, action: str = "BUY", confidence: int = 90, **more: Any) -> Scripted:
    answer = {"symbol": symbol, "action": action, "confidence": confidence, "rationale": "so"}
    plan = {"stop_loss_pct": -2.5, "take_profit_pct": 5.0, "allocation_pct": 4.0}
    return Scripted(text=json.dumps(answer | (plan if action == "BUY" else {}) | more))


def asked_about(body: dict[str, Any]) -> str:
    text = body["contents"][0]["parts"][0]["text"]
    found = re.search(r'with symbol "(\w+)"', text)
    assert found is not None, text
    return found[1]


@dataclass
class Stage:
    """What a test of a session needs to look at."""

    runtime: Runtime
    model: GeminiStandIn
    notifier: FakeNotifier

    def asked(self) -> list[str]:
        return [asked_about(body) for body in self.model.bodies]

    def orders(self, side: Side = Side.BUY) -> list[OrderRecord]:
        with self.runtime.store.read() as db:
            return [r for r in db.orders("KR") if r.intent.side is side]

    def decisions(self, symbol: str) -> list[Decision]:
        with self.runtime.store.read() as db:
            return list(db.decisions("KR", symbol=symbol))

    def cycles(self) -> list[DecisionCycle]:
        with self.runtime.store.read() as db:
            return list(db.decision_cycles("KR", SESSION))


@asynccontextmanager
async def stage(
    home: Path,
    say: Say,
    *,
    scenarios: dict[str, Sequence[Scenario]] | Playbook | None = None,
    start: int = 372,
    prices: dict[str, Sequence[float]] | None = None,
    **settings: Any,
) -> AsyncIterator[Stage]:
    """The last minutes before the closing auction, three stocks, and a model that answers
    ``say(symbol)``."""
    series = prices or {symbol: [price] * 390 for symbol, price in PRICES.items()}
    tape = make_tape({symbol: busy(*row) for symbol, row in series.items()})
    account = AccountSpec(TWIN_ACCOUNT, {Currency.KRW: Decimal(100_000_000)})
    twin = await serve(SimulatedExchange(tape, [account], at=minute(start)))
    plan = scenarios if isinstance(scenarios, Playbook) else playbook(scenarios or {})
    notifier = FakeNotifier()
    try:
        async with gemini_stand_in() as model:
            model.respond = lambda body: say(asked_about(body))
            chosen = configure(
                **{
                    "ouroboros_home": home,
                    "twin_url": twin.base_url,
                    "enabled_markets": "KR",
                    "trade_mode": "realtime",
                    "gemini_api_key": "no-key-at-all",
                    "gemini_base_url": model.base_url,
                    "llm_calls_per_day": 0,
                    **settings,
                }
            )
            async with open_runtime(chosen, notifier=notifier) as runtime:
                with runtime.store.write() as tx:
                    tx.append([plan])
                yield Stage(runtime, model, notifier)
    finally:
        await twin.stop()


async def test_a_confident_buy_is_sized_gated_filled_and_guarded(tmp_path: Path) -> None:
    async with stage(
        tmp_path, lambda symbol: said(symbol) if symbol == WILD else hold(symbol)
    ) as s:
        await session.fn("KR")
        [order] = s.orders()
        with s.runtime.store.read() as db:
            guard = db.protections("KR")[WILD]
    assert order.intent.instrument.symbol == WILD
    assert order.state is OrderState.FILLED
    # 4 % of 100 million won is the model's cap; sizing may only make it less.
    assert 0 < order.intent.notional <= Decimal(4_000_000)
    assert guard.stop_loss_pct >= -2.5
    [decision] = [d for d in s.decisions(WILD) if d.action == "BUY"]
    assert (decision.scenario_id, decision.confidence) == ("realtime", 90)
    assert decision.context_snapshot["source"] == "realtime"
    assert decision.context_snapshot["selection_context"]["signal"] == "oversold"
    assert decision.prompt_id
    with s.runtime.store.read() as db:
        assert WILD in (db.llm_text(decision.prompt_id) or "")


def hold(symbol: str) -> Scripted:
    return said(symbol, "HOLD", 70)


async def test_what_has_not_changed_is_not_asked_about_again(tmp_path: Path) -> None:
    async with stage(tmp_path, hold) as s:
        await session.fn("KR")
    # Two candidates: the third stock does not move enough to be one.
    # An answer is good for a quarter of an hour.
    assert sorted(s.asked()) == sorted([WILD, CALM] * 2)
    cycles = s.cycles()
    assert len(cycles) == 18
    expected = [(0, 2)] * 18
    expected[0] = expected[16] = (2, 0)
    assert [(c.asked, c.reused) for c in cycles] == expected
    assert {c.decided_by for c in cycles} == {DecidedBy.MODEL}


async def test_below_the_threshold_nothing_is_ordered_and_the_reason_is_written(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, lambda symbol: said(symbol, confidence=79), start=386) as s:
        await session.fn("KR")
    assert s.orders() == []
    [decision] = s.decisions(WILD)
    assert (decision.action, decision.confidence) == ("HOLD", 79)
    assert decision.rationale == "confidence 79 is below 80"


@pytest.mark.parametrize(
    "text",
    [
        "BUY BUY BUY",
        '{"symbol": "%s", "action": "BUY", "confidence": 900, "rationale": ""}',
        '{"symbol": "%s", "action": "BUY ALL", "confidence": 95, "rationale": ""}',
        '{"symbol": "666666", "action": "BUY", "confidence": 95, "rationale": ""}',
        '{"symbol": "%s", "action": "BUY", "confidence": 95, "rationale": "", "stop_loss_pct": 5}',
    ],
)
async def test_no_order_comes_of_a_reply_that_is_not_valid(tmp_path: Path, text: str) -> None:
    def say(symbol: str) -> Scripted:
        return Scripted(text=text.replace("%s", symbol))

    async with stage(tmp_path, say, start=387) as s:
        await session.fn("KR")
    assert s.orders() == []
    [decision] = s.decisions(WILD)
    assert (decision.action, decision.confidence) == ("HOLD", 0)
    assert decision.rationale.startswith("no usable reply: ")


async def test_a_quota_that_is_gone_holds_what_was_asked_and_then_the_playbook_goes_on(
    tmp_path: Path,
) -> None:
    plans = {WILD: [when("price > 1")]}
    gone = Scripted(status=429, message="quota")
    async with stage(tmp_path, lambda symbol: gone, scenarios=plans) as s:
        await tick.fn("KR")
        assert s.orders() == []
        [decision] = s.decisions(WILD)
        assert (decision.action, decision.confidence) == ("HOLD", 0)
        assert "429" in decision.rationale
        await session.fn("KR")
    # A second round that fails is the playbook's.
    first, second = s.cycles()[:2]
    assert (first.decided_by, second.decided_by) == (DecidedBy.MODEL, DecidedBy.PLAYBOOK)
    assert "429" in second.reason
    [order] = s.orders()
    assert order.intent.created_at == second.at
    assert [note.kind for note in s.notifier.told].count("realtime") == 1
    # From then on rounds come at the usual pace, every five minutes.
    assert [c.at for c in s.cycles()] == [minute(n) for n in (372, 373, 378, 383, 388)]


async def test_when_the_budget_is_used_up_the_playbook_goes_on_and_says_why(
    tmp_path: Path,
) -> None:
    plans = {DULL: [when("price > 1")]}
    rising = {
        WILD: [9_400 + 60 * max(n - 372, 0) for n in range(390)],
        CALM: [9_700] * 390,
        DULL: [9_990] * 390,
    }
    budget = {"llm_calls_per_day": 3, "prices": rising}
    async with stage(tmp_path, hold, scenarios=plans, **budget) as s:
        await session.fn("KR")
        state = overview(s.runtime.store, s.runtime.groups)["markets"][0]["realtime"]
    assert len(s.asked()) == 3
    cycles = s.cycles()
    assert sum(c.asked for c in cycles) == 3
    first = next(c for c in cycles if c.decided_by is DecidedBy.PLAYBOOK)
    assert first.at > cycles[0].at
    assert first.reason.startswith("BudgetExhausted: ")
    [order] = s.orders()
    assert (order.intent.instrument.symbol, order.intent.created_at) == (DULL, first.at)
    assert (state["decided_by"], state["reason"]) == ("playbook", cycles[-1].reason)
    [note] = [note for note in s.notifier.told if note.kind == "realtime"]
    assert "BudgetExhausted" in note.text
    # What the model was to decide about is written down as held, where the playbook is silent.
    assert "BudgetExhausted" in s.decisions(WILD)[-1].rationale


async def test_the_model_sells_what_is_held_and_exits_of_the_playbook_stand(
    tmp_path: Path,
) -> None:
    def say(symbol: str) -> Scripted:
        return said(symbol, "SELL", 90) if symbol in sold else said(symbol)

    sold: set[str] = set()
    async with stage(tmp_path, say, scenarios={CALM: [when("holding_days >= 0", "SELL")]}) as s:
        await tick.fn("KR")
        assert {r.intent.instrument.symbol for r in s.orders()} == {WILD, CALM}
        sold.add(WILD)
        s.model.respond = lambda body: say(asked_about(body))
        await session.fn("KR")
    sales = {r.intent.instrument.symbol: r for r in s.orders(Side.SELL)}
    assert set(sales) == {WILD, CALM}
    by_plan = {d.decision_id: d.scenario_id for d in s.decisions(CALM)}
    assert by_plan[sales[CALM].intent.decision_id] == f"{CALM}#0"


async def test_without_any_plan_daily_mode_asks_the_model_as_the_last_resort(
    tmp_path: Path,
) -> None:
    exits = playbook({DULL: [when("price < 1", "SELL")]})
    bare = exits.model_copy(
        update={"source": PlaybookSource.EXIT_ONLY, "fallback_reason": "PlannerUnavailable"}
    )
    busy_planner = Scripted(status=500, message="as told")

    def respond(body: dict[str, Any]) -> Scripted:
        text = body["contents"][0]["parts"][0]["text"]
        return said(asked_about(body)) if 'with symbol "' in text else busy_planner

    daily = {"trade_mode": "daily", "defensive_playbook_on_failure": False}
    async with stage(tmp_path, said, scenarios=bare, start=373, **daily) as s:
        s.model.respond = respond
        await session.fn("KR")
    assert {r.intent.instrument.symbol for r in s.orders()} == {WILD, CALM}
    # At the usual pace of daily mode.
    assert [c.at for c in s.cycles()] == [minute(n) for n in (373, 375, 380, 385)]


async def test_one_decision_on_demand_is_shown_and_orders_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, said) as s:
        answer = await decide_cli.decision_now(WILD, "KR")
        nobody = s.asked()
        with pytest.raises(BrokerUnavailable, match="999999 has no usable price"):
            await decide_cli.decision_now("999999", "KR")
    assert (answer["price"], answer["open"], nobody) == ("9500", True, [WILD])
    made = answer["decision"]
    assert (made["action"], made["stop_loss_pct"], made["reason"]) == ("BUY", -2.5, "")
    assert s.orders() == []
    assert s.decisions(WILD) == []


async def test_without_a_model_there_is_no_decision_on_demand(tmp_path: Path) -> None:
    async with stage(tmp_path, said, gemini_api_key=None):
        with pytest.raises(ConfigError, match="GEMINI_API_KEY"):
            await decide_cli.decision_now(WILD, "KR")


async def test_protective_passes_need_not_wait_for_the_model(tmp_path: Path) -> None:
    held = []

    class Kept:
        def keep(self) -> None:
            """It is ours."""

    async with stage(tmp_path, hold, start=387) as s:
        today = require_session(MarketGroup.KR, SESSION)
        with s.runtime.store.read() as db:
            book = db.playbook("KR", SESSION)
        assert book is not None
        day = await open_day(s.runtime, MarketGroup.KR, today, book)
        shadows = ShadowRun(s.runtime, MarketGroup.KR, today)
        run = _Run(s.runtime, day, cast(Lease, Kept()), shadows)

        def respond(body: dict[str, Any]) -> Scripted:
            held.append(run._turn.locked())
            return hold(asked_about(body))

        s.model.respond = respond
        await run.ticks()
    assert (held, run.done.ticks, run.done.failed) == ([False, False], 3, 0)
