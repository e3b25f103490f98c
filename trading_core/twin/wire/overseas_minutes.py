"""Foreign minute bars, newest first, in each exchange's currency and local time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from trading_core.model.price import MinuteBar
from trading_core.twin.venue import Venue
from trading_core.twin.wire.bar_rows import LOOK_BACK
from trading_core.twin.wire.codes import ExchangeCode
from trading_core.twin.wire.desk import Desk, opens_on
from trading_core.twin.wire.envelope import (
    KST,
    Call,
    Reply,
    alike,
    day_text,
    fixed,
    quoted,
    time_text,
    whole,
)
from trading_core.twin.wire.overseas_quotes import exchange_of, found, rsym

MINUTE_ROWS = 120
SESSIONS_BACK = 10


def minute_chart(desk: Desk, call: Call) -> Reply:
    """HHDFS76950200: bars of NMIN minutes, newest first, at or before KEYB (local time)."""
    code = exchange_of(call)
    minutes = max(1, min(call.integer("NMIN", 1), 1440))
    count = max(1, min(call.integer("NREC", MINUTE_ROWS), MINUTE_ROWS))
    until = _key_time(call, code) or desk.now
    hit = found(desk, call)
    if hit is None:
        empty = alike("rsym zdiv stim etim sktm ektm next more nrec", "")
        return quoted(output1=empty, output2=[])
    venue, quote, code = hit
    symbol = quote.instrument.symbol
    back = SESSIONS_BACK if call.text("PINC") == "1" else 0
    bars = _minutes_until(venue, symbol, min(until, venue.now), minutes, count, code, back)
    more = "1" if len(bars) > count else "0"
    rows = [_minute_row(session, bar, code) for session, bar in bars[:count]]
    session = venue.state().session
    walls = [
        datetime.combine(session, _time(text), code.zone) for text in (code.opens, code.closes)
    ]
    head = {
        "rsym": rsym(code, symbol),
        "zdiv": str(code.decimals),
        "stim": code.opens,
        "etim": code.closes,
        "sktm": time_text(walls[0]),
        "ektm": time_text(walls[1]),
        "next": more,
        "more": more,
        "nrec": str(len(rows)),
    }
    return quoted(output1=head, output2=rows)


def _time(text: str) -> time:
    return time(int(text[:2]), int(text[2:4]), int(text[4:6]))


def _key_time(call: Call, code: ExchangeCode) -> datetime | None:
    key = call.text("KEYB")
    if not key:
        return None
    parts = Call("", "", {"KEYB": key[:8], "TIME": key[8:]})
    return datetime.combine(parts.day("KEYB"), parts.clock_time("TIME"), code.zone)


def _minutes_until(
    venue: Venue,
    symbol: str,
    until: datetime,
    minutes: int,
    count: int,
    code: ExchangeCode,
    sessions_back: int,
) -> list[tuple[date, MinuteBar]]:
    """Newest first; one more than ``count`` when there are more."""
    found_bars: list[tuple[date, MinuteBar]] = []
    day = min(until.astimezone(code.zone).date(), venue.state().session)
    sessions = days = 0
    while len(found_bars) <= count and sessions <= sessions_back and days < 2 * LOOK_BACK.days:
        if opens_on(venue, day):
            bars = merged_minutes(venue.minute_bars(symbol, session=day, until=until), minutes)
            found_bars += [(day, bar) for bar in reversed(bars)]
            sessions += 1
        if day == date.min:
            break
        day -= timedelta(days=1)
        days += 1
    return found_bars[: count + 1]


def merged_minutes(bars: Sequence[MinuteBar], minutes: int) -> list[MinuteBar]:
    """One-minute bars joined to bars of ``minutes``, counted on the hour, oldest first."""
    if minutes == 1:
        return list(bars)
    merged: list[MinuteBar] = []
    for bar in bars:
        second = int(bar.start_at.timestamp())
        start = bar.start_at - timedelta(seconds=second % (minutes * 60))
        if merged and merged[-1].start_at == start:
            last = merged[-1]
            high, low = max(last.high, bar.high), min(last.low, bar.low)
            volume = last.volume + bar.volume
            merged[-1] = MinuteBar(start, last.open, high, low, bar.close, volume)
        else:
            merged.append(MinuteBar(start, bar.open, bar.high, bar.low, bar.close, bar.volume))
    return merged


def _minute_row(session: date, bar: MinuteBar, code: ExchangeCode) -> dict[str, str]:
    local, seoul = bar.start_at.astimezone(code.zone), bar.start_at.astimezone(KST)
    return {
        "tymd": day_text(session),
        "xymd": day_text(local.date()),
        "xhms": local.strftime("%H%M%S"),
        "kymd": day_text(seoul.date()),
        "khms": seoul.strftime("%H%M%S"),
        "open": fixed(bar.open, code.decimals),
        "high": fixed(bar.high, code.decimals),
        "low": fixed(bar.low, code.decimals),
        "last": fixed(bar.close, code.decimals),
        "evol": str(bar.volume),
        "eamt": whole(bar.close * bar.volume),
    }
