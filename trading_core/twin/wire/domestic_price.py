"""The wide record of one domestic security's present state, and its price increments."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from trading_core.model.market import Market
from trading_core.model.price import Quote
from trading_core.rules.markets import price_increment
from trading_core.twin.wire.desk import History
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
    "vi_cls_code": "N",
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


def price_fields(quote: Quote | None, history: History | None, symbol: str) -> dict[str, str]:
    """All fields of the present-price record but the change; zeros without a quote."""
    zero = Decimal(0)
    history = history or History()
    last = quote.last if quote else zero
    base = quote.previous_close if quote else zero
    upper = (quote.upper_limit or zero) if quote else zero
    lower = (quote.lower_limit or zero) if quote else zero
    volume = quote.volume if quote else 0
    turnover = quote.turnover if quote else zero
    halted = quote is not None and quote.halted
    growth = ratio_pct(Decimal(volume), Decimal(history.previous_volume))
    return {
        **_STATIC,
        "rprs_mrkt_kor_name": "ETF" if quote is not None and quote.instrument.is_fund else "KOSPI",
        "iscd_stat_cls_code": "58" if halted else "55",
        "temp_stop_yn": "Y" if halted else "N",
        "stck_prpr": whole(last),
        "prdy_vrss": "0",
        "prdy_vrss_sign": "3",
        "prdy_ctrt": "0.00",
        "acml_tr_pbmn": whole(turnover),
        "acml_vol": str(volume),
        "prdy_vrss_vol_rate": fixed(growth, 2),
        "stck_oprc": whole(quote.open) if quote else "0",
        "stck_hgpr": whole(quote.high) if quote else "0",
        "stck_lwpr": whole(quote.low) if quote else "0",
        "stck_mxpr": whole(upper),
        "stck_llam": whole(lower),
        "stck_sdpr": whole(base),
        "stck_sspr": whole(base),
        "rstc_wdth_prc": whole(upper - base if upper else zero),
        "aspr_unit": whole(increment(quote)) if quote else "0",
        "wghn_avrg_stck_prc": fixed(turnover / volume if volume else zero, 2),
        "stck_shrn_iscd": symbol if quote else "",
        **_pivots(history),
        **_extremes(quote, history, last),
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


def _extremes(quote: Quote | None, history: History, last: Decimal) -> dict[str, str]:
    """Highs and lows of about a year, today included, under each of their three names."""
    high, high_on = history.high, history.high_on
    low, low_on = history.low, history.low_on
    if quote is not None and quote.high > high:
        high, high_on = quote.high, quote.at.astimezone(KST).date()
    if quote is not None and quote.low > 0 and (not low or quote.low < low):
        low, low_on = quote.low, quote.at.astimezone(KST).date()
    fields: dict[str, str] = {}
    for name, value, day in (("hgpr", high, high_on), ("lwpr", low, low_on)):
        distance = fixed(ratio_pct(last - value, value), 2)
        fields |= {
            f"d250_{name}": whole(value),
            f"d250_{name}_date": _date(day),
            f"d250_{name}_vrss_prpr_rate": distance,
            f"stck_dryy_{name}": whole(value),
            f"dryy_{name}_vrss_prpr_rate": distance,
            f"dryy_{name}_date": _date(day),
            f"w52_{name}": whole(value),
            f"w52_{name}_vrss_prpr_ctrt": distance,
            f"w52_{name}_date": _date(day),
        }
    return fields


def _date(day: date | None) -> str:
    return day_text(day) if day else ""
