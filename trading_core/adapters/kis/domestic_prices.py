"""Korean prices, rankings and the market-day query. Prices in KRW."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from trading_core.adapters.kis import wire
from trading_core.adapters.kis.rate_limit import Priority
from trading_core.adapters.kis.tokens import SEOUL
from trading_core.adapters.kis.tr_table import Query
from trading_core.adapters.kis.transport import KisTransport
from trading_core.clock import Clock
from trading_core.errors import BrokerUnavailable
from trading_core.model.market import Instrument, Market
from trading_core.model.price import (
    BookLevel,
    DailyBar,
    MinuteBar,
    OrderBook,
    Quote,
)
from trading_core.rules.markets import is_on_increment, market_info

BATCH = 30
"""Symbols in one request for several quotes, at most."""

_HALTED_STATUS, _HALTED_NAME = "58", "거래정지"
_GRID_PRICES = ("inter2_mxpr", "inter2_llam", "inter2_askp", "inter2_bidp")
_RECENT_DAYS = 30
_LEVELS = 10
_MAX_PAGES = 60
_MINUTE = timedelta(minutes=1)
_FUND_BOARDS = frozenset({"ETF", "ETN"})


class DomesticPrices:
    """Quotes, books, bars and rankings of the Korean market."""

    def __init__(self, transport: KisTransport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._funds: dict[str, bool] = {}
        self._trading_days: dict[date, bool] = {}

    async def quote(self, instrument: Instrument, priority: Priority | None = None) -> Quote:
        """The broker gives no bid and ask here; ``order_book`` has them."""
        body = await self._transport.read(Query.KR_PRICE, _security(instrument), priority)
        row = wire.one_row(body.get("output"))
        _same_security(row, "stck_shrn_iscd", instrument)
        last = wire.price(row, "stck_prpr")
        halted = wire.text(row, "iscd_stat_cls_code") == _HALTED_STATUS
        is_fund = wire.text(row, "rprs_mrkt_kor_name") in _FUND_BOARDS
        if last > 0:
            self._funds[instrument.symbol] = is_fund
        return Quote(
            instrument=replace(instrument, is_fund=is_fund),
            last=last,
            open=wire.price(row, "stck_oprc"),
            high=wire.price(row, "stck_hgpr"),
            low=wire.price(row, "stck_lwpr"),
            previous_close=_previous_close(row, last),
            volume=wire.quantity(row, "acml_vol"),
            at=self._clock.now(),
            turnover=wire.price(row, "acml_tr_pbmn"),
            upper_limit=wire.price(row, "stck_mxpr") or None,
            lower_limit=wire.price(row, "stck_llam") or None,
            halted=halted or wire.text(row, "temp_stop_yn") == "Y",
        )

    async def quotes(
        self, instruments: Sequence[Instrument], priority: Priority | None = None
    ) -> dict[str, Quote]:
        """One request for up to :data:`BATCH` symbols.

        A symbol is left out when its row is missing, garbled or without a price, and when it names
        a market measure other than a halt: what that means is asked of the single quote.
        """
        params = {}
        for n, instrument in enumerate(instruments, start=1):
            security = _security(instrument)
            params[f"FID_COND_MRKT_DIV_CODE_{n}"] = security["FID_COND_MRKT_DIV_CODE"]
            params[f"FID_INPUT_ISCD_{n}"] = security["FID_INPUT_ISCD"]
        body = await self._transport.read(Query.KR_PRICES, params, priority)
        wanted = {instrument.symbol: instrument for instrument in instruments}
        found: dict[str, Quote] = {}
        for row in wire.rows(body.get("output")):
            named = row.get("inter_shrn_iscd")
            instrument_named = wanted.get(named.strip()) if isinstance(named, str) else None
            if instrument_named is None:
                continue
            try:
                quote = self._batch_quote(row, instrument_named)
            except BrokerUnavailable:
                continue
            if quote is not None:
                found[instrument_named.symbol] = quote
        return found

    def _batch_quote(self, row: wire.Row, instrument: Instrument) -> Quote | None:
        last, measure = wire.price(row, "inter2_prpr"), wire.text(row, "mrkt_trtm_cls_name")
        if last <= 0 or measure not in ("", _HALTED_NAME):
            return None
        return Quote(
            instrument=self._with_kind(row, instrument),
            last=last,
            open=wire.price(row, "inter2_oprc"),
            high=wire.price(row, "inter2_hgpr"),
            low=wire.price(row, "inter2_lwpr"),
            previous_close=wire.price(row, "inter2_sdpr") or wire.price(row, "inter2_prdy_clpr"),
            volume=wire.quantity(row, "acml_vol"),
            at=self._clock.now(),
            turnover=wire.price(row, "acml_tr_pbmn"),
            upper_limit=wire.price(row, "inter2_mxpr") or None,
            lower_limit=wire.price(row, "inter2_llam") or None,
            halted=measure == _HALTED_NAME,
        )

    def _with_kind(self, row: wire.Row, instrument: Instrument) -> Instrument:
        """Whether it is a fund, which only single quotes say: a price no share can have tells too.

        Trades at the middle of the book leave the grid; orders and daily limits never do.
        """
        known = self._funds.get(instrument.symbol)
        if known is None:
            today = self._clock.now().astimezone(SEOUL).date()
            prices = (wire.price(row, key) for key in _GRID_PRICES)
            off_grid = (not is_on_increment(Market.KR, p, today) for p in prices if p > 0)
            known = instrument.is_fund or any(off_grid)
        return replace(instrument, is_fund=known)

    async def order_book(self, instrument: Instrument) -> OrderBook:
        body = await self._transport.read(Query.KR_BOOK, _security(instrument))
        row = wire.one_row(body.get("output1"))
        return OrderBook(
            instrument=instrument,
            asks=levels(row, "askp{}", "askp_rsqn{}"),
            bids=levels(row, "bidp{}", "bidp_rsqn{}"),
            at=self._clock.now(),
        )

    async def daily_bars(
        self, instrument: Instrument, *, until: date, count: int, adjusted: bool = True
    ) -> Sequence[DailyBar]:
        today = self._clock.now().astimezone(SEOUL).date()
        if count <= _RECENT_DAYS and until >= today:
            return await self._recent_days(instrument, count, adjusted=adjusted)
        # Seoul trades about 245 days a year; the rest is room for the long holidays.
        start = until - timedelta(days=count * 8 // 5 + 20)
        end, bars = until, dict[date, DailyBar]()
        for _ in range(_MAX_PAGES):
            params = {
                **_security(instrument),
                "FID_INPUT_DATE_1": wire.day_text(start),
                "FID_INPUT_DATE_2": wire.day_text(end),
                "FID_PERIOD_DIV_CODE": "D",
                "FID_ORG_ADJ_PRC": "0" if adjusted else "1",
            }
            body = await self._transport.read(Query.KR_DAILY, params)
            page = [_daily_bar(row) for row in wire.rows(body.get("output2"))]
            fresh = {bar.session: bar for bar in page if bar and start <= bar.session <= end}
            bars |= fresh
            if not fresh or len(bars) >= count:
                break
            end = min(fresh) - timedelta(days=1)
            if end < start:
                break
        return [bars[session] for session in sorted(bars)[-count:]] if count > 0 else []

    async def _recent_days(
        self, instrument: Instrument, count: int, *, adjusted: bool
    ) -> Sequence[DailyBar]:
        params = {
            **_security(instrument),
            "FID_PERIOD_DIV_CODE": "D",
            # The other way round than in the query for longer spans.
            "FID_ORG_ADJ_PRC": "1" if adjusted else "0",
        }
        body = await self._transport.read(Query.KR_RECENT_DAYS, params)
        page = (_daily_bar(row) for row in wire.rows(body.get("output")))
        bars = {bar.session: bar for bar in page if bar is not None}
        return [bars[session] for session in sorted(bars)[-count:]] if count > 0 else []

    async def minute_bars(
        self, instrument: Instrument, *, until: datetime, count: int
    ) -> Sequence[MinuteBar]:
        now = self._clock.now()
        # An hour still to come would be answered with bars made of the present price.
        at = min(until, now).astimezone(SEOUL)
        today = at.date() == now.astimezone(SEOUL).date()
        session, bars = at.date(), dict[datetime, MinuteBar]()
        for _ in range(_MAX_PAGES):
            params = {
                **_security(instrument),
                "FID_INPUT_HOUR_1": at.strftime("%H%M%S"),
                "FID_PW_DATA_INCU_YN": "N",
            }
            if today:
                params["FID_ETC_CLS_CODE"] = ""
            else:
                params |= {"FID_INPUT_DATE_1": wire.day_text(session), "FID_FAKE_TICK_INCU_YN": ""}
            query = Query.KR_MINUTES if today else Query.KR_PAST_MINUTES
            body = await self._transport.read(query, params)
            page = [_minute_bar(row, session) for row in wire.rows(body.get("output2"))]
            fresh = {
                bar.start_at: bar
                for bar in page
                if bar and bar.start_at <= at and bar.start_at not in bars
            }
            bars |= fresh
            if not fresh or len(bars) >= count:
                break
            at = (min(fresh) - _MINUTE).astimezone(SEOUL)
            if at.date() != session:
                break
        return [bars[start] for start in sorted(bars)[-count:]] if count > 0 else []

    async def is_trading_day(self, day: date) -> bool:
        """Whether the market opens: ``opnd_yn``. (``tr_day_yn`` says Y on Saturdays too.)

        The broker wishes for one such query a day, so answers are kept.
        """
        if day not in self._trading_days:
            params = {"BASS_DT": wire.day_text(day), "CTX_AREA_NK": "", "CTX_AREA_FK": ""}
            body = await self._transport.read(Query.KR_HOLIDAYS, params)
            for row in wire.rows(body.get("output")):
                opens, on = wire.text(row, "opnd_yn"), wire.day(row, "bass_dt")
                if on is not None and opens in ("Y", "N"):
                    self._trading_days[on] = opens == "Y"
        if day not in self._trading_days:
            raise BrokerUnavailable(f"unusable answer: the holiday query does not name {day}")
        return self._trading_days[day]


def levels(row: wire.Row, price_key: str, quantity_key: str) -> tuple[BookLevel, ...]:
    """The levels of one side of a book, best first; empty levels are left out."""
    found = (
        BookLevel(wire.price(row, price_key.format(n)), wire.quantity(row, quantity_key.format(n)))
        for n in range(1, _LEVELS + 1)
    )
    return tuple(level for level in found if level.price > 0 and level.quantity > 0)


def _security(instrument: Instrument) -> dict[str, str]:
    return {
        "FID_COND_MRKT_DIV_CODE": market_info(instrument.market).quote_code,
        "FID_INPUT_ISCD": instrument.symbol,
    }


def _same_security(row: wire.Row, key: str, instrument: Instrument) -> None:
    named = wire.text(row, key)
    if named and not named.endswith(instrument.symbol):
        wire.unusable("the answer is about another security")


def _previous_close(row: wire.Row, last: Decimal) -> Decimal:
    base = wire.price(row, "stck_sdpr")
    change = wire.number(row, "prdy_vrss")
    if base > 0 or change is None or last <= 0:
        return base
    falling = wire.text(row, "prdy_vrss_sign") in ("4", "5")
    return max(last - (-abs(change) if falling else abs(change)), Decimal(0))


def _daily_bar(row: wire.Row) -> DailyBar | None:
    session, close = wire.day(row, "stck_bsop_date"), wire.price(row, "stck_clpr")
    if session is None or close <= 0:
        return None
    return DailyBar(
        session=session,
        open=wire.price(row, "stck_oprc"),
        high=wire.price(row, "stck_hgpr"),
        low=wire.price(row, "stck_lwpr"),
        close=close,
        volume=wire.quantity(row, "acml_vol"),
    )


def _minute_bar(row: wire.Row, session: date) -> MinuteBar | None:
    on, at = wire.day(row, "stck_bsop_date"), wire.clock_time(row, "stck_cntg_hour")
    close = wire.price(row, "stck_prpr")
    if on != session or at is None or close <= 0:
        return None
    return MinuteBar(
        start_at=wire.instant(session, at, SEOUL),
        open=wire.price(row, "stck_oprc"),
        high=wire.price(row, "stck_hgpr"),
        low=wire.price(row, "stck_lwpr"),
        close=close,
        volume=wire.quantity(row, "cntg_vol"),
    )
