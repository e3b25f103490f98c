"""A model behind OpenAI's wire as the planner, over real HTTP."""

from __future__ import annotations

import json
import logging
import time
import traceback
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.openai_stand_in import OpenAiStandIn, Said, good_reply, openai_stand_in
from trading_core.adapters.duck.store import DuckStore
from trading_core.adapters.openai_compatible import OpenAiCompatibleModel
from trading_core.clock import FixedClock
from trading_core.errors import PlannerError, PlannerTimeout, PlannerUnavailable, ReplyInvalid
from trading_core.model.language import PlanReply, PlanRequest
from trading_core.model.limits import LlmBudget
from trading_core.model.market import MarketGroup
from trading_core.model.playbook import PlaybookSource
from trading_core.rules.llm_prices import OPENAI_PRICES, flat_price
from trading_core.rules.prompt_budget import prompt_hash
from trading_core.steps.ask import AccountedModel
from trading_core.steps.model_planner import ModelPlanner

KEY = "sk-not-a-real-key-0123456789"
UNFIT = "sk-열쇠\nx"
AT = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
NO_LIMIT = LlmBudget(calls_per_day=0, usd_per_day=Decimal(0), usd_per_month=Decimal(0))
REQUEST = PlanRequest(
    group=MarketGroup.KR,
    session=date(2026, 3, 3),
    at=AT,
    prompt="Plan the session.",
    prompt_hash=prompt_hash("Plan the session."),
    known_symbols=frozenset({"005930", "000660"}),
)


def planner(
    stand_in: OpenAiStandIn,
    *,
    timeout: float = 10.0,
    model: str = "gpt-5-mini",
    key: str | None = KEY,
    prices: tuple = OPENAI_PRICES,
) -> ModelPlanner:
    openai = OpenAiCompatibleModel(base_url=stand_in.base_url, model=model, api_key=key)
    store = DuckStore(":memory:")
    accounted = AccountedModel(openai, store, FixedClock(AT), budget=NO_LIMIT, prices=prices)
    return ModelPlanner(accounted, timeout_seconds=timeout, max_output_tokens=8192)


async def ask(*script: Said, timeout: float = 10.0) -> tuple[PlanReply, OpenAiStandIn]:
    async with openai_stand_in(script) as stand_in:
        return await planner(stand_in, timeout=timeout).draft(REQUEST), stand_in


async def fail(*script: Said, timeout: float = 10.0) -> tuple[PlannerError, OpenAiStandIn]:
    async with openai_stand_in(script) as stand_in:
        with pytest.raises(PlannerError) as caught:
            await planner(stand_in, timeout=timeout).draft(REQUEST)
        return caught.value, stand_in


async def test_a_good_reply_becomes_a_draft_with_one_recorded_call() -> None:
    reply, stand_in = await ask(good_reply())
    assert [plan.symbol for plan in reply.draft.stocks] == ["005930"]
    assert (reply.source, reply.model) == (PlaybookSource.OPENAI, "gpt-5-mini")
    assert stand_in.paths == ["/v1/chat/completions"]
    (call,) = reply.calls
    assert (call.outcome, call.purpose, call.provider) == ("ok", "plan", "openai")
    assert (call.input_tokens, call.output_tokens) == (1000, 240)
    assert (call.cached_tokens, call.thinking_tokens) == (300, 40)
    assert call.cost_usd == (1000 * Decimal("0.25") + 240 * Decimal("2.00")) / 1_000_000


async def test_the_request_names_the_schema_and_keeps_the_key_in_a_header() -> None:
    _, stand_in = await ask(good_reply())
    body = stand_in.bodies[0]
    form = body["response_format"]
    assert form["type"] == "json_schema"
    schema = form["json_schema"]["schema"]
    assert set(schema["required"]) == {"outlook", "global_rules", "stocks"}
    assert body["max_completion_tokens"] == 8192
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert json.dumps(schema, separators=(",", ":")) in body["messages"][0]["content"]
    assert body["messages"][1]["content"] == REQUEST.prompt
    assert stand_in.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in json.dumps(stand_in.bodies) + "".join(stand_in.paths)


async def test_a_server_without_a_key_is_sent_none() -> None:
    async with openai_stand_in([good_reply()]) as stand_in:
        await planner(stand_in, key=None).draft(REQUEST)
    assert "Authorization" not in stand_in.headers[0]


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    reply, stand_in = await ask(good_reply())
    assert (len(reply.calls), len(stand_in.bodies)) == (1, 1)


