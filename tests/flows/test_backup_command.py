"""``ouroboros backup``, ``restore`` and ``export``, and the flow behind the schedule."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from flows.backup import backup
from flows.backup_health import backup_health
from tests.record_factories import make_fill, make_halt, make_intent
from trading_core.adapters.duck.store import DuckStore, count_rows

KEY = "a key that lies somewhere else"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with a little in its store, and room on its disk whatever machine this is."""
    monkeypatch.setenv("OUROBOROS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOCK_DIR", str(tmp_path / "locks"))
    monkeypatch.setenv("BACKUP_ENABLED", "true")
    monkeypatch.setattr(
        "trading_core.adapters.local_archive.LocalArchive.free_bytes", lambda self: 10**12
    )
    with DuckStore(tmp_path / "home" / "trades.db").write() as tx:
        tx.append([make_intent(), make_fill(), make_halt(halt_id="theirs")])
    return tmp_path / "home"


def answered(outcome: tuple[int, str, str], code: int = 0) -> dict:
    assert outcome[0] == code, outcome
    return json.loads(outcome[1])


def backups_in(home: Path) -> list[Path]:
    return sorted((home / "backups").glob("*.duckdb*"))


def test_a_backup_is_made_opened_and_shown(home, run_cli):
    made = answered(run_cli("backup", "--json"))

    assert (made["state"], len(backups_in(home))) == ("Completed", 1)
    assert "verified" in made["message"]
    listed = answered(run_cli("backup", "list", "--json"))
    assert (listed["health"], listed["count"]) == ("HEALTHY", 1)
    assert "recent, daily, weekly, monthly" in " ".join(run_cli("backup", "list")[1].split())
    health = answered(run_cli("backup", "health", "--json"))
    assert (health["health"], health["restored_rows"]) == ("HEALTHY", count_rows(*backups_in(home)))
    assert answered(run_cli("status", "--json"))["backups"]["health"] == "HEALTHY"
    assert "backups HEALTHY" in run_cli("status")[1]


def test_ill_backups_have_an_exit_code_of_their_own(home, run_cli):
    code, text, _ = run_cli("backup", "health")

    assert code == 1
    assert "UNHEALTHY" in text and "there is no backup" in text


async def test_what_is_switched_off_is_skipped_unless_asked_for(home, monkeypatch):
    monkeypatch.setenv("BACKUP_ENABLED", "false")

    skipped = await backup.fn()
    assert (skipped.name, skipped.message) == ("Skipped", "BACKUP_ENABLED=false")
    assert (await backup_health.fn()).name == "Skipped"
    assert backups_in(home) == []
    assert (await backup.fn(by_hand=True)).is_completed()
    assert len(backups_in(home)) == 1


async def test_a_bucket_out_of_reach_degrades_the_run_and_leaves_the_copy(home, monkeypatch):
    monkeypatch.setenv("S3_BUCKET_NAME", "bucket")
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("S3_ACCESS_KEY", "key")
    monkeypatch.setenv("S3_SECRET_KEY", "a-secret-nobody-may-read")

    state = await backup.fn()

    assert (state.name, state.is_failed()) == ("Degraded", True)
    assert "connection failed" in state.message and "verified" in state.message
    assert "nobody-may-read" not in state.message
    [copy] = backups_in(home)
    assert count_rows(copy) > 3
    health = await backup_health.fn()
    assert (health.name, health.is_completed()) == ("Degraded", True)


async def test_an_export_follows_a_backup_where_it_is_wanted(home, monkeypatch):
    monkeypatch.setenv("BACKUP_EXPORT", "csv")

    assert (await backup.fn()).is_completed()

    [export] = (home / "backups" / "exports").iterdir()
    assert export.name.endswith("-full") and (export / "fills.csv").exists()


