"""Who may import whom: the contracts of ``pyproject.toml``, and proof that they bite."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("flows", "tasks", "trading_core", "dashboards")
LINT = "from importlinter.cli import lint_imports_command as lint; lint()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", "--no-logo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_import_contracts_hold() -> None:
    done = lint(ROOT)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b0 broken\b", done.stdout)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The tree, to sin in."""
    for room in ROOMS:
        shutil.copytree(
            ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "sin", "contract"),
    [
        ("trading_core/steps/observe.py", "import httpx", "meaning and arithmetic do no I/O"),
        ("trading_core/rules/risk.py", "import duckdb", "meaning and arithmetic do no I/O"),
        ("trading_core/ports.py", "from google import genai", "meaning and arithmetic do no I/O"),
        (
            "trading_core/rules/risk.py",
            "from trading_core.ports import Store",
            "the library's rooms",
        ),
        (
            "trading_core/adapters/gemini.py",
            "from trading_core.steps import tick",
            "the library's rooms",
        ),
        (
            "trading_core/model/order.py",
            "from trading_core.clock import Clock",
            "the library's rooms",
        ),
        (
            "trading_core/steps/tick.py",
            "from trading_core.settings import Settings",
            "settings are read in the wiring only",
        ),
        (
            "trading_core/adapters/gemini.py",
            "import prefect",
            "the library knows nothing of its orchestrator",
        ),
        ("trading_core/wiring/runtime.py", "import flows.tick", "flows call tasks"),
        ("tasks/trading.py", "import flows.tick", "flows call tasks"),
        (
            "dashboards/__init__.py",
            "from trading_core.steps import operate",
            "the dashboard sees the wiring and the model",
        ),
    ],
    ids=lambda value: str(value).replace("trading_core/", "").replace(" ", "-")[:40],
)
def test_a_planted_sin_is_caught(copied: Path, file: str, sin: str, contract: str) -> None:
    with (copied / file).open("a") as source:
        source.write(f"\n{sin}\n")

    done = lint(copied)

    assert done.returncode == 1, done.stdout + done.stderr
    broken = [line for line in done.stdout.splitlines() if line.rstrip().endswith("BROKEN")]
    assert any(line.startswith(contract) for line in broken), done.stdout


def test_a_room_that_nobody_placed_is_caught(copied: Path) -> None:
    (copied / "trading_core" / "attic").mkdir()
    (copied / "trading_core" / "attic" / "__init__.py").write_text("")

    done = lint(copied)

    assert done.returncode == 1
    assert "attic" in done.stdout
