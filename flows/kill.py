"""The kill switch, for a hand on the Prefect UI; ``ouroboros kill`` does the same without it."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.kill import throw_switch
from tasks.parameters import Reason, ScopeCode
from trading_core.clock import SystemClock


@flow(name="kill", description="Block entries, cancel orders, sell if asked to, back up, tell.")
async def kill(scope: ScopeCode, reason: Reason, reduce: bool = False) -> State:
    """Throw the kill switch for one market (``KR``, ``US`` ...) or ``ALL``.

    Run again it goes on with the steps that are not done.

    Args:
        scope: One market, or ALL.
        reason: Recorded, and told to everybody.
        reduce: Sell everything held; without it nothing is sent.
    """
    # The halt comes before the broker is reached, so before there is a clock of the broker's.
    at = SystemClock().now()
    report = await throw_switch(scope=scope.strip().upper(), reason=reason, reduce=reduce, at=at)
    if report.failed:
        return Failed(name="Incomplete", message=report.line())
    return Completed(message=report.line())
