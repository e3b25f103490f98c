"""The flows on a real Prefect server, started by hand and by a real worker, against the twin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.prefect_server import PrefectServer
from flows.twin_process import TwinChild

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("twin-app-key", "twin-app-secret", "50000000-01", "5000000001")

pytestmark = [pytest.mark.server, pytest.mark.slow]


@dataclass
class Stage:
    """A Prefect server and a stepped twin, with the environment of everyone who uses them."""

    home: Path
    server: PrefectServer
    twin_url: str
    environment: dict[str, str]

    def run(self, *command: str, seconds: float = 180) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            env=self.environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def ouroboros(self, *arguments: str) -> dict[str, Any]:
        done = self.run("flows.cli", *arguments, "--json")
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer | {"exit": done.returncode}

    def api(self, path: str, body: dict[str, Any]) -> Any:
        return _post(f"{self.server.url}/{path}", body)

    def move_clock(self, at: str) -> None:
        _post(f"{self.twin_url}/twin/clock", {"advance_to": at})


def _post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("home")
    with ExitStack() as stack:
        server = stack.enter_context(PrefectServer(home))
        twin = stack.enter_context(TwinChild(["--market", "KR", "--seed", "7"], home))
        place = twin.wait_ready()
        server.wait_ready()
        environment = {
            **os.environ,
            **server.environment(),
            "OUROBOROS_HOME": str(home),
            "ENABLED_MARKETS": "KR",
        }
        yield Stage(home, server, place["url"], environment)


def test_a_closed_market_is_skipped_with_its_reason(stage: Stage) -> None:
    answer = stage.ouroboros("tick", "KR")

    assert answer["state"] == "Skipped"
    assert "closed at 2026-09-10 08:15" in answer["message"]
    assert answer["exit"] == 0


def test_a_tick_by_hand_plans_first_and_shows_the_playbook(stage: Stage) -> None:
    stage.move_clock("2026-09-10T00:35:00+00:00")

    answer = stage.ouroboros("tick", "KR")

    assert answer["state"] == "Completed", answer
    assert "priced" in answer["message"]
    artifacts = stage.api("artifacts/filter", {})
    assert {"playbook-kr"} <= {artifact["key"] for artifact in artifacts}
    status = stage.ouroboros("status")
    assert status["markets"][0]["ticks"] == 1


def test_a_worker_runs_a_tick_that_was_triggered_through_the_api(stage: Stage) -> None:
    stage.move_clock("2026-09-10T00:40:00+00:00")
    made = stage.run("prefect", "work-pool", "create", "local", "--type", "process")
    assert made.returncode == 0, made.stderr
    deployed = stage.run("prefect", "--no-prompt", "deploy", "--name", "tick/KR")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    [deployment] = stage.api("deployments/filter", {"deployments": {"name": {"any_": ["KR"]}}})
    log = (stage.home / "worker.log").open("wb")
    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "local"],
        env=stage.environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    try:
        run = stage.api(f"deployments/{deployment['id']}/create_flow_run", {})
        ended = _wait_until_final(stage, run["id"])
    finally:
        worker.terminate()
        worker.wait(timeout=30)
        log.close()

    assert ended["state"]["type"] == "COMPLETED", (stage.home / "worker.log").read_text()
    assert ended["name"] == "tick KR 2026-09-10 09:40"
    assert stage.ouroboros("status")["markets"][0]["ticks"] == 2


def test_a_halt_pauses_the_plan_and_nothing_else_until_it_is_lifted(stage: Stage) -> None:
    for name in ("plan/KR", "session/KR"):
        deployed = stage.run("prefect", "--no-prompt", "deploy", "--name", name)
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr

    assert stage.ouroboros("halt", "KR", "--reason", "a doubt")["paused"] == ["plan/KR"]

    found = stage.api("deployments/filter", {})
    paused = {tuple(sorted(item["tags"])): item["paused"] for item in found}
    assert paused.pop(("KR", "plan", "trading")) is True
    assert set(paused.values()) == {False}
    assert stage.ouroboros("status")["paused_deployments"] == ["plan/KR"]
    assert stage.ouroboros("resume", "KR", "--reason", "looked")["restored"] == ["plan/KR"]
    assert not any(item["paused"] for item in stage.api("deployments/filter", {}))


def test_the_kill_switch_goes_to_its_end_from_a_command_and_a_flow(stage: Stage) -> None:
    answer = stage.ouroboros("kill", "KR", "--reason", "a drill", "--reduce")
    assert (answer["exit"], answer["failed"]) == (0, []), answer
    assert [row["step"] for row in answer["steps"]] == [
        *("block", "cancel", "refresh", "reduce", "snapshot", "notify")
    ]
    stage.move_clock("2026-09-10T00:41:00+00:00")
    code = "import asyncio; from flows.kill import kill; print(asyncio.run(kill('kr', 'drill')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=stage.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert stage.ouroboros("status")["states"]["KR"] == "halted"
    stage.ouroboros("resume", "KR", "--reason", "the drill is over")


def test_no_secret_reaches_the_prefect_database(stage: Stage) -> None:
    written = [path for path in (stage.home / "prefect").rglob("*") if path.is_file()]
    assert any(path.name.startswith("prefect.db") for path in written)

    for path in written:
        content = path.read_bytes()
        for secret in SECRETS:
            assert secret.encode() not in content, f"{secret} in {path.name}"


def _wait_until_final(stage: Stage, run_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        [run] = stage.api("flow_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
        if run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            return dict(run)
        time.sleep(0.5)
    raise AssertionError((stage.home / "worker.log").read_text())
