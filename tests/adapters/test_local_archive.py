"""Backups that are opened again before anybody trusts them."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from filelock import FileLock

from tests.record_factories import make_fill, make_halt, make_intent
from trading_core.adapters.duck.store import DuckStore, count_rows
from trading_core.adapters.local_archive import LocalArchive
from trading_core.errors import BackupError, StoreError
from trading_core.model.safekeeping import BackupManifest
from trading_core.steps.backup import back_up

AT = datetime(2025, 9, 10, 6, 40, tzinfo=UTC)
NAME = "trades-20250910T064000Z"
PHRASE = "correct horse battery staple"


@pytest.fixture
def store(tmp_path):
    store = DuckStore(tmp_path / "state.duckdb")
    with store.write() as tx:
        tx.append([make_halt(), make_intent(), make_fill()])
    return store


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "backups" / "deep"


@pytest.fixture
def archive(folder):
    return LocalArchive(folder, count_rows)


def left(folder: Path) -> list[str]:
    """All but the lock, which begins with a dot."""
    if not folder.exists():
        return []
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_copy_is_described_as_it_lies_on_disk(store, archive, folder):
    record = archive.keep(store, at=AT)
    target = folder / f"{NAME}.duckdb"
    assert record.path == str(target)
    assert (record.backup_id, record.at, record.verified) == (NAME, AT, True)
    assert record.bytes == target.stat().st_size
    assert record.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert record.rows == count_rows(target) > 3
    assert left(folder) == [f"{NAME}.duckdb", f"{NAME}.json", f"{NAME}.sha256"]


def test_the_checksum_file_is_one_that_sha256sum_reads(store, archive, folder):
    archive.keep(store, at=AT)
    check = ["sha256sum", "--check", "--status", f"{NAME}.sha256"]
    assert subprocess.run(check, cwd=folder, check=False).returncode == 0
    with (folder / f"{NAME}.duckdb").open("ab") as file:
        file.write(b"x")
    assert subprocess.run(check, cwd=folder, check=False).returncode == 1


def test_the_copy_is_a_store_with_everything_in_it(store, archive, folder):
    archive.keep(store, at=AT)
    with DuckStore(folder / f"{NAME}.duckdb").read() as reader:
        assert reader.fills() == [make_fill()]
        assert reader.open_halts() == [make_halt()]


def test_a_copy_with_other_rows_than_the_store_is_thrown_away(store, folder):
    archive = LocalArchive(folder, lambda path: count_rows(path) - 1)
    with pytest.raises(StoreError, match="the store had"):
        archive.keep(store, at=AT)
    assert left(folder) == []


def test_a_copy_that_does_not_open_is_thrown_away(store, folder):
    def damaged(path: Path) -> int:
        path.write_bytes(b"not a database")
        return count_rows(path)

    with pytest.raises(StoreError):
        LocalArchive(folder, damaged).keep(store, at=AT)
    assert left(folder) == []


def test_a_copy_whose_checksum_cannot_be_written_is_thrown_away(store, archive, folder):
    (folder / f"{NAME}.sha256").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot write a backup"):
        archive.keep(store, at=AT)
    assert left(folder) == [f"{NAME}.sha256"]


def test_a_backup_that_is_there_is_never_touched_by_a_second_one_of_that_second(
    store, archive, folder
):
    archive.keep(store, at=AT)
    before = {name: (folder / name).read_bytes() for name in left(folder)}
    with pytest.raises(StoreError, match="exists"):
        archive.keep(store, at=AT + timedelta(milliseconds=5))
    assert {name: (folder / name).read_bytes() for name in left(folder)} == before


def test_a_folder_that_cannot_be_made_is_one_line_that_names_it(store, tmp_path):
    (tmp_path / "backups").write_text("a file")
    with pytest.raises(StoreError, match=str(tmp_path / "backups")):
        LocalArchive(tmp_path / "backups", count_rows).keep(store, at=AT)


def test_the_step_writes_down_the_backup_it_made_and_only_that(store, archive, folder):
    record = back_up(store, archive, at=AT)
    with store.read() as reader:
        assert reader.backups() == [record]
    with pytest.raises(StoreError):
        back_up(store, archive, at=AT)
    with store.read() as reader:
        assert reader.backups() == [record]
    # The backup itself was made before it could be written down in it.
    with duckdb.connect(record.path, read_only=True) as copy:
        assert copy.execute("SELECT count(*) FROM backups").fetchone() == (0,)


def test_a_store_in_memory_can_be_backed_up_too(archive):
    store = DuckStore(":memory:")
    with store.write() as tx:
        tx.append([make_halt()])
    assert back_up(store, archive, at=AT).verified


# --- Reading them again ---------------------------------------------------------------------------


def kept(archive: LocalArchive, store: DuckStore, hours: int = 0) -> BackupManifest:
    record = archive.keep(store, at=AT + timedelta(hours=hours))
    return next(item for item in archive.manifests() if item.backup_id == record.backup_id)


def test_backups_are_listed_newest_first_as_they_were_recorded(store, archive):
    first, second = kept(archive, store), kept(archive, store, hours=1)

    assert archive.manifests() == [second, first]
    assert (first.backup_id, first.at, first.encrypted) == (NAME, AT, False)


def test_a_copy_without_its_manifest_or_of_another_size_is_no_backup(store, archive, folder):
    first, second = kept(archive, store), kept(archive, store, hours=1)
    (folder / first.sidecar).unlink()
    with (folder / second.file).open("ab") as file:
        file.write(b"x")
    (folder / "trades-20250910T084000Z.json").write_text("{")

    assert archive.manifests() == []


def test_what_a_killed_process_left_goes_with_the_next_backup(store, archive, folder):
    kept(archive, store)
    (folder / f".{NAME}.duckdb.0123").write_bytes(b"half")
    (folder / ".scratch").mkdir()
    (folder / ".scratch" / "plain.duckdb").write_bytes(b"half")

    kept(archive, store, hours=1)

    assert not [name for name in left(folder) if name.startswith(".")]


def test_a_backup_unpacks_to_the_store_it_was_made_of(store, archive, tmp_path):
    archive.unpack(kept(archive, store), tmp_path / "back.db")

    with DuckStore(tmp_path / "back.db").read() as reader:
        assert reader.fills() == [make_fill()]


def test_a_backup_that_was_changed_is_not_unpacked(store, archive, folder, tmp_path):
    backup = kept(archive, store)
    content = bytearray((folder / backup.file).read_bytes())
    content[5000] ^= 1
    (folder / backup.file).write_bytes(content)

    with pytest.raises(BackupError, match="is damaged: its sha256 is"):
        archive.unpack(backup, tmp_path / "back.db")
    assert not (tmp_path / "back.db").exists()


def test_a_backup_with_other_rows_than_it_says_is_not_unpacked(store, archive, tmp_path):
    wrong = replace(kept(archive, store), rows=3)

    with pytest.raises(BackupError, match="it was made with 3"):
        archive.unpack(wrong, tmp_path / "back.db")
    assert not (tmp_path / "back.db").exists()


def test_a_restore_test_leaves_nothing_behind(store, archive, folder):
    backup = kept(archive, store)

    assert archive.test(backup) == backup.rows
    assert left(folder) == [backup.file, backup.sidecar, f"{NAME}.sha256"]


def test_removing_one_leaves_the_others(store, archive, folder):
    first, second = kept(archive, store), kept(archive, store, hours=1)

    archive.remove(first)

    assert archive.manifests() == [second]
    assert not [name for name in left(folder) if name.startswith(NAME)]


def test_two_processes_do_not_work_with_the_backups_at_once(store, archive, folder, monkeypatch):
    monkeypatch.setattr("trading_core.adapters.local_archive._WAIT_SECONDS", 0.05)
    folder.mkdir(parents=True)
    with (
        FileLock(folder / ".lock"),
        pytest.raises(StoreError, match="another process works with the backups"),
    ):
        archive.keep(store, at=AT)


def test_with_a_phrase_nothing_readable_is_left_anywhere(store, folder, tmp_path):
    archive = LocalArchive(folder, count_rows, phrase=PHRASE, scratch=tmp_path / "scratch")
    record = archive.keep(store, at=AT)

    assert left(folder) == [f"{NAME}.duckdb.enc", f"{NAME}.json", f"{NAME}.sha256"]
    assert record.note == "encrypted"
    assert not (tmp_path / "scratch").exists()
    assert make_intent().intent_id.encode() not in Path(record.path).read_bytes()
    archive.unpack(archive.manifests()[0], tmp_path / "back.db")
    assert count_rows(tmp_path / "back.db") == record.rows


@pytest.mark.parametrize(
    ("phrase", "words"),
    [(None, "is encrypted; set the"), ("another phrase altogether", "another BACKUP_ENCRYPTION")],
)
def test_an_encrypted_backup_needs_its_phrase(store, folder, tmp_path, phrase, words):
    LocalArchive(folder, count_rows, phrase=PHRASE).keep(store, at=AT)
    archive = LocalArchive(folder, count_rows, phrase=phrase)

    with pytest.raises(BackupError, match=words):
        archive.unpack(archive.manifests()[0], tmp_path / "back.db")


def test_a_backup_from_before_a_phrase_was_set_is_read_all_the_same(store, archive, folder):
    backup = kept(archive, store)

    assert LocalArchive(folder, count_rows, phrase=PHRASE).test(backup) == backup.rows


def test_long_work_says_how_far_it_is(store, folder):
    told: list[tuple[str, int, int]] = []
    archive = LocalArchive(
        folder, count_rows, phrase=PHRASE, progress=lambda *news: told.append(news)
    )
    archive.keep(store, at=AT)

    assert [what for what, done, total in told if done == total] == [
        "encrypt",
        "decrypt",
        "checksum",
    ]
