"""Trades out of minute bars: nothing is lost, nothing made up, nothing out of order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from trading_core.model.price import MinuteBar
from trading_core.twin.stream.tally import prints

START = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)
END = START + timedelta(minutes=1)


def bar(text: str, volume: int) -> MinuteBar:
    opened, high, low, close = (Decimal(word) for word in text.split())
    return MinuteBar(START, opened, high, low, close, volume)


@st.composite
def bars(draw: st.DrawFn) -> MinuteBar:
    low = draw(st.integers(1, 1000))
    high = low + draw(st.integers(0, 50))
    opened, close = draw(st.integers(low, high)), draw(st.integers(low, high))
    return bar(f"{opened} {high} {low} {close}", draw(st.integers(0, 10_000)))


def path(some: MinuteBar) -> list[int]:
    return [int(price) for _, price, _ in prints(some, END)]


def test_a_rising_minute_goes_down_first_and_a_falling_one_up_first() -> None:
    assert path(bar("10 14 8 12", 100)) == [10, 8, 14, 12]
    assert path(bar("12 14 8 10", 100)) == [12, 14, 8, 10]


def test_a_price_that_did_not_move_is_told_once() -> None:
    assert path(bar("10 10 10 10", 100)) == [10]
    assert path(bar("10 12 10 12", 100)) == [10, 12]


def test_few_shares_leave_out_the_extremes_before_the_open_and_never_the_close() -> None:
    assert [path(bar("10 14 8 12", volume)) for volume in (0, 1, 2, 3)] == [
        [], [12], [10, 12], [10, 12],
    ]  # fmt: skip


def test_a_minute_cut_short_has_no_trade_after_its_end() -> None:
    at_close = MinuteBar(START, *(Decimal(10),) * 4, volume=5)
    assert [at for at, _, _ in prints(at_close, START)] == [START]
    times = [at for at, _, _ in prints(bar("10 14 8 12", 9), START + timedelta(seconds=30))]
    assert times[-1] == START + timedelta(seconds=30)


@given(bars())
def test_the_trades_of_a_bar_are_the_bar(some: MinuteBar) -> None:
    trades = prints(some, END)
    assert sum(quantity for _, _, quantity in trades) == some.volume
    assert all(quantity > 0 for _, _, quantity in trades)
    times = [at for at, _, _ in trades]
    assert times == sorted(times)
    assert all(START <= at < END for at in times)
    if some.volume:
        assert trades[-1][1] == some.close
    if some.volume >= 4:
        prices = [price for _, price, _ in trades]
        assert (prices[0], max(prices), min(prices)) == (some.open, some.high, some.low)
