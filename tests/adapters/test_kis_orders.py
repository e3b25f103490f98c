"""What is put on the wire for an order, a modify and a cancel, in every market."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kis_stand_in import NOW, StandIn, connect, ok
from trading_core.adapters.kis.order_desk import price_text
from trading_core.clock import FixedClock
from trading_core.errors import ConfigError, NotOffered, OrderRejected
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import (
    ApprovedOrder,
    BrokerOrder,
    IntentReason,
    OrderIntent,
    OrderType,
    Side,
)

D = Decimal
ACCEPTED = ok(output={"KRX_FWDG_ORD_ORGNO": "06010", "ODNO": "0000000042", "ORD_TMD": "103000"})
SYMBOLS = {
    Market.KR: "005930", Market.US_NASDAQ: "AAPL", Market.US_NYSE: "BRK/B", Market.US_AMEX: "SPY",
    Market.JP: "7203", Market.HK: "00700", Market.CN_SHA: "600519", Market.CN_SZA: "000001",
    Market.VN_HNX: "SHS", Market.VN_HSX: "VNM",
}  # fmt: skip
ORDER_CODES = {
    Market.US_NASDAQ: "NASD", Market.US_NYSE: "NYSE", Market.US_AMEX: "AMEX", Market.JP: "TKSE",
    Market.HK: "SEHK", Market.CN_SHA: "SHAA", Market.CN_SZA: "SZAA", Market.VN_HNX: "HASE",
    Market.VN_HSX: "VNSE",
}  # fmt: skip


# An hour in which each market trades.
HOURS = {
    MarketGroup.KR: NOW, MarketGroup.JP: NOW, MarketGroup.HK: NOW + timedelta(hours=1),
    MarketGroup.CN: NOW + timedelta(minutes=30), MarketGroup.VN: NOW + timedelta(hours=1),
    MarketGroup.US: datetime(2026, 11, 20, 16, 0, tzinfo=UTC),
}  # fmt: skip


def open_at(market):
    return FixedClock(HOURS[market.group])


def approved(market, side=Side.BUY, price="100", kind=OrderType.LIMIT, quantity=100):
    limit = None if price is None else D(price)
    intent = OrderIntent(
        "i", "d", Instrument(SYMBOLS[market], market), date(2026, 11, 20), side, quantity, kind,
        limit, D(1), Currency.KRW, IntentReason.ENTRY, NOW,
    )  # fmt: skip
    return ApprovedOrder(intent, NOW)


def working(market, remaining=6):
    return BrokerOrder(
        "0000000041", Instrument(SYMBOLS[market], market), Side.BUY, 10, 4, D(400), remaining,
        D(100), Currency.KRW, date(2026, 11, 20), HOURS[market.group], branch_no="91252",
    )  # fmt: skip


@pytest.fixture
def host():
    return (
        StandIn()
        .on("/trading/order", ACCEPTED)
        .on("/order-cash", ACCEPTED)
        .on("/order-rvsecncl", ACCEPTED)
    )


async def test_a_korean_limit_buy(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        await kis.broker.submit(approved(Market.KR, price="70000"))
    assert host.body("/order-cash") == {
        "CANO": "12345678", "ACNT_PRDT_CD": "01", "PDNO": "005930", "ORD_DVSN": "00",
        "ORD_QTY": "100", "ORD_UNPR": "70000", "SLL_TYPE": "", "CNDT_PRIC": "",
        "EXCG_ID_DVSN_CD": "KRX",
    }  # fmt: skip
    assert host.sent("/order-cash")[0].headers["tr_id"] == "TTTC0012U"


@pytest.mark.parametrize("mode", ["real", "paper"])
async def test_a_korean_market_sell_has_the_price_zero(host, tmp_path, mode):
    async with connect(host, tmp_path, personality=mode) as kis:
        order = approved(Market.KR, Side.SELL, None, OrderType.MARKET)
        await kis.broker.submit(order)
    body = host.body("/order-cash")
    assert (body["ORD_DVSN"], body["ORD_UNPR"], body["SLL_TYPE"]) == ("01", "0", "01")


@pytest.mark.parametrize("market", list(ORDER_CODES))
@pytest.mark.parametrize("side", list(Side))
async def test_a_foreign_order_names_its_exchange_by_order_code(host, tmp_path, market, side):
    async with connect(host, tmp_path, clock=open_at(market)) as kis:
        await kis.broker.submit(approved(market, side))
    body = host.body("/trading/order")
    assert body["OVRS_EXCG_CD"] == ORDER_CODES[market]
    assert (body["ORD_DVSN"], body["ORD_SVR_DVSN_CD"]) == ("00", "0")
    assert body["SLL_TYPE"] == ("00" if side is Side.SELL else "")
    assert body["PDNO"] == SYMBOLS[market]


async def test_a_paper_sell_in_the_us_has_the_irregular_id(host, tmp_path):
    clock = open_at(Market.US_NASDAQ)
    async with connect(host, tmp_path, personality="paper", clock=clock) as kis:
        await kis.broker.submit(approved(Market.US_NASDAQ, Side.SELL))
    assert host.sent("/trading/order")[0].headers["tr_id"] == "VTTT1001U"


@pytest.mark.parametrize("market", list(ORDER_CODES))
@pytest.mark.parametrize("mode", ["real", "paper"])
async def test_market_orders_are_refused_locally_outside_korea(host, tmp_path, market, mode):
    async with connect(host, tmp_path, personality=mode, clock=open_at(market)) as kis:
        with pytest.raises(NotOffered, match=f"market orders in {market}.*{mode}"):
            await kis.broker.submit(approved(market, price=None, kind=OrderType.MARKET))
    assert not host.requests


@pytest.mark.parametrize(
    "order",
    [
        approved(Market.KR, price="70000.5"), approved(Market.KR, price="0"),
        approved(Market.KR, price="-1"), approved(Market.KR, price="NaN"),
        approved(Market.KR, price=None), approved(Market.KR, quantity=0),
        approved(Market.US_NASDAQ, price="1.005"), approved(Market.US_NASDAQ, price="0.12345"),
        approved(Market.HK, price="1.0005"), approved(Market.KR, price="70050"),
        approved(Market.JP, price="3004"), approved(Market.HK, price="300.1"),
        approved(Market.CN_SHA, price="10.005"), approved(Market.VN_HSX, price="50050"),
        approved(Market.VN_HNX, price="50010"),
    ],
)  # fmt: skip
async def test_an_order_that_cannot_be_written_down_is_not_sent(host, tmp_path, order):
    clock = open_at(order.intent.instrument.market)
    async with connect(host, tmp_path, clock=clock) as kis:
        with pytest.raises(NotOffered):
            await kis.broker.submit(order)
    assert not host.requests


async def test_only_an_approved_order_can_be_submitted(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        with pytest.raises(TypeError, match="OrderIntent"):
            await kis.broker.submit(approved(Market.KR).intent)
    assert not host.requests


@pytest.mark.parametrize(
    ("market", "price", "text"),
    [
        ("KR", "70000", "70000"), ("KR", "7E+4", "70000"), ("KR", "70000.00", "70000"),
        ("US_NASDAQ", "231.5", "231.50"), ("US_NYSE", "1", "1.00"), ("US_AMEX", "0.9", "0.9000"),
        ("US_NASDAQ", "0.1234", "0.1234"), ("JP", "2500.5", "2500.5"), ("HK", "0.125", "0.125"),
        ("HK", "300.000", "300"), ("CN_SHA", "1700.01", "1700.01"), ("VN_HSX", "66000", "66000"),
    ],
)  # fmt: skip
def test_prices_are_written_as_their_market_wants_them(market, price, text):
    assert price_text(Market(market), D(price)) == text


@given(
    st.sampled_from(list(Market)),
    st.decimals(min_value="0.0001", max_value="10000000", places=6, allow_nan=False),
)
def test_a_written_price_is_exactly_the_price_or_refused(market, price):
    try:
        text = price_text(market, price)
    except NotOffered:
        return
    assert D(text) == price
    assert "E" not in text.upper()


async def test_a_korean_cancel_names_order_branch_and_the_whole_rest(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        ack = await kis.broker.cancel(working(Market.KR))
    assert ack.order_no == "0000000042"
    assert host.body("/order-rvsecncl") == {
        "CANO": "12345678", "ACNT_PRDT_CD": "01", "KRX_FWDG_ORD_ORGNO": "91252",
        "ORGN_ODNO": "0000000041", "ORD_DVSN": "00", "RVSE_CNCL_DVSN_CD": "02", "ORD_QTY": "6",
        "ORD_UNPR": "0", "QTY_ALL_ORD_YN": "Y", "CNDT_PRIC": "", "EXCG_ID_DVSN_CD": "KRX",
    }  # fmt: skip


async def test_a_foreign_modify_sends_what_remains_and_the_new_price(host, tmp_path):
    async with connect(host, tmp_path, clock=open_at(Market.US_NYSE)) as kis:
        await kis.broker.modify(working(Market.US_NYSE), limit_price="101.5")
    body = host.body("/order-rvsecncl")
    assert (body["RVSE_CNCL_DVSN_CD"], body["ORD_QTY"]) == ("01", "6")
    assert (body["OVRS_ORD_UNPR"], body["OVRS_EXCG_CD"]) == ("101.50", "NYSE")
    assert host.sent("/order-rvsecncl")[0].headers["tr_id"] == "TTTT1004U"


async def test_a_foreign_cancel_has_the_price_zero(host, tmp_path):
    async with connect(host, tmp_path, personality="paper") as kis:
        await kis.broker.cancel(working(Market.JP))
    body = host.body("/order-rvsecncl")
    assert (body["RVSE_CNCL_DVSN_CD"], body["OVRS_ORD_UNPR"]) == ("02", "0")
    assert host.sent("/order-rvsecncl")[0].headers["tr_id"] == "VTTS0309U"


@pytest.mark.parametrize("market", [Market.CN_SHA, Market.CN_SZA, Market.VN_HNX, Market.VN_HSX])
async def test_modifying_is_refused_locally_where_only_cancels_exist(host, tmp_path, market):
    async with connect(host, tmp_path) as kis:
        with pytest.raises(NotOffered, match=market):
            await kis.broker.modify(working(market), limit_price="101")
        await kis.broker.cancel(working(market))
    assert len(host.sent("/order-rvsecncl")) == 1


@pytest.mark.parametrize("price", ["", "abc", "-5", "1e5", "NaN", "70000.5", "0"])
async def test_a_modify_without_a_proper_price_is_not_sent(host, tmp_path, price):
    async with connect(host, tmp_path) as kis:
        with pytest.raises(NotOffered):
            await kis.broker.modify(working(Market.KR), limit_price=price)
    assert not host.requests


async def test_an_order_with_nothing_left_is_not_cancelled(host, tmp_path):
    done = replace(working(Market.KR), remaining_quantity=0)
    async with connect(host, tmp_path) as kis:
        with pytest.raises(OrderRejected, match="nothing is left"):
            await kis.broker.cancel(done)
    assert not host.requests


async def test_a_fund_has_a_price_grid_of_its_own(host, tmp_path):
    order = approved(Market.KR, price="35005")
    fund = replace(order.intent.instrument, symbol="069500", is_fund=True)
    async with connect(host, tmp_path) as kis:
        with pytest.raises(NotOffered, match="35005 is not on the price increment of 005930"):
            await kis.broker.submit(order)
        await kis.broker.submit(replace(order, intent=replace(order.intent, instrument=fund)))
    assert host.body("/order-cash")["ORD_UNPR"] == "35005"


async def test_a_modify_takes_either_grid_because_the_book_does_not_say_what_is_a_fund(
    host, tmp_path
):
    async with connect(host, tmp_path) as kis:
        await kis.broker.modify(working(Market.KR), limit_price="35005")
        with pytest.raises(NotOffered, match="price increment"):
            await kis.broker.modify(working(Market.KR), limit_price="35003")
    assert host.body("/order-rvsecncl")["ORD_UNPR"] == "35005"


async def test_orders_go_to_the_venue_that_was_set(host, tmp_path):
    async with connect(host, tmp_path, route="SOR") as kis:
        await kis.broker.submit(approved(Market.KR, price="70000"))
    assert host.body("/order-cash")["EXCG_ID_DVSN_CD"] == "SOR"


@pytest.mark.parametrize(
    ("of_order", "set_to", "sent"), [("NXT", "KRX", "NXT"), ("", "SOR", "SOR")]
)
async def test_a_cancel_follows_the_order_to_where_it_was_sent(
    host, tmp_path, of_order, set_to, sent
):
    order = replace(working(Market.KR), route=of_order)
    async with connect(host, tmp_path, route=set_to) as kis:
        await kis.broker.cancel(order)
    assert host.body("/order-rvsecncl")["EXCG_ID_DVSN_CD"] == sent


async def test_in_the_after_market_orders_and_modifies_have_its_code(host, tmp_path):
    evening = FixedClock(datetime(2026, 11, 20, 8, 0, tzinfo=UTC))
    async with connect(host, tmp_path, clock=evening) as kis:
        await kis.broker.submit(approved(Market.KR, price="70000"))
        await kis.broker.modify(working(Market.KR), limit_price="70100")
        with pytest.raises(NotOffered, match="use a limit order"):
            await kis.broker.submit(approved(Market.KR, price=None, kind=OrderType.MARKET))
    assert host.body("/order-cash")["ORD_DVSN"] == "41"
    assert host.body("/order-rvsecncl")["ORD_DVSN"] == "41"


async def test_what_was_ordered_in_the_us_day_session_is_cancelled_there(host, tmp_path):
    host.on("/daytime-order", ACCEPTED).on("/daytime-order-rvsecncl", ACCEPTED)
    day = FixedClock(NOW)
    async with connect(host, tmp_path, clock=day) as kis:
        await kis.broker.submit(approved(Market.US_NASDAQ))
        await kis.broker.cancel(replace(working(Market.US_NASDAQ), ordered_at=NOW))
    assert host.sent("/daytime-order")[0].headers["tr_id"] == "TTTS6036U"
    assert host.body("/daytime-order")["OVRS_EXCG_CD"] == "NASD"
    assert host.sent("/daytime-order-rvsecncl")[0].headers["tr_id"] == "TTTS6038U"


@pytest.mark.parametrize(
    ("mode", "market", "at", "words"),
    [
        ("paper", Market.KR, "2026-11-19T23:59:59+00:00", "opening auction"),
        ("paper", Market.US_AMEX, "2026-11-20T14:00:00+00:00", "pre-market"),
        ("real", Market.KR, "2026-11-20T06:30:00+00:00", "after the close"),
        ("real", Market.HK, "2026-11-20T04:30:00+00:00", "lunch break"),
        ("real", Market.JP, "2026-11-21T01:30:00+00:00", "while the market is shut"),
    ],
)
async def test_outside_its_hours_an_order_is_refused_with_the_reason_and_not_sent(
    host, tmp_path, mode, market, at, words
):
    clock = FixedClock(datetime.fromisoformat(at))
    async with connect(host, tmp_path, personality=mode, clock=clock) as kis:
        with pytest.raises(NotOffered, match=words):
            await kis.broker.submit(approved(market, price="1000"))
    assert not host.requests


async def test_tokyo_keeps_an_order_of_the_lunch_break(host, tmp_path):
    lunch = FixedClock(datetime(2026, 11, 20, 3, 15, tzinfo=UTC))
    async with connect(host, tmp_path, clock=lunch) as kis:
        await kis.broker.submit(approved(Market.JP))
    assert len(host.sent("/trading/order")) == 1


async def test_a_cancel_is_sent_at_any_hour(host, tmp_path):
    night = FixedClock(datetime(2026, 11, 21, 18, 0, tzinfo=UTC))
    async with connect(host, tmp_path, clock=night) as kis:
        for market in (Market.KR, Market.HK, Market.US_NASDAQ):
            await kis.broker.cancel(working(market))
    assert len(host.sent("/order-rvsecncl")) == 3


def test_a_paper_account_has_no_other_venue(host, tmp_path):
    with pytest.raises(ConfigError, match="KRX alone, not to NXT"):
        connect(host, tmp_path, personality="paper", route="NXT")
