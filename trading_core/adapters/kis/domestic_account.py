"""The Korean account and its order book, in KRW."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from trading_core.adapters.kis import wire
from trading_core.adapters.kis.tokens import SEOUL
from trading_core.adapters.kis.tr_table import Query
from trading_core.adapters.kis.transport import KisTransport
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
        pages = await self._transport.read_pages(Query.KR_BALANCE, params)
        held = [
            holding
            for page in pages
            for row in wire.rows(page.get("output1"))
            if (holding := self._holding(row)) is not None
        ]
        cash = wire.required(wire.one_row(pages[0].get("output2")), "prvs_rcdl_excc_amt")
        return Account(
            currency=Currency.KRW,
            cash=cash,
            orderable=min(await self._orderable(), cash),
            holdings=unique_holdings(held),
            at=self._clock.now(),
        )

    async def _orderable(self) -> Decimal:
        params = {
            **self._transport.account_fields,
            "PDNO": "",
            "ORD_UNPR": "",
            "ORD_DVSN": "01",
            "CMA_EVLU_AMT_ICLD_YN": "N",
            "OVRS_ICLD_YN": "N",
        }
        body = await self._transport.read(Query.KR_BUYING_POWER, params)
        return wire.required(wire.one_row(body.get("output")), "nrcvb_buy_amt")

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
        today = self._clock.now().astimezone(SEOUL).date()
        query = Query.KR_ORDERS if today - session < _RECENT else Query.KR_OLD_ORDERS
        params = {
            **self._transport.account_fields,
            "INQR_STRT_DT": wire.day_text(session),
            "INQR_END_DT": wire.day_text(session),
            "SLL_BUY_DVSN_CD": "00",
            "PDNO": "",
            "ORD_GNO_BRNO": "",
            "ODNO": "",
            "CCLD_DVSN": "00",
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
            if (order := self._order(row, session)) is not None
        ]
        return unique_orders(found)

    def _order(self, row: wire.Row, session: date) -> BrokerOrder | None:
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
        cancels = _CANCEL_WORD in wire.text(row, "sll_buy_dvsn_cd_name")
        return checked_order(
            BrokerOrder(
                order_no=number,
                instrument=self._instrument(code, wire.text(row, "prdt_name")),
                side=side,
                quantity=wire.quantity(row, "ord_qty"),
                filled_quantity=filled,
                filled_amount=amount,
                remaining_quantity=0 if cancels else wire.quantity(row, "rmn_qty"),
                limit_price=wire.price(row, "ord_unpr") or None,
                currency=Currency.KRW,
                session=session,
                ordered_at=wire.instant(on, wire.clock_time(row, "ord_tmd"), SEOUL),
                branch_no=wire.text(row, "ord_gno_brno"),
                original_no=wire.order_no(row, "orgn_odno"),
                cancelled_quantity=wire.quantity(row, "cncl_cfrm_qty"),
                rejected_quantity=wire.quantity(row, "rjct_qty"),
            )
        )

    def _instrument(self, code: str, name: str) -> Instrument:
        known = self._instruments.get(code)
        if known is not None and known.market is Market.KR:
            return known
        return Instrument(code, Market.KR, name)


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
