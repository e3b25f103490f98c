"""The account's order lock between processes."""

import signal
import stat
import subprocess
import sys
import time

import pytest

from trading_core.adapters.order_lock import FileOrderLock
from trading_core.errors import StoreBusy

_HOLDER = """
import sys, time
from pathlib import Path
from trading_core.adapters.order_lock import FileOrderLock

with FileOrderLock(Path(sys.argv[1])).hold():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path / "orders.lock")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_another_process_is_told_that_the_lock_is_held(tmp_path, holder):
    lock = FileOrderLock(tmp_path / "orders.lock", timeout_seconds=0.1)
    with pytest.raises(StoreBusy, match=r"0\.1 s"), lock.hold():
        pytest.fail("two holders")


def test_the_lock_is_free_once_its_holder_is_killed(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    began = time.monotonic()
    with FileOrderLock(tmp_path / "orders.lock", timeout_seconds=5).hold():
        assert time.monotonic() - began < 1


def test_waiting_ends_when_the_holder_lets_go(tmp_path, holder):
    lock = FileOrderLock(tmp_path / "orders.lock", timeout_seconds=10)
    stop = f"import time; time.sleep(0.2); import os; os.kill({holder.pid}, 9)"
    killer = subprocess.Popen([sys.executable, "-c", stop])
    with lock.hold():
        assert holder.wait(timeout=5) == -signal.SIGKILL
    killer.wait()


def test_holding_twice_in_one_process_is_a_mistake(tmp_path):
    lock = FileOrderLock(tmp_path / "orders.lock")
    with lock.hold():
        with pytest.raises(RuntimeError, match="already"), lock.hold():
            pytest.fail("held twice")
        other = FileOrderLock(tmp_path / "orders.lock", timeout_seconds=0.05)
        with pytest.raises(StoreBusy), other.hold():
            pytest.fail("the inner failure freed the lock")


def test_the_lock_is_freed_when_the_block_fails(tmp_path):
    lock = FileOrderLock(tmp_path / "a" / "orders.lock")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), lock.hold():
            raise ZeroDivisionError
    with lock.hold():
        pass
    assert stat.S_IMODE((tmp_path / "a" / "orders.lock").stat().st_mode) == 0o600
