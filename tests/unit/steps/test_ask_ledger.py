"""The ledger of model calls: reserved first, limited, kept, and asked once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from trading_core.adapters.duck.store import DuckStore
from trading_core.clock import FixedClock
from trading_core.errors import (
    BudgetExhausted,
    PlannerTimeout,
    PlannerUnavailable,
    ReplyInvalid,
    StoreBusy,
)
from trading_core.model.journal import LlmCall
from trading_core.model.language import (
    LOST,
    OK,
    REUSED,
    UNDER_WAY,
    ModelReply,
    ModelRequest,
    Role,
    Turn,
)
from trading_core.model.limits import LlmBudget
from trading_core.rules.llm_budget import ledger
from trading_core.rules.llm_prices import flat_price
from trading_core.steps.ask import AccountedModel

AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)  # ten in the morning in California
SESSION = date(2026, 11, 20)
PRICES = (flat_price("a-model", input_usd=Decimal(1), output_usd=Decimal(10)),)
NO_LIMIT = LlmBudget(calls_per_day=0, usd_per_day=Decimal(0), usd_per_month=Decimal(0))
REPLY = ModelReply("yes", "STOP", "a-model", 100, 50, cached_tokens=30, thinking_tokens=20)


def question(text: str = "Is it so?", **changes: object) -> ModelRequest:
    asked = ModelRequest(
        purpose="plan",
        market="KR",
        session=SESSION,
        turns=(Turn(Role.USER, text),),
        timeout_seconds=30.0,
        max_output_tokens=100_000,
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


@dataclass
class FakeModel:
    """Answers ``reply`` or raises; looks at the store while it is asked."""

    reply: ModelReply = REPLY
    error: BaseException | None = None
    model: str = "a-model"
    provider: str = "gemini"
    meanwhile: Callable[[], None] = lambda: None
    asked: list[ModelRequest] = field(default_factory=list)

    async def ask(self, request: ModelRequest) -> ModelReply:
        self.asked.append(request)
        self.meanwhile()
        if self.error is not None:
            raise self.error
        return self.reply


@dataclass
class Desk:
    """A store, a clock and a model behind a ledger."""

    budget: LlmBudget = NO_LIMIT
    fake: FakeModel = field(default_factory=FakeModel)
    store: DuckStore = field(default_factory=lambda: DuckStore(":memory:"))
    clock: FixedClock = field(default_factory=lambda: FixedClock(AT))

    @property
    def accounted(self) -> AccountedModel:
        return AccountedModel(self.fake, self.store, self.clock, budget=self.budget, prices=PRICES)

    async def ask(self, text: str = "Is it so?", **changes: object) -> ModelReply:
        return await self.accounted.ask(question(text, **changes))

    def ledger(self) -> list[LlmCall]:
        with self.store.read() as db:
            return ledger(db.llm_reservations(), db.llm_calls(), at=self.clock.now())


# --- what is written, and when ---


async def test_a_call_is_reserved_at_the_most_it_may_cost_before_it_is_made() -> None:
    desk = Desk()
    seen: list[LlmCall] = []
    desk.fake.meanwhile = lambda: seen.extend(desk.ledger())
    reply = await desk.ask()
    [before] = seen
    assert before.outcome == UNDER_WAY
    assert Decimal(1) < before.cost_usd < Decimal("1.001")  # 100 000 tokens at 10 USD a million
    [after] = desk.ledger()
    assert after == reply.call
    assert (after.call_id, after.outcome) == (before.call_id, OK)
    assert after.cost_usd == (100 * Decimal(1) + 50 * Decimal(10)) / 1_000_000
    assert (after.input_tokens, after.output_tokens) == (100, 50)
    assert (after.cached_tokens, after.thinking_tokens) == (30, 20)
    assert (after.provider, after.model, after.purpose) == ("gemini", "a-model", "plan")


async def test_prompt_and_reply_are_kept_under_their_ids() -> None:
    desk = Desk()
    reply = await desk.ask("오늘은?", schema={"type": "object"})
    assert reply.call is not None
    with desk.store.read() as db:
        prompt, said = db.llm_text(reply.call.prompt_id), db.llm_text(reply.call.reply_id)
    assert json.loads(prompt or "") == {
        "turns": [{"role": "user", "text": "오늘은?"}],
        "schema": {"type": "object"},
    }
    assert said == "yes"


async def test_a_call_whose_outcome_nobody_wrote_is_lost_and_stays_counted() -> None:
    desk = Desk(LlmBudget(calls_per_day=1))
    desk.fake.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        await desk.ask()
    assert [call.outcome for call in desk.ledger()] == [UNDER_WAY]
    desk.clock.advance(timedelta(seconds=91))
    [lost] = desk.ledger()
    assert (lost.outcome, lost.cost_usd > 1) == (LOST, True)
    desk.fake.error = None
    with pytest.raises(BudgetExhausted, match="LLM_CALLS_PER_DAY=1"):
        await desk.ask()
    assert len(desk.fake.asked) == 1


async def test_a_failure_that_was_certainly_not_billed_costs_nothing_and_counts_as_a_call() -> None:
    desk = Desk(LlmBudget(calls_per_day=1))
    desk.fake.error = PlannerUnavailable("quota", unbilled=True)
    with pytest.raises(PlannerUnavailable) as caught:
        await desk.ask()
    [call] = caught.value.calls
    assert (call.outcome, call.detail, call.cost_usd) == ("PlannerUnavailable", "quota", 0)
    assert desk.ledger() == [call]
    with pytest.raises(BudgetExhausted):
        await desk.ask()


@pytest.mark.parametrize("error", [PlannerTimeout("late"), PlannerUnavailable("cut")])
async def test_a_failure_that_may_be_billed_counts_at_the_most_it_may_cost(
    error: PlannerTimeout | PlannerUnavailable,
) -> None:
    desk = Desk()
    desk.fake.error = error
    with pytest.raises(type(error)):
        await desk.ask()
    assert desk.ledger()[0].cost_usd > 1


async def test_a_reply_of_no_use_is_recorded_as_such_and_handed_out_all_the_same() -> None:
    def never(reply: ModelReply) -> None:
        raise ReplyInvalid(f"{reply.text} is no playbook")

    desk = Desk()
    reply = await desk.ask(check=never)
    assert reply.text == "yes"
    assert (desk.ledger()[0].outcome, desk.ledger()[0].detail) == (
        "ReplyInvalid",
        "yes is no playbook",
    )
    await desk.ask(check=never)
    assert len(desk.fake.asked) == 2  # and it is not used again


# --- limits ---


async def test_the_last_call_of_the_day_can_be_made_and_one_more_cannot() -> None:
    desk = Desk(LlmBudget(calls_per_day=2))
    for text in ("one", "two"):
        await desk.ask(text)
    with pytest.raises(BudgetExhausted, match="2 of LLM_CALLS_PER_DAY=2") as caught:
        await desk.ask("three")
    assert "2026-11-21 08:00 UTC" in str(caught.value)
    assert caught.value.calls == ()
    assert len(desk.fake.asked) == len(desk.ledger()) == 2


async def test_the_day_begins_anew_at_midnight_in_california() -> None:
    desk = Desk(LlmBudget(calls_per_day=1))
    desk.clock = FixedClock(datetime(2026, 11, 21, 7, 59, 59, tzinfo=UTC))
    await desk.ask("one")
    with pytest.raises(BudgetExhausted):
        await desk.ask("two")
    desk.clock.advance(timedelta(seconds=1))
    await desk.ask("two")


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        (LlmBudget(0, Decimal("1.5"), Decimal(0)), "LLM_USD_PER_DAY=1.5"),
        (LlmBudget(0, Decimal(0), Decimal("1.5")), "LLM_USD_PER_MONTH=1.5"),
    ],
)
async def test_a_call_that_may_pass_a_limit_of_money_is_not_made(
    budget: LlmBudget, name: str
) -> None:
    desk = Desk(budget)
    desk.fake.error = PlannerTimeout("late")  # counts about 1 USD
    with pytest.raises(PlannerTimeout):
        await desk.ask("one")
    with pytest.raises(BudgetExhausted, match=name):
        await desk.ask("two")


async def test_what_a_call_truly_cost_makes_room_again() -> None:
    desk = Desk(LlmBudget(0, Decimal("1.5"), Decimal(0)))
    for text in ("one", "two", "three"):
        await desk.ask(text)  # each reserved at 1 USD, and cost 0.0006
    assert len(desk.fake.asked) == 3


async def test_a_month_adds_up_days_and_ends() -> None:
    desk = Desk(LlmBudget(0, Decimal(0), Decimal("1.5")))
    desk.clock = FixedClock(datetime(2026, 11, 2, 18, tzinfo=UTC))
    desk.fake.error = PlannerTimeout("late")
    with pytest.raises(PlannerTimeout):
        await desk.ask("one")
    desk.clock.advance(timedelta(days=27))
    with pytest.raises(BudgetExhausted):
        await desk.ask("two")
    desk.clock.advance(timedelta(days=2))
    with pytest.raises(PlannerTimeout):
        await desk.ask("two")


async def test_a_model_without_a_price_is_limited_by_its_calls_alone_and_says_so() -> None:
    desk = Desk(LlmBudget(2, Decimal("0.01"), Decimal("0.01")), FakeModel(model="dream"))
    for text in ("one", "two"):
        reply = await desk.ask(text)
    assert reply.call is not None
    assert "no price" in reply.call.detail
    with pytest.raises(BudgetExhausted, match="LLM_CALLS_PER_DAY"):
        await desk.ask("three")


async def test_no_call_is_made_that_cannot_be_written_down() -> None:
    desk = Desk()

    class Busy:
        def write(self) -> None:
            raise StoreBusy("kept open by another")

    accounted = AccountedModel(
        desk.fake,
        Busy(),
        desk.clock,
        budget=NO_LIMIT,
        prices=PRICES,  # type: ignore[arg-type]
    )
    with pytest.raises(PlannerUnavailable, match="kept open"):
        await accounted.ask(question())
    assert desk.fake.asked == []


async def test_a_reply_is_used_although_its_outcome_cannot_be_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()

    class BusyAfterwards:
        def write(self) -> object:
            if desk.fake.asked:
                raise StoreBusy("kept open by another")
            return desk.store.write()

    accounted = AccountedModel(
        desk.fake,
        BusyAfterwards(),
        desk.clock,
        budget=NO_LIMIT,
        prices=PRICES,  # type: ignore[arg-type]
    )
    reply = await accounted.ask(question())
    assert reply.text == "yes"
    assert "kept open" in caplog.text
    assert [call.outcome for call in desk.ledger()] == [UNDER_WAY]  # it stays counted


def test_of_many_who_ask_at_once_only_as_many_are_served_as_the_limit_allows(
    tmp_path: Path,
) -> None:
    path = tmp_path / "trades.db"
    served: list[str] = []
    refused: list[str] = []
    start = threading.Barrier(6)

    def one(name: str) -> None:
        desk = Desk(replace(NO_LIMIT, calls_per_day=2), store=DuckStore(path))
        start.wait()
        try:
            asyncio.run(desk.ask(name))
            served.append(name)
        except BudgetExhausted:
            refused.append(name)

    threads = [threading.Thread(target=one, args=(f"{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(served), len(refused)) == (2, 4)


# --- the same question twice ---


async def test_the_same_question_is_answered_from_the_store_and_counts_as_no_call() -> None:
    desk = Desk(LlmBudget(calls_per_day=1))
    first = await desk.ask()
    again = await desk.ask()
    assert (again.text, len(desk.fake.asked)) == ("yes", 1)
    assert (again.input_tokens, again.output_tokens) == (0, 0)
    assert [call.outcome for call in desk.ledger()].count(REUSED) == 1
    assert again.call is not None
    assert first.call is not None
    assert (again.call.cost_usd, again.call.prompt_id) == (0, first.call.prompt_id)
    with desk.store.read() as db:
        assert db.llm_spend(since=AT - timedelta(days=1)).calls == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"turns": (Turn(Role.USER, "Is it not so?"),)},
        {"schema": {"type": "object"}},
        {"session": SESSION + timedelta(days=1)},
        {"market": "US"},
    ],
    ids=["words", "schema", "session", "market"],
)
async def test_another_question_is_asked(changes: dict[str, object]) -> None:
    desk = Desk()
    await desk.ask()
    await desk.ask(**changes)
    assert len(desk.fake.asked) == 2


@pytest.mark.parametrize("other", [FakeModel(model="b-model"), FakeModel(provider="openai")])
async def test_another_model_is_asked(other: FakeModel) -> None:
    desk = Desk()
    await desk.ask()
    desk.fake = other
    await desk.ask()
    assert len(other.asked) == 1


async def test_a_failed_question_is_asked_again() -> None:
    desk = Desk()
    desk.fake.error = PlannerUnavailable("down")
    with pytest.raises(PlannerUnavailable):
        await desk.ask()
    desk.fake.error = None
    assert (await desk.ask()).text == "yes"
