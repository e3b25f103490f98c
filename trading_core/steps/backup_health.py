"""Whether a restore would work, how much it would lose, and telling a person when that changes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from trading_core.errors import BackupError, StoreError
from trading_core.model.journal import Notification
from trading_core.model.safekeeping import (
    BackupCheck,
    BackupManifest,
    BackupUpload,
    Health,
    HealthReason,
)
from trading_core.ports import Notifier, Store
from trading_core.ports.safekeeping import BackupFolder
from trading_core.rules.backup_health import BackupFacts, reasons, verdict
from trading_core.rules.retention import Aged, Tier, tiers
from trading_core.steps.tell import tell

Json = dict[str, Any]

_TESTED = ("restore_test",)
_LEVELS = {Health.HEALTHY: "info", Health.DEGRADED: "warning", Health.UNHEALTHY: "critical"}


def examine(
    store: Store, folder: BackupFolder, *, enabled: bool, vault: str, at: datetime
) -> BackupCheck:
    """Look at everything, and open the newest backup as a restore would.

    ``vault`` is the address backups are sent to, empty for none; it is not asked, what counts is
    how the last uploads went.
    """
    backups, folder_problem, free = _listed(folder)
    test_problem, rows = "", None
    if backups:
        try:
            rows = folder.test(backups[0])
        except BackupError as error:
            test_problem = str(error)
    store_problem, uploads, _ = _stored(store)
    facts = BackupFacts(
        enabled=enabled,
        backups=backups,
        folder_problem=folder_problem,
        store_problem=store_problem,
        test_problem=test_problem,
        free_bytes=free,
        vault=vault,
        uploads=uploads,
    )
    found = reasons(facts, now=at)
    newest = backups[0].backup_id if backups else ""
    return BackupCheck(at, verdict(found), found, newest, rows)


async def check(
    store: Store,
    folder: BackupFolder,
    notifier: Notifier,
    *,
    enabled: bool,
    vault: str,
    at: datetime,
) -> BackupCheck:
    """:func:`examine`, write it down, and tell a person if it differs from the last look.

    The same state is told once, however often it is looked at; being well again is told too.
    """
    made = examine(store, folder, enabled=enabled, vault=vault, at=at)
    last = None
    try:
        with store.write() as tx:
            last = next(iter(tx.backup_checks(1)), None)
            tx.append([made])
    except StoreError:
        # That the store does not open is among the reasons; a person is told of it all the same.
        await notifier.send(_note(made))
        return made
    if _differs(made, last):
        await tell(notifier, store, [_note(made)])
    return made


def overview(
    store: Store, folder: BackupFolder, *, enabled: bool, vault: str, at: datetime
) -> Json:
    """The backups and their health in plain JSON values, without opening any of them.

    What the last restore test said counts, as long as it was about the newest backup.
    """
    backups, folder_problem, free = _listed(folder)
    store_problem, uploads, checks = _stored(store)
    last = checks[0] if checks else None
    newest = backups[0] if backups else None
    tested = last is not None and newest is not None and last.newest_id == newest.backup_id
    problems = [r.text for r in last.reasons if r.code in _TESTED] if last and tested else []
    facts = BackupFacts(
        enabled=enabled,
        backups=backups,
        folder_problem=folder_problem,
        store_problem=store_problem,
        test_problem="; ".join(problems),
        free_bytes=free,
        vault=vault,
        uploads=uploads,
    )
    found = reasons(facts, now=at)
    kept = tiers([Aged(item.backup_id, item.at) for item in backups], now=at)
    return {
        "health": verdict(found).value,
        "reasons": [_reason(item) for item in found],
        "enabled": enabled,
        "at": at.isoformat(),
        "newest": _manifest(newest) if newest else None,
        "age_hours": round((at - newest.at).total_seconds() / 3600, 2) if newest else None,
        "restore_test": {"at": last.at.isoformat(), "rows": last.restored_rows}
        if last and tested
        else None,
        "free_bytes": free,
        "vault": vault,
        "last_upload": _upload(uploads[0]) if uploads else None,
        "count": len(backups),
        "bytes": sum(item.bytes for item in backups),
        "backups": [
            _manifest(item)
            | {"kept_as": [tier.value for tier in Tier if tier in kept[item.backup_id]]}
            for item in backups
        ],
    }


def plain_check(made: BackupCheck) -> Json:
    """A look at the backups as JSON."""
    return {
        "health": made.health.value,
        "reasons": [_reason(item) for item in made.reasons],
        "at": made.at.isoformat(),
        "newest": made.newest_id,
        "restored_rows": made.restored_rows,
    }


def _listed(folder: BackupFolder) -> tuple[list[BackupManifest], str, int | None]:
    try:
        return list(folder.manifests()), "", folder.free_bytes()
    except (BackupError, OSError) as error:
        return [], str(error), None


def _stored(store: Store) -> tuple[str, list[BackupUpload], list[BackupCheck]]:
    try:
        with store.read() as reader:
            return "", list(reader.backup_uploads(20)), list(reader.backup_checks(1))
    except StoreError as error:
        return str(error), [], []


def _differs(made: BackupCheck, last: BackupCheck | None) -> bool:
    if last is None:
        return made.health is not Health.HEALTHY
    then = (last.health, {reason.code for reason in last.reasons})
    return (made.health, {reason.code for reason in made.reasons}) != then


def _note(made: BackupCheck) -> Notification:
    said = "; ".join(reason.text for reason in made.reasons)
    text = f"backups are {made.health.value}" + (f": {said}" if said else " again")
    return Notification(
        notification_id=f"backups-{made.health.value}-{made.at:%Y%m%dT%H%M%S.%fZ}",
        at=made.at,
        kind="backup",
        level=_LEVELS[made.health],
        text=text,
        delivered=False,
    )


def _reason(item: HealthReason) -> Json:
    return {"code": item.code, "health": item.health.value, "text": item.text}


def _manifest(item: BackupManifest) -> Json:
    return {**asdict(item), "at": item.at.isoformat()}


def _upload(item: BackupUpload) -> Json:
    return {**asdict(item), "at": item.at.isoformat(), "outcome": item.outcome.value}
