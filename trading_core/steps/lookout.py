"""What a session listens to between its ticks: the broker's stream, and polls where it is silent.

Three tasks of one event loop: one listens, one polls, one answers what the two heard with a
protective pass. None of them may end the session, and none is needed by the ticks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime

from trading_core.clock import Clock
from trading_core.errors import BrokerError, NotOffered
from trading_core.model.order import NoticeKind, OrderNotice
from trading_core.model.price import Quote
from trading_core.ports import MarketData, MarketStream, StreamEvent, StreamGap
from trading_core.rules.calendar import Session
from trading_core.steps.sentinel import Sentinel, pause_seconds
from trading_core.steps.watchdog import Progress, WatchPolicy

logger = logging.getLogger(__name__)

NOT_OFFERED_SECONDS = 300.0
"""Before the stream is asked for again where it was not offered; who held it may have ended."""
LONGEST_RESTART_SECONDS = 60.0
"""Before a task that ended is started again."""
WELL_SECONDS = 60.0
"""A task that lived for so long begins with the first pause again."""
BETWEEN_LOOKS_SECONDS = 0.3
"""Between two passes for notices alone: the executions of one order come in a burst."""
SILENT_SHARE = 0.8
POLLED_AT_ONCE = 30

_TELLING = frozenset(NoticeKind) - {NoticeKind.ACCEPTED}


class Lookout:
    """Hears prices and notices, and calls for a pass when one is due.

    Args:
        sentinel: Compares prices with guards.
        progress: Is told what came in.
        session: Outside of it nothing is polled and no pass is made.
        clock: A running one.
        market_data: Is polled for what the stream does not tell.
        open_stream: As in the runtime.
        protect: Makes one pass.
        write_down: Stores what prints have moved in the guards.
        policy: How often to poll, and whether to use the stream.
    """

    def __init__(
        self,
        sentinel: Sentinel,
        progress: Progress,
        *,
        session: Session,
        clock: Clock,
        market_data: MarketData,
        open_stream: Callable[[], AbstractAsyncContextManager[MarketStream]],
        protect: Callable[[], Awaitable[None]],
        write_down: Callable[[], None],
        policy: WatchPolicy,
    ) -> None:
        self._sentinel = sentinel
        self._progress = progress
        self._session = session
        self._clock = clock
        self._market_data = market_data
        self._open_stream = open_stream
        self._protect = protect
        self._write_down = write_down
        self._policy = policy
        self._alarm = asyncio.Event()
        self._changed = asyncio.Event()
        self._must_look = False
        self._failures = 0

    @property
    def works(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What is to run beside the ticks."""
        if not self._policy.stream:
            return self.poll, self.answer
        return self.listen, self.poll, self.answer

    def changed(self) -> None:
        """The sentinel has taken over a tick or a pass: follow what it follows now."""
        self._changed.set()
        if self._sentinel.due():
            self._alarm.set()

    async def listen(self) -> None:
        """Follow the broker's stream until it ends. Raises ``NotOffered`` where there is none."""
        async with self._open_stream() as stream, asyncio.TaskGroup() as group:
            following = group.create_task(self._follow(stream))
            async for event in stream.events():
                self._hear(event)
            following.cancel()

    async def _follow(self, stream: MarketStream) -> None:
        """Keep the stream on what is followed; what it has no room for is polled all the same."""
        told: tuple[object, ...] = ()
        while True:
            self._changed.clear()
            followed = self._sentinel.followed
            if followed != told:
                left = await stream.follow(followed)
                told = followed
                if left:
                    logger.info("not streamed, so polled: %s", ", ".join(i.symbol for i in left))
            await self._changed.wait()

    def _hear(self, event: StreamEvent) -> None:
        match event:
            case Quote():
                self._price(event, self._clock.now())
            case OrderNotice(kind=kind) if kind in _TELLING:
                self.look()
            case StreamGap():
                self.look()
            case _:
                pass

    def _price(self, quote: Quote, at: datetime) -> None:
        self._progress.priced([quote], self._sentinel.held, at)
        heard = self._sentinel
        if heard.hear(quote, at) or heard.promoted() or heard.approached():
            self._alarm.set()

    def look(self) -> None:
        """Make a pass soon: something of the account has changed."""
        self._must_look = True
        self._alarm.set()

    async def poll(self) -> None:
        """Ask for what was not heard of, be it that nothing was told or that nothing was traded."""
        every = self._policy.poll_every
        while True:
            await self._clock.sleep_until(self._clock.now() + every)
            at = self._clock.now()
            if not self._session.contains(at):
                continue
            self._write_down()
            try:
                await self._ask(at)
            except BrokerError as error:
                logger.warning("no prices of what is followed: %s", error)
            looked = self._progress.reconciled_at
            if self._sentinel.order_works and (looked is None or at - looked >= every):
                # A notice may be lost, or never come where none are sent.
                self.look()

    async def _ask(self, at: datetime) -> None:
        silent = self._sentinel.unheard(at, self._policy.poll_every * SILENT_SHARE)
        if silent:
            asked = silent[:POLLED_AT_ONCE]
            quotes = await self._market_data.quotes(asked, held=self._sentinel.held)
            for quote in quotes.values():
                self._price(quote, self._clock.now())

    async def answer(self) -> None:
        """Make a pass whenever one is due; one that fails is tried again a little later."""
        while True:
            await self._alarm.wait()
            self._alarm.clear()
            if self._sentinel.promoted():
                self._write_down()
            if not self._session.contains(self._clock.now()):
                self._must_look = False
                continue
            if self._must_look or self._sentinel.due() or self._sentinel.approached():
                await self._pass()

    async def _pass(self) -> None:
        self._must_look = False
        try:
            await self._protect()
        except Exception:
            pause = pause_seconds(self._failures)
            self._failures += 1
            logger.exception("a protective pass failed; the next try is in %g s", pause)
            await asyncio.sleep(pause)
            self.look()
            return
        self._failures = 0
        left = self._sentinel.next_try()
        if left is not None:
            asyncio.get_running_loop().call_later(left, self._alarm.set)
        if not self._sentinel.due():
            await self._rest()

    async def _rest(self) -> None:
        """Leave a burst of notices to one pass; a price that breaches a stop ends the rest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BETWEEN_LOOKS_SECONDS):
                while not self._sentinel.due():
                    await self._alarm.wait()
                    self._alarm.clear()
        self._alarm.set()


@asynccontextmanager
async def beside(*works: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Keep these running during the block. What fails is logged and started again."""
    tasks = [asyncio.create_task(_kept_alive(work), name=_name(work)) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _kept_alive(work: Callable[[], Awaitable[None]]) -> None:
    failures = 0
    while True:
        begun = time.monotonic()
        try:
            await work()
            logger.warning("%s ended; it is started again", _name(work))
        except NotOffered as error:
            logger.info("%s: %s", _name(work), error)
            await asyncio.sleep(NOT_OFFERED_SECONDS)
            continue
        except Exception:
            logger.exception("%s failed; it is started again", _name(work))
        failures = 0 if time.monotonic() - begun > WELL_SECONDS else failures
        await asyncio.sleep(pause_seconds(failures, LONGEST_RESTART_SECONDS))
        failures += 1


def _name(work: Callable[[], Awaitable[None]]) -> str:
    return getattr(work, "__name__", "a task")


@asynccontextmanager
async def ends_by(clock: Clock, until: datetime, *, least_seconds: float) -> AsyncIterator[None]:
    """Stop the block once a running clock shows ``until``.

    It has ``least_seconds`` of real time whatever the clock shows.

    Raises:
        TimeoutError: it was stopped.
    """
    async with asyncio.timeout(None) as limit:

        async def over() -> None:
            await asyncio.sleep(least_seconds)
            await clock.sleep_until(until)
            limit.reschedule(asyncio.get_running_loop().time())

        timer = asyncio.create_task(over())
        try:
            yield
        finally:
            timer.cancel()
