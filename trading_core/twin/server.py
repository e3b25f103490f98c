"""The broker's look-alike on loopback: HTTP in front of a venue.

The server speaks the broker's REST protocol and has a side door under ``/twin`` for its clock, its
book and its faults. Header names are written as the broker writes them: standard ones in
Title-Case, ``tr_id``, ``tr_cont`` and ``gt_uid`` in lower case, which some clients rely on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import re
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal, TypedDict, Unpack

from aiohttp import web

from trading_core.errors import ConfigError
from trading_core.model.market import Currency
from trading_core.twin.faults import FaultAction, FaultPlan, FaultRule, parse_plan
from trading_core.twin.venue import Venue
from trading_core.twin.wire import admin
from trading_core.twin.wire.auth import CallLimiter, Tokens
from trading_core.twin.wire.codes import NOMINAL_RATES
from trading_core.twin.wire.desk import Desk, Personality
from trading_core.twin.wire.envelope import Reply, WireError, WireRequest, failure
from trading_core.twin.wire.gateway import Gateway, tidy_path

ClockMode = Literal["stepped", "running"]
CLOCK_STEP_SECONDS = 0.05
LARGEST_BODY = 1024 * 1024
SHUTDOWN_SECONDS = 1.0
_CONTENT_TYPE = "application/json;charset=UTF-8"
_TR_ID = re.compile(r"[A-Za-z0-9]{1,16}")
_log = logging.getLogger(__name__)


class TwinOptions(TypedDict, total=False):
    """How the twin behaves; every key has a default.

    ``personality``: ``real`` (default) or ``paper``, with its own TR ids and texts.
    ``rate_limit_rps``: calls a second and app key; None (default) for no limit.
    ``rate_limit_status``: HTTP status of a refused call, 500 as at the broker.
    ``token_cooldown_seconds``: wall seconds between two token requests of one app key; 0 for none.
    ``clock``: ``stepped`` (default) moves by ``POST /twin/clock`` only, ``running`` by itself.
    ``speed``: venue seconds a wall second, for a running clock.
    ``faults``: rules in force from the start.
    ``rates``: won per unit of each currency, for the fields that state foreign money in won.
    """

    personality: Personality
    rate_limit_rps: float | None
    rate_limit_status: int
    token_cooldown_seconds: float
    clock: ClockMode
    speed: float
    faults: FaultPlan | None
    rates: Mapping[Currency, Decimal]


class TwinServer:
    """Reads requests, applies faults and writes replies; the gateway knows the protocol."""

    def __init__(self, venues: Sequence[Venue], options: TwinOptions) -> None:
        self.clock: ClockMode = options.get("clock", "stepped")
        self.speed = options.get("speed", 1.0)
        if self.speed <= 0:
            raise ConfigError(f"speed={self.speed}: must be above 0")
        rps = options.get("rate_limit_rps")
        if rps is not None and rps <= 0:
            raise ConfigError(f"rate_limit_rps={rps}: must be above 0")
        self.faults = options.get("faults") or FaultPlan()
        self.desk = Desk(
            venues,
            personality=options.get("personality", "real"),
            rates=options.get("rates", NOMINAL_RATES),
        )
        cooldown = options.get("token_cooldown_seconds", 0.0)
        tokens = Tokens(lambda: self.desk.now, time.monotonic, cooldown_seconds=cooldown)
        status = options.get("rate_limit_status", 500)
        limiter = CallLimiter(time.monotonic, rps, status=status)
        self.gateway = Gateway(self.desk, tokens, limiter)

    async def broker(self, request: web.Request) -> web.StreamResponse:
        """Any request of the broker's own surface."""
        tr_id = request.headers.get("tr_id", "")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _written(failure(WireError("EGW00101", "요청이 너무 큽니다.", status=413)), "")
        rules = self.faults.strike(tidy_path(request.path), tr_id)
        wire = _wire_request(request, body)
        if not rules:
            return _written(self.gateway.answer(wire), tr_id)
        return await self._spoiled(request, wire, tr_id, rules)

    async def _spoiled(
        self, request: web.Request, wire: WireRequest, tr_id: str, rules: Sequence[FaultRule]
    ) -> web.StreamResponse:
        actions = {rule.action for rule in rules}
        if FaultAction.DROP_BEFORE in actions:
            return _cut(request)
        if FaultAction.HTTP_500 in actions:
            error = WireError("EGW00300", "고객식별키 라우팅에 실패했습니다.")
            return _written(failure(error), tr_id)
        if FaultAction.RATE_LIMIT in actions:
            return _written(failure(self.gateway.limiter.error()), tr_id)
        if FaultAction.EXPIRE_TOKEN in actions:
            self.gateway.tokens.expire(wire.headers)
        reply = self.gateway.answer(wire)
        if FaultAction.DUPLICATE in actions:
            self.gateway.answer(wire)
        delay = sum(rule.delay_ms for rule in rules if rule.action is FaultAction.DELAY)
        if delay:
            await asyncio.sleep(delay / 1000)
        if FaultAction.DROP_AFTER in actions:
            return _cut(request)
        if FaultAction.HTTP_500_AFTER in actions:
            error = WireError("EGW00302", "서비스 처리 시간이 초과되었습니다.")
            return _written(failure(error), tr_id)
        if FaultAction.GARBAGE in actions:
            return web.Response(body=b"<html>\xff\xfe{", headers={"Content-Type": _CONTENT_TYPE})
        return _written(reply, tr_id)

    async def admin(self, request: web.Request) -> web.StreamResponse:
        """Any request of the side door."""
        try:
            body = await _admin_body(request)
            return _admin_reply(self._administer(request.method, tidy_path(request.path), body))
        except (admin.AdminError, ValueError) as error:
            return _admin_reply({"error": str(error)}, status=400)
        except web.HTTPRequestEntityTooLarge:
            return _admin_reply({"error": "the request is too large"}, status=413)

    def _administer(self, method: str, path: str, body: Any) -> dict[str, Any]:
        match method, path:
            case "GET", "/twin/state":
                rules = [rule.as_json() for rule in self.faults.rules]
                mine = {"clock": self.clock, "speed": self.speed, "faults": rules}
                return admin.state(self.desk) | mine
            case "GET", "/twin/book":
                return admin.book(self.desk)
            case "GET", "/twin/instruments":
                return admin.instruments(self.desk)
            case "POST", "/twin/clock":
                if self.clock == "running":
                    raise admin.AdminError("the clock of this twin runs by itself")
                return admin.advance(self.desk, body)
            case "POST", "/twin/faults":
                rules_in, replace = parse_plan(body)
                self.faults.install(rules_in, replace=replace)
                return {"rules": [rule.as_json() for rule in self.faults.rules]}
        raise admin.AdminError(f"{method} {path} is not offered")

    async def run_clock(self) -> None:
        """Move the venues with the wall clock, ``speed`` times as fast, until cancelled."""
        begun, started = self.desk.now, time.monotonic()
        try:
            while True:
                await asyncio.sleep(CLOCK_STEP_SECONDS)
                passed = (time.monotonic() - started) * self.speed
                self.desk.advance_to(begun + timedelta(seconds=passed))
        except Exception:
            _log.exception("the twin's clock stopped")
            raise


