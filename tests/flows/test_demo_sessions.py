"""Sessions in a row as a person runs them: one exchange, one store, a model on the real wire."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flows.demo import Demo, DemoFailed, _begin, run_demo
from flows.twin_process import TwinChild, TwinFailed
from tests.gemini_stand_in import by_the_prompt, gemini_stand_in
from trading_core.adapters.duck.store import DuckStore
from trading_core.errors import ConfigError
from trading_core.model.journal import ContextLayer

ROOT = Path(__file__).resolve().parents[2]
DAYS = ["2026-09-10", "2026-09-11", "2026-09-14"]


def demo(**wanted: Any) -> Demo:
    base: dict[str, Any] = {"market": "KR", "session": date(2026, 9, 10), "data": (), "seed": 3}
    return Demo(**{**base, "capital": None, "every": 1800, "keep": None, **wanted})


def play(home: Path, url: str) -> list[dict[str, Any]]:
    """The lines that the command prints."""
    wanted = ["--date", DAYS[0], "--until", "2026-09-14", "--planner", "gemini", "--seed", "3"]
    wanted += ["--every", "1800"]
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "demo", *wanted, "--keep", str(home), "--json"],
        cwd=ROOT,
        env=os.environ | {"GEMINI_API_KEY": "a-key", "GEMINI_BASE_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.server
@pytest.mark.slow
async def test_sessions_in_a_row_carry_cash_holdings_and_memory(tmp_path: Path) -> None:
    async with gemini_stand_in(respond=by_the_prompt) as model:
        *sessions, total = await asyncio.to_thread(play, tmp_path / "kept", model.base_url)

    assert [s["session"] for s in sessions] == DAYS
    assert (total["first"], total["last"], total["sessions"]) == (DAYS[0], DAYS[-1], 3)
    assert total["playbooks"] == {"gemini": 3}
    assert total["fallbacks"] == {}
    assert len(model.bodies) == total["llm"]["calls"] == 6, "a plan and a review each"
    assert total["llm"]["tokens"] > 0

    money = total["money"]["KRW"]
    for before, after in pairwise(sessions):
        held = {p["symbol"]: p["quantity"] for p in before["positions"]}
        # What was held at a close can only be held or sold in the next session.
        assert held, "the test needs positions to be carried"
        sold = {p["symbol"] for p in after["positions"]} | {
            best["symbol"] for side in ("best", "worst") for best in after["scorecard"][side]
        }
        assert held.keys() <= sold
    nets = sum((Decimal(s["pnl"]["KRW"]["net"]) for s in sessions), Decimal(0))
    assert Decimal(money["net"]) == nets
    assert Decimal(money["equity_start"]) == 50_000_000
    assert (
        Decimal(money["equity_start"]) + nets + Decimal(money["overnight"])
        == Decimal(money["equity_end"])
        == Decimal(sessions[-1]["equity"]["KRW"]["end"])
    )

    assert [entry["timeframe"] for entry in total["memory"]["L3"]] == DAYS
    with DuckStore(tmp_path / "kept" / "trades.db").read() as reader:
        assert len(reader.scorecards("KR")) == 3
        weeks = {e.timeframe for e in reader.context_history(ContextLayer.L4, market="KR")}
        assert weeks == {"2026-W37", "2026-W38"}
        fills = reader.fills("KR")
    assert total["fills"] == len(fills)
    assert total["calibration"]["samples"] <= total["closed"]["trades"]


@pytest.mark.server
def test_a_session_that_cannot_follow_is_refused_with_the_exchanges_words(tmp_path: Path) -> None:
    with TwinChild(["--date", DAYS[0]], tmp_path) as twin:
        twin.wait_ready()
        twin.begin_session(date(2026, 9, 11))

        with pytest.raises(TwinFailed, match="2026-09-11 is not later than the session of"):
            twin.begin_session(date(2026, 9, 11))
        with pytest.raises(DemoFailed, match="2026-09-13"):
            _begin(twin, date(2026, 9, 13))  # a Sunday

    with pytest.raises(TwinFailed, match="does not answer"):
        twin.begin_session(date(2026, 9, 14))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"session": None, "until": date(2026, 9, 11)}, "--until needs --date"),
        ({"until": date(2026, 9, 9)}, "is before --date"),
        ({"planner": "oracle"}, "choose rules or gemini"),
        ({"planner": "gemini"}, "set GEMINI_API_KEY"),
    ],
)
def test_what_cannot_be_played_is_said_before_anything_is_started(
    wanted: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("flows.demo.TwinChild", None)
    keep = tmp_path / "kept"

    with pytest.raises(ConfigError, match=said):
        run_demo(demo(**wanted, keep=keep), quiet=True)

    assert not keep.exists()
