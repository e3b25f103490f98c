"""Our sessions against the library's own schedules and against days that were really traded."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import exchange_calendars
import polars as pl
import pytest

from trading_core.model.market import Market, MarketGroup
from trading_core.rules import calendar_exceptions as exceptions
from trading_core.rules.calendar import require_session, session_on, sessions_between
from trading_core.rules.markets import market_info, zone_of

DATA = Path(__file__).parents[3].parent / "shared" / "data"


def prices(name: str) -> Path:
    path = DATA / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"no real prices at {path}")
    return path


@pytest.mark.parametrize("year", [2024, 2026])
@pytest.mark.parametrize("market", [m for m in Market if market_info(m).calendar])
def test_sessions_equal_the_library_outside_our_exceptions(market: Market, year: int) -> None:
    group = market.group
    start, end = date(year, 1, 1), date(year, 12, 31)
    name = market_info(market).calendar
    library = exchange_calendars.get_calendar(
        name, start=start.isoformat(), end=end.isoformat()
    ).schedule
    odd = {*exceptions.CLOSED.get(group, {}), *exceptions.HOURS.get(group, {})}
    expected = {}
    for label, opened, break_start, break_end, closed in library.itertuples():
        if label.date() not in odd:
            stamps = (opened, closed, break_start, break_end)
            expected[label.date()] = tuple(
                stamp.to_pydatetime() if stamp == stamp else None for stamp in stamps
            )
    ours = {
        session.date: tuple(session[2:])
        for session in sessions_between(group, start, end)
        if session.date not in odd
    }
    assert ours == expected
    assert len(ours) > 235


@pytest.mark.parametrize(
    ("name", "group", "least", "start", "end", "missing"),
    [
        ("krx_daily", MarketGroup.KR, 100, date(2023, 12, 5), date(2026, 4, 30),
         {date(2025, 9, 19)}),
        ("krx_daily_raw", MarketGroup.KR, 10, date(2021, 4, 21), date(2026, 3, 20), set()),
        ("krx_daily_long", MarketGroup.KR, 10, date(2007, 1, 2), date(2022, 3, 15), set()),
        ("us_daily", MarketGroup.US, 30, date(2016, 1, 4), date(2023, 6, 30), set()),
        ("us_daily", MarketGroup.US, 30, date(2025, 2, 28), date(2025, 10, 31), set()),
        ("jp_daily", MarketGroup.JP, 10, date(2021, 6, 1), date(2025, 11, 28), set()),
        ("hk_daily", MarketGroup.HK, 10, date(2018, 1, 2), date(2024, 12, 31), set()),
        ("cn_daily", MarketGroup.CN, 3, date(2020, 1, 2), date(2025, 9, 30), set()),
        ("vn_daily", MarketGroup.VN, 10, date(2024, 12, 3), date(2025, 11, 28), set()),
    ],
)  # fmt: skip
def test_every_day_with_prices_is_a_session_and_every_session_has_prices(
    name: str, group: MarketGroup, least: int, start: date, end: date, missing: set[date]
) -> None:
    rows = pl.read_parquet(prices(name), columns=["date"]).filter(
        pl.col("date").is_between(start, end)
    )
    counted = rows.group_by("date").len().filter(pl.col("len") >= least)
    traded = set(counted["date"])
    sessions = {session.date for session in sessions_between(group, start, end)}
    assert traded - sessions == set()
    assert sessions - traded == missing


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        (date(2025, 11, 13), "10:00", "16:29"),
        (date(2026, 1, 2), "10:00", "15:30"),
        (date(2025, 11, 14), "09:00", "15:30"),
    ],
)
def test_minute_bars_of_odd_days_fit_the_hours(day: date, first: str, last: str) -> None:
    zone = ZoneInfo(zone_of(MarketGroup.KR))
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    bars = (
        pl.scan_parquet(prices("krx_minute"))
        .filter(pl.col("ts").is_between(midnight, midnight + timedelta(days=1)))
        .select(pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last"))
        .collect()
    )
    seen = [bars[column][0].astimezone(zone) for column in ("first", "last")]
    assert [f"{moment:%H:%M}" for moment in seen] == [first, last]
    session = require_session(MarketGroup.KR, day)
    assert session.open_at == seen[0]
    # The closing auction prints at the close itself.
    assert session.open_at < seen[1] <= session.close_at


def test_no_minute_bar_lies_outside_its_session() -> None:
    zone = ZoneInfo(zone_of(MarketGroup.KR))
    days = (
        pl.scan_parquet(prices("krx_minute"))
        .with_columns(day=pl.col("ts").dt.convert_time_zone(zone.key).dt.date())
        .group_by("day")
        .agg(pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last"))
        .collect()
    )
    late = timedelta(minutes=2)
    for day, first, last in days.iter_rows():
        session = session_on(MarketGroup.KR, day)
        assert session is not None, day
        assert session.open_at <= first, day
        assert last <= session.close_at + late, day
