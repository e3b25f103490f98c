"""Bars out of parquet files: what is asked for and no more, checked, with every defect counted.

A file holds ``market, symbol, ts | date, open, high, low, close, volume``; ``ts`` is the start of
a one-minute bar (aware UTC), ``date`` the session of a daily bar. Minute files may add ``bid`` and
``ask`` as they stood when the minute ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from trading_core.errors import DataError, UnknownMarket
from trading_core.model.market import Market, MarketGroup
from trading_core.rules.markets import market_of_data_code, price_increment

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")

PRICES = ("open", "high", "low", "close")
_REQUIRED = ("market", "symbol", *PRICES, "volume")


@dataclass(frozen=True)
class Source:
    """One readable file: its lazy rows of one group. ``key`` is ``ts`` or ``date``."""

    path: Path
    key: str
    rows: pl.LazyFrame
    columns: frozenset[str]
    markets: dict[str, Market]


def open_source(path: Path, group: MarketGroup, report: Counter[str]) -> Source:
    """Look at a file's schema and markets; no row is read.

    Raises:
        DataError: missing, not a file, not readable, not parquet, a column missing or of a wrong
            type, no rows, or no rows of the group.
    """
    import polars as pl

    _check_file(path)
    rows = _guarded(path, lambda: pl.scan_parquet(path, glob=False))
    schema = _guarded(path, rows.collect_schema)
    missing = [name for name in _REQUIRED if name not in schema]
    if missing or not {"ts", "date"} & set(schema):
        missing += [] if {"ts", "date"} & set(schema) else ["ts (or date)"]
        raise DataError(f"{path}: no column {', '.join(missing)}; add it or name another file")
    key = "ts" if "ts" in schema else "date"
    _check_types(path, key, dict(schema))
    found = _guarded(path, lambda: rows.select(pl.col("market").unique()).collect())
    codes = [str(code) for code in found["market"].drop_nulls()]
    if not codes:
        raise DataError(f"{path}: holds no rows; name a file with prices")
    markets: dict[str, Market] = {}
    for code in codes:
        try:
            market = market_of_data_code(code)
        except UnknownMarket:
            report["unknown_market_code"] += 1
            continue
        if market.group is group:
            markets[code] = market
    if not markets:
        raise DataError(
            f"{path}: no rows of {group} (its markets are {', '.join(sorted(codes))});"
            f" name a file with {group} prices"
        )
    lazy = rows.filter(pl.col("market").is_in(sorted(markets)))
    return Source(path, key, lazy, frozenset(schema), markets)


def read_daily(
    sources: Sequence[Source],
    report: Counter[str],
    *,
    start: date,
    end: date,
    symbols: Sequence[str] | None = None,
) -> pl.DataFrame | None:
    """Clean daily bars from ``start`` to ``end``, sorted by symbol and date; None without any.

    Rows with open = high = low = 0 and volume 0 are halted sessions and stay.
    """
    import polars as pl

    def wanted(source: Source) -> pl.LazyFrame:
        rows = source.rows.filter(pl.col("date").is_between(start, end))
        if symbols is not None:
            rows = rows.filter(pl.col("symbol").is_in(list(symbols)))
        name = pl.col("name") if "name" in source.columns else pl.lit(None)
        return rows.select(*_REQUIRED, "date", name.cast(pl.String).alias("name"))

    return _read(sources, "date", wanted, report)


def read_minutes(
    sources: Sequence[Source],
    report: Counter[str],
    *,
    start: datetime,
    end: datetime,
    symbols: Sequence[str] | None = None,
) -> pl.DataFrame | None:
    """Clean minute bars that begin in [start, end), sorted by symbol and time; None without any."""
    import polars as pl

    def wanted(source: Source) -> pl.LazyFrame:
        stamp = pl.col("ts")
        rows = source.rows.filter(stamp >= pl.lit(start), stamp < pl.lit(end))
        if symbols is not None:
            rows = rows.filter(pl.col("symbol").is_in(list(symbols)))
        extra = [
            (pl.col(c) if c in source.columns else pl.lit(None)).cast(pl.Float64).alias(c)
            for c in ("bid", "ask")
        ]
        return rows.select(*_REQUIRED, stamp.cast(pl.Datetime("ms", "UTC")), *extra)

    return _read(sources, "ts", wanted, report)


def session_dates(source: Source, zone: str) -> list[date]:
    """Every local date a file has bars of, in order; reads the key column only."""
    import polars as pl

    key = pl.col(source.key)
    if source.key == "ts":
        key = key.dt.convert_time_zone(zone).dt.date()
    days = _guarded(source.path, lambda: source.rows.select(key.unique().sort()).collect())
    return [day for day in days.to_series().to_list() if day is not None]


def _read(
    sources: Sequence[Source],
    key: str,
    wanted: Callable[[Source], pl.LazyFrame],
    report: Counter[str],
) -> pl.DataFrame | None:
    import polars as pl

    frames = []
    for source in sources:
        if source.key != key:
            continue
        frame = _collected(source.path, wanted(source))
        if frame.height:
            code = pl.col("market").replace_strict(
                {k: str(v) for k, v in source.markets.items()}, return_dtype=pl.String
            )
            frames.append(
                frame.with_columns(
                    code,
                    pl.col("symbol").cast(pl.String),
                    *(pl.col(p).cast(pl.Float64) for p in PRICES),
                    pl.col("volume").cast(pl.Float64).fill_nan(None),
                )
            )
    if not frames:
        return None
    return _clean(pl.concat(frames), key, report)


def _clean(frame: pl.DataFrame, key: str, report: Counter[str]) -> pl.DataFrame:
    """Drop or repair rows; counts by reason go to ``report``."""
    import polars as pl

    def keep(rows: pl.DataFrame, reason: str, good: pl.Expr) -> pl.DataFrame:
        left = rows.filter(good)
        if left.height < rows.height:
            report[reason] += rows.height - left.height
        return left

    frame = keep(
        frame, "no_symbol_or_time", pl.col("symbol").is_not_null() & pl.col(key).is_not_null()
    )
    before = frame.height
    frame = frame.unique(subset=["symbol", key], keep="first", maintain_order=True)
    if frame.height < before:
        report["duplicate_row"] += before - frame.height
    o, h, low, c = (pl.col(p) for p in PRICES)
    volume = pl.col("volume")
    halted = (key == "date") & (o == 0) & (h == 0) & (low == 0) & (volume == 0) & (c > 0)
    sound = pl.all_horizontal(
        (pl.col(p).is_finite() & (pl.col(p) > 0)).fill_null(False) for p in PRICES
    )
    frame = keep(frame, "bad_price", halted.fill_null(False) | sound)
    frame = keep(frame, "bad_volume", (volume >= 0).fill_null(False))
    frame = keep(frame, "high_below_low", h >= low)
    frame = frame.with_columns(volume.cast(pl.Int64))
    return _into_range(frame, key, report).sort("symbol", key)


def _into_range(frame: pl.DataFrame, key: str, report: Counter[str]) -> pl.DataFrame:
    """Open or close outside [low, high]: within one increment the range is widened (rounding of
    adjusted prices), beyond it the price is moved to the nearer bound. Both are counted."""
    import polars as pl

    ends = ("open", "close")
    above = pl.max_horizontal(*ends) - pl.col("high")
    below = pl.col("low") - pl.min_horizontal(*ends)
    traded = pl.col("high") > 0
    frame = frame.with_columns(
        pl.when(traded).then(pl.max_horizontal(above, below)).otherwise(0.0).alias("excess")
    )
    off = frame.filter(pl.col("excess") > 1e-9)
    if not off.height:
        return frame.drop("excess")
    days = off[key].to_list() if key == "date" else off[key].dt.date().to_list()
    rows = zip(off["market"], off["high"], days, strict=True)
    steps = np.array([float(price_increment(Market(m), Decimal(repr(h)), d)) for m, h, d in rows])
    within = int((off["excess"].to_numpy() <= steps + 1e-9).sum())
    report["range_widened"] += within
    report["clamped_to_range"] += off.height - within
    limits = off.select("symbol", key, pl.Series("step", steps))
    frame = frame.join(limits, on=["symbol", key], how="left", maintain_order="left")
    small = (pl.col("excess") <= pl.col("step") + 1e-9).fill_null(True)
    high = pl.when(small & traded).then(pl.max_horizontal("high", *ends)).otherwise(pl.col("high"))
    low = pl.when(small & traded).then(pl.min_horizontal("low", *ends)).otherwise(pl.col("low"))
    frame = frame.with_columns(high=high, low=low)
    clamped = [
        pl.when(pl.col("high") > 0)
        .then(pl.col(e).clip("low", "high"))
        .otherwise(pl.col(e))
        .alias(e)
        for e in ends
    ]
    return frame.with_columns(*clamped).drop("excess", "step")


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            if not stream.read(1):
                raise DataError(f"{path}: is empty; name a parquet file with prices")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a directory; name one parquet file") from None
    except PermissionError:
        raise DataError(f"{path}: may not be read by this user; change its permissions") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror})") from None


def _check_types(path: Path, key: str, schema: dict[str, pl.DataType]) -> None:
    import polars as pl

    wrong = [
        f"{name} is {schema[name]}, not a number"
        for name in (*PRICES, "volume")
        if not schema[name].is_numeric()
    ]
    wrong += [
        f"{name} is {schema[name]}, not text"
        for name in ("market", "symbol")
        if schema[name] not in (pl.String, pl.Categorical, pl.Enum)
    ]
    kind = schema[key]
    if key == "date" and kind != pl.Date:
        wrong.append(f"date is {kind}, not a date")
    if key == "ts" and not (isinstance(kind, pl.Datetime) and kind.time_zone is not None):
        wrong.append(f"ts is {kind}, not a time with a zone (UTC)")
    if wrong:
        raise DataError(f"{path}: {'; '.join(wrong)}; convert the column")


def _guarded(path: Path, action: Callable[[], T]) -> T:
    """Any failure of the reader, in one line with the file's name."""
    import polars as pl

    try:
        return action()
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else "no reason"
        raise DataError(f"{path}: is not a readable parquet file ({reason})") from None


def _collected(path: Path, rows: pl.LazyFrame) -> pl.DataFrame:
    return _guarded(path, lambda: rows.collect())


def nearest(days: Iterable[date], wanted: date) -> str:
    """The closest dates around one that is missing, for a message."""
    ordered = sorted(set(days))
    earlier = [day for day in ordered if day < wanted][-1:]
    later = [day for day in ordered if day > wanted][:1]
    return " and ".join(str(day) for day in earlier + later) or "none"
