"""Gemini models over Google's SDK.

The wire is ``models.generateContent`` of the Gemini API. The SDK takes over a second to import and
is therefore imported with the first call. Left alone, it repeats some failed requests by itself;
here each request is made once, because every one is paid for and time runs towards the open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from trading_core.errors import PlannerTimeout, PlannerUnavailable
from trading_core.model.language import STOPPED, ModelReply, ModelRequest, Turn

if TYPE_CHECKING:
    from google.genai.client import AsyncClient
    from google.genai.types import GenerateContentConfig, GenerateContentResponse

_NOT_SENT = frozenset({"ConnectError", "ClientConnectorError"})
"""What the two HTTP libraries that the SDK may use raise when there was no connection."""


class GeminiModel:
    """One Gemini model. Implements ``ports.LanguageModel``.

    Args:
        api_key: Goes to Google in a header; it is in no message, record or ``repr``.
        model: Model id, without ``models/``.
        base_url: Another server that speaks the same wire; None is Google's.
    """

    def __init__(
        self, *, api_key: str, model: str = "gemini-3.5-flash", base_url: str | None = None
    ) -> None:
        self._key = SecretStr(api_key)
        self._model = model.removeprefix("models/")
        self._base_url = base_url

    def __repr__(self) -> str:
        return f"GeminiModel(model={self._model!r})"

    @property
    def provider(self) -> str:
        return "gemini"

    @property
    def model(self) -> str:
        return self._model

    async def ask(self, request: ModelRequest) -> ModelReply:
        """One request, made once; the connection is cut at the limit.

        Raises:
            PlannerTimeout: no reply within the request's limit.
            PlannerUnavailable: quota, key, network or server failure. A request that Google
                answers with an error is not charged (ai.google.dev/gemini-api/docs/billing).
        """
        failure: PlannerTimeout | PlannerUnavailable
        try:
            async with self._client() as client, asyncio.timeout(request.timeout_seconds):
                begun = time.perf_counter()
                response = await client.models.generate_content(
                    model=self._model,
                    contents=_contents(request.turns),
                    config=_config(request.schema, request.max_output_tokens),
                )
            return _reply(response, self._model, round((time.perf_counter() - begun) * 1000))
        except TimeoutError:
            failure = PlannerTimeout(f"Gemini gave no reply within {request.timeout_seconds:g} s")
        except Exception as error:
            # Whatever the SDK or the network raises, the session still needs a playbook.
            message, unbilled = _explain(error, self._model)
            failure = PlannerUnavailable(self._safe(message), unbilled=unbilled)
        # The cause would carry the request's headers, and with them the key.
        raise failure from None

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


def _config(schema: Mapping[str, Any] | None, max_output_tokens: int) -> GenerateContentConfig:
    from google.genai import types

    return types.GenerateContentConfig(
        response_mime_type=None if schema is None else "application/json",
        response_json_schema=schema,
        max_output_tokens=max_output_tokens,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )


def _contents(turns: Sequence[Turn]) -> Any:
    return [{"role": turn.role.value, "parts": [{"text": turn.text}]} for turn in turns]


def _reply(response: GenerateContentResponse, model: str, latency_ms: int) -> ModelReply:
    candidate = response.candidates[0] if response.candidates else None
    parts = (candidate.content.parts if candidate and candidate.content else None) or []
    text = "".join(part.text for part in parts if part.text and not part.thought)
    ending = "no candidate"
    if candidate is not None:
        reason = candidate.finish_reason
        ending = reason.value if reason is not None else STOPPED
    elif response.prompt_feedback and response.prompt_feedback.block_reason:
        ending = f"blocked: {response.prompt_feedback.block_reason.value}"
    usage = response.usage_metadata
    thinking = (usage.thoughts_token_count if usage else None) or 0
    return ModelReply(
        text=text.strip(),
        ending=ending,
        model=model,
        input_tokens=(usage.prompt_token_count if usage else None) or 0,
        output_tokens=((usage.candidates_token_count if usage else None) or 0) + thinking,
        cached_tokens=(usage.cached_content_token_count if usage else None) or 0,
        thinking_tokens=thinking,
        latency_ms=latency_ms,
    )


def _explain(error: Exception, model: str) -> tuple[str, bool]:
    """One line a person can act on, and whether it is certain that nothing was generated.

    Never the request, whose headers hold the key.
    """
    from google.genai.errors import APIError

    if not isinstance(error, APIError):
        # The SDK reads JSON in a reply by itself, and some of it no reader takes.
        is_reply = isinstance(error, ValueError | RecursionError)
        what = "gave an unreadable reply" if is_reply else "could not be reached"
        message = f"Gemini {what}: {type(error).__name__}: {error}"
        return message, any(kind.__name__ in _NOT_SENT for kind in type(error).__mro__)
    said = error.message or error.status or "no message"
    advice = {
        400: "check GEMINI_API_KEY and the request",
        401: "check GEMINI_API_KEY",
        403: "check GEMINI_API_KEY",
        404: f"the model {model} is not offered: set GEMINI_MODEL",
        429: "the quota is used up",
    }.get(error.code, "the server failed" if error.code >= 500 else "refused")
    return f"Gemini answered {error.code}: {advice}: {said}", error.code >= 400
