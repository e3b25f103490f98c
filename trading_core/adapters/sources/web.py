"""How sources are asked over HTTP: slowly, briefly, and without trust in what comes back.

A body is read up to a limit and no further, packed or not; a good one is kept on disk for a while,
so that asking again soon costs the provider nothing. Each request is made once: nothing here is
worth a second attempt on a morning when time runs towards the open.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import logging
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from trading_core.adapters.kis.redaction import Redactor
from trading_core.clock import Clock
from trading_core.errors import ConfigError, SourceError

MAX_BYTES = 2_000_000
MAX_REDIRECTS = 3
_CLIENT_LOGGERS = ("httpx", "httpcore.http11", "httpcore.connection")
_USER_AGENT = "ouroboros-trader/0.1"


@dataclass(frozen=True, slots=True)
class Service:
    """A provider: where it listens, who we are to it, and how often it may be asked.

    ``headers`` go with every request and ``secret_params`` into its address; neither is shown or
    kept. ``key_setting`` names the setting that a refused key is in. ``pause_seconds`` is the least
    time between two requests. ``follows`` allows redirects, which would carry the headers along.
    """

    name: str
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_params: Mapping[str, str] = field(default_factory=dict, repr=False)
    key_setting: str = ""
    pause_seconds: float = 0.0
    follows: bool = False


class BodyCache:
    """Bodies by address, in files of a folder; what is too old or damaged is not there."""

    def __init__(self, folder: Path, clock: Clock, keep: timedelta) -> None:
        self._folder = folder
        self._clock = clock
        self._keep = keep

    def get(self, url: str) -> bytes | None:
        try:
            stamp, _, body = self._path(url).read_bytes().partition(b"\n")
            age = self._clock.now().timestamp() - float(stamp)
        except (OSError, ValueError):
            return None
        return body if 0 <= age < self._keep.total_seconds() else None

    def put(self, url: str, body: bytes) -> None:
        """Keep it, and throw away what can no longer be used. A full disk is no failure."""
        if not self._keep:
            return
        now = self._clock.now().timestamp()
        path = self._path(url)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in self._folder.glob("*.body"):
                if abs(now - _stamp_of(old)) >= self._keep.total_seconds():
                    old.unlink(missing_ok=True)
            fresh = path.with_suffix(".new")
            fresh.write_bytes(f"{now}\n".encode() + body)
            fresh.replace(path)
        except OSError as error:
            logging.getLogger(__name__).warning("not cached: %s", error.strerror)

    def _path(self, url: str) -> Path:
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.body"


def _stamp_of(path: Path) -> float:
    try:
        with path.open("rb") as file:
            return float(file.readline(40))
    except (OSError, ValueError):
        return 0.0


class Web:
    """The HTTP client of all sources; made once and closed with its process.

    Args:
        timeout_seconds: For one request, from connecting to the last byte.
        trust_env: Whether a proxy of the environment is used for hosts that are not this machine.
    """

    def __init__(self, *, cache: BodyCache, timeout_seconds: float) -> None:
        self._cache = cache
        self._timeout = timeout_seconds
        self._redactor = Redactor()
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._gates: dict[str, _Gate] = {}

    async def __aenter__(self) -> Web:
        for name in _CLIENT_LOGGERS:
            logging.getLogger(name).addFilter(self._redactor)
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in _CLIENT_LOGGERS:
            logging.getLogger(name).removeFilter(self._redactor)
        for client in self._clients.values():
            await client.aclose()

    def register(self, service: Service) -> Service:
        """Check where a provider listens and learn its secrets, before anything is sent.

        Raises:
            ConfigError: an address that is none, or a key that would travel without TLS.
        """
        address = urlsplit(service.base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ConfigError(f"{service.name}: its address must start with https://")
        secrets = [*service.headers.values(), *service.secret_params.values()]
        if address.scheme == "http" and secrets and not _is_local(address.hostname):
            raise ConfigError(f"{service.name}: no key is sent to {address.hostname} without TLS")
        self._redactor.add(*secrets)
        return service

    def hide(self, secret: str) -> None:
        """Keep a text out of the client's log lines."""
        self._redactor.add(secret)

    async def json(self, service: Service, path: str, **params: str) -> Any:
        """The JSON of an answer. Raises as :meth:`body`, and for what is no JSON."""
        body = await self.body(service, path, **params)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise SourceError(f"{service.name} answered something that is not JSON") from None

    async def body(self, service: Service, path: str, **params: str) -> bytes:
        """The body of an answer with status 200, from the cache where it is fresh.

        Raises:
            SourceError: no such answer; the message says what to look at and holds no secret.
        """
        shown = f"{service.base_url.rstrip('/')}{path}"
        shown += f"?{urlencode(params)}" if params else ""
        kept = self._cache.get(shown)
        if kept is not None:
            return kept
        asked = {**params, **service.secret_params}
        url = f"{service.base_url.rstrip('/')}{path}" + (f"?{urlencode(asked)}" if asked else "")
        gate = self._gates.setdefault(service.name, _Gate(service.pause_seconds))
        async with gate.turn():
            body = await self._fetch(service, url)
        self._cache.put(shown, body)
        return body

    async def _fetch(self, service: Service, url: str) -> bytes:
        headers = {"user-agent": _USER_AGENT, "accept-encoding": "gzip", **service.headers}
        try:
            async with asyncio.timeout(self._timeout):
                async with self._client(url).stream(
                    "GET", url, headers=headers, follow_redirects=service.follows
                ) as response:
                    _check_status(service, response.status_code)
                    return await _bounded(service, response)
        except TimeoutError:
            raise SourceError(f"{service.name} gave no answer within {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            # The client's own texts may quote the address, and with it the key.
            raise SourceError(
                f"{service.name} could not be reached ({type(error).__name__})"
            ) from None

    def _client(self, url: str) -> httpx.AsyncClient:
        outside = not _is_local(urlsplit(url).hostname or "")
        client = self._clients.get(outside)
        if client is None:
            client = httpx.AsyncClient(
                timeout=self._timeout, trust_env=outside, max_redirects=MAX_REDIRECTS
            )
            self._clients[outside] = client
        return client


class _Gate:
    """One request at a time, and a pause between two."""

    def __init__(self, pause_seconds: float) -> None:
        self._pause = pause_seconds
        self._lock = asyncio.Lock()
        self._free_at = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        async with self._lock:
            await asyncio.sleep(max(0.0, self._free_at - time.monotonic()))
            try:
                yield
            finally:
                self._free_at = time.monotonic() + self._pause


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_status(service: Service, status: int) -> None:
    if status == 200:
        return
    key = f", check {service.key_setting}" if service.key_setting else ""
    advice = {
        401: key,
        403: f": it refuses this request{key}",
        404: ": nothing is there",
        429: ": asked too often, the quota is used up",
    }.get(status, ": its server failed" if status >= 500 else "")
    raise SourceError(f"{service.name} answered {status}{advice}")


async def _bounded(service: Service, response: httpx.Response) -> bytes:
    """The body as it was before packing; a longer one than allowed is an error, not a part."""
    packed = response.headers.get("content-encoding", "identity").strip().lower()
    if packed not in ("identity", "", "gzip"):
        raise SourceError(f"{service.name} answered in an encoding that was not asked for")
    # Unpacked by hand: the client would inflate whatever a chunk holds, however much that is.
    unpack = zlib.decompressobj(wbits=31) if packed == "gzip" else None
    parts: list[bytes] = []
    left = MAX_BYTES
    async for chunk in response.aiter_raw():
        try:
            part = unpack.decompress(chunk, left + 1) if unpack else chunk
        except zlib.error:
            raise SourceError(
                f"{service.name} answered something that cannot be unpacked"
            ) from None
        left -= len(part)
        if left < 0:
            raise SourceError(f"{service.name} answered more than {MAX_BYTES // 1000} kB")
        parts.append(part)
    if unpack is not None and not unpack.eof:
        raise SourceError(f"{service.name} answered a part only")
    return b"".join(parts)
