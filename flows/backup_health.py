"""Whether a restore would work, hourly: a backup that was never made cannot tell of itself."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.naming import name_run
from tasks.safekeeping import check_backups
from trading_core.model.safekeeping import Health
from trading_core.wiring import open_safekeeping, sending


@flow(name="backup-health", description="Open the newest backup, look at age, disk and uploads.")
async def backup_health() -> State:
    """HEALTHY, DEGRADED or UNHEALTHY, told to people when it changes."""
    safe = open_safekeeping()
    at = safe.clock.now()
    await name_run("backup health", None, at)
    if not safe.enabled:
        return Completed(name="Skipped", message="BACKUP_ENABLED=false")
    async with sending():
        check = await check_backups(safe, at)
    said = "; ".join(reason.text for reason in check.reasons)
    if check.health is Health.UNHEALTHY:
        return Failed(name="Unhealthy", message=said)
    if check.health is Health.DEGRADED:
        return Completed(name="Degraded", message=said)
    return Completed(message=f"{check.newest_id} opens with {check.restored_rows} rows")
