"""A small HTTP server on loopback that speaks the wires of the outside sources.

It answers each path from a script, the last entry again and again, and keeps what it was asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from trading_core.adapters.kis.transport import KisTransport
from trading_core.adapters.sources.assembly import open_sources
from trading_core.adapters.sources.config import SourceConfig
from trading_core.clock import FixedClock
from trading_core.ports.sources import Sources

AT = datetime(2026, 11, 20, 13, 0, tzinfo=UTC)  # a Friday, 08:00 in New York, 22:00 in Seoul
SINCE = AT - timedelta(hours=48)


@dataclass(frozen=True)
class Said:
    """One answer: a body, or bytes that go out as they are."""

    body: Any = None
    status: int = 200
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    endless: bool = False


@dataclass
class SourcesStandIn:
    """The running server: where it is, what it says at each path, what it was asked."""

    base_url: str = ""
    script: dict[str, list[Said]] = field(default_factory=dict)
    asked: list[web.Request] = field(default_factory=list)
    sent_bytes: int = 0

    def on(self, path: str, *said: Said) -> None:
        self.script[path] = list(said)

    def asked_at(self, path: str) -> list[web.Request]:
        return [request for request in self.asked if request.path == path]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        answers = self.script.get(request.path)
        if not answers:
            return web.Response(status=404)
        said = answers.pop(0) if len(answers) > 1 else answers[0]
        await asyncio.sleep(said.delay_seconds)
        if said.endless:
            return await self._endless(request)
        body = said.raw if said.raw is not None else json.dumps(said.body).encode()
        return web.Response(body=body, status=said.status, headers=said.headers)

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(2000):
                await response.write(b"x" * 65536)
                self.sent_bytes += 65536
        except ConnectionError:
            return response
        return response


@asynccontextmanager
async def sources_stand_in() -> AsyncIterator[SourcesStandIn]:
    """The server on a free port of 127.0.0.1."""
    stand_in = SourcesStandIn()
    app = web.Application()
    app.router.add_get("/{path:.*}", stand_in.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    stand_in.base_url = f"http://{host}:{port}"
    try:
        yield stand_in
    finally:
        await runner.cleanup()


@asynccontextmanager
async def sources_at(
    server: SourcesStandIn, home: Path, *, clock: FixedClock | None = None, **config: Any
) -> AsyncIterator[Sources]:
    """The configured sources with every provider's address turned to the server."""
    names = ("finnhub", "newsapi", "alphavantage", "fred", "yahoo")
    values: dict[str, Any] = {
        "base_urls": dict.fromkeys(names, server.base_url),
        "limit": timedelta(seconds=5),
        "cache": timedelta(0),
    }
    no_broker: KisTransport = None  # type: ignore[assignment]
    async with open_sources(
        SourceConfig(**(values | config)), home, clock or FixedClock(AT), no_broker
    ) as sources:
        yield sources


def article(title: str, hours_old: float = 2, **more: Any) -> dict[str, Any]:
    """A row of Finnhub's news."""
    at = AT - timedelta(hours=hours_old)
    row = {
        "headline": title,
        "datetime": int(at.timestamp()),
        "source": "Wire",
        "url": f"https://news.test/{abs(hash(title))}",
    }
    return row | more


def feed(*titles: str, encoding: str = "utf-8", published: str | None = None) -> bytes:
    """An RSS document."""
    when = published or "Fri, 20 Nov 2026 10:00:00 GMT"
    items = "".join(
        f"<item><title>{title}</title><link>https://news.test/{n}</link>"
        f"<pubDate>{when}</pubDate></item>"
        for n, title in enumerate(titles)
    )
    return (
        f'<?xml version="1.0" encoding="{encoding}"?><rss version="2.0"><channel>'
        f"<title>feed</title>{items}</channel></rss>"
    ).encode(encoding)
