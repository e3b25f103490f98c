"""Orders, modifies and cancels, domestic and overseas.

A success means that the exchange received the request; what becomes of it is in the order queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from trading_core.model.market import Market, MarketGroup
from trading_core.model.order import Side
from trading_core.rules.calendar import phase_at
from trading_core.twin.venue import (
    NewOrder,
    Pricing,
    RefusalKind,
    TimeInForce,
    Venue,
    VenueOrder,
    VenueRefusal,
)
from trading_core.twin.wire.codes import (
    BY_ORDER_CODE,
    CANCEL_ONLY,
    PENSION_PRODUCT,
    ExchangeCode,
    accepted_text,
    account_kind_error,
    account_number_error,
    decimals_error,
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
from trading_core.twin.wire.order_types import (
    Route,
    Terms,
    domestic_terms,
    overseas_terms,
    require_hours,
    route_of,
)

OVERSEAS_BRANCH = "01790"
# Ids from before the second exchange: they know no route.
OLD_IDS = frozenset({"TTC0802U", "TTC0801U", "TTC0803U"})


def domestic_order(desk: Desk, call: Call) -> Reply:
    """order-cash: any division of the route that the exchange can play.

    Raises:
        WireError: a field is malformed or the account is not known.
        VenueRefusal: the exchange does not take it.
    """
    account_no = _ordering_account(desk, call)
    route = _route(call)
    terms = domestic_terms(call.text("ORD_DVSN"), route, paper=call.paper)
    side, quantity = Side(call.variant), call.quantity("ORD_QTY")
    stop = terms.pricing is Pricing.STOP
    order = NewOrder(
        account_no,
        short_code(call.text("PDNO")),
        side,
        terms.order_type,
        quantity,
        terms.limit(call.price("ORD_UNPR")),
        pricing=terms.pricing,
        time_in_force=terms.time_in_force,
        trigger_price=_trigger(call) if stop else None,
        fate=call.fate,
    )
    venue = _venue(desk, MarketGroup.KR)
    require_hours(route, phase_at(venue.group, venue.now), paper=call.paper)
    row = _place(venue, order)
    desk.remember_route(row, route)
    return _accepted(call, row, side.value.lower(), branch_no(call))


def domestic_change(desk: Desk, call: Call) -> Reply:
    """order-rvsecncl: modify (``01``) or cancel (``02``) what remains of an order.

    The new row is on the original's route; naming another one finds no original.
    """
    account_no = _ordering_account(desk, call)
    route = _route(call)
    cancels = _is_cancel(call)
    whole_rest = call.text("QTY_ALL_ORD_YN").upper() == "Y"
    quantity = None if whole_rest else call.quantity("ORD_QTY")
    venue = _venue(desk, MarketGroup.KR)
    original = _order_no(call)
    if desk.route(venue.state().session, original) is not route:
        raise VenueRefusal(RefusalKind.ORIGINAL_NOT_FOUND, f"order {original} is not on {route}")
    if cancels:
        row = venue.cancel(account_no, original, quantity=quantity)
    else:
        terms = domestic_terms(call.text("ORD_DVSN"), route, paper=call.paper)
        _check_modify(terms, venue, account_no, original)
        price = terms.limit(call.price("ORD_UNPR"))
        row = venue.modify(account_no, original, limit_price=price, quantity=quantity)
    desk.remember_route(row, route)
    return _accepted(call, row, "cancel" if cancels else "modify", branch_no(call))


def _check_modify(terms: Terms, venue: Venue, account_no: str, original: int) -> None:
    """A modify states a limit or asks for the market; a conditional or stop order can stay one."""
    session = venue.state().session
    rows = venue.orders(account_no, start=session, end=session)
    pricing = next((row.pricing for row in rows if row.order_no == original), None)
    kept = terms.pricing is Pricing.STATED or pricing in (None, terms.pricing)
    if not kept or terms.needs_book or terms.time_in_force is not TimeInForce.DAY:
        raise VenueRefusal(RefusalKind.NOT_SUPPORTED, f"a modify cannot make a {terms.name}")


@dataclass(frozen=True, slots=True)
class _Abroad:
    """A checked overseas request: its account, venue and exchange."""

    account_no: str
    venue: Venue
    code: ExchangeCode


def _abroad(desk: Desk, call: Call, group_name: str, only: str) -> _Abroad:
    account_no = _ordering_account(desk, call)
    code = _exchange(call, MarketGroup(group_name), only)
    return _Abroad(account_no, _venue(desk, code.market.group), code)


def overseas_order(desk: Desk, call: Call) -> Reply:
    """order: an order at a foreign exchange; the TR says side and country."""
    side_name, group_name, only = call.variant.split("/")
    asked = _abroad(desk, call, group_name, only)
    side, us = Side(side_name), group_name == MarketGroup.US
    terms = overseas_terms(call.text("ORD_DVSN"), side, us=us, paper=call.paper)
    symbol, price = call.text("PDNO").upper(), _stated_price(call)
    _check_listing(asked.venue, symbol, asked.code.market)
    order = NewOrder(
        asked.account_no,
        symbol,
        side,
        terms.order_type,
        call.quantity("ORD_QTY"),
        terms.limit(price),
        pricing=terms.pricing,
        fate=call.fate,
    )
    _check_decimals(call, asked.code, order.limit_price)
    require_hours(Route.KRX, phase_at(asked.venue.group, asked.venue.now), paper=call.paper)
    row = _place(asked.venue, order)
    return _accepted(call, row, side.value.lower(), _overseas_branch(call))


def overseas_change(desk: Desk, call: Call) -> Reply:
    """order-rvsecncl overseas; a quantity of 0 means all that remains."""
    group_name, only = call.variant.split("/")
    asked = _abroad(desk, call, group_name, only)
    quantity = call.quantity("ORD_QTY") or None
    original, venue = _order_no(call), asked.venue
    if _is_cancel(call):
        row = venue.cancel(asked.account_no, original, quantity=quantity)
        return _accepted(call, row, "cancel", _overseas_branch(call))
    if asked.code.market.group in CANCEL_ONLY:
        raise VenueRefusal(RefusalKind.NOT_SUPPORTED, "orders there can only be cancelled")
    price = call.price("OVRS_ORD_UNPR")
    if price <= 0:
        raise VenueRefusal(RefusalKind.PRICE_INCREMENT, "a limit price must be above zero")
    _check_decimals(call, asked.code, price)
    row = venue.modify(asked.account_no, original, limit_price=price, quantity=quantity)
    return _accepted(call, row, "modify", _overseas_branch(call))


def daytime_order(desk: Desk, call: Call) -> Reply:
    """daytime-order and daytime-order-rvsecncl: the US day session, which no venue plays.

    Raises:
        WireError: a field is malformed or the account is not known.
        VenueRefusal: always; the market is shut at that hour of the exchange's day.
    """
    _ordering_account(desk, call)
    _exchange(call, MarketGroup.US, "")
    call.quantity("ORD_QTY")
    raise VenueRefusal(RefusalKind.BEFORE_OPEN, "the day session is not open")


def _ordering_account(desk: Desk, call: Call) -> str:
    """The account an order names, which must be of a kind that may order."""
    number, product = call.text("CANO"), call.text("ACNT_PRDT_CD")
    formed = len(number) == 8 and len(product) == 2 and (number + product).isdecimal()
    if not formed and not call.paper:
        raise account_number_error()
    account_no = desk.account_no(call)
    if product == PENSION_PRODUCT:
        raise account_kind_error()
    return account_no


def _venue(desk: Desk, group: MarketGroup) -> Venue:
    venue = desk.venue(group)
    if venue is None:
        raise VenueRefusal(RefusalKind.UNKNOWN_SYMBOL, f"no venue plays {group}")
    return venue


def _place(venue: Venue, order: NewOrder) -> VenueOrder:
    if order.quantity <= 0:
        raise VenueRefusal(RefusalKind.QUANTITY, "the quantity must be above zero")
    return venue.place(order)


def _route(call: Call) -> Route:
    if call.tr_id[1:] in OLD_IDS:
        return Route.KRX
    return route_of(call.text("EXCG_ID_DVSN_CD"), paper=call.paper)


def _trigger(call: Call) -> Decimal:
    if "CNDT_PRIC" not in call.params:
        raise input_error("ERROR INPUT FIELD NOT FOUND [CNDT_PRIC]")
    price = call.price("CNDT_PRIC")
    if price <= 0:
        raise VenueRefusal(RefusalKind.PRICE_INCREMENT, "a trigger price must be above zero")
    return price


def _stated_price(call: Call) -> Decimal:
    """OVRS_ORD_UNPR, which is ``0`` and never empty for an order without a price."""
    if not call.text("OVRS_ORD_UNPR"):
        raise input_error("ERROR : INPUT INVALID_CHECK_OVRS_ORD_UNPR")
    return call.price("OVRS_ORD_UNPR")


def _check_decimals(call: Call, code: ExchangeCode, price: Decimal | None) -> None:
    """More decimals than the market's prices have are no price at all on the real host."""
    if price is None or call.paper:
        return
    allowed = code.decimals
    if code.market.group is MarketGroup.US:
        allowed = 2 if price >= 1 else 4
    if price != round(price, allowed):
        raise decimals_error()


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
