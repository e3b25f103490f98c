"""A whole trading day in order: plan, session, review, backup. The demo runs it on the twin."""

from __future__ import annotations

from datetime import timedelta

from prefect import flow
from prefect.client.schemas.objects import State

from flows.backup import backup
from flows.plan import plan
from flows.review import review
from flows.session import session
from tasks.naming import name_run
from tasks.parameters import MarketCode
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import local_date, next_session, session_on
from trading_core.wiring import open_runtime

AFTER_CLOSE = timedelta(minutes=20)


@flow(name="trading-day", description="Plan, trade, review and back up one session of a market.")
async def trading_day(market: MarketCode) -> dict[str, State]:
    """Run the coming session of ``market`` from its plan to its backup, on the runtime's clock."""
    group = MarketGroup.parse(market)
    async with open_runtime() as runtime:
        at = runtime.clock.now()
        await name_run("trading day", group, at)
        today = session_on(group, local_date(group, at))
        if today is None or at >= today.close_at:
            today = next_session(group, local_date(group, at))
        await runtime.clock.sleep_until(today.open_at - runtime.pre_market)
        states = {"plan": await plan(market, return_state=True)}
        states["session"] = await session(market, return_state=True)
        await runtime.clock.sleep_until(today.close_at + AFTER_CLOSE)
        states["review"] = await review(market, return_state=True)
        states["backup"] = await backup(return_state=True)
    return states
