"""Foreign trades of a day and the chart of indices, in each exchange's currency."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

from trading_core.model.price import MinuteBar, Quote
from trading_core.twin.venue import Venue
from trading_core.twin.wire.bar_rows import LOOK_BACK
from trading_core.twin.wire.codes import ExchangeCode
from trading_core.twin.wire.desk import Desk, opens_on
from trading_core.twin.wire.domestic_trades import strengths, todays_bars
from trading_core.twin.wire.envelope import (
    KST,
    Call,
    Reply,
    against,
    alike,
    fixed,
    input_error,
    quoted,
    time_text,
)
from trading_core.twin.wire.overseas_quotes import exchange_of, found, signed_rate

TRADE_ROWS = 120


def inquire_trades(desk: Desk, call: Call) -> Reply:
    """HHDFS76200300: trades of today (TDAY 1) or the day before (0), newest first, by minute."""
    code = exchange_of(call)
    if call.text("TDAY") not in ("0", "1"):
        raise input_error("ERROR INVALID_CHECK_TDAY")
    hit = found(desk, call)
    if hit is None:
        return quoted(output1=[])
    venue, quote, code = hit
    today = call.text("TDAY") == "1"
    symbol = quote.instrument.symbol
    bars = todays_bars(venue, symbol) if today else _bars_of_the_day_before(venue, symbol, code)
    rows, traded = [], 0
    for bar, strength in zip(bars, strengths(bars, quote.previous_close), strict=True):
        traded += bar.volume
        if bar.volume > 0:
            rows.append(_row(quote, bar, traded, strength, code))
    rows.reverse()
    return quoted(output1=rows[:TRADE_ROWS])


def _bars_of_the_day_before(venue: Venue, symbol: str, code: ExchangeCode) -> list[MinuteBar]:
    session = venue.state().session
    for back in range(1, LOOK_BACK.days):
        day = session - timedelta(days=back)
        if opens_on(venue, day):
            until = datetime.combine(day, time(23, 59), code.zone)
            return venue.minute_bars(symbol, session=day, until=until)
    return []


def _row(
    quote: Quote, bar: MinuteBar, traded: int, strength: Decimal, code: ExchangeCode
) -> dict[str, str]:
    places = code.decimals
    change = bar.close - quote.previous_close
    return {
        "khms": time_text(bar.start_at + timedelta(seconds=59), KST),
        "last": fixed(bar.close, places),
        "sign": "3" if not change else "2" if change > 0 else "5",
        "diff": fixed(abs(change), places),
        "rate": signed_rate(against(bar.close, quote.previous_close)),
        "evol": str(bar.volume),
        "tvol": str(traded),
        "mtyp": "1",
        "pbid": fixed(bar.close, places),
        "pask": fixed(bar.close, places),
        "vpow": fixed(strength, 2),
    }


def index_chart(desk: Desk, call: Call) -> Reply:
    """FHKST03030100: bars of indices, currencies, bonds and gold, none of which a venue plays."""
    if call.text("FID_COND_MRKT_DIV_CODE").upper() not in ("N", "X", "I", "S"):
        raise input_error("ERROR INVALID_CHECK_MRKT_DIV_CODE")
    _check_span(call.day("FID_INPUT_DATE_1"), call.day("FID_INPUT_DATE_2"))
    zeros = alike(
        "ovrs_nmix_prdy_vrss prdy_ctrt ovrs_nmix_prdy_clpr acml_vol ovrs_nmix_prpr "
        "ovrs_prod_oprc ovrs_prod_hgpr ovrs_prod_lwpr",
        "0",
    )
    names = {"prdy_vrss_sign": "3", "hts_kor_isnm": "", "stck_shrn_iscd": ""}
    return quoted(output1=zeros | names, output2=[])


def _check_span(start: date, end: date) -> None:
    if start > end:
        raise input_error("ERROR INVALID_CHECK_INPUT_DATE")
