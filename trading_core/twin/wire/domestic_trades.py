"""Domestic trades of the day and volatility interruptions, in won."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from trading_core.model.market import MarketGroup
from trading_core.model.price import MinuteBar, Quote
from trading_core.twin.venue import TradingState, Venue
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.domestic_quotes import found, short_code, signed_change
from trading_core.twin.wire.envelope import (
    KST,
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

TRADE_ROWS = 30
DAY = timedelta(days=1)
_INTERRUPTION_MINUTES = timedelta(minutes=2)


def todays_bars(venue: Venue, symbol: str) -> list[MinuteBar]:
    """The bars of the session that are over, oldest first."""
    return venue.bars_between(symbol, after=venue.now - DAY, until=venue.now)


def strengths(bars: Sequence[MinuteBar], start: Decimal) -> list[Decimal]:
    """After each bar: volume of rising bars over that of falling ones, in percent.

    The volume of a bar that closes where the one before did is shared by both. 100 before
    anything fell, because there is nothing to compare with.
    """
    bought = sold = Decimal(0)
    previous = start
    found_ones = []
    for bar in bars:
        half = Decimal(bar.volume) / 2
        bought += half if bar.close == previous else bar.volume if bar.close > previous else 0
        sold += half if bar.close == previous else bar.volume if bar.close < previous else 0
        previous = bar.close
        found_ones.append(ratio_pct(bought, sold) if sold else Decimal(100))
    return found_ones


def inquire_trades(desk: Desk, call: Call) -> Reply:
    """FHKST01010300: the last trades, newest first, at most 30.

    The exchange's record is one of minutes, so every row is the trading of one minute.
    """
    hit = found(desk, call)
    if hit is None:
        return quoted(output=[])
    venue, quote = hit
    bars = todays_bars(venue, quote.instrument.symbol)
    power = strengths(bars, quote.previous_close)
    traded = [(bar, share) for bar, share in zip(bars, power, strict=True) if bar.volume > 0]
    rows = [_trade_row(quote, bar, share) for bar, share in reversed(traded[-TRADE_ROWS:])]
    return quoted(output=rows)


def _trade_row(quote: Quote, bar: MinuteBar, strength: Decimal) -> dict[str, str]:
    return {
        "stck_cntg_hour": time_text(bar.start_at + timedelta(seconds=59)),
        "stck_prpr": whole(bar.close),
        **signed_change(bar.close, quote),
        "cntg_vol": str(bar.volume),
        "tday_rltv": fixed(strength, 2),
    }


def inquire_interruptions(desk: Desk, call: Call) -> Reply:
    """FHPST01390000: securities in a volatility interruption now.

    The exchange knows no past interruptions, and its own are all static ones.
    """
    if call.text("FID_COND_SCR_DIV_CODE") != "20139":
        raise input_error("ERROR INVALID_CHECK_SCR_DIV_CODE")
    venue = desk.venue(MarketGroup.KR)
    if venue is None or call.text("FID_RANK_SORT_CLS_CODE") == "2":
        return quoted(output=[])
    day = call.text("FID_INPUT_DATE_1")
    wanted = short_code(call.text("FID_INPUT_ISCD"))
    rising = {"1": True, "2": False}.get(call.text("FID_DIV_CLS_CODE"))
    if day and call.day("FID_INPUT_DATE_1") != venue.now.astimezone(KST).date():
        return quoted(output=[])
    rows = []
    for instrument in venue.instruments():
        if wanted and wanted != instrument.symbol:
            continue
        state, quote = venue.trading_state(instrument.symbol), venue.quote(instrument.symbol)
        if state is None or quote is None or not state.interrupted:
            continue
        if rising is None or rising == (quote.last >= (state.reference_price or quote.last)):
            rows.append(_interruption_row(venue, quote, state))
    return quoted(output=rows)


def _interruption_row(venue: Venue, quote: Quote, state: TradingState) -> dict[str, str]:
    reference = state.reference_price or Decimal(0)
    price = state.expected_price or quote.last
    distance = ratio_pct(price - reference, reference)
    until = state.interrupted_until or venue.now
    return {
        "hts_kor_isnm": quote.instrument.name or quote.instrument.symbol,
        "mksc_shrn_iscd": quote.instrument.symbol,
        "vi_cls_code": "Y",
        "bsop_date": day_text(venue.now.astimezone(KST).date()),
        "cntg_vi_hour": time_text(until - _INTERRUPTION_MINUTES),
        "vi_cncl_hour": time_text(until),
        "vi_kind_code": "1",
        "vi_prc": whole(price),
        "vi_stnd_prc": whole(reference),
        "vi_dprt": fixed(distance, 2),
        "vi_dmc_stnd_prc": "0",
        "vi_dmc_dprt": "0.00",
        "vi_count": "1",
    }
