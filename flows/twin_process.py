"""The twin as a process: serving it, and starting one as a child."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from trading_core.errors import ConfigError, TradingError
from trading_core.model.market import MarketGroup
from trading_core.twin.launch import TwinPlan, busiest, run_twin
from trading_core.twin.tape import Tape
from trading_core.wiring import TWIN_ACCOUNT, TWIN_LINK, home_folder, warm_calendars

SYNTHETIC_DATE = date(2026, 9, 10)
"""The session the synthetic market plays when no date is asked for."""


BUSIEST = 200
"""How many of the busiest symbols the twin names when it starts."""


class TwinFailed(TradingError):
    """The child could not start; its own words are the message."""

    exit_code = 2


def serve(
    *,
    market: str,
    session: date | None,
    data: tuple[Path, ...],
    capital: Decimal | None,
    seed: int,
    port: int,
    speed: float | None,
    show: Callable[[dict[str, Any]], None],
) -> None:
    """Serve in this process until it is told to stop; leaves its address in the home meanwhile."""
    if data and session is None:
        raise ConfigError("--data needs --date: which session of the files is to be played?")
    plan = TwinPlan(
        group=MarketGroup.parse(market),
        session=session or SYNTHETIC_DATE,
        account_no=TWIN_ACCOUNT,
        data=data,
        capital=capital,
        seed=seed,
    )
    home = home_folder()
    warm_calendars(home, (plan.group,))
    link = home / TWIN_LINK

    def ready(url: str, tape: Tape, now: datetime) -> None:
        link.write_text(json.dumps({"url": url, "pid": os.getpid()}))
        show(
            {
                "url": url,
                "pid": os.getpid(),
                "app_key": "any",
                "app_secret": "any",
                "account_no": TWIN_ACCOUNT,
                "market": plan.group.value,
                "session": plan.session.isoformat(),
                "now": now.isoformat(),
                "capital": str(plan.cash),
                "symbols": len(tape.instruments),
                "busiest": [asdict(item) for item in busiest(tape, BUSIEST)],
                "data_notes": tape.report,
            }
        )

    try:
        run_twin(plan, on_listening=ready, port=port, speed=speed)
    finally:
        _take_away(link)


def _take_away(link: Path) -> None:
    """Remove the address this process left; not that of another twin."""
    with suppress(OSError, ValueError):
        if json.loads(link.read_text())["pid"] == os.getpid():
            link.unlink()


class TwinChild:
    """A stepped twin in a process of its own; use as a context manager.

    Args:
        arguments: Of ``ouroboros twin serve``, without the ones set here.
        home: Its ``OUROBOROS_HOME``.
    """

    def __init__(self, arguments: list[str], home: Path) -> None:
        command = [sys.executable, "-m", "flows.cli", "twin", "serve", "--stepped", "--json"]
        self._process = subprocess.Popen(
            [*command, *arguments],
            env={**os.environ, "OUROBOROS_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self) -> dict[str, Any]:
        """What the twin says of itself once it listens. Raises ``TwinFailed``."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate()
            lines = errors.strip().splitlines() or ["the twin ended without a word"]
            raise TwinFailed(lines[-1].removeprefix("error: "))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> TwinChild:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
