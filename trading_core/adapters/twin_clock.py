"""The clock of a trader whose exchange is the twin: the twin's time is the only time."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime, timedelta

import httpx

from trading_core.errors import BrokerUnavailable

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class TwinClock:
    """Follows a twin's clock.

    A stepped twin stands still until :meth:`sleep_until` moves it. A running one is read once and
    then extrapolated with the machine's monotonic clock and the twin's speed.

    Args:
        base_url: Where the twin listens.
        transport: Another httpx transport, for tests.
    """

    def __init__(self, base_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._base_url = base_url
        self._transport = transport
        self._at = datetime.fromtimestamp(0, UTC)
        self._read_at = 0.0
        self._speed = 0.0

    async def synchronize(self) -> None:
        """Read the twin's clock; call once before the first :meth:`now`.

        Raises:
            BrokerUnavailable: no twin answers there.
        """
        state = await self._ask("GET", "/twin/state")
        self._set(state)
        try:
            self._speed = float(state["speed"]) if state["clock"] == "running" else 0.0
        except (KeyError, TypeError, ValueError):
            raise self._no_twin("another answer than a twin's") from None

    @property
    def runs(self) -> bool:
        """Whether the twin's clock is a running one, as of the last synchronization."""
        return self._speed > 0

    def now(self) -> datetime:
        passed = (time.monotonic() - self._read_at) * self._speed
        return self._at + timedelta(seconds=passed)

    async def sleep_until(self, at: datetime) -> None:
        if self._speed:
            while (left := (at - self.now()).total_seconds() / self._speed) > 0:  # noqa: ASYNC110
                await asyncio.sleep(min(left, 5.0))
        elif at > self._at:
            self._set(await self._ask("POST", "/twin/clock", {"advance_to": at.isoformat()}))

    def _set(self, state: dict[str, str]) -> None:
        try:
            self._at = datetime.fromisoformat(state["now"])
        except (KeyError, TypeError, ValueError):
            raise self._no_twin("another answer than a twin's") from None
        self._read_at = time.monotonic()

    def _no_twin(self, why: str) -> BrokerUnavailable:
        return BrokerUnavailable(
            f"no twin answers at {self._base_url} ({why}); start one with: ouroboros twin serve"
        )

    async def _ask(
        self, method: str, path: str, body: dict[str, str] | None = None
    ) -> dict[str, str]:
        try:
            # The twin speaks plain HTTP; a context of its own would cost more than the call.
            async with httpx.AsyncClient(
                base_url=self._base_url,
                transport=self._transport,
                trust_env=False,
                verify=_NO_TLS,
            ) as client:
                reply = await client.request(method, path, json=body, timeout=60)
            answer: dict[str, str] = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._no_twin(type(error).__name__) from None
        if reply.status_code != httpx.codes.OK:
            said = answer.get("error") if isinstance(answer, dict) else None
            raise BrokerUnavailable(f"the twin's clock: {said or reply.status_code}")
        return answer
