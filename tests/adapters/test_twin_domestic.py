"""The twin's domestic requests: quotes, bars, rankings, orders, balance and paging."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.twin_client import ACCOUNT, DOMESTIC, TwinClient, all_strings, twin_of
from tests.venue_double import HYNIX, SAMSUNG, VenueDouble, holding, korea
from trading_core.model.market import Instrument, Market
from trading_core.model.order import Side
from trading_core.twin.venue import RefusalKind, VenueFill
from trading_core.twin.wire.codes import refusal_error

QUOTES = f"{DOMESTIC}/quotations"
TRADING = f"{DOMESTIC}/trading"
J = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": "005930"}


async def test_the_present_price_has_its_fields_as_strings() -> None:
    async with twin_of(korea()) as client:
        body = (await client.get(f"{QUOTES}/inquire-price", "FHKST01010100", **J)).body
    output = body["output"]
    assert body["rt_cd"] == "0"
    assert all_strings(body)
    assert len(output) >= 76
    expected = {
        "stck_prpr": "71000", "prdy_vrss": "1000", "prdy_vrss_sign": "2", "prdy_ctrt": "1.43",
        "acml_vol": "1000", "acml_tr_pbmn": "71000000", "stck_mxpr": "91000", "stck_llam": "49000",
        "stck_sdpr": "70000", "aspr_unit": "100", "iscd_stat_cls_code": "55", "temp_stop_yn": "N",
    }  # fmt: skip
    assert {key: output[key] for key in expected} == expected
    numeric = [v for k, v in output.items() if k.startswith(("stck_", "w52_", "d250_", "pvt_"))]
    assert all(numeric)


async def test_an_unknown_symbol_has_price_zero_and_no_error() -> None:
    async with twin_of(korea()) as client:
        params = J | {"FID_INPUT_ISCD": "999999"}
        body = (await client.get(f"{QUOTES}/inquire-price", "FHKST01010100", **params)).body
    assert (body["rt_cd"], body["output"]["stck_prpr"]) == ("0", "0")


async def test_a_symbol_with_a_leading_a_is_understood() -> None:
    async with twin_of(korea()) as client:
        params = J | {"FID_INPUT_ISCD": "A005930"}
        body = (await client.get(f"{QUOTES}/inquire-price", "FHKST01010100", **params)).body
    assert body["output"]["stck_prpr"] == "71000"


async def test_the_order_book_has_ten_levels_best_first() -> None:
    async with twin_of(korea()) as client:
        path = f"{QUOTES}/inquire-asking-price-exp-ccn"
        book = (await client.get(path, "FHKST01010200", **J)).body["output1"]
    assert (book["askp1"], book["bidp1"]) == ("71100", "70900")
    assert (book["askp10"], book["bidp_rsqn10"]) == ("72000", "200")
    assert (book["total_askp_rsqn"], book["total_bidp_rsqn"]) == ("550", "1100")
    assert book["aspr_acpt_hour"] == "103000"


async def daily(client: TwinClient, start: str, end: str, period: str = "D") -> list[Any]:
    params = J | {
        "FID_INPUT_DATE_1": start, "FID_INPUT_DATE_2": end, "FID_PERIOD_DIV_CODE": period,
        "FID_ORG_ADJ_PRC": "0",
    }  # fmt: skip
    path = f"{QUOTES}/inquire-daily-itemchartprice"
    return (await client.get(path, "FHKST03010100", **params)).body["output2"]


async def test_daily_bars_keep_to_the_range_newest_first_and_stop_at_a_hundred() -> None:
    async with twin_of(korea()) as client:
        week = await daily(client, "20261116", "20261120")
        long = await daily(client, "20250101", "20261120")
        none = await daily(client, "20270101", "20270201")
        backwards = await daily(client, "20261120", "20261116")
        months = await daily(client, "20260901", "20261120", "M")
    assert [row["stck_bsop_date"] for row in week] == [f"202611{day}" for day in range(20, 15, -1)]
    assert all(row["prdy_vrss"] == "1" and row["prdy_vrss_sign"] == "2" for row in week)
    assert len(long) == 100
    assert long[0]["stck_bsop_date"] == "20261120"
    assert none == backwards == []
    assert [row["stck_bsop_date"] for row in months] == ["20261120", "20261030", "20260930"]
    september = Decimal(months[2]["stck_hgpr"]) - Decimal(months[2]["stck_lwpr"])
    assert september == 21 + 10  # 22 weekdays, each one above the last, 5 around each close


async def test_paging_daily_bars_by_date_ends_and_repeats_nothing() -> None:
    seen: list[str] = []
    end = "20261120"
    async with twin_of(korea()) as client:
        while rows := await daily(client, "20200101", end):
            seen += [row["stck_bsop_date"] for row in rows]
            last = datetime.strptime(seen[-1], "%Y%m%d").replace(tzinfo=UTC)
            end = (last - timedelta(days=1)).strftime("%Y%m%d")
    assert len(seen) == len(set(seen)) == 300
    assert seen == sorted(seen, reverse=True)


async def test_recent_daily_prices_are_thirty() -> None:
    async with twin_of(korea()) as client:
        params = J | {"FID_PERIOD_DIV_CODE": "D", "FID_ORG_ADJ_PRC": "0000000001"}
        path = f"{QUOTES}/inquire-daily-price"
        rows = (await client.get(path, "FHKST01010400", **params)).body["output"]
    assert len(rows) == 30
    assert (rows[0]["stck_bsop_date"], rows[0]["stck_clpr"]) == ("20261120", "1299")


async def minutes(client: TwinClient, hour: str, past: str = "N") -> list[dict[str, str]]:
    params = J | {"FID_ETC_CLS_CODE": "", "FID_INPUT_HOUR_1": hour, "FID_PW_DATA_INCU_YN": past}
    path = f"{QUOTES}/inquire-time-itemchartprice"
    return (await client.get(path, "FHKST03010200", **params)).body["output2"]


async def test_minute_bars_are_thirty_at_or_before_the_hour_newest_first() -> None:
    async with twin_of(korea()) as client:
        rows = await minutes(client, "100000")
        early = await minutes(client, "090200")
        with_past = await minutes(client, "090200", "Y")
        to_come = await minutes(client, "104000")
    assert len(rows) == 30
    assert [rows[0]["stck_cntg_hour"], rows[-1]["stck_cntg_hour"]] == ["100000", "093100"]
    assert rows[0]["stck_prpr"] == "160"
    assert [row["stck_cntg_hour"] for row in early] == ["090200", "090100", "090000"]
    assert early[-1]["cntg_vol"] == "1"
    assert len(with_past) == 30
    assert with_past[3]["stck_bsop_date"] == "20261119"
    assert to_come[0] | {"acml_tr_pbmn": ""} == {
        "stck_bsop_date": "20261120", "stck_cntg_hour": "104000", "stck_prpr": "71000",
        "stck_oprc": "71000", "stck_hgpr": "71000", "stck_lwpr": "71000", "cntg_vol": "0",
        "acml_tr_pbmn": "",
    }  # fmt: skip


async def test_minute_bars_of_a_past_day_are_a_hundred_and_twenty_at_most() -> None:
    async with twin_of(korea()) as client:
        params = J | {
            "FID_INPUT_DATE_1": "20261119", "FID_INPUT_HOUR_1": "153000",
            "FID_PW_DATA_INCU_YN": "N", "FID_FAKE_TICK_INCU_YN": "",
        }  # fmt: skip
        path = f"{QUOTES}/inquire-time-dailychartprice"
        rows = (await client.get(path, "FHKST03010230", **params)).body["output2"]
    assert len(rows) == 90
    assert {row["stck_bsop_date"] for row in rows} == {"20261119"}


_FILTERS = "DIV_CLS_CODE TRGT_CLS_CODE TRGT_EXLS_CLS_CODE INPUT_PRICE_1 INPUT_PRICE_2 VOL_CNT"
_MORE = "INPUT_CNT_1 PRC_CLS_CODE RSFL_RATE1 RSFL_RATE2 BLNG_CLS_CODE INPUT_DATE_1"
RANK = {f"FID_{name}": "" for text in (_FILTERS, _MORE) for name in text.split()} | {
    "FID_COND_MRKT_DIV_CODE": "J",
    "FID_INPUT_ISCD": "0000",
}


async def test_the_fluctuation_ranking_names_its_code_field_otherwise_than_the_volume_one() -> None:
    async with twin_of(korea()) as client:
        path = f"{DOMESTIC}/ranking/fluctuation"
        params = RANK | {"FID_COND_SCR_DIV_CODE": "20170", "FID_RANK_SORT_CLS_CODE": "0"}
        up = (await client.get(path, "FHPST01700000", **params)).body["output"]
        params["FID_RANK_SORT_CLS_CODE"] = "1"
        down = (await client.get(path, "FHPST01700000", **params)).body["output"]
        params["FID_RSFL_RATE1"] = "0"
        rising = (await client.get(path, "FHPST01700000", **params)).body["output"]
        params = RANK | {"FID_COND_SCR_DIV_CODE": "20171"}
        volume = (await client.get(f"{QUOTES}/volume-rank", "FHPST01710000", **params)).body
    assert [row["stck_shrn_iscd"] for row in up] == ["005930", "000660"]
    assert [row["stck_shrn_iscd"] for row in down] == ["000660", "005930"]
    assert [row["stck_shrn_iscd"] for row in rising] == ["005930"]
    assert up[0]["prdy_ctrt"] == "1.43"
    assert down[0]["prdy_vrss_sign"] == "5"
    assert {row["mksc_shrn_iscd"] for row in volume["output"]} == {"005930", "000660"}
    assert volume["output"][0]["data_rank"] == "1"


async def test_the_holiday_query_pages_by_date_and_tells_open_days_by_opnd_yn() -> None:
    async with twin_of(korea()) as client:
        path = f"{QUOTES}/chk-holiday"
        params = {"BASS_DT": "20261120", "CTX_AREA_NK": "", "CTX_AREA_FK": ""}
        first = await client.get(path, "CTCA0903R", **params)
        params["CTX_AREA_NK"] = first.body["ctx_area_nk"]
        second = await client.get(path, "CTCA0903R", "N", **params)
    rows = first.body["output"]
    assert (first.headers["tr_cont"], second.headers["tr_cont"]) == ("F", "M")
    assert [r["opnd_yn"] for r in rows[:4]] == ["Y", "N", "N", "Y"]
    assert [r["wday_dvsn_cd"] for r in rows[:4]] == ["06", "07", "01", "02"]
    assert rows[1]["tr_day_yn"] == "Y"
    assert len(first.body["ctx_area_nk"]) == 20
    assert second.body["output"][0]["bass_dt"] == "20261214"


async def test_an_accepted_order_gets_a_padded_number_and_appears_in_every_order_query() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        placed = await client.buy()
        venue.fill(1, 3, "69900")
        rows = await ccld(client)
        opened = (await client.get(f"{TRADING}/inquire-psbl-rvsecncl", "TTTC0084R", **ACCOUNT)).body
    assert placed.status == 200
    assert placed.body["msg_cd"] == "APBK0013"
    assert len(placed.body["msg1"]) == 80
    assert placed.body["output"] == {
        "KRX_FWDG_ORD_ORGNO": "06010", "ODNO": "0000000001", "ORD_TMD": "103000"
    }  # fmt: skip
    expected = {
        "odno": "0000000001", "orgn_odno": "", "pdno": "005930", "sll_buy_dvsn_cd": "02",
        "ord_qty": "10", "ord_unpr": "70000", "tot_ccld_qty": "3", "avg_prvs": "69900",
        "tot_ccld_amt": "209700", "rmn_qty": "7", "cncl_yn": "N", "ord_dt": "20261120",
        "ord_tmd": "103000", "rjct_qty": "0", "cncl_cfrm_qty": "0", "excg_id_dvsn_Cd": "KRX",
    }  # fmt: skip
    assert {key: rows[0][key] for key in expected} == expected
    assert opened["output"][0]["psbl_qty"] == "7"


async def ccld(client: TwinClient, tr_id: str = "TTTC0081R", **filters: str) -> list[Any]:
    params = ACCOUNT | {"INQR_STRT_DT": "20261120", "INQR_END_DT": "20261120"} | filters
    return (await client.get(f"{TRADING}/inquire-daily-ccld", tr_id, **params)).body["output1"]


async def test_modify_and_cancel_are_rows_of_their_own_with_new_numbers() -> None:
    async with twin_of(korea()) as client:
        await client.buy()
        change = ACCOUNT | {
            "KRX_FWDG_ORD_ORGNO": "", "ORGN_ODNO": "1", "ORD_DVSN": "00", "ORD_QTY": "0",
            "RVSE_CNCL_DVSN_CD": "01", "ORD_UNPR": "70500", "QTY_ALL_ORD_YN": "Y",
        }  # fmt: skip
        modified = await client.post(f"{TRADING}/order-rvsecncl", "TTTC0803U", **change)
        cancel = change | {"RVSE_CNCL_DVSN_CD": "02", "ORGN_ODNO": "0000000002", "ORD_UNPR": "1"}
        cancelled = await client.post(f"{TRADING}/order-rvsecncl", "TTTC0013U", **cancel)
        again = await client.post(f"{TRADING}/order-rvsecncl", "TTTC0013U", **cancel)
        rows = await ccld(client, INQR_DVSN="01")
    assert modified.body["output"]["ODNO"] == "0000000002"
    assert cancelled.body["output"]["ODNO"] == "0000000003"
    assert (again.body["rt_cd"], again.code) == ("7", "APBK0927")
    assert [(r["odno"][-1], r["orgn_odno"][-1:], r["rmn_qty"], r["cncl_yn"]) for r in rows] == [
        ("1", "", "0", "Y"), ("2", "1", "0", "Y"), ("3", "2", "0", "Y"),
    ]  # fmt: skip
    assert [r["sll_buy_dvsn_cd_name"] for r in rows] == ["현금매수", "현금매수정정", "현금매수취소"]


async def test_the_filters_of_the_order_query_are_honoured() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        await client.buy()
        await client.buy(PDNO="000660", ORD_UNPR="97000")
        venue.fill(2, 10, "97000")
        assert [r["pdno"] for r in await ccld(client)] == ["000660", "005930"]
        assert [r["pdno"] for r in await ccld(client, CCLD_DVSN="01")] == ["000660"]
        assert [r["pdno"] for r in await ccld(client, CCLD_DVSN="02")] == ["005930"]
        assert [r["pdno"] for r in await ccld(client, PDNO="005930")] == ["005930"]
        assert [r["pdno"] for r in await ccld(client, ODNO="0000000002")] == ["000660"]
        assert await ccld(client, SLL_BUY_DVSN_CD="01") == []
        assert await ccld(client, INQR_END_DT="20261119") == []
        assert await ccld(client, tr_id="CTSC9215R") == []


async def test_order_pages_follow_the_cursor_and_only_with_tr_cont_n() -> None:
    async with twin_of(korea(), personality="paper") as client:
        body = ACCOUNT | {
            "PDNO": "005930", "ORD_DVSN": "00", "ORD_QTY": "1", "ORD_UNPR": "70000"
        }  # fmt: skip
        for _ in range(32):
            await client.post(f"{TRADING}/order-cash", "VTTC0802U", **body)
        path = f"{TRADING}/inquire-daily-ccld"
        params = ACCOUNT | {"INQR_STRT_DT": "20261120", "INQR_END_DT": "20261120"}
        pages, cont = [], ""
        while True:
            answer = await client.get(path, "VTTC0081R", cont, **params)
            pages.append(answer)
            if answer.headers["tr_cont"] not in ("F", "M"):
                break
            assert len(answer.body["ctx_area_nk100"]) == len(answer.body["ctx_area_fk100"]) == 100
            params["CTX_AREA_NK100"] = answer.body["ctx_area_nk100"].strip()
            params["CTX_AREA_FK100"] = answer.body["ctx_area_fk100"]
            cont = "N"
        first_again = await client.get(path, "VTTC0081R", "", **params)
    assert [a.headers["tr_cont"] for a in pages] == ["F", "M", "E"]
    numbers = [row["odno"] for a in pages for row in a.body["output1"]]
    assert numbers == [f"{n:010d}" for n in range(32, 0, -1)]
    assert not pages[-1].body["ctx_area_nk100"].strip()
    assert first_again.body["output1"] == pages[0].body["output1"]
    assert pages[0].body["output2"]["tot_ord_qty"] == "32"


async def test_the_balance_tells_three_kinds_of_cash_and_pages_by_symbol() -> None:
    venue = korea()
    venue.deposit, venue.next_day, venue.settled = Decimal(5), Decimal(6), Decimal(7)
    venue.held = [
        holding(Instrument(f"{n:06d}", Market.KR, f"종목{n}"), 2, "100.5", "110") for n in range(60)
    ]
    async with twin_of(venue) as client:
        path = f"{TRADING}/inquire-balance"
        first = await client.get(path, "TTTC8434R", **ACCOUNT)
        params = ACCOUNT | {"CTX_AREA_NK100": first.body["ctx_area_nk100"]}
        second = await client.get(path, "TTTC8434R", "N", **params)
    assert (first.headers["tr_cont"], second.headers["tr_cont"]) == ("F", "E")
    assert (first.code, second.code) == ("KIOK0500", "KIOK0460")
    assert [len(a.body["output1"]) for a in (first, second)] == [50, 10]
    row = first.body["output1"][0]
    assert (row["pchs_avg_pric"], row["pchs_amt"]) == ("100.5000", "201")
    assert (row["evlu_pfls_amt"], row["evlu_pfls_rt"]) == ("19", "9.45")
    (total,) = second.body["output2"]
    cash = [total[k] for k in ("dnca_tot_amt", "nxdy_excc_amt", "prvs_rcdl_excc_amt")]
    assert cash == ["5", "6", "7"]
    assert (total["scts_evlu_amt"], total["tot_evlu_amt"]) == ("13200", "13207")
    assert all_strings(first.body)


async def balance(client: TwinClient, **more: str) -> list[dict[str, str]]:
    path = f"{TRADING}/inquire-balance"
    return (await client.get(path, "TTTC8434R", **ACCOUNT, **more)).body["output1"]


async def test_what_was_sold_out_stays_with_a_quantity_of_zero_until_it_has_settled() -> None:
    venue = korea()

    def sold(days_ago: int) -> None:
        at = venue.now - timedelta(days=days_ago)
        venue.executions = [
            VenueFill(1, "12345678-01", SAMSUNG, Side.SELL, 4, Decimal(71000), at),
        ]

    async with twin_of(venue) as client:
        sold(1)
        (yesterday,) = await balance(client)
        sold(2)
        (settling,) = await balance(client)
        sold(3)
        gone = await balance(client)
    assert (yesterday["pdno"], yesterday["hldg_qty"], yesterday["bfdy_sll_qty"]) == (
        "005930", "0", "4"
    )  # fmt: skip
    assert (settling["hldg_qty"], settling["bfdy_sll_qty"]) == ("0", "0")
    assert gone == []


async def test_the_balance_takes_its_three_valuations_and_no_other() -> None:
    async with twin_of(korea()) as client:
        path = f"{TRADING}/inquire-balance"
        codes = [
            (await client.get(path, "TTTC8434R", **ACCOUNT, AFHR_FLPR_YN=flag)).body["rt_cd"]
            for flag in ("N", "Y", "X", "", "Q")
        ]
    assert codes == ["0", "0", "0", "0", "2"]


async def test_a_single_ledger_record_has_a_code_of_its_own_on_the_real_host() -> None:
    path = f"{TRADING}/inquire-psbl-order"
    async with twin_of(korea()) as client:
        real = await client.get(path, "TTTC8908R", **ACCOUNT)
    async with twin_of(korea(), personality="paper") as client:
        paper = await client.get(path, "VTTC8908R", **ACCOUNT)
    assert (real.code, paper.code) == ("KIOK0530", "20310000")
    assert len(real.body["msg1"]) == 80
    assert real.headers["tr_cont"] == paper.headers["tr_cont"] == "D"


async def test_a_value_longer_than_its_field_is_an_error_of_its_own() -> None:
    async with twin_of(korea()) as client:
        params = J | {"FID_COND_MRKT_DIV_CODE": "UNX"}
        quote = await client.get(f"{QUOTES}/inquire-price", "FHKST01010100", **params)
        order = await client.buy(QTY_ALL_ORD_YN="YES")
    assert (quote.code, order.code) == ("OPSQ2002", "OPSQ2002")
    assert quote.body["msg1"] == "ERROR INPUT FIELD LENGTH [FID_COND_MRKT_DIV_CODE]"


async def test_the_extremes_of_the_calendar_year_differ_from_those_of_a_year() -> None:
    async with twin_of(korea()) as client:
        price = await client.get(f"{QUOTES}/inquire-price", "FHKST01010100", **J)
    output = price.body["output"]
    # Closes rise by one a session, so the lowest day is the first of each span.
    assert output["stck_dryy_lwpr"] > output["w52_lwpr"]
    assert output["dryy_lwpr_date"] == "20260101"
    assert output["w52_lwpr_date"] == "20251120"
    assert (output["w52_hgpr"], output["w52_hgpr_date"]) == ("71000", "20261120")


async def test_buying_power_without_a_price_is_reckoned_at_the_upper_limit() -> None:
    venue = korea()
    venue.reserved = Decimal(1_000_000)
    async with twin_of(venue) as client:
        path = f"{TRADING}/inquire-psbl-order"
        params = ACCOUNT | {"PDNO": "005930", "ORD_UNPR": "", "ORD_DVSN": "01"}
        market = (await client.get(path, "TTTC8908R", **params)).body["output"]
        params |= {"ORD_UNPR": "1000", "ORD_DVSN": "00"}
        limit = (await client.get(path, "TTTC8908R", **params)).body["output"]
        amounts = (await client.get(path, "TTTC8908R", **ACCOUNT)).body["output"]
    assert (market["psbl_qty_calc_unpr"], market["nrcvb_buy_qty"]) == ("91000", "98")
    # 9,000 shares would leave nothing for the fee.
    assert limit["nrcvb_buy_qty"] == "8998"
    assert (amounts["nrcvb_buy_amt"], amounts["nrcvb_buy_qty"]) == ("9000000", "0")


async def test_sellable_shares_are_told_for_held_and_for_unknown_symbols() -> None:
    venue = korea()
    venue.held = [holding(SAMSUNG, 7, "70000", "71000")]
    async with twin_of(venue) as client:
        path = f"{TRADING}/inquire-psbl-sell"
        held = await client.get(path, "TTTC8408R", PDNO="005930", **ACCOUNT)
        none = await client.get(path, "TTTC8408R", PDNO=HYNIX.symbol, **ACCOUNT)
    assert held.body["output"]["ord_psbl_qty"] == "7"
    assert none.body["output"]["ord_psbl_qty"] == "0"


@pytest.mark.parametrize(
    ("kind", "real", "paper"),
    [
        (RefusalKind.PRICE_INCREMENT, "APBK0506", "40030000"),
        (RefusalKind.CASH, "APBK0952", "40250000"),
        (RefusalKind.QUANTITY, "APBK0400", "40240000"),
        (RefusalKind.NOT_A_SESSION, "APBK0919", "40100000"),
        (RefusalKind.BEFORE_OPEN, "APBK0918", "40570000"),
        (RefusalKind.AFTER_CLOSE, "APBK0918", "40580000"),
        (RefusalKind.PRICE_LIMIT, "APBK0918", "40270000"),
    ],
)
async def test_refusals_have_the_hosts_own_codes(kind: RefusalKind, real: str, paper: str) -> None:
    venue = korea()
    venue.refuse = kind
    async with twin_of(venue) as client:
        answer = await client.buy()
        assert (answer.status, answer.body["rt_cd"], answer.code) == (200, "7", real)
    async with twin_of(venue, personality="paper") as client:
        body = ACCOUNT | {
            "PDNO": "005930", "ORD_DVSN": "01", "ORD_QTY": "1", "ORD_UNPR": "0"
        }  # fmt: skip
        answer = await client.post(f"{TRADING}/order-cash", "VTTC0011U", **body)
        assert answer.code == paper
        assert answer.body["rt_cd"] != "0"
    assert venue.rows == []


def test_every_kind_of_refusal_has_a_code_on_both_hosts() -> None:
    for kind in RefusalKind:
        for paper in (True, False):
            error = refusal_error(kind, paper=paper, overseas=False)
            assert error.code
            assert len(error.code) <= 8
            assert len(error.text) <= 80


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ORD_QTY": 10}, "OPSQ2001"),
        ({"ORD_QTY": "ten"}, "OPSQ2001"),
        ({"ORD_QTY": "9" * 5000}, "OPSQ2002"),
        ({"ORD_QTY": "0"}, "APBK0400"),
        ({"ORD_UNPR": "0"}, "APBK0506"),
        ({"ORD_UNPR": "-1"}, "OPSQ2001"),
        ({"ORD_UNPR": "NaN"}, "OPSQ2001"),
        ({"ORD_DVSN": "21"}, "APBK3026"),
        ({"ORD_DVSN": "22"}, "OPSQ2001"),
        ({"ORD_DVSN": "22", "CNDT_PRIC": "0"}, "APBK0506"),
        ({"EXCG_ID_DVSN_CD": "NYS"}, "APBK3026"),
        ({"EXCG_ID_DVSN_CD": "NXT1"}, "OPSQ2002"),
        ({"PDNO": "999999"}, "APBK0656"),
        ({"CANO": "1"}, "APAC0081"),
        ({"CANO": "99999999"}, "OPSQ2000"),
    ],
)
async def test_a_wrong_order_field_is_refused_and_changes_nothing(
    change: dict[str, Any], code: str
) -> None:
    venue = korea()
    async with twin_of(venue) as client:
        answer = await client.buy(**change)
    assert answer.status == 200
    assert answer.code == code
    assert venue.rows == []


async def test_lower_case_order_keys_are_not_understood() -> None:
    venue: VenueDouble = korea()
    async with twin_of(venue) as client:
        body = {k.lower(): v for k, v in ACCOUNT.items()} | {"pdno": "005930", "ord_qty": "1"}
        answer = await client.post(f"{TRADING}/order-cash", "TTTC0012U", **body)
    assert answer.body["msg1"].strip() == "ERROR INPUT FIELD NOT FOUND [CANO]"
