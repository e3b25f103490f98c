"""The plan step: what it gathers, the chain of fallbacks, and what it writes down."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.planning_fakes import (
    AT,
    LAST_SESSION,
    SESSION,
    FakeBroker,
    FakeHistory,
    FakeMarketData,
    FakePlanner,
    FakeStore,
    bars,
    holding,
    instrument,
    small_calendar,
)
from trading_core.errors import (
    BrokerUnavailable,
    NotASession,
    PlannerTimeout,
    PlannerUnavailable,
    ReplyInvalid,
)
from trading_core.model.audit import ScreenedRow
from trading_core.model.limits import PlanLimits, Policy, RiskLimits, ScanLimits, SizingPolicy
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import Fill, Side
from trading_core.model.playbook import (
    Action,
    Condition,
    LintNote,
    Outlook,
    Playbook,
    PlaybookDraft,
    PlaybookSource,
    Scenario,
    StockPlan,
)
from trading_core.rules import calendar
from trading_core.steps.gather import CONCURRENT_READS, Universe, gather, recall, session_facts
from trading_core.steps.plan import NO_CANDIDATES, NO_MODEL, plan_session

KR = MarketGroup.KR
SYMBOLS = ("000010", "000020", "000030", "000040")
POLICY = Policy(RiskLimits(), SizingPolicy(), ScanLimits(top_n=3), PlanLimits())


@pytest.fixture(autouse=True)
def small_calendars(monkeypatch: pytest.MonkeyPatch) -> None:
    for group in (MarketGroup.KR, MarketGroup.US):
        monkeypatch.setitem(calendar._tables, group, small_calendar(group))


def a_draft(*symbols: str) -> PlaybookDraft:
    buy = Scenario(
        conditions=(Condition(field="volume_ratio", op=">", value=2.0),),
        action=Action.BUY,
        confidence=85,
        allocation_pct=5.0,
        stop_loss_pct=-3.0,
        take_profit_pct=6.0,
    )
    sell = Scenario(
        conditions=(Condition(field="unrealized_pnl_pct", op="<", value=-3.0),),
        action=Action.SELL,
        confidence=90,
    )
    stocks = tuple(StockPlan(symbol=symbol, scenarios=(buy, sell)) for symbol in symbols)
    return PlaybookDraft(outlook=Outlook.BULLISH, stocks=stocks)


def a_playbook(session: date, *symbols: str, **fields: Any) -> Playbook:
    draft = a_draft(*symbols)
    base: dict[str, Any] = {
        "source": PlaybookSource.GEMINI,
        "model": "a-model",
        "generated_at": AT,
    }
    return Playbook(
        session=session,
        market="KR",
        outlook=draft.outlook,
        stocks=draft.stocks,
        **(base | fields),
    )


def market_data(**changes: Any) -> FakeMarketData:
    return replace(
        FakeMarketData(bars_of={symbol: bars() for symbol in SYMBOLS}, ranked=SYMBOLS), **changes
    )


async def plan(
    store: FakeStore,
    planner: FakePlanner | None,
    *,
    data: FakeMarketData | None = None,
    broker: FakeBroker | None = None,
    policy: Policy = POLICY,
    universe: Universe = Universe(),  # noqa: B008  (frozen)
    history: FakeHistory | None = None,
) -> tuple[Playbook, bool]:
    return await plan_session(
        store,  # type: ignore[arg-type]
        data or market_data(),  # type: ignore[arg-type]
        broker or FakeBroker(),  # type: ignore[arg-type]
        planner,
        group=KR,
        session=SESSION,
        at=AT,
        policy=policy,
        universe=universe,
        history=history,
    )


def good_planner(store: FakeStore | None = None) -> FakePlanner:
    return FakePlanner(a_draft("000010"), store=store)


def failing_planner(error: Exception | None = None) -> FakePlanner:
    return FakePlanner(error=error or PlannerUnavailable("quota"))  # type: ignore[arg-type]


# --- the chain, link by link ---


async def test_a_good_draft_becomes_the_playbook_with_its_call() -> None:
    store = FakeStore()
    playbook, is_new = await plan(store, good_planner(store))
    assert is_new
    assert (playbook.source, playbook.fallback_reason) == (PlaybookSource.GEMINI, "")
    assert (playbook.model, playbook.token_count) == ("a-model", 120)
    assert (playbook.session, playbook.market, playbook.generated_at) == (SESSION, "KR", AT)
    assert store.playbooks == [playbook]
    assert [call.outcome for call in store.calls] == ["ok"]
    assert store.writes == 1


@pytest.mark.parametrize(
    "error", [PlannerTimeout("slow"), PlannerUnavailable("quota"), ReplyInvalid("prose")]
)
async def test_any_failure_falls_back_to_yesterdays_playbook(error: Exception) -> None:
    store = FakeStore([a_playbook(LAST_SESSION, "000020", "999999")])
    playbook, is_new = await plan(store, failing_planner(error))
    assert is_new
    assert playbook.source is PlaybookSource.PREVIOUS
    assert playbook.fallback_reason == f"{type(error).__name__}: {error}"
    assert playbook.symbols == ("000020",)  # the unknown symbol is gone
    assert playbook.session == SESSION
    assert [call.outcome for call in store.calls] == ["failed"]  # paid for, so recorded


@pytest.mark.parametrize(
    "previous",
    [
        a_playbook(date(2026, 2, 26), "000010"),
        a_playbook(LAST_SESSION, "000010", source=PlaybookSource.PREVIOUS),
        a_playbook(LAST_SESSION, "000010", source=PlaybookSource.RULES),
        a_playbook(LAST_SESSION),
        a_playbook(LAST_SESSION, "999999"),
    ],
    ids=["older", "itself a copy", "made by rules", "empty", "no known symbol"],
)
async def test_a_stale_copied_or_empty_playbook_is_not_used_and_the_rules_plan(
    previous: Playbook,
) -> None:
    store = FakeStore([previous])
    playbook, _ = await plan(store, failing_planner())
    assert playbook.source is PlaybookSource.RULES
    assert "quota" in playbook.fallback_reason
    assert playbook.stocks


async def test_a_carried_over_playbook_gets_exits_for_new_holdings() -> None:
    store = FakeStore([a_playbook(LAST_SESSION, "000020")])
    broker = FakeBroker((holding("000030"),))
    playbook, _ = await plan(store, failing_planner(), broker=broker)
    assert playbook.symbols == ("000020", "000030")
    assert {s.action for s in playbook.stocks[1].scenarios} == {Action.SELL}


async def test_with_rules_switched_off_only_exits_remain() -> None:
    policy = replace(POLICY, plan=PlanLimits(rules_on_failure=False))
    broker = FakeBroker((holding("000030"),))
    playbook, _ = await plan(FakeStore(), failing_planner(), policy=policy, broker=broker)
    assert playbook.source is PlaybookSource.EXIT_ONLY
    assert playbook.symbols == ("000030",)
    assert "quota" in playbook.fallback_reason


async def test_without_a_planner_the_rules_plan_and_the_reason_says_so() -> None:
    store = FakeStore([a_playbook(LAST_SESSION, "000010")])
    playbook, _ = await plan(store, None)
    assert (playbook.source, playbook.fallback_reason) == (PlaybookSource.RULES, NO_MODEL)
    assert store.calls == []


async def test_holdings_without_candidates_get_exits_and_no_model_is_asked() -> None:
    planner = good_planner()
    broker = FakeBroker((holding("000030"),))
    playbook, _ = await plan(
        FakeStore(), planner, data=market_data(ranked=(), bars_of={}), broker=broker
    )
    assert planner.requests == []
    assert (playbook.source, playbook.fallback_reason) == (
        PlaybookSource.EXIT_ONLY,
        NO_CANDIDATES,
    )
    assert playbook.symbols == ("000030",)


async def test_nothing_to_plan_is_an_empty_playbook_without_a_call() -> None:
    planner = good_planner()
    playbook, is_new = await plan(FakeStore(), planner, data=market_data(ranked=(), bars_of={}))
    assert (playbook.stocks, planner.requests, is_new) == ((), [], True)


async def test_a_draft_that_lint_empties_counts_as_a_failure() -> None:
    buy = a_draft("000010").stocks[0].scenarios[0]
    impossible = tuple(
        Condition(field="rsi", op=op, value=value) for op, value in ((">", 80.0), ("<", 20.0))
    )
    stocks = (
        StockPlan(symbol="000010", scenarios=(buy.model_copy(update={"conditions": impossible}),)),
    )
    planner = FakePlanner(PlaybookDraft(outlook=Outlook.BULLISH, stocks=stocks))
    playbook, _ = await plan(FakeStore(), planner)
    assert playbook.source is PlaybookSource.RULES
    assert "lint" in playbook.fallback_reason


async def test_what_the_reply_lost_and_what_lint_changed_are_both_noted() -> None:
    note = LintNote(symbol="FAKE1", scenario=None, kind="dropped", reason="not in the tables")
    draft = a_draft("000010", "999999")
    playbook, _ = await plan(FakeStore(), FakePlanner(draft, notes=(note,)))
    assert playbook.notes[0] == note
    assert playbook.symbols == ("000010",)
    assert any(n.symbol == "999999" for n in playbook.notes)


# --- once a session ---


async def test_a_stored_playbook_is_reused_after_a_restart_with_no_call_at_all() -> None:
    store = FakeStore()
    planner = good_planner()
    first, _ = await plan(store, planner)
    data = market_data()
    again, is_new = await plan(store, planner, data=data)
    assert (again, is_new) == (first, False)
    assert len(planner.requests) == 1
    assert data.asked == []
    assert store.writes == 1


async def test_a_new_session_is_planned_anew() -> None:
    store = FakeStore([a_playbook(LAST_SESSION, "000020")])
    playbook, is_new = await plan(store, good_planner())
    assert is_new
    assert playbook.symbols == ("000010",)


async def test_an_empty_stored_playbook_is_not_reused() -> None:
    store = FakeStore([a_playbook(SESSION)])
    planner = good_planner()
    playbook, is_new = await plan(store, planner)
    assert (len(planner.requests), is_new, playbook.symbols) == (1, True, ("000010",))


async def test_a_fallback_is_replaced_once_the_planner_answers_again() -> None:
    store = FakeStore()
    fallback, _ = await plan(store, failing_planner())
    assert fallback.source is PlaybookSource.RULES
    better, is_new = await plan(store, good_planner())
    assert (better.source, is_new) == (PlaybookSource.GEMINI, True)
    assert store.playbook("KR", SESSION) == better


async def test_a_stored_fallback_is_kept_when_the_planner_fails_again() -> None:
    store = FakeStore()
    fallback, _ = await plan(store, failing_planner())
    kept, is_new = await plan(store, failing_planner(PlannerTimeout("slow")))
    assert (kept, is_new) == (fallback, False)
    assert store.playbooks == [fallback]
    assert len(store.calls) == 2


async def test_without_a_planner_a_stored_fallback_is_reused() -> None:
    store = FakeStore()
    first, _ = await plan(store, None)
    again, is_new = await plan(store, None)
    assert (again, is_new, store.writes) == (first, False, 1)


async def test_the_store_is_never_open_during_a_model_call() -> None:
    store = FakeStore()
    await plan(store, good_planner(store))  # the fake planner checks
    assert not store.is_open


async def test_the_daily_bars_of_everything_named_are_kept_for_the_ticks() -> None:
    history = FakeHistory()
    data = market_data()
    del data.bars_of["000010"]
    broker = FakeBroker((holding("000040"),))
    playbook, _ = await plan(FakeStore(), None, data=data, broker=broker, history=history)
    ((group, session, kept),) = history.saved
    assert (group, session) == (KR, SESSION)
    assert {i.symbol for i in kept} == {"000020", "000030", "000040"} >= set(playbook.symbols)
    assert all(len(series) == 60 for series in kept.values())


# --- what is gathered ---


async def collect(store: FakeStore, data: FakeMarketData, **kwargs: Any) -> Any:
    given: dict[str, Any] = {"broker": FakeBroker(), "universe": Universe(), **kwargs}
    return await gather(
        data,  # type: ignore[arg-type]
        given["broker"],
        recall(store, KR, SESSION),  # type: ignore[arg-type]
        group=KR,
        session=SESSION,
        at=AT,
        policy=given.get("policy", POLICY),
        universe=given["universe"],
    )


async def test_candidates_carry_real_indicators_of_the_last_closed_session() -> None:
    inputs = await collect(FakeStore(), market_data())
    assert len(inputs.candidates) == POLICY.scan.top_n
    first = inputs.candidates[0]
    assert first.price == bars()[-1].close
    assert 0 < first.rsi < 100
    assert first.atr_pct > 0
    assert inputs.prices[first.instrument.symbol] == float(first.price)
    assert inputs.universe_source == "ranking"


async def test_a_symbol_whose_bars_fail_is_skipped_and_counted() -> None:
    data = market_data()
    del data.bars_of["000020"]
    data.bars_of["000030"] = list(reversed(data.bars_of["000030"]))
    inputs = await collect(FakeStore(), data)
    assert inputs.skipped == 2
    symbols = {c.instrument.symbol for c in inputs.candidates}
    assert symbols == {"000010", "000040"}


async def test_without_rankings_watchlist_recent_trades_and_holdings_are_the_universe() -> None:
    data = market_data(offers_rankings=False)
    inputs = await collect(
        FakeStore(recent=(instrument("000020"),)),
        data,
        broker=FakeBroker((holding("000030"),)),
        universe=Universe(watchlist=(instrument("000010"),)),
    )
    assert sorted(data.asked) == ["000010", "000020", "000030"]
    assert inputs.universe_source == "fallback"
    assert len(inputs.candidates) == 3


async def test_the_size_of_the_universe_is_capped_but_holdings_are_always_read() -> None:
    data = market_data()
    await collect(
        FakeStore(),
        data,
        universe=Universe(max_candidates=2),
        broker=FakeBroker((holding("000040"),)),
    )
    assert sorted(data.asked) == ["000010", "000020", "000040"]


async def test_bars_are_read_side_by_side_but_not_all_at_once() -> None:
    symbols = tuple(f"{n:06}" for n in range(40))
    data = market_data(ranked=symbols, bars_of={symbol: bars(30) for symbol in symbols})
    await collect(FakeStore(), data)
    assert len(data.asked) == 40
    assert 1 < data.busiest <= CONCURRENT_READS


async def test_an_account_that_cannot_be_read_stops_the_plan_and_writes_nothing() -> None:
    store = FakeStore()
    with pytest.raises(BrokerUnavailable):
        await plan(store, good_planner(), broker=FakeBroker(is_down=True))
    assert store.records == []


async def test_a_holiday_is_no_session() -> None:
    with pytest.raises(NotASession):
        session_facts(KR, date(2026, 3, 2))


async def test_holdings_show_since_when_they_are_held() -> None:
    bought = Fill(
        fill_id="f1",
        intent_id="i1",
        order_no="1",
        instrument=instrument("000030"),
        session=date(2026, 2, 26),
        side=Side.BUY,
        quantity=10,
        price=Decimal(100),
        amount=Decimal(1000),
        fee=Decimal(0),
        tax=Decimal(0),
        currency=Currency.KRW,
        filled_at=datetime(2026, 2, 26, 1, tzinfo=UTC),
    )
    broker = FakeBroker((holding("000030"), holding("000040")))
    inputs = await collect(FakeStore(fill_rows=(bought,)), market_data(), broker=broker)
    assert [(h.symbol, h.days_held) for h in inputs.held] == [("000030", 5), ("000040", None)]
    assert inputs.held[0].pnl_pct == pytest.approx(10.0)


def test_session_facts_know_hours_early_closes_and_holidays() -> None:
    plain = session_facts(KR, SESSION)
    assert (plain.zone, plain.early_close) == ("Asia/Seoul", False)
    assert (plain.closes_at - plain.opens_at).total_seconds() == 6.5 * 3600
    assert plain.next_holiday is None
    eve = session_facts(MarketGroup.US, date(2026, 12, 24))
    assert eve.early_close
    assert eve.next_holiday == date(2026, 12, 25)


async def test_a_playbook_knows_the_prompt_it_answered_and_keeps_it_when_it_is_carried_over() -> (
    None
):
    store = FakeStore()
    playbook, _ = await plan(store, good_planner(store))
    assert playbook.prompt_id == store.calls[-1].prompt_hash != ""
    before = a_playbook(LAST_SESSION, "000020", prompt_id="0f0f")
    carried, _ = await plan(FakeStore([before]), failing_planner())
    assert (carried.source, carried.prompt_id) == (PlaybookSource.PREVIOUS, "0f0f")
    by_rules, _ = await plan(FakeStore(), None)
    assert by_rules.prompt_id == ""


async def test_the_whole_scan_is_written_down_with_the_playbook() -> None:
    store = FakeStore()
    await plan(store, good_planner(store), data=market_data(bars_of={SYMBOLS[0]: bars()}))
    screened = {row.symbol: row for row in store.records if isinstance(row, ScreenedRow)}
    assert set(screened) == set(SYMBOLS)
    chosen = screened[SYMBOLS[0]]
    assert (chosen.chosen, chosen.place, chosen.session) == (True, 1, SESSION)
    assert chosen.selection["signal"] in ("momentum", "oversold")
    assert {row.reason for s, row in screened.items() if s != SYMBOLS[0]} == {"no_price"}
