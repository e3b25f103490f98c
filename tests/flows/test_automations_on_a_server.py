"""The automations of the system on a real Prefect server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.automations import AutomationCore
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.deployments.runner import RunnerDeployment
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Completed, Crashed, Failed

from flows import automations_cli
from flows.prefect_server import PrefectServer
from tasks import events
from tasks.automations import ALERT, BOOK, Kept, keep_automations
from tasks.deployments import follow_halts
from tasks.schedules import read_deployments
from tests.record_factories import make_backup
from trading_core.adapters.duck.store import DuckStore
from trading_core.clock import SystemClock
from trading_core.steps import operate

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
OURS = {
    "plan/KR": ["trading", "plan", "KR"],
    "backup/nightly": ["safekeeping", "backup"],
    BOOK: ["operation", "book"],
    ALERT: ["operation", "alert"],
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("prefect")
    with PrefectServer(home, services=("TRIGGERS", "EVENT_PERSISTER")) as server:
        server.wait_ready()
        yield server.url


@pytest.fixture
async def client(url: str) -> AsyncIterator[PrefectClient]:
    with temporary_settings(updates={PREFECT_API_URL: url}):
        async with PrefectClient(url) as client:
            await deploy(client)
            yield client
            for run in await client.read_flow_runs():
                await client.delete_flow_run(run.id)


async def deploy(client: PrefectClient) -> None:
    """As ``prefect deploy`` does it, once."""
    if await read_deployments(client):
        return
    await client.create_work_pool(WorkPoolCreate(name="local", type="process"))
    for label, tags in OURS.items():
        flow, _, name = label.partition("/")
        made = RunnerDeployment.from_entrypoint(
            f"flows/{flow}.py:{flow}", name, tags=tags, work_pool_name="local"
        )
        await made.aapply()


async def keep(client: PrefectClient) -> Kept:
    return await keep_automations(client, await read_deployments(client))


async def runs_of(client: PrefectClient, label: str) -> list[Any]:
    deployment = (await read_deployments(client))[label]
    return [r for r in await client.read_flow_runs() if r.deployment_id == deployment.id]


async def until(found: Callable[[], Awaitable[list[Any]]], seconds: float = 30) -> list[Any]:
    async with asyncio.timeout(seconds):
        while not (here := await found()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return here


async def end(client: PrefectClient, label: str, state: Any) -> Any:
    deployment = (await read_deployments(client))[label]
    run = await client.create_flow_run_from_deployment(deployment.id, parameters={"market": "KR"})
    await client.set_flow_run_state(run.id, state, force=True)
    return run


async def stated(client: PrefectClient, name: str) -> list[dict[str, Any]]:
    reply = await client.request(
        "POST", "/events/filter", json={"filter": {"event": {"name": [name]}}, "limit": 50}
    )
    found: list[dict[str, Any]] = reply.json()["events"]
    return found


# --- The automations ----------------------------------------------------------------------------


async def test_they_are_made_once_and_put_right_and_one_that_is_off_stays_off(
    client: PrefectClient,
) -> None:
    first, again = await keep(client), await keep(client)
    automation, other, *_ = await client.read_automations()
    await client.pause_automation(automation.id)
    words = other.model_dump(exclude={"id", "owner_resource"}) | {"description": "other words"}
    await client.update_automation(other.id, AutomationCore(**words))

    mended, at_last = await keep(client), await keep(client)

    assert (len(first.created), first.changes) == (3, first.created)
    assert (again.changes, len(again.unchanged)) == ((), 3)
    assert (mended.updated, mended.off) == ((other.name,), (automation.name,))
    assert at_last.changes == ()
    assert len(await client.read_automations()) == 3
    assert not (await client.read_automation(automation.id)).enabled  # type: ignore[union-attr]
    await client.resume_automation(automation.id)


async def test_the_command_does_the_same_and_lists_them(
    client: PrefectClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await keep(client)

    answer = await automations_cli._keep()
    automations_cli._kept(answer)

    assert len(answer["unchanged"]) == 3
    assert capsys.readouterr().out.count("unchanged  ouroboros: ") == 3


async def test_what_calls_a_deployment_that_is_not_there_is_left_out(
    client: PrefectClient,
) -> None:
    deployments = await read_deployments(client)

    kept = await keep_automations(client, {BOOK: deployments[BOOK]})

    assert kept.not_deployed == (ALERT,)
    assert len(kept.created + kept.unchanged) == 1


async def test_a_run_that_fails_is_told_by_a_run_of_ours_within_seconds(
    client: PrefectClient, tmp_path: Path, url: str
) -> None:
    await keep(client)
    run = await end(client, "plan/KR", Failed(message="the broker is 'gone'\nfor good"))

    [alert] = await until(lambda: runs_of(client, ALERT), seconds=15)

    assert alert.parameters["text"] == f"plan {run.name}: Failed: the broker is 'gone'\nfor good"
    assert alert.parameters["severity"] == "critical"
    # As a worker does it.
    run_it = {"PREFECT_API_URL": url, "PREFECT__FLOW_RUN_ID": str(alert.id)}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "prefect.engine"],
        env={**os.environ, **run_it, "OUROBOROS_HOME": str(tmp_path)},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )
    with DuckStore(tmp_path / "trades.db").read() as reader:
        told = reader._rows("SELECT notification_id, text FROM notifications")
    assert told == [(f"run-cleared-{run.id}", alert.parameters["text"])], done.stderr


async def test_only_bad_ends_of_what_trades_and_of_backups_are_told(
    client: PrefectClient,
) -> None:
    await keep(client)
    await end(client, "plan/KR", Failed(name="Halted", message="the breaker"))
    await end(client, "plan/KR", Completed(name="Skipped"))
    await end(client, "plan/KR", Cancelled())
    await end(client, BOOK, Failed())
    crashed = await end(client, "plan/KR", Crashed(message="killed"))
    await end(client, "backup/nightly", Failed(name="Unhealthy", message="26 hours old"))

    async def both() -> list[Any]:
        found = await runs_of(client, ALERT)
        return found if len(found) >= 2 else []

    told = {run.parameters["text"]: run.parameters for run in await until(both)}

    assert len(told) == len(await runs_of(client, ALERT)) == 2
    assert f"plan {crashed.name}: Crashed: killed" in told
    [backup] = [given for text, given in told.items() if text.startswith("backup ")]
    assert (backup["severity"], backup["daily"], backup["key"]) == ("warning", True, "backup")


# --- The events ---------------------------------------------------------------------------------


async def test_a_halt_is_one_event_and_has_its_planning_looked_at(client: PrefectClient) -> None:
    await keep(client)
    store, at = DuckStore(":memory:"), SystemClock().now()
    halt = operate.halt(store, scope="USD", reason="by hand", at=at)

    await follow_halts(store, at)
    await follow_halts(store, at + timedelta(seconds=1))
    events.emit(events.of_halts([halt]))
    events.emit([events.of_backup(make_backup(), [])])
    await until(lambda: stated(client, "ouroboros.backup.done"))

    [event] = await until(lambda: stated(client, "ouroboros.halt.raised"))
    assert event["resource"]["prefect.resource.id"] == f"ouroboros.halt.{halt.halt_id}"
    assert event["resource"]["ouroboros.scope"] == "USD"
    assert event["payload"]["reason"] == "by hand"
    [run] = await until(lambda: runs_of(client, BOOK))
    assert run.state_name == "Scheduled"
