"""One small, valid record of every type the store keeps; each argument can be replaced.

``from tests.record_factories import make_fill``. Records made with the same arguments are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from trading_core.model.audit import DecisionReview, ScreenedRow
from trading_core.model.decision import DecidedBy, DecisionCycle
from trading_core.model.difference import Difference, DifferenceKind, Severity
from trading_core.model.journal import (
    BackupRecord,
    ContextEntry,
    ContextLayer,
    Decision,
    DecisionOutcome,
    DeploymentSwitch,
    EquityPoint,
    Halt,
    HaltKind,
    KillRow,
    KillStep,
    LlmCall,
    MatchRow,
    Notification,
    ObservationRow,
    ProtectionRow,
    Scorecard,
    StepOutcome,
    SwitchAction,
)
from trading_core.model.language import LlmReservation, LlmText, TextKind
from trading_core.model.market import Currency, Instrument, Market
from trading_core.model.notice import LevelRow, NotifyLevel, Outcome, SendRow
from trading_core.model.operator import CommandState, OperatorCommand
from trading_core.model.order import (
    Fill,
    IntentReason,
    OrderEvent,
    OrderIntent,
    OrderState,
    OrderType,
    Side,
)
from trading_core.model.playbook import (
    Action,
    Condition,
    GlobalAction,
    GlobalRule,
    LintNote,
    MarketCondition,
    Outlook,
    Playbook,
    PlaybookSource,
    Scenario,
    StockPlan,
)
from trading_core.model.portfolio import AdoptedLot, ExitState, Protection, Split, StopBasis
from trading_core.model.safekeeping import (
    BackupCheck,
    BackupUpload,
    Health,
    HealthReason,
    Restore,
    UploadOutcome,
)
from trading_core.model.shadow import ShadowGuard, ShadowMark, ShadowPlan, ShadowTrade
from trading_core.model.sources import (
    EconomicEvent,
    Headline,
    Importance,
    MarketReading,
    SourceAsk,
    SourceKind,
)
from trading_core.ports import Record

SESSION = date(2026, 11, 20)
AT = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
SAMSUNG = Instrument("005930", Market.KR, "삼성전자")
APPLE = Instrument("AAPL", Market.US_NASDAQ, "Apple")
MINUTE = timedelta(minutes=1)


def make_scenario(**changes: Any) -> Scenario:
    values: dict[str, Any] = {
        "conditions": (
            Condition(field="rsi", op="<", value=30.5),
            Condition(field="price", op="<=", value=71_000),
        ),
        "action": Action.BUY,
        "confidence": 85,
        "allocation_pct": 7.5,
        "stop_loss_pct": -3.0,
        "take_profit_pct": 6.0,
        "rationale": "oversold while volume grows",
    }
    return Scenario(**(values | changes))


def make_playbook(**changes: Any) -> Playbook:
    values: dict[str, Any] = {
        "session": SESSION,
        "market": "KR",
        "source": PlaybookSource.GEMINI,
        "outlook": Outlook.NEUTRAL_TO_BULLISH,
        "global_rules": (
            GlobalRule(
                condition=MarketCondition(field="day_pnl_pct", op="<", value=-2.0),
                action=GlobalAction.REDUCE_ALL,
                rationale="a day to step back",
            ),
        ),
        "stocks": (StockPlan(symbol="005930", scenarios=(make_scenario(),)),),
        "generated_at": AT - timedelta(minutes=90),
        "model": "a-model",
        "token_count": 1234,
        "notes": (LintNote(symbol="AAPL", scenario=None, kind="dropped", reason="not listed"),),
    }
    return Playbook(**(values | changes))


def make_decision(**changes: Any) -> Decision:
    values: dict[str, Any] = {
        "decision_id": "decision-1",
        "at": AT,
        "market": "KR",
        "session": SESSION,
        "instrument": SAMSUNG,
        "action": "BUY",
        "confidence": 85,
        "rationale": "rsi 28.1 < 30.5 and price 70,500 <= 71,000",
        "scenario_id": "005930#0",
        "playbook_id": "0123456789abcdef",
        "context_snapshot": {
            "selection_context": {"rsi": 28.1, "volume_ratio": 2.5, "signal": "oversold"},
            "outlook": "중립",
        },
        "input_data": {"price": 70_500.0, "rsi": 28.1, "nested": [1, None, "x"]},
    }
    return Decision(**(values | changes))


def make_outcome(**changes: Any) -> DecisionOutcome:
    values: dict[str, Any] = {
        "decision_id": "decision-1",
        "outcome_pnl": Decimal("-1234.5"),
        "outcome_accuracy": 0.0,
        "at": AT + timedelta(hours=6),
        "note": "sold into strength too late",
    }
    return DecisionOutcome(**(values | changes))


def make_decision_review(**changes: Any) -> DecisionReview:
    values: dict[str, Any] = {
        "decision_id": "decision-1",
        "at": AT + timedelta(hours=8),
        "by": "somebody",
        "note": "the stop was too tight",
    }
    return DecisionReview(**(values | changes))


def make_screened(**changes: Any) -> ScreenedRow:
    values: dict[str, Any] = {
        "market": "KR",
        "session": SESSION,
        "at": AT - timedelta(minutes=90),
        "symbol": "005930",
        "chosen": True,
        "place": 1,
        "score": 61.5,
        "selection": {"rsi": 28.1, "signal": "oversold", "volume_rank": None},
    }
    return ScreenedRow(**(values | changes))


def make_intent(**changes: Any) -> OrderIntent:
    values: dict[str, Any] = {
        "intent_id": "intent-1",
        "decision_id": "decision-1",
        "instrument": SAMSUNG,
        "session": SESSION,
        "side": Side.BUY,
        "quantity": 10,
        "order_type": OrderType.LIMIT,
        "limit_price": Decimal(70_500),
        "decided_price": Decimal(70_400),
        "currency": Currency.KRW,
        "reason": IntentReason.ENTRY,
        "created_at": AT,
    }
    return OrderIntent(**(values | changes))


def make_event(**changes: Any) -> OrderEvent:
    values: dict[str, Any] = {
        "intent_id": "intent-1",
        "sequence": 0,
        "state": OrderState.INTENDED,
        "at": AT,
    }
    return OrderEvent(**(values | changes))


def make_order_life(
    *states: OrderState,
    intent_id: str = "intent-1",
    order_no: str = "0000117057",
    at: datetime = AT,
) -> list[OrderEvent]:
    """Events in these states, a second apart; the broker's number from ``accepted`` on."""
    return [
        OrderEvent(
            intent_id=intent_id,
            sequence=sequence,
            state=state,
            at=at + timedelta(seconds=sequence),
            order_no=order_no if OrderState.ACCEPTED in states[: sequence + 1] else "",
        )
        for sequence, state in enumerate(states)
    ]


