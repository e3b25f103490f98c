"""Gemini as the planner: one call a session, and a second one only to repair a broken reply.

The wire is ``models.generateContent`` of the Gemini API through Google's SDK, which takes over a
second to import and is therefore imported with the first call. Left alone, the SDK repeats some
failed requests by itself; here each request is made once, because every one is paid for and time
runs towards the open.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from trading_core.clock import Clock
from trading_core.errors import PlannerError, PlannerTimeout, PlannerUnavailable, ReplyInvalid
from trading_core.model.journal import LlmCall
from trading_core.ports import PlanReply, PlanRequest
from trading_core.rules.replies import parse_draft, response_schema

if TYPE_CHECKING:
    from google.genai.client import AsyncClient
    from google.genai.types import GenerateContentConfig, GenerateContentResponse

LONG_PROMPT_TOKENS = 200_000
_MILLION = Decimal(1_000_000)
_REPAIR_QUOTE = 20_000


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """What a model costs from ``since`` on, in USD per million tokens, standard tier.

    Thinking tokens are billed as output. ``long_*`` is charged when the prompt is longer than
    200 000 tokens; None where there is no such step.
    """

    model: str
    since: date
    input_usd: Decimal
    output_usd: Decimal
    long_input_usd: Decimal | None = None
    long_output_usd: Decimal | None = None


def _price(model: str, since: str, *usd: str) -> TokenPrice:
    return TokenPrice(model, date.fromisoformat(since), *(Decimal(amount) for amount in usd))


GEMINI_PRICES: tuple[TokenPrice, ...] = (
    _price("gemini-2.5-flash", "2025-06-17", "0.30", "2.50"),
    _price("gemini-2.5-flash-lite", "2025-07-22", "0.10", "0.40"),
    _price("gemini-2.5-pro", "2025-06-17", "1.25", "10.00", "2.50", "15.00"),
    _price("gemini-3.1-pro-preview", "2026-10-07", "2.00", "12.00", "4.00", "18.00"),
    _price("gemini-3.5-flash", "2026-10-07", "1.50", "9.00"),
    _price("gemini-3.5-flash-lite", "2026-10-07", "0.30", "2.50"),
    _price("gemini-3.8-flash", "2026-10-07", "0.75", "3.75"),
    _price("gemini-3.8-flash", "2027-01-01", "1.50", "7.50"),
)
"""ai.google.dev/gemini-api/docs/pricing, as it stood on 2026-10-07. Text prices; the discount for
cached input is left out, so a cost is an upper bound."""


def call_cost(
    prices: Sequence[TokenPrice], model: str, on: date, *, input_tokens: int, output_tokens: int
) -> Decimal | None:
    """The price of a call in USD; None for a model that the table does not list.

    ``output_tokens`` include thinking. A day before the model's first row uses that row.
    """
    rows = sorted((p for p in prices if p.model == model), key=lambda p: p.since)
    if not rows:
        return None
    price = next((p for p in reversed(rows) if p.since <= on), rows[0])
    is_long = input_tokens > LONG_PROMPT_TOKENS
    per_input = (price.long_input_usd if is_long else None) or price.input_usd
    per_output = (price.long_output_usd if is_long else None) or price.output_usd
    return (input_tokens * per_input + output_tokens * per_output) / _MILLION


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back: the text (empty when there was none) and how the model ended."""

    text: str
    ending: str
    input_tokens: int
    output_tokens: int


