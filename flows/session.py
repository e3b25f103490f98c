"""The long run of one market and session: ticks on time, in one process, until the close.

Beside the ticks the positions are watched on the broker's stream (``steps.lookout``), and a
watchdog sees to it that anything moves at all.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.tick import one_tick
from tasks.bells import tell_missed, tell_of_close, tell_of_open
from tasks.deployments import follow_halts_soon
from tasks.lateness import skip_if_late
from tasks.naming import name_run
from tasks.parameters import MarketCode
from tasks.planning import make_playbook, open_day, refresh_day
from tasks.realtime import ask_model, decider_of
from tasks.shadowing import ShadowRun, shadow_run
from tasks.trading import heed_halts, look_at_loss, protect, tell_people
from trading_core.errors import IllegalTransition, TradingHalted
from trading_core.model.decision import DecidedBy
from trading_core.model.journal import HaltKind
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import local_date, session_on
from trading_core.steps import operate
from trading_core.steps.decide import Cycle
from trading_core.steps.lease import Lease, session_lease
from trading_core.steps.lookout import Lookout, beside, ends_by
from trading_core.steps.opening import TradingDay, tick_times
from trading_core.steps.protect import Pass, write_down
from trading_core.steps.restore import require_agreement
from trading_core.steps.sentinel import Sentinel
from trading_core.steps.watchdog import Watchdog
from trading_core.wiring import Runtime, open_runtime

BREAKER_EVERY = timedelta(seconds=60)
REFRESH_EVERY = timedelta(seconds=60)
HALT_LOOK_SECONDS, NEXT_HALT_LOOK_SECONDS = 0.5, 2.0
"""Of real time: a person who types stop counts in it, whatever the market's clock does."""

logger = logging.getLogger(__name__)


@flow(name="session", description="Trade one market from now until its close.")
async def session(market: MarketCode) -> State:
    """Tick ``market`` every RESCAN_INTERVAL_SECONDS until the close.

    Started before the open it waits; started late it goes on from now. A failed tick is logged
    and the next one comes on time.

    Args:
        market: One calendar, one currency, one playbook a session.
    """
    group = MarketGroup.parse(market)
    async with open_runtime() as runtime:
        at = runtime.clock.now()
        await name_run("session", group, at)
        late = skip_if_late("session", group, at)
        if late is not None:
            return late
        today = session_on(group, local_date(group, at))
        if today is None or at >= today.close_at:
            return Completed(name="Skipped", message=f"{group} does not trade any more today")
        require_agreement(runtime.store)
        with (
            runtime.claim(at),
            session_lease(runtime.store, group, today, runtime.clock) as lease,
        ):
            async with shadow_run(runtime, group, today) as shadows:
                playbook = await make_playbook(runtime, group, today, at, shadows.take)
                await shadows.draft_soon(at)
                day = await open_day(runtime, group, today, playbook)
                done = await _trade(runtime, day, lease, shadows)
                await runtime.clock.sleep_until(today.close_at)
                await tell_of_close(runtime, day, ticks=done.ticks, failed=done.failed)
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


async def _trade(runtime: Runtime, day: TradingDay, lease: Lease, shadows: ShadowRun) -> _Done:
    """The ticks that are still to come, and on a running clock the watch between them."""
    run = _Run(runtime, day, lease, shadows)
    if not runtime.clock.runs:
        # A stepped clock has no time between two ticks, and whoever waits for it moves it: the
        # watch would change the day that is played.
        await run.ticks()
        return run.done
    refreshes = [run.refreshes] if runtime.refreshes else []
    async with beside(*run.lookout.works, run.halts, run.dog.run, run.breaker, *refreshes):
        await run.ticks()
    return run.done


