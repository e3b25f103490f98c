"""What the exchange tells about orders, as it happens."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.twin.handmade_tape import CLOSE, buy, flat, make_tape, minute, sell, venue_on
from trading_core.model.order import NoticeKind
from trading_core.twin.venue import OrderFate, RowKind, TimeInForce, VenueNotice, VenueRefusal

A, C, F, R, E = (
    NoticeKind.ACCEPTED,
    NoticeKind.CONFIRMED,
    NoticeKind.FILLED,
    NoticeKind.REJECTED,
    NoticeKind.EXPIRED,
)
STEADY = flat(10_000, 1000, 389)


def heard(venue) -> list[VenueNotice]:
    notices: list[VenueNotice] = []
    venue.listen(notices.append)
    return notices


def brief(notices: list[VenueNotice]) -> list[tuple[NoticeKind, int, int]]:
    return [(n.kind, n.order.order_no, n.quantity) for n in notices]


def test_an_order_is_accepted_before_it_fills():
    venue = venue_on({"A": STEADY}, at=minute(2))
    notices = heard(venue)
    venue.place(buy(150, 10_010))
    venue.advance_to(minute(3))
    assert brief(notices) == [(A, 1, 150), (F, 1, 100), (F, 1, 50)]
    assert [n.order.filled_quantity for n in notices] == [0, 100, 150]
    assert [n.price for n in notices] == [10_010] * 3
    assert [n.at for n in notices] == [minute(2), minute(2), minute(3)]


def test_the_row_in_a_notice_is_a_copy():
    venue = venue_on({"A": STEADY}, at=minute(2))
    notices = heard(venue)
    venue.place(buy(10, 9_000))
    notices[0].order.cancelled_quantity = 10
    assert venue.cancel("1", 1, quantity=None).quantity == 10


def test_a_modify_and_a_cancel_are_accepted_and_then_confirmed_under_their_own_number():
    venue = venue_on({"A": STEADY}, at=minute(2))
    venue.place(buy(10, 9_000))
    notices = heard(venue)
    venue.modify("1", 1, limit_price=Decimal(9_100), quantity=4)
    venue.cancel("1", 2, quantity=None)
    assert brief(notices) == [(A, 2, 4), (C, 2, 4), (A, 3, 4), (C, 3, 4)]
    assert [n.order.original_no for n in notices] == [1, 1, 2, 2]
    assert [n.order.kind for n in notices[::2]] == [RowKind.MODIFY, RowKind.CANCEL]
    assert notices[-1].order.cancelled_quantity == 4


def test_what_an_immediate_order_leaves_and_what_the_close_takes_out_expires():
    venue = venue_on({"A": STEADY}, at=minute(2))
    notices = heard(venue)
    venue.place(buy(150, 10_010, time_in_force=TimeInForce.IOC))
    venue.place(buy(5, 9_000))
    venue.advance_to(CLOSE)
    assert brief(notices) == [(A, 1, 150), (F, 1, 100), (E, 1, 150), (A, 2, 5), (E, 2, 5)]
    assert [n.order.cancelled_quantity for n in notices if n.kind is E] == [50, 5]
    assert notices[-1].at == CLOSE


def test_a_late_rejection_is_told_before_anything_else_of_the_next_move():
    venue = venue_on({"A": STEADY}, at=minute(2))
    notices = heard(venue)
    venue.place(buy(10, 10_010, fate=OrderFate(reject_later=True)))
    venue.place(buy(150, 10_010))
    venue.advance_to(minute(3))
    assert brief(notices) == [(A, 1, 10), (A, 2, 150), (F, 2, 100), (R, 1, 10), (F, 2, 50)]
    assert notices[3].order.rejected_quantity == 10


def test_every_listener_hears_every_account_and_the_next_session_too():
    venue = venue_on({"A": STEADY}, at=minute(2))
    first, second = heard(venue), heard(venue)
    venue.place(buy(10, 10_010, who="2"))
    venue.advance_to(minute(3))
    venue.place(sell(10, 9_000, who="2"))
    later = venue.tape.session.replace(day=4)
    venue.start_session(make_tape({"A": STEADY}, session=later))
    venue.place(buy(1, 9_000))
    assert first == second
    assert brief(first)[-1] == (A, 1, 1)
    assert {n.order.account_no for n in first} == {"1", "2"}


def test_a_refused_request_tells_nothing():
    venue = venue_on({"A": STEADY}, at=minute(2))
    notices = heard(venue)
    for order in (buy(1, 10_005), sell(1, 10_000)):
        with pytest.raises(VenueRefusal):
            venue.place(order)
    assert notices == []
