"""Quotes of several securities in one request."""

from __future__ import annotations

from decimal import Decimal

from trading_core.model.market import MarketGroup
from trading_core.model.price import OrderBook, Quote
from trading_core.twin.venue import TradingState
from trading_core.twin.wire.codes import BY_QUOTE_CODE
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.domestic_quotes import change_sign, short_code
from trading_core.twin.wire.envelope import (
    Call,
    Reply,
    fixed,
    input_error,
    quoted,
    ratio_pct,
    whole,
)
from trading_core.twin.wire.overseas_quotes import BLANK_DETAIL, detail_fields

MOST_DOMESTIC, MOST_OVERSEAS = 30, 10
HALTED = "거래정지"


def domestic_quotes(desk: Desk, call: Call) -> Reply:
    """FHKST11300006: up to 30 symbols; one that nobody lists is left out."""
    venue = desk.venue(MarketGroup.KR)
    rows = []
    for n in range(1, MOST_DOMESTIC + 1):
        symbol = short_code(call.text(f"FID_INPUT_ISCD_{n}"))
        if not symbol:
            continue
        if call.text(f"FID_COND_MRKT_DIV_CODE_{n}").upper() not in ("J", "NX", "UN"):
            raise input_error("ERROR INVALID_CHECK_MRKT_DIV_CODE")
        quote = venue.quote(symbol) if venue is not None else None
        if venue is not None and quote is not None:
            state, book = venue.trading_state(symbol), venue.order_book(symbol)
            rows.append(_domestic_row(quote, state, book))
    return quoted(output=rows)


def _domestic_row(
    quote: Quote, state: TradingState | None, book: OrderBook | None
) -> dict[str, str]:
    base = quote.previous_close
    change = quote.last - base if quote.last > 0 else Decimal(0)
    expected = state.expected_price if state is not None else None
    gap = expected - base if expected is not None else Decimal(0)
    asks, bids = (book.asks, book.bids) if book is not None else ((), ())
    halted = quote.halted or (state is not None and state.halted)
    return {
        "kospi_kosdaq_cls_name": "KOSPI",
        "mrkt_trtm_cls_name": HALTED if halted else "",
        "hour_cls_code": "0",
        "inter_shrn_iscd": quote.instrument.symbol,
        "inter_kor_isnm": quote.instrument.name or quote.instrument.symbol,
        "inter2_prpr": whole(quote.last),
        "inter2_prdy_vrss": whole(change),
        "prdy_vrss_sign": change_sign(quote),
        "prdy_ctrt": fixed(ratio_pct(change, base), 2),
        "acml_vol": str(quote.volume),
        "inter2_oprc": whole(quote.open),
        "inter2_hgpr": whole(quote.high),
        "inter2_lwpr": whole(quote.low),
        "inter2_llam": whole(quote.lower_limit or 0),
        "inter2_mxpr": whole(quote.upper_limit or 0),
        "inter2_askp": whole(asks[0].price if asks else 0),
        "inter2_bidp": whole(bids[0].price if bids else 0),
        "seln_rsqn": str(asks[0].quantity if asks else 0),
        "shnu_rsqn": str(bids[0].quantity if bids else 0),
        "total_askp_rsqn": str(sum(level.quantity for level in asks)),
        "total_bidp_rsqn": str(sum(level.quantity for level in bids)),
        "acml_tr_pbmn": whole(quote.turnover),
        "inter2_prdy_clpr": whole(base),
        "oprc_vrss_hgpr_rate": fixed(ratio_pct(quote.high - quote.open, quote.open), 2),
        "intr_antc_cntg_vrss": whole(gap),
        "intr_antc_cntg_vrss_sign": "3" if not gap else "2" if gap > 0 else "5",
        "intr_antc_cntg_prdy_ctrt": fixed(ratio_pct(gap, base), 2),
        "intr_antc_vol": str(state.expected_quantity if state is not None else 0),
        "inter2_sdpr": whole(base),
    }


def overseas_quotes(desk: Desk, call: Call) -> Reply:
    """HHDFS76220000: up to ten securities, all twenty keys named; an unknown one has blanks."""
    count = call.integer("NREC")
    if not 1 <= count <= MOST_OVERSEAS:
        raise input_error("ERROR INVALID_CHECK_NREC")
    rows = []
    for n in range(1, count + 1):
        exchange, symbol = call.text(f"EXCD_{n:02}").upper(), call.text(f"SYMB_{n:02}").upper()
        if not symbol:
            continue
        code = BY_QUOTE_CODE.get(exchange)
        if code is None:
            raise input_error("ERROR INVALID_CHECK_EXCD")
        names = {"excd": exchange, "symb": symbol}
        venue = desk.venue(code.market.group)
        quote = venue.quote(symbol) if venue is not None else None
        if venue is None or quote is None or quote.instrument.market is not code.market:
            rows.append(names | BLANK_DETAIL)
        else:
            rows.append(names | detail_fields(desk, venue, quote, code))
    return quoted(output1={"nrec": str(len(rows))}, output2=rows)
