"""A scripted WebSocket server in the broker's place, and the records it may send.

``from tests.kis_stream_stand_in import StreamStandIn, kr_trade, kr_notice, us_trade, us_notice``.
Records are built by the numbers of the portal's sheets, not by the names the library knows.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

KEY, IV = "k" * 31 + "1", "v" * 15 + "1"
ACCOUNT = "1234567801"
PATIENCE = 10.0


def record(width: int, fields: Mapping[int, str]) -> str:
    """A record of ``width`` fields; ``fields`` by their number, from 1. The others are "0"."""
    return "^".join(fields.get(number, "0") for number in range(1, width + 1))


def kr_trade(symbol: str = "005930", price: int = 71_900, width: int = 46, **changes: str) -> str:
    """H0STCNT0: by default 10 shares at 09:30:05, 100 below the previous close."""
    numbers = {
        "at": 2, "price": 3, "sign": 4, "diff": 5, "open": 8, "high": 9, "low": 10, "size": 13,
        "volume": 14, "turnover": 15, "day": 34, "stage": 35, "halted": 36, "hour_class": 44,
    }  # fmt: skip
    values = {
        "at": "093005", "price": str(price), "sign": "5", "diff": "-100", "open": "72100",
        "high": "72300", "low": "71500", "size": "10", "volume": "1000", "turnover": "71900000",
        "day": "20261120", "stage": "20", "halted": "N", "hour_class": "0",
    } | changes  # fmt: skip
    fields = {numbers[name]: value for name, value in values.items()}
    return record(width, {1: symbol} | fields)


def us_trade(symbol: str = "AAPL", price: str = "148.0100", width: int = 26, **changes: str) -> str:
    """HDFSCNT0 of a NASDAQ name; a ``width`` of 25 leaves the first field out."""
    numbers = {
        "xymd": 5, "xhms": 6, "kymd": 7, "khms": 8, "open": 9, "high": 10, "low": 11, "sign": 13,
        "diff": 14, "size": 20, "volume": 21, "turnover": 22, "kind": 26,
    }  # fmt: skip
    values = {
        "xymd": "20261119", "xhms": "193005", "kymd": "20261120", "khms": "093005",
        "open": "147.0000", "high": "149.5000", "low": "146.5000", "sign": "2", "diff": "1.0100",
        "size": "5", "volume": "500", "turnover": "74005", "kind": "1",
    } | changes  # fmt: skip
    fields = {numbers[name]: value for name, value in values.items()}
    whole = record(26, {1: f"DNAS{symbol}", 2: symbol, 3: "4", 12: price} | fields)
    return whole if width == 26 else whole.split("^", 1)[1]


def _notice(width: int, numbers: Mapping[str, int], values: Mapping[str, str]) -> str:
    return record(width, {numbers[name]: value for name, value in values.items()})


def kr_notice(width: int = 26, **changes: str) -> str:
    """H0STCNI0: by default 7 shares of an order of 10 bought at 71,900."""
    numbers = {
        "login": 1, "account": 2, "number": 3, "original": 4, "side": 5, "change": 6, "symbol": 9,
        "quantity": 10, "price": 11, "at": 12, "refused": 13, "filled": 14, "step": 15,
    }  # fmt: skip
    values = {
        "login": "hts-login", "account": ACCOUNT, "number": "0000117057", "original": "",
        "side": "02", "change": "0", "symbol": "005930", "quantity": "0000000007",
        "price": "000071900", "at": "093005", "refused": "0", "filled": "2", "step": "2",
    } | changes  # fmt: skip
    return _notice(width, numbers, values)


def us_notice(width: int = 25, **changes: str) -> str:
    """H0GSCNI0: by default 7 shares of a NASDAQ name sold at 148.01."""
    numbers = {
        "login": 1, "account": 2, "number": 3, "original": 4, "side": 5, "change": 6, "symbol": 8,
        "quantity": 9, "price": 10, "at": 11, "refused": 12, "filled": 13, "step": 14,
        "market": 19,
    }  # fmt: skip
    values = {
        "login": "hts-login", "account": ACCOUNT, "number": "0030000007", "original": "",
        "side": "01", "change": "0", "symbol": "AAPL", "quantity": "0000000007",
        "price": "001480100", "at": "233005", "refused": "0", "filled": "2", "step": "2",
        "market": "6",
    } | changes  # fmt: skip
    return _notice(width, numbers, values)


def frame(tr_id: str, *records: str) -> str:
    """A plain data frame."""
    return f"0|{tr_id}|{len(records):03d}|{'^'.join(records)}"


def sealed(tr_id: str, *records: str, key: str = KEY, iv: str = IV) -> str:
    """An encrypted data frame."""
    padder = PKCS7(128).padder()
    padded = padder.update("^".join(records).encode()) + padder.finalize()
    lock = Cipher(algorithms.AES256(key.encode()), modes.CBC(iv.encode())).encryptor()
    secret = base64.b64encode(lock.update(padded) + lock.finalize()).decode()
    return f"1|{tr_id}|{len(records):03d}|{secret}"


class StreamStandIn:
    """Acknowledges every registration, unless ``refuse`` names a code for its key or its TR.

    ``registered`` are the keys of the open session by TR; ``requests`` all that was asked, as
    (tr_type, tr_id, tr_key); ``echoes`` the heartbeats that came back.
    """

    def __init__(self) -> None:
        self.refuse: dict[str, str] = {}
        self.refuse_once: dict[str, str] = {}
        self.mute = False
        self.requests: list[tuple[str, str, str]] = []
        self.keys: list[str] = []
        self.registered: list[tuple[str, str]] = []
        self.most = 0
        self.echoes: list[str] = []
        self.sessions = 0
        self.cipher = (KEY, IV)
        self._sockets: list[web.WebSocketResponse] = []
        self._happened = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"ws://{host}:{port}/"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cut()
        assert self._runner is not None
        await self._runner.cleanup()

    async def until(self, fact: Callable[[], object]) -> None:
        """Wait until ``fact()`` holds; looked at whenever something arrives."""
        async with asyncio.timeout(PATIENCE), self._happened:
            await self._happened.wait_for(lambda: bool(fact()))

    async def send(self, *texts: str | bytes) -> None:
        """Send texts over every open session."""
        for socket in self._sockets:
            for text in texts:
                if isinstance(text, bytes):
                    await socket.send_frame(text, WSMsgType.TEXT)
                else:
                    await socket.send_str(text)

    async def heartbeat(self) -> str:
        text = json.dumps({"header": {"tr_id": "PINGPONG", "datetime": "20261120093000"}})
        await self.send(text)
        return text

    def cut(self) -> None:
        """Drop every connection without a word."""
        for socket in self._sockets:
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        self._sockets = [socket]
        self.registered = []
        async with self._happened:
            self.sessions += 1
            self._happened.notify_all()
        async for message in socket:
            async with self._happened:
                await self._take(socket, str(message.data))
                self._happened.notify_all()
        async with self._happened:
            if socket in self._sockets:
                self._sockets.remove(socket)
            self._happened.notify_all()
        return socket

    async def _take(self, socket: web.WebSocketResponse, text: str) -> None:
        content: dict[str, Any] = json.loads(text)
        header = content["header"]
        if header.get("tr_id") == "PINGPONG":
            self.echoes.append(text)
            return
        wanted = content["body"]["input"]
        tr_type, tr_id, tr_key = header["tr_type"], wanted["tr_id"], wanted["tr_key"]
        self.requests.append((tr_type, tr_id, tr_key))
        self.keys.append(header["approval_key"])
        if not self.mute:
            await socket.send_str(self._answer(tr_type, tr_id, tr_key))

    def _answer(self, tr_type: str, tr_id: str, tr_key: str) -> str:
        code = self.refuse_once.pop(tr_key, "") or self.refuse_once.pop(tr_id, "")
        code = code or self.refuse.get(tr_key, "") or self.refuse.get(tr_id, "")
        pair = (tr_id, tr_key)
        if not code and tr_type == "1":
            code = "OPSP0002" if pair in self.registered else "OPSP0000"
            if code == "OPSP0000":
                self.registered.append(pair)
        elif not code:
            code = "OPSP0001" if pair in self.registered else "OPSP0003"
            if code == "OPSP0001":
                self.registered.remove(pair)
        self.most = max(self.most, len(self.registered))
        good = code in ("OPSP0000", "OPSP0001")
        body: dict[str, Any] = {"rt_cd": "0" if good else "1", "msg_cd": code, "msg1": "as asked"}
        if good:
            body["output"] = {"key": self.cipher[0], "iv": self.cipher[1]}
        head = {"tr_id": tr_id, "tr_key": tr_key, "encrypt": "N"}
        return json.dumps({"header": head, "body": body})
