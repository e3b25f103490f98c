"""Which runs hang, and which of those that should be there are not.

Two clocks meet here. Runs are dated by the scheduler, in real time; whether a market trades is a
matter of the exchange's clock, which is another one where the exchange is a twin. ``now`` is the
first, ``at`` the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from trading_core.model.market import MarketGroup
from trading_core.rules.schedules import (
    REVIEW_AFTER,
    SESSION_LEAD,
    BookedFlow,
    SchedulePolicy,
    too_late,
)
from trading_core.rules.sessions import Session

START_PATIENCE = timedelta(minutes=3)
"""A process is there after 5 to 30 seconds, and on a busy machine after a minute or two."""
TAKE_OVER = timedelta(seconds=15)
"""What a session run has to take over the lease of one that died, before it is taken for that."""
SILENCE = timedelta(minutes=3)
"""A run that lives says so every 30 seconds."""
GRACE = timedelta(minutes=2)
"""So long after it was due a run is not missed yet: its worker may be about to fetch it."""
REVIEW_GRACE = timedelta(minutes=15)
MOST_ATTEMPTS = 3
"""Of plans and reviews. A session is tried until its market closes, with pauses."""
PAUSES = (timedelta(0), timedelta(0), timedelta(0), timedelta(minutes=1), timedelta(minutes=5))
"""What a session waits for after so many failures within the hour, the last value for more."""
SOON = timedelta(minutes=10)
"""A run that is due within it is on its way."""


class RunPhase(StrEnum):
    """Where a run stands; CANCELLED is an end that a person chose."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class RunView:
    """One run as the scheduler knows it, and what can be seen of its process.

    Args:
        since: When it came into its phase.
        due: When it was to start.
        heard_at: Its last sign of life; None when there was none.
        has_process: Whether its process lives on this machine; None when that cannot be seen.
    """

    run_id: str
    name: str
    flow: str
    market: MarketGroup | None
    phase: RunPhase
    since: datetime
    due: datetime
    heard_at: datetime | None = None
    has_process: bool | None = None


@dataclass(frozen=True, slots=True)
class MarketView:
    """One market on its session's date.

    ``is_held``: a living process has the session's lease; ``is_orphaned``: a process of this
    machine that is gone has it still.
    """

    session: Session
    is_held: bool
    has_playbook: bool
    is_paused: bool = False
    is_orphaned: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """A run that should be there and is not."""

    flow: BookedFlow
    market: MarketGroup
    session: date
    attempt: int
    why: str
    pause: timedelta = timedelta(0)

    @property
    def deployment(self) -> str:
        return f"{self.flow}/{self.market}"

    @property
    def key(self) -> str:
        """The same for whoever finds the same thing missing, so that it is started once."""
        return f"{self.flow}-{self.market}-{self.session}-{self.attempt}"


def hanging(
    runs: Iterable[RunView],
    held: Iterable[MarketGroup],
    now: datetime,
    orphaned: Iterable[MarketGroup] = (),
) -> list[tuple[RunView, str]]:
    """Runs of which nothing comes any more, with the reason.

    A run is given up once it has been silent; a session whose lease is ``held`` by a living process
    never, and one whose lease was ``orphaned`` at once.
    """
    holders, orphans, found = set(held), set(orphaned), []
    for run in runs:
        is_session = run.flow == BookedFlow.SESSION
        if is_session and run.market in holders:
            continue
        if is_session and run.market in orphans and _died_at_work(run, now):
            found.append((run, "its process died and left the lease of its market"))
        elif run.phase is RunPhase.STARTING and now - run.since > START_PATIENCE:
            found.append((run, f"it has been starting for {_minutes(now - run.since)}"))
        elif run.phase is RunPhase.RUNNING and not run.has_process:
            silent = now - max(run.since, run.heard_at or run.since)
            if silent > SILENCE:
                gone = "its process is gone" if run.has_process is False else "no sign of life"
                found.append((run, f"{gone} for {_minutes(silent)}"))
    return found


def _died_at_work(run: RunView, now: datetime) -> bool:
    is_old = now - run.since > TAKE_OVER
    return run.phase is RunPhase.RUNNING and not run.has_process and is_old


