"""The process that keeps the parts of an ``up`` running: supervisord, with what it does not know.

It holds the home and the trading account for as long as it lives, ends flow runs together with the
worker (they have sessions of their own, which no signal to the worker's group reaches), and starts
a part anew that runs but has not answered for minutes.

    python -m flows.supervision.host HOME
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from supervisor import events
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import ServerOptions
from supervisor.states import ProcessStates
from supervisor.supervisord import Supervisor

from flows.supervision.health import is_healthy
from flows.supervision.parts import read_parts
from flows.supervision.place import UpFiles, hold
from flows.supervision.remains import end_remains
from trading_core.clock import SystemClock
from trading_core.errors import TradingError

MUTE_MINUTES = 3
"""So many looks in a row, a minute apart, a part may fail to answer."""


class Host(Supervisor):  # type: ignore[misc]
    """supervisord with two more duties; see the module."""

    def __init__(self, options: Any, files: UpFiles) -> None:
        super().__init__(options)
        self._files = files
        self._parts = {part.name: part for part in read_parts(files.parts)}
        self._password = os.environ.get("PREFECT_API_AUTH_STRING", "")
        self._mute: Counter[str] = Counter()

    def runforever(self) -> None:
        # Before the worker ends, so that it can report them; and what it still began after that.
        events.subscribe(events.SupervisorStoppingEvent, lambda _event: self._end_flow_runs())
        events.subscribe(events.ProcessStateStoppedEvent, self._part_stopped)
        events.subscribe(events.Tick60Event, self._look)
        super().runforever()

    def _processes(self) -> list[Any]:
        return [one for group in self.process_groups.values() for one in group.processes.values()]

    def _part_stopped(self, event: Any) -> None:
        if event.process.config.name == "worker":
            self._end_flow_runs()

    def _end_flow_runs(self) -> None:
        ended = end_remains(self._files.home, [one.pid for one in self._processes() if one.pid])
        if ended:
            self.options.logger.info(f"ended flow runs and their children: {ended}")

    def _look(self, _event: Any) -> None:
        for process in self._processes():
            part = self._parts.get(process.config.name)
            if part is None or process.state != ProcessStates.RUNNING:
                continue
            since = datetime.fromtimestamp(process.laststart, UTC)
            if is_healthy(part, running=True, started_at=since, password=self._password):
                self._mute[part.name] = 0
                continue
            self._mute[part.name] += 1
            if self._mute[part.name] >= MUTE_MINUTES:
                self._mute[part.name] = 0
                self.options.logger.warn(f"{part.name} does not answer: it is started anew")
                os.kill(process.pid, signal.SIGKILL)


def main() -> None:
    """Run until told to stop; the exit code is 1 when another one holds home or account."""
    files = UpFiles(Path(sys.argv[1]))
    try:
        with hold(files.lock, f"OUROBOROS_HOME={files.home} is up already"), _account():
            options = ServerOptions()
            options.realize(["-n", "-c", str(files.config)])
            options.first, options.test = True, False
            try:
                Host(options, files).main()
            except asyncore.ExitNow:
                options.close_httpservers()
                options.close_logger()
    except TradingError as error:
        sys.exit(f"error: {error}")


def _account() -> Any:
    from trading_core.wiring import account_claim

    return account_claim().hold(SystemClock().now())


if __name__ == "__main__":
    main()
