"""Booking and watching on a real Prefect server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from dateutil.rrule import rrulestr
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.runner.storage import LocalStorage
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Crashed, Pending, Running, Scheduled

from flows.prefect_server import PrefectServer
from tasks.oversight import Overseen, book_calendar, oversee, watch
from tasks.runs import _has_process
from tasks.schedules import Booked, read_deployments
from tests.trading_fakes import playbook, still, when
from tests.unit.twin.handmade_tape import SESSION, make_tape, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.clock import FixedClock, SystemClock
from trading_core.model.market import Currency, MarketGroup
from trading_core.rules.calendar import require_session
from trading_core.rules.run_watch import TAKE_OVER
from trading_core.rules.schedules import SchedulePolicy
from trading_core.steps.lease import living_holder, session_lease
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import serve
from trading_core.twin.venue import AccountSpec, VenueOrder
from trading_core.wiring import TWIN_ACCOUNT, Oversight

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
KR, US = MarketGroup.KR, MarketGroup.US
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ENTRYPOINTS = {flow: f"flows/{flow}.py:{flow}" for flow in ("plan", "session", "tick", "review")}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with PrefectServer(tmp_path_factory.mktemp("prefect")) as server:
        server.wait_ready()
        yield server.url


@pytest.fixture
async def client(url: str) -> AsyncIterator[PrefectClient]:
    with temporary_settings(updates={PREFECT_API_URL: url}):
        async with PrefectClient(url) as client:
            yield client
            for deployment in await client.read_deployments():
                await client.delete_deployment(deployment.id)
            for run in await client.read_flow_runs():
                await client.delete_flow_run(run.id)


async def deploy(client: PrefectClient, *names: str) -> None:
    """As ``prefect deploy`` does it."""
    try:
        await client.read_work_pool("local")
    except Exception:
        from prefect.client.schemas.actions import WorkPoolCreate

        await client.create_work_pool(WorkPoolCreate(name="local", type="process"))
    for name in names:
        flow, _, market = name.partition("/")
        made = RunnerDeployment.from_entrypoint(
            ENTRYPOINTS[flow], market, parameters={"market": market}, work_pool_name="local"
        )
        # Else each run begins with a copy of this whole folder.
        made.storage = LocalStorage(str(ROOT))
        await made.aapply()


class Told:
    """A notifier that keeps what it is given."""

    channels: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def send(self, notification: Any) -> bool:
        self.texts.append(notification.text)
        return True


@pytest.fixture
def oversight() -> Oversight:
    return Oversight(
        groups=(KR,),
        policy=SchedulePolicy(rounds=2),
        store=DuckStore(":memory:"),
        notifier=Told(),
        clock=FixedClock(minute(30)),
    )


async def book(client: PrefectClient, oversight: Oversight) -> Booked:
    return await book_calendar(client, await read_deployments(client), oversight, NOW)


async def look(
    client: PrefectClient, oversight: Oversight, later: timedelta = timedelta(0)
) -> Overseen:
    now = SystemClock().now() + later
    return await watch(client, await read_deployments(client), oversight, now)


# --- The schedules -------------------------------------------------------------------------------


async def test_booking_twice_makes_one_set_of_schedules(
    client: PrefectClient, oversight: Oversight
) -> None:
    await deploy(client, "plan/KR", "tick/KR", "plan/US")

    first = await book(client, oversight)
    again = await book(client, oversight)

    assert set(first.created) == {
        "plan/KR calendar",
        "tick/KR calendar-round-1",
        "tick/KR calendar-round-2",
    }
    assert set(first.not_deployed) == {"session/KR", "review/KR", "backup/after-review"}
    assert (again.changes, again.unchanged) == (0, 3)
    deployments = await read_deployments(client)
    assert deployments["plan/US"].schedules == []
    [plan] = deployments["plan/KR"].schedules
    rule = rrulestr(plan.schedule.rrule)  # type: ignore[union-attr]
    days = [f"{at:%m-%d %H:%M}" for at in rule if at.year == 2026]
    assert "11-19 00:30" in days, "the exam day, an hour later than others"
    assert "11-18 23:30" not in days
    assert {s.parameters["unless_watched"] for s in deployments["tick/KR"].schedules} == {True}


async def test_other_settings_change_only_what_they_are_about(
    client: PrefectClient, oversight: Oversight
) -> None:
    await deploy(client, "plan/KR", "session/KR", "plan/US")
    await book(client, oversight)
    earlier = replace(oversight.policy, pre_market=timedelta(minutes=60))

    assert (await book(client, replace(oversight, policy=earlier))).updated == ("plan/KR calendar",)
    other = await book(client, replace(oversight, groups=(US,)))

    assert set(other.removed) == {"plan/KR calendar", "session/KR calendar"}
    assert other.created == ("plan/US calendar",)


async def test_deploying_again_and_schedules_of_a_person_are_left_alone(
    client: PrefectClient, oversight: Oversight
) -> None:
    await deploy(client, "plan/KR")
    await book(client, oversight)
    deployment = (await read_deployments(client))["plan/KR"]
    own = DeploymentScheduleCreate(schedule=CronSchedule(cron="0 7 * * 6"), slug="saturdays")
    await client.create_deployment_schedules(deployment.id, [own])
    [booked] = [s for s in deployment.schedules if s.slug == "calendar"]
    await client.update_deployment_schedule(deployment.id, booked.id, active=False)

    await deploy(client, "plan/KR")
    await book(client, replace(oversight, policy=SchedulePolicy(pre_market=timedelta(minutes=45))))

    schedules = (await read_deployments(client))["plan/KR"].schedules
    assert {(s.slug, s.active) for s in schedules} == {("saturdays", True), ("calendar", False)}


# --- The runs ------------------------------------------------------------------------------------


async def session_run(client: PrefectClient, state: Any) -> Any:
    deployment = (await read_deployments(client))["session/KR"]
    run = await client.create_flow_run_from_deployment(deployment.id)
    await client.set_flow_run_state(run.id, state, force=True)
    return run


async def states(client: PrefectClient) -> list[str]:
    return sorted(run.state_name or "" for run in await client.read_flow_runs())


async def test_a_dead_session_gets_exactly_one_new_run(
    client: PrefectClient, oversight: Oversight
) -> None:
    await deploy(client, "session/KR")
    await session_run(client, Crashed())

    looks = await asyncio.gather(*(look(client, oversight) for _ in range(3)))
    later = await look(client, oversight)

    assert await states(client) == ["Crashed", "Scheduled"]
    assert ("session/KR", "KR is open and no session run is alive") in looks[0].started
    assert later.started == ()
    assert isinstance(oversight.notifier, Told)
    assert set(oversight.notifier.texts) == {
        "session/KR is started: KR is open and no session run is alive"
    }


@pytest.mark.parametrize("state", [Scheduled(), Pending(), Running(), Cancelled()])
async def test_a_session_that_lives_or_that_a_person_ended_gets_none(
    client: PrefectClient, oversight: Oversight, state: Any
) -> None:
    await deploy(client, "session/KR")
    await session_run(client, state)

    done = await look(client, oversight)

    assert (done.started, done.cleared) == ((), ())
    assert await states(client) == [state.name]


async def test_runs_that_hang_are_cleared_and_told(
    client: PrefectClient, oversight: Oversight
) -> None:
    await deploy(client, "session/KR", "plan/KR")
    await session_run(client, Pending())
    plan = (await read_deployments(client))["plan/KR"]
    silent = await client.create_flow_run_from_deployment(plan.id)
    await client.set_flow_run_state(silent.id, Running(), force=True)

    done = await look(client, oversight, later=timedelta(minutes=4))

    assert sorted(why for _, why in done.cleared) == [
        "it has been starting for 4 minutes",
        "no sign of life for 4 minutes",
    ]
    assert [name for name, _ in done.started] == ["session/KR"]
    assert await states(client) == ["Crashed", "Crashed", "Scheduled"]
    assert isinstance(oversight.notifier, Told)
    assert len(oversight.notifier.texts) == 3


async def test_a_session_with_its_lease_is_never_cleared(
    client: PrefectClient, oversight: Oversight
) -> None:
    await deploy(client, "session/KR")
    await session_run(client, Running())
    day = require_session(KR, SESSION)

    with session_lease(oversight.store, KR, day, FixedClock(minute(10))):
        done = await look(client, oversight, later=timedelta(hours=1))

    assert (done.cleared, done.started) == ((), ())
    assert await states(client) == ["Running"]


async def test_without_the_exchanges_clock_sessions_are_left_as_they_are(
    client: PrefectClient, oversight: Oversight
) -> None:
    await deploy(client, "session/KR")
    await session_run(client, Running())

    blind = replace(oversight, clock=None, blind="no twin answers")
    done = await look(client, blind, later=timedelta(hours=1))

    assert (done.cleared, done.started) == ((), ())
    assert "sessions are not watched: no twin answers" in done.line()


async def test_what_waited_too_long_for_a_worker_is_skipped_without_a_process(
    client: PrefectClient, oversight: Oversight
) -> None:
    await deploy(client, "tick/KR", "session/KR")
    await session_run(client, Running())
    tick = (await read_deployments(client))["tick/KR"]
    long_ago = Scheduled(scheduled_time=SystemClock().now() - timedelta(minutes=9))
    await client.create_flow_run_from_deployment(tick.id, state=long_ago)

    done = await look(client, oversight)

    assert [why for _, why in done.skipped] == [
        "due 9 minutes ago, too late: the next one comes 5 minutes after it"
    ]
    assert await states(client) == ["Running", "Skipped"]


async def test_nobody_being_told_stops_nothing(client: PrefectClient, oversight: Oversight) -> None:
    class Broken(Told):
        async def send(self, notification: Any) -> bool:
            raise OSError("no network")

    await deploy(client, "session/KR")
    await look(client, replace(oversight, notifier=Broken()))

    assert await states(client) == ["Scheduled"]


def test_a_process_is_known_by_its_number_and_its_age() -> None:
    def seen(pid: object, begun: datetime | None) -> bool | None:
        run: Any = SimpleNamespace(infrastructure_pid=pid, start_time=begun)
        return _has_process(run)

    now = SystemClock().now()
    assert seen(str(os.getpid()), now) is True
    assert seen(str(os.getpid()), now - timedelta(days=1)) is False
    assert seen("999999999", now) is False
    assert seen(None, now) is None
    assert seen("a-container", now) is None


# --- A session that is lost ----------------------------------------------------------------------


@pytest.fixture
def trader(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trader]:
    trader = Trader(tmp_path, url)
    for name, value in trader.environment.items():
        monkeypatch.setenv(name, value)
    with DuckStore(tmp_path / "trades.db").write() as tx:
        tx.append([playbook({"005930": [when("price > 1")]})])
    yield trader
    trader.kill()


class Trader:
    """A worker in a process of its own, and what its runs left in the store and at the broker."""

    def __init__(self, home: Path, url: str) -> None:
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self.store = DuckStore(home / "trades.db")
        self.environment = {
            "OUROBOROS_HOME": str(home),
            "ENABLED_MARKETS": "KR",
            "RESCAN_INTERVAL_SECONDS": "10",
            "PREFECT_API_URL": url,
        }

    def start_worker(self) -> None:
        with (self._home / "worker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "prefect", "worker", "start", "--pool", "local"),
                    *("--prefetch-seconds", "30"),
                ],
                env={**os.environ, "PREFECT_WORKER_QUERY_SECONDS": "2"},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """As a power cut does: the worker and everything it started, at once."""
        if self._process is None:
            return
        with suppress(psutil.NoSuchProcess):
            lost = psutil.Process(self._process.pid).children(recursive=True)
            for process in [psutil.Process(self._process.pid), *lost]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.wait()
        self._process = None

    @property
    def holder(self) -> str | None:
        with self.store.read() as reader:
            return living_holder(reader, KR, SESSION, minute(11))

    @property
    def looks(self) -> int:
        with self.store.read() as reader:
            return reader.counts(KR.value, SESSION)["ticks"]

    async def until(self, what: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(120):
                while not what():  # noqa: ASYNC110
                    await asyncio.sleep(0.25)
        except TimeoutError:
            raise AssertionError((self._home / "worker.log").read_text()[-3000:]) from None


async def test_after_the_loss_of_worker_and_session_trading_goes_on_with_the_same_order(
    client: PrefectClient, trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = AccountSpec(TWIN_ACCOUNT, {Currency.KRW: Decimal(100_000_000)})
    venue = SimulatedExchange(make_tape({"005930": still(10_000, 90)}), [account], at=minute(10))
    twin = await serve(venue, clock="running", speed=1.0)
    monkeypatch.setenv("TWIN_URL", twin.base_url)
    await deploy(client, "session/KR")

    def ordered() -> list[VenueOrder]:
        return venue.orders(TWIN_ACCOUNT, start=SESSION, end=SESSION)

    try:
        first = await oversee(SystemClock().now())
        assert [name for name, _ in first.started] == ["session/KR"]
        trader.start_worker()
        await trader.until(lambda: bool(ordered()) and trader.looks > 0)
        lost, looks = trader.holder, trader.looks
        assert lost is not None

        trader.kill()
        # The kernel takes its time with a process that holds much memory.
        await trader.until(lambda: trader.holder is None)
        await asyncio.sleep(TAKE_OVER.total_seconds() - 5)
        trader.start_worker()
        async with asyncio.timeout(60):
            while not (again := await oversee(SystemClock().now())).started:  # noqa: ASYNC110
                await asyncio.sleep(1)
        assert len(again.cleared) == 1
        await trader.until(lambda: trader.looks > looks)

        assert trader.holder not in (None, lost)
        assert (await oversee(SystemClock().now())).started == ()
        assert len(ordered()) == 1
        assert await states(client) == ["Crashed", "Running"]
    finally:
        trader.kill()
        await twin.stop()
