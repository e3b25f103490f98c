"""Talking to the supervisor of a home: what runs, start, stop."""

from __future__ import annotations

import http.client
import time
import xmlrpc.client
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from flows.supervision.parts import read_parts
from flows.supervision.place import UpFiles, is_held
from trading_core.errors import TradingError

_STATES = {"EXITED": "ended", "FATAL": "failed", "BACKOFF": "failing"}
_PROTOCOL = (OSError, xmlrpc.client.Error, http.client.HTTPException)


class UpFailed(TradingError):
    """A part did not come up, or the supervisor is gone."""


@dataclass(frozen=True, slots=True)
class PartState:
    """How a part stands: ``running``, ``starting``, ``stopped``, ``failing`` (is tried again)."""

    name: str
    state: str
    pid: int | None
    since: datetime | None
    page: str
    log: str


class Control:
    """The supervisor of one home."""

    def __init__(self, files: UpFiles) -> None:
        self._files = files

    def is_up(self) -> bool:
        return is_held(self._files.lock)

    def pid(self) -> int | None:
        """Of the supervisor; None while there is none."""
        try:
            return int(self._call("getPID"))
        except UpFailed:
            return None

    def start(self, name: str) -> None:
        self._call("startProcess", name, False)

    def states(self) -> list[PartState]:
        """All parts in their order. Raises ``UpFailed`` without a supervisor."""
        pages = {part.name: part.page for part in read_parts(self._files.parts)}
        order = list(pages)
        rows = [self._state(row, pages) for row in self._call("getAllProcessInfo")]
        return sorted(rows, key=lambda row: order.index(row.name) if row.name in order else 99)

    def state(self, name: str) -> PartState:
        return next(row for row in self.states() if row.name == name)

    def stop(self, *, seconds: float) -> None:
        """End all parts, the last one first, and the supervisor. Raises ``UpFailed``."""
        pid = self.pid()
        if pid is None:
            return
        self._call("shutdown")
        deadline = time.monotonic() + seconds
        while self.is_up() and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.is_up():
            raise UpFailed(f"the supervisor (process {pid}) does not end; see {self._files.logs}")
        # It lets go of the lock a moment before it is gone.
        with suppress(psutil.NoSuchProcess):
            psutil.wait_procs([psutil.Process(pid)], timeout=5)

    def _state(self, row: dict[str, Any], pages: dict[str, str]) -> PartState:
        name = str(row["statename"])
        return PartState(
            row["name"],
            _STATES.get(name, name.lower()),
            row["pid"] or None,
            datetime.fromtimestamp(row["start"], UTC) if row["start"] else None,
            pages.get(row["name"], ""),
            row["logfile"],
        )

    def _call(self, name: str, *arguments: Any) -> Any:
        # A connection that failed once is of no use any more, so each call has its own.
        transport = SupervisorTransport(None, None, f"unix://{self._files.socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, name)(*arguments)
        except _PROTOCOL as error:
            raise UpFailed(f"the supervisor does not answer ({type(error).__name__})") from None
        finally:
            transport.close()
