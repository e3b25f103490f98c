"""Price steps and daily limits against what was really traded in Korea."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from trading_core.model.market import Market
from trading_core.rules.markets import daily_limits, is_on_increment

RAW = Path(__file__).parents[3].parent / "shared" / "data" / "krx_daily_raw.parquet"
FUNDS = {"069500", "102110", "133690", "229200", "360750", "396500"}
COLUMNS = ("open", "high", "low", "close")

pytestmark = pytest.mark.skipif(not RAW.exists(), reason=f"no real prices at {RAW}")


def traded(source: str, start: date, end: date) -> pl.DataFrame:
    """Rows with trades, prices as whole won."""
    return (
        pl.read_parquet(RAW)
        .filter(pl.col("source") == source, pl.col("date").is_between(start, end))
        .filter(pl.col("volume") > 0, pl.col("open") > 0)
        .with_columns(pl.col(*COLUMNS).cast(pl.Int64))
        .sort("symbol", "date")
    )


def off_grid(rows: pl.DataFrame, on: date, *, etf: bool = False) -> set[int]:
    seen = pl.concat([rows[column] for column in COLUMNS]).unique()
    return {p for p in seen if not is_on_increment(Market.KR, Decimal(p), on, etf=etf)}


# Rows of 2026 also hold prints half a step off the grid (orders at the middle of the spread), so
# they say nothing about where a limit order may stand.
@pytest.mark.parametrize("year", [2024, 2025])
def test_stocks_of_the_whole_market_traded_on_the_grid(year: int) -> None:
    rows = traded("FinanceData/marcap", date(year, 1, 1), date(year, 2, 15))
    assert len(rows) > 40_000
    assert off_grid(rows, date(year, 1, 2)) == set()


def test_the_older_steps_held_until_january_2023() -> None:
    rows = traded("jiropark/dw_Strategy", date(2021, 4, 21), date(2023, 1, 24))
    funds = rows.filter(pl.col("symbol").is_in(FUNDS))
    stocks = rows.filter(~pl.col("symbol").is_in(FUNDS))
    assert len(stocks) > 25_000
    assert off_grid(stocks, date(2023, 1, 24)) == set()
    assert off_grid(funds, date(2023, 1, 24)) != set()
    assert off_grid(funds, date(2023, 1, 24), etf=True) == set()


@pytest.mark.parametrize(
    ("column", "sign", "least"), [("high", 1, 600), ("low", -1, 20)], ids=["upper", "lower"]
)
def test_prices_near_a_limit_reach_it_and_never_pass_it(column: str, sign: int, least: int) -> None:
    rows = (
        traded("FinanceData/marcap", date(2024, 1, 1), date(2026, 2, 20))
        .with_columns(
            base=pl.col("close").shift(1).over("symbol"),
            age=pl.col("date") - pl.col("date").shift(1).over("symbol"),
            same=pl.col("shares") == pl.col("shares").shift(1).over("symbol"),
        )
        # Further moves are stocks sold off before delisting, which have no limit.
        .filter(
            pl.col("same"),
            pl.col("age") < timedelta(days=7),
            (sign * (pl.col(column) / pl.col("base") - 1)).is_between(0.29, 0.31),
        )
    )
    reached = passed = 0
    for base, price, on in rows.select("base", column, "date").iter_rows():
        limits = daily_limits(Market.KR, Decimal(base), on)
        assert limits is not None
        limit = limits[0] if sign > 0 else limits[1]
        reached += price == limit
        passed += sign * (price - limit) > 0
    assert passed == 0
    assert reached >= least
