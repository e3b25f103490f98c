"""Every message code of the broker: what it says, and what is certain after it."""

import httpx
import pytest

from tests.kis_stand_in import ACCEPTED, StandIn, buy, connect
from trading_core.adapters.kis import codes
from trading_core.errors import (
    NotOffered,
    OrderOutcomeUnknown,
    OrderRejected,
    RateLimited,
    TokenExpired,
)

ORDER = "/order-cash"

# The codes of the portal's tables, and what an order that got one may be called.
_DONE = """MCA00000 KIOK0510 KIOK0500 KIOK0460 KIOK0530 KIOK0560 APBK0013 20310000 70070000 40600000
40590000 40620000 40630000"""
_TOKEN = "EGW00121 EGW00122 EGW00123"
_TOO_MANY = "EGW00201 EGW00215"
_NOT_OFFERED = "EGW00206 EGW00213 EGW02004 EGW02006"
_UNSURE = """EGW00001 EGW00002 EGW00202 EGW00203 EGW00300 EGW00301 EGW00302 IGW00007 IGW00009
OPSQ0003 OPSQ0008 OPSQ0009 90020000"""
_REFUSED = """EGW00003 EGW00004 EGW00101 EGW00102 EGW00103 EGW00104 EGW00105 EGW00115 EGW00116
EGW00131 EGW00132 EGW00205 EGW00207 EGW00208 EGW00304 OPSQ0002 OPSQ2000 OPSQ2001 OPSQ2002 MCA05918
APBK0952 APBK0400 APBK0506 APBK0919 APBK0918 APBK1058 APBK0344 APBK0927 APBK1359 APBK0656 APBK0634
APBK1664 APBK1744 APBK3026 APAC0081 KIOK0320 APTR0057 40030000 40070000 40100000 40240000 40250000
40270000 40330000 40570000 40580000 40910000"""
_STREAM = """OPSP0000 OPSP0001 OPSP0002 OPSP0003 OPSP0007 OPSP0008 OPSP0009 OPSP0010 OPSP0011
OPSP8991 OPSP8992 OPSP8993 OPSP8996 OPSP8997 OPSP9990 OPSP9999"""
_OUTCOMES = [
    *((code, TokenExpired) for code in _TOKEN.split()),
    *((code, RateLimited) for code in _TOO_MANY.split()),
    *((code, NotOffered) for code in _NOT_OFFERED.split()),
    *((code, OrderOutcomeUnknown) for code in _UNSURE.split()),
    *((code, OrderRejected) for code in _REFUSED.split()),
    # A failure that names a success, or a code of the gateway nobody knows, settles nothing.
    *((code, OrderOutcomeUnknown) for code in ("APBK0013", "40600000", "40630000", "MCA00000")),
    *((code, OrderOutcomeUnknown) for code in ("EGW09999", "IGW00001", "OPSQ7777", "XYZ12345")),
    *((code, OrderRejected) for code in ("APBK7777", "40990000")),
]


@pytest.mark.parametrize(
    "code",
    [
        code
        for codes_of in (_DONE, _TOKEN, _TOO_MANY, _NOT_OFFERED, _UNSURE, _REFUSED, _STREAM)
        for code in [*codes_of.split(), codes.TOO_MANY_TOKENS]
    ],
)
def test_every_code_has_an_english_meaning_beside_the_broker_s_own_words(code):
    english = codes.explain(code, "")
    assert english.isascii()
    assert english != "no reason given"
    assert codes.explain(code, "  한국어  설명 ") == f"한국어 설명 ({english})"


@pytest.mark.parametrize(("code", "error"), _OUTCOMES, ids=[code for code, _ in _OUTCOMES])
@pytest.mark.parametrize("status", [200, 500])
async def test_an_order_that_got_a_code_is_called_what_is_certain(tmp_path, code, error, status):
    body = {"rt_cd": "7" if status == 200 else "1", "msg_cd": code, "msg1": "말씀".ljust(80)}
    host = StandIn().on(ORDER, httpx.Response(status, json=body), ACCEPTED)
    async with connect(host, tmp_path) as kis:
        with pytest.raises(error) as caught:
            await kis.broker.submit(buy())
    assert type(caught.value) is error
    assert caught.value.code == code
    assert "말씀" in str(caught.value)
    assert code in str(caught.value)
    assert len(host.sent(ORDER)) == 1
