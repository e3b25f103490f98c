"""Appending records inside one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from duckdb import DuckDBPyConnection

from trading_core.adapters.duck import book_rows, rows
from trading_core.adapters.duck.codecs import DECIMAL, to_micros
from trading_core.adapters.duck.memory_rows import CONTEXTS, MemoryChanges
from trading_core.adapters.duck.queries import Where, among
from trading_core.adapters.duck.reader import DuckReader
from trading_core.adapters.duck.tables import Table
from trading_core.errors import IllegalTransition, StoreError
from trading_core.model.order import TRANSITIONS, Fill, OrderEvent, OrderState, Side
from trading_core.ports import Record
from trading_core.rules.positions import ClosedTrade, fold_positions

T = TypeVar("T")

_FIRST_STATES = frozenset({OrderState.INTENDED, OrderState.REFUSED})


class DuckWriter(DuckReader, MemoryChanges):
    """Reads what it has written; all of it is committed when the ``with`` block ends.

    ``failure`` is the error of an ``append``: once there is one, nothing is committed.
    """

    def __init__(self, connection: DuckDBPyConnection) -> None:
        super().__init__(connection)
        self.failure: Exception | None = None

    def append(self, records: Iterable[Record]) -> None:
        """Append rows of any mix of types; rows whose key is there already are left alone.

        Order matters only among the events of one order. A context entry replaces the older value
        of its layer, timeframe and key. A sell fill also books what it realised.

        Raises:
            IllegalTransition: an order event does not follow from the order's state.
            TypeError: something that is not a record.
            ValueError: a time without a zone, or an amount that is no number.
        """
        try:
            self._append(records)
        except Exception as error:
            self.failure = error
            raise

    def _append(self, records: Iterable[Record]) -> None:
        by_type: dict[type[Any], list[Any]] = {}
        for record in records:
            by_type.setdefault(type(record), []).append(record)
        for table in rows.RECORD_TABLES:
            batch = by_type.pop(table.record, [])
            if table is rows.ORDER_EVENTS:
                self._insert(table, self._legal_events(batch), fresh=True)
            elif table is rows.FILLS:
                self._insert_fills(batch)
            else:
                self._insert(table, batch)
            if table is CONTEXTS:
                self.keep_versions(batch)
        if by_type:
            unknown = ", ".join(sorted(kind.__name__ for kind in by_type))
            raise TypeError(f"not a record of the store: {unknown}")

    def lift_halt(
        self,
        halt_id: str,
        *,
        at: datetime,
        by: str,
        accepted_pnl_pct: Decimal | None = None,
        accepted_on: date | None = None,
    ) -> None:
        """Mark a halt as lifted; one that was lifted before stays as it is.

        Raises:
            StoreError: there is no such halt.
        """
        if not self._rows("SELECT 1 FROM halts WHERE halt_id = ?", [halt_id]):
            raise StoreError(f"there is no halt {halt_id!r}; ask `status` for the open ones")
        self._rows(
            "UPDATE halts SET lifted_at = make_timestamptz(?::BIGINT), lifted_by = ?,"
            " accepted_pnl_pct = ?::VARCHAR::DECIMAL(38, 10), accepted_on = ?::DATE"
            " WHERE halt_id = ? AND lifted_at IS NULL",
            [to_micros(at), by, DECIMAL.encode(accepted_pnl_pct), accepted_on, halt_id],
        )

    def acquire_lease(self, name: str, owner: str, at: datetime, ttl: timedelta) -> bool:
        """Take or renew a lease until ``at + ttl``; False while another owner's still runs."""
        self._rows(
            "INSERT INTO leases VALUES"
            " ($name, $owner, make_timestamptz($at::BIGINT), make_timestamptz($until::BIGINT))"
            " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner,"
            " renewed_at = excluded.renewed_at, expires_at = excluded.expires_at"
            " WHERE leases.owner IN ('', excluded.owner)"
            " OR leases.expires_at <= excluded.renewed_at",
            {"name": name, "owner": owner, "at": to_micros(at), "until": to_micros(at + ttl)},
        )
        return self.lease_holder(name, at=at) == owner

    def release_lease(self, name: str, owner: str) -> None:
        """Give a lease back; nothing happens when another owner holds it."""
        self._rows("UPDATE leases SET owner = '' WHERE name = ? AND owner = ?", [name, owner])

    def _insert(self, table: Table[T], records: Sequence[T], *, fresh: bool = False) -> None:
        """Add the rows that are not there yet; ``fresh`` says that none of them is.

        The keys are compared here: nobody else writes meanwhile, and DuckDB plans an insert with
        a conflict clause three times as long as one without.
        """
        if not records:
            return
        parameters: list[Any] = table.encode(records)
        keys = table.encoded_keys(parameters)
        known = set() if fresh or table.replaces else self._known_keys(table, parameters)
        kept: dict[tuple[Any, ...], int] = {}
        for index, key in enumerate(keys):
            if table.replaces or (key not in kept and key not in known):
                kept[key] = index
        if not kept:
            return
        if len(kept) < len(records):
            parameters = [[column[index] for index in kept.values()] for column in parameters]
        names = [column.name for column in table.columns]
        values = [f'{entry.codec.parameter} AS "{entry.name}"' for entry in table.columns]
        if table.numbered:
            [(last,)] = self._rows(f"SELECT coalesce(max(id), 0) FROM {table.name}")
            names.append("id")
            values.append("unnest(?::BIGINT[]) AS id")
            parameters.append(list(range(last + 1, last + 1 + len(kept))))
        columns = ", ".join(f'"{name}"' for name in names)
        self._rows(
            f"INSERT INTO {table.name} ({columns}) SELECT {', '.join(values)} {_replacing(table)}",
            parameters,
        )

    def _known_keys(
        self, table: Table[T], parameters: Sequence[Sequence[Any]]
    ) -> set[tuple[Any, ...]]:
        """Keys of the stored rows that may be the same as some of these, as they are encoded."""
        names = [column.name for column in table.columns]
        if table.moment:
            # DuckDB skips all older row groups: 10 ms, not 170, at 2 M rows.
            where = Where().also(
                f'"{table.moment}" >= make_timestamptz(?::BIGINT)',
                min(parameters[names.index(table.moment)]),
            )
        else:
            where = among(
                f'"{table.key[0]}"', list(dict.fromkeys(parameters[names.index(table.key[0])]))
            )
        columns = [table.column(name) for name in table.key]
        selected = ", ".join(c.codec.selected.format(column=f'"{c.name}"') for c in columns)
        return {
            tuple(
                c.codec.encode(c.codec.decode(value)) for c, value in zip(columns, row, strict=True)
            )
            for row in self._rows(f"SELECT {selected} FROM {table.name} {where}", where.parameters)
        }

    def _legal_events(self, events: Sequence[OrderEvent]) -> list[OrderEvent]:
        """The events that are new; raises on one that does not follow."""
        if not events:
            return []
        lives: dict[str, list[OrderEvent]] = {event.intent_id: [] for event in events}
        theirs = among("intent_id", list(lives))
        for event in self._select(rows.ORDER_EVENTS, theirs, "t.intent_id, t.sequence"):
            lives[event.intent_id].append(event)
        unborn = [intent_id for intent_id, life in lives.items() if not life]
        if unborn:
            theirs = among("intent_id", unborn)
            born = self._rows(f"SELECT intent_id FROM order_intents {theirs}", theirs.parameters)
            for intent_id in set(unborn) - {intent_id for (intent_id,) in born}:
                del lives[intent_id]
        new: list[OrderEvent] = []
        for event in events:
            life = lives.get(event.intent_id)
            if life is None:
                raise IllegalTransition(f"event {event.event_id}: there is no such order intent")
            if event.sequence < len(life) and life[event.sequence] == event:
                continue
            _check_follows(event, life)
            life.append(event)
            new.append(event)
        return new

    def _insert_fills(self, fills: Sequence[Fill]) -> None:
        """Append the fills that are new, and what they realised."""
        if not fills:
            return
        theirs = among("fill_id", [fill.fill_id for fill in fills])
        known = {
            fill_id
            for (fill_id,) in self._rows(f"SELECT fill_id FROM fills {theirs}", theirs.parameters)
        }
        new: dict[str, Fill] = {}
        for fill in fills:
            if fill.fill_id not in known:
                new.setdefault(fill.fill_id, fill)
        self._insert(rows.FILLS, list(new.values()), fresh=True)
        self._book_closed_trades(list(new.values()))

    def _book_closed_trades(self, new: Sequence[Fill]) -> None:
        """Store what these fills realised, from the whole history of their symbols."""
        sold = [fill for fill in new if fill.side is Side.SELL]
        if not sold:
            return
        closing = {fill.fill_id for fill in sold}
        symbols = sorted({(fill.instrument.market.group, fill.instrument.symbol) for fill in sold})
        closed: list[ClosedTrade] = []
        for market, symbol in symbols:
            where = Where(market=str(market), symbol=symbol)
            book = fold_positions(
                self._select(rows.FILLS, where, "t.id"),
                self._select(rows.ADOPTED_LOTS, where),
                self._select(book_rows.SPLITS, where),
            )
            closed += (trade for trade in book.closed if trade.closing_id in closing)
        self._insert(rows.CLOSED_TRADES, closed)


def _replacing(table: Table[Any]) -> str:
    if not table.replaces:
        return ""
    key = ", ".join(f'"{name}"' for name in table.key)
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name in table.replaces)
    moved = table.replaces[-1]
    return f'ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE excluded."{moved}" >= "{moved}"'


def _check_follows(event: OrderEvent, life: Sequence[OrderEvent]) -> None:
    """Raises ``IllegalTransition`` unless ``event`` may come next in this order's life."""
    if event.sequence != len(life):
        raise IllegalTransition(
            f"event {event.event_id} ({event.state}): the order has {len(life)} events,"
            f" so the next one is number {len(life)}"
        )
    allowed = TRANSITIONS[life[-1].state] if life else _FIRST_STATES
    if event.state not in allowed:
        before = life[-1].state if life else "nothing"
        raise IllegalTransition(f"event {event.event_id}: {event.state} cannot follow {before}")
