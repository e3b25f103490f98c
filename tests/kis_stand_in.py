"""A KIS host in memory: canned wire replies for the client's tests, and a record of requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from trading_core.adapters.kis import KisConnection, open_kis
from trading_core.clock import FixedClock
from trading_core.model.market import Currency, Instrument, Market
from trading_core.model.order import ApprovedOrder, IntentReason, OrderIntent, OrderType, Side

APP_KEY = "PSappkey0123456789abcdefghijklmnopqr"
APP_SECRET = "s3cr3t/" + "Zx9+" * 40
ACCOUNT = "12345678-01"
TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9.token-"
# A Friday, 10:30 in Seoul.
NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)

Reply = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def ok(tr_cont: str = "", *, status: int = 200, **fields: Any) -> httpx.Response:
    """A success envelope with the given outputs."""
    body = {"rt_cd": "0", "msg_cd": "MCA00000", "msg1": "정상처리 되었습니다.", **fields}
    return httpx.Response(status, json=body, headers={"tr_cont": tr_cont})


def refused(code: str, text: str = "", *, status: int = 500, rt_cd: str = "1") -> httpx.Response:
    """A failure envelope."""
    body = {"rt_cd": rt_cd, "msg_cd": code, "msg1": text.ljust(80)}
    return httpx.Response(status, json=body)


def token_refused(code: str, text: str = "") -> httpx.Response:
    """The other envelope, of the token path alone."""
    return httpx.Response(403, json={"error_code": code, "error_description": text})


SAMSUNG = Instrument("005930", Market.KR)
ACCEPTED = ok(output={"KRX_FWDG_ORD_ORGNO": "06010", "ODNO": "0000117057", "ORD_TMD": "103000"})


def buy(
    instrument: Instrument = SAMSUNG,
    price: str = "70000",
    *,
    side: Side = Side.BUY,
    kind: OrderType = OrderType.LIMIT,
    quantity: int = 3,
) -> ApprovedOrder:
    """An approved order for a few shares."""
    limit = None if kind is OrderType.MARKET else Decimal(price)
    intent = OrderIntent(
        "i", "d", instrument, date(2026, 11, 20), side, quantity, kind, limit,
        Decimal(price), Currency.KRW, IntentReason.ENTRY, NOW,
    )  # fmt: skip
    return ApprovedOrder(intent, NOW)


class StandIn:
    """Answers each path from its own list, the last entry again and again."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply]] = {}
        self.requests: list[httpx.Request] = []
        self.tokens_issued = 0
        self.on("/oauth2/tokenP", self._token)

    def on(self, path_end: str, *replies: Reply) -> StandIn:
        """Answer paths that end so with these replies in turn."""
        self.replies[path_end] = list(replies)
        return self

    def _token(self, request: httpx.Request) -> httpx.Response:
        self.tokens_issued += 1
        body = {"access_token": f"{TOKEN}{self.tokens_issued}", "expires_in": 86_400}
        return httpx.Response(200, json=body)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        found = next((r for end, r in self.replies.items() if request.url.path.endswith(end)), None)
        assert found is not None, f"no reply for {request.url.path}"
        reply = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(reply, Exception):
            raise reply
        return reply(request) if callable(reply) else _copy(reply)

    def sent(self, path_end: str) -> list[httpx.Request]:
        return [r for r in self.requests if r.url.path.endswith(path_end)]

    def body(self, path_end: str) -> dict[str, str]:
        """The JSON body of the only request to a path."""
        [request] = self.sent(path_end)
        return json.loads(request.content)


def _copy(reply: httpx.Response) -> httpx.Response:
    # A response can be read once only; the headers that describe the bytes are made anew.
    headers = {"tr_cont": reply.headers.get("tr_cont", "")}
    return httpx.Response(reply.status_code, content=reply.content, headers=headers)


def connect(host: StandIn, home: Path, **changes: Any) -> KisConnection:
    """A connection to the stand-in, without waiting and without limits."""
    options: dict[str, Any] = {
        "base_url": "http://127.0.0.1:1",
        "app_key": APP_KEY,
        "app_secret": APP_SECRET,
        "account_no": ACCOUNT,
        "personality": "real",
        "home": home,
        "clock": FixedClock(NOW),
        "rate_limit_rps": None,
        "transport": httpx.MockTransport(host),
        "retry_base_seconds": 0.0,
    }
    return open_kis(**{**options, **changes})


def pages(output: str, *parts: Sequence[dict[str, str]], suffix: str, **more: Any) -> list[Reply]:
    """One reply per page, with cursors and page marks as the broker sends them."""
    replies: list[Reply] = []
    for number, rows in enumerate(parts):
        last = number == len(parts) - 1
        mark = "D" if last else "F" if number == 0 else "M"
        cursor = {
            f"ctx_area_fk{suffix}": "12345678^01^".ljust(int(suffix)),
            f"ctx_area_nk{suffix}": (" !^ !^" if last else f"next{number}").ljust(int(suffix)),
        }
        replies.append(ok(mark, **{output: list(rows)}, **cursor, **more))
    return replies


class CountingClock(FixedClock):
    """Stands still, and remembers what it was asked to wait for."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self.waits: list[datetime] = []

    async def sleep_until(self, at: datetime) -> None:
        self.waits.append(at)
        await super().sleep_until(at)
