"""What ``up`` decides before it starts anything: parts, ports, environment, files, leftovers."""

from __future__ import annotations

import configparser
import os
import signal
import socket
import subprocess
import sys
import time
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from flows.supervision import health, parts, preflight, remains
from flows.supervision.follow import Tail, last_lines
from flows.supervision.host import MUTE_MINUTES, Host
from flows.supervision.parts import MARK, Part, Wish, environment_of, parts_of
from flows.supervision.place import LONGEST_SOCKET_PATH, UpFiles, hold, is_held, supervisor_config
from flows.supervision.up import age
from trading_core.errors import (
    BrokerError,
    BrokerUnavailable,
    ConfigError,
    TradingError,
    TradingHalted,
)
from trading_core.wiring import configure

KEYS: dict[str, Any] = {
    "kis_app_key": "app-key-000",
    "kis_app_secret": "app-secret-000",
    "kis_account_no": "12345678-01",
}
TELEGRAM = "123456:ABCDEFGHIJKLMNOPQRSTUVWX"
ALL = frozenset({"telegram"})


USUAL = Wish()


def names(wish: Wish = USUAL, commands: frozenset[str] = ALL, **changes: Any) -> list[str]:
    return [part.name for part in parts_of(configure(**changes), wish, commands=commands)]


# --- Parts --------------------------------------------------------------------------------------


def test_without_keys_the_twin_takes_the_broker_s_place() -> None:
    assert names() == ["prefect", "twin", "worker", "dashboard"]
    assert names(**KEYS) == ["prefect", "worker", "dashboard"]
    assert names(twin_url="http://127.0.0.1:1") == ["prefect", "worker", "dashboard"]


def test_telegram_listens_when_there_is_a_token_and_nobody_switched_it_off() -> None:
    assert names(telegram_bot_token=TELEGRAM)[-1] == "telegram"
    assert "telegram" not in names(telegram_bot_token=TELEGRAM, telegram_commands_enabled=False)
    assert "telegram" not in names(telegram_bot_token=TELEGRAM, telegram_enabled=False)
    assert "telegram" not in names(Wish(telegram=False), telegram_bot_token=TELEGRAM)
    assert "telegram" not in names(commands=frozenset(), telegram_bot_token=TELEGRAM)


def test_the_dashboard_is_served_unless_it_was_switched_off() -> None:
    assert "dashboard" in names(dashboard_enabled=True)
    assert "dashboard" not in names(dashboard_enabled=False)


def test_a_prefect_server_elsewhere_is_used_and_none_is_started() -> None:
    assert names(prefect_api_url="http://prefect.example:4200/api")[0] == "twin"
    assert names(prefect_api_url="http://127.0.0.1:4200/api")[0] == "prefect"
    assert (
        parts.api_of(configure(prefect_api_url="http://a.example/api/")) == "http://a.example/api"
    )


def test_no_secret_is_among_the_arguments_or_in_the_files_of_an_up(tmp_path: Path) -> None:
    settings = configure(
        **KEYS, telegram_bot_token=TELEGRAM, prefect_server_api_auth_string="me:word-4711"
    )
    found = parts_of(settings, Wish(), commands=ALL)
    parts.write_parts(tmp_path / "parts.json", found)
    text = (tmp_path / "parts.json").read_text() + supervisor_config(UpFiles(tmp_path), found)

    for secret in ("app-key-000", "app-secret-000", "12345678", TELEGRAM, "word-4711"):
        assert secret not in text
    assert parts.read_parts(tmp_path / "parts.json") == found
    assert parts.read_parts(tmp_path / "nothing.json") == ()


def test_everything_listens_on_loopback_unless_told_otherwise() -> None:
    found = parts_of(configure(), Wish(), commands=ALL)

    assert {part.host for part in found} == {"127.0.0.1"}
    wide = parts.dashboard(configure(dashboard_host="0.0.0.0"))
    assert wide.host == "0.0.0.0"
    assert wide.page == "http://127.0.0.1:8080"
    asked = wide.command.index("--browser.gatherUsageStats")
    assert wide.command[asked + 1] == "false"


# --- Environment --------------------------------------------------------------------------------


