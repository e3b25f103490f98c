"""Faults on demand on the stream: what the client of one session then sees."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.stream_client import StreamClient, connected, stream_of
from tests.venue_double import korea

SAMSUNG, HYNIX = "005930", "000660"


async def install(stream: StreamClient, *rules: dict[str, Any]) -> None:
    answer = await stream.client.send("POST", "/twin/faults", data={"rules": list(rules)})
    assert answer.status == 200, answer.raw


async def test_a_cut_socket_ends_without_a_close_frame_and_its_app_may_come_back() -> None:
    async with stream_of(korea()) as stream:
        await stream.register("H0STASP0", SAMSUNG)
        await stream.move()
        await stream.frame()
        await install(stream, {"action": "socket_cut", "nth": 1})
        await stream.move()
        assert await stream.ended()
        assert stream.socket.close_code == 1006
        async with connected(stream.client) as again:
            assert (await again.register("H0STASP0", SAMSUNG))["body"]["rt_cd"] == "0"
            await again.move()
            assert (await again.frame()).count == 1


async def test_a_stalled_session_hears_heartbeats_and_answers_only() -> None:
    async with stream_of(korea()) as stalled, connected(stalled.client, app_key="b") as other:
        for stream in (stalled, other):
            await stream.register("H0STASP0", SAMSUNG)
        await stalled.register("H0STCNI0", "me")
        await install(stalled, {"action": "stall_feed", "nth": 1})
        for _ in range(3):
            await stalled.move()
        await stalled.client.buy()
        assert await stalled.nothing_waits()
        assert len(await other.frames(3)) == 3


async def test_a_stalled_session_still_gets_its_heartbeats() -> None:
    async with stream_of(korea(), heartbeat_seconds=0.05) as stream:
        await stream.socket.send_json(stream.request("H0STASP0", SAMSUNG))
        await install(stream, {"action": "stall_feed"})
        await stream.move()
        told = [await stream.socket.receive_json(timeout=5) for _ in range(2)]
    assert [message["header"]["tr_id"] for message in told] == ["H0STASP0", "PINGPONG"]


async def test_a_rule_strikes_only_the_tr_it_names() -> None:
    async with stream_of(korea()) as stream:
        for tr_id in ("H0STASP0", "H0NXASP0"):
            await stream.register(tr_id, SAMSUNG)
        await install(stream, {"action": "duplicate", "tr_id": "H0NXASP0", "nth": 1})
        await stream.move()
        frames = await stream.frames(3)
        assert [frame.tr_id for frame in frames] == ["H0STASP0", "H0NXASP0", "H0NXASP0"]
        assert frames[1] == frames[2]
        assert await stream.nothing_waits()


async def test_a_broken_frame_cannot_be_taken_apart_and_the_next_one_is_whole() -> None:
    async with stream_of(korea()) as stream:
        await stream.register("H0STASP0", SAMSUNG)
        await install(stream, {"action": "garbage", "path": "/stream", "nth": 1})
        await stream.move()
        with pytest.raises(ValueError, match="invalid literal"):
            await stream.frame()
        await stream.move()
        assert (await stream.frame()).width == 63


async def test_a_delayed_frame_holds_up_those_after_it_and_nobody_else() -> None:
    async with stream_of(korea()) as slow, connected(slow.client, app_key="b") as quick:
        await slow.register("H0STASP0", SAMSUNG)
        await quick.register("H0STASP0", HYNIX)
        rule = {"action": "delay_ms", "delay_ms": 150, "path": "/stream", "nth": 1}
        await install(slow, rule)
        begun = time.monotonic()
        arrived: dict[str, float] = {}

        async def hear(name: str, stream: StreamClient) -> None:
            await stream.frame()
            arrived[name] = time.monotonic() - begun

        await asyncio.gather(hear("slow", slow), hear("quick", quick), slow.move())
    assert arrived["quick"] < arrived["slow"] >= 0.15


async def test_a_rule_without_a_path_or_a_tr_is_about_requests() -> None:
    async with stream_of(korea()) as stream:
        await stream.register("H0STASP0", SAMSUNG)
        await install(stream, {"action": "garbage", "nth": 1})
        await stream.move()
        assert (await stream.frame()).width == 63
        state = (await stream.client.send("GET", "/twin/state")).body
    assert [rule["fired"] for rule in state["faults"]] == [0]
