"""Which paths are offered, under which TR ids, on which host, and what answers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from trading_core.model.order import Side
from trading_core.twin.wire import (
    domestic_account,
    domestic_minutes,
    domestic_orders,
    domestic_quotes,
    holidays,
    orders,
    overseas_account,
    overseas_cash,
    overseas_minutes,
    overseas_quotes,
    rankings,
)
from trading_core.twin.wire.codes import OVERSEAS_CHANGE_IDS, OVERSEAS_ORDER_IDS
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.envelope import Call, Reply

Handler = Callable[[Desk, Call], Reply]


class Family(StrEnum):
    """Quotes insist on their declared fields; ledger texts are padded; orders are posted."""

    QUOTE = "quote"
    LEDGER = "ledger"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Transaction:
    """One TR id. ``hosts`` says which personality takes it; ``size`` is rows per page."""

    hosts: frozenset[str]
    variant: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path. ``required`` names the fields without which a request is not understood."""

    family: Family
    handler: Handler
    transactions: Mapping[str, Transaction]
    required: tuple[str, ...]

    @property
    def method(self) -> str:
        return "POST" if self.family is Family.ORDER else "GET"

    @property
    def overseas(self) -> bool:
        return self.handler in (orders.overseas_order, orders.overseas_change)


_REAL, _PAPER = frozenset({"real"}), frozenset({"paper"})
_BOTH = _REAL | _PAPER
_ACCOUNT = ("CANO", "ACNT_PRDT_CD")
_FID = ("FID_COND_MRKT_DIV_CODE", "FID_INPUT_ISCD")
_SYMBOL = ("AUTH", "EXCD", "SYMB")
_DOMESTIC = "/uapi/domestic-stock/v1"
_OVERSEAS = "/uapi/overseas-stock/v1"
_OVERSEAS_PRICE = "/uapi/overseas-price/v1/quotations"


def _pairs(
    *tails: str, size: int = 0, paper_size: int = 0, variant: str = ""
) -> dict[str, Transaction]:
    """TRs whose paper id has ``V`` for its first letter."""
    found = {}
    for tail in tails:
        found[tail] = Transaction(_REAL, variant, size)
        found[f"V{tail[1:]}"] = Transaction(_PAPER, variant, paper_size or size)
    return found


def _quote(tr_id: str, handler: Handler, *required: str, hosts: frozenset[str] = _BOTH) -> Endpoint:
    return Endpoint(Family.QUOTE, handler, {tr_id: Transaction(hosts)}, required)


def _ledger(handler: Handler, transactions: Mapping[str, Transaction], *required: str) -> Endpoint:
    return Endpoint(Family.LEDGER, handler, transactions, (*_ACCOUNT, *required))


def _real_only(*tr_ids: str, size: int = 0) -> dict[str, Transaction]:
    return dict.fromkeys(tr_ids, Transaction(_REAL, "", size))


def _order(handler: Handler, transactions: Mapping[str, Transaction], *required: str) -> Endpoint:
    return Endpoint(Family.ORDER, handler, transactions, (*_ACCOUNT, *required))


def _overseas_orders() -> dict[str, Transaction]:
    found = {}
    for tail, side, group, only in OVERSEAS_ORDER_IDS:
        variant = f"{side.value}/{group.value}/{only}"
        found[f"T{tail}"] = Transaction(_REAL, variant)
        found[f"V{tail}"] = Transaction(_PAPER, variant)
        if tail.startswith("TTT"):
            found[f"J{tail}"] = Transaction(_REAL, variant)
    # The documents give two ids for selling US shares on the paper host.
    found["VTTT1001U"] = found["VTTT1006U"]
    return found


def _overseas_changes() -> dict[str, Transaction]:
    found = {}
    for tail, group, only in OVERSEAS_CHANGE_IDS:
        variant = f"{group.value}/{only}"
        found[f"T{tail}"] = Transaction(_REAL, variant)
        found[f"V{tail}"] = Transaction(_PAPER, variant)
        if tail.startswith("TTT"):
            found[f"J{tail}"] = Transaction(_REAL, variant)
    return found


