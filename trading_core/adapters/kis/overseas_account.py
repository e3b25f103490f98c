"""The account outside Korea, one group of markets (and so one currency) at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias
from zoneinfo import ZoneInfo

from trading_core.adapters.kis import wire
from trading_core.adapters.kis.domestic_account import (
    checked_order,
    make_holding,
    unique_holdings,
    unique_orders,
)
from trading_core.adapters.kis.tokens import SEOUL
from trading_core.adapters.kis.tr_table import Query
from trading_core.adapters.kis.transport import KisTransport
from trading_core.clock import Clock
from trading_core.errors import NotOffered
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import BrokerOrder, Side
from trading_core.model.portfolio import Account, Holding
from trading_core.rules.markets import currency_of, market_info, zone_of

_SIDES = {"01": Side.SELL, "02": Side.BUY}
_CANCEL = "02"
_REJECTED = "거부"
# The buying-power query wants a security; any listed one of the group will do.
_ANY_SYMBOL: Mapping[MarketGroup, Instrument] = {
    MarketGroup.US: Instrument("AAPL", Market.US_NASDAQ),
    MarketGroup.JP: Instrument("7203", Market.JP),
    MarketGroup.HK: Instrument("00700", Market.HK),
    MarketGroup.CN: Instrument("600519", Market.CN_SHA),
    MarketGroup.VN: Instrument("VNM", Market.VN_HSX),
}
_CashAndRate: TypeAlias = tuple[Decimal, Decimal, Decimal | None]
# Banks in Korea quote these for a hundred units. The present balance says so in ``unit_amt``, the
# queries read here do not; a rate above this many won cannot be for one.
_DEAREST_UNIT: Mapping[Currency, Decimal] = {Currency.JPY: Decimal(100), Currency.VND: Decimal(1)}


def _won_for_one(currency: Currency, told: Decimal | None) -> Decimal | None:
    """The won for one unit of a currency; None when none was told."""
    if told is None or told <= 0:
        return None
    dearest = _DEAREST_UNIT.get(currency)
    return told / 100 if dearest is not None and told > dearest else told


class OverseasAccount:
    """Reads holdings, cash and orders of a group; all pages."""

    def __init__(
        self, transport: KisTransport, clock: Clock, instruments: Mapping[str, Instrument]
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._instruments = instruments

    async def account(self, group: MarketGroup) -> Account:
        """Cash counts what is still to settle; the paper host shows buying power only.

        The won rate comes with the cash, so it costs no call of its own.
        """
        holdings = await self._holdings(group)
        if self._transport.personality == "real":
            cash, orderable, rate = await self._margin(currency_of(group))
        else:
            cash, orderable, rate = await self._paper_cash(group, holdings)
        return Account(
            currency=currency_of(group),
            cash=cash,
            orderable=min(orderable, cash),
            holdings=holdings,
            at=self._clock.now(),
            krw_rate=rate,
        )

    async def _holdings(self, group: MarketGroup) -> tuple[Holding, ...]:
        held: list[Holding] = []
        for market in self._asked_markets(group):
            params = {
                **self._transport.account_fields,
                "OVRS_EXCG_CD": market_info(market).order_code,
                "TR_CRCY_CD": market_info(market).currency.value,
            }
            for page in await self._transport.read_pages(Query.BALANCE, params):
                for row in wire.rows(page.get("output1")):
                    holding = self._holding(row, group, market)
                    if holding is not None:
                        held.append(holding)
        return unique_holdings(held)

    def _asked_markets(self, group: MarketGroup) -> Sequence[Market]:
        # On the real host NASD means the whole US; on paper it means NASDAQ alone.
        everything = group is MarketGroup.US and self._transport.personality == "real"
        return group.markets[:1] if everything else group.markets

    def _holding(self, row: wire.Row, group: MarketGroup, asked: Market) -> Holding | None:
        code = wire.symbol(row, "ovrs_pdno")
        quantity, sellable = wire.quantity(row, "ovrs_cblc_qty"), wire.quantity(row, "ord_psbl_qty")
        last, market = wire.price(row, "now_pric2"), self._market_of(row, code, group, asked)
        # Expired rights stay on the books in great numbers, with no price and nothing to sell.
        worthless = last == 0 and sellable == 0
        if not code or quantity == 0 or worthless or market is None:
            return None
        if market is not asked and len(self._asked_markets(group)) > 1:
            return None
        return make_holding(
            self._instrument(code, market, wire.text(row, "ovrs_item_name")),
            quantity=quantity,
            sellable=sellable,
            average_price=wire.price(row, "pchs_avg_pric"),
            last_price=last,
        )

    async def _margin(self, currency: Currency) -> _CashAndRate:
        """Cash and buying power of one currency, which repeats under several countries."""
        pages = await self._transport.read_pages(Query.MARGIN, self._transport.account_fields)
        for row in (row for page in pages for row in wire.rows(page.get("output"))):
            if wire.text(row, "crcy_cd") != currency.value:
                continue
            settling = wire.required(row, "ustl_sll_amt") - wire.required(row, "ustl_buy_amt")
            cash = wire.required(row, "frcr_dncl_amt1") + settling
            rate = _won_for_one(currency, wire.number(row, "bass_exrt"))
            return cash, wire.required(row, "frcr_ord_psbl_amt1"), rate
        # The account never held that currency.
        return Decimal(0), Decimal(0), None

    async def _paper_cash(self, group: MarketGroup, holdings: Sequence[Holding]) -> _CashAndRate:
        row = await self._buying_power(self._any_instrument(group, holdings), "1")
        orderable = wire.required(row, "ovrs_ord_psbl_amt")
        reserved = sum(
            (
                order.remaining_quantity * (order.limit_price or Decimal(0))
                for order in await self.orders(group, self._today(group))
                if order.side is Side.BUY
            ),
            Decimal(0),
        )
        rate = _won_for_one(currency_of(group), wire.number(row, "exrt"))
        return orderable + reserved, orderable, rate

    async def _buying_power(self, instrument: Instrument, price: str) -> wire.Row:
        params = {
            **self._transport.account_fields,
            "OVRS_EXCG_CD": market_info(instrument.market).order_code,
            "OVRS_ORD_UNPR": price,
            "ITEM_CD": instrument.symbol,
        }
        body = await self._transport.read(Query.BUYING_POWER, params)
        return wire.one_row(body.get("output"))

    async def buyable(self, instrument: Instrument, limit_price: Decimal) -> int:
        """Shares that the cash in that currency is enough for; not rounded to lots."""
        row = await self._buying_power(instrument, f"{limit_price.normalize():f}")
        wire.required(row, "max_ord_psbl_qty")
        return wire.quantity(row, "max_ord_psbl_qty")

    async def sellable(self, instrument: Instrument) -> int:
        """Shares that can be sold now, as the balance tells."""
        held = await self._holdings(instrument.market.group)
        return next((h.sellable for h in held if h.instrument == instrument), 0)

    async def deposits(self) -> dict[Currency, Decimal]:
        """Cash by foreign currency, unsettled trades left out; what is not listed is not there.

        The paper host fills no currencies in, so there it is not offered.
        """
        if self._transport.personality == "paper":
            raise NotOffered("the paper host tells no deposits by currency")
        params = {
            **self._transport.account_fields,
            "WCRC_FRCR_DVSN_CD": "02",
            "NATN_CD": "000",
            "TR_MKET_CD": "00",
            "INQR_DVSN_CD": "00",
        }
        found: dict[Currency, Decimal] = {}
        for page in await self._transport.read_pages(Query.PRESENT_BALANCE, params):
            for row in wire.rows(page.get("output2")):
                code = wire.text(row, "crcy_cd")
                if code in set(Currency):
                    found[Currency(code)] = wire.required(row, "frcr_dncl_amt_2")
        return found

    def _any_instrument(self, group: MarketGroup, holdings: Sequence[Holding]) -> Instrument:
        listed = (i for i in self._instruments.values() if i.market.group is group)
        held = (holding.instrument for holding in holdings)
        return next(listed, None) or next(held, None) or _ANY_SYMBOL[group]

    def _today(self, group: MarketGroup) -> date:
        return self._clock.now().astimezone(ZoneInfo(zone_of(group))).date()

    async def open_orders(self, group: MarketGroup) -> Sequence[BrokerOrder]:
        """What still works; on paper the open rows of today's listing."""
        if self._transport.personality == "paper":
            return [o for o in await self.orders(group, self._today(group)) if o.is_open]
        found: list[BrokerOrder] = []
        for asked in self._asked_markets(group):
            params = {
                **self._transport.account_fields,
                "OVRS_EXCG_CD": market_info(asked).order_code,
                "SORT_SQN": "DS",
            }
            for page in await self._transport.read_pages(Query.OPEN_ORDERS, params):
                for row in wire.rows(page.get("output")):
                    order = self._order(row, group, asked, None)
                    if order is not None and order.is_open:
                        found.append(order)
        return unique_orders(found)

    async def orders(self, group: MarketGroup, session: date) -> Sequence[BrokerOrder]:
        """Orders of the exchange's own date, from the listing of orders and fills."""
        paper = self._transport.personality == "paper"
        found: list[BrokerOrder] = []
        # The paper host takes no exchange and lists every market at once.
        for asked in group.markets[:1] if paper else self._asked_markets(group):
            params = {
                **self._transport.account_fields,
                "PDNO": "" if paper else "%",
                "ORD_STRT_DT": wire.day_text(session),
                "ORD_END_DT": wire.day_text(session),
                "SLL_BUY_DVSN": "00",
                "CCLD_NCCS_DVSN": "00",
                "OVRS_EXCG_CD": "" if paper else market_info(asked).order_code,
                "SORT_SQN": "DS",
                "ORD_DT": "",
                "ORD_GNO_BRNO": "",
                "ODNO": "",
            }
            for page in await self._transport.read_pages(Query.ORDERS, params):
                for row in wire.rows(page.get("output")):
                    order = self._order(row, group, asked, session)
                    if order is not None:
                        found.append(order)
        return unique_orders(found)

    def _order(
        self, row: wire.Row, group: MarketGroup, asked: Market, wanted: date | None
    ) -> BrokerOrder | None:
        number, code = wire.order_no(row, "odno"), wire.symbol(row, "pdno")
        if not number and not code:
            # An empty listing is answered with one row of blanks.
            return None
        side = _SIDES.get(wire.text(row, "sll_buy_dvsn_cd"))
        if not number or not code or side is None:
            wire.unusable("an order without a number, symbol or side")
        market = self._market_of(row, code, group, asked)
        session = wire.day(row, "ord_dt") or wanted or self._today(group)
        if market is None or session != (wanted or session):
            return None
        quantity, filled = wire.quantity(row, "ft_ord_qty"), wire.quantity(row, "ft_ccld_qty")
        amount = wire.price(row, "ft_ccld_amt3") or filled * wire.price(row, "ft_ccld_unpr3")
        rejected = _REJECTED in wire.text(row, "prcs_stat_name")
        kinds = (wire.text(row, key) for key in ("rvse_cncl_dvsn", "rvse_cncl_dvsn_cd"))
        cancels = _CANCEL in kinds
        remaining = 0 if cancels or rejected else wire.quantity(row, "nccs_qty")
        gone = quantity - filled - remaining
        return checked_order(
            BrokerOrder(
                order_no=number,
                instrument=self._instrument(code, market, wire.text(row, "prdt_name")),
                side=side,
                quantity=quantity,
                filled_quantity=filled,
                filled_amount=amount,
                remaining_quantity=remaining,
                limit_price=wire.price(row, "ft_ord_unpr3") or None,
                currency=market_info(market).currency,
                session=session,
                ordered_at=_ordered_at(row, session, market, self._clock.now()),
                branch_no=wire.text(row, "ord_gno_brno"),
                original_no=wire.order_no(row, "orgn_odno"),
                cancelled_quantity=0 if rejected else gone,
                rejected_quantity=gone if rejected else 0,
            )
        )

    def _market_of(
        self, row: wire.Row, code: str, group: MarketGroup, asked: Market
    ) -> Market | None:
        """The row's market; None when it belongs to another group."""
        named = wire.text(row, "ovrs_excg_cd")
        for market in group.markets:
            if market_info(market).order_code == named:
                return market
        known = self._instruments.get(code)
        if not named and known is not None and known.market.group is group:
            return known.market
        currency = wire.text(row, "tr_crcy_cd")
        if not named and currency in ("", market_info(asked).currency.value):
            return asked
        return None

    def _instrument(self, code: str, market: Market, name: str) -> Instrument:
        known = self._instruments.get(code)
        return (
            known
            if known is not None and known.market is market
            else Instrument(code, market, name)
        )


def _ordered_at(row: wire.Row, session: date, market: Market, now: datetime) -> datetime:
    """The time of order: Korea's own where it is told, else what can be made of ``ord_tmd``.

    Nobody says whose clock that is. It is read as Seoul's if that is a time of the session's date
    that is over, else as the exchange's, else as Seoul's on that date (a US day session).
    """
    zone = ZoneInfo(market_info(market).zone)
    on, at = wire.day(row, "dmst_ord_dt"), wire.clock_time(row, "thco_ord_tmd")
    if on is not None and at is not None:
        return wire.instant(on, at, SEOUL)
    told = wire.clock_time(row, "ord_tmd")
    for day in (session, session + timedelta(days=1)):
        moment = wire.instant(day, told, SEOUL)
        if moment <= now and moment.astimezone(zone).date() == session:
            return moment
    local = wire.instant(session, told, zone)
    return local if local <= now else wire.instant(session, told, SEOUL)
