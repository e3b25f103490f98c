"""The kill switch on what this process is configured for; it needs no Prefect."""

from __future__ import annotations

import logging
from datetime import datetime

from tasks.deployments import follow_halts
from trading_core.errors import StoreError, TradingError
from trading_core.model.journal import KillRow, KillStep, StepOutcome
from trading_core.steps import kill
from trading_core.steps.kill import KillPorts, KillReport
from trading_core.wiring import Runtime, open_runtime, open_store

logger = logging.getLogger(__name__)


async def throw_switch(*, scope: str, reason: str, reduce: bool, at: datetime) -> KillReport:
    """Block first, with the store alone; then connect to the broker and do the rest.

    What a blackout of the broker forbids is tried again when it is over.

    Raises:
        ConfigError: no reason was given.
        UnknownMarket: ``scope`` is neither a market group nor ``ALL``.
    """
    store = open_store()
    try:
        kill.block(store, scope=scope, reason=reason, reduce=reduce, at=at)
    except StoreError as error:
        logger.critical("not blocked yet: %s", error)
    try:
        async with open_runtime(unconfirmed=True) as runtime:
            ports = ports_of(runtime)
            with runtime.claim(at):
                report = await kill.kill(ports, scope=scope, reason=reason, reduce=reduce)
                if report.again_at is not None:
                    await follow_halts(store, at)
                    report = await kill.kill_again(ports, report, reason=reason)
    except TradingError as error:
        report = _not_connected(scope, reduce, str(error), at)
    await follow_halts(store, at)
    return report


def ports_of(runtime: Runtime) -> KillPorts:
    """What the switch works with, of a runtime."""
    return KillPorts(
        store=runtime.store,
        broker=runtime.broker,
        market_data=runtime.market_data,
        lock=runtime.lock,
        archive=runtime.archive,
        notifier=runtime.notifier,
        clock=runtime.clock,
        policy=runtime.policy,
        groups=runtime.groups,
    )


def _not_connected(scope: str, reduce: bool, why: str, at: datetime) -> KillReport:
    """Entries are blocked and nothing else was possible; running it again goes on."""
    row = KillRow("", KillStep.CANCEL, "", 1, StepOutcome.FAILED, f"{why} (run it again)", at)
    return KillReport("", scope, reduce, (row,))
