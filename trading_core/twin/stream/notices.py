"""Records of the order notices: what became of an order, told to the account's owner.

A notice is about the order (``CNTG_YN`` 1: taken, confirmed, refused, taken out) or about an
execution (2). In the first case the quantity field holds the order's quantity, and ``ODER_QTY`` of
a foreign notice is empty; in the second it holds the execution's. Numbers are padded with zeros,
and a foreign price has as many decimals as its market, without the point.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from trading_core.model.market import Market
from trading_core.model.order import NoticeKind, OrderType
from trading_core.twin.stream.domestic import Record
from trading_core.twin.venue import Pricing, RowKind, TimeInForce, VenueNotice, VenueOrder
from trading_core.twin.wire.codes import SIDE_CODES
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.domestic_orders import PAPER_BRANCH, REAL_BRANCH
from trading_core.twin.wire.envelope import time_text
from trading_core.twin.wire.order_types import Route, division_of
from trading_core.twin.wire.orders import OVERSEAS_BRANCH

# The market's letter in a foreign notice, and the decimals of its prices there.
NOTICE_MARKETS: Mapping[Market, tuple[str, int]] = {
    Market.US_NASDAQ: ("6", 4),
    Market.US_NYSE: ("7", 4),
    Market.US_AMEX: ("8", 4),
    Market.HK: ("4", 3),
    Market.CN_SHA: ("A", 3),
    Market.CN_SZA: ("B", 3),
    Market.JP: ("D", 1),
    Market.VN_HNX: ("E", 0),
    Market.VN_HSX: ("F", 0),
}
_CHANGES = {RowKind.NEW: "0", RowKind.MODIFY: "1", RowKind.CANCEL: "2"}
_CONDITIONS = {TimeInForce.DAY: "0", TimeInForce.IOC: "1", TimeInForce.FOK: "2"}
_ROUTES = {Route.KRX: "1", Route.NXT: "2", Route.SOR: "3"}
_TAKEN = {
    NoticeKind.ACCEPTED: "1",
    NoticeKind.REJECTED: "1",
    NoticeKind.CONFIRMED: "2",
    NoticeKind.FILLED: "2",
    NoticeKind.EXPIRED: "3",
}
_FOREIGN_KINDS = {
    (OrderType.MARKET, Pricing.AT_OPEN): "A",
    (OrderType.LIMIT, Pricing.AT_OPEN): "B",
    (OrderType.MARKET, Pricing.AT_CLOSE): "C",
    (OrderType.LIMIT, Pricing.AT_CLOSE): "D",
}
_OWNER = "투자자"


def digits_of(account_no: str) -> str:
    """The ten digits of an account; product 01 when only eight are told."""
    digits = account_no.replace("-", "")
    return f"{digits}01" if len(digits) == 8 else digits


def concerns(tr_key: str, account_no: str, accounts: Iterable[str]) -> bool:
    """Whether a subscriber hears of ``account_no``, one of ``accounts``.

    An id that is the number of an account (all digits, or the first eight) hears of that one only.
    Any other id is taken for the login of somebody who owns them all.
    """
    wanted = tr_key.replace("-", "")
    own = [no for no in accounts if wanted in (digits_of(no), digits_of(no)[:8])]
    return not own or account_no in own


def record(notice: VenueNotice, desk: Desk, cust_id: str) -> Record:
    """H0STCNI0 or H0GSCNI0, by the market of the order's security."""
    if notice.order.instrument.market is Market.KR:
        return _domestic(notice, desk, cust_id)
    return _foreign(notice, desk, cust_id)


def implied(price: Decimal | None, decimals: int, width: int = 9) -> str:
    """A price without its point: 148.01 with four decimals is ``001480100``; none is zeros."""
    return f"{int((price or Decimal(0)).scaleb(decimals)):0{width}d}"


def _common(notice: VenueNotice, cust_id: str) -> Record:
    order = notice.order
    executed = notice.kind is NoticeKind.FILLED
    return {
        "CUST_ID": cust_id,
        "ACNT_NO": digits_of(order.account_no),
        "ODER_NO": f"{order.order_no:010d}",
        "OODER_NO": f"{order.original_no:010d}" if order.original_no else "",
        "SELN_BYOV_CLS": SIDE_CODES[order.side],
        # An execution is neither a modify nor a cancel, whatever order it belongs to.
        "RCTF_CLS": "0" if executed else _CHANGES[order.kind],
        "STCK_SHRN_ISCD": order.instrument.symbol,
        "CNTG_QTY": f"{notice.quantity:010d}",
        "STCK_CNTG_HOUR": time_text(notice.at),
        "RFUS_YN": "1" if notice.kind is NoticeKind.REJECTED else "0",
        "CNTG_YN": "2" if executed else "1",
        "ACPT_YN": _TAKEN[notice.kind],
        "ODER_QTY": f"{order.quantity:09d}" if executed else "",
        "ACNT_NAME": _OWNER,
        "CNTG_ISNM": _name(order),
    }


def _domestic(notice: VenueNotice, desk: Desk, cust_id: str) -> Record:
    order = notice.order
    return _common(notice, cust_id) | {
        "ODER_KIND": division_of(order)[0],
        "ODER_COND": _CONDITIONS[order.time_in_force],
        "ODER_QTY": f"{order.quantity:09d}",
        "CNTG_UNPR": implied(notice.price, 0),
        "BRNC_NO": PAPER_BRANCH if desk.paper else REAL_BRANCH,
        "ORD_COND_PRC": implied(order.trigger_price, 0),
        "ORD_EXG_GB": _ROUTES[desk.route(order.session, order.order_no)],
        "POPUP_YN": "N",
        "FILLER": "",
        "CRDT_CLS": "00",
        "CRDT_LOAN_DATE": "",
        "CNTG_ISNM40": _name(order),
        "ODER_PRC": implied(order.limit_price, 0),
    }


def _foreign(notice: VenueNotice, desk: Desk, cust_id: str) -> Record:
    order = notice.order
    letter, decimals = NOTICE_MARKETS[order.instrument.market]
    plain = "1" if order.order_type is OrderType.MARKET else "2"
    return _common(notice, cust_id) | {
        "ODER_KIND2": _FOREIGN_KINDS.get((order.order_type, order.pricing), plain),
        "CNTG_UNPR": implied(notice.price, decimals),
        "BRNC_NO": PAPER_BRANCH if desk.paper else OVERSEAS_BRANCH,
        "ODER_COND": letter,
        "DEBT_GB": "10",
        "DEBT_DATE": "",
        "START_TM": "",
        "END_TM": "",
        "TM_DIV_TP": "",
        "CNTG_UNPR12": implied(notice.price, decimals, 12),
    }


def _name(order: VenueOrder) -> str:
    return order.instrument.name or order.instrument.symbol
