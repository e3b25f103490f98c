"""The stream's sessions: registrations and their codes, heartbeats, and who is cut."""

from __future__ import annotations

import asyncio
import json
import socket
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError, web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stream_client import (
    PATIENCE,
    StreamClient,
    approval_of,
    connected,
    market,
    stream_of,
)
from tests.twin_client import twin_of
from tests.venue_double import america, korea
from trading_core.errors import ConfigError
from trading_core.model.market import MarketGroup
from trading_core.twin.stream.hub import StreamHub
from trading_core.twin.stream.layouts import STREAMS
from trading_core.twin.stream.messages import TEXTS
from trading_core.twin.wire.auth import LIFETIME

SAMSUNG, APPLE = "005930", "DNASAAPL"


@pytest.mark.parametrize("path", ["/", "", "//", "/tryitout", "//tryitout/H0STCNT0", "/tryitout/"])
async def test_one_socket_serves_every_tr_on_any_of_the_paths(path: str) -> None:
    async with stream_of(korea(), america(), path=path) as stream:
        for tr_id, tr_key in (("H0STCNT0", SAMSUNG), ("HDFSCNT0", APPLE), ("H0STCNI0", "me")):
            answer = await stream.register(tr_id, tr_key)
            assert answer["header"]["tr_id"] == tr_id
            assert answer["header"]["tr_key"] == tr_key
            assert answer["body"]["rt_cd"] == "0"
            assert answer["body"]["msg1"] == "SUBSCRIBE SUCCESS"
            pair = answer["body"]["output"]
            assert (len(pair["key"]), len(pair["iv"])) == (32, 16)


async def test_any_other_path_has_no_stream() -> None:
    async with twin_of(korea()) as client:
        for path in ("/stream", "/tryitout/a/b", "/uapi"):
            with pytest.raises(WSServerHandshakeError):
                await client.session.ws_connect(client.twin.base_url + path)
        assert (await client.send("GET", "/tryitout")).status == 404


async def test_registering_and_releasing_twice_have_codes_of_their_own() -> None:
    async with stream_of(korea()) as stream:
        again = stream.request("H0STCNT0", SAMSUNG)
        assert [await stream.code(again) for _ in range(2)] == ["OPSP0000", "OPSP0002"]
        released = [await stream.release("H0STCNT0", SAMSUNG) for _ in range(2)]
        assert released == ["OPSP0001", "OPSP0003"]
        assert await stream.code(again) == "OPSP0000"


@pytest.mark.parametrize(
    ("tr_id", "tr_key", "code"),
    [
        ("H0STXXX0", SAMSUNG, "OPSP8991"),
        ("", SAMSUNG, "OPSP8991"),
        ("H0STCNI9", "me", "OPSP8991"),
        ("H0STCNT0", "999999", "OPSP8992"),
        ("H0STCNT0", APPLE, "OPSP8992"),
        ("HDFSCNT0", SAMSUNG, "OPSP8992"),
        ("HDFSCNT0", "DXXXAAPL", "OPSP8992"),
        ("HDFSCNT0", "DNYSAAPL", "OPSP8992"),
        ("HDFSCNT0", "DNAS", "OPSP8992"),
        ("HDFSASP1", APPLE, "OPSP8992"),
        ("H0STCNT0", "", "OPSP8993"),
        ("H0STCNI0", "a^b", "OPSP8993"),
    ],
)
async def test_a_wrong_tr_or_key_is_refused_without_a_cipher(
    tr_id: str, tr_key: str, code: str
) -> None:
    async with stream_of(korea(), america()) as stream:
        answer = await stream.ask(stream.request(tr_id, tr_key))
        assert answer["body"] == {"rt_cd": "1", "msg_cd": code, "msg1": TEXTS[code]}
        assert answer["header"] == {"tr_id": tr_id, "tr_key": tr_key, "encrypt": "N"}


async def test_the_paper_host_streams_four_trs_and_the_real_one_all_others() -> None:
    paper = {"H0STCNT0", "H0STASP0", "H0STCNI9", "H0GSCNI9"}
    for host in ("real", "paper"):
        async with stream_of(korea(), america(), personality=host) as stream:
            codes = {}
            for tr_id, listed in STREAMS.items():
                key = "me" if "CNI" in tr_id else SAMSUNG if listed.domestic else APPLE
                codes[tr_id] = await stream.code(stream.request(tr_id, key))
        served = {tr_id for tr_id, code in codes.items() if code != "OPSP8991"}
        common = {"H0STCNT0", "H0STASP0"}
        assert served == (paper if host == "paper" else set(STREAMS) - paper | common)


