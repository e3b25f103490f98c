"""One pass of the trading loop, by hand, for the rounds of the day, or to catch up."""

from __future__ import annotations

import logging
from datetime import datetime

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.deployments import followed
from tasks.lateness import skip_if_late
from tasks.naming import name_run, stamp
from tasks.parameters import MarketCode
from tasks.planning import make_playbook, open_day
from tasks.realtime import ask_model, decider_of
from tasks.shadowing import shadow_run
from tasks.trading import act, observe, reconcile_books, tell_people
from trading_core.errors import CircuitBreakerTripped
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import Session, session_at
from trading_core.steps.decide import Cycle
from trading_core.steps.lease import living_holder
from trading_core.steps.opening import TradingDay
from trading_core.steps.protect import Pass
from trading_core.steps.restore import require_agreement
from trading_core.steps.tick import decide
from trading_core.steps.watchdog import Progress
from trading_core.wiring import Runtime, open_runtime

logger = logging.getLogger(__name__)


@flow(name="tick", description="Observe, decide and act once, for one market.")
async def tick(market: MarketCode, unless_watched: bool = False) -> State:
    """Run one tick of ``market`` (``KR``, ``US`` ...) now; a closed market is skipped.

    Args:
        market: One calendar, one currency, one playbook a session.
        unless_watched: Skip a market that a session is looking at anyway.
    """
    group = MarketGroup.parse(market)
    async with open_runtime() as runtime:
        at = runtime.clock.now()
        await name_run("tick", group, at)
        late = skip_if_late("tick", group, at, every=runtime.interval)
        if late is not None:
            return late
        session = session_at(group, at)
        if session is None:
            return Completed(name="Skipped", message=f"{group} is closed at {stamp(group, at)}")
        watching = _watching(runtime, session, at) if unless_watched else None
        if watching is not None:
            return Completed(name="Skipped", message=f"{group} is watched by {watching}")
        require_agreement(runtime.store)
        async with shadow_run(runtime, group, session) as shadows:
            with runtime.claim(at):
                playbook = await make_playbook(runtime, group, session, at, shadows.take)
                day = await open_day(runtime, group, session, playbook)
                decider = decider_of(runtime, day)
                cycle = await ask_model(runtime, decider, day, at) if decider else None
                made = await one_tick(runtime, day, at, cycle=cycle)
            report = made.report
            await shadows.draft_soon(at)
            await shadows.follow(day, made)
        await followed()
    if report.halted:
        return Failed(name="Halted", message=report.halted)
    return Completed(message=report.line())


def _watching(runtime: Runtime, session: Session, at: datetime) -> str | None:
    """Who looks at the market every few minutes already."""
    with runtime.store.read() as reader:
        return living_holder(reader, session.group, session.date, at)


async def one_tick(
    runtime: Runtime,
    day: TradingDay,
    at: datetime,
    progress: Progress | None = None,
    cycle: Cycle | None = None,
) -> Pass:
    """The sequence of every tick: reconcile, observe, decide, act, tell.

    ``cycle`` holds what a model said just now, where one is asked; it knows the day it is about.
    """
    progress, day = progress or Progress(), cycle.day if cycle else day
    books = await reconcile_books(runtime, day, at)
    progress.reconciled_at = at
    view = await observe(runtime, day, books, at, cycle)
    progress.priced(view.quotes.values(), books.positions, at)
    plan = decide(view, runtime.policy)
    progress.decided_at = at
    try:
        sent = await act(runtime, day, books, plan)
    except CircuitBreakerTripped as tripped:
        # The halt is stored; this process goes on, because stops must go on being watched.
        logger.critical("%s", tripped.message)
        sent = tripped.sent
    told = await tell_people(runtime, day, books, plan, sent)
    return Pass(view, plan, sent, told)
