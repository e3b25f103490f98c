"""What scheduling costs: from the time a tick is due to the broker's door, and of a run by hand.

Run ``python -m benchmarks.schedule_cost [minutes]``; 0 minutes leave the sessions out. A real
Prefect server and worker run the real flows; each market has a twin in a process of its own on its
own clock, so that all six are open at once, which no hour of the day offers. The broker's side
writes down when a request came in. A playbook of 60 stocks buys another one every tick. Everything
shares the machine's processors: server, worker, twins, sessions and, for one measurement, the
dashboard with ten tabs open on it, but no browser, which would be on other people's machines.
Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil

from benchmarks.visitors import visitors
from flows.prefect_server import _IDLE, PrefectServer, _free_port
from flows.supervision import parts
from trading_core.adapters.duck.store import DuckStore
from trading_core.clock import SystemClock
from trading_core.model.market import MarketGroup
from trading_core.model.playbook import (
    Action,
    Condition,
    Outlook,
    Playbook,
    PlaybookSource,
    Scenario,
    StockPlan,
)
from trading_core.rules.calendar import require_session
from trading_core.settings import load_settings

ROOT = Path(__file__).parents[1]
DAY = date(2026, 11, 20)
EVERY = timedelta(seconds=10)
STOCKS = 60
BY_HAND = 12
BROWSERS = 10
TURNS, TURN_SECONDS = 8, 52
CLOCK = SystemClock()
ORDERS = ("inquire-daily-ccld", "inquire-ccnl")
LEDGERS = "/trading/"


# --- The broker's side --------------------------------------------------------------------------


def serve(group: MarketGroup, log: Path, speed: float) -> None:
    """One market's twin at its open, until SIGTERM; every request is a line of ``log``."""
    from trading_core.twin.launch import Stage, TwinPlan, default_cash
    from trading_core.twin.server import run_forever
    from trading_core.twin.venue import AccountSpec
    from trading_core.twin.wire.gateway import Gateway
    from trading_core.wiring import TWIN_ACCOUNT

    cash = {currency: amount * 100 for currency, amount in default_cash([group]).items()}
    account = AccountSpec(TWIN_ACCOUNT, cash)
    stage = Stage.build(
        TwinPlan((group,), DAY, (account,), lead=timedelta(minutes=2) * (speed - 1))
    )
    plain = Gateway.answer
    lines = log.open("w", buffering=1)

    def noted(self: Any, request: Any, *more: Any, **named: Any) -> Any:
        lines.write(f"{CLOCK.now().isoformat()} {request.method} {request.path}\n")
        return plain(self, request, *more, **named)

    Gateway.answer = noted  # type: ignore[method-assign]
    names = [item.symbol for item in stage.exchanges[0].instruments()]
    lines.write(f"{json.dumps(names[: 2 * STOCKS])}\n")
    run_forever(
        stage.exchanges,
        on_listening=lambda url: print(url, flush=True),
        clock="running",
        speed=speed,
    )


@dataclass
class Venue:
    """One market: its twin's address, and when it opened in real time."""

    group: MarketGroup
    url: str
    log: Path
    opened_at: datetime
    has_session: bool = False

    def requests(self) -> list[tuple[datetime, str, str]]:
        found = []
        for line in self.log.read_text().splitlines()[1:]:
            at, method, path = line.split(" ", 2)
            found.append((datetime.fromisoformat(at), method, path))
        return found

    def symbols(self) -> list[str]:
        names: list[str] = json.loads(self.log.read_text().splitlines()[0])
        return names


@contextmanager
def venues(home: Path, speed: float = 1.0) -> Iterator[list[Venue]]:
    """The six markets at their opens, or two minutes of ours before when time flies."""
    processes, found = [], []
    try:
        for group in MarketGroup:
            log = home / f"{group}.log"
            process = subprocess.Popen(
                [sys.executable, __file__, "--serve", group.value, str(log), str(speed)],
                stdout=subprocess.PIPE,
                text=True,
            )
            processes.append(process)
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            found.append(Venue(group, url, log, _opened_at(group, url)))
        yield found
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(20)


def _opened_at(group: MarketGroup, url: str) -> datetime:
    with urlopen(f"{url}/twin/state") as reply:
        now = datetime.fromisoformat(json.load(reply)["now"])
    return CLOCK.now() - (now - require_session(group, DAY).open_at)


# --- What is run --------------------------------------------------------------------------------


