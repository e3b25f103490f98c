"""Rounds of asking a model: what is asked, what a failure costs, what is acted on."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.trading_fakes import Floor, MakeFloor, busy, rule, when
from tests.unit.twin.handmade_tape import minute
from trading_core.errors import (
    BrokerUnavailable,
    BudgetExhausted,
    ConfigError,
    PlannerTimeout,
    PlannerUnavailable,
)
from trading_core.model.decision import DecidedBy, RealtimePolicy, TradeDecision
from trading_core.model.language import CUT_OFF, STOPPED, ModelReply, ModelRequest
from trading_core.model.market import MarketGroup
from trading_core.model.order import Side
from trading_core.model.playbook import Action, PlaybookSource, Scenario
from trading_core.model.price import Ranking, RankRow
from trading_core.rules.loss_guard import LossGuard
from trading_core.steps import operate, tell
from trading_core.steps.decide import Cycle, Decider, is_wanted, journal_cycle, with_decisions
from trading_core.steps.gather import Universe
from trading_core.steps.observe import View, observe
from trading_core.steps.tick import TickPlan, decide

WILD, CALM, DULL = 9_500, 9_700, 9_990
MINUTES = {"A": busy(*[WILD] * 40), "B": busy(*[CALM] * 40), "C": busy(*[DULL] * 40)}
ON = RealtimePolicy(is_on=True)

Say = Callable[[str], "str | Exception"]


def said(symbol: str, action: str = "BUY", confidence: int = 90, **more: Any) -> str:
    plan = {"stop_loss_pct": -2.5, "take_profit_pct": 5.0, "allocation_pct": 4.0}
    answer = {"symbol": symbol, "action": action, "confidence": confidence, "rationale": "so"}
    return json.dumps(answer | (plan if action == "BUY" else {}) | more)


@dataclass
class FakeModel:
    """Answers ``say(symbol)``; ``open`` counts the questions that are under way."""

    say: Say
    asked: list[str] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    seconds: float = 0.0
    ending: str = STOPPED
    provider: str = "fake"
    model: str = "fake-1"

    async def ask(self, request: ModelRequest) -> ModelReply:
        found = re.search(r'with symbol "(\w+)"', request.turns[0].text)
        assert found is not None
        self.asked.append(found[1])
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(self.seconds)
        self.open -= 1
        answer = self.say(found[1])
        if isinstance(answer, Exception):
            raise answer
        return ModelReply(answer, self.ending, self.model)


@dataclass
class Room:
    """A floor with somebody who asks."""

    floor: Floor
    model: FakeModel
    decider: Decider
    realtime: RealtimePolicy

    async def cycle(self, n: int) -> Cycle:
        self.floor.venue.advance_to(minute(n))
        return await self.decider.cycle(await self.floor.day(), minute(n))

    async def plan(self, n: int, cycle: Cycle) -> tuple[View, TickPlan]:
        books = await self.floor.books(minute(n))
        view = await observe(
            self.floor.broker, books=books, day=cycle.day, at=minute(n), also=cycle.instruments
        )
        view = with_decisions(view, cycle, self.realtime)
        return view, decide(view, self.floor.policy)

    async def round(self, n: int) -> tuple[Cycle, TickPlan]:
        """Ask, decide and send."""
        cycle = await self.cycle(n)
        view, plan = await self.plan(n, cycle)
        await self.floor.act(view.books, plan)
        return cycle, plan


@dataclass
class MakeRoom:
    home: Path

    def __call__(
        self,
        say: Say,
        plans: dict[str, Sequence[Scenario]] | None = None,
        *rules: Any,
        realtime: RealtimePolicy = ON,
        has_model: bool = True,
        **model: Any,
    ) -> Room:
        floor = MakeFloor(self.home)(MINUTES, plans or {}, *rules)
        fake = FakeModel(say, **model)
        decider = Decider(
            fake if has_model else None,
            floor.store,
            floor.broker,
            floor.broker,
            floor.history,
            policy=floor.policy,
            realtime=realtime,
            universe=Universe(),
        )
        return Room(floor, fake, decider, realtime)


@pytest.fixture
def room(tmp_path: Path) -> MakeRoom:
    return MakeRoom(tmp_path)


def made(cycle: Cycle, symbol: str) -> TradeDecision:
    return cycle.opinions[symbol].decision


async def test_the_candidates_that_move_are_asked_about_and_bought(room: MakeRoom) -> None:
    here = room(said)
    cycle, plan = await here.round(2)
    assert sorted(here.model.asked) == ["A", "B"]
    assert (cycle.row.candidates, cycle.row.asked, cycle.row.decided_by) == (
        *(2, 2),
        DecidedBy.MODEL,
    )
    assert [order.intent.instrument.symbol for order in plan.approved] == ["A", "B"]
    assert [row.symbol for row in cycle.screened if row.chosen] == ["A", "B"]


async def test_what_lost_lately_is_held_whatever_the_model_says(
    room: MakeRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[date] = []

    def guard(store: object, group: object, session: date, limits: object) -> LossGuard:
        asked.append(session)
        return LossGuard(symbols={"A": "3 losing trades"})

    monkeypatch.setattr("trading_core.steps.decide.guard_of_losses", guard)
    here = room(said)
    cycle, plan = await here.round(2)
    assert made(cycle, "A").reason == "not bought after recent losses: 3 losing trades"
    assert [order.intent.instrument.symbol for order in plan.approved] == ["B"]
    await here.round(20)
    assert len(asked) == 1  # what closed before today is read once


async def test_only_as_many_as_the_scanner_may_choose_are_asked_about(room: MakeRoom) -> None:
    here = room(said, realtime=replace(ON, top_n=1))
    assert list((await here.cycle(2)).opinions) == ["A"]


async def test_what_is_held_is_asked_about_whatever_the_scanner_says(room: MakeRoom) -> None:
    here = room(lambda symbol: said(symbol, "SELL"))
    here.floor.venue.advance_to(minute(1))
    here.floor.by_hand(Side.BUY, 10, 9_990, "C")
    cycle, plan = await here.round(3)
    assert sorted(here.model.asked) == ["A", "B", "C"]
    [order] = plan.approved
    assert (order.intent.instrument.symbol, order.intent.side, order.intent.quantity) == (
        *("C", Side.SELL),
        10,
    )
    assert made(cycle, "A").reason == "nothing is held"


async def test_no_more_than_a_few_are_asked_about_at_once(room: MakeRoom) -> None:
    here = room(said, realtime=replace(ON, at_once=1), seconds=0.01)
    await here.cycle(2)
    assert here.model.most_open == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("nonsense", "no usable reply: "),
        (PlannerTimeout("as told"), "PlannerTimeout: as told"),
        (PlannerUnavailable("429"), "PlannerUnavailable: 429"),
        (RuntimeError("a bug of a provider"), "RuntimeError: a bug"),
    ],
)
async def test_one_that_fails_is_held_with_no_confidence_and_a_reason(
    room: MakeRoom, answer: str | Exception, reason: str
) -> None:
    here = room(lambda symbol: answer if symbol == "A" else said(symbol))
    cycle, plan = await here.round(2)
    decision = made(cycle, "A")
    assert (decision.action, decision.confidence) == (Action.HOLD, 0)
    assert decision.reason.startswith(reason)
    assert [order.intent.instrument.symbol for order in plan.approved] == ["B"]
    [held] = here.floor.decisions("A")
    assert (held.action, held.confidence, held.rationale) == ("HOLD", 0, decision.reason)


async def test_a_reply_that_was_cut_off_buys_nothing(room: MakeRoom) -> None:
    here = room(said, ending=CUT_OFF)
    assert (await here.round(2))[1].approved == ()


async def test_a_call_that_takes_too_long_is_given_up(room: MakeRoom) -> None:
    short = replace(ON, call_seconds=0.01, cycle_seconds=0.02, every=timedelta(seconds=10))

    class Deaf(FakeModel):
        async def ask(self, request: ModelRequest) -> ModelReply:
            assert request.timeout_seconds <= 0.01
            raise PlannerTimeout("late")

    here = room(said, realtime=short)
    here.decider._model = Deaf(said)
    # Looking at the market may be over the limit by itself here; either way nothing is bought.
    _, plan = await here.round(2)
    assert plan.approved == ()


async def test_what_has_not_changed_keeps_its_answer_for_a_while(room: MakeRoom) -> None:
    here = room(lambda symbol: said(symbol, "HOLD"))
    await here.round(2)
    cycle, _ = await here.round(3)
    assert (cycle.row.asked, cycle.row.reused, len(here.model.asked)) == (0, 2, 2)
    assert cycle.screened == ()
    cycle, _ = await here.round(18)
    assert cycle.row.asked == 2


async def test_what_was_not_answered_is_asked_again_and_what_was_not_usable_is_not(
    room: MakeRoom,
) -> None:
    here = room(lambda symbol: "?" if symbol == "A" else PlannerTimeout("as told"))
    await here.cycle(2)
    await here.cycle(3)
    assert sorted(here.model.asked) == ["A", "B", "B"]


async def test_a_model_that_stays_away_leaves_the_entries_to_the_playbook_at_the_second_round(
    room: MakeRoom,
) -> None:
    here = room(lambda symbol: PlannerUnavailable("gone"), {"A": [when("price > 1")]})
    cycle, plan = await here.round(2)
    assert (cycle.row.decided_by, plan.approved) == (DecidedBy.MODEL, ())
    cycle, plan = await here.round(3)
    assert (cycle.row.decided_by, len(plan.approved)) == (DecidedBy.PLAYBOOK, 1)
    assert plan.approved[0].intent.instrument.symbol == "A"
    [note] = tell.of_cycle(cycle.row)
    assert "PlannerUnavailable: gone" in note.text
    here.model.say = lambda symbol: said(symbol, "HOLD")
    assert (await here.cycle(4)).row.decided_by is DecidedBy.MODEL


async def test_a_budget_that_is_used_up_leaves_the_entries_to_the_playbook_at_once(
    room: MakeRoom,
) -> None:
    one_at_a_time = replace(ON, at_once=1)
    plans = {"C": [when("price > 1")]}
    here = room(lambda s: BudgetExhausted("20 of 20"), plans, realtime=one_at_a_time)
    cycle, plan = await here.round(2)
    assert (cycle.row.decided_by, cycle.row.asked) == (DecidedBy.PLAYBOOK, 0)
    assert len(here.model.asked) == 1
    assert [order.intent.instrument.symbol for order in plan.approved] == ["C"]
    assert "BudgetExhausted: 20 of 20" in here.floor.decisions("A")[-1].rationale


async def test_entries_of_the_playbook_wait_while_the_model_answers(room: MakeRoom) -> None:
    here = room(lambda symbol: said(symbol, "HOLD"), {"C": [when("price > 1")]})
    assert (await here.round(2))[1].approved == ()


async def test_exits_of_the_playbook_stand_whatever_the_model_says(room: MakeRoom) -> None:
    here = room(said, {"A": [when("unrealized_pnl_pct < 50", "SELL")]})
    await here.round(2)
    here.model.say = lambda symbol: said(symbol, "HOLD", 99)
    _, plan = await here.round(4)
    [order] = plan.approved
    assert (order.intent.instrument.symbol, order.intent.side) == ("A", Side.SELL)


async def test_a_global_rule_against_entries_stands_whatever_the_model_says(
    room: MakeRoom,
) -> None:
    here = room(said, {}, rule("cash_pct >= 0", "NO_ENTRIES"))
    _, plan = await here.round(2)
    assert plan.approved == ()
    assert {refusal.code.value for refusal in plan.refused} == {"no_entries"}


async def test_a_price_that_has_moved_since_is_not_the_one_that_was_decided_on(
    room: MakeRoom,
) -> None:
    here = room(said)
    cycle = await here.cycle(2)
    here.floor.broker.quote_changes["A"] = {"last": Decimal(9_400)}
    _, plan = await here.plan(3, cycle)
    assert [order.intent.instrument.symbol for order in plan.approved] == ["B"]
    [held] = [v.decision for v in plan.verdicts if v.decision.instrument.symbol == "A"]
    assert held.rationale == "the price has moved by more than 1 % since"


async def test_under_a_halt_nobody_is_asked(room: MakeRoom) -> None:
    here = room(said)
    operate.halt(here.floor.store, scope="KR", reason="lunch", at=minute(1))
    cycle, plan = await here.round(2)
    assert (here.model.asked, plan.approved) == ([], ())
    assert cycle.row.reason == "halted: lunch"
    assert tell.of_cycle(cycle.row) == []


async def test_a_market_nobody_can_look_at_gets_no_entries(room: MakeRoom) -> None:
    here = room(said, {"C": [when("price > 1")]})

    async def down(group: MarketGroup) -> Any:
        raise BrokerUnavailable("as told")

    whole, here.floor.broker.account = here.floor.broker.account, down  # type: ignore[method-assign]
    cycle = await here.cycle(2)
    here.floor.broker.account = whole  # type: ignore[method-assign]
    _, plan = await here.plan(2, cycle)
    assert plan.approved == ()
    assert "BrokerUnavailable: as told" in cycle.row.reason


async def test_without_rankings_what_is_planned_is_looked_at(room: MakeRoom) -> None:
    here = room(said, {"B": [when("price < 1")]})

    async def none(group: MarketGroup, ranking: Ranking) -> Sequence[RankRow]:
        raise BrokerUnavailable("no rankings here")

    here.floor.broker.ranking = none  # type: ignore[method-assign]
    cycle = await here.cycle(2)
    assert list(cycle.opinions) == ["B"]


async def test_without_a_model_every_round_says_so(room: MakeRoom) -> None:
    here = room(said, {"A": [when("price > 1")]}, has_model=False)
    cycle, plan = await here.round(2)
    assert cycle.row.reason == "no language model is configured"
    assert len(plan.approved) == 1


async def test_a_round_is_written_down_once(room: MakeRoom) -> None:
    here = room(said)
    cycle = await here.cycle(2)
    journal_cycle(here.floor.store, cycle)
    journal_cycle(here.floor.store, cycle)
    with here.floor.store.read() as db:
        assert db.decision_cycles("KR", here.floor.session.date) == [cycle.row]
        assert len(db.screened("KR", here.floor.session.date)) == 3


def test_the_model_is_asked_in_realtime_mode_and_where_nothing_could_be_planned(
    room: MakeRoom,
) -> None:
    book = room(said).floor.book
    model, off = FakeModel(said), RealtimePolicy()

    def bare(reason: str) -> Any:
        changes = {"source": PlaybookSource.EXIT_ONLY, "fallback_reason": reason}
        return book.model_copy(update=changes)

    assert is_wanted(ON, book, None)
    assert not is_wanted(off, book, model)
    assert is_wanted(off, bare("PlannerTimeout"), model)
    assert not is_wanted(off, bare("PlannerTimeout"), None)
    assert not is_wanted(off, bare("no candidates"), model)


def test_a_policy_whose_calls_outlast_its_cycle_is_refused() -> None:
    with pytest.raises(ConfigError, match="cycle_seconds=60"):
        RealtimePolicy(cycle_seconds=60.0)
