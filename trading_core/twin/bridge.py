"""A minute path for a day of which only open, high, low and close are known.

A Brownian bridge is drawn through four anchors: the open, the two extremes at random minutes and
the close. Each symbol has a random stream of its own, so a path depends on the symbol, the session
and the seed alone, never on what else is on the tape.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from trading_core.model.market import Market
from trading_core.rules.markets import price_increment

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PRICE_DECIMALS = 4
_ROUGHNESS = 0.6


@dataclass(frozen=True, slots=True)
class Bars:
    """Minute bars, each array of shape (symbols, minutes); prices in the market's currency."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Ints


def increments(market: Market, prices: Floats, on: date, *, etf: bool = False) -> Floats:
    """The price increment at each price; NaN where the price is NaN or not above zero.

    Every published table changes its step at prices of at most two significant digits, so one
    look-up in the middle of each two-digit bucket answers for all prices in it.
    """
    result = np.full(prices.shape, np.nan)
    valid = prices > 0
    scale = 10.0 ** (np.floor(np.log10(prices[valid]) + 1e-12) - 1)
    digits = np.clip(np.floor(prices[valid] / scale + 1e-9), 10, 99)
    middles = np.round((digits + 0.5) * scale, 10)
    unique, inverse = np.unique(middles, return_inverse=True)
    steps = [float(price_increment(market, Decimal(str(m)), on, etf=etf)) for m in unique]
    result[valid] = np.array(steps, dtype=np.float64)[inverse] if steps else 0.0
    return result


def common_increment(low: Floats, high: Floats) -> Floats:
    """A step that is on the grid at both prices: the upper one, or its least fitting multiple."""
    step = high.copy()
    for _ in range(10):
        ratio = step / low
        off = np.abs(ratio - np.round(ratio)) > 1e-6
        if not off.any():
            break
        step = np.where(off, step + high, step)
    return step


def snap(prices: Floats, step: Floats) -> Floats:
    """Prices on the nearest multiple of ``step``; both broadcast."""
    return np.asarray(np.round(np.round(prices / step) * step, PRICE_DECIMALS))


def stream(symbol: str, session: date, seed: int) -> np.random.Generator:
    """The random stream of one symbol in one session."""
    return np.random.default_rng([seed, zlib.crc32(symbol.encode()), session.toordinal()])


def bridge_days(
    symbols: Sequence[str],
    session: date,
    seed: int,
    minutes: int,
    prices: tuple[Floats, Floats, Floats, Floats],
    volume: Ints,
    step: Floats,
) -> Bars:
    """Minute bars of many symbols from their day's bars.

    Args:
        minutes: How many bars to make, at least 10.
        prices: Open, high, low and close of the day, each of shape (symbols,).
        volume: Shares of the day, shape (symbols,); the bars' volumes sum to it exactly.
        step: A price increment per symbol. Inner prices lie on its multiples; open, high, low and
            close are the day's own, whether they lie on it or not.
    """
    opened, high, low, close = (p[:, None] for p in prices)
    count = len(symbols)
    walk = np.zeros((count, minutes + 1))
    wiggle = np.empty((count, 2, minutes))
    weight = np.empty((count, minutes))
    anchors = np.empty((count, 4), dtype=np.int64)
    high_first = np.empty((count, 1), dtype=bool)
    shape = _u_shape(minutes)
    for i, symbol in enumerate(symbols):
        rng = stream(symbol, session, seed)
        walk[i, 1:] = np.cumsum(rng.standard_normal(minutes))
        wiggle[i] = rng.integers(0, 3, (2, minutes))
        weight[i] = shape * rng.lognormal(0.0, 0.6, minutes)
        first, second = np.sort(rng.choice(np.arange(1, minutes), 2, replace=False))
        anchors[i] = (0, first, second, minutes)
        # A day that closes up tends to make its low first.
        high_first[i] = rng.random() < (0.3 if close[i, 0] > opened[i, 0] else 0.7)
    early = np.where(high_first, high, low)
    late = np.where(high_first, low, high)
    levels = np.concatenate([opened, early, late, close], axis=1)
    noise = walk - _through(anchors, np.take_along_axis(walk, anchors, axis=1), minutes)
    scale = _ROUGHNESS * (high - low) / np.sqrt(minutes)
    path = np.clip(
        snap(_through(anchors, levels, minutes) + noise * scale, step[:, None]), low, high
    )
    np.put_along_axis(path, anchors, levels, axis=1)
    start, end = path[:, :-1], path[:, 1:]
    wiggle *= step[:, None, None]
    top = snap(np.maximum(start, end) + wiggle[:, 0], step[:, None])
    bottom = snap(np.minimum(start, end) - wiggle[:, 1], step[:, None])
    return Bars(
        open=start.copy(),
        high=np.clip(np.maximum(top, np.maximum(start, end)), low, high),
        low=np.clip(np.minimum(bottom, np.minimum(start, end)), low, high),
        close=end.copy(),
        volume=_share_out(volume, weight),
    )


def _through(anchors: Ints, levels: Floats, minutes: int) -> Floats:
    """Straight lines through (anchor minute, level), one row a symbol."""
    at = np.arange(minutes + 1)[None, :]
    result = np.broadcast_to(levels[:, :1], (len(levels), minutes + 1)).copy()
    for k in range(anchors.shape[1] - 1):
        left, right = anchors[:, k, None], anchors[:, k + 1, None]
        part = (at - left) / np.maximum(right - left, 1)
        line = levels[:, k, None] + part * (levels[:, k + 1, None] - levels[:, k, None])
        result = np.where((at > left) & (at <= right), line, result)
    return result


def _u_shape(minutes: int) -> Floats:
    """Relative volume by minute: busiest after the open, quiet at noon, busier to the close."""
    x = (np.arange(minutes) + 0.5) / minutes
    return np.asarray(0.6 + 2.4 * np.exp(-x / 0.06) + 1.6 * (2 * x - 1) ** 4)


def _share_out(volume: Ints, weight: Floats) -> Ints:
    """Whole shares by weight; cumulative rounding keeps every row's sum exact."""
    cumulative = np.cumsum(weight, axis=1)
    cumulative /= cumulative[:, -1:]
    reached = np.floor(cumulative * volume[:, None]).astype(np.int64)
    reached[:, -1] = volume
    return np.diff(reached, axis=1, prepend=0)