def make_fill(**changes: Any) -> Fill:
    """``amount`` is quantity x price unless it is given."""
    values: dict[str, Any] = {
        "fill_id": "fill-1",
        "intent_id": "intent-1",
        "order_no": "0000117057",
        "instrument": SAMSUNG,
        "session": SESSION,
        "side": Side.BUY,
        "quantity": 10,
        "price": Decimal(70_500),
        "fee": Decimal(105),
        "tax": Decimal(0),
        "currency": Currency.KRW,
        "filled_at": AT + MINUTE,
    } | changes
    values.setdefault("amount", values["quantity"] * values["price"])
    return Fill(**values)


def make_lot(**changes: Any) -> AdoptedLot:
    values: dict[str, Any] = {
        "lot_id": "lot-1",
        "instrument": SAMSUNG,
        "session": SESSION,
        "quantity": 3,
        "price": Decimal("68000.5"),
        "currency": Currency.KRW,
        "adopted_at": AT,
        "note": "bought by hand",
    }
    return AdoptedLot(**(values | changes))


def make_split(**changes: Any) -> Split:
    values: dict[str, Any] = {
        "split_id": "split-1",
        "instrument": SAMSUNG,
        "session": SESSION,
        "numerator": 2,
        "denominator": 1,
        "added": 3,
        "at": AT,
    }
    return Split(**(values | changes))


def make_observation(**changes: Any) -> ObservationRow:
    values: dict[str, Any] = {
        "market": "KR",
        "session": SESSION,
        "at": AT,
        "symbol": "005930",
        "values": {"price": 70_500.0, "rsi": 28.125, "spread_pct": None},
    }
    return ObservationRow(**(values | changes))


def make_match(**changes: Any) -> MatchRow:
    values: dict[str, Any] = {
        "market": "KR",
        "session": SESSION,
        "at": AT,
        "symbol": "005930",
        "scenario_id": "005930#0",
        "kind": "near",
        "action": "BUY",
        "confidence": 85,
        "field": "rsi",
        "op": "<",
        "threshold": 30.5,
        "value": 31.0,
        "distance": 0.5,
    }
    return MatchRow(**(values | changes))