def test_parts_get_one_home_one_prefect_and_absolute_paths(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = configure(ouroboros_home="here", db_path="there/trades.db")
    given = environment_of(settings, tmp_path / "here")

    assert given["OUROBOROS_HOME"] == given[MARK] == str(tmp_path / "here")
    assert given["DB_PATH"] == str(tmp_path / "there" / "trades.db")
    assert given["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert given["PREFECT_HOME"] == str(tmp_path / "here" / "prefect")
    assert given["TWIN_URL"] == "http://127.0.0.1:9443"
    assert "TWIN_URL" not in environment_of(configure(**KEYS), tmp_path)
    assert "PREFECT_API_AUTH_STRING" not in given


def test_the_password_of_the_server_goes_to_whoever_asks_it(tmp_path: Path) -> None:
    given = environment_of(configure(prefect_server_api_auth_string="me:word"), tmp_path)

    assert given["PREFECT_API_AUTH_STRING"] == given["PREFECT_SERVER_API_AUTH_STRING"] == "me:word"
    with pytest.raises(ConfigError, match="a user, a colon and a password"):
        configure(prefect_server_api_auth_string="word")


def test_what_the_env_file_says_is_handed_on_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("max_loss_pct=2\nMAX_ORDER_PCT=20\nEMPTY=\n")
    monkeypatch.setenv("MAX_ORDER_PCT", "10")
    settings = configure()
    monkeypatch.setitem(type(settings).model_config, "env_file", ".env")

    given = environment_of(settings, tmp_path)

    assert (given["MAX_LOSS_PCT"], given["MAX_ORDER_PCT"]) == ("2", "10")
    monkeypatch.setattr(parts, "ROOT", tmp_path / "project")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / ".env").write_text("MODE=live\n")
    with pytest.raises(ConfigError, match="the flows would read it too"):
        environment_of(settings, tmp_path)


# --- Before the start ---------------------------------------------------------------------------


def test_a_port_in_use_is_named_with_its_holder_and_its_setting() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        part = Part("twin", ("x",), port=port, setting="TWIN_PORT")

        with pytest.raises(ConfigError, match=rf"TWIN_PORT={port}: process {os.getpid()} \(") as e:
            preflight.require_ports([part])
    assert "choose another port" in str(e.value)
    preflight.require_ports([part])


def test_one_port_for_two_parts_is_refused() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    two = [Part(name, ("x",), port=port, setting=name.upper()) for name in ("a", "b")]

    with pytest.raises(ConfigError, match=f"B={port}: a is to listen there already"):
        preflight.require_ports(two)


def test_a_home_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"OUROBOROS_HOME=.*cannot be written: Not a directory"):
        preflight.require_home(UpFiles(tmp_path / "file" / "home"))


def test_a_full_disk_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 5_000_000)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: usage)

    with pytest.raises(ConfigError, match="5 MB are free on its disk, 300 are needed"):
        preflight.require_home(UpFiles(tmp_path))
    assert "only 5 MB" in " ".join(preflight.instead_of(configure(), Wish(), ALL))


def test_it_says_what_runs_in_place_of_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preflight, "free_mb", lambda _: 50_000)
    usual = " ".join(preflight.instead_of(configure(), Wish(), ALL))
    full = configure(**KEYS, gemini_api_key="x", telegram_bot_token=TELEGRAM)

    for name in ("KIS keys are not set", "GEMINI_API_KEY", "TELEGRAM_BOT_TOKEN"):
        assert name in usual
    assert preflight.instead_of(full, Wish(), ALL) == []
    assert "none is read" in preflight.instead_of(full, Wish(), frozenset())[0]


class Refusing:
    """A runtime whose broker answers one way."""

    groups = ("KR",)

    def __init__(self, error: Exception | None) -> None:
        self.broker = SimpleNamespace(account=self._account)
        self._error = error

    async def _account(self, group: str) -> None:
        if self._error is not None:
            raise self._error

    async def __aenter__(self) -> Refusing:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


@pytest.mark.parametrize(
    ("error", "line"),
    [(None, None), (BrokerUnavailable("no route"), "the broker does not answer now: no route")],
)
async def test_a_broker_that_is_silent_does_not_keep_anything_from_starting(
    monkeypatch: pytest.MonkeyPatch, error: TradingError | None, line: str | None
) -> None:
    monkeypatch.setattr("trading_core.wiring.open_runtime", lambda *_, **__: Refusing(error))

    assert await preflight.require_account(configure(**KEYS)) == line


async def test_wrong_keys_are_the_broker_s_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    error = BrokerError("invalid appkey", "EGW00103")
    monkeypatch.setattr("trading_core.wiring.open_runtime", lambda *_, **__: Refusing(error))

    with pytest.raises(ConfigError, match=r"KIS_APP_KEY.*refuses them: invalid appkey \[EGW00103"):
        await preflight.require_account(configure(**KEYS))
    assert await preflight.require_account(configure()) is None


# --- Files --------------------------------------------------------------------------------------


def test_the_configuration_starts_nothing_by_itself_and_gives_nothing_up(tmp_path: Path) -> None:
    found = parts_of(configure(), Wish(), commands=ALL)
    read = configparser.ConfigParser(interpolation=None)
    read.read_string(supervisor_config(UpFiles(tmp_path / "50 %"), found))

    programs = [read[f"program:{part.name}"] for part in found]
    assert {program["autostart"] for program in programs} == {"false"}
    assert {program["autorestart"] for program in programs} == {"true"}
    assert [int(program["priority"]) for program in programs] == [1, 2, 3, 4]
    assert all("50 %%" in program["stdout_logfile"] for program in programs)


