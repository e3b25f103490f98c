"""``twin serve`` as a process, and everything that can be wrong with what a demo is given."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows import screens

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]


@dataclass
class Serving:
    """A running ``ouroboros twin serve --json`` and what it said of itself."""

    process: subprocess.Popen[str]
    home: Path
    said: dict[str, Any]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=30)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    with serving_with(tmp_path) as twin:
        yield twin


@contextmanager
def serving_with(tmp_path: Path, *arguments: str) -> Iterator[Serving]:
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "twin", "serve", "--json", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OUROBOROS_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield Serving(process, home, json.loads(line))
    finally:
        process.kill()
        process.communicate()


@dataclass
class Files:
    """Files and folders that are no price data."""

    folder: Path

    def __post_init__(self) -> None:
        bars = {"market": ["KRX"], "symbol": ["005930"], "date": [date(2026, 9, 9)]}
        ohlcv = {name: [1.0] for name in ("open", "high", "low", "close", "volume")}
        full = pl.DataFrame(bars | ohlcv)
        full.clear().write_parquet(self.folder / "empty.parquet")
        full.drop("close").write_parquet(self.folder / "no_close.parquet")
        full.write_parquet(self.folder / "another_day.parquet")
        (self.folder / "text.parquet").write_text("market,symbol\n")
        (self.folder / "nothing.parquet").write_bytes(b"")
        (self.folder / "folder.parquet").mkdir()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "prices").mkdir()
    return Files(tmp_path / "prices")


NOT_PRICES = [
    ("missing.parquet", "no such file"),
    ("no_close.parquet", "close"),
    ("folder.parquet", "directory"),
    ("empty.parquet", "no rows"),
    ("text.parquet", "not a readable parquet file"),
    ("nothing.parquet", "is empty"),
    ("another_day.parquet", "2026-09-10"),
]
WRONG_DAYS = [
    (("--date", "2026-09-13"), "Sunday"),
    (("--date", "2026-09-25"), "no session on 2026-09-25"),  # Chuseok
    (("--date", "1900-01-05"), "1900-01-05"),
    (("--date", "2099-01-05"), "2099-01-05"),
    (("--market", "US", "--date", "2026-07-03"), "no session on 2026-07-03"),
]


# --- twin serve ----------------------------------------------------------------------------------


def test_a_served_twin_says_where_it_is_until_it_is_told_to_stop(
    serving: Serving, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = serving.home / "twin.json"
    assert serving.said["market"] == "KR"
    assert serving.said["symbols"] > 100
    assert json.loads(link.read_text()) == {
        "url": serving.said["url"],
        "pid": serving.process.pid,
    }
    assert serving.said["url"].startswith("http://127.0.0.1:")
    with urllib.request.urlopen(f"{serving.said['url']}/twin/state", timeout=10) as reply:
        [venue] = json.load(reply)["venues"]
    assert venue["session"] == serving.said["session"]

    # Other commands find it through the home.
    monkeypatch.setenv("OUROBOROS_HOME", str(serving.home))
    monkeypatch.setenv("ENABLED_MARKETS", "KR")
    code, out, err = run_cli("doctor", "--json")
    results = {check["name"]: check["result"] for check in json.loads(out)["checks"]}
    assert (code, err) == (0, ""), out
    assert results["broker KR"] == results["calendar KR"] == "ok"

    assert serving.stop() in (0, 128 + signal.SIGTERM)
    assert not link.exists()
    assert serving.process.stderr is not None
    assert "Traceback" not in serving.process.stderr.read()


def test_ctrl_c_takes_the_address_of_the_twin_away_too(serving: Serving) -> None:
    assert (serving.home / "twin.json").exists()

    assert serving.stop(signal.SIGINT) in (0, 130)
    assert not (serving.home / "twin.json").exists()


@pytest.mark.parametrize(("name", "said"), NOT_PRICES)
def test_a_twin_refuses_what_is_no_price_data(
    run_cli: Run, files: Files, name: str, said: str
) -> None:
    path = str(files.folder / name)

    line = refused(run_cli, "twin", "serve", "--json", "--data", path, "--date", "2026-09-10")

    assert said in line
    assert name in line or said == "2026-09-10"
    assert not (Path(os.environ["OUROBOROS_HOME"]) / "twin.json").exists()


@pytest.mark.parametrize(("arguments", "said"), WRONG_DAYS, ids=lambda v: "".join(v)[-30:])
def test_a_twin_refuses_a_day_that_is_no_session(
    run_cli: Run, arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(run_cli, "twin", "serve", "--json", *arguments)


def test_a_twin_that_cannot_start_leaves_the_address_of_the_running_one(run_cli: Run) -> None:
    home = Path(os.environ["OUROBOROS_HOME"])
    home.mkdir(parents=True)
    (home / "twin.json").write_text('{"url": "http://127.0.0.1:9443", "pid": 1}')

    refused(run_cli, "twin", "serve", "--date", "2026-09-13")

    assert (home / "twin.json").exists()


WRONG_WISHES = [
    (("--stepped", "--speed", "60"), "leave one of them out"),
    (("--speed", "fast"), "write real"),
    (("--speed", "0"), "from 0.001"),
    (("--speed", "nan"), "from 0.001"),
    (("--mode", "demo"), "choose real or paper"),
    (("--layout", "new"), "choose 2026-09 or legacy"),
    (("--market", "KR,XX"), "unknown market 'XX'"),
    (("--market", ","), "name a market"),
    (("--market", "KR,US", "--capital", "5"), "--account"),
    (("--market", "KR,US", "--date", "2026-09-07"), "US has no session on 2026-09-07"),
    (("--account", "1=KRW:5"), "8 digits"),
    (("--account", "12345678=KRW"), "12345678=KRW:50000000"),
    (("--account", "12345678=WON:5"), "currencies are KRW"),
    (("--account", "12345678=KRW:-5"), "below 0"),
    (("--account", "12345678=KRW:NaN"), "below 0"),
    (("--account", "12345678=KRW:1,KRW:2"), "twice"),
    (("--account", "12345678=KRW:5", "--account", "12345678-01=USD:5"), "named twice"),
    (("--account", "12345678=KRW:5", "--capital", "5"), "say it there"),
    (("--faults", "missing.json"), "missing.json: cannot be read"),
    (("--state", "/"), "/: cannot be used"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG_WISHES, ids=lambda v: "".join(v)[-30:])
def test_a_wish_that_makes_no_twin_is_one_line_that_says_what_to_do(
    run_cli: Run, arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(run_cli, "twin", "serve", "--json", *arguments)


@pytest.mark.parametrize("told", [(), ("--allow-remote",), ("--yes-allow-remote",)])
def test_other_machines_are_let_in_only_when_said_twice(
    run_cli: Run, told: tuple[str, ...]
) -> None:
    line = refused(run_cli, "twin", "serve", "--host", "0.0.0.0", *told)
    assert "--allow-remote and --yes-allow-remote" in line


def test_a_taken_port_is_named(run_cli: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"--port {port}: is taken" in refused(run_cli, "twin", "serve", "--port", port)


def test_the_help_of_the_twin_teaches_its_options(run_cli: Run) -> None:
    code, out, _ = run_cli("twin", "serve", "--help")
    assert code == 0
    for name in (
        "--mode", "--layout", "--faults", "--state", "--rate-limit", "--strict", "--account",
        "--stepped", "--now", "--yes-allow-remote", "/twin/clock",
    ):  # fmt: skip
        assert name in out


def test_a_twin_of_two_markets_keeps_its_state_and_answers_as_it_was_told_to(
    tmp_path: Path,
) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"action": "http_500", "path": "/uapi", "nth": 9}]')
    arguments = [
        *("--market", "KR,US", "--mode", "paper", "--strict", "--layout", "legacy", "--stepped"),
        *("--now", "--account", "12345678=KRW:1000000,USD:2000", "--account", "87654321-22=KRW:5"),
        *("--faults", str(faults), "--state", str(tmp_path / "twin.state")),
    ]
    with serving_with(tmp_path, *arguments) as first:
        assert [play["market"] for play in first.said["sessions"]] == ["KR", "US"]
        assert first.said["now"] == "2026-09-10T00:00:00+00:00"
        assert [row["account_no"] for row in first.said["accounts"]] == [
            "12345678-01",
            "87654321-22",
        ]
        assert first.said["accounts"][0]["cash"] == {"KRW": "1000000", "USD": "2000.00"}
        assert first.said["ws_url"] == first.said["url"].replace("http", "ws")
        moved = ask(first, "/twin/clock", {"session": "next"})
        assert [row["session"] for row in moved["sessions"]] == ["2026-09-11"] * 2
        state = ask(first, "/twin/state")
        assert (state["mode"], state["layout"], state["clock"]) == ("paper", "legacy", "stepped")
        assert state["faults"][0]["nth"] == 9
        assert [row["account_no"] for row in state["accounts"]] == ["12345678-01", "87654321-22"]
        first.stop(signal.SIGKILL)
    with serving_with(tmp_path, *arguments) as second:
        assert second.said["restored"] > 0
        assert second.said["session"] == "2026-09-11"
        assert second.said["now"] == state["now"]
        assert ask(second, "/twin/state")["venues"] == state["venues"]


def ask(twin: Serving, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"{twin.said['url']}{path}", data, timeout=60) as reply:
        return json.load(reply)


def test_what_a_person_reads_says_where_it_is_and_what_to_type_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = {
        "url": "http://127.0.0.1:9443", "ws_url": "ws://127.0.0.1:9443", "mode": "paper",
        "layout": "2026-09", "clock": "stepped", "speed": None, "rate_limit": 2.0, "faults": 3,
        "state": "a.state", "restored": 1200, "data_notes": {"halted": 2},
        "now": "2026-09-10T00:00:00+00:00",
        "accounts": [{"account_no": "12345678-01", "cash": {"KRW": "1000000"}}],
        "sessions": [
            {
                "market": "KR", "session": "2026-09-10", "symbols": 200,
                "open_at": "2026-09-10T00:00:00+00:00", "close_at": "2026-09-10T06:30:00+00:00",
            }
        ],
    }  # fmt: skip
    screens.twin(answer)
    shown = capsys.readouterr().out
    for text in (
        "http://127.0.0.1:9443", "ws://127.0.0.1:9443", "any", "12345678-01 with 1,000,000 KRW",
        "09:00 to 15:30 Asia/Seoul", "200 symbols", "stands still", "2 calls a second", "3 rules",
        "a.state, 1,200 effects brought back", "ouroboros doctor", "Ctrl-C",
        """/twin/clock -d '{"advance_to": "2026-09-10T01:00:00+00:00"}'""",
    ):  # fmt: skip
        assert text in shown, text


def test_files_need_a_date(run_cli: Run, files: Files) -> None:
    path = str(files.folder / "another_day.parquet")

    for command in (("twin", "serve"), ("demo",)):
        assert "--data needs --date" in refused(run_cli, *command, "--data", path)


def refused(run_cli: Run, *arguments: str) -> str:
    code, out, err = run_cli(*arguments)
    assert (code, out) == (2, "")
    [line] = err.splitlines()
    assert line.startswith("error: ")
    return line


# --- demo ----------------------------------------------------------------------------------------


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that throw-away homes are made in."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


class IdleServer:
    """Stands where the Prefect server would, which a refused demo never comes to use."""

    running = 0

    def __init__(self, home: Path) -> None:
        type(self).running += 1

    def __enter__(self) -> IdleServer:
        return self

    def __exit__(self, *_: object) -> None:
        type(self).running -= 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "{prices}/missing.parquet", "--date", "2026-09-10"), "no such file"),
        (("--data", "{prices}/no_close.parquet", "--date", "2026-09-10"), "close"),
        (("--data", "{prices}/folder.parquet", "--date", "2026-09-10"), "directory"),
        (("--data", "{prices}/empty.parquet", "--date", "2026-09-10"), "no rows"),
        (("--date", "2026-09-13"), "Sunday"),
    ],
    ids=["missing", "columns", "directory", "empty", "holiday"],
)
def test_a_demo_that_cannot_play_says_why_and_leaves_nothing_behind(
    run_cli: Run,
    files: Files,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setattr("flows.demo.PrefectServer", IdleServer)
    given = [text.format(prices=files.folder) for text in arguments]

    code, out, err = run_cli("demo", *given)

    assert (code, out) == (2, "")
    *_, last = err.splitlines()
    assert last.startswith("error: ")
    assert said in last
    assert "Traceback" not in err
    assert list(temporary.iterdir()) == []
    assert IdleServer.running == 0
    assert children() == []


def test_a_demo_that_cannot_play_leaves_no_folder_to_keep(
    run_cli: Run, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.demo.PrefectServer", IdleServer)

    code, _, _ = run_cli("demo", "--date", "2026-09-13", "--keep", str(temporary / "day"))

    assert code == 2
    assert not (temporary / "day").exists()


@pytest.mark.parametrize("place", ["full", "full/file"])
def test_a_demo_keeps_its_day_in_no_folder_that_holds_something(
    run_cli: Run, tmp_path: Path, place: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")

    line = refused(run_cli, "demo", "--keep", str(tmp_path / place))

    assert "must be a new or an empty folder" in line
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]
    assert (tmp_path / "full" / "file").read_text() == "mine"


@pytest.mark.parametrize("seconds", ["9", "0", "-1", "3601", "often"])
def test_a_demo_ticks_neither_all_the_time_nor_never(run_cli: Run, seconds: str) -> None:
    code, out, err = run_cli("demo", "--every", seconds)

    assert (code, out) == (2, "")
    assert "--every" in err


@pytest.mark.slow
def test_a_refused_demo_of_its_own_process_is_quick_and_leaves_no_process(
    files: Files, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    path = files.folder / "empty.parquet"
    begun = time.monotonic()

    done = subprocess.run(
        [
            *(sys.executable, "-m", "flows.cli", "demo"),
            *("--data", str(path), "--date", "2026-09-10", "--json"),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line == f"error: {path}: holds no rows; name a file with prices"
    assert time.monotonic() - begun < 60
    assert list(temporary.iterdir()) == []
    assert not [cmd for cmd in commands() if str(temporary) in cmd]


def children() -> list[int]:
    """Processes this one started and that still run (or wait to be collected)."""
    task = Path(f"/proc/{os.getpid()}/task")
    return [
        int(pid)
        for file in task.glob("*/children")
        for pid in file.read_text().split()
        if "twin" in _command(int(pid))
    ]


def commands() -> list[str]:
    return [_command(int(p.name)) for p in Path("/proc").iterdir() if p.name.isdigit()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
