"""Domestic rankings: movers of the day, the most traded and the largest, at most 30 rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.price import Quote, Ranking
from trading_core.twin.venue import Venue
from trading_core.twin.wire.desk import Desk, History
from trading_core.twin.wire.domestic_quotes import change_fields
from trading_core.twin.wire.envelope import (
    KST,
    Call,
    Reply,
    against,
    day_text,
    fixed,
    input_error,
    quoted,
    ratio_pct,
    time_text,
    whole,
)

DOMESTIC_ROWS = 30
# Places in FID_TRGT_EXLS_CLS_CODE of what a venue can tell. The others (warnings, managed issues,
# credit) describe nothing that is listed here.
_WITHOUT_PREFERRED, _WITHOUT_HALTED, _WITHOUT_ETF, _WITHOUT_ETN, _WITHOUT_SPAC = 4, 5, 6, 7, 9


def volume_rank(desk: Desk, call: Call) -> Reply:
    """FHPST01710000: by volume (0), its growth (1) or traded value (3).

    Turnover ratios (2, 4) need the number of listed shares, which a venue does not know; they
    are ranked by volume.
    """
    _check_screen(call, "20171")
    venue = desk.venue(MarketGroup.KR)
    if venue is None:
        return quoted(output=[])
    quotes = _filtered(call, _ranked(venue, Ranking.VOLUME))
    histories = {q.instrument.symbol: desk.history(venue, q.instrument.symbol) for q in quotes}
    by = call.text("FID_BLNG_CLS_CODE")
    if by == "3":
        quotes.sort(key=lambda q: q.turnover, reverse=True)
    elif by == "1":
        quotes.sort(
            key=lambda q: q.volume / max(1, histories[q.instrument.symbol].previous_volume),
            reverse=True,
        )
    shown = enumerate(quotes[:DOMESTIC_ROWS], 1)
    return quoted(output=[_volume_row(n, q, histories[q.instrument.symbol]) for n, q in shown])


def _volume_row(rank: int, quote: Quote, history: History) -> dict[str, str]:
    before = Decimal(history.previous_volume)
    base = history.previous.close if history.previous else Decimal(0)
    return {
        "hts_kor_isnm": quote.instrument.name or quote.instrument.symbol,
        "mksc_shrn_iscd": quote.instrument.symbol,
        "data_rank": str(rank),
        "stck_prpr": whole(quote.last),
        **change_fields(quote),
        "acml_vol": str(quote.volume),
        "prdy_vol": str(history.previous_volume),
        "lstn_stcn": "0",
        "avrg_vol": str(history.average_volume),
        "n_befr_clpr_vrss_prpr_rate": fixed(against(quote.last, base), 2),
        "vol_inrt": fixed(ratio_pct(quote.volume - before, before), 2),
        "vol_tnrt": "0.00",
        "nday_vol_tnrt": "0.00",
        "avrg_tr_pbmn": whole(quote.last * history.average_volume),
        "tr_pbmn_tnrt": "0.00",
        "nday_tr_pbmn_tnrt": "0.00",
        "acml_tr_pbmn": whole(quote.turnover),
    }


def fluctuation(desk: Desk, call: Call) -> Reply:
    """FHPST01700000: by change up (0) or down (1), against the open (2, 3), or by range (4).

    FID_INPUT_CNT_1 counts sessions back for the base of the change, 0 for yesterday's close.
    """
    _check_screen(call, "20170")
    venue = desk.venue(MarketGroup.KR)
    if venue is None:
        return quoted(output=[])
    sort = call.text("FID_RANK_SORT_CLS_CODE") or "0"
    days = call.integer("FID_INPUT_CNT_1")

    def base(quote: Quote) -> Decimal:
        recent = desk.history(venue, quote.instrument.symbol).recent if days else ()
        return recent[max(0, len(recent) - days)].close if recent else quote.previous_close

    up = _ranked(venue, Ranking.FLUCTUATION, descending=sort != "1")
    rows = [(q, base(q)) for q in _filtered(call, up)]
    rows = [pair for pair in rows if _in_rate(call, *pair)]
    keys: dict[str, Callable[[tuple[Quote, Decimal]], Decimal]] = {
        "2": lambda pair: against(pair[0].last, pair[0].open),
        "3": lambda pair: -against(pair[0].last, pair[0].open),
        "4": lambda pair: ratio_pct(pair[0].high - pair[0].low, pair[0].previous_close),
    }
    if days:
        sign = -1 if sort == "1" else 1
        keys |= dict.fromkeys(("0", "1"), lambda pair: sign * against(*_last_and_base(pair)))
    if sort in keys:
        rows.sort(key=keys[sort], reverse=True)
    shown = enumerate(rows[:DOMESTIC_ROWS], 1)
    return quoted(output=[_fluctuation_row(n, q, since) for n, (q, since) in shown])


def _last_and_base(pair: tuple[Quote, Decimal]) -> tuple[Decimal, Decimal]:
    return pair[0].last, pair[1]


def _fluctuation_row(rank: int, quote: Quote, base: Decimal) -> dict[str, str]:
    day, at = day_text(quote.at.astimezone(KST).date()), time_text(quote.at)
    from_open = quote.last - quote.open if quote.open > 0 else Decimal(0)
    return {
        "stck_shrn_iscd": quote.instrument.symbol,
        "data_rank": str(rank),
        "hts_kor_isnm": quote.instrument.name or quote.instrument.symbol,
        "stck_prpr": whole(quote.last),
        **change_fields(quote),
        "acml_vol": str(quote.volume),
        "stck_hgpr": whole(quote.high),
        "hgpr_hour": at,
        "acml_hgpr_date": day,
        "stck_lwpr": whole(quote.low),
        "lwpr_hour": at,
        "acml_lwpr_date": day,
        "lwpr_vrss_prpr_rate": fixed(against(quote.last, quote.low), 2),
        "dsgt_date_clpr_vrss_prpr_rate": fixed(against(quote.last, base), 2),
        "cnnt_ascn_dynu": "0",
        "hgpr_vrss_prpr_rate": fixed(against(quote.last, quote.high), 2),
        "cnnt_down_dynu": "0",
        "oprc_vrss_prpr_sign": "3" if not from_open else "2" if from_open > 0 else "5",
        "oprc_vrss_prpr": whole(from_open),
        "oprc_vrss_prpr_rate": fixed(against(quote.last, quote.open), 2),
        "prd_rsfl": whole(quote.last - base),
        "prd_rsfl_rate": fixed(against(quote.last, base), 2),
    }


def market_cap(desk: Desk, call: Call) -> Reply:
    """FHPST01740000: market capitalisation. A venue does not know the number of listed shares:
    the value is 0 and the order that of the traded value."""
    _check_screen(call, "20174")
    venue = desk.venue(MarketGroup.KR)
    quotes = _filtered(call, _ranked(venue, Ranking.VOLUME)) if venue is not None else []
    quotes.sort(key=lambda quote: quote.turnover, reverse=True)
    rows = [
        {
            "mksc_shrn_iscd": quote.instrument.symbol,
            "data_rank": str(rank),
            "hts_kor_isnm": quote.instrument.name or quote.instrument.symbol,
            "stck_prpr": whole(quote.last),
            **change_fields(quote),
            "acml_vol": str(quote.volume),
            "lstn_stcn": "0",
            "stck_avls": "0",
            "mrkt_whol_avls_rlim": "0.00",
        }
        for rank, quote in enumerate(quotes[:DOMESTIC_ROWS], 1)
    ]
    return quoted(output=rows)


def _ranked(venue: Venue, ranking: Ranking, *, descending: bool = True) -> Iterable[Quote]:
    """Quotes in the order of the ranking; what has no price is left out."""
    for row in venue.ranking(ranking, Market.KR, descending=descending):
        quote = venue.quote(row.instrument.symbol)
        if quote is not None and quote.last > 0:
            yield quote


def _check_screen(call: Call, screen: str) -> None:
    if call.text("FID_COND_SCR_DIV_CODE") != screen:
        raise input_error("ERROR INVALID_CHECK_SCR_DIV_CODE")
    if call.text("FID_COND_MRKT_DIV_CODE").upper() not in ("J", "NX", "UN"):
        raise input_error("ERROR INVALID_CHECK_MRKT_DIV_CODE")


def _filtered(call: Call, quotes: Iterable[Quote]) -> list[Quote]:
    low, high = call.price("FID_INPUT_PRICE_1"), call.price("FID_INPUT_PRICE_2")
    least = call.integer("FID_VOL_CNT")
    return [
        quote
        for quote in quotes
        if quote.last >= low
        and (not high or quote.last <= high)
        and quote.volume >= least
        and _of_class(call, quote.instrument)
        and not _excluded(call, quote)
    ]


def is_preferred(instrument: Instrument) -> bool:
    """Preferred shares have codes that do not end in 0."""
    return not instrument.is_fund and not instrument.symbol.endswith("0")


def _of_class(call: Call, instrument: Instrument) -> bool:
    """FID_DIV_CLS_CODE: common (1) or preferred (2) shares only."""
    wanted = call.text("FID_DIV_CLS_CODE")
    if wanted == "1":
        return not is_preferred(instrument)
    return wanted != "2" or is_preferred(instrument)


def _excluded(call: Call, quote: Quote) -> bool:
    """FID_TRGT_EXLS_CLS_CODE: ten flags, each leaving out one kind of security."""
    flags = call.text("FID_TRGT_EXLS_CLS_CODE")
    instrument = quote.instrument
    note = instrument.is_fund and instrument.symbol.startswith("Q")
    kinds = {
        _WITHOUT_PREFERRED: is_preferred(instrument),
        _WITHOUT_HALTED: quote.halted,
        _WITHOUT_ETF: instrument.is_fund and not note,
        _WITHOUT_ETN: note,
        _WITHOUT_SPAC: "스팩" in instrument.name,
    }
    return any(true and flags[place : place + 1] == "1" for place, true in kinds.items())


def _in_rate(call: Call, quote: Quote, base: Decimal) -> bool:
    bounds = []
    for key in ("FID_RSFL_RATE1", "FID_RSFL_RATE2"):
        text = call.text(key)
        try:
            bounds.append(float(text) if text else None)
        except ValueError:
            raise input_error(f"ERROR INVALID_CHECK_{key[4:]}") from None
    low, high = bounds
    change = float(against(quote.last, base))
    return (low is None or change >= low) and (high is None or change <= high)
