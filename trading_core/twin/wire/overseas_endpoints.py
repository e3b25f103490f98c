"""The foreign paths: TR ids, hosts and declared fields."""

from __future__ import annotations

from collections.abc import Mapping

from trading_core.twin.wire import (
    holidays,
    listings,
    multi_quotes,
    news,
    orders,
    overseas_account,
    overseas_cash,
    overseas_minutes,
    overseas_quotes,
    overseas_rankings,
    overseas_trades,
)
from trading_core.twin.wire.codes import OVERSEAS_CHANGE_IDS, OVERSEAS_ORDER_IDS
from trading_core.twin.wire.endpoint import (
    PAPER,
    REAL,
    Endpoint,
    Handler,
    Transaction,
    ledger,
    order,
    pairs,
    quote,
    real_only,
)

_OVERSEAS = "/uapi/overseas-stock/v1"
_PRICE = "/uapi/overseas-price/v1/quotations"
_SYMBOL = ("AUTH", "EXCD", "SYMB")
_MULTI = tuple(f"{name}_{n:02}" for name in ("EXCD", "SYMB") for n in range(1, 11))
_RANK = ("AUTH", "EXCD", "KEYB", "VOL_RANG")


def _order_ids() -> dict[str, Transaction]:
    found = {}
    for tail, side, group, only in OVERSEAS_ORDER_IDS:
        variant = f"{side.value}/{group.value}/{only}"
        found[f"T{tail}"] = Transaction(REAL, variant)
        found[f"V{tail}"] = Transaction(PAPER, variant)
        if tail.startswith("TTT"):
            found[f"J{tail}"] = Transaction(REAL, variant)
    # The documents give two ids for selling US shares on the paper host.
    found["VTTT1001U"] = found["VTTT1006U"]
    return found


def _change_ids() -> dict[str, Transaction]:
    found = {}
    for tail, group, only in OVERSEAS_CHANGE_IDS:
        variant = f"{group.value}/{only}"
        found[f"T{tail}"] = Transaction(REAL, variant)
        found[f"V{tail}"] = Transaction(PAPER, variant)
        if tail.startswith("TTT"):
            found[f"J{tail}"] = Transaction(REAL, variant)
    return found


def _quotes() -> dict[str, Endpoint]:
    root, q, t = _PRICE, overseas_quotes, overseas_trades
    return {
        f"{root}/price": quote("HHDFS00000300", q.price, *_SYMBOL),
        f"{root}/price-detail": quote("HHDFS76200200", q.price_detail, *_SYMBOL, hosts=REAL),
        f"{root}/inquire-asking-price": quote(
            "HHDFS76200100", q.asking_price, *_SYMBOL, hosts=REAL
        ),
        f"{root}/dailyprice": quote(
            "HHDFS76240000", q.daily_price, *_SYMBOL, "GUBN", "BYMD", "MODP"
        ),
        f"{root}/inquire-time-itemchartprice": quote(
            "HHDFS76950200",
            overseas_minutes.minute_chart,
            *(*_SYMBOL, "NMIN", "PINC", "NEXT", "NREC", "FILL", "KEYB"),
            hosts=REAL,
        ),
        f"{root}/inquire-ccnl": quote(
            "HHDFS76200300", t.inquire_trades, *_SYMBOL, "TDAY", "KEYB", hosts=REAL
        ),
        f"{root}/multprice": quote(
            "HHDFS76220000", multi_quotes.overseas_quotes, "AUTH", "NREC", *_MULTI, hosts=REAL
        ),
        f"{root}/inquire-search": quote("HHDFS76410000", overseas_rankings.search, "AUTH", "EXCD"),
        f"{root}/inquire-daily-chartprice": quote(
            "FHKST03030100",
            t.index_chart,
            *("FID_COND_MRKT_DIV_CODE", "FID_INPUT_ISCD", "FID_INPUT_DATE_1", "FID_INPUT_DATE_2"),
            "FID_PERIOD_DIV_CODE",
        ),
        f"{root}/search-info": quote(
            "CTPF1702R", listings.overseas_search_info, "PRDT_TYPE_CD", "PDNO", hosts=REAL
        ),
        f"{root}/news-title": quote(
            "HHPSTH60100C1",
            news.overseas_titles,
            *("INFO_GB", "CLASS_CD", "NATION_CD", "EXCHANGE_CD", "SYMB", "DATA_DT", "DATA_TM"),
            "CTS",
            hosts=REAL,
        ),
        f"{_OVERSEAS}/quotations/countries-holiday": quote(
            "CTOS5011R",
            holidays.countries_holiday,
            *("TRAD_DT", "CTX_AREA_NK", "CTX_AREA_FK"),
            hosts=REAL,
        ),
    }


