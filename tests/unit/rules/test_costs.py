from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_core.errors import DataError
from trading_core.model.market import Market
from trading_core.model.order import Side
from trading_core.rules.costs import Costs, trade_costs
from trading_core.rules.markets import market_info

TODAY = date(2026, 11, 20)


def test_a_korean_buy_pays_the_fee_alone_with_fractions_of_a_won_cut_off() -> None:
    costs = trade_costs(Market.KR, Side.BUY, D(1_000_000), TODAY)
    assert costs == Costs(fee=D(140), tax=D(0))
    assert costs.total == 140


@pytest.mark.parametrize(
    ("on", "tax"),
    [
        (date(2019, 5, 29), 3000),
        (date(2019, 5, 30), 2500),
        (date(2020, 12, 28), 2500),
        (date(2020, 12, 29), 2300),
        (date(2022, 12, 28), 2000),
        (date(2023, 12, 27), 1800),
        (date(2024, 12, 26), 1800),
        (date(2024, 12, 27), 1500),
        (date(2025, 6, 2), 1500),
        (date(2025, 12, 29), 2000),
        (date(2026, 11, 20), 2000),
    ],
)
def test_the_korean_sales_tax_changes_with_trades_that_settle_in_the_new_year(
    on: date, tax: int
) -> None:
    assert trade_costs(Market.KR, Side.SELL, D(1_000_000), on).tax == tax


def test_a_fund_sold_in_korea_pays_no_tax() -> None:
    assert trade_costs(Market.KR, Side.SELL, D(1_000_000), TODAY, etf=True).tax == 0


def test_the_fee_rate_of_the_account_replaces_the_standard_one() -> None:
    assert trade_costs(Market.KR, Side.BUY, D(1_000_000), TODAY, D("0.000036")).fee == 36
    assert trade_costs(Market.US_NYSE, Side.BUY, D(10_000), TODAY, D(0)).total == 0


def test_a_us_sale_pays_commission_and_the_pass_through_fees_rounded_up() -> None:
    costs = trade_costs(Market.US_NASDAQ, Side.SELL, D("10000"), TODAY, quantity=100)
    assert costs.fee == D("25.00")
    assert costs.tax == D("0.21") + D("0.02")


def test_a_us_buy_pays_commission_only() -> None:
    assert trade_costs(Market.US_NYSE, Side.BUY, D("10000"), TODAY, quantity=100).tax == 0


def test_the_section_31_fee_was_nothing_for_most_of_a_year() -> None:
    before, during, after = (
        trade_costs(Market.US_NYSE, Side.SELL, D(1_000_000), on).tax
        for on in (date(2025, 5, 13), date(2025, 5, 14), date(2026, 4, 4))
    )
    assert (before, during, after) == (D("27.80"), 0, D("20.60"))


def test_the_us_levy_per_share_has_a_ceiling() -> None:
    costs = trade_costs(Market.US_NYSE, Side.SELL, D(0), TODAY, quantity=10_000_000)
    assert costs.tax == D("9.79")


@pytest.mark.parametrize("side", Side)
def test_hong_kong_stamps_both_sides_up_to_the_dollar(side: Side) -> None:
    assert trade_costs(Market.HK, side, D(10_100), TODAY).tax == D(11) + D("0.86")
    assert trade_costs(Market.HK, side, D(10_000), date(2022, 6, 1)).tax == D(13) + D("0.79")


def test_a_fund_in_hong_kong_pays_the_levies_but_no_stamp_duty() -> None:
    assert trade_costs(Market.HK, Side.BUY, D(10_000), TODAY, etf=True).tax == D("0.85")


def test_chinese_stamp_tax_is_on_the_seller_and_was_halved_in_2023() -> None:
    levies = D("6.41")
    assert trade_costs(Market.CN_SHA, Side.BUY, D(100_000), TODAY).tax == levies
    assert trade_costs(Market.CN_SZA, Side.SELL, D(100_000), TODAY).tax == 50 + levies
    assert trade_costs(Market.CN_SHA, Side.SELL, D(100_000), date(2023, 8, 25)).tax == D("107.87")


def test_japan_takes_no_trade_tax_and_vietnam_a_thousandth_of_every_sale() -> None:
    assert trade_costs(Market.JP, Side.SELL, D(1_000_000), TODAY) == Costs(D(3000), D(0))
    assert trade_costs(Market.VN_HSX, Side.SELL, D(10_000_000), TODAY).tax == 10_000
    assert trade_costs(Market.VN_HNX, Side.BUY, D(10_000_000), TODAY).tax == 0


@pytest.mark.parametrize(("amount", "quantity", "rate"), [(-1, 0, 0), (1, -1, 0), (1, 0, -1)])
def test_negative_inputs_are_refused(amount: int, quantity: int, rate: int) -> None:
    with pytest.raises(DataError):
        trade_costs(Market.KR, Side.BUY, D(amount), TODAY, D(rate), quantity)


def test_a_sale_before_a_table_is_charged_as_on_the_first_day_it_knows() -> None:
    early = trade_costs(Market.US_NYSE, Side.SELL, D(1_000_000), date(2010, 1, 4))
    assert early == trade_costs(Market.US_NYSE, Side.SELL, D(1_000_000), date(2014, 3, 18))


amounts = st.decimals(min_value=0, max_value=10**12, places=2)
dates = st.dates(min_value=date(2014, 11, 1), max_value=date(2026, 12, 31))
quantities = st.integers(0, 10**8)


@given(
    st.sampled_from(Market), st.sampled_from(Side), amounts, amounts, quantities, quantities,
    dates, st.booleans(),
)  # fmt: skip
def test_costs_never_fall_while_an_order_grows(
    market: Market, side: Side, one: D, two: D, few: int, more: int, on: date, etf: bool
) -> None:
    small = trade_costs(market, side, min(one, two), on, quantity=min(few, more), etf=etf)
    large = trade_costs(market, side, max(one, two), on, quantity=max(few, more), etf=etf)
    growth = large - small
    assert growth.fee >= 0
    assert growth.tax >= 0
    assert small.total + growth.total == large.total


@given(st.sampled_from(Market), st.sampled_from(Side), amounts, dates)
def test_costs_are_whole_units_of_the_currency(
    market: Market, side: Side, amount: D, on: date
) -> None:
    costs = trade_costs(market, side, amount, on)
    unit = D(1).scaleb(-market_info(market).currency.exponent)
    assert costs.fee % unit == 0
    assert costs.tax % unit == 0
