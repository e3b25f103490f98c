"""The crash bench: ``python -m tests.crash --schedules 500 --seed 1 [--json]``.

Every schedule plays a session of 42 ticks and about 65 orders against the twin while the trader
is killed, run twice and lied to; afterwards the exchange's own book is compared with the store.
Exit code 0 only without a single violation. A failing schedule is played again, alone, with
``--only SEED --keep FOLDER``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import track

from tests.crash.bench import MARKETS, Outcome, play, tape_of


def main() -> int:
    """Play the schedules, print the counts, say by the exit code whether all held."""
    options = _options()
    seeds = (
        [options.only]
        if options.only is not None
        else [options.seed + turn for turn in range(options.schedules)]
    )
    outcomes, failures = [], []
    for market in range(MARKETS):
        tape_of(market)
    shown = Console(stderr=True)
    # Stopped by hand (Ctrl-C, SIGTERM), it still says what it has seen so far.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        multiprocessing.get_context("fork").Pool(options.jobs, _alone, maxtasksperchild=20) as pool,
        suppress(KeyboardInterrupt),
    ):
        work = pool.imap_unordered(_attempt, [(seed, options.keep) for seed in seeds])
        for outcome, failure in track(
            work, "crashing", total=len(seeds), console=shown, disable=not shown.is_terminal
        ):
            if outcome is not None:
                outcomes.append(outcome)
            if failure:
                failures.append(failure)
            if not shown.is_terminal:
                _report(outcome, failure, len(seeds) - len(outcomes) - len(failures))
    answer = summary(outcomes, failures)
    if options.json:
        print(json.dumps(answer))
    else:
        _show(answer, Console())
    return 1 if answer["violations"] or answer["schedules"] < len(seeds) else 0


def _alone() -> None:
    """The driver of schedules leaves the answer to a stop to the process that counts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _report(outcome: Outcome | None, failure: str, left: int) -> None:
    """One line a schedule, for a log that nobody watches."""
    if outcome is None:
        text = f"FAILED {failure}"
    else:
        violations = outcome.findings.violations
        text = f"seed {outcome.seed}: {outcome.seconds:.0f} s, {outcome.kills} kills"
        text += f", VIOLATIONS {violations}" if violations else ", clean"
    print(f"{text}; {left} left", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--schedules", type=int, default=40, help="how many (default 40)")
    parser.add_argument("--seed", type=int, default=1, help="of the first; the next counts on")
    parser.add_argument("--only", type=int, help="play this seed alone")
    parser.add_argument("--keep", type=Path, help="keep the homes of the schedules in this folder")
    parser.add_argument("--jobs", type=int, default=2, help="schedules at a time (default 2)")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    return parser.parse_args()


def _attempt(job: tuple[int, Path | None]) -> tuple[Outcome | None, str]:
    seed, keep = job
    try:
        outcome = play(seed, keep / str(seed) if keep else None)
    except Exception as error:
        return None, f"seed {seed}: {error}"
    return outcome, ""


def summary(outcomes: Iterable[Outcome], failures: Iterable[str]) -> dict[str, Any]:
    """The counts of all schedules together."""
    outcomes = list(outcomes)
    found = [outcome.findings for outcome in outcomes]
    recoveries = sorted(seconds for outcome in outcomes for seconds in outcome.recoveries)
    violations = [
        f"seed {outcome.seed}: {text}"
        for outcome in outcomes
        for text in outcome.findings.violations
    ]
    return {
        "schedules": len(outcomes),
        "kills": sum(outcome.kills for outcome in outcomes),
        "faults": sum(outcome.faults for outcome in outcomes),
        "second_ticks": sum(outcome.second_ticks for outcome in outcomes),
        "broker_restarts": sum(outcome.broker_restarts for outcome in outcomes),
        "failed_starts": sum(outcome.failed_starts for outcome in outcomes),
        "ticks": sum(f.ticks for f in found),
        "intents": sum(f.intents for f in found),
        "orders": sum(f.orders for f in found),
        "fills": sum(f.fills for f in found),
        "duplicates": sum(f.duplicates for f in found),
        "lost_fills": sum(f.lost_fills for f in found),
        "unknown_left": sum(f.unknown_left for f in found),
        "unprotected_ticks": sum(f.unprotected_ticks for f in found),
        "halts": sum(f.halts for f in found),
        "violations": [*violations, *failures],
        "recovery_seconds": {
            "p50": round(median(recoveries), 3) if recoveries else None,
            "p95": round(recoveries[int(len(recoveries) * 0.95)], 3) if recoveries else None,
            "max": round(recoveries[-1], 3) if recoveries else None,
        },
        "seconds_per_schedule": round(
            sum(outcome.seconds for outcome in outcomes) / len(outcomes), 2
        )
        if outcomes
        else None,
    }


def _show(answer: dict[str, Any], console: Console) -> None:
    for name, value in answer.items():
        if name != "violations":
            console.print(f"{name:>22}  {value}")
    for text in answer["violations"]:
        console.print(f"VIOLATION {text}", style="bold red")
    if not answer["violations"]:
        console.print("no violation", style="bold green")


if __name__ == "__main__":
    sys.exit(main())
