"""Approval keys, revoking, and the refusals of the key desk."""

import asyncio
import json
from datetime import timedelta

import httpx
import pytest

from tests.kis_stand_in import (
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
from trading_core.clock import FixedClock
from trading_core.errors import BrokerError, BrokerUnavailable, RateLimited
from trading_core.model.market import Instrument, Market

APPROVAL, REVOKE = "/oauth2/Approval", "/oauth2/revokeP"
SAMSUNG = Instrument("005930", Market.KR)


class Approver:
    def __init__(self):
        self.count = 0

    def __call__(self, request):
        self.count += 1
        return httpx.Response(200, json={"approval_key": f"a1b2c3d4-{self.count}"})


@pytest.fixture
def host():
    revoked = httpx.Response(200, json={"code": 200, "message": "접근토큰 폐기에 성공하였습니다"})
    price = ok(output={"stck_prpr": "70000"})
    return StandIn().on(APPROVAL, Approver()).on(REVOKE, revoked).on("/inquire-price", price)


async def test_an_approval_key_is_asked_for_under_the_other_name_of_the_secret(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        assert await kis.transport.approval_key() == "a1b2c3d4-1"
    assert host.body(APPROVAL) == {
        "grant_type": "client_credentials", "appkey": APP_KEY, "secretkey": APP_SECRET,
    }  # fmt: skip


async def test_an_approval_key_serves_for_nearly_a_day_and_is_kept_in_memory_alone(host, tmp_path):
    clock = FixedClock(NOW)
    async with connect(host, tmp_path, clock=clock) as kis:
        keys = await asyncio.gather(*(kis.transport.approval_key() for _ in range(5)))
        clock.advance(timedelta(hours=23, minutes=49))
        keys.append(await kis.transport.approval_key())
        assert set(keys) == {"a1b2c3d4-1"}
        clock.advance(timedelta(minutes=1))
        assert await kis.transport.approval_key() == "a1b2c3d4-2"
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and b"a1b2" in path.read_bytes()
    ]


async def test_an_approval_key_that_was_refused_is_replaced_once(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        first = await kis.transport.approval_key()
        kis.transport.drop_approval_key(first)
        second = await kis.transport.approval_key()
        kis.transport.drop_approval_key(first)
        assert await kis.transport.approval_key() == second != first
    assert len(host.sent(APPROVAL)) == 2


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.ConnectError("down"), BrokerUnavailable),
        (httpx.Response(200, json={}), BrokerUnavailable),
        (httpx.Response(200, json={"approval_key": "two words"}), BrokerUnavailable),
        (httpx.Response(200, json={"approval_key": 7}), BrokerUnavailable),
        (httpx.Response(200, json={"approval_key": ""}), BrokerUnavailable),
        (httpx.Response(500, text="<html>"), BrokerUnavailable),
        (token_refused("EGW00105", "유효하지 않은 AppSecret입니다."), BrokerUnavailable),
        (refused("EGW00201", "초당 거래건수를 초과하였습니다."), RateLimited),
    ],
)
async def test_without_an_approval_key_there_is_an_error_of_the_tree(host, tmp_path, reply, error):
    host.on(APPROVAL, reply)
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerError, match="no approval key") as caught:
            await kis.transport.approval_key()
    assert isinstance(caught.value, error)


async def test_after_revoking_every_process_gets_a_new_token(host, tmp_path):
    def price(request):
        dead = host.sent(REVOKE) and request.headers["authorization"].endswith("token-1")
        return refused("EGW00121") if dead else ok(output={"stck_prpr": "70000"})

    host.on("/inquire-price", price)
    clock = FixedClock(NOW)
    async with connect(host, tmp_path, clock=clock) as kis, connect(host, tmp_path) as other:
        await kis.market_data.quote(SAMSUNG)
        await other.revoke_token()
        [path] = (tmp_path / "kis").glob("token-*.json")
        assert json.loads(path.read_text())["token"] == ""
        clock.advance(timedelta(minutes=2))
        assert (await kis.market_data.quote(SAMSUNG)).last == 70000
    assert host.body(REVOKE)["token"] == f"{TOKEN}1"
    assert host.tokens_issued == 2


async def test_without_a_token_there_is_nothing_to_revoke(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        await kis.revoke_token()
    assert not host.requests


async def test_a_token_that_was_not_revoked_stays(host, tmp_path):
    host.on(REVOKE, token_refused("EGW00121", "유효하지 않은 token 입니다."))
    async with connect(host, tmp_path) as kis:
        await kis.market_data.quote(SAMSUNG)
        with pytest.raises(BrokerUnavailable, match=r"not revoked.*EGW00121"):
            await kis.revoke_token()
        assert kis.transport.tokens.current() == f"{TOKEN}1"


async def test_nothing_revokes_a_token_by_itself(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        await kis.market_data.quote(SAMSUNG)
    assert not host.sent(REVOKE)


async def test_the_stated_end_of_a_token_is_seoul_s_wall_clock(host, tmp_path):
    reply = {
        "access_token": f"{TOKEN}1", "expires_in": 86_400,
        "access_token_token_expired": "2026-11-20 12:30:00",
    }  # fmt: skip
    host.on("/oauth2/tokenP", httpx.Response(200, json=reply))
    async with connect(host, tmp_path) as kis:
        await kis.market_data.quote(SAMSUNG)
    [path] = (tmp_path / "kis").glob("token-*.json")
    assert json.loads(path.read_text())["expires_at"] == "2026-11-20T03:30:00+00:00"


@pytest.mark.parametrize("stated", ["", "soon", "2026-13-45 00:00:00", 7, None])
async def test_a_garbled_end_of_a_token_is_not_believed(host, tmp_path, stated):
    reply = {"access_token": f"{TOKEN}1", "expires_in": 60, "access_token_token_expired": stated}
    host.on("/oauth2/tokenP", httpx.Response(200, json=reply))
    async with connect(host, tmp_path) as kis:
        await kis.market_data.quote(SAMSUNG)
    [path] = (tmp_path / "kis").glob("token-*.json")
    assert json.loads(path.read_text())["expires_at"] == (NOW + timedelta(seconds=60)).isoformat()
