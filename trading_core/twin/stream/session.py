"""One client's connection: what it registered, what waits to be sent, and whether it is alive."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from aiohttp import ClientConnectionError, web

from trading_core.model.market import Instrument
from trading_core.twin.stream.cipher import Cipher
from trading_core.twin.stream.layouts import Stream
from trading_core.twin.stream.messages import heartbeat

MOST_REGISTRATIONS = 41
# Intervals without an answer after which a client is cut.
PATIENCE = 3


class _End(Enum):
    CUT = "without a close frame"
    CLOSE = "with one"


@dataclass(frozen=True, slots=True)
class Registration:
    """One TR and key; ``instrument`` is None for notices."""

    stream: Stream
    tr_key: str
    instrument: Instrument | None

    @property
    def key(self) -> tuple[str, str]:
        return self.stream.tr_id, self.tr_key


class Session:
    """Frames are queued and written by a task of their own, so that nobody waits for a reader.

    Args:
        socket: Already open.
        cut: Breaks its connection off.
        most: Characters that may wait; the connection is cut when more do.
    """

    def __init__(self, socket: web.WebSocketResponse, cut: Callable[[], None], most: int) -> None:
        self.owner = ""
        self.stalled = False
        self.registrations: dict[tuple[str, str], Registration] = {}
        self.ciphers: dict[str, Cipher] = {}
        self._socket = socket
        self._cut = cut
        self._most = most
        self._queue: deque[tuple[str | _End, float]] = deque()
        self._waiting = 0
        self._ended = False
        self._wake = asyncio.Event()
        self._silent = 0

    def cipher(self, tr_id: str) -> Cipher:
        """The pair of a TR, the same as long as the session lives."""
        return self.ciphers.setdefault(tr_id, Cipher.fresh())

    def answered(self) -> None:
        """The client reacted to a heartbeat."""
        self._silent = 0

    def offer(self, text: str, *, delay: float = 0.0) -> None:
        """Queue a frame; ``delay`` seconds hold back this one and all after it."""
        if self._ended:
            return
        self._waiting += len(text)
        if self._waiting > self._most:
            self.cut_now()
            return
        self._queue.append((text, delay))
        self._wake.set()

    def cut(self) -> None:
        """Break the connection off when what was queued has been written."""
        self._end(_End.CUT)

    def close(self) -> None:
        """Part in good order when what was queued has been written."""
        self._end(_End.CLOSE)

    def _end(self, how: _End) -> None:
        if not self._ended:
            self._ended = True
            self._queue.append((how, 0.0))
            self._wake.set()

    def cut_now(self) -> None:
        """Break the connection off; what waits is lost."""
        self.over()
        self._cut()

    def over(self) -> None:
        """Take no more frames; what waits is lost."""
        self._ended = True
        self._queue.clear()

    async def write(self) -> None:
        """Write what is queued until the connection ends."""
        with contextlib.suppress(ConnectionError, ClientConnectionError):
            while True:
                while not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
                what, delay = self._queue.popleft()
                if delay:
                    await asyncio.sleep(delay)
                if isinstance(what, str):
                    self._waiting -= len(what)
                    await self._socket.send_str(what)
                elif what is _End.CLOSE:
                    await self._socket.close()
                    return
                else:
                    self._cut()
                    return

    async def beat(self, every: float, now: Callable[[], datetime]) -> None:
        """Send heartbeats every so many wall seconds; cut a client that is silent for three."""
        while not self._ended:
            await asyncio.sleep(every)
            # Intervals are counted, not seconds: a server that was busy cuts nobody for it.
            self._silent += 1
            if self._silent >= PATIENCE:
                self.cut_now()
                return
            self.offer(heartbeat(now()))