def _rankings() -> dict[str, Endpoint]:
    r = overseas_rankings
    table: tuple[tuple[str, str, Handler, tuple[str, ...]], ...] = (
        ("price-fluct", "HHDFS76260000", r.price_fluctuation, ("GUBN", "MINX")),
        ("volume-surge", "HHDFS76270000", r.volume_surge, ("MINX",)),
        ("volume-power", "HHDFS76280000", r.volume_power, ("NDAY",)),
        ("updown-rate", "HHDFS76290000", r.updown_rate, ("NDAY", "GUBN")),
        ("new-highlow", "HHDFS76300000", r.new_high_low, ("GUBN", "GUBN2")),
        ("trade-vol", "HHDFS76310010", r.trade_volume, ("NDAY", "PRC1", "PRC2")),
        ("trade-pbmn", "HHDFS76320010", r.trade_value, ("NDAY", "PRC1", "PRC2")),
        ("trade-growth", "HHDFS76330000", r.trade_growth, ("NDAY",)),
        ("trade-turnover", "HHDFS76340000", r.trade_turnover, ("NDAY",)),
        ("market-cap", "HHDFS76350100", r.market_cap, ()),
    )
    return {
        f"{_OVERSEAS}/ranking/{name}": quote(tr_id, handler, *_RANK, *fields, hosts=REAL)
        for name, tr_id, handler, fields in table
    }


def _orders() -> dict[str, Endpoint]:
    root, o = f"{_OVERSEAS}/trading", orders
    named = ("OVRS_EXCG_CD", "PDNO", "ORD_QTY", "OVRS_ORD_UNPR")
    change = (*named, "ORGN_ODNO", "RVSE_CNCL_DVSN_CD")
    return {
        f"{root}/order": order(o.overseas_order, _order_ids(), *named, overseas=True),
        f"{root}/order-rvsecncl": order(o.overseas_change, _change_ids(), *change, overseas=True),
        f"{root}/daytime-order": order(
            o.daytime_order, real_only("TTTS6036U", "TTTS6037U"), *named, overseas=True
        ),
        f"{root}/daytime-order-rvsecncl": order(
            o.daytime_order, real_only("TTTS6038U"), *change, overseas=True
        ),
    }


def _account() -> dict[str, Endpoint]:
    root, a, c = f"{_OVERSEAS}/trading", overseas_account, overseas_cash
    return {
        # The paper host is said not to offer this one; clients ask it all the same.
        f"{root}/inquire-nccs": ledger(
            a.inquire_open_orders, pairs("TTTS3018R", size=40), "OVRS_EXCG_CD"
        ),
        f"{root}/inquire-ccnl": ledger(
            a.inquire_orders,
            pairs("TTTS3035R", size=20, paper_size=15),
            *("ORD_STRT_DT", "ORD_END_DT"),
        ),
        f"{root}/inquire-balance": ledger(
            a.inquire_balance, pairs("TTTS3012R", size=100), "OVRS_EXCG_CD"
        ),
        f"{root}/inquire-present-balance": ledger(c.present_balance, pairs("CTRP6504R")),
        f"{root}/inquire-psamount": ledger(
            c.inquire_buying_power, pairs("TTTS3007R"), "OVRS_EXCG_CD"
        ),
        f"{root}/foreign-margin": ledger(c.foreign_margin, real_only("TTTC2101R")),
    }


OVERSEAS_ENDPOINTS: Mapping[str, Endpoint] = {
    **_quotes(),
    **_rankings(),
    **_orders(),
    **_account(),
}
# Reservations, which the broker keeps until the evening, are not played.
OVERSEAS_UNOFFERED = frozenset(
    f"{_OVERSEAS}/trading/{name}" for name in ("order-resv", "order-resv-ccnl", "order-resv-list")
)
