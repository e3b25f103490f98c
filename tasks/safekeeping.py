"""Backing up, step by step. Local work runs in a thread: nothing else of the process waits."""

from __future__ import annotations

import asyncio
from datetime import datetime

from tasks.policy import step_task
from trading_core.errors import BackupError, StoreError
from trading_core.model.journal import BackupRecord
from trading_core.model.safekeeping import BackupCheck
from trading_core.steps import backup, backup_health
from trading_core.steps.backup import Pruned, Sent
from trading_core.wiring import Safekeeping


@step_task("back up", timeout_seconds=1800)
async def back_up(safe: Safekeeping, at: datetime) -> BackupRecord:
    """A verified copy of the store."""
    return await asyncio.to_thread(backup.back_up, safe.store, safe.archive, at=at)


@step_task("export", timeout_seconds=1800)
async def export(safe: Safekeeping, at: datetime) -> str:
    """What is new since the last export, where that is wanted; what went wrong, or nothing."""
    if safe.export_format == "none":
        return ""
    try:
        await asyncio.to_thread(
            safe.exporter.export, safe.export_folder, safe.export_format, at=at, since="last"
        )
    except (BackupError, StoreError) as error:
        return str(error)
    return ""


@step_task("upload", timeout_seconds=7200)
async def upload(safe: Safekeeping, at: datetime) -> Sent:
    """Everything that is to be kept off this machine and is not there yet."""
    if safe.vault is None:
        return Sent()
    return await backup.upload(safe.store, safe.folder, safe.vault, at=at)


@step_task("prune", timeout_seconds=600)
async def prune(safe: Safekeeping, at: datetime) -> Pruned:
    """Delete what is kept for nothing any more, here and there."""
    return await backup.prune(safe.folder, safe.vault, at=at)


@step_task("check backups", timeout_seconds=1800)
async def check_backups(safe: Safekeeping, at: datetime) -> BackupCheck:
    """Open the newest as a restore would, and tell a person if something changed."""
    return await backup_health.check(
        safe.store,
        safe.folder,
        safe.notifier,
        enabled=safe.enabled,
        vault=safe.vault_place,
        at=at,
    )
