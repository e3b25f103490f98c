"""The table of what people asked for from a distance, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from trading_core.adapters.duck.codecs import TEXT, TIME, enum_of, to_micros
from trading_core.adapters.duck.queries import Queries, Where
from trading_core.adapters.duck.tables import table
from trading_core.model.operator import CommandState, OperatorCommand

OPERATOR_COMMANDS = table(
    "operator_commands",
    OperatorCommand,
    {
        "command_id": TEXT,
        "state": enum_of(CommandState),
        "given_at": (TIME, "at"),
        "actor": TEXT,
        "name": TEXT,
        "argument": TEXT,
        "detail": TEXT,
    },
    "command_id state",
    numbered=True,
)


class OperatorQueries(Queries):
    """The queries about commands of people of the ``StoreReader`` port."""

    def operator_commands(
        self, command_id: str | None = None, *, since: datetime | None = None
    ) -> Sequence[OperatorCommand]:
        wanted = Where(command_id=command_id)
        if since is not None:
            wanted.also("given_at >= make_timestamptz(?::BIGINT)", to_micros(since))
        return self._select(OPERATOR_COMMANDS, wanted, "t.id")


OPERATOR_TABLES: tuple[str, ...] = (
    """
    CREATE TABLE operator_commands (
        id BIGINT NOT NULL,
        command_id TEXT NOT NULL,
        state TEXT NOT NULL,
        given_at TIMESTAMPTZ NOT NULL,
        actor TEXT NOT NULL,
        name TEXT NOT NULL,
        argument TEXT NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (command_id, state)
    )""",
)
"""Frozen, as all schema statements are: a change is a new migration."""
