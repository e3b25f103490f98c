"""Bringing everything up in order, each part once the one before it works, and down again."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.prefect_server import lay_database
from flows.supervision.control import Control, UpFailed
from flows.supervision.follow import last_lines
from flows.supervision.health import ask, is_healthy
from flows.supervision.parts import (
    POOL,
    ROOT,
    Part,
    Wish,
    api_of,
    environment_of,
    parts_of,
    write_parts,
)
from flows.supervision.place import UpFiles, hold, is_held, supervisor_config
from flows.supervision.preflight import instead_of, require_account, require_home, require_ports
from flows.supervision.remains import end_remains
from trading_core.errors import ConfigError, TradingHalted

START_SECONDS = 180
STOP_SECONDS = 60
DEPLOY_SECONDS = 300
TRIES = 3
"""A part that ended so often while it was awaited will not come up."""

Say = Callable[[str], None]


class Up:
    """The ``up`` of one home.

    Args:
        settings: As ``configure`` read them.
        commands: Names of the ``ouroboros`` commands there are.
        say: Takes a line about what happens.
    """

    def __init__(self, settings: Any, wish: Wish, commands: frozenset[str], say: Say) -> None:
        self.settings = settings
        self.files = UpFiles(settings.ouroboros_home.resolve())
        self.control = Control(self.files)
        self.parts = parts_of(settings, wish, commands=commands)
        self._wish, self._commands, self._say = wish, commands, say
        self._environment = environment_of(settings, self.files.home)
        self._password = self._environment.get("PREFECT_API_AUTH_STRING", "")

    def start(self) -> None:
        """Return once every part works.

        Raises:
            ConfigError: a setting, a port, the disk, the keys or the account are not usable.
            TradingHalted: this home is up already, or another store trades the account.
            UpFailed: a part does not come up; nothing is left running.
        """
        require_home(self.files)
        with self._only_one():
            for line in instead_of(self.settings, self._wish, self._commands):
                self._say(line)
            if doubt := asyncio.run(require_account(self.settings)):
                self._say(doubt)
            if ended := end_remains(self.files.home):
                self._say(f"ended what an earlier run had left behind: processes {ended}")
            require_ports(self.parts)
            if not (ROOT / "prefect.yaml").exists():
                raise ConfigError(f"{ROOT}: has no prefect.yaml; run it from the project's folder")
            self._lay()
            try:
                self._host()
                for part in self.parts:
                    self._bring_up(part)
                # Last, because what was deployed before goes on at once without it.
                if self._wish.deploy:
                    self._deploy()
                    self._book()
            except BaseException:
                if self.control.is_up():
                    self._say("stopping what was started ...")
                self.stop()
                raise

    def stop(self) -> list[int]:
        """End everything, the last part first; answers with what had to be ended besides."""
        try:
            self.control.stop(seconds=STOP_SECONDS)
        except UpFailed as error:
            self._say(str(error))
        return end_remains(self.files.home)

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        named = f"OUROBOROS_HOME={self.files.home}"
        with hold(self.files.starting, f"{named}: another `ouroboros up` is starting it"):
            if is_held(self.files.lock):
                raise TradingHalted(
                    f"{named} is up already (process {self.control.pid()}); see "
                    "`ouroboros status`, stop it with `ouroboros down`"
                )
            yield

    def _lay(self) -> None:
        database = self.files.home / "prefect" / "prefect.db"
        if not database.exists():
            lay_database(database)
        write_parts(self.files.parts, self.parts)
        self.files.config.write_text(supervisor_config(self.files, self.parts))

    def _host(self) -> None:
        """Start the supervisor, in a session of its own so that no Ctrl-C reaches the parts."""
        said = self.files.run / "host.err"
        with said.open("wb") as errors:
            host = subprocess.Popen(
                [sys.executable, "-m", "flows.supervision.host", str(self.files.home)],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while self.control.pid() is None:
            if host.poll() is not None or time.monotonic() > deadline:
                lines = last_lines(said, 1) or ["the supervisor ended without a word"]
                raise UpFailed(lines[0].removeprefix("error: "))
            time.sleep(0.1)

    def _bring_up(self, part: Part) -> None:
        if part.health == "worker":
            self._make_pool()
        begun = time.monotonic()
        self.control.start(part.name)
        since = self.control.state(part.name).since
        assert since is not None
        ended = 0
        last = since
        while True:
            state = self.control.state(part.name)
            now = state.since or since
            ended += now != last
            last = now
            running = state.state == "running"
            if state.pid and is_healthy(
                part, running=running, started_at=now, password=self._password
            ):
                break
            if ended >= TRIES or time.monotonic() - begun > START_SECONDS:
                raise UpFailed(self._why(part))
            time.sleep(0.2)
        where = f" at {part.page}" if part.page else ""
        self._say(f"{part.name} works{where} ({time.monotonic() - begun:.0f} s)")

    def _why(self, part: Part) -> str:
        log = self.files.log_of(part.name)
        words = [line.strip() for line in last_lines(log, 20) if line.strip()]
        return f"the {part.name} does not come up: {words[-1] if words else 'no word'}; see {log}"

    def _make_pool(self) -> None:
        if not self._has_pool():
            command = ("work-pool", "create", POOL, "--type", "process")
            self._run("deploy", "the work pool", ["prefect", "--no-prompt", *command])

    def _deploy(self) -> None:
        """Make everything in ``prefect.yaml``."""
        begun = time.monotonic()
        self._run("deploy", "the deployments", ["prefect", "--no-prompt", "deploy", "--all"])
        self._say(f"deployments are made ({time.monotonic() - begun:.0f} s)")

    def _has_pool(self) -> bool:
        try:
            ask(f"{api_of(self.settings)}/work_pools/{POOL}", password=self._password)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise UpFailed(f"the Prefect server answers {error.code} ({error.reason})") from None
        return True

    def _book(self) -> None:
        """Have the calendar booked now, not only when its own schedule comes."""
        if importlib.util.find_spec("flows.book") is None:
            return
        begun = time.monotonic()
        self._run("book", "the calendar", ["flows.cli", "book", "--json"])
        self._say(f"sessions are booked ({time.monotonic() - begun:.0f} s)")

    def _run(self, name: str, what: str, module: list[str]) -> None:
        """Run a module to its end; it writes to the log ``name``."""
        log = self.files.log_of(name)
        with log.open("wb") as out:
            done = subprocess.run(
                [sys.executable, "-m", *module],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=DEPLOY_SECONDS,
                check=False,
            )
        if done.returncode:
            words = [line for line in last_lines(log, 20) if line.strip()]
            raise UpFailed(f"{what}: {words[-1] if words else 'no word'}; see {log}")


def read_parts_state(home: Path) -> dict[str, Any] | None:
    """The parts of a home as they stand, as JSON; None when it is not up."""
    files = UpFiles(home.resolve())
    if not is_held(files.lock):
        return None
    control = Control(files)
    try:
        states = control.states()
    except UpFailed:
        # It is on its way up or down.
        return {"pid": None, "logs": str(files.logs), "parts": []}
    return {
        "pid": control.pid(),
        "logs": str(files.logs),
        "parts": [
            {
                "name": row.name,
                "state": row.state,
                "pid": row.pid,
                "since": row.since.isoformat() if row.since else None,
                "page": row.page,
            }
            for row in states
        ],
    }


def age(since: datetime, at: datetime) -> str:
    """Minutes, hours or days between two moments, for a person."""
    seconds = max(0, int((at - since.astimezone(UTC)).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
