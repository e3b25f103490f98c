"""Money, currencies and the names of markets."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_core.errors import CurrencyMismatch, UnknownMarket
from trading_core.model.market import Currency, Instrument, Market, MarketGroup, Money

WON = Money(D(1000), Currency.KRW)
DOLLARS = Money(D("10.50"), Currency.USD)


@pytest.mark.parametrize(
    "combine",
    [operator.add, operator.sub, operator.lt, operator.le, operator.gt, operator.ge],
)
def test_won_and_dollars_never_meet_in_a_sum_or_comparison(
    combine: Callable[[Any, Any], object],
) -> None:
    with pytest.raises(CurrencyMismatch):
        combine(WON, DOLLARS)
    with pytest.raises(CurrencyMismatch):
        combine(DOLLARS, WON)


@pytest.mark.parametrize("other", [1, D(1), None])
def test_money_and_a_bare_number_do_not_add(other: object) -> None:
    with pytest.raises(CurrencyMismatch):
        WON + other  # type: ignore[operator]


def test_the_mismatch_is_a_type_error_too() -> None:
    with pytest.raises(TypeError):
        WON + DOLLARS


def test_the_same_amount_in_two_currencies_is_not_equal() -> None:
    assert Money(D(5), Currency.KRW) != Money(D(5), Currency.USD)
    assert Money(D("5.0"), Currency.USD) == Money(D(5), Currency.USD)


def test_money_of_one_currency_adds_subtracts_scales_and_compares() -> None:
    assert Money(D(2000), Currency.KRW) == WON + WON
    assert WON - Money(D(1), Currency.KRW) == Money(D(999), Currency.KRW)
    assert Money(D(3000), Currency.KRW) == WON * 3
    assert DOLLARS * D("0.5") == Money(D("5.25"), Currency.USD)
    assert Money(D(-1000), Currency.KRW) == -WON
    assert WON < WON + WON
    assert WON <= WON
    assert not WON < WON
    assert WON + WON > WON


def test_money_does_not_multiply_with_a_float() -> None:
    with pytest.raises(TypeError):
        WON * 0.1  # type: ignore[operator]


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("1234.4", Currency.KRW, "1234"),
        ("1234.5", Currency.KRW, "1235"),
        ("0.5", Currency.JPY, "1"),
        ("99.5", Currency.VND, "100"),
        ("1.005", Currency.USD, "1.01"),
        ("1.0049", Currency.HKD, "1.00"),
        ("2.675", Currency.CNY, "2.68"),
        ("-1.005", Currency.USD, "-1.01"),
    ],
)
def test_amounts_round_half_up_to_the_smallest_unit_of_the_currency(
    amount: str, currency: Currency, rounded: str
) -> None:
    assert Money(D(amount), currency).rounded() == Money(D(rounded), currency)
    assert str(currency.round(D(amount))) == rounded


def test_money_is_shown_with_its_currency() -> None:
    assert str(Money(D("1234567.5"), Currency.USD)) == "1,234,567.5 USD"


@given(*(st.decimals(-(10**9), 10**9, places=4) for _ in range(3)))
def test_sums_do_not_depend_on_the_order(one: D, two: D, three: D) -> None:
    a, b, c = (Money(amount, Currency.USD) for amount in (one, two, three))
    assert (a + b) + c == a + (b + c) == (c + b) + a
    assert (a + b) - b == a


def test_every_market_is_in_exactly_one_group() -> None:
    grouped = [market for group in MarketGroup for market in group.markets]
    assert sorted(grouped) == sorted(Market)
    assert all(market in market.group.markets for market in Market)


@pytest.mark.parametrize(
    ("code", "group"),
    [
        ("KR", MarketGroup.KR),
        (" us ", MarketGroup.US),
        ("us_nasdaq", MarketGroup.US),
        ("CN_SZA", MarketGroup.CN),
        ("VN_HNX", MarketGroup.VN),
    ],
)
def test_a_group_is_found_by_its_code_or_one_of_its_markets(code: str, group: MarketGroup) -> None:
    assert MarketGroup.parse(code) is group


@pytest.mark.parametrize("code", ["", "XX", "NASDAQ", "US_"])
def test_an_unknown_market_is_refused_and_the_known_ones_are_named(code: str) -> None:
    with pytest.raises(UnknownMarket, match="US_NASDAQ"):
        MarketGroup.parse(code)


def test_instruments_are_equal_by_symbol_and_market_alone() -> None:
    plain = Instrument("AAPL", Market.US_NASDAQ)
    assert plain == Instrument("AAPL", Market.US_NASDAQ, "Apple", is_fund=True)
    assert plain != Instrument("AAPL", Market.US_NYSE)
    assert len({plain, Instrument("AAPL", Market.US_NASDAQ, "Apple")}) == 1