def broken(stream: StreamClient) -> dict[str, Any]:
    """Malformed messages by the code that answers them."""
    good = stream.request("H0STCNT0", SAMSUNG)
    header, wanted = good["header"], good["body"]["input"]
    less = {name: {k: v for k, v in header.items() if k != name} for name in header}
    return {
        "OPSP9999": "{",
        "OPSP9998": {"body": good["body"]},
        "OPSP9992": {"header": header},
        "OPSP9991": {"header": header, "body": {}},
        "OPSP9990": good | {"body": {"input": {"tr_id": "H0STCNT0"}}},
        "OPSP9996": good | {"header": less["approval_key"]},
        "OPSP9997": good | {"header": less["custtype"]},
        "OPSP8998": good | {"header": header | {"custtype": "X"}},
        "OPSP8997": good | {"header": header | {"tr_type": "3"}},
        "OPSP8993": good | {"body": {"input": wanted | {"tr_key": 5930}}},
        "OPSP0011": good | {"header": header | {"approval_key": "never-issued"}},
    }


async def test_every_malformed_message_has_its_code_and_hurts_nobody() -> None:
    async with stream_of(korea()) as stream:
        for code, message in broken(stream).items():
            assert await stream.code(message) == code
        for text in ("[]", "null", "7", '"x"', "[" * 5000, '{"header":[]}'):
            assert (await stream.code(text)).startswith("OPSP999")
        assert await stream.code(stream.request("H0STCNT0", SAMSUNG)) == "OPSP0000"


async def test_forty_one_registrations_fit_and_a_release_makes_room() -> None:
    async with stream_of(korea()) as stream:
        keys = [f"id{n}" for n in range(42)]
        codes = [await stream.code(stream.request("H0STCNI0", key)) for key in keys]
        assert codes == ["OPSP0000"] * 41 + ["OPSP0008"]
        assert await stream.release("H0STCNI0", "id0") == "OPSP0001"
        assert await stream.code(stream.request("H0STCNT0", SAMSUNG)) == "OPSP0000"


async def test_a_second_session_of_an_app_is_refused_and_the_first_stays() -> None:
    async with stream_of(korea()) as first:
        await first.register("H0STCNT0", SAMSUNG)
        async with connected(first.client) as second:
            assert second.approval != first.approval
            assert (await second.register("H0STCNT0", SAMSUNG))["body"]["msg_cd"] == "OPSP8996"
            assert await second.ended()
        async with connected(first.client, app_key="another") as other:
            assert await other.code(other.request("H0STCNT0", SAMSUNG)) == "OPSP0000"
            other.approval = first.approval
            assert await other.code(other.request("H0STASP0", SAMSUNG)) == "OPSP0010"
        assert await first.code(first.request("H0STASP0", SAMSUNG)) == "OPSP0000"


async def test_an_app_may_come_back_after_its_session_ended() -> None:
    async with twin_of(korea()) as client:
        for _ in range(3):
            async with connected(client) as stream:
                assert await stream.code(stream.request("H0STCNT0", SAMSUNG)) == "OPSP0000"


async def test_a_key_opens_sessions_for_a_day_and_a_live_one_survives_it() -> None:
    venue = korea()
    async with stream_of(venue) as stream:
        assert await stream.code(stream.request("H0STCNT0", SAMSUNG)) == "OPSP0000"
        late = await approval_of(stream.client, "late")
        venue.now += LIFETIME
        assert await stream.code(stream.request("H0STASP0", SAMSUNG)) == "OPSP0000"
        async with connected(stream.client, app_key="late") as other:
            fresh, other.approval = other.approval, late
            assert await other.code(other.request("H0STCNT0", SAMSUNG)) == "OPSP0011"
            other.approval = fresh
            assert await other.code(other.request("H0STCNT0", SAMSUNG)) == "OPSP0000"


async def test_a_client_that_answers_nothing_is_cut_after_three_heartbeats() -> None:
    async with (
        twin_of(korea(), heartbeat_seconds=0.05) as client,
        connected(client, autoping=False) as stream,
    ):
        beats = 0
        while (message := await stream.socket.receive(timeout=PATIENCE)).type is WSMsgType.TEXT:
            head = json.loads(message.data)["header"]
            assert (head["tr_id"], head["datetime"]) == ("PINGPONG", "20261120103000")
            beats += 1
        assert beats == 2
        assert message.type in (WSMsgType.CLOSED, WSMsgType.ERROR)


