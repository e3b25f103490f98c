"""Retries of reads, the single sending of orders, and what is certain afterwards."""

import asyncio
import json
from datetime import date, timedelta

import httpx
import pytest

from tests.kis_stand_in import (
    ACCEPTED,
    NOW,
    StandIn,
    buy,
    connect,
    ok,
    refused,
    token_refused,
)
from trading_core.clock import FixedClock
from trading_core.errors import (
    BrokerUnavailable,
    ConfigError,
    NotOffered,
    OrderOutcomeUnknown,
    OrderRejected,
    RateLimited,
    TokenExpired,
)
from trading_core.model.market import Instrument, Market, MarketGroup

SAMSUNG = Instrument("005930", Market.KR)
PRICE = "/inquire-price"
ORDER = "/order-cash"
GOOD_PRICE = ok(output={"stck_prpr": "70000"})


@pytest.fixture
def host():
    return StandIn().on(PRICE, GOOD_PRICE).on(ORDER, ACCEPTED)


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("down"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.Response(502, text="<html>bad gateway</html>"),
        refused("EGW00201", "초당 거래건수를 초과하였습니다."),
        refused("EGW00201", "초당 거래건수를 초과하였습니다.", status=200),
        refused("EGW00215"),
        refused("OPSQ0008", rt_cd="2"),
    ],
)
async def test_a_read_is_asked_again_after_a_passing_failure(host, tmp_path, failure):
    host.on(PRICE, failure, failure, failure, GOOD_PRICE)
    async with connect(host, tmp_path) as kis:
        assert (await kis.market_data.quote(SAMSUNG)).last == 70000
    assert len(host.sent(PRICE)) == 4


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.ConnectError("down"), BrokerUnavailable),
        (httpx.Response(500, text="no"), BrokerUnavailable),
        (refused("EGW00201"), RateLimited),
    ],
)
async def test_a_read_gives_up_after_three_retries(host, tmp_path, failure, error):
    host.on(PRICE, failure)
    async with connect(host, tmp_path) as kis:
        with pytest.raises(error):
            await kis.market_data.quote(SAMSUNG)
    assert len(host.sent(PRICE)) == 4


async def test_the_waits_between_reads_double(host, tmp_path, monkeypatch):
    waits = []

    async def nap(seconds):
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", nap)
    host.on(PRICE, httpx.ReadTimeout("slow"))
    async with connect(host, tmp_path, retry_base_seconds=1.0) as kis:
        with pytest.raises(BrokerUnavailable):
            await kis.market_data.quote(SAMSUNG)
    assert waits == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (refused("OPSQ2001", rt_cd="2", status=200), BrokerUnavailable),
        (refused("EGW02006"), NotOffered),
        (httpx.Response(200, text="not json"), BrokerUnavailable),
        (httpx.Response(404, text="no"), BrokerUnavailable),
        (httpx.Response(200, json={"output": {"stck_prpr": "70000"}}), BrokerUnavailable),
        (httpx.Response(200, json={"rt_cd": 0, "output": {"stck_prpr": "1"}}), BrokerUnavailable),
    ],
)
async def test_a_read_that_failed_for_good_is_not_repeated(host, tmp_path, failure, error):
    host.on(PRICE, failure)
    async with connect(host, tmp_path) as kis:
        with pytest.raises(error):
            await kis.market_data.quote(SAMSUNG)
    assert len(host.sent(PRICE)) == 1


async def test_rt_cd_decides_and_not_the_http_status(host, tmp_path):
    host.on(PRICE, ok(status=500, output={"stck_prpr": "70000"}))
    async with connect(host, tmp_path) as kis:
        assert (await kis.market_data.quote(SAMSUNG)).last == 70000
        host.on(PRICE, refused("OPSQ2001", rt_cd="7", status=200))
        with pytest.raises(BrokerUnavailable):
            await kis.market_data.quote(SAMSUNG)


@pytest.mark.parametrize("code", ["EGW00121", "EGW00123"])
async def test_a_dead_token_is_renewed_once_and_the_read_repeated(host, tmp_path, code):
    host.on(PRICE, refused(code), GOOD_PRICE)
    async with connect(host, tmp_path) as kis:
        assert (await kis.market_data.quote(SAMSUNG)).last == 70000
    assert host.tokens_issued == 2
    bearers = [request.headers["authorization"] for request in host.sent(PRICE)]
    assert bearers[0] != bearers[1]


async def test_a_token_that_stays_dead_is_renewed_no_second_time(host, tmp_path):
    host.on(PRICE, refused("EGW00123"))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(TokenExpired):
            await kis.market_data.quote(SAMSUNG)
    assert (host.tokens_issued, len(host.sent(PRICE))) == (2, 2)


