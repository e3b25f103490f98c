"""Real sessions, where the price files are at hand. Expected values are the exchanges' own."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from trading_core.errors import DataError, NotASession
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import OrderType, Side
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.tape import Tape, load_tape
from trading_core.twin.venue import AccountSpec, NewOrder, RefusalKind, VenueRefusal

DATA = Path(__file__).parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not (DATA / "krx_daily.parquet").is_file(), reason="no real prices in ../shared/data"
)
KR, US = MarketGroup.KR, MarketGroup.US
BOTH = ("krx_minute", "krx_daily")


@cache
def tape_of(group: MarketGroup, session: date, *names: str) -> Tape:
    return load_tape([DATA / f"{name}.parquet" for name in names], group=group, session=session)


def venue_of(tape: Tape) -> SimulatedExchange:
    cash = {Currency.KRW: Decimal(50_000_000), Currency.USD: Decimal(50_000)}
    return SimulatedExchange(tape, [AccountSpec("1", cash)])


def index(tape: Tape, symbol: str) -> int:
    return [item.symbol for item in tape.instruments].index(symbol)


def test_korean_minutes_of_a_plain_session():
    tape = tape_of(KR, date(2025, 9, 3), *BOTH)
    assert len(tape.instruments) == 155
    assert tape.bars.close.shape == (155, 391)
    assert tape.starts[-1] == tape.ends[-1] == int(tape.hours.close_at.timestamp())
    assert tape.report == {"history_jump_rescaled": 5, "history_rescaled": 4}
    assert (tape.previous_close > 0).all()
    assert tape.history.dates.max() == np.datetime64("2025-09-02")
    first = tape.bars.open[:, 0] / tape.previous_close - 1
    assert np.abs(first[np.isfinite(first)]).max() < 0.30


def test_funds_are_told_from_stocks_by_their_finer_prices():
    tape = tape_of(KR, date(2025, 9, 3), *BOTH)
    assert tape.etf[index(tape, "122630")]
    assert not tape.etf[index(tape, "000660")]
    assert tape.etf.sum() == 5


def test_history_of_a_stock_that_was_split_later_is_on_the_level_of_its_minutes():
    tape = tape_of(KR, date(2025, 9, 3), *BOTH)
    row = index(tape, "458870")
    assert tape.previous_close[row] % 100 == 0
    assert abs(tape.bars.open[row, 0] / tape.previous_close[row] - 1) < 0.05
    tape = tape_of(KR, date(2025, 9, 10), *BOTH)
    for symbol in ("183300", "208640", "333050", "484870"):
        row = index(tape, symbol)
        first = tape.bars.open[row][np.isfinite(tape.bars.open[row])][0]
        assert abs(first / tape.previous_close[row] - 1) < 0.10


def test_a_trade_in_a_real_session_fills_inside_the_bars_and_the_books_are_even():
    tape = tape_of(KR, date(2025, 9, 3), *BOTH)
    venue = venue_of(tape)
    venue.advance_to(tape.hours.open_at + timedelta(minutes=95))
    quote = venue.quote("000660")
    row = index(tape, "000660")
    assert float(quote.last) == tape.bars.close[row, 94]
    venue.place(NewOrder("1", "000660", Side.BUY, OrderType.MARKET, 100, None))
    venue.advance_to(tape.hours.close_at)
    assert sum(f.quantity for f in venue.fills("1")) == 100
    day = tape.bars.low[row].min(), tape.bars.high[row].max()
    assert all(day[0] <= float(f.price) <= day[1] for f in venue.fills("1"))
    assert venue.balance("1").is_even


def test_the_exam_day_opens_and_closes_an_hour_late():
    tape = tape_of(KR, date(2025, 11, 13), *BOTH)
    assert tape.hours.open_at.hour == 1 and tape.hours.close_at.hour == 7
    assert "outside_session" not in tape.report
    priced = np.isfinite(tape.bars.close)
    assert priced[:, 0].mean() > 0.9


def test_the_first_session_of_the_year_opens_late_and_closes_on_time():
    tape = tape_of(KR, date(2026, 1, 2), *BOTH)
    assert tape.bars.close.shape == (47, 331)
    assert "outside_session" not in tape.report


def test_a_day_of_daily_bars_is_bridged_and_ends_on_its_close():
    tape = tape_of(KR, date(2024, 5, 2), "krx_daily")
    assert len(tape.instruments) == 1886
    assert tape.halted.sum() == 62
    venue = venue_of(tape)
    venue.advance_to(tape.hours.close_at)
    quote = venue.quote("005930")
    assert (quote.open, quote.high, quote.low, quote.last) == (77_600, 78_600, 77_300, 78_000)
    assert quote.previous_close == 77_500


def test_a_halted_stock_takes_no_orders():
    tape = tape_of(KR, date(2024, 5, 2), "krx_daily")
    venue = venue_of(tape)
    symbol = tape.instruments[int(np.flatnonzero(tape.halted)[0])].symbol
    quote = venue.quote(symbol)
    assert quote.halted and quote.last == quote.previous_close > 0
    with pytest.raises(VenueRefusal) as caught:
        venue.place(NewOrder("1", symbol, Side.BUY, OrderType.LIMIT, 1, quote.last))
    assert caught.value.kind is RefusalKind.HALTED


def test_new_york_minutes_leave_extended_hours_out():
    tape = tape_of(US, date(2013, 10, 8), "us_minute", "us_daily_raw")
    assert [item.symbol for item in tape.instruments] == ["AIG", "BAC", "IBM", "SPY"]
    assert tape.report == {"outside_session": 694}
    venue = venue_of(tape)
    venue.advance_to(tape.hours.open_at + timedelta(hours=1))
    book = venue.order_book("SPY")
    assert 0 < book.asks[0].price - book.bids[0].price <= Decimal("0.05")
    done = venue.place(NewOrder("1", "SPY", Side.BUY, OrderType.LIMIT, 10, book.asks[0].price))
    assert done.filled_amount == 10 * book.asks[0].price
    assert venue.balance("1").is_even


def test_the_split_of_apple_does_not_look_like_a_loss():
    tape = tape_of(US, date(2014, 6, 9), "us_minute", "us_daily_raw")
    venue = venue_of(tape)
    assert tape.report["split_on_session"] == 1
    assert venue.quote("AAPL").previous_close == Decimal("92.22")
    venue.advance_to(tape.hours.close_at)
    quote = venue.quote("AAPL")
    assert (quote.last, quote.low) == (Decimal("93.7"), Decimal("91.75"))
    assert abs(quote.change_pct) < 3


def test_a_seam_between_two_adjustments_leaves_no_impossible_move():
    tape = tape_of(KR, date(2025, 9, 3), *BOTH)
    history = tape.history
    for i in range(len(tape.instruments)):
        rows = slice(history.offsets[i], history.offsets[i + 1])
        close = history.close[rows]
        opened = np.where(history.open[rows] > 0, history.open[rows], close)
        if len(close) > 1:
            assert np.abs(opened[1:] / close[:-1] - 1).max() < 0.32


def test_a_day_without_prices_names_its_neighbours():
    with pytest.raises(DataError, match="2025-09-18 and 2025-09-22"):
        tape_of(KR, date(2025, 9, 19), "krx_daily")
    with pytest.raises(NotASession):
        tape_of(KR, date(2025, 10, 3), "krx_daily")
    with pytest.raises(DataError, match="5 minutes apart"):
        tape_of(KR, date(2025, 10, 17), "krx_5min")
