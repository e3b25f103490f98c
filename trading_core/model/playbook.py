"""The playbook: what the planner writes before the open and the session executes.

``PlaybookDraft.model_json_schema()`` is what the language model is bound to, so field names and
descriptions here are part of the prompt. Gemini's schema language has no exclusive bounds and
refuses a request that names them, so the two percentages below state theirs inclusively; zero is
still refused when a reply is read.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

StockField = Literal[
    "price",
    "change_pct",
    "gap_pct",
    "range_pct",
    "volume_ratio",
    "rsi",
    "atr_pct",
    "return_5d_pct",
    "return_20d_pct",
    "momentum",
    "breakout_pct",
    "spread_pct",
    "unrealized_pnl_pct",
    "holding_days",
    "minutes_to_close",
]
MarketField = Literal["day_pnl_pct", "cash_pct", "exposure_pct", "index_change_pct"]
Operator = Literal["<", "<=", ">", ">="]


class Outlook(StrEnum):
    BULLISH = "bullish"
    NEUTRAL_TO_BULLISH = "neutral_to_bullish"
    NEUTRAL = "neutral"
    NEUTRAL_TO_BEARISH = "neutral_to_bearish"
    BEARISH = "bearish"


class Action(StrEnum):
    """What a scenario asks for. ``REDUCE`` sells half of a holding, ``SELL`` all of it."""

    BUY = "BUY"
    SELL = "SELL"
    REDUCE = "REDUCE"
    HOLD = "HOLD"


class GlobalAction(StrEnum):
    """What a global rule asks for; ``REDUCE_ALL`` sells every holding of the market."""

    REDUCE_ALL = "REDUCE_ALL"
    NO_ENTRIES = "NO_ENTRIES"


class PlaybookSource(StrEnum):
    GEMINI = "gemini"
    OPENAI = "openai"
    PREVIOUS = "previous"
    RULES = "rules"
    EXIT_ONLY = "exit_only"

    @property
    def is_model(self) -> bool:
        """Whether a language model wrote it for this very session."""
        return self in (PlaybookSource.GEMINI, PlaybookSource.OPENAI)


class RefreshCause(StrEnum):
    """Why a playbook is drafted again while its session is on."""

    MIDDAY = "midday"
    STOP = "stop"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value(cls, value: object) -> object:
        # Pydantic reads true as the number 1, and nobody meant a threshold of 1 by it.
        if isinstance(value, bool):
            raise ValueError("true and false are no values here")
        return value


class Condition(_Strict):
    """``field op value``, compared exactly: a value equal to the bound does not match ``<``."""

    field: StockField
    op: Operator
    value: float


class MarketCondition(_Strict):
    """The same for the fields of the whole market."""

    field: MarketField
    op: Operator
    value: float


StopLossPct = Annotated[
    float,
    Field(lt=0, ge=-100),
    WithJsonSchema({"type": "number", "minimum": -100, "maximum": 0}),
]
TakeProfitPct = Annotated[
    float,
    Field(gt=0),
    WithJsonSchema({"type": "number", "minimum": 0}),
]


class Scenario(_Strict):
    """All conditions must hold (AND). Percentages are of price or cash, not fractions."""

    conditions: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=12)]
    action: Action
    confidence: Annotated[int, Field(ge=0, le=100)]
    allocation_pct: Annotated[float, Field(ge=0, le=100)] = 0.0
    stop_loss_pct: StopLossPct | None = None
    take_profit_pct: TakeProfitPct | None = None
    rationale: Annotated[str, Field(max_length=500)] = ""


class StockPlan(_Strict):
    """Scenarios of one symbol in the order they are tried: the first that matches wins."""

    symbol: Annotated[str, Field(min_length=1, max_length=20)]
    scenarios: Annotated[tuple[Scenario, ...], Field(min_length=1)]


class GlobalRule(_Strict):
    """A rule over the whole market, tried before any scenario."""

    condition: MarketCondition
    action: GlobalAction
    rationale: Annotated[str, Field(max_length=500)] = ""


class PlaybookDraft(_Strict):
    """What a planner writes: this is the schema a language model must fill."""

    outlook: Outlook
    global_rules: tuple[GlobalRule, ...] = ()
    stocks: tuple[StockPlan, ...] = ()


class LintNote(_Strict):
    """One thing that was dropped or repaired, and why: by lint, or as unsafe (``reviewed``).

    A note of kind ``context`` changed nothing: it says what the planner was shown.
    """

    symbol: str
    scenario: int | None
    kind: Literal["dropped", "repaired", "reviewed", "context"]
    reason: str


class Playbook(_Strict):
    """A draft that was linted and stored. ``market`` is a market group code; ``default_action``
    is what happens to a symbol no scenario matched, ``prompt_id`` the hash of the prompt that a
    model answered with it. ``refreshed_for`` says why it took the place of an earlier one of the
    same session."""

    session: date
    market: str
    source: PlaybookSource
    outlook: Outlook
    global_rules: tuple[GlobalRule, ...] = ()
    stocks: tuple[StockPlan, ...] = ()
    default_action: Literal["HOLD"] = "HOLD"
    generated_at: datetime
    model: str = ""
    token_count: int = 0
    notes: tuple[LintNote, ...] = ()
    fallback_reason: str = ""
    prompt_id: str = ""
    refreshed_for: RefreshCause | None = None

    @cached_property
    def playbook_id(self) -> str:
        """A hash of what the playbook says (not of when it was written)."""
        text = self.model_dump_json(exclude={"generated_at", "refreshed_for"})
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def scenario_count(self) -> int:
        return sum(len(stock.scenarios) for stock in self.stocks)

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(stock.symbol for stock in self.stocks)


def scenario_id(symbol: str, index: int) -> str:
    """The name of a scenario inside its playbook: ``005930#0`` is the first of 005930."""
    return f"{symbol}#{index}"
