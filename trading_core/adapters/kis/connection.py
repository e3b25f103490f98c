"""Opens the broker: one HTTP client, one token, one rate limit, two ports."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import httpx
from httpx_aiohttp import AiohttpTransport

from trading_core.adapters.kis.auth import Credentials, KeyDesk
from trading_core.adapters.kis.broker import KisBroker
from trading_core.adapters.kis.market_data import KisMarketData
from trading_core.adapters.kis.rate_limit import RateLimiter
from trading_core.adapters.kis.redaction import Redactor
from trading_core.adapters.kis.routes import DomesticVenue
from trading_core.adapters.kis.tokens import TokenCache
from trading_core.adapters.kis.tr_table import Endpoint, Personality, Query
from trading_core.adapters.kis.transport import KisTransport
from trading_core.clock import Clock
from trading_core.errors import ConfigError, NotOffered
from trading_core.model.market import Instrument

if TYPE_CHECKING:
    from trading_core.adapters.kis.stream import KisStream
    from trading_core.adapters.kis.stream_health import StreamTiming

_log = logging.getLogger(__name__)

REAL_HOST = "openapi.koreainvestment.com"
PAPER_HOST = "openapivts.koreainvestment.com"
# The broker offers its WebSocket without TLS only. What passes in the clear: the approval key,
# the owner's login and public prices; order notices are encrypted, no order ever goes this way.
STREAM_URLS: Mapping[str, str] = {
    REAL_HOST: "ws://ops.koreainvestment.com:21000",
    PAPER_HOST: "ws://ops.koreainvestment.com:31000",
}
_CLIENT_LOGGERS = ("httpx", "httpcore.http11", "httpcore.connection")
_ACCOUNT = re.compile(r"([0-9]{8})-([0-9]{2})", re.ASCII)
_KEY = re.compile(r"[!-~]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """Where the WebSocket listens ("" for nowhere), and as whom to listen to it."""

    url: str
    lock_path: Path
    clock: Clock
    trust_env: bool
    hts_id: str = field(default="", repr=False)


class KisConnection:
    """An open broker. Use ``async with``, or close it with :meth:`aclose`."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        reader: httpx.AsyncBaseTransport,
        redactor: Redactor,
        *,
        transport: KisTransport,
        broker: KisBroker,
        market_data: KisMarketData,
        stream_place: StreamPlace,
    ) -> None:
        self.transport = transport
        self._stream_place = stream_place
        self.broker = broker
        self.market_data = market_data
        self._client = client
        self._reader = reader
        self._redactor = redactor
        for name in _CLIENT_LOGGERS:
            logging.getLogger(name).addFilter(redactor)

    def __repr__(self) -> str:
        return f"KisConnection({self._client.base_url.host})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def revoke_token(self) -> None:
        """Have the broker take back the shared token, if there is one. Nothing does so by itself.

        Raises:
            BrokerUnavailable, RateLimited: the broker did not confirm it.
        """
        await self.transport.revoke_token()

    def open_stream(
        self,
        *,
        books: bool = False,
        timing: StreamTiming | None = None,
        jitter: random.Random | None = None,
    ) -> KisStream:
        """The price stream and order notices of this app key, to be used with ``async with``.

        Opening it raises ``NotOffered`` while another process holds it; poll the quotes then.

        Args:
            books: Follow order books too, with the room that the trades leave.
            timing: How patient it is.
            jitter: Spreads reconnects.

        Raises:
            NotOffered: this host has no WebSocket that is known here.
        """
        # Loaded by those who listen only.
        from trading_core.adapters.kis.stream import KisStream
        from trading_core.adapters.kis.stream_lock import StreamLock

        place = self._stream_place
        if not place.url:
            raise NotOffered(f"no price stream is known of {self._client.base_url.host}")
        return KisStream(
            place.url,
            personality=self.transport.personality,
            keys=self.transport,
            market_data=self.market_data,
            clock=place.clock,
            account="".join(self.transport.account_fields.values()),
            hts_id=place.hts_id,
            lock=StreamLock(place.lock_path),
            redactor=self._redactor,
            books=books,
            timing=timing,
            jitter=jitter,
            trust_env=place.trust_env,
        )

    async def aclose(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._client.aclose()
        await self._reader.aclose()
        for name in _CLIENT_LOGGERS:
            logging.getLogger(name).removeFilter(self._redactor)


def open_kis(
    *,
    base_url: str,
    app_key: str,
    app_secret: str,
    account_no: str,
    personality: Personality,
    home: Path,
    clock: Clock,
    rate_limit_rps: float | None,
    verify_tls: bool = True,
    hashkey: bool = False,
    route: DomesticVenue = "KRX",
    hts_id: str = "",
    timeout_seconds: float = 10.0,
    instruments: Mapping[str, Instrument] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    retry_base_seconds: float = 1.0,
    endpoints: Mapping[Query, Endpoint] | None = None,
) -> KisConnection:
    """Make a connection; nothing is sent before the first call of a port.

    Args:
        base_url: The REST host, for example ``https://openapi.koreainvestment.com:9443``.
        account_no: ``12345678-01``: account and product.
        personality: Which host's TR ids and limits to use; must fit ``base_url``.
        home: The folder for the shared token and rate-limit files.
        clock: Stamps answers and ages tokens.
        rate_limit_rps: Calls a second, all processes together; None for no limit.
        verify_tls: False is allowed for the paper host alone, whose certificate is known to fail.
        hashkey: Sign orders with the optional hash key (one more call each).
        route: Where Korean orders go: ``KRX``, ``NXT``, or ``SOR`` (the broker chooses).
        hts_id: The account owner's login, which order notices are registered under.
        timeout_seconds: For connecting, sending and every wait for bytes.
        instruments: Tells an overseas symbol's exchange and name where the broker does not.
        transport: Replaces the network, for tests.
        retry_base_seconds: Reads wait ``base * 2**attempt`` seconds between attempts.
        endpoints: Stand in for those of the TR table; an empty TR id switches a query off.

    Raises:
        ConfigError: a key, account or host is not usable.
    """
    account = _ACCOUNT.fullmatch(account_no)
    if account is None:
        raise ConfigError("the account number must look like 12345678-01")
    if not _KEY.fullmatch(app_key) or not _KEY.fullmatch(app_secret):
        raise ConfigError("the app key and secret must be set, without blanks")
    if route != "KRX" and personality == "paper":
        raise ConfigError(f"the paper host sends Korean orders to KRX alone, not to {route}")
    loopback = _check_host(base_url, personality, verify_tls)
    redactor = Redactor()
    redactor.add(app_key, app_secret, account_no, account_no.replace("-", ""), account[1])
    folder = home / "kis"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    client = httpx.AsyncClient(
        base_url=base_url,
        verify=verify_tls,
        timeout=timeout_seconds,
        transport=transport,
        # A proxy must not stand between this process and the twin on the same machine.
        trust_env=not loopback,
        follow_redirects=False,
    )
    app_hash = hashlib.sha256(f"{app_key}|{base_url}".encode()).hexdigest()[:16]
    # For queries alone, which it answers in half the time: it reports a connection that was lost
    # after the request had left like one that could not be made.
    reader = transport or AiohttpTransport(verify=verify_tls, trust_env=client.trust_env)
    credentials = Credentials(app_key, app_secret, account[1], account[2])
    limiter = RateLimiter(folder / f"calls-{app_hash}.bin", rate_limit_rps)
    keys = KeyDesk(client, credentials=credentials, limiter=limiter, redactor=redactor, clock=clock)
    tokens = TokenCache(
        folder, key=f"{app_key}|{base_url}", issue=keys.issue_token, clock=clock, redactor=redactor
    )
    http = KisTransport(
        client,
        reader=reader,
        personality=personality,
        credentials=credentials,
        keys=keys,
        tokens=tokens,
        limiter=limiter,
        redactor=redactor,
        hashkey=hashkey,
        retry_base_seconds=retry_base_seconds,
        endpoints=endpoints,
    )
    known = instruments if instruments is not None else {}
    return KisConnection(
        client,
        reader,
        redactor,
        transport=http,
        broker=KisBroker(http, clock, known, route),
        market_data=KisMarketData(http, clock, known),
        stream_place=StreamPlace(
            _stream_url(base_url, loopback),
            folder / f"stream-{app_hash}.lock",
            clock,
            client.trust_env,
            hts_id,
        ),
    )


def _stream_url(base_url: str, loopback: bool) -> str:
    address = urlsplit(base_url)
    if loopback:
        return f"ws://{address.netloc}/"
    return STREAM_URLS.get((address.hostname or "").lower(), "")


def _check_host(base_url: str, personality: Personality, verify_tls: bool) -> bool:
    """Refuse unsafe or contradictory hosts; True for this machine."""
    address = urlsplit(base_url)
    host = (address.hostname or "").lower()
    loopback = _is_loopback(host)
    if address.scheme not in ("http", "https") or not host:
        raise ConfigError("the broker's address must start with https://")
    if address.scheme == "http" and not loopback:
        raise ConfigError(f"keys are not sent to {host} without TLS; use https://")
    if (personality, host) in (("real", PAPER_HOST), ("paper", REAL_HOST)):
        raise ConfigError(f"{host} is not the broker's {personality} host")
    if not verify_tls:
        if host != PAPER_HOST:
            raise ConfigError(f"TLS checks can be switched off for {PAPER_HOST} only")
        _log.warning("TLS certificates of %s are not checked", PAPER_HOST)
    return loopback


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
