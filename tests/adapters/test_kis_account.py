"""Cash, holdings and order listings from canned replies: all pages, nothing made up."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.kis_stand_in import NOW, StandIn, connect, ok, pages, refused
from trading_core.clock import FixedClock
from trading_core.errors import BrokerUnavailable, NotOffered
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import Side

D = Decimal
SESSION = date(2026, 11, 20)
US_NOW = datetime(2026, 11, 19, 16, 0, tzinfo=UTC)
US_SESSION = date(2026, 11, 19)


def kr_holding(code, quantity="10", **changes):
    return {
        "pdno": code, "prdt_name": "n", "hldg_qty": quantity, "ord_psbl_qty": "7",
        "pchs_avg_pric": "65000.0000", "prpr": "70000",
    } | changes  # fmt: skip


CASH = [{"dnca_tot_amt": "9000000", "nxdy_excc_amt": "8000000", "prvs_rcdl_excc_amt": "7000000"}]
POWER = ok(output={"ord_psbl_cash": "1", "nrcvb_buy_amt": "6500000", "max_buy_amt": "9"})


@pytest.fixture
def host():
    return StandIn().on("/inquire-psbl-order", POWER)


async def test_a_korean_account_has_all_pages_and_the_cash_of_d_plus_2(host, tmp_path):
    first = [kr_holding(f"{n:06d}") for n in range(1, 51)]
    second = [kr_holding("000660", "3"), kr_holding("005380", "0")]
    host.on("/inquire-balance", *pages("output1", first, second, suffix="100", output2=CASH))
    async with connect(host, tmp_path) as kis:
        account = await kis.broker.account(MarketGroup.KR)
    assert (account.cash, account.orderable) == (7_000_000, 6_500_000)
    assert (account.currency, account.at) == (Currency.KRW, NOW)
    assert len(account.holdings) == 51
    held = account.holding("000660")
    assert (held.quantity, held.sellable, held.average_price, held.last_price) == (
        3, 3, 65000, 70000,
    )  # fmt: skip
    asked = host.sent("/inquire-balance")
    assert [request.headers["tr_cont"] for request in asked] == ["", "N"]
    assert asked[1].url.params["CTX_AREA_NK100"].strip() == "next0"
    power = host.sent("/inquire-psbl-order")[0].url.params
    assert (power["PDNO"], power["ORD_DVSN"]) == ("", "01")


async def test_buying_power_never_exceeds_cash(host, tmp_path):
    host.on("/inquire-psbl-order", ok(output={"nrcvb_buy_amt": "99000000"}))
    host.on("/inquire-balance", *pages("output1", [], suffix="100", output2=CASH))
    async with connect(host, tmp_path) as kis:
        assert (await kis.broker.account(MarketGroup.KR)).orderable == 7_000_000


@pytest.mark.parametrize("output2", [[], None, {}, [{"prvs_rcdl_excc_amt": ""}], [{"x": "1"}]])
async def test_missing_cash_is_an_error_and_not_zero(host, tmp_path, output2):
    host.on("/inquire-balance", *pages("output1", [], suffix="100", output2=output2))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable, match="prvs_rcdl_excc_amt is missing"):
            await kis.broker.account(MarketGroup.KR)


async def test_an_empty_account_answered_as_nothing_found_still_needs_its_cash(host, tmp_path):
    host.on("/inquire-balance", refused("KIOK0560", rt_cd="7", status=200))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable):
            await kis.broker.account(MarketGroup.KR)


@pytest.mark.parametrize(
    "row",
    [
        kr_holding("005930", "ten"), kr_holding("005930", "-1"), kr_holding("", "1"),
        kr_holding("005930", pchs_avg_pric="x"), kr_holding("<b>", "1"),
    ],
)  # fmt: skip
async def test_a_garbled_holding_spoils_the_whole_answer(host, tmp_path, row):
    host.on("/inquire-balance", *pages("output1", [row], suffix="100", output2=CASH))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable, match="unusable answer"):
            await kis.broker.account(MarketGroup.KR)


async def test_pages_that_overlap_do_not_double_a_holding(host, tmp_path):
    row = kr_holding("005930")
    host.on("/inquire-balance", *pages("output1", [row], [row], suffix="100", output2=CASH))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable, match="twice"):
            await kis.broker.account(MarketGroup.KR)


async def test_a_holding_without_a_price_is_valued_at_cost(host, tmp_path, caplog):
    row = kr_holding("005930", prpr="0")
    host.on("/inquire-balance", *pages("output1", [row], suffix="100", output2=CASH))
    async with connect(host, tmp_path) as kis:
        account = await kis.broker.account(MarketGroup.KR)
    assert account.holdings[0].last_price == 65000
    assert "at cost" in caplog.text


def kr_order(number, **changes):
    return {
        "ord_dt": "20261120", "ord_gno_brno": "06010", "odno": number, "orgn_odno": "",
        "sll_buy_dvsn_cd": "02", "sll_buy_dvsn_cd_name": "현금매수", "pdno": "005930",
        "prdt_name": "n", "ord_qty": "10", "ord_unpr": "70000", "ord_tmd": "093000",
        "tot_ccld_qty": "4", "avg_prvs": "69900", "tot_ccld_amt": "279600",
        "cncl_cfrm_qty": "0", "rmn_qty": "6", "rjct_qty": "0", "ord_dvsn_cd": "00",
    } | changes  # fmt: skip


async def test_korean_orders_of_all_pages_come_oldest_first(host, tmp_path):
    first = [kr_order("0000000012", ord_tmd="100000"), kr_order("0000000011")]
    cancel = kr_order(
        "13", orgn_odno="0000000011", sll_buy_dvsn_cd_name="현금매수취소", ord_tmd="103000",
        tot_ccld_qty="0", tot_ccld_amt="0", rmn_qty="6",
    )  # fmt: skip
    market = kr_order("0000000014", ord_unpr="0", ord_tmd="110000", sll_buy_dvsn_cd="01")
    host.on("/inquire-daily-ccld", *pages("output1", first, [cancel, market, {}], suffix="100"))
    async with connect(host, tmp_path) as kis:
        orders = await kis.broker.orders(MarketGroup.KR, SESSION)
    assert [order.order_no[-2:] for order in orders] == ["11", "12", "13", "14"]
    one = orders[0]
    assert (one.side, one.quantity, one.filled_quantity, one.remaining_quantity) == (
        Side.BUY, 10, 4, 6,
    )  # fmt: skip
    assert (one.filled_amount, one.limit_price, one.branch_no) == (279600, 70000, "06010")
    assert one.ordered_at == datetime(2026, 11, 20, 0, 30, tzinfo=UTC)
    assert (orders[2].order_no, orders[2].original_no) == ("0000000013", "0000000011")
    assert not orders[2].is_open
    assert (orders[3].limit_price, orders[3].side) == (None, Side.SELL)
    asked = host.sent("/inquire-daily-ccld")[0]
    assert asked.headers["tr_id"] == "TTTC0081R"
    assert asked.url.params["EXCG_ID_DVSN_CD"] == "ALL"


async def test_old_orders_have_a_query_of_their_own(host, tmp_path):
    host.on("/inquire-daily-ccld", *pages("output1", [], suffix="100"))
    async with connect(host, tmp_path, personality="paper") as kis:
        await kis.broker.orders(MarketGroup.KR, date(2026, 7, 1))
        await kis.broker.orders(MarketGroup.KR, SESSION)
    ids = [request.headers["tr_id"] for request in host.sent("/inquire-daily-ccld")]
    assert ids == ["VTSC9215R", "VTTC0081R"]
    assert host.sent("/inquire-daily-ccld")[0].url.params["EXCG_ID_DVSN_CD"] == "KRX"


@pytest.mark.parametrize("code", ["KIOK0560", "70070000"])
async def test_no_orders_today_is_an_empty_list(host, tmp_path, code):
    host.on("/inquire-daily-ccld", refused(code, rt_cd="7", status=200))
    async with connect(host, tmp_path) as kis:
        assert await kis.broker.orders(MarketGroup.KR, SESSION) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"odno": ""}, {"odno": "x"}, {"pdno": ""}, {"sll_buy_dvsn_cd": "03"},
        {"sll_buy_dvsn_cd": ""}, {"ord_qty": "0"}, {"tot_ccld_qty": "11"}, {"rmn_qty": "7"},
        {"tot_ccld_qty": "0", "avg_prvs": "0"}, {"tot_ccld_amt": "0", "avg_prvs": "0"},
        {"tot_ccld_amt": "-1"}, {"ord_tmd": "256000"}, {"ord_dt": "20261399"}, {"ord_qty": 10},
    ],
)  # fmt: skip
async def test_an_order_that_cannot_be_true_spoils_the_whole_answer(host, tmp_path, changes):
    row = kr_order("0000000011", **changes)
    host.on("/inquire-daily-ccld", *pages("output1", [row], suffix="100"))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable, match="unusable answer"):
            await kis.broker.orders(MarketGroup.KR, SESSION)


def us_holding(code, quantity="10", **changes):
    return {
        "ovrs_pdno": code, "ovrs_item_name": "n", "ovrs_cblc_qty": quantity, "ord_psbl_qty": "10",
        "pchs_avg_pric": "200.1234", "now_pric2": "231.500000", "tr_crcy_cd": "USD",
        "ovrs_excg_cd": "NASD",
    } | changes  # fmt: skip


def margin_row(currency, deposit="1000.00", **changes):
    return {
        "crcy_cd": currency, "frcr_dncl_amt1": deposit, "ustl_buy_amt": "100.00",
        "ustl_sll_amt": "350.00", "frcr_ord_psbl_amt1": "900.00",
    } | changes  # fmt: skip


MARGIN = ok("D", output=[margin_row("HKD", "5"), margin_row("USD"), margin_row("USD"), {}])


async def test_a_us_account_asks_nasd_once_and_reads_the_margin_of_its_currency(host, tmp_path):
    rows = [
        us_holding("AAPL"),
        us_holding("F", ovrs_excg_cd="NYSE"),
        us_holding("", "0"),
        us_holding("WARRANT", "289456", ord_psbl_qty="0", now_pric2="0.000000"),
        us_holding("SELLING", "5", ord_psbl_qty="0"),
    ]
    host.on("/inquire-balance", *pages("output1", rows, suffix="200"))
    host.on("/foreign-margin", MARGIN)
    async with connect(host, tmp_path, clock=FixedClock(US_NOW)) as kis:
        account = await kis.broker.account(MarketGroup.US)
    assert (account.currency, account.cash, account.orderable) == (Currency.USD, 1250, 900)
    assert [(h.instrument.symbol, h.quantity, h.sellable) for h in account.holdings] == [
        ("AAPL", 10, 10), ("F", 10, 10), ("SELLING", 5, 0),
    ]  # fmt: skip
    assert account.holdings[1].instrument.market is Market.US_NYSE
    assert account.holdings[0].average_price == D("200.1234")
    [asked] = host.sent("/inquire-balance")
    assert asked.url.params["OVRS_EXCG_CD"] == "NASD"


async def test_a_currency_never_held_is_zero(host, tmp_path):
    host.on("/inquire-balance", *pages("output1", [], suffix="200"))
    host.on("/foreign-margin", ok("D", output=[margin_row("USD"), {}]))
    async with connect(host, tmp_path) as kis:
        account = await kis.broker.account(MarketGroup.JP)
    assert (account.cash, account.orderable, account.holdings) == (0, 0, ())


async def test_a_margin_row_without_its_amounts_is_no_cash(host, tmp_path):
    host.on("/inquire-balance", *pages("output1", [], suffix="200"))
    host.on("/foreign-margin", ok("D", output=[margin_row("USD", "")]))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable, match="frcr_dncl_amt1"):
            await kis.broker.account(MarketGroup.US)


@pytest.mark.parametrize(
    ("group", "currency", "told", "rate"),
    [
        (MarketGroup.US, "USD", "1402.50000000", "1402.5"),
        (MarketGroup.JP, "JPY", "915.12000000", "9.1512"),
        (MarketGroup.JP, "JPY", "9.15120000", "9.1512"),
        (MarketGroup.VN, "VND", "5.43000000", "0.0543"),
        (MarketGroup.VN, "VND", "0.05430000", "0.0543"),
        (MarketGroup.HK, "HKD", "180.25", "180.25"),
        (MarketGroup.US, "USD", "0.00000000", None),
        (MarketGroup.US, "USD", "", None),
    ],
)
@pytest.mark.parametrize("personality", ["real", "paper"])
async def test_the_won_of_one_unit_comes_with_the_cash_whatever_it_is_quoted_for(
    host, tmp_path, personality, group, currency, told, rate
):
    host.on("/inquire-balance", *pages("output1", [], suffix="200"))
    host.on("/foreign-margin", ok("D", output=[margin_row(currency, bass_exrt=told)]))
    host.on("/inquire-psamount", ok(output={"ovrs_ord_psbl_amt": "5000.00", "exrt": told}))
    host.on("/inquire-ccnl", *pages("output", [], suffix="200"))
    async with connect(host, tmp_path, personality=personality) as kis:
        account = await kis.broker.account(group)
    assert account.krw_rate == (None if rate is None else D(rate))
    assert account.cash > 0
    assert not host.sent("/inquire-present-balance")


async def test_without_a_rate_or_a_row_the_account_is_known_and_the_rate_is_not(host, tmp_path):
    host.on("/inquire-balance", *pages("output1", [], suffix="200"))
    host.on("/foreign-margin", ok("D", output=[margin_row("USD")]))
    async with connect(host, tmp_path) as kis:
        assert (await kis.broker.account(MarketGroup.US)).krw_rate is None
        assert (await kis.broker.account(MarketGroup.JP)).krw_rate is None


async def test_a_won_is_a_won(host, tmp_path):
    host.on("/inquire-balance", *pages("output1", [], suffix="100", output2=CASH))
    async with connect(host, tmp_path) as kis:
        assert (await kis.broker.account(MarketGroup.KR)).krw_rate == 1


def us_order(number, **changes):
    return {
        "ord_dt": "20261119", "odno": number, "orgn_odno": "", "ord_gno_brno": "01790",
        "sll_buy_dvsn_cd": "02", "rvse_cncl_dvsn": "00", "pdno": "AAPL", "prdt_name": "n",
        "ft_ord_qty": "10", "ft_ord_unpr3": "200.00000000", "ft_ccld_qty": "4",
        "ft_ccld_unpr3": "199.50000000", "ft_ccld_amt3": "798.00000", "nccs_qty": "6",
        "prcs_stat_name": "전송", "ord_tmd": "110000", "ovrs_excg_cd": "NASD",
        "tr_crcy_cd": "USD", "dmst_ord_dt": "20261120", "thco_ord_tmd": "010000",
    } | changes  # fmt: skip


async def test_on_paper_cash_is_buying_power_and_what_open_buys_hold_back(host, tmp_path):
    answers = {
        "NASD": [us_holding("AAPL")],
        "NYSE": [us_holding("AAPL"), us_holding("F", ovrs_excg_cd="NYSE")],
        "AMEX": [],
    }

    def balance(request):
        return ok("D", output1=answers[request.url.params["OVRS_EXCG_CD"]])

    host.on("/inquire-balance", balance)
    host.on("/inquire-psamount", ok(output={"ovrs_ord_psbl_amt": "5000.00"}))
    sell = us_order("2", sll_buy_dvsn_cd="01", ft_ccld_qty="0", ft_ccld_amt3="0", nccs_qty="5")
    host.on("/inquire-ccnl", *pages("output", [us_order("1"), sell], suffix="200"))
    clock = FixedClock(US_NOW)
    async with connect(host, tmp_path, personality="paper", clock=clock) as kis:
        account = await kis.broker.account(MarketGroup.US)
    assert (account.cash, account.orderable) == (6200, 5000)
    assert [h.instrument.symbol for h in account.holdings] == ["AAPL", "F"]
    asked = host.sent("/inquire-ccnl")[0].url.params
    assert (asked["PDNO"], asked["OVRS_EXCG_CD"], asked["ORD_STRT_DT"]) == ("", "", "20261119")


async def test_foreign_orders_of_all_pages(host, tmp_path):
    rejected = us_order(
        "3", prcs_stat_name="거부", ft_ccld_qty="0", ft_ccld_amt3="0", nccs_qty="10",
        thco_ord_tmd="020000",
    )  # fmt: skip
    cancelled = us_order("4", nccs_qty="0", prcs_stat_name="완료", thco_ord_tmd="030000")
    cancel = us_order(
        "5", orgn_odno="4", rvse_cncl_dvsn="02", ft_ccld_qty="0", ft_ccld_amt3="0",
        thco_ord_tmd="040000",
    )  # fmt: skip
    parts = ([us_order("1"), rejected], [cancelled, cancel])
    host.on("/inquire-ccnl", *pages("output", *parts, suffix="200"))
    async with connect(host, tmp_path, clock=FixedClock(US_NOW)) as kis:
        orders = await kis.broker.orders(MarketGroup.US, US_SESSION)
    facts = [
        (o.order_no[-1], o.remaining_quantity, o.cancelled_quantity, o.rejected_quantity)
        for o in orders
    ]
    assert facts == [("1", 6, 0, 0), ("3", 0, 0, 10), ("4", 0, 6, 0), ("5", 0, 10, 0)]
    assert orders[0].ordered_at == datetime(2026, 11, 19, 16, 0, tzinfo=UTC)
    assert (orders[0].filled_amount, orders[0].limit_price) == (798, 200)
    assert orders[3].original_no == "0000000004"
    asked = host.sent("/inquire-ccnl")[0].url.params
    assert (asked["PDNO"], asked["OVRS_EXCG_CD"]) == ("%", "NASD")


async def test_the_row_of_blanks_of_an_empty_listing_is_no_order(host, tmp_path):
    host.on("/inquire-ccnl", ok("D", output=dict.fromkeys(us_order("1"), "")))
    async with connect(host, tmp_path) as kis:
        assert await kis.broker.orders(MarketGroup.US, US_SESSION) == []


async def test_orders_of_other_countries_and_days_are_left_out(host, tmp_path):
    rows = [
        us_order("1"),
        us_order("2", ovrs_excg_cd="SEHK", tr_crcy_cd="HKD", pdno="00700"),
        us_order("3", ord_dt="20261118"),
        us_order("4", ovrs_excg_cd="", tr_crcy_cd="HKD"),
    ]
    host.on("/inquire-ccnl", *pages("output", rows, suffix="200"))
    async with connect(host, tmp_path, personality="paper") as kis:
        orders = await kis.broker.orders(MarketGroup.US, US_SESSION)
    assert [order.order_no[-1] for order in orders] == ["1"]


async def test_both_chinese_exchanges_are_asked(host, tmp_path):
    def answer(request):
        code = request.url.params["OVRS_EXCG_CD"]
        number = {"SHAA": "1", "SZAA": "2"}[code]
        return ok(
            "D", output=[us_order(number, ovrs_excg_cd=code, tr_crcy_cd="CNY", pdno="600519")]
        )

    host.on("/inquire-ccnl", answer)
    async with connect(host, tmp_path) as kis:
        orders = await kis.broker.orders(MarketGroup.CN, US_SESSION)
    assert [o.instrument.market for o in orders] == [Market.CN_SHA, Market.CN_SZA]


async def test_a_known_instrument_lends_its_name_and_exchange(host, tmp_path):
    spy = Instrument("SPY", Market.US_AMEX, "SPDR")
    host.on(
        "/inquire-balance", *pages("output1", [us_holding("SPY", ovrs_excg_cd="")], suffix="200")
    )
    host.on("/foreign-margin", MARGIN)
    async with connect(host, tmp_path, instruments={"SPY": spy}) as kis:
        account = await kis.broker.account(MarketGroup.US)
    assert account.holdings[0].instrument is spy


def kr_open(number, **changes):
    row = kr_order(number, psbl_qty="6", excg_id_dvsn_cd="NXT")
    for absent in ("ord_dt", "sll_buy_dvsn_cd_name", "avg_prvs", "cncl_cfrm_qty", "rmn_qty"):
        del row[absent]
    return row | {"rvse_cncl_dvsn_name": "현금매수"} | changes


async def test_open_korean_orders_have_a_query_of_their_own(host, tmp_path):
    done = kr_open("12", psbl_qty="0", tot_ccld_qty="10", tot_ccld_amt="699000")
    parts = ([kr_open("13", ord_tmd="101500")], [kr_open("11"), done, {}])
    host.on("/inquire-psbl-rvsecncl", *pages("output", *parts, suffix="100"))
    async with connect(host, tmp_path) as kis:
        orders = await kis.broker.open_orders(MarketGroup.KR)
    assert [(o.order_no[-2:], o.remaining_quantity, o.route) for o in orders] == [
        ("11", 6, "NXT"), ("13", 6, "NXT"),
    ]  # fmt: skip
    assert (orders[0].session, orders[0].branch_no) == (SESSION, "06010")
    asked = host.sent("/inquire-psbl-rvsecncl")[0]
    assert asked.headers["tr_id"] == "TTTC0084R"
    assert (asked.url.params["INQR_DVSN_1"], asked.url.params["INQR_DVSN_2"]) == ("0", "0")


async def test_on_paper_open_korean_orders_come_from_the_day_s_listing(host, tmp_path):
    rows = [kr_order("11"), kr_order("12", rmn_qty="0")]
    host.on("/inquire-daily-ccld", *pages("output1", rows, suffix="100"))
    async with connect(host, tmp_path, personality="paper") as kis:
        orders = await kis.broker.open_orders(MarketGroup.KR)
    assert [order.order_no[-2:] for order in orders] == ["11"]
    assert host.sent("/inquire-daily-ccld")[0].url.params["CCLD_DVSN"] == "02"


@pytest.mark.parametrize(
    ("told", "route"),
    [
        ({"excg_id_dvsn_Cd": "NXT"}, "NXT"), ({"excg_id_dvsn_cd": "SOR"}, "SOR"),
        ({"excg_id_dvsn_Cd": "KRX"}, "KRX"), ({}, ""), ({"excg_id_dvsn_Cd": "???"}, ""),
    ],
)  # fmt: skip
async def test_the_route_of_an_order_is_kept(host, tmp_path, told, route):
    host.on("/inquire-daily-ccld", *pages("output1", [kr_order("11", **told)], suffix="100"))
    async with connect(host, tmp_path) as kis:
        [order] = await kis.broker.orders(MarketGroup.KR, SESSION)
    assert order.route == route


async def test_what_can_be_sold_in_korea(host, tmp_path):
    samsung, other = Instrument("005930", Market.KR), Instrument("000001", Market.KR)
    host.on("/inquire-psbl-sell", ok(output={"pdno": "005930", "ord_psbl_qty": "4"}))
    host.on(
        "/inquire-balance",
        *pages("output1", [kr_holding("005930")], suffix="100", output2=CASH),
    )
    async with connect(host, tmp_path) as kis:
        assert await kis.broker.sellable(samsung) == 4
        with pytest.raises(BrokerUnavailable, match="another security"):
            await kis.broker.sellable(other)
    assert host.sent("/inquire-psbl-sell")[0].headers["tr_id"] == "TTTC8408R"
    async with connect(host, tmp_path, personality="paper") as kis:
        assert await kis.broker.sellable(samsung) == 7
        assert await kis.broker.sellable(other) == 0
    assert len(host.sent("/inquire-psbl-sell")) == 2


async def test_what_can_be_bought_without_credit(host, tmp_path):
    host.on("/inquire-psbl-order", ok(output={"nrcvb_buy_qty": "92", "max_buy_qty": "300"}))
    host.on("/inquire-psamount", ok(output={"max_ord_psbl_qty": "12", "ord_psbl_qty": "40"}))
    async with connect(host, tmp_path) as kis:
        assert await kis.broker.buyable(Instrument("005930", Market.KR), D("7E+4")) == 92
        assert await kis.broker.buyable(Instrument("AAPL", Market.US_NASDAQ), D("231.50")) == 12
        host.on("/inquire-psbl-order", ok(output={}))
        with pytest.raises(BrokerUnavailable, match="nrcvb_buy_qty is missing"):
            await kis.broker.buyable(Instrument("005930", Market.KR), D(70000))
    at_home, abroad = host.sent("/inquire-psbl-order")[0], host.sent("/inquire-psamount")[0]
    assert (at_home.url.params["PDNO"], at_home.url.params["ORD_UNPR"]) == ("005930", "70000")
    assert (abroad.url.params["OVRS_EXCG_CD"], abroad.url.params["OVRS_ORD_UNPR"]) == (
        "NASD", "231.5",
    )  # fmt: skip


def us_open(number, **changes):
    row = us_order(number, rvse_cncl_dvsn_cd="00")
    for absent in ("rvse_cncl_dvsn", "dmst_ord_dt", "thco_ord_tmd"):
        del row[absent]
    return row | changes


async def test_open_foreign_orders_have_a_query_of_their_own(host, tmp_path):
    host.on("/inquire-nccs", *pages("output", [us_open("1")], [us_open("2")], suffix="200"))
    async with connect(host, tmp_path, clock=FixedClock(US_NOW)) as kis:
        orders = await kis.broker.open_orders(MarketGroup.US)
    assert [(o.order_no[-1], o.remaining_quantity, o.session) for o in orders] == [
        ("1", 6, US_SESSION), ("2", 6, US_SESSION),
    ]  # fmt: skip
    [first, second] = host.sent("/inquire-nccs")
    assert first.headers["tr_id"] == "TTTS3018R"
    assert first.url.params["OVRS_EXCG_CD"] == "NASD"
    assert second.headers["tr_cont"] == "N"


async def test_on_paper_open_foreign_orders_come_from_the_day_s_listing(host, tmp_path):
    rows = [us_order("1"), us_order("2", nccs_qty="0")]
    host.on("/inquire-ccnl", *pages("output", rows, suffix="200"))
    async with connect(host, tmp_path, personality="paper", clock=FixedClock(US_NOW)) as kis:
        orders = await kis.broker.open_orders(MarketGroup.US)
    assert [order.order_no[-1] for order in orders] == ["1"]
    assert not host.sent("/inquire-nccs")


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        # 11:00 of the session in New York, told in Seoul's time and in New York's.
        ("010000", datetime(2026, 11, 19, 16, 0, tzinfo=UTC)),
        ("110000", datetime(2026, 11, 19, 16, 0, tzinfo=UTC)),
        ("233500", datetime(2026, 11, 19, 14, 35, tzinfo=UTC)),
    ],
)
async def test_a_time_of_nobody_s_clock_is_read_as_one_that_is_over(host, tmp_path, told, moment):
    host.on("/inquire-nccs", *pages("output", [us_open("1", ord_tmd=told)], suffix="200"))
    async with connect(host, tmp_path, clock=FixedClock(US_NOW)) as kis:
        [order] = await kis.broker.open_orders(MarketGroup.US)
    assert order.ordered_at == moment


async def test_deposits_by_currency_are_read_by_the_header_alone(host, tmp_path):
    def row(currency, amount):
        return {"crcy_cd": currency, "frcr_dncl_amt_2": amount}

    first = ok("M", output1=[], output2=[row("USD", "1000.50"), row("XXX", "1"), {}], output3={})
    host.on("/inquire-present-balance", first, ok("D", output2=[row("JPY", "5000")]))
    async with connect(host, tmp_path) as kis:
        deposits = await kis.broker.deposits()
    assert deposits == {Currency.USD: D("1000.50"), Currency.JPY: 5000}
    asked = host.sent("/inquire-present-balance")
    assert [request.headers["tr_cont"] for request in asked] == ["", "N"]
    assert not [key for key in asked[1].url.params if key.startswith("CTX")]
    assert asked[0].headers["tr_id"] == "CTRP6504R"
    async with connect(host, tmp_path, personality="paper") as kis:
        with pytest.raises(NotOffered, match="paper"):
            await kis.broker.deposits()


async def test_a_margin_of_two_pages_is_read_to_its_end(host, tmp_path):
    host.on("/inquire-balance", *pages("output1", [], suffix="200"))
    host.on("/foreign-margin", ok("F", output=[{}]), ok("D", output=[margin_row("USD")]))
    async with connect(host, tmp_path) as kis:
        assert (await kis.broker.account(MarketGroup.US)).cash == 1250
