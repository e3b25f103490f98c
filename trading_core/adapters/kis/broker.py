"""The broker's account and orders behind the ``Broker`` port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from trading_core.adapters.kis.domestic_account import DomesticAccount
from trading_core.adapters.kis.order_desk import OrderDesk
from trading_core.adapters.kis.overseas_account import OverseasAccount
from trading_core.adapters.kis.routes import DomesticVenue
from trading_core.adapters.kis.transport import KisTransport
from trading_core.clock import Clock
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import ApprovedOrder, BrokerOrder, OrderAck
from trading_core.model.portfolio import Account


class KisBroker:
    """One account. Reads raise as ``KisTransport.read``, orders as ``KisTransport.post_order``."""

    def __init__(
        self,
        transport: KisTransport,
        clock: Clock,
        instruments: Mapping[str, Instrument],
        route: DomesticVenue = "KRX",
    ) -> None:
        self._domestic = DomesticAccount(transport, clock, instruments)
        self._overseas = OverseasAccount(transport, clock, instruments)
        self._desk = OrderDesk(transport, clock, route)

    async def account(self, group: MarketGroup) -> Account:
        """Cash, buying power and holdings of the group's currency."""
        if group is MarketGroup.KR:
            return await self._domestic.account()
        return await self._overseas.account(group)

    async def orders(self, group: MarketGroup, session: date) -> Sequence[BrokerOrder]:
        """Every order of the session, oldest first; ``session`` is the exchange's own date."""
        if group is MarketGroup.KR:
            return await self._domestic.orders(session)
        return await self._overseas.orders(group, session)

    async def open_orders(self, group: MarketGroup) -> Sequence[BrokerOrder]:
        """What can still be modified or cancelled, oldest first."""
        if group is MarketGroup.KR:
            return await self._domestic.open_orders()
        return await self._overseas.open_orders(group)

    async def sellable(self, instrument: Instrument) -> int:
        """Shares of a holding that can be sold now; 0 when it is not held."""
        return await self._ledger(instrument).sellable(instrument)

    async def buyable(self, instrument: Instrument, limit_price: Decimal) -> int:
        """Shares the cash of the market's currency is enough for at a limit price."""
        return await self._ledger(instrument).buyable(instrument, limit_price)

    async def deposits(self) -> Mapping[Currency, Decimal]:
        """Cash by foreign currency, without what is still to settle. ``NotOffered`` on paper."""
        return await self._overseas.deposits()

    def _ledger(self, instrument: Instrument) -> DomesticAccount | OverseasAccount:
        return self._domestic if instrument.market is Market.KR else self._overseas

    async def submit(self, order: ApprovedOrder) -> OrderAck:
        """Send an order that passed the risk gate, once.

        Raises:
            TypeError: anything but an ``ApprovedOrder``.
        """
        return await self._desk.submit(order)

    async def cancel(self, order: BrokerOrder) -> OrderAck:
        """Cancel all that remains of an order; the cancel has a number of its own."""
        return await self._desk.cancel(order)

    async def modify(self, order: BrokerOrder, *, limit_price: str) -> OrderAck:
        """Reprice what remains; from then on the order answers to the number returned."""
        return await self._desk.modify(order, limit_price=limit_price)
