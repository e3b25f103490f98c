"""The mutants: ``python -m tests.mutations [--only ID] [--list] [--table] [--json]``.

Takes one safety rule after the other out of a copy of the project and runs the tests that are
there to notice. Exit code 0 only when every one of them fails for its mutant and passes without.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.mutations.mutants import ROOT, Mutant, all_mutants, table
from tests.mutations.runner import Outcome, Verdict, attempt, copy_of, unmutated


def main() -> int:
    """Try the mutants, show how each ended, say by the exit code whether all were caught."""
    options = _options()
    mutants = [m for m in all_mutants() if not options.only or m.id in options.only]
    unknown = set(options.only or ()) - {mutant.id for mutant in mutants}
    if unknown:
        sys.stderr.write(f"error: no such mutant: {', '.join(sorted(unknown))}; see --list\n")
        return 2
    if options.table:
        print(table(mutants), end="")
        return 0
    if options.list:
        for mutant in mutants:
            print(f"{mutant.id:42} {mutant.rule}")
        return 0
    # So that the copy and a run of tests that is under way go too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    began = time.perf_counter()
    outcomes = _try(mutants, Console(stderr=True))
    return _end(outcomes, time.perf_counter() - began, as_json=options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--only", action="append", metavar="ID", help="this one; may be repeated")
    parser.add_argument("--list", action="store_true", help="show the mutants and try none")
    parser.add_argument("--table", action="store_true", help="print the table of the docs")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    return parser.parse_args()


def _try(mutants: Sequence[Mutant], shown: Console) -> list[Outcome]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    outcomes: list[Outcome] = []
    with _scratch() as folder, Progress(*columns, TimeElapsedColumn(), console=shown) as progress:
        bar = progress.add_task("without any mutant", total=len(mutants))
        root = copy_of(ROOT, folder / "project")
        before = unmutated(root, mutants)
        for mutant in mutants:
            progress.update(bar, description=mutant.id)
            outcomes.append(attempt(root, mutant, before))
            progress.advance(bar)
            shown.print(_line(outcomes[-1]), highlight=False, markup=False, soft_wrap=True)
    return outcomes


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ouroboros-mutants-") as folder:
        yield Path(folder)


def _line(outcome: Outcome) -> str:
    line = f"{outcome.verdict.value:9} {outcome.seconds:5.1f} s  {outcome.mutant.id}"
    return f"{line}: {outcome.detail}" if outcome.detail else line


def _end(outcomes: Sequence[Outcome], seconds: float, *, as_json: bool) -> int:
    count = {verdict: sum(o.verdict is verdict for o in outcomes) for verdict in Verdict}
    if as_json:
        answer = {
            **{verdict.value: number for verdict, number in count.items()},
            "seconds": round(seconds, 1),
            "mutants": [
                {
                    "id": outcome.mutant.id,
                    "verdict": outcome.verdict.value,
                    "detail": outcome.detail,
                    "seconds": round(outcome.seconds, 1),
                }
                for outcome in outcomes
            ],
        }
        print(json.dumps(answer))
    else:
        counts = ", ".join(f"{number} {verdict.value}" for verdict, number in count.items())
        print(f"{len(outcomes)} mutants in {seconds:.0f} s: {counts}")
    return 0 if count[Verdict.CAUGHT] == len(outcomes) > 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
