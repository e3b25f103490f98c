"""The Korean account and its order book, in KRW."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from trading_core.adapters.kis import wire
from trading_core.adapters.kis.routes import DOMESTIC_VENUES
from trading_core.adapters.kis.tokens import SEOUL
from trading_core.adapters.kis.tr_table import Query
from trading_core.adapters.kis.transport import Body, KisTransport
from trading_core.clock import Clock
from trading_core.errors import BrokerUnavailable
from trading_core.model.market import Currency, Instrument, Market
from trading_core.model.order import BrokerOrder, Side
from trading_core.model.portfolio import Account, Holding

_log = logging.getLogger(__name__)

_SIDES = {"01": Side.SELL, "02": Side.BUY}
_RECENT = timedelta(days=85)
_CANCEL_WORD = "취소"


class DomesticAccount:
    """Reads holdings, cash and orders of the Korean market; all pages."""

    def __init__(
        self, transport: KisTransport, clock: Clock, instruments: Mapping[str, Instrument]
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._instruments = instruments

    async def account(self) -> Account:
        """Cash is the deposit of D+2: what is left once all trades so far have settled."""
        pages = await self._balance()
        cash = wire.required(wire.one_row(pages[0].get("output2")), "prvs_rcdl_excc_amt")
        return Account(
            currency=Currency.KRW,
            cash=cash,
            orderable=min(await self._orderable(), cash),
            holdings=self._held_in(pages),
            at=self._clock.now(),
            krw_rate=Decimal(1),
        )

    async def _holdings(self) -> tuple[Holding, ...]:
        return self._held_in(await self._balance())

    async def _balance(self) -> list[Body]:
        params = {
            **self._transport.account_fields,
            "AFHR_FLPR_YN": "N",
            "OFL_YN": "",
            "INQR_DVSN": "02",
            "UNPR_DVSN": "01",
            "FUND_STTL_ICLD_YN": "N",
            "FNCG_AMT_AUTO_RDPT_YN": "N",
            "PRCS_DVSN": "00",
        }
        return await self._transport.read_pages(Query.KR_BALANCE, params)

    def _held_in(self, pages: Sequence[Body]) -> tuple[Holding, ...]:
        held = [
            holding
            for page in pages
            for row in wire.rows(page.get("output1"))
            if (holding := self._holding(row)) is not None
        ]
        return unique_holdings(held)

    async def _orderable(self) -> Decimal:
        return wire.required(await self._buying_power("", ""), "nrcvb_buy_amt")

    async def buyable(self, instrument: Instrument, limit_price: Decimal) -> int:
        """Shares the cash is enough for at that price, without credit."""
        row = await self._buying_power(instrument.symbol, f"{limit_price.normalize():f}")
        wire.required(row, "nrcvb_buy_qty")
        return wire.quantity(row, "nrcvb_buy_qty")

    async def _buying_power(self, symbol: str, price: str) -> wire.Row:
        params = {
            **self._transport.account_fields,
            "PDNO": symbol,
            "ORD_UNPR": price,
            # With a limit order's code the security's own margin rate would be left out.
            "ORD_DVSN": "01",
            "CMA_EVLU_AMT_ICLD_YN": "N",
            "OVRS_ICLD_YN": "N",
        }
        body = await self._transport.read(Query.KR_BUYING_POWER, params)
        return wire.one_row(body.get("output"))

    async def sellable(self, instrument: Instrument) -> int:
        """Shares that can be sold now; the paper host tells it in the balance alone."""
        if self._transport.personality == "paper":
            held = {item.instrument.symbol: item for item in await self._holdings()}
            holding = held.get(instrument.symbol)
            return holding.sellable if holding is not None else 0
        params = {**self._transport.account_fields, "PDNO": instrument.symbol}
        body = await self._transport.read(Query.KR_SELLABLE, params)
        row = wire.one_row(body.get("output"))
        named = wire.symbol(row, "pdno")
        if named and not named.endswith(instrument.symbol):
            wire.unusable("the answer is about another security")
        return wire.quantity(row, "ord_psbl_qty")

    def _holding(self, row: wire.Row) -> Holding | None:
        code, quantity = wire.symbol(row, "pdno"), wire.quantity(row, "hldg_qty")
        if quantity == 0:
            # Sold out today: the broker keeps the row until it has settled.
            return None
        if not code:
            wire.unusable("a holding without a symbol")
        return make_holding(
            self._instrument(code, wire.text(row, "prdt_name")),
            quantity=quantity,
            sellable=wire.quantity(row, "ord_psbl_qty"),
            average_price=wire.price(row, "pchs_avg_pric"),
            last_price=wire.price(row, "prpr"),
        )

    async def orders(self, session: date) -> Sequence[BrokerOrder]:
        return await self._listed(session, "00")

    async def open_orders(self) -> Sequence[BrokerOrder]:
        """What can still be modified or cancelled; on paper the open rows of today's listing."""
        today = self._today()
        if self._transport.personality == "paper":
            return [order for order in await self._listed(today, "02") if order.is_open]
        params = {**self._transport.account_fields, "INQR_DVSN_1": "0", "INQR_DVSN_2": "0"}
        pages = await self._transport.read_pages(Query.KR_OPEN_ORDERS, params)
        found = [
            order
            for page in pages
            for row in wire.rows(page.get("output"))
            if (order := self._order(row, today, "psbl_qty")) is not None
        ]
        return [order for order in unique_orders(found) if order.is_open]

    def _today(self) -> date:
        return self._clock.now().astimezone(SEOUL).date()

    async def _listed(self, session: date, state: str) -> list[BrokerOrder]:
        query = Query.KR_ORDERS if self._today() - session < _RECENT else Query.KR_OLD_ORDERS
        params = {
            **self._transport.account_fields,
            "INQR_STRT_DT": wire.day_text(session),
            "INQR_END_DT": wire.day_text(session),
            "SLL_BUY_DVSN_CD": "00",
            "PDNO": "",
            "ORD_GNO_BRNO": "",
            "ODNO": "",
            "CCLD_DVSN": state,
            "INQR_DVSN": "01",
            "INQR_DVSN_1": "",
            "INQR_DVSN_3": "00",
            "EXCG_ID_DVSN_CD": "KRX" if self._transport.personality == "paper" else "ALL",
        }
        pages = await self._transport.read_pages(query, params)
        found = [
            order
            for page in pages
            for row in wire.rows(page.get("output1"))
            if (order := self._order(row, session, "rmn_qty")) is not None
        ]
        return unique_orders(found)

    def _order(self, row: wire.Row, session: date, remaining: str) -> BrokerOrder | None:
        number, code = wire.order_no(row, "odno"), wire.symbol(row, "pdno")
        if not number and not code:
            return None
        side = _SIDES.get(wire.text(row, "sll_buy_dvsn_cd"))
        if not number or not code or side is None:
            wire.unusable("an order without a number, symbol or side")
        on = wire.day(row, "ord_dt") or session
        if on != session:
            return None
        filled = wire.quantity(row, "tot_ccld_qty")
        amount = wire.price(row, "tot_ccld_amt") or filled * wire.price(row, "avg_prvs")
        names = (wire.text(row, key) for key in ("sll_buy_dvsn_cd_name", "rvse_cncl_dvsn_name"))
        cancels = any(_CANCEL_WORD in name for name in names)
        return checked_order(
            BrokerOrder(
                order_no=number,
                instrument=self._instrument(code, wire.text(row, "prdt_name")),
                side=side,
                quantity=wire.quantity(row, "ord_qty"),
                filled_quantity=filled,
                filled_amount=amount,
                remaining_quantity=0 if cancels else wire.quantity(row, remaining),
                limit_price=wire.price(row, "ord_unpr") or None,
                currency=Currency.KRW,
                session=session,
                ordered_at=wire.instant(on, wire.clock_time(row, "ord_tmd"), SEOUL),
                branch_no=wire.text(row, "ord_gno_brno"),
                original_no=wire.order_no(row, "orgn_odno"),
                cancelled_quantity=wire.quantity(row, "cncl_cfrm_qty"),
                rejected_quantity=wire.quantity(row, "rjct_qty"),
                route=_route(row),
            )
        )

    def _instrument(self, code: str, name: str) -> Instrument:
        known = self._instruments.get(code)
        if known is not None and known.market is Market.KR:
            return known
        return Instrument(code, Market.KR, name)


