"""Foreign cash: present balance, buying power and margin per currency.

Cash that has not settled yet is told as unsettled buys and sells: deposit + sells - buys is what
will be there once everything has settled.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from trading_core.model.market import MarketGroup
from trading_core.twin.exchange_rates import QUOTED_UNITS
from trading_core.twin.venue import AccountView, VenueHolding
from trading_core.twin.wire.codes import (
    BY_ORDER_CODE,
    CURRENCY_NAMES,
    EXCHANGES,
    ExchangeCode,
)
from trading_core.twin.wire.desk import Desk, affordable
from trading_core.twin.wire.envelope import Call, Reply, alike, fixed, input_error, ratio_pct, whole
from trading_core.twin.wire.overseas_account import FOREIGN, foreign_holdings
from trading_core.twin.wire.paging import listed, single

MARGIN_ROWS = 60
# The broker lists some currencies under every country where they are dealt in.
_MARGIN_LINES: tuple[tuple[str, MarketGroup], ...] = (
    ("미국", MarketGroup.US),
    ("홍콩", MarketGroup.HK),
    ("홍콩", MarketGroup.US),
    ("홍콩", MarketGroup.CN),
    ("중국", MarketGroup.CN),
    ("중국", MarketGroup.US),
    ("일본", MarketGroup.JP),
    ("베트남", MarketGroup.VN),
)


def unsettled(view: AccountView) -> tuple[Decimal, Decimal]:
    """Amounts bought and sold that have not settled; their balance is settled less deposit."""
    bought = view.bought_amount_today
    sold = view.settled - view.deposit + bought
    return (bought - sold, Decimal(0)) if sold < 0 else (bought, sold)


def inquire_buying_power(desk: Desk, call: Call) -> Reply:
    """inquire-psamount: what a buy may use, in the exchange's currency."""
    account_no = desk.account_no(call)
    code = BY_ORDER_CODE.get(call.text("OVRS_EXCG_CD").upper())
    if code is None:
        raise input_error("ERROR : INPUT INVALID_CHECK_OVRS_EXCG_CD")
    view = desk.view(account_no, code.market.group)
    price = call.price("OVRS_ORD_UNPR")
    cash = max(view.orderable, Decimal(0))
    on = desk.now.astimezone(code.zone).date()
    shares = str(affordable(cash, price, code.market, on))
    amount = fixed(cash.quantize(Decimal("0.01"), rounding=ROUND_DOWN), 2)
    return single(
        call,
        output={
            "tr_crcy_cd": code.currency.value,
            "ord_psbl_frcr_amt": amount,
            "sll_ruse_psbl_amt": fixed(0, 2),
            "ovrs_ord_psbl_amt": amount,
            "max_ord_psbl_qty": shares,
            "echm_af_ord_psbl_amt": fixed(0, 2),
            "echm_af_ord_psbl_qty": "0",
            "ord_psbl_qty": shares,
            "exrt": fixed(desk.rates[code.currency], 10),
            "frcr_ord_psbl_amt1": amount,
            "ovrs_max_ord_psbl_qty": shares,
        },
    )


def foreign_margin(desk: Desk, call: Call) -> Reply:
    """foreign-margin: a row per country and currency, and many blank ones."""
    account_no = desk.account_no(call)
    rows = []
    for land, group in _MARGIN_LINES:
        view = desk.view(account_no, group)
        bought, sold = unsettled(view)
        rows.append(
            {
                "natn_name": land,
                "crcy_cd": view.currency.value,
                "frcr_dncl_amt1": fixed(view.deposit, 6),
                "ustl_buy_amt": fixed(bought, 6),
                "ustl_sll_amt": fixed(sold, 6),
                "frcr_rcvb_amt": fixed(0, 6),
                "frcr_mgn_amt": fixed(view.reserved, 6),
                "frcr_gnrl_ord_psbl_amt": fixed(view.orderable, 6),
                "frcr_ord_psbl_amt1": fixed(view.orderable, 6),
                "itgr_ord_psbl_amt": fixed(view.orderable, 6),
                "bass_exrt": fixed(
                    desk.rates[view.currency] * QUOTED_UNITS.get(view.currency, 1), 8
                ),
            }
        )
    blank = {name: "" if name in ("natn_name", "crcy_cd") else fixed(0, 6) for name in rows[0]}
    rows += [blank] * (MARGIN_ROWS - len(rows))
    return listed(call, output=rows)


def present_balance(desk: Desk, call: Call) -> Reply:
    """inquire-present-balance: holdings, cash by currency, and totals in won.

    The paper host fills the totals only.
    """
    account_no = desk.account_no(call)
    wanted = _exchanges(call)
    in_won = call.text("WCRC_FRCR_DVSN_CD") == "01"
    pairs = foreign_holdings(desk, account_no, [code.market for code in wanted])
    nations = {code.nation for code in wanted}
    views = [
        desk.view(account_no, group)
        for group in FOREIGN
        if any(code.market.group is group and code.nation in nations for code in EXCHANGES)
    ]
    totals = _present_totals(desk, views, pairs)
    if call.paper:
        return listed(call, output1=[], output2=[], output3=totals)
    rows = [_present_row(desk, holding, code, in_won=in_won) for holding, code in pairs]
    cash = [_present_cash(desk, view) for view in views]
    return listed(call, output1=rows, output2=cash, output3=totals)