def build_app(venue: Venue | Sequence[Venue], **options: Unpack[TwinOptions]) -> web.Application:
    """An application that speaks the broker's protocol over one venue, or one per market group.

    Raises:
        ConfigError: an option is out of its range.
    """
    venues = list(venue) if isinstance(venue, Sequence) else [venue]
    server = TwinServer(venues, options)
    app = web.Application(client_max_size=LARGEST_BODY)
    app.router.add_route("*", "/twin/{tail:.*}", server.admin)
    app.router.add_route("*", "/{tail:.*}", server.broker)
    if server.clock == "running":

        async def clock(_app: web.Application) -> AsyncIterator[None]:
            task = asyncio.create_task(server.run_clock())
            yield
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

        app.cleanup_ctx.append(clock)
    return app


@dataclass(slots=True)
class RunningTwin:
    """A twin that listens."""

    base_url: str
    port: int
    _runner: web.AppRunner

    async def stop(self) -> None:
        """Close the sockets and stop the clock; safe to call twice."""
        await self._runner.cleanup()


async def serve(
    venue: Venue | Sequence[Venue],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    allow_remote: bool = False,
    **options: Unpack[TwinOptions],
) -> RunningTwin:
    """Listen on ``host``; port 0 takes any free one.

    Raises:
        ConfigError: ``host`` is not loopback and ``allow_remote`` is not set.
        OSError: the port is taken.
    """
    if not allow_remote and not is_loopback(host):
        raise ConfigError(
            f"the twin listens on loopback only, not on {host!r}; it takes any key and secret"
        )
    app = build_app(venue, **options)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except BaseException:
        await runner.cleanup()
        raise
    address = runner.addresses[0]
    name = f"[{address[0]}]" if ":" in address[0] else address[0]
    return RunningTwin(f"http://{name}:{address[1]}", address[1], runner)


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def run_forever(
    venue: Venue | Sequence[Venue],
    *,
    on_listening: Callable[[str], None],
    host: str = "127.0.0.1",
    port: int = 0,
    allow_remote: bool = False,
    **options: Unpack[TwinOptions],
) -> None:
    """Serve until SIGINT or SIGTERM; for the main thread of a process of its own.

    ``on_listening`` is called once with the base URL. Raises as :func:`serve`.
    """

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, stop.set)
        twin = await serve(venue, host=host, port=port, allow_remote=allow_remote, **options)
        try:
            on_listening(twin.base_url)
            await stop.wait()
        finally:
            await twin.stop()

    asyncio.run(run())


def _wire_request(request: web.Request, body: bytes) -> WireRequest:
    query: dict[str, str] = {}
    for key, value in request.query.items():
        query.setdefault(key.upper(), value)
    headers = {key.lower(): value for key, value in request.headers.items()}
    return WireRequest(request.method, request.path, headers, query, body)


def _written(reply: Reply, tr_id: str) -> web.Response:
    text = json.dumps(reply.body, ensure_ascii=False, separators=(",", ":"))
    headers = {
        "Content-Type": _CONTENT_TYPE,
        "tr_id": tr_id if _TR_ID.fullmatch(tr_id) else "",
        "tr_cont": reply.tr_cont,
        "gt_uid": secrets.token_hex(16),
    }
    # A lone surrogate can come in as an escape in JSON and must not break the reply.
    return web.Response(body=text.encode("utf-8", "replace"), status=reply.status, headers=headers)


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


def _admin_reply(body: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.json_response(body, status=status)
