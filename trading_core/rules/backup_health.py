"""How the backups are doing, from what was found out about them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trading_core.model.safekeeping import (
    BackupManifest,
    BackupUpload,
    Health,
    HealthReason,
    UploadOutcome,
)

OLDEST = timedelta(hours=25)
"""A nightly backup that is late by an hour."""

LITTLE_DISK = 10 * 10**9
NO_DISK = 2 * 10**9
COPIES_AHEAD = 3
"""Bytes free, and how many more backups must fit: a snapshot, its encrypted form, the next one."""


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """What is known.

    ``store_problem`` and ``test_problem`` are empty when the store opens and the newest backup was
    restored on trial. ``uploads`` are newest first; ``vault`` is empty where none is configured.
    ``folder_problem`` says why the folder could not be read. ``free_bytes`` is None when not known.
    """

    enabled: bool
    backups: Sequence[BackupManifest] = ()
    folder_problem: str = ""
    store_problem: str = ""
    test_problem: str = ""
    free_bytes: int | None = None
    vault: str = ""
    uploads: Sequence[BackupUpload] = ()


def reasons(facts: BackupFacts, *, now: datetime) -> tuple[HealthReason, ...]:
    """Everything that is not as it should be, worst first; empty when all is well."""
    found = [*_folder(facts, now), *_integrity(facts), *_disk(facts), *_vault(facts, now)]
    return tuple(sorted(found, key=lambda reason: -reason.health.rank))


def verdict(found: Sequence[HealthReason]) -> Health:
    """The worst of these."""
    return max((reason.health for reason in found), key=lambda h: h.rank, default=Health.HEALTHY)


def _folder(facts: BackupFacts, now: datetime) -> Iterator[HealthReason]:
    if facts.folder_problem:
        yield HealthReason("folder", Health.UNHEALTHY, facts.folder_problem)
        return
    if not facts.enabled:
        text = "backups are switched off (BACKUP_ENABLED=false); make one with: ouroboros backup"
        yield HealthReason("disabled", Health.DEGRADED, text)
    elif not facts.backups:
        text = "there is no backup; make one with: ouroboros backup"
        yield HealthReason("none", Health.UNHEALTHY, text)
    elif now - facts.backups[0].at > OLDEST:
        text = f"the newest backup is {age(now - facts.backups[0].at)} old; is the worker running?"
        yield HealthReason("age", Health.DEGRADED, text)


def _integrity(facts: BackupFacts) -> Iterator[HealthReason]:
    if facts.store_problem:
        yield HealthReason("store", Health.UNHEALTHY, facts.store_problem)
    if facts.test_problem:
        yield HealthReason("restore_test", Health.UNHEALTHY, facts.test_problem)


def _disk(facts: BackupFacts) -> Iterator[HealthReason]:
    free = facts.free_bytes
    if free is None:
        return
    needed = COPIES_AHEAD * (facts.backups[0].bytes if facts.backups else 0)
    text = f"{free / 1e9:.1f} GB free where the backups are"
    if free < max(NO_DISK, needed):
        yield HealthReason("disk", Health.UNHEALTHY, f"{text}: the next one may not fit")
    elif free < LITTLE_DISK:
        yield HealthReason("disk", Health.DEGRADED, text)


def _vault(facts: BackupFacts, now: datetime) -> Iterator[HealthReason]:
    if not facts.vault or not facts.enabled:
        return
    if facts.uploads and facts.uploads[0].outcome is UploadOutcome.FAILED:
        text = f"the last upload failed: {facts.uploads[0].detail}"
        yield HealthReason("upload", Health.DEGRADED, text)
    arrived = [item for item in facts.uploads if item.outcome is not UploadOutcome.FAILED]
    if not arrived:
        yield HealthReason("off_site", Health.DEGRADED, f"nothing is kept in {facts.vault} yet")
    elif now - arrived[0].at > OLDEST:
        since = age(now - arrived[0].at)
        text = f"the newest backup in {facts.vault} arrived {since} ago"
        yield HealthReason("off_site", Health.DEGRADED, text)


def age(span: timedelta) -> str:
    """``3 h``, or ``4 days`` from two days on."""
    hours = int(span.total_seconds() // 3600)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} h"
