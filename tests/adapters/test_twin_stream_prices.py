"""What the stream tells of prices, against what the REST side says of the same moment."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import get_args

import pytest

from tests.stream_client import StreamClient, field, market, stream_of
from tests.twin_client import DOMESTIC, OVERSEAS_PRICE
from tests.venue_double import CONTINUOUS, korea
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import Phase
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.stream.layouts import STREAMS, Layout
from trading_core.twin.venue import TradingState
from trading_core.twin.wire.codes import BY_MARKET

SAMSUNG = "005930"
WIDTHS: dict[tuple[MarketGroup, str], dict[str, int]] = {
    (MarketGroup.KR, "2026-09"): {
        "H0STCNT0": 47, "H0NXCNT0": 47, "H0UNCNT0": 47,
        "H0STASP0": 63, "H0NXASP0": 62, "H0UNASP0": 66,
    },
    (MarketGroup.KR, "legacy"): {
        "H0STCNT0": 46, "H0NXCNT0": 46, "H0UNCNT0": 46,
        "H0STASP0": 59, "H0NXASP0": 62, "H0UNASP0": 65,
    },
    (MarketGroup.US, "2026-09"): {"HDFSCNT0": 26, "HDFSASP0": 71},
    (MarketGroup.US, "legacy"): {"HDFSCNT0": 26, "HDFSASP0": 71},
    (MarketGroup.JP, "2026-09"): {"HDFSCNT0": 26, "HDFSASP1": 17},
}  # fmt: skip


def key_of(venue: SimulatedExchange, number: int = 0) -> str:
    """What the stream calls a listed security."""
    item = venue.instruments()[number]
    if venue.group is MarketGroup.KR:
        return item.symbol
    return f"D{BY_MARKET[item.market].quote_code}{item.symbol}"


async def price_of(stream: StreamClient, symbol: str) -> dict[str, str]:
    path, tr_id = f"{DOMESTIC}/quotations/inquire-price", "FHKST01010100"
    query = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": symbol}
    output: dict[str, str] = (await stream.client.get(path, tr_id, **query)).body["output"]
    return output


@pytest.mark.parametrize(("group", "layout"), list(WIDTHS))
async def test_every_record_has_the_fields_of_its_layout(
    group: MarketGroup, layout: Layout
) -> None:
    assert layout in get_args(Layout)
    venue, wanted = market(group), WIDTHS[group, layout]
    async with stream_of(venue, layout=layout) as stream:
        for tr_id in wanted:
            assert (await stream.register(tr_id, key_of(venue)))["body"]["rt_cd"] == "0"
        await stream.move(timedelta(minutes=5))
        frames = await stream.frames(len(wanted))
    assert {frame.tr_id: len(frame.values) / frame.count for frame in frames} == wanted
    assert all(frame.count > 5 for frame in frames if "CNT" in frame.tr_id)


async def test_the_trades_of_a_day_add_up_to_what_rest_shows_after_each_move() -> None:
    venue = market(MarketGroup.KR)
    symbol = key_of(venue)
    async with stream_of(venue) as stream:
        await stream.register("H0STCNT0", symbol)
        before = 0
        for minutes in (1, 1, 7, 60, 200, 130):
            await stream.move(timedelta(minutes=minutes))
            rest = await price_of(stream, symbol)
            rows: list[dict[str, str]] = []
            while not rows or rows[-1]["ACML_VOL"] != rest["acml_vol"]:
                rows += (await stream.frame()).records
            last = rows[-1]
            assert sum(int(row["CNTG_VOL"]) for row in rows) == int(rest["acml_vol"]) - before
            assert last["STCK_PRPR"] == rest["stck_prpr"]
            assert last["ACML_TR_PBMN"] == rest["acml_tr_pbmn"]
            assert last["STCK_OPRC"] == rest["stck_oprc"]
            assert last["STCK_HGPR"] == rest["stck_hgpr"]
            assert last["STCK_LWPR"] == rest["stck_lwpr"]
            assert last["PRDY_VRSS"] == rest["prdy_vrss"]
            assert last["PRDY_VRSS_SIGN"] == rest["prdy_vrss_sign"]
            assert last["PRDY_CTRT"] == rest["prdy_ctrt"]
            assert last["WGHN_AVRG_STCK_PRC"] == rest["wghn_avrg_stck_prc"]
            for name in ("ACML_VOL", "ACML_TR_PBMN", "STCK_CNTG_HOUR"):
                told = [int(row[name]) for row in rows]
                assert told == sorted(told), name
            sides = int(last["SELN_CNTG_SMTN"]) + int(last["SHNU_CNTG_SMTN"])
            assert sides == int(last["ACML_VOL"])
            before = int(rest["acml_vol"])
        assert await stream.nothing_waits()


async def test_a_late_subscriber_hears_only_of_what_comes_but_with_the_whole_day_s_sums() -> None:
    venue = market(MarketGroup.KR)
    symbol = key_of(venue)
    async with stream_of(venue) as stream:
        await stream.move(timedelta(hours=1))
        before = await price_of(stream, symbol)
        await stream.register("H0STCNT0", symbol)
        await stream.move(timedelta(minutes=2))
        after = await price_of(stream, symbol)
        rows = (await stream.frame()).records
        assert await stream.nothing_waits()
    traded = int(after["acml_vol"]) - int(before["acml_vol"])
    assert sum(int(row["CNTG_VOL"]) for row in rows) == traded > 0
    assert rows[-1]["ACML_VOL"] == after["acml_vol"]
    assert rows[0]["STCK_CNTG_HOUR"] >= "100000"
    assert rows[0]["OPRC_HOUR"] == "090000"


async def test_a_book_follows_every_move_and_shows_what_rest_shows() -> None:
    venue = market(MarketGroup.KR)
    symbol = key_of(venue)
    path, tr_id = f"{DOMESTIC}/quotations/inquire-asking-price-exp-ccn", "FHKST01010200"
    query = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": symbol}
    async with stream_of(venue) as stream:
        await stream.register("H0STASP0", symbol)
        for by in (timedelta(minutes=3), timedelta(seconds=1), timedelta(0)):
            await stream.move(by)
            told = (await stream.frame()).records[0]
            rest = (await stream.client.get(path, tr_id, **query)).body["output1"]
            assert int(rest["askp1"]) > int(rest["bidp1"]) > 0
            for name in ("askp1", "bidp10", "askp_rsqn3", "total_askp_rsqn", "total_bidp_rsqn"):
                assert told[name.upper()] == rest[name], name
            middle = (Decimal(rest["askp1"]) + Decimal(rest["bidp1"])) / 2
            assert Decimal(told["MID_PRC"]) == middle
            assert told["BSOP_HOUR"] == rest["aspr_acpt_hour"]


async def test_foreign_trades_are_told_in_local_and_korean_time_and_agree_with_rest() -> None:
    venue = market(MarketGroup.US)
    item, key = venue.instruments()[0], key_of(venue)
    code = BY_MARKET[item.market]
    async with stream_of(venue) as stream:
        await stream.register("HDFSCNT0", key)
        await stream.register("HDFSASP0", key)
        await stream.move(timedelta(minutes=10))
        frames = await stream.frames(2)
        query = {"AUTH": "", "EXCD": code.quote_code, "SYMB": item.symbol}
        rest = (await stream.client.get(f"{OVERSEAS_PRICE}/price", "HHDFS00000300", **query)).body
        book = (
            await stream.client.get(
                f"{OVERSEAS_PRICE}/inquire-asking-price", "HHDFS76200100", **query
            )
        ).body
    price, last = rest["output"], frames[0].records[-1]
    assert (last["RSYM"], last["SYMB"], last["ZDIV"]) == (key, item.symbol, price["zdiv"])
    for name in ("last", "tvol", "tamt", "sign", "diff"):
        assert last[name.upper()] == price[name], name
    assert Decimal(last["RATE"]) == Decimal(price["rate"].strip())
    assert sum(int(volume) for volume in field(frames, "HDFSCNT0", "EVOL")) == int(price["tvol"])
    first = frames[0].records[0]
    # 9:30 in New York is half past eleven at night in Seoul.
    assert (first["XYMD"], first["XHMS"]) == ("20261120", "093000")
    assert (first["KYMD"], first["KHMS"]) == ("20261120", "233000")
    levels = frames[1].records[0]
    for n in range(1, 11):
        assert levels[f"PBID{n}"] == book["output2"][f"pbid{n}"]
        assert levels[f"VASK{n}"] == book["output2"][f"vask{n}"]


async def test_a_released_symbol_falls_silent_and_others_go_on() -> None:
    venue = market(MarketGroup.KR)
    one, other = key_of(venue), key_of(venue, 1)
    async with stream_of(venue) as stream:
        for symbol in (one, other):
            await stream.register("H0STASP0", symbol)
        assert await stream.release("H0STASP0", one) == "OPSP0001"
        await stream.move()
        assert (await stream.frame()).records[0]["MKSC_SHRN_ISCD"] == other
        assert await stream.nothing_waits()


async def test_the_stages_of_a_symbol_s_market_are_told_when_they_change() -> None:
    venue = korea()
    halt = TradingState(Phase.CONTINUOUS, halted=True)
    pause = replace(
        CONTINUOUS,
        interrupted=True,
        reference_price=Decimal(70000),
        expected_price=Decimal(69000),
        expected_quantity=55,
    )
    async with stream_of(venue) as stream:
        for tr_id in ("H0STMKO0", "H0STANC0"):
            await stream.register(tr_id, SAMSUNG)
        await stream.move()
        assert await stream.nothing_waits()
        venue.states[SAMSUNG] = halt
        await stream.move()
        (halted,) = (await stream.frame()).records
        assert (halted["TRHT_YN"], halted["ISCD_STAT_CLS_CODE"]) == ("Y", "58")
        venue.states[SAMSUNG] = pause
        await stream.move()
        paused, auction = await stream.frames(2)
        assert (paused.records[0]["TRHT_YN"], paused.records[0]["VI_CLS_CODE"]) == ("N", "Y")
        (row,) = auction.records
        assert auction.width == 45
        assert (row["STCK_PRPR"], row["CNTG_VOL"], row["HOUR_CLS_CODE"]) == ("69000", "55", "C")
        assert (row["PRDY_VRSS"], row["PRDY_VRSS_SIGN"]) == ("-1000", "5")
        await stream.move()
        assert (await stream.frame()).tr_id == "H0STANC0"
        assert await stream.nothing_waits()


async def test_a_running_clock_streams_by_itself_and_repeats_no_book() -> None:
    venue = market(MarketGroup.KR)
    symbol = key_of(venue)
    async with stream_of(venue, clock="running", speed=600.0) as stream:
        for tr_id in ("H0STCNT0", "H0STASP0"):
            await stream.register(tr_id, symbol)
        frames = await stream.frames(12)
    assert {frame.tr_id for frame in frames} == {"H0STCNT0", "H0STASP0"}
    times = field(frames, "H0STCNT0", "STCK_CNTG_HOUR")
    assert times == sorted(times)
    books = [
        tuple(value for name, value in row.items() if name != "BSOP_HOUR" and "ICDC" not in name)
        for frame in frames
        if frame.tr_id == "H0STASP0"
        for row in frame.records
    ]
    assert all(one != other for one, other in itertools.pairwise(books))


def test_every_tr_names_each_field_once() -> None:
    for stream in STREAMS.values():
        for names in stream.fields.values():
            assert len(set(names)) == len(names), stream.tr_id
