"""A session's bars on minute columns, read as they are or bridged from daily bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from trading_core.errors import DataError
from trading_core.model.market import Market
from trading_core.rules.calendar import Phase, Session, phase_at
from trading_core.twin.bars import PRICES
from trading_core.twin.bridge import (
    Bars,
    Floats,
    Ints,
    bridge_days,
    common_increment,
    increments,
)

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

MINUTE = 60
_AUCTION_SHARE = 0.06
_LONGEST_AUCTION = 30


def minute_columns(hours: Session, *, auction: bool) -> tuple[Ints, Ints]:
    """Start and end (POSIX seconds) of every minute of a session, without its break."""
    opened, closed = int(hours.open_at.timestamp()), int(hours.close_at.timestamp())
    starts = np.arange(opened, closed, MINUTE, dtype=np.int64)
    if hours.break_start_at is not None and hours.break_end_at is not None:
        pause = int(hours.break_start_at.timestamp()), int(hours.break_end_at.timestamp())
        starts = starts[(starts < pause[0]) | (starts >= pause[1])]
    ends = starts + MINUTE
    if auction:
        starts, ends = np.append(starts, closed), np.append(ends, closed)
    return starts, ends


def closing_auction_minutes(hours: Session) -> int:
    """Minutes before the close without continuous trading; their orders meet in one auction."""
    steps = range(1, _LONGEST_AUCTION + 1)
    return sum(
        phase_at(hours.group, hours.close_at - timedelta(minutes=n)) is Phase.CLOSING_AUCTION
        for n in steps
    )


@dataclass
class Placed:
    """The session's bars on their columns, before the history is known."""

    symbols: list[str]
    markets: list[Market]
    starts: Ints
    ends: Ints
    bars: Bars
    halted: NDArray[np.bool_]
    previous: Floats
    bid: Floats | None = None
    ask: Floats | None = None
    from_minutes: bool = True


def place_minutes(minutes: pl.DataFrame, hours: Session, report: Counter[str]) -> Placed | None:
    """Minute rows of the session on their columns; rows outside it are counted and left out."""
    closed = int(hours.close_at.timestamp())
    stamps = minutes["ts"].dt.epoch("ms").to_numpy()
    seconds = stamps // 1000
    # Elsewhere a bar that begins at the close is the first of the extended hours.
    auction = closing_auction_minutes(hours) > 0 and bool((stamps == closed * 1000).any())
    starts, ends = minute_columns(hours, auction=auction)
    column = np.minimum(np.searchsorted(starts, seconds), len(starts) - 1)
    inside = (starts[column] * 1000) == stamps
    on_grid = (stamps - int(hours.open_at.timestamp()) * 1000) % (MINUTE * 1000) == 0
    for reason, rows in (("not_on_a_minute", ~on_grid), ("outside_session", on_grid & ~inside)):
        if rows.any():
            report[reason] += int(rows.sum())
    if not inside.any():
        return None
    used = minutes.filter(inside)
    column = column[inside]
    steps = np.unique(starts[column] - starts[0])
    if len(steps) > 3 and np.gcd.reduce(steps) > MINUTE:
        raise DataError(
            f"the bars of {hours.date} are {np.gcd.reduce(steps) // MINUTE} minutes apart;"
            " use one-minute or daily bars"
        )
    firsts = used.unique(subset=["symbol"], keep="first", maintain_order=True)
    symbols = firsts["symbol"].to_list()
    row = np.searchsorted(np.array(symbols), used["symbol"].to_numpy())
    shape = (len(symbols), len(starts))
    grids = {}
    for name in (*PRICES, "bid", "ask"):
        grids[name] = np.full(shape, np.nan)
        grids[name][row, column] = used[name].cast(float).fill_null(np.nan).to_numpy()
    volume = np.zeros(shape, dtype=np.int64)
    volume[row, column] = used["volume"].to_numpy()
    close = _carry_forward(grids["close"])
    o, h, low = (np.where(np.isnan(grids[p]), close, grids[p]) for p in PRICES[:3])
    crossed = ~((grids["bid"] > 0) & (grids["bid"] < grids["ask"]))
    quoted = not crossed.all()
    return Placed(
        symbols=symbols,
        markets=[Market(code) for code in firsts["market"]],
        starts=starts,
        ends=ends,
        bars=Bars(o, h, low, close, volume),
        halted=volume.sum(axis=1) == 0,
        previous=np.full(len(symbols), np.nan),
        bid=np.where(crossed, np.nan, grids["bid"]) if quoted else None,
        ask=np.where(crossed, np.nan, grids["ask"]) if quoted else None,
    )


def _carry_forward(values: Floats) -> Floats:
    columns = np.where(np.isnan(values), 0, np.arange(values.shape[1])[None, :])
    return np.asarray(np.take_along_axis(values, np.maximum.accumulate(columns, axis=1), axis=1))


def place_daily(
    daily: pl.DataFrame | None, hours: Session, seed: int, report: Counter[str]
) -> Placed | None:
    """The day's bars bridged to minutes; a day without volume is a halt."""
    import polars as pl

    today = None if daily is None else daily.filter(pl.col("date") == hours.date)
    if today is None or not today.height:
        return None
    symbols = today["symbol"].to_list()
    markets = [Market(code) for code in today["market"]]
    opened, high, low, close = (today[p].to_numpy().copy() for p in PRICES)
    volume = today["volume"].to_numpy().copy()
    halted = volume == 0
    report["halted"] += int(halted.sum())
    bars = bridged(symbols, markets, hours, seed, (opened, high, low, close), volume)
    previous = np.where(halted, close, np.nan)
    starts, ends = minute_columns(hours, auction=closing_auction_minutes(hours) > 0)
    return Placed(symbols, markets, starts, ends, bars, halted, previous, from_minutes=False)


def bridged(
    symbols: Sequence[str],
    markets: Sequence[Market],
    hours: Session,
    seed: int,
    prices: tuple[Floats, Floats, Floats, Floats],
    volume: Ints,
) -> Bars:
    """Minute bars of a whole session from the day's bars; NaN and 0 where the volume is 0.

    Where the exchange closes with an auction, the continuous minutes end on the closing price and
    the auction prints it once more with its share of the volume.
    """
    quiet = closing_auction_minutes(hours)
    starts, _ = minute_columns(hours, auction=False)
    total = len(starts) + (1 if quiet else 0)
    full = [np.full((len(symbols), total), np.nan) for _ in PRICES]
    shares = np.zeros((len(symbols), total), dtype=np.int64)
    rows = np.flatnonzero(volume > 0)
    if len(rows):
        low, high = prices[2][rows], prices[1][rows]
        step = np.empty(len(rows))
        for market in sorted(set(markets)):
            mine = np.array([markets[i] is market for i in rows.tolist()])
            step[mine] = common_increment(
                increments(market, low[mine], hours.date),
                increments(market, high[mine], hours.date),
            )
        auction = (volume[rows] * (_AUCTION_SHARE if quiet else 0.0)).astype(np.int64)
        path = bridge_days(
            [symbols[i] for i in rows.tolist()],
            hours.date,
            seed,
            len(starts) - quiet,
            (prices[0][rows], high, low, prices[3][rows]),
            volume[rows] - auction,
            step,
        )
        made = path.open.shape[1]
        for grid, values in zip(full, (path.open, path.high, path.low, path.close), strict=True):
            grid[rows, :made] = values
            grid[rows, made:] = prices[3][rows, None]
        shares[rows, :made] = path.volume
        if quiet:
            shares[rows, -1] = auction
    return Bars(full[0], full[1], full[2], full[3], shares)