def _route(row: wire.Row) -> str:
    """Where an order was sent, "" when that is not told. One listing's key has a capital C."""
    named = wire.text(row, "excg_id_dvsn_Cd") or wire.text(row, "excg_id_dvsn_cd")
    return named if named in DOMESTIC_VENUES else ""


def make_holding(
    instrument: Instrument,
    *,
    quantity: int,
    sellable: int,
    average_price: Decimal,
    last_price: Decimal,
) -> Holding:
    """A holding; without a last price it is valued at cost, never at nothing.

    A zero would look like a total loss and trip the breaker.
    """
    if last_price <= 0:
        _log.warning("the broker gave no price for the holding %s: at cost", instrument.symbol)
        last_price = average_price
    return Holding(instrument, quantity, min(sellable, quantity), average_price, last_price)


def unique_holdings(held: Sequence[Holding]) -> tuple[Holding, ...]:
    """The holdings; one listed twice (pages that overlap) makes the whole answer unusable."""
    if len({holding.instrument.symbol for holding in held}) != len(held):
        raise BrokerUnavailable("unusable answer: a holding is listed twice")
    return tuple(held)


def unique_orders(found: Sequence[BrokerOrder]) -> list[BrokerOrder]:
    """Oldest first; an order listed twice (pages that overlap) makes the answer unusable."""
    if len({order.order_no for order in found}) != len(found):
        raise BrokerUnavailable("unusable answer: an order is listed twice")
    return sorted(found, key=lambda order: (order.ordered_at, order.order_no))


def checked_order(order: BrokerOrder) -> BrokerOrder:
    """The order, if its quantities can be true together."""
    possible = (
        order.quantity > 0
        and order.filled_quantity + order.remaining_quantity <= order.quantity
        and (order.filled_quantity > 0) == (order.filled_amount > 0)
    )
    if not possible:
        wire.unusable("the quantities of an order contradict each other")
    return order
