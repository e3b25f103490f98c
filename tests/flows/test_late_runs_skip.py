"""Every flow looks at its own age first; a round looks whether it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from flows.backup import backup
from flows.memory import memory
from flows.plan import plan
from flows.review import review
from flows.session import session
from flows.tick import tick
from tasks import lateness
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.clock import FixedClock
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import require_session
from trading_core.steps.lease import session_lease
from trading_core.wiring import shared

KR = MarketGroup.KR
BEGUN = datetime(2026, 11, 20, 3, tzinfo=UTC)


def claimed(at: Any) -> Any:
    raise AssertionError("it went on")


@pytest.fixture
def runtime() -> Iterator[Any]:
    made: Any = SimpleNamespace(
        clock=FixedClock(minute(30)),
        store=DuckStore(":memory:"),
        interval=timedelta(minutes=5),
        claim=claimed,
        safe=None,
    )
    with shared(made):
        yield made


def run(monkeypatch: pytest.MonkeyPatch, *, due: datetime | None, count: int = 1) -> None:
    state = SimpleNamespace(timestamp=BEGUN)
    seen = SimpleNamespace(state=state, expected_start_time=due, run_count=count)
    context = SimpleNamespace(get=lambda: SimpleNamespace(flow_run=seen))
    monkeypatch.setattr(lateness, "FlowRunContext", context)


@pytest.mark.parametrize(
    "flow", [plan, session, tick, review, backup, memory], ids=lambda f: f.name
)
async def test_a_run_of_last_week_is_skipped_with_its_reason(
    flow: Any, runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lateness, "lateness", lambda: timedelta(days=7))
    monkeypatch.setenv("BACKUP_ENABLED", "true")
    given = [] if flow in (backup, memory) else ["KR"]

    state = await flow.fn(*given)

    assert (state.name, state.type.value) == ("Skipped", "COMPLETED")
    assert state.message.startswith(f"{flow.name} due 7 days ago, too late: ")


def test_lateness_is_counted_from_the_time_a_run_was_booked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(monkeypatch, due=BEGUN - timedelta(hours=2))
    assert lateness.lateness() == timedelta(hours=2)


def test_a_run_that_a_person_starts_again_or_that_nobody_booked_is_not_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert lateness.lateness() == timedelta(0)
    run(monkeypatch, due=BEGUN - timedelta(hours=2), count=2)
    assert lateness.lateness() == timedelta(0)
    run(monkeypatch, due=None)
    assert lateness.lateness() == timedelta(0)


async def test_a_round_is_skipped_while_a_session_watches_and_runs_when_none_does(
    runtime: Any,
) -> None:
    day = require_session(KR, SESSION)
    with session_lease(runtime.store, KR, day, runtime.clock):
        state = await tick.fn("KR", unless_watched=True)
        assert state.name == "Skipped"
        assert "KR is watched by process " in state.message
        with pytest.raises(AssertionError, match="it went on"):
            await tick.fn("KR")
    with pytest.raises(AssertionError, match="it went on"):
        await tick.fn("KR", unless_watched=True)
