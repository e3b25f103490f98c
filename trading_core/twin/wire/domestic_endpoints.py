"""The domestic paths: TR ids, hosts and declared fields."""

from __future__ import annotations

from collections.abc import Mapping

from trading_core.model.order import Side
from trading_core.twin.wire import (
    domestic_account,
    domestic_minutes,
    domestic_orders,
    domestic_quotes,
    domestic_trades,
    holidays,
    listings,
    multi_quotes,
    news,
    orders,
    rankings,
)
from trading_core.twin.wire.endpoint import (
    REAL,
    Endpoint,
    ledger,
    order,
    pairs,
    quote,
    real_only,
)

_DOMESTIC = "/uapi/domestic-stock/v1"
_FID = ("FID_COND_MRKT_DIV_CODE", "FID_INPUT_ISCD")
_RANK_FILTERS = (
    "FID_COND_SCR_DIV_CODE",
    "FID_DIV_CLS_CODE",
    "FID_TRGT_CLS_CODE",
    "FID_TRGT_EXLS_CLS_CODE",
    "FID_INPUT_PRICE_1",
    "FID_INPUT_PRICE_2",
    "FID_VOL_CNT",
)


def _quotes() -> dict[str, Endpoint]:
    root, q = f"{_DOMESTIC}/quotations", domestic_quotes
    chart = (*_FID, "FID_INPUT_DATE_1", "FID_INPUT_DATE_2", "FID_PERIOD_DIV_CODE")
    minute = (*_FID, "FID_INPUT_HOUR_1", "FID_PW_DATA_INCU_YN")
    return {
        f"{root}/inquire-price": quote("FHKST01010100", q.inquire_price, *_FID),
        f"{root}/inquire-asking-price-exp-ccn": quote(
            "FHKST01010200", q.inquire_asking_price, *_FID
        ),
        f"{root}/inquire-ccnl": quote("FHKST01010300", domestic_trades.inquire_trades, *_FID),
        f"{root}/inquire-daily-itemchartprice": quote(
            "FHKST03010100", q.inquire_daily_chart, *chart, "FID_ORG_ADJ_PRC"
        ),
        f"{root}/inquire-daily-price": quote(
            "FHKST01010400", q.inquire_daily_price, *_FID, "FID_PERIOD_DIV_CODE", "FID_ORG_ADJ_PRC"
        ),
        f"{root}/inquire-time-itemchartprice": quote(
            "FHKST03010200", domestic_minutes.inquire_minute_chart, *minute, "FID_ETC_CLS_CODE"
        ),
        f"{root}/inquire-time-dailychartprice": quote(
            "FHKST03010230",
            domestic_minutes.inquire_past_minute_chart,
            *minute,
            "FID_INPUT_DATE_1",
            "FID_FAKE_TICK_INCU_YN",
        ),
    }


def _more_quotes() -> dict[str, Endpoint]:
    root = f"{_DOMESTIC}/quotations"
    return {
        f"{root}/intstock-multprice": quote(
            "FHKST11300006",
            multi_quotes.domestic_quotes,
            *("FID_COND_MRKT_DIV_CODE_1", "FID_INPUT_ISCD_1"),
            hosts=REAL,
        ),
        f"{root}/inquire-vi-status": quote(
            "FHPST01390000",
            domestic_trades.inquire_interruptions,
            *("FID_DIV_CLS_CODE", "FID_COND_SCR_DIV_CODE", "FID_MRKT_CLS_CODE", "FID_INPUT_ISCD"),
            *("FID_RANK_SORT_CLS_CODE", "FID_INPUT_DATE_1", "FID_TRGT_CLS_CODE"),
            "FID_TRGT_EXLS_CLS_CODE",
            hosts=REAL,
        ),
        f"{root}/search-info": quote(
            "CTPF1604R", listings.search_info, "PDNO", "PRDT_TYPE_CD", hosts=REAL
        ),
        f"{root}/search-stock-info": quote(
            "CTPF1002R", listings.search_stock_info, "PDNO", "PRDT_TYPE_CD", hosts=REAL
        ),
        f"{root}/news-title": quote(
            "FHKST01011800",
            news.domestic_titles,
            *("FID_NEWS_OFER_ENTP_CODE", "FID_COND_MRKT_CLS_CODE", "FID_INPUT_ISCD"),
            *("FID_TITL_CNTT", "FID_INPUT_DATE_1", "FID_INPUT_HOUR_1"),
            *("FID_RANK_SORT_CLS_CODE", "FID_INPUT_SRNO"),
            hosts=REAL,
        ),
        f"{root}/chk-holiday": quote(
            "CTCA0903R",
            holidays.check_holiday,
            *("BASS_DT", "CTX_AREA_NK", "CTX_AREA_FK"),
            hosts=REAL,
        ),
    }


