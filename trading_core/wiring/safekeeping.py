"""Where copies of the store are kept."""

from __future__ import annotations

from pathlib import Path

from trading_core.adapters.local_archive import LocalArchive
from trading_core.ports import Archive
from trading_core.settings import Settings


def archive_of(settings: Settings) -> Archive:
    """The archive that the settings ask for."""
    return LocalArchive(settings.backup_path, count_rows)


def count_rows(path: Path) -> int:
    """Open a copy of the store read-only and count every row in it."""
    from trading_core.adapters.duck.store import count_rows as count

    return count(path)
