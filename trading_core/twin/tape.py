"""The tape: one session of minute bars with the daily history before it.

Prices are float64 as traded; the venue turns them into ``Decimal``. A bar that begins at time
``s`` may be seen from ``s + 1 min`` on (the closing auction, which begins at the close, at once).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trading_core.errors import DataError
from trading_core.model.market import Instrument, MarketGroup
from trading_core.rules.calendar import Session, require_session, sessions_between
from trading_core.rules.markets import zone_of
from trading_core.twin import bars as files
from trading_core.twin.bridge import Bars, Floats, Ints
from trading_core.twin.columns import Placed, closing_auction_minutes, place_daily, place_minutes
from trading_core.twin.levels import (
    DayHistory,
    level_factor,
    looks_like_fund,
    previous_close,
)

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

_AROUND = timedelta(hours=8)
"""Extended hours lie within this of the session; their bars are counted, never matched."""


@dataclass(frozen=True)
class History:
    """Daily bars of all symbols in one block; ``offsets[i]:offsets[i + 1]`` are symbol i's rows.

    ``dates`` are datetime64[D] in the exchange's zone, oldest first. A halted session has
    open = high = low = 0.
    """

    offsets: Ints
    dates: NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Ints


@dataclass(frozen=True)
class Tape:
    """What the exchange plays.

    Arrays are (symbols, minutes). ``starts`` and ``ends`` are POSIX seconds of each minute column;
    breaks have no columns, and a closing auction is a column of its own that begins and ends at
    the close. Before a symbol's first bar its prices are NaN; a minute without a bar repeats the
    last price with volume 0. ``report`` counts every row that was dropped or repaired, by reason.

    ``history`` is on the session's price level, splits taken out; ``as_traded`` holds, by row, the
    histories that the file has otherwise. ``sources`` and ``seed`` give minutes of the days before.
    """

    hours: Session
    instruments: tuple[Instrument, ...]
    starts: Ints
    ends: Ints
    bars: Bars
    previous_close: Floats
    halted: NDArray[np.bool_]
    etf: NDArray[np.bool_]
    history: History
    bid: Floats | None = None
    ask: Floats | None = None
    report: dict[str, int] = field(default_factory=dict)
    as_traded: Mapping[int, DayHistory] = field(default_factory=dict)
    sources: tuple[files.Source, ...] = ()
    seed: int = 0

    @property
    def group(self) -> MarketGroup:
        return self.hours.group

    @property
    def session(self) -> date:
        return self.hours.date


def load_tape(
    paths: Sequence[Path],
    *,
    group: MarketGroup,
    session: date,
    history_sessions: int = 120,
    seed: int = 0,
) -> Tape:
    """Read one session of a group from parquet files of minute bars, daily bars or both.

    The universe is every symbol with minute bars in the session; only when no file has minute bars
    of it, every symbol with a daily bar of that date, bridged to minutes. Mixing the two would mix
    as-traded with adjusted prices. Nothing after the session, and of the session nothing but its
    own bars, is read.

    Raises:
        NotASession: the exchange is shut on that date.
        DataError: a file is not usable, or holds nothing of that session.
    """
    hours = require_session(group, session)
    if not paths:
        raise DataError(f"no price file given for {group} {session}; name a parquet file")
    report: Counter[str] = Counter()
    sources = [files.open_source(Path(path), group, report) for path in paths]
    minutes = files.read_minutes(
        sources, report, start=hours.open_at - _AROUND, end=hours.close_at + _AROUND
    )
    placed = None if minutes is None else place_minutes(minutes, hours, report)
    start = session - timedelta(days=int(history_sessions * 1.6) + 14)
    symbols = None if placed is None else placed.symbols
    daily = files.read_daily(sources, report, start=start, end=session, symbols=symbols)
    if placed is None:
        placed = place_daily(daily, hours, seed, report)
    if placed is None:
        raise DataError(_nothing_on(sources, group, session))
    tape = _assemble(placed, daily, sources, hours, history_sessions, report)
    return replace(tape, sources=tuple(sources), seed=seed)


def _assemble(
    placed: Placed,
    daily: pl.DataFrame | None,
    sources: Sequence[files.Source],
    hours: Session,
    history_sessions: int,
    report: Counter[str],
) -> Tape:
    """Join the session's bars with the days before it, on one price level."""
    days = _by_symbol(daily)
    if placed.from_minutes:
        lacking = [
            s
            for s in placed.symbols
            if s not in days or not len(days[s].before(hours.date, 1).dates)
        ]
        start = min(history_sessions, 20)
        days |= _days_from_minutes(sources, lacking, hours, start)
    names = _names(daily)
    today = np.datetime64(hours.date, "D")
    base = placed.previous.copy()
    etf = np.zeros(len(placed.symbols), dtype=bool)
    histories = []
    as_traded: dict[int, DayHistory] = {}
    for i, (symbol, market) in enumerate(zip(placed.symbols, placed.markets, strict=True)):
        known = days.get(symbol, _NO_DAYS)
        traded = known.before(hours.date, history_sessions)
        past, jumps = traded.without_jumps(limited=hours.group is MarketGroup.KR)
        report["history_jump_rescaled"] += jumps
        own = _day_of(placed.bars, i)
        if placed.from_minutes and hours.group is MarketGroup.KR:
            prices = placed.bars.close[i][placed.bars.volume[i] > 0]
            etf[i] = looks_like_fund(market, prices, hours.date)
        if placed.from_minutes and own is not None and (known.dates == today).any():
            same = known.prices[:, known.dates == today][:, 0]
            factor = _factor_to(own, same, report)
            if factor != 1.0:
                past, traded = past.scaled(factor), traded.scaled(factor)
        first = float(placed.previous[i]) if own is None else float(own[0])
        base[i], level = previous_close(
            market, symbol, hours.date, past, first, bool(etf[i]), report
        )
        if jumps or level is not past:
            as_traded[i] = traded
        histories.append(level)
    return Tape(
        hours=hours,
        instruments=tuple(
            Instrument(s, m, names.get(s, ""), bool(fund))
            for s, m, fund in zip(placed.symbols, placed.markets, etf, strict=True)
        ),
        starts=placed.starts,
        ends=placed.ends,
        bars=placed.bars,
        previous_close=base,
        halted=placed.halted,
        etf=etf,
        history=stack(histories),
        bid=placed.bid,
        ask=placed.ask,
        report={reason: count for reason, count in sorted(report.items()) if count},
        as_traded=as_traded,
    )


