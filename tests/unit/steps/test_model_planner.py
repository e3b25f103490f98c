"""The planning conversation over any model: one question, one repair, one time limit."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pytest

from tests.gemini_stand_in import GOOD_DRAFT
from tests.planning_fakes import llm_call
from trading_core.errors import (
    BudgetExhausted,
    PlannerError,
    PlannerTimeout,
    PlannerUnavailable,
    ReplyInvalid,
)
from trading_core.model.language import ModelReply, ModelRequest, PlanRequest, Role
from trading_core.model.market import MarketGroup
from trading_core.model.playbook import PlaybookSource
from trading_core.steps.model_planner import ModelPlanner

REQUEST = PlanRequest(
    group=MarketGroup.KR,
    session=date(2026, 3, 3),
    at=datetime(2026, 3, 2, 23, 30, tzinfo=UTC),
    prompt="Plan the session.",
    prompt_hash="abc",
    known_symbols=frozenset({"005930"}),
    purpose="refresh_midday",
)
GOOD = json.dumps(GOOD_DRAFT)


@dataclass
class Scripted:
    """A model that says these things, or raises them, each after ``seconds``."""

    says: list[str | PlannerError]
    provider: str = "openai"
    model: str = "a-model"
    seconds: float = 0.0
    requests: list[ModelRequest] = field(default_factory=list)

    async def ask(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        await asyncio.sleep(self.seconds)
        said = self.says.pop(0)
        number = len(self.requests)
        if isinstance(said, PlannerError):
            said.calls = (llm_call(number, "failed"),)
            raise said
        return ModelReply(said, "STOP", self.model, call=llm_call(number, "ok"))


def planner(model: Scripted, seconds: float = 5.0) -> ModelPlanner:
    return ModelPlanner(model, timeout_seconds=seconds, max_output_tokens=4096)


async def test_a_draft_carries_its_source_its_model_and_its_call() -> None:
    model = Scripted([GOOD])
    reply = await planner(model).draft(REQUEST)
    assert (reply.source, reply.model) == (PlaybookSource.OPENAI, "a-model")
    assert [call.call_id for call in reply.calls] == ["call-1"]
    [asked] = model.requests
    assert (asked.purpose, asked.market, asked.max_output_tokens) == ("refresh_midday", "KR", 4096)
    assert asked.schema is not None
    assert 0 < asked.timeout_seconds <= 5.0


async def test_the_question_can_tell_a_good_reply_from_a_bad_one() -> None:
    model = Scripted([GOOD])
    await planner(model).draft(REQUEST)
    check = model.requests[0].check
    check(ModelReply(GOOD, "STOP", "m"))
    for text, ending in (("prose", "STOP"), ("", "SAFETY"), (GOOD[:99], "MAX_TOKENS")):
        with pytest.raises(ReplyInvalid):
            check(ModelReply(text, ending, "m"))


async def test_the_repair_quotes_the_reply_and_says_what_was_wrong() -> None:
    model = Scripted(["prose", GOOD])
    reply = await planner(model).draft(REQUEST)
    assert [call.call_id for call in reply.calls] == ["call-1", "call-2"]
    repair = model.requests[1]
    assert repair.purpose == "refresh_midday_repair"
    assert [turn.role for turn in repair.turns] == [Role.USER, Role.MODEL, Role.USER]
    assert repair.turns[1].text == "prose"
    assert "not JSON" in repair.turns[2].text
    assert repair.timeout_seconds <= model.requests[0].timeout_seconds


async def test_a_reply_that_stays_bad_is_invalid_with_both_calls() -> None:
    with pytest.raises(ReplyInvalid) as caught:
        await planner(Scripted(["prose", "prose", GOOD])).draft(REQUEST)
    assert len(caught.value.calls) == 2


@pytest.mark.parametrize(
    "error", [PlannerUnavailable("down"), BudgetExhausted("none left"), PlannerTimeout("late")]
)
async def test_a_repair_that_fails_names_the_calls_of_both(error: PlannerError) -> None:
    with pytest.raises(type(error)) as caught:
        await planner(Scripted(["prose", error])).draft(REQUEST)
    assert len(caught.value.calls) == 2


async def test_no_repair_is_begun_when_the_time_is_up() -> None:
    model = Scripted(["prose", GOOD], seconds=0.2)
    with pytest.raises(PlannerTimeout, match="PLANNER_TIMEOUT_SECONDS") as caught:
        await planner(model, seconds=0.1).draft(REQUEST)
    assert len(model.requests) == len(caught.value.calls) == 1


async def test_a_model_without_a_ledger_has_no_calls_to_show() -> None:
    class Bare(Scripted):
        async def ask(self, request: ModelRequest) -> ModelReply:
            return ModelReply(GOOD, "STOP", self.model)

    assert (await planner(Bare([])).draft(REQUEST)).calls == ()
