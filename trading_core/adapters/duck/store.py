"""``DuckStore``: the only door to the state, a DuckDB file that many short-lived processes share.

DuckDB lets one process open a file for writing, and then nobody else even for reading. So nobody
keeps it open: each ``with`` block takes the lock, attaches the file, does its work in one
transaction, detaches it. Others wait meanwhile, so a block must hold no network call, no model
call and no ``await``.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Literal
from uuid import uuid4

import duckdb
from duckdb import DuckDBPyConnection

from trading_core.adapters.duck.as_known import look_back
from trading_core.adapters.duck.door import Deadline, Door
from trading_core.adapters.duck.engine import CONFIG, attached
from trading_core.adapters.duck.migrations import check_version, migrate, schema_version
from trading_core.adapters.duck.reader import DuckReader
from trading_core.adapters.duck.writer import DuckWriter
from trading_core.errors import StoreBusy, StoreError

# What a person can do about it, by what DuckDB says.
_ADVICE = (
    ("is a directory", "name a file, not a folder"),
    ("permission denied|read-only file|not permitted", "check who may read and write it"),
    ("no space left|too large|could not write|disk quota", "free some disk space; no half write"),
    ("version number|storage version", "it was written by another DuckDB; update the program"),
    (
        "not a valid duckdb|corrupt|checksum|enough bytes|serializ|deserializ|extension",
        "it is damaged or another program's file: restore a backup, or move it away",
    ),
)
_LOCKED_BY = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")


class DuckStore:
    """The ``Store`` port over one file, or over ``":memory:"`` for the life of the object.

    Args:
        path: The database file; it and its folder are made when missing.
        timeout_seconds: How long to wait for other processes before ``StoreBusy``.

    Every use raises ``StoreBusy``, ``SchemaTooNew`` or ``StoreError`` with one line that says what
    is wrong, where, and what to do; nothing is half written. A ``with`` block inside another one
    of the same thread raises ``NestedUse`` at once.
    """

    def __init__(self, path: Path | Literal[":memory:"], *, timeout_seconds: float = 10.0) -> None:
        self._path = None if path == ":memory:" else Path(path)
        self._door = Door(self._path, timeout_seconds)
        self._memory: DuckDBPyConnection | None = None
        self._written = 0
        if self._path is None:
            self._memory = duckdb.connect(":memory:", config=CONFIG)
            migrate(self._memory)

    @contextmanager
    def read(self, *, as_of: datetime | None = None) -> Iterator[DuckReader]:
        """A consistent view; nobody writes while it is open.

        With ``as_of`` (aware) every query answers as it would have answered then.
        """
        if self._path is not None and not self._path.exists():
            self._upgrade()
        with self._reading(as_of) as reader:
            if reader is not None:
                yield reader
                return
        self._upgrade()
        with self._reading(as_of) as reader:
            if reader is None:
                raise StoreError(f"{self._name} went back to an older schema while it was opened")
            yield reader

    @contextmanager
    def write(self) -> Iterator[DuckWriter]:
        """One transaction: committed at the end of the block.

        Anything that leaves the block as an exception, ``SystemExit`` too, rolls all of it back;
        so does an ``append`` that raised, even when the block swallowed the error.
        """
        self._make_folder()
        with (
            self._door.hold(shared=False) as deadline,
            self._connection(deadline, read_only=False) as connection,
            self._explained(),
        ):
            with self._located():
                migrate(connection)
            with _transaction(connection):
                writer = DuckWriter(connection)
                yield writer
                if writer.failure is not None:
                    raise writer.failure
            self._written += 1

    def fingerprint(self) -> str:
        """The times and sizes of the file and of what was written ahead of it, if anything; for
        memory the number of its transactions."""
        if self._path is None:
            return str(self._written)
        return " ".join(map(_stamp, (self._path, self._path.with_name(f"{self._path.name}.wal"))))

    def snapshot(self, target: Path) -> int:
        """Write a consistent copy to ``target``; returns its rows, all tables together.

        The file is copied under the exclusive lock after a checkpoint, then opened and counted.

        Raises:
            StoreError: ``target`` exists, or cannot be written; then nothing is left behind.
        """
        if target.exists():
            raise StoreError(f"{target} exists already; a snapshot never overwrites a file")
        if self._path is not None and not self._path.exists():
            self._upgrade()
        partial = target.with_name(f".{target.name}.{uuid4().hex}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._door.hold(shared=False) as deadline:
                with self._connection(deadline, read_only=False) as connection:
                    self._checkpoint(connection, partial)
                if self._path is not None:
                    shutil.copyfile(self._path, partial)
            rows = _count_and_flush(partial)
            partial.replace(target)
            _flush(target.parent)
        except (OSError, duckdb.Error) as error:
            raise StoreError(
                f"cannot write the snapshot {target} ({_first_line(error)});"
                " check the folder and the free space"
            ) from error
        finally:
            for leftover in (partial, partial.with_name(partial.name + ".wal")):
                with suppress(OSError):
                    leftover.unlink()
        return rows

    @property
    def _name(self) -> str:
        return str(self._path or "the store in memory")

    def _checkpoint(self, connection: DuckDBPyConnection, partial: Path) -> None:
        """Bring a file into one piece; memory is copied into ``partial`` here and now."""
        if self._path is not None:
            connection.execute("CHECKPOINT")
            return
        place = str(partial).replace("'", "''")
        connection.execute(f"ATTACH '{place}' AS snapshot")
        connection.execute("COPY FROM DATABASE memory TO snapshot")
        connection.execute("DETACH snapshot")

    def _make_folder(self) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot make the folder {self._path.parent} ({error.strerror});"
                " check OUROBOROS_HOME and its permissions"
            ) from error

    def _upgrade(self) -> None:
        """Make the file, or take the migrations it misses."""
        with self.write():
            pass

    @contextmanager
    def _reading(self, as_of: datetime | None) -> Iterator[DuckReader | None]:
        """A reader, or None when the file has yet to be migrated."""
        with (
            self._door.hold(shared=True) as deadline,
            self._connection(deadline, read_only=True) as connection,
            self._explained(),
        ):
            with self._located():
                up_to_date = check_version(schema_version(connection))
                if up_to_date and as_of is not None:
                    look_back(connection, as_of)
            yield DuckReader(connection) if up_to_date else None

    @contextmanager
    def _connection(self, deadline: Deadline, *, read_only: bool) -> Iterator[DuckDBPyConnection]:
        if self._memory is not None:
            with closing(self._memory.cursor()) as connection:
                yield connection
            return
        assert self._path is not None
        with ExitStack() as stack:
            with self._explained():
                if not read_only and not self._path.exists():
                    _create(self._path)
                connection = _open(self._path, deadline, stack, read_only=read_only)
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """DuckDB's errors as one line with what, where and what to do."""
        try:
            yield
        except duckdb.Error as error:
            text = _first_line(error)
            advice = next(
                (advice for pattern, advice in _ADVICE if re.search(pattern, text, re.IGNORECASE)),
                "nothing was written",
            )
            raise StoreError(f"{self._name}: {text}; {advice}") from error

    @contextmanager
    def _located(self) -> Iterator[None]:
        """Name the file in errors about its schema."""
        try:
            yield
        except StoreError as error:
            raise type(error)(f"{self._name} cannot be used: {error}") from error