_NO_DAYS = DayHistory(
    np.empty(0, dtype="datetime64[D]"), np.empty((4, 0)), np.empty(0, dtype=np.int64)
)


def stack(histories: Sequence[DayHistory]) -> History:
    """One block out of the histories of all symbols, in the tape's order."""
    counts = [len(h.dates) for h in histories]
    prices = np.concatenate([h.prices for h in histories], axis=1)
    return History(
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        dates=np.concatenate([h.dates for h in histories]),
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=np.concatenate([h.volume for h in histories]),
    )


def day_history(history: History, row: int) -> DayHistory:
    """The days of one symbol."""
    days = slice(int(history.offsets[row]), int(history.offsets[row + 1]))
    prices = np.stack([p[days] for p in (history.open, history.high, history.low, history.close)])
    return DayHistory(history.dates[days], prices, history.volume[days])


def _factor_to(own: Floats, same: Floats, report: Counter[str]) -> float:
    """From the daily bars' level to the minutes', by the session's own daily bar."""
    factor = level_factor(own, same) if (same > 0).all() else None
    if factor is None:
        report["daily_and_minute_disagree"] += 1
        return 1.0
    if factor != 1.0:
        report["history_rescaled"] += 1
    return factor


def _day_of(bars: Bars, i: int) -> Floats | None:
    """Open, high, low and close of the session's bars; None when nothing was priced."""
    close = bars.close[i][np.isfinite(bars.close[i])]
    if not len(close):
        return None
    opened = bars.open[i][np.isfinite(bars.open[i])][0]
    return np.array([opened, np.nanmax(bars.high[i]), np.nanmin(bars.low[i]), close[-1]])


def _by_symbol(daily: pl.DataFrame | None) -> dict[str, DayHistory]:
    if daily is None or not daily.height:
        return {}
    dates = daily["date"].to_numpy().astype("datetime64[D]")
    prices = np.stack([daily[p].to_numpy() for p in files.PRICES])
    volume = daily["volume"].to_numpy()
    symbols = daily["symbol"].to_numpy()
    edges = np.flatnonzero(np.append(True, symbols[1:] != symbols[:-1]))
    bounds = np.append(edges, len(symbols))
    return {
        str(symbols[a]): DayHistory(dates[a:b], prices[:, a:b], volume[a:b])
        for a, b in pairwise(bounds.tolist())
    }


def _names(daily: pl.DataFrame | None) -> dict[str, str]:
    if daily is None:
        return {}
    named = daily.select("symbol", "name").drop_nulls()
    return dict(zip(named["symbol"].to_list(), named["name"].to_list(), strict=True))


def _days_from_minutes(
    sources: Sequence[files.Source], symbols: Sequence[str], hours: Session, sessions: int
) -> dict[str, DayHistory]:
    """Daily bars of the sessions just before, made of minutes, for symbols without daily bars."""
    if not symbols or sessions <= 0:
        return {}
    first = hours.date - timedelta(days=int(sessions * 1.6) + 7)
    past = [s for s in sessions_between(hours.group, first, hours.date) if s.date < hours.date]
    if not past:
        return {}
    # These rows only give the days before; their defects are not the session's.
    rows = files.read_minutes(
        sources, Counter(), start=past[0].open_at, end=hours.open_at, symbols=symbols
    )
    if rows is None:
        return {}
    import polars as pl

    seconds = rows["ts"].dt.epoch("s").to_numpy()
    opens = np.array([int(s.open_at.timestamp()) for s in past])
    closes = np.array([int(s.close_at.timestamp()) for s in past])
    which = np.searchsorted(opens, seconds, side="right") - 1
    last = closes - (0 if closing_auction_minutes(hours) else 1)
    inside = (which >= 0) & (seconds <= last[which])
    dates = np.array([s.date for s in past], dtype="datetime64[D]")[which]
    grouped = (
        rows.with_columns(pl.Series("date", dates))
        .filter(pl.Series(inside))
        .group_by("symbol", "date", maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
    )
    return _by_symbol(grouped.sort("symbol", "date"))


def _nothing_on(sources: Sequence[files.Source], group: MarketGroup, session: date) -> str:
    zone = zone_of(group)
    dates = [day for source in sources for day in files.session_dates(source, zone)]
    where = ", ".join(str(source.path) for source in sources)
    return (
        f"{where}: no {group} prices on {session}; nearest dates with prices:"
        f" {files.nearest(dates, session)}"
    )