async def test_every_request_carries_keys_token_and_tr_id(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        await kis.market_data.quote(SAMSUNG)
    headers = host.sent(PRICE)[0].headers
    assert headers["tr_id"] == "FHKST01010100"
    assert headers["authorization"].startswith("Bearer ")
    assert headers["custtype"] == "P"


async def test_an_order_is_sent_once_and_its_number_comes_back(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        ack = await kis.broker.submit(buy())
    assert (ack.order_no, ack.branch_no, ack.accepted_at) == ("0000117057", "06010", NOW)
    assert len(host.sent(ORDER)) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.ConnectError("refused"), BrokerUnavailable),
        (httpx.ConnectTimeout("slow"), BrokerUnavailable),
        (httpx.PoolTimeout("busy"), BrokerUnavailable),
        (httpx.ReadTimeout("slow"), OrderOutcomeUnknown),
        (httpx.WriteTimeout("slow"), OrderOutcomeUnknown),
        (httpx.RemoteProtocolError("cut"), OrderOutcomeUnknown),
        (httpx.ReadError("cut"), OrderOutcomeUnknown),
        (httpx.WriteError("cut"), OrderOutcomeUnknown),
        (httpx.DecodingError("bad gzip"), OrderOutcomeUnknown),
        (RuntimeError("no one knows"), OrderOutcomeUnknown),
        (httpx.Response(500, text=""), OrderOutcomeUnknown),
        (httpx.Response(504, text="<html>"), OrderOutcomeUnknown),
        (httpx.Response(200, text="garbage"), OrderOutcomeUnknown),
        (httpx.Response(200, json=[]), OrderOutcomeUnknown),
        (httpx.Response(403, text="denied"), OrderOutcomeUnknown),
        (refused("EGW00301"), OrderOutcomeUnknown),
        (refused("EGW00302"), OrderOutcomeUnknown),
        (refused("EGW00302", status=504), OrderOutcomeUnknown),
        (refused("OPSQ0008"), OrderOutcomeUnknown),
        (refused(""), OrderOutcomeUnknown),
        (ok(output={"KRX_FWDG_ORD_ORGNO": "06010", "ORD_TMD": "1"}), OrderOutcomeUnknown),
        (ok(output={"ODNO": ""}), OrderOutcomeUnknown),
        (ok(output={"ODNO": "0000000000"}), OrderOutcomeUnknown),
        (ok(output={"ODNO": "12a"}), OrderOutcomeUnknown),
        (ok(output={"ODNO": 117057}), OrderOutcomeUnknown),
        (ok(output=[]), OrderOutcomeUnknown),
        (ok(), OrderOutcomeUnknown),
        (refused("APBK0952", "주문가능금액을 초과 했습니다", status=200, rt_cd="7"), OrderRejected),
        (refused("APBK0506", status=500, rt_cd="1"), OrderRejected),
        (refused("40580000", "모의투자 장종료 입니다.", status=200), OrderRejected),
        (refused("EGW00201"), RateLimited),
        (refused("EGW00215"), RateLimited),
        (refused("EGW00123"), TokenExpired),
        (refused("EGW00121", status=401), TokenExpired),
        (refused("EGW02006"), NotOffered),
    ],
)
async def test_the_outcome_of_an_order_is_told_and_nothing_is_sent_twice(
    host, tmp_path, reply, error
):
    host.on(ORDER, reply)
    async with connect(host, tmp_path) as kis:
        with pytest.raises(error) as caught:
            await kis.broker.submit(buy())
    assert type(caught.value) is error
    assert len(host.sent(ORDER)) == 1


async def test_a_refusal_with_an_order_number_is_not_believed(host, tmp_path):
    body = {"rt_cd": "1", "msg_cd": "APBK0952", "msg1": "", "output": {"ODNO": "0000000001"}}
    host.on(ORDER, httpx.Response(200, json=body))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(OrderOutcomeUnknown):
            await kis.broker.submit(buy())


async def test_a_refusal_tells_the_broker_s_words_and_what_they_mean(host, tmp_path):
    host.on(ORDER, refused("APBK0952", "주문가능금액을 초과 했습니다", status=200, rt_cd="7"))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(OrderRejected) as caught:
            await kis.broker.submit(buy())
    assert caught.value.code == "APBK0952"
    expected = "주문가능금액을 초과 했습니다 (not enough orderable cash) [APBK0952]"
    assert str(caught.value) == expected


async def test_an_order_drops_a_dead_token_but_is_not_sent_again(host, tmp_path):
    clock = FixedClock(NOW)
    host.on(ORDER, ACCEPTED, refused("EGW00123"), ACCEPTED)
    async with connect(host, tmp_path, clock=clock) as kis:
        await kis.broker.submit(buy())
        clock.advance(timedelta(minutes=2))  # from here on a new token could be had at once
        with pytest.raises(TokenExpired):
            await kis.broker.submit(buy())
        assert (host.tokens_issued, len(host.sent(ORDER))) == (1, 2)
        await kis.broker.submit(buy())
    assert (host.tokens_issued, len(host.sent(ORDER))) == (2, 3)


