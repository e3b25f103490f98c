"""The systemd unit and the compose file say what the tools they are for understand."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from flows import cli

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "systemd" / "ouroboros.service"
COMPOSE = ROOT / "deploy" / "compose.yaml"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def commands() -> set[str]:
    root: Any = typer.main.get_command(cli.app)
    return set(root.commands)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    # Verifying looks whether the program is there.
    unit.write_text(UNIT.read_text().replace("/opt/ouroboros/.venv/bin/ouroboros", sys.executable))

    done = run("systemd-analyze", "verify", str(unit))

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_compose_file_fits_the_compose_specification() -> None:
    done = run(
        *(sys.executable, "-m", "check_jsonschema"),
        *("--builtin-schema", "vendor.compose-spec", str(COMPOSE)),
    )

    assert done.returncode == 0, done.stdout


def test_docker_reads_the_compose_file() -> None:
    if run("docker", "compose", "version").returncode if shutil.which("docker") else 1:
        pytest.skip("no docker compose on this machine")
    done = subprocess.run(
        ["docker", "compose", "-f", str(COMPOSE), "config", "--quiet"],
        env={"POSTGRES_PASSWORD": "x", "PATH": "/usr/bin:/usr/local/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_services_wait_for_services_that_there_are_and_use_volumes_that_there_are() -> None:
    volumes = yaml.safe_load(COMPOSE.read_text())["volumes"]
    for name, service in services().items():
        assert set(service.get("depends_on", {})) <= set(services()), name
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services()[other]
        for volume in service["volumes"]:
            assert volume.split(":")[0] in volumes, name


def test_pages_are_published_on_this_machine_only() -> None:
    for service in services().values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_deploy_files_call_commands_that_there_are() -> None:
    text = COMPOSE.read_text() + UNIT.read_text()
    called = set(re.findall(r"^(?!\s*#).*?\bouroboros (\w+)", text, flags=re.MULTILINE))

    assert {"up", "dashboard", "telegram", "twin", "book"} <= called
    assert called <= commands()


def test_no_secret_is_written_into_the_deploy_files() -> None:
    for line in COMPOSE.read_text().splitlines():
        if re.match(r"\s*[A-Z_]*(PASSWORD|AUTH_STRING|TOKEN|KEY|SECRET)[A-Z_]*:", line):
            assert "${" in line, line
