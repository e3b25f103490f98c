"""A consistent, verified copy of the state."""

from __future__ import annotations

from prefect import flow
from prefect.states import Completed, State

from tasks.closing import back_up
from tasks.naming import name_run
from trading_core.wiring import open_runtime


@flow(name="backup", description="Copy the store, checksum it and open the copy again.")
async def backup() -> State:
    """Back up the store while it trades."""
    async with open_runtime() as runtime:
        at = runtime.clock.now()
        await name_run("backup", None, at)
        record = await back_up(runtime, at)
    return Completed(message=f"{record.path}: {record.rows} rows, {record.bytes:,} bytes, verified")
