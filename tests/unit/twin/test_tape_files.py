"""What a price file may hold, and what is said about one that is no use."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trading_core.errors import DataError, NotASession
from trading_core.model.market import Currency, MarketGroup
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.tape import Tape, load_tape
from trading_core.twin.venue import AccountSpec

KR = MarketGroup.KR
DAY = date(2025, 9, 3)
OPEN = datetime(2025, 9, 3, 0, 0, tzinfo=UTC)


def daily(**changes: object) -> dict[str, object]:
    row = {
        "market": "KRX", "symbol": "A", "date": DAY, "open": 10_000.0, "high": 10_500.0,
        "low": 9_900.0, "close": 10_200.0, "volume": 50_000,
    }  # fmt: skip
    return row | changes


def bar(minute: int, price: float = 10_000.0, **changes: object) -> dict[str, object]:
    row = {
        "market": "KRX", "symbol": "A", "ts": OPEN + timedelta(minutes=minute), "open": price,
        "high": price, "low": price, "close": price, "volume": 100,
    }  # fmt: skip
    return row | changes


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    return path


def history(close: float = 10_000.0, days: int = 5, **changes: object) -> list[dict[str, object]]:
    dates = [date(2025, 8, 25) + timedelta(days=n) for n in range(days)]
    prices = {"open": close, "high": close, "low": close, "close": close}
    return [daily(date=day, **prices, **changes) for day in dates]


def load(*paths: Path, session: date = DAY, **options: object) -> Tape:
    return load_tape(paths, group=KR, session=session, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"symbol": "A", "date": DAY}], "no column market"),
        ([{k: v for k, v in daily().items() if k != "date"}], "ts (or date)"),
        ([daily(open="10000")], "open is String, not a number"),
        ([daily(date="2025-09-03")], "date is String, not a date"),
        ([bar(0, ts=OPEN.replace(tzinfo=None))], "not a time with a zone"),
        ([daily(market="XNYS")], "no rows of KR"),
        ([daily(date=date(2025, 9, 1)), daily(date=date(2025, 9, 5))], "2025-09-01 and 2025-09-05"),
        ([bar(5 * n) for n in range(20)], "5 minutes apart"),
    ],
)
def test_an_unusable_file_is_named_with_the_reason_in_one_line(tmp_path, rows, words):
    with pytest.raises(DataError) as caught:
        load(write(tmp_path / "prices.parquet", rows))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_that_is_no_parquet_file_is_refused(tmp_path):
    text = tmp_path / "text.parquet"
    text.write_text("market,symbol\n")
    nothing = tmp_path / "nothing.parquet"
    nothing.touch()
    no_rows = tmp_path / "no_rows.parquet"
    pl.DataFrame([daily()]).clear().write_parquet(no_rows)
    for path, words in (
        (tmp_path / "absent.parquet", "no such file"),
        (tmp_path, "is a directory"),
        (nothing, "is empty"),
        (text, "not a readable parquet file"),
        (no_rows, "holds no rows"),
    ):
        with pytest.raises(DataError, match=words):
            load(path)
    with pytest.raises(DataError, match="no price file given"):
        load()


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "prices.parquet", [daily()])

    def forbidden(*_: object) -> None:
        raise PermissionError

    # Modes would not stop a test that runs as root.
    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(DataError, match="may not be read"):
        load(path)


def test_a_holiday_is_not_a_session(tmp_path):
    path = write(tmp_path / "prices.parquet", [daily()])
    with pytest.raises(NotASession):
        load(path, session=date(2025, 9, 6))


def test_bad_rows_are_dropped_or_repaired_and_counted(tmp_path):
    rows = [
        *history(),
        daily(),
        daily(open=1.0),
        daily(symbol="NAN", close=float("nan")),
        daily(symbol="NEG", low=-5.0),
        daily(symbol="NUL", open=None),
        daily(symbol="UPSIDE", high=9_000.0),
        daily(symbol="NOVOL", volume=-1),
        daily(symbol="ROUNDED", close=10_510.0),
        daily(symbol="WRONG", close=12_000.0),
        daily(symbol=None),
        daily(symbol="HALT", open=0.0, high=0.0, low=0.0, volume=0),
    ]
    tape = load(write(tmp_path / "prices.parquet", rows))
    counted = {k: v for k, v in tape.report.items() if k != "no_previous_close"}
    assert counted == {
        "duplicate_row": 1,
        "bad_price": 3,
        "high_below_low": 1,
        "bad_volume": 1,
        "range_widened": 1,
        "clamped_to_range": 1,
        "no_symbol_or_time": 1,
        "halted": 1,
    }
    symbols = [item.symbol for item in tape.instruments]
    assert symbols == ["A", "HALT", "ROUNDED", "WRONG"]
    assert tape.bars.open[0, 0] == 10_000
    assert tape.bars.high[2].max() == 10_510
    assert tape.bars.close[3, -1] == 10_500
    assert tape.halted.tolist() == [False, True, False, False]
    assert tape.previous_close[1] == 10_200


def test_minute_bars_of_the_session_decide_who_is_traded(tmp_path):
    minutes = write(tmp_path / "minutes.parquet", [bar(n) for n in range(9)])
    days = write(tmp_path / "days.parquet", [*history(), daily(symbol="B"), daily(symbol="A")])
    tape = load(minutes, days)
    assert [item.symbol for item in tape.instruments] == ["A"]
    assert len(load(days).instruments) == 2


def test_history_ends_before_the_session(tmp_path):
    rows = [*history(), daily(), daily(date=date(2025, 9, 4), open=1.0, low=1.0)]
    tape = load(write(tmp_path / "days.parquet", rows))
    assert tape.history.dates.max() < np.datetime64(DAY)
    venue = SimulatedExchange(tape, [AccountSpec("1", {Currency.KRW: 1})])  # type: ignore[dict-item]
    bars = venue.daily_bars("A", start=None, end=date(2026, 1, 1))
    assert max(b.session for b in bars) < DAY
    venue.advance_to(tape.hours.close_at)
    formed = venue.daily_bars("A", start=DAY, end=DAY)[0]
    assert (formed.open, formed.high, formed.low) == (10_000, 10_500, 9_900)
    assert (formed.close, formed.volume) == (10_200, 50_000)


def test_bars_outside_the_session_are_counted_and_left_out(tmp_path):
    rows = [bar(-30, 1.0), *(bar(n) for n in range(5)), bar(395, 1.0), bar(390, 10_100.0)]
    half = bar(3, ts=OPEN + timedelta(seconds=200))
    tape = load(write(tmp_path / "minutes.parquet", [*rows, half]))
    assert tape.report["outside_session"] == 2
    assert tape.report["not_on_a_minute"] == 1
    assert np.nanmin(tape.bars.low) == 10_000
    assert tape.starts[-1] == tape.ends[-1]
    assert tape.bars.close[0, -1] == 10_100


def test_adjusted_history_is_brought_to_the_level_of_the_minutes(tmp_path):
    minutes = write(tmp_path / "minutes.parquet", [bar(n, 30_000.0) for n in range(9)])
    same = {"open": 10_000.0, "high": 10_000.0, "low": 10_000.0, "close": 10_000.0}
    days = write(tmp_path / "days.parquet", [*history(9_900.0), daily(**same)])
    tape = load(minutes, days)
    assert tape.report == {"history_rescaled": 1}
    assert tape.previous_close[0] == 29_700
    assert tape.history.volume[0] == round(50_000 / 3)


def test_a_split_between_yesterday_and_today_moves_the_base_price(tmp_path):
    minutes = write(tmp_path / "minutes.parquet", [bar(n, 2_010.0) for n in range(9)])
    days = write(tmp_path / "days.parquet", history(10_000.0))
    tape = load(minutes, days)
    assert tape.report == {"split_on_session": 1}
    assert tape.previous_close[0] == 2_000
    assert set(tape.history.close) == {2_000.0}


def test_a_seam_inside_the_history_is_levelled(tmp_path):
    rows = [*history(30_000.0, days=3), *history(10_000.0)[3:], daily()]
    tape = load(write(tmp_path / "days.parquet", rows))
    assert tape.report == {"history_jump_rescaled": 1}
    assert set(tape.history.close) == {10_000.0}


def test_a_stale_history_is_left_out(tmp_path):
    old = [daily(date=date(2025, 6, 2) + timedelta(days=n)) for n in range(9)]
    tape = load(write(tmp_path / "days.parquet", [*old, daily()]))
    assert tape.report == {"no_previous_close": 1}
    assert len(tape.history.dates) == 0
    assert tape.previous_close[0] == 10_000


def test_earlier_minutes_stand_in_for_missing_daily_bars(tmp_path):
    before = [
        bar(n, 9_000.0 + n * 10, ts=OPEN - timedelta(days=1) + timedelta(minutes=n))
        for n in range(30)
    ]
    tape = load(write(tmp_path / "minutes.parquet", [*before, *(bar(n) for n in range(9))]))
    assert tape.previous_close[0] == 9_290
    assert tape.history.dates.tolist() == [date(2025, 9, 2)]
    assert tape.history.volume.tolist() == [3_000]


def test_the_history_is_as_long_as_asked_for(tmp_path):
    path = write(tmp_path / "days.parquet", [*history(days=7), daily()])
    assert len(load(path, history_sessions=3).history.dates) == 3
    assert len(load(path, history_sessions=0).history.dates) == 0


def test_a_bar_that_begins_at_a_close_without_an_auction_is_extended_hours(tmp_path):
    opened = datetime(2025, 9, 3, 13, 30, tzinfo=UTC)
    at = [opened + timedelta(minutes=n) for n in (0, 389, 390)]
    prices = (100.0, 101.0, 150.0)
    rows = [bar(0, p, market="XNAS", ts=ts) for p, ts in zip(prices, at, strict=True)]
    path = write(tmp_path / "minutes.parquet", rows)
    tape = load_tape([path], group=MarketGroup.US, session=DAY)
    assert tape.bars.close[0, -1] == 101
    assert tape.report["outside_session"] == 1
