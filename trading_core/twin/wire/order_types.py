"""The broker's order divisions (ORD_DVSN) and routes, and what the exchange makes of them.

A division that is not in a table is refused: after-hours and midpoint trading, the pre-market of
NXT, the evening market of KRX, odd lots and orders sliced by time or volume are not simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from trading_core.model.order import OrderType, Side
from trading_core.rules.calendar import Phase
from trading_core.twin.venue import Pricing, RefusalKind, TimeInForce, VenueOrder, VenueRefusal


class Route(StrEnum):
    """Where a domestic order is sent: the exchange, the second one, or the better of the two."""

    KRX = "KRX"
    NXT = "NXT"
    SOR = "SOR"

    @property
    def number(self) -> str:
        """The code of ``excg_dvsn_cd``; the broker's own orders by SOR were seen with 12."""
        return {Route.KRX: "02", Route.NXT: "11", Route.SOR: "12"}[self]


@dataclass(frozen=True, slots=True)
class Terms:
    """What an order division asks of the exchange; ``name`` is what the broker calls it."""

    name: str
    order_type: OrderType
    pricing: Pricing = Pricing.STATED
    time_in_force: TimeInForce = TimeInForce.DAY

    @property
    def needs_book(self) -> bool:
        """Whether the exchange sets the price, from the best of one side."""
        return self.pricing in (Pricing.BEST, Pricing.PRIORITY)

    @property
    def carries_price(self) -> bool:
        """Whether the customer states a limit price."""
        return self.order_type is OrderType.LIMIT and not self.needs_book

    def limit(self, price: Decimal) -> Decimal | None:
        """The limit an order goes out with. Raises :class:`VenueRefusal` for none where due."""
        if not self.carries_price:
            return None
        if price <= 0:
            raise VenueRefusal(RefusalKind.PRICE_INCREMENT, "a limit price must be above zero")
        return price


_L, _M = OrderType.LIMIT, OrderType.MARKET
_IOC, _FOK = TimeInForce.IOC, TimeInForce.FOK

DOMESTIC: Mapping[str, Terms] = {
    "00": Terms("지정가", _L),
    "01": Terms("시장가", _M),
    "02": Terms("조건부지정가", _L, Pricing.CONDITIONAL),
    "03": Terms("최유리지정가", _L, Pricing.BEST),
    "04": Terms("최우선지정가", _L, Pricing.PRIORITY),
    "11": Terms("IOC지정가", _L, time_in_force=_IOC),
    "12": Terms("FOK지정가", _L, time_in_force=_FOK),
    "13": Terms("IOC시장가", _M, time_in_force=_IOC),
    "14": Terms("FOK시장가", _M, time_in_force=_FOK),
    "15": Terms("IOC최유리", _L, Pricing.BEST, _IOC),
    "16": Terms("FOK최유리", _L, Pricing.BEST, _FOK),
    "22": Terms("스톱지정가", _L, Pricing.STOP),
}
OVERSEAS: Mapping[str, Terms] = {
    "00": Terms("지정가", _L),
    "31": Terms("MOO", _M, Pricing.AT_OPEN),
    "32": Terms("LOO", _L, Pricing.AT_OPEN),
    "33": Terms("MOC", _M, Pricing.AT_CLOSE),
    "34": Terms("LOC", _L, Pricing.AT_CLOSE),
}
_ROUTED: Mapping[Route, frozenset[str]] = {
    Route.KRX: frozenset(DOMESTIC),
    Route.NXT: frozenset(DOMESTIC) - {"01", "02"},
    Route.SOR: frozenset(DOMESTIC) - {"02", "22"},
}
_PAPER = frozenset({"00", "01", "02", "03", "04"})
_US: Mapping[Side, frozenset[str]] = {
    Side.BUY: frozenset({"00", "32", "34"}),
    Side.SELL: frozenset(OVERSEAS),
}
_FOREIGN = frozenset({"00"})


def domestic_terms(division: str, route: Route, *, paper: bool) -> Terms:
    """What ORD_DVSN means on a route. Raises :class:`VenueRefusal` where it is not offered."""
    if division not in _ROUTED[route] or (paper and division not in _PAPER):
        raise VenueRefusal(RefusalKind.NOT_SUPPORTED, f"ORD_DVSN {division!r} on {route}")
    return DOMESTIC[division]


def overseas_terms(division: str, side: Side, *, us: bool, paper: bool) -> Terms:
    """What ORD_DVSN means abroad; empty is a limit. Raises as :func:`domestic_terms`."""
    wanted = division or "00"
    offered = _US[side] if us and not paper else _FOREIGN
    if wanted not in offered:
        raise VenueRefusal(RefusalKind.NOT_SUPPORTED, f"ORD_DVSN {division!r} is not offered")
    return OVERSEAS[wanted]


def route_of(text: str, *, paper: bool) -> Route:
    """EXCG_ID_DVSN_CD as a route, KRX when empty. Raises :class:`VenueRefusal` for any other.

    The paper host has KRX only.
    """
    wanted = text.upper() or Route.KRX.value
    if wanted not in set(Route) or (paper and wanted != Route.KRX):
        raise VenueRefusal(RefusalKind.NOT_SUPPORTED, f"the route {text!r} is not offered")
    return Route(wanted)


def require_hours(route: Route, phase: Phase, *, paper: bool) -> None:
    """The route takes orders in this phase; what KRX itself refuses is left to the exchange.

    NXT has no auctions, and the paper host takes orders while the exchange is open only.
    """
    early = phase in (Phase.PRE_OPEN, Phase.OPENING_AUCTION)
    if early and (paper or route is Route.NXT):
        raise VenueRefusal(RefusalKind.BEFORE_OPEN, "not open yet")
    if route is Route.NXT and phase is Phase.CLOSING_AUCTION:
        raise VenueRefusal(RefusalKind.AFTER_CLOSE, "NXT is shut during the closing auction")


def _shape(terms: Terms) -> tuple[Pricing, TimeInForce, OrderType | None]:
    # A conditional order turns into a market order, so only a stated price tells its type.
    kind = terms.order_type if terms.pricing is Pricing.STATED else None
    return terms.pricing, terms.time_in_force, kind


_DIVISION_OF = {_shape(terms): division for division, terms in DOMESTIC.items()}


def division_of(row: VenueOrder) -> tuple[str, str]:
    """Code and name of the division a domestic row was ordered under."""
    kind = row.order_type if row.pricing is Pricing.STATED else None
    division = _DIVISION_OF.get((row.pricing, row.time_in_force, kind), "00")
    return division, DOMESTIC[division].name


def condition_of(row: VenueOrder) -> str:
    """``ccld_cndt_name``: none, IOC or FOK."""
    return {TimeInForce.DAY: "없음", _IOC: "IOC", _FOK: "FOK"}[row.time_in_force]
