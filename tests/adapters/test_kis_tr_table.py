"""The table of TR ids, every cell against the portal's sheets."""

import re
from itertools import product

import pytest

from trading_core.adapters.kis import tr_table
from trading_core.adapters.kis.tr_table import Query
from trading_core.errors import NotOffered
from trading_core.model.market import Market
from trading_core.model.order import Side

_SHEET = """
KR        TTTC0012U VTTC0012U TTTC0011U VTTC0011U TTTC0013U VTTC0013U modify
US_NASDAQ TTTT1002U VTTT1002U TTTT1006U VTTT1001U TTTT1004U VTTT1004U modify
US_NYSE   TTTT1002U VTTT1002U TTTT1006U VTTT1001U TTTT1004U VTTT1004U modify
US_AMEX   TTTT1002U VTTT1002U TTTT1006U VTTT1001U TTTT1004U VTTT1004U modify
HK        TTTS1002U VTTS1002U TTTS1001U VTTS1001U TTTS1003U VTTS1003U modify
CN_SHA    TTTS0202U VTTS0202U TTTS1005U VTTS1005U TTTS0302U VTTS0302U cancel-only
CN_SZA    TTTS0305U VTTS0305U TTTS0304U VTTS0304U TTTS0306U VTTS0306U cancel-only
JP        TTTS0308U VTTS0308U TTTS0307U VTTS0307U TTTS0309U VTTS0309U modify
VN_HNX    TTTS0311U VTTS0311U TTTS0310U VTTS0310U TTTS0312U VTTS0312U cancel-only
VN_HSX    TTTS0311U VTTS0311U TTTS0310U VTTS0310U TTTS0312U VTTS0312U cancel-only
"""
_ROWS = [line.split() for line in _SHEET.strip().splitlines()]


@pytest.mark.parametrize("row", _ROWS, ids=[row[0] for row in _ROWS])
def test_every_order_id_is_the_one_of_the_sheet(row):
    market = Market(row[0])
    ids = [
        tr_table.order_tr(mode, market, side)
        for side, mode in product((Side.BUY, Side.SELL), ("real", "paper"))
    ]
    cancels = [tr_table.revise_tr(mode, market, cancel=True) for mode in ("real", "paper")]
    assert ids + cancels == row[1:7]


@pytest.mark.parametrize("row", _ROWS, ids=[row[0] for row in _ROWS])
@pytest.mark.parametrize("mode", ["real", "paper"])
def test_shanghai_shenzhen_and_vietnam_can_only_cancel(row, mode):
    market = Market(row[0])
    if row[7] == "modify":
        expected = tr_table.revise_tr(mode, market, cancel=True)
        assert tr_table.revise_tr(mode, market, cancel=False) == expected
    else:
        with pytest.raises(NotOffered, match=f"modifying.*{market}.*{mode}"):
            tr_table.revise_tr(mode, market, cancel=False)


def test_the_tables_name_every_mode_market_and_side_and_nothing_else():
    modes = ("real", "paper")
    assert set(tr_table.ORDER_TR) == set(product(modes, Market, Side))
    assert set(tr_table.CANCEL_TR) == set(product(modes, Market))


def test_a_missing_pair_is_refused_naming_it(monkeypatch):
    gap = {k: v for k, v in tr_table.ORDER_TR.items() if k != ("paper", Market.JP, Side.SELL)}
    monkeypatch.setattr(tr_table, "ORDER_TR", gap)
    with pytest.raises(NotOffered, match=r"SELL.*JP.*paper"):
        tr_table.order_tr("paper", Market.JP, Side.SELL)


def test_no_old_id_is_used():
    used = {*tr_table.ORDER_TR.values(), *tr_table.CANCEL_TR.values()}
    used |= {tr for query in Query for tr in (query.value.real, query.value.paper)}
    old = re.compile(r"[TV]TTC(08|80)\d\dU|J\w+|[TV]TTC8001R|[TV]TTC8036R|CTSC9115R|VTSC9115R")
    assert not [tr_id for tr_id in used if old.fullmatch(tr_id)]


def test_the_rankings_are_not_the_order_book_nor_the_detailed_price():
    assert Query.FLUCTUATION.value.real == "HHDFS76290000"
    assert Query.VOLUME_RANK.value.real == "HHDFS76310010"


@pytest.mark.parametrize(
    "query",
    [
        Query.KR_VOLUME_RANK,
        Query.KR_FLUCTUATION,
        Query.KR_HOLIDAYS,
        Query.FLUCTUATION,
        Query.VOLUME_RANK,
        Query.HOLIDAYS,
        Query.MARGIN,
        Query.PRICE_DETAIL,
        Query.BOOK,
        Query.MINUTES,
    ],
)
def test_what_the_paper_host_lacks_is_refused_locally(query):
    name = query.value.path.rsplit("/", 1)[-1]
    with pytest.raises(NotOffered, match=f"paper.*{name}"):
        tr_table.query_tr("paper", query)
    assert tr_table.query_tr("real", query)


def test_an_endpoint_that_stands_in_gives_its_own_tr_id_and_can_switch_a_query_off() -> None:
    other = tr_table.Endpoint("/uapi/other", "OTHER1", "")

    assert tr_table.query_tr("real", Query.FLUCTUATION, other) == "OTHER1"
    with pytest.raises(NotOffered, match="other"):
        tr_table.query_tr("real", Query.FLUCTUATION, tr_table.Endpoint("/uapi/other", "", ""))
