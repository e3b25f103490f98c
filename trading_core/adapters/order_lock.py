"""The account's order lock: one process at a time may send orders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trading_core.errors import StoreBusy

_POLL_SECONDS = 0.01


class FileOrderLock:
    """A lock file that the kernel frees when its holder dies.

    Args:
        path: One file per account, the same for every process; its folder is made.
        timeout_seconds: How long to wait for another process.
    """

    def __init__(self, path: Path, *, timeout_seconds: float = 10.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._timeout = timeout_seconds
        self._lock = FileLock(path, mode=0o600, poll_interval=_POLL_SECONDS, thread_local=False)
        self._held = False

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock for the block.

        Raises:
            StoreBusy: another process held it for longer than the timeout.
            RuntimeError: this process holds it already. Waiting would wait for itself.
        """
        if self._held:
            raise RuntimeError("this process holds the order lock already")
        try:
            self._lock.acquire(timeout=self._timeout)
        except Timeout:
            raise StoreBusy(
                f"another process has been sending orders for more than {self._timeout:g} s"
            ) from None
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self._lock.release()
