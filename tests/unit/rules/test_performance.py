"""Returns and trades measured, with empyrical as the oracle."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_core.rules.performance import (
    ENOUGH_RETURNS,
    JudgedTrade,
    max_drawdown_pct,
    sharpe_ratio,
    total_return_pct,
    trade_stats,
)

empyrical = pytest.importorskip("empyrical")

RETURNS = st.lists(st.floats(-0.3, 0.3).map(lambda x: round(x, 6)), min_size=1, max_size=300)


@given(RETURNS)
def test_return_and_drawdown_are_empyricals(returns: list[float]) -> None:
    series = np.array(returns)
    assert total_return_pct(returns) == pytest.approx(
        empyrical.cum_returns_final(series) * 100, abs=1e-9
    )
    assert max_drawdown_pct(returns) == pytest.approx(
        empyrical.max_drawdown(series) * 100, abs=1e-9
    )


@given(RETURNS.filter(lambda r: len(r) >= ENOUGH_RETURNS and np.ptp(r) > 1e-5))
def test_the_sharpe_ratio_is_empyricals(returns: list[float]) -> None:
    assert sharpe_ratio(returns) == pytest.approx(empyrical.sharpe_ratio(np.array(returns)))


def test_a_worked_example() -> None:
    # 100 -> 110 -> 99 -> 118.8: up 18.8 %, 10 % below the peak at worst.
    returns = [0.1, -0.1, 0.2]
    assert total_return_pct(returns) == pytest.approx(18.8)
    assert max_drawdown_pct(returns) == pytest.approx(-10.0)


def test_a_loss_on_the_first_day_is_a_drawdown_from_the_start() -> None:
    assert max_drawdown_pct([-0.05, 0.01]) == pytest.approx(-5.0)


def test_too_little_says_nothing() -> None:
    assert total_return_pct([]) is None
    assert max_drawdown_pct([]) is None
    assert sharpe_ratio([0.01, -0.01] * 4) is None
    assert sharpe_ratio([0.01] * 50) is None


def make_trade(net: str, minutes: int | None = None) -> JudgedTrade:
    held = None if minutes is None else timedelta(minutes=minutes)
    return JudgedTrade(gross=D(net) + 2, net=D(net), holding=held)


def test_trades_are_counted_after_costs() -> None:
    stats = trade_stats(
        [make_trade("30", 10), make_trade("10", 30), make_trade("-20", 80), make_trade("0")]
    )
    assert (stats.trades, stats.wins, stats.losses) == (4, 2, 1)
    assert stats.win_rate_pct == pytest.approx(200 / 3)
    assert (stats.gross, stats.net, stats.expectancy) == (28, 20, 5)
    assert stats.profit_factor == 2.0
    assert (stats.average_win, stats.average_loss) == (20, -20)
    assert stats.average_holding == timedelta(minutes=40)


def test_without_trades_there_is_no_rate_and_without_losers_no_factor() -> None:
    none = trade_stats([])
    assert (none.trades, none.net) == (0, 0)
    assert (
        none.win_rate_pct is none.expectancy is none.profit_factor is none.average_holding is None
    )
    flat = trade_stats([make_trade("0")])
    assert (flat.trades, flat.wins, flat.losses, flat.win_rate_pct) == (1, 0, 0, None)
    assert trade_stats([make_trade("5")]).profit_factor is None
    assert trade_stats([make_trade("-5")]).profit_factor == 0.0
