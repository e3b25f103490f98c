"""Whatever comes in, the gateway answers with an envelope of its own and no inner error."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.twin_client import ACCOUNT, APP_KEY, APP_SECRET, twin_of
from tests.venue_double import america, korea
from trading_core.twin.exchange_rates import NOMINAL_RATES
from trading_core.twin.wire.auth import CallLimiter, Tokens
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.endpoints import ENDPOINTS
from trading_core.twin.wire.envelope import Reply, WireRequest
from trading_core.twin.wire.gateway import Gateway

PLAUSIBLE = {
    "FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": "005930", "FID_PERIOD_DIV_CODE": "D",
    "FID_INPUT_DATE_1": "20261101", "FID_INPUT_DATE_2": "20261120", "FID_INPUT_HOUR_1": "100000",
    "FID_COND_SCR_DIV_CODE": "20171", "EXCD": "NAS", "SYMB": "AAPL", "BYMD": "20261120",
    "KEYB": "20261120100000", "OVRS_EXCG_CD": "NASD", "PDNO": "AAPL", "ORD_QTY": "1",
    "ORD_UNPR": "70000", "OVRS_ORD_UNPR": "200", "ORD_DVSN": "00", "RVSE_CNCL_DVSN_CD": "02",
    "ORGN_ODNO": "1", "QTY_ALL_ORD_YN": "Y", "INQR_STRT_DT": "20261101", "NREC": "10", "NMIN": "5",
    "INQR_END_DT": "20261120", "ORD_STRT_DT": "20261101", "ORD_END_DT": "20261120",
    "BASS_DT": "20261120", "TRAD_DT": "20261120", "PINC": "1", "TDAY": "1",
    "MINX": "3", "NDAY": "0", "GUBN": "1", "GUBN2": "1", "MODP": "1", "PRDT_TYPE_CD": "300",
    "FID_ORG_ADJ_PRC": "0", "EXCD_01": "NAS", "SYMB_01": "AAPL", "CNDT_PRIC": "70000",
    "FID_COND_MRKT_DIV_CODE_1": "J", "FID_INPUT_ISCD_1": "005930", "EXCG_ID_DVSN_CD": "SOR",
    **ACCOUNT,
}  # fmt: skip
KEYS = sorted(
    {key for endpoint in ENDPOINTS.values() for key in endpoint.required} | set(PLAUSIBLE)
)
ODD = st.sampled_from(
    ["", " ", "0", "-1", "9" * 9, "9" * 30, "1e9", "NaN", "00010101", "99991231", "20261332",
     "000000", "235959", "246060", "٣٤٥", "\ud800", "\x00", "%", "J", "N" * 300, "99991231235959"]
) | st.text(max_size=20)  # fmt: skip
CHANGES = st.dictionaries(st.sampled_from([*KEYS, "CTX_AREA_NK100", "CTX_AREA_NK200"]), ODD)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


def gateway() -> tuple[Gateway, str]:
    home, abroad = korea(), america()
    home.now = abroad.now
    desk = Desk([home, abroad], personality="real", rates=NOMINAL_RATES)
    tokens = Tokens(lambda: desk.now, time.monotonic, cooldown_seconds=0)
    grant = {"grant_type": "client_credentials", "appkey": APP_KEY, "appsecret": APP_SECRET}
    token = tokens.issue(grant).body["access_token"]
    return Gateway(desk, tokens, CallLimiter(time.monotonic, None, status=500)), token


GATE, TOKEN = gateway()


def is_whole(reply: Reply) -> bool:
    """An envelope, and not the one that stands for an error inside the server."""
    text = json.dumps(reply.body, ensure_ascii=False).encode("utf-8", "replace")
    body = json.loads(text)
    coded = {"rt_cd", "msg_cd", "msg1"} <= set(body) or "error_code" in body
    return coded and body.get("msg_cd") != "EGW00002"


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.sampled_from(sorted(ENDPOINTS)),
    change=CHANGES,
    dropped=st.sets(st.sampled_from(KEYS), max_size=2),
    pick=st.integers(0, 10),
    tr_cont=st.sampled_from(["", "N", "M"]),
)
def test_any_values_of_the_declared_fields_get_an_envelope(
    path: str, change: dict[str, str], dropped: set[str], pick: int, tr_cont: str
) -> None:
    endpoint = ENDPOINTS[path]
    tr_ids = sorted(endpoint.transactions)
    fields = dict.fromkeys(endpoint.required, "") | PLAUSIBLE | change
    for key in dropped:
        fields.pop(key, None)
    headers = {
        "authorization": f"Bearer {TOKEN}", "appkey": APP_KEY, "tr_cont": tr_cont,
        "tr_id": tr_ids[pick % len(tr_ids)],
    }  # fmt: skip
    body = json.dumps(fields).encode()
    assert is_whole(GATE.answer(WireRequest(endpoint.method, path, headers, fields, body)))


@settings(max_examples=500, deadline=None)
@given(
    path=st.sampled_from([*sorted(ENDPOINTS), "/oauth2/tokenP", "/oauth2/revokeP"])
    | st.sampled_from(["/oauth2/Approval", "/uapi/hashkey"])
    | st.text(max_size=30),
    method=st.sampled_from(["GET", "POST", "PUT", ""]),
    data=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40),
    headers=st.dictionaries(
        st.sampled_from(["authorization", "appkey", "tr_id", "tr_cont", "custtype"]),
        st.sampled_from([f"Bearer {TOKEN}", APP_KEY, "TTTC0012U", "TTTT1002U"]) | st.text(),
    ),
)
def test_any_body_on_any_path_gets_an_envelope(
    path: str, method: str, data: bytes, headers: dict[str, str]
) -> None:
    reply = GATE.answer(WireRequest(method, path, headers, {}, data))
    if path == "/uapi/hashkey" and reply.status == 200:
        assert set(reply.body) == {"BODY", "HASH"}
    else:
        assert is_whole(reply)


def test_a_body_of_deep_nesting_is_refused() -> None:
    body = b'{"a":' * 100_000
    reply = GATE.answer(WireRequest("POST", "/uapi/hashkey", {}, {}, body))
    assert (reply.status, reply.body["msg_cd"]) == (400, "EGW00101")


async def raw(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


async def test_malformed_http_never_stops_the_server() -> None:
    async with twin_of(korea()) as client:
        port = client.twin.port
        head = b"POST /uapi/hashkey HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        for data in (
            b"\x00\xff\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /%ff%fe?%zz=%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            head + b"Content-Length: 10\r\n\r\n{",
            head + b"Content-Length: x\r\n\r\n",
            head + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
            head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            head + b"tr_id: " + b"x" * 9000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        ):
            answer = await raw(port, data)
            assert b" 500 " not in answer.split(b"\r\n")[0]
        big: Any = await client.send("POST", "/uapi/hashkey", data=b"x" * (2 * 1024 * 1024))
        assert (big.status, big.code) == (413, "EGW00101")
        assert (await client.send("GET", "/twin/state")).status == 200
