"""The foreign part of the account: orders, holdings, cash and buying power per currency."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from trading_core.model.market import Market, MarketGroup
from trading_core.model.order import Side
from trading_core.twin.venue import RowKind, VenueHolding, VenueOrder
from trading_core.twin.wire.codes import (
    BY_MARKET,
    BY_ORDER_CODE,
    SIDE_CODES,
    ExchangeCode,
)
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.domestic_orders import PAPER_BRANCH, order_key
from trading_core.twin.wire.envelope import (
    KST,
    Call,
    Reply,
    alike,
    day_text,
    fixed,
    input_error,
    ratio_pct,
    time_text,
)
from trading_core.twin.wire.orders import OVERSEAS_BRANCH
from trading_core.twin.wire.paging import paged

FOREIGN = tuple(group for group in MarketGroup if group is not MarketGroup.KR)
_SIDE_NAMES = {Side.BUY: "매수", Side.SELL: "매도"}
_KINDS = {RowKind.NEW: ("00", ""), RowKind.MODIFY: ("01", "정정"), RowKind.CANCEL: ("02", "취소")}


def markets_of(call: Call) -> tuple[Market, ...]:
    """The exchanges an account query means.

    ``NASD`` is the whole US on the real host and NASDAQ alone on the paper host.
    """
    text = call.text("OVRS_EXCG_CD").upper()
    if text in ("", "%"):
        return tuple(BY_MARKET)
    if text == "NAS":
        return (Market.US_NASDAQ,)
    code = BY_ORDER_CODE.get(text)
    if code is None:
        raise input_error("ERROR : INPUT INVALID_CHECK_OVRS_EXCG_CD")
    if text == "NASD" and not call.paper:
        return MarketGroup.US.markets
    return (code.market,)


def _rows(
    desk: Desk, account_no: str, markets: Iterable[Market], span: tuple[date, date] | None
) -> list[VenueOrder]:
    wanted = set(markets)
    found: list[VenueOrder] = []
    for group in FOREIGN:
        venue = desk.venue(group)
        if venue is None or not wanted.intersection(group.markets):
            continue
        start, end = span or (venue.state().session,) * 2
        rows = venue.orders(account_no, start=start, end=end) if start <= end else []
        found += [row for row in rows if row.instrument.market in wanted]
    return sorted(found, key=order_key)


def _conditions(call: Call) -> tuple[str, ...]:
    return (call.text("CANO"), call.text("ACNT_PRDT_CD"), call.text("OVRS_EXCG_CD"))


def inquire_open_orders(desk: Desk, call: Call) -> Reply:
    """inquire-nccs: what still works today."""
    account_no = desk.account_no(call)
    rows = [r for r in _rows(desk, account_no, markets_of(call), None) if r.remaining_quantity > 0]
    newest_first = call.text("SORT_SQN").upper() != "DS"
    if newest_first:
        rows.reverse()
    return paged(
        call,
        rows,
        order_key,
        lambda row: _order_row(call, row),
        width=200,
        conditions=_conditions(call),
        output="output",
        newest_first=newest_first,
    )


def inquire_orders(desk: Desk, call: Call) -> Reply:
    """inquire-ccnl: orders with their fills, by the exchange's own date.

    The paper host takes no filter but the dates.
    """
    account_no = desk.account_no(call)
    span = (call.day("ORD_STRT_DT"), call.day("ORD_END_DT"))
    rows = _rows(desk, account_no, markets_of(call), span)
    if not call.paper:
        rows = [row for row in rows if _wanted(call, row)]
    newest_first = call.text("SORT_SQN").upper() != "AS"
    if newest_first:
        rows.reverse()
    # The real host tells of nothing with one object whose fields are all blank.
    return paged(
        call,
        rows,
        order_key,
        lambda row: _order_row(call, row) | _extra(row),
        width=200,
        conditions=_conditions(call),
        output="output",
        newest_first=newest_first,
    )


def _wanted(call: Call, row: VenueOrder) -> bool:
    symbol, side = call.text("PDNO").upper(), call.text("SLL_BUY_DVSN")
    state = call.text("CCLD_NCCS_DVSN")
    return (
        symbol in ("", "%", row.instrument.symbol)
        and side in ("", "00", SIDE_CODES[row.side])
        and (state != "01" or row.filled_quantity > 0)
        and (state != "02" or row.remaining_quantity > 0)
    )


def _order_row(call: Call, row: VenueOrder) -> dict[str, str]:
    code = BY_MARKET[row.instrument.market]
    kind, kind_name = _KINDS[row.kind]
    filled = row.filled_quantity
    return {
        "ord_dt": day_text(row.session),
        "ord_gno_brno": PAPER_BRANCH if call.paper else OVERSEAS_BRANCH,
        "odno": f"{row.order_no:010d}",
        "orgn_odno": f"{row.original_no:010d}" if row.original_no else "",
        "pdno": row.instrument.symbol,
        "prdt_name": row.instrument.name or row.instrument.symbol,
        "sll_buy_dvsn_cd": SIDE_CODES[row.side],
        "sll_buy_dvsn_cd_name": _SIDE_NAMES[row.side] + kind_name,
        "rvse_cncl_dvsn_cd": kind,
        "rvse_cncl_dvsn_cd_name": kind_name,
        "rjct_rson": "99" if row.rejected_quantity else "",
        "rjct_rson_name": "거래소거부" if row.rejected_quantity else "",
        "ord_tmd": time_text(row.ordered_at),
        "tr_mket_name": code.name,
        "tr_crcy_cd": code.currency.value,
        "natn_cd": code.nation,
        "natn_kor_name": code.nation_name,
        "ft_ord_qty": str(row.quantity),
        "ft_ccld_qty": str(filled),
        "nccs_qty": str(row.remaining_quantity),
        "ft_ord_unpr3": fixed(row.limit_price or 0, 8),
        "ft_ccld_unpr3": fixed(row.filled_amount / filled if filled else 0, 8),
        "ft_ccld_amt3": fixed(row.filled_amount, 5),
        "ovrs_excg_cd": code.order_code,
        "prcs_stat_name": _status(row),
        "loan_type_cd": "10",
        "loan_dt": "",
        "usa_amk_exts_rqst_yn": "N",
        "splt_buy_attr_name": "",
    }


def _status(row: VenueOrder) -> str:
    if row.rejected_quantity:
        return "거부"
    return "전송" if row.remaining_quantity > 0 else "완료"


def _extra(row: VenueOrder) -> dict[str, str]:
    code = BY_MARKET[row.instrument.market]
    kind, kind_name = _KINDS[row.kind]
    return {
        "rvse_cncl_dvsn": kind,
        "rvse_cncl_dvsn_name": kind_name,
        "tr_natn": code.nation,
        "tr_natn_name": code.nation_name,
        "dmst_ord_dt": day_text(row.ordered_at.astimezone(KST).date()),
        "thco_ord_tmd": time_text(row.ordered_at),
        "mdia_dvsn_name": "OpenAPI",
    }


def foreign_holdings(
    desk: Desk, account_no: str, markets: Iterable[Market]
) -> list[tuple[VenueHolding, ExchangeCode]]:
    """Holdings at these exchanges by symbol, each with its exchange."""
    wanted = set(markets)
    found: list[tuple[VenueHolding, ExchangeCode]] = []
    for group in FOREIGN:
        if not wanted.intersection(group.markets):
            continue
        found += [
            (holding, BY_MARKET[holding.instrument.market])
            for holding in desk.holdings(desk.view(account_no, group), group)
            if holding.instrument.market in wanted
        ]
    return sorted(found, key=lambda pair: pair[0].instrument.symbol)


def inquire_balance(desk: Desk, call: Call) -> Reply:
    """Holdings abroad in their own currency. No cash is told here."""
    account_no = desk.account_no(call)
    currency = call.text("TR_CRCY_CD").upper()
    holdings = [
        (holding, code)
        for holding, code in foreign_holdings(desk, account_no, markets_of(call))
        if currency in ("", code.currency.value)
    ]
    cost = sum((h.quantity * h.average_price for h, _ in holdings), Decimal(0))
    value = sum((h.value for h, _ in holdings), Decimal(0))
    zeros = alike(
        "ovrs_rlzt_pfls_amt rlzt_erng_rt frcr_buy_amt_smtl1 ovrs_rlzt_pfls_amt2 frcr_buy_amt_smtl2",
        "0",
    )
    totals = {
        **zeros,
        "frcr_pchs_amt1": fixed(cost, 5),
        "ovrs_tot_pfls": fixed(value - cost, 5),
        "tot_evlu_pfls_amt": fixed(value - cost, 8),
        "tot_pftrt": fixed(ratio_pct(value - cost, cost), 8),
    }
    return paged(
        call,
        holdings,
        lambda pair: pair[0].instrument.symbol,
        lambda pair: _holding_row(call, *pair),
        width=200,
        conditions=_conditions(call),
        padding=() if call.paper else (_BLANK_HOLDING,),
        output2=totals,
    )


_BLANK_HOLDING = {
    **alike("cano acnt_prdt_cd prdt_type_cd ovrs_pdno ovrs_item_name tr_crcy_cd", ""),
    **alike("ovrs_excg_cd loan_type_cd loan_dt expd_dt", ""),
    "frcr_evlu_pfls_amt": "0.000000",
    "evlu_pfls_rt": "0.00",
    "pchs_avg_pric": "0.0000",
    "ovrs_cblc_qty": "0",
    "ord_psbl_qty": "0",
    "frcr_pchs_amt1": "0.00000",
    "ovrs_stck_evlu_amt": "0.00000000",
    "now_pric2": "0.000000",
}


def _holding_row(call: Call, holding: VenueHolding, code: ExchangeCode) -> dict[str, str]:
    cost = holding.quantity * holding.average_price
    gain = holding.value - cost
    return {
        "cano": call.text("CANO"),
        "acnt_prdt_cd": call.text("ACNT_PRDT_CD"),
        "prdt_type_cd": code.product_type,
        "ovrs_pdno": holding.instrument.symbol,
        "ovrs_item_name": holding.instrument.name or holding.instrument.symbol,
        "frcr_evlu_pfls_amt": fixed(gain, 6),
        "evlu_pfls_rt": fixed(ratio_pct(gain, cost), 2),
        "pchs_avg_pric": fixed(holding.average_price, 4),
        "ovrs_cblc_qty": str(holding.quantity),
        "ord_psbl_qty": str(holding.sellable),
        "frcr_pchs_amt1": fixed(cost, 5),
        "ovrs_stck_evlu_amt": fixed(holding.value, 8),
        "now_pric2": fixed(holding.last_price, 6),
        "tr_crcy_cd": code.currency.value,
        "ovrs_excg_cd": code.order_code,
        "loan_type_cd": "10",
        "loan_dt": "",
        "expd_dt": "",
    }
