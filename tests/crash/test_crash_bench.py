"""The short crash bench: a few schedules of kills, lost replies and second runs, no violation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.schedule import draw

ROOT = Path(__file__).parents[2]
SCHEDULES = 6


def test_the_schedule_of_a_seed_is_always_the_same() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_the_last_life_of_a_schedule_is_left_alone() -> None:
    lives = [draw(seed).lives for seed in range(200)]
    assert all(life[-1].kill is None for life in lives)
    assert all(kill.kill is not None for life in lives for kill in life[:-1])


@pytest.mark.slow
def test_every_order_reaches_the_broker_once_whatever_is_killed() -> None:
    command = [sys.executable, "-m", "tests.crash", "--schedules", str(SCHEDULES), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    assert answer["violations"] == []
    assert done.returncode == 0
    assert answer["schedules"] == SCHEDULES
    # It was a bench at all: sessions long enough, and things did go wrong in them.
    assert answer["ticks"] >= 40 * SCHEDULES
    assert answer["orders"] >= 60 * SCHEDULES * 0.9
    assert answer["kills"] >= SCHEDULES
    assert answer["faults"] >= SCHEDULES / 4
    assert answer["second_ticks"] > 0
    zeros = ("duplicates", "lost_fills", "unknown_left", "unprotected_ticks")
    assert {name: answer[name] for name in zeros} == dict.fromkeys(zeros, 0)
