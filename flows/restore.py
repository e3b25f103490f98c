"""Bringing the state back from a backup, and making it agree with the broker.

No Prefect flow: a restore is for a machine on which nothing runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from trading_core.clock import SystemClock
from trading_core.errors import BackupError, TradingError
from trading_core.model.safekeeping import BackupManifest, made_at
from trading_core.ports.safekeeping import BackupFolder
from trading_core.steps.restore import (
    Agreement,
    Restored,
    agree_with_broker,
    bring_back,
    choose,
    refuse_while_trading,
)
from trading_core.steps.summary import plain
from trading_core.wiring import (
    RestorePlace,
    archive_in,
    configure,
    open_restore_place,
    open_runtime,
    vault_at,
)

Json = dict[str, Any]
RESUME = 'ouroboros resume ALL --reason "..."'
RECONCILE = "ouroboros restore --reconcile"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which backup: the newest at or before ``at``, of BACKUP_DIR or of ``source``, which is a
    folder, a file, ``s3://`` for the configured bucket, or ``s3://BUCKET/FOLDER[/BACKUP]``."""

    at: datetime | None = None
    source: str | None = None
    dry_run: bool = False


async def restore(wanted: Wanted, confirm: Callable[[Json], None] = lambda plan: None) -> Json:
    """Put a backup in the place of the store, halted, then make it agree with the broker.

    Args:
        confirm: Is shown what will be done before anything is; raises to stop it.

    Raises:
        TradingHalted: something trades the account.
        BackupError: there is no such backup, or it is not what it was; nothing has changed.
    """
    settings, at = configure(), SystemClock().now()
    with open_restore_place(settings, at) as here:
        refuse_while_trading(here.place, at)
        folder, backup, source = await _find(here, wanted)
        if not wanted.dry_run:
            confirm(_plan(here, backup, source, at))
        safety = here.store_path.with_name(
            f"{here.store_path.name}.before-restore-{at:%Y%m%dT%H%M%SZ}"
        )
        done = bring_back(
            here.place,
            folder,
            backup,
            source=source,
            groups=here.groups,
            scratch=here.scratch,
            safety_copy=safety,
            at=at,
            dry_run=wanted.dry_run,
        )
        answer = _answer(done)
        if wanted.dry_run:
            return answer
        return {**answer, **await reconcile()}


async def reconcile() -> Json:
    """Make a restored state agree with the broker; what is missing for that is in the answer."""
    try:
        async with open_runtime(unconfirmed=True) as runtime:
            agreed = await agree_with_broker(runtime.broker, runtime.store, at=runtime.clock.now())
    except TradingError as error:
        return {"agreements": [], "agreed": False, "problem": str(error), "next": RECONCILE}
    all_agree = not any(item.problem for item in agreed)
    return {
        "agreements": [_agreement(item) for item in agreed],
        "agreed": all_agree,
        "problem": "",
        "next": RESUME if all_agree else RECONCILE,
    }


async def listed(source: str | None) -> Json:
    """The backups of a place, newest first."""
    settings = configure()
    if source is not None and source.startswith("s3:"):
        vault = vault_at(settings, source)
        names = await vault.manifests()
        rows = [{"backup_id": name, "at": made_at(name)} for name in names]
        return {"source": vault.place, "backups": plain(rows)}
    place = Path(source) if source else settings.backup_path
    found = archive_in(settings, place).manifests()
    return {"source": str(place), "backups": [plain(asdict(item)) for item in found]}


async def _find(here: RestorePlace, wanted: Wanted) -> tuple[BackupFolder, BackupManifest, str]:
    """The folder it is in by now, the backup, and where it came from."""
    settings, source = here.settings, wanted.source
    if source is not None and source.startswith("s3:"):
        return await _fetched(here, source, wanted.at)
    place, name = Path(source) if source else settings.backup_path, ""
    if place.is_file():
        place, name = place.parent, place.name.partition(".")[0]
    folder = archive_in(settings, place)
    backups = _named(folder.manifests(), name)
    backup = choose(backups, wanted.at)
    return folder, backup, str(folder.path_of(backup))


def _named(backups: Sequence[BackupManifest], name: str) -> Sequence[BackupManifest]:
    return [item for item in backups if name in ("", item.backup_id)]


async def _fetched(
    here: RestorePlace, source: str, at: datetime | None
) -> tuple[BackupFolder, BackupManifest, str]:
    head, _, last = source.rpartition("/")
    name = last.partition(".")[0] if made_at(last.partition(".")[0]) else ""
    vault = vault_at(here.settings, head if name else source)
    dated = [(made_at(item), item) for item in await vault.manifests() if name in ("", item)]
    fitting = [item for made, item in dated if made and (at is None or made <= at)]
    if not fitting:
        raise BackupError(
            f"{vault.place} has no such backup; see: ouroboros restore --list --from {source}"
        )
    folder = here.scratch / "fetched"
    backup = await vault.fetch(max(fitting), folder)
    return archive_in(here.settings, folder), backup, vault.place


def _plan(here: RestorePlace, backup: BackupManifest, source: str, at: datetime) -> Json:
    return {
        "backup": plain(asdict(backup)),
        "source": source,
        "store": str(here.store_path),
        "rows_before": here.place.rows(),
        "lost_seconds": round((at - backup.at).total_seconds()),
    }


def _answer(done: Restored) -> Json:
    return {
        "dry_run": done.restore is None,
        "backup": plain(asdict(done.backup)),
        "source": done.source,
        "rows": done.backup.rows,
        "rows_before": done.rows_before,
        "lost_seconds": round(done.lost.total_seconds()),
        "safety_copy": done.restore.safety_copy if done.restore else "",
        "halts": [plain(asdict(halt)) for halt in done.halts],
    }


def _agreement(item: Agreement) -> Json:
    found: Json = plain(asdict(item))
    return {"market": item.group.value, **{k: v for k, v in found.items() if k != "group"}}
