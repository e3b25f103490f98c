"""Backups in a local folder: the copy, its checksum, and a manifest that is written last.

``trades-20250910T064000Z.duckdb`` (``.duckdb.enc`` when encrypted), a ``.sha256`` that ``sha256sum
--check`` reads, and a ``.json``: a copy without its manifest was cut short and counts for nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from trading_core.errors import BackupError, StoreError
from trading_core.model.journal import BackupRecord
from trading_core.model.safekeeping import BackupManifest
from trading_core.ports import Store
from trading_core.ports.safekeeping import Progress, no_progress

_BLOCK = 1024 * 1024
_WAIT_SECONDS = 5.0
SCRATCH = ".scratch"


class LocalArchive:
    """Keeps verified copies of the store under ``directory``.

    Args:
        directory: Created when missing.
        count_rows: Opens a copy read-only and counts its rows; how a backup is verified.
        phrase: What copies are encrypted with; without it they are as readable as the store.
        scratch: Where copies lie while they are worked on, readable; emptied afterwards. In
            ``directory`` when left out.
        progress: Told of long work.
    """

    def __init__(
        self,
        directory: Path,
        count_rows: Callable[[Path], int],
        *,
        phrase: str | None = None,
        scratch: Path | None = None,
        progress: Progress = no_progress,
    ) -> None:
        self._directory = directory
        self._count_rows = count_rows
        self._phrase = phrase
        self._scratch = scratch or directory / SCRATCH
        self._progress = progress

    def keep(self, store: Store, *, at: datetime) -> BackupRecord:
        """Write a consistent copy, verify it by opening it, and describe it.

        Raises:
            StoreError: the copy could not be written, or what was written does not open with the
                same number of rows.
        """
        name = f"trades-{at:%Y%m%dT%H%M%SZ}"
        suffix = ".duckdb.enc" if self._phrase else ".duckdb"
        target = self._directory / f"{name}{suffix}"
        try:
            with self._working() as scratch:
                if target.exists():
                    raise StoreError(f"{target} exists already; a backup is never overwritten")
                try:
                    rows = self._write(store, target, scratch)
                    manifest = self._describe(target, name, at, rows)
                except BaseException:
                    target.unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise StoreError(f"cannot write a backup to {self._directory}: {error}") from error
        except BackupError as error:
            raise StoreError(str(error)) from error
        return BackupRecord(
            backup_id=name,
            at=at,
            path=str(target),
            bytes=manifest.bytes,
            sha256=manifest.sha256,
            rows=rows,
            verified=True,
            note="encrypted" if manifest.encrypted else "",
        )

    def manifests(self) -> Sequence[BackupManifest]:
        """Those whose file is there with the right size, newest first."""
        try:
            found = [manifest_of(path) for path in self._directory.glob("trades-*.json")]
            whole = [
                item
                for item in found
                if item is not None
                and (self._directory / item.file).is_file()
                and (self._directory / item.file).stat().st_size == item.bytes
            ]
        except OSError as error:
            raise BackupError(f"cannot read {self._directory}: {error.strerror}") from error
        return sorted(whole, key=lambda item: (item.at, item.backup_id), reverse=True)

    def unpack(self, backup: BackupManifest, target: Path) -> None:
        """Verify the checksum, decrypt where needed, open what is there and count its rows."""
        source = self.path_of(backup)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            found = self._hashed("verify", source)
            if found != backup.sha256:
                raise BackupError(
                    f"{source} is damaged: its sha256 is {found}, it was {backup.sha256}"
                )
            self._open_up(source, target)
            rows = self._count_rows(target)
            if rows != backup.rows:
                raise BackupError(f"{source} holds {rows} rows, it was made with {backup.rows}")
        except BaseException as error:
            target.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise BackupError(f"cannot read {source}: {error.strerror or error}") from error
            if isinstance(error, StoreError):
                raise BackupError(f"{source}: {error}") from error
            raise

    def test(self, backup: BackupManifest) -> int:
        """Unpack it, count its rows and throw the copy away."""
        try:
            with self._working() as scratch:
                self.unpack(backup, scratch / "test.duckdb")
        except OSError as error:
            raise BackupError(f"cannot write to {self._scratch}: {error.strerror}") from error
        return backup.rows

    def remove(self, backup: BackupManifest) -> None:
        """Delete it; the manifest first, so that half of it never counts."""
        try:
            for name in (backup.sidecar, f"{backup.backup_id}.sha256", backup.file):
                (self._directory / name).unlink(missing_ok=True)
        except OSError as error:
            raise BackupError(f"cannot delete {backup.backup_id}: {error.strerror}") from error

    def path_of(self, backup: BackupManifest) -> Path:
        return self._directory / backup.file

    def free_bytes(self) -> int:
        """What the disk under the folder, or the nearest folder above it, has left."""
        place = self._directory.absolute()
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    def _write(self, store: Store, target: Path, scratch: Path) -> int:
        """The copy under its name, opened and counted."""
        if self._phrase is None:
            rows = store.snapshot(target)
            self._check(target, self._count_rows(target), rows)
            return rows
        from trading_core.adapters.encryption import encrypt

        plain, sealed = scratch / "plain.duckdb", scratch / "sealed.enc"
        rows = store.snapshot(plain)
        encrypt(plain, sealed, self._phrase, self._progress)
        plain.unlink()
        self._open_up(sealed, plain)
        self._check(target, self._count_rows(plain), rows)
        _flush(sealed)
        shutil.move(sealed, target)
        return rows

    def _check(self, target: Path, found: int, rows: int) -> None:
        if found != rows:
            raise StoreError(f"backup {target} holds {found} rows, the store had {rows}")

    def _describe(self, target: Path, name: str, at: datetime, rows: int) -> BackupManifest:
        """Checksum and manifest beside the copy, the manifest last."""
        manifest = BackupManifest(
            backup_id=name,
            at=at,
            file=target.name,
            bytes=target.stat().st_size,
            sha256=self._hashed("checksum", target),
            rows=rows,
            encrypted=self._phrase is not None,
        )
        checksum = self._directory / f"{name}.sha256"
        checksum.write_text(f"{manifest.sha256}  {target.name}\n")
        partial = self._directory / f".{manifest.sidecar}"
        partial.write_text(json.dumps(manifest_text(manifest), indent=1) + "\n")
        _flush(partial)
        partial.replace(self._directory / manifest.sidecar)
        _flush(self._directory)
        return manifest

    def _open_up(self, source: Path, target: Path) -> None:
        from trading_core.adapters.encryption import decrypt, is_encrypted

        if not is_encrypted(source):
            shutil.copyfile(source, target)
        elif self._phrase is None:
            raise BackupError(f"{source} is encrypted; set the BACKUP_ENCRYPTION_KEY of its making")
        else:
            decrypt(source, target, self._phrase, self._progress)

    def _hashed(self, what: str, path: Path) -> str:
        digest, done, total = hashlib.sha256(), 0, path.stat().st_size
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                done += len(block)
                self._progress(what, done, total)
        return digest.hexdigest()

    @contextmanager
    def _working(self) -> Iterator[Path]:
        """An empty scratch folder that nobody else uses; what a dead process left there goes."""
        self._directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._directory / ".lock", timeout=_WAIT_SECONDS, mode=0o600)
        try:
            lock.acquire()
        except Timeout:
            raise BackupError(f"another process works with the backups in {self._directory}") from (
                None
            )
        try:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch.mkdir(parents=True, mode=0o700)
            for leftover in self._directory.glob(".trades-*"):
                leftover.unlink()
            yield self._scratch
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
            lock.release()


def manifest_of(path: Path) -> BackupManifest | None:
    """The manifest in a file; None for one that is none."""
    with suppress(ValueError, TypeError, KeyError, UnicodeDecodeError):
        return read_manifest(path.read_bytes())
    return None


def read_manifest(text: bytes) -> BackupManifest:
    """The inverse of :func:`manifest_text` as JSON.

    Raises:
        ValueError, TypeError, KeyError: it is not a manifest.
    """
    found: dict[str, Any] = json.loads(text)
    found.pop("format")
    manifest = BackupManifest(**{**found, "at": datetime.fromisoformat(found["at"])})
    if Path(manifest.file).name != manifest.file or manifest.at.tzinfo is None:
        raise ValueError("a file in the same folder, and a time with its zone")
    return manifest


def manifest_text(manifest: BackupManifest) -> dict[str, Any]:
    """What is written into the sidecar."""
    return {"format": 1, **asdict(manifest), "at": manifest.at.isoformat()}


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
