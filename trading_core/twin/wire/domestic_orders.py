"""Domestic orders as the broker's ledger shows them."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from trading_core.model.market import MarketGroup
from trading_core.model.order import Side
from trading_core.twin.venue import RowKind, VenueOrder
from trading_core.twin.wire.codes import SIDE_CODES
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.domestic_quotes import short_code
from trading_core.twin.wire.envelope import (
    KST,
    Call,
    Reply,
    day_text,
    fixed,
    plain,
    time_text,
    whole,
)
from trading_core.twin.wire.order_types import Route, condition_of, division_of
from trading_core.twin.wire.paging import paged

KR = MarketGroup.KR
THREE_MONTHS = timedelta(days=92)
REAL_BRANCH, PAPER_BRANCH = "06010", "00950"
_SIDE_NAMES = {Side.BUY: "현금매수", Side.SELL: "현금매도"}
_KIND_NAMES = {RowKind.NEW: "", RowKind.MODIFY: "정정", RowKind.CANCEL: "취소"}


def branch_no(call: Call) -> str:
    return PAPER_BRANCH if call.paper else REAL_BRANCH


def order_key(row: VenueOrder) -> str:
    """Sorts rows by session and number; also the paging cursor."""
    return f"{day_text(row.session)}{row.order_no:010d}"


def symbol_key(row: VenueOrder) -> str:
    """Sorts rows by symbol, then as :func:`order_key`."""
    return f"{row.instrument.symbol}{order_key(row)}"


def domestic_rows(desk: Desk, account_no: str, start: date, end: date) -> list[VenueOrder]:
    """Every row of the sessions, oldest first; none without a domestic venue."""
    venue = desk.venue(KR)
    if venue is None or start > end:
        return []
    return sorted(venue.orders(account_no, start=start, end=end), key=order_key)


def inquire_open_orders(desk: Desk, call: Call) -> Reply:
    """What can still be modified or cancelled today, oldest first, or by symbol."""
    account_no = desk.account_no(call)
    venue = desk.venue(KR)
    today = venue.state().session if venue else desk.now.astimezone(KST).date()
    wanted = {"1": (Side.SELL,), "2": (Side.BUY,)}.get(call.text("INQR_DVSN_2"), tuple(Side))
    rows = [
        row
        for row in domestic_rows(desk, account_no, today, today)
        if row.remaining_quantity > 0 and row.side in wanted
    ]
    key = symbol_key if call.text("INQR_DVSN_1") == "1" else order_key
    return paged(
        call,
        sorted(rows, key=key),
        key,
        lambda row: _open_row(desk, call, row),
        width=100,
        conditions=(call.text("CANO"), call.text("ACNT_PRDT_CD"), call.text("INQR_DVSN_1")),
        output="output",
    )


def _original(row: VenueOrder) -> str:
    return f"{row.original_no:010d}" if row.original_no else ""


def _open_row(desk: Desk, call: Call, row: VenueOrder) -> dict[str, str]:
    code, name = division_of(row)
    route = _route(desk, row)
    return {
        "ord_gno_brno": branch_no(call),
        "odno": f"{row.order_no:010d}",
        "orgn_odno": _original(row),
        "ord_dvsn_name": name,
        "pdno": row.instrument.symbol,
        "prdt_name": row.instrument.name or row.instrument.symbol,
        "rvse_cncl_dvsn_name": _SIDE_NAMES[row.side] + _KIND_NAMES[row.kind],
        "ord_qty": str(row.quantity),
        "ord_unpr": plain(row.limit_price or Decimal(0)),
        "ord_tmd": time_text(row.ordered_at),
        "tot_ccld_qty": str(row.filled_quantity),
        "tot_ccld_amt": whole(row.filled_amount),
        "psbl_qty": str(row.remaining_quantity),
        "sll_buy_dvsn_cd": SIDE_CODES[row.side],
        "ord_dvsn_cd": code,
        "mgco_aptm_odno": "",
        "excg_dvsn_cd": route.number,
        "excg_id_dvsn_cd": route.value,
        "excg_id_dvsn_name": route.value,
        "stpm_cndt_pric": plain(row.trigger_price or Decimal(0)),
        "stpm_efct_occr_yn": "N",
    }


def inquire_daily_orders(desk: Desk, call: Call) -> Reply:
    """Orders with their fills, by date of order; modifies and cancels are rows of their own."""
    account_no = desk.account_no(call)
    start, end = call.day("INQR_STRT_DT"), call.day("INQR_END_DT")
    # One TR covers the last three months, another what is older.
    border = desk.now.astimezone(KST).date() - THREE_MONTHS
    if call.variant == "older":
        end = min(end, border - timedelta(days=1))
    else:
        start = max(start, border)
    rows = [r for r in domestic_rows(desk, account_no, start, end) if _wanted(desk, call, r)]
    newest_first = call.text("INQR_DVSN") != "01"
    if newest_first:
        rows.reverse()
    bought = sum(row.filled_quantity for row in rows)
    amount = sum((row.filled_amount for row in rows), Decimal(0))
    costs = sum((row.fee + row.tax for row in rows), Decimal(0))
    totals = {
        "tot_ord_qty": str(sum(row.quantity for row in rows)),
        "tot_ccld_qty": str(bought),
        "tot_ccld_amt": whole(amount),
        "prsm_tlex_smtl": whole(costs),
        "pchs_avg_pric": fixed(amount / bought if bought else 0, 4),
    }
    return paged(
        call,
        rows,
        order_key,
        lambda row: _daily_row(desk, call, row),
        width=100,
        conditions=(
            call.text("CANO"),
            call.text("ACNT_PRDT_CD"),
            call.text("INQR_STRT_DT"),
            call.text("INQR_END_DT"),
            call.text("SLL_BUY_DVSN_CD"),
        ),
        newest_first=newest_first,
        output2=totals,
    )


def _route(desk: Desk, row: VenueOrder) -> Route:
    return desk.route(row.session, row.order_no)


def _wanted(desk: Desk, call: Call, row: VenueOrder) -> bool:
    side = call.text("SLL_BUY_DVSN_CD")
    state = call.text("CCLD_DVSN")
    symbol = short_code(call.text("PDNO"))
    number = call.text("ODNO")
    # The older ids have no such field; empty and ALL mean every route.
    route = call.text("EXCG_ID_DVSN_CD").upper()
    return (
        (side in ("", "00") or side == SIDE_CODES[row.side])
        and (not symbol or symbol == row.instrument.symbol)
        and (not number or number.lstrip("0") == str(row.order_no))
        and (state != "01" or row.filled_quantity > 0)
        and (state != "02" or row.remaining_quantity > 0)
        and route in ("", "ALL", _route(desk, row).value)
    )


def _daily_row(desk: Desk, call: Call, row: VenueOrder) -> dict[str, str]:
    code, name = division_of(row)
    route = _route(desk, row)
    filled = row.filled_quantity
    cancelled = row.kind is RowKind.CANCEL or 0 < row.quantity == row.cancelled_quantity
    side_name = _SIDE_NAMES[row.side] + _KIND_NAMES[row.kind]
    if row.rejected_quantity:
        side_name = f"{row.side} REJECT"
    return {
        "ord_dt": day_text(row.session),
        "ord_gno_brno": branch_no(call),
        "odno": f"{row.order_no:010d}",
        "orgn_odno": _original(row),
        "ord_dvsn_name": name,
        "sll_buy_dvsn_cd": SIDE_CODES[row.side],
        "sll_buy_dvsn_cd_name": side_name,
        "pdno": row.instrument.symbol,
        "prdt_name": row.instrument.name or row.instrument.symbol,
        "ord_qty": str(row.quantity),
        "ord_unpr": plain(row.limit_price or Decimal(0)),
        "ord_tmd": time_text(row.ordered_at),
        "tot_ccld_qty": str(filled),
        "avg_prvs": plain(row.filled_amount / filled if filled else Decimal(0)),
        "cncl_yn": "Y" if cancelled else "N",
        "tot_ccld_amt": whole(row.filled_amount),
        "loan_dt": "",
        "ordr_empno": "OpnAPI",
        "ord_dvsn_cd": code,
        "cncl_cfrm_qty": str(row.cancelled_quantity),
        "cnc_cfrm_qty": str(row.cancelled_quantity),
        "rmn_qty": str(row.remaining_quantity),
        "rjct_qty": str(row.rejected_quantity),
        "ccld_cndt_name": condition_of(row),
        "inqr_ip_addr": "",
        "cpbc_ordp_ord_rcit_dvsn_cd": "",
        "cpbc_ordp_infm_mthd_dvsn_cd": "",
        "infm_tmd": time_text(row.last_fill_at) if row.last_fill_at else "",
        "ctac_tlno": "",
        "prdt_type_cd": "300",
        "excg_dvsn_cd": route.number,
        "cpbc_ordp_mtrl_dvsn_cd": "",
        "ord_orgno": "00000",
        "rsvn_ord_end_dt": "",
        # The documents write a capital C, live answers a small one; clients read either.
        "excg_id_dvsn_Cd": route.value,
        "excg_id_dvsn_cd": route.value,
        "stpm_cndt_pric": plain(row.trigger_price or Decimal(0)),
        "stpm_efct_occr_dtmd": "",
    }
