"""The last thing before the broker: while it takes no orders, none leaves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from trading_core.clock import Clock
from trading_core.errors import OrdersClosed
from trading_core.model.limits import BlackoutWindow
from trading_core.model.market import MarketGroup
from trading_core.model.order import ApprovedOrder, BrokerOrder, OrderAck
from trading_core.model.portfolio import Account
from trading_core.ports import Broker
from trading_core.rules.blackout import blackout_words


class ClosedHoursBroker:
    """A broker that is asked anything at any time, and told to do nothing during a blackout.

    The risk gate refuses first, and says so; a tick may begin before a blackout and send in it.

    Raises:
        OrdersClosed: on ``submit``, ``modify`` and ``cancel`` during one.
    """

    def __init__(self, inner: Broker, windows: Sequence[BlackoutWindow], clock: Clock) -> None:
        self._inner = inner
        self._windows = windows
        self._clock = clock

    async def account(self, group: MarketGroup) -> Account:
        return await self._inner.account(group)

    async def orders(self, group: MarketGroup, session: date) -> Sequence[BrokerOrder]:
        return await self._inner.orders(group, session)

    async def submit(self, order: ApprovedOrder) -> OrderAck:
        self._check()
        return await self._inner.submit(order)

    async def cancel(self, order: BrokerOrder) -> OrderAck:
        self._check()
        return await self._inner.cancel(order)

    async def modify(self, order: BrokerOrder, *, limit_price: str) -> OrderAck:
        self._check()
        return await self._inner.modify(order, limit_price=limit_price)

    def _check(self) -> None:
        words = blackout_words(self._windows, self._clock.now())
        if words:
            raise OrdersClosed(words, "blackout")