class _Run:
    """One run of a session: its ticks, and the protective passes between them."""

    def __init__(self, runtime: Runtime, day: TradingDay, lease: Lease, shadows: ShadowRun) -> None:
        self.done = _Done()
        self._shadows = shadows
        self._runtime = runtime
        self._day = day
        self._lease = lease
        # Ticks and passes of this process never overlap; the store and the account's order lock
        # see to those of others.
        self._turn = asyncio.Lock()
        self._all_told = False
        self._decider = decider_of(runtime, day)
        self._every = runtime.realtime.every if self._decider else runtime.interval
        self._rests_until = day.session.open_at
        self.sentinel = Sentinel(day.group, day.session, runtime.policy.exits)
        self.dog = Watchdog(
            runtime.store,
            runtime.notifier,
            runtime.clock,
            group=day.group,
            session=day.session,
            quiet=runtime.watch.quiet_for(runtime.interval),
            quiet_held=runtime.watch.quiet_held_for(runtime.interval),
            blackouts=runtime.policy.blackouts,
            on_change=partial(follow_halts_soon, runtime.store),
        )
        self.lookout = Lookout(
            self.sentinel,
            self.dog.progress,
            session=day.session,
            clock=runtime.clock,
            market_data=runtime.market_data,
            open_stream=runtime.open_stream,
            protect=self.protect,
            write_down=self._write_down,
            policy=runtime.watch,
        )

    async def ticks(self) -> None:
        """Each at its time; one that is over is left out, one that fails is logged."""
        runtime = self._runtime
        for due in tick_times(self._day.session, self._every):
            if due + self._every <= runtime.clock.now() or due < self._rests_until:
                continue
            await runtime.clock.sleep_until(due)
            try:
                self._lease.keep()
                cycle = await self._ask(due)
                begun = max(due, runtime.clock.now()) if cycle else due
                async with self._in_time(begun):
                    await self._tick(due, cycle)
            except TradingHalted:
                raise
            except Exception as error:
                # One tick that fails must not take the stops of the rest of the day with it.
                self.done.failed += 1
                self._all_told = False
                logger.exception("the tick of %s failed", due.isoformat())
                self._stop_if_illegal(error)

    async def _ask(self, due: datetime) -> Cycle | None:
        """What the model says now, where one is asked. Passes go on meanwhile.

        After a round that left the entries to the playbook the next one comes at the usual pace.
        """
        runtime, decider = self._runtime, self._decider
        if decider is None:
            return None
        cycle = await ask_model(runtime, decider, self._day, max(due, runtime.clock.now()))
        if cycle.row.decided_by is DecidedBy.PLAYBOOK:
            self._rests_until = due + runtime.interval
        return cycle

    async def _tick(self, due: datetime, cycle: Cycle | None) -> None:
        runtime = self._runtime
        async with self._turn:
            at = max(due, runtime.clock.now())
            self._write_down()
            if cycle is not None:
                if cycle.day.compiled is self._day.compiled:
                    self._day = cycle.day
                # Else the playbook was refreshed meanwhile, and its day is the one to go on with.
                cycle = replace(cycle, day=self._day)
            ticked = await one_tick(runtime, self._day, at, self.dog.progress, cycle)
            self._take_over(ticked)
        await self._tell_missed(ticked.told)
        report = ticked.report
        if not self.done.ticks:
            await tell_of_open(runtime, self._day)
        self.done.ticks, self.done.halted = self.done.ticks + 1, report.halted
        runtime.on_tick(report)
        await self._shadows.follow(self._day, ticked)
        if not runtime.clock.runs:
            await self._refresh()

    async def protect(self) -> None:
        """One protective pass; people are told once it is over."""
        runtime, day = self._runtime, self._day
        async with self._turn, asyncio.timeout(runtime.watch.pass_seconds):
            at = runtime.clock.now()
            try:
                made = await protect(runtime, day, self.sentinel, at)
            except BaseException as error:
                self._all_told = False
                self._stop_if_illegal(error)
                raise
            self.dog.progress.reconciled_at = at
            self._take_over(made)
        told = await tell_people(runtime, day, made.view.books, made.plan, made.sent)
        self._all_told = self._all_told and told

    async def refreshes(self) -> None:
        """Drafts the playbook again when that is due, while the ticks go on with the old one."""
        clock = self._runtime.clock
        while True:
            await clock.sleep_until(clock.now() + REFRESH_EVERY)
            await self._refresh()

    async def _refresh(self) -> None:
        fresh = await refresh_day(self._runtime, self._day, self._runtime.clock.now())
        if fresh is not None:
            async with self._turn:
                self._day = fresh

    async def breaker(self) -> None:
        """Looks at the day's loss between two ticks, which may be minutes apart."""
        clock = self._runtime.clock
        while True:
            await clock.sleep_until(clock.now() + BREAKER_EVERY)
            async with self._turn, asyncio.timeout(self._runtime.watch.pass_seconds):
                await look_at_loss(self._runtime, self._day, clock.now())

    async def halts(self) -> None:
        """Cancels entries as soon as a halt is stored, by whomever, in the middle of a tick too.

        That no new one is sent any more is seen to where an order is sent (``steps.execute``).
        """
        store, seen = self._runtime.store, ""
        while True:
            now = store.fingerprint()
            asked = await heed_halts(self._runtime, self._day) if now != seen else 0
            seen = "" if asked else now
            if asked:
                self.lookout.look()
            await asyncio.sleep(NEXT_HALT_LOOK_SECONDS if asked else HALT_LOOK_SECONDS)

    async def _tell_missed(self, told: bool) -> None:
        """In the first tick what a run before this one could not tell of; in others what a pass
        that failed could not."""
        if not (self._all_told and told):
            self._all_told = await tell_missed(
                self._runtime, self._day.session, self._runtime.clock.now()
            )

    def _in_time(self, due: datetime) -> AbstractAsyncContextManager[None]:
        """The end of a tick that hangs. On a stepped clock waiting for it would move the clock."""
        runtime = self._runtime
        if not runtime.clock.runs:
            return nullcontext()
        until = due + self._every + runtime.watch.grace
        return ends_by(runtime.clock, until, least_seconds=runtime.watch.least_tick_seconds)

    def _take_over(self, made: Pass) -> None:
        self.sentinel.take_over(made.view, made.plan, made.sent)
        self.dog.held = bool(self.sentinel.held)
        self.lookout.changed()

    def _write_down(self) -> None:
        write_down(self._runtime.store, self.sentinel, self._runtime.clock.now())

    def _stop_if_illegal(self, error: BaseException) -> None:
        if isinstance(error, IllegalTransition):
            store, at = self._runtime.store, self._runtime.clock.now()
            scope, kind = self._day.group.value, HaltKind.INVARIANT
            operate.halt(store, scope=scope, reason=str(error), at=at, kind=kind)
            follow_halts_soon(store, at)
