"""Prices outside Korea, in the market's own currency. Only those of the US are not delayed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from trading_core.adapters.kis import wire
from trading_core.adapters.kis.domestic_prices import levels
from trading_core.adapters.kis.rate_limit import Priority
from trading_core.adapters.kis.tr_table import Query
from trading_core.adapters.kis.transport import KisTransport
from trading_core.clock import Clock
from trading_core.errors import BrokerUnavailable
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.price import DailyBar, MinuteBar, OrderBook, Quote, Ranking, RankRow
from trading_core.rules.markets import market_info

_log = logging.getLogger(__name__)

BATCH = 10
"""Securities in one request for several quotes, at most."""

_MAX_PAGES = 60
_MINUTES_A_PAGE = 120
_MINUTE = timedelta(minutes=1)
_SATURDAY = 5
_NATION: Mapping[MarketGroup, tuple[str, str]] = {
    MarketGroup.US: ("US", "840"),
    MarketGroup.JP: ("JP", "392"),
    MarketGroup.HK: ("HK", "344"),
    MarketGroup.CN: ("CN", "156"),
    MarketGroup.VN: ("VN", "704"),
}


# Business days from trade to settlement: T+1 in the US since 2024-05-28 and in China, else T+2.
_SETTLEMENT_DAYS: Mapping[MarketGroup, int] = {
    MarketGroup.US: 1,
    MarketGroup.JP: 2,
    MarketGroup.HK: 2,
    MarketGroup.CN: 1,
    MarketGroup.VN: 2,
}


class OverseasPrices:
    """Quotes, books, bars and rankings of the nine markets outside Korea."""

    def __init__(
        self, transport: KisTransport, clock: Clock, instruments: Mapping[str, Instrument]
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._instruments = instruments

    async def quote(self, instrument: Instrument, priority: Priority | None = None) -> Quote:
        """The detailed price; on the paper host, which has none, the plain price.

        The plain price has no open, high and low. They are taken from today's daily bar; until
        the broker shows one they are 0, "no data".
        """
        if self._transport.personality == "paper":
            return await self._plain_quote(instrument, priority)
        body = await self._transport.read(Query.PRICE_DETAIL, _security(instrument), priority)
        row = wire.one_row(body.get("output"))
        _same_security(row, instrument)
        return self._full_quote(row, instrument)

    async def quotes(
        self, instruments: Sequence[Instrument], priority: Priority | None = None
    ) -> dict[str, Quote]:
        """One request for up to :data:`BATCH` securities of any exchanges.

        One is left out when its row is missing, garbled or without a price.
        """
        params = {"AUTH": "", "NREC": str(len(instruments))}
        for n in range(BATCH):
            security = _security(instruments[n]) if n < len(instruments) else {}
            params[f"EXCD_{n + 1:02}"] = security.get("EXCD", "")
            params[f"SYMB_{n + 1:02}"] = security.get("SYMB", "")
        body = await self._transport.read(Query.PRICES, params, priority)
        wanted = {
            (market_info(instrument.market).quote_code, instrument.symbol): instrument
            for instrument in instruments
        }
        found: dict[str, Quote] = {}
        for row in wire.rows(body.get("output2")):
            try:
                instrument = wanted[wire.text(row, "excd"), wire.text(row, "symb")]
                _same_security(row, instrument)
                quote = self._full_quote(row, instrument)
            except (KeyError, BrokerUnavailable):
                continue
            if quote.last > 0:
                found[instrument.symbol] = quote
        return found

    def _full_quote(self, row: wire.Row, instrument: Instrument) -> Quote:
        return Quote(
            instrument=instrument,
            last=wire.price(row, "last"),
            open=wire.price(row, "open"),
            high=wire.price(row, "high"),
            low=wire.price(row, "low"),
            previous_close=wire.price(row, "base"),
            volume=wire.quantity(row, "tvol"),
            at=self._clock.now(),
            turnover=wire.price(row, "tamt"),
            upper_limit=wire.price(row, "uplp") or None,
            lower_limit=wire.price(row, "dnlp") or None,
            halted=_says_halted(wire.text(row, "e_ordyn") or wire.text(row, "ordyn")),
        )

    async def _plain_quote(self, instrument: Instrument, priority: Priority | None) -> Quote:
        body = await self._transport.read(Query.PRICE, _security(instrument), priority)
        row = wire.one_row(body.get("output"))
        _same_security(row, instrument)
        last, now = wire.price(row, "last"), self._clock.now()
        today = now.astimezone(_zone(instrument.market)).date()
        bars = await self.daily_bars(instrument, until=today, count=1) if last > 0 else ()
        bar = bars[-1] if bars and bars[-1].session == today else None
        if last > 0 and bar is None:
            _log.info("no open, high and low of %s yet on the paper host", instrument.symbol)
        nothing = Decimal(0)
        return Quote(
            instrument=instrument,
            last=last,
            open=bar.open if bar else nothing,
            high=bar.high if bar else nothing,
            low=bar.low if bar else nothing,
            previous_close=wire.price(row, "base"),
            volume=wire.quantity(row, "tvol"),
            at=now,
            turnover=wire.price(row, "tamt"),
            halted=_says_halted(wire.text(row, "ordy")),
        )

    async def order_book(self, instrument: Instrument) -> OrderBook:
        body = await self._transport.read(Query.BOOK, _security(instrument))
        row = wire.one_row(body.get("output2"))
        return OrderBook(
            instrument=instrument,
            asks=levels(row, "pask{}", "vask{}"),
            bids=levels(row, "pbid{}", "vbid{}"),
            at=self._clock.now(),
        )

    async def daily_bars(
        self, instrument: Instrument, *, until: date, count: int, adjusted: bool = True
    ) -> Sequence[DailyBar]:
        end, bars = until, dict[date, DailyBar]()
        for _ in range(_MAX_PAGES):
            params = {
                **_security(instrument),
                "GUBN": "0",
                "BYMD": wire.day_text(end),
                "MODP": "1" if adjusted else "0",
            }
            body = await self._transport.read(Query.DAILY, params)
            page = [_daily_bar(row) for row in wire.rows(body.get("output2"))]
            fresh = {bar.session: bar for bar in page if bar and bar.session <= end}
            bars |= fresh
            if not fresh or len(bars) >= count:
                break
            end = min(fresh) - timedelta(days=1)
        return [bars[session] for session in sorted(bars)[-count:]] if count > 0 else []

    async def minute_bars(
        self, instrument: Instrument, *, until: datetime, count: int
    ) -> Sequence[MinuteBar]:
        zone, now = _zone(instrument.market), self._clock.now()
        at = min(until, now).astimezone(zone)
        session, bars = at.date(), dict[datetime, MinuteBar]()
        first = now - at < _MINUTE
        for _ in range(_MAX_PAGES):
            params = {
                **_security(instrument),
                "NMIN": "1",
                "PINC": "0" if first else "1",
                "NEXT": "" if first else "1",
                "NREC": str(_MINUTES_A_PAGE),
                "FILL": "",
                "KEYB": "" if first else at.strftime("%Y%m%d%H%M%S"),
            }
            body = await self._transport.read(Query.MINUTES, params)
            page = [_minute_bar(row, session, zone) for row in wire.rows(body.get("output2"))]
            fresh = {
                bar.start_at: bar
                for bar in page
                if bar and bar.start_at <= at and bar.start_at not in bars
            }
            bars |= fresh
            if not fresh or len(bars) >= count:
                break
            at, first = (min(fresh) - _MINUTE).astimezone(zone), False
            if at.date() != session:
                break
        return [bars[start] for start in sorted(bars)[-count:]] if count > 0 else []

    async def ranking(self, group: MarketGroup, ranking: Ranking) -> Sequence[RankRow]:
        """The rankings of the group's exchanges as one, by day change or by volume."""
        found: list[tuple[Instrument, Decimal, float, int]] = []
        for market in group.markets:
            body = await self._transport.read(*_ranking_request(market, ranking))
            found += [
                entry
                for row in wire.rows(body.get("output2"))
                if (entry := self._rank_entry(row, market)) is not None
            ]
        if ranking is Ranking.VOLUME:
            found.sort(key=lambda entry: -entry[3])
        else:
            found.sort(key=lambda entry: -entry[2] if entry[2] == entry[2] else float("inf"))
        best = dict[str, tuple[Instrument, Decimal, float, int]]()
        for entry in found:
            best.setdefault(entry[0].symbol, entry)
        return [
            RankRow(instrument=instrument, rank=rank, last=last, change_pct=change, volume=volume)
            for rank, (instrument, last, change, volume) in enumerate(best.values(), start=1)
        ]

    def _rank_entry(
        self, row: wire.Row, market: Market
    ) -> tuple[Instrument, Decimal, float, int] | None:
        code, last = wire.symbol(row, "symb"), wire.price(row, "last")
        if not code or last <= 0:
            return None
        known = self._instruments.get(code)
        if known is None or known.market is not market:
            name = wire.text(row, "name") or wire.text(row, "knam") or wire.text(row, "ename")
            known = Instrument(code, market, name)
        rate = wire.number(row, "rate")
        change = float("nan") if rate is None else float(rate)
        return known, last, change, wire.quantity(row, "tvol")

    async def is_trading_day(self, group: MarketGroup, day: date) -> bool:
        """Whether the broker's list of settlement dates shows that trades are made that day.

        It is a settlement list, not a calendar. An exchange that is shut is missing from it, or is
        listed with the dates of the next session. Weekends are answered here, because such a list
        may name the next session's dates on them.
        """
        if day.weekday() >= _SATURDAY:
            return False
        settles = await self._settlement(group, day)
        if settles is None:
            return False
        lag = _SETTLEMENT_DAYS[group]
        if settles <= _weekday_from(day, lag):
            return True
        # Late: a holiday lies between, or the dates are those of the next day's trades.
        if settles != await self._settlement(group, _weekday_from(day, 1)):
            return True
        # Two days that settle together: banks rest on one of them, or there is no trade on this
        # one. Where earlier trades settle on this day, it is a working day.
        return await self._settlement(group, _weekday_from(day, -lag)) == day

    async def _settlement(self, group: MarketGroup, day: date) -> date | None:
        """The local settlement date of trades of a day; None when the list has none."""
        pages = await self._transport.read_pages(Query.HOLIDAYS, {"TRAD_DT": wire.day_text(day)})
        letters, digits = _NATION[group]
        found: date | None = None
        for row in (row for page in pages for row in wire.rows(page.get("output"))):
            codes = wire.text(row, "natn_eng_abrv_cd"), wire.text(row, "tr_natn_cd")
            if codes[0] != letters and codes[1] != digits:
                continue
            settles = wire.day(row, "acpl_sttl_dt")
            if settles is None:
                wire.unusable("a market without a settlement date")
            found = settles if found is None else min(found, settles)
        return found