def _rankings() -> dict[str, Endpoint]:
    return {
        f"{_DOMESTIC}/quotations/volume-rank": quote(
            "FHPST01710000",
            rankings.volume_rank,
            *(*_FID, *_RANK_FILTERS, "FID_BLNG_CLS_CODE", "FID_INPUT_DATE_1"),
            hosts=REAL,
        ),
        f"{_DOMESTIC}/ranking/fluctuation": quote(
            "FHPST01700000",
            rankings.fluctuation,
            *(*_FID, *_RANK_FILTERS, "FID_RANK_SORT_CLS_CODE", "FID_INPUT_CNT_1"),
            *("FID_PRC_CLS_CODE", "FID_RSFL_RATE1", "FID_RSFL_RATE2"),
            hosts=REAL,
        ),
        f"{_DOMESTIC}/ranking/market-cap": quote(
            "FHPST01740000", rankings.market_cap, *_FID, *_RANK_FILTERS, hosts=REAL
        ),
    }


def _account() -> dict[str, Endpoint]:
    root, a, o = f"{_DOMESTIC}/trading", domestic_account, domestic_orders
    daily = pairs("TTTC0081R", "TTTC8001R", size=100, paper_size=15) | pairs(
        "CTSC9215R", "CTSC9115R", size=100, paper_size=15, variant="older"
    )
    place = pairs("TTTC0012U", "TTTC0802U", variant=Side.BUY.value) | pairs(
        "TTTC0011U", "TTTC0801U", variant=Side.SELL.value
    )
    return {
        f"{root}/order-cash": order(
            orders.domestic_order, place, "PDNO", "ORD_DVSN", "ORD_QTY", "ORD_UNPR"
        ),
        f"{root}/order-rvsecncl": order(
            orders.domestic_change,
            pairs("TTTC0013U", "TTTC0803U"),
            *("ORGN_ODNO", "ORD_DVSN", "RVSE_CNCL_DVSN_CD", "ORD_QTY", "ORD_UNPR"),
            "QTY_ALL_ORD_YN",
        ),
        f"{root}/inquire-psbl-rvsecncl": ledger(
            o.inquire_open_orders, real_only("TTTC0084R", "TTTC8036R", size=50)
        ),
        f"{root}/inquire-daily-ccld": ledger(
            o.inquire_daily_orders, daily, "INQR_STRT_DT", "INQR_END_DT"
        ),
        f"{root}/inquire-balance": ledger(
            a.inquire_balance, pairs("TTTC8434R", size=50, paper_size=20)
        ),
        f"{root}/inquire-psbl-order": ledger(a.inquire_buying_power, pairs("TTTC8908R")),
        f"{root}/inquire-psbl-sell": ledger(a.inquire_sellable, real_only("TTTC8408R"), "PDNO"),
    }


DOMESTIC_ENDPOINTS: Mapping[str, Endpoint] = {
    **_quotes(),
    **_more_quotes(),
    **_rankings(),
    **_account(),
}
# Paths the broker has and this server does not play.
DOMESTIC_UNOFFERED = frozenset(
    f"{_DOMESTIC}/trading/{name}"
    for name in ("order-credit", "order-resv", "order-resv-rvsecncl", "order-resv-ccnl")
)