def _domestic_quotes() -> dict[str, Endpoint]:
    root = f"{_DOMESTIC}/quotations"
    chart = (*_FID, "FID_INPUT_DATE_1", "FID_INPUT_DATE_2", "FID_PERIOD_DIV_CODE")
    minute = (*_FID, "FID_INPUT_HOUR_1", "FID_PW_DATA_INCU_YN")
    q = domestic_quotes
    return {
        f"{root}/inquire-price": _quote("FHKST01010100", q.inquire_price, *_FID),
        f"{root}/inquire-asking-price-exp-ccn": _quote(
            "FHKST01010200", q.inquire_asking_price, *_FID
        ),
        f"{root}/inquire-daily-itemchartprice": _quote(
            "FHKST03010100", q.inquire_daily_chart, *chart, "FID_ORG_ADJ_PRC"
        ),
        f"{root}/inquire-daily-price": _quote(
            "FHKST01010400", q.inquire_daily_price, *_FID, "FID_PERIOD_DIV_CODE", "FID_ORG_ADJ_PRC"
        ),
        f"{root}/inquire-time-itemchartprice": _quote(
            "FHKST03010200", domestic_minutes.inquire_minute_chart, *minute, "FID_ETC_CLS_CODE"
        ),
        f"{root}/inquire-time-dailychartprice": _quote(
            "FHKST03010230",
            domestic_minutes.inquire_past_minute_chart,
            *minute,
            "FID_INPUT_DATE_1",
            "FID_FAKE_TICK_INCU_YN",
        ),
    }


_RANK_FILTERS = (
    "FID_COND_SCR_DIV_CODE",
    "FID_DIV_CLS_CODE",
    "FID_TRGT_CLS_CODE",
    "FID_TRGT_EXLS_CLS_CODE",
    "FID_INPUT_PRICE_1",
    "FID_INPUT_PRICE_2",
    "FID_VOL_CNT",
)
_OVERSEAS_RANK = ("AUTH", "EXCD", "KEYB", "NDAY", "VOL_RANG")


def _rankings_and_days() -> dict[str, Endpoint]:
    return {
        f"{_DOMESTIC}/quotations/volume-rank": _quote(
            "FHPST01710000",
            rankings.volume_rank,
            *(*_FID, *_RANK_FILTERS, "FID_BLNG_CLS_CODE", "FID_INPUT_DATE_1"),
            hosts=_REAL,
        ),
        f"{_DOMESTIC}/ranking/fluctuation": _quote(
            "FHPST01700000",
            rankings.fluctuation,
            *(*_FID, *_RANK_FILTERS, "FID_RANK_SORT_CLS_CODE", "FID_INPUT_CNT_1"),
            *("FID_PRC_CLS_CODE", "FID_RSFL_RATE1", "FID_RSFL_RATE2"),
            hosts=_REAL,
        ),
        f"{_OVERSEAS}/ranking/updown-rate": _quote(
            "HHDFS76290000", rankings.updown_rate, *_OVERSEAS_RANK, "GUBN", hosts=_REAL
        ),
        f"{_OVERSEAS}/ranking/trade-vol": _quote(
            "HHDFS76310010", rankings.trade_volume, *_OVERSEAS_RANK, "PRC1", "PRC2", hosts=_REAL
        ),
        f"{_DOMESTIC}/quotations/chk-holiday": _quote(
            "CTCA0903R",
            holidays.check_holiday,
            *("BASS_DT", "CTX_AREA_NK", "CTX_AREA_FK"),
            hosts=_REAL,
        ),
        f"{_OVERSEAS}/quotations/countries-holiday": _quote(
            "CTOS5011R",
            holidays.countries_holiday,
            *("TRAD_DT", "CTX_AREA_NK", "CTX_AREA_FK"),
            hosts=_REAL,
        ),
    }


def _overseas_quotes() -> dict[str, Endpoint]:
    root, q = _OVERSEAS_PRICE, overseas_quotes
    return {
        f"{root}/price": _quote("HHDFS00000300", q.price, *_SYMBOL),
        f"{root}/price-detail": _quote("HHDFS76200200", q.price_detail, *_SYMBOL, hosts=_REAL),
        f"{root}/inquire-asking-price": _quote(
            "HHDFS76200100", q.asking_price, *_SYMBOL, hosts=_REAL
        ),
        f"{root}/dailyprice": _quote(
            "HHDFS76240000", q.daily_price, *_SYMBOL, "GUBN", "BYMD", "MODP"
        ),
        f"{root}/inquire-time-itemchartprice": _quote(
            "HHDFS76950200",
            overseas_minutes.minute_chart,
            *(*_SYMBOL, "NMIN", "PINC", "NEXT", "NREC", "FILL", "KEYB"),
            hosts=_REAL,
        ),
    }


