"""How a position is guarded: hard stop and take profit.

The guard is stored after every tick, so a restart forgets nothing. No exit is ever decided on a
missing or non-positive price, and a gap through the stop is handled in the one step that sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from trading_core.model.order import IntentReason
from trading_core.model.portfolio import ExitState, Protection

DEFAULT_STOP_LOSS_PCT = -3.0
NEAR_STOP_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class ExitSignal:
    """Sell the whole position now; ``detail`` says what was crossed, for a person."""

    reason: IntentReason
    detail: str


@dataclass(frozen=True, slots=True)
class Guard:
    """The outcome of one look at a position."""

    protection: Protection
    signal: ExitSignal | None
    near_stop: bool


def new_protection(
    symbol: str,
    *,
    price: Decimal,
    at: datetime,
    stop_loss_pct: float | None = None,
    take_profit_pct: float | None = None,
) -> Protection:
    """The guard of a position that has just appeared; without a plan the default stop holds."""
    return Protection(
        symbol=symbol,
        stop_loss_pct=stop_loss_pct if stop_loss_pct is not None else DEFAULT_STOP_LOSS_PCT,
        take_profit_pct=take_profit_pct,
        state=ExitState.HOLDING,
        peak_price=price,
        updated_at=at,
    )


def unrealized_pct(average_price: Decimal, last: Decimal) -> float:
    """Last against the average price, in percent; NaN without a usable price of both."""
    if not all(price.is_finite() and price > 0 for price in (average_price, last)):
        return float("nan")
    return float((last / average_price - 1) * 100)


def watch(protection: Protection, *, average_price: Decimal, last: Decimal, at: datetime) -> Guard:
    """Look at one position at one price and say whether to leave it.

    Args:
        protection: The stored guard.
        average_price: What was paid per share, in the market's currency.
        last: The last price; 0, less or not a number is "no data" and decides nothing.
        at: Now, aware UTC.
    """
    pnl = unrealized_pct(average_price, last)
    if pnl != pnl:
        return Guard(protection, None, near_stop=False)
    signal = _signal(protection, pnl)
    moved = replace(
        protection,
        peak_price=max(protection.peak_price, last),
        state=ExitState.EXITING if signal else protection.state,
        updated_at=at,
    )
    near = signal is None and pnl <= protection.stop_loss_pct * NEAR_STOP_SHARE
    return Guard(moved, signal, near_stop=near)


def _signal(protection: Protection, pnl: float) -> ExitSignal | None:
    if pnl <= protection.stop_loss_pct:
        return ExitSignal(
            IntentReason.HARD_STOP,
            f"{pnl:.2f} % is at or below the stop {protection.stop_loss_pct} %",
        )
    target = protection.take_profit_pct
    if target is not None and pnl >= target:
        return ExitSignal(IntentReason.TAKE_PROFIT, f"{pnl:.2f} % reached the target {target} %")
    return None
