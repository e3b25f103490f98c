"""One price level for a session and the days before it.

Daily files are often adjusted for later splits while minute files are as traded, and a split of
the session itself lies between yesterday's close and today's open. Both would show as a day change
that never happened, so the history is rescaled to the session's level and the change is counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from trading_core.model.market import Market
from trading_core.rules.markets import Rounding, daily_limits, round_to_increment
from trading_core.twin.bridge import Floats, Ints, increments

_STALE_AFTER = np.timedelta64(14, "D")
_LEVEL_TOLERANCE = 0.01
_RATIO_TOLERANCE = 0.03
_UNLIMITED_MOVE = 0.40
_LIMITED_MOVE = 0.31
_SPLIT_RATIOS = (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100, 1.5, 2.5)


@dataclass
class DayHistory:
    """The daily bars of one symbol before the session, oldest first."""

    dates: NDArray[np.datetime64]
    prices: Floats
    """Shape (4, days): open, high, low, close."""
    volume: Ints

    def scaled(self, factor: float) -> DayHistory:
        """Prices times ``factor``, volumes divided by it."""
        volume = np.round(self.volume / factor).astype(np.int64)
        return DayHistory(self.dates, np.round(self.prices * factor, 4), volume)

    def before(self, session: date, count: int) -> DayHistory:
        """The last ``count`` bars before a session; none when even the newest is too old, because
        returns over a hole in the history would be wrong without showing it."""
        end = int(np.searchsorted(self.dates, np.datetime64(session, "D")))
        oldest = np.datetime64(session, "D") - _STALE_AFTER
        rows = slice(max(end - count, 0), end)
        if end == 0 or self.dates[end - 1] < oldest:
            rows = slice(0, 0)
        return DayHistory(self.dates[rows], self.prices[:, rows], self.volume[rows])

    def without_jumps(self, *, limited: bool) -> tuple[DayHistory, int]:
        """Every bar on the level of the newest one, and how many jumps were taken out.

        A jump is an overnight move that is close to a split ratio, or, where daily limits make it
        impossible (``limited``), any move beyond 31 %. Files joined from differently adjusted
        sources have such seams.
        """
        entry = np.where(self.prices[0] > 0, self.prices[0], self.prices[3])
        ratio = entry[1:] / self.prices[3, :-1]
        bound = _LIMITED_MOVE if limited else _UNLIMITED_MOVE
        result, jumps = self, 0
        for t in np.flatnonzero(np.abs(ratio - 1) > bound).tolist():
            factor = split_ratio(float(ratio[t]))
            if factor is None and not limited:
                continue
            scale = np.where(np.arange(len(self.dates)) <= t, factor or float(ratio[t]), 1.0)
            prices = np.round(result.prices * scale, 4)
            volume = np.round(result.volume / scale).astype(np.int64)
            result, jumps = DayHistory(self.dates, prices, volume), jumps + 1
        return result, jumps


def split_ratio(ratio: float) -> float | None:
    """The split an overnight price ratio is close to, as a price factor; None when to none."""
    best = min(
        (r for split in _SPLIT_RATIOS for r in (1 / split, float(split))),
        key=lambda r: abs(ratio / r - 1),
    )
    return best if abs(ratio / best - 1) <= _RATIO_TOLERANCE else None


def level_factor(traded: Floats, daily: Floats) -> float | None:
    """As-traded over adjusted level, from open, high, low and close of the same session.

    The median of the four ratios, because a single one may be wrong (a missing closing auction, a
    bad close). None when they do not agree on one factor.
    """
    ratios = traded / daily
    factor = float(np.median(ratios))
    if abs(factor - 1.0) <= _LEVEL_TOLERANCE:
        return 1.0
    if int((np.abs(ratios / factor - 1.0) < _LEVEL_TOLERANCE).sum()) < 3:
        return None
    return factor


def previous_close(
    market: Market,
    symbol: str,
    session: date,
    history: DayHistory,
    first_price: float,
    etf: bool,
    report: Counter[str],
) -> tuple[float, DayHistory]:
    """The base price of the session on its own level, and the history on that level.

    An overnight jump that no trading could make (beyond the daily limit, or 40 % where there is
    none) and that is close to a split ratio is a split. One that is not leaves the first price as
    the base: the day then starts at a change of zero instead of one that is not true.
    """
    if not len(history.dates):
        report["no_previous_close"] += 1
        return first_price, history
    base = on_grid(market, float(history.prices[3, -1]), session, etf)
    if not np.isfinite(first_price) or _reachable(market, symbol, base, first_price, session, etf):
        return base, history
    factor = split_ratio(first_price / base)
    if factor is not None:
        report["split_on_session"] += 1
        scaled = history.scaled(factor)
        return on_grid(market, float(scaled.prices[3, -1]), session, etf), scaled
    report["base_from_first_price"] += 1
    return first_price, history


def on_grid(market: Market, price: float, on: date, etf: bool) -> float:
    """The nearest price an order could carry."""
    exact = Decimal(repr(round(price, 4)))
    return float(round_to_increment(market, exact, on, Rounding.NEAREST, etf=etf))


def _reachable(market: Market, symbol: str, base: float, price: float, on: date, etf: bool) -> bool:
    limits = daily_limits(market, Decimal(repr(base)), on, etf=etf, symbol=symbol)
    if limits is None:
        return abs(price / base - 1) <= _UNLIMITED_MOVE
    return float(limits[1]) - 1e-9 <= price <= float(limits[0]) + 1e-9


def looks_like_fund(market: Market, prices: Floats, on: date) -> bool:
    """Whether as-traded prices fit the fund grid of a market and not its stock grid.

    A third of the bars off the stock grid tells them apart: funds show about half of theirs and
    more, stocks a few of a hundred (trades at the midpoint of the spread), a fifth at most.
    """
    if not len(prices):
        return False
    return _off_grid(market, prices, on, False) > 1 / 3 and (
        _off_grid(market, prices, on, True) < 1 / 20
    )


def _off_grid(market: Market, prices: Floats, on: date, etf: bool) -> float:
    ratio = prices / increments(market, prices, on, etf=etf)
    return float(np.mean(np.abs(ratio - np.round(ratio)) > 1e-6))
