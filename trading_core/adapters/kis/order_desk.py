"""Turns orders, modifies and cancels into request bodies, and acceptances into numbers.

Prices are written as they were decided: a price off the market's grid, or with more decimals than
its orders carry, is refused here, never rounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from trading_core.adapters.kis import wire
from trading_core.adapters.kis.routes import DomesticVenue, Route, change_route, order_route
from trading_core.adapters.kis.transport import KisTransport
from trading_core.adapters.kis.windows import Window, window_at
from trading_core.clock import Clock
from trading_core.errors import (
    BrokerUnavailable,
    DataError,
    NotOffered,
    OrderOutcomeUnknown,
    OrderRejected,
)
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.order import ApprovedOrder, BrokerOrder, OrderAck, OrderType, Side
from trading_core.rules.calendar import local_date
from trading_core.rules.markets import is_on_increment, market_info

_MODIFY, _CANCEL = "01", "02"
_PRICELESS = "0"
_PRICE_TEXT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,8})?", re.ASCII)
_DECIMALS: Mapping[MarketGroup, int] = {
    MarketGroup.KR: 0,
    MarketGroup.JP: 1,
    MarketGroup.HK: 3,
    MarketGroup.CN: 3,
    MarketGroup.VN: 0,
}


class OrderDesk:
    """Sends orders, each of them once.

    Args:
        venue: Where Korean orders go: ``KRX``, ``NXT``, or ``SOR``, which lets the broker choose.
    """

    def __init__(self, transport: KisTransport, clock: Clock, venue: DomesticVenue) -> None:
        self._transport = transport
        self._clock = clock
        self._venue = venue

    async def submit(self, order: ApprovedOrder) -> OrderAck:
        if not isinstance(order, ApprovedOrder):
            raise TypeError(f"only an ApprovedOrder can be submitted, not {type(order).__name__}")
        intent, now = order.intent, self._clock.now()
        instrument, kind = intent.instrument, intent.order_type
        if intent.quantity <= 0:
            raise NotOffered(f"an order for {intent.quantity} shares of {instrument.symbol}")
        price = _PRICELESS
        if kind is OrderType.LIMIT:
            if intent.limit_price is None:
                raise NotOffered(f"a limit order in {instrument.symbol} without a price")
            price = price_text(instrument.market, intent.limit_price)
        route = self._route(instrument.market, intent.side, kind, now)
        if kind is OrderType.LIMIT:
            require_increment(instrument, Decimal(price), self._today(instrument, now))
        body = {
            **self._transport.account_fields,
            "PDNO": instrument.symbol,
            "ORD_QTY": str(intent.quantity),
            "ORD_DVSN": route.kinds[kind],
        }
        if instrument.market is Market.KR:
            body |= {
                "SLL_TYPE": "01" if intent.side is Side.SELL else "",
                "ORD_UNPR": price,
                "CNDT_PRIC": "",
                "EXCG_ID_DVSN_CD": route.venue,
            }
        else:
            body |= {
                "OVRS_EXCG_CD": route.venue,
                "OVRS_ORD_UNPR": price,
                "CTAC_TLNO": "",
                "MGCO_APTM_ODNO": "",
                "SLL_TYPE": "00" if intent.side is Side.SELL else "",
                "ORD_SVR_DVSN_CD": "0",
            }
        return await self._post(route.path, route.tr_id, body)

    async def cancel(self, order: BrokerOrder) -> OrderAck:
        return await self._change(order, _CANCEL, _PRICELESS)

    async def modify(self, order: BrokerOrder, *, limit_price: str) -> OrderAck:
        if _PRICE_TEXT.fullmatch(limit_price) is None:
            raise NotOffered("the new limit price is not a decimal number")
        instrument = order.instrument
        price = price_text(instrument.market, Decimal(limit_price))
        today = self._today(instrument, self._clock.now())
        # The book does not say what is a fund, so the finer of the two grids decides.
        require_increment(instrument, Decimal(price), today, either_grid=True)
        return await self._change(order, _MODIFY, price)

    async def _change(self, order: BrokerOrder, action: str, price: str) -> OrderAck:
        market, mode = order.instrument.market, self._transport.personality
        cancel = action == _CANCEL
        path, tr_id = change_route(mode, market, cancel=cancel, day_session=_of_day_session(order))
        if order.remaining_quantity <= 0:
            raise OrderRejected(f"nothing is left of order {order.order_no}")
        body = {
            **self._transport.account_fields,
            "ORGN_ODNO": order.order_no,
            "RVSE_CNCL_DVSN_CD": action,
            "ORD_QTY": str(order.remaining_quantity),
        }
        if market is Market.KR:
            body |= {
                "KRX_FWDG_ORD_ORGNO": order.branch_no,
                "ORD_DVSN": "00" if cancel else self._modify_kind(order),
                "ORD_UNPR": price,
                "QTY_ALL_ORD_YN": "Y",
                "CNDT_PRIC": "",
                "EXCG_ID_DVSN_CD": order.route or self._venue,
            }
        else:
            body |= {
                "OVRS_EXCG_CD": market_info(market).order_code,
                "PDNO": order.instrument.symbol,
                "OVRS_ORD_UNPR": price,
                "CTAC_TLNO": "",
                "MGCO_APTM_ODNO": "",
                "ORD_SVR_DVSN_CD": "0",
            }
        return await self._post(path, tr_id, body)

    def _modify_kind(self, order: BrokerOrder) -> str:
        venue, now = order.route or self._venue, self._clock.now()
        window = window_at(MarketGroup.KR, venue, now)
        route = order_route(
            self._transport.personality, Market.KR, order.side, OrderType.LIMIT, window, venue
        )
        return route.kinds[OrderType.LIMIT]

    def _route(self, market: Market, side: Side, kind: OrderType, now: datetime) -> Route:
        venue = self._venue if market is Market.KR else market_info(market).order_code
        window = window_at(market.group, venue, now)
        return order_route(self._transport.personality, market, side, kind, window, venue)

    def _today(self, instrument: Instrument, now: datetime) -> date:
        return local_date(instrument.market.group, now)

    async def _post(self, path: str, tr_id: str, body: Mapping[str, str]) -> OrderAck:
        output = await self._transport.post_order(path, tr_id, body)
        try:
            number = wire.order_no(output, "ODNO")
            branch = wire.text(output, "KRX_FWDG_ORD_ORGNO")
        except BrokerUnavailable:
            number, branch = "", ""
        if not number:
            raise OrderOutcomeUnknown("accepted, but without a usable order number")
        return OrderAck(number, branch, self._clock.now())


def _of_day_session(order: BrokerOrder) -> bool:
    """Whether a US order was placed in the day session, which only its time of order tells."""
    market = order.instrument.market
    if market.group is not MarketGroup.US:
        return False
    try:
        window = window_at(market.group, market_info(market).order_code, order.ordered_at)
    except NotOffered:
        return False
    return window is Window.DAY_SESSION


def require_increment(
    instrument: Instrument, price: Decimal, on: date, *, either_grid: bool = False
) -> None:
    """Refuse a price that no order of the instrument's market may carry on a session date.

    Raises:
        NotOffered: the price is off the grid, or the grid of that date is not known.
    """
    market = instrument.market
    grids = {instrument.is_fund} | ({True, False} if either_grid else set())
    try:
        if any(is_on_increment(market, price, on, etf=fund) for fund in grids):
            return
    except DataError as error:
        raise NotOffered(str(error)) from None
    raise NotOffered(f"{price} is not on the price increment of {instrument.symbol} in {market}")


def price_text(market: Market, price: Decimal) -> str:
    """A limit price as the market's orders carry it.

    Korea takes whole won; the US two decimals from 1 dollar and four below.

    Raises:
        NotOffered: the price is not above zero or has more decimals than that.
    """
    if not price.is_finite() or price <= 0:
        raise NotOffered(f"a limit price must be above zero, not {price}")
    if market.group is MarketGroup.US:
        fixed = 2 if price >= 1 else 4
        shown = price.quantize(Decimal(1).scaleb(-fixed))
        text = f"{shown:f}"
    else:
        shown = round(price, _DECIMALS[market.group])
        text = f"{shown.normalize():f}"
    if shown != price:
        raise NotOffered(f"a limit price in {market} has fewer decimals than {price}")
    return text
