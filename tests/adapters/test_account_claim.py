"""One store per account, between real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trading_core.adapters.account_claim import AccountClaim, account_locks
from trading_core.errors import ConfigError, TradingHalted

AT = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
KEY = "live||12345678-01"

_HOLDER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from trading_core.adapters.account_claim import account_locks
from trading_core.errors import TradingHalted

folder, key, store, seconds = sys.argv[1:]
_, claim = account_locks(Path(folder), key, "live account ****78-01", Path(store))
try:
    with claim.hold(datetime(2026, 1, 5, 14, 30, tzinfo=UTC)):
        print("held", flush=True)
        time.sleep(float(seconds))
except TradingHalted:
    print("refused", flush=True)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """``start("a")`` is a process that asks for the account with the store of home ``a``."""
    running = []

    def begin(home: str, *, key: str = KEY, seconds: float = 60) -> subprocess.Popen[str]:
        arguments = [str(tmp_path), key, str(tmp_path / home / "trades.db"), str(seconds)]
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, *arguments], stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def claim(folder: Path, home: str, key: str = KEY) -> AccountClaim:
    return account_locks(folder, key, "live account ****78-01", folder / home / "trades.db")[1]


def test_a_process_of_another_home_is_refused_and_told_by_whom(
    tmp_path: Path, start: Start
) -> None:
    holder = start("a")
    assert said(holder) == "held"
    with pytest.raises(TradingHalted) as refused, claim(tmp_path, "b").hold(AT):
        pytest.fail("two stores trade one account")
    text = str(refused.value)
    assert f"process {holder.pid} on {socket.gethostname()} since 2026-01-05 14:30 UTC" in text
    assert str(tmp_path / "a" / "trades.db") in text
    assert "live account ****78-01" in text
    assert "12345678" not in text


def test_processes_of_one_store_share_it_and_the_last_one_holds_it(
    tmp_path: Path, start: Start
) -> None:
    first, second = start("a"), start("a")
    assert (said(first), said(second)) == ("held", "held")
    first.kill()
    first.wait()
    with pytest.raises(TradingHalted) as refused, claim(tmp_path, "b").hold(AT):
        pytest.fail("the second one still trades")
    assert f"process {second.pid} " in str(refused.value)
    with claim(tmp_path, "a").hold(AT), pytest.raises(TradingHalted) as refused:  # noqa: SIM117
        with claim(tmp_path, "b").hold(AT):
            pytest.fail("two stores")
    assert f"process {first.pid} " not in str(refused.value)
    assert f"process {os.getpid()} " in str(refused.value)


def test_the_account_is_free_at_once_when_its_holder_is_killed(
    tmp_path: Path, start: Start
) -> None:
    holder = start("a")
    assert said(holder) == "held"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    began = time.monotonic()
    with claim(tmp_path, "b").hold(AT):
        assert time.monotonic() - began < 1


def test_another_account_is_another_claim(tmp_path: Path, start: Start) -> None:
    assert said(start("a")) == "held"
    with claim(tmp_path, "b", "live||87654321-01").hold(AT):
        pass


def test_of_many_that_start_at_once_those_of_one_store_alone_hold_it(start: Start) -> None:
    homes = [name for _ in range(3) for name in "abc"]
    processes = [start(home) for home in homes]
    answers = [said(process) for process in processes]
    holding = {home for home, answer in zip(homes, answers, strict=True) if answer == "held"}
    assert len(holding) == 1
    assert answers.count("held") == 3


def test_a_claim_whose_note_is_torn_is_still_a_claim(tmp_path: Path, start: Start) -> None:
    assert said(start("a")) == "held"
    (note,) = tmp_path.glob("account-*.lock")
    note.write_text('{"store": ')
    with pytest.raises(TradingHalted, match="another process"), claim(tmp_path, "b").hold(AT):
        pytest.fail("two stores trade one account")


def test_the_claim_and_the_order_lock_show_no_account_number(tmp_path: Path) -> None:
    lock, mine = account_locks(tmp_path, KEY, "live account ****78-01", tmp_path / "trades.db")
    with lock.hold(), mine.hold(AT):
        names = sorted(path.name for path in tmp_path.iterdir())
        texts = [path.read_text() for path in tmp_path.iterdir()]
    assert [name.partition("-")[0] for name in names] == ["account", "account", "orders"]
    assert not any("12345678" in text for text in [*names, *texts])


def test_a_folder_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="LOCK_DIR"):
        account_locks(tmp_path / "file" / "locks", KEY, "an account", tmp_path / "trades.db")
