"""After the close: settle, score and remember the day of one market."""

from __future__ import annotations

from prefect import flow
from prefect.states import Completed, State

from tasks.closing import score_day, settle_day
from tasks.naming import name_run, stamp
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import local_date, session_on
from trading_core.wiring import open_runtime


@flow(name="review", description="Score today's session of one market after its close.")
async def review(market: str) -> State:
    """Review the session of ``market`` that ended today; an open market is skipped."""
    group = MarketGroup.parse(market)
    async with open_runtime() as runtime:
        at = runtime.clock.now()
        await name_run("review", group, at)
        session = session_on(group, local_date(group, at))
        if session is None or at < session.close_at:
            return Completed(
                name="Skipped", message=f"{group} has no closed session at {stamp(group, at)}"
            )
        await settle_day(runtime, group, session, at)
        card = await score_day(runtime, group, session, at)
    net = ", ".join(f"{amount:+,} {code}" for code, amount in card.net_pnl.items())
    return Completed(message=f"{card.orders} orders, {net or 'no P&L'} after costs")
