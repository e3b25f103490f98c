"""Sending what waits in the store to the channels that reach a person.

Whoever has something to say writes a row (``steps.tell``) and goes on. A sender, one per store,
takes the rows to each channel: one message a second, bursts of a kind as one, what is critical
first and in full. A row is done on a channel once a second row says what became of it.

What is promised: nothing critical is ever dropped, whatever dies when. A message goes out twice
only when the sender died, or lost the answer, between the channel's taking it and the commit of
the row that says so; of what is not critical a lost answer is taken for delivered.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from trading_core.clock import Clock
from trading_core.model.journal import Notification
from trading_core.model.notice import (
    Answer,
    NotifyLevel,
    NotTaken,
    Outcome,
    QuietHours,
    SendRow,
    Taken,
    TryLater,
)
from trading_core.ports import Channel, SenderLock, Store
from trading_core.rules.notices import Batch, Manner, next_batch, switched_off

Draw = Callable[[Store, str], bytes | None]
"""Makes the picture that a notification names; None where there is nothing to show."""

LOOK_EVERY = timedelta(seconds=1)
LOCK_EVERY = timedelta(seconds=5)
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 300.0
LONGEST_WAIT_SECONDS = 3600.0
"""However long a channel asks to be left alone."""
MOST_REFUSALS = 5
"""So often something critical is offered to a channel that refuses it."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SenderPolicy:
    """``every``: between two messages of a channel. ``zone``: of the times that are shown."""

    every: timedelta = timedelta(seconds=1)
    quiet: QuietHours | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))


@dataclass
class _Line:
    """What a sender remembers of one channel; all of it may be lost."""

    channel: Channel
    free_at: datetime | None = None
    seen: str = ""
    waiting: list[Notification] = field(default_factory=list)
    chosen: dict[str, NotifyLevel] = field(default_factory=dict)
    unwritten: list[SendRow] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    one_by_one: bool = False


