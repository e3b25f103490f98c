"""Foreign quotes: price, detail, order book, daily and minute bars, in each exchange's currency.

``diff`` has no sign; ``rate`` has one, or a blank in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from trading_core.model.order import Side
from trading_core.model.price import DailyBar, Quote
from trading_core.rules.markets import lot_size, price_increment
from trading_core.twin.venue import Venue
from trading_core.twin.wire.bar_rows import DAILY_ROWS, rendered_bars
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


def change_fields(quote: Quote, code: ExchangeCode) -> dict[str, str]:
    """Sign, unsigned difference and signed rate; the sign is 0 before the first trade."""
    difference = quote.last - quote.previous_close if quote.last > 0 else Decimal(0)
    return {
        "sign": change_sign(quote) if quote.last > 0 and quote.volume > 0 else "0",
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
            **change_fields(quote, code),
            "tvol": str(quote.volume),
            "tamt": whole(quote.turnover),
            "ordy": "매매정지" if quote.halted else "매수가능",
        }
    )


BLANK_DETAIL = alike(
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
        return quoted(output=BLANK_DETAIL)
    venue, quote, code = hit
    fields = detail_fields(desk, venue, quote, code)
    return quoted(output={name: fields[name] for name in BLANK_DETAIL})


def detail_fields(desk: Desk, venue: Venue, quote: Quote, code: ExchangeCode) -> dict[str, str]:
    """The record of price-detail, and the change fields that the multi-quote has besides."""
    places = code.decimals
    history = desk.history(venue, quote.instrument.symbol)
    rate = desk.rates[code.currency]
    change = quote.last - quote.previous_close if quote.last > 0 else Decimal(0)
    percent = signed_rate(ratio_pct(change, quote.previous_close))
    before = history.previous
    orderable = "매매정지" if quote.halted else "매매 가능"
    return {
        **_DETAIL_ZEROS,
        "rsym": rsym(code, quote.instrument.symbol),
        "zdiv": str(places),
        "curr": code.currency.value,
        "vnit": str(lot_size(code.market, Side.BUY)),
        "open": fixed(quote.open, places),
        "high": fixed(quote.high, places),
        "low": fixed(quote.low, places),
        "last": fixed(quote.last, places),
        "base": fixed(quote.previous_close, places),
        **change_fields(quote, code),
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
        "e_ordyn": orderable,
        "ordyn": orderable,
        "e_hogau": fixed(_increment(quote, code), places),
        "e_icod": "",
        "etyp_nm": "ETF" if quote.instrument.is_fund else "",
    }


def _increment(quote: Quote, code: ExchangeCode) -> Decimal:
    on = quote.at.astimezone(code.zone).date()
    at = quote.last if quote.last > 0 else Decimal(1)
    return price_increment(code.market, at, on, etf=quote.instrument.is_fund)


def _year(history: History, quote: Quote, code: ExchangeCode) -> dict[str, str]:
    span = history.year.with_day(quote, quote.at.astimezone(code.zone).date())
    return {
        "h52p": fixed(span.high, code.decimals),
        "h52d": day_text(span.high_on) if span.high_on else "",
        "l52p": fixed(span.low, code.decimals),
        "l52d": day_text(span.low_on) if span.low_on else "",
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

    MODP is 0 for prices as traded and 1 for adjusted ones.
    """
    code = exchange_of(call)
    end = call.day("BYMD") if call.text("BYMD") else desk.now.astimezone(code.zone).date()
    if call.text("MODP") not in ("0", "1"):
        raise input_error("ERROR INVALID_CHECK_MODP")
    adjusted = call.text("MODP") == "1"
    hit = found(desk, call)
    if hit is None:
        return quoted(output1={"rsym": "", "zdiv": "", "nrec": "0"}, output2=[])
    venue, quote, code = hit
    symbol = quote.instrument.symbol
    period = {"1": "W", "2": "M"}.get(call.text("GUBN"), "D")
    rows = _daily_rows_until(desk, (venue, symbol, end, period, adjusted), code)
    head = {"rsym": rsym(code, symbol), "zdiv": str(code.decimals), "nrec": str(len(rows))}
    return quoted(output1=head, output2=rows)


def _daily_rows_until(
    desk: Desk, asked: tuple[Venue, str, date, str, bool], code: ExchangeCode
) -> list[dict[str, str]]:
    venue, symbol, end, period, adjusted = asked
    end = min(end, desk.session(venue))

    def since(start: date) -> list[dict[str, str]]:
        return rendered_bars(
            desk,
            (venue, symbol, start, end, period, adjusted),
            lambda bars, previous: _daily_rows(grouped(bars, period), previous, code),
        )

    days = {"D": 220, "W": 102 * 7, "M": 102 * 31}[period]
    start = end - timedelta(days=days) if end.toordinal() > days else date.min
    rows = since(start)
    # Sparse histories are read whole.
    return rows if len(rows) == DAILY_ROWS else since(date.min)


def _daily_rows(
    bars: Sequence[DailyBar], previous: Decimal | None, code: ExchangeCode
) -> list[dict[str, str]]:
    places = code.decimals
    rows = []
    if len(bars) > DAILY_ROWS:
        previous = bars[-DAILY_ROWS - 1].close
    for bar in bars[-DAILY_ROWS:]:
        before = previous or Decimal(0)
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
        previous = bar.close
    rows.reverse()
    return rows
