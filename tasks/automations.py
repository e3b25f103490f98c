"""The automations of the Prefect server that belong to the system, kept as they are written here.

They call deployments of ours and nothing else: who is told, and with which keys, stays with the
settings. One that a person switched off stays off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.automations import AutomationCore, EventTrigger, Posture, RunDeployment
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.schemas.events import ResourceSpecification

from trading_core.model.difference import Severity

ALERT = "alert/by-automation"
BOOK = "book/calendar"

_BAD_ENDS = {f"prefect.flow-run.{name}" for name in ("Failed", "Crashed", "TimedOut")}
_RUN = (
    "{{ flow.name }} {{ flow_run.name }}: {{ flow_run.state.name }}"
    "{% if flow_run.state.message %}: {{ flow_run.state.message }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """Names of our automations: made now, changed now, as they should be, and those whose
    deployment is not there. ``off`` are those that a person switched off."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    not_deployed: tuple[str, ...] = ()
    off: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[str, ...]:
        return self.created + self.updated


def wanted(deployments: Mapping[str, UUID]) -> dict[str, AutomationCore]:
    """Our automations by name, on these deployments (``alert/by-automation``).

    Halts that end a run are told by whoever raised them; its state is named "Halted" and is none of
    the bad ends.
    """
    made = _alerts(deployments[ALERT]) if ALERT in deployments else []
    if BOOK in deployments:
        made.append(_planning_follows(deployments[BOOK]))
    return {automation.name: automation for automation in made}


def _alerts(alert: UUID) -> list[AutomationCore]:
    return [
        AutomationCore(
            name="ouroboros: a trading run ended badly",
            description="A plan, session, tick or review that failed or crashed is told.",
            trigger=_runs(_BAD_ENDS, tag="trading"),
            actions=[_tell(alert, Severity.CRITICAL, "run-cleared-{{ flow_run.id }}")],
        ),
        AutomationCore(
            name="ouroboros: backups need a person",
            description="A backup that failed, or backups too old or unusable, once a day.",
            trigger=_runs(_BAD_ENDS | {"prefect.flow-run.Unhealthy"}, tag="backup"),
            actions=[_tell(alert, Severity.WARNING, "{{ flow.name }}", daily=True)],
        ),
    ]


def _planning_follows(book: UUID) -> AutomationCore:
    return AutomationCore(
        name="ouroboros: planning follows halts",
        description="Looks at once which planning is to be paused, or to go on again.",
        trigger=EventTrigger(
            expect={"ouroboros.halt.raised", "ouroboros.halt.lifted"},
            match=ResourceSpecification({"prefect.resource.id": "ouroboros.halt.*"}),
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[RunDeployment(source="selected", deployment_id=book)],
    )


async def keep_automations(
    client: PrefectClient, deployments: Mapping[str, DeploymentResponse]
) -> Kept:
    """Make the server's automations of these names what they should be; what is right is not
    touched, so that it forgets nothing of what it has seen."""
    want = wanted({name: deployment.id for name, deployment in deployments.items()})
    have = {found.name: found for found in await client.read_automations()}
    done: dict[str, list[str]] = {"created": [], "updated": [], "unchanged": [], "off": []}
    for name, automation in want.items():
        found = have.get(name)
        if found is None:
            await client.create_automation(automation)
            done["created"].append(name)
            continue
        if not found.enabled:
            done["off"].append(name)
        automation.enabled = found.enabled
        if _plain(found) == _plain(automation):
            done["unchanged"].append(name)
        else:
            await client.update_automation(found.id, automation)
            done["updated"].append(name)
    missing = tuple(name for name in (ALERT, BOOK) if name not in deployments)
    return Kept(**{key: tuple(names) for key, names in done.items()}, not_deployed=missing)


def _runs(expect: set[str], *, tag: str) -> EventTrigger:
    related = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{tag}"}
    return EventTrigger(
        expect=expect,
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=ResourceSpecification(related),
        posture=Posture.Reactive,
        threshold=1,
    )


def _tell(alert: UUID, severity: Severity, key: str, *, daily: bool = False) -> RunDeployment:
    """The alert of a run. Of one that was given up ``tasks.oversight`` tells by the same key."""
    filled = {"text": _template(_RUN), "key": _template(key)}
    fixed = {"severity": severity.value, "daily": daily}
    return RunDeployment(source="selected", deployment_id=alert, parameters=filled | fixed)


def _template(text: str) -> dict[str, Any]:
    return {"__prefect_kind": "jinja", "template": text}


def _plain(automation: AutomationCore) -> Any:
    """What of an automation we write, in an order of its own."""
    return _sorted(automation.model_dump(mode="json", include=set(AutomationCore.model_fields)))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(item) for item in value), key=repr)
    return value
