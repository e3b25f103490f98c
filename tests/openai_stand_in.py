"""A small HTTP server on loopback that speaks OpenAI's ``chat/completions`` wire.

It answers from a script, one entry a request, and keeps what it was sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.gemini_stand_in import GOOD_DRAFT


@dataclass(frozen=True)
class Said:
    """One answer: a status, the text of the message (None: no message) and how it ended."""

    text: str | None = None
    status: int = 200
    finish: str = "stop"
    delay_seconds: float = 0.0
    error: Any = ""
    drop: bool = False
    raw_body: str | None = None
    usage: dict[str, Any] | None = field(
        default_factory=lambda: {
            "prompt_tokens": 1000,
            "completion_tokens": 240,
            "prompt_tokens_details": {"cached_tokens": 300},
            "completion_tokens_details": {"reasoning_tokens": 40},
        }
    )


def good_reply(draft: dict[str, Any] | None = None) -> Said:
    return Said(text=json.dumps(GOOD_DRAFT if draft is None else draft))


@dataclass
class OpenAiStandIn:
    """The running server: where it is, what it will say, what it was asked."""

    base_url: str = ""
    script: list[Said] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hung_up: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        self.headers.append(dict(request.headers))
        self.bodies.append(await request.json())
        said = self.script.pop(0)
        try:
            await asyncio.sleep(said.delay_seconds)
        except asyncio.CancelledError:
            self.hung_up += 1
            raise
        if said.drop:
            assert request.transport is not None
            request.transport.close()
        if said.raw_body is not None:
            return web.Response(text=said.raw_body, status=said.status)
        if said.status != 200:
            return web.json_response({"error": said.error}, status=said.status)
        return web.json_response(_completion(said))


def _completion(said: Said) -> dict[str, Any]:
    body: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion", "model": "stand-in"}
    message = {"role": "assistant", "content": said.text}
    body["choices"] = [{"index": 0, "message": message, "finish_reason": said.finish}]
    return body if said.usage is None else body | {"usage": said.usage}


@asynccontextmanager
async def openai_stand_in(script: Iterable[Said] = ()) -> AsyncIterator[OpenAiStandIn]:
    """The server on a free port of 127.0.0.1."""
    stand_in = OpenAiStandIn(script=list(script))
    app = web.Application()
    app.router.add_post("/{path:.*}", stand_in.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    stand_in.base_url = f"http://{host}:{port}/v1"
    try:
        yield stand_in
    finally:
        await runner.cleanup()