def playbook(venue: Venue, skip: int = 0) -> Playbook:
    """One stock more is bought every tick, from a minute after now on."""
    session = require_session(venue.group, DAY)
    whole = (session.close_at - session.open_at).total_seconds() / 60
    begin = (CLOCK.now() - venue.opened_at).total_seconds() / 60 + 1.0
    step = EVERY.total_seconds() / 60
    plans = []
    for number, symbol in enumerate(venue.symbols()[skip : skip + STOCKS]):
        due = whole - begin - number * step
        condition = Condition(field="minutes_to_close", op="<=", value=round(due, 4))
        scenario = Scenario(
            conditions=(condition,),
            action=Action.BUY,
            confidence=90,
            allocation_pct=1.0,
            stop_loss_pct=-5.0,
        )
        plans.append(StockPlan(symbol=symbol, scenarios=(scenario,)))
    return Playbook(
        session=DAY,
        market=venue.group.value,
        source=PlaybookSource.GEMINI,
        outlook=Outlook.NEUTRAL,
        stocks=tuple(plans),
        generated_at=session.open_at,
    )


async def deploy(client: Any, venue: Venue, every: timedelta = EVERY) -> None:
    from prefect.deployments.runner import RunnerDeployment
    from prefect.runner.storage import LocalStorage

    # A tick by hand is dropped once it is late by its interval; ten seconds are no usual one.
    for flow, pause in (("session", every), ("tick", timedelta(minutes=5))):
        seconds = str(int(pause.total_seconds()))
        made = RunnerDeployment.from_entrypoint(
            f"flows/{flow}.py:{flow}",
            venue.group.value,
            parameters={"market": venue.group.value},
            work_pool_name="local",
            job_variables={"env": {"TWIN_URL": venue.url, "RESCAN_INTERVAL_SECONDS": seconds}},
        )
        # As `prefect deploy` has it: the code is run where it is, not copied for each run.
        made.storage = LocalStorage(str(ROOT))
        await made.aapply()


async def begin(client: Any, flow: str, group: MarketGroup) -> Any:
    deployment = await client.read_deployment_by_name(f"{flow}/{group.value}")
    return await client.create_flow_run_from_deployment(deployment.id)


async def by_hand(client: Any, venue: Venue) -> dict[str, Any]:
    """Runs of one tick, one after the other, through the worker."""
    called, ordered, ended = [], [], []
    for _ in range(BY_HAND):
        asked, before = CLOCK.now(), time.perf_counter()
        run = await begin(client, "tick", venue.group)
        while not (run.state and run.state.is_final()):
            await asyncio.sleep(0.2)
            run = await client.read_flow_run(run.id)
        assert run.state.name == "Completed", run.state
        ended.append(time.perf_counter() - before)
        made = [row for row in venue.requests() if row[0] > asked and LEDGERS in row[2]]
        called.append((made[0][0] - asked).total_seconds())
        ordered += [(at - asked).total_seconds() for at, method, _ in made if method == "POST"][:1]
    return {
        "to the first broker call": spread(called),
        "to the order": spread(ordered),
        "to the end of the run": spread(ended),
    }


def ticks(venue: Venue, since: datetime, until: datetime) -> tuple[list[float], list[float]]:
    """Seconds from the time of each tick to its first broker call, and to its first order."""
    requests = venue.requests()
    number = int((since - venue.opened_at) / EVERY) + 1
    called, ordered = [], []
    while (due := venue.opened_at + number * EVERY) + EVERY < until:
        here = [row for row in requests if due <= row[0] < due + EVERY]
        called += [(at - due).total_seconds() for at, _, p in here if p.endswith(ORDERS)][:1]
        orders = [at for at, method, p in here if method == "POST" and LEDGERS in p]
        ordered += [(at - due).total_seconds() for at in orders][:1]
        number += 1
    return called, ordered


async def sessions(client: Any, found: Sequence[Venue], minutes: float) -> dict[str, Any]:
    """Let the sessions of these markets run for a while; those that run already go on."""
    for venue in found:
        if not venue.has_session:
            await begin(client, "session", venue.group)
            venue.has_session = True
    await asyncio.sleep(2 * EVERY.total_seconds())
    while not all(map(_ticks, found)):  # noqa: ASYNC110
        await asyncio.sleep(1)
    await asyncio.sleep(2 * EVERY.total_seconds())
    processes = engines()
    begun = {process.pid: sum(process.cpu_times()[:2]) for process in processes}
    since, wall = CLOCK.now(), time.perf_counter()
    await asyncio.sleep(60 * minutes)
    until, wall = CLOCK.now(), time.perf_counter() - wall
    spent = [sum(p.cpu_times()[:2]) - begun[p.pid] for p in processes]
    both = [ticks(venue, since, until) for venue in found]
    expected = len(found) * int((until - since) / EVERY)
    return {
        "markets": len(found),
        "load average": os.getloadavg()[0],
        "ticks": f"{sum(len(called) for called, _ in both)} of about {expected}",
        "to the first broker call": spread([s for called, _ in both for s in called]),
        "to the order": spread([s for _, ordered in both for s in ordered]),
        "cpu seconds a tick and session": round(sum(spent) / expected, 3),
        "cpu share of one core": round(sum(spent) / wall, 2),
        "rss MB of a session": sorted(round(p.memory_info().rss / 1e6) for p in processes),
    }


