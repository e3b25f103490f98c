"""The schema as an append-only list of small steps, each recorded in ``schema_migrations``.

A step that was released is never edited or removed; a change is a new step at the end. The
missing steps are one transaction, so a file has taken all of them or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from duckdb import CatalogException, DuckDBPyConnection

from trading_core.adapters.duck.schema import CONTEXT_LAYERS, TABLES, VIEWS
from trading_core.errors import SchemaTooNew, StoreError

Migration: TypeAlias = Callable[[DuckDBPyConnection], None]


def create_tables(connection: DuckDBPyConnection) -> None:
    """Every table of the first version."""
    for statement in TABLES:
        connection.execute(statement)


def create_views(connection: DuckDBPyConnection) -> None:
    """Order states, positions, daily P&L, and the views that carry the description's names."""
    for statement in VIEWS:
        connection.execute(statement)


def describe_context_layers(connection: DuckDBPyConnection) -> None:
    """One row in ``context_metadata`` for each of the seven layers of memory."""
    connection.executemany("INSERT INTO context_metadata VALUES (?, ?, ?, ?)", CONTEXT_LAYERS)


MIGRATIONS: tuple[Migration, ...] = (create_tables, create_views, describe_context_layers)


def schema_version(connection: DuckDBPyConnection) -> int:
    """How many steps the open database has taken; 0 for one without any table.

    Not for use inside a transaction, which a missing table would abort.

    Raises:
        StoreError: it has tables, but not ours.
    """
    try:
        row = connection.execute("SELECT max(version) FROM schema_migrations").fetchone()
    except CatalogException:
        if connection.execute("SELECT 1 FROM duckdb_tables() LIMIT 1").fetchone():
            raise StoreError("it holds the tables of another program") from None
        return 0
    return int(row[0]) if row else 0


def check_version(version: int, migrations: Sequence[Migration] = MIGRATIONS) -> bool:
    """Whether a database at ``version`` is up to date.

    Raises:
        SchemaTooNew: it has taken steps this program does not know.
    """
    if version > len(migrations):
        raise SchemaTooNew(
            f"it has schema version {version}, this program knows {len(migrations)};"
            " update the program"
        )
    return version == len(migrations)


def migrate(connection: DuckDBPyConnection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Take the steps that are missing, in order and in one transaction.

    Raises:
        SchemaTooNew: the database was written by a newer version.
        StoreError: it belongs to another program.
    """
    version = schema_version(connection)
    if check_version(version, migrations):
        return
    connection.begin()
    try:
        if version == 0:
            connection.execute(
                "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL)"
            )
        for number, step in enumerate(migrations[version:], start=version + 1):
            step(connection)
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?, ?)", [number, step.__name__]
            )
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
