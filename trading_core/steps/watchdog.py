"""Is anything still moving? Prices heard, fills asked for and decisions made, each within a time.

What stands still while the market is open stops the entries, by a halt of its own kind, and is
told. Once all of it moves again the halt is lifted by the watchdog itself.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trading_core.clock import Clock
from trading_core.model.journal import Notification
from trading_core.model.limits import BlackoutWindow
from trading_core.model.market import MarketGroup
from trading_core.model.price import Quote
from trading_core.ports import Notifier, Store
from trading_core.rules.blackout import blackout_until
from trading_core.rules.calendar import Session
from trading_core.steps import operate, tell

LEAST_QUIET = timedelta(seconds=60)
LEAST_QUIET_HELD = timedelta(seconds=30)
CHECKS = 6
"""How often a time is looked at while it runs."""


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """How positions are watched between ticks. All on the clock of the trading day.

    ``stream`` says whether the broker's stream is used. What it does not tell is asked for every
    ``poll_every``. ``quiet`` is how long nothing may move before entries stop; None is three
    ticks, a minute at least. A tick that is not over ``grace`` after the next one is due is
    stopped, but not before it had ``least_tick_seconds`` of real time.
    """

    stream: bool = True
    poll_every: timedelta = timedelta(seconds=10)
    quiet: timedelta | None = None
    grace: timedelta = timedelta(seconds=5)
    least_tick_seconds: float = 30.0
    pass_seconds: float = 30.0

    def quiet_for(self, interval: timedelta) -> timedelta:
        """How long nothing may move where a tick comes every ``interval``."""
        if self.quiet is None:
            return max(3 * interval, LEAST_QUIET)
        return max(self.quiet, interval + LEAST_QUIET)

    def quiet_held_for(self, interval: timedelta) -> timedelta:
        """The same for the prices of what is held, which ticks are not the only source of."""
        least = max(3 * self.poll_every, LEAST_QUIET_HELD)
        return min(self.quiet_for(interval), least)


@dataclass(slots=True)
class Progress:
    """When each thing last moved; aware UTC, None when it never did."""

    quoted_at: datetime | None = None
    held_quoted_at: datetime | None = None
    reconciled_at: datetime | None = None
    decided_at: datetime | None = None

    def priced(self, quotes: Iterable[Quote], held: Container[str], at: datetime) -> None:
        """Prices came in."""
        for quote in quotes:
            if quote.last > 0:
                self.quoted_at = at
                if quote.instrument.symbol in held:
                    self.held_quoted_at = at


def stalled(
    progress: Progress,
    *,
    at: datetime,
    since: datetime,
    quiet: timedelta,
    quiet_held: timedelta,
    held: bool,
) -> str:
    """What has not moved for too long, in words; empty when everything has. Pure.

    Args:
        progress: When each thing last moved.
        at: Now.
        since: Nothing could move before: the market was shut, in a blackout, or nobody watched.
        quiet: How long is too long.
        quiet_held: The same for prices of what is held.
        held: Whether anything is.
    """
    watched = [
        ("no price came in", progress.quoted_at, quiet),
        ("the broker's book was not read", progress.reconciled_at, quiet),
        ("nothing was decided", progress.decided_at, quiet),
    ]
    if held:
        watched.insert(0, ("no price of a holding came in", progress.held_quoted_at, quiet_held))
    for words, moved_at, limit in watched:
        last = max(moved_at or since, since)
        if at - last > limit:
            return f"{words} since {last:%H:%M:%S} UTC"
    return ""


class Watchdog:
    """Looks at the progress of one session, and halts its market while there is none.

    ``on_change`` is called once a halt was raised or lifted; it must not wait.
    """

    def __init__(
        self,
        store: Store,
        notifier: Notifier,
        clock: Clock,
        *,
        group: MarketGroup,
        session: Session,
        quiet: timedelta,
        quiet_held: timedelta,
        blackouts: Sequence[BlackoutWindow] = (),
        on_change: Callable[[datetime], object] = lambda at: None,
    ) -> None:
        self.progress = Progress()
        self.held = False
        self._store = store
        self._notifier = notifier
        self._clock = clock
        self._group = group
        self._session = session
        self._quiet = quiet
        self._quiet_held = quiet_held
        self._blackouts = blackouts
        self._on_change = on_change
        self._open_since: datetime | None = None
        # A run that died may have left a halt behind.
        self._may_stand = True

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        every = min(self._quiet, self._quiet_held) / CHECKS
        while True:
            await self.look(self._clock.now())
            await self._clock.sleep_until(self._clock.now() + every)

    async def look(self, at: datetime) -> str:
        """Look once; what stands still, empty when nothing does, the market is shut or the broker
        is in a blackout."""
        if not self._session.contains(at) or blackout_until(self._blackouts, at) is not None:
            # The broker may answer nothing during a blackout; that is no standstill.
            self._open_since = None
            return ""
        self._open_since = self._open_since or at
        why = stalled(
            self.progress,
            at=at,
            since=self._open_since,
            quiet=self._quiet,
            quiet_held=self._quiet_held,
            held=self.held,
        )
        if why:
            await self._halt(why, at)
        elif self._may_stand and self._has_moved():
            await self._recover(at)
        return why

    def _has_moved(self) -> bool:
        """Whether everything has moved since the market opened or this run began to watch."""
        marks = self.progress
        seen = (marks.quoted_at, marks.reconciled_at, marks.decided_at)
        return all(at is not None and self._open_since and at >= self._open_since for at in seen)

    async def _halt(self, why: str, at: datetime) -> None:
        reason = f"the session stands still: {why}"
        halt = operate.watchdog_halt(self._store, scope=self._group.value, reason=reason, at=at)
        self._may_stand = True
        if halt.raised_at == at:
            self._on_change(at)
        await tell.tell(self._notifier, self._store, [tell.of_watchdog(halt)])

    async def _recover(self, at: datetime) -> None:
        lifted = operate.watchdog_recovered(
            self._store, scope=self._group.value, how="prices, fills and decisions again", at=at
        )
        self._may_stand = False
        if lifted:
            self._on_change(at)
        notes: list[Notification] = [tell.of_recovery(halt, at) for halt in lifted]
        await tell.tell(self._notifier, self._store, notes)
