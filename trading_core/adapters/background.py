"""Work beside the program, on a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


class Background:
    """Runs ``work`` until it returns, from the first :meth:`start` on.

    A thread, not a task: what it does (loading a client library, waiting for the store) must not
    hold up the loop that trades.
    """

    def __init__(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        self._work = work
        self._thread: threading.Thread | None = None
        self._name = name

    def start(self) -> None:
        """Begin, if it has not begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for its end; whether it has ended."""
        if self._thread is None:
            return True
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        async def work() -> None:
            await self._work()

        try:
            asyncio.run(work())
        except Exception:
            logger.exception("%s ended", self._name)
