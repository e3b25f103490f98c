from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_core.errors import DataError, UnknownMarket
from trading_core.model.market import Currency, Market, MarketGroup
from trading_core.model.order import Side
from trading_core.rules.market_tables import INCREMENTS
from trading_core.rules.markets import (
    Rounding,
    currency_of,
    daily_limits,
    is_on_increment,
    lot_size,
    market_info,
    market_of_data_code,
    price_increment,
    round_to_increment,
    zone_of,
)

TODAY = date(2026, 11, 20)


def test_every_market_has_its_broker_codes() -> None:
    codes = {m: (market_info(m).quote_code, market_info(m).order_code) for m in Market}
    assert codes == {
        Market.KR: ("J", "KRX"),
        Market.US_NASDAQ: ("NAS", "NASD"),
        Market.US_NYSE: ("NYS", "NYSE"),
        Market.US_AMEX: ("AMS", "AMEX"),
        Market.JP: ("TSE", "TKSE"),
        Market.HK: ("HKS", "SEHK"),
        Market.CN_SHA: ("SHS", "SHAA"),
        Market.CN_SZA: ("SZS", "SZAA"),
        Market.VN_HNX: ("HNX", "HASE"),
        Market.VN_HSX: ("HSX", "VNSE"),
    }


@pytest.mark.parametrize("group", MarketGroup)
def test_the_markets_of_a_group_share_currency_and_zone(group: MarketGroup) -> None:
    infos = [market_info(market) for market in group.markets]
    assert {info.currency for info in infos} == {currency_of(group)}
    assert {info.zone for info in infos} == {zone_of(group)}


def test_currencies_are_those_of_the_exchanges() -> None:
    assert [currency_of(group) for group in MarketGroup] == [
        Currency.KRW, Currency.USD, Currency.JPY, Currency.HKD, Currency.CNY, Currency.VND,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "market"),
    [
        ("KRX", Market.KR),
        ("XNYS", Market.US_NYSE),
        ("XNAS", Market.US_NASDAQ),
        ("ARCX", Market.US_AMEX),
        ("BATS", Market.US_AMEX),
        ("XTKS", Market.JP),
        ("XHKG", Market.HK),
        ("XSHG", Market.CN_SHA),
        ("XSHE", Market.CN_SZA),
        ("XSTC", Market.VN_HSX),
    ],
)
def test_a_price_file_code_names_its_market(code: str, market: Market) -> None:
    assert market_of_data_code(code) is market


def test_an_unknown_price_file_code_is_refused() -> None:
    with pytest.raises(UnknownMarket, match="XLON"):
        market_of_data_code("XLON")


def test_china_buys_in_hundreds_and_sells_odd_lots() -> None:
    assert lot_size(Market.CN_SHA, Side.BUY) == 100
    assert lot_size(Market.CN_SHA, Side.SELL) == 1


def test_a_board_lot_from_the_broker_wins() -> None:
    assert market_info(Market.HK).lot_varies
    assert lot_size(Market.HK, Side.BUY) == 1
    assert lot_size(Market.HK, Side.BUY, board_lot=500) == 500
    assert lot_size(Market.KR, Side.BUY) == 1


@pytest.mark.parametrize(
    ("market", "price", "on", "expected"),
    [
        (Market.KR, "1999", TODAY, "1"),
        (Market.KR, "2000", TODAY, "5"),
        (Market.KR, "4995", TODAY, "5"),
        (Market.KR, "5000", TODAY, "10"),
        (Market.KR, "20000", TODAY, "50"),
        (Market.KR, "50000", TODAY, "100"),
        (Market.KR, "200000", TODAY, "500"),
        (Market.KR, "500000", TODAY, "1000"),
        (Market.KR, "15000", date(2023, 1, 24), "50"),
        (Market.KR, "15000", date(2023, 1, 25), "10"),
        (Market.KR, "900", date(2010, 10, 1), "5"),
        (Market.KR, "900", date(2010, 10, 4), "1"),
        (Market.US_NYSE, "1", TODAY, "0.01"),
        (Market.US_NYSE, "0.9999", TODAY, "0.0001"),
        (Market.JP, "3000", TODAY, "1"),
        (Market.JP, "3005", TODAY, "5"),
        (Market.JP, "30000", TODAY, "10"),
        (Market.JP, "30050", TODAY, "50"),
        (Market.HK, "0.25", TODAY, "0.001"),
        (Market.HK, "0.255", TODAY, "0.005"),
        (Market.HK, "15", date(2025, 8, 1), "0.02"),
        (Market.HK, "15", date(2025, 8, 4), "0.01"),
        (Market.HK, "30", date(2025, 8, 1), "0.05"),
        (Market.HK, "30", date(2025, 8, 4), "0.02"),
        (Market.CN_SZA, "12.34", TODAY, "0.01"),
        (Market.VN_HSX, "9990", TODAY, "10"),
        (Market.VN_HSX, "10000", TODAY, "50"),
        (Market.VN_HSX, "50000", TODAY, "100"),
        (Market.VN_HNX, "50000", TODAY, "100"),
    ],
)
def test_the_price_increment_of_a_band_on_a_date(
    market: Market, price: str, on: date, expected: str
) -> None:
    assert price_increment(market, D(price), on) == D(expected)


def test_korean_funds_move_in_fives_and_cheap_ones_in_ones() -> None:
    assert price_increment(Market.KR, D(30_000), TODAY, etf=True) == 5
    assert price_increment(Market.KR, D(1_995), TODAY, etf=True) == 1
    assert price_increment(Market.KR, D(1_995), date(2023, 12, 1), etf=True) == 5


