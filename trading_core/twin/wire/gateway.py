"""The door of the broker: checks a request in the broker's order and has it answered."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from trading_core.twin.venue import OrderFate, VenueRefusal
from trading_core.twin.wire.auth import CallLimiter, Tokens, hash_key
from trading_core.twin.wire.codes import refusal_error
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.endpoint import Endpoint, Family, Transaction, unknown_service
from trading_core.twin.wire.endpoints import ENDPOINTS, UNOFFERED
from trading_core.twin.wire.envelope import (
    UNTROUBLED,
    Call,
    Reply,
    WireError,
    WireRequest,
    failure,
    input_error,
)
from trading_core.twin.wire.field_lengths import LONGEST_VALUE, require_lengths

_SLASHES = re.compile("/{2,}")
_log = logging.getLogger(__name__)


class Gateway:
    """Answers requests one at a time; the order book changes only inside :meth:`answer`."""

    def __init__(self, desk: Desk, tokens: Tokens, limiter: CallLimiter) -> None:
        self.desk = desk
        self.tokens = tokens
        self.limiter = limiter

    def answer(self, request: WireRequest, fate: OrderFate = UNTROUBLED) -> Reply:
        """The reply to any request; never raises. ``fate`` befalls an order placed by it."""
        path = tidy_path(request.path)
        endpoint = ENDPOINTS.get(path)
        padded = endpoint is not None and endpoint.family is not Family.QUOTE
        try:
            if endpoint is None:
                return self._plain_path(path, request)
            return self._transact(endpoint, request, fate)
        except WireError as error:
            return failure(error, padded=padded)
        except VenueRefusal as refusal:
            overseas = endpoint is not None and endpoint.overseas
            paper = endpoint is not None and self._on_paper(endpoint, request)
            coded = refusal_error(refusal.kind, paper=paper, overseas=overseas)
            return failure(coded, padded=padded)
        except Exception:
            # The client must get an envelope whatever goes wrong here; the log has the cause.
            _log.exception("no answer for %s %s", request.method, path)
            return failure(WireError("EGW00002", "서버 에러가 발생했습니다."))

    def _plain_path(self, path: str, request: WireRequest) -> Reply:
        if path in UNOFFERED:
            self.limiter.take(self.tokens.check(request.headers))
            raise unknown_service()
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

    def _transact(self, endpoint: Endpoint, request: WireRequest, fate: OrderFate) -> Reply:
        app_key = self.tokens.check(request.headers)
        self.limiter.take(app_key)
        if request.method != endpoint.method:
            raise WireError("EGW00203", "API 라우팅 중 오류가 발생했습니다.")
        tr_id = request.headers.get("tr_id", "").strip()
        transaction = self._transaction(endpoint, tr_id)
        if request.headers.get("custtype", "P") not in ("P", "B", ""):
            raise WireError("EGW00208", "유효하지 않은 custtype입니다.")
        posted = endpoint.family is Family.ORDER
        params = _order_fields(_json_object(request)) if posted else require_lengths(request.query)
        for key in endpoint.required:
            if key not in params:
                raise input_error(f"ERROR INPUT FIELD NOT FOUND [{key}]")
        call = Call(
            tr_id=tr_id,
            variant=transaction.variant,
            params=params,
            continued=request.headers.get("tr_cont", "").strip().upper() == "N",
            paper=self._on_paper(endpoint, request),
            size=transaction.size,
            fate=fate,
        )
        return endpoint.handler(self.desk, call)

    def _on_paper(self, endpoint: Endpoint, request: WireRequest) -> bool:
        """Whether a request is answered as the paper host would."""
        if self.desk.personality != "both":
            return self.desk.paper
        transaction = endpoint.transactions.get(request.headers.get("tr_id", "").strip())
        return transaction is not None and "real" not in transaction.hosts

    def _transaction(self, endpoint: Endpoint, tr_id: str) -> Transaction:
        transaction = endpoint.transactions.get(tr_id)
        if transaction is None:
            raise unknown_service()
        if not self.desk.serves(transaction.hosts):
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
    return require_lengths(body)
