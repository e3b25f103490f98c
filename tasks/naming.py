"""Names of runs as a person reads them: ``tick KR 2025-09-10 10:35``, in the exchange's time."""

from __future__ import annotations

import logging
from datetime import datetime
from zoneinfo import ZoneInfo

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from trading_core.model.market import MarketGroup
from trading_core.rules.markets import zone_of

logger = logging.getLogger(__name__)


def stamp(group: MarketGroup, at: datetime) -> str:
    """``2025-09-10 10:35`` in the zone of the group's exchange."""
    return f"{at.astimezone(ZoneInfo(zone_of(group))):%Y-%m-%d %H:%M}"


async def name_run(verb: str, group: MarketGroup | None, at: datetime) -> None:
    """Rename the current flow run; a name is never worth a failed run.

    A run that belongs to no market carries UTC.
    """
    if not flow_run.id:
        return
    try:
        async with get_client() as client:
            await client.update_flow_run(flow_run.id, name=_name(verb, group, at))
    except Exception as error:
        logger.warning("the run keeps its generated name: %s", type(error).__name__)


def _name(verb: str, group: MarketGroup | None, at: datetime) -> str:
    if group is None:
        return f"{verb} {at:%Y-%m-%d %H:%M} UTC"
    return f"{verb} {group} {stamp(group, at)}"
