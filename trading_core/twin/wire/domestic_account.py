"""The domestic account: balance and buying power, in won."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.order import Side
from trading_core.twin.venue import AccountView, Venue, VenueHolding
from trading_core.twin.wire.desk import Desk, affordable, opens_on
from trading_core.twin.wire.domestic_quotes import short_code
from trading_core.twin.wire.envelope import (
    KST,
    Call,
    Reply,
    alike,
    fixed,
    input_error,
    ratio_pct,
    whole,
)
from trading_core.twin.wire.order_types import DOMESTIC
from trading_core.twin.wire.paging import paged, single

KR = MarketGroup.KR
# Sessions before today whose sales are still on their way, the one that settles today included.
SETTLING_SESSIONS = 2


@dataclass(slots=True)
class _Traded:
    """Shares of one security bought and sold in the session before, and when last sold."""

    instrument: Instrument
    bought: int = 0
    sold: int = 0
    sold_on: date | None = None


def inquire_balance(desk: Desk, call: Call) -> Reply:
    """Holdings by symbol, and one row of cash: today, next day and when all has settled.

    What was sold out stays, with a quantity of zero, until the sale has settled.
    """
    if call.text("AFHR_FLPR_YN").upper() not in ("", "N", "Y", "X"):
        raise input_error("ERROR : INPUT INVALID_CHECK_AFHR_FLPR_YN")
    account_no = desk.account_no(call)
    view = desk.view(account_no, KR)
    holdings = desk.holdings(view, KR)
    venue = desk.venue(KR)
    traded = _traded_before(venue, account_no) if venue else {}
    if venue is not None:
        holdings = _with_sold_out(venue, holdings, traded)
    changes = {}
    for holding in holdings:
        quote = venue.quote(holding.instrument.symbol) if venue else None
        changes[holding.instrument.symbol] = quote.previous_close if quote else Decimal(0)

    def row(holding: VenueHolding) -> dict[str, str]:
        symbol = holding.instrument.symbol
        return _holding_row(holding, changes[symbol], traded.get(symbol))

    return paged(
        call,
        holdings,
        lambda holding: holding.instrument.symbol,
        row,
        width=100,
        conditions=(call.text("CANO"), call.text("ACNT_PRDT_CD"), call.text("INQR_DVSN")),
        output2=[_balance_total(view, holdings)],
    )


def _traded_before(venue: Venue, account_no: str) -> dict[str, _Traded]:
    """By symbol, of the sessions whose trades have not settled or have settled today."""
    session = venue.state().session
    past = [day for day in _days_before(session) if opens_on(venue, day)][:SETTLING_SESSIONS]
    found: dict[str, _Traded] = {}
    if not past or not any(spec.account_no == account_no for spec in venue.accounts()):
        return found
    for fill in reversed(venue.fills(account_no)):
        day = fill.at.astimezone(KST).date()
        if day < past[-1]:
            break
        traded = found.setdefault(fill.instrument.symbol, _Traded(fill.instrument))
        if fill.side is Side.SELL:
            traded.sold_on = traded.sold_on or day
        if day == past[0]:
            traded.bought += fill.quantity if fill.side is Side.BUY else 0
            traded.sold += fill.quantity if fill.side is Side.SELL else 0
    return found


def _days_before(session: date) -> list[date]:
    return [session - timedelta(days=back) for back in range(1, 15)]


def _with_sold_out(
    venue: Venue, holdings: list[VenueHolding], traded: dict[str, _Traded]
) -> list[VenueHolding]:
    held = {holding.instrument.symbol for holding in holdings}
    gone = []
    for symbol, item in traded.items():
        if item.sold_on is None or symbol in held:
            continue
        quote = venue.quote(symbol)
        last = quote.last if quote else Decimal(0)
        gone.append(VenueHolding(item.instrument, 0, 0, Decimal(0), last, 0, 0))
    return sorted([*holdings, *gone], key=lambda holding: holding.instrument.symbol)


def _holding_row(
    holding: VenueHolding, previous_close: Decimal, traded: _Traded | None
) -> dict[str, str]:
    cost = holding.quantity * holding.average_price
    gain = holding.value - cost
    change = holding.last_price - previous_close if previous_close else Decimal(0)
    return {
        "pdno": holding.instrument.symbol,
        "prdt_name": holding.instrument.name or holding.instrument.symbol,
        "trad_dvsn_name": "현금",
        "bfdy_buy_qty": str(traded.bought if traded else 0),
        "bfdy_sll_qty": str(traded.sold if traded else 0),
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
    terms = DOMESTIC.get(call.text("ORD_DVSN"))
    if quote is not None and (price <= 0 or (terms is not None and not terms.carries_price)):
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
