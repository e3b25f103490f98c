"""Clocks: where time comes from, and how it is waited for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from trading_core.clock import FixedClock, SystemClock

AT = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
KST = timezone(timedelta(hours=9))


def test_the_system_clock_is_aware_utc_and_moves_on() -> None:
    clock = SystemClock()

    first, second = clock.now(), clock.now()

    assert first.tzinfo is UTC
    assert first <= second


async def test_the_system_clock_does_not_wait_for_what_is_past() -> None:
    clock = SystemClock()
    loop = asyncio.get_running_loop()
    begun = loop.time()

    await clock.sleep_until(clock.now() - timedelta(hours=1))

    assert loop.time() - begun < 1


async def test_the_system_clock_returns_no_earlier_than_asked() -> None:
    clock = SystemClock()
    at = clock.now() + timedelta(milliseconds=30)

    await clock.sleep_until(at)

    assert clock.now() >= at


async def test_a_long_wait_of_the_system_clock_is_cut_into_naps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    naps: list[float] = []

    class Jumping(SystemClock):
        """Every nap takes as long as it says, at once."""

        def now(self) -> datetime:
            return AT + timedelta(seconds=sum(naps))

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", nap)

    await Jumping().sleep_until(AT + timedelta(seconds=12))

    assert naps == [5.0, 5.0, 2.0]


def test_a_fixed_clock_stands_until_it_is_told_to_move() -> None:
    clock = FixedClock(AT)

    assert clock.now() == clock.now() == AT
    clock.advance(timedelta(minutes=5))
    assert clock.now() == AT + timedelta(minutes=5)


def test_a_fixed_clock_answers_in_utc_whatever_zone_it_was_given() -> None:
    clock = FixedClock(AT.astimezone(KST))

    assert clock.now().tzinfo is UTC
    assert clock.now() == AT


def test_a_fixed_clock_takes_no_naive_time() -> None:
    with pytest.raises(ValueError, match="aware"):
        FixedClock(AT.replace(tzinfo=None))


async def test_sleeping_moves_a_fixed_clock_forward_and_never_back() -> None:
    clock = FixedClock(AT)

    await clock.sleep_until((AT + timedelta(hours=1)).astimezone(KST))
    assert clock.now() == AT + timedelta(hours=1)
    assert clock.now().tzinfo is UTC

    await clock.sleep_until(AT)
    assert clock.now() == AT + timedelta(hours=1)
