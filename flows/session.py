"""The long run of one market and session: ticks on time, in one process, until the close."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from prefect import flow
from prefect.states import Completed, Failed, State

from flows.tick import one_tick
from tasks.naming import name_run
from tasks.planning import make_playbook, open_day
from trading_core.errors import IllegalTransition, TradingHalted
from trading_core.model.journal import HaltKind
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import local_date, session_on
from trading_core.steps import operate
from trading_core.steps.lease import Lease, session_lease
from trading_core.steps.opening import TradingDay, tick_times
from trading_core.wiring import Runtime, open_runtime

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
        with session_lease(runtime.store, group, today, runtime.clock) as lease:
            playbook = await make_playbook(runtime, group, today, at)
            day = await open_day(runtime, group, today, playbook)
            done = await _trade(runtime, day, lease)
            await runtime.clock.sleep_until(today.close_at)
    if done.halted:
        return Failed(name="Halted", message=done.halted)
    if done.failed and not done.ticks:
        return Failed(message=f"none of {done.failed} ticks completed")
    return Completed(message=f"{done.ticks} ticks, {done.failed} failed")


@dataclass
class _Done:
    ticks: int = 0
    failed: int = 0
    halted: str = ""


async def _trade(runtime: Runtime, day: TradingDay, lease: Lease) -> _Done:
    """The ticks that are still to come, each at its time; one that is over is left out."""
    done = _Done()
    for due in tick_times(day.session, runtime.interval):
        if due + runtime.interval <= runtime.clock.now():
            continue
        await runtime.clock.sleep_until(due)
        at = max(due, runtime.clock.now())
        try:
            lease.keep()
            report = await one_tick(runtime, day, at)
        except TradingHalted:
            raise
        except Exception as error:
            # One tick that fails must not take the stops of the rest of the day with it.
            done.failed += 1
            logger.exception("the tick of %s failed", due.isoformat())
            if isinstance(error, IllegalTransition):
                operate.halt(
                    runtime.store,
                    scope=day.group.value,
                    reason=str(error),
                    at=at,
                    kind=HaltKind.INVARIANT,
                )
            continue
        done.ticks, done.halted = done.ticks + 1, report.halted
        runtime.on_tick(report)
    return done
