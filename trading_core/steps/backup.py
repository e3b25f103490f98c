"""Make a copy of the state that can be trusted, and write down that it was made."""

from __future__ import annotations

from datetime import datetime

from trading_core.model.journal import BackupRecord
from trading_core.ports import Archive, Store


def back_up(store: Store, archive: Archive, *, at: datetime) -> BackupRecord:
    """Snapshot, checksum, open again and count; then record it.

    Raises:
        StoreError: the copy could not be made or did not open again; nothing is left behind.
    """
    record = archive.keep(store, at=at)
    with store.write() as tx:
        tx.append([record])
    return record
