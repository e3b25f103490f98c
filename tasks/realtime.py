"""The tasks of realtime mode: asking a model about candidates while a session is on."""

from __future__ import annotations

import logging
from datetime import datetime

from tasks.policy import step_task
from trading_core.model.decision import DecidedBy, DecisionCycle
from trading_core.steps import decide, tell
from trading_core.steps.decide import Cycle, Decider
from trading_core.steps.opening import TradingDay
from trading_core.wiring import Runtime

logger = logging.getLogger(__name__)


def decider_of(runtime: Runtime, day: TradingDay) -> Decider | None:
    """Who asks during this session; None where the playbook alone decides."""
    if not decide.is_wanted(runtime.realtime, day.playbook, runtime.language_model):
        return None
    return make_decider(runtime)


def make_decider(runtime: Runtime) -> Decider:
    """One that asks whatever the mode is."""
    return Decider(
        runtime.language_model,
        runtime.store,
        runtime.market_data,
        runtime.broker,
        runtime.history,
        policy=runtime.policy,
        realtime=runtime.realtime,
        universe=runtime.universe,
    )


@step_task("decide", timeout_seconds=700)
async def ask_model(runtime: Runtime, decider: Decider, day: TradingDay, at: datetime) -> Cycle:
    """One round of asking, written down; people are told when the playbook takes over."""
    try:
        cycle = await decider.cycle(day, at)
        decide.journal_cycle(runtime.store, cycle)
        await tell.tell(runtime.notifier, runtime.store, tell.of_cycle(cycle.row))
    except Exception as error:
        # A round that fails costs its entries, never the tick that follows it.
        logger.exception("no decisions at %s", at.isoformat())
        reason = f"the round failed: {type(error).__name__}"
        row = DecisionCycle(day.group.value, day.session.date, at, DecidedBy.MODEL, reason=reason)
        return Cycle(row, day)
    return cycle
