"""Every query of the broker we use: its path and its TR id on each host.

A query that a host does not offer is refused here, before anything is sent. Source: the portal's
request sheets (September 2026).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from trading_core.errors import NotOffered

Personality: TypeAlias = Literal["real", "paper"]

DOMESTIC = "/uapi/domestic-stock/v1"
OVERSEAS = "/uapi/overseas-stock/v1"
_OVERSEAS_PRICE = "/uapi/overseas-price/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A query: its path, its TR id on each host (empty: not offered) and its cursor's suffix."""

    path: str
    real: str
    paper: str
    cursor: str | None = None

    @property
    def is_ledger(self) -> bool:
        """Whether it asks about the account rather than about the market."""
        return "/trading/" in self.path


class Query(Enum):
    """Every query we send."""

    KR_PRICE = Endpoint(f"{DOMESTIC}/quotations/inquire-price", "FHKST01010100", "FHKST01010100")
    KR_PRICES = Endpoint(f"{DOMESTIC}/quotations/intstock-multprice", "FHKST11300006", "")
    KR_BOOK = Endpoint(
        f"{DOMESTIC}/quotations/inquire-asking-price-exp-ccn", "FHKST01010200", "FHKST01010200"
    )
    KR_DAILY = Endpoint(
        f"{DOMESTIC}/quotations/inquire-daily-itemchartprice", "FHKST03010100", "FHKST03010100"
    )
    KR_RECENT_DAYS = Endpoint(
        f"{DOMESTIC}/quotations/inquire-daily-price", "FHKST01010400", "FHKST01010400"
    )
    KR_MINUTES = Endpoint(
        f"{DOMESTIC}/quotations/inquire-time-itemchartprice", "FHKST03010200", "FHKST03010200"
    )
    KR_PAST_MINUTES = Endpoint(
        f"{DOMESTIC}/quotations/inquire-time-dailychartprice", "FHKST03010230", ""
    )
    KR_VOLUME_RANK = Endpoint(f"{DOMESTIC}/quotations/volume-rank", "FHPST01710000", "")
    KR_FLUCTUATION = Endpoint(f"{DOMESTIC}/ranking/fluctuation", "FHPST01700000", "")
    KR_HOLIDAYS = Endpoint(f"{DOMESTIC}/quotations/chk-holiday", "CTCA0903R", "", "")
    KR_NEWS = Endpoint(f"{DOMESTIC}/quotations/news-title", "FHKST01011800", "")
    KR_BALANCE = Endpoint(f"{DOMESTIC}/trading/inquire-balance", "TTTC8434R", "VTTC8434R", "100")
    KR_BUYING_POWER = Endpoint(f"{DOMESTIC}/trading/inquire-psbl-order", "TTTC8908R", "VTTC8908R")
    KR_SELLABLE = Endpoint(f"{DOMESTIC}/trading/inquire-psbl-sell", "TTTC8408R", "")
    KR_OPEN_ORDERS = Endpoint(f"{DOMESTIC}/trading/inquire-psbl-rvsecncl", "TTTC0084R", "", "100")
    KR_ORDERS = Endpoint(f"{DOMESTIC}/trading/inquire-daily-ccld", "TTTC0081R", "VTTC0081R", "100")
    KR_OLD_ORDERS = Endpoint(
        f"{DOMESTIC}/trading/inquire-daily-ccld", "CTSC9215R", "VTSC9215R", "100"
    )
    PRICE = Endpoint(f"{_OVERSEAS_PRICE}/quotations/price", "HHDFS00000300", "HHDFS00000300")
    PRICE_DETAIL = Endpoint(f"{_OVERSEAS_PRICE}/quotations/price-detail", "HHDFS76200200", "")
    PRICES = Endpoint(f"{_OVERSEAS_PRICE}/quotations/multprice", "HHDFS76220000", "")
    BOOK = Endpoint(f"{_OVERSEAS_PRICE}/quotations/inquire-asking-price", "HHDFS76200100", "")
    DAILY = Endpoint(f"{_OVERSEAS_PRICE}/quotations/dailyprice", "HHDFS76240000", "HHDFS76240000")
    MINUTES = Endpoint(
        f"{_OVERSEAS_PRICE}/quotations/inquire-time-itemchartprice", "HHDFS76950200", ""
    )
    FLUCTUATION = Endpoint(f"{OVERSEAS}/ranking/updown-rate", "HHDFS76290000", "")
    VOLUME_RANK = Endpoint(f"{OVERSEAS}/ranking/trade-vol", "HHDFS76310010", "")
    HOLIDAYS = Endpoint(f"{OVERSEAS}/quotations/countries-holiday", "CTOS5011R", "", "")
    NEWS = Endpoint(f"{_OVERSEAS_PRICE}/quotations/news-title", "HHPSTH60100C1", "")
    BALANCE = Endpoint(f"{OVERSEAS}/trading/inquire-balance", "TTTS3012R", "VTTS3012R", "200")
    PRESENT_BALANCE = Endpoint(
        f"{OVERSEAS}/trading/inquire-present-balance", "CTRP6504R", "VTRP6504R"
    )
    MARGIN = Endpoint(f"{OVERSEAS}/trading/foreign-margin", "TTTC2101R", "")
    BUYING_POWER = Endpoint(f"{OVERSEAS}/trading/inquire-psamount", "TTTS3007R", "VTTS3007R")
    OPEN_ORDERS = Endpoint(f"{OVERSEAS}/trading/inquire-nccs", "TTTS3018R", "", "200")
    ORDERS = Endpoint(f"{OVERSEAS}/trading/inquire-ccnl", "TTTS3035R", "VTTS3035R", "200")


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