async def test_an_order_does_not_wait_for_the_minute_between_two_tokens(host, tmp_path):
    host.on(ORDER, refused("EGW00123"), ACCEPTED)
    async with connect(host, tmp_path) as kis:
        for _ in range(2):
            with pytest.raises(TokenExpired):
                await kis.broker.submit(buy())
    assert len(host.sent(ORDER)) == 1


async def test_without_a_token_no_order_leaves(host, tmp_path):
    host.on("/oauth2/tokenP", token_refused("EGW00105", "유효하지 않은 AppSecret입니다."))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable, match="bad app secret"):
            await kis.broker.submit(buy())
    assert not host.sent(ORDER)


async def test_the_hash_key_is_asked_for_the_very_bytes_of_the_order(host, tmp_path):
    host.on("/hashkey", httpx.Response(200, json={"BODY": {}, "HASH": "a1" * 32}))
    async with connect(host, tmp_path, hashkey=True) as kis:
        await kis.broker.submit(buy())
    [signed], [sent] = host.sent("/hashkey"), host.sent(ORDER)
    assert signed.content == sent.content
    assert sent.headers["hashkey"] == "a1" * 32


@pytest.mark.parametrize("reply", [httpx.ReadTimeout("x"), httpx.Response(200, json={"HASH": 1})])
async def test_without_the_hash_key_nothing_is_sent(host, tmp_path, reply):
    host.on("/hashkey", reply)
    async with connect(host, tmp_path, hashkey=True) as kis:
        with pytest.raises(BrokerUnavailable, match="not sent"):
            await kis.broker.submit(buy())
    assert not host.sent(ORDER)


async def test_a_cancelled_task_leaves_the_order_sent_once(host, tmp_path):
    started = asyncio.Event()

    class Hanging(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.url.path.endswith(ORDER):
                host.requests.append(request)
                started.set()
                await asyncio.Event().wait()
            return host(request)

    async with connect(host, tmp_path, transport=Hanging()) as kis:
        task = asyncio.create_task(kis.broker.submit(buy()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(host.sent(ORDER)) == 1


async def test_one_client_serves_every_request(host, tmp_path, monkeypatch):
    made = []
    original = httpx.AsyncClient.__init__

    def counting(self, *args, **kwargs):
        made.append(self)
        original(self, *args, **kwargs)

    monkeypatch.setattr(httpx.AsyncClient, "__init__", counting)
    async with connect(host, tmp_path) as kis:
        for _ in range(5):
            await kis.market_data.quote(SAMSUNG)
        await kis.broker.submit(buy())
    assert len(made) == 1


async def test_the_pages_of_a_listing_stop_at_a_cap(host, tmp_path):
    numbers = iter(range(10_000))

    def endless(request):
        n = next(numbers)
        return ok("M", output1=[], ctx_area_fk100="f", ctx_area_nk100=f"{n}".ljust(100))

    host.on("/inquire-daily-ccld", endless)
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable, match="do not end"):
            await kis.broker.orders(MarketGroup.KR, date(2026, 11, 20))
    assert len(host.sent("/inquire-daily-ccld")) == 100


async def test_a_cursor_that_stands_still_ends_the_listing_with_an_error(host, tmp_path):
    host.on("/inquire-daily-ccld", ok("M", output1=[], ctx_area_fk100="f", ctx_area_nk100="n"))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable, match="do not end"):
            await kis.broker.orders(MarketGroup.KR, date(2026, 11, 20))
    assert len(host.sent("/inquire-daily-ccld")) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"account_no": "1234567801"}, "12345678-01"),
        ({"app_key": ""}, "app key"),
        ({"app_secret": "two words"}, "app key"),
        ({"base_url": "http://openapi.koreainvestment.com:9443"}, "TLS"),
        ({"base_url": "ftp://127.0.0.1"}, "https"),
        ({"base_url": "https://openapivts.koreainvestment.com:29443"}, "real host"),
        ({"verify_tls": False}, "TLS checks"),
        (
            {"verify_tls": False, "base_url": "https://openapi.koreainvestment.com:9443"},
            "TLS checks",
        ),
    ],
)
def test_unsafe_or_contradictory_settings_do_not_open(host, tmp_path, changes, words):
    with pytest.raises(ConfigError, match=words) as caught:
        connect(host, tmp_path, **changes)
    assert "1234567801" not in str(caught.value)


async def test_the_paper_host_alone_may_go_without_tls_checks_and_says_so(host, tmp_path, caplog):
    url = "https://openapivts.koreainvestment.com:29443"
    async with connect(host, tmp_path, base_url=url, personality="paper", verify_tls=False):
        assert "not checked" in caplog.text


async def test_an_order_body_holds_strings_under_upper_case_keys(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        await kis.broker.submit(buy())
    body = json.loads(host.sent(ORDER)[0].content)
    assert all(key.isupper() and isinstance(value, str) for key, value in body.items())
