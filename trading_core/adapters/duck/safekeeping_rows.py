"""The tables of uploads, of checks of the backups, and of restores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from trading_core.adapters.duck.codecs import INTEGER, JSON, TEXT, TIME, Codec, enum_of
from trading_core.adapters.duck.queries import Queries
from trading_core.adapters.duck.tables import Table, table
from trading_core.model.safekeeping import (
    BackupCheck,
    BackupUpload,
    Health,
    HealthReason,
    Restore,
    UploadOutcome,
)

T = TypeVar("T")


def _reasons_in(reasons: tuple[HealthReason, ...]) -> Any:
    rows = [{"code": r.code, "health": r.health.value, "text": r.text} for r in reasons]
    return JSON.encode(rows)


def _reasons_out(stored: Any) -> tuple[HealthReason, ...]:
    found = JSON.decode(stored)
    return tuple(HealthReason(r["code"], Health(r["health"]), r["text"]) for r in found)


REASONS = Codec(_reasons_in, _reasons_out, JSON.parameter, JSON.selected)

BACKUP_UPLOADS = table(
    "backup_uploads",
    BackupUpload,
    {
        "backup_id": TEXT,
        "uploaded_at": (TIME, "at"),
        "place": TEXT,
        "outcome": enum_of(UploadOutcome),
        "bytes_sent": INTEGER,
        "detail": TEXT,
    },
    "backup_id uploaded_at",
)

BACKUP_CHECKS = table(
    "backup_checks",
    BackupCheck,
    {
        "checked_at": (TIME, "at"),
        "health": enum_of(Health),
        "reasons": REASONS,
        "newest_id": TEXT,
        "restored_rows": INTEGER,
    },
    "checked_at",
    moment="checked_at",
)

RESTORES = table(
    "restores",
    Restore,
    {
        "restore_id": TEXT,
        "restored_at": (TIME, "at"),
        "backup_id": TEXT,
        "backup_at": TIME,
        "source": TEXT,
        "sha256": TEXT,
        "rows": INTEGER,
        "safety_copy": TEXT,
    },
    "restore_id",
)

SAFEKEEPING_RECORD_TABLES: tuple[Table[Any], ...] = (BACKUP_UPLOADS, BACKUP_CHECKS, RESTORES)

SAFEKEEPING_TABLES: tuple[str, ...] = (
    """
    CREATE TABLE backup_uploads (
        backup_id TEXT NOT NULL,
        uploaded_at TIMESTAMPTZ NOT NULL,
        place TEXT NOT NULL,
        outcome TEXT NOT NULL,
        bytes_sent BIGINT NOT NULL,
        detail TEXT NOT NULL
    )""",
    """
    CREATE TABLE backup_checks (
        checked_at TIMESTAMPTZ NOT NULL,
        health TEXT NOT NULL,
        reasons JSON NOT NULL,
        newest_id TEXT NOT NULL,
        restored_rows BIGINT
    )""",
    """
    CREATE TABLE restores (
        restore_id TEXT PRIMARY KEY,
        restored_at TIMESTAMPTZ NOT NULL,
        backup_id TEXT NOT NULL,
        backup_at TIMESTAMPTZ NOT NULL,
        source TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        rows BIGINT NOT NULL,
        safety_copy TEXT NOT NULL
    )""",
)
"""Frozen, as all schema statements are: a change is a new migration."""


class SafekeepingQueries(Queries):
    """The queries about backups of the ``StoreReader`` port."""

    def _newest(self, wanted: Table[T], time: str, limit: int) -> list[T]:
        return self._select(wanted, order_by=f"t.{time} DESC", limit=limit)

    def backup_uploads(self, limit: int = 100) -> Sequence[BackupUpload]:
        return self._newest(BACKUP_UPLOADS, "uploaded_at", limit)

    def backup_checks(self, limit: int = 100) -> Sequence[BackupCheck]:
        return self._newest(BACKUP_CHECKS, "checked_at", limit)

    def restores(self) -> Sequence[Restore]:
        return self._newest(RESTORES, "restored_at", 1000)