def _create(path: Path) -> None:
    """Make an empty, migrated file that appears under its name only when it is whole."""
    unborn = path.with_name(path.name + ".new")
    for leftover in (unborn, unborn.with_name(unborn.name + ".wal")):
        leftover.unlink(missing_ok=True)
    with attached(unborn, read_only=False) as connection:
        migrate(connection)
    unborn.replace(path)


def _open(
    path: Path, deadline: Deadline, stack: ExitStack, *, read_only: bool
) -> DuckDBPyConnection:
    """Attach the file; waits for a program that has it open without our lock."""
    opened: list[DuckDBPyConnection] = []
    holder = ""

    def attempt() -> bool:
        nonlocal holder
        try:
            opened.append(stack.enter_context(attached(path, read_only=read_only)))
        except duckdb.IOException as error:
            conflict = _LOCKED_BY.search(str(error))
            if conflict is None:
                raise
            holder = f"process {conflict[2]} ({conflict[1]})"
            return False
        return True

    if not deadline.poll(attempt):
        raise StoreBusy(f"{path} is kept open by {holder}; close it there and try again")
    return opened[0]


@contextmanager
def _transaction(connection: DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):
            connection.rollback()
        raise
    connection.commit()


def count_rows(path: Path) -> int:
    """Open a copy of a store read-only and count the rows of all its tables.

    Raises:
        StoreError: it does not open.
    """
    try:
        with closing(duckdb.connect(str(path), read_only=True, config=CONFIG)) as connection:
            return DuckReader(connection).total_rows()
    except duckdb.Error as error:
        raise StoreError(f"{path} is not a store that opens ({_first_line(error)})") from error


def _count_and_flush(path: Path) -> int:
    rows = count_rows(path)
    _flush(path)
    return rows


def _flush(path: Path) -> None:
    """Have the disk keep what was written, or which names a folder holds."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return "-"
    return f"{found.st_ino}:{found.st_mtime_ns}:{found.st_size}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
