"""The keys that the broker hands out: access token, WebSocket approval key and hash key.

Their replies carry no ``rt_cd``; a failure names ``error_code`` and ``error_description`` instead.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeGuard

import httpx

from trading_core.adapters.kis import codes
from trading_core.adapters.kis.rate_limit import Priority, RateLimiter
from trading_core.adapters.kis.redaction import Redactor
from trading_core.adapters.kis.tokens import SEOUL, IssuedToken
from trading_core.clock import Clock
from trading_core.errors import BrokerError, BrokerUnavailable, RateLimited

_LONGEST_LIFE = timedelta(days=1)
# A key must outlive the connection attempt it was fetched for.
_APPROVAL_LIFE = timedelta(hours=23, minutes=50)
_EXPIRY = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys of one app and the account they trade; never shown."""

    app_key: str = field(repr=False)
    app_secret: str = field(repr=False)
    cano: str = field(repr=False)
    product: str = field(repr=False)

    @property
    def account(self) -> dict[str, str]:
        """The two fields that name the account in every ledger request."""
        return {"CANO": self.cano, "ACNT_PRDT_CD": self.product}


class KeyDesk:
    """Asks the broker for keys, and for tokens to be taken back.

    Args:
        client: Sends the requests; closed by whoever made it.
        limiter: These calls count against the app key's limit like any other.
        redactor: Is told of every key, so that none is ever shown.
        clock: By which an approval key ages.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        credentials: Credentials,
        limiter: RateLimiter,
        redactor: Redactor,
        clock: Clock,
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._limiter = limiter
        self._redactor = redactor
        self._clock = clock
        self._approval = ""
        self._approval_until: datetime | None = None
        self._one_approval_at_a_time = asyncio.Lock()

    async def issue_token(self) -> IssuedToken:
        """Ask for an access token.

        Raises:
            RateLimited: one was issued less than a minute ago.
            BrokerUnavailable: any other failure.
        """
        body = {
            "grant_type": "client_credentials",
            "appkey": self._credentials.app_key,
            "appsecret": self._credentials.app_secret,
        }
        # Whoever needs a token may be an order, and an issue is one call in a day.
        reply = await self._post("/oauth2/tokenP", body, "no access token", Priority.ORDER)
        token, seconds = reply.get("access_token"), reply.get("expires_in")
        if _is_key(token) and type(seconds) is int and seconds > 0:
            self._redactor.add(token)
            lifetime = min(timedelta(seconds=min(seconds, 86_400)), _LONGEST_LIFE)
            return IssuedToken(token, lifetime, _expiry(reply.get("access_token_token_expired")))
        raise self._refusal(reply, "no access token")

    async def revoke_token(self, token: str) -> None:
        """Have the broker take a token back; from then on it is refused everywhere.

        Raises:
            BrokerUnavailable: the broker did not confirm it; the token may still be good.
        """
        body = {
            "appkey": self._credentials.app_key,
            "appsecret": self._credentials.app_secret,
            "token": token,
        }
        reply = await self._post("/oauth2/revokeP", body, "token not revoked", Priority.CANDIDATE)
        if reply.get("code") not in (200, "200"):
            raise self._refusal(reply, "token not revoked")

    async def approval_key(self) -> str:
        """The key that opens a WebSocket session, kept in memory for the day it lives.

        Raises:
            BrokerUnavailable, RateLimited: the broker gave none.
        """
        async with self._one_approval_at_a_time:
            until = self._approval_until
            if until is None or self._clock.now() >= until:
                self._approval = await self._fetch_approval()
                self._approval_until = self._clock.now() + _APPROVAL_LIFE
            return self._approval

    def drop_approval_key(self, key: str) -> None:
        """Forget a key that the broker refused, unless it was replaced already."""
        if key == self._approval:
            self._approval_until = None

    async def _fetch_approval(self) -> str:
        body = {
            "grant_type": "client_credentials",
            "appkey": self._credentials.app_key,
            # The same secret as a token's, under another name.
            "secretkey": self._credentials.app_secret,
        }
        reply = await self._post("/oauth2/Approval", body, "no approval key", Priority.HOLDING)
        key = reply.get("approval_key")
        if not _is_key(key):
            raise self._refusal(reply, "no approval key")
        self._redactor.add(key)
        return key

    async def hash_key(self, content: bytes, headers: Mapping[str, str]) -> str:
        """The signature of an order's very bytes.

        Raises:
            BrokerUnavailable, RateLimited: there is none, so the order was not sent.
        """
        what = "not sent: no hash key"
        reply = await self._post("/uapi/hashkey", content, what, Priority.ORDER, headers)
        value = reply.get("HASH")
        if not isinstance(value, str) or not value.isalnum() or not value.isascii():
            raise self._refusal(reply, what)
        return value

    async def _post(
        self,
        path: str,
        body: Mapping[str, str] | bytes,
        what: str,
        priority: Priority,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        wanted = dict(headers or {"content-type": "application/json; charset=utf-8"})
        await self._limiter.acquire(priority)
        try:
            response = await self._client.post(path, content=content, headers=wanted)
        except Exception as error:
            message = f"{what}: {type(error).__name__}"
            raise codes.Unreachable(self._redactor.clean(message)) from None
        return parse(response.content) or {}

    def _refusal(self, reply: Mapping[str, Any], what: str) -> BrokerError:
        code = codes.code_of(reply.get("error_code", reply.get("msg_cd")))
        reason = codes.explain(code, reply.get("error_description", reply.get("msg1")))
        too_many = code == codes.TOO_MANY_TOKENS or code in codes.TOO_MANY_CALLS
        kind = RateLimited if too_many else BrokerUnavailable
        return kind(self._redactor.clean(f"{what}: {reason}"), self._redactor.clean(code))


def parse(content: bytes) -> Mapping[str, Any] | None:
    """The JSON object of a reply, None when it is anything else."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_key(value: object) -> TypeGuard[str]:
    good = isinstance(value, str) and value.isascii() and value.isprintable()
    return good and bool(value) and " " not in str(value)


def _expiry(value: object) -> datetime | None:
    """``YYYY-MM-DD HH:MM:SS``, Seoul's wall clock without a zone; None when it is not that."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.strptime(value, _EXPIRY).replace(tzinfo=SEOUL)
    except ValueError:
        return None
