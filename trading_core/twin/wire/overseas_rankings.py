"""Foreign rankings of one exchange, in its currency; at most 100 rows.

What a ranking counts but no venue knows, such as the number of listed shares, is 0, and the order
is then that of the traded value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from trading_core.model.price import MinuteBar, Quote
from trading_core.twin.venue import Venue
from trading_core.twin.wire.codes import ExchangeCode
from trading_core.twin.wire.desk import Desk, History
from trading_core.twin.wire.domestic_trades import strengths, todays_bars
from trading_core.twin.wire.envelope import (
    Call,
    Reply,
    against,
    fixed,
    input_error,
    quoted,
    whole,
)
from trading_core.twin.wire.overseas_quotes import change_fields, exchange_of, rsym, signed_rate

OVERSEAS_ROWS = 100
# Least volume of the day for each value of VOL_RANG.
_LEAST_VOLUME = (0, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_DAYS_BACK = (0, 2, 3, 5, 10, 20, 30, 60, 120, 250)
_MINUTES_BACK = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120)


@dataclass(frozen=True, slots=True)
class _Line:
    """One candidate of a ranking: what it is sorted by, and the fields only this ranking has."""

    quote: Quote
    score: Decimal
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A ranking request: its exchange, its venue and what is known of each security."""

    desk: Desk
    venue: Venue
    code: ExchangeCode

    def history(self, quote: Quote) -> History:
        return self.desk.history(self.venue, quote.instrument.symbol)

    def closed(self, quote: Quote, days: int) -> Decimal:
        """The close ``days`` sessions ago, the oldest known when there are fewer."""
        recent = self.history(quote).recent
        if days == 0 or not recent:
            return quote.previous_close
        return recent[max(0, len(recent) - days)].close

    def mean_volume(self, quote: Quote, days: int) -> int:
        recent = self.history(quote).recent[-(days or 1) :]
        return sum(bar.volume for bar in recent) // len(recent) if recent else 0

    def last_minutes(self, quote: Quote, minutes: int) -> list[MinuteBar]:
        since = self.venue.now - timedelta(minutes=minutes)
        return self.venue.bars_between(quote.instrument.symbol, after=since, until=self.venue.now)

    def price(self, value: Decimal) -> str:
        return fixed(value, self.code.decimals)


Rate = Callable[[_Asked, Call, Quote], _Line | None]


def _choice(call: Call, key: str, table: Sequence[int]) -> int:
    place = call.integer(key, -1)
    if not 0 <= place < len(table):
        raise input_error(f"ERROR INVALID_CHECK_{key}")
    return table[place]


def _ranking(desk: Desk, call: Call, rate: Rate, *, top: bool = True, short: bool = False) -> Reply:
    """Rows in order of their score. ``short`` names the name fields ``knam`` and ``enam``."""
    code = exchange_of(call)
    venue = desk.venue(code.market.group)
    least = _choice(call, "VOL_RANG", _LEAST_VOLUME) if call.text("VOL_RANG") else 0
    low, high = call.price("PRC1"), call.price("PRC2")
    lines = []
    if venue is not None:
        asked = _Asked(desk, venue, code)
        for quote in _quotes(venue, code):
            if quote.volume < least or quote.last < low or (high and quote.last > high):
                continue
            line = rate(asked, call, quote)
            if line is not None:
                lines.append(line)
    lines.sort(key=lambda line: line.score, reverse=top)
    shown = [_row(n, line, code, short=short) for n, line in enumerate(lines[:OVERSEAS_ROWS], 1)]
    return quoted(output1=_head(code, len(shown), len(lines)), output2=shown)


def _quotes(venue: Venue, code: ExchangeCode) -> list[Quote]:
    """Of everything listed at the exchange that has a price."""
    quotes = [venue.quote(i.symbol) for i in venue.instruments() if i.market is code.market]
    return [quote for quote in quotes if quote is not None and quote.last > 0]


def _head(code: ExchangeCode, shown: int, found: int) -> dict[str, str]:
    return {
        "zdiv": str(code.decimals),
        "stat": "정상",
        "crec": str(shown),
        "trec": str(found),
        "nrec": str(shown),
    }


