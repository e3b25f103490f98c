"""What a series of daily returns and a list of closed trades amount to.

Returns are fractions (0.01 is 1 %), results percentages. Where there is too little to measure the
answer is None, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import numpy as np

SESSIONS_A_YEAR = 252
ENOUGH_RETURNS = 10
"""A Sharpe ratio of fewer daily returns says nothing."""

_ZERO = Decimal(0)


def total_return_pct(returns: Sequence[float]) -> float | None:
    """The compounded return in percent; None without any."""
    return float(np.prod(1 + np.asarray(returns)) - 1) * 100 if len(returns) else None


def max_drawdown_pct(returns: Sequence[float]) -> float | None:
    """The deepest fall from a peak of the compounded curve, its start included, <= 0."""
    if not len(returns):
        return None
    curve = np.concatenate(([1.0], np.cumprod(1 + np.asarray(returns))))
    return float((curve / np.maximum.accumulate(curve) - 1).min()) * 100


def sharpe_ratio(returns: Sequence[float]) -> float | None:
    """Mean over standard deviation (n - 1) of daily returns, annualised by the root of 252.

    The risk-free rate is taken as 0 (Sharpe, Journal of Portfolio Management 21, 1994). None for
    fewer than :data:`ENOUGH_RETURNS` returns, or when they do not vary.
    """
    if len(returns) < ENOUGH_RETURNS:
        return None
    series = np.asarray(returns)
    mean, deviation = float(series.mean()), float(series.std(ddof=1))
    # What rounding leaves of equal returns is not a variation.
    if deviation <= 1e-12 * max(1.0, abs(mean)):
        return None
    return mean / deviation * math.sqrt(SESSIONS_A_YEAR)


@dataclass(frozen=True, slots=True)
class JudgedTrade:
    """A closed trade with what its entry stood on; amounts in its currency.

    ``holding`` is the time from the average purchase to the sale. ``confidence`` (0-100),
    ``scenario_id`` and ``source`` are those of the last entry before it was closed; None and
    empty where no decision of ours is known.
    """

    gross: Decimal
    net: Decimal
    holding: timedelta | None = None
    confidence: int | None = None
    scenario_id: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class TradeStats:
    """Closed trades after costs; amounts in their currency.

    ``win_rate_pct`` = wins / (wins + losses). ``expectancy`` is the mean profit of a trade,
    ``profit_factor`` what the winners made over what the losers lost, None without a loser.
    """

    trades: int
    wins: int
    losses: int
    gross: Decimal
    net: Decimal
    win_rate_pct: float | None
    expectancy: Decimal | None
    profit_factor: float | None
    average_win: Decimal | None
    average_loss: Decimal | None
    average_holding: timedelta | None


def trade_stats(trades: Sequence[JudgedTrade]) -> TradeStats:
    """The statistics of trades in one currency."""
    won = [trade.net for trade in trades if trade.net > 0]
    lost = [trade.net for trade in trades if trade.net < 0]
    made, given = sum(won, _ZERO), sum(lost, _ZERO)
    held = [trade.holding for trade in trades if trade.holding is not None]
    decided = len(won) + len(lost)
    return TradeStats(
        trades=len(trades),
        wins=len(won),
        losses=len(lost),
        gross=sum((trade.gross for trade in trades), _ZERO),
        net=made + given,
        win_rate_pct=len(won) / decided * 100 if decided else None,
        expectancy=(made + given) / len(trades) if trades else None,
        profit_factor=float(made / -given) if lost else None,
        average_win=made / len(won) if won else None,
        average_loss=given / len(lost) if lost else None,
        average_holding=sum(held, timedelta()) / len(held) if held else None,
    )
