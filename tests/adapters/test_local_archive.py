"""Backups that are opened again before anybody trusts them."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from tests.record_factories import make_fill, make_halt, make_intent
from trading_core.adapters.duck.store import DuckStore, count_rows
from trading_core.adapters.local_archive import LocalArchive
from trading_core.errors import StoreError
from trading_core.steps.backup import back_up

AT = datetime(2025, 9, 10, 6, 40, tzinfo=UTC)
NAME = "trades-20250910T064000Z"


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
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_copy_is_described_as_it_lies_on_disk(store, archive, folder):
    record = archive.keep(store, at=AT)
    target = folder / f"{NAME}.duckdb"
    assert record.path == str(target)
    assert (record.backup_id, record.at, record.verified) == (NAME, AT, True)
    assert record.bytes == target.stat().st_size
    assert record.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert record.rows == count_rows(target) > 3
    assert left(folder) == [f"{NAME}.duckdb", f"{NAME}.sha256"]


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
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StoreError, match="exists"):
        archive.keep(store, at=AT + timedelta(milliseconds=5))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


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
