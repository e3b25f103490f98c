"""What every client's script shares: the list of checks, the twin's side door, the price grid.

Standard library only: it is imported in the client's own environment. A script is started with one
argument, a setting of ``twins_for_clients.py`` as JSON, and prints one line of JSON at its end.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

# Real app keys have 36 characters and secrets 180; some clients insist.
APP_KEY = "PS" + "t" * 34
APP_SECRET = "s" * 180
HTS_ID = "twinuser"

_getaddrinfo = socket.getaddrinfo
_elsewhere: dict[str, str] = {}


def _loopback_only(host, port, *rest, **named):
    """Some clients fetch lists from elsewhere when they start; here nothing leaves the machine."""
    if host in _elsewhere:
        host, _, port = _elsewhere[host].rpartition(":")
    if host not in ("127.0.0.1", "localhost", None):
        raise socket.gaierror(socket.EAI_FAIL, f"{host!r} is not this machine")
    return _getaddrinfo(host, port, *rest, **named)


socket.getaddrinfo = _loopback_only


def send_elsewhere(host: str, address: str) -> None:
    """Let a host name that a client has written into its code mean ``address`` (host:port)."""
    _elsewhere[host] = address


class Setting:
    """The addresses and symbols a script was started with."""

    def __init__(self) -> None:
        given = json.loads(sys.argv[1])
        self.personality: str = given["personality"]
        self.urls: dict[str, str] = given["urls"]
        self.account: str = given["account"]
        self.session: str = given["session"]
        self.kr: str = given["kr"]
        self.us: str = given["us"]
        self.us_market: str = given["us_market"]
        self.us_open_at = datetime.fromisoformat(given["us_open_at"])

    @property
    def paper(self) -> bool:
        return self.personality == "paper"

    @property
    def url(self) -> str:
        """The host of the account."""
        return self.urls[self.personality]

    @property
    def compact_session(self) -> str:
        return self.session.replace("-", "")

    def days_before(self, days: int) -> str:
        """A date before the session, ``YYYYMMDD``."""
        day = datetime.fromisoformat(self.session) - timedelta(days=days)
        return day.strftime("%Y%m%d")


class Twin:
    """The side door of one twin."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def _ask(self, path: str, body: dict | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data)
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.load(reply)

    def book(self) -> dict:
        return self._ask("/twin/book")

    def now(self) -> datetime:
        return datetime.fromisoformat(self._ask("/twin/state")["now"])

    def advance_to(self, at: datetime) -> dict:
        return self._ask("/twin/clock", {"advance_to": at.isoformat()})

    def advance(self, seconds: float) -> dict:
        return self.advance_to(self.now() + timedelta(seconds=seconds))

    def order(self, number: str | int) -> dict:
        """The row of an order; ``LookupError`` when the exchange has none of that number."""
        rows = self.book()["orders"]
        found = [row for row in rows if row["order_no"] == int(number)]
        if not found:
            raise LookupError(f"the exchange has no order {number}; it has {rows}")
        return found[-1]


class Checklist:
    """Runs checks one by one; one that fails does not stop the next."""

    def __init__(self) -> None:
        self.results: dict[str, dict[str, str]] = {}
        self.begun = time.monotonic()
        logging.disable(logging.INFO)

    @contextlib.contextmanager
    def check(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)
            mine = [frame for frame in where if "clients/" in frame.filename] or where
            text = f"line {mine[-1].lineno}: {type(error).__name__}: {str(error)[:600]}"
            if isinstance(error, NameError):
                text = "needs what an earlier check that failed should have given"
            self.results[name] = {"outcome": "fail", "detail": text}
        else:
            self.results[name] = {"outcome": "pass", "detail": ""}

    def not_offered(self, name: str, why: str = "the client has no such call") -> None:
        self.results[name] = {"outcome": "not offered", "detail": why}

    def own_fault(self, name: str, why: str, expected: str, call: Callable[[], object]) -> None:
        """A call the client itself makes wrongly: it must end with ``expected`` in its error."""
        self._known(name, "client's fault", why, expected, call)

    def limit(self, name: str, why: str, expected: str, call: Callable[[], object]) -> None:
        """Something the twin does not play: the call must end with ``expected``."""
        self._known(name, "twin's limit", why, expected, call)

    def _known(
        self, name: str, outcome: str, why: str, expected: str, call: Callable[[], object]
    ) -> None:
        try:
            text = repr(call())[:600]
        except Exception as error:
            text = f"{type(error).__name__}: {str(error)[:600]}"
        good = expected in text
        detail = why if good else f"expected {expected!r} ({why}), got {text}"
        self.results[name] = {"outcome": outcome if good else "fail", "detail": detail}

    def finish(self) -> None:
        seconds = round(time.monotonic() - self.begun, 1)
        line = {"seconds": seconds, "results": self.results}
        sys.stdout.flush()
        print("\n" + json.dumps(line, ensure_ascii=False), flush=True)


def until(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Wait for something that another thread or process brings about."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: nothing within {seconds:.0f} s")
        time.sleep(0.02)


def increment(price: int) -> int:
    """KRX price step for shares."""
    for below, step in (
        (2_000, 1),
        (5_000, 5),
        (20_000, 10),
        (50_000, 50),
        (200_000, 100),
        (500_000, 500),
    ):
        if price < below:
            return step
    return 1_000


def same(actual: object, expected: object, what: str) -> None:
    assert actual == expected, f"{what}: {actual!r}, not {expected!r}"


def error_of(call: Callable[[], object]) -> str:
    """What a call that must not succeed says."""
    try:
        result = call()
    except NameError:
        raise
    except Exception as error:
        return str(error)
    raise AssertionError(f"was taken: {result}")
