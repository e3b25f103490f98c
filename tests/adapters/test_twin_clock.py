"""The twin's time as the trader's clock."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.venue_double import KR_NOW, korea
from trading_core.adapters.twin_clock import TwinClock
from trading_core.clock import Clock
from trading_core.errors import BrokerUnavailable
from trading_core.twin.server import serve

MINUTE = timedelta(minutes=1)


@asynccontextmanager
async def running(venue, **options):
    twin = await serve(venue, **options)
    try:
        yield twin
    finally:
        await twin.stop()


async def test_a_stepped_twin_moves_when_somebody_sleeps_and_never_back():
    venue = korea()
    async with running(venue) as twin:
        clock: Clock = (made := TwinClock(twin.base_url))
        await made.synchronize()
        assert clock.now() == KR_NOW
        await clock.sleep_until(KR_NOW + MINUTE)
        assert clock.now() == venue.now == KR_NOW + MINUTE
        await clock.sleep_until(KR_NOW)
        assert clock.now() == venue.now == KR_NOW + MINUTE


async def test_a_stepped_twin_stands_still_in_between():
    async with running(korea()) as twin:
        clock = TwinClock(twin.base_url)
        await clock.synchronize()
        time.sleep(0.01)  # noqa: ASYNC251 - that wall time passes is the point
        assert clock.now() == KR_NOW


async def test_a_running_twin_is_followed_at_its_speed():
    venue = korea()
    async with running(venue, clock="running", speed=3600) as twin:
        clock = TwinClock(twin.base_url)
        await clock.synchronize()
        first = clock.now()
        began = time.monotonic()
        await clock.sleep_until(first + 3 * MINUTE)
        passed = time.monotonic() - began
        assert clock.now() >= first + 3 * MINUTE
        assert passed > 0.04


async def test_sleeping_until_the_past_returns_at_once_on_a_running_twin():
    async with running(korea(), clock="running", speed=60) as twin:
        clock = TwinClock(twin.base_url)
        await clock.synchronize()
        await asyncio.wait_for(clock.sleep_until(KR_NOW - MINUTE), timeout=30)


async def test_where_nobody_listens_the_error_says_what_to_start():
    with pytest.raises(BrokerUnavailable, match="ouroboros twin serve"):
        await TwinClock("http://127.0.0.1:9").synchronize()


def answering(status: int, **reply):
    return httpx.MockTransport(lambda request: httpx.Response(status, **reply))


@pytest.mark.parametrize(
    ("status", "reply"),
    [
        (200, {"text": "<html>"}),
        (200, {"json": {}}),
        (200, {"json": []}),
        (200, {"json": {"now": "noon", "clock": "stepped", "speed": 1}}),
        (200, {"json": {"now": None, "clock": "stepped", "speed": 1}}),
        (404, {"json": ["no"]}),
        (404, {"json": {"detail": "no"}}),
        (500, {"text": "oops"}),
    ],
)
async def test_something_else_at_that_address_is_no_twin(status, reply):
    clock = TwinClock("http://127.0.0.1:1", answering(status, **reply))
    with pytest.raises(BrokerUnavailable):
        await clock.synchronize()


async def test_a_twin_that_refuses_to_move_says_why():
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            now = datetime(2025, 9, 3, tzinfo=UTC).isoformat()
            return httpx.Response(200, json={"now": now, "clock": "stepped", "speed": 0})
        return httpx.Response(400, json={"error": "the day is over"})

    clock = TwinClock("http://127.0.0.1:1", httpx.MockTransport(answer))
    await clock.synchronize()
    with pytest.raises(BrokerUnavailable, match="the day is over"):
        await clock.sleep_until(clock.now() + MINUTE)
