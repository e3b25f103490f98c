"""The runs of our deployments as the Prefect server and this machine know them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

import psutil
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse

from tasks.schedules import PAGE
from trading_core.model.market import MarketGroup
from trading_core.rules.run_watch import SOON, RunPhase, RunView
from trading_core.rules.schedules import BookedFlow

HEARTBEAT = "prefect.flow-run.heartbeat"
LOOK_BACK = timedelta(hours=26)
"""A session of any market, its plan and its review included, is within it."""
_MOST_SILENT = timedelta(hours=1)

_PHASES = {
    StateType.SCHEDULED: RunPhase.WAITING,
    StateType.PENDING: RunPhase.STARTING,
    StateType.RUNNING: RunPhase.RUNNING,
    StateType.PAUSED: RunPhase.RUNNING,
    StateType.CANCELLING: RunPhase.RUNNING,
    StateType.COMPLETED: RunPhase.COMPLETED,
    StateType.FAILED: RunPhase.FAILED,
    StateType.CRASHED: RunPhase.FAILED,
    StateType.CANCELLED: RunPhase.CANCELLED,
}
_ACTIVE = [kind for kind, phase in _PHASES.items() if phase in ("waiting", "starting", "running")]
_ENDED = [kind for kind in _PHASES if kind not in _ACTIVE]
_RESTARTED = {BookedFlow.PLAN, BookedFlow.SESSION, BookedFlow.REVIEW}


async def read_runs(
    client: PrefectClient, deployments: Mapping[str, DeploymentResponse], now: datetime
) -> list[RunView]:
    """Runs that wait, start or run, and those of plan, session and review that ended lately."""
    names = {deployment.id: name for name, deployment in deployments.items()}
    ended = [d.id for n, d in deployments.items() if n.partition("/")[0] in _RESTARTED]
    soon = FlowRunFilterExpectedStartTime(before_=now + SOON)
    lately = FlowRunFilterExpectedStartTime(after_=now - LOOK_BACK)
    found = await _read(client, list(names), _ACTIVE, soon)
    found += await _read(client, ended, _ENDED, lately)
    running = [run.id for run in found if _phase(run) is RunPhase.RUNNING]
    heard = await _heartbeats(client, running, now)
    return [
        _view(run, names[run.deployment_id], heard.get(run.id))
        for run in found
        if run.deployment_id in names
    ]


async def _read(
    client: PrefectClient,
    deployments: Iterable[UUID],
    kinds: list[StateType],
    due: FlowRunFilterExpectedStartTime,
) -> list[FlowRun]:
    wanted = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds)), expected_start_time=due
    )
    ours = DeploymentFilter(id=DeploymentFilterId(any_=list(deployments)))
    found: list[FlowRun] = []
    while page := await client.read_flow_runs(
        flow_run_filter=wanted, deployment_filter=ours, limit=PAGE, offset=len(found)
    ):
        found += page
        if len(page) < PAGE:
            break
    return found


async def _heartbeats(
    client: PrefectClient, runs: list[UUID], now: datetime
) -> dict[UUID, datetime]:
    """The last sign of life of each of these runs within the last hour."""
    if not runs:
        return {}
    wanted = {
        "occurred": {"since": (now - _MOST_SILENT).isoformat()},
        "event": {"name": [HEARTBEAT]},
        "resource": {"id": [f"prefect.flow-run.{run}" for run in runs]},
    }
    reply = await client.request("POST", "/events/filter", json={"filter": wanted, "limit": 50})
    heard: dict[UUID, datetime] = {}
    for event in reply.json()["events"]:
        run = UUID(event["resource"]["prefect.resource.id"].rpartition(".")[2])
        at = datetime.fromisoformat(event["occurred"].replace("Z", "+00:00"))
        heard[run] = max(at, heard.get(run, at))
    return heard


def _phase(run: FlowRun) -> RunPhase:
    return _PHASES[run.state_type] if run.state_type else RunPhase.WAITING


def _view(run: FlowRun, deployment: str, heard_at: datetime | None) -> RunView:
    flow, _, name = deployment.partition("/")
    due = run.next_scheduled_start_time or run.expected_start_time or run.created
    assert run.state is not None
    assert due is not None
    return RunView(
        run_id=str(run.id),
        name=f"{deployment} {run.name}",
        flow=flow,
        market=MarketGroup(name) if name in set(MarketGroup) else None,
        phase=_phase(run),
        since=run.state.timestamp,
        due=due,
        heard_at=heard_at,
        has_process=_has_process(run),
    )


def _has_process(run: FlowRun) -> bool | None:
    """Whether the process a worker of this machine began for the run is there."""
    pid = (run.infrastructure_pid or "").rpartition(":")[2]
    begun = run.start_time
    if not pid.isdigit() or begun is None:
        return None
    try:
        process = psutil.Process(int(pid))
        is_there = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        # After a restart of the machine the number may be somebody else's, who is younger.
        return bool(is_there and process.create_time() <= begun.timestamp())
    except psutil.Error:
        return False
