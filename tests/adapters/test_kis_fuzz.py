"""Malformed replies: nothing but a BrokerError, and nothing made of garbage."""

import asyncio
import json
import tempfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.kis_stand_in import NOW, StandIn, connect
from trading_core.errors import BrokerError, OrderOutcomeUnknown
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import ApprovedOrder, IntentReason, OrderIntent, OrderType, Side
from trading_core.model.price import Ranking

SAMSUNG = Instrument("005930", Market.KR)
APPLE = Instrument("AAPL", Market.US_NASDAQ)
SESSION = date(2026, 11, 20)

KEYS = [
    "stck_prpr", "stck_oprc", "stck_hgpr", "stck_lwpr", "stck_sdpr", "prdy_vrss", "acml_vol",
    "prdy_vrss_sign", "stck_bsop_date", "stck_clpr", "stck_cntg_hour", "cntg_vol", "askp1",
    "askp_rsqn1", "bidp1", "bidp_rsqn1", "last", "open", "high", "low", "base", "tvol", "xymd",
    "xhms", "clos", "pask1", "vask1", "pdno", "hldg_qty", "ord_psbl_qty", "pchs_avg_pric", "prpr",
    "prvs_rcdl_excc_amt", "nrcvb_buy_amt", "odno", "orgn_odno", "ord_qty", "tot_ccld_qty",
    "tot_ccld_amt", "avg_prvs", "rmn_qty", "sll_buy_dvsn_cd", "ord_tmd", "ord_dt", "ovrs_pdno",
    "ovrs_cblc_qty", "now_pric2", "crcy_cd", "frcr_dncl_amt1", "ustl_buy_amt", "ustl_sll_amt",
    "frcr_ord_psbl_amt1", "ft_ord_qty", "ft_ccld_qty", "ft_ccld_amt3", "nccs_qty", "symb", "rate",
    "stck_shrn_iscd", "prdy_ctrt", "bass_dt", "opnd_yn", "ODNO", "KRX_FWDG_ORD_ORGNO",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        ["", " ", "0", "1", "70000", "-1", "NaN", "1e9", "٣", "20261120", "103000", "01", "02", "Y"]
    ),
    st.text(max_size=8),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.lists(st.text(max_size=3), max_size=2),
)
ROWS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=14)
OUTPUTS = st.one_of(ROWS, st.lists(ROWS, max_size=3), VALUES)
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "rt_cd": st.one_of(st.sampled_from(["0", "0", "0", "1", "2", "7", ""]), VALUES),
        "msg_cd": st.one_of(st.sampled_from(["MCA00000", "KIOK0500", "APBK0952"]), VALUES),
        "msg1": VALUES,
        "output": OUTPUTS,
        "output1": OUTPUTS,
        "output2": OUTPUTS,
        "ctx_area_fk100": VALUES,
        "ctx_area_nk100": VALUES,
    },
)
BODIES = st.one_of(
    ENVELOPES.map(lambda envelope: json.dumps(envelope).encode()),
    st.binary(max_size=60),
    st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3)).map(
        lambda value: json.dumps(value).encode()
    ),
)
STATUS = st.sampled_from([200, 200, 200, 400, 403, 404, 500, 502])
MARKS = st.sampled_from(["", "D", "E", "F", "M", "N", "?"])

ENDLESS = b"[" * 100_000
HUGE = b'{"rt_cd":"0","output":{"stck_prpr":' + b"9" * 5000 + b"}}"


def reads(kis):
    data, broker = kis.market_data, kis.broker
    return (
        data.quote(SAMSUNG),
        data.quote(APPLE),
        data.order_book(SAMSUNG),
        data.order_book(APPLE),
        data.daily_bars(SAMSUNG, until=SESSION, count=5),
        data.daily_bars(APPLE, until=SESSION, count=5),
        data.minute_bars(SAMSUNG, until=NOW, count=5),
        data.minute_bars(APPLE, until=NOW, count=5),
        data.ranking(MarketGroup.KR, Ranking.VOLUME),
        data.ranking(MarketGroup.US, Ranking.FLUCTUATION),
        data.is_trading_day(MarketGroup.KR, SESSION),
        broker.account(MarketGroup.KR),
        broker.account(MarketGroup.US),
        broker.orders(MarketGroup.KR, SESSION),
        broker.orders(MarketGroup.US, SESSION),
    )


def check(result):
    """Nothing negative, infinite or of a wrong type may come out of any answer."""
    if isinstance(result, bool):
        return
    if isinstance(result, list):
        for item in result:
            check(item)
        return
    for name in getattr(type(result), "__slots__", ()):
        value = getattr(result, name)
        if isinstance(value, Decimal):
            assert value.is_finite()
            assert value >= 0 or name in ("cash", "orderable"), (name, value)
        if isinstance(value, int):
            assert value >= 0, (name, value)
        if isinstance(value, tuple):
            check(list(value))
    if hasattr(result, "order_no"):
        assert result.order_no.isdigit()
        assert result.order_no.isascii()
        assert result.filled_quantity + result.remaining_quantity <= result.quantity


@given(BODIES, STATUS, MARKS)
@example(ENDLESS, 200, "")
@example(HUGE, 200, "")
@example(b'{"rt_cd":"0","output":{"stck_prpr":NaN}}', 200, "")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_reply_to_a_read_crashes_or_becomes_garbage(body, status, mark):
    async def run():
        host = StandIn().on("", httpx.Response(status, content=body, headers={"tr_cont": mark}))
        with tempfile.TemporaryDirectory() as home:
            async with connect(host, Path(home)) as kis:
                for read in reads(kis):
                    try:
                        check(await read)
                    except BrokerError as error:
                        assert str(error)

    asyncio.run(run())


@given(BODIES, STATUS)
@example(ENDLESS, 200)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_reply_to_an_order_is_taken_for_more_than_it_says(body, status):
    intent = OrderIntent(
        "i", "d", SAMSUNG, SESSION, Side.BUY, 1, OrderType.LIMIT, Decimal(70000), Decimal(70000),
        Currency.KRW, IntentReason.ENTRY, NOW,
    )  # fmt: skip

    async def run():
        host = StandIn().on("/order-cash", httpx.Response(status, content=body))
        with tempfile.TemporaryDirectory() as home:
            async with connect(host, Path(home)) as kis:
                try:
                    ack = await kis.broker.submit(ApprovedOrder(intent, NOW))
                except BrokerError as error:
                    accepted = b'"rt_cd": "0"' in body
                    assert isinstance(error, OrderOutcomeUnknown) or not accepted
                else:
                    assert b'"rt_cd": "0"' in body
                    assert ack.order_no.isdigit()
                    assert ack.order_no.strip("0")
        assert len(host.sent("/order-cash")) == 1

    asyncio.run(run())


@given(BODIES, STATUS)
@settings(max_examples=100, deadline=None)
def test_no_reply_to_a_token_request_crashes(body, status):
    async def run():
        host = StandIn().on("/oauth2/tokenP", httpx.Response(status, content=body))
        with tempfile.TemporaryDirectory() as home:
            async with connect(host, Path(home)) as kis:
                with pytest.raises(BrokerError):
                    await kis.market_data.quote(SAMSUNG)
        assert not host.sent("/inquire-price")

    asyncio.run(run())