class Sender:
    """Takes what waits in a store to its channels.

    Args:
        clock: Real time, whatever time the market plays in: channels and people live in it.
        lock: One sender per store.
        draw: Makes pictures; without it messages go out without.
    """

    def __init__(
        self,
        store: Store,
        channels: Sequence[Channel],
        clock: Clock,
        lock: SenderLock,
        policy: SenderPolicy | None = None,
        draw: Draw = lambda store, name: None,
    ) -> None:
        self._store = store
        self._lines = [_Line(channel) for channel in channels]
        self._clock = clock
        self._lock = lock
        self._policy = policy or SenderPolicy()
        self._draw = draw
        self._ends_at: datetime | None = None

    def finish(self, within: timedelta) -> None:
        """Let :meth:`run` end once nothing can be sent, at the latest after ``within``."""
        self._ends_at = self._clock.now() + within

    async def run(self) -> None:
        """Send until :meth:`finish`; waits while another process sends."""
        while True:
            with self._lock.attempt() as held:
                if held:
                    await self._send()
                    return
            if self._ends_at is not None:
                return
            await self._wait(self._clock.now() + LOCK_EVERY)

    async def flush(self, within: timedelta) -> None:
        """Send what can be sent now; at once over when another process sends."""
        self.finish(within)
        await self.run()

    async def _send(self) -> None:
        try:
            await asyncio.gather(*map(self._serve, self._lines))
        finally:
            for line in self._lines:
                await line.channel.aclose()

    async def _serve(self, line: _Line) -> None:
        while True:
            # Read first: what was written before the end was asked for is still seen.
            ends_at = self._ends_at
            try:
                busy = await self._step(line)
            except Exception as error:
                # Nothing is lost: what was sent is written once the store can be written.
                self._pause(line, TryLater(f"{type(error).__name__}: {error}"))
                busy = False
            now = self._clock.now()
            if ends_at is not None and (not busy or now >= ends_at):
                return
            look_at = now if busy else now + LOOK_EVERY
            await self._wait(look_at if line.free_at is None else max(line.free_at, look_at))

    async def _wait(self, until: datetime) -> None:
        """Sleep in short naps; after :meth:`finish` only one of them."""
        while (now := self._clock.now()) < until:
            await self._clock.sleep_until(min(until, now + LOOK_EVERY))
            if self._ends_at is not None:
                return

    async def _step(self, line: _Line) -> bool:
        """Send one message; whether there may be another one soon."""
        now = self._clock.now()
        if line.free_at is not None and now < line.free_at:
            return line.failures == 0 and bool(line.waiting)
        self._write_down(line)
        self._look(line)
        manner = self._manner(line, now)
        off = switched_off(line.waiting, manner)
        if off:
            self._end(line, off, Outcome.OFF)
        batch = next_batch(line.waiting, manner)
        if batch is None:
            line.one_by_one = False
            return False
        answer = await line.channel.deliver(replace(batch.message, picture=self._picture(batch)))
        for note in batch.told:
            line.tries[note.notification_id] += 1
        self._conclude(line, batch, answer)
        return line.failures == 0

    def _look(self, line: _Line) -> None:
        """Read what waits, if anything was written since the last look."""
        mark = self._store.fingerprint()
        if mark == line.seen:
            return
        with self._store.read() as reader:
            line.waiting = list(reader.unsent(line.channel.name))
            line.chosen = dict(reader.notification_levels())
        line.seen = mark

    def _manner(self, line: _Line, now: datetime) -> Manner:
        quiet = self._policy.quiet
        return Manner(
            chosen=line.chosen,
            now=now,
            zone=self._policy.zone,
            is_quiet=quiet is not None and quiet.contains(now),
            has_silence=line.channel.has_silence,
            one_by_one=line.one_by_one,
        )

    def _picture(self, batch: Batch) -> bytes | None:
        if not batch.picture:
            return None
        try:
            return self._draw(self._store, batch.picture)
        except Exception as error:
            # A message without its picture is better than none.
            logger.warning("no picture of %s (%s)", batch.picture, type(error).__name__)
            return None

    def _conclude(self, line: _Line, batch: Batch, answer: Answer) -> None:
        line.free_at = self._clock.now() + self._policy.every
        match answer:
            case Taken():
                line.failures = 0
                self._end(line, batch.told, Outcome.SENT)
                self._end(line, batch.counted, Outcome.COUNTED)
            case TryLater(maybe_taken=True) if not batch.is_critical:
                self._pause(line, answer)
                self._end(line, (*batch.told, *batch.counted), Outcome.UNSURE, answer.reason)
            case TryLater():
                self._pause(line, answer)
            case NotTaken():
                self._refused(line, batch, answer)

    def _pause(self, line: _Line, answer: TryLater) -> None:
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(line.failures, 10))
        if answer.after_seconds is not None:
            pause = min(LONGEST_WAIT_SECONDS, answer.after_seconds)
        line.failures += 1
        line.free_at = self._clock.now() + max(self._policy.every, timedelta(seconds=pause))
        logger.warning("%s: %s; again in %g s", line.channel.name, answer.reason, pause)

    def _refused(self, line: _Line, batch: Batch, answer: NotTaken) -> None:
        if len(batch.told) + len(batch.counted) > 1:
            # One of them may be what the channel does not like.
            line.one_by_one = True
            return
        (note,) = batch.told
        if batch.is_critical and line.tries[note.notification_id] < MOST_REFUSALS:
            self._pause(line, TryLater(answer.reason))
            return
        logger.error("%s does not take %s: %s", line.channel.name, note.kind, answer.reason)
        self._end(line, batch.told, Outcome.REFUSED, answer.reason)

    def _end(
        self, line: _Line, notes: Iterable[Notification], outcome: Outcome, detail: str = ""
    ) -> None:
        at, name = self._clock.now(), line.channel.name
        line.unwritten += [
            SendRow(
                n.notification_id, name, outcome, line.tries.pop(n.notification_id, 0), at, detail
            )
            for n in notes
        ]
        self._write_down(line)

    def _write_down(self, line: _Line) -> None:
        """Commit what is over, before anything else goes out."""
        if not line.unwritten:
            return
        ended = {row.notification_id for row in line.unwritten}
        line.waiting = [note for note in line.waiting if note.notification_id not in ended]
        with self._store.write() as tx:
            tx.append(line.unwritten)
        line.unwritten = []
