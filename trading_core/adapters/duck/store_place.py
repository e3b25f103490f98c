"""The file of the store, for whoever must put another one there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

import duckdb

from trading_core.adapters.duck.codecs import to_micros
from trading_core.adapters.duck.door import Door
from trading_core.adapters.duck.engine import CONFIG
from trading_core.adapters.duck.store import DuckStore, count_rows
from trading_core.errors import BackupError, StoreError


class DuckPlace:
    """The ``StorePlace`` port over one path.

    Args:
        path: The database file.
        timeout_seconds: How long to wait for the processes that use it.
    """

    def __init__(self, path: Path, *, timeout_seconds: float = 10.0) -> None:
        self._path = path
        self._door = Door(path, timeout_seconds)

    def rows(self) -> int | None:
        if not self._path.exists():
            return None
        try:
            with self._door.hold(shared=True):
                return count_rows(self._path)
        except StoreError:
            return None

    def exists(self) -> bool:
        return self._path.exists()

    def session_owners(self, at: datetime) -> Sequence[tuple[str, str]]:
        if not self._path.exists():
            return ()
        sql = (
            "SELECT name, owner FROM leases WHERE name LIKE 'session-%' AND owner <> ''"
            " AND expires_at > make_timestamptz(?::BIGINT) ORDER BY name"
        )
        try:
            with (
                self._door.hold(shared=True),
                closing(duckdb.connect(str(self._path), read_only=True, config=CONFIG)) as db,
            ):
                found = db.execute(sql, [to_micros(at)]).fetchall()
                return [(str(name), str(owner)) for name, owner in found]
        except (duckdb.Error, StoreError):
            return ()

    def open_copy(self, path: Path) -> DuckStore:
        return DuckStore(path)

    def forget_leases(self, path: Path) -> None:
        try:
            with closing(duckdb.connect(str(path), config=CONFIG)) as connection:
                connection.execute("UPDATE leases SET owner = ''")
        except duckdb.Error as error:
            raise BackupError(f"{path}: {error}") from error

    def replace(self, source: Path, safety_copy: Path) -> bool:
        """Two renames under the exclusive lock, undone when the second fails."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._door.hold(shared=False):
                had = self._path.exists()
                if had:
                    _move(self._path, safety_copy)
                try:
                    source.replace(self._path)
                except BaseException:
                    if had:
                        _move(safety_copy, self._path)
                    raise
                _flush(self._path.parent)
        except OSError as error:
            raise BackupError(f"cannot put a backup at {self._path}: {error.strerror}") from error
        return had


def _move(source: Path, target: Path) -> None:
    """A database and what was written ahead of it, if it was left that way."""
    source.rename(target)
    with suppress(FileNotFoundError):
        source.with_name(source.name + ".wal").rename(target.with_name(target.name + ".wal"))


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
