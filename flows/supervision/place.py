"""Where an ``up`` keeps its files in a home, and the configuration of its supervisor."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.supervision.parts import ROOT, Part
from trading_core.errors import TradingHalted

LONGEST_SOCKET_PATH = 100
LOG_BYTES = "10MB"
LOG_FILES = 5
SETTLED_SECONDS = 5
"""A part that ends sooner was never up: it is started again later and later."""


@dataclass(frozen=True, slots=True)
class UpFiles:
    """The files of the ``up`` of one home, which is an absolute path."""

    home: Path

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def parts(self) -> Path:
        return self.run / "parts.json"

    @property
    def config(self) -> Path:
        return self.run / "supervisord.conf"

    @property
    def pid(self) -> Path:
        return self.run / "up.pid"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as it lives."""
        return self.run / "up.lock"

    @property
    def starting(self) -> Path:
        """Held by who starts one."""
        return self.run / "starting.lock"

    @property
    def socket(self) -> Path:
        """Where the supervisor takes commands; the kernel allows short paths only."""
        near = self.run / "up.sock"
        if len(str(near)) <= LONGEST_SOCKET_PATH:
            return near
        name = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"ouroboros-{os.getuid()}-{name}.sock"

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def make(self) -> None:
        for folder in (self.home, self.logs, self.run, self.home / "prefect", self.home / "twin"):
            folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def hold(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock that the kernel drops with its holder. Raises ``TradingHalted`` when taken."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TradingHalted(refusal) from None
        yield


def is_held(path: Path) -> bool:
    try:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def supervisor_config(files: UpFiles, parts: tuple[Part, ...]) -> str:
    """The configuration file: nothing starts by itself, all that ends is started again.

    Who stops it stops the parts one after the other, the last one first.
    """
    sections = [
        _section(
            "supervisord",
            nodaemon="true",
            silent="true",
            logfile=files.log_of("supervisor"),
            logfile_maxbytes=LOG_BYTES,
            logfile_backups=LOG_FILES,
            pidfile=files.pid,
            childlogdir=files.logs,
            minprocs=1,
        ),
        _section("unix_http_server", file=files.socket, chmod="0700"),
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n",
    ]
    for order, part in enumerate(parts, 1):
        sections.append(
            _section(
                f"program:{part.name}",
                command=shlex.join(part.command),
                directory=ROOT,
                priority=order,
                autostart="false",
                autorestart="true",
                startsecs=SETTLED_SECONDS,
                startretries=1_000_000,
                stopsignal="TERM",
                stopwaitsecs=part.stop_seconds,
                killasgroup="true",
                redirect_stderr="true",
                stdout_logfile=files.log_of(part.name),
                stdout_logfile_maxbytes=LOG_BYTES,
                stdout_logfile_backups=LOG_FILES,
            )
        )
    return "\n".join(sections)


def _section(name: str, **values: object) -> str:
    lines = [f"[{name}]"]
    for key, value in values.items():
        lines.append(f"{key} = {str(value).replace('%', '%%')}")
    return "\n".join(lines) + "\n"
