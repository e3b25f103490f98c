"""The twin's order divisions, routes, late rejections and modifies, at home and abroad."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.twin_client import ACCOUNT, DOMESTIC, OVERSEAS, TwinClient, twin_of
from tests.venue_double import US_NOW, america, korea
from trading_core.model.order import OrderType
from trading_core.twin.exchange_rates import NOMINAL_RATES
from trading_core.twin.venue import OrderFate, Pricing, TimeInForce
from trading_core.twin.wire.auth import CallLimiter, Tokens
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.envelope import WireRequest
from trading_core.twin.wire.gateway import Gateway

TRADING = f"{DOMESTIC}/trading"
AFTER_AUCTION = datetime(2026, 11, 20, 6, 25, tzinfo=UTC)
BEFORE_OPEN = datetime(2026, 11, 19, 23, 45, tzinfo=UTC)


async def change(client: TwinClient, kind: str, number: str, **more: str) -> Any:
    body = ACCOUNT | {
        "KRX_FWDG_ORD_ORGNO": "06010", "ORGN_ODNO": number, "ORD_DVSN": "00", "ORD_QTY": "0",
        "RVSE_CNCL_DVSN_CD": kind, "ORD_UNPR": "70500", "QTY_ALL_ORD_YN": "Y",
    }  # fmt: skip
    tr_id = more.pop("tr_id", "TTTC0013U")
    return await client.post(f"{TRADING}/order-rvsecncl", tr_id, **(body | more))


async def ccld(client: TwinClient, tr_id: str = "TTTC0081R", **filters: str) -> list[Any]:
    params = ACCOUNT | {"INQR_STRT_DT": "20261120", "INQR_END_DT": "20261120"} | filters
    return (await client.get(f"{TRADING}/inquire-daily-ccld", tr_id, **params)).body["output1"]


async def opened(client: TwinClient, **filters: str) -> list[Any]:
    params = ACCOUNT | filters
    path = f"{TRADING}/inquire-psbl-rvsecncl"
    return (await client.get(path, "TTTC0084R", **params)).body["output"]


L, M = OrderType.LIMIT, OrderType.MARKET
DAY, IOC, FOK = TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK


@pytest.mark.parametrize(
    ("division", "name", "kind", "pricing", "force", "priced"),
    [
        ("00", "지정가", L, Pricing.STATED, DAY, True),
        ("01", "시장가", M, Pricing.STATED, DAY, False),
        ("02", "조건부지정가", L, Pricing.CONDITIONAL, DAY, True),
        ("03", "최유리지정가", L, Pricing.BEST, DAY, False),
        ("04", "최우선지정가", L, Pricing.PRIORITY, DAY, False),
        ("11", "IOC지정가", L, Pricing.STATED, IOC, True),
        ("12", "FOK지정가", L, Pricing.STATED, FOK, True),
        ("13", "IOC시장가", M, Pricing.STATED, IOC, False),
        ("14", "FOK시장가", M, Pricing.STATED, FOK, False),
        ("15", "IOC최유리", L, Pricing.BEST, IOC, False),
        ("16", "FOK최유리", L, Pricing.BEST, FOK, False),
        ("22", "스톱지정가", L, Pricing.STOP, DAY, True),
    ],
)
async def test_every_division_reaches_the_exchange_as_what_it_means_and_is_told_back(
    division: str, name: str, kind: OrderType, pricing: Pricing, force: TimeInForce, priced: bool
) -> None:
    venue = korea()
    async with twin_of(venue) as client:
        price = "70000" if priced else "0"
        answer = await client.buy(price, ORD_DVSN=division, CNDT_PRIC="71500")
        (row,) = await ccld(client)
        (open_row,) = await opened(client)
    assert answer.code == "APBK0013"
    (asked,) = venue.requests
    assert (asked.order_type, asked.pricing, asked.time_in_force) == (kind, pricing, force)
    assert asked.limit_price == (Decimal(70000) if priced else None)
    assert asked.trigger_price == (Decimal(71500) if division == "22" else None)
    assert (row["ord_dvsn_cd"], row["ord_dvsn_name"]) == (division, name)
    assert (open_row["ord_dvsn_cd"], open_row["ord_dvsn_name"]) == (division, name)
    assert row["ccld_cndt_name"] == {DAY: "없음", IOC: "IOC", FOK: "FOK"}[force]
    assert row["stpm_cndt_pric"] == ("71500" if division == "22" else "0")


REFUSED = {
    "KRX": ["05", "06", "07", "21", "23", "24", "27", "28", "29", "41", "42", "43", "44", "47", ""],
    "NXT": ["01", "02", "05", "21", "27", "41"],
    "SOR": ["02", "05", "21", "22", "41"],
}


@pytest.mark.parametrize(("route", "codes"), REFUSED.items())
async def test_a_division_the_route_does_not_play_is_refused(route: str, codes: list[str]) -> None:
    venue = korea()
    async with twin_of(venue) as client:
        answers = [
            await client.buy(ORD_DVSN=code, EXCG_ID_DVSN_CD=route, CNDT_PRIC="71500")
            for code in codes
        ]
    assert {(a.status, a.body["rt_cd"], a.code) for a in answers} == {(200, "7", "APBK3026")}
    assert venue.requests == []


async def test_the_paper_host_takes_the_first_five_divisions_at_krx_only() -> None:
    venue = korea()
    path = f"{TRADING}/order-cash"
    body = ACCOUNT | {"PDNO": "005930", "ORD_QTY": "1", "ORD_UNPR": "70000", "CNDT_PRIC": "71500"}
    async with twin_of(venue, personality="paper") as client:
        for code in ("00", "01", "02", "03", "04"):
            price = "70000" if code in ("00", "02") else "0"
            order = body | {"ORD_DVSN": code, "ORD_UNPR": price}
            assert (await client.post(path, "VTTC0012U", **order)).code == "40600000"
        for code in ("11", "12", "13", "14", "15", "16", "22"):
            order = body | {"ORD_DVSN": code}
            assert (await client.post(path, "VTTC0012U", **order)).code == "40070000"
        for route in ("NXT", "SOR"):
            order = body | {"ORD_DVSN": "00", "EXCG_ID_DVSN_CD": route}
            assert (await client.post(path, "VTTC0012U", **order)).code == "40070000"
    assert len(venue.requests) == 5


async def test_a_stop_without_its_trigger_field_names_the_missing_key() -> None:
    async with twin_of(korea()) as client:
        answer = await client.buy(ORD_DVSN="22")
    assert answer.code == "OPSQ2001"
    assert answer.body["msg1"].strip() == "ERROR INPUT FIELD NOT FOUND [CNDT_PRIC]"


async def test_the_trigger_price_of_any_other_order_is_ignored() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        answer = await client.buy(CNDT_PRIC="0", CTAC_TLNO="", ALGO_NO="", SLL_TYPE="01")
    assert answer.code == "APBK0013"
    assert venue.requests[0].trigger_price is None


async def test_a_cancel_that_names_another_route_finds_no_original() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        await client.buy(EXCG_ID_DVSN_CD="SOR")
        await client.buy()
        wrong = await change(client, "02", "1", EXCG_ID_DVSN_CD="KRX")
        unnamed = await change(client, "02", "1")
        other = await change(client, "02", "2", EXCG_ID_DVSN_CD="NXT")
        right = await change(client, "02", "1", EXCG_ID_DVSN_CD="SOR")
    assert [a.code for a in (wrong, unnamed, other)] == ["APBK0344"] * 3
    assert right.code == "APBK0013"


async def test_the_new_row_of_a_modify_stays_on_its_route() -> None:
    async with twin_of(korea()) as client:
        await client.buy(EXCG_ID_DVSN_CD="NXT")
        modified = await change(client, "01", "1", EXCG_ID_DVSN_CD="NXT")
        (row,) = await opened(client)
        old_number = await change(client, "02", "1", EXCG_ID_DVSN_CD="NXT")
        cancelled = await change(client, "02", "0000000002", EXCG_ID_DVSN_CD="NXT")
    assert modified.body["output"]["ODNO"] == "0000000002"
    assert (row["excg_id_dvsn_cd"], row["excg_id_dvsn_name"], row["orgn_odno"]) == (
        "NXT", "NXT", "0000000001"
    )  # fmt: skip
    assert old_number.code == "APBK0927"
    assert cancelled.code == "APBK0013"


async def test_old_ids_know_no_route_and_mean_krx() -> None:
    async with twin_of(korea()) as client:
        body = ACCOUNT | {
            "PDNO": "005930", "ORD_DVSN": "00", "ORD_QTY": "1", "ORD_UNPR": "70000",
            "EXCG_ID_DVSN_CD": "SOR",
        }  # fmt: skip
        placed = await client.post(f"{TRADING}/order-cash", "TTTC0802U", **body)
        (row,) = await ccld(client, tr_id="TTTC8001R")
        cancelled = await change(client, "02", "1", tr_id="TTTC0803U", EXCG_ID_DVSN_CD="SOR")
    assert (placed.code, cancelled.code) == ("APBK0013", "APBK0013")
    assert row["excg_id_dvsn_Cd"] == "KRX"


async def test_the_order_query_filters_by_route_and_spells_the_field_both_ways() -> None:
    async with twin_of(korea()) as client:
        for route in ("KRX", "NXT", "SOR"):
            await client.buy(EXCG_ID_DVSN_CD=route)
        rows = await ccld(client, EXCG_ID_DVSN_CD="ALL", INQR_DVSN="01")
        only = {r: await ccld(client, EXCG_ID_DVSN_CD=r) for r in ("KRX", "NXT", "SOR")}
    assert [row["excg_id_dvsn_Cd"] for row in rows] == ["KRX", "NXT", "SOR"]
    assert [row["excg_id_dvsn_cd"] for row in rows] == ["KRX", "NXT", "SOR"]
    assert [row["excg_dvsn_cd"] for row in rows][0::2] == ["02", "12"]
    assert {r: [x["odno"][-1] for x in found] for r, found in only.items()} == {
        "KRX": ["1"], "NXT": ["2"], "SOR": ["3"]
    }  # fmt: skip


async def test_open_orders_can_be_listed_by_symbol() -> None:
    async with twin_of(korea()) as client:
        await client.buy()
        await client.buy(PDNO="000660", ORD_UNPR="97000")
        by_order = await opened(client, INQR_DVSN_1="0")
        by_symbol = await opened(client, INQR_DVSN_1="1")
    assert [row["pdno"] for row in by_order] == ["005930", "000660"]
    assert [row["pdno"] for row in by_symbol] == ["000660", "005930"]


async def test_nxt_is_shut_in_the_auctions_of_krx() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        venue.now = AFTER_AUCTION
        closing = await client.buy(EXCG_ID_DVSN_CD="NXT")
        at_krx = await client.buy()
        venue.now = BEFORE_OPEN
        opening = await client.buy(EXCG_ID_DVSN_CD="NXT")
    assert (closing.code, opening.code, at_krx.code) == ("APBK0918", "APBK0918", "APBK0013")


async def test_the_paper_host_refuses_the_opening_auction_as_too_early() -> None:
    home, abroad = korea(), america()
    home.now = BEFORE_OPEN
    abroad.now = US_NOW.replace(hour=13)
    async with twin_of(home, abroad, personality="paper") as client:
        body = ACCOUNT | {"PDNO": "005930", "ORD_DVSN": "00", "ORD_QTY": "1", "ORD_UNPR": "70000"}
        domestic = await client.post(f"{TRADING}/order-cash", "VTTC0012U", **body)
        body = ACCOUNT | {
            "OVRS_EXCG_CD": "NASD", "PDNO": "AAPL", "ORD_QTY": "5", "OVRS_ORD_UNPR": "199.5",
            "ORD_SVR_DVSN_CD": "0", "ORD_DVSN": "00",
        }  # fmt: skip
        foreign = await client.post(f"{OVERSEAS}/trading/order", "VTTT1002U", **body)
    assert (domestic.code, foreign.code) == ("40570000", "40570000")
    assert home.requests == abroad.requests == []


async def test_an_order_the_exchange_rejected_later_shows_its_rejected_quantity() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        placed = await client.buy()
        venue.rows[0].rejected_quantity = 10
        (row,) = await ccld(client)
        still_open = await opened(client)
    assert placed.code == "APBK0013"
    assert (row["rjct_qty"], row["rmn_qty"], row["tot_ccld_qty"]) == ("10", "0", "0")
    assert (row["sll_buy_dvsn_cd_name"], row["cncl_yn"]) == ("BUY REJECT", "N")
    assert still_open == []


@pytest.mark.parametrize("price", ["0", "1", "100", "70000"])
async def test_a_cancel_takes_any_price_and_any_branch(price: str) -> None:
    async with twin_of(korea()) as client:
        await client.buy()
        answer = await change(client, "02", "1", ORD_UNPR=price, KRX_FWDG_ORD_ORGNO="")
    assert answer.code == "APBK0013"


async def test_a_partial_cancel_takes_its_quantity_only() -> None:
    async with twin_of(korea()) as client:
        await client.buy()
        await change(client, "02", "1", QTY_ALL_ORD_YN="N", ORD_QTY="4")
        (row,) = await opened(client)
    assert (row["psbl_qty"], row["ord_qty"]) == ("6", "10")


async def test_a_modify_keeps_a_stop_or_conditional_order_but_makes_none() -> None:
    async with twin_of(korea()) as client:
        await client.buy(ORD_DVSN="22", CNDT_PRIC="71500")
        await client.buy()
        kept = await change(client, "01", "1", ORD_DVSN="22")
        codes = [(await change(client, "01", "2", ORD_DVSN=c)).code for c in ("22", "02", "03")]
        codes += [(await change(client, "01", "2", ORD_DVSN=c)).code for c in ("11", "16")]
    assert kept.code == "APBK0013"
    assert codes == ["APBK3026"] * 5


async def foreign(client: TwinClient, tr_id: str, **change: str) -> Any:
    body = ACCOUNT | {
        "OVRS_EXCG_CD": "NASD", "PDNO": "AAPL", "ORD_QTY": "5", "OVRS_ORD_UNPR": "199.5",
        "ORD_SVR_DVSN_CD": "0", "ORD_DVSN": "00",
    }  # fmt: skip
    return await client.post(f"{OVERSEAS}/trading/order", tr_id, **(body | change))


@pytest.mark.parametrize(
    ("tr_id", "division", "kind", "pricing"),
    [
        ("TTTT1002U", "32", L, Pricing.AT_OPEN),
        ("TTTT1002U", "34", L, Pricing.AT_CLOSE),
        ("TTTT1006U", "31", M, Pricing.AT_OPEN),
        ("TTTT1006U", "32", L, Pricing.AT_OPEN),
        ("TTTT1006U", "33", M, Pricing.AT_CLOSE),
        ("TTTT1006U", "34", L, Pricing.AT_CLOSE),
        ("TTTT1006U", "", L, Pricing.STATED),
    ],
)
async def test_us_orders_for_the_auctions_reach_the_exchange_as_such(
    tr_id: str, division: str, kind: OrderType, pricing: Pricing
) -> None:
    venue = america()
    async with twin_of(venue) as client:
        price = "0" if kind is M else "199.5"
        answer = await foreign(client, tr_id, ORD_DVSN=division, OVRS_ORD_UNPR=price)
    assert answer.code == "APBK0013"
    (asked,) = venue.requests
    assert (asked.order_type, asked.pricing) == (kind, pricing)
    assert (asked.limit_price is None) == (kind is M)


async def test_the_paper_host_takes_plain_limits_abroad_only() -> None:
    async with twin_of(america(), personality="paper") as client:
        codes = [(await foreign(client, "VTTT1001U", ORD_DVSN=c)).code for c in ("31", "34", "00")]
    assert codes == ["40070000", "40070000", "40590000"]


async def test_the_day_session_is_shut_on_the_real_host_and_unknown_on_paper() -> None:
    venue = america()
    body = ACCOUNT | {
        "OVRS_EXCG_CD": "NASD", "PDNO": "AAPL", "ORD_QTY": "5", "OVRS_ORD_UNPR": "199.5",
        "ORD_SVR_DVSN_CD": "0", "ORD_DVSN": "00",
    }  # fmt: skip
    path = f"{OVERSEAS}/trading/daytime-order"
    async with twin_of(venue) as client:
        real = [await client.post(path, tr_id, **body) for tr_id in ("TTTS6036U", "TTTS6037U")]
        more = body | {"ORGN_ODNO": "1", "RVSE_CNCL_DVSN_CD": "02"}
        real.append(await client.post(f"{path}-rvsecncl", "TTTS6038U", **more))
    async with twin_of(venue, personality="paper") as client:
        paper = await client.post(path, "TTTS6036U", **body)
    assert {(a.status, a.code) for a in real} == {(200, "APBK1664")}
    assert (paper.status, paper.code) == (500, "EGW02006")


@pytest.mark.parametrize(
    ("path", "tr_id"),
    [
        (f"{OVERSEAS}/trading/order-resv", "TTTT3014U"),
        (f"{TRADING}/order-resv", "CTSC0008U"),
        (f"{TRADING}/order-credit", "TTTC0852U"),
    ],
)
async def test_reservations_and_credit_are_services_unknown_here(path: str, tr_id: str) -> None:
    async with twin_of(america()) as client:
        answer = await client.post(path, tr_id, **ACCOUNT)
    assert (answer.status, answer.code) == (200, "OPSQ0002")


async def test_an_account_number_is_told_apart_as_malformed_unknown_or_not_allowed() -> None:
    venue = korea()
    venue.specs.append(type(venue.specs[0])("87654321-29", {}))
    async with twin_of(venue) as client:
        codes = {
            name: (await client.buy(CANO=number, ACNT_PRDT_CD=product)).code
            for name, number, product in (
                ("malformed", "123", "01"), ("unknown", "11111111", "01"),
                ("pension", "87654321", "29"),
            )
        }  # fmt: skip
        path = f"{TRADING}/inquire-balance"
        query = await client.get(path, "TTTC8434R", CANO="123", ACNT_PRDT_CD="01")
    assert codes == {"malformed": "APAC0081", "unknown": "OPSQ2000", "pension": "APBK1744"}
    assert (query.body["rt_cd"], query.code) == ("2", "OPSQ2000")


def test_the_fate_given_with_a_request_goes_with_its_order() -> None:
    venue = korea()
    desk = Desk([venue], personality="real", rates=NOMINAL_RATES)
    tokens = Tokens(lambda: desk.now, lambda: 0.0, cooldown_seconds=0)
    grant = {"grant_type": "client_credentials", "appkey": "k", "appsecret": "s"}
    token = tokens.issue(grant).body["access_token"]
    gate = Gateway(desk, tokens, CallLimiter(lambda: 0.0, None, status=500))
    headers = {"authorization": f"Bearer {token}", "appkey": "k", "tr_id": "TTTC0012U"}
    body = (
        b'{"CANO": "12345678", "ACNT_PRDT_CD": "01", "PDNO": "005930", "ORD_DVSN": "00",'
        b' "ORD_QTY": "1", "ORD_UNPR": "70000"}'
    )
    request = WireRequest("POST", f"{TRADING}/order-cash", headers, {}, body)
    gate.answer(request, fate=OrderFate(reject_later=True))
    gate.answer(request)
    assert [asked.fate.reject_later for asked in venue.requests] == [True, False]
