"""Every request of the broker we use: path and TR id by mode, market and side.

A pair that is in no table is refused here, before anything is sent. Sources: the portal's request
sheets (September 2026). The old ids (``TTTC0802U``, ``JTTT1002U`` ...) are not used: they may be
closed without notice. The paper id of a US sell, ``VTTT1001U``, is irregular on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from trading_core.errors import NotOffered
from trading_core.model.market import Market
from trading_core.model.order import Side

Personality: TypeAlias = Literal["real", "paper"]

_US = (Market.US_NASDAQ, Market.US_NYSE, Market.US_AMEX)
_VN = (Market.VN_HNX, Market.VN_HSX)
_MODES: tuple[Personality, ...] = ("real", "paper")

_DOMESTIC = "/uapi/domestic-stock/v1"
_OVERSEAS = "/uapi/overseas-stock/v1"
_OVERSEAS_PRICE = "/uapi/overseas-price/v1"


def _both(
    markets: tuple[Market, ...], side: Side, real: str, paper: str = ""
) -> dict[tuple[Personality, Market, Side], str]:
    ids = {"real": real, "paper": paper or "V" + real[1:]}
    return {(mode, market, side): ids[mode] for mode in _MODES for market in markets}


ORDER_TR: Mapping[tuple[Personality, Market, Side], str] = {
    **_both((Market.KR,), Side.BUY, "TTTC0012U"),
    **_both((Market.KR,), Side.SELL, "TTTC0011U"),
    **_both(_US, Side.BUY, "TTTT1002U"),
    **_both(_US, Side.SELL, "TTTT1006U", "VTTT1001U"),
    **_both((Market.HK,), Side.BUY, "TTTS1002U"),
    **_both((Market.HK,), Side.SELL, "TTTS1001U"),
    **_both((Market.CN_SHA,), Side.BUY, "TTTS0202U"),
    **_both((Market.CN_SHA,), Side.SELL, "TTTS1005U"),
    **_both((Market.CN_SZA,), Side.BUY, "TTTS0305U"),
    **_both((Market.CN_SZA,), Side.SELL, "TTTS0304U"),
    **_both((Market.JP,), Side.BUY, "TTTS0308U"),
    **_both((Market.JP,), Side.SELL, "TTTS0307U"),
    **_both(_VN, Side.BUY, "TTTS0311U"),
    **_both(_VN, Side.SELL, "TTTS0310U"),
}

CANCEL_TR: Mapping[tuple[Personality, Market], str] = {
    (mode, market): real if mode == "real" else "V" + real[1:]
    for mode in _MODES
    for markets, real in (
        ((Market.KR,), "TTTC0013U"),
        (_US, "TTTT1004U"),
        ((Market.HK,), "TTTS1003U"),
        ((Market.JP,), "TTTS0309U"),
        ((Market.CN_SHA,), "TTTS0302U"),
        ((Market.CN_SZA,), "TTTS0306U"),
        (_VN, "TTTS0312U"),
    )
    for market in markets
}

# Shanghai, Shenzhen and Vietnam can only cancel.
MODIFY_TR: Mapping[tuple[Personality, Market], str] = {
    (mode, market): tr_id
    for (mode, market), tr_id in CANCEL_TR.items()
    if market in (Market.KR, Market.HK, Market.JP, *_US)
}

MARKET_ORDERS = frozenset({("real", Market.KR), ("paper", Market.KR)})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A query: its path, its TR id on each host (empty: not offered) and its cursor's suffix."""

    path: str
    real: str
    paper: str
    cursor: str | None = None


