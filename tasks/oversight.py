"""Watching over the runs: what hangs is cleared, what should be there and is not is started."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.states import Completed, Crashed, Scheduled

from tasks.automations import Kept, keep_automations
from tasks.deployments import follow_halts
from tasks.runs import read_runs
from tasks.schedules import Booked, connect, read_deployments, set_schedules
from trading_core.errors import DataError
from trading_core.model.journal import Notification
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import Session, local_date, session_on
from trading_core.rules.run_watch import (
    MarketView,
    RunPhase,
    RunView,
    Start,
    hanging,
    missing,
    missing_review,
    outdated,
)
from trading_core.rules.schedules import bookings, known_until, schedules, window
from trading_core.steps import tell
from trading_core.steps.lease import living_holder, was_left_by_the_dead
from trading_core.steps.review import unreviewed_sessions
from trading_core.wiring import Oversight, open_oversight

logger = logging.getLogger(__name__)

Note = Callable[[str], None]
_TRIES = 20
"""Names tried for a new run while others of that name have ended already."""


@dataclass(frozen=True, slots=True)
class Overseen:
    """What one look did: schedules, runs that were cleared or skipped, runs that were started;
    each as ``(name, why)``."""

    booked: Booked
    cleared: tuple[tuple[str, str], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    started: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    automations: Kept = field(default_factory=Kept)

    def line(self) -> str:
        """One line for the state of a run."""
        booked = self.booked
        parts = [f"{booked.unchanged} schedules stand"]
        if booked.changes:
            parts.append(f"{booked.changes} changed")
        parts += [f"cleared {name}: {why}" for name, why in self.cleared]
        parts += [f"skipped {name}: {why}" for name, why in self.skipped]
        parts += [f"started {name}: {why}" for name, why in self.started]
        if booked.not_deployed:
            parts.append(f"not deployed: {', '.join(booked.not_deployed)}")
        if self.automations.changes:
            parts.append(f"{len(self.automations.changes)} automations set")
        return "; ".join([*parts, *self.remarks])


async def oversee(now: datetime, on_change: Note = lambda text: None) -> Overseen:
    """Book the calendar, clear what hangs, start what is missing; again at once changes nothing.

    Args:
        now: Real time, whatever clock the exchange has.

    Raises:
        ConfigError: no Prefect server is configured, or a setting is not allowed.
    """
    oversight = await open_oversight()
    async with connect() as client:
        deployments = await read_deployments(client)
        booked = await book_calendar(client, deployments, oversight, now, on_change)
        done = await watch(client, deployments, oversight, now, booked, on_change)
        kept = await _keep_automations(client, deployments, on_change)
    # For whoever raised or lifted a halt and died, or found no server.
    await follow_halts(oversight.store, now, announce=False)
    return replace(done, automations=kept)


async def _keep_automations(
    client: PrefectClient, deployments: Mapping[str, DeploymentResponse], on_change: Note
) -> Kept:
    """They are no reason to leave a session unwatched: a failure is logged."""
    try:
        kept = await keep_automations(client, deployments)
    except Exception as error:
        logger.warning("automations are left as they are: %s", type(error).__name__)
        return Kept()
    for name in kept.changes:
        on_change(f"set the automation {name!r}")
    return kept


async def book_calendar(
    client: PrefectClient,
    deployments: Mapping[str, DeploymentResponse],
    oversight: Oversight,
    now: datetime,
    on_change: Note = lambda text: None,
) -> Booked:
    """Set the schedules of this month and the twelve after it."""
    wanted = schedules(bookings(oversight.groups, *window(now.date()), oversight.policy))
    return await set_schedules(client, deployments, wanted, on_change)


async def watch(
    client: PrefectClient,
    deployments: Mapping[str, DeploymentResponse],
    oversight: Oversight,
    now: datetime,
    booked: Booked | None = None,
    on_change: Note = lambda text: None,
) -> Overseen:
    """Clear and start; without the exchange's clock sessions are left as they are."""
    look = _Look(client, deployments, oversight, now, on_change)
    at = oversight.clock.now() if oversight.clock else None
    views = [] if at is None else _markets(oversight, deployments, at)
    runs = await read_runs(client, deployments, now)
    held = [v.session.group for v in views if v.is_held] if at else list(MarketGroup)
    orphaned = [v.session.group for v in views if v.is_orphaned]
    hung = hanging(runs, held, now, orphaned)
    cleared = [await look.crash(run, why) for run, why in hung]
    late = [] if at is None else outdated(runs, at=at, now=now, policy=oversight.policy)
    skipped = [await look.skip(run, why) for run, why in late]
    gone = {run.run_id for run, _ in [*hung, *late]}
    kept = [run for run in runs if run.run_id not in gone]
    kept += [replace(run, phase=RunPhase.FAILED) for run, _ in hung]
    wanted = [] if at is None else _wanted(oversight, views, kept, at, now)
    started = [made for start in wanted if (made := await look.start(start))]
    await look.tell()
    return Overseen(
        booked or Booked(),
        tuple(cleared),
        tuple(skipped),
        tuple(started),
        _remarks(oversight, now),
    )


