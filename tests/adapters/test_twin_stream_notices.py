"""Notices of orders: what is told of each step, to whom, and when."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.stream_client import StreamClient, connected, market, outline, stream_of
from tests.twin_client import ACCOUNT, DOMESTIC, OVERSEAS
from tests.venue_double import ACCOUNT as DOUBLE_ACCOUNT
from tests.venue_double import america, korea
from trading_core.model.market import MarketGroup
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.stream.layouts import Layout

TAKEN, DONE = ("0", "1", "1", "0"), ("0", "2", "2", "0")
CHANGE_TAKEN, CHANGED = ("1", "1", "1", "0"), ("1", "1", "2", "0")
CANCEL_TAKEN, CANCELLED = ("2", "1", "1", "0"), ("2", "1", "2", "0")
REFUSED = ("0", "1", "1", "1")


async def told(stream: StreamClient, count: int) -> list[dict[str, str]]:
    """The records of the next notices, each encrypted and alone in its frame."""
    frames = await stream.frames(count)
    assert all(frame.encrypted and frame.count == 1 for frame in frames)
    return [frame.records[0] for frame in frames]


async def change(stream: StreamClient, number: str, kind: str, price: str = "0") -> str:
    body = ACCOUNT | {
        "KRX_FWDG_ORD_ORGNO": "", "ORGN_ODNO": number, "ORD_DVSN": "00", "RVSE_CNCL_DVSN_CD": kind,
        "ORD_QTY": "0", "ORD_UNPR": price, "QTY_ALL_ORD_YN": "Y",
    }  # fmt: skip
    path = f"{DOMESTIC}/trading/order-rvsecncl"
    answer = await stream.client.post(path, "TTTC0013U", **body)
    return str(answer.body["output"]["ODNO"])


async def test_an_order_s_whole_life_is_told_step_by_step() -> None:
    venue = korea()
    async with stream_of(venue) as stream:
        assert (await stream.register("H0STCNI0", "me"))["header"]["encrypt"] == "Y"
        first = (await stream.client.buy("69000", "10")).body["output"]["ODNO"]
        (taken,) = await told(stream, 1)
        second = await change(stream, first, "01", "69500")
        moved = await told(stream, 2)
        venue.fill(int(second), 4, "69400")
        await stream.move()
        (filled,) = await told(stream, 1)
        third = await change(stream, second, "02")
        gone = await told(stream, 2)
        assert await stream.nothing_waits()
    rows = [taken, *moved, filled, *gone]
    assert [outline(row) for row in rows] == [
        TAKEN, CHANGE_TAKEN, CHANGED, DONE, CANCEL_TAKEN, CANCELLED,
    ]  # fmt: skip
    assert [row["ODER_NO"] for row in rows] == [first, second, second, second, third, third]
    assert [row["OODER_NO"] for row in rows] == ["", first, first, first, second, second]
    assert taken["CNTG_QTY"] == "0000000010"
    assert (taken["CNTG_UNPR"], taken["ODER_QTY"]) == ("000069000", "000000010")
    assert (filled["CNTG_QTY"], filled["CNTG_UNPR"]) == ("0000000004", "000069400")
    assert (filled["ODER_QTY"], filled["ODER_PRC"]) == ("000000010", "000069500")
    assert taken["CUST_ID"] == "me"
    assert taken["ACNT_NO"] == "1234567801"
    assert (taken["SELN_BYOV_CLS"], taken["ODER_KIND"], taken["ODER_COND"]) == ("02", "00", "0")
    assert (taken["STCK_SHRN_ISCD"], taken["CNTG_ISNM40"]) == ("005930", "삼성전자")
    assert (taken["STCK_CNTG_HOUR"], filled["STCK_CNTG_HOUR"]) == ("103000", "103000")
    assert (taken["ORD_EXG_GB"], taken["BRNC_NO"]) == ("1", "06010")


async def test_a_late_rejection_is_told_with_its_flag() -> None:
    venue = korea()
    async with stream_of(venue) as stream:
        await stream.register("H0STCNI0", "me")
        await stream.client.buy("69000", "10")
        venue.reject(1)
        await stream.move()
        rows = await told(stream, 2)
    assert [outline(row) for row in rows] == [TAKEN, REFUSED]


@pytest.mark.parametrize(
    ("layout", "width", "foreign_width"), [("2026-09", 26, 25), ("legacy", 23, 21)]
)
async def test_notices_have_the_fields_of_the_layout(
    layout: Layout, width: int, foreign_width: int
) -> None:
    home, abroad = korea(), america()
    async with stream_of(home, abroad, layout=layout) as stream:
        for tr_id in ("H0STCNI0", "H0GSCNI0"):
            await stream.register(tr_id, "me")
        await stream.client.buy()
        await buy_apple(stream)
        frames = await stream.frames(2)
    assert [(frame.tr_id, len(frame.values)) for frame in frames] == [
        ("H0STCNI0", width), ("H0GSCNI0", foreign_width),
    ]  # fmt: skip
    assert frames[0].records[0]["ODER_PRC"] == "000070000"


async def buy_apple(stream: StreamClient, tr_id: str = "TTTT1002U") -> str:
    body = ACCOUNT | {
        "OVRS_EXCG_CD": "NASD", "PDNO": "AAPL", "ORD_QTY": "3", "OVRS_ORD_UNPR": "148.01",
        "CTAC_TLNO": "", "MGCO_APTM_ODNO": "", "SLL_TYPE": "", "ORD_SVR_DVSN_CD": "0",
        "ORD_DVSN": "00",
    }  # fmt: skip
    answer = await stream.client.post(f"{OVERSEAS}/trading/order", tr_id, **body)
    return str(answer.body["output"]["ODNO"])


async def test_a_foreign_price_has_implied_decimals() -> None:
    venue = america()
    async with stream_of(venue) as stream:
        await stream.register("H0GSCNI0", "me")
        number = await buy_apple(stream)
        venue.fill(int(number), 3, "147.5")
        await stream.move()
        taken, filled = await told(stream, 2)
    assert (taken["CNTG_UNPR"], taken["CNTG_UNPR12"]) == ("001480100", "000001480100")
    assert filled["CNTG_UNPR"] == "001475000"
    assert (taken["ODER_COND"], taken["ODER_KIND2"], taken["DEBT_GB"]) == ("6", "2", "10")
    assert [outline(row) for row in (taken, filled)] == [TAKEN, DONE]
    assert (taken["ODER_QTY"], filled["ODER_QTY"]) == ("", "000000003")


async def test_the_paper_host_tells_its_notices_under_ids_of_its_own() -> None:
    async with stream_of(korea(), america(), personality="paper") as stream:
        for tr_id in ("H0STCNI9", "H0GSCNI9"):
            await stream.register(tr_id, "me")
        body = ACCOUNT | {
            "PDNO": "005930", "ORD_DVSN": "00", "ORD_QTY": "1", "ORD_UNPR": "70000"
        }  # fmt: skip
        await stream.client.post(f"{DOMESTIC}/trading/order-cash", "VTTC0012U", **body)
        await buy_apple(stream, "VTTT1002U")
        frames = await stream.frames(2)
    assert [frame.tr_id for frame in frames] == ["H0STCNI9", "H0GSCNI9"]
    assert {frame.records[0]["BRNC_NO"] for frame in frames} == {"00950"}


@pytest.mark.parametrize(
    ("tr_key", "hears"),
    [
        ("hts-login", True),
        ("12345678", True),
        ("1234567801", True),
        ("12345678-01", True),
        ("87654321", False),
        ("8765432101", False),
        ("11112222", True),
    ],
)
async def test_an_id_that_is_an_account_s_number_hears_of_that_account_alone(
    tr_key: str, hears: bool
) -> None:
    venue = korea()
    venue.specs.append(type(venue.specs[0])("87654321-01", dict(venue.specs[0].cash)))
    async with stream_of(venue) as stream:
        await stream.register("H0STCNI0", tr_key)
        await stream.client.buy()
        if hears:
            assert (await told(stream, 1))[0]["CUST_ID"] == tr_key
        assert await stream.nothing_waits()


async def test_every_session_decrypts_with_a_pair_of_its_own() -> None:
    async with stream_of(korea()) as one, connected(one.client, app_key="two") as two:
        for stream in (one, two):
            await stream.register("H0STCNI0", "me")
        assert one.keys != two.keys
        await one.client.buy()
        assert await told(one, 1) == await told(two, 1)


async def test_the_reply_of_an_order_arrives_before_its_notice() -> None:
    async with stream_of(korea()) as stream:
        await stream.register("H0STCNI0", "me")
        order: list[str] = []

        async def place() -> None:
            await stream.client.buy()
            order.append("reply")

        async def hear() -> None:
            await stream.frame()
            order.append("notice")

        for _ in range(20):
            await asyncio.gather(hear(), place())
        # A rule that holds the reply back holds back its notice with it.
        rule = {"action": "delay_ms", "delay_ms": 50, "path": "order-cash"}
        await stream.client.send("POST", "/twin/faults", data=rule)
        await asyncio.gather(hear(), place())
    assert order == ["reply", "notice"] * 21


async def test_a_lost_reply_does_not_lose_the_notice() -> None:
    async with stream_of(korea()) as stream:
        await stream.register("H0STCNI0", "me")
        rule = {"action": "drop_after", "path": "order-cash"}
        await stream.client.send("POST", "/twin/faults", data=rule)
        with pytest.raises(Exception, match="disconnected"):
            await stream.client.buy()
        assert outline((await told(stream, 1))[0]) == TAKEN


async def test_an_order_on_the_exchange_is_accepted_and_filled_on_the_stream() -> None:
    venue = market(MarketGroup.KR)
    venue.advance_to(venue.now + timedelta(minutes=30))
    symbol = next(i.symbol for i in venue.instruments() if not halted(venue, i.symbol))
    async with stream_of(venue) as stream:
        await stream.register("H0STCNI0", "me")
        body = ACCOUNT | {
            "PDNO": symbol, "ORD_DVSN": "01", "ORD_QTY": "300", "ORD_UNPR": "0"
        }  # fmt: skip
        answer = await stream.client.post(f"{DOMESTIC}/trading/order-cash", "TTTC0012U", **body)
        number = answer.body["output"]["ODNO"]
        for _ in range(30):
            await stream.move()
        fills = venue.fills(DOUBLE_ACCOUNT)
        rows = await told(stream, 1 + len(fills))
        assert await stream.nothing_waits()
    assert outline(rows[0]) == TAKEN
    assert rows[0]["CNTG_UNPR"] == "000000000"
    assert sum(fill.quantity for fill in fills) == 300
    assert {(row["ODER_NO"], *outline(row)) for row in rows[1:]} == {(number, *DONE)}
    assert [(int(row["CNTG_QTY"]), Decimal(row["CNTG_UNPR"])) for row in rows[1:]] == [
        (fill.quantity, fill.price) for fill in fills
    ]


async def test_what_an_immediate_order_could_not_fill_is_told_as_taken_out() -> None:
    venue = market(MarketGroup.KR)
    venue.advance_to(venue.now + timedelta(minutes=30))
    symbol = next(i.symbol for i in venue.instruments() if not halted(venue, i.symbol))
    book = venue.order_book(symbol)
    assert book is not None
    lowest = str(book.bids[-1].price)
    async with stream_of(venue) as stream:
        await stream.register("H0STCNI0", "me")
        body = ACCOUNT | {
            "PDNO": symbol, "ORD_DVSN": "11", "ORD_QTY": "7", "ORD_UNPR": lowest
        }  # fmt: skip
        await stream.client.post(f"{DOMESTIC}/trading/order-cash", "TTTC0012U", **body)
        rows = await told(stream, 2)
    assert [outline(row) for row in rows] == [TAKEN, ("0", "1", "3", "0")]
    assert {(row["ODER_KIND"], row["ODER_COND"]) for row in rows} == {("11", "1")}


def halted(venue: SimulatedExchange, symbol: str) -> bool:
    quote = venue.quote(symbol)
    return quote is None or quote.halted
