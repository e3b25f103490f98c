"""Keys, tokens and account numbers in no error, log line or repr."""

import asyncio
import json
import logging
import traceback
from datetime import date
from decimal import Decimal

import httpx
import pytest

from tests.kis_stand_in import (
    ACCOUNT,
    APP_KEY,
    APP_SECRET,
    NOW,
    TOKEN,
    StandIn,
    connect,
    ok,
    refused,
    token_refused,
)
from trading_core.adapters.kis.auth import Credentials
from trading_core.adapters.kis.redaction import Redactor
from trading_core.adapters.kis.tokens import IssuedToken
from trading_core.errors import ConfigError, TradingError
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import ApprovedOrder, IntentReason, OrderIntent, OrderType, Side

SECRETS = (APP_KEY, APP_SECRET, TOKEN, ACCOUNT, ACCOUNT[:8], ACCOUNT.replace("-", ""))
ECHO = f"bad {APP_KEY} {APP_SECRET} {TOKEN}1 {ACCOUNT} {ACCOUNT[:8]}01"
SAMSUNG = Instrument("005930", Market.KR)
ORDER = ApprovedOrder(
    OrderIntent(
        "i", "d", SAMSUNG, date(2026, 11, 20), Side.BUY, 1, OrderType.LIMIT, Decimal(70000),
        Decimal(70000), Currency.KRW, IntentReason.ENTRY, NOW,
    ),
    NOW,
)  # fmt: skip

FAILURES = [
    httpx.ConnectError(ECHO),
    httpx.ReadTimeout(ECHO),
    httpx.RemoteProtocolError(ECHO),
    RuntimeError(ECHO),
    httpx.Response(500, text=ECHO),
    httpx.Response(200, text=ECHO),
    httpx.Response(200, json={"rt_cd": "1", "msg_cd": ECHO, "msg1": ECHO}),
    refused("EGW00121", ECHO),
    refused("EGW00201", ECHO),
    refused("EGW02006", ECHO),
    refused("EGW00302", ECHO),
    refused("APBK0952", ECHO, rt_cd="7", status=200),
    ok(output={"stck_prpr": ECHO, "ODNO": ECHO}),
    ok(output=ECHO, output1=ECHO, output2=ECHO),
    ok(ECHO.replace("\n", " "), output1=[], output2=[{"prvs_rcdl_excc_amt": ECHO}]),
    ok(output1=[{"pdno": ECHO, "hldg_qty": "1", "odno": ECHO}]),
]


def shown(error):
    """Everything a log or a screen may show of an error."""
    return "\n".join([str(error), repr(error), *traceback.format_exception(error)])


async def force(kis):
    """Call everything that can fail, and give back what was raised."""
    calls = (
        lambda: kis.market_data.quote(SAMSUNG),
        lambda: kis.market_data.quotes([SAMSUNG]),
        lambda: kis.market_data.order_book(SAMSUNG),
        lambda: kis.broker.account(MarketGroup.KR),
        lambda: kis.broker.orders(MarketGroup.KR, date(2026, 11, 20)),
        lambda: kis.broker.account(MarketGroup.US),
        lambda: kis.broker.submit(ORDER),
    )
    raised = []
    for call in calls:
        try:
            await call()
        except (TradingError, RuntimeError) as error:
            raised.append(error)
    return raised


def everywhere(host, reply):
    for path in (
        "/inquire-price", "/inquire-asking-price-exp-ccn", "/inquire-balance", "/foreign-margin",
        "/inquire-psbl-order", "/inquire-daily-ccld", "/order-cash",
    ):  # fmt: skip
        host.on(path, reply)


@pytest.mark.parametrize("failure", FAILURES)
async def test_no_failure_shows_a_secret(tmp_path, caplog, failure):
    caplog.set_level(logging.DEBUG)
    host = StandIn()
    everywhere(host, failure)
    async with connect(host, tmp_path) as kis:
        raised = await force(kis)
    assert raised
    ours = [error for error in raised if isinstance(error, TradingError)]
    assert ours
    texts = [caplog.text, *(shown(error) for error in ours)]
    assert not [secret for secret in SECRETS for text in texts if secret in text]


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError(ECHO),
        httpx.Response(403, text=ECHO),
        token_refused("EGW00103", ECHO),
        token_refused(ECHO, ECHO),
        httpx.Response(200, json={"access_token": "a b", "expires_in": 1}),
    ],
)
async def test_no_failure_to_get_a_token_shows_a_secret(tmp_path, caplog, failure):
    caplog.set_level(logging.DEBUG)
    host = StandIn().on("/oauth2/tokenP", failure)
    async with connect(host, tmp_path) as kis:
        raised = await force(kis)
    texts = [caplog.text, *(shown(error) for error in raised)]
    assert len(raised) == 7
    assert not [secret for secret in SECRETS for text in texts if secret in text]


async def test_the_http_client_s_own_log_lines_are_masked(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    host = StandIn().on("/inquire-daily-ccld", ok("D", output1=[]))
    async with connect(host, tmp_path) as kis:
        await kis.broker.orders(MarketGroup.KR, date(2026, 11, 20))
        # Queries pass the client by; what it would say of an address must be masked all the same.
        logging.getLogger("httpx").info("GET %s", f"https://host/x?CANO={ACCOUNT[:8]}&A=1")
    assert "CANO=***" in caplog.text
    assert ACCOUNT[:8] not in caplog.text


async def test_the_real_http_client_logs_no_secret_either(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = [line for line in head.lower().split(b"\r\n") if b"content-length" in line]
        await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
        body = {"rt_cd": "0", "access_token": f"{TOKEN}1", "expires_in": 86_400, "output1": []}
        data = json.dumps(body).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ntr_cont: D\r\nconnection: close\r\n"
            + f"content-length: {len(data)}\r\n\r\n".encode()
            + data
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with server, connect(StandIn(), tmp_path, base_url=url, transport=None) as kis:
        assert await kis.broker.orders(MarketGroup.KR, date(2026, 11, 20)) == []
    assert "httpcore" in caplog.text
    assert not [secret for secret in SECRETS if secret in caplog.text]


async def test_reprs_show_nothing(tmp_path):
    host = StandIn().on("/inquire-price", ok(output={}))
    async with connect(host, tmp_path) as kis:
        await kis.market_data.quote(SAMSUNG)
        credentials = Credentials(APP_KEY, APP_SECRET, ACCOUNT[:8], "01")
        token = IssuedToken(TOKEN, NOW - NOW)
        redactor = Redactor()
        redactor.add(*SECRETS)
        texts = [repr(x) for x in (kis, kis.broker, kis.market_data, credentials, token, redactor)]
    assert not [secret for secret in SECRETS for text in texts if secret in text]


def test_a_wrong_account_number_is_not_repeated(tmp_path):
    with pytest.raises(ConfigError) as caught:
        connect(StandIn(), tmp_path, account_no="87654321")
    assert "87654321" not in repr(caught.value)


async def test_a_closed_connection_takes_its_log_filter_along(tmp_path):
    log = logging.getLogger("httpx")
    before = list(log.filters)
    async with connect(StandIn(), tmp_path):
        assert len(log.filters) == len(before) + 1
    assert log.filters == before
