"""The schema as an append-only list of small steps, each recorded in ``schema_migrations``.

A step that was released is never edited or removed; a change is a new step at the end. The
missing steps are one transaction, so a file has taken all of them or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from duckdb import CatalogException, DuckDBPyConnection

from trading_core.adapters.duck.halt_rows import HALT_TABLES
from trading_core.adapters.duck.schema import CONTEXT_LAYERS, TABLES
from trading_core.adapters.duck.views import CHASES, GUARDS, VIEWS
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


def follow_guards(connection: DuckDBPyConnection) -> None:
    """Guards know their position and what armed them, and are merged when they are read.

    Rows lose their key, because two looks of one moment are two rows. ``guards`` is the newest
    guard of each symbol: of all rows about that position the highest state and peak, the tightest
    stop and trail. So a process that knew older rows cannot move a guard back.
    """
    for statement in GUARDS:
        connection.execute(statement)


def levels_of_halts(connection: DuckDBPyConnection) -> None:
    """Halts say how much they stop and which loss was accepted; kill switches are written down.

    Halts from before forbid entries alone, as they always did.
    """
    for statement in HALT_TABLES:
        connection.execute(statement)


def chases_of_orders(connection: DuckDBPyConnection) -> None:
    """An order says which unfilled one it follows; those from before follow none."""
    for statement in CHASES:
        connection.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (
    create_tables,
    create_views,
    describe_context_layers,
    follow_guards,
    levels_of_halts,
    chases_of_orders,
)


def schema_version(connection: DuckDBPyConnection) -> int:
    """How many steps the open database has taken; 0 for one without any table.

    Not for use inside a transaction, which a missing table would abort.

    Raises:
        StoreError: it has tables, but not ours.
    """
    try:
        row = connection.execute("SELECT max(version) FROM schema_migrations").fetchone()
    except CatalogException:
        tables = "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database()"
        if connection.execute(tables).fetchone():
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