@pytest.mark.parametrize("control", [False, True])
async def test_an_echo_and_a_pong_frame_both_keep_a_session_alive(control: bool) -> None:
    async with stream_of(korea(), heartbeat_seconds=0.05) as stream:
        for _ in range(8):
            text = await stream.socket.receive_str(timeout=PATIENCE)
            if control:
                await stream.socket.pong(text.encode())
            else:
                await stream.socket.send_str(text)
        assert not stream.socket.closed


async def test_a_protocol_ping_is_answered() -> None:
    async with (
        twin_of(korea()) as client,
        client.session.ws_connect(f"{client.twin.base_url}/", autoping=False) as socket,
    ):
        await socket.ping(b"there?")
        message = await socket.receive(timeout=PATIENCE)
        assert (message.type, message.data) == (WSMsgType.PONG, b"there?")


def test_a_heartbeat_without_an_interval_does_not_load() -> None:
    with pytest.raises(ConfigError, match="heartbeat_seconds"):
        asyncio.run(_serve_once())


async def _serve_once() -> None:
    async with twin_of(korea(), heartbeat_seconds=0.0):
        pass


async def test_stopping_the_twin_ends_its_sessions_in_good_order() -> None:
    async with stream_of(korea()) as stream:
        ended, _ = await asyncio.gather(stream.ended(), stream.client.twin.stop())
        assert ended
        assert stream.socket.close_code == 1001


async def test_a_reader_that_does_not_read_is_cut_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trading_core.twin.stream.hub.MOST_WAITING", 400_000)
    ordinary = StreamHub.attend

    async def attend(hub: StreamHub, request: web.Request) -> web.WebSocketResponse:
        # Otherwise the system takes megabytes before anything waits.
        assert request.transport is not None
        opened = request.transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return await ordinary(hub, request)

    monkeypatch.setattr(StreamHub, "attend", attend)
    venue = market(MarketGroup.KR, symbols=8)
    listed = [item.symbol for item in venue.instruments()]
    async with (
        stream_of(venue) as eager,
        connected(eager.client, app_key="other", small_buffers=True) as lazy,
    ):
        await eager.register("H0STASP0", listed[0])
        for symbol in listed:
            await lazy.register("H0STCNT0", symbol)
        connection = lazy.socket._conn
        assert connection is not None and connection.transport is not None
        connection.transport.pause_reading()
        moves = 0
        while await sessions(eager) > 1:
            moves += 1
            assert moves < 12, "a reader that never reads is still connected"
            await eager.move(timedelta(minutes=30))
            assert (await eager.frame()).tr_id == "H0STASP0"
        assert moves > 1
        assert await eager.code(eager.request("H0STASP0", listed[1])) == "OPSP0000"


async def sessions(stream: StreamClient) -> int:
    return int((await stream.client.send("GET", "/twin/state")).body["stream_sessions"])


ODD = st.text(max_size=12) | st.sampled_from(
    ["1", "2", "P", "B", "H0STCNT0", "H0STCNI0", SAMSUNG, "PINGPONG", "^", "|", "\x00", "9" * 300]
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=6,
)
HEADER = st.fixed_dictionaries(
    {},
    optional={
        "approval_key": st.just("issued") | ANY,
        "custtype": st.just("P") | ANY,
        "tr_type": st.sampled_from(["1", "2"]) | ANY,
        "tr_id": ANY,
    },
)
INPUT = st.fixed_dictionaries(
    {},
    optional={"tr_id": st.sampled_from(sorted(STREAMS)) | ANY, "tr_key": ODD | ANY},
)
MESSAGE = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=40),
    ANY.map(json.dumps),
    st.builds(
        lambda header, wanted: json.dumps({"header": header, "body": {"input": wanted}}),
        HEADER | ANY,
        INPUT | ANY,
    ),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages=st.lists(MESSAGE, min_size=1, max_size=25))
def test_any_message_gets_one_answer_with_a_known_code(messages: list[str | bytes]) -> None:
    async def run() -> None:
        async with stream_of(korea(), america()) as stream:
            for message in messages:
                if isinstance(message, bytes):
                    await stream.socket.send_bytes(message)
                else:
                    text = message.replace('"issued"', json.dumps(stream.approval))
                    if is_echo(text):
                        continue
                    await stream.socket.send_str(text)
                answer = await stream.socket.receive_json(timeout=PATIENCE)
                assert set(answer) == {"header", "body"}
                assert answer["body"]["msg_cd"] in set(TEXTS) - {"OPSP0007", "OPSP8996"}
            # Something sane is still answered.
            assert (await stream.code("?")) == "OPSP9999"

    asyncio.run(run())


def is_echo(text: str) -> bool:
    """Whether a message is a heartbeat's echo, which nobody answers."""
    try:
        content = json.loads(text)
        return bool(content["header"]["tr_id"] == "PINGPONG")
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
