"""The tables as Parquet, CSV or JSON, all rows or what is new, each file read back and compared.

An export is a folder, ``export-20260910T064000Z-full``, with one file per table and a
``manifest.json`` that is written last. It is made of a snapshot, so nobody waits for it. Bytes are
written as Base64 where a format has none.

Rows are appended, so what is new since the export before are the rows behind those it saw. Tables
whose rows change, and any table whose older rows are not as many as they were, are written whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
from duckdb import DuckDBPyConnection

from trading_core.adapters.duck.as_known import TIMELESS, WRITTEN
from trading_core.adapters.duck.codecs import to_micros
from trading_core.adapters.duck.engine import CONFIG
from trading_core.adapters.duck.migrations import schema_version
from trading_core.errors import BackupError
from trading_core.ports import Store
from trading_core.ports.safekeeping import Progress, no_progress

FileFormat = Literal["parquet", "csv", "json"]

CHANGING = TIMELESS | {"halts", "context_entries", "leases"}
"""Tables with rows that are changed or deleted."""

VIEWS = ("trades", "decision_logs", "playbooks", "contexts")
"""What people look for under these names; in full exports besides the tables."""

_WRITE = {
    "parquet": "FORMAT parquet, COMPRESSION zstd",
    "csv": "FORMAT csv, HEADER, NULLSTR '\\N'",
    "json": "FORMAT json",
}


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """One file. ``seen`` counts the rows the table had, ``kind`` says which of them are in it."""

    name: str
    file: str
    kind: Literal["full", "new", "since"]
    rows: int
    seen: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Export:
    """One export; ``previous`` is the export that an incremental one goes on from."""

    export_id: str
    at: datetime
    folder: str
    file_format: str
    kind: Literal["full", "incremental", "since"]
    schema_version: int
    tables: tuple[ExportedTable, ...]
    previous: str = ""

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)


class DuckExporter:
    """Writes exports into a folder.

    Args:
        store: What is exported.
        scratch: A folder for the snapshot.
        progress: Told after every table.
    """

    def __init__(self, store: Store, scratch: Path, progress: Progress = no_progress) -> None:
        self._store = store
        self._scratch = scratch
        self._progress = progress

    def export(
        self,
        target: Path,
        file_format: FileFormat,
        *,
        at: datetime,
        since: datetime | Literal["last"] | None = None,
    ) -> Export:
        """Write one export below ``target`` and read it back.

        Args:
            since: Only rows written at or after that moment (aware); ``"last"``: only what the
                newest export of this format there did not see, everything when there is none.

        Raises:
            BackupError: a file could not be written, or does not hold what the table does.
            StoreError: the snapshot could not be made.
        """
        before = _newest(target, file_format) if since == "last" else None
        kind = _kind_of(since, before)
        name = f"export-{at:%Y%m%dT%H%M%SZ}-{kind}"
        folder, partial = target / name, target / f".{name}"
        snapshot = self._scratch / f"{name}.duckdb"
        try:
            if folder.exists():
                raise BackupError(f"{folder} exists already; an export overwrites nothing")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            self._store.snapshot(snapshot)
            with closing(_opened(snapshot)) as connection:
                tables = self._tables(connection, partial, file_format, kind, since, before)
                made = Export(
                    export_id=name,
                    at=at,
                    folder=str(folder),
                    file_format=file_format,
                    kind=kind,
                    schema_version=schema_version(connection),
                    tables=tables,
                    previous=str(before["export_id"]) if before else "",
                )
            text = json.dumps({"format": 1, **asdict(made)}, default=str, indent=1)
            (partial / "manifest.json").write_text(text + "\n")
            partial.rename(folder)
        except (OSError, duckdb.Error) as error:
            raise BackupError(f"cannot export to {target}: {str(error).splitlines()[0]}") from error
        finally:
            snapshot.unlink(missing_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
        return made

    def _tables(
        self,
        connection: DuckDBPyConnection,
        folder: Path,
        file_format: FileFormat,
        kind: str,
        since: datetime | Literal["last"] | None,
        before: Mapping[str, Any] | None,
    ) -> tuple[ExportedTable, ...]:
        names = _names(connection)
        views = VIEWS if kind == "full" else ()
        seen = {item["name"]: int(item["seen"]) for item in before["tables"]} if before else {}
        made = []
        for number, name in enumerate((*names, *views), start=1):
            part, where = "full", ""
            if isinstance(since, datetime) and name in WRITTEN:
                part, where = (
                    "since",
                    f"WHERE {WRITTEN[name]} >= make_timestamptz({to_micros(since)})",
                )
            elif _is_appended(connection, name, seen.get(name)):
                part, where = "new", f"WHERE rowid >= {seen[name]}"
            made.append(_write(connection, folder, name, file_format, part, where))
            self._progress("export", number, len(names) + len(views))
        return tuple(made)


def _kind_of(
    since: datetime | Literal["last"] | None, before: Mapping[str, Any] | None
) -> Literal["full", "incremental", "since"]:
    if isinstance(since, datetime):
        return "since"
    return "incremental" if before else "full"


def _opened(snapshot: Path) -> DuckDBPyConnection:
    return duckdb.connect(str(snapshot), config=CONFIG)


def _names(connection: DuckDBPyConnection) -> list[str]:
    found = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary"
        " AND database_name = current_database() ORDER BY table_name"
    )
    return [str(name) for (name,) in found.fetchall()]


def _is_appended(connection: DuckDBPyConnection, name: str, seen: int | None) -> bool:
    """Whether the rows that were seen are there still, so that the new ones are those behind."""
    if seen is None or name in CHANGING:
        return False
    row = connection.execute(f'SELECT count(*) FROM "{name}" WHERE rowid < {seen}').fetchone()
    return row is not None and row[0] == seen


def _write(
    connection: DuckDBPyConnection,
    folder: Path,
    name: str,
    file_format: FileFormat,
    part: Any,
    where: str,
) -> ExportedTable:
    file = folder / f"{name}.{file_format}"
    columns = connection.execute(f'DESCRIBE SELECT * FROM "{name}"').fetchall()
    types = {str(column): str(kind) for column, kind, *_ in columns}
    binary = [column for column, kind in types.items() if kind == "BLOB"]
    what = "*"
    if binary and file_format != "parquet":
        # Neither format has bytes of its own.
        coded = ", ".join(f'to_base64("{column}") AS "{column}"' for column in binary)
        what, types = f"* REPLACE ({coded})", types | dict.fromkeys(binary, "VARCHAR")
    chosen = f'SELECT {what} FROM "{name}" {where}'
    connection.execute(f"COPY ({chosen}) TO {_text(file)} ({_WRITE[file_format]})")
    wrote = _marks(connection, f"({chosen})", types)
    found = _marks(connection, _reading(file, file_format, types), types)
    if wrote != found:
        raise BackupError(f"{file.name}: {found[0]} rows were read back of {wrote[0]}, or others")
    row = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()
    with file.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    seen = int(row[0]) if row else 0
    size = file.stat().st_size
    return ExportedTable(name, file.name, part, wrote[0], seen, size, digest)


def _marks(
    connection: DuckDBPyConnection, source: str, types: Mapping[str, str]
) -> tuple[int, int]:
    """Count of the rows and a sum over all of them that knows no order."""
    values = ", ".join(
        f"""json("{name}")::VARCHAR""" if kind == "JSON" else f'"{name}"::VARCHAR'
        for name, kind in types.items()
    )
    row = connection.execute(
        f"SELECT count(*), coalesce(sum(hash({values})::HUGEINT), 0) FROM {source}"
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _reading(file: Path, file_format: FileFormat, types: Mapping[str, str]) -> str:
    if file_format == "parquet":
        return f"read_parquet({_text(file)})"
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
    if file_format == "csv":
        return (
            f"read_csv({_text(file)}, header = true, columns = {{{columns}}}, nullstr = '\\N',"
            " allow_quoted_nulls = false, quote = '\"', escape = '\"', delim = ',',"
            " auto_detect = false, max_line_size = 67108864)"
        )
    return (
        f"read_json({_text(file)}, format = 'newline_delimited', columns = {{{columns}}},"
        " maximum_object_size = 67108864)"
    )


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _newest(target: Path, file_format: str) -> dict[str, Any] | None:
    """The manifest of the newest export of a format; those of a time span do not count."""
    found: Sequence[Path] = sorted(target.glob("export-*/manifest.json"), reverse=True)
    for path in found:
        try:
            manifest: dict[str, Any] = json.loads(path.read_text())
            fits = manifest["file_format"] == file_format and manifest["kind"] != "since"
        except (OSError, ValueError, KeyError) as error:
            raise BackupError(f"{path} cannot be read; make a full export") from error
        if fits:
            return manifest
    return None
