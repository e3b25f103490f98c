"""The guard at the top of every flow: a run that comes too late to be of use is skipped.

A worker that was away finds everything it missed and runs all of it, in no useful order.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Completed

from trading_core.model.market import MarketGroup
from trading_core.rules.schedules import DAY, too_late


def lateness() -> timedelta:
    """How long after its time this run began; nothing for one that a person started again."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.run_count > 1 or run.state is None or run.expected_start_time is None:
        return timedelta(0)
    return run.state.timestamp - run.expected_start_time


def skip_if_late(
    flow: str, group: MarketGroup | None, at: datetime, every: timedelta = DAY
) -> State[None] | None:
    """The state to end in when this run of ``flow`` is of no use any more, else None.

    Args:
        at: Now, by the exchange's clock.
        every: How often a flow comes that belongs to no market, or a tick.
    """
    why = too_late(flow, late=lateness(), at=at, group=group, every=every)
    return None if why is None else Completed(name="Skipped", message=f"{flow} {why}")