async def in_turns(venue: Venue, page: str) -> dict[str, Any]:
    """Ticks while nobody looks at the dashboard and while ten tabs do, in turns."""
    took: dict[str, list[float]] = {"nobody looks": [], "ten tabs": []}
    refreshes = 0
    for turn in range(TURNS):
        name = ("nobody looks", "ten tabs")[turn % 2]
        async with visitors(page, BROWSERS * (turn % 2)) as seen:
            since = CLOCK.now()
            await asyncio.sleep(TURN_SECONDS)
            took[name] += ticks(venue, since, CLOCK.now())[1]
        refreshes += seen.refreshes
    return {**{name: spread(rows) for name, rows in took.items()}, "refreshes": refreshes}


def _ticks(venue: Venue) -> bool:
    lately = CLOCK.now() - 2 * EVERY
    return any(at > lately and path.endswith(ORDERS) for at, _, path in venue.requests())


def engines() -> list[psutil.Process]:
    """The processes of flow runs that this benchmark's worker began."""
    mine = psutil.Process().children(recursive=True)
    return [p for p in mine if "prefect.engine" in " ".join(p.cmdline())]


def spread(seconds: Sequence[float]) -> dict[str, Any]:
    if len(seconds) < 2:
        return {"n": len(seconds)}
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    rounded = {"p50": cuts[9], "p95": cuts[18], "max": max(seconds)}
    return {"n": len(seconds), **{name: round(value, 3) for name, value in rounded.items()}}


# --- The whole ----------------------------------------------------------------------------------


def start_worker(home: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "local"]
    with (home / "worker.log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--prefetch-seconds", "30"], cwd=ROOT, stdout=log, stderr=log
        )


@contextmanager
def dashboard(home: Path) -> Iterator[str]:
    """The dashboard of this state, in a process of its own."""
    part = parts.dashboard(load_settings(dashboard_port=_free_port()))
    with (home / "dashboard.log").open("wb") as log:
        process = subprocess.Popen(part.command, cwd=ROOT, stdout=log, stderr=log)
    try:
        while True:
            with suppress(OSError), urlopen(part.url):
                break
            time.sleep(0.2)
        yield part.page
    finally:
        process.terminate()
        process.wait(20)


def stop_worker(worker: subprocess.Popen[bytes]) -> None:
    for process in [*engines(), psutil.Process(worker.pid)]:
        process.kill()
    worker.wait()


async def measure(url: str, home: Path, minutes: float) -> dict[str, Any]:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.actions import WorkPoolCreate

    with venues(home) as found:
        store = DuckStore(home / "trades.db")
        async with PrefectClient(url) as client:
            await client.create_work_pool(WorkPoolCreate(name="local", type="process"))
            for venue in found:
                await deploy(client, venue)
            korea = next(venue for venue in found if venue.group is MarketGroup.KR)
            worker = start_worker(home)
            try:
                with store.write() as tx:
                    tx.append([playbook(korea)])
                hand = await by_hand(client, korea)
                if not minutes:
                    return {"by hand": hand}
                with store.write() as tx:
                    tx.append([playbook(korea, skip=STOCKS)])
                one = await sessions(client, [korea], minutes)
                with dashboard(home) as page:
                    watched = await in_turns(korea, page)
                with store.write() as tx:
                    tx.append([playbook(venue) for venue in found if venue is not korea])
                six = await sessions(client, found, minutes)
                rss = round(psutil.Process(worker.pid).memory_info().rss / 1e6)
            finally:
                stop_worker(worker)
    return {
        "by hand": hand,
        "one market": one,
        "one market, to the order, with ten tabs of the dashboard in turns": watched,
        "six markets": six,
        "rss MB of the worker": rss,
    }


@contextmanager
def prefect_server(home: Path) -> Iterator[str]:
    """A server, and the settings of everything that is started beside it."""
    os.environ |= {
        "OUROBOROS_HOME": str(home),
        "LOCK_DIR": str(home / "locks"),
        "ENABLED_MARKETS": ",".join(MarketGroup),
        "RATE_LIMIT_RPS": "20",
        "GUARD_MAX_EXPOSURE_PCT": "0",
    }
    with PrefectServer(home, services=_IDLE) as server:
        os.environ |= server.environment() | {
            "PREFECT_LOGGING_TO_API_ENABLED": "true",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        }
        server.wait_ready()
        yield server.url


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    with tempfile.TemporaryDirectory() as folder, prefect_server(Path(folder)) as url:
        before = os.getloadavg()[0]
        found = asyncio.run(measure(url, Path(folder), minutes))
        print(json.dumps({"cores": os.cpu_count(), "load before": before, **found}, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(MarketGroup(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))
    else:
        main()
