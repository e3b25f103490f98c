"""The tasks of one tick."""

from __future__ import annotations

from datetime import datetime

from tasks.policy import step_task
from trading_core.steps import execute, reconcile, tell
from trading_core.steps import observe as looking
from trading_core.steps.execute import Sent
from trading_core.steps.observe import View
from trading_core.steps.opening import TradingDay
from trading_core.steps.reconcile import Books
from trading_core.steps.tick import TickPlan
from trading_core.wiring import Runtime


@step_task("reconcile", retries=2)
async def reconcile_books(runtime: Runtime, day: TradingDay, at: datetime) -> Books:
    """Make the store agree with the broker."""
    return await reconcile.reconcile(
        runtime.broker, runtime.store, group=day.group, session=day.session.date, at=at
    )


@step_task("observe", retries=1)
async def observe(runtime: Runtime, day: TradingDay, books: Books, at: datetime) -> View:
    """Read the prices of everything planned or held."""
    return await looking.observe(runtime.market_data, books=books, day=day, at=at)


@step_task("act")
async def act(runtime: Runtime, day: TradingDay, books: Books, plan: TickPlan) -> tuple[Sent, ...]:
    """Journal the plan, cancel what waited too long, send each approved order once."""
    execute.journal(runtime.store, plan)
    await execute.cancel_all(runtime.broker, runtime.store, runtime.lock, books, plan)
    return await execute.send_all(runtime.broker, runtime.store, runtime.lock, books, plan)


async def tell_people(
    runtime: Runtime, day: TradingDay, books: Books, plan: TickPlan, sent: tuple[Sent, ...]
) -> None:
    """Say what was accepted, filled, refused or halted. Not a task: most ticks say nothing."""
    notes = [*tell.of_books(books), *tell.of_plan(plan, day.group), *tell.of_sent(sent, plan.at)]
    await tell.tell(runtime.notifier, runtime.store, notes)
