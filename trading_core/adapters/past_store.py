"""A store that stands still at a moment of the past."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from trading_core.errors import StoreError
from trading_core.ports import Store, StoreReader, StoreWriter


@dataclass(frozen=True, slots=True)
class PastStore:
    """Whatever reads from it sees what was known at ``at`` (aware); nothing can be written.

    It fills the ``Store`` port, so every step that only reads can be asked about the past.
    """

    inner: Store
    at: datetime

    def read(self, *, as_of: datetime | None = None) -> AbstractContextManager[StoreReader]:
        return self.inner.read(as_of=self.at if as_of is None else min(as_of, self.at))

    def write(self) -> AbstractContextManager[StoreWriter]:
        raise StoreError("the past is read, never written")

    def fingerprint(self) -> str:
        return f"{self.inner.fingerprint()} as of {self.at.isoformat()}"

    def snapshot(self, target: Path) -> int:
        raise StoreError("a snapshot is of the present")
