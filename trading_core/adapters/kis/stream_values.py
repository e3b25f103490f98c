"""Makes quotes, order books and order notices of the WebSocket's records.

A record of trades carries the session's totals, so a quote made of the last one is right even when
others were lost; the totals also tell that they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from trading_core.adapters.kis import wire
from trading_core.adapters.kis.domestic_prices import levels
from trading_core.adapters.kis.stream_frames import Garbled
from trading_core.adapters.kis.stream_layouts import NOTICE_MARKETS
from trading_core.adapters.kis.tokens import SEOUL
from trading_core.model.market import Instrument, Market
from trading_core.model.order import NoticeKind, OrderNotice, Side
from trading_core.model.price import OrderBook, Quote
from trading_core.rules.markets import market_info

_DAY = timedelta(days=1)
_AHEAD = timedelta(hours=12)
_EXPECTED_PRICE = frozenset("ABCD")
_CONTINUOUS_TRADE = "20"
_RISING, _FALLING, _LEVEL = ("1", "2"), ("4", "5"), ("3", "0", "")
_SIDES: Mapping[str, Side] = {"01": Side.SELL, "02": Side.BUY}
_STEPS: Mapping[str, NoticeKind] = {
    "1": NoticeKind.ACCEPTED,
    "2": NoticeKind.CONFIRMED,
    "3": NoticeKind.EXPIRED,
}
_FILLED, _NOT_FILLED = "2", "1"


@dataclass(frozen=True, slots=True)
class Trade:
    """One record: the quote it makes by itself and the shares that traded."""

    quote: Quote
    size: int


@dataclass(slots=True)
class _Known:
    """The newest totals of an instrument, and the quote that knows what a trade does not tell."""

    session: date
    at: datetime
    volume: int
    asked: Quote | None = None
    counting: bool = False


class QuoteMaker:
    """Quotes from trades, with the daily limits of the last quote that knew them.

    ``lost_records`` counts the times a session's volume grew by more than the records' sizes;
    ``late_records`` those that were older than what was known already.
    """

    def __init__(self) -> None:
        self.lost_records = 0
        self.late_records = 0
        self._known: dict[Instrument, _Known] = {}

    def learn(self, quote: Quote) -> bool:
        """Take over a quote that was asked for; False when a newer one has been made since."""
        session = _session(quote.instrument, quote.at)
        known = self._known.get(quote.instrument)
        if known is None or known.session < session or known.volume <= quote.volume:
            self._known[quote.instrument] = _Known(session, quote.at, quote.volume, quote)
            return True
        if known.session == session:
            known.asked = quote
        return False

    def forget(self, instrument: Instrument) -> None:
        """Nobody follows it any more."""
        self._known.pop(instrument, None)

    def begin_anew(self) -> None:
        """After a cut the next volume may have jumped without a record being lost."""
        for known in self._known.values():
            known.counting = False

    def quote(self, trade: Trade) -> Quote | None:
        """The quote after a trade; None when it came later than a newer one."""
        plain = trade.quote
        session = _session(plain.instrument, plain.at)
        known = self._known.get(plain.instrument)
        if known is None or known.session < session:
            known = self._known[plain.instrument] = _Known(session, plain.at, plain.volume)
        elif known.session > session or (plain.volume < known.volume and plain.at < known.at):
            # A corrected trade lowers the volume too, but it is told of later.
            self.late_records += 1
            return None
        elif known.counting and plain.volume - known.volume > trade.size:
            self.lost_records += 1
        known.at, known.volume, known.counting = plain.at, plain.volume, True
        asked = known.asked
        if asked is None:
            return plain
        return replace(
            plain,
            instrument=asked.instrument,
            previous_close=plain.previous_close or asked.previous_close,
            upper_limit=asked.upper_limit,
            lower_limit=asked.lower_limit,
        )


def domestic_trade(row: wire.Row, instrument: Instrument, now: datetime) -> Trade | None:
    """A trade in Korea; None for a price that an auction would make.

    Raises:
        Garbled: the numbers contradict each other. ``BrokerUnavailable``: one is none.
    """
    if wire.text(row, "HOUR_CLS_CODE") in _EXPECTED_PRICE:
        return None
    last = wire.price(row, "STCK_PRPR")
    quote = Quote(
        instrument=instrument,
        last=last,
        open=wire.price(row, "STCK_OPRC"),
        high=wire.price(row, "STCK_HGPR"),
        low=wire.price(row, "STCK_LWPR"),
        previous_close=_previous_close(last, _change(row, "PRDY_VRSS", "PRDY_VRSS_SIGN")),
        volume=wire.quantity(row, "ACML_VOL"),
        at=moment(row, "BSOP_DATE", "STCK_CNTG_HOUR", now),
        turnover=wire.price(row, "ACML_TR_PBMN"),
        halted=wire.text(row, "TRHT_YN") == "Y",
    )
    if wire.text(row, "NEW_MKOP_CLS_CODE") == _CONTINUOUS_TRADE:
        _check_range(quote)
    return Trade(quote, wire.quantity(row, "CNTG_VOL"))


def overseas_trade(row: wire.Row, instrument: Instrument, now: datetime) -> Trade:
    """A trade abroad; raises as ``domestic_trade``."""
    last = wire.price(row, "LAST")
    quote = Quote(
        instrument=instrument,
        last=last,
        open=wire.price(row, "OPEN"),
        high=wire.price(row, "HIGH"),
        low=wire.price(row, "LOW"),
        previous_close=_previous_close(last, _change(row, "DIFF", "SIGN")),
        volume=wire.quantity(row, "TVOL"),
        at=moment(row, "KYMD", "KHMS", now),
        turnover=wire.price(row, "TAMT"),
    )
    return Trade(quote, wire.quantity(row, "EVOL"))


def _previous_close(last: Decimal, change: Decimal | None) -> Decimal:
    """What the change is against; 0, "no data", when the record names no change."""
    if last <= 0:
        raise Garbled("number")
    if change is None:
        return Decimal(0)
    if change >= last:
        raise Garbled("number")
    return last - change


def _change(row: wire.Row, key: str, sign_key: str) -> Decimal | None:
    """The change against the previous close; None when the record does not say it.

    The sign is in a code of its own; some feeds also sign the number.
    """
    value, sign = wire.number(row, key), wire.text(row, sign_key)
    if value is None:
        return None
    if sign in _RISING and value >= 0:
        return value
    if sign in _FALLING:
        return -abs(value)
    if sign in _LEVEL and value == 0:
        return value
    raise Garbled("sign")


def _check_range(quote: Quote) -> None:
    """A price beyond its own day's range comes from fields that are not where they should be."""
    if quote.low > 0 and quote.high > 0 and not quote.low <= quote.last <= quote.high:
        raise Garbled("range")