def test_a_restore_brings_back_what_was_there_and_stands_still(home, run_cli):
    answered(run_cli("backup", "--json"))
    with DuckStore(home / "trades.db").write() as tx:
        tx.append([make_fill(fill_id="after the backup")])

    dry = answered(run_cli("restore", "--dry-run", "--json"))
    assert (dry["dry_run"], dry["safety_copy"]) == (True, "")
    done = answered(run_cli("restore", "--yes", "--json"), code=1)

    # Without a broker nothing can be compared, so it is not over.
    assert (done["agreed"], done["next"]) == (False, "ouroboros restore --reconcile")
    assert count_rows(Path(done["safety_copy"])) == done["rows_before"]
    with DuckStore(home / "trades.db").read() as reader:
        assert [fill.fill_id for fill in reader.fills()] == [make_fill().fill_id]
        assert {"KR", "US", "ALL"} <= {halt.scope for halt in reader.open_halts()}
    code, _, error = run_cli("resume", "ALL", "--reason", "in a hurry")
    assert code == 1 and "restore --reconcile" in error
    assert run_cli("restore", "--reconcile")[0] == 1
    assert not (home / ".safekeeping" / "restore").exists()


def test_a_restore_is_never_by_mistake(home, run_cli):
    answered(run_cli("backup", "--json"))

    code, _, error = run_cli("restore", "--json")

    assert code == 2 and "--yes" in error


def test_a_lost_home_is_restored_from_a_folder_or_a_file(home, tmp_path, run_cli):
    answered(run_cli("backup", "--json"))
    elsewhere = tmp_path / "elsewhere"
    (home / "backups").rename(elsewhere)
    (home / "trades.db").unlink()
    assert run_cli("restore", "--yes")[0] == 1

    [name] = [
        i["backup_id"]
        for i in answered(run_cli("restore", "--list", "--from", str(elsewhere), "--json"))[
            "backups"
        ]
    ]
    done = answered(
        run_cli("restore", "--yes", "--from", str(elsewhere / f"{name}.duckdb"), "--json"), code=1
    )

    assert (done["rows_before"], done["safety_copy"]) == (None, "")
    with DuckStore(home / "trades.db").read() as reader:
        assert reader.fills() == [make_fill()]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--at", "2001-01-01"), 1, "no backup from 2001-01-01 00:00 UTC or before"),
        (("--at", "yesterday"), 2, "--at yesterday: not a time"),
        (("--from", "s3://"), 2, "S3_BUCKET_NAME is not set"),
    ],
)
def test_what_cannot_be_restored_is_one_line(home, run_cli, options, code, words):
    answered(run_cli("backup", "--json"))

    found, _, error = run_cli("restore", "--dry-run", *options)

    assert (found, error.count("\n")) == (code, 1)
    assert words in error


def test_an_encrypted_backup_needs_its_key(home, run_cli, monkeypatch):
    monkeypatch.setenv("BACKUP_ENCRYPTION_KEY", KEY)
    answered(run_cli("backup", "--json"))
    [copy] = backups_in(home)
    assert copy.suffix == ".enc" and make_intent().intent_id.encode() not in copy.read_bytes()
    assert run_cli("restore", "--dry-run")[0] == 0

    monkeypatch.setenv("BACKUP_ENCRYPTION_KEY", "another key, which is wrong")
    assert "another BACKUP_ENCRYPTION_KEY" in run_cli("restore", "--dry-run")[2]
    monkeypatch.delenv("BACKUP_ENCRYPTION_KEY")
    assert "set the BACKUP_ENCRYPTION_KEY" in run_cli("restore", "--dry-run")[2]


def test_a_key_that_is_too_short_is_refused_and_not_shown(home, run_cli, monkeypatch):
    monkeypatch.setenv("BACKUP_ENCRYPTION_KEY", "tooshort")

    code, _, error = run_cli("backup", "health")

    assert code == 2 and "at least 16 characters" in error and "tooshort" not in error


def test_tables_are_exported_whole_or_since_a_time(home, tmp_path, run_cli):
    out = tmp_path / "out"
    full = answered(run_cli("export", "--to", str(out), "--format", "json", "--json"))
    late = answered(
        run_cli("export", "--to", str(out), "--format", "json", "--since", "2999-01-01", "--json")
    )

    assert (full["kind"], late["kind"]) == ("full", "since")
    assert datetime.fromisoformat(full["at"]).tzinfo is not None
    assert full["rows"] > late["rows"]
    assert run_cli("export", "--to", str(out), "--format", "xml")[0] == 2
    assert run_cli("export", "--to", str(out), "--since", "never")[0] == 2
