"""The wide record of one domestic security's present state, and its price increments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from trading_core.model.market import Instrument, Market
from trading_core.model.price import Quote
from trading_core.rules.markets import price_increment
from trading_core.twin.venue import TradingState
from trading_core.twin.wire.desk import Extremes, History
from trading_core.twin.wire.envelope import KST, alike, day_text, fixed, ratio_pct, whole

_TEXTS = {
    "rprs_mrkt_kor_name": "KOSPI",
    "new_hgpr_lwpr_cls_code": "",
    "bstp_kor_isnm": "",
    "oprc_rang_cont_yn": "N",
    "clpr_rang_cont_yn": "N",
    "crdt_able_yn": "N",
    "grmn_rate_cls_code": "40",
    "elw_pblc_yn": "N",
    "stac_month": "12",
    "ssts_yn": "N",
    "fcam_cnnm": "",
    "cpfn_cnnm": "",
    "ovtm_vi_cls_code": "N",
    "invt_caful_yn": "N",
    "mrkt_warn_cls_code": "00",
    "short_over_yn": "N",
    "sltr_yn": "N",
    "mang_issu_cls_code": "N",
    "hts_deal_qty_unit_val": "1",
    "marg_rate": "20.00",
}
_ZEROS = alike(
    "hts_frgn_ehrt frgn_ntby_qty pgtr_ntby_qty dmrs_val dmsp_val cpfn stck_fcam lstn_stcn "
    "hts_avls per pbr eps bps vol_tnrt whol_loan_rmnd_rate apprch_rate frgn_hldn_qty "
    "last_ssts_cntg_qty",
    "0",
)
_STATIC = _TEXTS | _ZEROS


def increment(quote: Quote) -> Decimal:
    """The price step at the last price of a security on its day, in won."""
    on = quote.at.astimezone(KST).date()
    etf = quote.instrument.is_fund
    return price_increment(Market.KR, max(quote.last, Decimal(1)), on, etf=etf)


def standing_fields(quote: Quote, history: History) -> dict[str, str]:
    """What stays the same all session: limits, base price, pivots and texts."""
    base = quote.previous_close
    upper, lower = quote.upper_limit or Decimal(0), quote.lower_limit or Decimal(0)
    return {
        **_STATIC,
        "rprs_mrkt_kor_name": "ETF" if quote.instrument.is_fund else "KOSPI",
        "stck_mxpr": whole(upper),
        "stck_llam": whole(lower),
        "stck_sdpr": whole(base),
        "stck_sspr": whole(base),
        "rstc_wdth_prc": whole(upper - base if upper else Decimal(0)),
        "stck_shrn_iscd": quote.instrument.symbol,
        **_pivots(history),
    }


def present_price(
    standing: Mapping[str, str], quote: Quote, history: History, state: TradingState | None
) -> dict[str, str]:
    """All fields of the present-price record but the change."""
    halted = quote.halted or (state is not None and state.halted)
    interrupted = state is not None and state.interrupted
    growth = ratio_pct(Decimal(quote.volume), Decimal(history.previous_volume))
    mean = quote.turnover / quote.volume if quote.volume else Decimal(0)
    return {
        **standing,
        "iscd_stat_cls_code": "58" if halted else "55",
        "temp_stop_yn": "Y" if halted else "N",
        "vi_cls_code": "Y" if interrupted else "N",
        "stck_prpr": whole(quote.last),
        "acml_tr_pbmn": whole(quote.turnover),
        "acml_vol": str(quote.volume),
        "prdy_vrss_vol_rate": fixed(growth, 2),
        "stck_oprc": whole(quote.open),
        "stck_hgpr": whole(quote.high),
        "stck_lwpr": whole(quote.low),
        "aspr_unit": whole(increment(quote)),
        "wghn_avrg_stck_prc": fixed(mean, 2),
        **_extremes(quote, history),
    }


def _pivots(history: History) -> dict[str, str]:
    """Classic floor-trader pivots of the previous session."""
    bar = history.previous
    high, low, close = (bar.high, bar.low, bar.close) if bar else (Decimal(0),) * 3
    point = (high + low + close) / 3
    return {
        "pvt_scnd_dmrs_prc": whole(point + high - low),
        "pvt_frst_dmrs_prc": whole(2 * point - low),
        "pvt_pont_val": whole(point),
        "pvt_frst_dmsp_prc": whole(2 * point - high),
        "pvt_scnd_dmsp_prc": whole(point - high + low),
    }


def _extremes(quote: Quote, history: History) -> dict[str, str]:
    """Highs and lows of 250 sessions, of the calendar year and of 52 weeks, today included."""
    today = quote.at.astimezone(KST).date()
    d250 = history.sessions_250.with_day(quote, today)
    this_year = history.this_year.with_day(quote, today)
    year = history.year.with_day(quote, today)
    last = quote.last
    return {
        **_pair("d250_hgpr", "d250_hgpr_vrss_prpr_rate", "d250_hgpr_date", d250, last, top=True),
        **_pair("d250_lwpr", "d250_lwpr_vrss_prpr_rate", "d250_lwpr_date", d250, last, top=False),
        **_pair(
            *("stck_dryy_hgpr", "dryy_hgpr_vrss_prpr_rate", "dryy_hgpr_date"),
            *(this_year, last),
            top=True,
        ),
        **_pair(
            *("stck_dryy_lwpr", "dryy_lwpr_vrss_prpr_rate", "dryy_lwpr_date"),
            *(this_year, last),
            top=False,
        ),
        **_pair("w52_hgpr", "w52_hgpr_vrss_prpr_ctrt", "w52_hgpr_date", year, last, top=True),
        **_pair("w52_lwpr", "w52_lwpr_vrss_prpr_ctrt", "w52_lwpr_date", year, last, top=False),
    }


def _pair(
    value_name: str, rate_name: str, date_name: str, span: Extremes, last: Decimal, *, top: bool
) -> dict[str, str]:
    value, day = (span.high, span.high_on) if top else (span.low, span.low_on)
    return {
        value_name: whole(value),
        rate_name: fixed(ratio_pct(last - value, value), 2),
        date_name: day_text(day) if day else "",
    }


_LONG_AGO = datetime(2024, 1, 2, tzinfo=UTC)
_NOBODY = Quote(Instrument("", Market.KR), *(Decimal(0),) * 5, volume=0, at=_LONG_AGO)
NO_SUCH_SECURITY: Mapping[str, str] = {
    **present_price(standing_fields(_NOBODY, History()), _NOBODY, History(), None),
    "prdy_vrss": "0",
    "prdy_vrss_sign": "3",
    "prdy_ctrt": "0.00",
    "aspr_unit": "0",
}
"""The record of a security nobody lists: zeros everywhere."""
