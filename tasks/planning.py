"""The tasks around the playbook."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from tasks import events
from tasks.artifacts import publish_playbook
from tasks.bells import tell_of_no_playbook
from tasks.policy import step_task
from trading_core.model.market import MarketGroup
from trading_core.model.playbook import Playbook, RefreshCause
from trading_core.rules.calendar import Session
from trading_core.steps import opening, plan, refresh, tell
from trading_core.steps.gather import PlanInputs
from trading_core.steps.opening import TradingDay
from trading_core.wiring import Runtime

logger = logging.getLogger(__name__)


@step_task("draft playbook", timeout_seconds=900)
async def make_playbook(
    runtime: Runtime,
    group: MarketGroup,
    session: Session,
    at: datetime,
    on_inputs: Callable[[PlanInputs], object] = lambda inputs: None,
) -> Playbook:
    """The session's playbook: stored, or drafted now; told and shown when it is new.

    ``on_inputs`` is handed what it was drafted from, when it was drafted now.
    """
    try:
        playbook, is_new = await plan.plan_session(
            runtime.store,
            runtime.market_data,
            runtime.broker,
            runtime.planner,
            group=group,
            session=session.date,
            at=at,
            policy=runtime.policy,
            universe=runtime.universe,
            history=runtime.history,
            sources=runtime.sources,
            on_inputs=on_inputs,
        )
    except Exception as error:
        await tell_of_no_playbook(runtime, session, error, at)
        raise
    if is_new:
        note = tell.of_playbook(playbook, at)
        await tell.try_to_tell(runtime.notifier, runtime.store, [note])
        events.emit([events.of_playbook(playbook)])
        await publish_playbook(playbook)
    return playbook


@step_task("open the day", retries=2, timeout_seconds=300)
async def open_day(
    runtime: Runtime, group: MarketGroup, session: Session, playbook: Playbook
) -> TradingDay:
    """Compile the playbook and load the history of its symbols."""
    return await opening.open_day(
        runtime.market_data, runtime.history, group=group, session=session, playbook=playbook
    )


async def refresh_day(runtime: Runtime, day: TradingDay, at: datetime) -> TradingDay | None:
    """The day with a newer playbook, when one is due and could be had; None keeps the old one.

    Not a task: nearly always there is nothing to do.
    """
    if not runtime.refreshes or runtime.planner is None:
        return None
    cause = refresh.claim(
        runtime.store, runtime.refreshes, group=day.group, session=day.session, at=at
    )
    if cause is None:
        return None
    try:
        made = await _draft_again(runtime, day, cause, at)
        fresh = made.playbook
        found = None if fresh is None else await open_day(runtime, day.group, day.session, fresh)
    except Exception as error:
        # Whatever it is, the session goes on with the playbook that it has.
        logger.warning("the playbook is not refreshed: %s", type(error).__name__)
        made, found = refresh.Refreshed(None, f"{type(error).__name__}: {error}"), None
    note = tell.of_refresh(made, day.playbook, cause, at)
    await tell.try_to_tell(runtime.notifier, runtime.store, [note])
    return found


@step_task("refresh playbook", timeout_seconds=900)
async def _draft_again(
    runtime: Runtime, day: TradingDay, cause: RefreshCause, at: datetime
) -> refresh.Refreshed:
    assert runtime.planner is not None
    made = await refresh.refresh_session(
        runtime.store,
        runtime.market_data,
        runtime.broker,
        runtime.planner,
        group=day.group,
        session=day.session,
        at=at,
        policy=runtime.policy,
        universe=runtime.universe,
        history=runtime.history,
        cause=cause,
        sources=runtime.sources,
    )
    if made.playbook is not None:
        events.emit([events.of_playbook(made.playbook)])
        await publish_playbook(made.playbook)
    return made
