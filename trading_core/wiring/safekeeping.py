"""Where copies of the store are kept, how one is brought back, and exports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from trading_core.adapters.local_archive import LocalArchive
from trading_core.clock import Clock, SystemClock
from trading_core.errors import ConfigError
from trading_core.model.market import MarketGroup
from trading_core.ports import Archive, Notifier, Store
from trading_core.ports.safekeeping import BackupFolder, Progress, StorePlace, Vault, no_progress
from trading_core.settings import Settings, load_settings
from trading_core.wiring.alerts import notifier_of

if TYPE_CHECKING:
    from trading_core.adapters.duck.exporter import DuckExporter

SCRATCH = ".safekeeping"
"""Readable copies lie here for a moment, beside the store they are of."""


@dataclass(frozen=True, slots=True)
class Safekeeping:
    """What backing up works with; it needs no broker.

    ``enabled`` is BACKUP_ENABLED, which is about backups that nobody asked for. ``folder`` and
    ``archive`` are two sides of the same place. ``vault`` is None where nothing is sent.
    """

    enabled: bool
    store: Store
    archive: Archive
    folder: BackupFolder
    vault: Vault | None
    notifier: Notifier
    clock: Clock
    exporter: DuckExporter
    export_format: Literal["none", "parquet", "csv", "json"]
    export_folder: Path

    @property
    def vault_place(self) -> str:
        return self.vault.place if self.vault else ""


_watcher: ContextVar[Progress] = ContextVar("safekeeping_watcher", default=no_progress)


@contextmanager
def watched_by(progress: Progress) -> Iterator[None]:
    """Have long work inside the block tell ``progress`` how far it is."""
    token = _watcher.set(progress)
    try:
        yield
    finally:
        _watcher.reset(token)


def _report(what: str, done: int, total: int) -> None:
    _watcher.get()(what, done, total)


def archive_of(settings: Settings) -> LocalArchive:
    """The archive that the settings ask for."""
    return archive_in(settings, settings.backup_path)


def archive_in(settings: Settings, folder: Path) -> LocalArchive:
    """The backups in another folder, with the key of the settings."""
    key = settings.backup_encryption_key
    return LocalArchive(
        folder,
        count_rows,
        phrase=key.get_secret_value() if key else None,
        scratch=settings.store_path.parent / SCRATCH / "archive",
        progress=_report,
    )


def vault_of(settings: Settings) -> Vault | None:
    """The bucket that the settings name; None without one."""
    if settings.s3_bucket_name is None:
        return None
    return _vault(settings, settings.s3_bucket_name, settings.s3_prefix)


def vault_at(settings: Settings, address: str) -> Vault:
    """The vault of ``s3://BUCKET/FOLDER``, or of the settings for ``s3://`` alone.

    Raises:
        ConfigError: no bucket is named there or in the settings.
    """
    parts = urlsplit(address)
    if parts.netloc:
        return _vault(settings, parts.netloc, parts.path.strip("/"))
    vault = vault_of(settings)
    if vault is None:
        raise ConfigError("S3_BUCKET_NAME is not set; set it, or write s3://BUCKET/FOLDER")
    return vault


def _vault(settings: Settings, bucket: str, prefix: str) -> Vault:
    from trading_core.adapters.s3_vault import S3Address, S3Vault

    key, secret = settings.s3_access_key, settings.s3_secret_key
    address = S3Address(
        bucket=bucket,
        prefix=prefix,
        endpoint=str(settings.s3_endpoint_url).rstrip("/") if settings.s3_endpoint_url else None,
        region=settings.s3_region,
        key=key.get_secret_value() if key else None,
        secret=secret.get_secret_value() if secret else None,
    )
    return S3Vault(address, timeout_seconds=settings.s3_timeout_seconds, progress=_report)


def safekeeping_of(
    settings: Settings, store: Store, notifier: Notifier, clock: Clock
) -> Safekeeping:
    """What the settings ask for, with the store, notifier and clock of a runtime."""
    from trading_core.adapters.duck.exporter import DuckExporter

    archive = archive_of(settings)
    return Safekeeping(
        enabled=settings.backup_enabled,
        store=store,
        archive=archive,
        folder=archive,
        vault=vault_of(settings),
        notifier=notifier,
        clock=clock,
        exporter=DuckExporter(store, settings.store_path.parent / SCRATCH / "export", _report),
        export_format=settings.backup_export,
        export_folder=settings.backup_path / "exports",
    )


def open_safekeeping(settings: Settings | None = None) -> Safekeeping:
    """What this process is configured for; inside a shared runtime, what that works with.

    Raises:
        ConfigError: a setting is not allowed.
    """
    from trading_core.wiring.reading import open_store
    from trading_core.wiring.runtime import standing_runtime

    standing = standing_runtime()
    if standing is None or standing.safe is None:
        settings = settings or load_settings()
        notifier = notifier_of(settings)
        return safekeeping_of(settings, open_store(settings), notifier, SystemClock())
    return replace(
        standing.safe, store=standing.store, notifier=standing.notifier, clock=standing.clock
    )


def read_backups() -> dict[str, Any]:
    """The backups and their health as JSON, without opening any of them: for status and pages."""
    from trading_core.steps.backup_health import overview

    safe = open_safekeeping()
    return overview(
        safe.store,
        safe.folder,
        enabled=safe.enabled,
        vault=safe.vault_place,
        at=safe.clock.now(),
    )


@dataclass(frozen=True, slots=True)
class RestorePlace:
    """What a restore works with, while nobody else may trade the account."""

    settings: Settings
    place: StorePlace
    store_path: Path
    scratch: Path
    groups: tuple[MarketGroup, ...]


@contextmanager
def open_restore_place(settings: Settings, at: datetime) -> Iterator[RestorePlace]:
    """Keep every other process from trading the account, and name where the store goes.

    Where no broker is configured no account is known, and the leases in the store alone say
    whether a session runs.

    Raises:
        TradingHalted: a process trades the account.
    """
    import shutil

    from trading_core.adapters.duck.store_place import DuckPlace
    from trading_core.wiring.claim import account_claim
    from trading_core.wiring.reading import make_home

    make_home(settings.ouroboros_home)
    scratch = settings.store_path.parent / SCRATCH / "restore"
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = RestorePlace(
        settings,
        DuckPlace(settings.store_path),
        settings.store_path,
        scratch,
        settings.enabled_markets,
    )
    try:
        try:
            claim = account_claim(settings)
        except ConfigError:
            yield found
            return
        with claim.hold_alone(at, "a restore is under way"):
            yield found
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def count_rows(path: Path) -> int:
    """Open a copy of the store read-only and count every row in it."""
    from trading_core.adapters.duck.store import count_rows as count

    return count(path)