def _exchanges(call: Call) -> list[ExchangeCode]:
    nation, number = call.text("NATN_CD") or "000", call.text("TR_MKET_CD") or "00"
    return [
        code
        for code in EXCHANGES
        if nation in ("000", code.nation) and (number == "00" or number == code.market_code)
    ]


def _present_row(
    desk: Desk, holding: VenueHolding, code: ExchangeCode, *, in_won: bool
) -> dict[str, str]:
    rate = desk.rates[code.currency]
    unit = QUOTED_UNITS.get(code.currency, 1)
    cost, factor = holding.quantity * holding.average_price, rate if in_won else Decimal(1)
    gain = holding.value - cost
    return {
        "prdt_name": holding.instrument.name or holding.instrument.symbol,
        "cblc_qty13": fixed(holding.quantity, 8),
        "thdt_buy_ccld_qty1": fixed(holding.bought_today, 8),
        "thdt_sll_ccld_qty1": fixed(holding.sold_today, 8),
        "ccld_qty_smtl1": fixed(holding.quantity, 8),
        "ord_psbl_qty1": fixed(holding.sellable, 8),
        "frcr_pchs_amt": fixed(cost * factor, 5),
        "frcr_evlu_amt2": fixed(holding.value * factor, 6),
        "evlu_pfls_amt2": fixed(gain * factor, 6),
        "evlu_pfls_rt1": fixed(ratio_pct(gain, cost), 8),
        "pdno": holding.instrument.symbol,
        "bass_exrt": fixed(rate * unit, 8),
        "buy_crcy_cd": code.currency.value,
        "ovrs_now_pric1": fixed(holding.last_price, 5),
        "avg_unpr3": fixed(holding.average_price, 4),
        "tr_mket_name": code.name,
        "natn_kor_name": code.nation_name,
        "pchs_rmnd_wcrc_amt": whole(cost * rate),
        "thdt_buy_ccld_frcr_amt": fixed(holding.bought_today * holding.last_price, 5),
        "thdt_sll_ccld_frcr_amt": fixed(holding.sold_today * holding.last_price, 5),
        "unit_amt": str(unit),
        "std_pdno": "",
        "prdt_type_cd": code.product_type,
        "scts_dvsn_name": "현금",
        "loan_rmnd": fixed(0, 8),
        "loan_dt": "",
        "loan_expd_dt": "",
        "ovrs_excg_cd": code.order_code,
        "item_lnkg_excg_cd": code.quote_code,
    }


def _present_cash(desk: Desk, view: AccountView) -> dict[str, str]:
    rate = desk.rates[view.currency]
    free = max(view.deposit - view.reserved, Decimal(0))
    return {
        "crcy_cd": view.currency.value,
        "crcy_cd_name": CURRENCY_NAMES[view.currency],
        "frcr_buy_amt_smtl": fixed(view.bought_amount_today, 5),
        "frcr_sll_amt_smtl": fixed(view.sold_amount_today, 5),
        "frcr_dncl_amt_2": fixed(view.deposit, 6),
        "frst_bltn_exrt": fixed(rate, 8),
        "frcr_buy_mgn_amt": fixed(view.reserved, 6),
        "frcr_etc_mgna": fixed(0, 6),
        "frcr_drwg_psbl_amt_1": fixed(free, 6),
        "frcr_evlu_amt2": fixed(view.deposit * rate, 6),
        "acpl_cstd_crcy_yn": "Y",
        "nxdy_frcr_drwg_psbl_amt": fixed(view.next_day, 6),
    }


def _present_totals(
    desk: Desk, views: list[AccountView], pairs: list[tuple[VenueHolding, ExchangeCode]]
) -> dict[str, str]:
    rates = desk.rates
    zero = Decimal(0)
    cost = sum((h.quantity * h.average_price * rates[c.currency] for h, c in pairs), zero)
    value = sum((h.value * rates[c.currency] for h, c in pairs), zero)
    deposit = sum((v.deposit * rates[v.currency] for v in views), zero)
    reserved = sum((v.reserved * rates[v.currency] for v in views), zero)
    orderable = sum((v.orderable * rates[v.currency] for v in views), zero)
    flows = [(unsettled(v), rates[v.currency]) for v in views]
    bought = sum((pair[0] * rate for pair, rate in flows), zero)
    sold = sum((pair[1] * rate for pair, rate in flows), zero)
    zeros = alike("cma_evlu_amt etc_mgna tot_loan_amt", "0")
    return {
        **zeros,
        "pchs_amt_smtl": whole(cost),
        "evlu_amt_smtl": whole(value),
        "evlu_pfls_amt_smtl": whole(value - cost),
        "dncl_amt": "0",
        "tot_dncl_amt": whole(deposit),
        "wdrw_psbl_tot_amt": whole(max(deposit - reserved, zero)),
        "frcr_evlu_tota": whole(deposit),
        "evlu_erng_rt1": fixed(ratio_pct(value - cost, cost), 10),
        "pchs_amt_smtl_amt": whole(cost),
        "evlu_amt_smtl_amt": whole(value),
        "tot_evlu_pfls_amt": fixed(value - cost, 8),
        "tot_asst_amt": fixed(value + deposit + sold - bought, 8),
        "buy_mgn_amt": fixed(reserved, 8),
        "mgna_tota": fixed(reserved, 8),
        "frcr_use_psbl_amt": fixed(orderable, 2),
        "ustl_sll_amt_smtl": fixed(sold, 8),
        "ustl_buy_amt_smtl": fixed(bought, 8),
        "tot_frcr_cblc_smtl": fixed(deposit, 8),
    }
