"""A twin that lives in the present: every session is played on its own day, in real time.

The clock is that of its caller. When the next session of any market is near, the exchanges go on to
it; what was missed while nobody served is passed over, and prices go on where they stood.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

from trading_core.errors import ConfigError
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import next_session, previous_session, session_on
from trading_core.twin.launch import FURTHEST_SESSIONS, LEAD, Stage, TwinPlan

_DAY = timedelta(days=1)


class Present:
    """Keeps a stage at the present moment.

    Args:
        plan: What to play; its session is chosen here, its price files must be none.
        now: The present moment, aware UTC.
    """

    def __init__(self, plan: TwinPlan, now: Callable[[], datetime]) -> None:
        self._now = now
        first = _first_session(plan) or _session_of(plan.groups, now())
        self.stage = Stage.build(
            replace(plan, session=first, lead=LEAD),
            {group: previous_session(group, first + _DAY).date for group in plan.groups},
        )

    def moment(self) -> datetime:
        """The present; sessions that are due by then have been begun."""
        at = self._now()
        if at >= _begins(self._groups, following := self._following()):
            for day in self._way_to(following, at):
                self.stage.begin_session(day)
        return at

    @property
    def _groups(self) -> tuple[MarketGroup, ...]:
        return self.stage.plan.groups

    def _following(self) -> date:
        return _next_day(self._groups, max(e.tape.session for e in self.stage.exchanges))

    def _way_to(self, following: date, at: datetime) -> list[date]:
        """The day that is due, after stops on the way where it is too far to go at once."""
        days = [following]
        while _begins(self._groups, day := _next_day(self._groups, days[-1])) <= at:
            days.append(day)
        stops = {*days[FURTHEST_SESSIONS - 1 :: FURTHEST_SESSIONS], days[-1]}
        # A market that is shut on the last of them is left on its own newest session.
        newest = {previous_session(group, days[-1] + _DAY).date for group in self._groups}
        return sorted(stops | {day for day in newest if day >= following})


def _session_of(groups: tuple[MarketGroup, ...], at: datetime) -> date:
    """The newest day on which a session has begun, its lead counted in."""
    day = max(next_session(group, at.date()).date for group in groups)
    while _begins(groups, day) > at:
        day = max(previous_session(group, day).date for group in groups)
    return day


def _next_day(groups: tuple[MarketGroup, ...], after: date) -> date:
    return min(next_session(group, after).date for group in groups)


def _begins(groups: tuple[MarketGroup, ...], day: date) -> datetime:
    """When the clock of a day's first session starts."""
    opens = [session.open_at for group in groups if (session := session_on(group, day))]
    return min(opens) - LEAD


def _first_session(plan: TwinPlan) -> date | None:
    """The session that the state file began with; None without one."""
    if plan.state is None or not plan.state.exists() or not plan.state.stat().st_size:
        return None
    with plan.state.open("rb") as lines:
        head = lines.readline()
    try:
        return date.fromisoformat(json.loads(head)["of"]["session"])
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{plan.state}: is not a twin's state file") from None
