"""What backing up and restoring need from the outside, as Protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from trading_core.model.safekeeping import BackupCheck, BackupManifest, BackupUpload, Restore

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told of long work: what is done, how many bytes of it are done, and of how many."""


def no_progress(what: str, done: int, total: int) -> None:
    """For work that nobody watches."""


class SafekeepingReader(Protocol):
    """Queries over what was written down about backups."""

    def backup_uploads(self, limit: int = 100) -> Sequence[BackupUpload]:
        """Newest first."""
        ...

    def backup_checks(self, limit: int = 100) -> Sequence[BackupCheck]:
        """Newest first."""
        ...

    def restores(self) -> Sequence[Restore]:
        """Newest first."""
        ...


class BackupFolder(Protocol):
    """The backups in one folder; the folder itself is the truth about what there is.

    Every method raises ``BackupError`` with one line that says what is wrong and what to do.
    """

    def manifests(self) -> Sequence[BackupManifest]:
        """Those whose file is there with the right size, newest first."""
        ...

    def unpack(self, backup: BackupManifest, target: Path) -> None:
        """Verify it, decrypt it where needed, and write a store that opens with its rows.

        Nothing is left at ``target`` when it raises.
        """
        ...

    def test(self, backup: BackupManifest) -> int:
        """Unpack it, count its rows and throw the copy away."""
        ...

    def remove(self, backup: BackupManifest) -> None: ...

    def path_of(self, backup: BackupManifest) -> Path: ...

    def free_bytes(self) -> int:
        """What the disk under the folder has left."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a file that was to be kept off this machine."""

    bytes_sent: int
    was_present: bool


class Vault(Protocol):
    """Backups off this machine. Every method raises ``BackupError``."""

    @property
    def place(self) -> str:
        """Its address as a person writes it, without secrets."""
        ...

    async def manifests(self) -> Sequence[str]:
        """Ids of the backups that are whole, newest first."""
        ...

    async def keep(self, backup: BackupManifest, file: Path) -> Kept:
        """Send it and verify what arrived; what is there already is not sent again."""
        ...

    async def fetch(self, backup_id: str, folder: Path) -> BackupManifest:
        """Bring a backup and its manifest into ``folder``."""
        ...

    async def remove(self, backup_id: str) -> None: ...


class StorePlace(Protocol):
    """Where the store lies, for whoever must put another file there."""

    def rows(self) -> int | None:
        """Rows of the store that is there; None when there is none or it does not open."""
        ...

    def exists(self) -> bool:
        """Whether there is a file, be it a store or not."""
        ...

    def session_owners(self, at: datetime) -> Sequence[tuple[str, str]]:
        """Name and owner of every lease of a session; none when the store does not open."""
        ...

    def open_copy(self, path: Path) -> Any:
        """A copy of a store, as a ``Store``."""
        ...

    def forget_leases(self, path: Path) -> None:
        """Of a copy: nobody holds a session of a store that is brought back."""
        ...

    def replace(self, source: Path, safety_copy: Path) -> bool:
        """Put ``source`` where the store is; whether there was one, which then is the safety copy.

        Raises:
            StoreBusy: another process keeps the store.
            BackupError: it could not be done; the store is as it was.
        """
        ...
