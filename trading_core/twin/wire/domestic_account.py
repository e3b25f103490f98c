"""The domestic account: balance and buying power, in won."""

from __future__ import annotations

from decimal import Decimal

from trading_core.model.market import Market, MarketGroup
from trading_core.twin.venue import AccountView, VenueHolding
from trading_core.twin.wire.desk import Desk, affordable
from trading_core.twin.wire.domestic_quotes import short_code
from trading_core.twin.wire.envelope import (
    KST,
    Call,
    Reply,
    alike,
    fixed,
    ratio_pct,
    whole,
)
from trading_core.twin.wire.paging import paged, single

KR = MarketGroup.KR


def inquire_balance(desk: Desk, call: Call) -> Reply:
    """Holdings by symbol, and one row of cash: today, next day and when all has settled."""
    account_no = desk.account_no(call)
    view = desk.view(account_no, KR)
    holdings = desk.holdings(view, KR)
    changes = {}
    venue = desk.venue(KR)
    for holding in holdings:
        quote = venue.quote(holding.instrument.symbol) if venue else None
        changes[holding.instrument.symbol] = quote.previous_close if quote else Decimal(0)
    return paged(
        call,
        holdings,
        lambda holding: holding.instrument.symbol,
        lambda holding: _holding_row(holding, changes[holding.instrument.symbol]),
        width=100,
        conditions=(call.text("CANO"), call.text("ACNT_PRDT_CD"), call.text("INQR_DVSN")),
        output2=[_balance_total(view, holdings)],
    )


def _holding_row(holding: VenueHolding, previous_close: Decimal) -> dict[str, str]:
    cost = holding.quantity * holding.average_price
    gain = holding.value - cost
    change = holding.last_price - previous_close if previous_close else Decimal(0)
    before_today = max(0, holding.quantity - holding.bought_today + holding.sold_today)
    return {
        "pdno": holding.instrument.symbol,
        "prdt_name": holding.instrument.name or holding.instrument.symbol,
        "trad_dvsn_name": "현금",
        "bfdy_buy_qty": str(before_today),
        "bfdy_sll_qty": "0",
        "thdt_buyqty": str(holding.bought_today),
        "thdt_sll_qty": str(holding.sold_today),
        "hldg_qty": str(holding.quantity),
        "ord_psbl_qty": str(holding.sellable),
        "pchs_avg_pric": fixed(holding.average_price, 4),
        "pchs_amt": whole(cost),
        "prpr": whole(holding.last_price),
        "evlu_amt": whole(holding.value),
        "evlu_pfls_amt": whole(gain),
        "evlu_pfls_rt": fixed(ratio_pct(gain, cost), 2),
        "evlu_erng_rt": fixed(ratio_pct(gain, cost), 8),
        "loan_dt": "",
        "loan_amt": "0",
        "stln_slng_chgs": "0",
        "expd_dt": "",
        "fltt_rt": fixed(ratio_pct(change, previous_close), 8),
        "bfdy_cprs_icdc": whole(change),
        "item_mgna_rt_name": "20%",
        "grta_rt_name": "",
        "sbst_pric": "0",
        "stck_loan_unpr": "0.0000",
    }


def _balance_total(view: AccountView, holdings: list[VenueHolding]) -> dict[str, str]:
    cost = sum((h.quantity * h.average_price for h in holdings), Decimal(0))
    value = sum((h.value for h in holdings), Decimal(0))
    total = whole(value + view.settled)
    zeros = alike(
        "cma_evlu_amt bfdy_buy_amt nxdy_auto_rdpt_amt bfdy_sll_amt d2_auto_rdpt_amt "
        "bfdy_tlex_amt tot_loan_amt tot_stln_slng_chgs bfdy_tot_asst_evlu_amt "
        "asst_icdc_amt",
        "0",
    )
    return {
        **zeros,
        "dnca_tot_amt": whole(view.deposit),
        "nxdy_excc_amt": whole(view.next_day),
        "prvs_rcdl_excc_amt": whole(view.settled),
        "thdt_buy_amt": whole(view.bought_amount_today),
        "thdt_sll_amt": whole(view.sold_amount_today),
        "thdt_tlex_amt": whole(view.fees_today + view.taxes_today),
        "scts_evlu_amt": whole(value),
        "tot_evlu_amt": total,
        "nass_amt": total,
        "fncg_gld_auto_rdpt_yn": "",
        "pchs_amt_smtl_amt": whole(cost),
        "evlu_amt_smtl_amt": whole(value),
        "evlu_pfls_smtl_amt": whole(value - cost),
        "asst_icdc_erng_rt": fixed(0, 8),
    }


def inquire_buying_power(desk: Desk, call: Call) -> Reply:
    """Cash and shares a buy may use; without a price the upper limit price is reckoned with."""
    view = desk.view(desk.account_no(call), KR)
    price = call.price("ORD_UNPR")
    symbol = short_code(call.text("PDNO"))
    venue = desk.venue(KR)
    quote = venue.quote(symbol) if venue and symbol else None
    if quote is not None and (price <= 0 or call.text("ORD_DVSN") == "01"):
        price = quote.upper_limit or quote.last
    cash = max(view.orderable, Decimal(0))
    on = venue.state().session if venue else desk.now.astimezone(KST).date()
    shares = str(affordable(cash, price, Market.KR, on)) if symbol else "0"
    zeros = alike(
        "ord_psbl_sbst ruse_psbl_amt fund_rpch_chgs cma_evlu_amt ovrs_re_use_amt_wcrc "
        "ord_psbl_frcr_amt_wcrc",
        "0",
    )
    return single(
        call,
        output={
            **zeros,
            "ord_psbl_cash": whole(cash),
            "psbl_qty_calc_unpr": whole(price),
            "nrcvb_buy_amt": whole(cash),
            "nrcvb_buy_qty": shares,
            "max_buy_amt": whole(cash),
            "max_buy_qty": shares,
        },
    )


def inquire_sellable(desk: Desk, call: Call) -> Reply:
    """Shares of one security that may be sold; an object of zeros when none are held."""
    view = desk.view(desk.account_no(call), KR)
    symbol = short_code(call.text("PDNO"))
    held = next((h for h in desk.holdings(view, KR) if h.instrument.symbol == symbol), None)
    quantity = held.quantity if held else 0
    average = held.average_price if held else Decimal(0)
    value = held.value if held else Decimal(0)
    cost = quantity * average
    return single(
        call,
        output={
            "pdno": symbol,
            "prdt_name": (held.instrument.name or symbol) if held else "",
            "buy_qty": str(held.bought_today if held else 0),
            "sll_qty": str(held.sold_today if held else 0),
            "cblc_qty": str(quantity),
            "nsvg_qty": "0",
            "ord_psbl_qty": str(held.sellable if held else 0),
            "pchs_avg_pric": fixed(average, 4),
            "pchs_amt": whole(cost),
            "now_pric": whole(held.last_price if held else 0),
            "evlu_amt": whole(value),
            "evlu_pfls_amt": whole(value - cost),
            "evlu_pfls_rt": fixed(ratio_pct(value - cost, cost), 2),
        },
    )
