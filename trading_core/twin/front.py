"""What answers the requests of a twin: faults first, then the gateway, then the stream's notices.

Header names are written as the broker writes them: standard ones in Title-Case, ``tr_id``,
``tr_cont`` and ``gt_uid`` in lower case, which some clients rely on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any, Literal, TypedDict

from aiohttp import web
from multidict import CIMultiDict

from trading_core.errors import ConfigError, TradingError
from trading_core.model.market import Currency
from trading_core.twin.faults import FaultAction, FaultPlan, FaultRule, fate_of, skew_of
from trading_core.twin.state import Event
from trading_core.twin.stream.hub import HEARTBEAT_SECONDS, StreamHub, wants_stream
from trading_core.twin.stream.layouts import Layout
from trading_core.twin.venue import RefusalKind, Venue
from trading_core.twin.wire import admin
from trading_core.twin.wire.auth import CallLimiter, Tokens
from trading_core.twin.wire.codes import refusal_error
from trading_core.twin.wire.desk import Desk, Personality
from trading_core.twin.wire.envelope import Reply, WireError, WireRequest, failure
from trading_core.twin.wire.gateway import Gateway, tidy_path

ClockMode = Literal["stepped", "running"]
CLOCK_STEP_SECONDS = 0.05
_CONTENT_TYPE = "application/json;charset=UTF-8"
_TR_ID = re.compile(r"[A-Za-z0-9]{1,16}")
_JSON = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
_REPLY_PREFIX = secrets.token_hex(8)
_reply_numbers = itertools.count(1)
_log = logging.getLogger(__name__)


class TwinOptions(TypedDict, total=False):
    """How the twin behaves; every key has a default.

    ``personality``: ``real`` (default) or ``paper``, with its own TR ids and texts; ``both``
    answers each request as the host its TR id belongs to.
    ``rate_limit_rps``: calls a second and app key; None (default) for no limit.
    ``rate_limit_status``: HTTP status of a refused call, 500 as at the broker.
    ``token_cooldown_seconds``: wall seconds between two token requests of one app key; 0 for none.
    ``clock``: ``stepped`` (default) moves by ``POST /twin/clock`` only, ``running`` by itself.
    ``speed``: venue seconds a wall second, for a running clock.
    ``follow``: where a running clock belongs now, in place of ``speed``; called at every step.
    ``layout``: fields of the stream's records, ``2026-09`` (default) or ``legacy``.
    ``heartbeat_seconds``: wall seconds between two PINGPONGs of the stream, 10 by default.
    ``faults``: rules in force from the start.
    ``begin_session``: puts the venues on the tapes of a date, or of the next session when None;
    without it ``POST /twin/clock`` cannot go beyond the session.
    ``record``: takes every change of tokens and keys before anybody is told of it.
    ``recorded``: what ``record`` was given earlier, to be brought back.
    ``on_close``: called when the server has stopped.
    ``rates``: won per unit of each currency, the same for good; else they change every day.
    """

    personality: Personality
    rate_limit_rps: float | None
    rate_limit_status: int
    token_cooldown_seconds: float
    clock: ClockMode
    speed: float
    follow: Callable[[], datetime] | None
    layout: Layout
    heartbeat_seconds: float
    faults: FaultPlan | None
    begin_session: Callable[[date | None], None] | None
    record: Callable[[Mapping[str, Any]], None] | None
    recorded: Sequence[Event]
    on_close: Callable[[], None]
    rates: Mapping[Currency, Decimal]


class TwinServer:
    """Reads requests, applies faults and writes replies; the gateway knows the protocol."""

    def __init__(self, venues: Sequence[Venue], options: TwinOptions) -> None:
        self.clock: ClockMode = options.get("clock", "stepped")
        self.speed = options.get("speed", 1.0)
        if self.speed <= 0:
            raise ConfigError(f"speed={self.speed}: must be above 0")
        self.layout: Layout = options.get("layout", "2026-09")
        rps = options.get("rate_limit_rps")
        if rps is not None and rps <= 0:
            raise ConfigError(f"rate_limit_rps={rps}: must be above 0")
        self.faults = options.get("faults") or FaultPlan()
        self.desk = Desk(
            venues,
            personality=options.get("personality", "real"),
            rates=options.get("rates"),
        )
        cooldown = options.get("token_cooldown_seconds", 0.0)
        record = options.get("record")
        tokens = Tokens(
            lambda: self.desk.now, time.monotonic, cooldown_seconds=cooldown, record=record
        )
        for event in options.get("recorded", ()):
            tokens.restore(event)
        status = options.get("rate_limit_status", 500)
        limiter = CallLimiter(time.monotonic, rps, status=status)
        self.gateway = Gateway(self.desk, tokens, limiter)
        heartbeat = options.get("heartbeat_seconds", HEARTBEAT_SECONDS)
        if heartbeat <= 0:
            raise ConfigError(f"heartbeat_seconds={heartbeat}: must be above 0")
        self.hub = StreamHub(
            self.desk,
            tokens.approval_keys,
            self.faults,
            layout=self.layout,
            heartbeat_seconds=heartbeat,
        )
        self._begin_session = options.get("begin_session")
        self._follow = options.get("follow") or self._by_speed
        self._anchor = (self.desk.now, time.monotonic())
        self._dated: tuple[int, str] = (0, "")
        self.requests = 0
        self.spoiled = 0
        self.door = admin.SideDoor(self.desk, self.faults, self._about, self._go_on)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request at all."""
        door = request.path.startswith("/twin/")
        return await (self.admin(request) if door else self.broker(request))

    async def broker(self, request: web.Request) -> web.StreamResponse:
        """Any request of the broker's own surface; an upgrade goes to the stream."""
        if wants_stream(request):
            return await self.hub.attend(request)
        response = await self._reply(request)
        if self.hub.holding:
            # The reply leaves before the notices of what it did.
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                await response.write_eof()
            self.hub.release()
        return response

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        tr_id = request.headers.get("tr_id", "")
        try:
            body = b"" if request.method == "GET" else await request.read()
        except web.HTTPRequestEntityTooLarge:
            error = WireError("EGW00101", "요청이 너무 큽니다.", status=413)
            return self._written(failure(error), "")
        wire = _wire_request(request, body)
        if not self.faults.rules:
            return self._written(self.gateway.answer(wire), tr_id)
        rules = self.faults.strike(tidy_path(request.path), tr_id)
        if not rules:
            return self._written(self.gateway.answer(wire), tr_id)
        self.spoiled += 1
        return await self._spoiled(request, wire, tr_id, rules)

    async def _spoiled(
        self, request: web.Request, wire: WireRequest, tr_id: str, rules: Sequence[FaultRule]
    ) -> web.StreamResponse:
        actions = {rule.action for rule in rules}
        skew = skew_of(rules)
        if FaultAction.DROP_BEFORE in actions:
            return _cut(request)
        refused = self._refused(rules, actions)
        if refused is not None:
            return self._written(refused, tr_id, skew)
        if FaultAction.EXPIRE_TOKEN in actions:
            self.gateway.tokens.expire(wire.headers)
        reply = self.gateway.answer(wire, fate_of(rules))
        if FaultAction.DUPLICATE in actions:
            self.gateway.answer(wire, fate_of(rules))
        delay = sum(rule.delay_ms for rule in rules)
        if delay:
            await asyncio.sleep(delay / 1000)
        if FaultAction.DROP_AFTER in actions:
            return _cut(request)
        if FaultAction.HTTP_500_AFTER in actions:
            error = WireError("EGW00302", "서비스 처리 시간이 초과되었습니다.")
            return self._written(failure(error), tr_id, skew)
        if FaultAction.GARBAGE in actions:
            return web.Response(body=b"<html>\xff\xfe{", headers={"Content-Type": _CONTENT_TYPE})
        return self._written(admin.skewed(reply, skew), tr_id, skew)

    def _refused(self, rules: Sequence[FaultRule], actions: set[FaultAction]) -> Reply | None:
        """The reply of a fault that lets nothing happen, None when there is none."""
        if FaultAction.HTTP_500 in actions:
            return failure(WireError("EGW00300", "고객식별키 라우팅에 실패했습니다."))
        if FaultAction.RATE_LIMIT in actions:
            return failure(self.gateway.limiter.error())
        for rule in rules:
            if rule.action is FaultAction.REJECT:
                paper = self.desk.paper
                error = refusal_error(RefusalKind.NOT_SUPPORTED, paper=paper, overseas=False)
                if rule.code:
                    error = WireError(rule.code, rule.text, rt_cd=error.rt_cd, status=200)
                return failure(error, padded=True)
        return None

    def _written(self, reply: Reply, tr_id: str, skew: float = 0.0) -> web.Response:
        # A lone surrogate can come in as an escape in JSON and must not break the reply.
        body = _JSON.encode(reply.body).encode("utf-8", "replace")
        headers = CIMultiDict(
            (
                ("Content-Type", _CONTENT_TYPE),
                ("tr_id", tr_id if _TR_ID.fullmatch(tr_id) else ""),
                ("tr_cont", reply.tr_cont),
                ("gt_uid", f"{_REPLY_PREFIX}{next(_reply_numbers):016x}"),
                ("Date", self._date(skew)),
            )
        )
        return web.Response(body=body, status=reply.status, headers=headers)

    def _date(self, skew: float) -> str:
        """The venue's clock as HTTP writes it; written once a second of that clock."""
        second = int(self.desk.now.timestamp() + skew)
        if self._dated[0] != second:
            at = datetime.fromtimestamp(second, UTC)
            self._dated = (second, format_datetime(at, usegmt=True))
        return self._dated[1]

    async def admin(self, request: web.Request) -> web.StreamResponse:
        """Any request of the side door."""
        try:
            body = await _admin_body(request)
            path = tidy_path(request.path)
            answer = self.door.answer(request.method, path, body)
            if path == "/twin/clock":
                self.hub.publish()
            return web.json_response(answer)
        except (admin.AdminError, ValueError, TradingError) as error:
            return web.json_response({"error": str(error)}, status=400)
        except web.HTTPRequestEntityTooLarge:
            return web.json_response({"error": "the request is too large"}, status=413)

    def _about(self) -> dict[str, Any]:
        """What the server itself adds to the state of the venues."""
        return {
            "layout": self.layout,
            "stream_sessions": self.hub.connected,
            "clock": self.clock,
            "speed": self.speed,
            "requests": self.requests,
            "spoiled": self.spoiled,
        }

    def _go_on(self, day: date | None) -> None:
        if self._follow != self._by_speed:
            raise admin.AdminError("this twin lives in the present; nobody can move its clock")
        if self._begin_session is None:
            raise admin.AdminError(
                "this twin has one session only; start it with ouroboros twin serve to go on"
            )
        self._begin_session(day)
        self._anchor = (self.desk.now, time.monotonic())

    async def run_clock(self) -> None:
        """Move the venues with the wall clock, ``speed`` times as fast, until cancelled."""
        self._anchor = (self.desk.now, time.monotonic())
        try:
            while True:
                await asyncio.sleep(CLOCK_STEP_SECONDS)
                self.desk.advance_to(self._follow())
                self.hub.publish(repeat=False)
        except Exception:
            _log.exception("the twin's clock stopped")
            raise

    def _by_speed(self) -> datetime:
        begun, started = self._anchor
        return begun + timedelta(seconds=(time.monotonic() - started) * self.speed)


def _wire_request(request: web.Request, body: bytes) -> WireRequest:
    query: dict[str, str] = {}
    for key, value in request.query.items():
        query.setdefault(key.upper(), value)
    # The mapping of headers finds a name however it is written.
    return WireRequest(request.method, request.path, request.headers, query, body)


def _cut(request: web.Request) -> web.StreamResponse:
    """Close the connection without a word."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _admin_body(request: web.Request) -> Any:
    if request.method != "POST":
        return None
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError):
        raise admin.AdminError("the body is not JSON") from None