class GeminiPlanner:
    """Drafts a playbook with a Gemini model. Implements ``ports.Planner``.

    Args:
        api_key: Goes to Google in a header; it is in no message, record or ``repr``.
        model: Model id, without ``models/``.
        timeout_seconds: For the whole draft, the repair included; the request is cut off then.
        base_url: Another server that speaks the same wire; None is Google's.
        prices: For ``LlmCall.cost_usd``; a model that is not listed costs 0 and says so.
    """

    def __init__(
        self,
        *,
        api_key: str,
        model: str = "gemini-3.5-flash",
        timeout_seconds: float = 60.0,
        clock: Clock,
        base_url: str | None = None,
        prices: Sequence[TokenPrice] = GEMINI_PRICES,
    ) -> None:
        self._key = SecretStr(api_key)
        self._model = model.removeprefix("models/")
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._base_url = base_url
        self._prices = tuple(prices)

    def __repr__(self) -> str:
        return f"GeminiPlanner(model={self._model!r}, timeout_seconds={self._timeout_seconds})"

    async def draft(self, request: PlanRequest) -> PlanReply:
        """One playbook draft.

        Raises:
            PlannerTimeout: no reply within the time limit.
            PlannerUnavailable: quota, key, network or server failure.
            ReplyInvalid: no usable reply, even after the repair. An empty or blocked reply is not
                asked for again: there is nothing to repair.
        """
        calls: list[LlmCall] = []
        async with self._client() as client:
            deadline = asyncio.get_running_loop().time() + self._timeout_seconds
            turns = [_turn("user", request.prompt)]
            answer = await self._ask(client, request, turns, calls, deadline)
            try:
                return self._reply(request, answer, calls)
            except ReplyInvalid as error:
                if not answer.text:
                    raise
                turns += _repair_turns(answer, str(error))
            answer = await self._ask(client, request, turns, calls, deadline)
            return self._reply(request, answer, calls)

    def _reply(self, request: PlanRequest, answer: _Answer, calls: list[LlmCall]) -> PlanReply:
        try:
            if not answer.text:
                raise ReplyInvalid(f"the model gave no text ({answer.ending})")
            draft, notes = parse_draft(answer.text, known_symbols=request.known_symbols)
        except ReplyInvalid as error:
            message = str(error)
            if answer.ending != "STOP" and answer.text:
                message += f" (the model ended with {answer.ending})"
            calls[-1] = _with_outcome(calls[-1], ReplyInvalid.__name__, self._safe(message))
            raise ReplyInvalid(self._safe(message), tuple(calls)) from None
        return PlanReply(draft=draft, model=self._model, calls=tuple(calls), notes=notes)

    async def _ask(
        self,
        client: AsyncClient,
        request: PlanRequest,
        turns: list[Any],
        calls: list[LlmCall],
        deadline: float,
    ) -> _Answer:
        """One request, recorded in ``calls`` however it ends."""
        started_at, started = self._clock.now(), time.perf_counter()
        answer = _Answer("", "", 0, 0)
        failure: PlannerError | None = None
        try:
            async with asyncio.timeout_at(deadline):
                response = await client.models.generate_content(
                    model=self._model, contents=turns, config=_config()
                )
            answer = _answer(response)
        except TimeoutError:
            limit = f"no reply within {self._timeout_seconds:g} s"
            failure = PlannerTimeout(f"Gemini gave {limit}; raise PLANNER_TIMEOUT_SECONDS?")
        except Exception as error:
            # Whatever the SDK or the network raises, the session still needs a playbook.
            failure = PlannerUnavailable(self._safe(_explain(error, self._model)))
        latency_ms = round((time.perf_counter() - started) * 1000)
        calls.append(self._record(request, len(calls) + 1, started_at, latency_ms, answer, failure))
        if failure is not None:
            failure.calls = tuple(calls)
            # The cause would carry the request's headers, and with them the key.
            raise failure from None
        return answer

    def _record(
        self,
        request: PlanRequest,
        attempt: int,
        at: datetime,
        latency_ms: int,
        answer: _Answer,
        failure: PlannerError | None,
    ) -> LlmCall:
        cost = call_cost(
            self._prices,
            self._model,
            at.date(),
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
        )
        name = (request.prompt_hash, request.group.value, f"{request.session}", str(attempt))
        # The moment is part of the name: asking the same again is another call, and paid again.
        text = "|".join((*name, at.isoformat()))
        return LlmCall(
            call_id=hashlib.sha256(text.encode()).hexdigest()[:16],
            at=at,
            market=request.group.value,
            session=request.session,
            model=self._model,
            purpose="plan" if attempt == 1 else "plan_repair",
            outcome="ok" if failure is None else type(failure).__name__,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            cost_usd=Decimal(0) if cost is None else cost,
            latency_ms=latency_ms,
            prompt_hash=request.prompt_hash,
            detail=str(failure or ("" if cost is not None else "no price known for this model")),
        )

    def _safe(self, text: str) -> str:
        key = self._key.get_secret_value()
        return " ".join((text.replace(key, "***") if key else text).split())[:500]

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[AsyncClient]:
        from google import genai
        from google.genai.types import HttpOptions, HttpRetryOptions

        # One attempt has to be asked for: without retry options the SDK sends a request that
        # met a broken connection a second time. No HTTP timeout is set, because the SDK passes
        # it on as a server deadline, for which the API has a lower bound of its own. The stable
        # version of the API, the SDK's default, has refused structured output.
        options = HttpOptions(
            base_url=self._base_url,
            api_version="v1beta",
            retry_options=HttpRetryOptions(attempts=1),
        )
        client = genai.Client(
            api_key=self._key.get_secret_value(), vertexai=False, http_options=options
        )
        try:
            yield client.aio
        finally:
            await client.aio.aclose()


def _config() -> GenerateContentConfig:
    from google.genai import types

    return types.GenerateContentConfig(
        response_mime_type="application/json",
        response_json_schema=response_schema(),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text}]}


def _repair_turns(answer: _Answer, problem: str) -> list[dict[str, Any]]:
    shorter = " Write fewer scenarios." if answer.ending == "MAX_TOKENS" else ""
    ask = (
        f"That reply could not be used: {problem}.{shorter} Answer again with one complete JSON "
        "object that fits the schema, and nothing else."
    )
    return [_turn("model", answer.text[:_REPAIR_QUOTE]), _turn("user", ask)]


def _answer(response: GenerateContentResponse) -> _Answer:
    candidate = response.candidates[0] if response.candidates else None
    parts = (candidate.content.parts if candidate and candidate.content else None) or []
    text = "".join(part.text for part in parts if part.text and not part.thought)
    ending = "no candidate"
    if candidate is not None:
        reason = candidate.finish_reason
        ending = reason.value if reason is not None else "STOP"
    elif response.prompt_feedback and response.prompt_feedback.block_reason:
        ending = f"blocked: {response.prompt_feedback.block_reason.value}"
    usage = response.usage_metadata
    counted = (
        (0, 0, 0)
        if usage is None
        else (
            usage.prompt_token_count or 0,
            usage.candidates_token_count or 0,
            usage.thoughts_token_count or 0,
        )
    )
    return _Answer(text.strip(), ending, counted[0], counted[1] + counted[2])


def _with_outcome(call: LlmCall, outcome: str, detail: str) -> LlmCall:
    return replace(call, outcome=outcome, detail=detail)


def _explain(error: Exception, model: str) -> str:
    """One line a person can act on; never the request, whose headers hold the key."""
    from google.genai.errors import APIError

    if not isinstance(error, APIError):
        return f"Gemini could not be reached: {type(error).__name__}: {error}"
    said = error.message or error.status or "no message"
    advice = {
        400: "check GEMINI_API_KEY and the request",
        401: "check GEMINI_API_KEY",
        403: "check GEMINI_API_KEY",
        404: f"the model {model} is not offered: set GEMINI_MODEL",
        429: "the quota is used up",
    }.get(error.code, "the server failed" if error.code >= 500 else "refused")
    return f"Gemini answered {error.code}: {advice}: {said}"
