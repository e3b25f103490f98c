"""Everything that ``ouroboros up`` keeps running, for real: server, worker, twin, dashboard."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.supervision.parts import MARK
from flows.supervision.remains import end_remains, find_remains
from trading_core.clock import SystemClock

ROOT = Path(__file__).resolve().parents[2]
PARTS = ["prefect", "twin", "worker", "dashboard"]
PASSWORD = "somebody:open-sesame-4711"

pytestmark = [pytest.mark.server, pytest.mark.slow]


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def until(true: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.2)
    return found


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@dataclass
class Everything:
    """One home, and what is up in it."""

    home: Path
    environment: dict[str, str]
    ports: list[int]
    said: dict[str, Any] = field(default_factory=dict)

    def ouroboros(
        self, *arguments: str, seconds: float = 420, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flows.cli", *arguments],
            env={**self.environment, **more},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def parts(self) -> dict[str, dict[str, Any]]:
        up = json.loads(self.ouroboros("status", "--json").stdout)["up"]
        return {row["name"]: row for row in up["parts"]} if up else {}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    home = tmp_path_factory.mktemp("up") / "home"
    prefect, twin, page = ports = free_ports(3)
    environment = {
        **os.environ,
        "OUROBOROS_HOME": str(home),
        "LOCK_DIR": str(home.parent / "locks"),
        "ENABLED_MARKETS": "KR",
        "PREFECT_SERVER_API_PORT": str(prefect),
        "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
        "TWIN_PORT": str(twin),
        "DASHBOARD_PORT": str(page),
    }
    environment.pop("PREFECT_HOME", None)
    place = Everything(home, environment, ports)
    try:
        done = place.ouroboros("up", "--detach", "--json")
        assert done.returncode == 0, done.stderr + "".join(
            f"\n{log.name}: {log.read_text()[-800:]}" for log in home.glob("logs/*.log")
        )
        place.said = json.loads(done.stdout)
        place.said["words"] = done.stderr
        yield place
    finally:
        place.ouroboros("down")
        end_remains(home)


def test_all_parts_come_up_in_order_and_their_addresses_answer(everything: Everything) -> None:
    prefect, twin, page = everything.ports
    words = everything.said["words"]
    told = [line.split()[0] for line in words.splitlines() if " works" in line]

    assert told == PARTS
    assert everything.said["prefect"] == f"http://127.0.0.1:{prefect}"
    assert answers(f"http://127.0.0.1:{prefect}/api/health")
    assert answers(f"http://127.0.0.1:{twin}/twin/state")
    assert answers(f"http://127.0.0.1:{page}/_stcore/health")
    assert {name: row["state"] for name, row in everything.parts().items()} == dict.fromkeys(
        PARTS, "running"
    )
    assert "KIS keys are not set: trading goes to the twin" in words


def test_the_twin_lives_in_the_present(everything: Everything) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{everything.ports[1]}/twin/state") as reply:
        now = datetime.fromisoformat(json.load(reply)["now"])

    assert abs((now - SystemClock().now()).total_seconds()) < 5


def test_the_server_asks_for_its_password_and_nobody_shows_it(everything: Everything) -> None:
    assert not answers(f"http://127.0.0.1:{everything.ports[0]}/api/admin/version")
    secret = PASSWORD.partition(":")[2]
    for row in everything.parts().values():
        assert secret not in " ".join(psutil.Process(row["pid"]).cmdline())
    written = [path for path in everything.home.rglob("*") if path.suffix in (".log", ".conf")]
    written += list((everything.home / "run").glob("*.json"))
    assert len(written) > len(PARTS)
    assert not [path for path in written if secret in path.read_text(errors="replace")]


def test_the_calendar_is_booked(everything: Everything) -> None:
    deployed = (everything.home / "logs" / "deploy.log").read_text()
    booked = (everything.home / "logs" / "book.log").read_text()

    assert "session/KR" in deployed
    assert "session/KR" in booked


def test_a_part_that_is_killed_is_started_again(everything: Everything) -> None:
    before = everything.parts()["dashboard"]["pid"]

    os.kill(before, signal.SIGKILL)

    until(lambda: not psutil.pid_exists(before))
    until(lambda: everything.parts()["dashboard"]["pid"] not in (None, before))
    until(lambda: answers(f"http://127.0.0.1:{everything.ports[2]}/_stcore/health"))


def test_a_second_up_in_the_same_home_is_refused(everything: Everything) -> None:
    done = everything.ouroboros("up")

    assert done.returncode == 1
    assert "is up already" in done.stderr
    assert str(everything.said["pid"]) in done.stderr


def test_ports_that_are_taken_are_named_with_their_setting(everything: Everything) -> None:
    done = everything.ouroboros("up", OUROBOROS_HOME=f"{everything.home}-2")

    assert done.returncode == 2
    for name, port in zip(
        ("PREFECT_SERVER_API_PORT", "TWIN_PORT", "DASHBOARD_PORT"), everything.ports, strict=True
    ):
        assert f"{name}={port}: process " in done.stderr


def test_the_same_account_is_not_traded_from_another_home(everything: Everything) -> None:
    prefect, page = free_ports(2)
    done = everything.ouroboros(
        "up",
        OUROBOROS_HOME=f"{everything.home}-3",
        PREFECT_SERVER_API_PORT=str(prefect),
        DASHBOARD_PORT=str(page),
        TWIN_URL=f"http://127.0.0.1:{everything.ports[1]}",
    )

    assert done.returncode == 1
    assert f"is traded already by process {everything.said['pid']}" in done.stderr


def test_logs_show_each_line_with_its_part(everything: Everything) -> None:
    all_of_them = everything.ouroboros("logs").stdout
    one = everything.ouroboros("logs", "worker", "-n", "1").stdout

    assert {"twin", "worker", "dashboard"} <= {line.split()[0] for line in all_of_them.splitlines()}
    assert one.startswith("worker ")
    assert len(one.splitlines()) == 1


def test_doctor_finds_the_twin_in_order(everything: Everything) -> None:
    done = everything.ouroboros("doctor", "--json")
    checks = {row["name"]: row for row in json.loads(done.stdout)["checks"]}

    assert done.returncode == 0, checks
    assert checks["clock"]["result"] == checks["broker KR"]["result"] == "ok"


def test_a_killed_supervisor_leaves_nothing_that_the_next_up_does_not_clear(
    everything: Everything,
) -> None:
    os.kill(everything.said["pid"], signal.SIGKILL)
    until(lambda: not psutil.pid_exists(everything.said["pid"]))
    left = {process.pid for process in find_remains(everything.home)}
    assert left

    # Attached this time: it ends with the one who started it.
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "up", "--no-dashboard", "--no-deploy"],
        env=everything.environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as up:
        assert up.stdout is not None
        said = []
        for line in up.stdout:
            said.append(line)
            if line.startswith("up (mode"):
                break
        assert any("ended what an earlier run had left behind" in line for line in said), said
        assert not any(psutil.pid_exists(pid) for pid in left)
        assert set(everything.parts()) == {"prefect", "twin", "worker"}

        # As a flow run: in a session of its own, where no signal to the worker's group goes.
        run = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"],
            env={**everything.environment, MARK: str(everything.home)},
            start_new_session=True,
        )
        begun = time.monotonic()
        up.send_signal(signal.SIGTERM)
        rest = up.communicate(timeout=60)[0]
        assert time.monotonic() - begun < 30
    assert up.returncode == 0, rest
    assert "stopped in" in rest
    assert run.wait(5) == -signal.SIGTERM
    last = (everything.home / "logs" / "supervisor.log").read_text().splitlines()
    ended = [line for line in last if "ended flow runs" in line]
    assert any(str(run.pid) in line for line in ended), last[-12:]
    assert find_remains(everything.home) == []
    for port in everything.ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))


def test_down_where_nothing_is_up_says_so(everything: Everything) -> None:
    done = everything.ouroboros("down")

    assert done.returncode == 0
    assert "was not up" in done.stdout
    assert everything.parts() == {}
