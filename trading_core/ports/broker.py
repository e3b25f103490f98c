"""The broker: its prices, its account, its stream, and the lock in front of its order desk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, TypeAlias

from trading_core.model.language import PlanReply as PlanReply
from trading_core.model.language import PlanRequest as PlanRequest
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.order import (
    ApprovedOrder,
    BrokerOrder,
    OrderAck,
    OrderNotice,
)
from trading_core.model.portfolio import Account
from trading_core.model.price import DailyBar, MinuteBar, OrderBook, Quote, Ranking, RankRow


class MarketData(Protocol):
    """Prices. Every method raises ``BrokerUnavailable`` (after its retries) or ``NotOffered``."""

    async def quote(self, instrument: Instrument) -> Quote: ...

    async def quotes(
        self, instruments: Sequence[Instrument], *, held: Collection[str] = ()
    ) -> dict[str, Quote]:
        """Quotes by symbol. A symbol that fails is left out and logged; all failing raises.

        The symbols in ``held`` are asked first where calls are scarce.
        """
        ...

    async def order_book(self, instrument: Instrument) -> OrderBook: ...

    async def daily_bars(
        self, instrument: Instrument, *, until: date, count: int
    ) -> Sequence[DailyBar]:
        """Up to ``count`` adjusted bars, oldest first, the last one on or before ``until``."""
        ...

    async def minute_bars(
        self, instrument: Instrument, *, until: datetime, count: int
    ) -> Sequence[MinuteBar]:
        """Up to ``count`` bars of the session, oldest first, none starting after ``until``."""
        ...

    async def ranking(self, group: MarketGroup, ranking: Ranking) -> Sequence[RankRow]:
        """The broker's ranking over all exchanges of the group, best first."""
        ...

    async def is_trading_day(self, group: MarketGroup, day: date) -> bool:
        """What the broker's own holiday query says."""
        ...


class Broker(Protocol):
    """The account and its orders.

    ``submit``, ``modify`` and ``cancel`` are sent once, by no layer ever twice. They raise
    ``OrderRejected`` (nothing is working), ``NotOffered`` (refused before sending) or
    ``OrderOutcomeUnknown`` (ask ``orders``).
    """

    async def account(self, group: MarketGroup) -> Account: ...

    async def orders(self, group: MarketGroup, session: date) -> Sequence[BrokerOrder]:
        """Every order of the session, open, filled, cancelled and rejected, oldest first.

        Rows of modifies and cancels are included with ``original_no`` set.
        """
        ...

    async def submit(self, order: ApprovedOrder) -> OrderAck: ...

    async def cancel(self, order: BrokerOrder) -> OrderAck: ...

    async def modify(self, order: BrokerOrder, *, limit_price: str) -> OrderAck:
        """Reprice what remains of an order; ``limit_price`` as the decimal text to send."""
        ...


@dataclass(frozen=True, slots=True)
class StreamGap:
    """Nothing was heard from ``since`` to ``until`` (aware UTC): the connection was cut or silent.

    The stream has asked for the present quotes since; notices of orders may have been missed, so
    the account's orders are to be read again.
    """

    since: datetime
    until: datetime
    reason: str


StreamEvent: TypeAlias = Quote | OrderBook | OrderNotice | StreamGap


class MarketStream(Protocol):
    """Prices as they are made and the account's own order notices, over one connection."""

    async def follow(self, instruments: Sequence[Instrument]) -> Sequence[Instrument]:
        """Follow these instead of the ones before, first things first.

        Returns:
            Those there was no room for, or that the broker does not stream here; poll them.
        """
        ...

    def events(self) -> AsyncIterator[StreamEvent]:
        """Everything that arrives, until the stream is closed. A cut connection is made again."""
        ...

    async def aclose(self) -> None: ...


class OrderLock(Protocol):
    """One holder per account across every process; freed by the system when its holder dies."""

    def hold(self) -> AbstractContextManager[None]: ...