def _session(instrument: Instrument, at: datetime) -> date:
    return at.astimezone(ZoneInfo(market_info(instrument.market).zone)).date()


def moment(row: wire.Row, day_key: str, time_key: str, now: datetime) -> datetime:
    """The record's own moment as aware UTC.

    A time without a date is of the day in Seoul that brings it closest to ``now``, and a record
    without a time is of now. Clocks differ, but by no half a day.
    """
    on, at = wire.day(row, day_key), wire.clock_time(row, time_key)
    if at is None:
        return now
    try:
        when = wire.instant(on, at, SEOUL) if on is not None else _closest(at, now)
    except OverflowError:
        # The first day of the year 1 in Seoul is none in UTC.
        raise Garbled("time") from None
    if when - now > _AHEAD:
        raise Garbled("time")
    return when


def _closest(at: time, now: datetime) -> datetime:
    today = now.astimezone(SEOUL).date()
    days = (today - _DAY, today, today + _DAY)
    return min((wire.instant(day, at, SEOUL) for day in days), key=lambda it: abs(it - now))


def domestic_book(row: wire.Row, instrument: Instrument, now: datetime) -> OrderBook:
    """Ten levels a side; raises as ``domestic_trade``."""
    return OrderBook(
        instrument=instrument,
        asks=levels(row, "ASKP{}", "ASKP_RSQN{}"),
        bids=levels(row, "BIDP{}", "BIDP_RSQN{}"),
        at=moment(row, "", "BSOP_HOUR", now),
    )


def overseas_book(row: wire.Row, instrument: Instrument, now: datetime) -> OrderBook:
    """Ten levels a side in the US, one elsewhere."""
    return OrderBook(
        instrument=instrument,
        asks=levels(row, "PASK{}", "VASK{}"),
        bids=levels(row, "PBID{}", "VBID{}"),
        at=moment(row, "KYMD", "KHMS", now),
    )


def domestic_notice(row: wire.Row, now: datetime) -> OrderNotice:
    """A notice about an order in Korea. Raises ``Garbled`` when it says nothing certain."""
    code = wire.symbol(row, "STCK_SHRN_ISCD")
    instrument = Instrument(code, Market.KR, wire.text(row, "CNTG_ISNM40"))
    return _notice(row, instrument, wire.price(row, "CNTG_UNPR"), now)


def overseas_notice(row: wire.Row, now: datetime) -> OrderNotice:
    """A notice about an order abroad; its price is sent without the decimal point."""
    found = NOTICE_MARKETS.get(wire.text(row, "ODER_COND"))
    if found is None:
        raise Garbled("market")
    market, decimals = found
    code = wire.symbol(row, "STCK_SHRN_ISCD")
    instrument = Instrument(code, market, wire.text(row, "CNTG_ISNM"))
    price = Decimal(wire.quantity(row, "CNTG_UNPR")).scaleb(-decimals)
    return _notice(row, instrument, price, now)


def _notice(row: wire.Row, instrument: Instrument, price: Decimal, now: datetime) -> OrderNotice:
    side = _SIDES.get(wire.text(row, "SELN_BYOV_CLS"))
    number = wire.order_no(row, "ODER_NO")
    quantity = wire.quantity(row, "CNTG_QTY")
    kind = _kind(row)
    filled = kind is NoticeKind.FILLED
    if side is None or not number or not instrument.symbol or (filled and not (quantity and price)):
        raise Garbled("notice")
    return OrderNotice(
        kind=kind,
        order_no=number,
        instrument=instrument,
        side=side,
        quantity=quantity,
        price=price or None,
        at=moment(row, "", "STCK_CNTG_HOUR", now),
        original_no=wire.order_no(row, "OODER_NO"),
    )


def _kind(row: wire.Row) -> NoticeKind:
    refused, filled = wire.text(row, "RFUS_YN"), wire.text(row, "CNTG_YN")
    if refused == "1":
        return NoticeKind.REJECTED
    if refused != "0" or filled not in (_FILLED, _NOT_FILLED):
        raise Garbled("notice")
    if filled == _FILLED:
        return NoticeKind.FILLED
    kind = _STEPS.get(wire.text(row, "ACPT_YN"))
    if kind is None:
        raise Garbled("notice")
    return kind
