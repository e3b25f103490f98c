"""The loss guard and the memories on the way through a whole plan, with a real store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
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
    instrument,
    scorecard,
    small_calendar,
)
from tests.prompt_reader import read_back
from trading_core.adapters.duck import DuckStore
from trading_core.errors import PlannerUnavailable
from trading_core.model.journal import ContextEntry, ContextLayer
from trading_core.model.limits import PlanLimits, Policy, RiskLimits, ScanLimits, SizingPolicy
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import Fill, Side
from trading_core.model.playbook import (
    Action,
    Condition,
    Outlook,
    Playbook,
    PlaybookDraft,
    PlaybookSource,
    Scenario,
    StockPlan,
)
from trading_core.ports.sources import Sources
from trading_core.rules import calendar
from trading_core.steps import gather as gathering
from trading_core.steps.gather import Universe
from trading_core.steps.plan import plan_session
from trading_core.steps.preview import preview_prompt

SYMBOLS = ("000010", "000020", "000030")
POLICY = Policy(RiskLimits(), SizingPolicy(), ScanLimits(top_n=3), PlanLimits())


@pytest.fixture(autouse=True)
def small_calendars(monkeypatch: pytest.MonkeyPatch) -> None:
    for group in (MarketGroup.KR, MarketGroup.US):
        monkeypatch.setitem(calendar._tables, group, small_calendar(group))


@pytest.fixture
def store() -> DuckStore:
    return DuckStore(":memory:")


def fill(symbol: str, side: Side, day: date, price: int) -> Fill:
    name = f"{symbol}-{side.value}-{day}"
    return Fill(
        fill_id=f"fill-{name}",
        intent_id=f"intent-{name}",
        order_no=name[:20],
        instrument=instrument(symbol),
        session=day,
        side=side,
        quantity=10,
        price=Decimal(price),
        amount=Decimal(10 * price),
        fee=Decimal(0),
        tax=Decimal(0),
        currency=Currency.KRW,
        filled_at=datetime(day.year, day.month, day.day, 2, tzinfo=UTC),
    )


def lost_on(store: DuckStore, symbol: str, *, price: int = 80) -> None:
    """Bought at 100 and sold for less, the day before the last session and on it."""
    before = LAST_SESSION - timedelta(days=1)
    with store.write() as tx:
        tx.append(
            [fill(symbol, Side.BUY, before, 100), fill(symbol, Side.SELL, LAST_SESSION, price)]
        )


def everything() -> PlaybookDraft:
    buy = Scenario(
        conditions=(Condition(field="volume_ratio", op=">", value=2.0),),
        action=Action.BUY,
        confidence=100,
        allocation_pct=5.0,
        stop_loss_pct=-3.0,
    )
    sell = Scenario(
        conditions=(Condition(field="unrealized_pnl_pct", op="<", value=-3.0),),
        action=Action.SELL,
        confidence=90,
    )
    stocks = tuple(StockPlan(symbol=s, scenarios=(buy, sell)) for s in SYMBOLS)
    return PlaybookDraft(outlook=Outlook.BULLISH, stocks=stocks)


async def planned(
    store: DuckStore, planner: FakePlanner | None, policy: Policy = POLICY
) -> Playbook:
    playbook, _ = await plan_session(
        store,
        FakeMarketData(bars_of={s: bars() for s in SYMBOLS}, ranked=SYMBOLS),  # type: ignore[arg-type]
        FakeBroker(),  # type: ignore[arg-type]
        planner,
        group=MarketGroup.KR,
        session=SESSION,
        at=AT,
        policy=policy,
        universe=Universe(),
    )
    return playbook


def bought(playbook: Playbook) -> set[str]:
    return {p.symbol for p in playbook.stocks if any(s.action is Action.BUY for s in p.scenarios)}


async def test_what_lost_is_not_bought_whatever_the_model_says(store: DuckStore) -> None:
    lost_on(store, "000020")
    planner = FakePlanner(everything())
    playbook = await planned(store, planner)
    assert bought(playbook) == {"000010", "000030"}
    sold = {p.symbol for p in playbook.stocks if p.scenarios[-1].action is Action.SELL}
    assert sold == set(SYMBOLS)
    told = read_back(planner.requests[0].prompt).plain["No BUY today"]
    assert told == ["000020: a trade lost 20.0 % in the last 5 sessions"]
    reasons = [note.reason for note in playbook.notes if note.kind == "reviewed"]
    assert reasons == [f"BUY removed by the loss guard: {told[0].partition(': ')[2]}"]
    with store.read() as db:
        assert db.playbook("KR", SESSION) == playbook


async def test_the_rules_and_yesterdays_playbook_are_held_to_the_same_guard(
    store: DuckStore,
) -> None:
    for symbol in SYMBOLS:
        lost_on(store, symbol)
    assert bought(await planned(store, None)) == set()
    draft = everything()
    yesterday = Playbook(
        session=LAST_SESSION,
        market="KR",
        source=PlaybookSource.GEMINI,
        outlook=draft.outlook,
        stocks=draft.stocks,
        generated_at=AT - timedelta(days=1),
    )
    with store.write() as tx:
        tx.append([yesterday])
    copied = await planned(DuckStore(":memory:"), FakePlanner(everything()))
    assert bought(copied) == set(SYMBOLS)
    fresh = DuckStore(":memory:")
    with fresh.write() as tx:
        tx.append([yesterday])
    lost_on(fresh, "000010")
    carried = await planned(fresh, FakePlanner(error=PlannerUnavailable("quota")))
    assert carried.source is PlaybookSource.PREVIOUS
    assert bought(carried) == {"000020", "000030"}


async def test_a_draft_that_the_review_empties_does_not_bring_back_yesterdays_entries(
    store: DuckStore,
) -> None:
    unsure = everything().stocks[0].scenarios[0].model_copy(update={"confidence": 10})
    stocks = (StockPlan(symbol="000010", scenarios=(unsure,)),)
    playbook = await planned(
        store, FakePlanner(PlaybookDraft(outlook=Outlook.BEARISH, stocks=stocks))
    )
    assert (playbook.source, playbook.stocks) == (PlaybookSource.GEMINI, ())


@pytest.mark.parametrize("broken", ["fold_positions", "loss_guard"])
async def test_a_guard_without_data_is_told_and_the_plan_goes_on(
    store: DuckStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str,
) -> None:
    lost_on(store, "000020")

    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("bad row")

    monkeypatch.setattr(gathering, broken, fails)
    playbook = await planned(store, FakePlanner(everything()))
    assert bought(playbook) == set(SYMBOLS)
    assert any(note.reason.startswith("loss guard: ") for note in playbook.notes)
    assert "could not be read" in caplog.text or "failed" in caplog.text


async def test_memories_are_chosen_and_the_playbook_says_which_and_why(store: DuckStore) -> None:
    with store.write() as tx:
        tx.append(
            [
                scorecard(LAST_SESSION, ["late entries lost"]),
                ContextEntry(ContextLayer.L4, "2026-W09", "week_KR_KRW", {"net_pnl": "12"}, AT),
                ContextEntry(
                    ContextLayer.L4,
                    "2026-W10",
                    "week_US_USD",
                    {"net_pnl": "7"},
                    AT + timedelta(days=9),
                ),
            ]
        )
    planner = FakePlanner(everything())
    playbook = await planned(store, planner)
    found = read_back(planner.requests[0].prompt)
    assert [line for line in found.lines["memory"] if "week_KR" in line]
    assert not [line for line in found.lines["memory"] if "week_US" in line]
    notes = [note.reason for note in playbook.notes if note.kind == "context"]
    assert notes[0] == (
        "market condition: strategic: first session of the month, first session of the week"
    )
    assert any(note.startswith("memory L4 2026-W09 week_KR_KRW: 0.") for note in notes)


async def test_facts_beyond_the_budget_are_kept_and_noted(store: DuckStore) -> None:
    small = replace(POLICY, plan=PlanLimits(prompt_tokens=100))
    planner = FakePlanner(everything())
    playbook = await planned(store, planner, small)
    assert len(read_back(planner.requests[0].prompt).tables["candidates"]) == 3
    assert any("more than the budget of 100" in note.reason for note in playbook.notes)


async def test_a_preview_writes_no_playbook_and_shows_the_prompt_with_its_tokens(
    store: DuckStore,
) -> None:
    shown = await preview_prompt(
        store,
        FakeMarketData(bars_of={s: bars() for s in SYMBOLS}, ranked=SYMBOLS),  # type: ignore[arg-type]
        FakeBroker(),  # type: ignore[arg-type]
        group=MarketGroup.KR,
        session=SESSION,
        at=AT,
        policy=POLICY,
        universe=Universe(),
        sources=Sources(),
    )
    planner = FakePlanner(everything())
    with store.read() as db:
        assert db.playbook("KR", SESSION) is None
    await planned(store, planner)
    assert shown["prompt"] == planner.requests[0].prompt
    assert shown["would_ask"] is True
    assert 0 < shown["tokens"] <= sum(row["tokens"] for row in shown["sections"])
