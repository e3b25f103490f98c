"""The access token: one per app key and host, shared by every process through a file.

The broker issues at most one token a minute, and every issue sends the account's owner a message.
A token dies at midnight in Seoul, whatever lifetime its reply names.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from filelock import AsyncFileLock, Timeout

from trading_core.adapters.kis.redaction import Redactor
from trading_core.clock import Clock
from trading_core.errors import BrokerError, BrokerUnavailable, RateLimited, TokenExpired

SEOUL = ZoneInfo("Asia/Seoul")
_BETWEEN_ISSUES = timedelta(seconds=60)
_SHORTEST_LEAD = timedelta(seconds=60)
_LONGEST_LEAD = timedelta(minutes=30)
_LOCK_SECONDS = 30.0
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """What the broker's token reply said; ``expires_at`` is None when it named no usable time."""

    text: str = field(repr=False)
    lifetime: timedelta
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Token:
    """``text`` is empty after the token was dropped; ``issued_at`` stays for the minute rule."""

    text: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime

    def usable(self, now: datetime) -> bool:
        # A time of issue ahead of the clock belongs to another clock, not to this token.
        return bool(self.text) and self.issued_at <= now < self.expires_at

    def due(self, now: datetime) -> bool:
        """Whether to renew ahead. Midnight kills young tokens too, so nothing precedes that."""
        if self.expires_at == _next_midnight(self.issued_at):
            return False
        lead = (self.expires_at - self.issued_at) / 10
        return now >= self.expires_at - min(max(lead, _SHORTEST_LEAD), _LONGEST_LEAD)


class TokenCache:
    """Hands out the access token, renewing it when it is due.

    Args:
        folder: Where the token file and its lock lie, both readable by their owner only.
        key: What the token belongs to (app key and host); only its hash is used.
        issue: Asks the broker for a token; raises ``BrokerError``.
        clock: The time by which tokens live and die.
        redactor: Is told of every token, so that none is ever shown.
    """

    def __init__(
        self,
        folder: Path,
        *,
        key: str,
        issue: Callable[[], Awaitable[IssuedToken]],
        clock: Clock,
        redactor: Redactor,
    ) -> None:
        name = hashlib.sha256(key.encode()).hexdigest()[:16]
        self._path = folder / f"token-{name}.json"
        self._lock_path = folder / f"token-{name}.lock"
        self._issue = issue
        self._clock = clock
        self._redactor = redactor
        self._token: _Token | None = None
        self._one_at_a_time = asyncio.Lock()

    async def get(self, *, patient: bool = True) -> str:
        """A token that is valid now.

        Args:
            patient: Wait out the minute between two issues. An order is not patient: its price
                would be old by then.

        Raises:
            TokenExpired: a new token is needed and may not be asked for yet (impatient callers).
            BrokerUnavailable: the broker issued none.
        """
        for _ in range(_ROUNDS):
            now = self._clock.now()
            if self._token is not None and self._token.usable(now) and not self._token.due(now):
                return self._token.text
            async with self._one_at_a_time, self._across_processes():
                answer = await self._get_or_renew()
            if isinstance(answer, str):
                return answer
            if not patient:
                break
            # Nobody holds a lock while waiting, so an order of another process is told at once.
            await self._clock.sleep_until(answer)
        raise TokenExpired("a new access token may not be asked for yet")

    async def drop(self, text: str) -> None:
        """Forget ``text``, which the broker refused, unless it was replaced already."""
        async with self._one_at_a_time, self._across_processes():
            stored = self._load()
            if stored is not None and stored.text == text:
                self._store(_Token("", stored.issued_at, stored.expires_at))
            self._token = None

    def current(self) -> str:
        """The token at hand, "" without one; nothing is asked."""
        stored = self._load()
        return stored.text if stored is not None else ""

    async def _get_or_renew(self) -> str | datetime:
        """The token, or when to ask again."""
        now = self._clock.now()
        stored = self._load()
        if stored is not None and stored.issued_at <= now:
            usable, again_at = stored.usable(now), stored.issued_at + _BETWEEN_ISSUES
            if usable and (not stored.due(now) or now < again_at):
                self._token = stored
                return stored.text
            if now < again_at:
                return again_at
        try:
            return await self._renew(now, stored)
        except BrokerError as error:
            if stored is not None and stored.usable(now):
                return stored.text
            if not isinstance(error, RateLimited):
                raise
            # Somebody else, perhaps on another machine, was issued one within the minute.
            self._store(_Token("", now, now))
            return now + _BETWEEN_ISSUES

    async def _renew(self, now: datetime, stored: _Token | None) -> str:
        issued = await self._issue()
        self._redactor.add(issued.text)
        ends = [now + issued.lifetime, _next_midnight(now)]
        # Within six hours the broker hands out the same token again, and it has not grown younger.
        # A time already past can only be another clock's.
        repeated = stored.expires_at if stored and stored.text == issued.text else None
        ends += [end for end in (issued.expires_at, repeated) if end is not None and end > now]
        self._token = _Token(issued.text, now, min(ends).astimezone(UTC))
        self._store(self._token)
        return issued.text

    @asynccontextmanager
    async def _across_processes(self) -> AsyncIterator[None]:
        lock = AsyncFileLock(self._lock_path, mode=0o600, poll_interval=0.02, run_in_executor=False)
        try:
            await lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout:
            message = "another process has been renewing the access token for too long"
            raise BrokerUnavailable(message) from None
        try:
            yield
        finally:
            await lock.release()

    def _load(self) -> _Token | None:
        try:
            stored = json.loads(self._path.read_text())
            token = _Token(
                str(stored["token"]),
                datetime.fromisoformat(stored["issued_at"]),
                datetime.fromisoformat(stored["expires_at"]),
            )
            token.usable(self._clock.now())
        except (OSError, ValueError, KeyError, TypeError):
            # No file, or not one of ours: the same as no token.
            return None
        self._redactor.add(token.text)
        return token

    def _store(self, token: _Token) -> None:
        content = {
            "token": token.text,
            "issued_at": token.issued_at.isoformat(),
            "expires_at": token.expires_at.isoformat(),
        }
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".token-")
        with os.fdopen(handle, "w") as file:
            json.dump(content, file)
        Path(temporary).replace(self._path)


def _next_midnight(at: datetime) -> datetime:
    tomorrow = at.astimezone(SEOUL).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), SEOUL).astimezone(UTC)
