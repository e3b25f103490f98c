"""Decisions of a language model about one stock at one moment, and the cycles they are made in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from trading_core.errors import ConfigError
from trading_core.model.market import Instrument
from trading_core.model.playbook import Action
from trading_core.model.price import BookLevel

REALTIME = "realtime"
"""The scenario id of what was decided in a cycle; no playbook holds such a scenario."""


@dataclass(frozen=True, slots=True)
class TradeDecision:
    """What to do with one symbol now: BUY, SELL (all that is held) or HOLD.

    ``confidence`` is 0-100. ``stop_loss_pct`` < 0 and ``take_profit_pct`` > 0 are in percent of
    the entry price, ``allocation_pct`` in percent of cash; 0 names none. ``reason`` says why it
    had to be HOLD, empty when the model wanted what stands here. ``prompt_id`` is the ledger's id
    of the prompt, ``prompt_hash`` the hash of its text.
    """

    symbol: str
    action: Action
    confidence: int
    rationale: str = ""
    stop_loss_pct: float | None = None
    take_profit_pct: float | None = None
    allocation_pct: float = 0.0
    reason: str = ""
    model: str = ""
    prompt_hash: str = ""
    prompt_id: str = ""

    def held_back(self, reason: str) -> TradeDecision:
        """HOLD in its place, for a reason; what the model said of it stays."""
        return replace(self, action=Action.HOLD, reason=reason)


def no_decision(symbol: str, reason: str) -> TradeDecision:
    """HOLD with confidence 0, where no usable decision could be had."""
    return TradeDecision(symbol, Action.HOLD, 0, reason=reason)


@dataclass(frozen=True, slots=True)
class DecisionInputs:
    """What a decision about one instrument stands on; prices in the market's currency.

    ``fields`` are those of a playbook by name, NaN for "no data". ``ask`` and ``bid`` are the top
    of the order book, None where it is not known. ``held`` counts shares, ``average_price`` is
    what they cost. ``cash_pct`` is the part of the equity that is cash, NaN when it is not known.
    ``recent`` are earlier decisions about it, oldest first.
    """

    instrument: Instrument
    at: datetime
    price: Decimal
    fields: Mapping[str, float]
    ask: BookLevel | None = None
    bid: BookLevel | None = None
    held: int = 0
    average_price: Decimal = Decimal(0)
    cash_pct: float = math.nan
    recent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opinion:
    """A decision and what it was made on."""

    inputs: DecisionInputs
    decision: TradeDecision


class DecidedBy(StrEnum):
    """Who a cycle left the entries to."""

    MODEL = "model"
    PLAYBOOK = "playbook"


@dataclass(frozen=True, slots=True)
class DecisionCycle:
    """One round of asking about the candidates of a market; a row of ``decision_cycles``.

    ``market`` is a market group code. ``candidates`` were looked at, ``asked`` of the model,
    ``reused`` of an earlier cycle because nothing had changed, ``failed`` without a usable
    decision. ``reason`` is why the playbook took over, or why less was asked than was to be.
    ``seconds`` is real time.
    """

    market: str
    session: date
    at: datetime
    decided_by: DecidedBy
    candidates: int = 0
    asked: int = 0
    reused: int = 0
    failed: int = 0
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RealtimePolicy:
    """How decisions are asked for while a session is on.

    ``is_on`` is realtime mode; else they are only the last resort of a session without a plan.
    ``every`` is the time between two cycles, of which asking takes at most ``cycle_seconds`` of
    real time and one call ``call_seconds``. ``top_n`` candidates are looked at besides holdings,
    ``at_once`` are asked about at the same time. An answer serves for ``keep`` while nothing
    changes, and only within ``moved_pct`` of the price it was given at.

    Raises:
        ConfigError: a value is out of its range.
    """

    is_on: bool = False
    every: timedelta = timedelta(seconds=60)
    top_n: int = 3
    call_seconds: float = 20.0
    cycle_seconds: float = 45.0
    at_once: int = 3
    max_output_tokens: int = 4096
    keep: timedelta = timedelta(minutes=15)
    moved_pct: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.call_seconds <= self.cycle_seconds < self.every.total_seconds():
            raise ConfigError(
                f"call_seconds={self.call_seconds}, cycle_seconds={self.cycle_seconds}: must be "
                f"above 0, in this order, and below a cycle of {self.every.total_seconds():g} s"
            )
        if self.top_n < 1 or self.at_once < 1:
            raise ConfigError(f"top_n={self.top_n}, at_once={self.at_once}: must be at least 1")
