"""The broker's look-alike on loopback: HTTP and WebSocket in front of a venue.

The server speaks the broker's protocol and has a side door under ``/twin`` for its clock, its book
and its faults. What answers a request is in :mod:`.front`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Unpack

from aiohttp import web

from trading_core.errors import ConfigError
from trading_core.twin.front import TwinOptions as TwinOptions
from trading_core.twin.front import TwinServer
from trading_core.twin.venue import Venue

LARGEST_BODY = 1024 * 1024
SHUTDOWN_SECONDS = 1.0
# A market of orders is kept for good, and looking through it for rubbish would stop the server for
# longer the more of it there is.
RARELY = (100_000, 50, 1_000)


def build_app(venue: Venue | Sequence[Venue], **options: Unpack[TwinOptions]) -> web.Application:
    """An application that speaks the broker's protocol over one venue, or one per market group.

    Raises:
        ConfigError: an option is out of its range.
    """
    venues = list(venue) if isinstance(venue, Sequence) else [venue]
    server = TwinServer(venues, options)
    app = web.Application(client_max_size=LARGEST_BODY)
    # One route, told apart by hand: looking a path up costs more than answering some of them.
    app.router.add_route("*", "/{tail:.*}", server.handle)
    app.on_shutdown.append(server.hub.close)
    on_close = options.get("on_close")
    if on_close is not None:

        async def close(_app: web.Application) -> None:
            on_close()

        app.on_cleanup.append(close)
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
        # Tapes and replayed books live as long as the process; no collection need look at them.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*RARELY)
        try:
            on_listening(twin.base_url)
            await stop.wait()
        finally:
            await twin.stop()

    asyncio.run(run())
