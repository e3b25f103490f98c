"""Memory of all markets, brought up to date with what was traded."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.lateness import skip_if_late
from tasks.memory import remember
from tasks.naming import name_run
from trading_core.wiring import open_runtime


@flow(name="memory", description="Compute what memory misses from the facts; forget what expired.")
async def memory() -> State:
    """Catch up however many days were missed; a market whose facts do not add up is named."""
    async with open_runtime() as runtime:
        at = runtime.clock.now()
        await name_run("memory", None, at)
        late = skip_if_late("memory", None, at)
        if late is not None:
            return late
        done = await remember(runtime, runtime.groups, at)
    if done.failed:
        return Failed(name="Incomplete", message=done.line())
    return Completed(message=done.line())
