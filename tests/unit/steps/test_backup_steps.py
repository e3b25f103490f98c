"""Backing up, sending, pruning and looking at it, on real folders and a bucket in memory."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from tests.record_factories import AT, make_fill, make_intent
from tests.trading_fakes import FakeNotifier
from trading_core.adapters.duck.store import DuckStore, count_rows
from trading_core.adapters.local_archive import LocalArchive
from trading_core.errors import BackupError
from trading_core.model.safekeeping import BackupManifest, Health, UploadOutcome
from trading_core.ports.safekeeping import Kept
from trading_core.steps.backup import back_up, prune, upload
from trading_core.steps.backup_health import check, examine, overview

DAY = timedelta(days=1)
NO_ROOM_QUESTION = {"enabled": True, "vault": ""}


def content_of(path: Path | str) -> bytes:
    return Path(path).read_bytes()


@dataclass
class MemoryVault:
    """A bucket; ``problem`` is what every request answers while it is set."""

    place: str = "s3://bucket/ouroboros"
    kept: dict[str, bytes] = field(default_factory=dict)
    problem: str = ""

    def _ask(self) -> None:
        if self.problem:
            raise BackupError(self.problem)

    async def manifests(self) -> list[str]:
        self._ask()
        return sorted(self.kept, reverse=True)

    async def keep(self, backup: BackupManifest, file: Path) -> Kept:
        self._ask()
        self.kept[backup.backup_id] = content_of(file)
        return Kept(backup.bytes, was_present=False)

    async def remove(self, backup_id: str) -> None:
        self._ask()
        del self.kept[backup_id]


@dataclass
class Roomy:
    """An archive on a disk with room, whatever the machine of the test has."""

    inner: LocalArchive
    free: int = 100 * 10**9

    def free_bytes(self) -> int:
        return self.free

    def __getattr__(self, name):
        return getattr(self.inner, name)


@pytest.fixture
def store(tmp_path):
    store = DuckStore(tmp_path / "trades.db")
    with store.write() as tx:
        tx.append([make_intent(), make_fill()])
    return store


@pytest.fixture
def archive(tmp_path):
    return Roomy(LocalArchive(tmp_path / "backups", count_rows))


@pytest.fixture
def vault():
    return MemoryVault()


async def test_everything_that_is_not_there_yet_is_sent_newest_first(store, archive, vault):
    names = [back_up(store, archive, at=AT + n * DAY).backup_id for n in range(3)]
    vault.kept[names[1]] = b"sent before"

    sent = await upload(store, archive, vault, at=AT + 2 * DAY)

    assert [item.backup_id for item in sent.uploads] == [names[2], names[0]]
    assert (sent.problem, sorted(vault.kept)) == ("", names)
    with store.read() as reader:
        assert {u.backup_id for u in reader.backup_uploads()} == {names[0], names[2]}


async def test_a_bucket_that_refuses_is_written_down_and_leaves_the_backup_alone(
    store, archive, vault
):
    record = back_up(store, archive, at=AT)
    before = content_of(record.path)
    vault.problem = "s3://bucket: there is no such bucket"

    sent = await upload(store, archive, vault, at=AT)

    assert sent.problem == vault.problem
    with store.read() as reader:
        [row] = reader.backup_uploads()
    assert (row.backup_id, row.outcome, row.detail) == (
        record.backup_id,
        UploadOutcome.FAILED,
        vault.problem,
    )
    assert content_of(record.path) == before
    assert archive.test(archive.manifests()[0]) == record.rows


async def test_what_could_not_be_sent_goes_with_the_next_one(store, archive, vault):
    first = back_up(store, archive, at=AT)
    vault.problem = "down"
    await upload(store, archive, vault, at=AT)
    vault.problem = ""
    second = back_up(store, archive, at=AT + DAY)

    await upload(store, archive, vault, at=AT + DAY)

    assert sorted(vault.kept) == [first.backup_id, second.backup_id]


async def test_both_places_are_pruned_by_what_they_hold_themselves(store, archive, vault):
    old, older = (back_up(store, archive, at=AT - n * DAY) for n in (400, 401))
    new = back_up(store, archive, at=AT)
    vault.kept = {old.backup_id: b"", older.backup_id: b"", "something else": b""}

    pruned = await prune(archive, vault, at=AT)

    assert pruned.local == (older.backup_id,)
    assert [m.backup_id for m in archive.manifests()] == [new.backup_id, old.backup_id]
    # There the newest is an old one, and stays.
    assert pruned.remote == (older.backup_id,)
    assert set(vault.kept) == {old.backup_id, "something else"}


async def test_a_prune_that_fails_says_what_it_did_before(store, archive, vault):
    gone = back_up(store, archive, at=AT - 401 * DAY)
    back_up(store, archive, at=AT - 400 * DAY)
    vault.problem = "down"

    pruned = await prune(archive, vault, at=AT)

    assert (pruned.local, pruned.problem) == ((gone.backup_id,), "down")


def test_the_newest_backup_is_opened_and_a_damaged_one_is_unhealthy(store, archive):
    record = back_up(store, archive, at=AT)
    well = examine(store, archive, **NO_ROOM_QUESTION, at=AT)
    assert (well.health, well.restored_rows) == (Health.HEALTHY, record.rows)

    content = bytearray(Path(record.path).read_bytes())
    content[9000] ^= 1
    Path(record.path).write_bytes(content)

    found = examine(store, archive, **NO_ROOM_QUESTION, at=AT)
    assert (found.health, found.restored_rows) == (Health.UNHEALTHY, None)
    assert [r.code for r in found.reasons] == ["restore_test"]


async def test_a_change_is_told_once_and_so_is_its_end(store, archive):
    notifier = FakeNotifier()

    async def look(at):
        await check(store, archive, notifier, **NO_ROOM_QUESTION, at=at)
        return [note.text for note in notifier.told]

    back_up(store, archive, at=AT)
    assert await look(AT) == []
    [late] = await look(AT + 26 * DAY / 24)
    assert late.startswith("backups are DEGRADED: the newest backup is 26 h old")
    assert len(await look(AT + 27 * DAY / 24)) == 1
    archive.free = 10**9
    assert len(await look(AT + 28 * DAY / 24)) == 2
    archive.free = 100 * 10**9
    back_up(store, archive, at=AT + 29 * DAY / 24)
    assert (await look(AT + 29 * DAY / 24))[2] == "backups are HEALTHY again"
    assert [note.level for note in notifier.told] == ["warning", "critical", "info"]


async def test_a_store_that_does_not_open_is_told_all_the_same(store, archive, tmp_path):
    back_up(store, archive, at=AT)
    (tmp_path / "trades.db").write_bytes(b"damaged beyond recognition" * 1000)
    notifier = FakeNotifier()

    found = await check(store, archive, notifier, **NO_ROOM_QUESTION, at=AT)

    assert found.health is Health.UNHEALTHY
    assert "restore a backup" in notifier.told[0].text


async def test_an_overview_opens_nothing_and_remembers_what_the_last_test_said(
    store, archive, monkeypatch
):
    record = back_up(store, archive, at=AT)
    await check(store, archive, FakeNotifier(), **NO_ROOM_QUESTION, at=AT)
    monkeypatch.setattr(LocalArchive, "unpack", lambda *_: pytest.fail("opened"))

    seen = overview(store, archive, **NO_ROOM_QUESTION, at=AT + DAY)

    assert (seen["health"], seen["count"], seen["age_hours"]) == ("HEALTHY", 1, 24.0)
    assert seen["restore_test"]["rows"] == record.rows
    assert seen["backups"][0]["kept_as"] == ["recent", "daily", "weekly", "monthly"]
    later = overview(store, archive, **NO_ROOM_QUESTION, at=AT + 2 * DAY)
    assert [reason["code"] for reason in later["reasons"]] == ["age"]


def test_no_folder_at_all_is_no_backup(store, archive, tmp_path):
    shutil.rmtree(tmp_path / "backups", ignore_errors=True)

    seen = overview(store, archive, **NO_ROOM_QUESTION, at=AT)

    assert (seen["health"], [r["code"] for r in seen["reasons"]]) == ("UNHEALTHY", ["none"])
