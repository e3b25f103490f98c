"""Cash that no trade explains is seen; estimated costs and races are not taken for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.order_books import make_row
from tests.record_factories import AT, MINUTE, make_equity, make_fill
from trading_core.model.order import Side
from trading_core.rules.cash_moves import cash_moves

D = Decimal
BEFORE = AT - timedelta(minutes=5)


def curve(*cash):
    """One point a minute; the last one is of ``AT``."""
    first = AT - MINUTE * (len(cash) - 1)
    return [make_equity(at=first + MINUTE * n, cash=D(amount)) for n, amount in enumerate(cash)]


def fill(minutes_ago, quantity=10, side=Side.BUY, **changes):
    values = {"fee": D(10), "tax": D(0), "price": D(1_000), "filled_at": AT - MINUTE * minutes_ago}
    return make_fill(quantity=quantity, side=side, **(values | changes))


def look(points, fills=(), foreign=(), explained=0):
    return cash_moves(points, fills, foreign, at=AT, explained=D(explained))


def test_cash_that_moves_as_the_fills_say_is_no_move():
    points = curve(100_000, 89_990, 99_970)
    fills = [fill(1), fill(0, side=Side.SELL, fee=D(20))]
    assert look(points, fills) is None


def test_a_deposit_that_is_still_there_at_the_next_look_is_a_move():
    found = look(curve(100_000, 150_000, 150_000))
    assert found is not None
    assert (found.expected, found.unexplained, found.tolerance) == (100_000, 50_000, 1)


def test_what_was_not_there_at_the_look_before_waits_for_the_next_one():
    assert look(curve(100_000, 100_000, 150_000)) is None
    assert look(curve(100_000, 150_000)) is None


def test_cash_of_a_fill_that_the_book_showed_a_look_later_is_no_move():
    assert look(curve(100_000, 89_990, 89_990), [fill(0)]) is None


def test_broker_costs_up_to_twice_the_estimate_are_no_move_and_more_is():
    assert look(curve(100_000, 89_978, 89_978), [fill(1)]) is None
    found = look(curve(100_000, 89_977, 89_977), [fill(1)])
    assert found is not None
    assert found.unexplained == -13


def test_a_move_that_was_reported_is_not_found_again_and_a_second_one_is_its_own():
    assert look(curve(100_000, 150_000, 150_000), explained=50_000) is None
    found = look(curve(100_000, 180_000, 180_000), explained=50_000)
    assert found is not None
    assert found.unexplained == 30_000


def test_orders_of_other_hands_move_cash_too():
    row = make_row(quantity=10, filled_quantity=10, filled_amount=D(10_000), ordered_at=AT - MINUTE)
    points = curve(100_000, 100_000, 90_000, 90_000)
    early = replace(row, ordered_at=points[1].at)
    assert look(points, foreign=[early]) is None
    assert look(points) is not None


def test_while_an_order_of_another_hand_fills_nothing_is_said():
    row = make_row(quantity=10, filled_quantity=4, filled_amount=D(4_000), ordered_at=AT - MINUTE)
    assert look(curve(100_000, 50_000, 50_000), foreign=[row]) is None


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 1_000), st.integers(1, 90_000), st.integers(0, 99)),
        max_size=12,
    )
)
def test_books_that_are_even_never_show_a_move(trades):
    cash, fills, points = D(1_000_000), [], [make_equity(at=AT - MINUTE * 99, cash=D(1_000_000))]
    for n, (buys, quantity, price, cost) in enumerate(trades):
        side = Side.BUY if buys else Side.SELL
        when = AT - MINUTE * (len(trades) - n)
        made = fill(0, quantity, side, price=D(price), fee=D(cost), filled_at=when)
        fills.append(made)
        cash += (made.amount if side is Side.SELL else -made.amount) - cost
        points.append(make_equity(at=when, cash=cash))
        seen = [*points, make_equity(at=AT, cash=cash)]
        assert look(seen, fills) is None