def make_equity(**changes: Any) -> EquityPoint:
    values: dict[str, Any] = {
        "market": "KR",
        "session": SESSION,
        "at": AT,
        "currency": Currency.KRW,
        "cash": Decimal(9_000_000),
        "holdings_value": Decimal(1_000_000),
        "equity": Decimal(10_000_000),
    }
    return EquityPoint(**(values | changes))


def make_halt(**changes: Any) -> Halt:
    values: dict[str, Any] = {
        "halt_id": "halt-1",
        "kind": HaltKind.BREAKER,
        "scope": "KRW",
        "reason": "day P&L -3.01 % is below -3.0 %",
        "raised_at": AT,
    }
    return Halt(**(values | changes))


def make_cycle(**changes: Any) -> DecisionCycle:
    values: dict[str, Any] = {
        "market": "KR",
        "session": SESSION,
        "at": AT,
        "decided_by": DecidedBy.PLAYBOOK,
        "candidates": 4,
        "asked": 2,
        "reused": 1,
        "failed": 1,
        "reason": "BudgetExhausted: 20 of 20 calls",
        "seconds": 1.25,
    }
    return DecisionCycle(**(values | changes))


def make_difference(**changes: Any) -> Difference:
    values: dict[str, Any] = {
        "difference_id": "difference-1",
        "kind": DifferenceKind.CASH_MOVED,
        "market": "KR",
        "session": SESSION,
        "at": AT,
        "subject": "KRW",
        "expected": "100, within 3",
        "found": "150.25, by no trade",
        "severity": Severity.WARNING,
        "repaired_by": "none",
        "amount": Decimal("50.25"),
    }
    return Difference(**(values | changes))


def make_kill_row(**changes: Any) -> KillRow:
    values: dict[str, Any] = {
        "kill_id": "kill-1",
        "step": KillStep.CANCEL,
        "market": "KR",
        "attempt": 1,
        "outcome": StepOutcome.FAILED,
        "detail": "the broker is down",
        "at": AT,
    }
    return KillRow(**(values | changes))


def make_operator_command(**changes: Any) -> OperatorCommand:
    values: dict[str, Any] = {
        "command_id": "telegram-101",
        "state": CommandState.DONE,
        "at": AT,
        "actor": "telegram:42",
        "name": "stop",
        "argument": "ALL",
        "detail": "ALL is stopped",
    }
    return OperatorCommand(**(values | changes))


def make_switch(**changes: Any) -> DeploymentSwitch:
    values: dict[str, Any] = {
        "deployment_id": "7b0cf1c8-0000-4000-8000-000000000001",
        "name": "plan/KR",
        "action": SwitchAction.PAUSED,
        "at": AT,
        "halts": ("halt-1", "halt-2"),
    }
    return DeploymentSwitch(**(values | changes))


def make_llm_call(**changes: Any) -> LlmCall:
    values: dict[str, Any] = {
        "call_id": "call-1",
        "at": AT,
        "market": "KR",
        "session": SESSION,
        "model": "a-model",
        "purpose": "plan",
        "outcome": "ok",
        "input_tokens": 4321,
        "output_tokens": 1234,
        "cost_usd": Decimal("0.0123456789"),
        "latency_ms": 2750,
        "prompt_hash": "abc",
        "detail": "",
        "provider": "gemini",
        "cached_tokens": 1000,
        "thinking_tokens": 234,
        "prompt_id": "prompt-1",
        "reply_id": "reply-1",
    }
    return LlmCall(**(values | changes))


def make_llm_reservation(**changes: Any) -> LlmReservation:
    values: dict[str, Any] = {
        "call_id": "call-1",
        "at": AT,
        "until": AT + timedelta(minutes=2),
        "market": "KR",
        "session": SESSION,
        "provider": "gemini",
        "model": "a-model",
        "purpose": "plan",
        "prompt_id": "prompt-1",
        "input_tokens": 4000,
        "most_usd": Decimal("0.31"),
    }
    return LlmReservation(**(values | changes))


def make_llm_text(**changes: Any) -> LlmText:
    values: dict[str, Any] = {
        "text_id": "prompt-1",
        "kind": TextKind.PROMPT,
        "text": '{"turns": [{"role": "user", "text": "오늘의 계획\\n"}]}',
        "at": AT,
    }
    return LlmText(**(values | changes))


