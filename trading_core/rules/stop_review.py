"""How the exits of a session behaved: where each stop stood, and where the shares really went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trading_core.model.journal import Json
from trading_core.model.order import Fill, IntentReason, OrderRecord, Side
from trading_core.model.portfolio import PositionOrigin, Protection
from trading_core.rules.positions import ClosedTrade


@dataclass(frozen=True, slots=True)
class ExitOutcome:
    """One closed trade of the strategy.

    ``result_pct`` is the sale against the cost, before fees, in percent; ``stop_pct`` where the
    hard stop stood, in percent of the average price, None when it is not known any more.
    ``bought_at`` is the last purchase before it.
    """

    symbol: str
    reason: IntentReason
    result_pct: float
    stop_pct: float | None
    bought_at: datetime | None
    closed_at: datetime

    @property
    def held(self) -> timedelta | None:
        return self.closed_at - self.bought_at if self.bought_at else None

    @property
    def is_stop(self) -> bool:
        """Whether a stop sold it, at a loss or pulled up."""
        return self.reason in (IntentReason.HARD_STOP, IntentReason.BREAK_EVEN, IntentReason.TRAIL)

    @property
    def overshoot_pct(self) -> float | None:
        """How far beyond its hard stop the position was left, in points; 0 for none."""
        if self.stop_pct is None or self.reason is not IntentReason.HARD_STOP:
            return None
        return max(0.0, self.stop_pct - self.result_pct)


def exit_outcomes(
    closed: Sequence[ClosedTrade],
    orders: Sequence[OrderRecord],
    fills: Sequence[Fill],
    guards: Mapping[str, Protection],
) -> tuple[ExitOutcome, ...]:
    """One row per closed trade whose order is known.

    Args:
        closed: The trades to look at; those of adopted shares are left out.
        orders: Where their exits are found.
        fills: All that may have opened them.
        guards: The newest guard of each symbol.
    """
    reasons = {record.intent.intent_id: record.intent.reason for record in orders}
    found = []
    for trade in closed:
        if trade.origin is not PositionOrigin.STRATEGY or trade.intent_id not in reasons:
            continue
        bought = [
            fill.filled_at
            for fill in fills
            if fill.side is Side.BUY
            and fill.instrument == trade.instrument
            and fill.filled_at <= trade.closed_at
        ]
        guard = guards.get(trade.instrument.symbol)
        if guard and guard.opened_at and guard.opened_at > trade.closed_at:
            guard = None
        found.append(
            ExitOutcome(
                symbol=trade.instrument.symbol,
                reason=reasons[trade.intent_id],
                result_pct=float(trade.gross / trade.cost * 100) if trade.cost else 0.0,
                stop_pct=guard.stop_loss_pct if guard else None,
                bought_at=max(bought, default=None),
                closed_at=trade.closed_at,
            )
        )
    return tuple(found)


def stop_summary(exits: Sequence[ExitOutcome]) -> Json:
    """Exits by reason, and for hard stops how far beyond them the shares went."""
    beyond = [e for e in exits if e.overshoot_pct is not None]
    worst = max(beyond, key=lambda e: (e.overshoot_pct or 0.0, e.symbol), default=None)
    return {
        "exits": dict(Counter(e.reason.value for e in exits)),
        "hard_stops": len(beyond),
        "worst_overshoot_pct": round(worst.overshoot_pct or 0.0, 3) if worst else None,
        "worst_symbol": worst.symbol if worst else None,
    }
