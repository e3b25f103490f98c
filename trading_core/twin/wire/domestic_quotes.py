"""Domestic quotes: price, order book, daily and minute bars, all in won."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from trading_core.model.market import MarketGroup
from trading_core.model.price import DailyBar, OrderBook, Quote
from trading_core.rules.calendar import Phase
from trading_core.twin.venue import TradingState, Venue
from trading_core.twin.wire.bar_rows import DAILY_ROWS, rendered_bars
from trading_core.twin.wire.desk import Desk, grouped
from trading_core.twin.wire.domestic_price import (
    NO_SUCH_SECURITY,
    increment,
    present_price,
    standing_fields,
)
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
# First figure: before, in or after the session; second: nothing special.
_SESSION_CODES = {
    Phase.CLOSED: "30",
    Phase.PRE_OPEN: "10",
    Phase.OPENING_AUCTION: "10",
    Phase.AFTER_CLOSE: "30",
}


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


def signed_change(price: Decimal, quote: Quote) -> dict[str, str]:
    """The change of another price of the day against the same base."""
    difference = price - quote.previous_close if price > 0 else Decimal(0)
    return {
        "prdy_vrss": whole(difference),
        "prdy_vrss_sign": _sign(difference),
        "prdy_ctrt": fixed(ratio_pct(difference, quote.previous_close), 2),
    }


def inquire_price(desk: Desk, call: Call) -> Reply:
    """FHKST01010100. An unknown security has zeros everywhere."""
    hit = found(desk, call)
    if hit is None:
        return quoted(output=NO_SUCH_SECURITY)
    venue, quote = hit
    symbol = quote.instrument.symbol
    history = desk.history(venue, symbol)
    standing = desk.kept(venue, "standing", symbol, lambda: standing_fields(quote, history))
    fields = present_price(standing, quote, history, venue.trading_state(symbol))
    return quoted(output=fields | change_fields(quote))


def inquire_asking_price(desk: Desk, call: Call) -> Reply:
    """FHKST01010200: ten levels a side and the expected price of an auction."""
    hit = found(desk, call)
    if hit is None:
        return quoted(output1=_levels(None, desk.now), output2=_expected(None, None))
    venue, quote = hit
    symbol = quote.instrument.symbol
    state = venue.trading_state(symbol)
    output1 = _levels(venue.order_book(symbol), venue.now)
    if state is not None:
        output1["new_mkop_cls_code"] = _SESSION_CODES.get(state.phase, "20")
    return quoted(output1=output1, output2=_expected(quote, state))


def _levels(book: OrderBook | None, now: datetime) -> dict[str, str]:
    levels = dict(_NO_LEVELS)
    totals = {"askp": 0, "bidp": 0}
    for side, rows in (("askp", book.asks if book else ()), ("bidp", book.bids if book else ())):
        for n, level in enumerate(rows[:LEVELS], 1):
            levels[f"{side}{n}"] = whole(level.price)
            levels[f"{side}_rsqn{n}"] = str(level.quantity)
            totals[side] += level.quantity
    return {
        "aspr_acpt_hour": time_text(book.at if book else now),
        **levels,
        "total_askp_rsqn": str(totals["askp"]),
        "total_bidp_rsqn": str(totals["bidp"]),
        **_NO_TOTALS,
        "ntby_aspr_rsqn": str(totals["bidp"] - totals["askp"]),
        "new_mkop_cls_code": "20",
    }


def _expected(quote: Quote | None, state: TradingState | None) -> dict[str, str]:
    """The expected price of an auction; zeros while the security trades continuously."""
    price = state.expected_price if state is not None else None
    change = price - quote.previous_close if quote is not None and price is not None else Decimal(0)
    base = quote.previous_close if quote is not None else Decimal(0)
    return {
        "antc_mkop_cls_code": "311" if price is not None else "112",
        "stck_prpr": whole(quote.last) if quote else "0",
        "stck_oprc": whole(quote.open) if quote else "0",
        "stck_hgpr": whole(quote.high) if quote else "0",
        "stck_lwpr": whole(quote.low) if quote else "0",
        "stck_sdpr": whole(base),
        "antc_cnpr": whole(price or 0),
        "antc_cntg_vrss_sign": _sign(change),
        "antc_cntg_vrss": whole(change),
        "antc_cntg_prdy_ctrt": fixed(ratio_pct(change, base), 2),
        "antc_vol": str(state.expected_quantity if state is not None else 0),
        "stck_shrn_iscd": quote.instrument.symbol if quote else "",
        "vi_cls_code": "Y" if state is not None and state.interrupted else "N",
    }


def _adjustment(call: Call) -> int:
    """FID_ORG_ADJ_PRC as a number, because some clients send ``0000000001``."""
    value = call.integer("FID_ORG_ADJ_PRC", -1)
    if value not in (0, 1):
        raise input_error("ERROR INVALID_CHECK_ORG_ADJ_PRC")
    return value


def inquire_daily_chart(desk: Desk, call: Call) -> Reply:
    """FHKST03010100: bars by day, week, month or year within a range, newest first, at most 100.

    FID_ORG_ADJ_PRC is 0 for adjusted prices and 1 for prices as traded.
    """
    start, end = call.day("FID_INPUT_DATE_1"), call.day("FID_INPUT_DATE_2")
    period = call.text("FID_PERIOD_DIV_CODE").upper()
    if period not in ("D", "W", "M", "Y"):
        raise input_error("ERROR INVALID_CHECK_PERIOD_DIV_CODE")
    adjusted = _adjustment(call) == 0
    hit = found(desk, call)
    if hit is None:
        return quoted(output1={}, output2=[])
    venue, quote = hit
    symbol = quote.instrument.symbol
    if start > end:
        return quoted(output1=_chart_head(desk, venue, quote), output2=[])
    rows = rendered_bars(
        desk,
        (venue, symbol, start, end, period, adjusted),
        lambda bars, previous: _chart_rows(grouped(bars, period), previous, DAILY_ROWS),
    )
    return quoted(output1=_chart_head(desk, venue, quote), output2=rows)


def _chart_rows(
    bars: Sequence[DailyBar], previous: Decimal | None, count: int
) -> list[dict[str, str]]:
    rows = []
    if len(bars) > count:
        previous = bars[-count - 1].close
    for bar in bars[-count:]:
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
    """FHKST01010400: the last 30 days, weeks or months, newest first.

    FID_ORG_ADJ_PRC is 0 for prices as traded and 1 for adjusted ones.
    """
    period = call.text("FID_PERIOD_DIV_CODE").upper()
    if period not in ("D", "W", "M"):
        raise input_error("ERROR INVALID_CHECK_PERIOD_DIV_CODE")
    adjusted = _adjustment(call) == 1
    hit = found(desk, call)
    if hit is None:
        return quoted(output=[])
    venue, quote = hit
    end = venue.now.astimezone(KST).date()
    days = {"D": 75, "W": 32 * 7, "M": 32 * 31}[period]
    symbol = quote.instrument.symbol
    start = end - timedelta(days=days)
    bars = venue.daily_bars(symbol, start=start, end=end, adjusted=adjusted)
    return quoted(output=_recent_rows(grouped(bars, period))[:RECENT_ROWS])


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
