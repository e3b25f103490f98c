"""An S3 server on loopback, and wires to it that cut, stall or change what they carry."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx
from moto.server import ThreadedMotoServer

BUCKET = "trades-off-site"


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a server with no bucket in it yet."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def emptied(url: str) -> None:
    """Forget everything, and have one empty bucket."""
    httpx.post(f"{url}/moto-api/reset", trust_env=False).raise_for_status()
    httpx.put(f"{url}/{BUCKET}", trust_env=False).raise_for_status()


@contextmanager
def asking_for_keys(url: str) -> Iterator[None]:
    """Every request has to be signed by a known user from now on, and there is none."""
    httpx.post(f"{url}/moto-api/reset-auth", content=b"0", trust_env=False).raise_for_status()
    try:
        yield
    finally:
        httpx.post(f"{url}/moto-api/reset-auth", content=b"inf", trust_env=False)


@dataclass
class Wire:
    """What passes it: ``sent`` bytes went to the server. Cuts after ``cut_after`` of them, once
    set; ``stall`` lets nothing through any more."""

    url: str = ""
    sent: int = 0
    cut_after: int | None = None
    stall: bool = False
    change: Callable[[bytes], bytes] = field(default=lambda data: data)
    requests: list[str] = field(default_factory=list)


@contextmanager
def wire_to(url: str) -> Iterator[Wire]:
    """A TCP relay in front of a server."""
    wire = Wire()
    target = httpx.URL(url)

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((target.host, target.port or 80)) as onward:
                back = threading.Thread(target=_pump_back, args=(onward, self.request, wire))
                back.start()
                _pump_there(self.request, onward, wire)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A cut is what is wanted here."""

    with Server(("127.0.0.1", 0), Relay) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        wire.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield wire
        finally:
            wire.cut_after = 0
            server.shutdown()
            thread.join()


def _pump_there(source: socket.socket, onward: socket.socket, wire: Wire) -> None:
    try:
        while data := source.recv(65536):
            if wire.cut_after is not None and wire.sent + len(data) > wire.cut_after:
                break
            if wire.stall:
                continue
            first = data.split(b"\r\n", 1)[0]
            if first.endswith(b"HTTP/1.1"):
                wire.requests.append(first.decode())
            wire.sent += len(data)
            onward.sendall(wire.change(data))
    except OSError:
        pass
    finally:
        for end in (source, onward):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _pump_back(onward: socket.socket, source: socket.socket, wire: Wire) -> None:
    try:
        while data := onward.recv(65536):
            if not wire.stall:
                source.sendall(data)
    except OSError:
        pass
