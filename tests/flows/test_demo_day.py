"""The main job as a person runs it: a process, a whole day, its books and its repeatability."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trading_core.adapters.duck.store import DuckStore
from trading_core.model.order import Side

ROOT = Path(__file__).resolve().parents[2]
KEYS = {
    "market", "session", "playbook", "ticks", "observations", "matches", "orders", "fills", "pnl",
    "positions", "equity", "halts", "llm", "scorecard", "backup", "decisions_digest",
    "wall_seconds",
}  # fmt: skip

pytestmark = [pytest.mark.server, pytest.mark.slow]


def play(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "demo", *arguments, "--json"],
        cwd=ROOT,
        env={**os.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1, "one object and nothing else on standard output"
    answer: dict[str, Any] = json.loads(lines[0])
    return answer


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    home = tmp_path_factory.mktemp("days") / "first"
    return play("--market", "KR", "--seed", "3", "--every", "1200", "--keep", str(home)), home


def test_a_whole_day_answers_with_everything_it_promises(
    day: tuple[dict[str, Any], Path],
) -> None:
    answer, _ = day

    assert answer.keys() >= KEYS
    assert answer["playbook"]["source"] == "rules"
    assert answer["ticks"] == 20
    assert answer["observations"] == answer["ticks"] * answer["playbook"]["stocks"] > 0
    assert answer["orders"]["filled"] > 0
    assert answer["orders"]["unknown"] == 0
    assert answer["scorecard"]["orders"] == answer["orders"]["accepted"]
    assert answer["backup"]["verified"]
    assert answer["halts"] == []


def test_the_books_balance_to_the_last_won(day: tuple[dict[str, Any], Path]) -> None:
    answer, home = day
    pnl = {name: Decimal(text) for name, text in answer["pnl"]["KRW"].items()}
    equity = {name: Decimal(text) for name, text in answer["equity"]["KRW"].items()}
    with DuckStore(home / "trades.db").read() as reader:
        fills = reader.fills("KR")
        curve = reader.equity_curve("KR", fills[0].session)

    assert equity["end"] == equity["start"] + pnl["gross"] - pnl["fees"] - pnl["tax"]
    moved = sum(f.amount if f.side is Side.SELL else -f.amount for f in fills)
    costs = sum((f.fee + f.tax for f in fills), Decimal(0))
    held = sum((Decimal(p["last_price"]) * p["quantity"] for p in answer["positions"]), Decimal(0))
    # The broker's cash against our own fills, and its equity against cash and positions.
    assert curve[-1].cash == equity["start"] + moved - costs
    assert equity["end"] == curve[-1].cash + held
    assert pnl["fees"] + pnl["tax"] == costs


def test_the_same_inputs_and_seed_give_the_same_decisions_orders_and_fills(
    day: tuple[dict[str, Any], Path],
) -> None:
    first, _ = day

    second = play("--market", "KR", "--seed", "3", "--every", "1200")

    changing = {"wall_seconds", "backup", "kept"}
    assert {k: v for k, v in second.items() if k not in changing} == {
        k: v for k, v in first.items() if k not in changing
    }
