"""One leaky bucket for an app key, shared by every process of the machine.

The broker counts calls per app key, whoever makes them. A small file holds when the last call
left, in ``time.monotonic()``, which all processes of one machine share, and until when a more
urgent call is waiting. The file is locked only while it is read and written, never while anybody
sleeps.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import time
from enum import IntEnum
from pathlib import Path

_RECORD = struct.Struct("=ddd")
_LOCK_BUSY_SECONDS = 0.001


class Priority(IntEnum):
    """Who goes first: orders, then what is held (account and prices), then everything else."""

    ORDER = 0
    HOLDING = 1
    CANDIDATE = 2


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
        self._lines = {Priority.HOLDING: asyncio.Lock(), Priority.CANDIDATE: asyncio.Lock()}

    async def acquire(self, priority: Priority = Priority.CANDIDATE) -> None:
        """Return when the next call may leave."""
        if not self._interval:
            return
        if priority is Priority.ORDER:
            await self._take(priority)
            return
        # One call of a kind stands in line for this process, the others behind it in order.
        async with self._lines[priority]:
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
        last, claims = self._load(handle, now)
        wait = last + self._interval - now
        blocked_until = max((until for until in claims[:priority]), default=0.0)
        if blocked_until > now:
            wait = max(wait, min(blocked_until - now, self._interval))
        if wait <= 0:
            if priority < len(claims):
                claims[priority] = 0.0
            self._save(handle, now, claims)
        elif priority < len(claims):
            # A claim ends by itself, so a process that dies in line holds nobody up for long.
            claims[priority] = max(claims[priority], now + wait + self._interval)
            self._save(handle, last, claims)
        return wait

    def _load(self, handle: int, now: float) -> tuple[float, list[float]]:
        """When the last call left, and until when orders and holdings claim the next one."""
        data = os.pread(handle, _RECORD.size, 0)
        if len(data) != _RECORD.size:
            return now - self._interval, [0.0, 0.0]
        last, *claims = _RECORD.unpack(data)
        # Times ahead of the clock are left over from before a restart of the machine.
        if not 0 <= last <= now:
            last = now - self._interval
        latest = now + 2 * self._interval
        return last, [until if now < until <= latest else 0.0 for until in claims]

    def _save(self, handle: int, last: float, claims: list[float]) -> None:
        os.pwrite(handle, _RECORD.pack(last, *claims), 0)