class Query(Enum):
    """Every query we send."""

    KR_PRICE = Endpoint(f"{_DOMESTIC}/quotations/inquire-price", "FHKST01010100", "FHKST01010100")
    KR_BOOK = Endpoint(
        f"{_DOMESTIC}/quotations/inquire-asking-price-exp-ccn", "FHKST01010200", "FHKST01010200"
    )
    KR_DAILY = Endpoint(
        f"{_DOMESTIC}/quotations/inquire-daily-itemchartprice", "FHKST03010100", "FHKST03010100"
    )
    KR_MINUTES = Endpoint(
        f"{_DOMESTIC}/quotations/inquire-time-itemchartprice", "FHKST03010200", "FHKST03010200"
    )
    KR_PAST_MINUTES = Endpoint(
        f"{_DOMESTIC}/quotations/inquire-time-dailychartprice", "FHKST03010230", ""
    )
    KR_VOLUME_RANK = Endpoint(f"{_DOMESTIC}/quotations/volume-rank", "FHPST01710000", "")
    KR_FLUCTUATION = Endpoint(f"{_DOMESTIC}/ranking/fluctuation", "FHPST01700000", "")
    KR_HOLIDAYS = Endpoint(f"{_DOMESTIC}/quotations/chk-holiday", "CTCA0903R", "", "")
    KR_BALANCE = Endpoint(f"{_DOMESTIC}/trading/inquire-balance", "TTTC8434R", "VTTC8434R", "100")
    KR_BUYING_POWER = Endpoint(f"{_DOMESTIC}/trading/inquire-psbl-order", "TTTC8908R", "VTTC8908R")
    KR_ORDERS = Endpoint(f"{_DOMESTIC}/trading/inquire-daily-ccld", "TTTC0081R", "VTTC0081R", "100")
    KR_OLD_ORDERS = Endpoint(
        f"{_DOMESTIC}/trading/inquire-daily-ccld", "CTSC9215R", "VTSC9215R", "100"
    )
    PRICE = Endpoint(f"{_OVERSEAS_PRICE}/quotations/price", "HHDFS00000300", "HHDFS00000300")
    PRICE_DETAIL = Endpoint(f"{_OVERSEAS_PRICE}/quotations/price-detail", "HHDFS76200200", "")
    BOOK = Endpoint(f"{_OVERSEAS_PRICE}/quotations/inquire-asking-price", "HHDFS76200100", "")
    DAILY = Endpoint(f"{_OVERSEAS_PRICE}/quotations/dailyprice", "HHDFS76240000", "HHDFS76240000")
    MINUTES = Endpoint(
        f"{_OVERSEAS_PRICE}/quotations/inquire-time-itemchartprice", "HHDFS76950200", ""
    )
    FLUCTUATION = Endpoint(f"{_OVERSEAS}/ranking/updown-rate", "HHDFS76290000", "")
    VOLUME_RANK = Endpoint(f"{_OVERSEAS}/ranking/trade-vol", "HHDFS76310010", "")
    HOLIDAYS = Endpoint(f"{_OVERSEAS}/quotations/countries-holiday", "CTOS5011R", "", "")
    BALANCE = Endpoint(f"{_OVERSEAS}/trading/inquire-balance", "TTTS3012R", "VTTS3012R", "200")
    MARGIN = Endpoint(f"{_OVERSEAS}/trading/foreign-margin", "TTTC2101R", "")
    BUYING_POWER = Endpoint(f"{_OVERSEAS}/trading/inquire-psamount", "TTTS3007R", "VTTS3007R")
    ORDERS = Endpoint(f"{_OVERSEAS}/trading/inquire-ccnl", "TTTS3035R", "VTTS3035R", "200")


def order_path(market: Market) -> str:
    """Where new orders of a market are posted."""
    return (
        f"{_DOMESTIC}/trading/order-cash" if market is Market.KR else f"{_OVERSEAS}/trading/order"
    )


def revise_path(market: Market) -> str:
    """Where modifies and cancels of a market are posted."""
    return f"{_DOMESTIC if market is Market.KR else _OVERSEAS}/trading/order-rvsecncl"


def order_tr(mode: Personality, market: Market, side: Side) -> str:
    """The TR id of a new order. Raises ``NotOffered`` naming the pair when there is none."""
    tr_id = ORDER_TR.get((mode, market, side))
    if tr_id is None:
        raise NotOffered(f"no {side} orders in {market} on the {mode} host")
    return tr_id


def revise_tr(mode: Personality, market: Market, *, cancel: bool) -> str:
    """The TR id of a cancel or modify. Raises ``NotOffered`` naming the pair."""
    tr_id = (CANCEL_TR if cancel else MODIFY_TR).get((mode, market))
    if tr_id is None:
        what = "cancelling" if cancel else "modifying"
        raise NotOffered(f"no {what} of orders in {market} on the {mode} host")
    return tr_id


def query_tr(mode: Personality, query: Query, endpoint: Endpoint | None = None) -> str:
    """The TR id of a query, or of the endpoint that stands in for it.

    Raises ``NotOffered`` naming it when the host has none.
    """
    endpoint = endpoint or query.value
    tr_id: str = endpoint.real if mode == "real" else endpoint.paper
    if not tr_id:
        name = endpoint.path.rsplit("/", 1)[-1]
        raise NotOffered(f"the {mode} host does not offer {name}")
    return tr_id
