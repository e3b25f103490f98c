"""The shadow planners beside a flow run. Where none is configured nothing is loaded or asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks.policy import step_task
from trading_core.model.journal import Json
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import Session
from trading_core.steps.gather import PlanInputs
from trading_core.steps.opening import TradingDay
from trading_core.steps.protect import Pass
from trading_core.wiring import Runtime

if TYPE_CHECKING:
    from trading_core.steps.shadow import Shadows

LAST_SECONDS = 30.0
"""How long the end of a run waits for what its shadows are still at."""

logger = logging.getLogger(__name__)


class ShadowRun:
    """Plans and ticks of the shadows, behind those of the real planner and never in their way.

    On a clock that runs everything happens in the background; a tick whose forerunner is still at
    work is left out. On a stepped clock it is done at once, or the day would depend on its speed.
    """

    def __init__(self, runtime: Runtime, group: MarketGroup, session: Session) -> None:
        self._runtime = runtime
        self._group = group
        self._session = session
        self._inputs: PlanInputs | None = None
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._shadows: Shadows | None = None

    def take(self, inputs: PlanInputs) -> None:
        """Keep what the real playbook was drafted from."""
        self._inputs = inputs

    async def draft(self, at: datetime, *, anew: bool = False) -> None:
        """Draft for every shadow without a plan, on what the real one was drafted from just now.

        ``anew`` asks for that again, before the open, where the real plan was there already.
        Never raises.
        """
        if not self._runtime.shadows:
            return
        if self._inputs is None and not (anew and at < self._session.open_at):
            return
        try:
            await _draft(self._runtime, self._group, self._session, self._inputs, at)
        except Exception as error:
            logger.warning("the shadow planners have no plan: %s", error, exc_info=error)

    async def draft_soon(self, at: datetime) -> None:
        """The same, beside whatever comes next."""
        if self._runtime.shadows:
            await self._soon("draft", self.draft(at))

    async def follow(self, day: TradingDay, made: Pass) -> None:
        """Match the shadows against what a tick saw, once its orders are on their way."""
        if not self._runtime.shadows:
            return
        if self._shadows is None:
            from trading_core.steps.shadow import Shadows

            runtime = self._runtime
            names = [shadow.name for shadow in runtime.shadows]
            self._shadows = Shadows(
                runtime.store, runtime.market_data, runtime.history, names, runtime.policy
            )
        await self._soon("follow", self._shadows.follow(day, made.view))

    async def _soon(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        if not self._runtime.clock.runs:
            await work
            return
        before = self._at_work.get(what)
        if before is not None and not before.done():
            work.close()
            logger.warning("shadow planners are slow: a tick was left out")
            return
        self._at_work[what] = asyncio.ensure_future(work)

    async def finish(self) -> None:
        """Wait for what is under way, for a while."""
        pending = [task for task in self._at_work.values() if not task.done()]
        if pending:
            _, late = await asyncio.wait(pending, timeout=LAST_SECONDS)
            for task in late:
                task.cancel()


@asynccontextmanager
async def shadow_run(
    runtime: Runtime, group: MarketGroup, session: Session
) -> AsyncIterator[ShadowRun]:
    """The shadows of one run; at its end they may finish what they are at."""
    run = ShadowRun(runtime, group, session)
    try:
        yield run
    finally:
        await run.finish()


@step_task("draft shadow playbooks", timeout_seconds=1800)
async def _draft(
    runtime: Runtime,
    group: MarketGroup,
    session: Session,
    inputs: PlanInputs | None,
    at: datetime,
) -> None:
    from trading_core.steps.plan import plan_inputs
    from trading_core.steps.shadow_plan import draft_shadows, unplanned

    if not unplanned(runtime.store, runtime.shadows, group, session.date):
        return
    if inputs is None:
        inputs = await plan_inputs(
            runtime.store,
            runtime.market_data,
            runtime.broker,
            group=group,
            session=session.date,
            at=at,
            policy=runtime.policy,
            universe=runtime.universe,
            sources=runtime.sources,
        )
    await draft_shadows(
        runtime.store, runtime.market_data, runtime.shadows, inputs, policy=runtime.policy
    )


async def compare_planners(runtime: Runtime, session: Session, at: datetime) -> Json | None:
    """What each planner earned in a session; None without shadows, or when it cannot be told."""
    if not runtime.shadows:
        return None
    from trading_core.steps.shadow_review import review_shadows

    names = [shadow.name for shadow in runtime.shadows]
    try:
        return await review_shadows(
            runtime.store, runtime.market_data, names, session=session, at=at
        )
    except Exception as error:
        logger.warning("the planners are not compared: %s", error, exc_info=error)
        return None
