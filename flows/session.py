"""The long run of one market and session: ticks on time, in one process, until the close."""

from __future__ import annotations

import logging

from prefect import flow
from prefect.states import Completed, Failed, State

from flows.tick import one_tick
from tasks.naming import name_run
from tasks.planning import make_playbook, open_day
from trading_core.errors import TradingError
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import local_date, session_on
from trading_core.steps.lease import session_lease
from trading_core.steps.opening import tick_times
from trading_core.wiring import open_runtime

logger = logging.getLogger(__name__)


@flow(name="session", description="Trade one market from now until its close.")
async def session(market: str) -> State:
    """Tick ``market`` every RESCAN_INTERVAL_SECONDS until the close.

    Started before the open it waits; started late it goes on from now. A failed tick is logged
    and the next one comes on time.
    """
    group = MarketGroup.parse(market)
    async with open_runtime() as runtime:
        at = runtime.clock.now()
        await name_run("session", group, at)
        today = session_on(group, local_date(group, at))
        if today is None or at >= today.close_at:
            return Completed(name="Skipped", message=f"{group} does not trade any more today")
        halted, ticks, failed = "", 0, 0
        with session_lease(runtime.store, group, today, runtime.clock) as lease:
            playbook = await make_playbook(runtime, group, today, at)
            day = await open_day(runtime, group, today, playbook)
            for due in tick_times(today, runtime.interval):
                if due + runtime.interval <= runtime.clock.now():
                    continue
                await runtime.clock.sleep_until(due)
                lease.renew()
                try:
                    report = await one_tick(runtime, day, max(due, runtime.clock.now()))
                except TradingError as error:
                    failed += 1
                    logger.error("tick %s failed: %s", due.isoformat(), error)
                    continue
                ticks, halted = ticks + 1, report.halted
                runtime.on_tick(report)
            await runtime.clock.sleep_until(today.close_at)
    summary = f"{ticks} ticks, {failed} failed"
    return Failed(name="Halted", message=halted) if halted else Completed(message=summary)
