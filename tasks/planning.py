"""The tasks around the playbook."""

from __future__ import annotations

from datetime import datetime

from tasks.artifacts import publish_playbook
from tasks.policy import step_task
from trading_core.model.market import MarketGroup
from trading_core.model.playbook import Playbook
from trading_core.rules.calendar import Session
from trading_core.steps import opening, plan, tell
from trading_core.steps.opening import TradingDay
from trading_core.wiring import Runtime


@step_task("draft playbook", timeout_seconds=900)
async def make_playbook(
    runtime: Runtime, group: MarketGroup, session: Session, at: datetime
) -> Playbook:
    """The session's playbook: stored, or drafted now; told and shown when it is new."""
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
    )
    if is_new:
        note = tell.of_playbook(playbook, at)
        await tell.tell(runtime.notifier, runtime.store, [note])
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
