"""Ports that kill their own process at a chosen moment."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from tests.crash.schedule import Kill
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.order import ApprovedOrder, BrokerOrder, OrderAck
from trading_core.model.portfolio import Account
from trading_core.model.price import Quote
from trading_core.ports import Broker, MarketData, OrderLock, Store, StoreReader, StoreWriter


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Killer:
    """Counts the visits of every point and kills at the chosen one."""

    kill: Kill | None
    seen: Counter[str] = field(default_factory=Counter)

    def reach(self, point: str) -> None:
        self.seen[point] += 1
        if self._is_last(point):
            die()

    def soon(self, point: str) -> None:
        """Kill a moment later, while the event loop is busy with what comes next."""
        self.seen[point] += 1
        if self._is_last(point) and self.kill is not None:
            asyncio.get_running_loop().call_later(self.kill.delay_seconds, die)

    def _is_last(self, point: str) -> bool:
        kill = self.kill
        return kill is not None and kill.point == point and self.seen[point] == kill.nth


@dataclass
class BrokenStore:
    """A store whose process may die before, inside or after a transaction."""

    inner: Store
    killer: Killer

    @contextmanager
    def read(self, *, as_of: datetime | None = None) -> Iterator[StoreReader]:
        with self.inner.read(as_of=as_of) as reader:
            yield reader

    @contextmanager
    def write(self) -> Iterator[StoreWriter]:
        self.killer.reach("write.before")
        with self.inner.write() as tx:
            yield tx
            self.killer.reach("write.inside")
        self.killer.reach("write.after")

    def fingerprint(self) -> str:
        return self.inner.fingerprint()

    def snapshot(self, target: Any) -> int:
        return self.inner.snapshot(target)


@dataclass
class BrokenLock:
    """An order lock whose holder may die."""

    inner: OrderLock
    killer: Killer

    @contextmanager
    def hold(self) -> Iterator[None]:
        with self.inner.hold():
            self.killer.reach("lock.held")
            yield
        self.killer.reach("lock.released")


@dataclass
class BrokenBroker:
    """A broker whose caller may die before, during or after a request."""

    inner: Broker
    killer: Killer

    async def account(self, group: MarketGroup) -> Account:
        answer = await self.inner.account(group)
        self.killer.reach("read.after")
        return answer

    async def orders(self, group: MarketGroup, session: date) -> Sequence[BrokerOrder]:
        self.killer.reach("read.before")
        return await self.inner.orders(group, session)

    async def submit(self, order: ApprovedOrder) -> OrderAck:
        self.killer.reach("submit.before")
        self.killer.soon("submit.during")
        ack = await self.inner.submit(order)
        self.killer.reach("submit.after")
        return ack

    async def cancel(self, order: BrokerOrder) -> OrderAck:
        self.killer.reach("cancel.before")
        ack = await self.inner.cancel(order)
        self.killer.reach("cancel.after")
        return ack

    async def modify(self, order: BrokerOrder, *, limit_price: str) -> OrderAck:
        return await self.inner.modify(order, limit_price=limit_price)


@dataclass
class BrokenMarketData:
    """Prices whose reader may die, and that note when the first of them were asked for."""

    inner: MarketData
    killer: Killer
    on_first: Any = None

    async def quotes(self, instruments: Sequence[Instrument], **more: Any) -> dict[str, Quote]:
        if self.on_first is not None:
            self.on_first()
            self.on_first = None
        answer = await self.inner.quotes(instruments, **more)
        self.killer.reach("quotes.after")
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
