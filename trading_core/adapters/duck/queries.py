"""What all queries share: a connection, filters, and rows that become records again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from duckdb import DuckDBPyConnection

from trading_core.adapters.duck.tables import Table

T = TypeVar("T")

_FEW = 500


class Where:
    """A WHERE clause of the filters that were given; ``None`` means "any"."""

    def __init__(self, **equals: Any) -> None:
        given = {name: value for name, value in equals.items() if value is not None}
        self.terms = [f'"{name}" = ?' for name in given]
        self.parameters: list[Any] = list(given.values())

    def also(self, term: str, *parameters: Any) -> Where:
        self.terms.append(term)
        self.parameters += parameters
        return self

    def __str__(self) -> str:
        return f"WHERE {' AND '.join(self.terms)}" if self.terms else ""


def among(column: str, values: Sequence[str]) -> Where:
    """Rows whose column has one of these values.

    A short list is searched as it is: a hash table would take longer to plan than to use.
    """
    short = f"list_contains(?::VARCHAR[], {column})"
    term = short if len(values) < _FEW else f"{column} IN (SELECT unnest(?::VARCHAR[]))"
    return Where().also(term, list(values))


class Queries:
    """Queries over one open connection; the base of everybody's."""

    _connection: DuckDBPyConnection

    def _rows(
        self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters).fetchall()

    def _records(self, table: Table[T], rest: str = "", parameters: Sequence[Any] = ()) -> list[T]:
        """Records of a table, which ``rest`` of the statement calls ``t``."""
        sql = f"SELECT {table.select('t')} FROM {table.name} t {rest}"
        return [table.decode(row) for row in self._rows(sql, parameters)]

    def _select(
        self,
        table: Table[T],
        where: Where | None = None,
        order_by: str = "",
        *,
        newest: str = "",
        limit: int = 0,
    ) -> list[T]:
        """Records of one table. ``newest`` keeps one row per group: ``"symbol: updated_at"``."""
        where = where or Where()
        rest = str(where)
        if newest:
            group, latest = newest.split(": ")
            rest += f" QUALIFY row_number() OVER (PARTITION BY {group} ORDER BY {latest} DESC) = 1"
        rest += f" ORDER BY {order_by}" if order_by else ""
        rest += f" LIMIT {limit}" if limit else ""
        return self._records(table, rest, where.parameters)
