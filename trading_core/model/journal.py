"""What is written down: decisions, matches, halts, equity, LLM calls, scorecards, memory.

Every class here is one row of one table. Rows are appended, never edited; ids are made from what
the row is about, so writing the same row twice leaves one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from trading_core.model.market import Currency, Instrument
from trading_core.model.portfolio import Account, Protection

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ObservationRow:
    """One symbol in one tick; ``values`` holds the playbook fields, None for "no data"."""

    market: str
    session: date
    at: datetime
    symbol: str
    values: Json


@dataclass(frozen=True, slots=True)
class MatchRow:
    """How one symbol met its scenarios in one tick.

    ``kind`` is ``first`` (the one acted on), ``also`` (matched too, later in order), ``global`` (a
    market rule) or ``near``: the nearest miss, with ``distance`` saying by how much.
    """

    market: str
    session: date
    at: datetime
    symbol: str
    scenario_id: str
    kind: str
    action: str
    confidence: int
    field: str = ""
    op: str = ""
    threshold: float | None = None
    value: float | None = None
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision with everything it stood on; a row of ``decision_logs``.

    ``market`` is a market group code, ``prompt_id`` the hash of the prompt that the playbook
    answered, empty where no model wrote it.
    """

    decision_id: str
    at: datetime
    market: str
    session: date
    instrument: Instrument
    action: str
    confidence: int
    rationale: str
    scenario_id: str = ""
    playbook_id: str = ""
    context_snapshot: Json = field(default_factory=dict)
    input_data: Json = field(default_factory=dict)
    prompt_id: str = ""


@dataclass(frozen=True, slots=True)
class DecisionOutcome:
    """What became of a decision; ``accuracy`` is 1 when the closed trade made money after costs.

    ``note`` is the reviewer's remark, shown as ``review_notes``.
    """

    decision_id: str
    outcome_pnl: Decimal
    outcome_accuracy: float
    at: datetime
    note: str = ""


class HaltKind(StrEnum):
    BREAKER = "breaker"
    OPERATOR = "operator"
    UNKNOWN_ORDER = "unknown_order"
    INVARIANT = "invariant"
    WATCHDOG = "watchdog"
    KILL = "kill"
    RESTORE = "restore"


class HaltLevel(StrEnum):
    """``REDUCING``: no entries, what reduces risk still goes. ``HALTED``: nothing new is sent at
    all, stops neither; only a person's word makes it."""

    REDUCING = "reducing"
    HALTED = "halted"


@dataclass(frozen=True, slots=True)
class Halt:
    """No entries while it stands. ``scope`` is a market group code, a currency or ``ALL``.

    Only a person lifts it (a watchdog its own, once what it watches is well again): ``lifted_at``
    and ``lifted_by`` stay empty until then. ``accepted_pnl_pct`` is the day's P&L in percent that
    stood when a person lifted a breaker, ``accepted_on`` the session it was measured in.
    """

    halt_id: str
    kind: HaltKind
    scope: str
    reason: str
    raised_at: datetime
    lifted_at: datetime | None = None
    lifted_by: str = ""
    level: HaltLevel = HaltLevel.REDUCING
    accepted_pnl_pct: Decimal | None = None
    accepted_on: date | None = None


class KillStep(StrEnum):
    """What the kill switch does, in this order."""

    BLOCK = "block"
    CANCEL = "cancel"
    REFRESH = "refresh"
    REDUCE = "reduce"
    SNAPSHOT = "snapshot"
    NOTIFY = "notify"


class StepOutcome(StrEnum):
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class KillRow:
    """How one try of one step of a kill switch ended.

    ``kill_id`` is the id of the halt that the switch raised. ``market`` is a market group code,
    empty for a step that is about none. ``attempt`` counts the tries of the step from 1.
    """

    kill_id: str
    step: KillStep
    market: str
    attempt: int
    outcome: StepOutcome
    detail: str
    at: datetime

    @property
    def label(self) -> str:
        """``cancel KR``, or ``snapshot``."""
        return f"{self.step} {self.market}".strip()


