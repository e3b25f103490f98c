"""One DuckDB engine for a process, to which database files are attached for a moment.

Making an engine costs about 30 ms, attaching a file to one about 2 ms, so the engine (an empty
database in memory) is kept and files come and go. While a file is attached its lock is held, as
if it had been opened by itself.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

# Never reach for the network to fetch an extension; JSON and ICU are built in. The store's tables
# are small and its statements short, so more threads would only cost.
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "threads": 1,
}

_guard = threading.Lock()
_names = itertools.count()
_engine: tuple[int, DuckDBPyConnection] | None = None


@contextmanager
def attached(path: Path, *, read_only: bool) -> Iterator[DuckDBPyConnection]:
    """A connection whose default database is the file; made when missing.

    Raises:
        duckdb.Error: the file cannot be opened, for example because another process has it open.
    """
    name = f"store_{next(_names)}"
    place = str(path).replace("'", "''")
    connection = _cursor()
    try:
        connection.execute(f"ATTACH '{place}' AS {name}{' (READ_ONLY)' if read_only else ''}")
        try:
            connection.execute(f"USE {name}")
            yield connection
        finally:
            _detach(connection, name)
    finally:
        connection.close()


def _detach(connection: DuckDBPyConnection, name: str) -> None:
    """Let go of the file, with an engine that may be broken: then the next use makes a new one."""
    try:
        with suppress(duckdb.TransactionException):
            connection.rollback()
        connection.execute("USE memory")
        connection.execute(f"DETACH {name}")
    except duckdb.Error:
        _forget()
        raise


def _cursor() -> DuckDBPyConnection:
    global _engine
    with _guard:
        # A forked child has the parent's engine in its memory, but not the threads of it.
        if _engine is None or _engine[0] != os.getpid():
            _engine = (os.getpid(), duckdb.connect(":memory:", config=CONFIG))
        return _engine[1].cursor()


def _forget() -> None:
    global _engine
    with _guard:
        engine, _engine = _engine, None
    if engine is not None and engine[0] == os.getpid():
        with suppress(duckdb.Error):
            engine[1].close()
