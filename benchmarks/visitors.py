"""Visitors of the dashboard that cost next to nothing themselves.

Each is one browser tab as the dashboard's server sees it: a WebSocket that opens a page and asks
for each part of it again as often as the page says. Nothing is drawn.
Source of the protocol: Streamlit's ``BackMsg`` and ``ForwardMsg`` (``streamlit/proto``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


@dataclass
class Seen:
    """What all visitors got so far."""

    pages: int = 0
    refreshes: int = 0
    errors: int = 0


@asynccontextmanager
async def visitors(url: str, count: int) -> AsyncIterator[Seen]:
    """``count`` tabs on the page at ``url``, from the first content of each until the end."""
    seen = Seen()
    async with aiohttp.ClientSession() as http:
        tabs = [asyncio.create_task(_visit(http, url, seen)) for _ in range(count)]
        try:
            while seen.pages < count:
                for tab in tabs:
                    if tab.done():
                        tab.result()
                await asyncio.sleep(0.1)
            yield seen
        finally:
            for tab in tabs:
                tab.cancel()
            await asyncio.gather(*tabs, return_exceptions=True)


async def _visit(http: aiohttp.ClientSession, url: str, seen: Seen) -> None:
    address = f"{url}/_stcore/stream"
    async with (
        http.ws_connect(address, protocols=("streamlit",), max_msg_size=0) as tab,
        asyncio.TaskGroup() as clocks,
    ):
        started: dict[str, asyncio.Task[None]] = {}
        await _ask(tab)
        async for received in tab:
            message = ForwardMsg.FromString(received.data)
            kind = message.WhichOneof("type")
            if kind == "auto_rerun":
                part = message.auto_rerun.fragment_id
                if part not in started:
                    started[part] = clocks.create_task(
                        _keep_asking(tab, part, message.auto_rerun.interval)
                    )
            elif kind == "stop_auto_rerun":
                for part in message.stop_auto_rerun.fragment_ids:
                    if part in started:
                        started.pop(part).cancel()
            elif kind == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY:
                    seen.refreshes += 1
                else:
                    seen.pages += 1
            elif kind == "delta" and message.delta.new_element.HasField("exception"):
                seen.errors += 1


async def _keep_asking(
    tab: aiohttp.ClientWebSocketResponse, fragment: str, every_seconds: float
) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        await _ask(tab, fragment)


async def _ask(tab: aiohttp.ClientWebSocketResponse, fragment: str = "") -> None:
    message = BackMsg()
    message.rerun_script.query_string = ""
    if fragment:
        message.rerun_script.fragment_id = fragment
        message.rerun_script.is_auto_rerun = True
    await tab.send_bytes(message.SerializeToString())