class _Look:
    """One look: what it does at the server, and what people are told of it."""

    def __init__(
        self,
        client: PrefectClient,
        deployments: Mapping[str, DeploymentResponse],
        oversight: Oversight,
        now: datetime,
        on_change: Note,
    ) -> None:
        self._client = client
        self._deployments = deployments
        self._oversight = oversight
        self._now = now
        self._on_change = on_change
        self._notes: list[Notification] = []

    async def crash(self, run: RunView, why: str) -> tuple[str, str]:
        """Give a run up; whatever limit it counts against is free again."""
        await self._client.set_flow_run_state(UUID(run.run_id), Crashed(message=why), force=True)
        self._note(f"run-cleared-{run.run_id}", f"{run.name} was given up: {why}")
        return run.name, why

    async def skip(self, run: RunView, why: str) -> tuple[str, str]:
        """End a run that would skip by itself, without a process for it."""
        state: State[None] = Completed(name="Skipped", message=f"{run.flow} {why}")
        await self._client.set_flow_run_state(UUID(run.run_id), state, force=True)
        self._on_change(f"skipped {run.name}: {why}")
        return run.name, why

    async def start(self, start: Start) -> tuple[str, str] | None:
        """Create the run; None when it is there already or cannot be had."""
        deployment = self._deployments.get(start.deployment)
        if deployment is None:
            return None
        for number in range(_TRIES):
            again = replace(start, attempt=start.attempt + number)
            run = await self._client.create_flow_run_from_deployment(
                deployment.id,
                parameters={"market": start.market.value},
                state=Scheduled(scheduled_time=self._now + start.pause),
                idempotency_key=again.key,
                name=f"{start.flow} {start.market} {start.session} again {again.attempt}",
            )
            if run.state is not None and not run.state.is_final():
                break
        self._note(f"run-started-{again.key}", f"{start.deployment} is started: {start.why}")
        return start.deployment, start.why

    async def tell(self) -> None:
        """Alert people, once all is done: whether they hear of it holds nothing up."""
        try:
            await tell.tell(self._oversight.notifier, self._oversight.store, self._notes)
        except Exception:
            logger.exception("nobody was told: %s", "; ".join(note.text for note in self._notes))

    def _note(self, name: str, text: str) -> None:
        self._on_change(text)
        note = Notification(name, self._now, "run", "warning", text, delivered=False)
        self._notes.append(note)


def _markets(
    oversight: Oversight, deployments: Mapping[str, DeploymentResponse], at: datetime
) -> list[MarketView]:
    views = []
    for group in oversight.groups:
        session = _today(group, at)
        deployment = deployments.get(f"session/{group}")
        if session is None:
            continue
        with oversight.store.read() as reader:
            views.append(
                MarketView(
                    session=session,
                    is_held=living_holder(reader, group, session.date, at) is not None,
                    has_playbook=reader.playbook(group, session.date) is not None,
                    is_paused=deployment is None or deployment.paused,
                    is_orphaned=was_left_by_the_dead(reader, group, session.date, at),
                )
            )
    return views


def _today(group: MarketGroup, at: datetime) -> Session | None:
    try:
        return session_on(group, local_date(group, at))
    except DataError as error:
        # One calendar that has ended must not leave the other markets unwatched.
        logger.error("%s", error)
        return None


def _wanted(
    oversight: Oversight,
    views: Sequence[MarketView],
    runs: Sequence[RunView],
    at: datetime,
    now: datetime,
) -> list[Start]:
    wanted: list[Start | None] = []
    for view in views:
        theirs = [run for run in runs if run.market is view.session.group]
        wanted.append(missing(view, theirs, at=at, now=now, policy=oversight.policy))
    for group in oversight.groups:
        theirs = [run for run in runs if run.market is group]
        left = unreviewed_sessions(oversight.store, group=group, at=at)
        wanted.append(missing_review(group, left, theirs, at=at, now=now))
    return [start for start in wanted if start is not None]


def _remarks(oversight: Oversight, now: datetime) -> tuple[str, ...]:
    """What a person should know: a calendar that ends soon, an exchange that does not answer."""
    ends = [(group, known_until(group)) for group in oversight.groups]
    soon = window(now.date())[1]
    found = [f"sessions of {group} are known until {day}" for group, day in ends if day < soon]
    if oversight.blind:
        found.append(f"sessions are not watched: {oversight.blind}")
    return tuple(found)
