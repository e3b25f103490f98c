"""The queries of the pages that follow a session; what is large is made small in SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from trading_core.adapters.duck import book_rows, rows
from trading_core.adapters.duck.codecs import from_micros
from trading_core.adapters.duck.queries import Queries, Where
from trading_core.adapters.duck.tables import Table
from trading_core.model.board import MatchTotal, PricePoint, TradeHistory
from trading_core.model.journal import ObservationRow
from trading_core.model.playbook import Playbook
from trading_core.model.portfolio import Protection

_HELD = """
    SELECT symbol FROM positions WHERE market = ? AND quantity <> 0 ORDER BY symbol"""

_NAMES = """
    SELECT symbol, arg_max(name, id) FROM decisions WHERE market = ? AND name <> ''
    GROUP BY symbol"""

_TRADES: tuple[tuple[Table[Any], str], ...] = (
    (rows.FILLS, "t.id"),
    (rows.ADOPTED_LOTS, "t.adopted_at, t.lot_id"),
    (book_rows.SPLITS, "t.split_at, t.split_id"),
)

# The one large table: rows of a session lie together, so the filter reads few of its blocks.
_LAST = f"""
    SELECT {rows.OBSERVATIONS.select("t")} FROM observations t
    JOIN (
        SELECT symbol, max(observed_at) AS observed_at FROM observations
        WHERE market = $1 AND session = $2 GROUP BY symbol
    ) newest ON t.symbol = newest.symbol AND t.observed_at = newest.observed_at
    WHERE t.market = $1 AND t.session = $2
    ORDER BY t.symbol"""

_PRICES = """
    SELECT epoch_us(observed_at), (fields->>'price')::DOUBLE AS price FROM observations
    WHERE market = $1 AND session = $2 AND symbol = $3 AND price IS NOT NULL
    ORDER BY observed_at"""

_TOTALS = """
    SELECT
        symbol, scenario_id, kind, any_value(action), count(*),
        epoch_us(min(matched_at)), epoch_us(max(matched_at)), min(distance)
    FROM matches WHERE market = $1 AND session = $2
    GROUP BY symbol, scenario_id, kind ORDER BY symbol, scenario_id, kind"""

_INDICES = """
    SELECT name, day, arg_max("value", (observed_at, fetched_at)) FROM (
        SELECT *, (observed_at AT TIME ZONE 'UTC')::DATE AS day FROM market_readings
        WHERE list_contains($1::VARCHAR[], name)
    )
    GROUP BY name, day ORDER BY name, day"""


class BoardQueries(Queries):
    """The queries of the ``BoardReader`` port over one open connection."""

    def held_symbols(self, market: str) -> Sequence[str]:
        return [symbol for (symbol,) in self._rows(_HELD, [market])]

    def trade_history(
        self, market: str, symbols: Sequence[str] | None = None
    ) -> Callable[[], TradeHistory]:
        where = Where(market=market)
        if symbols is not None:
            where.also("list_contains(?::VARCHAR[], symbol)", list(symbols))
        found = [
            self._rows(
                f"SELECT {table.select('t')} FROM {table.name} t {where} ORDER BY {order_by}",
                where.parameters,
            )
            for table, order_by in _TRADES
        ]
        return lambda: TradeHistory(
            *(
                tuple(map(table.decode, theirs))
                for (table, _), theirs in zip(_TRADES, found, strict=True)
            )
        )

    def instrument_names(self, market: str) -> Mapping[str, str]:
        return dict(self._rows(_NAMES, [market]))

    def last_observations(self, market: str, session: date) -> Sequence[ObservationRow]:
        found = self._rows(_LAST, [market, session])
        return [rows.OBSERVATIONS.decode(row) for row in found]

    def price_path(self, market: str, session: date, symbol: str) -> Sequence[PricePoint]:
        found = self._rows(_PRICES, [market, session, symbol])
        return [PricePoint(from_micros(at), price) for at, price in found]

    def match_totals(self, market: str, session: date) -> Sequence[MatchTotal]:
        found = self._rows(_TOTALS, [market, session])
        return [
            MatchTotal(
                symbol, name, kind, action, count, from_micros(first), from_micros(last), distance
            )
            for symbol, name, kind, action, count, first, last, distance in found
        ]

    def playbook_versions(self, market: str, session: date) -> Sequence[Playbook]:
        where = Where(market=market, session=session)
        return self._select(rows.PLAYBOOKS, where, "t.generated_at DESC, t.id DESC")

    def guard_history(self, market: str, session: date, symbol: str) -> Sequence[Protection]:
        where = Where(market=market, session=session, symbol=symbol)
        found = self._select(rows.PROTECTIONS, where, "t.updated_at, t.rowid")
        return [row.protection for row in found]

    def index_levels(self, names: Sequence[str]) -> Mapping[str, Sequence[tuple[date, float]]]:
        found: dict[str, list[tuple[date, float]]] = {}
        for name, day, value in self._rows(_INDICES, [list(names)]):
            found.setdefault(name, []).append((day, value))
        return found
