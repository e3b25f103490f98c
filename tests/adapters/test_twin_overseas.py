"""The twin's foreign requests: quotes, bars, rankings, orders, holdings and cash."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.twin_client import ACCOUNT, OVERSEAS, OVERSEAS_PRICE, TwinClient, all_strings, twin_of
from tests.venue_double import (
    APPLE,
    FORD,
    KR_NOW,
    US_NOW,
    VenueDouble,
    america,
    holding,
    korea,
)
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import OrderType, Side
from trading_core.twin.exchange_rates import rates_at
from trading_core.twin.venue import NewOrder, RefusalKind

TRADING = f"{OVERSEAS}/trading"
AAPL = {"AUTH": "", "EXCD": "NAS", "SYMB": "AAPL"}
SPAN = {"ORD_STRT_DT": "20261120", "ORD_END_DT": "20261120"}


async def order(client: TwinClient, tr_id: str, **change: Any) -> Any:
    body = ACCOUNT | {
        "OVRS_EXCG_CD": "NASD", "PDNO": "AAPL", "ORD_QTY": "5", "OVRS_ORD_UNPR": "199.5",
        "ORD_SVR_DVSN_CD": "0", "ORD_DVSN": "00",
    }  # fmt: skip
    return await client.post(f"{TRADING}/order", tr_id, **(body | change))


async def test_the_price_has_an_unsigned_difference_and_a_signed_rate() -> None:
    async with twin_of(america()) as client:
        path = f"{OVERSEAS_PRICE}/price"
        apple = (await client.get(path, "HHDFS00000300", **AAPL)).body["output"]
        ford = AAPL | {"EXCD": "NYS", "SYMB": "F"}
        fallen = (await client.get(path, "HHDFS00000300", **ford)).body["output"]
        elsewhere = AAPL | {"EXCD": "NYS"}
        unknown = (await client.get(path, "HHDFS00000300", **elsewhere)).body
    expected = {
        "rsym": "DNASAAPL", "zdiv": "4", "base": "200.0000", "last": "202.0000", "sign": "2",
        "diff": "2.0000", "rate": "+1.00", "tvol": "1000", "tamt": "202000",
    }  # fmt: skip
    assert {key: apple[key] for key in expected} == expected
    assert (fallen["diff"], fallen["rate"], fallen["sign"]) == ("0.5000", "-5.00", "5")
    assert unknown["rt_cd"] == "0"
    assert set(unknown["output"].values()) == {""}


async def test_price_detail_tells_the_year_the_lot_and_the_price_in_won() -> None:
    async with twin_of(america()) as client:
        path = f"{OVERSEAS_PRICE}/price-detail"
        detail = (await client.get(path, "HHDFS76200200", **AAPL)).body
        unknown = AAPL | {"SYMB": "NONE"}
        blank = (await client.get(path, "HHDFS76200200", **unknown)).body["output"]
    output = detail["output"]
    assert all_strings(detail)
    assert (output["open"], output["high"], output["low"]) == ("200.0000", "202.0000", "200.0000")
    assert (output["curr"], output["vnit"], output["e_hogau"]) == ("USD", "1", "0.0100")
    assert output["t_xprc"] == f"{202 * rates_at(US_NOW)[Currency.USD]:.0f}"
    assert set(output) == set(blank)
    assert set(blank.values()) == {""}


async def test_the_foreign_order_book_has_ten_levels_in_the_us() -> None:
    async with twin_of(america()) as client:
        path = f"{OVERSEAS_PRICE}/inquire-asking-price"
        body = (await client.get(path, "HHDFS76200100", **AAPL)).body
    assert body["output1"]["dhms"] == "103000"
    assert body["output1"]["dymd"] == "20261120"
    assert (body["output2"]["pask1"], body["output2"]["pbid10"]) == ("202.0100", "201.9000")
    assert body["output2"]["vask2"] == "20"


async def bars(client: TwinClient, end: str = "", gubn: str = "0") -> list[Any]:
    params = AAPL | {"GUBN": gubn, "BYMD": end, "MODP": "1"}
    return (await client.get(f"{OVERSEAS_PRICE}/dailyprice", "HHDFS76240000", **params)).body[
        "output2"
    ]


async def test_daily_bars_page_backwards_by_their_last_date() -> None:
    seen: list[str] = []
    end = ""
    async with twin_of(america()) as client:
        while rows := await bars(client, end):
            seen += [row["xymd"] for row in rows]
            last = datetime.strptime(seen[-1], "%Y%m%d").replace(tzinfo=UTC)
            end = (last - timedelta(days=1)).strftime("%Y%m%d")
        weeks = await bars(client, gubn="1")
        future = await bars(client, "20991231")
    assert len(seen) == len(set(seen)) == 300
    assert seen == sorted(seen, reverse=True)
    assert len(weeks) == 60
    assert future[0]["xymd"] == "20261120"
    assert (future[0]["clos"], future[0]["diff"], future[0]["sign"]) == ("1299.0000", "1.0000", "2")


async def test_minute_bars_join_go_back_over_sessions_and_continue_from_a_key() -> None:
    async with twin_of(america()) as client:
        path = f"{OVERSEAS_PRICE}/inquire-time-itemchartprice"
        params = AAPL | dict.fromkeys(("NEXT", "FILL", "KEYB"), "")
        params |= {"NMIN": "5", "PINC": "0", "NREC": "10"}
        first = (await client.get(path, "HHDFS76950200", **params)).body
        params |= {"KEYB": "20261120094000", "NEXT": "1", "PINC": "1"}
        second = (await client.get(path, "HHDFS76950200", **params)).body
    rows = first["output2"]
    assert first["output1"]["more"] == "1"
    assert [rows[0]["xhms"], rows[-1]["xhms"]] == ["102500", "094000"]
    assert rows[0]["kymd"] + rows[0]["khms"] == "20261121002500"
    assert (rows[0]["open"], rows[0]["last"]) == ("185.0000", "189.0000")
    assert rows[0]["evol"] == str(86 + 87 + 88 + 89 + 90)
    assert second["output2"][0]["xhms"] == "094000"
    assert second["output2"][9]["xymd"] == "20261119"


async def test_rankings_are_by_exchange_and_by_direction() -> None:
    async with twin_of(america()) as client:
        path = f"{OVERSEAS}/ranking/updown-rate"
        params = {"AUTH": "", "KEYB": "", "NDAY": "0", "VOL_RANG": "0", "GUBN": "1", "EXCD": "NAS"}
        gainers = (await client.get(path, "HHDFS76290000", **params)).body
        losers = (await client.get(path, "HHDFS76290000", **(params | {"EXCD": "NYS"}))).body
        busy = (await client.get(path, "HHDFS76290000", **(params | {"VOL_RANG": "3"}))).body
        params |= {"PRC1": "", "PRC2": ""}
        traded = await client.get(f"{OVERSEAS}/ranking/trade-vol", "HHDFS76310010", **params)
    assert [row["symb"] for row in gainers["output2"]] == ["AAPL"]
    assert gainers["output2"][0]["rate"] == "+1.00"
    assert gainers["output1"]["nrec"] == "1"
    assert losers["output2"][0]["symb"] == "F"
    assert busy["output2"] == []
    assert traded.body["output2"][0]["a_tvol"]


async def test_settlement_days_list_only_open_exchanges() -> None:
    async with twin_of(america()) as client:
        path = f"{OVERSEAS}/quotations/countries-holiday"
        params = {"TRAD_DT": "20261120", "CTX_AREA_NK": "", "CTX_AREA_FK": ""}
        friday = (await client.get(path, "CTOS5011R", **params)).body["output"]
        params["TRAD_DT"] = "20261121"
        saturday = (await client.get(path, "CTOS5011R", **params)).body["output"]
    assert {row["tr_mket_cd"] for row in friday} == {"01", "02", "05"}
    assert {row["natn_eng_abrv_cd"] for row in friday} == {"US"}
    assert friday[0]["acpl_sttl_dt"] == "20261123"
    assert saturday == []


@pytest.mark.parametrize("tr_id", ["VTTT1001U", "VTTT1006U"])
async def test_both_paper_ids_sell_us_shares(tr_id: str) -> None:
    venue = america()
    async with twin_of(venue, personality="paper") as client:
        answer = await order(client, tr_id)
    assert answer.code == "40590000"
    assert answer.body["output"]["KRX_FWDG_ORD_ORGNO"] == "00950"
    assert venue.rows[0].side == "SELL"


async def test_a_foreign_order_is_accepted_repriced_and_cancelled() -> None:
    venue = america()
    async with twin_of(venue) as client:
        placed = await order(client, "JTTT1002U")
        change = ACCOUNT | {
            "OVRS_EXCG_CD": "NASD", "PDNO": "AAPL", "ORGN_ODNO": "0000000001", "ORD_QTY": "5",
            "RVSE_CNCL_DVSN_CD": "01", "OVRS_ORD_UNPR": "200.25", "ORD_SVR_DVSN_CD": "0",
        }  # fmt: skip
        path = f"{TRADING}/order-rvsecncl"
        modified = await client.post(path, "TTTT1004U", **change)
        venue.fill(2, 2, "200.10")
        cancel = change | {
            "ORGN_ODNO": "2", "RVSE_CNCL_DVSN_CD": "02", "ORD_QTY": "3", "OVRS_ORD_UNPR": "0"
        }  # fmt: skip
        opened = await client.get(f"{TRADING}/inquire-nccs", "TTTS3018R", **where("NASD"))
        await client.post(path, "TTTT1004U", **cancel)
        closed = await client.get(f"{TRADING}/inquire-nccs", "TTTS3018R", **where("NASD"))
        params = where("%") | SPAN | {"SORT_SQN": "AS"}
        done = await client.get(f"{TRADING}/inquire-ccnl", "TTTS3035R", **params)
    assert placed.body["output"] == {
        "KRX_FWDG_ORD_ORGNO": "01790", "ODNO": "0000000001", "ORD_TMD": "003000"
    }  # fmt: skip
    assert modified.code == "APBK0013"
    (open_row,) = opened.body["output"]
    expected = {
        "odno": "0000000002", "orgn_odno": "0000000001", "ft_ord_qty": "5", "ft_ccld_qty": "2",
        "nccs_qty": "3", "ft_ord_unpr3": "200.25000000", "ft_ccld_unpr3": "200.10000000",
        "ft_ccld_amt3": "400.20000", "ovrs_excg_cd": "NASD", "rvse_cncl_dvsn_cd": "01",
    }  # fmt: skip
    assert {key: open_row[key] for key in expected} == expected
    assert closed.body["output"] == []
    rows = done.body["output"]
    assert [row["rvse_cncl_dvsn"] for row in rows] == ["00", "01", "02"]
    assert (rows[0]["ord_dt"], rows[0]["dmst_ord_dt"]) == ("20261120", "20261121")
    assert rows[0]["thco_ord_tmd"] == "003000"
    assert done.headers["tr_cont"] == "D"


def where(code: str) -> dict[str, str]:
    return ACCOUNT | {"OVRS_EXCG_CD": code, "TR_CRCY_CD": ""}


@pytest.mark.parametrize(
    ("tr_id", "change", "code"),
    [
        ("TTTT1002U", {"OVRS_EXCG_CD": "NYSE"}, "APBK0656"),
        ("TTTT1002U", {"OVRS_EXCG_CD": "SEHK"}, "OPSQ2001"),
        ("TTTT1002U", {"ORD_DVSN": "31"}, "APBK3026"),
        ("TTTT1002U", {"ORD_DVSN": "35"}, "APBK3026"),
        ("TTTT1006U", {"ORD_DVSN": "36"}, "APBK3026"),
        ("TTTT1002U", {"OVRS_ORD_UNPR": "199.505"}, "APTR0057"),
        ("TTTT1002U", {"OVRS_ORD_UNPR": ""}, "OPSQ2001"),
        ("TTTT1002U", {"OVRS_ORD_UNPR": "0"}, "APBK0506"),
        ("TTTS1002U", {}, "OPSQ2001"),
        ("VTTT1002U", {}, "EGW02004"),
    ],
)
async def test_a_wrong_foreign_order_is_refused(
    tr_id: str, change: dict[str, str], code: str
) -> None:
    venue = america()
    async with twin_of(venue) as client:
        assert (await order(client, tr_id, **change)).code == code
    assert venue.rows == []


async def test_a_closed_foreign_market_has_a_code_of_its_own() -> None:
    venue = america()
    venue.refuse = RefusalKind.AFTER_CLOSE
    async with twin_of(venue) as client:
        assert (await order(client, "TTTT1006U")).code == "APBK1664"


async def test_nasd_means_all_of_the_us_on_the_real_host_only() -> None:
    venue = america()
    venue.held = [holding(APPLE, 3, "190", "202"), holding(FORD, 10, "11", "9.5")]
    path = f"{TRADING}/inquire-balance"
    async with twin_of(venue) as client:
        real = (await client.get(path, "TTTS3012R", **where("NASD"))).body
        plain = (await client.get(path, "TTTS3012R", **where("NAS"))).body
    async with twin_of(venue, personality="paper") as client:
        paper = (await client.get(path, "VTTS3012R", **where("NASD"))).body
    assert [row["ovrs_pdno"] for row in real["output1"]] == ["AAPL", "F", ""]
    assert [row["ovrs_pdno"] for row in plain["output1"]] == ["AAPL", ""]
    assert [row["ovrs_pdno"] for row in paper["output1"]] == ["AAPL"]
    apple = real["output1"][0]
    assert (apple["pchs_avg_pric"], apple["ovrs_stck_evlu_amt"]) == ("190.0000", "606.00000000")
    assert (apple["evlu_pfls_rt"], apple["ovrs_excg_cd"]) == ("6.32", "NASD")
    assert real["output2"]["tot_evlu_pfls_amt"] == "21.00000000"


async def test_unsettled_trades_join_deposit_and_settled_cash() -> None:
    venue = america()
    venue.deposit, venue.settled = Decimal("50000.55"), Decimal("48990.05")
    venue.bought, venue.sold, venue.reserved = Decimal("1500"), Decimal("500"), Decimal("100.05")
    async with twin_of(venue) as client:
        rows = (await client.get(f"{TRADING}/foreign-margin", "TTTC2101R", **ACCOUNT)).body[
            "output"
        ]
        params = where("NASD") | {"OVRS_ORD_UNPR": "200", "ITEM_CD": "AAPL"}
        power = (await client.get(f"{TRADING}/inquire-psamount", "TTTS3007R", **params)).body
    dollars = [row for row in rows if row["crcy_cd"] == "USD"]
    assert len(rows) == 60
    assert len(dollars) == 3
    assert next(row for row in rows if not row["crcy_cd"])["frcr_dncl_amt1"] == "0.000000"
    amounts = {key: Decimal(value) for key, value in dollars[0].items() if key.endswith("amt")}
    deposit = Decimal(dollars[0]["frcr_dncl_amt1"])
    assert deposit + amounts["ustl_sll_amt"] - amounts["ustl_buy_amt"] == venue.settled
    assert Decimal(dollars[0]["frcr_ord_psbl_amt1"]) == Decimal("48890.00")
    assert power["output"]["ovrs_ord_psbl_amt"] == "48890.00"
    # 244 shares cost 48,800, and 0.25 % of that is 122.
    assert power["output"]["max_ord_psbl_qty"] == "243"
    assert power["output"]["tr_crcy_cd"] == "USD"


async def test_the_present_balance_is_whole_on_the_real_host_and_totals_only_on_paper() -> None:
    venue = america()
    venue.held = [holding(APPLE, 3, "190", "202")]
    path = f"{TRADING}/inquire-present-balance"
    params = ACCOUNT | {
        "WCRC_FRCR_DVSN_CD": "02", "NATN_CD": "840", "TR_MKET_CD": "00", "INQR_DVSN_CD": "00"
    }  # fmt: skip
    async with twin_of(venue) as client:
        real = (await client.get(path, "CTRP6504R", **params)).body
    async with twin_of(venue, personality="paper") as client:
        paper = (await client.get(path, "VTRP6504R", **params)).body
    assert [row["pdno"] for row in real["output1"]] == ["AAPL"]
    assert real["output1"][0]["frcr_evlu_amt2"] == "606.000000"
    assert [(row["crcy_cd"], row["frcr_dncl_amt_2"]) for row in real["output2"]] == [
        ("USD", "50000.550000")
    ]
    assert (paper["output1"], paper["output2"]) == ([], [])
    assert real["output3"] == paper["output3"]
    assert real["output3"]["evlu_amt_smtl"] == f"{606 * rates_at(US_NOW)[Currency.USD]:.0f}"


async def test_no_foreign_orders_are_an_empty_list() -> None:
    path = f"{TRADING}/inquire-ccnl"
    async with twin_of(america()) as client:
        real = await client.get(path, "TTTS3035R", **where("%"), **SPAN)
    async with twin_of(america(), personality="paper") as client:
        paper = await client.get(path, "VTTS3035R", **where(""), **SPAN)
    assert (real.code, real.body["rt_cd"], real.headers["tr_cont"]) == ("KIOK0560", "0", "D")
    assert (paper.code, paper.body["rt_cd"]) == ("70070000", "0")
    assert real.body["output"] == paper.body["output"] == []


async def test_the_foreign_balance_is_padded_with_a_blank_row_on_the_real_host_only() -> None:
    path = f"{TRADING}/inquire-balance"
    async with twin_of(america()) as client:
        real = (await client.get(path, "TTTS3012R", **where("NASD"))).body["output1"]
    async with twin_of(america(), personality="paper") as client:
        paper = (await client.get(path, "VTTS3012R", **where("NASD"))).body["output1"]
    assert [(row["ovrs_pdno"], row["ovrs_cblc_qty"]) for row in real] == [("", "0")]
    assert paper == []


@pytest.mark.parametrize(
    ("tr_id", "code", "group", "market"),
    [
        ("TTTS0302U", "SHAA", MarketGroup.CN, Market.CN_SHA),
        ("TTTS0306U", "SZAA", MarketGroup.CN, Market.CN_SZA),
        ("TTTS0312U", "HASE", MarketGroup.VN, Market.VN_HNX),
        ("TTTS0312U", "VNSE", MarketGroup.VN, Market.VN_HSX),
    ],
)
async def test_cancel_only_markets_refuse_a_modify_and_take_a_cancel(
    tr_id: str, code: str, group: MarketGroup, market: Market
) -> None:
    item = Instrument("600000", market)
    venue = VenueDouble(group, {item: ("20", "20")}, now=KR_NOW + timedelta(hours=1))
    venue.place(NewOrder("12345678-01", "600000", Side.BUY, OrderType.LIMIT, 100, Decimal(19)))
    body = ACCOUNT | {
        "OVRS_EXCG_CD": code, "PDNO": "600000", "ORGN_ODNO": "1", "ORD_QTY": "100",
        "OVRS_ORD_UNPR": "19", "ORD_SVR_DVSN_CD": "0",
    }  # fmt: skip
    async with twin_of(venue) as client:
        path = f"{TRADING}/order-rvsecncl"
        modify = await client.post(path, tr_id, RVSE_CNCL_DVSN_CD="01", **body)
        cancel = await client.post(path, tr_id, RVSE_CNCL_DVSN_CD="02", **body)
    assert (modify.code, cancel.code) == ("APBK3026", "APBK0013")


@pytest.mark.parametrize(
    ("tr_id", "code", "market", "quote_code"),
    [
        ("TTTT1002U", "NASD", Market.US_NASDAQ, "NAS"),
        ("TTTT1002U", "NYSE", Market.US_NYSE, "NYS"),
        ("TTTT1002U", "AMEX", Market.US_AMEX, "AMS"),
        ("TTTS1002U", "SEHK", Market.HK, "HKS"),
        ("TTTS0202U", "SHAA", Market.CN_SHA, "SHS"),
        ("TTTS0305U", "SZAA", Market.CN_SZA, "SZS"),
        ("TTTS0308U", "TKSE", Market.JP, "TSE"),
        ("TTTS0311U", "HASE", Market.VN_HNX, "HNX"),
        ("TTTS0311U", "VNSE", Market.VN_HSX, "HSX"),
    ],
)
async def test_all_nine_exchanges_quote_and_take_orders(
    tr_id: str, code: str, market: Market, quote_code: str
) -> None:
    item = Instrument("TEST", market)
    venue = VenueDouble(market.group, {item: ("20", "20")}, now=US_NOW)
    async with twin_of(venue) as client:
        params = AAPL | {"EXCD": quote_code, "SYMB": "TEST"}
        price = (await client.get(f"{OVERSEAS_PRICE}/price", "HHDFS00000300", **params)).body
        change = {"OVRS_EXCG_CD": code, "PDNO": "TEST", "OVRS_ORD_UNPR": "19"}
        placed = await order(client, tr_id, **change)
    assert price["output"]["rsym"] == f"D{quote_code}TEST"
    assert placed.code == "APBK0013"
    assert venue.requests[0].limit_price == Decimal(19)


async def test_two_venues_share_one_server_and_keep_their_books_apart() -> None:
    home, abroad = korea(), america()
    home.now = abroad.now
    async with twin_of(home, abroad) as client:
        await client.buy()
        await order(client, "TTTT1002U")
        state = (await client.send("GET", "/twin/state")).body
    assert [venue["group"] for venue in state["venues"]] == ["KR", "US"]
    assert (len(home.rows), len(abroad.rows)) == (1, 1)


async def test_foreign_cash_without_a_foreign_venue_is_what_the_account_was_opened_with() -> None:
    venue = korea()
    venue.specs[0].cash[Currency.USD] = Decimal("12.5")
    async with twin_of(venue) as client:
        params = where("NASD") | {"OVRS_ORD_UNPR": "1", "ITEM_CD": "AAPL"}
        power = (await client.get(f"{TRADING}/inquire-psamount", "TTTS3007R", **params)).body
    assert power["output"]["ovrs_ord_psbl_amt"] == "12.50"
