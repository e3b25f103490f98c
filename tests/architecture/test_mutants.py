"""The mutants still fit the code, their tests and their page; none of them is tried here."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.mutations.mutants import ROOT, Mutant, all_mutants, table
from tests.mutations.runner import Verdict, attempt, unmutated

MUTANTS = all_mutants()
PAGE = ROOT / "docs" / "decisions" / "0008-mutants.md"
each_mutant = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.id)


def defined(path: Path) -> set[str]:
    """``test_name`` and ``TestClass::test_name`` of a file."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        for item in inner:
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(prefix + item.name)
    return found


def test_every_mutant_has_a_name_and_a_change_of_its_own() -> None:
    for values in ([m.id for m in MUTANTS], [(m.file, m.old, m.new) for m in MUTANTS]):
        assert [value for value, times in Counter(values).items() if times > 1] == []


@each_mutant
def test_the_text_of_a_mutant_is_in_its_file_exactly_once(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    assert mutant.applied(text) != text


def test_every_mutated_file_is_a_program_still(tmp_path: Path) -> None:
    # A test that is red because of a misspelled name proves nothing.
    for mutant in MUTANTS:
        changed = mutant.applied((ROOT / mutant.file).read_text())
        (tmp_path / f"{mutant.id.replace('-', '_')}.py").write_text(changed)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache"]
    done = subprocess.run(
        [*command, "--select", "F821,F822,F823", "--output-format", "concise", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@each_mutant
def test_the_tests_of_a_mutant_exist(mutant: Mutant) -> None:
    assert mutant.tests
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert name in defined(ROOT / path), test


def test_the_page_shows_exactly_these_mutants() -> None:
    rows = "".join(line for line in PAGE.read_text().splitlines(True) if line.startswith("|"))
    assert rows == table(MUTANTS), "print the table anew: python -m tests.mutations --table"


def test_every_room_with_a_safety_rule_has_a_mutant() -> None:
    rooms = {mutant.file.split("/")[1] for mutant in MUTANTS if "trading_core" in mutant.file}
    assert {"rules", "steps", "adapters", "model"} <= rooms


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A program of one rule, and a test that knows half of it."""
    (tmp_path / "limit.py").write_text("def passes(share):\n    return share <= 30\n")
    (tmp_path / "test_limit.py").write_text(
        "from limit import passes\n\n"
        "def test_the_bound():\n    assert passes(30)\n\n"
        "def test_more():\n    assert not passes(100)\n\n"
        "def test_nonsense():\n    assert passes(31)\n"
    )
    return tmp_path


def test_the_runner_tells_what_was_caught_from_what_was_not(project: Path) -> None:
    def mutant(new: str, test: str) -> Mutant:
        return Mutant("m", "no more than 30", "limit.py", "share <= 30", new, (test,))

    tried = [
        mutant("share < 30", "test_limit.py::test_the_bound"),
        mutant("share <= 31", "test_limit.py::test_the_bound"),
        mutant("share <= ", "test_limit.py::test_more"),
        mutant("share <= 29", "test_limit.py::test_nonsense"),
    ]
    source = (project / "limit.py").read_text()
    before = unmutated(project, tried)
    outcomes = [attempt(project, one, before) for one in tried]
    assert [outcome.verdict for outcome in outcomes] == [
        Verdict.CAUGHT,
        Verdict.SURVIVED,
        Verdict.BROKEN,
        Verdict.BROKEN,
    ]
    assert (project / "limit.py").read_text() == source