def _row(rank: int, line: _Line, code: ExchangeCode, *, short: bool) -> dict[str, str]:
    quote, places = line.quote, code.decimals
    symbol = quote.instrument.symbol
    name = quote.instrument.name or symbol
    korean, english = ("knam", "enam") if short else ("name", "ename")
    return {
        "rsym": rsym(code, symbol),
        "excd": code.quote_code,
        "symb": symbol,
        korean: name,
        "last": fixed(quote.last, places),
        **change_fields(quote, code),
        "tvol": str(quote.volume),
        "pask": fixed(quote.last, places),
        "pbid": fixed(quote.last, places),
        "tamt": whole(quote.turnover),
        "rank": str(rank),
        english: name,
        "e_ordyn": "×" if quote.halted else "○",
        **line.extra,
    }


def _moved(asked: _Asked, quote: Quote, base: Decimal) -> _Line:
    rate = against(quote.last, base)
    extra = {
        "n_base": asked.price(base),
        "n_diff": asked.price(abs(quote.last - base)),
        "n_rate": signed_rate(rate),
    }
    return _Line(quote, rate, extra)


def updown_rate(desk: Desk, call: Call) -> Reply:
    """HHDFS76290000: gainers (GUBN 1) or losers (0) of today or of NDAY."""
    days = _choice(call, "NDAY", _DAYS_BACK)

    def rate(asked: _Asked, _call: Call, quote: Quote) -> _Line:
        return _moved(asked, quote, asked.closed(quote, days))

    return _ranking(desk, call, rate, top=call.text("GUBN") != "0")


def price_fluctuation(desk: Desk, call: Call) -> Reply:
    """HHDFS76260000: movers up (GUBN 1) or down (0) of the last MINX minutes."""
    minutes = _choice(call, "MINX", _MINUTES_BACK)

    def rate(asked: _Asked, _call: Call, quote: Quote) -> _Line | None:
        bars = asked.last_minutes(quote, minutes)
        if not bars:
            return None
        line = _moved(asked, quote, bars[0].open)
        line.extra["n_last"] = asked.price(quote.last)
        return line

    return _ranking(desk, call, rate, top=call.text("GUBN") != "0", short=True)


def volume_surge(desk: Desk, call: Call) -> Reply:
    """HHDFS76270000: volume of the last MINX minutes against what those minutes had on average."""
    minutes = _choice(call, "MINX", _MINUTES_BACK)

    def rate(asked: _Asked, _call: Call, quote: Quote) -> _Line | None:
        recent = asked.last_minutes(quote, minutes)
        played = len(todays_bars(asked.venue, quote.instrument.symbol))
        if not recent or not quote.volume:
            return None
        usual = Decimal(quote.volume) / played * len(recent)
        volume = sum(bar.volume for bar in recent)
        growth = against(Decimal(volume), usual)
        extra = {
            "n_tvol": whole(usual),
            "n_diff": whole(volume - usual),
            "n_rate": signed_rate(growth),
            "trat": fixed(growth, 2),
        }
        return _Line(quote, growth, extra)

    return _ranking(desk, call, rate, short=True)


def volume_power(desk: Desk, call: Call) -> Reply:
    """HHDFS76280000: strength of buying today. Of past days no venue knows it."""
    _choice(call, "NDAY", _DAYS_BACK)

    def rate(asked: _Asked, _call: Call, quote: Quote) -> _Line:
        bars = todays_bars(asked.venue, quote.instrument.symbol)
        power = strengths(bars, quote.previous_close)
        newest = power[-1] if power else Decimal(0)
        return _Line(quote, newest, {"tpow": fixed(newest, 2), "powx": fixed(newest, 2)})

    return _ranking(desk, call, rate, short=True)


def new_high_low(desk: Desk, call: Call) -> Reply:
    """HHDFS76300000: new highs (GUBN 1) or lows (0) of NDAY, touched (GUBN2 0) or held (1)."""
    days = _choice(call, "NDAY", _DAYS_BACK) if call.text("NDAY") else _DAYS_BACK[-1]
    highs, held = call.text("GUBN") != "0", call.text("GUBN2") == "1"

    def rate(asked: _Asked, _call: Call, quote: Quote) -> _Line | None:
        bars = [bar for bar in asked.history(quote).recent[-(days or 1) :] if bar.low > 0]
        if not bars or quote.high <= 0:
            return None
        bound = max(bar.high for bar in bars) if highs else min(bar.low for bar in bars)
        value = quote.last if held else (quote.high if highs else quote.low)
        if not (value > bound if highs else value < bound):
            return None
        return _moved(asked, quote, bound)

    return _ranking(desk, call, rate, top=highs)


