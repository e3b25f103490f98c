"""A planner that is killed while the model is thinking: what it began stays counted."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.openai_stand_in import OpenAiStandIn, Said, good_reply, openai_stand_in
from tests.planning_fakes import AT, SESSION, FakeBroker, FakeMarketData, bars, small_calendar
from trading_core.adapters.duck.store import DuckStore
from trading_core.adapters.openai_compatible import OpenAiCompatibleModel
from trading_core.clock import FixedClock
from trading_core.model.journal import LlmCall
from trading_core.model.language import LOST, OK, UNDER_WAY
from trading_core.model.limits import (
    LlmBudget,
    PlanLimits,
    Policy,
    RiskLimits,
    ScanLimits,
    SizingPolicy,
)
from trading_core.model.market import MarketGroup
from trading_core.model.playbook import Playbook, PlaybookSource
from trading_core.rules import calendar
from trading_core.rules.llm_budget import ledger
from trading_core.rules.llm_prices import OPENAI_PRICES
from trading_core.steps.ask import AccountedModel
from trading_core.steps.gather import Universe
from trading_core.steps.model_planner import ModelPlanner
from trading_core.steps.plan import plan_session

ROOT = Path(__file__).parents[2]
KR = MarketGroup.KR
SYMBOL = "005930"
LATER = AT + timedelta(minutes=5)


def plan_once(path: str, url: str, calls_per_day: int, minutes: int = 0) -> Playbook:
    """One run of the plan in this process, with a real store and a real connection."""
    calendar._tables[KR] = small_calendar(KR)
    at = AT + timedelta(minutes=minutes)
    store = DuckStore(Path(path))
    accounted = AccountedModel(
        OpenAiCompatibleModel(base_url=url, model="gpt-5-mini"),
        store,
        FixedClock(at),
        budget=LlmBudget(calls_per_day, Decimal(0), Decimal(0)),
        prices=OPENAI_PRICES,
    )
    playbook, _ = asyncio.run(
        plan_session(
            store,
            FakeMarketData({SYMBOL: bars()}, (SYMBOL,)),  # type: ignore[arg-type]
            FakeBroker(),  # type: ignore[arg-type]
            ModelPlanner(accounted, timeout_seconds=30.0, max_output_tokens=8192),
            group=KR,
            session=SESSION,
            at=at,
            policy=Policy(RiskLimits(), SizingPolicy(), ScanLimits(top_n=3), PlanLimits()),
            universe=Universe(),
        )
    )
    return playbook


def start_a_run(path: Path, url: str, calls_per_day: int) -> subprocess.Popen[bytes]:
    code = (
        "from tests.adapters.test_planner_killed_mid_call import plan_once;"
        f"plan_once({str(path)!r}, {url!r}, {calls_per_day})"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment)


async def kill_mid_call(child: subprocess.Popen[bytes], model: OpenAiStandIn) -> None:
    try:
        async with asyncio.timeout(60):
            while not model.bodies:
                assert child.poll() is None, "it ended before it asked the model"
                await asyncio.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        await asyncio.to_thread(child.wait, 10)


def rows(path: Path) -> list[LlmCall]:
    with DuckStore(path).read() as db:
        return ledger(db.llm_reservations(), db.llm_calls(), at=LATER)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("calls_per_day", "source", "outcomes"),
    [(2, PlaybookSource.OPENAI, [LOST, OK]), (1, PlaybookSource.RULES, [LOST])],
    ids=["a call is left", "none is left"],
)
async def test_a_killed_call_stays_counted_and_the_next_run_plans_with_what_is_left(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    calls_per_day: int,
    source: PlaybookSource,
    outcomes: list[str],
) -> None:
    monkeypatch.setitem(calendar._tables, KR, small_calendar(KR))  # so that it is put back
    path = tmp_path / "trades.db"
    never = Said(text="{}", delay_seconds=300.0)
    async with openai_stand_in([never, good_reply()]) as model:
        await kill_mid_call(start_a_run(path, model.base_url, calls_per_day), model)

        [begun] = rows(path)
        assert begun.outcome == LOST
        assert begun.cost_usd > Decimal("0.016")
        with DuckStore(path).read() as db:
            assert db.playbook("KR", SESSION) is None
            assert db.llm_spend(since=AT - timedelta(hours=1)).calls == 1
            assert ledger(db.llm_reservations(), [], at=AT)[0].outcome == UNDER_WAY

        playbook = await asyncio.to_thread(
            plan_once, str(path), model.base_url, calls_per_day, minutes=5
        )
    assert playbook.source is source
    assert [row.outcome for row in rows(path)] == outcomes
    if source is PlaybookSource.RULES:
        assert "BudgetExhausted: 1 of LLM_CALLS_PER_DAY=1" in playbook.fallback_reason
        assert len(model.bodies) == 1
