"""Korean prices, rankings and the market-day query. Prices in KRW."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from trading_core.adapters.kis import wire
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
    Ranking,
    RankRow,
)
from trading_core.rules.markets import market_info

_HALTED_STATUS = "58"
_LEVELS = 10
_MAX_PAGES = 60
_MINUTE = timedelta(minutes=1)


_FUND_BOARDS = frozenset({"ETF", "ETN"})


class DomesticPrices:
    """Quotes, books, bars and rankings of the Korean market."""

    def __init__(self, transport: KisTransport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._trading_days: dict[date, bool] = {}

    async def quote(self, instrument: Instrument) -> Quote:
        """The broker gives no bid and ask here; ``order_book`` has them."""
        body = await self._transport.read(Query.KR_PRICE, _security(instrument))
        row = wire.one_row(body.get("output"))
        _same_security(row, "stck_shrn_iscd", instrument)
        last = wire.price(row, "stck_prpr")
        halted = wire.text(row, "iscd_stat_cls_code") == _HALTED_STATUS
        is_fund = wire.text(row, "rprs_mrkt_kor_name") in _FUND_BOARDS
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
        self, instrument: Instrument, *, until: date, count: int
    ) -> Sequence[DailyBar]:
        # Seoul trades about 245 days a year; the rest is room for the long holidays.
        start = until - timedelta(days=count * 8 // 5 + 20)
        end, bars = until, dict[date, DailyBar]()
        for _ in range(_MAX_PAGES):
            params = {
                **_security(instrument),
                "FID_INPUT_DATE_1": wire.day_text(start),
                "FID_INPUT_DATE_2": wire.day_text(end),
                "FID_PERIOD_DIV_CODE": "D",
                "FID_ORG_ADJ_PRC": "0",
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

    async def ranking(self, ranking: Ranking) -> Sequence[RankRow]:
        volume = ranking is Ranking.VOLUME
        query = Query.KR_VOLUME_RANK if volume else Query.KR_FLUCTUATION
        body = await self._transport.read(query, _VOLUME_RANK if volume else _FLUCTUATION)
        code_field = "mksc_shrn_iscd" if volume else "stck_shrn_iscd"
        found: dict[str, RankRow] = {}
        for row in wire.rows(body.get("output")):
            code, last = wire.symbol(row, code_field), wire.price(row, "stck_prpr")
            if not code or code in found or last <= 0:
                continue
            found[code] = RankRow(
                instrument=Instrument(code, Market.KR, wire.text(row, "hts_kor_isnm")),
                rank=len(found) + 1,
                last=last,
                change_pct=_signed_pct(row),
                volume=wire.quantity(row, "acml_vol"),
            )
        return list(found.values())

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


_FLUCTUATION = {
    "FID_COND_MRKT_DIV_CODE": "J",
    "FID_COND_SCR_DIV_CODE": "20170",
    "FID_INPUT_ISCD": "0000",
    "FID_RANK_SORT_CLS_CODE": "0",
    "FID_INPUT_CNT_1": "0",
    "FID_PRC_CLS_CODE": "0",
    "FID_INPUT_PRICE_1": "",
    "FID_INPUT_PRICE_2": "",
    "FID_VOL_CNT": "",
    "FID_TRGT_CLS_CODE": "0",
    "FID_TRGT_EXLS_CLS_CODE": "0",
    "FID_DIV_CLS_CODE": "0",
    "FID_RSFL_RATE1": "",
    "FID_RSFL_RATE2": "",
}
_VOLUME_RANK = {
    "FID_COND_MRKT_DIV_CODE": "J",
    "FID_COND_SCR_DIV_CODE": "20171",
    "FID_INPUT_ISCD": "0000",
    "FID_DIV_CLS_CODE": "0",
    "FID_BLNG_CLS_CODE": "0",
    "FID_TRGT_CLS_CODE": "111111111",
    "FID_TRGT_EXLS_CLS_CODE": "0000000000",
    "FID_INPUT_PRICE_1": "",
    "FID_INPUT_PRICE_2": "",
    "FID_VOL_CNT": "",
    "FID_INPUT_DATE_1": "",
}


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


def _signed_pct(row: wire.Row) -> float:
    rate = wire.number(row, "prdy_ctrt")
    if rate is None:
        return float("nan")
    return float(-abs(rate) if wire.text(row, "prdy_vrss_sign") in ("4", "5") else rate)


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
