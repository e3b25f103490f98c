"""The tables of shadow planners, and their queries. No other query reads these tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

from trading_core.adapters.duck.codecs import (
    DATE,
    DECIMAL,
    FLOAT,
    INTEGER,
    JSON,
    TEXT,
    TIME,
    Codec,
    enum_of,
)
from trading_core.adapters.duck.instrument_columns import INSTRUMENT
from trading_core.adapters.duck.queries import Queries
from trading_core.adapters.duck.schema import MONEY
from trading_core.adapters.duck.tables import Table, table
from trading_core.model.journal import EquityPoint
from trading_core.model.market import Currency, Instrument
from trading_core.model.order import IntentReason, Side
from trading_core.model.playbook import Playbook
from trading_core.model.portfolio import ExitState, Protection, StopBasis
from trading_core.model.shadow import ShadowGuard, ShadowMark, ShadowPlan, ShadowTrade

T = TypeVar("T")


def _part(values: dict[str, Any], path: str) -> dict[str, Any]:
    """Take the values of one part of a record out of those of a row."""
    names = [name for name in values if name.startswith(f"{path}.")]
    return {name.removeprefix(f"{path}."): values.pop(name) for name in names}


def _trade(values: dict[str, Any]) -> ShadowTrade:
    instrument = Instrument(**_part(values, "instrument"))
    return ShadowTrade(instrument=instrument, **values)


def _mark(values: dict[str, Any]) -> ShadowMark:
    point = EquityPoint(**_part(values, "point"))
    return ShadowMark(point=point, **values)


def _guard(values: dict[str, Any]) -> ShadowGuard:
    protection = Protection(**_part(values, "protection"))
    return ShadowGuard(protection=protection, **values)


SHADOW_PLANS = table(
    "shadow_plans",
    ShadowPlan,
    {
        "planner": TEXT,
        "market": TEXT,
        "session": DATE,
        "planned_at": (TIME, "at"),
        "playbook_json": (
            Codec(
                Playbook.model_dump_json,
                Playbook.model_validate_json,
                JSON.parameter,
                JSON.selected,
            ),
            "playbook",
        ),
        "problem": TEXT,
        "cost_usd": DECIMAL,
    },
    "planner market session planned_at",
)

SHADOW_TRADES = table(
    "shadow_trades",
    ShadowTrade,
    {
        "planner": TEXT,
        "intent_id": TEXT,
        "decision_id": TEXT,
        "playbook_id": TEXT,
        "scenario_id": TEXT,
        **INSTRUMENT,
        "session": DATE,
        "traded_at": (TIME, "at"),
        "side": enum_of(Side),
        "quantity": INTEGER,
        "price": DECIMAL,
        "fee": DECIMAL,
        "tax": DECIMAL,
        "currency": enum_of(Currency),
        "decided_price": DECIMAL,
        "limit_price": DECIMAL,
        "reason": enum_of(IntentReason),
        "confidence": INTEGER,
        "stop_loss_pct": FLOAT,
        "take_profit_pct": FLOAT,
        "krw_rate": DECIMAL,
    },
    "intent_id planner",
    numbered=True,
    stored_only={"market": (TEXT, "instrument.market.group")},
    build=_trade,
)

SHADOW_EQUITY = table(
    "shadow_equity",
    ShadowMark,
    {
        "planner": TEXT,
        "market": (TEXT, "point.market"),
        "session": (DATE, "point.session"),
        "observed_at": (TIME, "point.at"),
        "currency": (enum_of(Currency), "point.currency"),
        "cash": (DECIMAL, "point.cash"),
        "holdings_value": (DECIMAL, "point.holdings_value"),
        "equity": (DECIMAL, "point.equity"),
        "krw_rate": (DECIMAL, "point.krw_rate"),
        "observed": INTEGER,
        "matched": INTEGER,
    },
    "planner market session observed_at",
    build=_mark,
    moment="observed_at",
)

SHADOW_GUARDS = table(
    "shadow_guards",
    ShadowGuard,
    {
        "planner": TEXT,
        "market": TEXT,
        "session": DATE,
        "symbol": (TEXT, "protection.symbol"),
        "stop_loss_pct": (FLOAT, "protection.stop_loss_pct"),
        "take_profit_pct": (FLOAT, "protection.take_profit_pct"),
        "state": (enum_of(ExitState), "protection.state"),
        "peak_price": (DECIMAL, "protection.peak_price"),
        "updated_at": (TIME, "protection.updated_at"),
        "opened_at": (TIME, "protection.opened_at"),
        "stop_basis": (enum_of(StopBasis), "protection.stop_basis"),
        "armed": (enum_of(ExitState), "protection.armed"),
        "trail_atr": (DECIMAL, "protection.trail_atr"),
        "approached_at": (TIME, "protection.approached_at"),
        "blind_since": (TIME, "protection.blind_since"),
        "blind_looks": (INTEGER, "protection.blind_looks"),
    },
    "planner market symbol updated_at",
    build=_guard,
    moment="updated_at",
)

SHADOW_RECORD_TABLES: tuple[Table[Any], ...] = (
    SHADOW_PLANS,
    SHADOW_TRADES,
    SHADOW_EQUITY,
    SHADOW_GUARDS,
)


class ShadowQueries(Queries):
    """The queries of the ``ShadowReader`` port over one open connection."""

    def shadow_plans(self, market: str, *, since: date, until: date) -> Sequence[ShadowPlan]:
        newest = "planner, session ORDER BY planned_at DESC"
        return self._records(
            SHADOW_PLANS,
            "WHERE market = ? AND session BETWEEN ? AND ?"
            f" QUALIFY row_number() OVER (PARTITION BY {newest}) = 1 ORDER BY session, planner",
            [market, since, until],
        )

    def shadow_trades(self, market: str) -> Sequence[ShadowTrade]:
        return self._records(SHADOW_TRADES, "WHERE market = ? ORDER BY id", [market])

    def shadow_marks(self, market: str, session: date) -> Sequence[ShadowMark]:
        rest = "WHERE market = ? AND session = ? ORDER BY observed_at, planner"
        return self._records(SHADOW_EQUITY, rest, [market, session])

    def last_shadow_marks(
        self, market: str, *, before: date | None = None
    ) -> Mapping[str, ShadowMark]:
        newest = "QUALIFY row_number() OVER (PARTITION BY planner ORDER BY observed_at DESC) = 1"
        rest, given = ("", [market]) if before is None else ("AND session < ?", [market, before])
        found = self._records(SHADOW_EQUITY, f"WHERE market = ? {rest} {newest}", given)
        return {mark.planner: mark for mark in found}

    def shadow_guards(self, market: str) -> Mapping[tuple[str, str], Protection]:
        newest = "planner, symbol ORDER BY updated_at DESC"
        found = self._records(
            SHADOW_GUARDS,
            f"WHERE market = ? QUALIFY row_number() OVER (PARTITION BY {newest}) = 1",
            [market],
        )
        return {(row.planner, row.protection.symbol): row.protection for row in found}


SHADOW_TABLES: tuple[str, ...] = (
    """
    CREATE TABLE shadow_plans (
        planner TEXT NOT NULL,
        market TEXT NOT NULL,
        session DATE NOT NULL,
        planned_at TIMESTAMPTZ NOT NULL,
        playbook_json JSON NOT NULL,
        problem TEXT NOT NULL,
        cost_usd DECIMAL(38, 10) NOT NULL,
        PRIMARY KEY (planner, market, session, planned_at)
    )""",
    f"""
    CREATE TABLE shadow_trades (
        id BIGINT NOT NULL,
        planner TEXT NOT NULL,
        intent_id TEXT NOT NULL,
        decision_id TEXT NOT NULL,
        playbook_id TEXT NOT NULL,
        scenario_id TEXT NOT NULL,
        market TEXT NOT NULL,
        symbol TEXT NOT NULL,
        exchange TEXT NOT NULL,
        name TEXT NOT NULL,
        is_fund BOOLEAN NOT NULL,
        session DATE NOT NULL,
        traded_at TIMESTAMPTZ NOT NULL,
        side TEXT NOT NULL,
        quantity BIGINT NOT NULL,
        price {MONEY} NOT NULL,
        fee {MONEY} NOT NULL,
        tax {MONEY} NOT NULL,
        currency TEXT NOT NULL,
        decided_price {MONEY} NOT NULL,
        limit_price {MONEY},
        reason TEXT NOT NULL,
        confidence INTEGER NOT NULL,
        stop_loss_pct DOUBLE,
        take_profit_pct DOUBLE,
        krw_rate {MONEY},
        PRIMARY KEY (intent_id, planner)
    )""",
    f"""
    CREATE TABLE shadow_equity (
        planner TEXT NOT NULL,
        market TEXT NOT NULL,
        session DATE NOT NULL,
        observed_at TIMESTAMPTZ NOT NULL,
        currency TEXT NOT NULL,
        cash {MONEY} NOT NULL,
        holdings_value {MONEY} NOT NULL,
        equity {MONEY} NOT NULL,
        krw_rate {MONEY},
        observed INTEGER NOT NULL,
        matched INTEGER NOT NULL,
        PRIMARY KEY (planner, market, session, observed_at)
    )""",
    f"""
    CREATE TABLE shadow_guards (
        planner TEXT NOT NULL,
        market TEXT NOT NULL,
        session DATE NOT NULL,
        symbol TEXT NOT NULL,
        stop_loss_pct DOUBLE NOT NULL,
        take_profit_pct DOUBLE,
        state TEXT NOT NULL,
        peak_price {MONEY} NOT NULL,
        updated_at TIMESTAMPTZ NOT NULL,
        opened_at TIMESTAMPTZ,
        stop_basis TEXT NOT NULL,
        armed TEXT NOT NULL,
        trail_atr {MONEY},
        approached_at TIMESTAMPTZ,
        blind_since TIMESTAMPTZ,
        blind_looks INTEGER NOT NULL,
        PRIMARY KEY (planner, market, symbol, updated_at)
    )""",
    "UPDATE context_metadata SET"
    " keys = 'scorecard_, calibration_, coverage_, lessons_ and shadow_<market>',"
    " aggregation_source = 'scorecards, decision_logs, matches, shadow_equity'"
    " WHERE layer = 'L6'",
)
"""Frozen, as all schema statements are: a change is a new migration."""
