"""A small HTTP server on loopback that speaks the ``generateContent`` wire of the Gemini API.

It answers from a script, one entry a request, or as ``respond`` says to the body of one, and keeps
what it was sent. Run by hand it answers by the tables in the prompt:

    python -m tests.gemini_stand_in --port 8600
    GEMINI_API_KEY=any GEMINI_BASE_URL=http://127.0.0.1:8600 ouroboros demo --planner gemini
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.scripted_planner import scripted_draft, scripted_lessons

GOOD_DRAFT: dict[str, Any] = {
    "outlook": "neutral_to_bullish",
    "global_rules": [
        {"condition": {"field": "day_pnl_pct", "op": "<", "value": -2.0}, "action": "REDUCE_ALL"}
    ],
    "stocks": [
        {
            "symbol": "005930",
            "scenarios": [
                {
                    "conditions": [
                        {"field": "volume_ratio", "op": ">", "value": 2.0},
                        {"field": "rsi", "op": "<", "value": 70.0},
                    ],
                    "action": "BUY",
                    "confidence": 85,
                    "allocation_pct": 5.0,
                    "stop_loss_pct": -3.0,
                    "take_profit_pct": 6.0,
                    "rationale": "breakout with volume",
                },
                {
                    "conditions": [{"field": "unrealized_pnl_pct", "op": "<", "value": -3.0}],
                    "action": "SELL",
                    "confidence": 90,
                },
            ],
        }
    ],
}


@dataclass(frozen=True)
class Scripted:
    """One answer: a status, the text of the candidate (None: no candidate) and how it ended."""

    text: str | None = None
    status: int = 200
    finish: str = "STOP"
    delay_seconds: float = 0.0
    block_reason: str | None = None
    message: str = ""
    drop: bool = False
    raw_body: str | None = None
    thoughts: int = 40
    cached: int = 0
    prompt_tokens: int = 1000
    reply_tokens: int = 200


def good(draft: dict[str, Any] | None = None) -> Scripted:
    return Scripted(text=json.dumps(GOOD_DRAFT if draft is None else draft))


@dataclass
class GeminiStandIn:
    """The running server: where it is, what it will say, what it was asked."""

    base_url: str = ""
    script: list[Scripted] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hung_up: int = 0
    respond: Callable[[dict[str, Any]], Scripted] | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        self.headers.append(dict(request.headers))
        self.bodies.append(await request.json())
        said = self.respond(self.bodies[-1]) if self.respond else self.script.pop(0)
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
            error = {"code": said.status, "message": said.message, "status": "SCRIPTED"}
            return web.json_response({"error": error}, status=said.status)
        return web.json_response(_payload(said))


def _payload(said: Scripted) -> dict[str, Any]:
    usage = {
        "promptTokenCount": said.prompt_tokens,
        "totalTokenCount": said.prompt_tokens + said.thoughts,
    }
    usage |= {"cachedContentTokenCount": said.cached} if said.cached else {}
    body: dict[str, Any] = {"usageMetadata": usage, "modelVersion": "stand-in"}
    if said.block_reason is not None:
        body["promptFeedback"] = {"blockReason": said.block_reason}
        return body
    usage |= {"candidatesTokenCount": said.reply_tokens, "thoughtsTokenCount": said.thoughts}
    candidate: dict[str, Any] = {"finishReason": said.finish, "index": 0}
    if said.text is not None:
        parts = [{"text": "weighing", "thought": True}, {"text": said.text}]
        candidate["content"] = {"role": "model", "parts": parts}
    body["candidates"] = [candidate]
    return body


def by_the_prompt(body: dict[str, Any]) -> Scripted:
    """A playbook or lessons, whichever the schema asks for; the tokens are counted roughly."""
    prompt = body["contents"][0]["parts"][0]["text"]
    wanted = body["generationConfig"]["responseJsonSchema"]["properties"]
    makers = {"stocks": scripted_draft, "lessons": scripted_lessons}
    make = next((makers[name] for name in makers if name in wanted), None)
    if make is None:
        return Scripted(status=400, message=f"no script for {', '.join(wanted)}")
    text = json.dumps(make(prompt))
    return Scripted(text=text, prompt_tokens=len(prompt) // 4, reply_tokens=len(text) // 4)


@asynccontextmanager
async def gemini_stand_in(
    script: Iterable[Scripted] = (),
    *,
    respond: Callable[[dict[str, Any]], Scripted] | None = None,
    port: int = 0,
) -> AsyncIterator[GeminiStandIn]:
    """The server on a port of 127.0.0.1, any free one by default."""
    stand_in = GeminiStandIn(script=list(script), respond=respond)
    app = web.Application()
    app.router.add_post("/{version}/models/{call}", stand_in.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    host, port = runner.addresses[0][:2]
    stand_in.base_url = f"http://{host}:{port}"
    try:
        yield stand_in
    finally:
        await runner.cleanup()


async def _serve(port: int) -> None:
    async with gemini_stand_in(respond=by_the_prompt, port=port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Speak Gemini's wire on loopback until Ctrl-C.")
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_serve(parser.parse_args().port))
