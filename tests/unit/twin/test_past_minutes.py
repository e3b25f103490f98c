"""Minutes of sessions before the one that is played, and bars as they were traded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.unit.twin.handmade_tape import SESSION, buy, flat, make_tape, minute, venue_on
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import require_session
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.levels import DayHistory
from trading_core.twin.tape import load_tape
from trading_core.twin.venue import AccountSpec

DATA = Path(__file__).parents[4] / "shared" / "data"
YESTERDAY = date(2025, 9, 2)
FAR = datetime(2030, 1, 1, tzinfo=UTC)
needs_prices = pytest.mark.skipif(
    not (DATA / "krx_minute.parquet").is_file(), reason="no real prices in ../shared/data"
)


def minutes_file(path: Path, days: dict[date, float]) -> Path:
    """Ten minutes of one symbol on each day, from a price on."""
    rows = [
        ("KRX", "A", require_session(MarketGroup.KR, day).open_at + timedelta(minutes=n))
        + (price + n,) * 4
        + (100,)
        for day, price in days.items()
        for n in range(10)
    ]
    names = ["market", "symbol", "ts", "open", "high", "low", "close", "volume"]
    pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.col("ts").cast(pl.Datetime("ms", "UTC"))
    ).write_parquet(path)
    return path


def test_minutes_of_an_earlier_session_come_from_the_file(tmp_path):
    path = minutes_file(tmp_path / "m.parquet", {YESTERDAY: 9_000.0, SESSION: 9_500.0})
    tape = load_tape([path], group=MarketGroup.KR, session=SESSION)
    venue = SimulatedExchange(tape, [AccountSpec("1", {})])
    bars = venue.minute_bars("A", session=YESTERDAY, until=FAR)
    opened = require_session(MarketGroup.KR, YESTERDAY).open_at
    assert [b.start_at for b in bars[:10]] == [opened + timedelta(minutes=n) for n in range(10)]
    assert [b.close for b in bars[:10]] == list(range(9_000, 9_010))
    some = venue.minute_bars("A", session=YESTERDAY, until=opened + timedelta(minutes=4))
    assert some == bars[:5]
    assert venue.minute_bars("A", session=YESTERDAY - timedelta(days=1), until=FAR) == []


def test_a_session_without_minutes_is_bridged_from_its_day_the_same_each_time():
    tapes = [make_tape({"A": flat(10_000, 10, 5)}) for _ in range(2)]
    seen = []
    for tape in tapes:
        day = DayHistory(
            np.array([np.datetime64(YESTERDAY)]),
            np.array([[9_900.0], [10_200.0], [9_800.0], [10_000.0]]),
            np.array([50_000]),
        )
        history = replace(
            tape.history, dates=day.dates, open=day.prices[0], high=day.prices[1],
            low=day.prices[2], close=day.prices[3], volume=day.volume,
        )  # fmt: skip
        venue = SimulatedExchange(replace(tape, history=history), [AccountSpec("1", {})])
        seen.append(venue.minute_bars("A", session=YESTERDAY, until=FAR))
    bars = seen[0]
    assert seen[0] == seen[1]
    assert (bars[0].open, bars[-1].close) == (9_900, 10_000)
    assert (max(b.high for b in bars), min(b.low for b in bars)) == (10_200, 9_800)
    assert sum(b.volume for b in bars) == 50_000


def test_a_day_off_the_future_and_an_unknown_symbol_have_no_minutes():
    venue = venue_on({"A": flat(10_000, 10, 5)}, at=minute(3))
    assert venue.minute_bars("A", session=date(2025, 8, 31), until=FAR) == []
    assert venue.minute_bars("A", session=SESSION + timedelta(days=1), until=FAR) == []
    assert venue.minute_bars("ZZZ", session=YESTERDAY, until=FAR) == []


def test_a_session_that_was_played_is_shown_as_it_was():
    venue = venue_on({"A": flat(10_000, 10, 5)}, at=minute(3))
    played = venue.minute_bars("A", session=SESSION, until=FAR)
    assert len(played) == 3
    venue.start_session(make_tape({"A": flat(10_500, 10, 5)}, session=date(2025, 9, 4)))
    again = venue.minute_bars("A", session=SESSION, until=FAR)
    assert again[:3] == played
    assert len(again) == 390


def test_bars_between_two_moments_are_those_that_ended_after_the_one_and_by_the_other():
    venue = venue_on({"A": flat(10_000, 10, 9)}, at=minute(5))
    bars = venue.bars_between("A", after=minute(2), until=minute(4))
    assert [b.start_at for b in bars] == [minute(2), minute(3)]
    assert [b.start_at for b in venue.bars_between("A", after=minute(3), until=FAR)] == [
        minute(3),
        minute(4),
    ]
    assert venue.bars_between("A", after=minute(4), until=minute(4)) == []
    assert venue.bars_between("ZZZ", after=minute(0), until=FAR) == []


def daily_file(path: Path) -> Path:
    """A symbol that was split two for one on the second of September."""
    days = [(date(2025, 8, 29), 20_000.0), (date(2025, 9, 1), 20_200.0), (YESTERDAY, 10_050.0)]
    rows = [("KRX", "A", day, p, p, p, p, 1000) for day, p in [*days, (SESSION, 10_000.0)]]
    names = ["market", "symbol", "date", "open", "high", "low", "close", "volume"]
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(path)
    return path


def test_daily_bars_are_on_one_level_or_as_the_file_has_them(tmp_path):
    path = daily_file(tmp_path / "d.parquet")
    tape = load_tape([path], group=MarketGroup.KR, session=SESSION)
    venue = SimulatedExchange(tape, [AccountSpec("1", {})])
    span = {"start": None, "end": YESTERDAY}
    assert [b.close for b in venue.daily_bars("A", **span)] == [10_000, 10_100, 10_050]
    raw = venue.daily_bars("A", **span, adjusted=False)
    assert [(b.close, b.volume) for b in raw] == [(20_000, 1000), (20_200, 1000), (10_050, 1000)]
    (some,) = venue.daily_bars("A", start=YESTERDAY, end=YESTERDAY, adjusted=False)
    assert some == raw[-1]


@needs_prices
def test_real_minutes_of_the_session_before_are_the_ones_of_the_exchange():
    names = ("krx_minute", "krx_daily")
    paths = [DATA / f"{name}.parquet" for name in names]
    tape = load_tape(paths, group=MarketGroup.KR, session=SESSION, history_sessions=20)
    venue = SimulatedExchange(tape, [AccountSpec("1", {})])
    bars = venue.minute_bars("000660", session=YESTERDAY, until=FAR)
    (day,) = venue.daily_bars("000660", start=YESTERDAY, end=YESTERDAY)
    assert (bars[0].open, bars[-1].close) == (day.open, day.close)
    assert max(b.high for b in bars) == day.high


@needs_prices
def test_a_real_split_shows_in_the_bars_as_traded():
    path = DATA / "krx_daily_raw.parquet"
    tape = load_tape([path], group=MarketGroup.KR, session=date(2022, 4, 20), history_sessions=20)
    venue = SimulatedExchange(tape, [AccountSpec("1", {})])
    before = {"start": date(2022, 4, 4), "end": date(2022, 4, 4)}
    (adjusted,) = venue.daily_bars("042700", **before)
    (traded,) = venue.daily_bars("042700", **before, adjusted=False)
    assert (adjusted.close, traded.close) == (Decimal(17_500), Decimal(35_000))
    after = {"start": date(2022, 4, 6), "end": date(2022, 4, 6)}
    assert venue.daily_bars("042700", **after) == venue.daily_bars(
        "042700", **after, adjusted=False
    )


def test_orders_are_found_by_account_and_session():
    venue = venue_on({"A": flat(10_000, 10, 5)}, at=minute(3))
    venue.place(buy(1, 9_000))
    venue.place(buy(1, 9_000, who="2"))
    venue.start_session(make_tape({"A": flat(10_500, 10, 5)}, session=date(2025, 9, 4)))
    venue.place(buy(2, 9_000))
    rows = venue.orders("1", start=SESSION, end=date(2025, 9, 4))
    assert [(r.session.day, r.order_no, r.quantity) for r in rows] == [(3, 1, 1), (4, 1, 2)]
    assert venue.orders("1", start=date(2025, 9, 5), end=date.max) == []
    assert len(venue.orders("2", start=date.min, end=date.max)) == 1
