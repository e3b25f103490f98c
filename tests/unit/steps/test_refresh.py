"""A playbook drafted again during its session: when, how often, and what takes whose place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.planning_fakes import (
    SESSION,
    FakeBroker,
    FakeHistory,
    FakeMarketData,
    FakePlanner,
    bars,
    small_calendar,
)
from tests.record_factories import make_event, make_fill, make_halt, make_intent, make_playbook
from trading_core.adapters.duck.store import DuckStore
from trading_core.errors import BudgetExhausted, PlannerTimeout
from trading_core.model.journal import HaltKind
from trading_core.model.limits import PlanLimits, Policy, RiskLimits, ScanLimits, SizingPolicy
from trading_core.model.market import MarketGroup
from trading_core.model.order import IntentReason, Side
from trading_core.model.playbook import (
    Action,
    Condition,
    Outlook,
    PlaybookDraft,
    PlaybookSource,
    RefreshCause,
    Scenario,
    StockPlan,
)
from trading_core.model.sources import Headline
from trading_core.ports.sources import Sources
from trading_core.rules import calendar
from trading_core.rules.calendar import Session
from trading_core.steps.gather import Universe
from trading_core.steps.plan import NO_SOURCES
from trading_core.steps.refresh import Refreshed, claim, refresh_session

KR = MarketGroup.KR
MIDDAY, STOP = RefreshCause.MIDDAY, RefreshCause.STOP
POLICY = Policy(RiskLimits(), SizingPolicy(), ScanLimits(top_n=3), PlanLimits())


@pytest.fixture(autouse=True)
def small_calendars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(calendar._tables, KR, small_calendar(KR))


@pytest.fixture
def store() -> DuckStore:
    return DuckStore(":memory:")


def the_session() -> Session:
    found = calendar.session_on(KR, SESSION)
    assert found is not None
    return found


def at_share(share: float) -> datetime:
    hours = the_session()
    return hours.open_at + (hours.close_at - hours.open_at) * share


def claimed(
    store: DuckStore, share: float, *causes: RefreshCause, at: datetime | None = None
) -> RefreshCause | None:
    moment = at or at_share(share)
    return claim(store, causes, group=KR, session=the_session(), at=moment)


def write(store: DuckStore, *records: object) -> None:
    with store.write() as tx:
        tx.append(records)  # type: ignore[arg-type]


def stopped_out(store: DuckStore, reason: IntentReason = IntentReason.HARD_STOP) -> None:
    sale = {"side": Side.SELL, "session": SESSION}
    write(store, make_intent(reason=reason, **sale), make_event(), make_fill(**sale))


def a_draft(symbol: str) -> PlaybookDraft:
    buy = Scenario(
        conditions=(Condition(field="volume_ratio", op=">", value=2.0),),
        action=Action.BUY,
        confidence=95,
        allocation_pct=5.0,
        stop_loss_pct=-3.0,
        take_profit_pct=6.0,
    )
    return PlaybookDraft(
        outlook=Outlook.BEARISH, stocks=(StockPlan(symbol=symbol, scenarios=(buy,)),)
    )


async def refresh(
    store: DuckStore,
    planner: FakePlanner,
    history: FakeHistory | None = None,
    sources: Sources = NO_SOURCES,
) -> Refreshed:
    return await refresh_session(
        store,
        FakeMarketData({s: bars() for s in ("000010", "000020")}, ("000010", "000020")),  # type: ignore[arg-type]
        FakeBroker(),  # type: ignore[arg-type]
        planner,
        group=KR,
        session=the_session(),
        at=at_share(0.6),
        policy=POLICY,
        universe=Universe(),
        history=history or FakeHistory(),
        cause=MIDDAY,
        sources=sources,
    )


class Wire:
    """A news provider with one headline of the last hour."""

    name = "wire"

    async def headlines(self, *_: object, at: datetime, **__: object) -> AsyncIterator[Any]:
        yield [
            Headline(
                title="Chip makers fall at noon",
                symbol=None,
                published_at=at - timedelta(minutes=30),
                fetched_at=at,
                source="wire",
                market="KR",
            )
        ]


# --- when it is due ---


@pytest.mark.parametrize(
    ("share", "cause"), [(0.0, None), (0.49, None), (0.5, MIDDAY), (0.89, MIDDAY), (0.9, None)]
)
def test_midday_is_from_half_of_the_session_until_it_is_nearly_over(
    store: DuckStore, share: float, cause: RefreshCause | None
) -> None:
    assert claimed(store, share, MIDDAY) is cause


def test_each_cause_is_taken_once_a_session(store: DuckStore) -> None:
    assert claimed(store, 0.5, MIDDAY) is MIDDAY
    assert claimed(store, 0.6, MIDDAY) is None
    stopped_out(store)
    assert claimed(store, 0.7, MIDDAY, STOP) is STOP
    assert claimed(store, 0.8, MIDDAY, STOP) is None


def test_what_is_due_together_is_answered_by_one_draft(store: DuckStore) -> None:
    stopped_out(store)
    assert claimed(store, 0.6, MIDDAY, STOP) is MIDDAY
    assert claimed(store, 0.7, MIDDAY, STOP) is None


def test_a_stop_counts_once_it_is_filled(store: DuckStore) -> None:
    write(store, make_intent(reason=IntentReason.HARD_STOP, side=Side.SELL, session=SESSION))
    assert claimed(store, 0.2, STOP) is None
    write(store, make_event(), make_fill(side=Side.SELL, session=SESSION))
    assert claimed(store, 0.2, STOP) is STOP


@pytest.mark.parametrize("reason", [IntentReason.TAKE_PROFIT, IntentReason.SCENARIO_EXIT])
def test_another_exit_is_no_stop(store: DuckStore, reason: IntentReason) -> None:
    stopped_out(store, reason)
    assert claimed(store, 0.2, STOP) is None


def test_a_stop_of_another_session_says_nothing(store: DuckStore) -> None:
    day = {"side": Side.SELL, "session": date(2026, 2, 27)}
    write(store, make_intent(reason=IntentReason.HARD_STOP, **day), make_event(), make_fill(**day))
    assert claimed(store, 0.2, STOP) is None


def test_nothing_is_due_that_nobody_wants_or_outside_of_the_session(store: DuckStore) -> None:
    stopped_out(store)
    assert claimed(store, 0.6) is None
    assert claimed(store, 0, STOP, at=the_session().close_at) is None
    assert claimed(store, 0, STOP, at=the_session().open_at - timedelta(seconds=1)) is None


@pytest.mark.parametrize(("kind", "cause"), [(HaltKind.BREAKER, None), (HaltKind.WATCHDOG, MIDDAY)])
def test_a_halt_that_stops_planning_stops_this_too(
    store: DuckStore, kind: HaltKind, cause: RefreshCause | None
) -> None:
    write(store, make_halt(kind=kind, scope="ALL", lifted_at=None, lifted_by=""))
    assert claimed(store, 0.6, MIDDAY) is cause


# --- what comes of it ---


async def test_the_models_draft_takes_the_place_of_the_old_playbook(store: DuckStore) -> None:
    write(store, make_playbook(session=SESSION, generated_at=at_share(0)))
    planner, history = FakePlanner(a_draft("000010")), FakeHistory()
    made = await refresh(store, planner, history)
    assert made.playbook is not None
    with store.read() as db:
        newest = db.playbook("KR", SESSION)
    assert newest == made.playbook
    assert (newest.source, newest.refreshed_for) == (PlaybookSource.GEMINI, MIDDAY)
    assert newest.symbols == ("000010",)
    assert len(history.saved) == 1


async def test_the_model_is_told_that_the_session_is_on_and_why(store: DuckStore) -> None:
    planner = FakePlanner(a_draft("000010"))
    await refresh(store, planner)
    [request] = planner.requests
    assert request.purpose == "refresh_midday"
    assert "now: 12:54" in request.prompt
    assert "half of the session" in request.prompt


async def test_the_model_reads_what_the_sources_say_now(store: DuckStore) -> None:
    planner = FakePlanner(a_draft("000010"))
    await refresh(store, planner, sources=Sources(news=(Wire(),)))
    [request] = planner.requests
    assert "Chip makers fall at noon" in request.prompt


@pytest.mark.parametrize("error", [PlannerTimeout("late"), BudgetExhausted("none left")])
async def test_when_the_model_fails_the_old_playbook_stays_and_the_reason_is_told(
    store: DuckStore, error: Exception
) -> None:
    old = make_playbook(session=SESSION)
    write(store, old)
    history = FakeHistory()
    made = await refresh(store, FakePlanner(error=error), history)  # type: ignore[arg-type]
    assert made == Refreshed(None, f"{type(error).__name__}: {error}")
    with store.read() as db:
        assert db.playbook("KR", SESSION) == old
        assert len(db.llm_calls()) == 1  # what was asked is written down all the same
    assert history.saved == []


async def test_an_empty_draft_does_not_take_the_place_of_a_playbook(store: DuckStore) -> None:
    old = make_playbook(session=SESSION)
    write(store, old)
    made = await refresh(store, FakePlanner(PlaybookDraft(outlook=Outlook.NEUTRAL)))
    assert made.playbook is None
    with store.read() as db:
        assert db.playbook("KR", SESSION) == old


def test_why_it_was_drafted_is_not_part_of_what_a_playbook_says() -> None:
    old = make_playbook()
    new = old.model_copy(update={"refreshed_for": STOP})
    assert old.playbook_id == make_playbook().playbook_id
    assert type(new).model_validate_json(new.model_dump_json()).refreshed_for is STOP
    assert old.model_validate(new.model_dump()).playbook_id == old.playbook_id
