"""The calendar's hand: schedules of the year ahead, and a look at what runs."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.naming import name_run
from tasks.oversight import oversee
from trading_core.clock import SystemClock
from trading_core.wiring import sending


@flow(name="book", description="Book the sessions of the calendars; restart what died.", retries=1)
async def book() -> State:
    """Late or twice is no matter: whoever comes finds out what is to be done."""
    at = SystemClock().now()
    await name_run("book", None, at)
    async with sending():
        return Completed(message=(await oversee(at)).line())
