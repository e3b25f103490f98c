"""What has arrived and nobody has taken yet."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeAlias

from trading_core.model.market import Instrument
from trading_core.model.price import OrderBook, Quote
from trading_core.ports import StreamEvent, StreamGap

_Key: TypeAlias = tuple[type[Quote] | type[OrderBook], Instrument]


class _Cell:
    __slots__ = ("event",)

    def __init__(self, event: StreamEvent) -> None:
        self.event = event


class EventQueue:
    """Events in the order they came.

    Above ``capacity`` a new quote or book takes the place of the newest one of its instrument, so
    that at most one more of each waits. Notices and gaps are never dropped; gaps for one reason
    that wait become one.
    """

    def __init__(self, capacity: int) -> None:
        self.conflated = 0
        self._capacity = capacity
        self._cells: deque[_Cell] = deque()
        self._newest: dict[_Key, _Cell] = {}
        self._gaps: dict[str, _Cell] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._cells)

    def put(self, event: StreamEvent) -> None:
        """Add an event; never waits."""
        if isinstance(event, Quote | OrderBook):
            key = (type(event), event.instrument)
            waiting = self._newest.get(key)
            if waiting is not None and len(self._cells) >= self._capacity:
                waiting.event = event
                self.conflated += 1
                return
            self._newest[key] = self._append(event)
        elif isinstance(event, StreamGap):
            earlier = self._gaps.get(event.reason)
            if earlier is not None and isinstance(earlier.event, StreamGap):
                self._cells.remove(earlier)
                event = StreamGap(earlier.event.since, event.until, event.reason)
            self._gaps[event.reason] = self._append(event)
        else:
            self._append(event)

    def _append(self, event: StreamEvent) -> _Cell:
        cell = _Cell(event)
        self._cells.append(cell)
        self._wake.set()
        return cell

    def close(self) -> None:
        """No more will come; what waits can still be taken."""
        self._closed = True
        self._wake.set()

    async def get(self) -> StreamEvent | None:
        """The oldest event, waiting for one; None once closed and empty."""
        while not self._cells:
            if self._closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        cell = self._cells.popleft()
        event = cell.event
        if isinstance(event, Quote | OrderBook):
            key = (type(event), event.instrument)
            if self._newest.get(key) is cell:
                del self._newest[key]
        elif isinstance(event, StreamGap):
            self._gaps.pop(event.reason, None)
        return event
