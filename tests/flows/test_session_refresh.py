"""A session whose playbook is drafted again at half time, while its ticks go on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.flows.test_session_stream import Floor, floor, orders, running, until
from tests.planning_fakes import FakePlanner
from tests.trading_fakes import busy, playbook, when
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.model.order import Side
from trading_core.model.playbook import Playbook, RefreshCause
from trading_core.steps import refresh
from trading_core.steps.refresh import Refreshed
from trading_core.wiring import Runtime

# Every test here waits for a clock that runs.
pytestmark = pytest.mark.slow

SYMBOL = "005930"
PRICES = {SYMBOL: busy(*[10_000] * 300)}
WANTED: dict[str, Any] = {"refreshes": frozenset({RefreshCause.MIDDAY}), "planner": FakePlanner()}


def of_scenario(text: str, **changes: Any) -> Any:
    made = playbook({SYMBOL: [when(text, "BUY")]})
    return made.model_copy(update={"generated_at": minute(0), **changes})


NEVER = of_scenario("price > 99000")
BETTER = of_scenario("price > 9900", refreshed_for=RefreshCause.MIDDAY, generated_at=minute(198))


def answering(monkeypatch: pytest.MonkeyPatch, answer: Refreshed | Exception) -> list[Any]:
    """What the model's draft comes to, and the causes it was drafted for."""
    causes: list[Any] = []

    async def made(*ports: Any, cause: RefreshCause, **named: Any) -> Refreshed:
        causes.append(cause)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(refresh, "refresh_session", made)
    return causes


def write(runtime: Runtime, made: Playbook) -> None:
    with runtime.store.write() as tx:
        tx.append([made])


def told(stage: Floor) -> str:
    return "\n".join(note.text for note in stage.notifier.told)


async def test_the_new_playbook_is_traded_and_drafted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    causes = answering(monkeypatch, Refreshed(BETTER))
    async with (
        floor(tmp_path, PRICES, at=minute(198)) as stage,
        stage.runtime(interval=60, **WANTED) as runtime,
    ):
        write(runtime, NEVER)
        async with running():
            await until(lambda: orders(runtime, Side.BUY))
            await asyncio.sleep(3.0)
    assert causes == [RefreshCause.MIDDAY]
    assert "refreshed: midday" in told(stage)


@pytest.mark.parametrize("answer", [Refreshed(None, "PlannerTimeout: late"), ValueError("odd")])
async def test_when_nothing_comes_of_it_the_old_playbook_is_traded_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Refreshed | Exception
) -> None:
    causes = answering(monkeypatch, answer)
    ticks: list[Any] = []
    async with (
        floor(tmp_path, PRICES, at=minute(198)) as stage,
        stage.runtime(interval=60, **WANTED, on_tick=ticks.append) as runtime,
    ):
        write(runtime, NEVER)
        async with running():
            await until(lambda: causes and "the old one stays" in told(stage))
            before = len(ticks)
            await until(lambda: len(ticks) >= before + 2)
        with runtime.store.read() as db:
            assert db.playbook("KR", SESSION) == NEVER
        assert orders(runtime, Side.BUY) == []
    assert causes == [RefreshCause.MIDDAY]


async def test_nothing_is_drafted_again_unless_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    causes = answering(monkeypatch, Refreshed(BETTER))
    ticks: list[Any] = []
    async with (
        floor(tmp_path, PRICES, at=minute(198)) as stage,
        stage.runtime(interval=60, on_tick=ticks.append) as runtime,
    ):
        write(runtime, NEVER)
        async with running():
            await until(lambda: len(ticks) >= 4)
    assert causes == []
