"""Which record lives in which table, and how it becomes a row and the record again."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from trading_core.adapters.duck.audit_rows import DECISION_REVIEWS, SCREENED
from trading_core.adapters.duck.book_rows import SPLITS
from trading_core.adapters.duck.codecs import (
    AMOUNTS,
    BOOLEAN,
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
from trading_core.adapters.duck.decision_rows import DECISION_CYCLES
from trading_core.adapters.duck.difference_rows import DIFFERENCES
from trading_core.adapters.duck.halt_rows import DEPLOYMENT_SWITCHES, HALTS, KILL_ROWS
from trading_core.adapters.duck.instrument_columns import GROUP, INSTRUMENT, with_instrument
from trading_core.adapters.duck.llm_rows import LLM_CALLS, LLM_RESERVATIONS, LLM_TEXTS
from trading_core.adapters.duck.memory_rows import CONTEXTS
from trading_core.adapters.duck.notice_rows import NOTICE_RECORD_TABLES
from trading_core.adapters.duck.operator_rows import OPERATOR_COMMANDS
from trading_core.adapters.duck.safekeeping_rows import SAFEKEEPING_RECORD_TABLES
from trading_core.adapters.duck.shadow_rows import SHADOW_RECORD_TABLES
from trading_core.adapters.duck.source_rows import SOURCE_RECORD_TABLES
from trading_core.adapters.duck.tables import Table, table
from trading_core.model.journal import (
    BackupRecord,
    Decision,
    DecisionOutcome,
    EquityPoint,
    MatchRow,
    ObservationRow,
    ProtectionRow,
    Scorecard,
)
from trading_core.model.market import Currency
from trading_core.model.order import (
    Fill,
    IntentReason,
    OrderEvent,
    OrderIntent,
    OrderState,
    OrderType,
    Side,
)
from trading_core.model.playbook import Playbook
from trading_core.model.portfolio import (
    AdoptedLot,
    ExitState,
    PositionOrigin,
    Protection,
    StopBasis,
)
from trading_core.rules.positions import ClosedTrade

T = TypeVar("T")


def _protection_row(values: dict[str, Any]) -> ProtectionRow:
    guard = {
        path.removeprefix("protection."): values.pop(path)
        for path in list(values)
        if path.startswith("protection.")
    }
    return ProtectionRow(protection=Protection(**guard), **values)


_MARKET_SESSION = {"market": TEXT, "session": DATE}


PLAYBOOKS = table(
    "playbook_versions",
    Playbook,
    {
        "playbook_json": (
            Codec(
                Playbook.model_dump_json,
                Playbook.model_validate_json,
                JSON.parameter,
                JSON.selected,
            ),
            "",
        ),
    },
    "playbook_id generated_at",
    numbered=True,
    stored_only={
        "playbook_id": (TEXT, "playbook_id"),
        "market": (TEXT, "market"),
        "session": (DATE, "session"),
        "source": (TEXT, "source"),
        "generated_at": (TIME, "generated_at"),
        "token_count": (INTEGER, "token_count"),
        "scenario_count": (INTEGER, "scenario_count"),
    },
    build=lambda values: cast(Playbook, values[""]),
)

DECISIONS = table(
    "decisions",
    Decision,
    {
        "decision_id": TEXT,
        "decided_at": (TIME, "at"),
        **_MARKET_SESSION,
        **INSTRUMENT,
        "action": TEXT,
        "confidence": INTEGER,
        "rationale": TEXT,
        "scenario_id": TEXT,
        "playbook_id": TEXT,
        "context_snapshot": JSON,
        "input_data": JSON,
        "prompt_id": TEXT,
    },
    "decision_id",
    numbered=True,
    build=with_instrument(Decision),
)

DECISION_OUTCOMES = table(
    "decision_outcomes",
    DecisionOutcome,
    {
        "decision_id": TEXT,
        "outcome_pnl": DECIMAL,
        "outcome_accuracy": FLOAT,
        "review_notes": (TEXT, "note"),
        "reviewed_at": (TIME, "at"),
    },
    "decision_id reviewed_at",
)

ORDER_INTENTS = table(
    "order_intents",
    OrderIntent,
    {
        "intent_id": TEXT,
        "decision_id": TEXT,
        **INSTRUMENT,
        "session": DATE,
        "side": enum_of(Side),
        "quantity": INTEGER,
        "order_type": enum_of(OrderType),
        "limit_price": DECIMAL,
        "decided_price": DECIMAL,
        "currency": enum_of(Currency),
        "reason": enum_of(IntentReason),
        "created_at": TIME,
        "chases": TEXT,
    },
    "intent_id",
    numbered=True,
    stored_only=GROUP,
    build=with_instrument(OrderIntent),
)

ORDER_EVENTS = table(
    "order_events",
    OrderEvent,
    {
        "intent_id": TEXT,
        "sequence": INTEGER,
        "state": enum_of(OrderState),
        "occurred_at": (TIME, "at"),
        "order_no": TEXT,
        "branch_no": TEXT,
        "code": TEXT,
        "note": TEXT,
    },
    "intent_id sequence",
)

FILLS = table(
    "fills",
    Fill,
    {
        "fill_id": TEXT,
        "intent_id": TEXT,
        "order_no": TEXT,
        **INSTRUMENT,
        "session": DATE,
        "side": enum_of(Side),
        "quantity": INTEGER,
        "price": DECIMAL,
        "amount": DECIMAL,
        "fee": DECIMAL,
        "tax": DECIMAL,
        "currency": enum_of(Currency),
        "filled_at": TIME,
        "krw_rate": DECIMAL,
    },
    "fill_id",
    numbered=True,
    stored_only=GROUP,
    build=with_instrument(Fill),
)

ADOPTED_LOTS = table(
    "adopted_lots",
    AdoptedLot,
    {
        "lot_id": TEXT,
        **INSTRUMENT,
        "session": DATE,
        "quantity": INTEGER,
        "price": DECIMAL,
        "currency": enum_of(Currency),
        "adopted_at": TIME,
        "note": TEXT,
        "krw_rate": DECIMAL,
    },
    "lot_id",
    stored_only=GROUP,
    build=with_instrument(AdoptedLot),
)

CLOSED_TRADES = table(
    "closed_trades",
    ClosedTrade,
    {
        "closing_id": TEXT,
        "origin": enum_of(PositionOrigin),
        "intent_id": TEXT,
        **INSTRUMENT,
        "session": DATE,
        "quantity": INTEGER,
        "proceeds": DECIMAL,
        "cost": DECIMAL,
        "entry_costs": DECIMAL,
        "exit_costs": DECIMAL,
        "currency": enum_of(Currency),
        "closed_at": TIME,
        "entry_krw": DECIMAL,
        "exit_rate": DECIMAL,
    },
    "closing_id origin",
    stored_only={
        **GROUP,
        "strategy_krw": (DECIMAL, "strategy_krw"),
        "fx_krw": (DECIMAL, "fx_krw"),
    },
    build=with_instrument(ClosedTrade),
)

OBSERVATIONS = table(
    "observations",
    ObservationRow,
    {
        **_MARKET_SESSION,
        "observed_at": (TIME, "at"),
        "symbol": TEXT,
        "fields": (JSON, "values"),
    },
    "market session observed_at symbol",
    moment="observed_at",
)

MATCHES = table(
    "matches",
    MatchRow,
    {
        **_MARKET_SESSION,
        "matched_at": (TIME, "at"),
        "symbol": TEXT,
        "scenario_id": TEXT,
        "kind": TEXT,
        "action": TEXT,
        "confidence": INTEGER,
        "field": TEXT,
        "op": TEXT,
        "threshold": FLOAT,
        "value": FLOAT,
        "distance": FLOAT,
    },
    "market session matched_at symbol scenario_id kind field op",
    moment="matched_at",
)

EQUITY = table(
    "equity",
    EquityPoint,
    {
        **_MARKET_SESSION,
        "observed_at": (TIME, "at"),
        "currency": enum_of(Currency),
        "cash": DECIMAL,
        "holdings_value": DECIMAL,
        "equity": DECIMAL,
        "krw_rate": DECIMAL,
    },
    "market session observed_at currency",
    moment="observed_at",
)

SCORECARDS = table(
    "scorecards",
    Scorecard,
    {
        **_MARKET_SESSION,
        "scored_at": (TIME, "at"),
        **dict.fromkeys(
            ("decisions", "buys", "sells", "holds", "orders", "filled_orders", "refused"), INTEGER
        ),
        **dict.fromkeys(("gross_pnl", "fees", "taxes", "net_pnl"), AMOUNTS),
        "wins": INTEGER,
        "losses": INTEGER,
        **dict.fromkeys(("win_rate_pct", "average_confidence", "match_rate_pct"), FLOAT),
        **dict.fromkeys(("best", "worst", "lessons"), JSON),
        "playbook_source": TEXT,
        "details": JSON,
    },
    "market session scored_at",
    moment="scored_at",
)

BACKUPS = table(
    "backups",
    BackupRecord,
    {
        "backup_id": TEXT,
        "created_at": (TIME, "at"),
        "path": TEXT,
        "bytes": INTEGER,
        "sha256": TEXT,
        "rows": INTEGER,
        "verified": BOOLEAN,
        "note": TEXT,
    },
    "backup_id",
)

PROTECTIONS = table(
    "protections",
    ProtectionRow,
    {
        **_MARKET_SESSION,
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
    "market session symbol updated_at opened_at stop_loss_pct take_profit_pct state peak_price"
    " stop_basis armed trail_atr approached_at blind_since blind_looks",
    build=_protection_row,
    moment="updated_at",
)

# In the order they are written: what others stand on comes first.
RECORD_TABLES: tuple[Table[Any], ...] = (
    PLAYBOOKS,
    DECISIONS,
    DECISION_OUTCOMES,
    DECISION_REVIEWS,
    SCREENED,
    ORDER_INTENTS,
    ORDER_EVENTS,
    SPLITS,
    ADOPTED_LOTS,
    FILLS,
    OBSERVATIONS,
    MATCHES,
    EQUITY,
    HALTS,
    DIFFERENCES,
    DECISION_CYCLES,
    KILL_ROWS,
    OPERATOR_COMMANDS,
    DEPLOYMENT_SWITCHES,
    LLM_RESERVATIONS,
    LLM_TEXTS,
    LLM_CALLS,
    SCORECARDS,
    CONTEXTS,
    BACKUPS,
    *NOTICE_RECORD_TABLES,
    PROTECTIONS,
    *SAFEKEEPING_RECORD_TABLES,
    *SOURCE_RECORD_TABLES,
    *SHADOW_RECORD_TABLES,
)
