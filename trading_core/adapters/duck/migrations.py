"""The schema as an append-only list of small steps, each recorded in ``schema_migrations``.

A step that was released is never edited or removed; a change is a new step at the end. The
missing steps are one transaction, so a file has taken all of them or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from duckdb import CatalogException, DuckDBPyConnection

from trading_core.adapters.duck.audit_rows import AUDIT_TABLES
from trading_core.adapters.duck.book_rows import BOOK_TABLES
from trading_core.adapters.duck.decision_rows import DECISION_TABLES
from trading_core.adapters.duck.difference_rows import DIFFERENCE_TABLES
from trading_core.adapters.duck.halt_rows import HALT_TABLES
from trading_core.adapters.duck.llm_rows import LLM_TABLES
from trading_core.adapters.duck.memory_rows import (
    DESCRIBE_LAYER,
    MEMORY_LAYERS,
    MEMORY_TABLES,
    VERSION_TABLES,
)
from trading_core.adapters.duck.notice_rows import NOTICE_TABLES
from trading_core.adapters.duck.operator_rows import OPERATOR_TABLES
from trading_core.adapters.duck.safekeeping_rows import SAFEKEEPING_TABLES
from trading_core.adapters.duck.schema import CONTEXT_LAYERS, TABLES
from trading_core.adapters.duck.shadow_rows import SHADOW_TABLES
from trading_core.adapters.duck.source_rows import SOURCE_TABLES
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


def trail_of_decisions(connection: DuckDBPyConnection) -> None:
    """Scans and remarks are kept; a decision knows its prompt, and its market by the group's code.

    A decision counts as reviewed once somebody left a remark, no longer by its outcome alone.
    """
    for statement in AUDIT_TABLES:
        connection.execute(statement)


def words_from_outside(connection: DuckDBPyConnection) -> None:
    """What sources said, by when it was fetched, and every time they were asked."""
    for statement in SOURCE_TABLES:
        connection.execute(statement)


def differences_of_books(connection: DuckDBPyConnection) -> None:
    """What store and broker did not agree on is kept, with what repaired it."""
    for statement in DIFFERENCE_TABLES:
        connection.execute(statement)


def won_of_trades(connection: DuckDBPyConnection) -> None:
    """Trades and equity know the won rate of their moment, closed trades their profit in won, and
    splits are kept. Of rows from before no rate is known."""
    for statement in BOOK_TABLES:
        connection.execute(statement)


def ledger_of_model_calls(connection: DuckDBPyConnection) -> None:
    """Calls of language models are reserved before they are made; what was said is kept."""
    for statement in LLM_TABLES:
        connection.execute(statement)


def layers_of_memory(connection: DuckDBPyConnection) -> None:
    """The layers say how their timeframes and keys are written; ``contexts`` shows the newest ticks
    besides what is stored."""
    for statement in MEMORY_TABLES:
        connection.execute(statement)
    connection.executemany(DESCRIBE_LAYER, MEMORY_LAYERS)


def rounds_of_decisions(connection: DuckDBPyConnection) -> None:
    """Every round in which a model was asked about candidates is kept, with what came of it."""
    for statement in DECISION_TABLES:
        connection.execute(statement)


def versions_of_memory(connection: DuckDBPyConnection) -> None:
    """Every value an entry of memory had is kept, so that the past can be read as it was known.
    Of values from before only the newest is known."""
    for statement in VERSION_TABLES:
        connection.execute(statement)


def commands_of_operators(connection: DuckDBPyConnection) -> None:
    """What people ask for from a distance is kept, with who asked and what came of it."""
    for statement in OPERATOR_TABLES:
        connection.execute(statement)


def safekeeping_of_backups(connection: DuckDBPyConnection) -> None:
    """Uploads, checks of the backups and restores are written down."""
    for statement in SAFEKEEPING_TABLES:
        connection.execute(statement)


def books_of_shadows(connection: DuckDBPyConnection) -> None:
    """Shadow planners have tables of their own, which no query of the real one reads."""
    for statement in SHADOW_TABLES:
        connection.execute(statement)


def outbox_of_notices(connection: DuckDBPyConnection) -> None:
    """A notification names the channels it goes out on; what became of it on each is kept, and so
    is how loudly people want to hear of each kind. Those from before go out on none."""
    for statement in NOTICE_TABLES:
        connection.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (
    create_tables,
    create_views,
    describe_context_layers,
    follow_guards,
    levels_of_halts,
    chases_of_orders,
    trail_of_decisions,
    words_from_outside,
    differences_of_books,
    won_of_trades,
    ledger_of_model_calls,
    layers_of_memory,
    rounds_of_decisions,
    versions_of_memory,
    commands_of_operators,
    safekeeping_of_backups,
    books_of_shadows,
    outbox_of_notices,
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
