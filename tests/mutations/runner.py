"""Applies mutants to a copy of the project, one at a time, and runs the tests they name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.mutations.mutants import Mutant

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "data", "__pycache__", ".hypothesis", ".*_cache")
SECONDS = 300.0
"""A run of tests that takes longer has hung."""

_OUTCOME = re.compile(r"^(PASSED|FAILED) (\S+?)(?:\[.*)?$")
_SOME_FAILED = 1


class Verdict(StrEnum):
    """``CAUGHT``: every named test failed. ``SURVIVED``: one of them did not. ``BROKEN``: nothing
    was proved, because the tests fail without the mutant or did not run with it."""

    CAUGHT = "caught"
    SURVIVED = "survived"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one mutant ended; ``detail`` says of what is not ``CAUGHT`` why."""

    mutant: Mutant
    verdict: Verdict
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """The tests that passed and that failed; one of several cases that fails, fails."""

    code: int
    passed: frozenset[str]
    failed: frozenset[str]
    tail: str


def copy_of(project: Path, target: Path) -> Path:
    """A copy of a project, without its history, environment, state and caches."""
    shutil.copytree(project, target, ignore=LEFT_OUT)
    return target


def run_tests(root: Path, names: Iterable[str], *, byte_code: bool = False) -> Run:
    """Run the named tests of a project in a process of its own.

    Args:
        byte_code: Keep what was compiled for later runs; only of code that is not changed.
    """
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rpfE", "--tb=no"]
    # The copy comes before the project in its environment, also in processes that tests start.
    environment = {**os.environ, "PYTHONPATH": str(root), "COLUMNS": "1000"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if not byte_code:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    try:
        done = subprocess.run(
            [*command, *names],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Run(-1, frozenset(), frozenset(), f"no end after {SECONDS:.0f} s")
    lines = done.stdout.splitlines()
    found = [m.groups() for line in lines if (m := _OUTCOME.match(line.partition(" - ")[0]))]
    failed = frozenset(name for word, name in found if word == "FAILED")
    passed = frozenset(name for word, name in found if word == "PASSED") - failed
    return Run(done.returncode, passed, failed, (lines or done.stderr.splitlines() or [""])[-1])


def unmutated(root: Path, mutants: Sequence[Mutant]) -> Run:
    """Every named test, on the code as it is."""
    names = sorted({name for mutant in mutants for name in mutant.tests})
    return run_tests(root, names, byte_code=True)


def attempt(root: Path, mutant: Mutant, before: Run) -> Outcome:
    """Apply a mutant, run its tests, take it back."""
    began, path = time.perf_counter(), root / mutant.file
    missing = sorted(set(mutant.tests) - before.passed)
    if missing:
        why = f"without the mutant {', '.join(missing)} did not pass: {before.tail}"
        return Outcome(mutant, Verdict.BROKEN, why)
    kept = path.with_name(path.name + ".kept")
    shutil.copy2(path, kept)
    try:
        path.write_text(mutant.applied(kept.read_text()))
        run = run_tests(root, mutant.tests)
    except ValueError as error:
        return Outcome(mutant, Verdict.BROKEN, str(error))
    finally:
        # With its old time, by which the compiled code of the first run is known to be its own.
        kept.replace(path)
    seconds = time.perf_counter() - began
    if run.code not in (0, _SOME_FAILED):
        return Outcome(mutant, Verdict.BROKEN, f"pytest: {run.tail}", seconds)
    green = sorted(set(mutant.tests) - run.failed)
    if green:
        return Outcome(mutant, Verdict.SURVIVED, f"not red: {', '.join(green)}", seconds)
    return Outcome(mutant, Verdict.CAUGHT, seconds=seconds)
