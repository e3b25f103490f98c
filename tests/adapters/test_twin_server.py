"""The twin's door: tokens, headers, codes of the gateway, its clock and its side door."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.twin_client import ACCOUNT, APP_KEY, APP_SECRET, DOMESTIC, OVERSEAS_PRICE, twin_of
from tests.venue_double import KR_NOW, america, korea
from trading_core.errors import ConfigError
from trading_core.twin.server import is_loopback, serve
from trading_core.twin.wire.desk import Personality

PRICE = f"{DOMESTIC}/quotations/inquire-price"
SAMSUNG = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": "005930"}


async def test_standard_headers_are_title_case_and_the_brokers_own_are_lower_case() -> None:
    async with twin_of(korea()) as client:
        request = f"GET {PRICE}?FID_COND_MRKT_DIV_CODE=J&FID_INPUT_ISCD=005930 HTTP/1.1\r\n"
        lines = {"Host": "x", "Connection": "close"} | client.headers("FHKST01010100")
        request += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        reader, writer = await asyncio.open_connection("127.0.0.1", client.twin.port)
        writer.write(f"{request}\r\n".encode())
        raw = (await reader.read()).decode()
        writer.close()
    head = raw.split("\r\n\r\n")[0].split("\r\n")
    names = [line.split(":")[0] for line in head[1:]]
    assert head[0].startswith("HTTP/1.1 200")
    lower = {name for name in names if name.islower()}
    assert lower == {"tr_id", "tr_cont", "gt_uid"}
    assert {"Content-Type", "Content-Length", "Date"} <= set(names)
    assert "Content-Type: application/json;charset=UTF-8" in head
    assert "tr_id: FHKST01010100" in head


async def test_a_token_is_the_same_within_six_hours_and_tells_its_end_in_seoul_time() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        first = (await client.log_in()).body
        assert first["expires_in"] == 86400
        assert first["token_type"] == "Bearer"
        assert first["access_token_token_expired"] == "2026-11-21 10:30:00"
        assert len(first["access_token"]) <= 350
        assert first["access_token"].count(".") == 2
        venue.advance_to(KR_NOW + timedelta(hours=5, minutes=59))
        again = (await client.log_in()).body
        assert again["access_token"] == first["access_token"]
        assert again["access_token_token_expired"] == first["access_token_token_expired"]
        venue.advance_to(KR_NOW + timedelta(hours=6))
        assert (await client.log_in()).body["access_token"] != first["access_token"]


async def test_a_token_dies_after_a_day_of_the_venues_clock() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        venue.advance_to(KR_NOW + timedelta(hours=23, minutes=59))
        assert (await client.get(PRICE, "FHKST01010100", **SAMSUNG)).code == "MCA00000"
        venue.advance_to(KR_NOW + timedelta(hours=24))
        dead = await client.get(PRICE, "FHKST01010100", **SAMSUNG)
        assert (dead.status, dead.code) == (500, "EGW00123")


async def test_a_second_token_request_within_the_cooldown_is_forbidden() -> None:
    async with twin_of(korea(), token_cooldown_seconds=60) as client:
        refused = await client.log_in()
    assert refused.status == 403
    assert refused.body["error_code"] == "EGW00133"
    assert "rt_cd" not in refused.body


async def test_a_token_must_be_there_be_bearer_be_known_and_not_be_revoked() -> None:
    async with twin_of(korea()) as client:

        async def code(authorization: str | None) -> tuple[int, str]:
            headers = client.headers("FHKST01010100")
            headers.pop("authorization")
            if authorization is not None:
                headers["authorization"] = authorization
            answer = await client.send("GET", PRICE, headers=headers, params=SAMSUNG)
            return answer.status, answer.code

        assert await code(None) == (500, "EGW00122")
        assert await code("Basic abc") == (500, "EGW00205")
        assert await code("Bearer nonsense") == (500, "EGW00121")
        assert await code(f"Bearer {client.token}") == (200, "MCA00000")
        body = {"appkey": APP_KEY, "appsecret": APP_SECRET, "token": client.token}
        revoked = await client.send("POST", "/oauth2/revokeP", data=body)
        assert revoked.body["code"] == 200
        assert await code(f"Bearer {client.token}") == (500, "EGW00121")


async def test_approval_wants_the_secretkey_and_the_hash_key_echoes_the_body() -> None:
    async with twin_of(korea(), log_in=False) as client:
        body = {"grant_type": "client_credentials", "appkey": APP_KEY, "secretkey": APP_SECRET}
        granted = await client.send("POST", "/oauth2/Approval", data=body)
        assert len(granted.body["approval_key"]) == 36
        wrong = {"grant_type": "client_credentials", "appkey": APP_KEY, "appsecret": APP_SECRET}
        assert (await client.send("POST", "/oauth2/Approval", data=wrong)).code == "EGW00105"
        order = {"CANO": "12345678", "ORD_QTY": "1"}
        hashed = (await client.send("POST", "/uapi/hashkey", data=order)).body
        assert hashed["BODY"] == order
        assert len(hashed["HASH"]) == 64


async def test_a_tr_id_must_belong_to_the_path() -> None:
    async with twin_of(korea(), america()) as client:
        wrong = await client.get(
            f"{OVERSEAS_PRICE}/inquire-asking-price",
            "HHDFS76200200",
            AUTH="",
            EXCD="NAS",
            SYMB="AAPL",
        )
        assert wrong.code == "OPSQ0002"
        assert (await client.get(PRICE, "", **SAMSUNG)).code == "OPSQ0002"
        assert (await client.get("/uapi/nowhere", "FHKST01010100")).status == 404


@pytest.mark.parametrize(
    ("personality", "tr_id", "code"),
    [
        ("real", "TTTC8434R", "KIOK0560"),
        ("real", "VTTC8434R", "EGW02004"),
        ("paper", "VTTC8434R", "70070000"),
        ("paper", "TTTC8434R", "EGW02006"),
    ],
)
async def test_each_personality_takes_its_own_ids_only(
    personality: Personality, tr_id: str, code: str
) -> None:
    async with twin_of(korea(), personality=personality) as client:
        path = f"{DOMESTIC}/trading/inquire-balance"
        assert (await client.get(path, tr_id, **ACCOUNT)).code == code


async def test_rankings_are_not_offered_on_the_paper_host() -> None:
    async with twin_of(korea(), personality="paper") as client:
        refused = await client.get(f"{DOMESTIC}/ranking/fluctuation", "FHPST01700000")
        assert (refused.status, refused.code) == (500, "EGW02006")


async def test_too_many_calls_within_a_second_are_refused_per_app_key() -> None:
    async with twin_of(korea(), rate_limit_rps=3) as client:
        answers = [await client.get(PRICE, "FHKST01010100", **SAMSUNG) for _ in range(4)]
        assert [a.code for a in answers] == ["MCA00000"] * 3 + ["EGW00201"]
        assert answers[-1].status == 500


async def test_query_keys_in_any_case_double_slashes_and_unknown_keys_are_taken() -> None:
    async with twin_of(korea()) as client:
        params = {key.lower(): value for key, value in SAMSUNG.items()} | {"unknown": "1"}
        path = "//uapi/domestic-stock/v1//quotations/inquire-price"
        answer = await client.get(path, "FHKST01010100", **params)
    assert answer.body["output"]["stck_prpr"] == "71000"


async def test_a_missing_quote_field_is_named() -> None:
    async with twin_of(korea()) as client:
        answer = await client.get(PRICE, "FHKST01010100", FID_COND_MRKT_DIV_CODE="J")
    assert answer.status == 200
    assert answer.body["rt_cd"] == "2"
    assert answer.body["msg_cd"] == "OPSQ2001"
    assert answer.body["msg1"] == "ERROR INPUT FIELD NOT FOUND [FID_INPUT_ISCD]"


async def test_an_account_nobody_opened_is_refused() -> None:
    async with twin_of(korea()) as client:
        path = f"{DOMESTIC}/trading/inquire-balance"
        answer = await client.get(path, "TTTC8434R", CANO="99999999", ACNT_PRDT_CD="01")
    assert (answer.body["rt_cd"], answer.code) == ("2", "OPSQ2000")


async def test_the_stepped_clock_moves_only_forward_and_only_when_told() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        later = (KR_NOW + timedelta(minutes=5)).isoformat()
        moved = await client.send("POST", "/twin/clock", data={"advance_to": later})
        assert moved.body["now"] == later
        for bad in (KR_NOW.isoformat(), "yesterday", "2026-11-20T12:00:00", 5):
            refused = await client.send("POST", "/twin/clock", data={"advance_to": bad})
            assert refused.status == 400
            assert refused.body["error"]
        assert (await client.send("POST", "/twin/clock", data=b"{")).status == 400
        assert (await client.send("GET", "/twin/state")).body["now"] == later


async def test_the_running_clock_moves_by_itself_and_refuses_to_be_moved() -> None:
    venue = korea()
    async with twin_of(venue, clock="running", speed=3600) as client:
        async with asyncio.timeout(5):
            while venue.now < KR_NOW + timedelta(minutes=3):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        later = (KR_NOW + timedelta(days=1)).isoformat()
        refused = await client.send("POST", "/twin/clock", data={"advance_to": later})
        assert refused.status == 400
        assert (await client.send("GET", "/twin/state")).body["clock"] == "running"
    stopped_at = venue.now
    await asyncio.sleep(0.12)
    assert venue.now == stopped_at


async def test_the_book_tells_every_order_fill_and_account_exactly() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        await client.buy(price="70000", quantity="10")
        venue.fill(1, 4, "69900")
        book = (await client.send("GET", "/twin/book")).body
        instruments = (await client.send("GET", "/twin/instruments")).body["instruments"]
    (order,), (fill,), (account,) = book["orders"], book["fills"], book["accounts"]
    assert order["order_no"] == 1
    assert order["remaining_quantity"] == 6
    assert order["limit_price"] == "70000"
    assert fill["price"] == "69900"
    assert account["settled"] == account["orderable"] == "10000000"
    assert [item["symbol"] for item in instruments] == ["005930", "000660"]
    assert instruments[0]["market"] == "KR"


async def test_the_state_tells_what_the_twin_is_and_what_it_did() -> None:
    async with twin_of(korea(), personality="paper", layout="legacy") as client:
        await client.get(f"{DOMESTIC}/trading/inquire-balance", "VTTC8434R", **ACCOUNT)
        state = (await client.send("GET", "/twin/state")).body
        assert (state["mode"], state["layout"]) == ("paper", "legacy")
        assert (state["clock"], state["speed"]) == ("stepped", 1.0)
        assert state["sessions"] == [
            {
                "group": "KR",
                "session": "2026-11-20",
                "is_open": True,
                "open_at": "2026-11-20T00:00:00+00:00",
                "close_at": "2026-11-20T06:30:00+00:00",
            }
        ]
        assert state["accounts"] == [
            {"account_no": "12345678-01", "opened_with": {"KRW": "10000000"}}
        ]
        assert state["counters"] == {"requests": 2, "spoiled": 0, "orders": 0, "fills": 0}


async def test_a_twin_of_one_session_says_how_to_get_more() -> None:
    async with twin_of(korea()) as client:
        refused = await client.send("POST", "/twin/clock", data={"session": "next"})
    assert refused.status == 400
    assert "ouroboros twin serve" in refused.body["error"]


async def test_every_reply_has_a_number_of_its_own() -> None:
    async with twin_of(korea()) as client:
        answers = [await client.get(PRICE, "FHKST01010100", **SAMSUNG) for _ in range(3)]
    numbers = {answer.headers["gt_uid"] for answer in answers}
    assert len(numbers) == 3
    assert {len(number) for number in numbers} == {32}


async def test_only_loopback_is_listened_on_unless_allowed() -> None:
    with pytest.raises(ConfigError, match="loopback"):
        await serve(korea(), host="0.0.0.0")
    assert [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "10.0.0.1", "x.org")] == [
        True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
async def test_run_forever_tells_its_address_and_ends_cleanly_on_a_signal(
    signum: signal.Signals,
) -> None:
    script = (
        "from tests.venue_double import korea\n"
        "from trading_core.twin.server import run_forever\n"
        "run_forever(korea(), on_listening=lambda url: print(url, flush=True))\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    assert url.startswith("http://127.0.0.1:")
    process.send_signal(signum)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert (out, err) == (b"", b"")
