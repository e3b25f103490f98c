"""What the broker's book says about one order, state by state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.order_books import NUMBER, grow, make_record, make_row
from tests.record_factories import AT, MINUTE, SAMSUNG, SESSION, make_intent
from trading_core.model.market import Currency, Instrument, Market
from trading_core.model.order import BrokerOrder, OrderRecord, OrderState, OrderType, Side
from trading_core.rules.costs import trade_costs
from trading_core.rules.markets import market_info
from trading_core.rules.order_life import GRACE, Settlement, known_numbers_note, settle

S = OrderState
LOST = [S.SENDING, S.UNKNOWN]
NAMED = [S.ACCEPTED, S.PARTIALLY_FILLED, S.CANCEL_REQUESTED]


def ask(record: OrderRecord, *book: BrokerOrder, **changes: Any) -> Settlement:
    values: dict[str, Any] = {"claimed": (), "at": AT, "session_over": False}
    return settle(record, book, **(values | changes))


def states(settlement: Settlement) -> list[OrderState]:
    return [event.state for event in settlement.events]


# --- never sent -----------------------------------------------------------------------------


@pytest.mark.parametrize("over", [False, True])
def test_a_wish_that_was_never_sent_is_not_sent_even_when_the_book_shows_its_twin(
    over: bool,
) -> None:
    settled = ask(make_record(S.INTENDED), make_row(), session_over=over)
    assert states(settled) == [S.NOT_SENT]
    assert settled.fill is None


# --- a lost answer --------------------------------------------------------------------------


def test_a_crash_between_send_and_answer_is_unknown_until_the_book_shows_the_order() -> None:
    settled = ask(make_record(S.SENDING))
    assert states(settled) == [S.UNKNOWN]
    found = ask(make_record(S.SENDING), make_row(branch_no="06010"))
    assert states(found) == [S.UNKNOWN, S.ACCEPTED]
    assert [event.sequence for event in found.events] == [2, 3]
    assert (found.events[-1].order_no, found.events[-1].branch_no) == (NUMBER, "06010")


def test_a_lost_reply_is_found_in_the_book_with_what_was_filled_meanwhile() -> None:
    record = make_record(S.UNKNOWN)
    assert states(ask(record, make_row())) == [S.ACCEPTED]
    partly = ask(record, make_row(filled_quantity=4))
    assert states(partly) == [S.ACCEPTED, S.PARTIALLY_FILLED]
    wholly = ask(record, make_row(filled_quantity=10))
    assert states(wholly) == [S.ACCEPTED, S.FILLED]
    assert wholly.fill is not None
    assert wholly.fill.quantity == 10
    assert grow(record, wholly).order_no == NUMBER
    refused = ask(record, make_row(rejected_quantity=10))
    assert states(refused) == [S.ACCEPTED, S.REJECTED]
    cancelled = ask(record, make_row(cancelled_quantity=10))
    assert states(cancelled) == [S.ACCEPTED, S.CANCELLED]


def test_a_lost_order_found_after_the_close_has_expired() -> None:
    settled = ask(make_record(S.UNKNOWN), make_row(filled_quantity=3), session_over=True)
    assert states(settled) == [S.ACCEPTED, S.EXPIRED]
    assert settled.fill is not None


def test_an_absent_order_is_not_sent_only_after_two_looks_and_the_grace_time() -> None:
    record = make_record(S.UNKNOWN)
    first = ask(record, at=AT + GRACE)
    assert states(first) == [S.UNKNOWN]
    second = ask(grow(record, first), at=AT + GRACE)
    assert states(second) == [S.NOT_SENT]


def test_many_looks_within_the_grace_time_do_not_settle_an_absent_order() -> None:
    record = make_record(S.UNKNOWN)
    for second in range(0, 60, 10):
        settled = ask(record, at=AT + timedelta(seconds=second))
        assert states(settled) == [S.UNKNOWN]
        record = grow(record, settled)
    almost = ask(record, at=AT + GRACE - timedelta(microseconds=1))
    assert states(almost) == [S.UNKNOWN]
    assert states(ask(record, at=AT + GRACE)) == [S.NOT_SENT]


def test_one_look_long_after_the_send_is_not_enough() -> None:
    assert states(ask(make_record(S.SENDING), at=AT + 60 * MINUTE)) == [S.UNKNOWN]
    assert states(ask(make_record(S.UNKNOWN), at=AT + 60 * MINUTE)) == [S.UNKNOWN]


def test_an_order_that_turns_up_late_is_still_found() -> None:
    record = make_record(S.UNKNOWN)
    record = grow(record, ask(record, at=AT + GRACE / 2))
    assert states(ask(record, make_row(), at=AT + GRACE)) == [S.ACCEPTED]


@pytest.mark.parametrize("state", LOST)
def test_between_two_candidates_nobody_chooses(state: OrderState) -> None:
    two = [make_row(order_no="1"), make_row(order_no="2", filled_quantity=10)]
    settled = ask(make_record(state), *two, at=AT + 60 * MINUTE)
    assert settled == Settlement(ambiguous=("1", "2"))


@pytest.mark.parametrize("state", LOST)
def test_numbers_known_before_the_send_or_claimed_by_other_orders_are_not_ours(
    state: OrderState,
) -> None:
    book = [make_row(order_no="1"), make_row(order_no="2"), make_row(order_no="3")]
    record = make_record(state, known=["1", "9"])
    found = ask(record, *book, claimed={"2"})
    assert found.events[-1].order_no == "3"
    assert states(ask(record, *book[:2], claimed={"2"})) == [S.UNKNOWN]


def test_the_note_of_known_numbers_is_read_back_whole() -> None:
    assert known_numbers_note([]) == "known:"
    assert known_numbers_note({"20", "100"}) == "known:100,20"
    longer = make_record(S.SENDING, known=["20", "100"])
    assert ask(longer, make_row(order_no="2")).events[-1].order_no == "2"
    nothing_known = make_record(S.SENDING, known=[])
    assert ask(nothing_known, make_row()).events[-1].state is S.ACCEPTED


@pytest.mark.parametrize(
    "other",
    [
        {"instrument": Instrument("000660", Market.KR)},
        {"side": Side.SELL},
        {"quantity": 11},
        {"limit_price": D(70_600)},
        {"limit_price": None},
        {"original_no": "0000117000"},
    ],
)
@pytest.mark.parametrize("state", LOST)
def test_an_order_that_differs_in_anything_is_not_taken_for_the_lost_one(
    state: OrderState, other: dict[str, Any]
) -> None:
    assert states(ask(make_record(state), make_row(**other))) == [S.UNKNOWN]


def test_the_price_is_compared_as_a_number_and_a_market_order_has_none() -> None:
    spelled = make_row(limit_price=D("70500.0000"))
    assert states(ask(make_record(S.UNKNOWN), spelled)) == [S.ACCEPTED]
    at_market = make_intent(order_type=OrderType.MARKET, limit_price=None)
    record = make_record(S.UNKNOWN, intent=at_market)
    for price in (None, D(0)):
        assert states(ask(record, make_row(at_market, limit_price=price))) == [S.ACCEPTED]


# --- an accepted order ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "row", "after"),
    [
        (S.ACCEPTED, {}, []),
        (S.ACCEPTED, {"filled_quantity": 4}, [S.PARTIALLY_FILLED]),
        (S.ACCEPTED, {"filled_quantity": 10}, [S.FILLED]),
        (S.ACCEPTED, {"cancelled_quantity": 10}, [S.CANCELLED]),
        (S.ACCEPTED, {"rejected_quantity": 10}, [S.REJECTED]),
        (S.ACCEPTED, {"filled_quantity": 4, "cancelled_quantity": 6}, [S.CANCELLED]),
        (S.ACCEPTED, {"filled_quantity": 4, "rejected_quantity": 6}, [S.CANCELLED]),
        (S.PARTIALLY_FILLED, {"filled_quantity": 4}, []),
        (S.PARTIALLY_FILLED, {"filled_quantity": 7}, [S.PARTIALLY_FILLED]),
        (S.PARTIALLY_FILLED, {"filled_quantity": 10}, [S.FILLED]),
        (S.PARTIALLY_FILLED, {"filled_quantity": 4, "cancelled_quantity": 6}, [S.CANCELLED]),
        (S.CANCEL_REQUESTED, {}, []),
        (S.CANCEL_REQUESTED, {"filled_quantity": 4}, [S.CANCEL_REQUESTED]),
        (S.CANCEL_REQUESTED, {"filled_quantity": 10}, [S.FILLED]),
        (S.CANCEL_REQUESTED, {"cancelled_quantity": 10}, [S.CANCELLED]),
        (S.CANCEL_REQUESTED, {"filled_quantity": 4, "cancelled_quantity": 6}, [S.CANCELLED]),
        (S.CANCEL_REQUESTED, {"rejected_quantity": 10}, [S.REJECTED]),
    ],
)
def test_an_order_follows_its_row(
    before: OrderState, row: dict[str, int], after: list[OrderState]
) -> None:
    had = 4 if before is S.PARTIALLY_FILLED else 0
    record = make_record(before, filled_quantity=had)
    settled = ask(record, make_row(order_no="1", filled_quantity=10), make_row(**row))
    assert states(settled) == after
    assert (settled.fill.quantity if settled.fill else 0) == row.get("filled_quantity", had) - had
    grow(record, settled)


@pytest.mark.parametrize("before", NAMED)
def test_what_is_not_filled_at_the_close_has_expired_and_the_filled_part_stays(
    before: OrderState,
) -> None:
    record = make_record(before)
    settled = ask(record, make_row(filled_quantity=4), session_over=True)
    expected = S.CANCELLED if before is S.CANCEL_REQUESTED else S.EXPIRED
    assert states(settled) == [expected]
    assert settled.fill is not None
    assert settled.fill.quantity == 4
    filled = ask(record, make_row(filled_quantity=10), session_over=True)
    assert states(filled) == [S.FILLED]


@pytest.mark.parametrize("before", NAMED)
def test_an_order_missing_from_the_book_waits_for_the_close(before: OrderState) -> None:
    assert ask(make_record(before), make_row(order_no="1")) == Settlement()
    settled = ask(make_record(before), make_row(order_no="1"), session_over=True)
    assert states(settled) == [S.EXPIRED]


def test_an_order_rejected_after_it_was_accepted_is_rejected_also_while_a_cancel_is_out() -> None:
    record = make_record(S.CANCEL_REQUESTED)
    assert grow(record, ask(record, make_row(rejected_quantity=10))).state is S.REJECTED


def test_a_cancel_that_is_out_stays_out_until_the_book_shows_its_effect() -> None:
    record = make_record(S.CANCEL_REQUESTED)
    for minute, filled in enumerate([0, 2, 2, 5]):
        settled = ask(record, make_row(filled_quantity=filled), at=AT + minute * MINUTE)
        record = grow(record, settled)
        assert (record.state, record.filled_quantity) == (S.CANCEL_REQUESTED, filled)
    gone = make_row(filled_quantity=5, cancelled_quantity=5)
    assert grow(record, ask(record, gone)).state is S.CANCELLED


@pytest.mark.parametrize(
    "stale",
    [{}, {"filled_quantity": 3}, {"cancelled_quantity": 6}, {"rejected_quantity": 6}],
)
def test_a_book_that_lags_behind_what_was_seen_takes_no_fill_back(stale: dict[str, int]) -> None:
    record = make_record(S.PARTIALLY_FILLED, filled_quantity=4)
    settled = ask(record, make_row(**stale))
    assert settled.fill is None
    grown = grow(record, settled)
    assert grown.filled_quantity == 4
    assert grown.state in (S.PARTIALLY_FILLED, S.CANCELLED)


# --- fills ----------------------------------------------------------------------------------


def test_a_fill_is_the_growth_of_the_orders_total_at_its_average_price() -> None:
    record = make_record(S.PARTIALLY_FILLED, filled_quantity=4, filled_amount=D(281_600))
    later = AT + MINUTE
    fill = ask(record, make_row(filled_quantity=6, filled_amount=D(422_500)), at=later).fill
    assert fill is not None
    assert (fill.quantity, fill.amount, fill.price) == (2, D(140_900), D(70_450))
    assert (fill.side, fill.instrument, fill.session) == (Side.BUY, SAMSUNG, SESSION)
    assert (fill.currency, fill.filled_at, fill.order_no) == (Currency.KRW, later, NUMBER)
    assert fill.fee == D(59) - D(39)
    assert fill.tax == 0


def test_the_same_growth_seen_twice_is_the_same_fill() -> None:
    record, row = make_record(S.ACCEPTED), make_row(filled_quantity=4)
    one, two = ask(record, row).fill, ask(record, row, at=AT + MINUTE).fill
    assert one is not None
    assert two is not None
    assert one.fill_id == two.fill_id
    more = ask(record, make_row(filled_quantity=5)).fill
    assert more is not None
    assert more.fill_id != one.fill_id


@given(
    st.sampled_from(Market),
    st.sampled_from(Side),
    st.booleans(),
    st.lists(
        st.tuples(st.integers(1, 500), st.decimals("0.01", 5000, places=2)),
        min_size=1,
        max_size=12,
    ),
)
def test_the_costs_of_the_slices_add_up_to_the_costs_of_the_whole(
    market: Market, side: Side, fund: bool, slices: list[tuple[int, D]]
) -> None:
    intent = make_intent(
        instrument=Instrument("X", market, is_fund=fund),
        side=side,
        quantity=sum(quantity for quantity, _ in slices) + 1,
        currency=market_info(market).currency,
    )
    record, fills, row = make_record(S.ACCEPTED, intent=intent), [], make_row(intent)
    for quantity, price in slices:
        row = replace(
            row,
            filled_quantity=row.filled_quantity + quantity,
            remaining_quantity=row.remaining_quantity - quantity,
            filled_amount=row.filled_amount + quantity * price,
        )
        settled = ask(record, row)
        assert settled.fill is not None
        fills.append(settled.fill)
        record = grow(record, settled)
    whole = trade_costs(
        market, side, row.filled_amount, SESSION, quantity=row.filled_quantity, etf=fund
    )
    assert sum(fill.fee for fill in fills) == whole.fee
    assert sum(fill.tax for fill in fills) == whole.tax
    assert all(fill.fee >= 0 and fill.tax >= 0 for fill in fills)
    assert sum(fill.amount for fill in fills) == row.filled_amount == record.filled_amount
    assert len({fill.fill_id for fill in fills}) == len(fills)


# --- whatever the book says -----------------------------------------------------------------


@st.composite
def rows(draw: st.DrawFn) -> BrokerOrder:
    """A row as the broker may show it: its quantities can be true together."""
    quantity = draw(st.sampled_from([10, 10, 10, 11]))
    filled = draw(st.integers(0, quantity))
    cancelled = draw(st.integers(0, quantity - filled))
    rejected = draw(st.integers(0, quantity - filled - cancelled))
    left = quantity - filled - cancelled - rejected
    return make_row(
        order_no=draw(st.sampled_from([NUMBER, "1", "2"])),
        side=draw(st.sampled_from(Side)),
        quantity=quantity,
        filled_quantity=filled,
        filled_amount=filled * draw(st.sampled_from([D(70_500), D(70_400)])),
        cancelled_quantity=cancelled,
        rejected_quantity=rejected,
        remaining_quantity=draw(st.sampled_from([left, left, 0])),
        original_no=draw(st.sampled_from(["", "", "5"])),
    )


@given(
    st.sampled_from([S.INTENDED, *LOST, *NAMED]),
    st.integers(0, 9),
    st.lists(
        st.tuples(
            st.lists(rows(), max_size=3, unique_by=lambda row: row.order_no),
            st.sampled_from([(), ("1",), ("1", "2")]),
            st.sampled_from([timedelta(), MINUTE / 2, MINUTE]),
            st.sampled_from([False, False, False, True]),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_whatever_the_book_says_no_order_leaves_the_legal_way_or_counts_a_share_twice(
    start: OrderState,
    had: int,
    looks: list[tuple[list[BrokerOrder], tuple[str, ...], timedelta, bool]],
) -> None:
    had = {S.PARTIALLY_FILLED: max(had, 1), S.CANCEL_REQUESTED: had}.get(start, 0)
    record, at = make_record(start, filled_quantity=had), AT
    for book, claimed, later, over in looks:
        if record.state.is_final:
            break
        at += later
        settled = ask(record, *book, claimed=claimed, at=at, session_over=over)
        assert not (settled.ambiguous and settled.events)
        if settled.fill:
            assert settled.fill.quantity > 0
            assert settled.events
        record = grow(record, settled)
        assert record.filled_quantity <= 11