class SwitchAction(StrEnum):
    PAUSED = "paused"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class DeploymentSwitch:
    """The system paused a deployment of the orchestrator because of halts, or let it go on.

    ``halts`` are the ids of the halts that stood for it.
    """

    deployment_id: str
    name: str
    action: SwitchAction
    at: datetime
    halts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """One currency of the account at one moment. The first of a session is the breaker's base.

    ``krw_rate`` is the broker's won for one unit of the currency; None when it is not known.
    """

    market: str
    session: date
    at: datetime
    currency: Currency
    cash: Decimal
    holdings_value: Decimal
    equity: Decimal
    krw_rate: Decimal | None = None

    @classmethod
    def of(cls, account: Account, market: str, session: date, at: datetime) -> EquityPoint:
        """Where an account stands, as a row of the session of a market group."""
        return cls(
            market=market,
            session=session,
            at=at,
            currency=account.currency,
            cash=account.cash,
            holdings_value=account.equity - account.cash,
            equity=account.equity,
            krw_rate=account.krw_rate,
        )


@dataclass(frozen=True, slots=True)
class LlmCall:
    """One call of a language model: what it cost and how it ended.

    ``outcome`` is ``ok``, the name of an error, or ``reused``: an earlier reply to the same prompt
    was taken, nothing was called and nothing is paid. ``cached_tokens`` are part of the input,
    ``thinking_tokens`` of the output. ``prompt_id`` and ``reply_id`` name the stored texts.
    """

    call_id: str
    at: datetime
    market: str
    session: date
    model: str
    purpose: str
    outcome: str
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    latency_ms: int
    prompt_hash: str
    detail: str = ""
    provider: str = ""
    cached_tokens: int = 0
    thinking_tokens: int = 0
    prompt_id: str = ""
    reply_id: str = ""


@dataclass(frozen=True, slots=True)
class Scorecard:
    """One session of one market group, scored. Percentages are 0-100; money per currency.

    ``win_rate_pct`` = wins / (wins + losses) of closed trades, None without any. ``details``
    holds the parts of the review that have a name of their own: coverage, slippage, stops,
    calibration, llm, movers.
    """

    market: str
    session: date
    at: datetime
    decisions: int
    buys: int
    sells: int
    holds: int
    orders: int
    filled_orders: int
    refused: int
    gross_pnl: dict[str, Decimal]
    fees: dict[str, Decimal]
    taxes: dict[str, Decimal]
    net_pnl: dict[str, Decimal]
    wins: int
    losses: int
    win_rate_pct: float | None
    average_confidence: float | None
    match_rate_pct: float | None
    best: list[Json]
    worst: list[Json]
    lessons: list[str]
    playbook_source: str
    details: Json = field(default_factory=dict)


class ContextLayer(StrEnum):
    """The seven layers of memory, as the system's users know them."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"
    L5 = "L5"
    L6 = "L6"
    L7 = "L7"


@dataclass(frozen=True, slots=True)
class ContextEntry:
    """One remembered value; unique by (layer, timeframe, key). ``value`` is JSON."""

    layer: ContextLayer
    timeframe: str
    key: str
    value: Any
    at: datetime


@dataclass(frozen=True, slots=True)
class BackupRecord:
    """One backup: where it lies, what it weighs, and whether opening it again worked."""

    backup_id: str
    at: datetime
    path: str
    bytes: int
    sha256: str
    rows: int
    verified: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """Something a person is told. ``level`` is its severity: ``info``, ``warning`` or ``critical``.

    ``delivered`` says that this process could show it; ``channels`` are those it is to go out on
    besides (``model.notice.SendRow`` says what became of it there). ``picture`` says what is drawn
    to it when it goes out, such as ``equity KR 2026-01-05``; empty for none.
    """

    notification_id: str
    at: datetime
    kind: str
    level: str
    text: str
    delivered: bool = False
    channels: tuple[str, ...] = ()
    picture: str = ""


@dataclass(frozen=True, slots=True)
class ProtectionRow:
    """The guard of one position after a tick; the newest row of a symbol counts."""

    market: str
    session: date
    protection: Protection
