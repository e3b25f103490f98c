"""Where an order goes: TR id, path, venue and order-kind code, by mode, market, side and hour.

A combination that is in no table is refused here with the reason, before anything is sent.
Sources: the portal's request sheets (September 2026), which also brought the Korean after-market
and the NXT pre-market codes used here. The old ids (``TTTC0802U``, ``JTTT1002U`` ...) are not
used: they may be closed without notice. The paper id of a US sell, ``VTTT1001U``, is irregular.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trading_core.adapters.kis.tr_table import DOMESTIC, OVERSEAS, Personality
from trading_core.adapters.kis.windows import Window
from trading_core.errors import NotOffered
from trading_core.model.market import Market, MarketGroup
from trading_core.model.order import OrderType, Side
from trading_core.rules.markets import market_info

DomesticVenue: TypeAlias = Literal["KRX", "NXT", "SOR"]
Kinds: TypeAlias = Mapping[OrderType, str]
RouteKey: TypeAlias = tuple[Personality, Market, Side, Window, str]

DOMESTIC_VENUES: tuple[DomesticVenue, ...] = ("KRX", "NXT", "SOR")
_MODES: tuple[Personality, ...] = ("real", "paper")
_W = Window

# Limit and market orders by their ORD_DVSN.
_LIMIT: Kinds = {OrderType.LIMIT: "00"}
_BOTH: Kinds = {OrderType.LIMIT: "00", OrderType.MARKET: "01"}
_AFTER_MARKET: Kinds = {OrderType.LIMIT: "41"}
_NXT_PRE_MARKET: Kinds = {OrderType.LIMIT: "27"}

_KOREA: Mapping[tuple[Personality, DomesticVenue], Mapping[Window, Kinds]] = {
    ("real", "KRX"): {
        _W.OPENING_AUCTION: _BOTH,
        _W.CONTINUOUS: _BOTH,
        _W.CLOSING_AUCTION: _BOTH,
        _W.AFTER_MARKET: _AFTER_MARKET,
    },
    ("real", "NXT"): {
        _W.PRE_MARKET: _NXT_PRE_MARKET,
        _W.CONTINUOUS: _LIMIT,
        _W.AFTER_MARKET: _LIMIT,
    },
    ("real", "SOR"): {
        _W.OPENING_AUCTION: _BOTH,
        _W.CONTINUOUS: _BOTH,
        _W.CLOSING_AUCTION: _BOTH,
    },
    ("paper", "KRX"): {_W.CONTINUOUS: _BOTH, _W.CLOSING_AUCTION: _BOTH},
}

_IN_SESSION = (_W.CONTINUOUS, _W.CLOSING_AUCTION)
# Tokyo takes orders in its break and keeps them; the other exchanges take none.
_ABROAD: Mapping[MarketGroup, tuple[Window, ...]] = {
    MarketGroup.US: (_W.PRE_MARKET, _W.CONTINUOUS, _W.AFTER_MARKET, _W.DAY_SESSION),
    MarketGroup.JP: (_W.OPENING_AUCTION, _W.LUNCH, *_IN_SESSION),
    MarketGroup.HK: (_W.OPENING_AUCTION, *_IN_SESSION),
    MarketGroup.CN: (_W.OPENING_AUCTION, *_IN_SESSION),
    MarketGroup.VN: (_W.OPENING_AUCTION, *_IN_SESSION),
}
_ON_PAPER = (_W.CONTINUOUS, _W.LUNCH, _W.CLOSING_AUCTION)

_US = MarketGroup.US.markets
_VN = MarketGroup.VN.markets
# Buy, sell, and the one for modifying and cancelling; the paper id has V for its first letter.
_TR_IDS: Mapping[tuple[Market, ...], tuple[str, str, str]] = {
    (Market.KR,): ("TTTC0012U", "TTTC0011U", "TTTC0013U"),
    _US: ("TTTT1002U", "TTTT1006U", "TTTT1004U"),
    (Market.HK,): ("TTTS1002U", "TTTS1001U", "TTTS1003U"),
    (Market.CN_SHA,): ("TTTS0202U", "TTTS1005U", "TTTS0302U"),
    (Market.CN_SZA,): ("TTTS0305U", "TTTS0304U", "TTTS0306U"),
    (Market.JP,): ("TTTS0308U", "TTTS0307U", "TTTS0309U"),
    _VN: ("TTTS0311U", "TTTS0310U", "TTTS0312U"),
}
_IRREGULAR = {("paper", "TTTT1006U"): "VTTT1001U"}
_DAY_SESSION = {Side.BUY: "TTTS6036U", Side.SELL: "TTTS6037U"}
_DAY_SESSION_CHANGE = "TTTS6038U"
_CANCEL_ONLY = frozenset({MarketGroup.CN, MarketGroup.VN})


@dataclass(frozen=True, slots=True)
class Route:
    """``venue`` is the EXCG_ID_DVSN_CD at home, the OVRS_EXCG_CD abroad; ``kinds`` the ORD_DVSN."""

    path: str
    tr_id: str
    venue: str
    kinds: Kinds


def _tr_id(mode: Personality, real: str) -> str:
    return real if mode == "real" else _IRREGULAR.get((mode, real), "V" + real[1:])


def _root(market: Market) -> str:
    return f"{DOMESTIC if market is Market.KR else OVERSEAS}/trading"


def _ids(market: Market) -> tuple[str, str, str]:
    return next(ids for markets, ids in _TR_IDS.items() if market in markets)


def _domestic_routes() -> dict[RouteKey, Route]:
    buy, sell, _ = _ids(Market.KR)
    return {
        (mode, Market.KR, side, window, venue): Route(
            f"{_root(Market.KR)}/order-cash", _tr_id(mode, real), venue, kinds
        )
        for (mode, venue), windows in _KOREA.items()
        for window, kinds in windows.items()
        for side, real in ((Side.BUY, buy), (Side.SELL, sell))
    }


def _overseas_routes() -> dict[RouteKey, Route]:
    found: dict[RouteKey, Route] = {}
    for group, windows in _ABROAD.items():
        for mode in _MODES:
            offered = windows if mode == "real" else [w for w in windows if w in _ON_PAPER]
            for market in group.markets:
                venue = market_info(market).order_code
                buy, sell, _ = _ids(market)
                for window in offered:
                    for side, real in ((Side.BUY, buy), (Side.SELL, sell)):
                        path, tr_id = f"{_root(market)}/order", _tr_id(mode, real)
                        if window is _W.DAY_SESSION:
                            path, tr_id = f"{_root(market)}/daytime-order", _DAY_SESSION[side]
                        found[mode, market, side, window, venue] = Route(path, tr_id, venue, _LIMIT)
    return found


ROUTES: Mapping[RouteKey, Route] = {**_domestic_routes(), **_overseas_routes()}
"""Every combination in which the broker takes an order."""


def order_route(
    mode: Personality, market: Market, side: Side, kind: OrderType, window: Window, venue: str
) -> Route:
    """How a new order travels.

    Raises:
        NotOffered: no such order is taken there then; the message says which part is missing.
    """
    route = ROUTES.get((mode, market, side, window, venue))
    if route is not None and kind in route.kinds:
        return route
    if route is not None:
        raise NotOffered(
            f"no {kind} orders in {market} at {venue} {window.when} on the {mode} host; "
            "use a limit order"
        )
    if not any(key[0] == mode and key[4] == venue for key in ROUTES):
        raise NotOffered(f"the {mode} host sends no orders of {market} to {venue}")
    raise NotOffered(f"{venue} takes no {kind} orders in {market} {window.when} ({mode} host)")


def change_route(
    mode: Personality, market: Market, *, cancel: bool, day_session: bool = False
) -> tuple[str, str]:
    """Path and TR id of a cancel or modify; ``day_session`` is about where the order was placed.

    Raises:
        NotOffered: orders there can only be cancelled.
    """
    if not cancel and market.group in _CANCEL_ONLY:
        raise NotOffered(f"no modifying of orders in {market} on the {mode} host; cancel instead")
    if day_session and mode == "real" and market.group is MarketGroup.US:
        return f"{_root(market)}/daytime-order-rvsecncl", _DAY_SESSION_CHANGE
    return f"{_root(market)}/order-rvsecncl", _tr_id(mode, _ids(market)[2])
