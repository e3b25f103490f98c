"""Turns orders, modifies and cancels into request bodies, and acceptances into numbers.

Prices are written as they were decided: a price with more decimals than the market takes is
refused here, never rounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from trading_core.adapters.kis import tr_table, wire
from trading_core.adapters.kis.transport import KisTransport
from trading_core.clock import Clock
from trading_core.errors import BrokerUnavailable, NotOffered, OrderOutcomeUnknown, OrderRejected
from trading_core.model.market import Market, MarketGroup
from trading_core.model.order import ApprovedOrder, BrokerOrder, OrderAck, OrderType, Side
from trading_core.rules.markets import market_info

_LIMIT, _MARKET = "00", "01"
_MODIFY, _CANCEL = "01", "02"
_PRICE_TEXT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,8})?", re.ASCII)
_DECIMALS: Mapping[MarketGroup, int] = {
    MarketGroup.KR: 0,
    MarketGroup.JP: 1,
    MarketGroup.HK: 3,
    MarketGroup.CN: 3,
    MarketGroup.VN: 0,
}


class OrderDesk:
    """Sends orders, each of them once."""

    def __init__(self, transport: KisTransport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock

    async def submit(self, order: ApprovedOrder) -> OrderAck:
        if not isinstance(order, ApprovedOrder):
            raise TypeError(f"only an ApprovedOrder can be submitted, not {type(order).__name__}")
        intent = order.intent
        market, symbol = intent.instrument.market, intent.instrument.symbol
        mode = self._transport.personality
        tr_id = tr_table.order_tr(mode, market, intent.side)
        if intent.quantity <= 0:
            raise NotOffered(f"an order for {intent.quantity} shares of {symbol}")
        price = "0"
        if intent.order_type is OrderType.LIMIT:
            if intent.limit_price is None:
                raise NotOffered(f"a limit order in {symbol} without a price")
            price = price_text(market, intent.limit_price)
        elif (mode, market) not in tr_table.MARKET_ORDERS:
            raise NotOffered(f"no market orders in {market} on the {mode} host")
        body = {**self._transport.account_fields, "PDNO": symbol, "ORD_QTY": str(intent.quantity)}
        kind = _MARKET if intent.order_type is OrderType.MARKET else _LIMIT
        if market is Market.KR:
            body |= {
                "SLL_TYPE": "01" if intent.side is Side.SELL else "",
                "ORD_DVSN": kind,
                "ORD_UNPR": price,
                "CNDT_PRIC": "",
                "EXCG_ID_DVSN_CD": market_info(market).order_code,
            }
        else:
            body |= {
                "OVRS_EXCG_CD": market_info(market).order_code,
                "OVRS_ORD_UNPR": price,
                "CTAC_TLNO": "",
                "MGCO_APTM_ODNO": "",
                "SLL_TYPE": "00" if intent.side is Side.SELL else "",
                "ORD_SVR_DVSN_CD": "0",
                "ORD_DVSN": kind,
            }
        return await self._post(tr_table.order_path(market), tr_id, body)

    async def cancel(self, order: BrokerOrder) -> OrderAck:
        return await self._revise(order, _CANCEL, "0")

    async def modify(self, order: BrokerOrder, *, limit_price: str) -> OrderAck:
        if _PRICE_TEXT.fullmatch(limit_price) is None:
            raise NotOffered("the new limit price is not a decimal number")
        price = price_text(order.instrument.market, Decimal(limit_price))
        return await self._revise(order, _MODIFY, price)

    async def _revise(self, order: BrokerOrder, action: str, price: str) -> OrderAck:
        market, mode = order.instrument.market, self._transport.personality
        tr_id = tr_table.revise_tr(mode, market, cancel=action == _CANCEL)
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
                "ORD_DVSN": _LIMIT,
                "ORD_UNPR": price,
                "QTY_ALL_ORD_YN": "Y",
                "CNDT_PRIC": "",
                "EXCG_ID_DVSN_CD": market_info(market).order_code,
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
        return await self._post(tr_table.revise_path(market), tr_id, body)

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
