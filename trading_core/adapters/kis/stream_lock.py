"""One stream per app key: the broker refuses a second session, and may drop the first for it."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from trading_core.errors import NotOffered


class StreamLock:
    """A lock file that the kernel frees when its holder dies; a note beside it names the holder.

    Args:
        path: One file per app key, the same for every process; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path, mode=0o600, thread_local=False)
        self._note = path.with_suffix(".json")

    def acquire(self, at: datetime) -> None:
        """Take it without waiting.

        Raises:
            NotOffered: another stream of this app key is open, here or in another process.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise NotOffered(
                f"the price stream of this app key is open {self._holder()}; poll the quotes"
            ) from None
        self._note.write_text(json.dumps({"pid": os.getpid(), "since": at.isoformat()}))

    def release(self) -> None:
        """Give it back."""
        self._note.unlink(missing_ok=True)
        self._lock.release()

    def _holder(self) -> str:
        try:
            note = json.loads(self._note.read_text())
            return f"in process {int(note['pid'])} since {note['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "in another process"
