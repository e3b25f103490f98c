"""Records of the domestic price streams: trades, order books, expected prices, market states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from trading_core.model.price import BookLevel, OrderBook, Quote
from trading_core.rules.calendar import Phase
from trading_core.twin.stream.tally import Trade
from trading_core.twin.venue import TradingState
from trading_core.twin.wire.domestic_quotes import LEVELS
from trading_core.twin.wire.envelope import (
    KST,
    alike,
    day_text,
    fixed,
    ratio_pct,
    time_text,
    whole,
)

Record = dict[str, str]
ZERO = Decimal(0)
_HOUR_CLASS = {Phase.OPENING_AUCTION: "B", Phase.CLOSING_AUCTION: "A"}
_MARKET_CLASS = {
    Phase.CLOSED: "1",
    Phase.PRE_OPEN: "1",
    Phase.OPENING_AUCTION: "1",
    Phase.CLOSING_AUCTION: "5",
    Phase.AFTER_CLOSE: "3",
}
_OPERATION = {
    Phase.OPENING_AUCTION: "110",
    Phase.CONTINUOUS: "112",
    Phase.CLOSING_AUCTION: "121",
    Phase.AFTER_CLOSE: "129",
}
_NO_EXTRAS = alike(
    "OVTM_TOTAL_ASKP_RSQN OVTM_TOTAL_BIDP_RSQN OVTM_TOTAL_ASKP_ICDC OVTM_TOTAL_BIDP_ICDC "
    "STCK_DEAL_CLS_CODE MIDP_TOTAL_RSQN MIDP_CLS_CODE KMID_TOTAL_RSQN KMID_CLS_CODE "
    "NMID_TOTAL_RSQN NMID_CLS_CODE",
    "0",
)


@dataclass(frozen=True, slots=True)
class View:
    """One symbol at one moment."""

    quote: Quote
    state: TradingState
    book: OrderBook
    previous_volume: int

    @property
    def hour_class(self) -> str:
        """0 in the session; B, A and C in the auctions of open, close and interruption."""
        if self.state.interrupted:
            return "C"
        return _HOUR_CLASS.get(self.state.phase, "0")


def sign_of(quote: Quote, price: Decimal) -> str:
    """1 upper limit, 2 up, 3 flat, 4 lower limit, 5 down, against the previous close."""
    if price <= 0 or price == quote.previous_close:
        return "3"
    if price > quote.previous_close:
        return "1" if price == quote.upper_limit else "2"
    return "4" if price == quote.lower_limit else "5"


def _against(price: Decimal, other: Decimal) -> tuple[str, str]:
    """Sign and difference of ``price`` seen from ``other``."""
    difference = price - other
    return "3" if not difference else "2" if difference > 0 else "5", whole(difference)


def trade_records(view: View, trades: Sequence[Trade]) -> list[Record]:
    """H0STCNT0, one record a trade; everything but the trade itself is as of now."""
    static = _surroundings(view)
    return [static | _trade(view, trade) for trade in trades]


def _surroundings(view: View) -> Record:
    quote, book, state = view.quote, view.book, view.state
    ask = book.asks[0] if book.asks else BookLevel(ZERO, 0)
    bid = book.bids[0] if book.bids else BookLevel(ZERO, 0)
    return {
        "MKSC_SHRN_ISCD": quote.instrument.symbol,
        "ASKP1": whole(ask.price),
        "BIDP1": whole(bid.price),
        "NEW_MKOP_CLS_CODE": "20",
        "TRHT_YN": "Y" if quote.halted else "N",
        "ASKP_RSQN1": str(ask.quantity),
        "BIDP_RSQN1": str(bid.quantity),
        "TOTAL_ASKP_RSQN": str(_total(book.asks)),
        "TOTAL_BIDP_RSQN": str(_total(book.bids)),
        "VOL_TNRT": "0.00",
        "PRDY_SMNS_HOUR_ACML_VOL": "0",
        "PRDY_SMNS_HOUR_ACML_VOL_RATE": "0.00",
        "HOUR_CLS_CODE": "0",
        "MRKT_TRTM_CLS_CODE": "",
        "VI_STND_PRC": whole(state.reference_price or quote.previous_close),
        "MARKET_CLS_CODE": "2",
    }


def _trade(view: View, trade: Trade) -> Record:
    quote, price = view.quote, trade.price
    change = price - quote.previous_close
    open_sign, from_open = _against(price, trade.open)
    high_sign, from_high = _against(price, trade.high)
    low_sign, from_low = _against(price, trade.low)
    growth = ratio_pct(Decimal(trade.volume), Decimal(view.previous_volume))
    return {
        "STCK_CNTG_HOUR": time_text(trade.at),
        "BSOP_DATE": day_text(trade.at.astimezone(KST).date()),
        "STCK_PRPR": whole(price),
        "PRDY_VRSS_SIGN": sign_of(quote, price),
        "PRDY_VRSS": whole(change),
        "PRDY_CTRT": fixed(ratio_pct(change, quote.previous_close), 2),
        "WGHN_AVRG_STCK_PRC": fixed(trade.turnover / trade.volume if trade.volume else ZERO, 2),
        "STCK_OPRC": whole(trade.open),
        "STCK_HGPR": whole(trade.high),
        "STCK_LWPR": whole(trade.low),
        "CNTG_VOL": str(trade.quantity),
        "ACML_VOL": str(trade.volume),
        "ACML_TR_PBMN": whole(trade.turnover),
        "SELN_CNTG_CSNU": str(trade.sells),
        "SHNU_CNTG_CSNU": str(trade.buys),
        "NTBY_CNTG_CSNU": str(trade.buys - trade.sells),
        "CTTR": fixed(trade.strength, 2),
        "SELN_CNTG_SMTN": str(trade.sold_volume),
        "SHNU_CNTG_SMTN": str(trade.bought_volume),
        "CCLD_DVSN": "1" if trade.bought else "5",
        "SHNU_RATE": fixed(trade.bought_pct, 2),
        "PRDY_VOL_VRSS_ACML_VOL_RATE": fixed(growth, 2),
        "OPRC_HOUR": time_text(trade.opened_at),
        "OPRC_VRSS_PRPR_SIGN": open_sign,
        "OPRC_VRSS_PRPR": from_open,
        "HGPR_HOUR": time_text(trade.high_at),
        "HGPR_VRSS_PRPR_SIGN": high_sign,
        "HGPR_VRSS_PRPR": from_high,
        "LWPR_HOUR": time_text(trade.low_at),
        "LWPR_VRSS_PRPR_SIGN": low_sign,
        "LWPR_VRSS_PRPR": from_low,
    }


def expected_record(view: View, last: Trade | None) -> Record | None:
    """H0STANC0: what the auction would make now; None outside of one."""
    price = view.state.expected_price
    if price is None:
        return None
    now = view.quote.at
    day = last or Trade(
        now, price, 0, True, ZERO, ZERO, ZERO, now, now, now, 0, ZERO, 0, 0, 0, 0
    )  # fmt: skip
    change = price - view.quote.previous_close
    return (
        _surroundings(view)
        | _trade(view, day)
        | {
            "STCK_CNTG_HOUR": time_text(now),
            "STCK_PRPR": whole(price),
            "PRDY_VRSS_SIGN": sign_of(view.quote, price),
            "PRDY_VRSS": whole(change),
            "PRDY_CTRT": fixed(ratio_pct(change, view.quote.previous_close), 2),
            "CNTG_VOL": str(view.state.expected_quantity),
            "NEW_MKOP_CLS_CODE": "10" if view.state.phase is Phase.OPENING_AUCTION else "20",
            "HOUR_CLS_CODE": view.hour_class,
        }
    )


def book_record(view: View, before: OrderBook | None) -> Record:
    """H0STASP0 and its kin; changes of the totals are against the book told ``before``."""
    quote, book, state = view.quote, view.book, view.state
    levels: Record = {}
    for side, rows in (("ASKP", book.asks), ("BIDP", book.bids)):
        for n in range(LEVELS):
            level = rows[n] if n < len(rows) else None
            levels[f"{side}{n + 1}"] = whole(level.price) if level else "0"
            levels[f"{side}_RSQN{n + 1}"] = str(level.quantity) if level else "0"
    asks, bids = _total(book.asks), _total(book.bids)
    expected = state.expected_price or ZERO
    change = expected - quote.previous_close if expected else ZERO
    middle = (book.asks[0].price + book.bids[0].price) / 2 if book.asks and book.bids else ZERO
    return {
        **_NO_EXTRAS,
        **levels,
        "MKSC_SHRN_ISCD": quote.instrument.symbol,
        "BSOP_HOUR": time_text(book.at),
        "HOUR_CLS_CODE": view.hour_class,
        "TOTAL_ASKP_RSQN": str(asks),
        "TOTAL_BIDP_RSQN": str(bids),
        "ANTC_CNPR": whole(expected),
        "ANTC_CNQN": str(state.expected_quantity),
        "ANTC_VOL": str(state.expected_quantity),
        "ANTC_CNTG_VRSS": whole(change),
        "ANTC_CNTG_VRSS_SIGN": sign_of(quote, expected),
        "ANTC_CNTG_PRDY_CTRT": fixed(ratio_pct(change, quote.previous_close), 2),
        "ACML_VOL": str(quote.volume),
        "TOTAL_ASKP_RSQN_ICDC": str(asks - _total(before.asks) if before else 0),
        "TOTAL_BIDP_RSQN_ICDC": str(bids - _total(before.bids) if before else 0),
        "MID_PRC": fixed(middle, 2),
        "KMID_PRC": fixed(middle, 2),
        "NMID_PRC": fixed(middle, 2),
        "ANTC_EXCH_CLS_CODE": "1",
        "MARKET_CLS_CODE": _MARKET_CLASS.get(state.phase, "2"),
    }


def state_record(view: View) -> Record:
    """H0STMKO0: whether the symbol trades, and in which phase."""
    state = view.state
    auction = view.hour_class != "0"
    return {
        "MKSC_SHRN_ISCD": view.quote.instrument.symbol,
        "TRHT_YN": "Y" if state.halted else "N",
        "TR_SUSP_REAS_CNTT": "",
        "MKOP_CLS_CODE": _OPERATION.get(state.phase, ""),
        "ANTC_MKOP_CLS_CODE": "311" if auction else "",
        "MRKT_TRTM_CLS_CODE": "",
        "DIVI_APP_CLS_CODE": "",
        "ISCD_STAT_CLS_CODE": "58" if state.halted else "55",
        "VI_CLS_CODE": "Y" if state.interrupted else "N",
        "OVTM_VI_CLS_CODE": "N",
        "EXCH_CLS_CODE": "1",
    }


def _total(levels: Sequence[BookLevel]) -> int:
    return sum(level.quantity for level in levels)
