"""Several real processes on one file: nobody fails, nothing is lost, nothing is seen by half.

Run as a script, this file is one of those processes (``writer``, ``reader``, ``holder``, ``raw``).
Every transaction of a writer appends five observations and one notification together, so a reader
that counts anything but five to one has seen half of one.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from tests.record_factories import AT, SESSION, make_notification, make_observation
from trading_core.adapters.duck import DuckStore
from trading_core.errors import StoreBusy

ROOT = Path(__file__).parents[2]
SYMBOLS = 5


def write(path: Path, name: str, seconds: float, pause: float, log: Path) -> None:
    """Commit until the time is over; each committed number goes into ``log`` afterwards."""
    store = DuckStore(path)
    end = time.monotonic() + seconds
    slowest = 0.0
    with log.open("a", buffering=1) as committed:
        number = 0
        while time.monotonic() < end:
            begun = time.perf_counter()
            with store.write() as tx:
                at = AT + timedelta(milliseconds=number)
                tx.append(
                    make_observation(market=name, at=at, symbol=str(n)) for n in range(SYMBOLS)
                )
                tx.append([make_notification(notification_id=f"{name}:{number}")])
            slowest = max(slowest, time.perf_counter() - begun)
            committed.write(f"{number}\n")
            number += 1
            time.sleep(pause)
    print(f"{number} {slowest:.3f}")


def read(path: Path, seconds: float, pause: float) -> None:
    """Look until the time is over; fails on half a transaction or on rows that went away."""
    store = DuckStore(path)
    end = time.monotonic() + seconds
    last = looks = 0
    while time.monotonic() < end:
        with store.read() as db:
            observations, notifications = counts(db)
        assert observations == SYMBOLS * notifications, (observations, notifications)
        assert notifications >= last, (notifications, last)
        last = notifications
        looks += 1
        time.sleep(pause)
    print(f"{looks} {last}")


def counts(db: object) -> tuple[int, int]:
    [(observations, notifications)] = db._connection.execute(  # type: ignore[attr-defined]
        "SELECT (SELECT count(*) FROM observations), (SELECT count(*) FROM notifications)"
    ).fetchall()
    return observations, notifications


def hold(path: Path) -> None:
    """Keep the store open for writing until a line comes in."""
    with DuckStore(path).write() as tx:
        tx.append([make_notification(notification_id="never committed")])
        print("open", flush=True)
        sys.stdin.readline()
        raise SystemExit(0)


def hold_raw(path: Path) -> None:
    """Keep the file open without the lock, as a shell of DuckDB would."""
    with duckdb.connect(str(path)):
        print("open", flush=True)
        sys.stdin.readline()


def start(role: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, role, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def finish(process: subprocess.Popen[str], timeout: float = 90) -> list[str]:
    """The numbers a process printed; its own error when it failed."""
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    return out.split()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "state.duckdb"
    with DuckStore(made).write():
        pass
    return made


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    yield from _holding("holder", path)


@pytest.fixture
def raw_holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    yield from _holding("raw", path)


def _holding(role: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(role, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


def run_together(path: Path, seconds: float, writers: int, readers: int, pause: float) -> str:
    """Let them work, then check every row; a line about what was measured."""
    logs = [path.with_name(f"writer-{n}.log") for n in range(writers)]
    working = [start("writer", path, n, seconds, pause, log) for n, log in enumerate(logs)]
    looking = [start("reader", path, seconds, pause) for _ in range(readers)]
    written = [finish(process) for process in working]
    looked = [finish(process) for process in looking]
    total = sum(int(number) for number, _ in written)
    assert all(int(number) > 0 for number, _ in written)
    assert all(int(looks) > 0 for looks, _ in looked)
    with DuckStore(path).read() as db:
        assert counts(db) == (SYMBOLS * total, total)
        for name, (number, _) in enumerate(written):
            assert len(db.observations(str(name), SESSION)) == SYMBOLS * int(number)
    return (
        f"{total} commits, slowest {max(float(slow) for _, slow in written):.2f} s,"
        f" {sum(int(looks) for looks, _ in looked)} reads"
    )


def test_two_writers_and_a_reader_share_a_file(path: Path) -> None:
    run_together(path, seconds=2.0, writers=2, readers=1, pause=0.02)


@pytest.mark.slow
def test_four_writers_and_two_readers_share_a_file_for_twenty_seconds(path: Path) -> None:
    print(run_together(path, seconds=20.0, writers=4, readers=2, pause=0.1))


@pytest.mark.slow
def test_readers_without_a_pause_do_not_keep_a_writer_out(path: Path) -> None:
    readers = [start("reader", path, 8.0, 0.0) for _ in range(3)]
    number, slowest = finish(start("writer", path, "w", 5.0, 0.05, path.with_name("w.log")))
    for process in readers:
        finish(process)
    assert int(number) >= 5
    assert float(slowest) < 5.0


@pytest.mark.slow
def test_writers_killed_at_random_moments_lose_nothing_they_committed(path: Path) -> None:
    moments = random.Random(20261120)
    reader = start("reader", path, 15.0, 0.05)
    logs: list[Path] = []
    for _ in range(8):
        pair = []
        for _ in range(2):
            log = path.with_name(f"killed-{len(logs)}.log")
            pair.append(start("writer", path, len(logs), 60.0, 0.0, log))
            logs.append(log)
        while not all(log.exists() for log in logs):
            time.sleep(0.01)
        time.sleep(moments.uniform(0.3, 1.2))
        for process in pair:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert process.returncode == -signal.SIGKILL
    query = "SELECT notification_id FROM notifications"
    begun = time.monotonic()
    with DuckStore(path).read() as db:
        stored = {row[0] for row in db._connection.execute(query).fetchall()}
        observations, notifications = counts(db)
    assert time.monotonic() - begun < 5.0, "a dead process still held the lock"
    assert observations == SYMBOLS * notifications
    sure = {f"{n}:{line}" for n, log in enumerate(logs) for line in log.read_text().split()}
    assert len(sure) > 20
    assert sure <= stored
    # One more a writer may have been committed just before it could say so.
    assert len(stored - sure) <= len(logs)
    finish(reader)
    with DuckStore(path).write() as tx:
        tx.append([make_notification(notification_id="still alive")])


@pytest.mark.parametrize("use", ["read", "write"])
def test_a_busy_store_names_who_holds_it(
    path: Path, holder: subprocess.Popen[str], use: str
) -> None:
    store = DuckStore(path, timeout_seconds=0.2)
    with pytest.raises(
        StoreBusy, match=rf"process {holder.pid} \(test_duck_processes\.py\)"
    ) as busy:
        getattr(store, use)().__enter__()
    assert busy.value.retryable


def test_a_writer_waits_for_a_reader_and_says_so(path: Path) -> None:
    with DuckStore(path).read():
        waiting = start("busy", path)
        out, err = waiting.communicate(timeout=60)
        assert out.split() == ["StoreBusy"], err


@pytest.mark.parametrize("use", ["read", "write"])
def test_a_program_that_ignores_the_lock_is_named(
    path: Path, raw_holder: subprocess.Popen[str], use: str
) -> None:
    store = DuckStore(path, timeout_seconds=0.2)
    with pytest.raises(StoreBusy, match=rf"kept open by process {raw_holder.pid} "):
        getattr(store, use)().__enter__()


def test_a_killed_holder_frees_the_store_and_leaves_nothing(
    path: Path, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.communicate()
    store = DuckStore(path, timeout_seconds=5.0)
    with store.read() as db:
        assert counts(db) == (0, 0)
    with store.write() as tx:
        tx.append([make_notification()])


def test_a_snapshot_is_whole_while_others_write(path: Path, tmp_path: Path) -> None:
    writer = start("writer", path, "w", 3.0, 0.0, tmp_path / "w.log")
    targets = [tmp_path / f"copy-{n}.duckdb" for n in range(5)]
    while not (tmp_path / "w.log").exists():
        time.sleep(0.05)
    for target in targets:
        DuckStore(path).snapshot(target)
    finish(writer)
    seen = []
    for target in targets:
        with DuckStore(target).read() as db:
            observations, notifications = counts(db)
        assert observations == SYMBOLS * notifications
        seen.append(notifications)
    assert seen == sorted(seen)


def _busy(path: Path) -> None:
    try:
        with DuckStore(path, timeout_seconds=0.2).write():
            print("opened")
    except StoreBusy:
        print("StoreBusy")


if __name__ == "__main__":
    role, file, *rest = sys.argv[1:]
    if role == "writer":
        write(Path(file), rest[0], float(rest[1]), float(rest[2]), Path(rest[3]))
    elif role == "reader":
        read(Path(file), float(rest[0]), float(rest[1]))
    else:
        {"holder": hold, "raw": hold_raw, "busy": _busy}[role](Path(file))
