"""A small client of the twin for its tests: one app key, one token, plain requests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Unpack

from aiohttp import ClientSession
from multidict import CIMultiDictProxy

from trading_core.twin.server import RunningTwin, TwinOptions, serve
from trading_core.twin.venue import Venue

APP_KEY, APP_SECRET = "k" * 36, "s" * 180
DOMESTIC = "/uapi/domestic-stock/v1"
OVERSEAS = "/uapi/overseas-stock/v1"
OVERSEAS_PRICE = "/uapi/overseas-price/v1/quotations"
ACCOUNT = {"CANO": "12345678", "ACNT_PRDT_CD": "01"}


def all_strings(value: Any) -> bool:
    """Whether every leaf of a JSON value is a string."""
    if isinstance(value, dict):
        return all(all_strings(item) for item in value.values())
    if isinstance(value, list):
        return all(all_strings(item) for item in value)
    return isinstance(value, str)


class Answer:
    """Status, headers and JSON body of one reply."""

    def __init__(self, status: int, headers: CIMultiDictProxy[str], raw: bytes) -> None:
        self.status = status
        self.headers = headers
        self.raw = raw

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)

    @property
    def code(self) -> str:
        return str(self.body.get("msg_cd") or self.body.get("error_code"))


class TwinClient:
    def __init__(self, session: ClientSession, twin: RunningTwin) -> None:
        self.session = session
        self.twin = twin
        self.token = ""

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        data: Any = None,
    ) -> Answer:
        raw = data if isinstance(data, bytes | None) else json.dumps(data).encode()
        url = self.twin.base_url + path
        async with self.session.request(
            method, url, headers=headers, params=params, data=raw
        ) as reply:
            return Answer(reply.status, reply.headers, await reply.read())

    async def log_in(self) -> Answer:
        body = {"grant_type": "client_credentials", "appkey": APP_KEY, "appsecret": APP_SECRET}
        answer = await self.send("POST", "/oauth2/tokenP", data=body)
        self.token = answer.body.get("access_token", self.token)
        return answer

    def headers(self, tr_id: str, tr_cont: str = "") -> dict[str, str]:
        return {
            "content-type": "application/json; charset=utf-8",
            "authorization": f"Bearer {self.token}",
            "appkey": APP_KEY,
            "appsecret": APP_SECRET,
            "tr_id": tr_id,
            "tr_cont": tr_cont,
            "custtype": "P",
        }

    async def get(self, path: str, tr_id: str, tr_cont: str = "", **params: str) -> Answer:
        return await self.send("GET", path, headers=self.headers(tr_id, tr_cont), params=params)

    async def post(self, path: str, tr_id: str, **body: Any) -> Answer:
        return await self.send("POST", path, headers=self.headers(tr_id), data=body)

    async def buy(self, price: str = "70000", quantity: str = "10", **more: str) -> Answer:
        """A domestic limit buy of Samsung on the real host."""
        body = ACCOUNT | {
            "PDNO": "005930", "ORD_DVSN": "00", "ORD_QTY": quantity, "ORD_UNPR": price
        }  # fmt: skip
        return await self.post(f"{DOMESTIC}/trading/order-cash", "TTTC0012U", **(body | more))


@asynccontextmanager
async def twin_of(
    *venues: Venue, log_in: bool = True, **options: Unpack[TwinOptions]
) -> AsyncIterator[TwinClient]:
    """A served twin and a client that is logged in; both are closed afterwards."""
    twin = await serve(list(venues), **options)
    try:
        async with ClientSession() as session:
            client = TwinClient(session, twin)
            if log_in:
                await client.log_in()
            yield client
    finally:
        await twin.stop()
