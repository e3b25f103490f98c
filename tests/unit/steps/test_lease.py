"""One session run per market."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.twin.handmade_tape import OPEN, SESSION
from trading_core.adapters.duck.store import DuckStore
from trading_core.clock import FixedClock
from trading_core.errors import TradingHalted
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import require_session
from trading_core.steps.lease import LEASE_TIME, living_holder, session_lease

KR = MarketGroup.KR
DAY = require_session(KR, SESSION)
NAME = f"session-KR-{SESSION}"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store():
    return DuckStore(":memory:")


@pytest.fixture
def clock():
    return FixedClock(OPEN)


def take(store, clock, owner):
    with store.write() as tx:
        return tx.acquire_lease(NAME, owner, clock.now(), LEASE_TIME)


def holder(store, clock):
    with store.read() as reader:
        return reader.lease_holder(NAME, at=clock.now())


def a_living_process():
    return f"{socket.gethostname()}:{os.getppid()}"


def a_dead_process():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return f"{socket.gethostname()}:{process.pid}"


def test_a_session_holds_its_market_and_gives_it_back(store, clock):
    with session_lease(store, KR, DAY, clock):
        assert holder(store, clock).startswith(f"{socket.gethostname()}:{os.getpid()}:")
    assert holder(store, clock) is None


def test_a_second_holder_is_refused_and_takes_nothing_away(store, clock):
    assert take(store, clock, a_living_process())
    with pytest.raises(TradingHalted, match="another session"):  # noqa: SIM117
        with session_lease(store, KR, DAY, clock):
            pytest.fail("two sessions trade one market")
    assert holder(store, clock) == a_living_process()


def test_the_lease_of_a_dead_process_of_this_machine_is_taken_over_at_once(store, clock):
    assert take(store, clock, a_dead_process())
    with session_lease(store, KR, DAY, clock):
        assert holder(store, clock).startswith(f"{socket.gethostname()}:{os.getpid()}:")


@pytest.mark.parametrize("owner", ["elsewhere:1", "elsewhere:999999", "nonsense", "here:x"])
def test_a_holder_that_cannot_be_seen_keeps_it_until_it_runs_out(store, clock, owner):
    assert take(store, clock, owner)
    with pytest.raises(TradingHalted), session_lease(store, KR, DAY, clock):
        pytest.fail("taken from a machine nobody can look into")
    clock.advance(LEASE_TIME)
    with session_lease(store, KR, DAY, clock):
        assert holder(store, clock) != owner


def test_a_renewed_lease_lasts_as_long_as_it_is_renewed(store, clock):
    with session_lease(store, KR, DAY, clock) as lease:
        for _ in range(10):
            clock.advance(LEASE_TIME - MINUTE)
            lease.renew()
            assert not take(store, clock, "elsewhere:1")


def test_a_session_that_slept_through_its_lease_stops_when_another_has_taken_it(store, clock):
    with pytest.raises(TradingHalted), session_lease(store, KR, DAY, clock) as lease:
        clock.advance(LEASE_TIME + MINUTE)
        assert take(store, clock, a_living_process())
        lease.renew()
    assert holder(store, clock) == a_living_process()


def test_a_session_that_slept_and_was_not_missed_goes_on(store, clock):
    with session_lease(store, KR, DAY, clock) as lease:
        clock.advance(2 * LEASE_TIME)
        lease.renew()
        assert holder(store, clock) is not None


def test_the_market_is_given_back_when_the_session_fails(store, clock):
    with pytest.raises(ZeroDivisionError), session_lease(store, KR, DAY, clock):
        raise ZeroDivisionError
    assert holder(store, clock) is None


def test_markets_and_days_do_not_stand_in_each_others_way(store, clock):
    assert take(store, clock, a_living_process())
    other = require_session(MarketGroup.US, SESSION)
    with session_lease(store, MarketGroup.US, other, clock):
        pass


def look(store, clock):
    with store.read() as reader:
        return living_holder(reader, KR, SESSION, clock.now())


def test_who_trades_a_session_is_told_in_words_while_he_lives(store, clock):
    assert look(store, clock) is None
    with session_lease(store, KR, DAY, clock):
        assert look(store, clock).startswith(f"process {os.getpid()} on {socket.gethostname()}")
    assert look(store, clock) is None
    take(store, clock, a_dead_process())
    assert look(store, clock) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes have no start here")
def test_a_process_that_got_the_number_of_a_dead_one_is_not_taken_for_it(store, clock):
    """As after a restart of the machine, or of a container."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        since = "2026-01-05 00.00 UTC"
        take(store, clock, f"{socket.gethostname()}:{other.pid}:{since}:another0boot-1-abcd")
        assert look(store, clock) is None
        with session_lease(store, KR, DAY, clock):
            assert look(store, clock) is not None
        code = (
            "from trading_core.steps import lease; import os;"
            "print(lease._process_mark(os.getpid()), flush=True); input()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as owner:
            mark = owner.stdout.readline().strip()
            take(store, clock, f"{socket.gethostname()}:{owner.pid}:{since}:{mark}abcd")
            assert look(store, clock).startswith(f"process {owner.pid} ")
            owner.communicate("")
        assert look(store, clock) is None
        other.communicate(b"")
