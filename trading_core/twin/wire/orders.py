"""Orders, modifies and cancels, domestic and overseas.

A success means that the exchange received the request; what becomes of it is in the order queries.
"""

from __future__ import annotations

from decimal import Decimal

from trading_core.model.market import Market, MarketGroup
from trading_core.model.order import OrderType, Side
from trading_core.twin.venue import NewOrder, RefusalKind, Venue, VenueOrder, VenueRefusal
from trading_core.twin.wire.codes import (
    BY_ORDER_CODE,
    CANCEL_ONLY,
    ExchangeCode,
    accepted_text,
)
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.domestic_orders import PAPER_BRANCH, branch_no
from trading_core.twin.wire.domestic_quotes import short_code
from trading_core.twin.wire.envelope import (
    MESSAGE_WIDTH,
    Call,
    Reply,
    input_error,
    time_text,
)

OVERSEAS_BRANCH = "01790"
_DOMESTIC_TYPES = {"00": OrderType.LIMIT, "01": OrderType.MARKET}


def domestic_order(desk: Desk, call: Call) -> Reply:
    """order-cash: a limit (``00``) or market (``01``) order at KRX.

    Raises:
        WireError: a field is malformed or the account is not known.
        VenueRefusal: the exchange does not take it.
    """
    account_no = desk.account_no(call)
    side = Side(call.variant)
    _check_route(call)
    order_type = _domestic_type(call)
    quantity, price = call.quantity("ORD_QTY"), call.price("ORD_UNPR")
    order = NewOrder(
        account_no,
        short_code(call.text("PDNO")),
        side,
        order_type,
        quantity,
        price if order_type is OrderType.LIMIT else None,
    )
    row = _place(_venue(desk, MarketGroup.KR), order)
    return _accepted(call, row, side.value.lower(), branch_no(call))


def domestic_change(desk: Desk, call: Call) -> Reply:
    """order-rvsecncl: modify (``01``) or cancel (``02``) what remains of an order."""
    account_no = desk.account_no(call)
    _check_route(call)
    whole_rest = call.text("QTY_ALL_ORD_YN").upper() == "Y"
    quantity = None if whole_rest else call.quantity("ORD_QTY")
    original = _order_no(call)
    venue = _venue(desk, MarketGroup.KR)
    if _is_cancel(call):
        row = venue.cancel(account_no, original, quantity=quantity)
        return _accepted(call, row, "cancel", branch_no(call))
    limited = _domestic_type(call) is OrderType.LIMIT
    price = call.price("ORD_UNPR") if limited else None
    row = venue.modify(account_no, original, limit_price=_positive(price), quantity=quantity)
    return _accepted(call, row, "modify", branch_no(call))


def overseas_order(desk: Desk, call: Call) -> Reply:
    """order: a limit order at a foreign exchange; the TR says side and country."""
    account_no = desk.account_no(call)
    side_name, group_name, only = call.variant.split("/")
    code = _exchange(call, MarketGroup(group_name), only)
    if call.text("ORD_DVSN") not in ("", "00"):
        raise VenueRefusal(RefusalKind.NOT_SUPPORTED, "only limit orders are played overseas")
    venue = _venue(desk, code.market.group)
    symbol = call.text("PDNO").upper()
    _check_listing(venue, symbol, code.market)
    side = Side(side_name)
    quantity, price = call.quantity("ORD_QTY"), call.price("OVRS_ORD_UNPR")
    row = _place(venue, NewOrder(account_no, symbol, side, OrderType.LIMIT, quantity, price))
    return _accepted(call, row, side.value.lower(), _overseas_branch(call))


def overseas_change(desk: Desk, call: Call) -> Reply:
    """order-rvsecncl overseas; a quantity of 0 means all that remains."""
    account_no = desk.account_no(call)
    group_name, only = call.variant.split("/")
    code = _exchange(call, MarketGroup(group_name), only)
    quantity = call.quantity("ORD_QTY") or None
    original = _order_no(call)
    venue = _venue(desk, code.market.group)
    if _is_cancel(call):
        row = venue.cancel(account_no, original, quantity=quantity)
        return _accepted(call, row, "cancel", _overseas_branch(call))
    if code.market.group in CANCEL_ONLY:
        raise VenueRefusal(RefusalKind.NOT_SUPPORTED, "orders there can only be cancelled")
    price = _positive(call.price("OVRS_ORD_UNPR"))
    row = venue.modify(account_no, original, limit_price=price, quantity=quantity)
    return _accepted(call, row, "modify", _overseas_branch(call))


def _venue(desk: Desk, group: MarketGroup) -> Venue:
    venue = desk.venue(group)
    if venue is None:
        raise VenueRefusal(RefusalKind.UNKNOWN_SYMBOL, f"no venue plays {group}")
    return venue


def _place(venue: Venue, order: NewOrder) -> VenueOrder:
    if order.quantity <= 0:
        raise VenueRefusal(RefusalKind.QUANTITY, "the quantity must be above zero")
    _positive(order.limit_price)
    return venue.place(order)


def _positive(price: Decimal | None) -> Decimal | None:
    if price is not None and price <= 0:
        raise VenueRefusal(RefusalKind.PRICE_INCREMENT, "a limit price must be above zero")
    return price


def _domestic_type(call: Call) -> OrderType:
    order_type = _DOMESTIC_TYPES.get(call.text("ORD_DVSN"))
    if order_type is None:
        raise VenueRefusal(RefusalKind.NOT_SUPPORTED, "only limit and market orders are played")
    return order_type


def _check_route(call: Call) -> None:
    routes = ("", "KRX") if call.paper else ("", "KRX", "SOR")
    if call.text("EXCG_ID_DVSN_CD").upper() not in routes:
        raise VenueRefusal(RefusalKind.NOT_SUPPORTED, "only KRX is played")


def _is_cancel(call: Call) -> bool:
    kind = call.text("RVSE_CNCL_DVSN_CD")
    if kind not in ("01", "02"):
        raise input_error("ERROR : INPUT INVALID_CHECK_RVSE_CNCL_DVSN_CD")
    return kind == "02"


def _order_no(call: Call) -> int:
    return call.quantity("ORGN_ODNO")


def _exchange(call: Call, group: MarketGroup, only: str) -> ExchangeCode:
    code = BY_ORDER_CODE.get(call.text("OVRS_EXCG_CD").upper())
    if code is None or code.market.group is not group or (only and code.order_code != only):
        raise input_error("ERROR : INPUT INVALID_CHECK_OVRS_EXCG_CD")
    return code


def _check_listing(venue: Venue, symbol: str, market: Market) -> None:
    instrument = venue.instrument(symbol)
    if instrument is None or instrument.market is not market:
        raise VenueRefusal(RefusalKind.UNKNOWN_SYMBOL, f"{symbol} is not listed there")


def _overseas_branch(call: Call) -> str:
    return PAPER_BRANCH if call.paper else OVERSEAS_BRANCH


def _accepted(call: Call, row: VenueOrder, what: str, branch: str) -> Reply:
    code, text = accepted_text(what, paper=call.paper)
    return Reply(
        {
            "rt_cd": "0",
            "msg_cd": code,
            "msg1": text.ljust(MESSAGE_WIDTH),
            "output": {
                "KRX_FWDG_ORD_ORGNO": branch,
                "ODNO": f"{row.order_no:010d}",
                "ORD_TMD": time_text(row.ordered_at),
            },
        }
    )
