"""News titles, made of the bars of the session before: the same market tells the same news."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal

from trading_core.errors import UnknownMarket
from trading_core.model.market import Instrument, MarketGroup
from trading_core.twin.venue import Venue
from trading_core.twin.wire.codes import BY_MARKET
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.envelope import KST, Call, Reply, against, day_text, quoted, time_text

DOMESTIC_ROWS = 40
OVERSEAS_ROWS = 10
# When the titles of a session are out, on the exchange's own wall clock.
_OUT_AT = time(16, 40)


@dataclass(frozen=True, slots=True)
class _Move:
    """How one instrument ended the session before; ``pct`` against the close before that."""

    instrument: Instrument
    pct: Decimal
    at: datetime

    @property
    def size(self) -> Decimal:
        return abs(self.pct)


def domestic_titles(desk: Desk, call: Call) -> Reply:
    """FHKST01011800: of one security, or the largest moves of all; newest first."""
    venue = desk.venue(MarketGroup.KR)
    moves = _moves(desk, venue, call.text("FID_INPUT_ISCD")) if venue else []
    return quoted(output=[_domestic_row(n, m) for n, m in enumerate(moves[:DOMESTIC_ROWS], 1)])


def _domestic_row(number: int, move: _Move) -> dict[str, str]:
    name = move.instrument.name or move.instrument.symbol
    end = "상승" if move.pct > 0 else "하락" if move.pct < 0 else "보합"
    return {
        "cntt_usiq_srno": f"{day_text(move.at.astimezone(KST).date())}{number:08}",
        "news_ofer_entp_code": "2",
        "data_dt": day_text(move.at.astimezone(KST).date()),
        "data_tm": time_text(move.at),
        "hts_pbnt_titl_cntt": f"{name}, 전 거래일 {move.size:.2f}% {end} 마감",
        "news_lrdv_code": "B",
        "dorg": "모의뉴스",
        "iscd1": move.instrument.symbol,
        **{f"iscd{n}": "" for n in range(2, 6)},
    }


def overseas_titles(desk: Desk, call: Call) -> Reply:
    """HHPSTH60100C1: as at home. A security is found with its country and its exchange alone."""
    try:
        group = MarketGroup.parse(call.text("NATION_CD"))
    except UnknownMarket:
        return quoted(outblock1=[])
    venue, symbol, exchange = desk.venue(group), call.text("SYMB"), call.text("EXCHANGE_CD")
    if venue is None or group is MarketGroup.KR or (symbol and not exchange):
        return quoted(outblock1=[])
    moves = [
        move
        for move in _moves(desk, venue, symbol)
        if exchange in ("", BY_MARKET[move.instrument.market].quote_code)
    ]
    rows = [_overseas_row(n, m, group) for n, m in enumerate(moves[:OVERSEAS_ROWS], 1)]
    return quoted(outblock1=rows)


def _overseas_row(number: int, move: _Move, group: MarketGroup) -> dict[str, str]:
    name = move.instrument.name or move.instrument.symbol
    end = "higher" if move.pct > 0 else "lower" if move.pct < 0 else "unchanged"
    day = day_text(move.at.astimezone(KST).date())
    return {
        "info_gb": "e",
        "news_key": f"{day}{number:06}",
        "data_dt": day,
        "data_tm": time_text(move.at),
        "class_cd": "01",
        "class_name": "Stocks",
        "source": "Twin News",
        "nation_cd": group.value,
        "exchange_cd": BY_MARKET[move.instrument.market].quote_code,
        "symb": move.instrument.symbol,
        "symb_name": name,
        "title": f"{name} closes {move.size:.2f} percent {end}",
    }


def _moves(desk: Desk, venue: Venue, symbol: str) -> list[_Move]:
    """The last closed session of one instrument, or of all, the largest move first."""
    one = venue.instrument(symbol) if symbol else None
    listed = [one] if one else [] if symbol else venue.instruments()
    found = [move for item in listed if (move := _move(desk, venue, item)) is not None]
    return sorted(found, key=lambda m: (-m.size, m.instrument.symbol))


def _move(desk: Desk, venue: Venue, item: Instrument) -> _Move | None:
    recent = desk.history(venue, item.symbol).recent
    if len(recent) < 2 or recent[-1].volume <= 0:
        return None
    zone = BY_MARKET[item.market].zone if item.market in BY_MARKET else KST
    out_at = datetime.combine(recent[-1].session, _OUT_AT, zone)
    if out_at > venue.now:
        return None
    return _Move(item, against(recent[-1].close, recent[-2].close), out_at)
