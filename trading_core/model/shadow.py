"""Shadow planners as values: who they are, what they planned, and what they would have traded.

A shadow plans on the data of the real planner and is matched tick by tick with money of its own.
No order of it exists: every trade here is made up, at prices that were there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from trading_core.model.journal import EquityPoint
from trading_core.model.market import Currency, Instrument
from trading_core.model.order import (
    Fill,
    IntentReason,
    OrderEvent,
    OrderIntent,
    OrderRecord,
    OrderState,
    OrderType,
    Side,
)
from trading_core.model.playbook import Playbook
from trading_core.model.portfolio import Protection

PURPOSE = "shadow"
"""How the purpose of a shadow's model calls begins in the ledger."""


def is_shadow_call(purpose: str) -> bool:
    """Whether a model call was a shadow's."""
    return purpose.startswith(PURPOSE)


class ShadowKind(StrEnum):
    RULES = "rules"
    GEMINI = "gemini"
    OPENAI = "openai"


@dataclass(frozen=True, slots=True)
class ShadowSpec:
    """A shadow planner as it is configured; ``instructions`` is a file added to its prompt."""

    kind: ShadowKind
    model: str = ""
    instructions: Path | None = None

    @property
    def name(self) -> str:
        """``rules``, ``gemini:gemini-3.5-pro`` or ``openai:qwen3:8b@careful.md``."""
        variant = f"@{self.instructions}" if self.instructions else ""
        return f"{self.kind}:{self.model}{variant}" if self.model else self.kind.value

    @classmethod
    def parse(cls, text: str) -> tuple[ShadowSpec, ...]:
        """Read ``rules,gemini:gemini-3.5-pro@careful.md``; an empty text names none.

        Raises:
            ValueError: an entry is none of these, or is there twice.
        """
        specs = [cls._parse(part.strip()) for part in text.split(",") if part.strip()]
        names = [spec.name for spec in specs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name!r} is named twice")
        return tuple(specs)

    @classmethod
    def _parse(cls, entry: str) -> ShadowSpec:
        if entry == ShadowKind.RULES:
            return cls(ShadowKind.RULES)
        found = re.fullmatch(r"(gemini|openai):([^\s@]+)(?:@(.+))?", entry)
        if found is None:
            raise ValueError(
                f"{entry!r} is not rules, gemini:MODEL or openai:MODEL (a model may be followed by "
                "@FILE, whose text is added to its prompt)"
            )
        file = Path(found[3]).expanduser() if found[3] else None
        return cls(ShadowKind(found[1]), found[2], file)


@dataclass(frozen=True, slots=True)
class ShadowPlan:
    """The playbook of one shadow for one session; the newest of a session counts.

    ``problem`` says why it could not plan; the playbook then holds exits alone. ``cost_usd`` is
    what its model calls cost.
    """

    planner: str
    market: str
    session: date
    at: datetime
    playbook: Playbook
    problem: str = ""
    cost_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class ShadowTrade:
    """Shares a shadow would have traded, whole and at once, at the best price of the other side.

    ``intent_id`` and ``limit_price`` are those of the order the risk gate let pass,
    ``decided_price`` is the last price it was decided at. Prices and costs are in ``currency``.
    """

    planner: str
    intent_id: str
    decision_id: str
    playbook_id: str
    scenario_id: str
    instrument: Instrument
    session: date
    at: datetime
    side: Side
    quantity: int
    price: Decimal
    fee: Decimal
    tax: Decimal
    currency: Currency
    decided_price: Decimal
    limit_price: Decimal | None
    reason: IntentReason
    confidence: int
    stop_loss_pct: float | None = None
    take_profit_pct: float | None = None
    krw_rate: Decimal | None = None

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.price

    @property
    def cash_moved(self) -> Decimal:
        """What it adds to the cash, below zero for a purchase; after costs."""
        traded = self.amount if self.side is Side.SELL else -self.amount
        return traded - self.fee - self.tax

    @property
    def fill(self) -> Fill:
        """The trade as the position book counts it."""
        return Fill(
            fill_id=f"{self.planner}:{self.intent_id}",
            intent_id=self.intent_id,
            order_no="",
            instrument=self.instrument,
            session=self.session,
            side=self.side,
            quantity=self.quantity,
            price=self.price,
            amount=self.amount,
            fee=self.fee,
            tax=self.tax,
            currency=self.currency,
            filled_at=self.at,
            krw_rate=self.krw_rate,
        )

    @property
    def order(self) -> OrderRecord:
        """The order there would have been, filled at once, for the guards of the risk gate."""
        intent = OrderIntent(
            intent_id=self.intent_id,
            decision_id=self.decision_id,
            instrument=self.instrument,
            session=self.session,
            side=self.side,
            quantity=self.quantity,
            order_type=OrderType.MARKET if self.limit_price is None else OrderType.LIMIT,
            limit_price=self.limit_price,
            decided_price=self.decided_price,
            currency=self.currency,
            reason=self.reason,
            created_at=self.at,
        )
        states = (OrderState.INTENDED, OrderState.SENDING, OrderState.FILLED)
        life = tuple(OrderEvent(self.intent_id, n, s, self.at) for n, s in enumerate(states))
        return OrderRecord(intent, OrderState.FILLED, life, self.quantity, self.amount)


@dataclass(frozen=True, slots=True)
class ShadowMark:
    """What a shadow was worth at one look; ``observed`` symbols were seen, ``matched`` of them met
    a scenario (both 0 where only the worth was looked at)."""

    planner: str
    point: EquityPoint
    observed: int = 0
    matched: int = 0

    @property
    def at(self) -> datetime:
        return self.point.at


@dataclass(frozen=True, slots=True)
class ShadowGuard:
    """The guard of a shadow's position after a look that moved it; a symbol's newest counts."""

    planner: str
    market: str
    session: date
    protection: Protection
