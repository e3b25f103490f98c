"""After the close: settle, score and remember the day of one market, and days that were missed."""

from __future__ import annotations

import logging
from datetime import datetime

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.closing import score_day, settle_day
from tasks.lateness import skip_if_late
from tasks.memory import remember
from tasks.naming import name_run, stamp
from tasks.parameters import MarketCode
from trading_core.model.journal import Scorecard
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import local_date, session_on
from trading_core.steps.review import can_settle, missed_sessions
from trading_core.wiring import Runtime, open_runtime

logger = logging.getLogger(__name__)


@flow(name="review", description="Score today's session of one market after its close.")
async def review(market: MarketCode) -> State:
    """Review the session of ``market`` that ended today; an open market is skipped.

    Sessions of the last two weeks that nobody reviewed, because a run died or none came, are
    reviewed first, whether or not today's has ended.

    Args:
        market: One calendar, one currency, one playbook a session.
    """
    group = MarketGroup.parse(market)
    async with open_runtime() as runtime:
        at = runtime.clock.now()
        await name_run("review", group, at)
        too_late = skip_if_late("review", group, at)
        if too_late is not None:
            return too_late
        late = await _review_missed(runtime, group, at)
        session = session_on(group, local_date(group, at))
        if session is None or at < session.close_at:
            return Completed(
                name=None if late else "Skipped",
                message=f"{group} has no closed session at {stamp(group, at)}{late}",
            )
        await settle_day(runtime, group, session, at)
        card = await score_day(runtime, group, session, at)
        memory = await remember(runtime, (group,), at)
    failed = f"; memory: {memory.line()}" if memory.failed else ""
    return Completed(message=_line(card) + late + failed)


async def _review_missed(runtime: Runtime, group: MarketGroup, at: datetime) -> str:
    """Words about the sessions that were reviewed late; empty when none was."""
    days = []
    for session in missed_sessions(runtime.store, group=group, at=at):
        try:
            if can_settle(session, at):
                await settle_day(runtime, group, session, at)
            await score_day(runtime, group, session, at)
        except Exception:
            # It is tried again with the next review; today's must not wait for it.
            logger.exception("the missed session of %s was not reviewed", session.date)
            continue
        days.append(f"{session.date}")
    return f"; reviewed late: {', '.join(days)}" if days else ""


def _line(card: Scorecard) -> str:
    net = ", ".join(f"{amount:+,} {code}" for code, amount in card.net_pnl.items())
    return f"{card.orders} orders, {net or 'no P&L'} after costs"
