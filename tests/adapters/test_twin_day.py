"""One small day of the simulated exchange, lived through HTTP alone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.twin_client import ACCOUNT, DOMESTIC, OVERSEAS, OVERSEAS_PRICE, TwinClient, twin_of
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.price import Quote
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.launch import Stage, TwinPlan
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec

DAY = date(2026, 11, 20)
CASH = Decimal(10_000_000)


def exchange(group: MarketGroup, currency: Currency) -> SimulatedExchange:
    tape = synthetic_tape(group, DAY, symbols=8, seed=3)
    return SimulatedExchange(tape, [AccountSpec("12345678-01", {currency: CASH})])


async def advance(client: TwinClient, minutes: int, start: str | None = None) -> dict[str, Any]:
    state = (await client.send("GET", "/twin/state")).body
    at = datetime.fromisoformat(start or state["now"]) + timedelta(minutes=minutes)
    answer = await client.send("POST", "/twin/clock", data={"advance_to": at.isoformat()})
    assert answer.status == 200
    return answer.body


async def balance(client: TwinClient) -> tuple[list[Any], dict[str, str]]:
    answer = await client.get(f"{DOMESTIC}/trading/inquire-balance", "TTTC8434R", **ACCOUNT)
    return answer.body["output1"], answer.body["output2"][0]


async def price(client: TwinClient, symbol: str) -> dict[str, str]:
    params = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": symbol}
    path = f"{DOMESTIC}/quotations/inquire-price"
    return (await client.get(path, "FHKST01010100", **params)).body["output"]


async def test_a_domestic_day_buys_cancels_sells_and_ends_with_even_books() -> None:
    venue = exchange(MarketGroup.KR, Currency.KRW)
    symbol = venue.instruments()[0].symbol
    async with twin_of(venue) as client:
        await advance(client, 30)
        now = await price(client, symbol)
        assert now["stck_shrn_iscd"] == symbol
        deep = now["stck_llam"]
        resting = await client.buy(price=deep, quantity="1", PDNO=symbol)
        assert resting.code == "APBK0013"
        off_grid = await client.buy(price=str(int(deep) + 1) + ".5", quantity="1", PDNO=symbol)
        assert off_grid.code == "APBK0506"
        too_many = await client.buy(price=now["stck_mxpr"], quantity="9999999", PDNO=symbol)
        assert too_many.code == "APBK0952"
        bought = await client.buy(price="0", quantity="3", PDNO=symbol, ORD_DVSN="01")
        await advance(client, 20)
        holdings, cash = await balance(client)
        (row,) = [h for h in holdings if h["pdno"] == symbol]
        assert row["hldg_qty"] == row["thdt_buyqty"] == "3"
        assert int(cash["prvs_rcdl_excc_amt"]) < int(CASH)
        assert cash["dnca_tot_amt"] == str(CASH)

        change = ACCOUNT | {
            "KRX_FWDG_ORD_ORGNO": "", "ORGN_ODNO": resting.body["output"]["ODNO"],
            "ORD_DVSN": "00", "RVSE_CNCL_DVSN_CD": "02", "ORD_QTY": "0", "ORD_UNPR": "0",
            "QTY_ALL_ORD_YN": "Y",
        }  # fmt: skip
        path = f"{DOMESTIC}/trading/order-rvsecncl"
        cancelled = await client.post(path, "TTTC0013U", **change)
        assert cancelled.body["rt_cd"] == "0"
        sell = ACCOUNT | {"PDNO": symbol, "ORD_DVSN": "01", "ORD_QTY": "3", "ORD_UNPR": "0"}
        path = f"{DOMESTIC}/trading/order-cash"
        sold = await client.post(path, "TTTC0011U", **sell)
        assert sold.body["rt_cd"] == "0"
        await advance(client, 30)
        oversold = await client.post(path, "TTTC0011U", **sell)
        assert oversold.code == "APBK0400"

        span = {"INQR_STRT_DT": "20261120", "INQR_END_DT": "20261120", "INQR_DVSN": "01"}
        path = f"{DOMESTIC}/trading/inquire-daily-ccld"
        rows = (await client.get(path, "TTTC0081R", **ACCOUNT, **span)).body["output1"]
        book = (await client.send("GET", "/twin/book")).body
        holdings, cash = await balance(client)
    filled = {r["odno"]: (r["tot_ccld_qty"], Decimal(r["tot_ccld_amt"])) for r in rows}
    assert filled[bought.body["output"]["ODNO"]][0] == "3"
    assert filled[sold.body["output"]["ODNO"]][0] == "3"
    assert [r["rmn_qty"] for r in rows] == ["0"] * 4
    truth = {order["order_no"]: Decimal(order["filled_amount"]) for order in book["orders"]}
    assert {int(no): amount for no, (_, amount) in filled.items()} == truth
    costs = sum(Decimal(o["fee"]) + Decimal(o["tax"]) for o in book["orders"])
    gain = filled[sold.body["output"]["ODNO"]][1] - filled[bought.body["output"]["ODNO"]][1]
    assert Decimal(cash["prvs_rcdl_excc_amt"]) == CASH + gain - costs
    assert [h["hldg_qty"] for h in holdings if h["pdno"] == symbol] in ([], ["0"])
    assert cash["tot_evlu_amt"] == cash["prvs_rcdl_excc_amt"]


async def test_the_open_the_chart_and_the_ranking_agree_with_the_price() -> None:
    venue = exchange(MarketGroup.KR, Currency.KRW)
    symbol = venue.instruments()[1].symbol
    async with twin_of(venue) as client:
        before = await price(client, symbol)
        assert before["acml_vol"] == "0"
        await advance(client, 45)
        now = await price(client, symbol)
        params = {
            "FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": symbol, "FID_ORG_ADJ_PRC": "0",
            "FID_INPUT_DATE_1": "20261001", "FID_INPUT_DATE_2": "20261120",
            "FID_PERIOD_DIV_CODE": "D",
        }  # fmt: skip
        path = f"{DOMESTIC}/quotations/inquire-daily-itemchartprice"
        chart = (await client.get(path, "FHKST03010100", **params)).body["output2"]
        params = {
            "FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": symbol, "FID_ETC_CLS_CODE": "",
            "FID_INPUT_HOUR_1": "094500", "FID_PW_DATA_INCU_YN": "N",
        }  # fmt: skip
        path = f"{DOMESTIC}/quotations/inquire-time-itemchartprice"
        minutes = (await client.get(path, "FHKST03010200", **params)).body["output2"]
    assert chart[0]["stck_bsop_date"] == "20261120"
    assert chart[0]["stck_clpr"] == now["stck_prpr"]
    assert chart[0]["stck_hgpr"] == now["stck_hgpr"]
    assert minutes[0]["stck_cntg_hour"] == "094400"
    assert minutes[0]["stck_prpr"] == now["stck_prpr"]
    assert len(minutes) == 30


async def test_orders_outside_the_session_are_refused_with_the_brokers_codes() -> None:
    venue = exchange(MarketGroup.KR, Currency.KRW)
    symbol = venue.instruments()[0].symbol
    async with twin_of(venue) as client:
        now = await price(client, symbol)
        resting = await client.buy(price=now["stck_llam"], quantity="1", PDNO=symbol)
        await advance(client, 8 * 60)
        late = await client.buy(price=now["stck_llam"], quantity="1", PDNO=symbol)
        opened = await client.get(
            f"{DOMESTIC}/trading/inquire-psbl-rvsecncl", "TTTC0084R", **ACCOUNT
        )
    assert resting.code == "APBK0013"
    assert late.code == "APBK0918"
    assert opened.body["output"] == []


async def test_a_us_order_is_bought_and_its_cash_settles_later() -> None:
    venue = exchange(MarketGroup.US, Currency.USD)
    item = venue.instruments()[0]
    codes = {"US_NASDAQ": ("NAS", "NASD"), "US_NYSE": ("NYS", "NYSE"), "US_AMEX": ("AMS", "AMEX")}
    quote_code, order_code = codes[item.market.value]
    async with twin_of(venue) as client:
        await advance(client, 30)
        params = {"AUTH": "", "EXCD": quote_code, "SYMB": item.symbol}
        path = f"{OVERSEAS_PRICE}/price"
        last = (await client.get(path, "HHDFS00000300", **params)).body["output"]["last"]
        limit = (Decimal(last) * Decimal("1.05")).quantize(Decimal("0.01"))
        body = ACCOUNT | {
            "OVRS_EXCG_CD": order_code, "PDNO": item.symbol, "ORD_QTY": "2", "ORD_DVSN": "00",
            "OVRS_ORD_UNPR": str(limit), "ORD_SVR_DVSN_CD": "0",
        }  # fmt: skip
        placed = await client.post(f"{OVERSEAS}/trading/order", "TTTT1002U", **body)
        await advance(client, 30)
        where = ACCOUNT | {"OVRS_EXCG_CD": "NASD", "TR_CRCY_CD": "USD"}
        path = f"{OVERSEAS}/trading/inquire-balance"
        held = (await client.get(path, "TTTS3012R", **where)).body["output1"]
        path = f"{OVERSEAS}/trading/foreign-margin"
        margin = (await client.get(path, "TTTC2101R", **ACCOUNT)).body["output"]
        book = (await client.send("GET", "/twin/book")).body
    assert placed.code == "APBK0013"
    assert [(row["ovrs_pdno"], row["ovrs_cblc_qty"]) for row in held[:1]] == [(item.symbol, "2")]
    dollars = next(row for row in margin if row["crcy_cd"] == "USD")
    settled = (
        Decimal(dollars["frcr_dncl_amt1"])
        + Decimal(dollars["ustl_sll_amt"])
        - Decimal(dollars["ustl_buy_amt"])
    )
    (account,) = book["accounts"]
    assert settled == Decimal(account["settled"]) < CASH
    assert Decimal(dollars["frcr_dncl_amt1"]) == CASH


async def test_several_days_in_a_row_are_lived_over_http() -> None:
    account = AccountSpec("12345678-01", {Currency.KRW: CASH})
    stage = Stage.build(TwinPlan((MarketGroup.KR,), date(2026, 11, 19), (account,)))
    (venue,) = stage.exchanges
    symbol = next(i.symbol for i in venue.instruments() if not quote_of(venue, i.symbol).halted)
    path = f"{DOMESTIC}/trading/order-cash"
    async with twin_of(venue, begin_session=stage.begin_session) as client:
        await advance(client, 60)
        bought = await client.buy("0", "3", PDNO=symbol, ORD_DVSN="01")
        assert bought.body["output"]["ODNO"] == "0000000001"
        await advance(client, 10)
        (before,) = [h for h in (await balance(client))[0] if h["pdno"] == symbol]
        answer = await client.send("POST", "/twin/clock", data={"session": "next"})
        assert [row["session"] for row in answer.body["sessions"]] == ["2026-11-20"]
        assert answer.body["now"] == "2026-11-19T23:15:00+00:00"
        # A day has passed, and the token with it.
        await client.log_in()
        await advance(client, 60)
        (held,) = [h for h in (await balance(client))[0] if h["pdno"] == symbol]
        assert (before["thdt_buyqty"], before["hldg_qty"]) == ("3", "3")
        assert (held["thdt_buyqty"], held["hldg_qty"]) == ("0", "3")
        sell = ACCOUNT | {"PDNO": symbol, "ORD_DVSN": "01", "ORD_QTY": "3", "ORD_UNPR": "0"}
        sold = await client.post(path, "TTTC0011U", **sell)
        assert sold.body["output"]["ODNO"] == "0000000001"
        moved = await client.send("POST", "/twin/clock", data={"session": "2026-11-24"})
        assert [row["session"] for row in moved.body["sessions"]] == ["2026-11-24"]
        for wrong in ("2026-11-24", "2026-11-29", "soon", 7, None):
            refused = await client.send("POST", "/twin/clock", data={"session": wrong})
            assert refused.status == 400
            assert refused.body["error"]
        book = (await client.send("GET", "/twin/book")).body
    assert [row["session"] for row in book["orders"]] == ["2026-11-19", "2026-11-20"]
    assert book["accounts"][0]["holdings"] == []
    # Korea pays on the second session: what was sold on Friday is there on Tuesday.
    assert book["accounts"][0]["deposit"] == book["accounts"][0]["settled"]


def quote_of(venue: SimulatedExchange, symbol: str) -> Quote:
    quote = venue.quote(symbol)
    assert quote is not None
    return quote
