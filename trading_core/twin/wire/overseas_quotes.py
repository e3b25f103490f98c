"""Foreign quotes: price, detail, order book, daily and minute bars, in each exchange's currency.

``diff`` has no sign; ``rate`` has one, or a blank in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from trading_core.model.price import DailyBar, Quote
from trading_core.twin.venue import Venue
from trading_core.twin.wire.codes import BY_QUOTE_CODE, ExchangeCode
from trading_core.twin.wire.desk import Desk, History, grouped
from trading_core.twin.wire.domestic_quotes import change_sign
from trading_core.twin.wire.envelope import (
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
Found = tuple[Venue, Quote, ExchangeCode]


def exchange_of(call: Call) -> ExchangeCode:
    """The exchange a request empty. Raises :class:`WireError` for an unknown code."""
    code = BY_QUOTE_CODE.get(call.text("EXCD").upper())
    if code is None:
        raise input_error("ERROR INVALID_CHECK_EXCD")
    return code


def found(desk: Desk, call: Call) -> Found | None:
    """Venue, quote and exchange of the security; None when it is not listed there."""
    code = exchange_of(call)
    venue = desk.venue(code.market.group)
    quote = venue.quote(call.text("SYMB").upper()) if venue is not None else None
    if venue is None or quote is None or quote.instrument.market is not code.market:
        return None
    return venue, quote, code


def rsym(code: ExchangeCode, symbol: str) -> str:
    """The broker's real-time symbol, such as ``DNASAAPL``."""
    return f"D{code.quote_code}{symbol}"


def signed_rate(percent: Decimal) -> str:
    """``+1.44``, ``-4.09`` or `` 0.00``."""
    text = fixed(percent, 2)
    if text.startswith("-"):
        return text
    return f" {text}" if not text.strip("0.") else f"+{text}"


def _change(quote: Quote, code: ExchangeCode) -> dict[str, str]:
    difference = quote.last - quote.previous_close if quote.last > 0 else Decimal(0)
    return {
        "sign": change_sign(quote) if quote.last > 0 else "0",
        "diff": fixed(abs(difference), code.decimals),
        "rate": signed_rate(ratio_pct(difference, quote.previous_close)),
    }


def price(desk: Desk, call: Call) -> Reply:
    """HHDFS00000300. An unknown security has empty fields."""
    hit = found(desk, call)
    if hit is None:
        empty = alike("rsym zdiv base pvol last sign diff rate tvol tamt ordy", "")
        return quoted(output=empty)
    venue, quote, code = hit
    symbol = quote.instrument.symbol
    return quoted(
        output={
            "rsym": rsym(code, symbol),
            "zdiv": str(code.decimals),
            "base": fixed(quote.previous_close, code.decimals),
            "pvol": str(desk.history(venue, symbol).previous_volume),
            "last": fixed(quote.last, code.decimals),
            **_change(quote, code),
            "tvol": str(quote.volume),
            "tamt": whole(quote.turnover),
            "ordy": "매매정지" if quote.halted else "매수가능",
        }
    )


_DETAIL = alike(
    "rsym pvol open high low last base tomv pamt uplp dnlp h52p h52d l52p l52d perx pbrx "
    "epsx bpsx shar mcap curr zdiv vnit t_xprc t_xdif t_xrat p_xprc p_xdif p_xrat t_rate "
    "p_rate t_xsgn p_xsng e_ordyn e_hogau e_icod e_parp tvol tamt etyp_nm",
    "",
)
_DETAIL_ZEROS = alike("tomv perx pbrx epsx bpsx shar mcap e_parp", "0")


def price_detail(desk: Desk, call: Call) -> Reply:
    """HHDFS76200200: the day's range, a year's extremes and the price in won."""
    hit = found(desk, call)
    if hit is None:
        return quoted(output=_DETAIL)
    venue, quote, code = hit
    places = code.decimals
    history = desk.history(venue, quote.instrument.symbol)
    rate = desk.rates[code.currency]
    change = quote.last - quote.previous_close if quote.last > 0 else Decimal(0)
    percent = signed_rate(ratio_pct(change, quote.previous_close))
    before = history.previous
    return quoted(
        output={
            **_DETAIL_ZEROS,
            "rsym": rsym(code, quote.instrument.symbol),
            "zdiv": str(places),
            "curr": code.currency.value,
            "vnit": "1",
            "open": fixed(quote.open, places),
            "high": fixed(quote.high, places),
            "low": fixed(quote.low, places),
            "last": fixed(quote.last, places),
            "base": fixed(quote.previous_close, places),
            "uplp": fixed(quote.upper_limit or 0, places),
            "dnlp": fixed(quote.lower_limit or 0, places),
            "tvol": str(quote.volume),
            "tamt": whole(quote.turnover),
            "pvol": str(history.previous_volume),
            "pamt": whole(before.close * before.volume if before else 0),
            **_year(history, quote, code),
            "t_xprc": whole(quote.last * rate),
            "t_xdif": whole(abs(change) * rate),
            "t_xrat": percent,
            "p_xprc": whole(quote.previous_close * rate),
            "p_xdif": "0",
            "p_xrat": " 0.00",
            "t_rate": fixed(rate, 2),
            "p_rate": fixed(rate, 2),
            "t_xsgn": change_sign(quote),
            "p_xsng": "3",
            "e_ordyn": "매매정지" if quote.halted else "매매 가능",
            "e_hogau": fixed(Decimal(1).scaleb(-min(places, 2)), places),
            "e_icod": "",
            "etyp_nm": "",
        }
    )


