"""Whether a part does what it is there for, told by what it answers."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from datetime import datetime

from flows.supervision.parts import WORKER, Part

_SECONDS = 3.0
# Straight to where it listens, whatever proxy the environment names.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def is_healthy(part: Part, *, running: bool, started_at: datetime, password: str = "") -> bool:
    """Whether a part works that was started at ``started_at`` (aware UTC).

    Args:
        running: Whether its process has been up for a while.
        password: ``user:password`` of the Prefect server, empty for none.
    """
    if part.health == "process":
        return running
    try:
        if part.health == "worker":
            return _beats_since(part.url, started_at, password)
        return bool(ask(part.url))
    except (urllib.error.URLError, OSError, ValueError):
        return False


def ask(url: str, body: object = None, *, password: str = "") -> bytes:
    """GET, or POST of a JSON body.

    Raises:
        OSError: no answer, or another one than 2xx.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    if password:
        coded = base64.b64encode(password.encode()).decode()
        request.add_header("Authorization", f"Basic {coded}")
    with _opener.open(request, timeout=_SECONDS) as reply:
        answer: bytes = reply.read()
    return answer


def _beats_since(url: str, at: datetime, password: str) -> bool:
    workers = json.loads(ask(url, {}, password=password))
    beats = [row["last_heartbeat_time"] for row in workers if row["name"] == WORKER]
    return any(datetime.fromisoformat(beat) >= at for beat in beats if beat)
