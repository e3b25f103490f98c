"""HEALTHY, DEGRADED or UNHEALTHY, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trading_core.model.safekeeping import BackupManifest, BackupUpload, Health, UploadOutcome
from trading_core.rules.backup_health import BackupFacts, age, reasons, verdict

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
VAULT = "s3://bucket/ouroboros"


def backup(hours: float = 1.0, size: int = 10_000_000) -> BackupManifest:
    at = NOW - timedelta(hours=hours)
    return BackupManifest(f"trades-{at:%Y%m%dT%H%M%SZ}", at, "f.duckdb", size, "aa", 100)


def upload(hours: float, outcome: UploadOutcome = UploadOutcome.STORED) -> BackupUpload:
    return BackupUpload("b", NOW - timedelta(hours=hours), VAULT, outcome, 5, "no such bucket")


def facts(**changes: Any) -> BackupFacts:
    well = {"enabled": True, "backups": [backup()], "free_bytes": 50 * 10**9}
    return BackupFacts(**{**well, **changes})


def test_a_fresh_backup_that_opens_on_a_disk_with_room_is_healthy():
    assert reasons(facts(), now=NOW) == ()
    assert verdict(()) is Health.HEALTHY


@pytest.mark.parametrize(
    ("changes", "health", "code"),
    [
        ({"backups": []}, Health.UNHEALTHY, "none"),
        ({"backups": [backup(25.1)]}, Health.DEGRADED, "age"),
        ({"enabled": False, "backups": []}, Health.DEGRADED, "disabled"),
        ({"folder_problem": "cannot read it"}, Health.UNHEALTHY, "folder"),
        ({"store_problem": "it is damaged"}, Health.UNHEALTHY, "store"),
        ({"test_problem": "another checksum"}, Health.UNHEALTHY, "restore_test"),
        ({"free_bytes": 9 * 10**9}, Health.DEGRADED, "disk"),
        ({"free_bytes": 10**9}, Health.UNHEALTHY, "disk"),
        (
            {"free_bytes": 14 * 10**9, "backups": [backup(size=5 * 10**9)]},
            Health.UNHEALTHY,
            "disk",
        ),
        ({"vault": VAULT}, Health.DEGRADED, "off_site"),
        ({"vault": VAULT, "uploads": [upload(26)]}, Health.DEGRADED, "off_site"),
        (
            {"vault": VAULT, "uploads": [upload(1, UploadOutcome.FAILED), upload(20)]},
            Health.DEGRADED,
            "upload",
        ),
    ],
)
def test_each_thing_that_is_wrong_is_named(changes, health, code):
    found = reasons(facts(**changes), now=NOW)

    assert [reason.code for reason in found] == [code]
    assert verdict(found) is health


def test_twenty_five_hours_to_the_minute_are_not_too_old():
    assert reasons(facts(backups=[backup(25.0)]), now=NOW) == ()


def test_an_upload_that_was_there_already_counts_as_arrived():
    present = upload(1, UploadOutcome.PRESENT)

    assert reasons(facts(vault=VAULT, uploads=[present]), now=NOW) == ()


def test_the_worst_comes_first():
    found = reasons(facts(backups=[backup(30)], test_problem="damaged"), now=NOW)

    assert [reason.code for reason in found] == ["restore_test", "age"]
    assert verdict(found) is Health.UNHEALTHY


def test_spans_are_in_hours_until_there_are_days():
    assert [age(timedelta(hours=h)) for h in (3, 47, 48, 100)] == [
        "3 h",
        "47 h",
        "2 days",
        "4 days",
    ]