def _year(history: History, quote: Quote, code: ExchangeCode) -> dict[str, str]:
    today = quote.at.astimezone(code.zone).date()
    high, high_on = history.high, history.high_on
    low, low_on = history.low, history.low_on
    if quote.high > high:
        high, high_on = quote.high, today
    if quote.low > 0 and (not low or quote.low < low):
        low, low_on = quote.low, today
    return {
        "h52p": fixed(high, code.decimals),
        "h52d": day_text(high_on) if high_on else "",
        "l52p": fixed(low, code.decimals),
        "l52d": day_text(low_on) if low_on else "",
    }


def asking_price(desk: Desk, call: Call) -> Reply:
    """HHDFS76200100: ten levels a side in the US, one elsewhere."""
    hit = found(desk, call)
    if hit is None:
        return quoted(output1={}, output2={}, output3={})
    venue, quote, code = hit
    places = code.decimals
    book = venue.order_book(quote.instrument.symbol)
    asks, bids = (book.asks, book.bids) if book else ((), ())
    levels: dict[str, str] = {}
    for n in range(1, (10 if code.nation == "840" else 1) + 1):
        for side, rows in (("bid", bids), ("ask", asks)):
            level = rows[n - 1] if n <= len(rows) else None
            levels[f"p{side}{n}"] = fixed(level.price if level else 0, places)
            levels[f"v{side}{n}"] = str(level.quantity) if level else "0"
            levels[f"d{side}{n}"] = "0"
    at = book.at if book else venue.now
    prices = {name: fixed(getattr(quote, name), places) for name in ("open", "high", "low", "last")}
    output1 = {
        "rsym": rsym(code, quote.instrument.symbol),
        "zdiv": str(places),
        "curr": code.currency.value,
        "base": fixed(quote.previous_close, places),
        **prices,
        "dymd": day_text(at.astimezone(code.zone).date()),
        "dhms": time_text(at, code.zone),
        "bvol": str(sum(level.quantity for level in bids)),
        "avol": str(sum(level.quantity for level in asks)),
        "bdvl": "0",
        "advl": "0",
        "code": quote.instrument.symbol,
        "ropen": signed_rate(_against_base(quote, quote.open)),
        "rhigh": signed_rate(_against_base(quote, quote.high)),
        "rlow": signed_rate(_against_base(quote, quote.low)),
        "rclose": signed_rate(_against_base(quote, quote.last)),
    }
    output3 = alike("vstm vetm csbp cshi cslo iep iev", "")
    return quoted(output1=output1, output2=levels, output3=output3)


def _against_base(quote: Quote, value: Decimal) -> Decimal:
    return ratio_pct(value - quote.previous_close, quote.previous_close) if value else Decimal(0)


def daily_price(desk: Desk, call: Call) -> Reply:
    """HHDFS76240000: at most 100 bars up to BYMD, newest first, by day, week or month.

    The venue's bars are adjusted; the raw ones are not offered, so both settings give the same.
    """
    code = exchange_of(call)
    end = call.day("BYMD") if call.text("BYMD") else desk.now.astimezone(code.zone).date()
    hit = found(desk, call)
    if hit is None:
        return quoted(output1={"rsym": "", "zdiv": "", "nrec": "0"}, output2=[])
    venue, quote, code = hit
    symbol = quote.instrument.symbol
    period = {"1": "W", "2": "M"}.get(call.text("GUBN"), "D")
    rows = _daily_rows(_bars_until(venue, symbol, end, period), code)[:DAILY_ROWS]
    head = {"rsym": rsym(code, symbol), "zdiv": str(code.decimals), "nrec": str(len(rows))}
    return quoted(output1=head, output2=rows)


def _bars_until(venue: Venue, symbol: str, end: date, period: str) -> list[DailyBar]:
    end = min(end, venue.state().session)
    # One bar more than is shown, for the change of the oldest; sparse histories are read whole.
    days = {"D": 220, "W": 102 * 7, "M": 102 * 31}[period]
    start = end - timedelta(days=days) if end.toordinal() > days else None
    bars = grouped(venue.daily_bars(symbol, start=start, end=end), period)
    if start is not None and len(bars) <= DAILY_ROWS:
        bars = grouped(venue.daily_bars(symbol, start=None, end=end), period)
    return bars[-DAILY_ROWS - 1 :]


def _daily_rows(bars: Sequence[DailyBar], code: ExchangeCode) -> list[dict[str, str]]:
    places = code.decimals
    rows = []
    for index, bar in enumerate(bars):
        before = bars[index - 1].close if index else Decimal(0)
        change = bar.close - before if before else Decimal(0)
        rows.append(
            {
                "xymd": day_text(bar.session),
                "clos": fixed(bar.close, places),
                "sign": "3" if not change else "2" if change > 0 else "5",
                "diff": fixed(abs(change), places),
                "rate": signed_rate(ratio_pct(change, before)),
                "open": fixed(bar.open, places),
                "high": fixed(bar.high, places),
                "low": fixed(bar.low, places),
                "tvol": str(bar.volume),
                "tamt": whole(bar.close * bar.volume),
                "pbid": fixed(bar.close, places),
                "vbid": "0",
                "pask": fixed(bar.close, places),
                "vask": "0",
            }
        )
    rows.reverse()
    return rows
