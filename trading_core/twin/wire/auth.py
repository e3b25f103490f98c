"""Access tokens, WebSocket keys, hash keys and the calls-a-second limit.

Any app key and secret is taken. A token lives 24 hours of the venue's clock; asking again within
six hours gives the same one. App keys are kept as digests only: somebody may try a real one here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from trading_core.twin.wire.envelope import KST, Reply, WireError

LIFETIME = timedelta(hours=24)
SAME_TOKEN_FOR = timedelta(hours=6)
WINDOW_SECONDS = 1.0


@dataclass(slots=True)
class _Token:
    owner: str
    issued_at: datetime
    text: str
    revoked: bool = False
    expired: bool = False

    @property
    def expires_at(self) -> datetime:
        return self.issued_at + LIFETIME


@dataclass(frozen=True, slots=True)
class Approval:
    """A key that opens WebSocket sessions of its owner, until then by the venue's clock."""

    owner: str
    until: datetime


class Tokens:
    """Issues, checks and revokes tokens.

    Args:
        now: The venue's clock, aware UTC.
        monotonic: Wall seconds, for the cooldown between two issues of one app key.
        cooldown_seconds: 60 at the broker; 0 switches the rule off.
        record: Called with every change as a JSON object, before anybody is told of it; what it
            was called with brings everything back through :meth:`restore`.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        *,
        cooldown_seconds: float,
        record: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._cooldown = cooldown_seconds
        self._record = record or (lambda change: None)
        self._newest: dict[str, _Token] = {}
        self._by_text: dict[str, _Token] = {}
        self._asked_at: dict[str, float] = {}
        self.approval_keys: dict[str, Approval] = {}

    def restore(self, change: Mapping[str, Any]) -> None:
        """Do a recorded change again; one of another kind is left alone.

        Raises:
            KeyError, ValueError: it is none of this class.
        """
        match change["do"]:
            case "token":
                issued_at = datetime.fromisoformat(change["at"])
                self._keep(_Token(change["owner"], issued_at, change["token"]))
            case "revoked":
                self._by_text[change["token"]].revoked = True
            case "expired":
                self._by_text[change["token"]].expired = True
            case "approval":
                until = datetime.fromisoformat(change["until"])
                self.approval_keys[change["key"]] = Approval(change["owner"], until)

    def _keep(self, token: _Token) -> None:
        self._newest[token.owner] = token
        self._by_text[token.text] = token

    def issue(self, body: Mapping[str, Any]) -> Reply:
        """``POST /oauth2/tokenP``."""
        owner = _digest(_credential(body, "appkey", "EGW00103", "유효하지 않은 AppKey입니다."))
        _credential(body, "appsecret", "EGW00105", "유효하지 않은 AppSecret입니다.")
        _check_grant(body)
        asked, at = self._asked_at.get(owner), self._monotonic()
        if self._cooldown > 0 and asked is not None and at - asked < self._cooldown:
            raise _oauth_error("EGW00133", "접근토큰 발급 잠시 후 다시 시도하세요(1분당 1회)")
        self._asked_at[owner] = at
        now = self._now()
        token = self._newest.get(owner)
        stale = token is None or token.revoked or token.expired
        if token is None or stale or now - token.issued_at >= SAME_TOKEN_FOR:
            token = _Token(owner, now, _jwt(owner, now))
            at_text = now.isoformat()
            self._record({"do": "token", "owner": owner, "token": token.text, "at": at_text})
            self._keep(token)
        expires = token.expires_at.astimezone(KST)
        return Reply(
            {
                "access_token": token.text,
                "access_token_token_expired": expires.strftime("%Y-%m-%d %H:%M:%S"),
                "token_type": "Bearer",
                "expires_in": max(0, int((token.expires_at - now).total_seconds())),
            }
        )

    def revoke(self, body: Mapping[str, Any]) -> Reply:
        """``POST /oauth2/revokeP``."""
        _credential(body, "appkey", "EGW00103", "유효하지 않은 AppKey입니다.")
        token = self._by_text.get(str(body.get("token", "")))
        if token is None:
            raise _oauth_error("EGW00121", "유효하지 않은 token 입니다.")
        if not token.revoked:
            self._record({"do": "revoked", "token": token.text})
            token.revoked = True
        return Reply({"code": 200, "message": "접근토큰 폐기에 성공하였습니다"})

    def approve(self, body: Mapping[str, Any]) -> Reply:
        """``POST /oauth2/Approval``: the key that opens a WebSocket session."""
        owner = _digest(_credential(body, "appkey", "EGW00103", "유효하지 않은 AppKey입니다."))
        _credential(body, "secretkey", "EGW00105", "유효하지 않은 AppSecret입니다.")
        _check_grant(body)
        key, until = str(uuid.uuid4()), self._now() + LIFETIME
        until_text = until.isoformat()
        self._record({"do": "approval", "owner": owner, "key": key, "until": until_text})
        self.approval_keys[key] = Approval(owner, until)
        return Reply({"approval_key": key})

    def check(self, headers: Mapping[str, str]) -> str:
        """The app key of a request whose token is good; raises :class:`WireError` otherwise."""
        authorization = headers.get("authorization", "").strip()
        if not authorization:
            raise WireError("EGW00122", "token을 전달받지 못했습니다.")
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise WireError("EGW00205", "credentials_type이 유효하지 않습니다.(Bearer)")
        token = self._by_text.get(text.strip())
        app_key = headers.get("appkey", "")
        if not app_key:
            raise WireError("EGW00103", "유효하지 않은 AppKey입니다.")
        if token is None or token.revoked or token.owner != _digest(app_key):
            raise WireError("EGW00121", "유효하지 않은 token 입니다.")
        if token.expired or self._now() >= token.expires_at:
            raise WireError("EGW00123", "기간이 만료된 token 입니다.")
        return app_key

    def expire(self, headers: Mapping[str, str]) -> None:
        """Let the token of a request die before its time."""
        token = self._by_text.get(headers.get("authorization", "").partition(" ")[2].strip())
        if token is not None and not token.expired:
            self._record({"do": "expired", "token": token.text})
            token.expired = True


class CallLimiter:
    """At most ``per_second`` calls of one app key within any second; None for no limit."""

    def __init__(
        self, monotonic: Callable[[], float], per_second: float | None, *, status: int
    ) -> None:
        self._monotonic = monotonic
        self._allowed = None if per_second is None else max(1, int(per_second))
        self._status = status
        self._calls: dict[str, deque[float]] = {}

    def error(self) -> WireError:
        return WireError("EGW00201", "초당 거래건수를 초과하였습니다.", status=self._status)

    def take(self, app_key: str) -> None:
        """Count a call; raises :class:`WireError` when there were too many."""
        if self._allowed is None:
            return
        now = self._monotonic()
        calls = self._calls.setdefault(app_key, deque())
        while calls and now - calls[0] >= WINDOW_SECONDS:
            calls.popleft()
        if len(calls) >= self._allowed:
            raise self.error()
        calls.append(now)


def hash_key(body: Mapping[str, Any]) -> Reply:
    """``POST /uapi/hashkey``: a digest of an order body, which nobody checks any more."""
    text = json.dumps(body, ensure_ascii=True, sort_keys=True)
    return Reply({"BODY": body, "HASH": hashlib.sha256(text.encode()).hexdigest()})


def _oauth_error(code: str, text: str) -> WireError:
    return WireError(code, text, status=403, rt_cd="")


def _credential(body: Mapping[str, Any], name: str, code: str, text: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _oauth_error(code, text)
    return value


def _check_grant(body: Mapping[str, Any]) -> None:
    if body.get("grant_type") != "client_credentials":
        raise _oauth_error("EGW00115", "유효하지 않은 grant_type입니다.")


@lru_cache(maxsize=256)
def _digest(app_key: str) -> str:
    return hashlib.sha256(app_key.encode("utf-8", "replace")).hexdigest()[:32]


def _jwt(owner: str, now: datetime) -> str:
    claims = {
        "sub": "token",
        "aud": owner,
        "iss": "unogw",
        "exp": int((now + LIFETIME).timestamp()),
        "iat": int(now.timestamp()),
        "jti": secrets.token_hex(12),
    }
    parts = ({"typ": "JWT", "alg": "HS512"}, claims)
    encoded = [_base64(json.dumps(p, separators=(",", ":")).encode()) for p in parts]
    return ".".join([*encoded, _base64(secrets.token_bytes(48))])


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
