"""The table of queries against the portal's sheets."""

import re

import pytest

from trading_core.adapters.kis import tr_table
from trading_core.adapters.kis.tr_table import Query
from trading_core.errors import NotOffered


def test_no_old_id_is_used():
    used = {tr for query in Query for tr in (query.value.real, query.value.paper)}
    old = re.compile(r"[TV]TTC8001R|[TV]TTC8036R|CTSC9115R|VTSC9115R")
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
        Query.KR_PRICES,
        Query.PRICES,
        Query.KR_SELLABLE,
        Query.KR_OPEN_ORDERS,
        Query.OPEN_ORDERS,
        Query.KR_PAST_MINUTES,
    ],
)
def test_what_the_paper_host_lacks_is_refused_locally(query):
    name = query.value.path.rsplit("/", 1)[-1]
    with pytest.raises(NotOffered, match=f"paper.*{name}"):
        tr_table.query_tr("paper", query)
    assert tr_table.query_tr("real", query)


def test_what_is_asked_about_the_account_is_told_from_what_is_asked_about_the_market():
    ledger = {query for query in Query if query.value.is_ledger}
    assert {Query.KR_BALANCE, Query.KR_ORDERS, Query.ORDERS, Query.MARGIN} < ledger
    assert not ledger & {Query.KR_PRICE, Query.PRICES, Query.VOLUME_RANK, Query.HOLIDAYS}


def test_an_endpoint_that_stands_in_gives_its_own_tr_id_and_can_switch_a_query_off() -> None:
    other = tr_table.Endpoint("/uapi/other", "OTHER1", "")

    assert tr_table.query_tr("real", Query.FLUCTUATION, other) == "OTHER1"
    with pytest.raises(NotOffered, match="other"):
        tr_table.query_tr("real", Query.FLUCTUATION, tr_table.Endpoint("/uapi/other", "", ""))