@pytest.mark.parametrize(("path", "asked"), [("", "/v1"), ("/", "/v1"), ("/llm/v3", "/llm/v3")])
async def test_a_base_url_without_a_path_means_v1(path: str, asked: str) -> None:
    async with openai_stand_in([good_reply()]) as stand_in:
        stand_in.base_url = stand_in.base_url.removesuffix("/v1") + path
        await planner(stand_in).draft(REQUEST)
    assert stand_in.paths == [f"{asked}/chat/completions"]


NO_SCHEMA = Said(status=400, error={"message": "response_format type must be json_object"})
NO_JSON = Said(status=422, error={"message": "'response_format' is not permitted"})
NO_LIMIT_NAME = Said(status=400, error={"message": "Unsupported: 'max_completion_tokens'"})


async def test_a_server_that_knows_no_schema_is_asked_for_json_within_the_same_call() -> None:
    reply, stand_in = await ask(NO_SCHEMA, good_reply())
    assert [body["response_format"]["type"] for body in stand_in.bodies] == [
        "json_schema",
        "json_object",
    ]
    assert [call.outcome for call in reply.calls] == ["ok"]


async def test_a_server_that_knows_neither_nor_the_limit_is_asked_in_plain_words() -> None:
    async with openai_stand_in([NO_LIMIT_NAME, NO_SCHEMA, NO_JSON, good_reply()]) as stand_in:
        drafting = planner(stand_in)
        reply = await drafting.draft(REQUEST)
        last = stand_in.bodies[-1]
        assert "response_format" not in last
        assert (last["max_tokens"], "max_completion_tokens" in last) == (8192, False)
        assert "JSON schema" in last["messages"][0]["content"]
        assert len(reply.calls) == 1

        stand_in.script = [good_reply()]
        await drafting.draft(replace(REQUEST, prompt="Another one."))
        assert len(stand_in.bodies) == 5  # what it takes is remembered


async def test_llama_cpp_refuses_with_500_and_is_understood() -> None:
    refusal = Said(status=500, error={"message": "Either json_schema or grammar, but not both"})
    reply, stand_in = await ask(refusal, good_reply())
    assert len(stand_in.bodies) == 2
    assert len(reply.calls) == 1


async def test_a_server_that_refuses_whatever_it_is_asked_ends_the_call() -> None:
    error, stand_in = await fail(*[NO_SCHEMA] * 9)
    assert isinstance(error, PlannerUnavailable)
    assert len(stand_in.bodies) == 3
    assert error.calls[0].cost_usd == 0


async def test_a_truncated_reply_is_repaired_by_one_more_call_that_names_the_error() -> None:
    cut = replace(good_reply(), text=(good_reply().text or "")[:150], finish="length")
    reply, stand_in = await ask(cut, good_reply())
    assert [call.outcome for call in reply.calls] == ["ReplyInvalid", "ok"]
    assert [call.purpose for call in reply.calls] == ["plan", "plan_repair"]
    assert "MAX_TOKENS" in reply.calls[0].detail
    messages = stand_in.bodies[1]["messages"]
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
    assert "fewer scenarios" in messages[3]["content"]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "OPENAI_MODEL"),
        (401, "OPENAI_API_KEY"),
        (404, "OPENAI_MODEL"),
        (429, "quota"),
        (500, "server failed"),
        (503, "server failed"),
        (302, "refused"),
    ],
)
async def test_an_error_status_is_unavailable_and_is_not_asked_again(
    status: int, words: str
) -> None:
    error, stand_in = await fail(Said(status=status, error={"message": "scripted"}), good_reply())
    assert isinstance(error, PlannerUnavailable)
    assert words in str(error)
    assert "scripted" in str(error)
    assert [call.outcome for call in error.calls] == ["PlannerUnavailable"]
    assert error.calls[0].cost_usd == 0
    assert len(stand_in.bodies) == 1


@pytest.mark.parametrize(
    "said",
    [
        Said(status=400, error="in plain words"),
        Said(status=400, raw_body='{"detail": "in plain words"}'),
        Said(status=400, raw_body='{"message": "in plain words"}'),
        Said(status=400, raw_body='{"detail": [{"msg": "in plain words"}]}'),
        Said(status=400, raw_body='"in plain words"'),
        Said(status=502, raw_body="<html>in plain words</html>"),
    ],
    ids=["error", "detail", "message", "a list", "a string", "no JSON"],
)
async def test_whatever_shape_an_error_has_its_words_are_shown(said: Said) -> None:
    error, _ = await fail(said)
    assert "in plain words" in str(error)


