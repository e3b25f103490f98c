"""Domestic quotes: price, order book, daily and minute bars, all in won."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from trading_core.model.market import MarketGroup
from trading_core.model.price import DailyBar, Quote
from trading_core.twin.venue import Venue
from trading_core.twin.wire.desk import Desk, grouped
from trading_core.twin.wire.domestic_price import increment, price_fields
from trading_core.twin.wire.envelope import (
    KST,
    Call,
    Reply,
    alike,
    day_text,
    fixed,
    input_error,
    quoted,
    ratio_pct,
    time_text,
    whole,
)

DAILY_ROWS = 100
RECENT_ROWS = 30
LEVELS = 10
_NO_LEVELS = {
    f"{side}{kind}{n}": "0"
    for kind in ("", "_rsqn", "_rsqn_icdc")
    for side in ("askp", "bidp")
    for n in range(1, LEVELS + 1)
}
_NO_TOTALS = alike(
    "total_askp_rsqn_icdc total_bidp_rsqn_icdc ovtm_total_askp_icdc ovtm_total_bidp_icdc "
    "ovtm_total_askp_rsqn ovtm_total_bidp_rsqn",
    "0",
)
# Enough calendar days for one session before the range, across the longest holidays.
LOOK_BACK = timedelta(days=14)


def found(desk: Desk, call: Call) -> tuple[Venue, Quote] | None:
    """The venue and quote of the security a request names; None when nobody lists it.

    Raises:
        WireError: the market division is not one of the broker's.
    """
    if call.text("FID_COND_MRKT_DIV_CODE").upper() not in ("J", "NX", "UN"):
        raise input_error("ERROR INVALID_CHECK_MRKT_DIV_CODE")
    symbol = short_code(call.text("FID_INPUT_ISCD"))
    venue = desk.venue(MarketGroup.KR)
    quote = venue.quote(symbol) if venue is not None else None
    return None if venue is None or quote is None else (venue, quote)


def short_code(text: str) -> str:
    """The six-character code, with the leading ``A`` some clients send taken off."""
    return text[1:] if len(text) == 7 and text.startswith("A") else text


def change_sign(quote: Quote) -> str:
    """1 upper limit, 2 up, 3 flat, 4 lower limit, 5 down."""
    if quote.last <= 0 or quote.last == quote.previous_close:
        return "3"
    if quote.last > quote.previous_close:
        return "1" if quote.last == quote.upper_limit else "2"
    return "4" if quote.last == quote.lower_limit else "5"


def change_fields(quote: Quote) -> dict[str, str]:
    """Change against the previous close; the amount carries its own sign."""
    difference = quote.last - quote.previous_close if quote.last > 0 else Decimal(0)
    return {
        "prdy_vrss": whole(difference),
        "prdy_vrss_sign": change_sign(quote),
        "prdy_ctrt": fixed(ratio_pct(difference, quote.previous_close), 2),
    }


def inquire_price(desk: Desk, call: Call) -> Reply:
    """FHKST01010100. An unknown security has zeros everywhere."""
    hit = found(desk, call)
    symbol = short_code(call.text("FID_INPUT_ISCD"))
    if hit is None:
        return quoted(output=price_fields(None, None, symbol))
    venue, quote = hit
    fields = price_fields(quote, desk.history(venue, symbol), symbol)
    return quoted(output=fields | change_fields(quote))


def inquire_asking_price(desk: Desk, call: Call) -> Reply:
    """FHKST01010200: ten levels a side and the expected price of an auction."""
    hit = found(desk, call)
    book = hit[0].order_book(hit[1].instrument.symbol) if hit else None
    levels = dict(_NO_LEVELS)
    totals = {"askp": 0, "bidp": 0}
    for side, rows in (("askp", book.asks if book else ()), ("bidp", book.bids if book else ())):
        for n, level in enumerate(rows[:LEVELS], 1):
            levels[f"{side}{n}"] = whole(level.price)
            levels[f"{side}_rsqn{n}"] = str(level.quantity)
            totals[side] += level.quantity
    at = book.at if book else desk.now
    output1 = {
        "aspr_acpt_hour": time_text(at),
        **levels,
        "total_askp_rsqn": str(totals["askp"]),
        "total_bidp_rsqn": str(totals["bidp"]),
        **_NO_TOTALS,
        "ntby_aspr_rsqn": str(totals["bidp"] - totals["askp"]),
        "new_mkop_cls_code": "20",
    }
    quote = hit[1] if hit else None
    output2 = {
        "antc_mkop_cls_code": "311",
        "stck_prpr": whole(quote.last) if quote else "0",
        "stck_oprc": whole(quote.open) if quote else "0",
        "stck_hgpr": whole(quote.high) if quote else "0",
        "stck_lwpr": whole(quote.low) if quote else "0",
        "stck_sdpr": whole(quote.previous_close) if quote else "0",
        "antc_cnpr": "0",
        "antc_cntg_vrss_sign": "3",
        "antc_cntg_vrss": "0",
        "antc_cntg_prdy_ctrt": "0.00",
        "antc_vol": "0",
        "stck_shrn_iscd": quote.instrument.symbol if quote else "",
        "vi_cls_code": "N",
    }
    return quoted(output1=output1, output2=output2)


def inquire_daily_chart(desk: Desk, call: Call) -> Reply:
    """FHKST03010100: bars by day, week, month or year within a range, newest first, at most 100.

    The venue's bars are adjusted; the raw ones are not offered, so both settings give the same.
    """
    start, end = call.day("FID_INPUT_DATE_1"), call.day("FID_INPUT_DATE_2")
    period = call.text("FID_PERIOD_DIV_CODE").upper()
    if period not in ("D", "W", "M", "Y"):
        raise input_error("ERROR INVALID_CHECK_PERIOD_DIV_CODE")
    hit = found(desk, call)
    if hit is None:
        return quoted(output1={}, output2=[])
    venue, quote = hit
    rows = _daily_rows(venue, quote.instrument.symbol, start, end, period)
    return quoted(output1=_chart_head(desk, venue, quote), output2=rows)


def _daily_rows(
    venue: Venue, symbol: str, start: date, end: date, period: str
) -> list[dict[str, str]]:
    # One bar before the range is read, for the change of its first row.
    earlier = max(start, date(1, 1, 1) + LOOK_BACK) - LOOK_BACK
    before = venue.daily_bars(symbol, start=earlier, end=end) if start <= end else []
    inside = grouped([bar for bar in before if bar.session >= start], period)
    outside = [bar for bar in before if bar.session < start]
    rows = []
    previous = outside[-1].close if outside else None
    if len(inside) > DAILY_ROWS:
        previous = inside[-DAILY_ROWS - 1].close
    for bar in inside[-DAILY_ROWS:]:
        difference = bar.close - previous if previous is not None else Decimal(0)
        rows.append(
            {
                "stck_bsop_date": day_text(bar.session),
                "stck_clpr": whole(bar.close),
                "stck_oprc": whole(bar.open),
                "stck_hgpr": whole(bar.high),
                "stck_lwpr": whole(bar.low),
                "acml_vol": str(bar.volume),
                "acml_tr_pbmn": whole(bar.close * bar.volume),
                "flng_cls_code": "00",
                "prtt_rate": "0.00",
                "mod_yn": "N",
                "prdy_vrss_sign": _sign(difference),
                "prdy_vrss": whole(difference),
                "revl_issu_reas": "",
            }
        )
        previous = bar.close
    rows.reverse()
    return rows


def _sign(difference: Decimal) -> str:
    return "3" if not difference else "2" if difference > 0 else "5"


def _chart_head(desk: Desk, venue: Venue, quote: Quote) -> dict[str, str]:
    history = desk.history(venue, quote.instrument.symbol)
    before = history.previous
    zeros = alike("vol_tnrt stck_fcam lstn_stcn cpfn hts_avls per eps pbr", "0")
    return {
        **change_fields(quote),
        **present_fields(quote),
        "stck_shrn_iscd": quote.instrument.symbol,
        "prdy_vol": str(history.previous_volume),
        "stck_mxpr": whole(quote.upper_limit or 0),
        "stck_llam": whole(quote.lower_limit or 0),
        "stck_oprc": whole(quote.open),
        "stck_hgpr": whole(quote.high),
        "stck_lwpr": whole(quote.low),
        "stck_prdy_oprc": whole(before.open if before else 0),
        "stck_prdy_hgpr": whole(before.high if before else 0),
        "stck_prdy_lwpr": whole(before.low if before else 0),
        "askp": whole(quote.last + increment(quote)),
        "bidp": whole(quote.last),
        "prdy_vrss_vol": str(quote.volume - history.previous_volume),
        **zeros,
        "itewhol_loan_rmnd_ratem": "0.00",
    }


def inquire_daily_price(desk: Desk, call: Call) -> Reply:
    """FHKST01010400: the last 30 days, weeks or months, newest first."""
    period = call.text("FID_PERIOD_DIV_CODE").upper()
    if period not in ("D", "W", "M"):
        raise input_error("ERROR INVALID_CHECK_PERIOD_DIV_CODE")
    hit = found(desk, call)
    if hit is None:
        return quoted(output=[])
    venue, quote = hit
    end = venue.now.astimezone(KST).date()
    days = {"D": 75, "W": 32 * 7, "M": 32 * 31}[period]
    symbol = quote.instrument.symbol
    bars = grouped(venue.daily_bars(symbol, start=end - timedelta(days=days), end=end), period)
    return quoted(output=_recent_rows(bars)[:RECENT_ROWS])


def _recent_rows(bars: Sequence[DailyBar]) -> list[dict[str, str]]:
    rows = []
    previous: DailyBar | None = None
    for bar in bars:
        difference = bar.close - previous.close if previous else Decimal(0)
        base = previous.close if previous else Decimal(0)
        growth = ratio_pct(
            Decimal(bar.volume - previous.volume) if previous else Decimal(0),
            Decimal(previous.volume) if previous else Decimal(0),
        )
        rows.append(
            {
                "stck_bsop_date": day_text(bar.session),
                "stck_oprc": whole(bar.open),
                "stck_hgpr": whole(bar.high),
                "stck_lwpr": whole(bar.low),
                "stck_clpr": whole(bar.close),
                "acml_vol": str(bar.volume),
                "prdy_vrss_vol_rate": fixed(growth, 2),
                "prdy_vrss": whole(difference),
                "prdy_vrss_sign": _sign(difference),
                "prdy_ctrt": fixed(ratio_pct(difference, base), 2),
                "hts_frgn_ehrt": "0.00",
                "frgn_ntby_qty": "0",
                "flng_cls_code": "00",
                "acml_prtt_rate": "0.00",
            }
        )
        previous = bar
    rows.reverse()
    return rows


def present_fields(quote: Quote) -> dict[str, str]:
    """Name, price and totals of the day so far."""
    return {
        "stck_prdy_clpr": whole(quote.previous_close),
        "acml_vol": str(quote.volume),
        "acml_tr_pbmn": whole(quote.turnover),
        "hts_kor_isnm": quote.instrument.name or quote.instrument.symbol,
        "stck_prpr": whole(quote.last),
    }
