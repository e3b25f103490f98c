"""What the calendar books, set on the deployments of the Prefect server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import RRuleSchedule

from trading_core.errors import ConfigError
from trading_core.rules.schedules import SLUG, BookedFlow, Schedule

logger = logging.getLogger(__name__)

PAGE = 200


@dataclass(frozen=True, slots=True)
class Booked:
    """Names of schedules (``plan/KR calendar``) that were changed, and of deployments that are
    not there."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: int = 0
    not_deployed: tuple[str, ...] = ()

    @property
    def changes(self) -> int:
        return len(self.created) + len(self.updated) + len(self.removed)


def connect() -> PrefectClient:
    """A client of the configured API. Raises ``ConfigError``: none is configured."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        raise ConfigError(
            "no Prefect server is configured: start one with `prefect server start` and set "
            "PREFECT_API_URL, such as http://127.0.0.1:4200/api"
        )
    return get_client()


async def read_deployments(client: PrefectClient) -> dict[str, DeploymentResponse]:
    """Every deployment by its name, ``plan/KR``."""
    flows = {flow.id: flow.name for flow in await client.read_flows(limit=PAGE)}
    found: dict[str, DeploymentResponse] = {}
    while page := await client.read_deployments(limit=PAGE, offset=len(found)):
        found |= {f"{flows.get(d.flow_id, '?')}/{d.name}": d for d in page}
        if len(page) < PAGE:
            break
    return found


async def set_schedules(
    client: PrefectClient,
    deployments: Mapping[str, DeploymentResponse],
    wanted: Mapping[str, Mapping[str, Schedule]],
    on_change: Callable[[str], None] = lambda text: None,
) -> Booked:
    """Make the booked schedules what is wanted; what is right already is not touched.

    A change makes the server forget the deployment's coming runs and plan them anew. Schedules
    that a person added are left alone, and one that a person switched off stays off.
    """
    done: dict[str, list[str]] = {"created": [], "updated": [], "removed": []}
    unchanged = 0
    for name, deployment in sorted(deployments.items()):
        if name.partition("/")[0] not in set(BookedFlow):
            continue
        have = {s.slug: s for s in deployment.schedules if (s.slug or "").startswith(SLUG)}
        want = wanted.get(name, {})
        for slug in sorted({*have, *want}, key=str):
            what = await _set_one(client, deployment, have.get(slug), slug, want.get(slug or ""))
            if what == "unchanged":
                unchanged += 1
                continue
            done[what].append(f"{name} {slug}")
            on_change(f"{what} {name} {slug}")
    absent = sorted(set(wanted) - set(deployments))
    return Booked(
        created=tuple(done["created"]),
        updated=tuple(done["updated"]),
        removed=tuple(done["removed"]),
        unchanged=unchanged,
        not_deployed=tuple(absent),
    )


async def _set_one(
    client: PrefectClient,
    deployment: DeploymentResponse,
    have: Any,
    slug: str | None,
    want: Schedule | None,
) -> str:
    if want is None:
        await client.delete_deployment_schedule(deployment.id, have.id)
        return "removed"
    rule, parameters = RRuleSchedule(rrule=want.rrule, timezone="UTC"), dict(want.parameters)
    if have is None:
        made = DeploymentScheduleCreate(schedule=rule, parameters=parameters, slug=slug)
        await client.create_deployment_schedules(deployment.id, [made])
        return "created"
    if have.parameters == parameters and getattr(have.schedule, "rrule", "") == want.rrule:
        return "unchanged"
    await client.update_deployment_schedule(
        deployment.id, have.id, schedule=rule, parameters=parameters
    )
    return "updated"