def trade_volume(desk: Desk, call: Call) -> Reply:
    """HHDFS76310010: the most traded of today within a price range."""
    days = _choice(call, "NDAY", _DAYS_BACK)

    def rate(asked: _Asked, _call: Call, quote: Quote) -> _Line:
        extra = {"a_tvol": str(asked.mean_volume(quote, days or 20))}
        return _Line(quote, Decimal(quote.volume), extra)

    return _ranking(desk, call, rate)


def trade_value(desk: Desk, call: Call) -> Reply:
    """HHDFS76320010: the highest traded value of today within a price range."""
    days = _choice(call, "NDAY", _DAYS_BACK)

    def rate(asked: _Asked, _call: Call, quote: Quote) -> _Line:
        recent = asked.history(quote).recent[-(days or 20) :]
        amounts = sum((bar.close * bar.volume for bar in recent), Decimal(0))
        mean = amounts / len(recent) if recent else Decimal(0)
        return _Line(quote, quote.turnover, {"a_tamt": whole(mean)})

    return _ranking(desk, call, rate)


def trade_growth(desk: Desk, call: Call) -> Reply:
    """HHDFS76330000: volume of today against the mean of NDAY (the day before for 0)."""
    days = _choice(call, "NDAY", _DAYS_BACK)

    def rate(asked: _Asked, _call: Call, quote: Quote) -> _Line:
        usual = asked.mean_volume(quote, days)
        growth = against(Decimal(quote.volume), Decimal(usual))
        return _Line(quote, growth, {"n_tvol": str(usual), "n_rate": signed_rate(growth)})

    return _ranking(desk, call, rate)


def trade_turnover(desk: Desk, call: Call) -> Reply:
    """HHDFS76340000: turnover ratio, for which the number of listed shares is not known."""
    _choice(call, "NDAY", _DAYS_BACK)

    def rate(_asked: _Asked, _call: Call, quote: Quote) -> _Line:
        return _Line(quote, quote.turnover, {"n_tvol": "0", "shar": "0", "tover": "0.00"})

    return _ranking(desk, call, rate)


def market_cap(desk: Desk, call: Call) -> Reply:
    """HHDFS76350100: market capitalisation, for which the number of shares is not known."""

    def rate(_asked: _Asked, _call: Call, quote: Quote) -> _Line:
        return _Line(quote, quote.turnover, {"shar": "0", "tomv": "0", "grav": "0.00"})

    return _ranking(desk, call, rate)


def search(desk: Desk, call: Call) -> Reply:
    """HHDFS76410000: securities by price, change and volume (CO_YN_, CO_ST_ and CO_EN_ fields).

    Conditions on figures no venue knows (shares, value, EPS, PER) let everything through.
    """
    figures: dict[str, Callable[[Quote], Decimal]] = {
        "PRICECUR": lambda q: q.last,
        "RATE": lambda q: against(q.last, q.previous_close),
        "VOLUME": lambda q: Decimal(q.volume),
        "AMT": lambda q: q.turnover,
    }
    chosen = [
        (figure, _bound(call, f"CO_ST_{name}"), _bound(call, f"CO_EN_{name}"))
        for name, figure in figures.items()
        if call.text(f"CO_YN_{name}") == "1"
    ]

    def rate(asked: _Asked, _call: Call, quote: Quote) -> _Line | None:
        for figure, low, high in chosen:
            if not low <= figure(quote) <= high:
                return None
        extra = {
            "popen": asked.price(quote.open),
            "phigh": asked.price(quote.high),
            "plow": asked.price(quote.low),
            "avol": whole(quote.turnover),
            **dict.fromkeys(("valx", "shar", "eps", "per"), "0"),
        }
        return _Line(quote, quote.turnover, extra)

    return _ranking(desk, call, rate)


def _bound(call: Call, key: str) -> Decimal:
    text = call.text(key)
    value = Call("", "", {key: text.removeprefix("-")}).price(key)
    return -value if text.startswith("-") else value
