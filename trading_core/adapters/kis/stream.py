"""Prices and order notices over the broker's WebSocket, behind the ``MarketStream`` port.

One connection carries everything an app key is told of. It is made again whenever it is cut or
silent; what may have been missed by then is asked for over REST and told as a ``StreamGap``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

import aiohttp

from trading_core.adapters.kis import stream_link as links
from trading_core.adapters.kis.redaction import Redactor
from trading_core.adapters.kis.routes import DomesticVenue
from trading_core.adapters.kis.stream_frames import Garbled
from trading_core.adapters.kis.stream_health import StreamHealth, StreamTiming
from trading_core.adapters.kis.stream_layouts import STREAMS, Content, Stream
from trading_core.adapters.kis.stream_lock import StreamLock
from trading_core.adapters.kis.stream_plan import MOST_REGISTRATIONS, StreamPlan
from trading_core.adapters.kis.stream_queue import EventQueue
from trading_core.adapters.kis.stream_reader import StreamReader
from trading_core.adapters.kis.tr_table import Personality
from trading_core.adapters.kis.wire import Row
from trading_core.clock import Clock
from trading_core.errors import BrokerError
from trading_core.model.market import Instrument
from trading_core.model.price import Quote
from trading_core.ports import MarketData, StreamEvent, StreamGap

_log = logging.getLogger(__name__)

_TRIES = 3


class ApprovalKeys(Protocol):
    """Hands out the key that opens a session. Raises ``BrokerError``."""

    async def approval_key(self) -> str: ...

    def drop_approval_key(self, key: str) -> None: ...


class KisStream:
    """The broker's stream. Use ``async with``, or :meth:`start` and :meth:`aclose`.

    Args:
        url: Where the WebSocket listens.
        personality: Which host's TR ids and offers apply.
        keys: Where approval keys come from.
        market_data: Is asked for present quotes after a cut.
        clock: Stamps gaps and dates the times of frames that carry no date.
        account: The ten digits of account and product; notices of other accounts are not ours.
        hts_id: The owner's login, which order notices are registered under; "" for no notices.
        lock: Held while the stream is open.
        redactor: Is told of every key, so that none is ever shown.
        books: Follow order books too, with the room that the trades leave.
        route: Whose trades in Korea: of the exchange, of its rival, or of both.
        limit: The most registrations of a session, notices included.
        capacity: How many events may wait before quotes are conflated.
        jitter: Spreads reconnects; a generator of the caller's, so that a test can know it.
        trust_env: Use the proxy that the environment names.
    """

    def __init__(
        self,
        url: str,
        *,
        personality: Personality,
        keys: ApprovalKeys,
        market_data: MarketData,
        clock: Clock,
        account: str,
        hts_id: str,
        lock: StreamLock,
        redactor: Redactor,
        books: bool = False,
        route: DomesticVenue = "KRX",
        limit: int = MOST_REGISTRATIONS,
        capacity: int = 1024,
        timing: StreamTiming | None = None,
        jitter: random.Random | None = None,
        trust_env: bool = False,
    ) -> None:
        redactor.add(hts_id, account)
        self._url = url
        self._keys = keys
        self._market_data = market_data
        self._clock = clock
        self._lock = lock
        self._redactor = redactor
        self._timing = timing or StreamTiming()
        self._jitter = jitter or random.Random()
        self._trust_env = trust_env
        self._plan = StreamPlan(personality, hts_id, books=books, route=route, limit=limit)
        self._queue = EventQueue(capacity)
        self._reader = StreamReader(clock, account)
        self._garbled: Counter[str] = Counter()
        self._told: set[tuple[str, str]] = set()
        self._failures = 0
        self._reconnects = 0
        self._connected = False
        self._last_frame_at: datetime | None = None
        self._opened_at: datetime | None = None
        self._deaf: tuple[datetime, str] | None = None
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = "connected" if self._connected else "not connected"
        return f"KisStream({self._url}, {state}, {len(self._plan.present)} registrations)"

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def start(self) -> None:
        """Begin to connect, in a task of this event loop.

        Raises:
            NotOffered: another stream of this app key is open, here or in another process.
        """
        self._lock.acquire(self._clock.now())
        self._opened_at = self._clock.now()
        self._task = asyncio.create_task(self._run(), name="kis-stream")
        # A failure that is no cut ends the stream, and whoever reads it is told.
        self._task.add_done_callback(lambda _: self._queue.close())

    async def aclose(self) -> None:
        """Close the connection and end :meth:`events`; a second call does nothing."""
        task, self._task = self._task, None
        if task is None:
            return
        try:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        finally:
            self._queue.close()
            self._lock.release()

    @property
    def health(self) -> StreamHealth:
        """A snapshot."""
        return StreamHealth(
            connected=self._connected,
            last_frame_at=self._last_frame_at,
            reconnects=self._reconnects,
            registrations=len(self._plan.present),
            notices=self._plan.has_notices,
            waiting=len(self._queue),
            conflated=self._queue.conflated,
            lost_records=self._reader.quotes.lost_records,
            late_records=self._reader.quotes.late_records,
            strangers=self._reader.strangers,
            garbled=dict(self._garbled),
        )

    def prime(self, quotes: Iterable[Quote]) -> None:
        """Take daily limits, names and previous closes from quotes that were asked for."""
        for quote in quotes:
            self._reader.quotes.learn(quote)

    async def follow(self, instruments: Sequence[Instrument]) -> Sequence[Instrument]:
        """Follow these instead of the ones before, first things first.

        Waits a little for the broker's answers while connected, or connecting for the first time.

        Returns:
            Those there was no room for, or that the broker does not stream here; poll them.
        """
        if self._plan.want(instruments):
            self._reader.follow(self._plan.wanted)
            self._settled.clear()
            self._changed.set()
        first_attempt = self._deaf is None and self._reconnects == 0
        if self._task is not None and (self._connected or first_attempt):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.settle):
                    await self._settled.wait()
        return self._plan.left_out

    async def events(self) -> AsyncIterator[StreamEvent]:
        """Everything that arrives, until the stream is closed. For one reader."""
        task = self._task
        while (event := await self._queue.get()) is not None:
            yield event
        if task is not None and task.done() and not task.cancelled():
            task.result()

    async def _run(self) -> None:
        async with aiohttp.ClientSession(trust_env=self._trust_env) as http:
            while not self._plan.wanted:
                self._changed.clear()
                await self._changed.wait()
            while True:
                reason, code = await self._attempt(http)
                if self._deaf is None:
                    since = self._last_frame_at or self._opened_at or self._clock.now()
                    self._deaf = (since, reason)
                _log.warning("the price stream was lost: %s", reason)
                await asyncio.sleep(self._pause(code))
                self._reconnects += 1

    def _pause(self, code: str) -> float:
        timing = self._timing
        longest = min(timing.longest_backoff, timing.backoff * 2.0 ** min(self._failures, 30))
        self._failures += 1
        pause = longest * self._jitter.uniform(0.5, 1.0)
        return max(pause, timing.in_use) if code == links.IN_USE else pause

    async def _attempt(self, http: aiohttp.ClientSession) -> tuple[str, str]:
        """Connect and stay so; why it ended, and the broker's code for it."""
        key = ""
        try:
            key = await self._keys.approval_key()
            self._redactor.add(key)
            socket = await links.connect(http, self._url, seconds=self._timing.answer)
            link = links.StreamLink(
                socket,
                approval_key=key,
                redactor=self._redactor,
                on_records=self._on_records,
                on_garbled=self._on_garbled,
                on_anything=self._on_anything,
                silent_seconds=self._timing.silent,
                answer_seconds=self._timing.answer,
            )
            await self._stay(link)
        except BrokerError as error:
            return self._redactor.clean(f"no approval key: {error}"), error.code
        except links.Cut as cut:
            if cut.code in links.KEY_REFUSED:
                self._keys.drop_approval_key(key)
            return str(cut), cut.code
        raise AssertionError("a connection always ends with a reason")

    async def _stay(self, link: links.StreamLink) -> None:
        self._plan.begin_anew()
        self._reader.quotes.begin_anew()
        self._connected = True
        tasks = [
            asyncio.create_task(work, name="kis-stream-link")
            for work in (link.receive(), self._keep_registered(link), self._catch_up())
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            self._connected = False
            self._settled.clear()
            self._plan.begin_anew()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await link.close()

    async def _keep_registered(self, link: links.StreamLink) -> None:
        """Make the broker's registrations those that are wanted, again whenever that changes."""
        tries: Counter[links.Registration] = Counter()
        while True:
            self._changed.clear()
            step = self._plan.next_step()
            if step is None:
                self._settled.set()
                await self._changed.wait()
                continue
            registration, on = step
            answer = await link.register(registration, on=on)
            tries[registration] += 1
            if answer is links.Answer.DONE:
                self._failures = 0
                self._plan.done(registration, on=on)
                tries.pop(registration)
            elif answer is links.Answer.REFUSED or tries[registration] >= _TRIES:
                self._plan.refused(registration, on=on)
            await asyncio.sleep(self._timing.pace)

    async def _catch_up(self) -> None:
        """Once registered after a cut: the present quotes, then the gap they close."""
        await self._settled.wait()
        if self._deaf is None:
            return
        since, reason = self._deaf
        followed = self._plan.followed
        quotes: Mapping[str, Quote] = {}
        if followed:
            try:
                async with asyncio.timeout(self._timing.catch_up):
                    quotes = await self._market_data.quotes(followed)
            except (BrokerError, TimeoutError) as error:
                _log.warning("no present quotes after a cut: %s", error or "they took too long")
        for quote in quotes.values():
            if self._reader.quotes.learn(quote):
                self._queue.put(quote)
        self._deaf = None
        self._queue.put(StreamGap(since, self._clock.now(), reason))

    def _on_anything(self) -> None:
        self._last_frame_at = self._clock.now()

    def _on_records(self, tr_id: str, stream: Stream, records: Sequence[Row]) -> None:
        for event in self._reader.read(tr_id, stream, records):
            self._queue.put(event)

    def _on_garbled(self, garbled: Garbled) -> None:
        self._garbled[garbled.kind] += 1
        if (garbled.kind, garbled.tr_id) not in self._told:
            self._told.add((garbled.kind, garbled.tr_id))
            _log.warning("a message of the price stream could not be read: %s", garbled)
        stream = STREAMS.get(garbled.tr_id)
        if stream is not None and stream.content in (Content.KR_NOTICE, Content.NOTICE):
            now = self._clock.now()
            self._queue.put(StreamGap(now, now, f"an order notice could not be read: {garbled}"))
