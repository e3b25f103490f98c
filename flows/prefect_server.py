"""A Prefect server of our own for the length of a demo, on a free port of this machine."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path

from trading_core.errors import TradingError

START_SECONDS = 120

# What a server does for deployments, schedules and automations; one day by hand has none of them.
_IDLE = (
    "SCHEDULER",
    "LATE_RUNS",
    "CANCELLATION_CLEANUP",
    "PAUSE_EXPIRATIONS",
    "FOREMAN",
    "REPOSSESSOR",
    "CLEANUP_RECONCILER",
    "TRIGGERS",
    "EVENT_PERSISTER",
)


TEMPLATE = Path(__file__).parent / f"prefect-{version('prefect')}.db.gz"
"""An empty database that has gone through every migration of this Prefect release; made by
``make prefect-template``. Going through them takes longer than the rest of the start."""


class PrefectFailed(TradingError):
    """The server did not come up."""


class PrefectServer:
    """Started on entering, stopped by its pid on leaving; ``url`` is its API.

    ``services`` are those of the usually idle ones that run all the same.
    """

    def __init__(self, home: Path, services: Collection[str] = ()) -> None:
        self._home = home
        self._idle = [name for name in _IDLE if name not in services]
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}/api"
        is_laid = lay_database(home / "prefect" / "prefect.db")
        self._is_ready = False
        self._log = (home / "prefect-server.log").open("wb")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "--factory"),
                "prefect.server.api.server:create_app",
                *("--host", "127.0.0.1", "--port", str(self._port), "--log-level", "error"),
            ],
            env={
                **os.environ,
                **self.environment(),
                "PREFECT_UI_ENABLED": "0",
                "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
                "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": str(not is_laid).lower(),
            },
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def environment(self) -> dict[str, str]:
        """Variables for the server and for everyone who talks to it."""
        return {
            "PREFECT_HOME": str(self._home / "prefect"),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
            "PREFECT_CLI_PROMPT": "false",
            "DO_NOT_TRACK": "1",
            **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in self._idle},
        }

    def wait_ready(self) -> None:
        """Return once it answers. Raises ``PrefectFailed`` with where its log is."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=2):
                    self._is_ready = True
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise PrefectFailed(f"the Prefect server did not start; see {self._log.name}")

    def __enter__(self) -> PrefectServer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_ready:
            self._process.terminate()
        else:
            # It would finish starting first, and there is nothing in it to lose.
            self._process.kill()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def lay_database(path: Path) -> bool:
    """Put an empty, migrated database there.

    False without a template for the installed release: then the server has to migrate.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not TEMPLATE.exists():
        return False
    path.write_bytes(gzip.decompress(TEMPLATE.read_bytes()))
    return True


def make_template() -> None:
    """Migrate a new database and keep it as the template of the installed release."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"],
            env={**os.environ, "PREFECT_HOME": folder},
            check=True,
        )
        content = (Path(folder) / "prefect.db").read_bytes()
    TEMPLATE.write_bytes(gzip.compress(content, mtime=0))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
