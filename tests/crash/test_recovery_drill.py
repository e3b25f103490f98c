"""The recovery drill: nothing that the broker knows stays lost, and nothing is sent too early."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_machine_that_lost_its_files_goes_on_from_a_backup_and_the_brokers_records() -> None:
    command = [sys.executable, "-m", "tests.crash.drill"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)

    # Every order and every share of the exchange's own book is in the store again.
    assert answer["violations"] == []
    assert done.returncode == 0
    # It was a drill at all: much was written after the backup, and there was trading in it.
    assert answer["rows_lost"] > 100
    [agreement] = answer["agreements"]
    assert agreement["orders"] >= 5
    assert agreement["fills"] >= 5
    assert answer["agreed"]
    # Stops may go before a person has looked, entries may not.
    assert answer["orders_before_a_person_resumed"] == 0
    assert answer["went_on"]
    assert answer["orders"] > agreement["orders"] + 20
