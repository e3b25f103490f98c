"""The tasks of one tick."""

from __future__ import annotations

from datetime import datetime

from tasks import events
from tasks.deployments import follow_halts_soon
from tasks.policy import step_task
from trading_core.steps import cancel_entries, execute, operate, reconcile, tell, unfilled
from trading_core.steps import observe as looking
from trading_core.steps import protect as protecting
from trading_core.steps.decide import Cycle, with_decisions
from trading_core.steps.execute import Sent
from trading_core.steps.observe import View
from trading_core.steps.opening import TradingDay
from trading_core.steps.protect import Pass
from trading_core.steps.reconcile import Books
from trading_core.steps.sentinel import Sentinel
from trading_core.steps.tick import TickPlan
from trading_core.wiring import Runtime


@step_task("reconcile", retries=2)
async def reconcile_books(runtime: Runtime, day: TradingDay, at: datetime) -> Books:
    """Make the store agree with the broker."""
    return await reconcile.reconcile(
        runtime.broker, runtime.store, group=day.group, session=day.session.date, at=at
    )


@step_task("observe", retries=1)
async def observe(
    runtime: Runtime, day: TradingDay, books: Books, at: datetime, cycle: Cycle | None = None
) -> View:
    """Read the prices of everything planned, held or decided about."""
    also = cycle.instruments if cycle else {}
    view = await looking.observe(runtime.market_data, books=books, day=day, at=at, also=also)
    if cycle is not None:
        view = with_decisions(view, cycle, runtime.realtime)
    return await unfilled.look_closer(runtime.market_data, view, runtime.policy)


@step_task("act")
async def act(runtime: Runtime, day: TradingDay, books: Books, plan: TickPlan) -> tuple[Sent, ...]:
    """Journal the plan, cancel what waited too long, send each approved order once."""
    return await _carry_out(runtime, books, plan)


async def protect(runtime: Runtime, day: TradingDay, sentinel: Sentinel, at: datetime) -> Pass:
    """One protective pass. Not a task: nothing stands between a price and the exit it asks for."""
    protecting.write_down(runtime.store, sentinel, at)
    books = await reconcile.reconcile(
        runtime.broker, runtime.store, group=day.group, session=day.session.date, at=at
    )
    view = await protecting.look(runtime.market_data, sentinel, books=books, day=day, at=at)
    view = await unfilled.look_closer(runtime.market_data, view, runtime.policy)
    plan = protecting.decide_exits(view, runtime.policy)
    sent = () if protecting.is_empty(plan) else await _carry_out(runtime, books, plan)
    return Pass(view, plan, sent)


async def _carry_out(runtime: Runtime, books: Books, plan: TickPlan) -> tuple[Sent, ...]:
    execute.journal(runtime.store, plan)
    async with runtime.desk:
        await execute.cancel_all(runtime.broker, runtime.store, runtime.lock, books, plan)
        return await execute.send_all(runtime.broker, runtime.store, runtime.lock, books, plan)


async def heed_halts(runtime: Runtime, day: TradingDay) -> int:
    """Cancel what works of the entries while a halt stands. Not a task: it is looked at often."""
    async with runtime.desk:
        return await cancel_entries.heed_halts(
            runtime.broker,
            runtime.store,
            runtime.lock,
            group=day.group,
            session=day.session.date,
            clock=runtime.clock,
            policy=runtime.policy,
        )


async def tell_people(
    runtime: Runtime, day: TradingDay, books: Books, plan: TickPlan, sent: tuple[Sent, ...]
) -> bool:
    """Say what was accepted, filled, refused or halted; whether it could be written down.

    Not a task: most ticks say nothing.
    """
    notes = tell.of_pass(books, plan, sent)
    told = await tell.try_to_tell(runtime.notifier, runtime.store, notes)
    events.emit(events.of_pass(books, plan, sent))
    if plan.halts or books.new_halts:
        follow_halts_soon(runtime.store, plan.at)
    return told


async def look_at_loss(runtime: Runtime, day: TradingDay, at: datetime) -> None:
    """Look at the day's loss outside of any tick; a trip is stored, then told."""
    halt = await operate.check_breaker(
        runtime.broker,
        runtime.store,
        group=day.group,
        session=day.session.date,
        at=at,
        limits=runtime.policy.risk,
    )
    if halt is not None:
        await tell.try_to_tell(runtime.notifier, runtime.store, tell.of_halts([halt]))
        follow_halts_soon(runtime.store, at)