def make_scorecard(**changes: Any) -> Scorecard:
    values: dict[str, Any] = {
        "market": "KR",
        "session": SESSION,
        "at": AT + timedelta(hours=6),
        "decisions": 12,
        "buys": 2,
        "sells": 1,
        "holds": 9,
        "orders": 3,
        "filled_orders": 3,
        "refused": 0,
        "gross_pnl": {"KRW": Decimal("15000")},
        "fees": {"KRW": Decimal("210.5")},
        "taxes": {"KRW": Decimal("1080")},
        "net_pnl": {"KRW": Decimal("13709.5")},
        "wins": 1,
        "losses": 0,
        "win_rate_pct": 100.0,
        "average_confidence": 84.5,
        "match_rate_pct": None,
        "best": [{"symbol": "005930", "net": "13709.5"}],
        "worst": [],
        "lessons": ["the stop was never near"],
        "playbook_source": "gemini",
    }
    return Scorecard(**(values | changes))


def make_context(**changes: Any) -> ContextEntry:
    values: dict[str, Any] = {
        "layer": ContextLayer.L3,
        "timeframe": "2026-11-20",
        "key": "net_pnl_KR",
        "value": {"KRW": "13709.5", "trades": 3},
        "at": AT,
    }
    return ContextEntry(**(values | changes))


def make_backup(**changes: Any) -> BackupRecord:
    values: dict[str, Any] = {
        "backup_id": "backup-1",
        "at": AT,
        "path": "backups/2026-11-20.duckdb",
        "bytes": 1_048_576,
        "sha256": "0" * 64,
        "rows": 4321,
        "verified": True,
        "note": "nightly",
    }
    return BackupRecord(**(values | changes))


def make_upload(**changes: Any) -> BackupUpload:
    values: dict[str, Any] = {
        "backup_id": "backup-1",
        "at": AT,
        "place": "s3://bucket/ouroboros",
        "outcome": UploadOutcome.STORED,
        "bytes_sent": 1_048_576,
        "detail": "",
    }
    return BackupUpload(**(values | changes))


def make_check(**changes: Any) -> BackupCheck:
    values: dict[str, Any] = {
        "at": AT,
        "health": Health.DEGRADED,
        "reasons": (HealthReason("age", Health.DEGRADED, "the newest backup is 26 h old"),),
        "newest_id": "backup-1",
        "restored_rows": 4321,
    }
    return BackupCheck(**(values | changes))


def make_restore(**changes: Any) -> Restore:
    values: dict[str, Any] = {
        "restore_id": "restore-1",
        "at": AT,
        "backup_id": "backup-1",
        "backup_at": AT - timedelta(hours=3),
        "source": "backups/2026-11-20.duckdb",
        "sha256": "0" * 64,
        "rows": 4321,
        "safety_copy": "trades.db.before-restore",
    }
    return Restore(**(values | changes))


def make_notification(**changes: Any) -> Notification:
    values: dict[str, Any] = {
        "notification_id": "note-1",
        "at": AT,
        "kind": "fill",
        "level": "info",
        "text": "BUY 005930 10 @ 70,500 filled",
        "delivered": True,
    }
    return Notification(**(values | changes))


def make_send(**changes: Any) -> SendRow:
    values: dict[str, Any] = {
        "notification_id": "note-1",
        "channel": "telegram",
        "outcome": Outcome.SENT,
        "attempts": 2,
        "at": AT,
        "detail": "late",
    }
    return SendRow(**(values | changes))


def make_level(**changes: Any) -> LevelRow:
    values: dict[str, Any] = {"kind": "order_filled", "level": "off", "at": AT, "by": "telegram:42"}
    row = values | changes
    return LevelRow(**(row | {"level": NotifyLevel(row["level"])}))


def make_protection(**changes: Any) -> ProtectionRow:
    """``changes`` to ``market`` and ``session`` go to the row, the rest to its protection."""
    values: dict[str, Any] = {
        "symbol": "005930",
        "stop_loss_pct": -3.0,
        "take_profit_pct": None,
        "state": ExitState.HOLDING,
        "peak_price": Decimal(71_200),
        "updated_at": AT,
        "opened_at": AT - MINUTE,
        "stop_basis": StopBasis.PLANNED,
        "armed": ExitState.BREAK_EVEN,
        "trail_atr": Decimal("1420.5"),
        "approached_at": AT - MINUTE / 2,
        "blind_since": AT - MINUTE / 3,
        "blind_looks": 2,
    } | {name: value for name, value in changes.items() if name not in ("market", "session")}
    return ProtectionRow(
        market=changes.get("market", "KR"),
        session=changes.get("session", SESSION),
        protection=Protection(**values),
    )