def _domestic_account() -> dict[str, Endpoint]:
    root, a, o = f"{_DOMESTIC}/trading", domestic_account, domestic_orders
    daily = _pairs("TTTC0081R", "TTTC8001R", size=100, paper_size=15) | _pairs(
        "CTSC9215R", "CTSC9115R", size=100, paper_size=15, variant="older"
    )
    place = _pairs("TTTC0012U", "TTTC0802U", variant=Side.BUY.value) | _pairs(
        "TTTC0011U", "TTTC0801U", variant=Side.SELL.value
    )
    return {
        f"{root}/order-cash": _order(
            orders.domestic_order, place, "PDNO", "ORD_DVSN", "ORD_QTY", "ORD_UNPR"
        ),
        f"{root}/order-rvsecncl": _order(
            orders.domestic_change,
            _pairs("TTTC0013U", "TTTC0803U"),
            *("ORGN_ODNO", "ORD_DVSN", "RVSE_CNCL_DVSN_CD", "ORD_QTY", "ORD_UNPR"),
            "QTY_ALL_ORD_YN",
        ),
        f"{root}/inquire-psbl-rvsecncl": _ledger(
            o.inquire_open_orders, _real_only("TTTC0084R", "TTTC8036R", size=50)
        ),
        f"{root}/inquire-daily-ccld": _ledger(
            o.inquire_daily_orders, daily, "INQR_STRT_DT", "INQR_END_DT"
        ),
        f"{root}/inquire-balance": _ledger(
            a.inquire_balance, _pairs("TTTC8434R", size=50, paper_size=20)
        ),
        f"{root}/inquire-psbl-order": _ledger(a.inquire_buying_power, _pairs("TTTC8908R")),
        f"{root}/inquire-psbl-sell": _ledger(a.inquire_sellable, _real_only("TTTC8408R"), "PDNO"),
    }


def _overseas_account() -> dict[str, Endpoint]:
    root, a, c = f"{_OVERSEAS}/trading", overseas_account, overseas_cash
    return {
        f"{root}/order": _order(
            orders.overseas_order,
            _overseas_orders(),
            *("OVRS_EXCG_CD", "PDNO", "ORD_QTY", "OVRS_ORD_UNPR"),
        ),
        f"{root}/order-rvsecncl": _order(
            orders.overseas_change,
            _overseas_changes(),
            *("OVRS_EXCG_CD", "PDNO", "ORGN_ODNO", "RVSE_CNCL_DVSN_CD", "ORD_QTY"),
            "OVRS_ORD_UNPR",
        ),
        f"{root}/inquire-nccs": _ledger(
            a.inquire_open_orders, _pairs("TTTS3018R", size=40), "OVRS_EXCG_CD"
        ),
        f"{root}/inquire-ccnl": _ledger(
            a.inquire_orders,
            _pairs("TTTS3035R", size=20, paper_size=15),
            *("ORD_STRT_DT", "ORD_END_DT"),
        ),
        f"{root}/inquire-balance": _ledger(
            a.inquire_balance, _pairs("TTTS3012R", size=100), "OVRS_EXCG_CD"
        ),
        f"{root}/inquire-present-balance": _ledger(c.present_balance, _pairs("CTRP6504R")),
        f"{root}/inquire-psamount": _ledger(
            c.inquire_buying_power, _pairs("TTTS3007R"), "OVRS_EXCG_CD"
        ),
        f"{root}/foreign-margin": _ledger(c.foreign_margin, _real_only("TTTC2101R")),
    }


ENDPOINTS: Mapping[str, Endpoint] = {
    **_domestic_quotes(),
    **_rankings_and_days(),
    **_overseas_quotes(),
    **_domestic_account(),
    **_overseas_account(),
}
