"""One connection to the broker's REST host: headers, token, and retries for reads alone.

``rt_cd`` decides success, never the HTTP status. A read may be asked again; an order, modify or
cancel leaves this process exactly once, and what is not certain afterwards is *unknown*.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from trading_core.adapters.kis import codes
from trading_core.adapters.kis.auth import Credentials, KeyDesk, parse
from trading_core.adapters.kis.rate_limit import Priority, RateLimiter
from trading_core.adapters.kis.redaction import Redactor
from trading_core.adapters.kis.tokens import TokenCache
from trading_core.adapters.kis.tr_table import Endpoint, Personality, Query, query_tr
from trading_core.errors import (
    BrokerError,
    BrokerUnavailable,
    NotOffered,
    OrderOutcomeUnknown,
    OrderRejected,
    RateLimited,
    TokenExpired,
)

Body = Mapping[str, Any]

_JSON = "application/json; charset=utf-8"
_MAX_RETRIES = 3
_MAX_PAGES = 100
_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True)
class _Answer:
    """``body`` is None when the reply carries no envelope of the broker."""

    status: int
    tr_cont: str
    body: Body | None

    @property
    def code(self) -> str:
        return codes.code_of(self.body.get("msg_cd") if self.body else None)

    @property
    def ok(self) -> bool:
        return self.body is not None and self.body.get("rt_cd") == "0"

    @property
    def reason(self) -> str:
        return codes.explain(self.code, self.body.get("msg1") if self.body else None)


class KisTransport:
    """Sends requests; every other module of this package speaks through it.

    Args:
        client: Sends orders; closed by whoever made it, like ``reader``.
        reader: Sends queries, past the client: cookies, redirects and the rest of what a client
            does for a request cost more than a quote itself. It need not tell what had left
            before it failed.
        endpoints: Stand in for the table's, for queries that differ from account to account.
        keys: Gets hash keys, approval keys and tokens.
        tokens: The shared access token.
        retry_base_seconds: Reads wait ``base * 2**attempt`` seconds between attempts.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        reader: httpx.AsyncBaseTransport,
        personality: Personality,
        credentials: Credentials,
        keys: KeyDesk,
        tokens: TokenCache,
        limiter: RateLimiter,
        redactor: Redactor,
        hashkey: bool,
        retry_base_seconds: float,
        endpoints: Mapping[Query, Endpoint] | None = None,
    ) -> None:
        self.personality = personality
        self.account_fields = credentials.account
        self._client = client
        self._reader = reader
        self._base_url = str(client.base_url).rstrip("/")
        self.tokens = tokens
        self._keys = keys
        self._limiter = limiter
        self._redactor = redactor
        self._hashkey = hashkey
        self._read_limits = {"timeout": client.timeout.as_dict()}
        self._retry_base = retry_base_seconds
        self._endpoints = endpoints or {}
        self._fixed_headers = {
            "content-type": _JSON,
            "appkey": credentials.app_key,
            "appsecret": credentials.app_secret,
            "custtype": "P",
            "user-agent": client.headers["user-agent"],
        }

    async def approval_key(self) -> str:
        """The key that opens a WebSocket session; asked for at most once in its life of a day.

        Raises:
            BrokerUnavailable, RateLimited: the broker gave none.
        """
        return await self._keys.approval_key()

    def drop_approval_key(self, key: str) -> None:
        """Forget an approval key that the broker refused; the next call asks for a new one."""
        self._keys.drop_approval_key(key)

    async def revoke_token(self) -> None:
        """Have the broker take back the shared token, if there is one; every process loses it.

        Raises:
            BrokerUnavailable, RateLimited: the broker did not confirm it.
        """
        token = self.tokens.current()
        if token:
            await self._keys.revoke_token(token)
            await self.tokens.drop(token)

    async def read(
        self, query: Query, params: Mapping[str, str], priority: Priority | None = None
    ) -> Body:
        """One page of a query; ledger queries go before others unless a priority is given.

        Raises:
            BrokerUnavailable: no usable answer after the retries.
            RateLimited: still too many calls a second after the retries.
            TokenExpired: the token was refused, and so was its replacement.
            NotOffered: the host has no such request.
        """
        return (await self._read(query, params, "", priority)).body or {}

    async def read_pages(self, query: Query, params: Mapping[str, str]) -> list[Body]:
        """All pages of a query, by its cursor or, where it has none, by the header alone.

        A listing that does not end is refused as a whole: half a ledger is not a ledger. Raises as
        :meth:`read`.
        """
        suffix = query.value.cursor
        keys = () if suffix is None else (f"CTX_AREA_FK{suffix}", f"CTX_AREA_NK{suffix}")
        cursor = dict.fromkeys(keys, "")
        pages: list[Body] = []
        for _ in range(_MAX_PAGES):
            answer = await self._read(query, {**params, **cursor}, "N" if pages else "")
            body = answer.body or {}
            pages.append(body)
            if not self._has_more(answer):
                return pages
            fetched = {key: _cursor(body, key) for key in keys}
            if keys and (fetched == cursor or not fetched[keys[1]].strip()):
                break
            cursor = fetched
        raise self._error(BrokerUnavailable, "unusable answer: the pages do not end")

    async def post_order(self, path: str, tr_id: str, body: Mapping[str, str]) -> Body:
        """Send an order, modify or cancel, once, and say what is certain afterwards.

        Returns:
            The ``output`` object of an accepted request.

        Raises:
            OrderRejected: the broker refused it.
            RateLimited, TokenExpired: the gateway refused it; nothing was taken.
            NotOffered: the host has no such request.
            BrokerUnavailable: nothing was sent.
            OrderOutcomeUnknown: it may have been taken.
        """
        token = await self.tokens.get(patient=False)
        content = json.dumps(body).encode()
        headers = self._headers(token, tr_id, "")
        if self._hashkey:
            headers["hashkey"] = await self._keys.hash_key(content, self._fixed_headers)
        await self._limiter.acquire(Priority.ORDER)
        try:
            response = await self._client.post(path, content=content, headers=headers)
        except _NOTHING_SENT as error:
            raise self._error(BrokerUnavailable, f"not sent: {_kind(error)}") from None
        except Exception as error:
            # Whatever it was, it may have come after the bytes had left.
            raise self._error(OrderOutcomeUnknown, f"no answer: {_kind(error)}") from None
        answer = _answer(response)
        output = answer.body.get("output") if answer.body else None
        if isinstance(output, list) and len(output) == 1:
            output = output[0]
        number = output.get("ODNO") if isinstance(output, dict) else None
        if answer.ok and isinstance(output, dict):
            return output
        if answer.body is None or answer.ok or number:
            message = f"HTTP {answer.status} without a usable answer"
            raise self._error(OrderOutcomeUnknown, message, answer.code)
        await self._raise_refusal(answer, token)
        raise AssertionError("a refusal always raises")

    async def _raise_refusal(self, answer: _Answer, token: str) -> None:
        code = answer.code
        if code in codes.TOKEN_DEAD:
            await self.tokens.drop(token)
            raise self._error(TokenExpired, answer.reason, code)
        if code in codes.TOO_MANY_CALLS:
            raise self._error(RateLimited, answer.reason, code)
        if code in codes.NOT_OFFERED:
            raise self._error(NotOffered, answer.reason, code)
        if codes.is_refusal(code):
            raise self._error(OrderRejected, answer.reason, code)
        raise self._error(OrderOutcomeUnknown, answer.reason, code)

    async def _read(
        self,
        query: Query,
        params: Mapping[str, str],
        tr_cont: str,
        priority: Priority | None = None,
    ) -> _Answer:
        if priority is None:
            priority = Priority.HOLDING if query.value.is_ledger else Priority.CANDIDATE
        tr_id = query_tr(self.personality, query, self._endpoints.get(query))
        attempt, renewed = 0, False
        while True:
            try:
                return await self._read_once(query, tr_id, params, tr_cont, priority)
            except TokenExpired as error:
                if renewed or not error.code:
                    raise
                renewed = True
            except BrokerError as error:
                transient = isinstance(error, codes.Unreachable)
                transient = transient or error.code in codes.TRANSIENT_READ
                if not transient or attempt == _MAX_RETRIES:
                    raise
                await asyncio.sleep(self._retry_base * 2**attempt)
                attempt += 1

    async def _read_once(
        self,
        query: Query,
        tr_id: str,
        params: Mapping[str, str],
        tr_cont: str,
        priority: Priority,
    ) -> _Answer:
        token = await self.tokens.get()
        await self._limiter.acquire(priority)
        try:
            response = await self._reader.handle_async_request(
                self._read_request(
                    self._endpoints.get(query, query.value).path,
                    params,
                    self._headers(token, tr_id, tr_cont),
                )
            )
            await response.aread()
            await response.aclose()
        except Exception as error:
            # The reader's transport has error classes of its own; a read that failed is a read
            # that may be repeated.
            raise self._error(codes.Unreachable, f"no answer: {_kind(error)}") from None
        answer = _answer(response)
        code = answer.code
        if answer.ok or (answer.body is not None and code in codes.NOTHING_FOUND):
            return answer
        if answer.body is None:
            kind = codes.Unreachable if answer.status >= 500 else BrokerUnavailable
            raise self._error(kind, f"unusable answer: HTTP {answer.status}")
        if code in codes.TOKEN_DEAD:
            await self.tokens.drop(token)
            raise self._error(TokenExpired, answer.reason, code)
        if code in codes.TOO_MANY_CALLS:
            raise self._error(RateLimited, answer.reason, code)
        if code in codes.NOT_OFFERED:
            raise self._error(NotOffered, answer.reason, code)
        raise self._error(BrokerUnavailable, answer.reason, code)

    def _read_request(
        self, path: str, params: Mapping[str, str], headers: dict[str, str]
    ) -> httpx.Request:
        url = _url(f"{self._base_url}{path}?{urlencode(params, quote_via=quote)}")
        return httpx.Request("GET", url, headers=headers, extensions=self._read_limits)

    def _has_more(self, answer: _Answer) -> bool:
        if answer.tr_cont in ("F", "M"):
            return True
        if answer.tr_cont in ("D", "E"):
            return False
        if answer.tr_cont:
            raise self._error(BrokerUnavailable, "unusable answer: unknown page mark")
        return answer.code == codes.MORE_TO_COME

    def _headers(self, token: str, tr_id: str, tr_cont: str) -> dict[str, str]:
        return {
            **self._fixed_headers,
            "authorization": f"Bearer {token}",
            "tr_id": tr_id,
            "tr_cont": tr_cont,
        }

    def _error(self, kind: type[BrokerError], message: str, code: str = "") -> BrokerError:
        return kind(self._redactor.clean(message), self._redactor.clean(code))


@lru_cache(maxsize=4096)
def _url(text: str) -> httpx.URL:
    """A tick asks for the same addresses as the one before; taking one apart is not cheap."""
    return httpx.URL(text)


def _kind(error: Exception) -> str:
    # The client's own texts may quote the request's address, so only the name is passed on.
    return type(error).__name__


def _answer(response: httpx.Response) -> _Answer:
    body = parse(response.content)
    if body is not None and not isinstance(body.get("rt_cd"), str):
        body = None
    return _Answer(response.status_code, response.headers.get("tr_cont", "").strip(), body)


def _cursor(body: Body, key: str) -> str:
    value = body.get(key.lower(), "")
    return value if isinstance(value, str) else ""
