"""A notice of an execution and the next look at the broker's book make the same fill."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.order_books import NUMBER, grow, make_record, make_row
from tests.record_factories import AT, SAMSUNG, SESSION, make_intent
from trading_core.model.market import Instrument, Market
from trading_core.model.order import NoticeKind, OrderNotice, OrderState, OrderType, Side
from trading_core.rules.markets import market_info
from trading_core.rules.order_life import fill_of_notice, settle

S = OrderState


def notice(quantity: int = 4, price: str = "70500", **changes: object) -> OrderNotice:
    told = OrderNotice(NoticeKind.FILLED, NUMBER, SAMSUNG, Side.BUY, quantity, Decimal(price), AT)
    return replace(told, **changes)


executions = st.lists(
    st.tuples(st.integers(1, 5_000), st.integers(1, 10_000_000)), min_size=1, max_size=8
)


@given(
    executions,
    st.sampled_from(list(Market)),
    st.sampled_from(list(Side)),
    st.booleans(),
    st.integers(0, 10),
)
def test_notices_and_the_book_make_equal_fills_execution_by_execution(
    parts: list[tuple[int, int]], market: Market, side: Side, is_fund: bool, left: int
) -> None:
    info = market_info(market)
    item = Instrument("X1", market, is_fund=is_fund)
    ordered = sum(quantity for quantity, _ in parts) + left
    intent = make_intent(
        instrument=item, side=side, quantity=ordered, currency=info.currency,
        order_type=OrderType.LIMIT,
    )  # fmt: skip
    record = make_record(S.ACCEPTED, intent=intent)
    total, amount = 0, Decimal(0)
    for quantity, raw in parts:
        price = Decimal(raw).scaleb(-info.currency.exponent)
        total, amount = total + quantity, amount + quantity * price
        row = make_row(intent, filled_quantity=total, filled_amount=amount)
        looked = settle(record, [row], claimed=(), at=AT, session_over=False)
        told = OrderNotice(NoticeKind.FILLED, NUMBER, item, side, quantity, price, AT)

        assert looked.fill is not None
        assert fill_of_notice(record, told) == looked.fill
        record = grow(record, looked)
    assert record.filled_quantity == ordered - left


@pytest.mark.parametrize(
    "told",
    [
        notice(order_no="0000000001"),
        notice(kind=NoticeKind.ACCEPTED),
        notice(kind=NoticeKind.CONFIRMED),
        notice(price="1", kind=NoticeKind.REJECTED),
        notice(side=Side.SELL),
        notice(instrument=Instrument("000660", Market.KR)),
        replace(notice(), price=None),
        notice(quantity=0),
        notice(quantity=11),
    ],
)
def test_a_notice_that_is_no_execution_of_this_order_makes_no_fill(told: OrderNotice) -> None:
    assert fill_of_notice(make_record(S.ACCEPTED), told) is None


def test_a_notice_that_comes_twice_cannot_overfill_an_order() -> None:
    record = make_record(S.ACCEPTED)
    first = fill_of_notice(record, notice(quantity=10))
    assert first is not None
    assert (first.fill_id, first.filled_at, first.session) == ("intent-1:10", AT, SESSION)
    filled = replace(record, filled_quantity=10, filled_amount=first.amount)
    assert fill_of_notice(filled, notice(quantity=10)) is None


@pytest.mark.parametrize("state", [S.INTENDED, S.SENDING, S.UNKNOWN])
def test_an_order_without_a_number_has_no_notices(state: OrderState) -> None:
    assert fill_of_notice(make_record(state), notice(order_no="")) is None
