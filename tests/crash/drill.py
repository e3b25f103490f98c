"""The recovery drill: trade, back up, trade on, lose the machine's files, restore, go on.

Real processes on the twin in a process of its own, as in the crash bench. What the exchange's own
book says is compared with the store in the end, order by order. ``python -m tests.crash.drill``
prints what was measured:

- RPO: what was written after the backup, in rows and in market time, and what of it the broker's
  records did not bring back (orders and fills: nothing may be missing).
- RTO: seconds from the start of the restore until the books agree and stops may be sent again.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from tests.crash import trader
from tests.crash.audit import Findings, audit
from tests.crash.bench import CAPITAL, DAY, KR, SYMBOLS, Twin, _fork, _run, tape_of
from tests.crash.schedule import Kill
from trading_core.adapters.duck.store import DuckStore, count_rows
from trading_core.rules.calendar import require_session
from trading_core.steps import operate
from trading_core.twin.launch import busiest

INTERVAL_SECONDS = 1500
FIRST_LIFE, SECOND_LIFE = Kill("quotes.after", 6), Kill("quotes.after", 5)
KEY = "a key that lies somewhere else"


def drill(root: Path) -> dict[str, Any]:
    """Play it in an empty folder and answer what was measured."""
    home, backups, broker = root / "home", root / "elsewhere", root / "broker"
    for folder in (home, broker):
        folder.mkdir(parents=True)
    # A tick costs much, and fewer of them show the same.
    trader.INTERVAL_SECONDS = INTERVAL_SECONDS
    hours, tape = require_session(KR, DAY), tape_of(0)
    _run(home, "seed", lambda: trader.write_playbook(home, busiest([tape], SYMBOLS), DAY))
    with Twin(tape, broker) as twin, httpx.Client(base_url=twin.url, trust_env=False) as admin:
        _killed(home, twin.url, FIRST_LIFE)
        _run(home, "backup", lambda: _back_up(home, backups, twin.url))
        at_backup, rows_then = _now(admin), _counted(home)
        _killed(home, twin.url, SECOND_LIFE)
        lost_at, rows_lost = _now(admin), _counted(home) - rows_then
        shutil.rmtree(home)
        home.mkdir()
        begun = time.monotonic()
        _run(home, "restore", lambda: _restore(home, backups, twin.url))
        seconds = time.monotonic() - begun
        restored = json.loads((home / "restored.json").read_text())
        refused = _tick(home, twin.url)
        _run(home, "resume", lambda: _resume(home))
        goes_on = os.waitpid(_fork(home, "trader", lambda: _trade(home, twin.url, None)), 0)[1] == 0
        _run(home, "close", lambda: asyncio.run(trader.close_the_day(home, twin.url, hours)))
        truth = admin.get("/twin/book").json()
    _run(home, "audit", lambda: _audit(home, truth))
    found = Findings(**json.loads((home / "findings.json").read_text()))
    return {
        "violations": found.violations,
        "orders": found.orders,
        "fills": found.fills,
        "rows_lost": rows_lost,
        "market_minutes_lost": round((lost_at - at_backup) / 60, 1),
        "restore_seconds": round(seconds, 2),
        "agreements": restored["agreements"],
        "agreed": restored["agreed"],
        "orders_before_a_person_resumed": refused,
        "went_on": goes_on,
    }


def _killed(home: Path, url: str, kill: Kill) -> None:
    _, status = os.waitpid(_fork(home, "trader", lambda: _trade(home, url, kill)), 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"the trader was not killed; see {home}/trader.log")


def _trade(home: Path, url: str, kill: Kill | None) -> None:
    asyncio.run(trader.trade(home, url, kill))


def _configured(home: Path, backups: Path, url: str) -> None:
    """Of this child alone."""
    os.environ |= {
        "OUROBOROS_HOME": str(home),
        "LOCK_DIR": str(home),
        "BACKUP_DIR": str(backups),
        "BACKUP_ENCRYPTION_KEY": KEY,
        "TWIN_URL": url,
        "ENABLED_MARKETS": "KR",
    }


def _back_up(home: Path, backups: Path, url: str) -> None:
    from flows.backup import backup

    _configured(home, backups, url)
    state = asyncio.run(backup.fn(by_hand=True))
    assert state.is_completed(), state.message


def _restore(home: Path, backups: Path, url: str) -> None:
    from flows.restore import Wanted, restore

    _configured(home, backups, url)
    answer = asyncio.run(restore(Wanted()))
    (home / "restored.json").write_text(json.dumps(answer))


def _tick(home: Path, url: str) -> int:
    """A tick while no person has resumed: how many entries it sent."""
    before = _counted(home, _entries)
    _run(home, "tick", lambda: asyncio.run(trader.tick_once(home, url)))
    return _counted(home, _entries) - before


def _entries(store: Path) -> int:
    """Entries that reached the broker."""
    with DuckStore(store).read() as reader:
        return sum(bool(r.order_no) and r.intent.reason.is_entry for r in reader.orders(KR, DAY))


def _counted(home: Path, count: Callable[[Path], int] = count_rows) -> int:
    """In a child: a process that has opened the store must not fork."""
    answer = home / "count"
    _run(home, "count", lambda: answer.write_text(str(count(home / "trades.db"))))
    return int(answer.read_text())


def _resume(home: Path) -> None:
    store = DuckStore(home / "trades.db")
    with store.read() as reader:
        at = reader.open_halts()[0].raised_at
    operate.resume(store, scope="ALL", by="the drill", at=at)


def _audit(home: Path, truth: Any) -> None:
    found = audit(home, truth, day=DAY, delivered_twice=0, capital=CAPITAL)
    (home / "findings.json").write_text(json.dumps(asdict(found)))


def _now(admin: httpx.Client) -> float:
    return datetime.fromisoformat(admin.get("/twin/state").json()["now"]).timestamp()


def main() -> int:
    root = Path(tempfile.mkdtemp(prefix="ouroboros-drill-"))
    answer = drill(root)
    sys.stdout.write(json.dumps(answer) + "\n")
    if not answer["violations"]:
        shutil.rmtree(root, ignore_errors=True)
    return 1 if answer["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
