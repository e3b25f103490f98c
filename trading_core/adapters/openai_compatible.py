"""Models behind OpenAI's chat-completions wire: OpenAI, and what copies it (Ollama, llama.cpp,
vLLM, most hosts of open models).

The servers differ in what they take: some know no JSON schema, some no JSON mode, some call the
limit of the reply by its older name. A server that refuses one of these has generated nothing, so
the request is made again without it, within the same call and the same time limit.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from trading_core.errors import PlannerTimeout, PlannerUnavailable
from trading_core.model.language import CUT_OFF, STOPPED, ModelReply, ModelRequest, Role

_ROLES = {Role.USER: "user", Role.MODEL: "assistant"}
_ENDINGS = {"stop": STOPPED, "length": CUT_OFF}
_REFUSALS = frozenset({400, 422, 500, 501})
"""Servers refuse a field they do not know with any of these (llama.cpp with 500)."""
_FORMAT_WORDS = ("response_format", "json_schema", "json_object", "schema", "grammar")


class _Details(BaseModel):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


@dataclass(frozen=True, slots=True)
class _Dialect:
    """What a server is taken to understand; each refusal leaves less of it."""

    form: Literal["json_schema", "json_object", "text"] = "json_schema"
    limit: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"

    def without(self, complaint: str) -> _Dialect | None:
        """The next one to try after this complaint; None when it is about something else."""
        said = complaint.lower()
        if self.limit in said and self.limit == "max_completion_tokens":
            return replace(self, limit="max_tokens")
        if any(word in said for word in _FORMAT_WORDS):
            if self.form == "json_schema":
                return replace(self, form="json_object")
            if self.form == "json_object":
                return replace(self, form="text")
        return None


class _Refused(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


class OpenAiCompatibleModel:
    """One model of one server. Implements ``ports.LanguageModel``.

    Args:
        base_url: As OpenAI's SDK wants it, such as ``http://127.0.0.1:11434/v1``; without a path,
            ``/v1`` is meant.
        model: Model id.
        api_key: Goes out in a header; it is in no message, record or ``repr``. None where the
            server asks for none.
    """

    def __init__(self, *, base_url: str, model: str, api_key: str | None = None) -> None:
        url = httpx.URL(base_url)
        path = url.path.rstrip("/") or "/v1"
        self._url = url.copy_with(path=f"{path}/chat/completions")
        self._model = model
        self._key = SecretStr(api_key or "")
        self._dialect = _Dialect()

    def __repr__(self) -> str:
        return f"OpenAiCompatibleModel(model={self._model!r}, host={self._url.host!r})"

    @property
    def provider(self) -> str:
        return "openai"

    @property
    def model(self) -> str:
        return self._model

    async def ask(self, request: ModelRequest) -> ModelReply:
        """One reply; the connection is cut at the limit.

        Raises:
            PlannerTimeout: no reply within the request's limit.
            PlannerUnavailable: quota, key, network or server failure.
        """
        begun = time.perf_counter()
        failure: PlannerTimeout | PlannerUnavailable
        try:
            async with asyncio.timeout(request.timeout_seconds), self._client() as client:
                completion = await self._complete(client, request)
            return _reply(completion, self._model, round((time.perf_counter() - begun) * 1000))
        except TimeoutError:
            failure = PlannerTimeout(
                f"{self._url.host} gave no reply within {request.timeout_seconds:g} s"
            )
        except _Refused as error:
            message = f"{self._url.host} answered {error.status}: {self._advice(error.status)}"
            failure = PlannerUnavailable(self._safe(f"{message}: {error.said}"), unbilled=True)
        except httpx.ConnectError as error:
            message = f"{self._url.host} could not be reached: {error}; check OPENAI_BASE_URL"
            failure = PlannerUnavailable(self._safe(message), unbilled=True)
        except (httpx.HTTPError, ValidationError, ValueError) as error:
            message = f"{self._url.host} gave no usable answer: {type(error).__name__}"
            failure = PlannerUnavailable(message)
        # The cause would carry the request's headers, and with them the key.
        raise failure from None

    async def _complete(self, client: httpx.AsyncClient, request: ModelRequest) -> _Completion:
        """The answer in the richest dialect that the server takes, which is remembered.

        Every refusal leaves less to refuse, so this ends.
        """
        while True:
            dialect = self._dialect
            response = await client.post(self._url, json=_body(self._model, request, dialect))
            if response.is_success:
                return _Completion.model_validate_json(response.content)
            said = _complaint(response)
            poorer = dialect.without(said) if response.status_code in _REFUSALS else None
            if poorer is None:
                raise _Refused(response.status_code, said)
            self._dialect = poorer

    def _client(self) -> httpx.AsyncClient:
        key = self._key.get_secret_value()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # The time limit is that of the whole question. Proxies of the environment are not for
        # a server on this machine, and redirects would take the key elsewhere.
        return httpx.AsyncClient(headers=headers, timeout=None, trust_env=False)

    def _advice(self, status: int) -> str:
        advice = {
            400: "check OPENAI_MODEL and LLM_MAX_OUTPUT_TOKENS",
            401: "check OPENAI_API_KEY",
            403: "check OPENAI_API_KEY",
            404: f"the model {self._model} is not offered: set OPENAI_MODEL or OPENAI_BASE_URL",
            429: "the quota is used up",
        }
        return advice.get(status, "the server failed" if status >= 500 else "refused")

    def _safe(self, text: str) -> str:
        key = self._key.get_secret_value()
        return " ".join((text.replace(key, "***") if key else text).split())[:500]


def _body(model: str, request: ModelRequest, dialect: _Dialect) -> dict[str, Any]:
    messages = [{"role": _ROLES[turn.role], "content": turn.text} for turn in request.turns]
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": False}
    body[dialect.limit] = request.max_output_tokens
    if request.schema is not None:
        # Some servers take a schema and do not hold the model to it, so the model is told too.
        messages.insert(0, {"role": "system", "content": _told(request.schema)})
        if dialect.form == "json_schema":
            named = {"name": request.purpose, "schema": request.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        elif dialect.form == "json_object":
            body["response_format"] = {"type": "json_object"}
    return body


def _told(schema: Mapping[str, Any]) -> str:
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    return f"You answer with one JSON object that fits this JSON schema: {text}"


def _complaint(response: httpx.Response) -> str:
    """What an error answer says: ``error.message``, ``message`` or ``detail``, else its text."""
    try:
        body = response.json()
    except ValueError:
        return response.text[:300] or "no message"
    for found in _messages(body):
        if found:
            return found if isinstance(found, str) else json.dumps(found)[:300]
    return "no message"


def _messages(body: object) -> Iterator[Any]:
    if not isinstance(body, Mapping):
        yield body
        return
    error = body.get("error")
    yield error.get("message") if isinstance(error, Mapping) else error
    yield from (body.get(name) for name in ("message", "detail"))


def _reply(completion: _Completion, model: str, latency_ms: int) -> ModelReply:
    choice = completion.choices[0] if completion.choices else None
    text = (choice.message.content if choice else None) or ""
    ending = "no choice"
    if choice is not None:
        reason = choice.finish_reason or "stop"
        ending = _ENDINGS.get(reason, reason.upper())
        if choice.message.refusal and not text:
            ending = "refused by the model"
    usage = completion.usage or _Usage()
    read, wrote = usage.prompt_tokens_details, usage.completion_tokens_details
    return ModelReply(
        text=text.strip(),
        ending=ending,
        model=model,
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_tokens=(read.cached_tokens if read else None) or 0,
        thinking_tokens=(wrote.reasoning_tokens if wrote else None) or 0,
        latency_ms=latency_ms,
    )
