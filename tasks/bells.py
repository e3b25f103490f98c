"""Telling people of a session as a whole: it begins, ended, has no plan, or had more to say."""

from __future__ import annotations

from datetime import datetime

from trading_core.rules.calendar import Session
from trading_core.rules.markets import currency_of
from trading_core.steps import tell
from trading_core.steps.opening import TradingDay
from trading_core.wiring import Runtime


async def tell_of_open(runtime: Runtime, day: TradingDay) -> None:
    """Once a session, by whichever run trades it first, after its first tick."""
    note = tell.of_open(day.session, day.playbook, runtime.clock.now())
    await tell.try_to_tell(runtime.notifier, runtime.store, [note])


async def tell_of_close(runtime: Runtime, day: TradingDay, *, ticks: int, failed: int) -> None:
    """Once a session, by the run that saw its end."""
    currency = currency_of(day.group)
    with runtime.store.read() as reader:
        points = reader.equity_curve(day.group, day.session.date)
    curve = [point for point in points if point.currency == currency]
    at = runtime.clock.now()
    note = tell.of_close(day.session, at, ticks=ticks, failed=failed, curve=curve)
    await tell.try_to_tell(runtime.notifier, runtime.store, [note])


async def tell_of_no_playbook(
    runtime: Runtime, session: Session, error: Exception, at: datetime
) -> None:
    """A session could not be planned, not even by the last resort."""
    why = f"{type(error).__name__}: {error}"
    note = tell.of_no_playbook(session.group, session.date, why, at)
    await tell.try_to_tell(runtime.notifier, runtime.store, [note])


async def tell_missed(runtime: Runtime, session: Session, at: datetime) -> bool:
    """Say what a run that died, or a pass that failed, could not; whether it is written down."""
    with runtime.store.read() as reader:
        notes = tell.of_session(reader, session.group, session.date, at)
    return await tell.try_to_tell(runtime.notifier, runtime.store, notes)
