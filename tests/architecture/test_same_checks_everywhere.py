"""What ``make lint`` checks is what a commit checks, with the tools of the same environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def made() -> list[str]:
    """The commands of ``make lint``."""
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    return [line.strip().removeprefix("$(RUN)") for line in recipe[1].splitlines()]


def hooks() -> list[dict[str, Any]]:
    content = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in content["repos"]] == ["local"]
    return [hook for repo in content["repos"] for hook in repo["hooks"]]


def kind(command: str) -> str:
    """``ruff check``, ``ruff format``, ``mypy``, ``lint-imports``."""
    return " ".join(re.findall(r"^[a-z-]+(?: (?:check|format))?", command))


def test_a_commit_runs_the_tools_of_make_lint() -> None:
    entries = [hook["entry"].removeprefix(".venv/bin/") for hook in hooks()]

    assert [kind(entry) for entry in entries] == [kind(command) for command in made()]
    assert len(entries) == 4


def test_the_tools_come_from_the_environment_of_the_project() -> None:
    for hook in hooks():
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")


def test_make_test_lints_first_and_runs_every_test() -> None:
    makefile = (ROOT / "Makefile").read_text()

    [recipe] = re.findall(r"^test: (lint\b.*)\n\t(.*)$", makefile, re.MULTILINE)
    assert "pytest" in recipe[1]
    assert not re.search(r" -[mk] |--ignore|--deselect", recipe[1])
