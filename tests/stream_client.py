"""A small client of the twin's stream for its tests: registers, reads frames, decrypts."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Unpack

from aiohttp import (
    ClientSession,
    ClientWebSocketResponse,
    ClientWSTimeout,
    TCPConnector,
    WSMsgType,
)
from aiohttp.connector import AddrInfoType
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from tests.twin_client import TwinClient, twin_of
from tests.venue_double import ACCOUNT, SESSION
from trading_core.model.market import MarketGroup
from trading_core.rules.markets import currency_of
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import TwinOptions
from trading_core.twin.stream.layouts import STREAMS
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec, Venue

PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Frame:
    """A data frame taken apart by a layout of its own width."""

    tr_id: str
    encrypted: bool
    count: int
    values: list[str]

    @property
    def width(self) -> int:
        return len(self.values) // self.count

    @property
    def records(self) -> list[dict[str, str]]:
        fields = STREAMS[self.tr_id].fields.values()
        names = next(names for names in fields if len(names) == self.width)
        starts = range(0, len(self.values), self.width)
        return [dict(zip(names, self.values[n : n + self.width], strict=True)) for n in starts]


class StreamClient:
    """One socket. ``keys`` are the cipher pairs of the acknowledgements by TR."""

    def __init__(self, client: TwinClient, socket: ClientWebSocketResponse, approval: str) -> None:
        self.client = client
        self.socket = socket
        self.approval = approval
        self.keys: dict[str, tuple[bytes, bytes]] = {}

    def request(self, tr_id: str, tr_key: str, tr_type: str = "1") -> dict[str, Any]:
        header = {
            "approval_key": self.approval, "custtype": "P", "tr_type": tr_type,
            "content-type": "utf-8",
        }  # fmt: skip
        return {"header": header, "body": {"input": {"tr_id": tr_id, "tr_key": tr_key}}}

    async def ask(self, message: Any) -> dict[str, Any]:
        """Send a text (or anything as JSON) and read the answer."""
        text = message if isinstance(message, str) else json.dumps(message)
        await self.socket.send_str(text)
        answer: dict[str, Any] = await self.socket.receive_json(timeout=PATIENCE)
        return answer

    async def code(self, message: Any) -> str:
        return str((await self.ask(message))["body"]["msg_cd"])

    async def register(self, tr_id: str, tr_key: str) -> dict[str, Any]:
        answer = await self.ask(self.request(tr_id, tr_key))
        if answer["body"]["msg_cd"] == "OPSP0000":
            pair = answer["body"]["output"]
            self.keys[tr_id] = (pair["key"].encode(), pair["iv"].encode())
        return answer

    async def release(self, tr_id: str, tr_key: str) -> str:
        return await self.code(self.request(tr_id, tr_key, "2"))

    async def frame(self) -> Frame:
        """The next frame of data, decrypted."""
        text = await self.socket.receive_str(timeout=PATIENCE)
        flag, tr_id, count, payload = text.split("|", 3)
        if flag == "1":
            key, iv = self.keys[tr_id]
            opener = Cipher(algorithms.AES256(key), modes.CBC(iv)).decryptor()
            padded = opener.update(base64.b64decode(payload)) + opener.finalize()
            unpadder = PKCS7(128).unpadder()
            payload = (unpadder.update(padded) + unpadder.finalize()).decode()
        return Frame(tr_id, flag == "1", int(count), payload.split("^"))

    async def frames(self, count: int) -> list[Frame]:
        return [await self.frame() for _ in range(count)]

    async def ended(self) -> bool:
        """Whether the connection ends before anything else arrives."""
        message = await self.socket.receive(timeout=PATIENCE)
        return message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)

    async def nothing_waits(self) -> bool:
        """Whether all that was sent has been read: the next thing is the answer to a question."""
        return (await self.code("?")) == "OPSP9999"

    async def move(self, by: timedelta = timedelta(minutes=1)) -> datetime:
        """Move the venues' clock and tell where it stands."""
        state = (await self.client.send("GET", "/twin/state")).body
        at = datetime.fromisoformat(state["now"]) + by
        moved = await self.client.send("POST", "/twin/clock", data={"advance_to": at.isoformat()})
        assert moved.status == 200, moved.raw
        return at


def market(group: MarketGroup, *, symbols: int = 4, seed: int = 1) -> SimulatedExchange:
    """An exchange at its open, over a seeded market."""
    tape = synthetic_tape(group, SESSION, symbols=symbols, seed=seed)
    cash = {currency_of(group): Decimal(100_000_000)}
    return SimulatedExchange(tape, [AccountSpec(ACCOUNT, cash)], at=tape.hours.open_at)


async def approval_of(client: TwinClient, app_key: str) -> str:
    body = {"grant_type": "client_credentials", "appkey": app_key, "secretkey": "s"}
    return str((await client.send("POST", "/oauth2/Approval", data=body)).body["approval_key"])


@asynccontextmanager
async def connected(
    client: TwinClient,
    *,
    app_key: str = "app",
    path: str = "/tryitout",
    autoping: bool = True,
    small_buffers: bool = False,
) -> AsyncIterator[StreamClient]:
    """A further socket of a served twin; with ``small_buffers`` the system reads little ahead."""
    approval = await approval_of(client, app_key)
    url = client.twin.base_url + path
    connector = TCPConnector(socket_factory=_small if small_buffers else None)
    async with (
        ClientSession(connector=connector) as session,
        session.ws_connect(
            url, max_msg_size=0, autoping=autoping, timeout=ClientWSTimeout(ws_close=0.2)
        ) as opened,
    ):
        yield StreamClient(client, opened, approval)


def _small(info: AddrInfoType) -> socket.socket:
    made = socket.socket(*info[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return made


@asynccontextmanager
async def stream_of(
    *venues: Venue, path: str = "/tryitout", **options: Unpack[TwinOptions]
) -> AsyncIterator[StreamClient]:
    """A served twin with one socket, whose heartbeats are too rare to come between."""
    options.setdefault("heartbeat_seconds", 600.0)
    async with twin_of(*venues, **options) as client, connected(client, path=path) as stream:
        yield stream


def field(frames: list[Frame], tr_id: str, name: str) -> list[str]:
    """A column over all records of a TR."""
    return [row[name] for frame in frames if frame.tr_id == tr_id for row in frame.records]


def outline(row: Mapping[str, str]) -> tuple[str, ...]:
    """What a notice says of an order's life."""
    return tuple(row[name] for name in ("RCTF_CLS", "CNTG_YN", "ACPT_YN", "RFUS_YN"))
