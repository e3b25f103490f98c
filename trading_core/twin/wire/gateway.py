"""The door of the broker: checks a request in the broker's order and has it answered."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from trading_core.twin.venue import VenueRefusal
from trading_core.twin.wire.auth import CallLimiter, Tokens, hash_key
from trading_core.twin.wire.codes import refusal_error
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.endpoints import ENDPOINTS, Endpoint, Family, Transaction
from trading_core.twin.wire.envelope import (
    Call,
    Reply,
    WireError,
    WireRequest,
    failure,
    input_error,
)

LONGEST_VALUE = 200
_SLASHES = re.compile("/{2,}")
_log = logging.getLogger(__name__)


class Gateway:
    """Answers requests one at a time; the order book changes only inside :meth:`answer`."""

    def __init__(self, desk: Desk, tokens: Tokens, limiter: CallLimiter) -> None:
        self.desk = desk
        self.tokens = tokens
        self.limiter = limiter

    def answer(self, request: WireRequest) -> Reply:
        """The reply to any request; never raises."""
        path = tidy_path(request.path)
        endpoint = ENDPOINTS.get(path)
        padded = endpoint is not None and endpoint.family is not Family.QUOTE
        try:
            if endpoint is None:
                return self._plain_path(path, request)
            return self._transact(endpoint, request)
        except WireError as error:
            return failure(error, padded=padded)
        except VenueRefusal as refusal:
            overseas = endpoint is not None and endpoint.overseas
            coded = refusal_error(refusal.kind, paper=self.desk.paper, overseas=overseas)
            return failure(coded, padded=padded)
        except Exception:
            # The client must get an envelope whatever goes wrong here; the log has the cause.
            _log.exception("no answer for %s %s", request.method, path)
            return failure(WireError("EGW00002", "서버 에러가 발생했습니다."))

    def _plain_path(self, path: str, request: WireRequest) -> Reply:
        if request.method == "POST":
            if path == "/oauth2/tokenP":
                return self.tokens.issue(_json_object(request))
            if path == "/oauth2/revokeP":
                return self.tokens.revoke(_json_object(request))
            if path in ("/oauth2/Approval", "/uapi/hashkey"):
                body = _json_object(request)
                app_key = request.headers.get("appkey") or str(body.get("appkey", ""))
                self.limiter.take(app_key)
                return self.tokens.approve(body) if "oauth2" in path else hash_key(body)
        raise WireError("EGW00203", "API 라우팅 중 오류가 발생했습니다.", status=404)

    def _transact(self, endpoint: Endpoint, request: WireRequest) -> Reply:
        app_key = self.tokens.check(request.headers)
        self.limiter.take(app_key)
        if request.method != endpoint.method:
            raise WireError("EGW00203", "API 라우팅 중 오류가 발생했습니다.")
        tr_id = request.headers.get("tr_id", "").strip()
        transaction = self._transaction(endpoint, tr_id)
        if request.headers.get("custtype", "P") not in ("P", "B", ""):
            raise WireError("EGW00208", "유효하지 않은 custtype입니다.")
        posted = endpoint.family is Family.ORDER
        params = _order_fields(_json_object(request)) if posted else _shortened(request.query)
        for key in endpoint.required:
            if key not in params:
                raise input_error(f"ERROR INPUT FIELD NOT FOUND [{key}]")
        call = Call(
            tr_id=tr_id,
            variant=transaction.variant,
            params=params,
            continued=request.headers.get("tr_cont", "").strip().upper() == "N",
            paper=self.desk.paper,
            size=transaction.size,
        )
        return endpoint.handler(self.desk, call)

    def _transaction(self, endpoint: Endpoint, tr_id: str) -> Transaction:
        transaction = endpoint.transactions.get(tr_id)
        if transaction is None:
            raise WireError("OPSQ0002", "없는 서비스 코드 입니다", status=200)
        if self.desk.personality not in transaction.hosts:
            if self.desk.paper:
                raise WireError("EGW02006", "모의투자 TR 이 아닙니다.")
            raise WireError("EGW02004", "실전투자 TR 이 아닙니다.")
        return transaction


def tidy_path(path: str) -> str:
    """The path with doubled slashes joined and none at its end."""
    return (_SLASHES.sub("/", path) if "//" in path else path).rstrip("/")


def _json_object(request: WireRequest) -> Mapping[str, Any]:
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise WireError("EGW00101", "유효하지 않은 요청입니다.", status=400)
    return body


def _order_fields(body: Mapping[str, Any]) -> Mapping[str, str]:
    """The body of an order: upper-case keys with texts; a number is no text."""
    for key, value in body.items():
        if not isinstance(value, str):
            raise input_error(f"ERROR INPUT FIELD NOT FOUND [{key[:LONGEST_VALUE]}]")
    return _shortened(body)


def _shortened(fields: Mapping[str, str]) -> Mapping[str, str]:
    for key, value in fields.items():
        if len(value) > LONGEST_VALUE:
            raise input_error(f"ERROR INPUT FIELD LENGTH [{key[:20]}]", "OPSQ2002")
    return fields
