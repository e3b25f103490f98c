"""One leaky bucket for an app key, shared by every process of the machine.

The broker counts calls per app key, whoever makes them. A small file holds when the last call
left, in ``time.monotonic()``, which all processes of one machine share, and until when an order
is waiting. The file is locked only while it is read and written, never while anybody sleeps.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import time
from enum import IntEnum
from pathlib import Path

_RECORD = struct.Struct("=dd")
_LOCK_BUSY_SECONDS = 0.001


class Priority(IntEnum):
    """Orders go first; reads wait while an order is waiting."""

    ORDER = 0
    READ = 1


class RateLimiter:
    """Spaces calls ``1 / calls_per_second`` apart; ``None`` switches it off.

    Args:
        path: The shared file; made on first use, readable by its owner only.
        calls_per_second: The joint rate of all processes that share ``path``.
    """

    def __init__(self, path: Path, calls_per_second: float | None) -> None:
        if calls_per_second is not None and not calls_per_second > 0:
            raise ValueError(f"calls per second must be above 0: {calls_per_second}")
        self._path = path
        self._interval = 0.0 if calls_per_second is None else 1.0 / calls_per_second
        self._reads = asyncio.Lock()

    async def acquire(self, priority: Priority = Priority.READ) -> None:
        """Return when the next call may leave."""
        if not self._interval:
            return
        if priority is Priority.ORDER:
            await self._take(priority)
            return
        # One read of this process stands in line at a time, the others behind it in order.
        async with self._reads:
            await self._take(priority)

    async def _take(self, priority: Priority) -> None:
        # Other processes take slots too, and no event of this one tells about them.
        while (wait := self._try_take(priority)) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait)

    def _try_take(self, priority: Priority) -> float:
        """Take the slot and return 0, or return the seconds after which to ask again."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return _LOCK_BUSY_SECONDS
            return self._decide(handle, priority)
        finally:
            os.close(handle)

    def _decide(self, handle: int, priority: Priority) -> float:
        now = time.monotonic()
        last, order_waits_until = self._load(handle, now)
        wait = last + self._interval - now
        if priority is Priority.ORDER:
            if wait > 0:
                # The claim ends by itself, so an order process that dies holds nobody up for long.
                claim = max(order_waits_until, now + wait + self._interval)
                self._save(handle, last, claim)
                return wait
            self._save(handle, now, 0.0)
            return 0.0
        if order_waits_until > now:
            return max(wait, min(order_waits_until - now, self._interval))
        if wait <= 0:
            self._save(handle, now, order_waits_until)
        return wait

    def _load(self, handle: int, now: float) -> tuple[float, float]:
        data = os.pread(handle, _RECORD.size, 0)
        if len(data) != _RECORD.size:
            return now - self._interval, 0.0
        last, claim = _RECORD.unpack(data)
        # Times ahead of the clock are left over from before a restart of the machine.
        if not 0 <= last <= now:
            last = now - self._interval
        if not now < claim <= now + 2 * self._interval:
            claim = 0.0
        return last, claim

    def _save(self, handle: int, last: float, claim: float) -> None:
        os.pwrite(handle, _RECORD.pack(last, claim), 0)
