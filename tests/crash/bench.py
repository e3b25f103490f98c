"""The driver: plays schedules with real processes and adds up what it finds.

It forks its children from a process that has everything imported and no thread of its own, so a
trader is back a few milliseconds after it was killed. Nothing here opens the store or an event
loop: that happens in children alone.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from tests.crash import trader
from tests.crash.audit import Findings, audit
from tests.crash.schedule import Life, Schedule, draw
from trading_core.model.market import Currency, MarketGroup
from trading_core.rules.calendar import require_session
from trading_core.twin.launch import Stage, TwinPlan, busiest, serve_stage
from trading_core.twin.state_replay import RecordedExchange
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.tape import Tape
from trading_core.twin.venue import AccountSpec

KR = MarketGroup.KR
DAY = date(2026, 9, 10)
CAPITAL = Decimal(1_000_000_000)
ACCOUNT = "50000000-01"
SYMBOLS, MARKET_SIZE, MARKETS = 34, 40, 3
LIFE_SECONDS = 600.0
STARTS_AGAIN = 4
_PR_SET_PDEATHSIG = 1


@dataclass
class Outcome:
    """What one schedule did and what was found after it."""

    seed: int
    kills: int = 0
    faults: int = 0
    second_ticks: int = 0
    broker_restarts: int = 0
    failed_starts: int = 0
    seconds: float = 0.0
    recoveries: list[float] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


@cache
def tape_of(market: int) -> Tape:
    """The prices of one of the made-up markets; made before anything is forked."""
    return synthetic_tape(KR, DAY, symbols=MARKET_SIZE, seed=market)


def play(seed: int, keep: Path | None = None) -> Outcome:
    """One schedule from its seed; ``keep`` is where its home stays even if all went well."""
    schedule, begun = draw(seed), time.monotonic()
    home = keep or Path(tempfile.mkdtemp(prefix="ouroboros-crash-"))
    home.mkdir(parents=True, exist_ok=True)
    # Else the garbage collector of every child goes through all that is imported: 12 % of its CPU.
    gc.collect()
    gc.freeze()
    outcome = _play(schedule, home)
    outcome.seconds = time.monotonic() - begun
    # What went wrong is to be looked at; what went well is not.
    if keep is None and not outcome.findings.violations:
        shutil.rmtree(home, ignore_errors=True)
    return outcome


def _play(schedule: Schedule, home: Path) -> Outcome:
    outcome = Outcome(schedule.seed)
    hours = require_session(KR, DAY)
    tape = tape_of(schedule.seed % MARKETS)
    names = busiest([tape], SYMBOLS)
    _run(home, "seed", lambda: trader.write_playbook(home, names, DAY))
    twice = 0
    with Twin(tape, home) as twin, httpx.Client(base_url=twin.url, trust_env=False) as admin:
        url = twin.url
        # Whoever supervises the trader starts it again until it has reached the close.
        for life in (*schedule.lives, *[Life()] * STARTS_AGAIN):
            admin.post("/twin/faults", json={"rules": list(life.faults)}).raise_for_status()
            finished = _live(life, home, twin, outcome)
            rules = [*twin.forgotten(), *twin.fired(admin)]
            outcome.faults += sum(rule["fired"] for rule in rules)
            twice += sum(
                rule["fired"]
                for rule in rules
                if (rule["action"], rule["path"]) == ("duplicate", "order-cash")
            )
            if finished:
                break
        else:
            raise RuntimeError(f"seed {schedule.seed}: never reached the close; see {home}")
        admin.post("/twin/faults", json={"rules": []}).raise_for_status()
        _run(home, "close", lambda: asyncio.run(trader.close_the_day(home, url, hours)))
        truth = admin.get("/twin/book").json()
    report = home / "findings.json"
    _run(home, "audit", lambda: _audit(home, truth, twice, report))
    outcome.findings = Findings(**json.loads(report.read_text()))
    outcome.recoveries = _recoveries(home)
    return outcome


def _audit(home: Path, truth: Any, twice: int, report: Path) -> None:
    found = audit(home, truth, day=DAY, delivered_twice=twice, capital=CAPITAL)
    report.write_text(json.dumps(asdict(found)))


def _live(life: Life, home: Path, twin: Twin, outcome: Outcome) -> bool:
    """One process of the trader, until its end or its death; whether it reached the close."""
    url = twin.url
    child = _fork(home, "trader", lambda: asyncio.run(trader.trade(home, url, life.kill)))
    begun = time.monotonic()
    second: int | None = None
    restart_at = life.broker_restart_after
    kill_at = life.kill.after_seconds if life.kill and not life.kill.point else None
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        lived = time.monotonic() - begun
        if second is None and life.second_tick_after is not None and lived > life.second_tick_after:
            second = _fork(home, "tick", lambda: asyncio.run(trader.tick_once(home, url)))
            outcome.second_ticks += 1
        if restart_at is not None and lived > restart_at:
            twin.restart()
            outcome.broker_restarts += 1
            restart_at = None
        if kill_at is not None and lived > kill_at:
            os.kill(child, signal.SIGKILL)
            kill_at = None
        if lived > LIFE_SECONDS:
            os.kill(child, signal.SIGKILL)
            raise RuntimeError(f"seed {outcome.seed}: the trader hung; see {home}/trader.log")
        time.sleep(0.01)
    if second:
        os.waitpid(second, 0)
    if os.WIFSIGNALED(status):
        outcome.kills += 1
        return False
    if os.WEXITSTATUS(status):
        outcome.failed_starts += 1
        return False
    return True


def _recoveries(home: Path) -> list[float]:
    """Seconds from the start of every process but the first to its first reconciled tick."""
    try:
        lines = (home / "recoveries.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line)["recovered_seconds"] for line in lines][1:]


class Twin:
    """The exchange as a process of its own, which can be killed and started again on its file."""

    def __init__(self, tape: Tape, home: Path) -> None:
        self._tape, self._home = tape, home
        self._port = 0
        self._child = 0
        self._forgotten: list[dict[str, Any]] = []
        self.url = ""

    def __enter__(self) -> Twin:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()

    def restart(self) -> None:
        """Cut its power and switch it on again; the faults in force are gone."""
        with httpx.Client(base_url=self.url, trust_env=False) as admin:
            self._forgotten += self.fired(admin)
        self._kill()
        self._start()

    def forgotten(self) -> list[dict[str, Any]]:
        """What its faults had done before it was restarted, told once."""
        told, self._forgotten = self._forgotten, []
        return told

    def fired(self, admin: httpx.Client) -> list[dict[str, Any]]:
        rules: list[dict[str, Any]] = admin.get("/twin/faults").json()["rules"]
        return rules

    def _start(self) -> None:
        read_end, write_end = os.pipe()
        self._child = _fork(self._home, "twin", lambda: self._serve(write_end))
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            self.url = pipe.readline().strip()
        if not self.url:
            raise RuntimeError(f"the twin did not start; see {self._home}/twin.log")
        self._port = int(self.url.rpartition(":")[2])

    def _serve(self, pipe: int) -> None:
        accounts = (AccountSpec(ACCOUNT, {Currency.KRW: CAPITAL}),)
        plan = TwinPlan((KR,), DAY, accounts, state=self._home / "twin.state")
        at = self._tape.hours.open_at - timedelta(minutes=1)
        stage = Stage(plan, [RecordedExchange(self._tape, list(accounts), at=at)])
        serve_stage(stage, on_listening=lambda opening: _tell(pipe, opening.url), port=self._port)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._child, 0)


def _tell(pipe: int, text: str) -> None:
    os.write(pipe, f"{text}\n".encode())


def _run(home: Path, name: str, work: Callable[[], object]) -> None:
    """Work that must end well, in a process of its own."""
    _, status = os.waitpid(_fork(home, name, work), 0)
    if status:
        log = (home / f"{name}.log").read_text()[-4000:]
        raise RuntimeError(f"{name} failed in {home}\n{log}")


def _fork(home: Path, name: str, work: Callable[[], object]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        _die_with_the_parent()
        log = os.open(home / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with_the_parent() -> None:
    """Nothing of a schedule outlives its driver, however that ends; Linux only."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
