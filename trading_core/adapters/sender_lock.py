"""One sender of messages per store: a lock file that the kernel frees when its holder dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class FileSenderLock:
    """The ``SenderLock`` port over one file; its folder must exist."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path, mode=0o600, thread_local=False)

    @contextmanager
    def attempt(self) -> Iterator[bool]:
        """Hold it for the block if nobody does; whether it is held."""
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            self._lock.release()
