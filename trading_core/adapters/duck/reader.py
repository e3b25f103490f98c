"""Every query of the ``StoreReader`` port over one open connection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import cast

from duckdb import DuckDBPyConnection

from trading_core.adapters.duck import (
    audit_queries,
    book_rows,
    decision_rows,
    difference_rows,
    halt_rows,
    rows,
)
from trading_core.adapters.duck.board_queries import BoardQueries
from trading_core.adapters.duck.codecs import from_micros, tidy, to_micros
from trading_core.adapters.duck.ledger_queries import LedgerQueries
from trading_core.adapters.duck.llm_rows import LlmQueries
from trading_core.adapters.duck.memory_rows import MemoryQueries
from trading_core.adapters.duck.notice_rows import NoticeQueries
from trading_core.adapters.duck.operator_rows import OperatorQueries
from trading_core.adapters.duck.queries import Where, among
from trading_core.adapters.duck.safekeeping_rows import SafekeepingQueries
from trading_core.adapters.duck.shadow_rows import ShadowQueries
from trading_core.adapters.duck.source_rows import SourceQueries
from trading_core.model.audit import DecisionFilter, LoggedDecision, ScreenedRow
from trading_core.model.decision import DecisionCycle
from trading_core.model.difference import Difference
from trading_core.model.journal import (
    BackupRecord,
    Decision,
    DecisionOutcome,
    DeploymentSwitch,
    EquityPoint,
    Halt,
    KillRow,
    MatchRow,
    ObservationRow,
    Scorecard,
)
from trading_core.model.market import Instrument, Market
from trading_core.model.order import Fill, OrderEvent, OrderIntent, OrderRecord, OrderState
from trading_core.model.playbook import Playbook
from trading_core.model.portfolio import AdoptedLot, Protection, Split

_FINAL_STATES = ", ".join(f"'{state}'" for state in OrderState if state.is_final)


# Nothing follows a final state, so it need not be the newest: that would take longer to plan.
_UNSETTLED = (
    f"intent_id NOT IN (SELECT intent_id FROM order_events WHERE state IN ({_FINAL_STATES}))"
)


def _record(
    wish: OrderIntent,
    events: Sequence[OrderEvent],
    filled_quantity: int = 0,
    filled_amount: Decimal = Decimal(0),
) -> OrderRecord:
    state = events[-1].state if events else OrderState.INTENDED
    return OrderRecord(wish, state, tuple(events), filled_quantity, filled_amount)


class DuckReader(
    SourceQueries,
    LlmQueries,
    MemoryQueries,
    OperatorQueries,
    NoticeQueries,
    SafekeepingQueries,
    LedgerQueries,
    BoardQueries,
    ShadowQueries,
):
    """The queries; valid inside the ``with`` block that handed it out."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection

    def playbook(self, market: str, session: date) -> Playbook | None:
        return self._newest_playbook(Where(market=market, session=session))

    def latest_playbook(self, market: str, *, before: date) -> Playbook | None:
        return self._newest_playbook(Where(market=market).also("session < ?", before))

    def _newest_playbook(self, where: Where) -> Playbook | None:
        newest = "t.session DESC, t.generated_at DESC, t.id DESC"
        return next(iter(self._select(rows.PLAYBOOKS, where, newest, limit=1)), None)

    def orders(
        self, market: str | None = None, session: date | None = None
    ) -> Sequence[OrderRecord]:
        return self._orders(Where(market=market, session=session))

    def order(self, intent_id: str) -> OrderRecord | None:
        return next(iter(self._orders(Where(intent_id=intent_id))), None)

    def unsettled_orders(self, market: str | None = None) -> Sequence[OrderRecord]:
        return self._orders(Where(market=market).also(_UNSETTLED))

    def live_orders(self, market: str | None, session: date) -> Sequence[OrderRecord]:
        alive = f"(session = ? OR {_UNSETTLED})"
        return self._orders(Where(market=market).also(alive, session))

    def _orders(self, where: Where) -> list[OrderRecord]:
        """Intents with their events and what was filled of them.

        Three short statements: the view that joins them takes longer to plan than they all do,
        and so does a statement that sums or sorts a few rows.
        """
        wishes = self._select(rows.ORDER_INTENTS, where, "t.created_at, t.id")
        if not wishes:
            return []
        theirs = among("intent_id", [wish.intent_id for wish in wishes])
        events: dict[str, list[OrderEvent]] = {}
        for event in sorted(self._select(rows.ORDER_EVENTS, theirs), key=lambda e: e.sequence):
            events.setdefault(event.intent_id, []).append(event)
        filled: dict[str, tuple[int, Decimal]] = {}
        for intent_id, quantity, amount in self._rows(
            f"SELECT intent_id, quantity, amount FROM fills {theirs}", theirs.parameters
        ):
            before = filled.get(intent_id, (0, Decimal(0)))
            filled[intent_id] = (before[0] + quantity, tidy(before[1] + amount))
        return [
            _record(wish, events.get(wish.intent_id, ()), *filled.get(wish.intent_id, ()))
            for wish in wishes
        ]

    def fills(self, market: str | None = None, session: date | None = None) -> Sequence[Fill]:
        return self._select(rows.FILLS, Where(market=market, session=session), "t.id")

    def adopted_lots(self, market: str) -> Sequence[AdoptedLot]:
        return self._select(rows.ADOPTED_LOTS, Where(market=market), "t.adopted_at, t.lot_id")

    def splits(self, market: str) -> Sequence[Split]:
        return self._select(book_rows.SPLITS, Where(market=market), "t.split_at, t.split_id")

    def protections(
        self, market: str, symbols: Collection[str] | None = None
    ) -> dict[str, Protection]:
        where = Where(market=market)
        if symbols is not None:
            where.also("list_contains(?::VARCHAR[], symbol)", list(symbols))
        columns = rows.PROTECTIONS.select("t")
        found = self._rows(
            f"SELECT {columns} FROM guards t {where} ORDER BY symbol", where.parameters
        )
        guards = (rows.PROTECTIONS.decode(row).protection for row in found)
        return {guard.symbol: guard for guard in guards}

    def open_halts(self) -> Sequence[Halt]:
        where = Where().also("lifted_at IS NULL")
        return self._select(halt_rows.HALTS, where, "t.raised_at, t.halt_id")

    def halts(self, session_from: datetime | None = None) -> Sequence[Halt]:
        where = Where()
        if session_from is not None:
            where.also("raised_at >= make_timestamptz(?::BIGINT)", to_micros(session_from))
        return self._select(halt_rows.HALTS, where, "t.raised_at, t.halt_id")

    def differences(self, market: str, session: date) -> Sequence[Difference]:
        where = Where(market=market, session=session)
        return self._select(difference_rows.DIFFERENCES, where, "t.id")

    def decision_cycles(self, market: str, session: date) -> Sequence[DecisionCycle]:
        where = Where(market=market, session=session)
        return self._select(decision_rows.DECISION_CYCLES, where, "t.decided_at")

    def kill_rows(self, kill_id: str | None = None) -> Sequence[KillRow]:
        where = Where()
        if kill_id is not None:
            where.also("kill_id = ?", kill_id)
        return self._select(halt_rows.KILL_ROWS, where, "t.id")

    def deployment_switches(self) -> Sequence[DeploymentSwitch]:
        return self._select(halt_rows.DEPLOYMENT_SWITCHES, Where(), "t.id")

    def equity_curve(self, market: str, session: date) -> Sequence[EquityPoint]:
        where = Where(market=market, session=session)
        return self._select(rows.EQUITY, where, "t.observed_at, t.currency")

    def decisions(
        self, market: str | None = None, session: date | None = None, symbol: str | None = None
    ) -> Sequence[Decision]:
        where = Where(market=market, session=session, symbol=symbol)
        return self._select(rows.DECISIONS, where, "t.decided_at, t.id")

    def outcomes(self, market: str, session: date) -> Sequence[DecisionOutcome]:
        where = Where(market=market, session=session)
        found = self._rows(
            f"SELECT {rows.DECISION_OUTCOMES.select('t')}"
            f" FROM decision_outcomes t JOIN decisions d USING (decision_id) {where}"
            " QUALIFY row_number() OVER"
            " (PARTITION BY t.decision_id ORDER BY t.reviewed_at DESC) = 1"
            " ORDER BY d.decided_at, d.id",
            where.parameters,
        )
        return [rows.DECISION_OUTCOMES.decode(row) for row in found]

    def decision_log(self, wanted: DecisionFilter) -> Sequence[LoggedDecision]:
        return audit_queries.decision_log(self._rows, wanted)

    def screened(self, market: str, session: date) -> Sequence[ScreenedRow]:
        return audit_queries.screened(self._rows, market, session)

    def unreviewed_sessions(self, market: str, *, since: date, before: date) -> Sequence[date]:
        return audit_queries.unreviewed_sessions(self._rows, market, since, before)

    def newest_matches(self, market: str, session: date) -> Sequence[MatchRow]:
        where = Where(market=market, session=session)
        newest = "t.symbol, t.kind: t.matched_at"
        return self._select(rows.MATCHES, where, "t.symbol, t.kind", newest=newest)

    def matches(self, market: str, session: date, symbol: str | None = None) -> Sequence[MatchRow]:
        where = Where(market=market, session=session, symbol=symbol)
        return self._select(rows.MATCHES, where, "t.matched_at, t.rowid")

    def observations(
        self, market: str, session: date, symbol: str | None = None
    ) -> Sequence[ObservationRow]:
        where = Where(market=market, session=session, symbol=symbol)
        return self._select(rows.OBSERVATIONS, where, "t.observed_at, t.rowid")

    def counts(self, market: str, session: date) -> dict[str, int]:
        [(ticks, observations)] = self._rows(
            "SELECT count(DISTINCT observed_at), count(*) FROM observations"
            " WHERE market = ? AND session = ?",
            [market, session],
        )
        [(matches, first)] = self._rows(
            "SELECT count(*), count(*) FILTER (kind = 'first') FROM matches"
            " WHERE market = ? AND session = ?",
            [market, session],
        )
        return {
            "ticks": ticks,
            "observations": observations,
            "matches": matches,
            "first_matches": first,
        }

    def scorecard(self, market: str, session: date) -> Scorecard | None:
        where = Where(market=market, session=session)
        return next(iter(self._select(rows.SCORECARDS, where, "t.scored_at DESC", limit=1)), None)

    def scorecards(self, market: str | None = None, limit: int = 30) -> Sequence[Scorecard]:
        return self._select(
            rows.SCORECARDS,
            Where(market=market),
            "t.session DESC, t.scored_at DESC",
            newest="market, session: scored_at",
            limit=limit,
        )

    def backups(self) -> Sequence[BackupRecord]:
        return self._select(rows.BACKUPS, None, "t.created_at DESC, t.backup_id")

    def last_prices(self, market: str, session: date) -> dict[str, float]:
        found = self._rows(
            "SELECT symbol, arg_max((fields->>'price')::DOUBLE, observed_at) FROM observations"
            " WHERE market = ? AND session = ? GROUP BY symbol",
            [market, session],
        )
        return {str(symbol): float(price) for symbol, price in found if price is not None}

    def newest_session(self, market: str) -> date | None:
        [(day,)] = self._rows(
            "SELECT max(session) FROM (SELECT session FROM equity WHERE market = ?"
            " UNION ALL SELECT session FROM playbook_versions WHERE market = ?)",
            [market, market],
        )
        return cast("date | None", day)

    def recently_traded(self, market: str, *, since: date) -> Sequence[Instrument]:
        found = self._rows(
            "SELECT symbol, arg_max(exchange, id), arg_max(name, id), arg_max(is_fund, id)"
            " FROM fills"
            " WHERE market = ? AND session >= ? GROUP BY symbol ORDER BY max(id) DESC",
            [market, since],
        )
        return [
            Instrument(symbol, Market(exchange), name, is_fund)
            for symbol, exchange, name, is_fund in found
        ]

    def lease_holder(self, name: str, *, at: datetime) -> str | None:
        found = self._rows("SELECT owner, epoch_us(expires_at) FROM leases WHERE name = ?", [name])
        if not found or not found[0][0] or from_micros(found[0][1]) <= at:
            return None
        return str(found[0][0])

    def total_rows(self) -> int:
        """Rows of all tables together."""
        names = self._rows(
            "SELECT table_name FROM duckdb_tables()"
            " WHERE NOT internal AND database_name = current_database()"
        )
        counts = (self._rows(f'SELECT count(*) FROM "{name}"') for (name,) in names)
        return sum(int(count) for [(count,)] in counts)
