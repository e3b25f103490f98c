"""One store per account: who trades an account from another store does not start.

The exactly-once protocol reads what was sent from the store. Two stores that trade one account on
one machine would each take the other's orders for a stranger's, so the first one claims the
account and holds it for as long as any of its processes trades.

Two advisory locks (``flock``) that the kernel drops when their holder dies: the claim, which the
processes of one store share, and a door that is held while a claim is looked at. A note in the
claim says whose it is. Local disks only.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from trading_core.adapters.order_lock import FileOrderLock
from trading_core.errors import ConfigError, TradingHalted


def account_locks(
    folder: Path | None, key: str, label: str, store: Path
) -> tuple[FileOrderLock, AccountClaim]:
    """The order lock and the claim of one account.

    Args:
        folder: The same for every process that may trade the account; ``~/.cache/ouroboros`` when
            left out. Not in a home, because two homes may trade one account.
        key: Says which account it is; only a hash of it is in the file names.
        label: Names the account to a person.
        store: The file that holds what this process knows of the account.

    Raises:
        ConfigError: the folder cannot be used.
    """
    folder = folder or Path.home() / ".cache" / "ouroboros"
    name = hashlib.sha256(key.encode()).hexdigest()[:12]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"account-{name}.lock").touch(mode=0o600)
    except OSError as error:
        raise ConfigError(f"LOCK_DIR={folder}: cannot be used: {error.strerror}") from None
    claim = AccountClaim(folder / f"account-{name}.lock", label=label, store=store)
    return FileOrderLock(folder / f"orders-{name}.lock"), claim


class AccountClaim:
    """The right of one store to trade one account, shared by the processes that use the store.

    Args:
        path: One file per account; its folder must exist.
        label: Names the account to a person.
        store: Whose right it is.
    """

    def __init__(self, path: Path, *, label: str, store: Path) -> None:
        self._path = path
        self._label = label
        self._store = str(store.resolve())

    @contextmanager
    def hold(self, at: datetime) -> Iterator[None]:
        """Hold the account for the block; ``at`` (aware UTC) is told to whoever is refused.

        Raises:
            TradingHalted: a process that uses another store trades the account.
        """
        with _opened(self._path) as claim:
            with _opened(self._path.with_suffix(".door")) as door:
                fcntl.flock(door, fcntl.LOCK_EX)
                self._enter(claim, at)
            yield

    @contextmanager
    def hold_alone(self, at: datetime, why: str) -> Iterator[None]:
        """Hold the account against every other process, those of the same store too.

        Raises:
            TradingHalted: a process trades the account.
        """
        with _opened(self._path) as claim:
            with _opened(self._path.with_suffix(".door")) as door:
                fcntl.flock(door, fcntl.LOCK_EX)
                try:
                    fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    note = _note(claim)
                    living = [item for item in note["holders"] if _lives(item)]
                    raise TradingHalted(self._refusal(str(note["store"]), living)) from None
                self._write(claim, f"({why})", [], at)
            yield

    def _enter(self, claim: int, at: datetime) -> None:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            holders: list[dict[str, Any]] = []
        except BlockingIOError:
            note = _note(claim)
            holders = [item for item in note["holders"] if _lives(item)]
            if note["store"] != self._store:
                raise TradingHalted(self._refusal(str(note["store"]), holders)) from None
        self._write(claim, self._store, holders, at)
        fcntl.flock(claim, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def _write(self, claim: int, store: str, holders: list[dict[str, Any]], at: datetime) -> None:
        """Say whose the account is, this process last."""
        me = {"pid": os.getpid(), "host": socket.gethostname(), "since": f"{at:%Y-%m-%d %H:%M} UTC"}
        text = json.dumps({"store": store, "holders": [*holders, me]}).encode()
        os.ftruncate(claim, 0)
        os.pwrite(claim, text, 0)

    def _refusal(self, store: str, holders: list[dict[str, Any]]) -> str:
        who = "; ".join(
            f"process {item['pid']} on {item['host']} since {item['since']}" for item in holders
        )
        return (
            f"the {self._label} is traded already by {who or 'another process'}, with the store "
            f"{store}. Stop that first, or work with its store: two stores must not trade one "
            "account"
        )


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _note(claim: int) -> dict[str, Any]:
    """What the holders wrote down."""
    try:
        found: dict[str, Any] = json.loads(os.pread(claim, os.fstat(claim).st_size, 0))
        return {"store": found["store"], "holders": list(found["holders"])}
    except (ValueError, KeyError, TypeError):
        # A holder died while it wrote; another one holds the account all the same.
        return {"store": "(not known)", "holders": []}


def _lives(holder: dict[str, Any]) -> bool:
    if holder.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
