"""Records of the foreign price streams; prices carry their decimal point."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from trading_core.model.price import BookLevel
from trading_core.twin.stream.domestic import Record, View, sign_of
from trading_core.twin.stream.tally import Trade
from trading_core.twin.wire.codes import BY_MARKET, BY_QUOTE_CODE, ExchangeCode
from trading_core.twin.wire.envelope import KST, day_text, fixed, ratio_pct, time_text, whole

_NO_LEVEL = BookLevel(Decimal(0), 0)
_CODE_LENGTH = 3


def read_key(tr_key: str) -> tuple[ExchangeCode, str] | None:
    """Exchange and symbol of a real-time symbol such as ``DNASAAPL``; None for anything else.

    The first letter is D, or R for what is paid for; both give the same here.
    """
    if tr_key[:1] not in ("D", "R"):
        return None
    code, symbol = BY_QUOTE_CODE.get(tr_key[1 : 1 + _CODE_LENGTH]), tr_key[1 + _CODE_LENGTH :]
    return None if code is None or not symbol else (code, symbol)


def _times(at: datetime, code: ExchangeCode) -> Record:
    """The moment on the exchange's wall and on Seoul's."""
    return {
        "XYMD": day_text(at.astimezone(code.zone).date()),
        "XHMS": time_text(at, code.zone),
        "KYMD": day_text(at.astimezone(KST).date()),
        "KHMS": time_text(at),
    }


def trade_records(view: View, trades: Sequence[Trade], session: date) -> list[Record]:
    """HDFSCNT0, one record a trade; everything but the trade itself is as of now."""
    quote, book = view.quote, view.book
    code = BY_MARKET[quote.instrument.market]
    places = code.decimals
    ask = book.asks[0] if book.asks else _NO_LEVEL
    bid = book.bids[0] if book.bids else _NO_LEVEL
    static = {
        "SYMB": quote.instrument.symbol,
        "ZDIV": str(places),
        "TYMD": day_text(session),
        "PBID": fixed(bid.price, places),
        "PASK": fixed(ask.price, places),
        "VBID": str(bid.quantity),
        "VASK": str(ask.quantity),
        "MTYP": "1",
    }
    records = []
    for trade in trades:
        change = trade.price - quote.previous_close
        records.append(
            static
            | _times(trade.at, code)
            | {
                "OPEN": fixed(trade.open, places),
                "HIGH": fixed(trade.high, places),
                "LOW": fixed(trade.low, places),
                "LAST": fixed(trade.price, places),
                "SIGN": sign_of(quote, trade.price),
                "DIFF": fixed(abs(change), places),
                "RATE": fixed(ratio_pct(change, quote.previous_close), 2),
                "EVOL": str(trade.quantity),
                "TVOL": str(trade.volume),
                "TAMT": whole(trade.turnover),
                "BIVL": str(trade.sold_volume),
                "ASVL": str(trade.bought_volume),
                "STRN": fixed(trade.strength, 2),
            }
        )
    return records


def book_record(view: View, levels: int) -> Record:
    """HDFSASP0 (ten levels) and HDFSASP1 (one)."""
    quote, book = view.quote, view.book
    code = BY_MARKET[quote.instrument.market]
    places = code.decimals
    record = {
        "SYMB": quote.instrument.symbol,
        "ZDIV": str(places),
        **_times(book.at, code),
        "BVOL": str(sum(level.quantity for level in book.bids)),
        "AVOL": str(sum(level.quantity for level in book.asks)),
        "BDVL": "0",
        "ADVL": "0",
    }
    for n in range(levels):
        for side, rows in (("BID", book.bids), ("ASK", book.asks)):
            level = rows[n] if n < len(rows) else _NO_LEVEL
            record[f"P{side}{n + 1}"] = fixed(level.price, places)
            record[f"V{side}{n + 1}"] = str(level.quantity)
            record[f"D{side}{n + 1}"] = "0"
    return record
