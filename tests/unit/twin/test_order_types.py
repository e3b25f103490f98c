"""Orders that are more than a limit or a market order, and what may go wrong with one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.twin.handmade_tape import (
    CLOSE,
    OPEN,
    SESSION,
    buy,
    flat,
    make_tape,
    minute,
    sell,
    venue_on,
)
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import OrderType
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.venue import (
    AccountSpec,
    OrderFate,
    Pricing,
    RefusalKind,
    TimeInForce,
    VenueOrder,
    VenueRefusal,
)

STEADY = flat(10_000, 1000, 389)
CLOSING = (9_900, 9_900, 9_900, 9_900, 1000)
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK
KRW = Currency.KRW


def row_of(venue: SimulatedExchange, number: int) -> VenueOrder:
    return venue.orders("1", start=SESSION, end=SESSION)[number - 1]


def refusal(action) -> RefusalKind:
    with pytest.raises(VenueRefusal) as caught:
        action()
    return caught.value.kind


def reserved(venue: SimulatedExchange) -> Decimal:
    return venue.account("1", KRW).reserved


def test_an_immediate_order_takes_what_stands_there_and_the_rest_is_taken_out():
    venue = venue_on({"A": STEADY}, at=minute(2))
    order = venue.place(buy(150, 10_010, time_in_force=IOC))
    assert (order.filled_quantity, order.cancelled_quantity) == (100, 50)
    assert reserved(venue) == 0
    assert venue.advance_to(minute(5)) == []


def test_an_immediate_order_whose_limit_is_not_met_trades_nothing():
    venue = venue_on({"A": STEADY}, at=minute(2))
    order = venue.place(buy(10, 10_000, time_in_force=IOC))
    assert (order.filled_quantity, order.cancelled_quantity) == (0, 10)


@pytest.mark.parametrize(("quantity", "filled"), [(100, 100), (101, 0)])
def test_all_or_nothing_is_all_or_nothing(quantity, filled):
    venue = venue_on({"A": STEADY}, at=minute(2))
    order = venue.place(buy(quantity, None, time_in_force=FOK))
    assert (order.filled_quantity, order.remaining_quantity) == (filled, 0)


def test_all_or_nothing_counts_what_others_took_in_the_same_minute():
    venue = venue_on({"A": STEADY}, at=minute(2))
    venue.place(buy(60, 10_010))
    assert venue.place(buy(50, 10_010, time_in_force=FOK)).filled_quantity == 0
    assert venue.place(buy(40, 10_010, time_in_force=FOK)).filled_quantity == 40


def test_best_is_a_limit_at_the_opposite_price_and_priority_at_its_own():
    venue = venue_on({"A": STEADY}, at=minute(2))
    best = venue.place(buy(10, None, pricing=Pricing.BEST))
    assert (best.order_type, best.limit_price) == (OrderType.LIMIT, 10_010)
    assert best.filled_quantity == 10
    own = venue.place(buy(10, None, pricing=Pricing.PRIORITY))
    assert (own.limit_price, own.filled_quantity) == (9_990, 0)
    venue.advance_to(minute(3))
    assert venue.place(sell(5, None, pricing=Pricing.BEST)).limit_price == 9_990
    assert venue.place(sell(5, None, pricing=Pricing.PRIORITY)).limit_price == 10_010


def test_a_best_order_can_be_immediate():
    venue = venue_on({"A": STEADY}, at=minute(2))
    order = venue.place(buy(120, None, pricing=Pricing.BEST, time_in_force=IOC))
    assert (order.filled_quantity, order.cancelled_quantity) == (100, 20)


def test_at_the_upper_limit_there_is_no_opposite_price_to_take():
    venue = venue_on({"A": flat(13_000, 1000, 5)}, at=minute(2))
    best = buy(1, None, pricing=Pricing.BEST)
    assert refusal(lambda: venue.place(best)) is RefusalKind.NOT_SUPPORTED


def test_an_order_for_the_open_takes_the_first_bars_open_and_its_rest_is_taken_out():
    bars = [(10_050, 10_100, 9_000, 9_500, 1000), *flat(9_500, 1000, 5)]
    venue = venue_on({"A": bars}, at=minute(-10))
    venue.place(buy(150, None, pricing=Pricing.AT_OPEN))
    venue.place(buy(10, 10_040, pricing=Pricing.AT_OPEN))
    (fill,) = venue.advance_to(minute(3))
    assert (fill.order_no, fill.quantity, fill.price) == (1, 100, 10_050)
    assert row_of(venue, 1).cancelled_quantity == 50
    assert row_of(venue, 2).cancelled_quantity == 10
    assert reserved(venue) == 0
    late = buy(1, None, pricing=Pricing.AT_OPEN)
    assert refusal(lambda: venue.place(late)) is RefusalKind.NOT_SUPPORTED


def test_an_order_for_the_open_waits_for_a_symbol_that_opens_late():
    bars = [*flat(10_000, 0, 3), *flat(10_020, 500, 2)]
    venue = venue_on({"A": bars}, at=minute(-10))
    venue.place(buy(10, None, pricing=Pricing.AT_OPEN))
    assert venue.advance_to(minute(3)) == []
    (fill,) = venue.advance_to(minute(4))
    assert fill.price == 10_020


def test_an_order_for_the_close_ignores_the_day_and_takes_the_closing_price():
    venue = venue_on({"A": STEADY}, at=minute(2), auction=CLOSING)
    venue.place(buy(10, 10_100, pricing=Pricing.AT_CLOSE))
    venue.place(buy(10, 9_890, pricing=Pricing.AT_CLOSE))
    assert venue.advance_to(minute(389)) == []
    (fill,) = venue.advance_to(CLOSE)
    assert (fill.order_no, fill.price, fill.at) == (1, 9_900, CLOSE)
    assert row_of(venue, 2).cancelled_quantity == 10


def test_without_a_closing_auction_in_the_prices_an_order_for_the_close_trades_nothing():
    venue = venue_on({"A": STEADY}, at=minute(2))
    venue.place(buy(10, None, pricing=Pricing.AT_CLOSE))
    assert venue.advance_to(CLOSE) == []
    assert row_of(venue, 1).cancelled_quantity == 10


def test_new_york_closes_on_its_last_minute():
    bars = [*flat(100, 1000, 389), (100, 101, 99, 100.5, 1000)]
    tape = make_tape({"A": bars}, base=100, group=MarketGroup.US)
    venue = SimulatedExchange(tape, [AccountSpec("1", {Currency.USD: Decimal(50_000)})])
    venue.place(buy(10, 110, pricing=Pricing.AT_CLOSE))
    (fill,) = venue.advance_to(tape.hours.close_at)
    assert (fill.price, fill.at) == (Decimal("100.5"), tape.hours.close_at)


def test_new_york_takes_orders_for_the_open_all_the_morning_and_no_others():
    tape = make_tape({"A": flat(100, 1000, 5)}, base=100, group=MarketGroup.US)
    early = tape.hours.open_at.replace(hour=9)
    venue = SimulatedExchange(tape, [AccountSpec("1", {Currency.USD: Decimal(50_000)})], at=early)
    assert refusal(lambda: venue.place(buy(1, 100))) is RefusalKind.BEFORE_OPEN
    venue.place(buy(10, 101, pricing=Pricing.AT_OPEN))
    (fill,) = venue.advance_to(tape.hours.open_at.replace(minute=35))
    assert fill.price == 100


def test_a_conditional_limit_is_a_market_order_in_the_closing_auction():
    venue = venue_on({"A": STEADY}, at=minute(2), auction=(10_300, 10_300, 10_300, 10_300, 1000))
    venue.place(buy(10, 9_500, pricing=Pricing.CONDITIONAL))
    assert reserved(venue) > 10 * 13_000
    assert venue.advance_to(minute(379)) == []
    assert row_of(venue, 1).order_type is OrderType.LIMIT
    venue.advance_to(minute(380))
    assert (row_of(venue, 1).order_type, row_of(venue, 1).limit_price) == (OrderType.MARKET, None)
    (fill,) = venue.advance_to(CLOSE)
    assert fill.price == 10_300
    again = buy(1, 9_500, pricing=Pricing.CONDITIONAL)
    assert refusal(lambda: venue.place(again)) is RefusalKind.AFTER_CLOSE


def test_a_conditional_limit_trades_at_its_limit_before_that():
    bars = [*flat(10_000, 1000, 3), (10_000, 10_000, 9_400, 9_400, 1000)]
    venue = venue_on({"A": bars}, at=minute(2))
    venue.place(buy(10, 9_500, pricing=Pricing.CONDITIONAL))
    (fill,) = venue.advance_to(minute(4))
    assert fill.price == 9_500


def test_a_stop_sleeps_until_its_trigger_trades_and_works_from_the_next_minute():
    bars = [*flat(10_000, 1000, 3), (10_000, 10_100, 10_000, 10_090, 1000), *flat(10_090, 1000, 3)]
    venue = venue_on({"A": bars}, at=minute(2))
    stop = venue.place(buy(10, 10_200, pricing=Pricing.STOP, trigger_price=Decimal(10_100)))
    assert (stop.filled_quantity, stop.trigger_price) == (0, 10_100)
    assert venue.advance_to(minute(4)) == []
    (fill,) = venue.advance_to(minute(5))
    assert (fill.price, fill.at) == (10_100, minute(5))


def test_a_stop_below_the_market_sells_when_the_price_falls_to_it():
    bars = [*flat(10_000, 1000, 3), (10_000, 10_000, 9_790, 9_800, 1000), *flat(9_800, 1000, 3)]
    venue = venue_on({"A": bars}, at=minute(1))
    venue.place(buy(10, 10_010))
    venue.place(sell(10, None, pricing=Pricing.STOP, trigger_price=Decimal(9_800)))
    venue.advance_to(minute(9))
    assert [(f.order_no, f.price) for f in venue.fills("1")] == [(1, 10_010), (2, 9_790)]


def test_a_sleeping_stop_keeps_its_trigger_when_it_is_repriced():
    venue = venue_on({"A": STEADY}, at=minute(2))
    venue.place(buy(10, 10_200, pricing=Pricing.STOP, trigger_price=Decimal(10_100)))
    moved = venue.modify("1", 1, limit_price=Decimal(10_300), quantity=None)
    assert (moved.pricing, moved.trigger_price) == (Pricing.STOP, 10_100)
    assert venue.advance_to(minute(9)) == []


@pytest.mark.parametrize(
    "order",
    [
        buy(1, 10_000, trigger_price=Decimal(10_000)),
        buy(1, 10_000, pricing=Pricing.STOP),
        buy(1, 10_000, pricing=Pricing.BEST),
        buy(1, None, pricing=Pricing.CONDITIONAL),
        buy(1, 10_000, pricing=Pricing.AT_CLOSE, time_in_force=IOC),
        buy(1, None, pricing=Pricing.PRIORITY, time_in_force=FOK),
        buy(1, 10_000, pricing=Pricing.AT_OPEN),
    ],
)
def test_terms_that_do_not_go_together_are_not_supported(order):
    venue = venue_on({"A": STEADY}, at=minute(2))
    assert refusal(lambda: venue.place(order)) is RefusalKind.NOT_SUPPORTED
    assert venue.state().orders == 0


@pytest.mark.parametrize("at", [minute(-5), minute(385)])
@pytest.mark.parametrize(
    "order", [buy(1, None, pricing=Pricing.BEST), buy(1, 10_000, time_in_force=IOC)]
)
def test_in_an_auction_nothing_is_immediate_and_there_is_no_best_price(at, order):
    venue = venue_on({"A": STEADY}, at=at)
    assert refusal(lambda: venue.place(order)) is RefusalKind.NOT_SUPPORTED


def test_a_stops_trigger_must_be_a_price_the_exchange_could_trade_at():
    venue = venue_on({"A": STEADY}, at=minute(2))
    off = buy(1, 10_200, pricing=Pricing.STOP, trigger_price=Decimal(10_105))
    assert refusal(lambda: venue.place(off)) is RefusalKind.PRICE_INCREMENT


def test_a_late_rejection_comes_with_the_next_move_of_the_clock_and_frees_the_cash():
    venue = venue_on({"A": STEADY}, at=minute(2))
    order = venue.place(buy(10, 10_100, fate=OrderFate(reject_later=True)))
    assert (order.filled_quantity, order.remaining_quantity) == (0, 10)
    assert reserved(venue) > 0
    venue.advance_to(minute(2))
    assert row_of(venue, 1).remaining_quantity == 10
    assert venue.advance_to(minute(3)) == []
    row = row_of(venue, 1)
    assert (row.rejected_quantity, row.remaining_quantity) == (10, 0)
    assert reserved(venue) == 0


def test_a_late_rejection_of_a_sell_gives_the_shares_back():
    venue = venue_on({"A": STEADY}, at=minute(2))
    venue.place(buy(10, 10_010))
    venue.place(sell(10, 9_900, fate=OrderFate(reject_later=True)))
    assert venue.account("1", KRW).holdings[0].sellable == 0
    venue.advance_to(minute(3))
    assert venue.account("1", KRW).holdings[0].sellable == 10


def test_an_order_cancelled_before_its_late_rejection_is_cancelled():
    venue = venue_on({"A": STEADY}, at=minute(2))
    venue.place(buy(10, 10_100, fate=OrderFate(reject_later=True)))
    venue.cancel("1", 1, quantity=None)
    venue.advance_to(minute(3))
    assert (row_of(venue, 1).cancelled_quantity, row_of(venue, 1).rejected_quantity) == (10, 0)


def test_an_order_told_to_fill_at_most_so_many_leaves_the_rest_open():
    venue = venue_on({"A": STEADY}, at=minute(2))
    order = venue.place(buy(50, 10_100, fate=OrderFate(fill_at_most=30)))
    assert (order.filled_quantity, order.remaining_quantity) == (30, 20)
    assert venue.advance_to(minute(200)) == []
    venue.advance_to(CLOSE)
    assert row_of(venue, 1).cancelled_quantity == 20


def test_what_is_left_of_a_part_filled_order_trades_once_it_is_repriced():
    venue = venue_on({"A": STEADY}, at=minute(2))
    venue.place(buy(50, 10_100, fate=OrderFate(fill_at_most=30)))
    moved = venue.modify("1", 1, limit_price=Decimal(10_200), quantity=None)
    assert (moved.quantity, moved.filled_quantity) == (20, 20)


def test_an_order_before_the_open_is_matched_at_the_opening_price_without_a_spread():
    venue = venue_on({"A": flat(10_000, 1000, 5)}, at=minute(-20))
    venue.place(buy(10, 10_500))
    venue.advance_to(OPEN)
    venue.place(buy(10, 10_500))
    fills = venue.advance_to(minute(1))
    assert [(f.order_no, f.price) for f in fills] == [(1, 10_000), (2, 10_010)]
