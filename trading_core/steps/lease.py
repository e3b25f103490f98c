"""One session run per market, guaranteed by a row in the store and by nothing else."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from trading_core.clock import Clock
from trading_core.errors import TradingHalted
from trading_core.model.market import MarketGroup
from trading_core.ports import Store, StoreReader
from trading_core.rules.calendar import Session

LEASE_TIME = timedelta(minutes=30)
"""How long a session keeps its market without renewing it, when it cannot be seen to have died
because it ran on another machine."""


RENEW_AFTER = timedelta(minutes=10)
"""A renewal is a write; most ticks can do without one."""

_living: set[str] = set()
"""Owners of this process whose sessions have not ended."""


@dataclass(slots=True)
class Lease:
    """The right to trade one market until it runs out."""

    store: Store
    name: str
    owner: str
    clock: Clock
    renewed_at: datetime | None = None

    def keep(self) -> None:
        """Renew it when it is time to. Raises as :meth:`renew`."""
        if self.renewed_at is None or self.clock.now() - self.renewed_at >= RENEW_AFTER:
            self.renew()

    def renew(self) -> None:
        """Keep it. Raises ``TradingHalted`` when somebody else has taken it meanwhile."""
        now = self.clock.now()
        with self.store.write() as tx:
            holder = tx.lease_holder(self.name, at=now)
            if holder and holder != self.owner and _has_died(holder):
                tx.release_lease(self.name, holder)
            if not tx.acquire_lease(self.name, self.owner, now, LEASE_TIME):
                what = self.name.removeprefix("session-")
                raise TradingHalted(
                    f"another session trades {what}: {_words(holder)}. This one stops; end that "
                    "one first if it is not wanted"
                )
        self.renewed_at = now


@contextmanager
def session_lease(
    store: Store, group: MarketGroup, session: Session, clock: Clock
) -> Iterator[Lease]:
    """Hold the market of a session; released at the end, or by time after a crash.

    Raises:
        TradingHalted: another run holds it.
    """
    since = f"{clock.now():%Y-%m-%d %H.%M} UTC"
    mark = f"{_process_mark(os.getpid())}{secrets.token_hex(4)}"
    owner = f"{socket.gethostname()}:{os.getpid()}:{since}:{mark}"
    lease = Lease(store, _name(group, session.date), owner, clock)
    lease.renew()
    _living.add(owner)
    try:
        yield lease
    finally:
        _living.discard(owner)
        with store.write() as tx:
            tx.release_lease(lease.name, owner)


def living_holder(reader: StoreReader, group: MarketGroup, day: date, at: datetime) -> str | None:
    """Who trades the session of that date, in words; None when nobody does or its holder died."""
    holder = reader.lease_holder(_name(group, day), at=at)
    return None if holder is None or _has_died(holder) else _words(holder)


def living_words(owner: str) -> str:
    """Who the owner of a lease is, in words; empty when it has died."""
    return "" if _has_died(owner) else _words(owner)


def was_left_by_the_dead(reader: StoreReader, group: MarketGroup, day: date, at: datetime) -> bool:
    """Whether the session of that date is still held by a process of this machine that is gone."""
    holder = reader.lease_holder(_name(group, day), at=at)
    return holder is not None and _has_died(holder)


def _name(group: MarketGroup, day: date) -> str:
    return f"session-{group}-{day.isoformat()}"


def _words(owner: str | None) -> str:
    """``process 123 on desk since 2026-01-05 23:30 UTC``, as far as an owner says so."""
    host, _, run = (owner or "").partition(":")
    pid, _, rest = run.partition(":")
    since = rest.partition(":")[0].replace(".", ":")
    return f"process {pid or '?'} on {host or '?'}" + (f" since {since}" if since else "")


def _has_died(owner: str) -> bool:
    """Whether an owner on this machine is no longer running; another machine's cannot be seen."""
    host, _, run = owner.partition(":")
    pid, _, rest = run.partition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    if int(pid) == os.getpid():
        # A container's processes get the same number at every start.
        return owner not in _living
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    # After a restart of the machine, or of a container, its number may be somebody else's.
    born, _, _ = rest.partition(":")[2].rpartition("-")
    return bool(born) and f"{born}-" != _process_mark(int(pid))


def _process_mark(pid: int) -> str:
    """``BOOT-TICKS-``: which boot of the machine a process began in and when, by a clock that
    nobody sets; empty where there is no ``/proc``.

    Source: proc(5), field 22 of ``/proc/PID/stat`` and ``/proc/sys/kernel/random/boot_id``.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
        # The second field is the program's name in brackets, and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # What has ended and waits for its parent does nothing any more.
        return "" if fields[0] == "Z" else f"{boot[:12]}-{fields[19]}-"
    except (OSError, IndexError):
        return ""