async def test_a_dropped_connection_is_not_sent_again_and_counts_at_the_most_it_may_cost() -> None:
    error, stand_in = await fail(Said(drop=True), good_reply())
    assert isinstance(error, PlannerUnavailable)
    assert len(stand_in.bodies) == 1
    assert error.calls[0].cost_usd > Decimal("0.016")  # 8192 tokens of output


async def test_a_port_nobody_listens_on_is_unavailable_and_costs_nothing() -> None:
    async with openai_stand_in() as stand_in:
        pass
    with pytest.raises(PlannerUnavailable, match="OPENAI_BASE_URL") as caught:
        await planner(stand_in).draft(REQUEST)
    assert caught.value.calls[0].cost_usd == 0


@pytest.mark.parametrize(
    "body",
    ["<html>captive portal</html>", "{}", "[]", '{"choices": 7}', '{"choices": [{}]}', '{"ch'],
)
async def test_a_body_that_is_not_the_wire_is_unavailable(body: str) -> None:
    error, _ = await fail(Said(raw_body=body))
    assert isinstance(error, PlannerUnavailable)
    assert error.calls[0].cost_usd > 0  # something was generated, perhaps


@pytest.mark.parametrize(
    "said", [Said(text=None), Said(text=""), Said(text="  ", finish="content_filter")]
)
async def test_an_empty_reply_is_invalid_and_is_not_asked_again(said: Said) -> None:
    error, stand_in = await fail(said, good_reply())
    assert isinstance(error, ReplyInvalid)
    assert "no text" in str(error)
    assert len(stand_in.bodies) == 1
    assert error.calls[0].input_tokens == 1000


async def test_no_choice_at_all_is_an_empty_reply() -> None:
    error, _ = await fail(Said(raw_body='{"choices": []}'))
    assert isinstance(error, ReplyInvalid)


async def test_a_slow_model_is_cut_off_at_the_limit() -> None:
    started = time.perf_counter()
    error, stand_in = await fail(replace(good_reply(), delay_seconds=30.0), timeout=0.5)
    assert 0.45 < time.perf_counter() - started < 3.0
    assert isinstance(error, PlannerTimeout)
    assert [call.outcome for call in error.calls] == ["PlannerTimeout"]
    assert stand_in.hung_up == 1
    assert error.calls[0].cost_usd > Decimal("0.016")


async def test_a_server_that_counts_no_tokens_is_taken_to_have_used_all_it_could() -> None:
    reply, _ = await ask(replace(good_reply(), usage=None))
    assert reply.calls[0].cost_usd > Decimal("0.016")
    assert "counted no tokens" in reply.calls[0].detail


async def test_a_model_of_ones_own_is_free_by_its_price() -> None:
    free = (flat_price("qwen3:30b", input_usd=Decimal(0), output_usd=Decimal(0)),)
    async with openai_stand_in([replace(good_reply(), usage=None)]) as stand_in:
        reply = await planner(stand_in, model="qwen3:30b", prices=free).draft(REQUEST)
    assert reply.calls[0].cost_usd == 0
    assert "no price" not in reply.calls[0].detail


async def test_a_model_without_a_price_costs_nothing_and_says_so() -> None:
    async with openai_stand_in([good_reply()]) as stand_in:
        reply = await planner(stand_in, model="dream-9").draft(REQUEST)
    assert reply.calls[0].cost_usd == 0
    assert "no price" in reply.calls[0].detail


@pytest.mark.parametrize(
    "said",
    [
        Said(status=401, error={"message": f"bad key {KEY}"}),
        Said(raw_body=f"not JSON {KEY}"),
        Said(drop=True),
    ],
    ids=["refused", "garbled", "dropped"],
)
async def test_the_key_is_in_no_message_record_log_or_traceback(
    said: Said, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with openai_stand_in([said]) as stand_in:
        drafting = planner(stand_in)
        openai = drafting._model._model
        with pytest.raises(PlannerUnavailable) as caught:
            await drafting.draft(REQUEST)
    error = caught.value
    shown = "".join(traceback.format_exception(error))
    everything = [str(error), repr(error), repr(openai), repr(vars(openai)), shown, caplog.text]
    everything += [repr(error.calls), repr(error.__cause__), repr(error.__context__)]
    assert all(KEY not in text for text in everything)


async def test_a_key_that_no_header_can_carry_is_not_shown_either() -> None:
    async with openai_stand_in() as stand_in:
        with pytest.raises(PlannerUnavailable) as caught:
            await planner(stand_in, key=UNFIT).draft(REQUEST)
    assert "열쇠" not in "".join(traceback.format_exception(caught.value))
