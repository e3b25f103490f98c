"""Deployments that halts make pointless are paused in Prefect, and restored when they are lifted.

Only the planning of a market is paused. What protects positions (``session``, ``tick``), what
closes the day and what stops it go on. Nothing waits for any of this: a halt holds by the store.
Halts that are new are stated as events on the same connection, whoever raised or lifted them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tasks.events import of_halts, post
from trading_core.model.journal import DeploymentSwitch, Halt, SwitchAction
from trading_core.model.market import MarketGroup
from trading_core.ports import Store
from trading_core.rules.markets import currency_of
from trading_core.rules.trading_state import paused_deployments, planning_stopped_by

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 2.0
PAUSED_TAG = "plan"
FRESH = timedelta(minutes=1)
"""Halts that were raised or lifted so long ago at most are stated as events."""

_under_way: set[asyncio.Task[Any]] = set()


@dataclass(frozen=True, slots=True)
class Followed:
    """Names of the deployments that were paused and restored."""

    paused: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()


def connect() -> AbstractAsyncContextManager[Any] | None:
    """A client of the Prefect API; None when no API is configured, and none is started for this."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        return None
    return get_client(httpx_settings={"timeout": TIMEOUT_SECONDS})


async def follow_halts(
    store: Store,
    at: datetime,
    connect: Callable[[], AbstractAsyncContextManager[Any] | None] = connect,
    timeout_seconds: float = TIMEOUT_SECONDS,
    *,
    announce: bool = True,
) -> Followed:
    """Make the deployments what the standing halts say; whatever goes wrong is logged only.

    Every call looks at all halts anew, so one that failed is made up for by the next.

    Args:
        announce: State the halts of the last minute before ``at`` as events.
    """
    try:
        # Loading the client takes its time too, and no answer could come meanwhile.
        connection = connect()
        if connection is None:
            return Followed()
        async with asyncio.timeout(timeout_seconds), connection as client:
            done = await _follow(client, store, at)
            if announce:
                await _announce(client, store, at)
            return done
    except Exception as error:
        logger.warning("deployments are left as they are: %s", type(error).__name__)
    return Followed()


def follow_halts_soon(store: Store, at: datetime) -> None:
    """The same beside whatever comes next; :func:`followed` waits for it."""
    task = asyncio.create_task(follow_halts(store, at))
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)


async def followed() -> None:
    """Return once everything begun by :func:`follow_halts_soon` has ended."""
    await asyncio.gather(*_under_way)


async def _follow(client: Any, store: Store, at: datetime) -> Followed:
    with store.read() as reader:
        halts = reader.open_halts()
        ours = {s.deployment_id: s for s in paused_deployments(reader.deployment_switches())}
    found = [d for d in await client.read_deployments() if PAUSED_TAG in d.tags]
    to_pause = [switch for d in found if (switch := _pause(d, halts, ours, at)) is not None]
    # First written down, so that none is ever paused that nobody knows to restore.
    _write(store, to_pause)
    for switch in to_pause:
        await client.pause_deployment(UUID(switch.deployment_id))
    free = [d for d in found if str(d.id) in ours and not _stopped_by(d, halts)]
    for deployment in free:
        await client.resume_deployment(deployment.id)
    restored = [_switch(d, SwitchAction.RESTORED, at, ()) for d in free]
    _write(store, restored)
    return Followed(tuple(s.name for s in to_pause), tuple(s.name for s in restored))


async def _announce(client: Any, store: Store, at: datetime) -> None:
    """Not by way of Prefect's thread: a command may have ended before that is through."""
    with store.read() as reader:
        halts = reader.halts()
    fresh = [halt for halt in halts if abs(at - (halt.lifted_at or halt.raised_at)) <= FRESH]
    if fresh:
        await post(client, of_halts(fresh))


def _pause(
    deployment: Any, halts: Sequence[Halt], ours: dict[str, DeploymentSwitch], at: datetime
) -> DeploymentSwitch | None:
    """How to pause it; None for one that is paused, need not be, or that a person let go on."""
    stopped_by = [halt.halt_id for halt in _stopped_by(deployment, halts)]
    before = ours.get(str(deployment.id))
    known = set(before.halts) if before else set()
    if deployment.paused or not set(stopped_by) - known:
        return None
    return _switch(deployment, SwitchAction.PAUSED, at, stopped_by)


def _stopped_by(deployment: Any, halts: Sequence[Halt]) -> tuple[Halt, ...]:
    group = MarketGroup.parse(deployment.parameters["market"])
    return planning_stopped_by(halts, group=group, currency=currency_of(group))


def _switch(
    deployment: Any, action: SwitchAction, at: datetime, halts: Iterable[str]
) -> DeploymentSwitch:
    name = f"{PAUSED_TAG}/{deployment.name}"
    return DeploymentSwitch(str(deployment.id), name, action, at, tuple(halts))


def _write(store: Store, switches: Sequence[DeploymentSwitch]) -> None:
    if switches:
        with store.write() as tx:
            tx.append(switches)
