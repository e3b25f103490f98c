"""Gemini as the planner over real HTTP, against a server that speaks the same wire."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import time
import traceback
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.gemini_stand_in import GOOD_DRAFT, GeminiStandIn, Scripted, gemini_stand_in, good
from trading_core.adapters.duck.store import DuckStore
from trading_core.adapters.gemini import GeminiModel
from trading_core.clock import FixedClock
from trading_core.errors import PlannerError, PlannerTimeout, PlannerUnavailable, ReplyInvalid
from trading_core.model.language import PlanReply, PlanRequest
from trading_core.model.limits import LlmBudget
from trading_core.model.market import MarketGroup
from trading_core.rules.llm_prices import GEMINI_PRICES, call_cost
from trading_core.rules.prompt_budget import prompt_hash
from trading_core.steps.ask import AccountedModel
from trading_core.steps.model_planner import ModelPlanner

KEY = "AIza-not-a-real-key-0123456789"
AT = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
REQUEST = PlanRequest(
    group=MarketGroup.KR,
    session=date(2026, 3, 3),
    at=AT,
    prompt="Plan the session.",
    prompt_hash=prompt_hash("Plan the session."),
    known_symbols=frozenset({"005930", "000660"}),
)


def planner(stand_in: GeminiStandIn, *, timeout: float = 10.0, model: str = "gemini-2.5-flash"):
    gemini = GeminiModel(api_key=KEY, model=model, base_url=stand_in.base_url)
    accounted = AccountedModel(
        gemini,
        DuckStore(":memory:"),
        FixedClock(AT),
        budget=LlmBudget(calls_per_day=0, usd_per_day=Decimal(0), usd_per_month=Decimal(0)),
        prices=GEMINI_PRICES,
    )
    return ModelPlanner(accounted, timeout_seconds=timeout, max_output_tokens=8192)


async def ask(*script: Scripted, timeout: float = 10.0) -> tuple[PlanReply, GeminiStandIn]:
    async with gemini_stand_in(script) as stand_in:
        return await planner(stand_in, timeout=timeout).draft(REQUEST), stand_in


async def fail(*script: Scripted, timeout: float = 10.0) -> tuple[PlannerError, GeminiStandIn]:
    async with gemini_stand_in(script) as stand_in:
        with pytest.raises(PlannerError) as caught:
            await planner(stand_in, timeout=timeout).draft(REQUEST)
        return caught.value, stand_in


async def test_a_good_reply_becomes_a_draft_with_one_recorded_call() -> None:
    reply, stand_in = await ask(good())
    assert [plan.symbol for plan in reply.draft.stocks] == ["005930"]
    assert reply.notes == ()
    assert stand_in.paths == ["/v1beta/models/gemini-2.5-flash:generateContent"]
    (call,) = reply.calls
    assert (call.outcome, call.purpose, call.market) == ("ok", "plan", "KR")
    assert (call.input_tokens, call.output_tokens) == (1000, 240)  # thinking is billed as output
    assert (call.provider, call.cached_tokens, call.thinking_tokens) == ("gemini", 0, 40)
    assert call.cost_usd == (1000 * Decimal("0.30") + 240 * Decimal("2.50")) / 1_000_000
    assert call.prompt_hash == REQUEST.prompt_hash
    assert call.latency_ms >= 0


async def test_the_request_binds_the_reply_to_the_schema_and_keeps_the_key_in_a_header() -> None:
    _, stand_in = await ask(good())
    config = stand_in.bodies[0]["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    schema = config["responseJsonSchema"]
    assert set(schema["required"]) == {"outlook", "global_rules", "stocks"}
    text = json.dumps(schema)
    for unsupported in ("$ref", "exclusiveMaximum", "maxLength", "default"):
        assert f'"{unsupported}"' not in text
    assert stand_in.headers[0]["x-goog-api-key"] == KEY
    assert KEY not in json.dumps(stand_in.bodies) + "".join(stand_in.paths)


async def test_cached_tokens_are_told_from_the_others() -> None:
    reply, _ = await ask(dataclasses.replace(good(), cached=900))
    assert (reply.calls[0].cached_tokens, reply.calls[0].input_tokens) == (900, 1000)


async def test_the_limit_on_the_reply_goes_with_the_request() -> None:
    _, stand_in = await ask(good())
    assert stand_in.bodies[0]["generationConfig"]["maxOutputTokens"] == 8192


async def test_code_fences_around_the_json_are_taken_off() -> None:
    fenced = Scripted(text=f"```json\n{json.dumps(GOOD_DRAFT)}\n```")
    reply, stand_in = await ask(fenced)
    assert len(reply.draft.stocks) == 1
    assert len(stand_in.bodies) == 1


async def test_a_truncated_reply_is_repaired_by_one_more_call_that_names_the_error() -> None:
    cut = Scripted(text=json.dumps(GOOD_DRAFT)[:150], finish="MAX_TOKENS")
    reply, stand_in = await ask(cut, good())
    assert [call.outcome for call in reply.calls] == ["ReplyInvalid", "ok"]
    assert [call.purpose for call in reply.calls] == ["plan", "plan_repair"]
    assert "MAX_TOKENS" in reply.calls[0].detail
    assert len({call.call_id for call in reply.calls}) == 2
    turns = stand_in.bodies[1]["contents"]
    assert [turn["role"] for turn in turns] == ["user", "model", "user"]
    assert "not JSON" in turns[2]["parts"][0]["text"]
    assert "fewer scenarios" in turns[2]["parts"][0]["text"]


async def test_a_wrong_schema_is_repaired_once() -> None:
    reply, stand_in = await ask(Scripted(text='{"outlook": "bullish", "picks": []}'), good())
    assert reply.draft.stocks[0].symbol == "005930"
    assert 'no "stocks" list' in stand_in.bodies[1]["contents"][2]["parts"][0]["text"]


async def test_a_wrong_schema_twice_is_invalid_and_both_calls_are_accounted_for() -> None:
    wrong = Scripted(text='{"outlook": "bullish", "stocks": [{"symbol": "005930"}]}')
    error, stand_in = await fail(wrong, wrong, good())
    assert isinstance(error, ReplyInvalid)
    assert [call.outcome for call in error.calls] == ["ReplyInvalid", "ReplyInvalid"]
    assert all(call.cost_usd > 0 for call in error.calls)
    assert len(stand_in.bodies) == 2


async def test_invented_tickers_are_dropped_with_a_note() -> None:
    draft = copy.deepcopy(GOOD_DRAFT)
    draft["stocks"].append({**draft["stocks"][0], "symbol": "FAKE1"})
    reply, stand_in = await ask(good(draft))
    assert [plan.symbol for plan in reply.draft.stocks] == ["005930"]
    assert [(note.symbol, note.kind) for note in reply.notes] == [("FAKE1", "dropped")]
    assert len(stand_in.bodies) == 1


async def test_a_slow_model_is_cut_off_at_the_limit() -> None:
    import google.genai  # noqa: F401  (its import must not count)

    started = time.perf_counter()
    error, stand_in = await fail(dataclasses.replace(good(), delay_seconds=30.0), timeout=0.4)
    assert 0.35 < time.perf_counter() - started < 3.0
    assert isinstance(error, PlannerTimeout)
    assert "PLANNER_TIMEOUT_SECONDS" in str(error)
    assert [call.outcome for call in error.calls] == ["PlannerTimeout"]
    assert error.calls[0].cost_usd > Decimal("0.02")  # it may be billed, so it counts in full
    assert 350 < error.calls[0].latency_ms < 2000
    assert stand_in.hung_up == 1  # the request itself was cancelled, not left running


async def test_the_limit_covers_the_repair_too() -> None:
    broken = Scripted(text="not json", delay_seconds=0.3)
    error, _ = await fail(broken, dataclasses.replace(good(), delay_seconds=30.0), timeout=1.5)
    assert isinstance(error, PlannerTimeout)
    assert [call.outcome for call in error.calls] == ["ReplyInvalid", "PlannerTimeout"]
    assert error.calls[0].latency_ms + error.calls[1].latency_ms < 2000


@pytest.mark.parametrize(
    ("status", "words"),
    [(429, "quota"), (500, "server failed"), (503, "server failed"), (404, "GEMINI_MODEL")],
)
async def test_an_error_status_is_unavailable_and_is_not_asked_again(
    status: int, words: str
) -> None:
    error, stand_in = await fail(Scripted(status=status, message="scripted"), good())
    assert isinstance(error, PlannerUnavailable)
    assert words in str(error)
    assert [call.outcome for call in error.calls] == ["PlannerUnavailable"]
    assert error.calls[0].cost_usd == 0
    assert len(stand_in.bodies) == 1


async def test_a_dropped_connection_is_unavailable_and_is_not_sent_again() -> None:
    error, stand_in = await fail(Scripted(drop=True), good())
    assert isinstance(error, PlannerUnavailable)
    assert len(stand_in.bodies) == 1
    assert error.calls[0].cost_usd > 0


async def test_a_port_nobody_listens_on_is_unavailable() -> None:
    async with gemini_stand_in() as stand_in:
        pass
    with pytest.raises(PlannerUnavailable) as caught:
        await planner(stand_in).draft(REQUEST)
    assert caught.value.calls[0].cost_usd == 0  # it was not even sent


async def test_a_body_that_is_not_the_wire_is_unavailable() -> None:
    error, _ = await fail(Scripted(raw_body="<html>captive portal</html>"))
    assert isinstance(error, PlannerUnavailable)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Scripted(block_reason="PROHIBITED_CONTENT"), "PROHIBITED_CONTENT"),
        (Scripted(text=None, finish="SAFETY"), "SAFETY"),
        (Scripted(text="", finish="STOP"), "STOP"),
    ],
)
async def test_an_empty_reply_is_invalid_and_is_not_asked_again(
    said: Scripted, reason: str
) -> None:
    error, stand_in = await fail(said, good())
    assert isinstance(error, ReplyInvalid)
    assert reason in str(error)
    assert len(stand_in.bodies) == 1
    assert error.calls[0].input_tokens == 1000


async def test_the_key_is_in_no_message_record_log_or_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with gemini_stand_in([Scripted(status=400, message=f"bad key {KEY}")]) as stand_in:
        drafting = planner(stand_in)
        gemini = drafting._model._model
        with pytest.raises(PlannerUnavailable) as caught:
            await drafting.draft(REQUEST)
    shown = "".join(traceback.format_exception(caught.value))
    everything = [str(caught.value), repr(caught.value), repr(gemini), repr(vars(gemini)), shown]
    everything += [caplog.text, repr(caught.value.calls), repr(caught.value.__cause__)]
    assert all(KEY not in text for text in everything)
    assert "***" in str(caught.value)


async def test_a_model_without_a_price_costs_nothing_and_says_so() -> None:
    async with gemini_stand_in([good()]) as stand_in:
        reply = await planner(stand_in, model="models/gemini-9-dream").draft(REQUEST)
    assert reply.model == "gemini-9-dream"
    assert reply.calls[0].cost_usd == 0
    assert "no price" in reply.calls[0].detail


def test_prices_follow_the_date_and_the_length_of_the_prompt() -> None:
    def cost(model: str, on: date, tokens: int) -> Decimal | None:
        return call_cost(GEMINI_PRICES, model, on, input_tokens=tokens, output_tokens=0)

    assert cost("gemini-3.8-flash", date(2026, 12, 31), 1_000_000) == Decimal("0.75")
    assert cost("gemini-3.8-flash", date(2027, 1, 1), 1_000_000) == Decimal("1.50")
    assert cost("gemini-2.5-pro", date(2026, 1, 1), 200_000) == Decimal("0.25")
    assert cost("gemini-2.5-pro", date(2026, 1, 1), 400_000) == Decimal("1.00")
    assert cost("gemini-2.5-flash", date(2020, 1, 1), 1_000_000) == Decimal("0.30")
