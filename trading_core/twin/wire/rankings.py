"""Domestic and foreign rankings: movers of the day and the most traded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from trading_core.model.market import Market, MarketGroup
from trading_core.model.price import Quote, Ranking
from trading_core.twin.venue import Venue
from trading_core.twin.wire.codes import ExchangeCode
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.domestic_quotes import change_fields
from trading_core.twin.wire.envelope import (
    Call,
    Reply,
    day_text,
    fixed,
    input_error,
    quoted,
    ratio_pct,
    time_text,
    whole,
)
from trading_core.twin.wire.overseas_quotes import exchange_of, rsym, signed_rate

DOMESTIC_ROWS = 30
OVERSEAS_ROWS = 100
# Least volume of the day for each value of VOL_RANG.
_LEAST_VOLUME = (0, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)


def _ranked(
    venue: Venue, ranking: Ranking, market: Market, *, descending: bool = True
) -> Iterable[Quote]:
    """Quotes in the order of the ranking; what has no price is left out."""
    for row in venue.ranking(ranking, market, descending=descending):
        quote = venue.quote(row.instrument.symbol)
        if quote is not None and quote.last > 0:
            yield quote


def _against(last: Decimal, base: Decimal) -> Decimal:
    return ratio_pct(last - base, base) if base > 0 else Decimal(0)


def volume_rank(desk: Desk, call: Call) -> Reply:
    """FHPST01710000: by volume (0), its growth (1) or traded value (3), at most 30.

    Turnover ratios (2, 4) need the number of listed shares, which a venue does not know; they
    are ranked by volume.
    """
    _check_screen(call, "20171")
    venue = desk.venue(MarketGroup.KR)
    if venue is None:
        return quoted(output=[])
    quotes = _filtered(call, _ranked(venue, Ranking.VOLUME, Market.KR))
    histories = {q.instrument.symbol: desk.history(venue, q.instrument.symbol) for q in quotes}
    by = call.text("FID_BLNG_CLS_CODE")
    if by == "3":
        quotes.sort(key=lambda q: q.turnover, reverse=True)
    elif by == "1":
        quotes.sort(
            key=lambda q: q.volume / max(1, histories[q.instrument.symbol].previous_volume),
            reverse=True,
        )
    rows = []
    for rank, quote in enumerate(quotes[:DOMESTIC_ROWS], 1):
        history = histories[quote.instrument.symbol]
        before = Decimal(history.previous_volume)
        base = history.previous.close if history.previous else Decimal(0)
        rows.append(
            {
                "hts_kor_isnm": quote.instrument.name or quote.instrument.symbol,
                "mksc_shrn_iscd": quote.instrument.symbol,
                "data_rank": str(rank),
                "stck_prpr": whole(quote.last),
                **change_fields(quote),
                "acml_vol": str(quote.volume),
                "prdy_vol": str(history.previous_volume),
                "lstn_stcn": "0",
                "avrg_vol": str(history.average_volume),
                "n_befr_clpr_vrss_prpr_rate": fixed(_against(quote.last, base), 2),
                "vol_inrt": fixed(ratio_pct(quote.volume - before, before), 2),
                "vol_tnrt": "0.00",
                "nday_vol_tnrt": "0.00",
                "avrg_tr_pbmn": whole(quote.last * history.average_volume),
                "tr_pbmn_tnrt": "0.00",
                "nday_tr_pbmn_tnrt": "0.00",
                "acml_tr_pbmn": whole(quote.turnover),
            }
        )
    return quoted(output=rows)


def fluctuation(desk: Desk, call: Call) -> Reply:
    """FHPST01700000: by change up (0) or down (1), against the open (2, 3), or by range (4)."""
    _check_screen(call, "20170")
    venue = desk.venue(MarketGroup.KR)
    if venue is None:
        return quoted(output=[])
    sort = call.text("FID_RANK_SORT_CLS_CODE") or "0"
    up = _ranked(venue, Ranking.FLUCTUATION, Market.KR, descending=sort != "1")
    quotes = [q for q in _filtered(call, up) if _in_rate(call, q)]
    keys: dict[str, Callable[[Quote], Decimal]] = {
        "2": lambda q: _against(q.last, q.open),
        "3": lambda q: -_against(q.last, q.open),
        "4": lambda q: ratio_pct(q.high - q.low, q.previous_close),
    }
    if sort in keys:
        quotes.sort(key=keys[sort], reverse=True)
    rows = [_fluctuation_row(rank, q) for rank, q in enumerate(quotes[:DOMESTIC_ROWS], 1)]
    return quoted(output=rows)


def _fluctuation_row(rank: int, quote: Quote) -> dict[str, str]:
    day, at = day_text(quote.at.date()), time_text(quote.at)
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
        "lwpr_vrss_prpr_rate": fixed(_against(quote.last, quote.low), 2),
        "dsgt_date_clpr_vrss_prpr_rate": fixed(_against(quote.last, quote.previous_close), 2),
        "cnnt_ascn_dynu": "0",
        "hgpr_vrss_prpr_rate": fixed(_against(quote.last, quote.high), 2),
        "cnnt_down_dynu": "0",
        "oprc_vrss_prpr_sign": "3" if not from_open else "2" if from_open > 0 else "5",
        "oprc_vrss_prpr": whole(from_open),
        "oprc_vrss_prpr_rate": fixed(_against(quote.last, quote.open), 2),
        "prd_rsfl": whole(quote.last - quote.previous_close),
        "prd_rsfl_rate": fixed(_against(quote.last, quote.previous_close), 2),
    }


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
        if quote.last >= low and (not high or quote.last <= high) and quote.volume >= least
    ]


def _in_rate(call: Call, quote: Quote) -> bool:
    bounds = []
    for key in ("FID_RSFL_RATE1", "FID_RSFL_RATE2"):
        text = call.text(key)
        try:
            bounds.append(float(text) if text else None)
        except ValueError:
            raise input_error(f"ERROR INVALID_CHECK_{key[4:]}") from None
    low, high = bounds
    change = float(_against(quote.last, quote.previous_close))
    return (low is None or change >= low) and (high is None or change <= high)


def updown_rate(desk: Desk, call: Call) -> Reply:
    """HHDFS76290000: gainers (GUBN 1) or losers (0) of today, at most 100."""
    code = exchange_of(call)
    gainers = call.text("GUBN") != "0"

    def extra(quote: Quote, _average: int) -> dict[str, str]:
        change = quote.last - quote.previous_close
        return {
            "n_base": fixed(quote.previous_close, code.decimals),
            "n_diff": fixed(abs(change), code.decimals),
            "n_rate": signed_rate(_against(quote.last, quote.previous_close)),
        }

    return _overseas(desk, call, code, Ranking.FLUCTUATION, descending=gainers, extra=extra)


def trade_volume(desk: Desk, call: Call) -> Reply:
    """HHDFS76310010: the most traded of today within a price range, at most 100."""
    code = exchange_of(call)
    return _overseas(
        desk,
        call,
        code,
        Ranking.VOLUME,
        descending=True,
        extra=lambda _quote, average: {"a_tvol": str(average)},
    )


def _overseas(
    desk: Desk,
    call: Call,
    code: ExchangeCode,
    ranking: Ranking,
    *,
    descending: bool,
    extra: Callable[[Quote, int], dict[str, str]],
) -> Reply:
    venue = desk.venue(code.market.group)
    low, high = call.price("PRC1"), call.price("PRC2")
    step = call.integer("VOL_RANG")
    least = _LEAST_VOLUME[min(step, len(_LEAST_VOLUME) - 1)]
    ranked = _ranked(venue, ranking, code.market, descending=descending) if venue else ()
    quotes = [
        quote
        for quote in ranked
        if quote.volume >= least and quote.last >= low and (not high or quote.last <= high)
    ]
    rows = []
    for rank, quote in enumerate(quotes[:OVERSEAS_ROWS], 1):
        symbol = quote.instrument.symbol
        average = desk.history(venue, symbol).average_volume if venue else 0
        rows.append(_overseas_row(rank, quote, code) | extra(quote, average))
    head = {
        "zdiv": str(code.decimals),
        "stat": "정상",
        "crec": str(len(rows)),
        "trec": str(len(quotes)),
        "nrec": str(len(rows)),
    }
    return quoted(output1=head, output2=rows)


def _overseas_row(rank: int, quote: Quote, code: ExchangeCode) -> dict[str, str]:
    change = quote.last - quote.previous_close
    symbol, places = quote.instrument.symbol, code.decimals
    name = quote.instrument.name or symbol
    return {
        "rsym": rsym(code, symbol),
        "excd": code.quote_code,
        "symb": symbol,
        "name": name,
        "last": fixed(quote.last, places),
        "sign": "3" if not change else "2" if change > 0 else "5",
        "diff": fixed(abs(change), places),
        "rate": signed_rate(_against(quote.last, quote.previous_close)),
        "tvol": str(quote.volume),
        "pask": fixed(quote.last, places),
        "pbid": fixed(quote.last, places),
        "tamt": whole(quote.turnover),
        "rank": str(rank),
        "ename": name,
        "e_ordyn": "×" if quote.halted else "○",
    }
