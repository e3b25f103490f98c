"""The kill switch: a fixed sequence that is finished whatever fails on the way.

Block entries, cancel the working ones, make the books agree with the broker, sell what is held if
that was asked for, keep a copy of the state, tell. Every step is written down when it has ended;
one that fails does not stop the next. Run again after a crash, or to retry what failed, it goes on
with what is not done yet. What each step does is in ``steps.kill_steps``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from trading_core.errors import ConfigError, TradingError
from trading_core.model.journal import Halt, HaltKind, HaltLevel, KillRow, KillStep, StepOutcome
from trading_core.model.market import MarketGroup
from trading_core.ports import Store
from trading_core.rules.trading_state import ALL
from trading_core.steps.kill_steps import KillPorts as KillPorts
from trading_core.steps.kill_steps import KillReport as KillReport
from trading_core.steps.kill_steps import KillRun, blocked_line

logger = logging.getLogger(__name__)

PAUSES = (1.0, 2.0)
"""Seconds before the second and the third try of a step."""


def block(store: Store, *, scope: str, reason: str, reduce: bool, at: datetime) -> Halt:
    """The first step alone, which needs no broker; :func:`kill` goes on from it.

    Raises:
        ConfigError: no reason was given.
        UnknownMarket: ``scope`` is neither a market group nor ``ALL``.
        StoreBusy: the store could not be opened in time.
    """
    _check(scope, reason)
    halt, before = _begin(store, scope, reason, reduce=reduce, at=at)
    if not before:
        row = KillRow(halt.halt_id, KillStep.BLOCK, "", 1, StepOutcome.DONE, blocked_line(halt), at)
        with store.write() as tx:
            tx.append([halt, row])
    return halt


def _check(scope: str, reason: str) -> None:
    if not reason.strip():
        raise ConfigError("kill needs a reason: it is what everybody is told")
    if scope != ALL:
        MarketGroup.parse(scope)


async def kill(
    ports: KillPorts,
    *,
    scope: str,
    reason: str,
    reduce: bool = False,
    pauses: Sequence[float] = PAUSES,
) -> KillReport:
    """Throw the switch for one market group (``KR``) or ``ALL``.

    Without ``reduce`` the halt it raises is of the level HALTED: nothing new is sent there, stops
    neither. With it everything held is sold and protective exits go on, so the level is REDUCING.
    A switch of the same scope and level that is not finished, and whose halt nobody lifted, goes
    on where it was.

    Args:
        pauses: Seconds before the second and each further try to refresh and to reduce.

    Raises:
        ConfigError: no reason was given.
        UnknownMarket: ``scope`` is neither a market group nor ``ALL``.
    """
    _check(scope, reason)
    groups = ports.groups if scope == ALL else (MarketGroup.parse(scope),)
    at = ports.clock.now()
    halt, before = _begin(ports.store, scope, reason, reduce=reduce, at=at)
    run = KillRun(ports, halt, pauses, before)
    await run.step(KillStep.BLOCK, run.block)
    for group in groups:
        await run.step(KillStep.CANCEL, partial(run.cancel, group), group.value)
    for group in groups:
        await run.step(KillStep.REFRESH, partial(run.refresh, group), group.value)
    if reduce:
        for group in groups:
            await run.step(KillStep.REDUCE, partial(run.reduce, group), group.value)
    await run.step(KillStep.SNAPSHOT, run.snapshot)
    await run.step(KillStep.NOTIFY, run.notify)
    return run.report()


async def kill_again(
    ports: KillPorts, report: KillReport, *, reason: str, pauses: Sequence[float] = PAUSES
) -> KillReport:
    """Go on after the blackout that kept a run from ending; the last report when none did.

    A person who lifted the halt meanwhile has the last word: nothing more is done.
    """
    if report.again_at is None:
        return report
    await ports.clock.sleep_until(report.again_at)
    with ports.store.read() as reader:
        if all(halt.halt_id != report.kill_id for halt in reader.open_halts()):
            return report
    return await kill(ports, scope=report.scope, reason=reason, reduce=report.reduce, pauses=pauses)


def _begin(
    store: Store, scope: str, reason: str, *, reduce: bool, at: datetime
) -> tuple[Halt, tuple[KillRow, ...]]:
    """The unfinished switch of this scope and level and what it did; a new one without any."""
    wanted = Halt(
        halt_id=f"{HaltKind.KILL}-{scope}-{at:%Y%m%dT%H%M%S.%fZ}",
        kind=HaltKind.KILL,
        scope=scope,
        reason=reason,
        raised_at=at,
        level=HaltLevel.REDUCING if reduce else HaltLevel.HALTED,
    )
    found: tuple[Halt, tuple[KillRow, ...]] = wanted, ()
    try:
        with store.read() as reader:
            for halt in reader.open_halts():
                if (halt.kind, halt.scope, halt.level) == (wanted.kind, scope, wanted.level):
                    rows = tuple(reader.kill_rows(halt.halt_id))
                    found = found if _is_finished(rows) else (halt, rows)
    except TradingError as error:
        logger.warning("begun anew, the store does not say what was done: %s", error)
    return found


def _is_finished(rows: Sequence[KillRow]) -> bool:
    """Whether a person was told, and the last try of every step is done."""
    last = {(row.step, row.market): row.outcome for row in rows}
    return (KillStep.NOTIFY, "") in last and StepOutcome.FAILED not in last.values()
