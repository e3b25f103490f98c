"""A consistent, verified copy of the state, here and off this machine."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks import events
from tasks.lateness import skip_if_late
from tasks.naming import name_run
from tasks.safekeeping import back_up, check_backups, export, prune, upload
from trading_core.model.safekeeping import Health
from trading_core.wiring import open_safekeeping, sending

DEGRADED = "Degraded"


@flow(name="backup", description="Copy the store, open the copy again, send it away, prune.")
async def backup(by_hand: bool = False) -> State:
    """Back up the store while it trades.

    With BACKUP_ENABLED=false it skips, unless it is asked for ``by_hand``. A copy that could not be
    sent, exported or pruned is good all the same: the run then ends as failed, named "Degraded".
    """
    safe = open_safekeeping()
    at = safe.clock.now()
    await name_run("backup", None, at)
    if not (safe.enabled or by_hand):
        return Completed(name="Skipped", message="BACKUP_ENABLED=false")
    late = skip_if_late("backup", None, at)
    if late is not None:
        return late
    try:
        record = await back_up(safe, at)
    except Exception as error:
        events.emit([events.of_failed_backup(error, at)])
        raise
    export_problem = await export(safe, at)
    sent = await upload(safe, at)
    pruned = await prune(safe, at)
    async with sending():
        check = await check_backups(safe, at)
    parts = [f"{record.path}: {record.rows} rows, {record.bytes:,} bytes, verified"]
    if sent.uploads and not sent.problem:
        parts.append(f"{len(sent.uploads)} in {safe.vault_place}, {sent.bytes_sent:,} bytes sent")
    if pruned.local or pruned.remote:
        parts.append(f"pruned {len(pruned.local)} here, {len(pruned.remote)} there")
    problems = [text for text in (export_problem, sent.problem, pruned.problem) if text]
    doubts = [reason.text for reason in check.reasons]
    events.emit([events.of_backup(record, dict.fromkeys(problems + doubts))])
    if problems:
        return Failed(name=DEGRADED, message="; ".join([*parts, *dict.fromkeys(problems)]))
    if check.health is not Health.HEALTHY:
        parts += doubts
        return Completed(name=DEGRADED, message="; ".join(parts))
    return Completed(message="; ".join(parts))
