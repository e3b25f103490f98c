"""One writer or many readers of a file, across every process of the machine.

Two advisory locks (``flock``) that the kernel drops when their holder dies: ``<file>.lock`` is the
room, ``<file>.lock.turn`` the turnstile in front of it. Whoever wants in takes the turnstile first
(a writer alone, readers together), then the room, then lets the turnstile go. A waiting writer so
holds back readers that come after it, and a stream of readers cannot starve it.

Waiting is a jittered poll with a time limit, because ``flock`` knows no timeout. Local disks only:
``flock`` on a network file system is not to be trusted.
"""

from __future__ import annotations

import fcntl
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from trading_core.errors import StoreBusy, StoreError

_PAUSE_SECONDS = (0.001, 0.012)


class NestedUse(RuntimeError):
    """The store was opened inside an open ``with`` block of the same thread: a programming error.

    It also shows when a coroutine awaits inside such a block and another one opens the store.
    """


class _Turn:
    """The in-process part: one thread at a time, and it knows which."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owner: int | None = None


_turns: dict[Path, _Turn] = {}
_turns_guard = threading.Lock()


class Door:
    """Access to one path; objects for the same path share their in-process part."""

    def __init__(self, path: Path | None, timeout_seconds: float) -> None:
        self._path = path
        self._timeout = timeout_seconds
        if path is None:
            self._turn = _Turn()
            return
        with _turns_guard:
            self._turn = _turns.setdefault(path.resolve(), _Turn())

    @contextmanager
    def hold(self, *, shared: bool) -> Iterator[Deadline]:
        """Hold the door; the deadline is what is left of the waiting time.

        Raises:
            StoreBusy: it did not open within the waiting time.
            StoreError: the lock file cannot be made or opened.
            NestedUse: this thread holds it already.
        """
        deadline = Deadline(self._timeout)
        me = threading.get_ident()
        if self._turn.owner == me:
            raise NestedUse(
                "the store is already open in this thread: a `with` block of the store may hold"
                " neither another one nor an await"
            )
        if not self._turn.lock.acquire(timeout=self._timeout):
            raise self._busy("another thread of this process")
        try:
            self._turn.owner = me
            if self._path is None:
                yield deadline
            else:
                with self._locked(self._path, shared, deadline):
                    yield deadline
        finally:
            self._turn.owner = None
            self._turn.lock.release()

    @contextmanager
    def _locked(self, path: Path, shared: bool, deadline: Deadline) -> Iterator[None]:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        with _opened(path.with_name(path.name + ".lock")) as room:
            with _opened(path.with_name(path.name + ".lock.turn")) as turnstile:
                for lock in (turnstile, room):
                    if not deadline.poll(partial(_try_lock, lock, kind)):
                        raise self._busy(_holder(room))
            if shared:
                yield
                return
            os.ftruncate(room, 0)
            os.pwrite(room, f"{os.getpid()} {Path(sys.argv[0]).name}".encode(), 0)
            try:
                yield
            finally:
                os.ftruncate(room, 0)

    def _busy(self, holder: str) -> StoreBusy:
        return StoreBusy(
            f"{self._path or 'the store'} was held by {holder} for more than"
            f" {self._timeout:g} s; try again, or see what that process is doing"
        )


class Deadline:
    """A waiting time that has begun."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def poll(self, attempt: Callable[[], bool]) -> bool:
        """Try until it works or the time is over, at least once; whether it worked."""
        while not attempt():
            if time.monotonic() >= self._end:
                return False
            time.sleep(random.uniform(*_PAUSE_SECONDS))
        return True


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"cannot open the lock file {path} ({error.strerror}); check the folder's permissions"
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(room: int) -> str:
    """Who wrote its name into the lock file, if that process still lives."""
    pid, _, name = os.pread(room, 200, 0).decode(errors="replace").partition(" ")
    with suppress(ValueError, OSError):
        os.kill(int(pid), 0)
        return f"process {pid} ({name})"
    return "readers or another process"
