"""What is known of a security besides its prices: names, codes, lots and listing."""

from __future__ import annotations

from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.order import Side
from trading_core.rules.markets import lot_size
from trading_core.twin.wire.codes import BY_MARKET
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.domestic_quotes import short_code
from trading_core.twin.wire.envelope import Call, Reply, alike, day_text, input_error, whole
from trading_core.twin.wire.paging import no_data, single

STOCK, DERIVATIVES = "300", ("301", "302")
_MARKETS: dict[str, tuple[Market, ...]] = {
    STOCK: (Market.KR,),
    **{
        code.product_type: tuple(m for m, c in BY_MARKET.items() if c == code)
        for code in BY_MARKET.values()
    },
    # Lines in other currencies and the Hong Kong link are dealt in at the same exchanges.
    **dict.fromkeys(("543", "558"), (Market.HK,)),
}


def _asked(desk: Desk, call: Call) -> Instrument:
    """The security of PRDT_TYPE_CD and PDNO. Raises :class:`WireError` when nobody lists it."""
    product = call.text("PRDT_TYPE_CD")
    if product not in _MARKETS and product not in DERIVATIVES:
        raise input_error("ERROR : INPUT INVALID_CHECK_PRDT_TYPE_CD")
    symbol = short_code(call.text("PDNO").upper())
    for market in _MARKETS.get(product, ()):
        venue = desk.venue(market.group)
        instrument = venue.instrument(symbol) if venue is not None else None
        if instrument is not None and instrument.market is market:
            return instrument
    raise no_data(call)


def isin(instrument: Instrument) -> str:
    """The ISIN of a Korean share or fund with its check digit (ISO 6166); empty abroad."""
    if instrument.market is not Market.KR:
        return ""
    body = f"KR7{instrument.symbol.rjust(6, '0')[-6:]}00"
    digits = "".join(str(int(letter, 36)) for letter in body)
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value // 10 + value % 10
    return f"{body}{-total % 10}"


def _names(instrument: Instrument) -> dict[str, str]:
    name = instrument.name or instrument.symbol
    return alike(
        "prdt_name prdt_name120 prdt_abrv_name prdt_eng_name prdt_eng_name120 prdt_eng_abrv_name",
        name,
    )


def search_info(desk: Desk, call: Call) -> Reply:
    """CTPF1604R: names and codes of a security at home or abroad."""
    instrument = _asked(desk, call)
    home = instrument.market is Market.KR
    symbol = instrument.symbol
    return single(
        call,
        output={
            "pdno": f"00000A{symbol}" if home else symbol,
            "prdt_type_cd": call.text("PRDT_TYPE_CD"),
            **_names(instrument),
            "std_pdno": isin(instrument),
            # Six figures at home: clients use this one as the symbol of every later request.
            "shtn_pdno": symbol,
            "prdt_sale_stat_cd": "",
            "prdt_risk_grad_cd": "",
            "prdt_clsf_cd": "",
            "prdt_clsf_name": "",
            "sale_strt_dt": "",
            "sale_end_dt": "",
            "wrap_asst_type_cd": "06",
            "ivst_prdt_type_cd": "",
            "ivst_prdt_type_cd_name": "",
            "frst_erlm_dt": "",
        },
    )


_BLANKS = alike(
    "setl_mmdd scts_mket_lstg_abol_dt kosdaq_mket_lstg_dt kosdaq_mket_lstg_abol_dt "
    "frbd_mket_lstg_dt frbd_mket_lstg_abol_dt reits_kind_cd idx_bztp_lcls_cd idx_bztp_mcls_cd "
    "idx_bztp_scls_cd mfnd_opng_dt mfnd_end_dt dpsi_erlm_cncl_dt etf_txtn_type_cd etf_type_cd "
    "lstg_abol_dt nwst_odst_dvsn_cd thco_sbst_pric_chng_dt std_idst_clsf_cd "
    "std_idst_clsf_cd_name idx_bztp_lcls_cd_name idx_bztp_mcls_cd_name idx_bztp_scls_cd_name "
    "ocr_no issu_istt_cd stln_int_rt_dvsn_cd lstg_rqsr_issu_istt_cd lstg_rqsr_item_cd "
    "trst_istt_issu_istt_cd scts_mket_lstg_dt stck_kind_cd",
    "",
)
_ZEROS = alike(
    "lstg_stqt lstg_cptl_amt cpta papr issu_pric etf_cu_qty sbst_pric thco_sbst_pric "
    "etf_chas_erng_rt_dbnb frnr_psnl_lmt_rt",
    "0",
)
_NOS = alike(
    "kospi200_item_yn oilf_fund_yn dpsi_aptm_erlm_yn admn_item_yn crfd_item_yn "
    "etf_etn_ivst_heed_item_yn",
    "N",
)


