"""Other people's clients, as the index has them, trade on the twin.

Each client runs unmodified in an environment and a process of its own; its script in ``clients``
says how it is pointed at the twin and prints what became of every check. Clients that the index
does not give are skipped. ``OUROBOROS_ALL_CLIENTS=1`` runs those too that are left out otherwise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.third_party.client_environments import Client, Unavailable, python_of

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# The layout is that of the stream's records, which some clients insist on.
CLIENTS = {
    "python-kis": (Client("python-kis", "2.1.6", ("typing_extensions",)), "legacy"),
    "mojito2": (Client("mojito2", "0.1.6", ("pandas",)), "legacy"),
    "kis-trader": (Client("kis-trader", "0.12.2"), "2026-09"),
    "pykis": (Client("pykis", "0.7.0"), "legacy"),
    "kis-agent": (Client("kis-agent", "1.6.1"), "2026-09"),
    "kis-wrapper": (Client("kis-wrapper", "0.3.0"), "2026-09"),
    "vm-stock-kis": (Client("vm-stock-kis", "1.0.0"), "legacy"),
}
ALWAYS = ("python-kis", "mojito2", "kis-trader")
TRADING = (
    "token",
    "quote",
    "balance",
    "limit buy that fills",
    "limit buy that rests",
    "modify",
    "cancel",
    "sell",
    "market order",
    "a price between two increments is refused",
    "an order beyond the cash is refused",
    "100 daily bars",
    "WebSocket trade stream",
    "WebSocket fill notice",
    "overseas quote",
    "overseas order",
)
MORE = {
    "python-kis": (
        *("minute bars", "order book", "buying power", "orders of the day"),
        *("WebSocket connects", "WebSocket order book", "overseas daily bars"),
        *("overseas balance", "overseas modify and cancel"),
    ),
    "mojito2": (
        *("buying power", "WebSocket order book", "overseas daily bars"),
        *("overseas balance", "overseas sell"),
    ),
    "kis-trader": (
        *("order book", "orders of the day", "open orders", "WebSocket connects"),
        *("WebSocket order book", "WebSocket closes", "overseas daily bars", "overseas balance"),
    ),
    "pykis": ("daily bars", "buying power", "open orders"),
    "kis-agent": ("open orders", "WebSocket connects", "overseas balance"),
    "kis-wrapper": ("daily bars", "open orders", "overseas order book"),
}
MORE["vm-stock-kis"] = MORE["python-kis"]
# These go through their paces in seconds there as well; the others brake to two calls a second.
# kis-agent sends the real host's TRs wherever it is pointed.
PAPER_ALWAYS = ("mojito2", "kis-trader")
REAL_ONLY = ("kis-agent",)
TWIN_SECONDS = 60.0
SCRIPT_SECONDS = 120.0
GOOD = {"pass", "client's fault", "twin's limit"}
Results = dict[str, dict[str, str]]


def runs() -> list[tuple[str, str]]:
    """Which client runs on which host."""
    if os.environ.get("OUROBOROS_ALL_CLIENTS"):
        return [
            (name, host)
            for name in CLIENTS
            for host in ("real", "paper")
            if host == "real" or name not in REAL_ONLY
        ]
    return [(name, "real") for name in ALWAYS] + [(name, "paper") for name in PAPER_ALWAYS]


CHECKS = [
    pytest.param(name, host, check, id=f"{name}-{host}-{check}")
    for name, host in runs()
    for check in (*TRADING, *MORE[name])
]


class Stage:
    """The twins of all runs, in one process that starts with the first run that needs it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._found: dict[tuple[str, str], Results | Exception] = {}
        self._errors = (home / "twins.err").open("w+")
        self._process: subprocess.Popen[str] | None = None
        self._settings: dict[str, Any] = {}

    def results(self, name: str, host: str) -> Results:
        """What the client's script reported; skips or fails the test when there is nothing."""
        run = (name, host)
        if run not in self._found:
            # What goes wrong is kept too, so that nothing is tried once per check.
            try:
                self._found[run] = self._run(name, host)
            except (Unavailable, AssertionError, OSError, subprocess.TimeoutExpired) as error:
                self._found[run] = error
        found = self._found[run]
        if isinstance(found, Unavailable):
            pytest.skip(f"{name} cannot be installed here: {found}")
        if isinstance(found, Exception):
            pytest.fail(f"{name} on the {host} host: {found}", pytrace=False)
        return found

    def _run(self, name: str, host: str) -> Results:
        client, _ = CLIENTS[name]
        python = python_of(client)
        setting = self._twins()[f"{name}-{host}"] | {"personality": host}
        # Its tokens and lists stay in a home of its own.
        here = self._home / f"{name}-{host}"
        here.mkdir()
        kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
        ended = subprocess.run(
            [str(python), str(HERE / "clients" / client.script), json.dumps(setting)],
            cwd=here,
            env=kept | {"HOME": str(here), "XDG_CACHE_HOME": str(here), "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            timeout=SCRIPT_SECONDS,
            check=False,
        )
        lines = ended.stdout.strip().splitlines()
        assert lines and lines[-1].startswith("{"), f"broke off: {ended.stderr[-3000:]}"
        found: Results = json.loads(lines[-1])["results"]
        return found

    def _twins(self) -> dict[str, Any]:
        if self._process is None:
            wanted = {f"{name}-{host}": {"layout": CLIENTS[name][1]} for name, host in runs()}
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "twins_for_clients.py"), json.dumps(wanted)],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
            assert self._process.stdout is not None
            too_late = threading.Timer(TWIN_SECONDS, self._process.kill)
            too_late.start()
            line = self._process.stdout.readline()
            too_late.cancel()
            self._settings = json.loads(line) if line else {}
        self._errors.seek(0)
        assert self._settings, f"the twins did not start: {self._errors.read()[-2000:]}"
        return self._settings

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._errors.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("third-party"))
    yield stage
    stage.close()


@pytest.mark.parametrize(("name", "host", "check"), CHECKS)
def test_a_client_trades_on_the_twin(name: str, host: str, check: str, stage: Stage) -> None:
    found = stage.results(name, host)
    assert check in found, f"{name} on the {host} host never came to this check"
    outcome, detail = found[check]["outcome"], found[check]["detail"]
    if outcome == "not offered":
        pytest.skip(f"{name} does not offer this: {detail}")
    # Mistakes of a client are in its script, with how they show; another ending of them is a fail.
    assert outcome in GOOD, f"{name} on the {host} host: {detail}"


@pytest.mark.parametrize(("name", "host"), [pytest.param(*run, id="-".join(run)) for run in runs()])
def test_every_check_of_a_client_is_named_here(name: str, host: str, stage: Stage) -> None:
    found = stage.results(name, host)
    unnamed = found.keys() - {*TRADING, *MORE[name]}
    assert not unnamed, f"no test looks at these checks of {name}: {sorted(unnamed)}"
