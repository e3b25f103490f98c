"""Domestic and foreign quotes of the twin beyond the plain price, and what it knows of listings."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.twin_client import (
    DOMESTIC,
    OVERSEAS,
    OVERSEAS_PRICE,
    Answer,
    TwinClient,
    all_strings,
    twin_of,
)
from tests.venue_double import KR_NOW, SAMSUNG, VenueDouble, america, korea
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.price import MinuteBar
from trading_core.rules.calendar import Phase
from trading_core.twin.venue import TradingState
from trading_core.twin.wire.listings import isin

QUOTES = f"{DOMESTIC}/quotations"
J = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": "005930"}
AAPL = {"AUTH": "", "EXCD": "NAS", "SYMB": "AAPL"}
AUCTION = TradingState(
    Phase.CLOSING_AUCTION, halted=False, expected_price=Decimal(70500), expected_quantity=1234
)
HALTED = TradingState(Phase.CONTINUOUS, halted=True)
INTERRUPTED = TradingState(
    Phase.CONTINUOUS,
    halted=False,
    interrupted=True,
    interrupted_until=KR_NOW + timedelta(minutes=1),
    reference_price=Decimal(64000),
    expected_price=Decimal(71000),
    expected_quantity=50,
)


async def quote(client: TwinClient, name: str, tr_id: str, **params: str) -> Answer:
    return await client.get(f"{QUOTES}/{name}", tr_id, **params)


async def test_a_halted_security_is_marked_in_every_quote_of_it() -> None:
    venue = korea()
    venue.states["005930"] = HALTED
    many = {"FID_COND_MRKT_DIV_CODE_1": "J", "FID_INPUT_ISCD_1": "005930"}
    async with twin_of(venue) as client:
        price = (await quote(client, "inquire-price", "FHKST01010100", **J)).body["output"]
        rows = (await quote(client, "intstock-multprice", "FHKST11300006", **many)).body["output"]
        about = {"PDNO": "005930", "PRDT_TYPE_CD": "300"}
        info = (await quote(client, "search-stock-info", "CTPF1002R", **about)).body["output"]
    assert (price["iscd_stat_cls_code"], price["temp_stop_yn"]) == ("58", "Y")
    assert rows[0]["mrkt_trtm_cls_name"] == "거래정지"
    assert (info["tr_stop_yn"], info["nxt_tr_stop_yn"]) == ("Y", "Y")


async def test_an_interrupted_security_shows_its_expected_price_and_its_flag() -> None:
    venue = korea()
    venue.states["005930"] = INTERRUPTED
    async with twin_of(venue) as client:
        price = (await quote(client, "inquire-price", "FHKST01010100", **J)).body["output"]
        book = await quote(client, "inquire-asking-price-exp-ccn", "FHKST01010200", **J)
        names = "DIV_CLS_CODE MRKT_CLS_CODE INPUT_ISCD TRGT_CLS_CODE TRGT_EXLS_CLS_CODE"
        params = {f"FID_{name}": "" for name in names.split()} | {
            "FID_COND_SCR_DIV_CODE": "20139", "FID_RANK_SORT_CLS_CODE": "0",
            "FID_INPUT_DATE_1": "20261120",
        }  # fmt: skip
        listed = (await quote(client, "inquire-vi-status", "FHPST01390000", **params)).body
        falling = params | {"FID_DIV_CLS_CODE": "2"}
        none = (await quote(client, "inquire-vi-status", "FHPST01390000", **falling)).body
    assert (price["vi_cls_code"], price["temp_stop_yn"]) == ("Y", "N")
    expected = book.body["output2"]
    assert (expected["antc_cnpr"], expected["antc_vol"], expected["vi_cls_code"]) == (
        "71000", "50", "Y"
    )  # fmt: skip
    (row,) = listed["output"]
    assert (row["mksc_shrn_iscd"], row["vi_stnd_prc"], row["vi_dprt"]) == (
        "005930", "64000", "10.94"
    )  # fmt: skip
    assert (row["cntg_vi_hour"], row["vi_cncl_hour"]) == ("102900", "103100")
    assert none["output"] == []


async def test_the_expected_price_is_told_in_an_auction_and_zero_outside_it() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        path = "inquire-asking-price-exp-ccn"
        before = (await quote(client, path, "FHKST01010200", **J)).body["output2"]
        venue.states["005930"] = AUCTION
        during = (await quote(client, path, "FHKST01010200", **J)).body["output2"]
    assert (before["antc_cnpr"], before["antc_vol"], before["antc_mkop_cls_code"]) == (
        "0", "0", "112"
    )  # fmt: skip
    keys = ("antc_cnpr", "antc_cntg_vrss", "antc_cntg_vrss_sign", "antc_cntg_prdy_ctrt", "antc_vol")
    assert [during[key] for key in keys] == ["70500", "500", "2", "0.71", "1234"]


@pytest.mark.parametrize(
    ("path", "tr_id", "rows", "adjusted", "raw"),
    [
        ("inquire-daily-itemchartprice", "FHKST03010100", "output2", "0", "1"),
        ("inquire-daily-price", "FHKST01010400", "output", "0000000001", "0"),
    ],
)
async def test_the_two_daily_requests_mean_opposite_things_by_the_adjustment_flag(
    path: str, tr_id: str, rows: str, adjusted: str, raw: str
) -> None:
    params = J | {
        "FID_INPUT_DATE_1": "20261101", "FID_INPUT_DATE_2": "20261120", "FID_PERIOD_DIV_CODE": "D"
    }  # fmt: skip
    async with twin_of(korea()) as client:
        found = []
        for flag in (adjusted, raw, f"00{raw}", "2"):
            answer = await quote(client, path, tr_id, **params | {"FID_ORG_ADJ_PRC": flag})
            found.append(answer.body)
    assert [body[rows][0]["stck_clpr"] for body in found[:3]] == ["1299", "12990", "12990"]
    assert found[3]["msg_cd"] == "OPSQ2001"


async def test_modp_chooses_prices_as_traded_or_adjusted_abroad() -> None:
    path = f"{OVERSEAS_PRICE}/dailyprice"
    params = AAPL | {"GUBN": "0", "BYMD": ""}
    async with twin_of(america()) as client:
        answers = [
            (await client.get(path, "HHDFS76240000", **params | {"MODP": flag})).body
            for flag in ("0", "1", "")
        ]
    assert [body["output2"][0]["clos"] for body in answers[:2]] == ["12990.0000", "1299.0000"]
    assert answers[2]["msg_cd"] == "OPSQ2001"


async def test_a_forming_bar_is_fresh_while_the_bars_before_it_are_kept() -> None:
    venue = korea()
    asked: list[Any] = []
    real = venue.daily_bars

    def counted(symbol: str, **span: Any) -> Any:
        asked.append(span)
        return real(symbol, **span)

    venue.daily_bars = counted  # type: ignore[method-assign]
    params = J | {
        "FID_INPUT_DATE_1": "20260601", "FID_INPUT_DATE_2": "20261231",
        "FID_PERIOD_DIV_CODE": "D", "FID_ORG_ADJ_PRC": "0",
    }  # fmt: skip
    async with twin_of(venue) as client:
        path = "inquire-daily-itemchartprice"
        first = (await quote(client, path, "FHKST03010100", **params)).body["output2"]
        asked.clear()
        second = (await quote(client, path, "FHKST03010100", **params)).body["output2"]
    assert first == second
    assert len(first) == 100
    days = [(span["end"] - span["start"]).days for span in asked]
    assert days == [14]


async def test_the_last_trades_are_thirty_at_most_newest_first() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        rows = (await quote(client, "inquire-ccnl", "FHKST01010300", **J)).body["output"]
    assert 0 < len(rows) <= 30
    hours = [row["stck_cntg_hour"] for row in rows]
    assert hours == sorted(hours, reverse=True)
    assert set(rows[0]) == {
        "stck_cntg_hour", "stck_prpr", "prdy_vrss", "prdy_vrss_sign", "cntg_vol", "tday_rltv",
        "prdy_ctrt",
    }  # fmt: skip


async def test_several_domestic_quotes_leave_out_the_unknown_and_skip_unused_numbers() -> None:
    params = {
        "FID_COND_MRKT_DIV_CODE_1": "J", "FID_INPUT_ISCD_1": "000660",
        "FID_COND_MRKT_DIV_CODE_2": "J", "FID_INPUT_ISCD_2": "999999",
        "FID_COND_MRKT_DIV_CODE_7": "J", "FID_INPUT_ISCD_7": "005930",
    }  # fmt: skip
    async with twin_of(korea()) as client:
        body = (await quote(client, "intstock-multprice", "FHKST11300006", **params)).body
    assert all_strings(body)
    assert [row["inter_shrn_iscd"] for row in body["output"]] == ["000660", "005930"]
    expected = {
        "inter2_prpr": "71000", "inter2_prdy_vrss": "1000", "prdy_vrss_sign": "2",
        "prdy_ctrt": "1.43", "inter2_askp": "71100", "inter2_bidp": "70900",
        "inter2_prdy_clpr": "70000", "inter2_mxpr": "91000", "inter2_llam": "49000",
        "mrkt_trtm_cls_name": "", "total_askp_rsqn": "550", "inter_kor_isnm": "삼성전자",
    }  # fmt: skip
    assert {key: body["output"][1][key] for key in expected} == expected


async def test_several_foreign_quotes_need_all_twenty_keys() -> None:
    path = f"{OVERSEAS_PRICE}/multprice"
    keys = {f"{name}_{n:02}": "" for name in ("EXCD", "SYMB") for n in range(1, 11)}
    params = keys | {
        "AUTH": "", "NREC": "3", "EXCD_01": "NAS", "SYMB_01": "AAPL", "EXCD_02": "NYS",
        "SYMB_02": "F", "EXCD_03": "NAS", "SYMB_03": "NONE",
    }  # fmt: skip
    async with twin_of(america()) as client:
        body = (await client.get(path, "HHDFS76220000", **params)).body
        del params["SYMB_10"]
        missing = await client.get(path, "HHDFS76220000", **params)
    assert body["output1"] == {"nrec": "3"}
    rows = body["output2"]
    assert [(r["excd"], r["symb"], r["last"]) for r in rows] == [
        ("NAS", "AAPL", "202.0000"), ("NYS", "F", "9.5000"), ("NAS", "NONE", ""),
    ]  # fmt: skip
    assert (rows[1]["sign"], rows[1]["diff"], rows[1]["rate"]) == ("5", "0.5000", "-5.00")
    assert missing.body["msg1"] == "ERROR INPUT FIELD NOT FOUND [SYMB_10]"


async def test_the_short_code_of_a_domestic_security_has_six_figures() -> None:
    async with twin_of(korea()) as client:
        about = {"PDNO": "005930", "PRDT_TYPE_CD": "300"}
        found = await quote(client, "search-info", "CTPF1604R", **about)
        unknown = await quote(client, "search-info", "CTPF1604R", **about | {"PDNO": "999999"})
    output = found.body["output"]
    assert found.code == "KIOK0530"
    assert (output["pdno"], output["shtn_pdno"], output["std_pdno"]) == (
        "00000A005930", "005930", "KR7005930003"
    )  # fmt: skip
    assert (unknown.status, unknown.body["rt_cd"]) == (200, "7")


async def test_foreign_securities_are_found_by_their_product_type() -> None:
    async with twin_of(america()) as client:
        path = f"{OVERSEAS_PRICE}/search-info"
        about = {"PRDT_TYPE_CD": "512", "PDNO": "AAPL"}
        found = (await client.get(path, "CTPF1702R", **about)).body["output"]
        nyse = await client.get(path, "CTPF1702R", **about | {"PRDT_TYPE_CD": "513"})
        home = await quote(client, "search-info", "CTPF1604R", **about)
    assert (found["ovrs_excg_cd"], found["tr_crcy_cd"], found["natn_cd"]) == ("NASD", "USD", "840")
    assert (found["buy_unit_qty"], found["ovrs_stck_tr_stop_dvsn_cd"]) == ("1", "01")
    assert nyse.body["rt_cd"] == "7"
    assert home.body["output"]["shtn_pdno"] == "AAPL"


def test_an_isin_has_its_check_digit() -> None:
    assert isin(SAMSUNG) == "KR7005930003"
    assert isin(Instrument("000660", Market.KR)) == "KR7000660001"
    assert isin(Instrument("035420", Market.KR)) == "KR7035420009"
    assert isin(Instrument("AAPL", Market.US_NASDAQ)) == ""


async def test_price_detail_tells_the_lot_and_increment_of_the_market() -> None:
    toyota = Instrument("7203", Market.JP, "Toyota")
    venue = VenueDouble(MarketGroup.JP, {toyota: ("3100", "3000")}, now=KR_NOW)
    async with twin_of(venue) as client:
        params = {"AUTH": "", "EXCD": "TSE", "SYMB": "7203"}
        path = f"{OVERSEAS_PRICE}/price-detail"
        detail = (await client.get(path, "HHDFS76200200", **params)).body["output"]
        path = f"{OVERSEAS_PRICE}/inquire-asking-price"
        book = (await client.get(path, "HHDFS76200100", **params)).body["output2"]
    assert (detail["vnit"], detail["e_hogau"], detail["zdiv"]) == ("100", "5.0", "1")
    assert set(book) == {"pbid1", "vbid1", "dbid1", "pask1", "vask1", "dask1"}


async def test_foreign_trades_are_of_today_or_the_day_before() -> None:
    venue = america()
    asked: list[date] = []
    read = venue.minute_bars

    def counted(symbol: str, *, session: date, until: datetime) -> list[MinuteBar]:
        asked.append(session)
        return read(symbol, session=session, until=until)[:5]

    venue.minute_bars = counted  # type: ignore[method-assign]
    path = f"{OVERSEAS_PRICE}/inquire-ccnl"
    async with twin_of(venue) as client:
        today, before, wrong = [
            (await client.get(path, "HHDFS76200300", **AAPL, TDAY=day, KEYB="")).body
            for day in ("1", "0", "5")
        ]
    assert date(2026, 11, 19) in asked
    assert len(before["output1"]) == 5
    assert before["output1"][0]["tvol"] == str(1 + 2 + 3 + 4 + 5)
    assert set(today["output1"][0]) == {
        "khms", "last", "sign", "diff", "rate", "evol", "tvol", "mtyp", "pbid", "pask", "vpow"
    }  # fmt: skip
    assert wrong["msg_cd"] == "OPSQ2001"


async def test_index_bars_are_empty_without_an_error() -> None:
    path = f"{OVERSEAS_PRICE}/inquire-daily-chartprice"
    params = {
        "FID_COND_MRKT_DIV_CODE": "N", "FID_INPUT_ISCD": "SPX", "FID_INPUT_DATE_1": "20261101",
        "FID_INPUT_DATE_2": "20261120", "FID_PERIOD_DIV_CODE": "D",
    }  # fmt: skip
    async with twin_of(america(), personality="paper") as client:
        body = (await client.get(path, "FHKST03030100", **params)).body
    assert (body["rt_cd"], body["output2"]) == ("0", [])
    assert body["output1"]["ovrs_nmix_prpr"] == "0"


RANKINGS = {
    "price-fluct": ("HHDFS76260000", {"GUBN": "1", "MINX": "5"}, {"n_base", "n_last", "knam"}),
    "volume-surge": ("HHDFS76270000", {"MINX": "5"}, {"n_tvol", "trat", "enam"}),
    "volume-power": ("HHDFS76280000", {"NDAY": "0"}, {"tpow", "knam"}),
    "updown-rate": ("HHDFS76290000", {"GUBN": "1", "NDAY": "0"}, {"n_rate", "rank", "ename"}),
    "trade-vol": ("HHDFS76310010", {"NDAY": "0", "PRC1": "", "PRC2": ""}, {"a_tvol", "rank"}),
    "trade-pbmn": ("HHDFS76320010", {"NDAY": "0", "PRC1": "", "PRC2": ""}, {"a_tamt", "rank"}),
    "trade-growth": ("HHDFS76330000", {"NDAY": "0"}, {"n_rate", "rank"}),
    "trade-turnover": ("HHDFS76340000", {"NDAY": "0"}, {"tover", "rank"}),
    "market-cap": ("HHDFS76350100", {}, {"tomv", "rank"}),
}


@pytest.mark.parametrize("name", RANKINGS)
async def test_every_foreign_ranking_answers_with_whole_rows(name: str) -> None:
    tr_id, more, fields = RANKINGS[name]
    params = {"AUTH": "", "EXCD": "NAS", "KEYB": "", "VOL_RANG": "0"} | more
    async with twin_of(america()) as client:
        body = (await client.get(f"{OVERSEAS}/ranking/{name}", tr_id, **params)).body
        paper_path = f"{OVERSEAS}/ranking/{name}"
    async with twin_of(america(), personality="paper") as client:
        paper = await client.get(paper_path, tr_id, **params)
    assert body["rt_cd"] == "0"
    assert [row["symb"] for row in body["output2"]] == ["AAPL"]
    row = body["output2"][0]
    assert fields <= set(row)
    assert all(value != "" for value in row.values())
    assert paper.code == "EGW02006"


async def test_a_ranking_over_days_counts_from_the_close_of_that_many_sessions_ago() -> None:
    params = {"AUTH": "", "EXCD": "NAS", "KEYB": "", "VOL_RANG": "0", "GUBN": "1"}
    path = f"{OVERSEAS}/ranking/updown-rate"
    async with twin_of(america()) as client:
        today = (await client.get(path, "HHDFS76290000", **params, NDAY="0")).body["output2"]
        five = (await client.get(path, "HHDFS76290000", **params, NDAY="3")).body["output2"]
        wrong = await client.get(path, "HHDFS76290000", **params, NDAY="12")
    assert today[0]["n_base"] == "200.0000"
    # Closes rise by one a session up to 1,298 the day before.
    assert five[0]["n_base"] == "1294.0000"
    assert wrong.code == "OPSQ2001"


async def test_new_highs_are_of_the_days_asked_for() -> None:
    params = {"AUTH": "", "EXCD": "NAS", "KEYB": "", "VOL_RANG": "0", "NDAY": "2", "GUBN2": "0"}
    path = f"{OVERSEAS}/ranking/new-highlow"
    async with twin_of(america()) as client:
        highs = (await client.get(path, "HHDFS76300000", **params, GUBN="1")).body["output2"]
        lows = (await client.get(path, "HHDFS76300000", **params, GUBN="0")).body["output2"]
    # Yesterday's low was 1,293, today's is 200.
    assert highs == []
    assert [row["symb"] for row in lows] == ["AAPL"]


_FILTERS = "DIV_CLS_CODE TRGT_CLS_CODE TRGT_EXLS_CLS_CODE INPUT_PRICE_1 INPUT_PRICE_2 VOL_CNT"
_MORE = "INPUT_CNT_1 PRC_CLS_CODE RSFL_RATE1 RSFL_RATE2 BLNG_CLS_CODE INPUT_DATE_1"
RANK = {f"FID_{name}": "" for text in (_FILTERS, _MORE) for name in text.split()} | {
    "FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": "0000", "FID_COND_SCR_DIV_CODE": "20171",
}  # fmt: skip


async def test_the_domestic_rankings_leave_out_what_they_are_told_to() -> None:
    fund = Instrument("069500", Market.KR, "KODEX 200", is_fund=True)
    preferred = Instrument("005935", Market.KR, "삼성전자우")
    spac = Instrument("400000", Market.KR, "하나스팩1호")
    prices = dict.fromkeys((SAMSUNG, fund, preferred, spac), ("71000", "70000"))
    venue = VenueDouble(MarketGroup.KR, prices, now=KR_NOW)

    async with twin_of(venue) as client:

        async def ranked(**change: str) -> set[str]:
            params = RANK | change
            body = (await client.get(f"{QUOTES}/volume-rank", "FHPST01710000", **params)).body
            return {row["mksc_shrn_iscd"] for row in body["output"]}

        everything = await ranked()
        flags = {
            name: everything - await ranked(FID_TRGT_EXLS_CLS_CODE=flag)
            for name, flag in (
                ("preferred", "0000100000"), ("etf", "0000001000"), ("spac", "0000000001"),
                ("etn", "0000000100"),
            )
        }  # fmt: skip
        common = await ranked(FID_DIV_CLS_CODE="1")
        only_preferred = await ranked(FID_DIV_CLS_CODE="2")
        dear = await ranked(FID_INPUT_PRICE_1="71001")
    assert len(everything) == 4
    assert flags == {
        "preferred": {"005935"}, "etf": {"069500"}, "spac": {"400000"}, "etn": set()
    }  # fmt: skip
    assert common == everything - {"005935"}
    assert only_preferred == {"005935"}
    assert dear == set()


async def test_the_ranking_by_size_owns_up_to_not_knowing_the_number_of_shares() -> None:
    params = RANK | {"FID_COND_SCR_DIV_CODE": "20174"}
    async with twin_of(korea()) as client:
        path = f"{DOMESTIC}/ranking/market-cap"
        rows = (await client.get(path, "FHPST01740000", **params)).body["output"]
    assert [row["mksc_shrn_iscd"] for row in rows] == ["000660", "005930"]
    assert {(row["lstn_stcn"], row["stck_avls"]) for row in rows} == {("0", "0")}


async def test_the_foreign_search_filters_by_price() -> None:
    path = f"{OVERSEAS_PRICE}/inquire-search"
    params = {
        "AUTH": "", "EXCD": "NAS", "CO_YN_PRICECUR": "1", "CO_ST_PRICECUR": "100",
        "CO_EN_PRICECUR": "300", "CO_YN_RATE": "1", "CO_ST_RATE": "-2", "CO_EN_RATE": "2",
    }  # fmt: skip
    async with twin_of(america(), personality="paper") as client:
        hit = (await client.get(path, "HHDFS76410000", **params)).body
        miss = (await client.get(path, "HHDFS76410000", **params | {"CO_EN_RATE": "0"})).body
    assert [row["symb"] for row in hit["output2"]] == ["AAPL"]
    assert (miss["output2"], miss["output1"]["nrec"]) == ([], "0")