def search_stock_info(desk: Desk, call: Call) -> Reply:
    """CTPF1002R: listing and halt of a domestic security; what the exchange knows not is 0."""
    instrument = _asked(desk, call)
    venue = desk.venue(MarketGroup.KR)
    if venue is None or instrument.market is not Market.KR:
        raise no_data(call)
    quote, state = venue.quote(instrument.symbol), venue.trading_state(instrument.symbol)
    halted = "Y" if state is not None and state.halted else "N"
    return single(
        call,
        output={
            **_BLANKS,
            **_ZEROS,
            **_NOS,
            "pdno": f"00000A{instrument.symbol}",
            "prdt_type_cd": STOCK,
            "mket_id_cd": "STK",
            "scty_grp_id_cd": "EF" if instrument.is_fund else "ST",
            "excg_dvsn_cd": "02",
            "etf_dvsn_cd": "1" if instrument.is_fund else "",
            **_names(instrument),
            "std_pdno": isin(instrument),
            "tr_stop_yn": halted,
            "thdt_clpr": whole(quote.last if quote else 0),
            "bfdy_clpr": whole(quote.previous_close if quote else 0),
            "clpr_chng_dt": day_text(desk.session(venue)),
            "elec_scty_yn": "Y",
            "cptt_trad_tr_psbl_yn": "N" if instrument.is_fund else "Y",
            "nxt_tr_stop_yn": halted,
        },
    )


def overseas_search_info(desk: Desk, call: Call) -> Reply:
    """CTPF1702R: exchange, currency and lots of a foreign security."""
    instrument = _asked(desk, call)
    if instrument.market is Market.KR:
        raise no_data(call)
    code = BY_MARKET[instrument.market]
    venue = desk.venue(instrument.market.group)
    state = venue.trading_state(instrument.symbol) if venue is not None else None
    names = _names(instrument)
    blanks = alike(
        "ovrs_papr_amt ovrs_stck_erlm_rosn_cd ovrs_now_pric1 lstg_stck_num lstg_abol_dt "
        "ovrs_stck_hist_rght_dvsn_cd chng_bf_pdno prdt_eng_abrv_name",
        "",
    )
    return single(
        call,
        output={
            **blanks,
            "std_pdno": "",
            "prdt_eng_name": names["prdt_eng_name"],
            "natn_cd": code.nation,
            "natn_name": code.nation_name,
            "tr_mket_cd": code.market_code,
            "tr_mket_name": code.name,
            "ovrs_excg_cd": code.order_code,
            "ovrs_excg_name": code.name,
            "tr_crcy_cd": code.currency.value,
            "crcy_name": code.currency_name,
            "ovrs_stck_dvsn_cd": "03" if instrument.is_fund else "01",
            "prdt_clsf_cd": "",
            "prdt_clsf_name": "",
            "sll_unit_qty": str(lot_size(instrument.market, Side.SELL)),
            "buy_unit_qty": str(lot_size(instrument.market, Side.BUY)),
            "tr_unit_amt": "0",
            "lstg_dt": "",
            "ovrs_stck_tr_stop_dvsn_cd": "02" if state is not None and state.halted else "01",
            "lstg_yn": "Y",
            "prdt_name": names["prdt_name"],
            "ovrs_item_name": names["prdt_name"],
            "ptp_item_yn": "N",
            "dtm_tr_psbl_yn": "N",
        },
    )
