"""Domestic minute bars, newest first, in won."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from trading_core.model.price import MinuteBar, Quote
from trading_core.twin.venue import Venue
from trading_core.twin.wire.bar_rows import LOOK_BACK
from trading_core.twin.wire.desk import Desk, opens_on
from trading_core.twin.wire.domestic_quotes import change_fields, found, present_fields
from trading_core.twin.wire.envelope import (
    KST,
    Call,
    Reply,
    alike,
    day_text,
    quoted,
    time_text,
    whole,
)

MINUTE_ROWS = 30
PAST_MINUTE_ROWS = 120
CLOSE = time(15, 30)


def inquire_minute_chart(desk: Desk, call: Call) -> Reply:
    """FHKST03010200: minute bars of the present session at or before an hour, newest first.

    An hour still to come is filled with rows at the present price, as the broker does. 000000 asks
    for the newest bars, with which clients begin.
    """
    hour = call.clock_time("FID_INPUT_HOUR_1")
    hit = found(desk, call)
    if hit is None:
        return quoted(output1={}, output2=[])
    venue, quote = hit
    state = venue.state()
    until = datetime.combine(state.session, hour, KST) if hour != time() else venue.now
    symbol = quote.instrument.symbol
    rows = _minute_rows(venue, symbol, state.session, min(until, venue.now))
    if state.is_open and until > venue.now:
        rows = _rows_to_come(quote, venue.now, until) + rows
    if call.text("FID_PW_DATA_INCU_YN").upper() == "Y" and len(rows) < MINUTE_ROWS:
        rows += _previous_session_rows(venue, symbol, state.session)
    return quoted(output1=change_fields(quote) | present_fields(quote), output2=rows[:MINUTE_ROWS])


def inquire_past_minute_chart(desk: Desk, call: Call) -> Reply:
    """FHKST03010230: minute bars of a past session at or before an hour, newest first."""
    day, hour = call.day("FID_INPUT_DATE_1"), call.clock_time("FID_INPUT_HOUR_1")
    hit = found(desk, call)
    if hit is None:
        return quoted(output1={}, output2=[])
    venue, quote = hit
    until = min(datetime.combine(day, hour, KST), venue.now)
    rows = _minute_rows(venue, quote.instrument.symbol, day, until)[:PAST_MINUTE_ROWS]
    return quoted(output1=change_fields(quote) | present_fields(quote), output2=rows)


def _minute_rows(venue: Venue, symbol: str, session: date, until: datetime) -> list[dict[str, str]]:
    bars: Sequence[MinuteBar] = venue.minute_bars(symbol, session=session, until=until)
    rows: list[dict[str, str]] = []
    turnover = Decimal(0)
    for bar in bars:
        turnover += bar.close * bar.volume
        rows.append(
            {
                "stck_bsop_date": day_text(session),
                "stck_cntg_hour": time_text(bar.start_at),
                "stck_prpr": whole(bar.close),
                "stck_oprc": whole(bar.open),
                "stck_hgpr": whole(bar.high),
                "stck_lwpr": whole(bar.low),
                "cntg_vol": str(bar.volume),
                "acml_tr_pbmn": whole(turnover),
            }
        )
    rows.reverse()
    return rows


def _rows_to_come(quote: Quote, now: datetime, until: datetime) -> list[dict[str, str]]:
    last = whole(quote.last)
    minute = now.astimezone(KST).replace(second=0, microsecond=0)
    end = min(until, datetime.combine(until.date(), CLOSE, KST)).replace(second=0)
    rows: list[dict[str, str]] = []
    while end >= minute and len(rows) < MINUTE_ROWS:
        rows.append(
            {
                "stck_bsop_date": day_text(end.date()),
                "stck_cntg_hour": time_text(end),
                **alike("stck_prpr stck_oprc stck_hgpr stck_lwpr", last),
                "cntg_vol": "0",
                "acml_tr_pbmn": whole(quote.turnover),
            }
        )
        end -= timedelta(minutes=1)
    return rows


def _previous_session_rows(venue: Venue, symbol: str, session: date) -> list[dict[str, str]]:
    for back in range(1, LOOK_BACK.days):
        day = session - timedelta(days=back)
        if opens_on(venue, day):
            return _minute_rows(venue, symbol, day, datetime.combine(day, time(23, 59), KST))
    return []