def test_a_market_without_a_fund_table_uses_that_of_stocks() -> None:
    assert price_increment(Market.US_AMEX, D(500), TODAY, etf=True) == D("0.01")


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_no_increment_is_named_for_what_is_no_price(price: str) -> None:
    with pytest.raises(DataError):
        price_increment(Market.KR, D(price), TODAY)


def test_a_date_before_the_first_table_is_refused() -> None:
    with pytest.raises(DataError, match="2010-01-04"):
        price_increment(Market.JP, D(100), date(2009, 12, 30))


def test_the_side_of_an_order_decides_the_way_of_rounding() -> None:
    assert Rounding.never_worse(Side.BUY) is Rounding.DOWN
    assert Rounding.never_worse(Side.SELL) is Rounding.UP


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [(Rounding.DOWN, 71_200), (Rounding.UP, 71_300), (Rounding.NEAREST, 71_300)],
)
def test_an_off_grid_price_goes_the_way_it_is_told(rounding: Rounding, expected: int) -> None:
    assert round_to_increment(Market.KR, D(71_250), TODAY, rounding) == expected


def test_rounding_up_may_reach_the_next_band() -> None:
    assert round_to_increment(Market.KR, D("199950"), TODAY, Rounding.UP) == 200_000


def test_rounding_down_to_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="smallest"):
        round_to_increment(Market.KR, D("0.4"), TODAY, Rounding.DOWN)


prices = st.decimals(
    min_value=D("0.0001"), max_value=D(3_000_000), places=4, allow_nan=False, allow_infinity=False
)
dates = st.dates(min_value=date(2016, 9, 12), max_value=date(2026, 12, 31))


@given(st.sampled_from(Market), prices, dates, st.booleans(), st.sampled_from(Rounding))
def test_a_rounded_price_is_on_the_grid_and_never_beyond_the_asked_side(
    market: Market, price: D, on: date, etf: bool, rounding: Rounding
) -> None:
    try:
        rounded = round_to_increment(market, price, on, rounding, etf=etf)
    except DataError:
        assert price < price_increment(market, price, on, etf=etf)
        assert rounding is not Rounding.UP
        return
    assert is_on_increment(market, rounded, on, etf=etf)
    assert round_to_increment(market, rounded, on, rounding, etf=etf) == rounded
    step = price_increment(market, price, on, etf=etf)
    assert abs(rounded - price) < step
    if rounding is Rounding.DOWN:
        assert rounded <= price
    if rounding is Rounding.UP:
        assert rounded >= price


@pytest.mark.parametrize("market", Market)
def test_every_band_edge_is_on_the_grid_of_both_its_sides(market: Market) -> None:
    for table in filter(None, INCREMENTS[market]):
        for _, steps in table:
            assert len(steps.increments) == len(steps.bounds) + 1
            assert list(steps.bounds) == sorted(steps.bounds)
            for bound, below, above in zip(
                steps.bounds, steps.increments[:-1], steps.increments[1:], strict=True
            ):
                assert bound % below == 0
                assert bound % above == 0


@pytest.mark.parametrize(
    ("base", "upper", "lower"),
    [
        (78_600, 102_100, 55_100),
        (128_500, 167_000, 90_000),
        (6_170, 8_020, 4_320),
        (2_010, 2_610, 1_410),
    ],
)
def test_korean_limits_are_cut_as_the_exchange_cuts_them(base: int, upper: int, lower: int) -> None:
    assert daily_limits(Market.KR, D(base), TODAY) == (upper, lower)


def test_korean_limits_were_fifteen_percent_until_june_2015() -> None:
    assert daily_limits(Market.KR, D(100_000), date(2015, 6, 12)) == (115_000, 85_000)
    assert daily_limits(Market.KR, D(100_000), date(2015, 6, 15)) == (130_000, 70_000)


def test_new_york_and_hong_kong_have_no_daily_limit() -> None:
    for market in (Market.US_NASDAQ, Market.US_NYSE, Market.US_AMEX, Market.HK):
        assert daily_limits(market, D(10), TODAY) is None


def test_chinese_limits_are_rounded_half_up_and_wider_on_the_growth_boards() -> None:
    assert daily_limits(Market.CN_SHA, D("10.05"), TODAY) == (D("11.06"), D("9.05"))
    assert daily_limits(Market.CN_SZA, D("10.00"), TODAY, symbol="300750") == (12, 8)
    assert daily_limits(Market.CN_SZA, D("10.00"), date(2020, 8, 21), symbol="300750") == (11, 9)
    assert daily_limits(Market.CN_SHA, D("10.00"), TODAY, symbol="688981") == (12, 8)


def test_vietnamese_limits_are_cut_inwards() -> None:
    assert daily_limits(Market.VN_HSX, D(25_550), TODAY) == (27_300, 23_800)
    assert daily_limits(Market.VN_HNX, D(12_300), TODAY) == (13_500, 11_100)


@pytest.mark.parametrize(
    ("base", "width"), [(99, 30), (100, 50), (2_999, 500), (3_000, 700), (60_000_000, 10_000_000)]
)
def test_tokyo_limits_follow_the_table_of_yen(base: int, width: int) -> None:
    assert daily_limits(Market.JP, D(base), TODAY) == (base + width, base - width)


def test_a_tokyo_limit_never_reaches_zero() -> None:
    assert daily_limits(Market.JP, D(20), TODAY) == (50, 1)


@given(st.sampled_from([Market.KR, Market.CN_SHA, Market.VN_HSX, Market.VN_HNX]), prices, dates)
def test_limits_are_on_the_grid_around_the_base(market: Market, price: D, on: date) -> None:
    base = round_to_increment(market, price, on, Rounding.UP)
    limits = daily_limits(market, base, on)
    assert limits is not None
    upper, lower = limits
    assert 0 < lower <= base <= upper
    assert is_on_increment(market, upper, on)
    assert is_on_increment(market, lower, on)
