"""The shared leaky bucket: its rate over processes, its order, and its cost when off."""

import asyncio
import subprocess
import sys
import time
from itertools import pairwise

import pytest

from trading_core.adapters.kis.rate_limit import Priority, RateLimiter

_PROCESS = """
import asyncio, sys, time
from pathlib import Path
from trading_core.adapters.kis.rate_limit import RateLimiter

async def main():
    limiter = RateLimiter(Path(sys.argv[1]), 20)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(8):
        await limiter.acquire()
        print(time.monotonic(), flush=True)

asyncio.run(main())
"""


async def test_calls_are_spaced(tmp_path):
    limiter = RateLimiter(tmp_path / "calls", 50)
    times = []
    for _ in range(6):
        await limiter.acquire()
        times.append(time.monotonic())
    assert times[-1] - times[0] >= 5 * 0.02 - 0.001


async def test_two_limiters_on_one_file_share_the_rate(tmp_path):
    limiters = [RateLimiter(tmp_path / "calls", 50) for _ in range(2)]
    began = time.monotonic()
    await asyncio.gather(*(limiter.acquire() for limiter in limiters for _ in range(5)))
    assert time.monotonic() - began >= 9 * 0.02 - 0.001


def test_the_joint_rate_of_three_processes_stays_within_the_limit(tmp_path):
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(tmp_path / "calls")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    outputs = [worker.communicate(timeout=30)[0] for worker in workers]
    assert all(worker.returncode == 0 for worker in workers)
    per_process = [[float(line) for line in output.split()] for output in outputs]
    times = sorted(at for one in per_process for at in one)
    assert [len(one) for one in per_process] == [8, 8, 8]
    # 24 calls at 20 a second are 23 gaps of 50 ms; the first stamp may be printed a little late.
    assert times[-1] - times[0] >= 23 / 20 - 0.05


async def test_an_order_overtakes_the_reads_that_wait(tmp_path):
    limiter = RateLimiter(tmp_path / "calls", 20)
    done = []

    async def call(name, priority):
        await limiter.acquire(priority)
        done.append(name)

    await limiter.acquire()
    reads = [asyncio.create_task(call(f"read {n}", Priority.CANDIDATE)) for n in range(4)]
    await asyncio.sleep(0.01)
    order = asyncio.create_task(call("order", Priority.ORDER))
    await asyncio.gather(order, *reads)
    assert done.index("order") == 0
    assert done[1:] == [f"read {n}" for n in range(4)]


async def test_the_reads_of_another_limiter_wait_for_an_order_too(tmp_path):
    ours, theirs = (RateLimiter(tmp_path / "calls", 20) for _ in range(2))
    done = []

    async def call(limiter, name, priority):
        await limiter.acquire(priority)
        done.append(name)

    await ours.acquire()
    read = asyncio.create_task(call(theirs, "read", Priority.CANDIDATE))
    await asyncio.sleep(0.01)
    await asyncio.gather(call(ours, "order", Priority.ORDER), read)
    assert done == ["order", "read"]


async def test_an_order_that_never_comes_delays_reads_by_two_slots_at_most(tmp_path):
    limiter = RateLimiter(tmp_path / "calls", 20)
    await limiter.acquire()
    order = asyncio.create_task(limiter.acquire(Priority.ORDER))
    await asyncio.sleep(0)
    order.cancel()
    began = time.monotonic()
    await limiter.acquire()
    assert time.monotonic() - began <= 0.05 * 3 + 0.1


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 16, b"\x00" * 16])
def test_a_broken_file_does_not_block(tmp_path, content):
    path = tmp_path / "calls"
    path.write_bytes(content)

    async def take():
        async with asyncio.timeout(1):
            await RateLimiter(path, 50).acquire()

    asyncio.run(take())


async def test_a_time_from_before_a_restart_does_not_block(tmp_path, monkeypatch):
    limiter = RateLimiter(tmp_path / "calls", 1)
    await limiter.acquire()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now - 1000)
    async with asyncio.timeout(0.5):
        await limiter.acquire()


async def test_without_a_limit_no_file_is_touched(tmp_path):
    limiter = RateLimiter(tmp_path / "calls", None)
    for _ in range(1000):
        await limiter.acquire()
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_must_be_above_zero(tmp_path, rate):
    with pytest.raises(ValueError, match="above 0"):
        RateLimiter(tmp_path / "calls", rate)


async def test_slots_never_come_closer_than_the_interval(tmp_path, monkeypatch):
    limiter = RateLimiter(tmp_path / "calls", 10)
    now, granted = 100.0, []
    monkeypatch.setattr(time, "monotonic", lambda: now)

    async def nap(seconds):
        nonlocal now
        now += seconds

    monkeypatch.setattr(asyncio, "sleep", nap)
    for _ in range(20):
        await limiter.acquire()
        granted.append(now)
    assert min(b - a for a, b in pairwise(granted)) >= 0.1 - 1e-9
    assert granted[-1] - granted[0] < 19 * 0.1 + 1e-6


async def test_holdings_overtake_candidates_and_orders_overtake_both(tmp_path):
    ours, theirs = (RateLimiter(tmp_path / "calls", 20) for _ in range(2))
    done = []

    async def call(limiter, priority):
        await limiter.acquire(priority)
        done.append(priority)

    await ours.acquire()
    waiting = [
        asyncio.create_task(call(limiter, Priority.CANDIDATE))
        for limiter in (ours, theirs)
        for _ in range(2)
    ]
    await asyncio.sleep(0.005)
    waiting += [asyncio.create_task(call(ours, Priority.HOLDING)) for _ in range(3)]
    await asyncio.sleep(0.005)
    waiting.append(asyncio.create_task(call(theirs, Priority.ORDER)))
    await asyncio.gather(*waiting)
    assert done == sorted(done)
    assert len(done) == 8


async def test_a_holding_that_never_comes_delays_candidates_by_two_slots_at_most(tmp_path):
    limiter = RateLimiter(tmp_path / "calls", 20)
    await limiter.acquire()
    holding = asyncio.create_task(limiter.acquire(Priority.HOLDING))
    await asyncio.sleep(0)
    holding.cancel()
    began = time.monotonic()
    await limiter.acquire()
    assert time.monotonic() - began <= 0.05 * 3 + 0.1


async def test_the_file_is_for_its_owner_only(tmp_path):
    await RateLimiter(tmp_path / "calls", 100).acquire()
    assert (tmp_path / "calls").stat().st_mode & 0o777 == 0o600
