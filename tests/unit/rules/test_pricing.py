"""Limit prices of the orders that are sent."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.record_factories import APPLE, AT, SAMSUNG, SESSION
from trading_core.errors import DataError
from trading_core.model.market import Instrument, Market
from trading_core.model.order import IntentReason, Side
from trading_core.model.price import BookLevel, OrderBook, Quote
from trading_core.rules.markets import (
    Rounding,
    daily_limits,
    is_on_increment,
    price_increment,
    round_to_increment,
)
from trading_core.rules.pricing import deep_price, executable_price, limit_price, slack_of

FUND = Instrument("069500", Market.KR, is_fund=True)
EXITS = [reason for reason in IntentReason if not reason.is_entry]
URGENT = {IntentReason.HARD_STOP, IntentReason.TRAIL, IntentReason.REDUCE_ALL}


def make_quote(last: D | str, instrument: Instrument = SAMSUNG, **changes: Any) -> Quote:
    price = D(last)
    values: dict[str, Any] = {
        "instrument": instrument,
        "last": price,
        "open": price,
        "high": price,
        "low": price,
        "previous_close": price,
        "volume": 1,
        "at": AT,
    }
    return Quote(**(values | changes))


def buy(quote: Quote) -> D:
    return limit_price(quote, Side.BUY, IntentReason.ENTRY, SESSION)


def sell(quote: Quote, reason: IntentReason = IntentReason.TAKE_PROFIT) -> D:
    return limit_price(quote, Side.SELL, reason, SESSION)


def test_an_entry_may_pay_two_tenths_of_a_percent_rounded_down_onto_the_grid() -> None:
    assert buy(make_quote("70500")) == 70_600
    assert buy(make_quote("123.45", APPLE)) == D("123.69")


def test_an_exit_gives_away_half_a_percent_and_a_protective_one_two_rounded_up() -> None:
    assert sell(make_quote("70500")) == 70_200
    assert sell(make_quote("70500"), IntentReason.HARD_STOP) == 69_100
    assert sell(make_quote("123.45", APPLE)) == D("122.84")


def test_where_the_slack_is_less_than_an_increment_the_price_moves_by_one() -> None:
    assert buy(make_quote("100")) == 101
    assert sell(make_quote("100")) == 99
    assert buy(make_quote("1.00", APPLE)) == D("1.01")


def test_protective_exits_may_give_away_more_than_others_and_entries_least() -> None:
    for reason in EXITS:
        expected = D("0.02") if reason in URGENT else D("0.005")
        assert slack_of(reason) == expected
    assert slack_of(IntentReason.ENTRY) == D("0.002")


def test_the_days_limits_are_never_crossed() -> None:
    at_the_top = make_quote("91000", upper_limit=D(91_000), lower_limit=D(49_000))
    assert buy(at_the_top) == 91_000
    near_the_bottom = make_quote("49050", upper_limit=D(91_000), lower_limit=D(49_000))
    assert sell(near_the_bottom, IntentReason.HARD_STOP) == 49_000


def test_a_fund_is_priced_on_the_grid_of_funds() -> None:
    assert buy(make_quote("70500", FUND)) == 70_640


def test_the_last_increment_above_nothing_is_still_a_price() -> None:
    assert sell(make_quote("1"), IntentReason.HARD_STOP) == 1


@pytest.mark.parametrize("last", ["0", "-5", "NaN"])
@pytest.mark.parametrize("side", list(Side))
def test_without_a_price_there_is_no_limit_price(last: str, side: Side) -> None:
    with pytest.raises(DataError):
        limit_price(make_quote(last), side, IntentReason.ENTRY, SESSION)


MARKETS = st.sampled_from(Market)
BASES = st.decimals("0.05", 2_000_000, places=2)


def on_grid(market: Market, price: D, etf: bool) -> D:
    return round_to_increment(market, price, SESSION, Rounding.UP, etf=etf)


@given(MARKETS, BASES, st.booleans(), st.sampled_from(IntentReason), st.sampled_from(Side))
@example(Market.KR, D(1999), False, IntentReason.ENTRY, Side.BUY)
@example(Market.KR, D(2000), False, IntentReason.TAKE_PROFIT, Side.SELL)
@example(Market.US_NYSE, D("0.9999"), False, IntentReason.ENTRY, Side.BUY)
@example(Market.JP, D(3001), False, IntentReason.HARD_STOP, Side.SELL)
def test_the_price_is_on_the_grid_meets_the_book_and_gives_away_no_more_than_allowed(
    market: Market, base: D, etf: bool, reason: IntentReason, side: Side
) -> None:
    last = on_grid(market, base, etf)
    quote = make_quote(last, Instrument("X", market, is_fund=etf))
    price = limit_price(quote, side, reason, SESSION)
    step = price_increment(market, last, SESSION, etf=etf)
    most = max(last * slack_of(reason), step)
    assert is_on_increment(market, price, SESSION, etf=etf)
    if side is Side.BUY:
        assert last + step <= price <= last + most
    else:
        assert last - most <= price
        assert price <= last - step or price == step


@given(
    st.sampled_from([Market.KR, Market.JP, Market.CN_SHA, Market.VN_HSX, Market.VN_HNX]),
    BASES,
    st.floats(0, 1),
    st.sampled_from(IntentReason),
    st.sampled_from(Side),
)
def test_the_price_is_inside_the_days_limits_of_every_market_that_has_them(
    market: Market, base: D, place: float, reason: IntentReason, side: Side
) -> None:
    limits = daily_limits(market, on_grid(market, base, False), SESSION)
    assert limits is not None
    upper, lower = limits
    last = on_grid(market, lower + (upper - lower) * D(place), False)
    assume(lower <= last <= upper)
    quote = make_quote(last, Instrument("X", market), upper_limit=upper, lower_limit=lower)
    price = limit_price(quote, side, reason, SESSION)
    assert lower <= price <= upper
    assert is_on_increment(market, price, SESSION)


def book(bids: str = "", asks: str = "", instrument: Instrument = SAMSUNG) -> OrderBook:
    sides = (tuple(BookLevel(D(p), 1) for p in text.split()) for text in (asks, bids))
    return OrderBook(instrument, *sides, AT)


def test_an_order_can_trade_at_the_best_price_of_the_other_side() -> None:
    seen = book(bids="70300 70200", asks="70600 70700")
    quote = make_quote("70500")
    assert executable_price(quote, Side.BUY, seen, SESSION) == 70_600
    assert executable_price(quote, Side.SELL, seen, SESSION) == 70_300


@pytest.mark.parametrize("seen", [None, book(), book(bids="0", asks="0"), book("NaN", "NaN")])
def test_without_a_best_price_it_is_one_increment_beyond_the_last(seen: OrderBook | None) -> None:
    quote = make_quote("70500")
    assert executable_price(quote, Side.BUY, seen, SESSION) == 70_600
    assert executable_price(quote, Side.SELL, seen, SESSION) == 70_400


def test_an_executable_price_stays_inside_the_days_limits() -> None:
    quote = make_quote("70500", upper_limit=D(70_500), lower_limit=D(70_500))
    assert executable_price(quote, Side.BUY, None, SESSION) == 70_500
    assert executable_price(quote, Side.SELL, None, SESSION) == 70_500
    assert deep_price(quote, None, SESSION) == 70_500


def test_a_sale_that_must_trade_goes_two_percent_below_the_bid() -> None:
    assert deep_price(make_quote("70500"), book(bids="70000"), SESSION) == 68_600


def test_of_a_cheap_stock_it_goes_five_increments_at_least() -> None:
    assert deep_price(make_quote("120"), book(bids="119"), SESSION) == 114


@given(st.integers(1, 2_000_000), st.integers(1, 2_000_000))
def test_executable_and_deep_prices_are_on_the_grid(last: int, best: int) -> None:
    quote, seen = make_quote(str(last)), book(bids=str(best), asks=str(best))
    prices = [executable_price(quote, side, seen, SESSION) for side in Side]
    for price in (*prices, deep_price(quote, seen, SESSION)):
        assert is_on_increment(Market.KR, price, SESSION)
