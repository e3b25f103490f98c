"""Copies of the state: what describes one, how they are doing, and what was brought back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """What lies beside a backup and is written last: with it the backup counts, without it not.

    ``file`` is the name of the backup in the same folder, ``bytes`` and ``sha256`` (hex) are those
    of that file as it lies there, encrypted or not. ``rows`` are those of all tables together.
    """

    backup_id: str
    at: datetime
    file: str
    bytes: int
    sha256: str
    rows: int
    encrypted: bool = False

    @property
    def sidecar(self) -> str:
        """The name of the manifest itself."""
        return f"{self.backup_id}.json"


def made_at(backup_id: str) -> datetime | None:
    """When a backup was made, by its name; None for another name."""
    try:
        return datetime.strptime(backup_id, "trades-%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


class UploadOutcome(StrEnum):
    """``PRESENT``: it was there already, with the same checksum, and was not sent again."""

    STORED = "stored"
    PRESENT = "present"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BackupUpload:
    """One try to send a backup off this machine; ``bytes_sent`` leaves out what was there."""

    backup_id: str
    at: datetime
    place: str
    outcome: UploadOutcome
    bytes_sent: int = 0
    detail: str = ""


class Health(StrEnum):
    """``DEGRADED``: a restore works but loses more than it should, or soon will not work.
    ``UNHEALTHY``: there is nothing to restore, or it cannot be trusted."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNHEALTHY = "UNHEALTHY"

    @property
    def rank(self) -> int:
        return tuple(Health).index(self)


@dataclass(frozen=True, slots=True)
class HealthReason:
    """One thing that is not as it should be; ``code`` is the same for the same kind of thing."""

    code: str
    health: Health
    text: str


@dataclass(frozen=True, slots=True)
class BackupCheck:
    """One look at the backups, with the restore test; ``restored_rows`` is what the newest holds.

    ``restored_rows`` is None when there was nothing to open or it did not open.
    """

    at: datetime
    health: Health
    reasons: tuple[HealthReason, ...] = ()
    newest_id: str = ""
    restored_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Restore:
    """A backup that took the place of the state.

    ``backup_at`` is the moment it was made: what was written later is lost until the broker's
    records bring it back. ``safety_copy`` is where the state before it lies, empty if there was
    none.
    """

    restore_id: str
    at: datetime
    backup_id: str
    backup_at: datetime
    source: str
    sha256: str
    rows: int
    safety_copy: str = ""
