"""Make a copy of the state that can be trusted, keep it off this machine too, drop what is old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trading_core.errors import BackupError
from trading_core.model.journal import BackupRecord
from trading_core.model.safekeeping import BackupManifest, BackupUpload, UploadOutcome, made_at
from trading_core.ports import Archive, Store
from trading_core.ports.safekeeping import BackupFolder, Vault
from trading_core.rules.retention import Aged, expired


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of an upload: ``problem`` is empty when the vault has all it should have."""

    uploads: tuple[BackupUpload, ...] = ()
    problem: str = ""

    @property
    def bytes_sent(self) -> int:
        return sum(upload.bytes_sent for upload in self.uploads)


@dataclass(frozen=True, slots=True)
class Pruned:
    """Ids of what was deleted, here and off this machine."""

    local: tuple[str, ...] = ()
    remote: tuple[str, ...] = ()
    problem: str = ""


def back_up(store: Store, archive: Archive, *, at: datetime) -> BackupRecord:
    """Snapshot, checksum, open again and count; then record it.

    Raises:
        StoreError: the copy could not be made or did not open again; nothing is left behind.
    """
    record = archive.keep(store, at=at)
    with store.write() as tx:
        tx.append([record])
    return record


async def upload(store: Store, folder: BackupFolder, vault: Vault, *, at: datetime) -> Sent:
    """Send every backup that is to be kept and is not in the vault yet, the newest first.

    So what could not be sent yesterday goes today. Each try is written down. The local backups
    are only read.
    """
    tries: list[BackupUpload] = []
    missing: list[BackupManifest] = []
    problem = ""
    try:
        backups = folder.manifests()
        missing = list(backups[:1])
        there = set(await vault.manifests())
        old = expired([Aged(item.backup_id, item.at) for item in backups], now=at)
        missing = [b for b in backups if b.backup_id not in there and b.backup_id not in old]
        while missing:
            tries.append(await _send(folder, vault, missing[0], at))
            missing.pop(0)
    except BackupError as error:
        problem = str(error)
        tries += [
            BackupUpload(item.backup_id, at, vault.place, UploadOutcome.FAILED, 0, problem)
            for item in missing[:1]
        ]
    if tries:
        with store.write() as tx:
            tx.append(tries)
    return Sent(tuple(tries), problem)


async def _send(
    folder: BackupFolder, vault: Vault, backup: BackupManifest, at: datetime
) -> BackupUpload:
    kept = await vault.keep(backup, folder.path_of(backup))
    outcome = UploadOutcome.PRESENT if kept.was_present else UploadOutcome.STORED
    return BackupUpload(backup.backup_id, at, vault.place, outcome, kept.bytes_sent)


async def prune(folder: BackupFolder, vault: Vault | None, *, at: datetime) -> Pruned:
    """Delete what is kept for nothing any more, by the same rule in both places.

    Each place goes by what it holds itself, so losing one never empties the other.
    """
    local: list[str] = []
    remote: list[str] = []
    try:
        backups = {item.backup_id: item for item in folder.manifests()}
        old = expired([Aged(name, item.at) for name, item in backups.items()], now=at)
        for name in sorted(old):
            folder.remove(backups[name])
            local.append(name)
        if vault is not None:
            dated = [(name, made_at(name)) for name in await vault.manifests()]
            old = expired([Aged(name, when) for name, when in dated if when], now=at)
            for name in sorted(old):
                await vault.remove(name)
                remote.append(name)
    except BackupError as error:
        return Pruned(tuple(local), tuple(remote), str(error))
    return Pruned(tuple(local), tuple(remote))