def outdated(
    runs: Iterable[RunView], *, at: datetime, now: datetime, policy: SchedulePolicy
) -> list[tuple[RunView, str]]:
    """Runs that wait for a worker and would skip by themselves once started."""
    found = []
    for run in runs:
        if run.phase is RunPhase.WAITING and now - run.due > START_PATIENCE:
            every = policy.tick_every if run.flow == BookedFlow.TICK else timedelta(days=1)
            why = too_late(run.flow, late=now - run.due, at=at, group=run.market, every=every)
            if why is not None:
                found.append((run, why))
    return found


def missing(
    view: MarketView,
    runs: Sequence[RunView],
    *,
    at: datetime,
    now: datetime,
    policy: SchedulePolicy,
) -> Start | None:
    """The session or plan that should be there at ``at``; None when nothing is missing.

    ``runs`` are the market's, without those that hang. A session makes its own plan, so a plan is
    missed only while there is no session.
    """
    session, group = view.session, view.session.group
    if at >= session.close_at or view.is_held:
        return None
    opening = session.open_at - SESSION_LEAD
    if at >= opening + GRACE:
        if view.is_paused or _is_coming(runs, BookedFlow.SESSION, now):
            return None
        return _session(view, _since(runs, BookedFlow.SESSION, now - (at - opening)), at, now)
    if view.has_playbook or at < session.open_at - policy.pre_market + GRACE:
        return None
    if _is_coming(runs, BookedFlow.SESSION, now):
        return None
    begun = now - (at - (session.open_at - policy.pre_market))
    plans = _since(runs, BookedFlow.PLAN, begun)
    if _is_coming(plans, BookedFlow.PLAN, now) or len(plans) >= MOST_ATTEMPTS or _ended(plans):
        return None
    why = f"{group} opens at {session.open_at:%H:%M} UTC and has no playbook"
    return Start(BookedFlow.PLAN, group, session.date, len(plans) + 1, why)


def _session(
    view: MarketView, runs: Sequence[RunView], at: datetime, now: datetime
) -> Start | None:
    group = view.session.group
    if _ended(runs):
        return None
    failed = [run for run in runs if run.phase is RunPhase.FAILED]
    lately = [run.since for run in failed if now - run.since <= timedelta(hours=1)]
    pause = PAUSES[min(len(lately), len(PAUSES) - 1)]
    why = f"{group} is open and no session run is alive"
    if at < view.session.open_at:
        why = f"{group} is about to open and no session run is alive"
    return Start(BookedFlow.SESSION, group, view.session.date, len(runs) + 1, why, pause)


def missing_review(
    group: MarketGroup,
    unreviewed: Sequence[Session],
    runs: Sequence[RunView],
    *,
    at: datetime,
    now: datetime,
) -> Start | None:
    """The review that makes up for all sessions that nobody reviewed; None when one is coming."""
    closed = [s for s in unreviewed if at >= s.close_at + REVIEW_AFTER + REVIEW_GRACE]
    if not closed or _is_coming(runs, BookedFlow.REVIEW, now):
        return None
    newest = closed[-1]
    tried = _since(runs, BookedFlow.REVIEW, now - (at - newest.close_at))
    if len(tried) >= MOST_ATTEMPTS or any(r.phase is RunPhase.CANCELLED for r in tried):
        return None
    days = ", ".join(f"{session.date}" for session in closed)
    why = f"{group} was not reviewed on {days}"
    return Start(BookedFlow.REVIEW, group, newest.date, len(tried) + 1, why)


def _since(runs: Iterable[RunView], flow: BookedFlow, begun: datetime) -> list[RunView]:
    """Runs of a flow that were due from ``begun`` on, a little before it included."""
    return [run for run in runs if run.flow == flow and run.due >= begun - GRACE]


def _is_coming(runs: Iterable[RunView], flow: BookedFlow, now: datetime) -> bool:
    """Whether a run of the flow is on, starts, or is about to be fetched by a worker."""
    live = (RunPhase.STARTING, RunPhase.RUNNING)
    return any(
        run.phase in live or (run.phase is RunPhase.WAITING and run.due <= now + SOON)
        for run in runs
        if run.flow == flow
    )


def _ended(runs: Sequence[RunView]) -> bool:
    """Whether the newest came to its end by itself or by a person's hand."""
    newest = max(runs, key=lambda run: run.due, default=None)
    return newest is not None and newest.phase in (RunPhase.COMPLETED, RunPhase.CANCELLED)


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.0f} minutes"
