"""Backups in a local directory: ``trades-20250910T064000Z.duckdb`` with a ``.sha256`` beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from trading_core.errors import StoreError
from trading_core.model.journal import BackupRecord
from trading_core.ports import Store


class LocalArchive:
    """Keeps verified copies of the store under ``directory``.

    Args:
        directory: Created when missing.
        count_rows: Opens a copy read-only and counts its rows; how a backup is verified.
    """

    def __init__(self, directory: Path, count_rows: Callable[[Path], int]) -> None:
        self._directory = directory
        self._count_rows = count_rows

    def keep(self, store: Store, *, at: datetime) -> BackupRecord:
        """Write a consistent copy, verify it by opening it, and describe it.

        Raises:
            StoreError: the copy could not be written, or what was written does not open with the
                same number of rows.
        """
        name = f"trades-{at:%Y%m%dT%H%M%SZ}"
        target = self._directory / f"{name}.duckdb"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            rows = store.snapshot(target)
            try:
                digest = self._verify(target, rows)
            except BaseException:
                target.unlink(missing_ok=True)
                raise
            size = target.stat().st_size
        except OSError as error:
            raise StoreError(f"cannot write a backup to {self._directory}: {error}") from error
        return BackupRecord(
            backup_id=name,
            at=at,
            path=str(target),
            bytes=size,
            sha256=digest,
            rows=rows,
            verified=True,
        )

    def _verify(self, target: Path, rows: int) -> str:
        """Open the copy, count its rows and write its checksum beside it."""
        found = self._count_rows(target)
        if found != rows:
            raise StoreError(f"backup {target} holds {found} rows, the store had {rows}")
        digest = _sha256(target)
        target.with_suffix(".sha256").write_text(f"{digest}  {target.name}\n")
        return digest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
