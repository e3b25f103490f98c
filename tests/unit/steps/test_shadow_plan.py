"""Shadow planners draft on what the real one was drafted on, with holdings of their own."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.planning_fakes import (
    AT,
    LAST_SESSION,
    SESSION,
    FakeBroker,
    FakeMarketData,
    FakePlanner,
    bars,
    holding,
    instrument,
    small_calendar,
)
from tests.record_factories import make_llm_call, make_shadow_mark, make_shadow_trade
from tests.trading_fakes import MakeFloor, busy
from tests.unit.steps.test_ask_ledger import NO_LIMIT, FakeModel, question
from trading_core.adapters.duck.store import DuckStore
from trading_core.clock import FixedClock
from trading_core.errors import BudgetExhausted
from trading_core.model.limits import PlanLimits, Policy, RiskLimits, ScanLimits, SizingPolicy
from trading_core.model.market import MarketGroup
from trading_core.model.order import Side
from trading_core.model.playbook import Outlook, PlaybookDraft, PlaybookSource
from trading_core.model.price import Quote
from trading_core.model.shadow import ShadowPlan, is_shadow_call
from trading_core.rules import calendar
from trading_core.steps.ask import AccountedModel
from trading_core.steps.gather import PlanInputs, Universe
from trading_core.steps.plan import plan_session
from trading_core.steps.review import score_day
from trading_core.steps.shadow_plan import (
    CLAIMED_FOR,
    Instructed,
    ShadowPlanner,
    draft_shadows,
    instructions_problem,
    unplanned,
)

KR = MarketGroup.KR
SYMBOLS = ("000010", "000020", "000030")
POLICY = Policy(RiskLimits(), SizingPolicy(), ScanLimits(top_n=3), PlanLimits())
RULES = ShadowPlanner("rules")


class Prices(FakeMarketData):
    async def quotes(self, instruments: Any, **_: Any) -> dict[str, Quote]:
        price = Decimal(110)
        quote = {i.symbol: Quote(i, price, price, price, price, price, 1, AT) for i in instruments}
        return {symbol: found for symbol, found in quote.items() if symbol != "000099"}


@pytest.fixture(autouse=True)
def small_calendars(monkeypatch: pytest.MonkeyPatch) -> None:
    for group in (MarketGroup.KR, MarketGroup.US):
        monkeypatch.setitem(calendar._tables, group, small_calendar(group))


@pytest.fixture
def store() -> DuckStore:
    return DuckStore(":memory:")


MARKET: Any = Prices(bars_of={symbol: bars() for symbol in SYMBOLS}, ranked=SYMBOLS)


async def inputs_of(store: DuckStore, planner: Any = None) -> PlanInputs:
    """What a real plan, made and stored just now, was drafted from."""
    found: list[PlanInputs] = []
    broker: Any = FakeBroker(holdings=(holding("000777"),))
    await plan_session(
        store,
        MARKET,
        broker,
        planner,
        group=KR,
        session=SESSION,
        at=AT,
        policy=POLICY,
        universe=Universe(),
        on_inputs=found.append,
    )
    [inputs] = found
    return inputs


async def drafted(
    store: DuckStore, *shadows: ShadowPlanner, inputs: PlanInputs | None = None
) -> tuple[ShadowPlan, ...]:
    inputs = inputs or await inputs_of(store)
    return await draft_shadows(store, MARKET, shadows, inputs, policy=POLICY)


def stored(store: DuckStore) -> dict[str, ShadowPlan]:
    with store.read() as db:
        plans = db.shadow_plans("KR", since=SESSION, until=SESSION)
    return {plan.planner: plan for plan in plans}


def model(name: str = "gemini:other", **values: Any) -> ShadowPlanner:
    return ShadowPlanner(name, FakePlanner(**values))


A_DRAFT = PlaybookDraft(outlook=Outlook.BULLISH, stocks=())


async def test_the_rules_in_shadow_write_what_the_rules_write(store: DuckStore) -> None:
    inputs = await inputs_of(store)
    [plan] = await drafted(store, RULES, inputs=replace(inputs, holdings=(), held=()))
    with store.read() as db:
        real = db.playbook("KR", SESSION)
    assert real is not None and real.source is PlaybookSource.RULES
    own = [stock for stock in real.stocks if stock.symbol != "000777"]
    assert list(plan.playbook.stocks) == own and own
    assert plan.playbook.global_rules == real.global_rules and not plan.problem
    assert stored(store) == {"rules": plan}


async def test_a_shadow_plans_for_its_own_shares_and_not_for_the_accounts(store: DuckStore) -> None:
    mine = make_shadow_trade(
        instrument=instrument("000099"), session=LAST_SESSION, at=AT - timedelta(days=3)
    )
    other = make_shadow_trade(
        planner="else", instrument=instrument("000088"), session=LAST_SESSION, at=AT
    )
    with store.write() as tx:
        tx.append([mine, other, make_shadow_mark(session=LAST_SESSION, at=AT - timedelta(days=3))])
    asked = FakePlanner(A_DRAFT)
    inputs = await inputs_of(store)
    plans = await drafted(store, RULES, ShadowPlanner("openai:x", asked), inputs=inputs)
    assert "000099" in plans[0].playbook.symbols
    assert not {"000777", "000088"} & set(plans[0].playbook.symbols)
    [request] = asked.requests
    assert "000777" not in request.prompt and request.known_symbols == {*SYMBOLS}
    assert is_shadow_call(request.purpose)


async def test_losses_of_its_own_keep_a_shadow_from_buying(store: DuckStore) -> None:
    days = [day.date for day in small_calendar(KR).sessions if day.date < SESSION][-3:]
    rows: list[Any] = []
    for n, day in enumerate(days[-2:]):
        at = AT - timedelta(days=5 - n)
        fields = {"instrument": instrument("000010"), "session": day, "quantity": 10}
        rows += [
            make_shadow_trade(intent_id=f"b{n}", at=at, price=Decimal(100), **fields),
            make_shadow_trade(
                intent_id=f"s{n}",
                at=at + timedelta(hours=1),
                side=Side.SELL,
                price=Decimal(80),
                **fields,
            ),
        ]
    with store.write() as tx:
        tx.append(rows)
    [plan] = await drafted(store, RULES)
    buys = {
        stock.symbol
        for stock in plan.playbook.stocks
        for scenario in stock.scenarios
        if scenario.action == "BUY"
    }
    assert "000010" not in buys and {"000020", "000030"} & buys


async def test_one_that_fails_is_logged_and_says_why_and_the_others_plan(
    store: DuckStore, caplog: pytest.LogCaptureFixture
) -> None:
    spent = model("gemini:spent", error=BudgetExhausted("15 of 15 calls of the day are used"))
    broken = model("gemini:broken", error=KeyError("choices"))
    with caplog.at_level(logging.WARNING):
        plans = await drafted(store, spent, broken, RULES)
    problems = {plan.planner: plan.problem for plan in plans}
    assert problems["gemini:spent"] == "BudgetExhausted: 15 of 15 calls of the day are used"
    assert problems["gemini:broken"].startswith("KeyError")
    assert problems["rules"] == "" and plans[2].playbook.stocks
    for plan in plans[:2]:
        assert plan.playbook.source is PlaybookSource.EXIT_ONLY
        assert not any(s.action == "BUY" for stock in plan.playbook.stocks for s in stock.scenarios)
    said = [record.getMessage() for record in caplog.records if "shadow" in record.getMessage()]
    assert len(said) == 2 and "gemini:spent" in said[0]
    assert stored(store).keys() == problems.keys()


async def test_what_is_planned_stays_and_what_failed_is_tried_again(store: DuckStore) -> None:
    inputs = await inputs_of(store)
    failing = model("openai:x", error=BudgetExhausted("spent"))
    await drafted(store, RULES, failing, inputs=inputs)
    assert unplanned(store, [RULES, failing], KR, SESSION) == [failing]
    later = replace(inputs, at=AT + timedelta(minutes=5))
    better = model("openai:x", draft_to_give=A_DRAFT)
    [again] = await drafted(store, RULES, better, inputs=later)
    assert (again.planner, again.problem) == ("openai:x", "")
    assert again.cost_usd == Decimal("0.001")
    assert stored(store)["openai:x"] == again


async def test_two_runs_do_not_pay_for_the_same_drafts(store: DuckStore) -> None:
    inputs = await inputs_of(store)
    asked = model(draft_to_give=A_DRAFT)
    with store.write() as tx:
        assert tx.acquire_lease(f"shadows-KR-{SESSION}", "another run", AT, CLAIMED_FOR)
    assert await drafted(store, asked, inputs=inputs) == ()
    late = replace(inputs, at=AT + CLAIMED_FOR)
    assert len(await drafted(store, asked, inputs=late)) == 1
    with store.read() as db:
        assert db.lease_holder(f"shadows-KR-{SESSION}", at=late.at) is None


async def test_instructions_end_the_prompt_and_change_its_hash(
    store: DuckStore, tmp_path: Path
) -> None:
    file = tmp_path / "careful.md"
    file.write_text("Buy nothing on Fridays.\n")
    plain, variant = FakePlanner(A_DRAFT), FakePlanner(A_DRAFT)
    shadows = ShadowPlanner("a", plain), ShadowPlanner("b", Instructed(variant, file))
    inputs = await inputs_of(store)
    await drafted(store, *shadows, inputs=inputs)
    [before], [after] = plain.requests, variant.requests
    assert after.prompt == f"{before.prompt}\n\n# Further instructions\nBuy nothing on Fridays.\n"
    assert after.prompt_hash != before.prompt_hash


async def test_instructions_that_are_gone_are_that_shadows_problem(
    store: DuckStore, tmp_path: Path
) -> None:
    gone = ShadowPlanner("b", Instructed(FakePlanner(A_DRAFT), tmp_path / "gone.md"))
    plans = await drafted(store, gone, RULES)
    assert "gone.md cannot be read" in plans[0].problem and not plans[1].problem


def test_instructions_have_a_length(tmp_path: Path) -> None:
    file = tmp_path / "long.md"
    assert instructions_problem(None) == ""
    for text, fits in (("x" * 20_000, True), ("x" * 20_001, False), ("  \n", False)):
        file.write_text(text)
        assert (instructions_problem(file) == "") is fits


async def test_the_real_plan_is_stored_before_anybody_is_handed_its_inputs(
    store: DuckStore,
) -> None:
    seen = []

    def look(inputs: PlanInputs) -> None:
        with store.read() as db:
            seen.append(db.playbook("KR", SESSION) is not None)

    broker: Any = FakeBroker()
    known = {"group": KR, "session": SESSION, "at": AT, "policy": POLICY, "universe": Universe()}
    for _ in range(2):
        await plan_session(store, MARKET, broker, None, **known, on_inputs=look)
    # The second time the stored one was used, and nothing was gathered.
    assert seen == [True]


@pytest.mark.parametrize(("purpose", "is_one"), [("shadow", True), ("shadow_repair", True)])
def test_calls_of_shadows_are_known_by_their_purpose(purpose: str, is_one: bool) -> None:
    assert is_shadow_call(purpose) is is_one
    assert not is_shadow_call(make_llm_call().purpose)


async def test_a_shadow_never_answers_for_the_real_planner_nor_the_other_way(
    store: DuckStore,
) -> None:
    model = FakeModel()
    asks = AccountedModel(model, store, FixedClock(AT), budget=NO_LIMIT, prices=())
    for purpose in ("shadow", "plan", "plan", "shadow_repair"):
        await asks.ask(question(purpose=purpose))
    assert [asked.purpose for asked in model.asked] == ["shadow", "plan"]


async def test_what_a_shadow_costs_is_not_on_the_real_planners_scorecard(tmp_path: Path) -> None:
    desk = MakeFloor(tmp_path)({"A": busy(10_000, 10_000)})
    with desk.store.write() as tx:
        asked = make_llm_call(session=desk.session.date, purpose="shadow")
        tx.append([asked, replace(asked, call_id="call-2", purpose="plan")])
    card = score_day(desk.store, group=KR, session=desk.session, at=desk.session.close_at)
    assert card.details["llm"]["calls"] == 1