def make_headline(title: str = "Samsung ships", **values: Any) -> Headline:
    base: dict[str, Any] = {
        "market": "KR",
        "source": "finnhub",
        "published_at": AT - timedelta(hours=3),
        "fetched_at": AT,
        "symbol": "005930",
        "url": "https://news.test/1",
        "sentiment": 0.25,
        "sentiment_by": "finnhub",
        "publisher": "Wire",
    }
    return Headline(title=title, **(base | values))


def make_reading(name: str = "KOSPI", value: float = 4100.5, **values: Any) -> MarketReading:
    base: dict[str, Any] = {
        "change_pct": None,
        "at": AT - timedelta(hours=5),
        "source": "yahoo",
        "fetched_at": AT,
    }
    return MarketReading(name=name, value=value, **(base | values))


def make_event_due(name: str = "Rate decision", **values: Any) -> EconomicEvent:
    base: dict[str, Any] = {
        "at": AT + timedelta(hours=4),
        "country": "KR",
        "source": "file",
        "fetched_at": AT,
        "importance": Importance.HIGH,
        "forecast": "2.5 %",
    }
    return EconomicEvent(name=name, **(base | values))


def make_ask(**values: Any) -> SourceAsk:
    base: dict[str, Any] = {
        "kind": SourceKind.NEWS,
        "source": "finnhub",
        "market": "KR",
        "at": AT,
        "count": 3,
    }
    return SourceAsk(**(base | values))


def make_shadow_plan(**values: Any) -> ShadowPlan:
    base: dict[str, Any] = {
        "planner": "openai:other",
        "market": "KR",
        "session": SESSION,
        "at": AT,
        "playbook": make_playbook(),
        "problem": "PlannerTimeout: late",
        "cost_usd": Decimal("0.0123"),
    }
    return ShadowPlan(**(base | values))


def make_shadow_trade(**values: Any) -> ShadowTrade:
    base: dict[str, Any] = {
        "planner": "rules",
        "intent_id": "intent-1",
        "decision_id": "decision-1",
        "playbook_id": "playbook-1",
        "scenario_id": "005930#1",
        "instrument": SAMSUNG,
        "session": SESSION,
        "at": AT,
        "side": Side.BUY,
        "quantity": 10,
        "price": Decimal(70_500),
        "fee": Decimal(98),
        "tax": Decimal(0),
        "currency": Currency.KRW,
        "decided_price": Decimal(70_400),
        "limit_price": Decimal(70_500),
        "reason": IntentReason.ENTRY,
        "confidence": 85,
        "stop_loss_pct": -3.5,
        "take_profit_pct": 6.0,
        "krw_rate": Decimal(1),
    }
    return ShadowTrade(**(base | values))


def make_shadow_mark(planner: str = "rules", **values: Any) -> ShadowMark:
    """``observed`` and ``matched`` go to the mark, the rest to its equity point."""
    seen = {name: values.pop(name) for name in ("observed", "matched") if name in values}
    return ShadowMark(planner, make_equity(**values), **({"observed": 4, "matched": 1} | seen))


def make_shadow_guard(planner: str = "rules", **values: Any) -> ShadowGuard:
    row = make_protection(**values)
    return ShadowGuard(planner, row.market, row.session, row.protection)


def one_of_each() -> Sequence[Record]:
    """A record of every type, fit to be appended together."""
    return [
        make_playbook(),
        make_decision(),
        make_outcome(),
        make_decision_review(),
        make_screened(),
        make_intent(),
        make_event(),
        make_split(),
        make_lot(),
        make_fill(),
        make_observation(),
        make_match(),
        make_equity(),
        make_halt(),
        make_difference(),
        make_cycle(),
        make_kill_row(),
        make_operator_command(),
        make_switch(),
        make_llm_call(),
        make_llm_reservation(),
        make_llm_text(),
        make_scorecard(),
        make_context(),
        make_backup(),
        make_upload(),
        make_check(),
        make_restore(),
        make_notification(),
        make_send(),
        make_level(),
        make_protection(),
        make_headline(),
        make_reading(),
        make_event_due(),
        make_ask(),
        make_shadow_plan(),
        make_shadow_trade(),
        make_shadow_mark(),
        make_shadow_guard(),
    ]
