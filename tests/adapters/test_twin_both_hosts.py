"""A twin that is both of the broker's hosts at once: the TR id of a request says which it means."""

from __future__ import annotations

from tests.twin_client import ACCOUNT, DOMESTIC, twin_of
from tests.venue_double import korea

ORDER = f"{DOMESTIC}/trading/order-cash"
BALANCE = f"{DOMESTIC}/trading/inquire-balance"
BUY = ACCOUNT | {"PDNO": "005930", "ORD_DVSN": "00", "ORD_QTY": "1", "ORD_UNPR": "70000"}
WHERE = ACCOUNT | {"CTX_AREA_FK100": "", "CTX_AREA_NK100": ""}


async def test_each_request_is_answered_as_its_own_host_would() -> None:
    async with twin_of(korea(), personality="both") as client:
        real = await client.post(ORDER, "TTTC0012U", **BUY)
        paper = await client.post(ORDER, "VTTC0012U", **BUY)
        real_rows = await client.get(BALANCE, "TTTC8434R", **WHERE)
        paper_rows = await client.get(BALANCE, "VTTC8434R", **WHERE)
    assert (real.code, paper.code) == ("APBK0013", "40600000")
    assert (real_rows.code, paper_rows.code) == ("KIOK0560", "70070000")


async def test_refusals_have_the_codes_of_the_host_that_was_meant() -> None:
    wrong = BUY | {"PDNO": "999999"}
    async with twin_of(korea(), personality="both") as client:
        real = await client.post(ORDER, "TTTC0012U", **wrong)
        paper = await client.post(ORDER, "VTTC0012U", **wrong)
    assert (real.code, paper.code) == ("APBK0656", "40070000")


async def test_what_only_one_host_offers_is_offered() -> None:
    query = ACCOUNT | {"PDNO": "005930"}
    async with twin_of(korea(), personality="both") as client:
        answer = await client.get(f"{DOMESTIC}/trading/inquire-psbl-sell", "TTTC8408R", **query)
    assert answer.body["rt_cd"] == "0"