def _weekday_from(day: date, count: int) -> date:
    """The weekday ``count`` weekdays later, earlier when it is negative."""
    step = timedelta(days=1 if count > 0 else -1)
    left = abs(count)
    while left:
        day += step
        left -= day.weekday() < _SATURDAY
    return day


def _ranking_request(market: Market, ranking: Ranking) -> tuple[Query, dict[str, str]]:
    params = {
        "EXCD": market_info(market).quote_code,
        "VOL_RANG": "0",
        "NDAY": "0",
        "AUTH": "",
        "KEYB": "",
    }
    if ranking is Ranking.VOLUME:
        return Query.VOLUME_RANK, {**params, "PRC1": "", "PRC2": ""}
    return Query.FLUCTUATION, {**params, "GUBN": "1"}


def _zone(market: Market) -> ZoneInfo:
    return ZoneInfo(market_info(market).zone)


def _security(instrument: Instrument) -> dict[str, str]:
    code = market_info(instrument.market).quote_code
    return {"AUTH": "", "EXCD": code, "SYMB": instrument.symbol}


def _same_security(row: wire.Row, instrument: Instrument) -> None:
    named = wire.text(row, "rsym")
    if named and not named.endswith(instrument.symbol):
        wire.unusable("the answer is about another security")


def _says_halted(text: str) -> bool:
    words = text.replace(" ", "")
    return "정지" in words or "매매불가" in words


def _daily_bar(row: wire.Row) -> DailyBar | None:
    session, close = wire.day(row, "xymd"), wire.price(row, "clos")
    if session is None or close <= 0:
        return None
    return DailyBar(
        session=session,
        open=wire.price(row, "open"),
        high=wire.price(row, "high"),
        low=wire.price(row, "low"),
        close=close,
        volume=wire.quantity(row, "tvol"),
    )


def _minute_bar(row: wire.Row, session: date, zone: ZoneInfo) -> MinuteBar | None:
    on, at = wire.day(row, "xymd"), wire.clock_time(row, "xhms")
    close = wire.price(row, "last")
    if on != session or at is None or close <= 0:
        return None
    return MinuteBar(
        start_at=wire.instant(session, at, zone),
        open=wire.price(row, "open"),
        high=wire.price(row, "high"),
        low=wire.price(row, "low"),
        close=close,
        volume=wire.quantity(row, "evol"),
    )
