"""Exports that hold what the tables hold."""

from __future__ import annotations

import csv
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.record_factories import AT, make_fill, make_halt, make_intent, one_of_each
from trading_core.adapters.duck import exporter as duck_exporter
from trading_core.adapters.duck.exporter import VIEWS, DuckExporter, Export
from trading_core.adapters.duck.store import DuckStore
from trading_core.errors import BackupError

LATER = AT + timedelta(days=1)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """One of each record, exported in every format."""
    folder = tmp_path_factory.mktemp("export")
    store = DuckStore(folder / "trades.db")
    with store.write() as tx:
        tx.append(one_of_each())
    exporter = DuckExporter(store, folder / "scratch")
    made = {
        form: exporter.export(folder / form, form, at=AT) for form in ("parquet", "csv", "json")
    }
    assert not any((folder / "scratch").iterdir())
    return made


@pytest.fixture
def store(tmp_path):
    store = DuckStore(tmp_path / "trades.db")
    with store.write() as tx:
        tx.append([make_halt(), make_intent(), make_fill()])
    return store


@pytest.fixture
def exporter(store, tmp_path):
    return DuckExporter(store, tmp_path / "scratch")


def counted(export: Export, kind: str) -> dict[str, int]:
    return {table.name: table.rows for table in export.tables if table.kind == kind and table.rows}


def test_every_table_and_the_names_people_look_for_are_there(full):
    for form, export in full.items():
        names = {table.name for table in export.tables}
        assert {"fills", "order_intents", "schema_migrations", *VIEWS} <= names
        assert {path.name for path in Path(export.folder).iterdir()} == {
            "manifest.json",
            *(f"{name}.{form}" for name in names),
        }
        assert all(table.kind == "full" for table in export.tables)


def test_the_manifest_has_the_checksum_of_every_file(full):
    for export in full.values():
        folder = Path(export.folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        for table in manifest["tables"]:
            content = (folder / table["file"]).read_bytes()
            assert (hashlib.sha256(content).hexdigest(), len(content)) == (
                table["sha256"],
                table["bytes"],
            )


def test_other_programs_read_what_was_written(full):
    fill = make_fill()
    [row] = pq.read_table(Path(full["parquet"].folder) / "fills.parquet").to_pylist()
    assert (row["fill_id"], row["price"], row["quantity"]) == (
        fill.fill_id,
        fill.price,
        fill.quantity,
    )
    with (Path(full["csv"].folder) / "fills.csv").open() as file:
        [text] = list(csv.DictReader(file))
    assert text["fill_id"] == fill.fill_id
    [line] = (Path(full["json"].folder) / "fills.json").read_text().splitlines()
    assert json.loads(line)["fill_id"] == fill.fill_id


def test_what_is_new_since_the_last_export_is_each_row_once(store, exporter, tmp_path):
    first = exporter.export(tmp_path / "out", "parquet", at=AT, since="last")
    with store.write() as tx:
        tx.append([make_fill(fill_id="late", filled_at=AT - timedelta(days=30))])
    second = exporter.export(tmp_path / "out", "parquet", at=LATER, since="last")
    third = exporter.export(tmp_path / "out", "parquet", at=LATER + timedelta(1), since="last")

    assert (first.kind, second.kind, second.previous) == ("full", "incremental", first.export_id)
    assert counted(second, "new") == {"fills": 1}
    assert counted(third, "new") == {}
    files = str(tmp_path / "out" / "*" / "fills.parquet")
    found = duckdb.sql(f"SELECT fill_id FROM read_parquet('{files}') ORDER BY 1").fetchall()
    assert found == [(make_fill().fill_id,), ("late",)]


def test_a_table_whose_rows_change_is_written_whole_every_time(store, exporter, tmp_path):
    exporter.export(tmp_path / "out", "csv", at=AT, since="last")
    with store.write() as tx:
        tx.lift_halt(make_halt().halt_id, at=AT, by="a person")
    again = exporter.export(tmp_path / "out", "csv", at=LATER, since="last")

    assert counted(again, "full")["halts"] == 1
    assert "a person" in (Path(again.folder) / "halts.csv").read_text()


def test_a_table_that_lost_rows_is_written_whole(store, exporter, tmp_path):
    with store.write() as tx:
        tx.append([make_fill(fill_id="second")])
    exporter.export(tmp_path / "out", "json", at=AT, since="last")
    with duckdb.connect(str(tmp_path / "trades.db")) as connection:
        connection.execute("DELETE FROM fills WHERE fill_id = 'second'")
    again = exporter.export(tmp_path / "out", "json", at=LATER, since="last")

    assert counted(again, "full")["fills"] == 1


def test_a_moment_selects_what_was_written_from_then_on(store, exporter, tmp_path):
    with store.write() as tx:
        tx.append([make_fill(fill_id="late", filled_at=LATER)])
    export = exporter.export(tmp_path / "out", "json", at=LATER, since=LATER)

    assert (export.kind, counted(export, "since")) == ("since", {"fills": 1})
    # It says nothing about what came before, so no export goes on from it.
    assert exporter.export(tmp_path / "out", "json", at=LATER, since="last").kind == "full"


def test_a_file_that_does_not_hold_what_the_table_does_is_no_export(
    exporter, tmp_path, monkeypatch
):
    read_all = duck_exporter._reading
    monkeypatch.setattr(duck_exporter, "_reading", lambda *given: f"{read_all(*given)} LIMIT 0")
    with pytest.raises(BackupError, match="rows were read back of"):
        exporter.export(tmp_path / "out", "csv", at=AT)

    assert list((tmp_path / "out").iterdir()) == []


def test_an_export_overwrites_nothing(exporter, tmp_path):
    exporter.export(tmp_path / "out", "csv", at=AT)
    with pytest.raises(BackupError, match="exists already"):
        exporter.export(tmp_path / "out", "csv", at=AT)


def test_a_folder_that_cannot_be_made_is_one_line(exporter, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(BackupError, match="cannot export to"):
        exporter.export(tmp_path / "out", "csv", at=AT)
