"""A whole trading day of six markets at sixty times its speed: does any tick wait for another?

Run ``python -m benchmarks.day_at_speed [speed]``. Everything is as in ``schedule_cost.py``, but
each session is played from its open to its close with the usual five minutes between two ticks,
five seconds at that speed. A tick that finds its time over is left out, so a backlog shows as fewer
ticks than the calendar has. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.schedule_cost import (
    DAY,
    Venue,
    begin,
    deploy,
    prefect_server,
    spread,
    start_worker,
    stop_worker,
    venues,
)
from trading_core.rules.calendar import require_session
from trading_core.steps.opening import tick_times

EVERY = timedelta(minutes=5)


async def play(client: Any, found: list[Venue]) -> list[Any]:
    """The six sessions, until each has ended."""
    runs = [await begin(client, "session", venue.group) for venue in found]
    while not all(run.state and run.state.is_final() for run in runs):
        await asyncio.sleep(2)
        runs = [await client.read_flow_run(run.id) for run in runs]
        print(*(run.state.name if run.state else "-" for run in runs), file=sys.stderr)
    return runs


def lateness(store: duckdb.DuckDBPyConnection, venue: Venue) -> tuple[int, list[float]]:
    """How many ticks the calendar has, and how late each that came was, in exchange seconds."""
    query = "SELECT DISTINCT observed_at FROM observations WHERE market = ? ORDER BY 1"
    seen = [at for (at,) in store.execute(query, [venue.group.value]).fetchall()]
    dues = list(tick_times(require_session(venue.group, DAY), EVERY))
    firsts = ((due, next((at for at in seen if due <= at < due + EVERY), None)) for due in dues)
    return len(dues), [(at - due).total_seconds() for due, at in firsts if at is not None]


async def measure(url: str, home: Path, speed: float) -> dict[str, Any]:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.actions import WorkPoolCreate

    async with PrefectClient(url) as client:
        await client.create_work_pool(WorkPoolCreate(name="local", type="process"))
        worker = start_worker(home)
        try:
            with venues(home, speed) as found:
                for venue in found:
                    await deploy(client, venue, EVERY)
                begun = time.perf_counter()
                runs = await play(client, found)
                took = time.perf_counter() - begun
        finally:
            stop_worker(worker)
    with duckdb.connect(str(home / "trades.db"), read_only=True) as store:
        expected, late = zip(*(lateness(store, venue) for venue in found), strict=True)
    return {
        "speed": speed,
        "minutes": round(took / 60, 1),
        "runs": {v.group: run.state.message for v, run in zip(found, runs, strict=True)},
        "ticks": f"{sum(map(len, late))} of {sum(expected)}",
        "seconds after its time that a tick begins": spread(
            [s / speed for row in late for s in row]
        ),
    }


def main() -> None:
    speed = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder, prefect_server(Path(folder)) as url:
        found = asyncio.run(measure(url, Path(folder), speed))
        print(json.dumps({"cores": os.cpu_count(), **found}, indent=1))


if __name__ == "__main__":
    main()