def test_a_deep_home_gets_a_socket_that_the_kernel_takes(tmp_path: Path) -> None:
    deep = UpFiles(tmp_path / ("d" * 60) / ("e" * 60))

    assert len(str(deep.socket)) <= LONGEST_SOCKET_PATH
    assert deep.socket != UpFiles(deep.home / "other").socket
    assert UpFiles(Path("/srv/trader")).socket == Path("/srv/trader/run/up.sock")


def test_a_lock_is_held_until_its_holder_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "up.lock"
    assert not is_held(tmp_path / "nowhere" / "up.lock")

    with hold(lock, "taken"):
        assert is_held(lock)
        with pytest.raises(TradingHalted, match="taken"), hold(lock, "taken"):
            pass
    assert not is_held(lock)


def test_the_last_lines_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"{'x' * 50} {n}\n" for n in range(5000)))

    assert [line.split()[1] for line in last_lines(log, 3)] == ["4997", "4998", "4999"]
    assert last_lines(log, 0) == last_lines(tmp_path / "no.log", 5) == []
    assert len(last_lines(log, 10_000)) == 5000


def test_a_log_is_followed_across_its_rotation_and_in_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("old\n")
    tail = Tail(log)

    with log.open("a") as file:
        file.write("one\ntw")
    assert tail.read() == ["one"]
    with log.open("a") as file:
        file.write("o\n")
    assert tail.read() == ["two"]
    log.rename(tmp_path / "a.log.1")
    log.write_text("three, and longer than the file before\n")
    assert tail.read() == ["three, and longer than the file before"]


# --- Health -------------------------------------------------------------------------------------


def test_a_worker_counts_from_its_first_beat_after_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
    beats = b'[{"name": "ouroboros", "last_heartbeat_time": "2026-11-23T01:00:05+00:00"}]'
    monkeypatch.setattr(health, "ask", lambda *_, **__: beats)
    worker = Part("worker", ("x",), "worker", "http://x")

    def healthy(at: datetime) -> bool:
        return health.is_healthy(worker, running=True, started_at=at)

    assert healthy(started)
    assert not healthy(started + timedelta(seconds=6))
    assert health.is_healthy(Part("telegram", ("x",)), running=True, started_at=started)
    assert not health.is_healthy(Part("telegram", ("x",)), running=False, started_at=started)


def test_what_runs_but_does_not_answer_for_minutes_is_started_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = UpFiles(tmp_path)
    files.make()
    parts.write_parts(files.parts, (Part("twin", ("x",), "http", "http://x"),))
    options = SimpleNamespace(logger=SimpleNamespace(warn=lambda _: None))
    host = Host(options, files)
    process = SimpleNamespace(
        config=SimpleNamespace(name="twin"), state=20, laststart=1.0, pid=4711
    )
    host.process_groups = {"twin": SimpleNamespace(processes={"twin": process})}
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr("flows.supervision.host.os.kill", lambda *what: killed.append(what))
    answers = iter([False] * (MUTE_MINUTES - 1) + [True] + [False] * MUTE_MINUTES)
    monkeypatch.setattr("flows.supervision.host.is_healthy", lambda *_, **__: next(answers))

    for _ in range(2 * MUTE_MINUTES - 1):
        host._look(None)
        assert killed == []
    host._look(None)
    assert killed == [(4711, signal.SIGKILL)]


# --- Leftovers ----------------------------------------------------------------------------------


def test_what_an_up_left_behind_is_ended_with_its_children_and_nothing_else(
    tmp_path: Path,
) -> None:
    stubborn = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " start_new_session=True)\n"
        "time.sleep(60)\n"
    )
    started = []
    for home in ("mine", "other"):
        environment = {**os.environ, MARK: str(tmp_path / home)}
        process = subprocess.Popen(
            [sys.executable, "-c", stubborn], env=environment, start_new_session=True
        )
        started.append(process)
    mine, other = started
    try:
        deadline = time.monotonic() + 20
        while len(remains.find_remains(tmp_path / "mine")) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        ended = remains.end_remains(tmp_path / "mine", grace_seconds=0.3)

        assert mine.pid in ended
        assert len(ended) == 2
        assert not psutil.pid_exists(mine.pid)
        assert other.poll() is None
        assert remains.find_remains(tmp_path / "mine") == []
        left = remains.find_remains(tmp_path / "other")
        assert other.pid in {process.pid for process in left}
        assert remains.find_remains(tmp_path / "other", [p.pid for p in left]) == []
    finally:
        remains.end_remains(tmp_path / "other", grace_seconds=0.1)
        for process in started:
            process.wait(5)


def test_how_long_a_part_has_been_up() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)

    spans = [timedelta(seconds=5), timedelta(minutes=3), timedelta(hours=30), timedelta(days=9)]
    assert [age(at - span, at) for span in spans] == ["5 s", "3 min", "1 d", "9 d"]
