"""How orders meet the tape: price, time, volume, limits, halts and the close."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.twin.handmade_tape import (
    CLOSE,
    OPEN,
    SESSION,
    buy,
    flat,
    minute,
    sell,
    venue_on,
)
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.price import Ranking
from trading_core.twin.venue import RefusalKind, RowKind, VenueOrder, VenueRefusal

QUIET = flat(10_000, 1000, 5)


def row_of(venue, number: int) -> VenueOrder:
    rows = venue.orders("1", start=SESSION, end=SESSION)
    rows += venue.orders("2", start=SESSION, end=SESSION)
    return next(row for row in rows if row.order_no == number)


def refusal(action) -> RefusalKind:
    with pytest.raises(VenueRefusal) as caught:
        action()
    return caught.value.kind


def test_a_marketable_buy_fills_at_once_one_increment_above_the_last_price():
    venue = venue_on({"A": QUIET}, at=minute(2))
    order = venue.place(buy(100, 10_050))
    assert order.filled_quantity == 100
    assert order.filled_amount == 100 * 10_010
    assert order.last_fill_at == minute(2)


def test_at_once_only_what_stands_at_the_best_price_is_taken_and_the_rest_follows():
    venue = venue_on({"A": QUIET}, at=minute(2))
    assert venue.order_book("A").asks[0].quantity == 100
    assert venue.place(buy(150, 10_010)).filled_quantity == 100
    assert venue.place(buy(10, 10_010)).filled_quantity == 0
    fills = venue.advance_to(minute(3))
    assert [(f.order_no, f.quantity, f.at) for f in fills] == [
        (1, 50, minute(3)),
        (2, 10, minute(3)),
    ]


def test_a_price_traded_through_gives_a_tenth_of_the_volume_at_the_limit():
    bars = [*flat(10_000, 1000, 2), (10_000, 10_000, 9_900, 9_950, 1000)]
    venue = venue_on({"A": bars}, at=minute(2))
    assert venue.place(buy(500, 9_950)).filled_quantity == 0
    (fill,) = venue.advance_to(minute(3))
    assert (fill.quantity, fill.price) == (100, 9_950)


def test_a_price_only_touched_gives_half_of_that():
    bars = [*flat(10_000, 1000, 2), (10_000, 10_000, 9_950, 9_990, 1000)]
    venue = venue_on({"A": bars}, at=minute(2))
    venue.place(buy(500, 9_950))
    (fill,) = venue.advance_to(minute(3))
    assert (fill.quantity, fill.price) == (50, 9_950)


def test_a_buy_meets_no_bar_that_had_begun_before_it_was_placed():
    bars = [*flat(10_000, 1000, 2), (10_000, 10_000, 9_000, 10_000, 1000), *flat(10_000, 1000)]
    late = minute(2).replace(second=1)
    venue = venue_on({"A": bars}, at=late)
    venue.place(buy(10, 9_900))
    assert venue.advance_to(minute(4)) == []


def test_a_gap_below_the_limit_fills_near_the_open_not_at_the_limit():
    bars = [*flat(10_000, 0, 2), (9_000, 9_100, 8_900, 9_000, 1000)]
    venue = venue_on({"A": bars}, at=minute(2))
    venue.place(buy(10, 10_000))
    (fill,) = venue.advance_to(minute(3))
    assert fill.price == 9_010


def test_the_better_price_fills_first_and_among_equals_the_earlier():
    bars = [*flat(10_000, 1000, 2), (10_000, 10_000, 9_800, 9_900, 1000)]
    venue = venue_on({"A": bars}, at=minute(2))
    venue.place(buy(60, 9_900, who="2"))
    venue.place(buy(60, 9_950))
    venue.place(buy(60, 9_900))
    fills = venue.advance_to(minute(3))
    assert [(f.order_no, f.quantity) for f in fills] == [(2, 60), (1, 40)]


def test_a_market_order_walks_further_bars_until_it_is_done():
    venue = venue_on({"A": flat(10_000, 500, 9)}, at=minute(2))
    venue.place(buy(120, None))
    venue.advance_to(minute(4))
    assert [f.quantity for f in venue.fills("1")] == [50, 50, 20]


def test_a_minute_without_volume_fills_nothing():
    bars = [*flat(10_000, 1000, 2), *flat(9_000, 0, 3)]
    venue = venue_on({"A": bars}, at=minute(2))
    venue.place(buy(10, 9_500))
    assert venue.advance_to(minute(5)) == []
    assert venue.place(buy(10, 9_500)).filled_quantity == 0


def test_at_the_upper_limit_nobody_sells_and_sells_go_through():
    locked = flat(13_000, 100_000, 5)
    venue = venue_on({"A": [*flat(12_000, 1000, 3), *locked]}, at=minute(2))
    venue.place(buy(20, 12_010))
    assert row_of(venue, 1).filled_quantity == 20
    venue.advance_to(minute(5))
    assert venue.quote("A").upper_limit == 13_000
    assert venue.order_book("A").asks == ()
    assert venue.place(buy(10, 13_000)).filled_quantity == 0
    assert venue.place(sell(20, 12_990)).filled_quantity == 20
    assert venue.advance_to(minute(8)) == []


def test_what_is_left_at_the_close_is_cancelled_and_nothing_stays_reserved():
    venue = venue_on({"A": QUIET}, at=minute(2))
    venue.place(buy(10, 9_000))
    assert venue.account("1", Currency.KRW).reserved > 90_000
    venue.advance_to(CLOSE)
    row = row_of(venue, 1)
    assert (row.cancelled_quantity, row.remaining_quantity) == (10, 0)
    assert venue.account("1", Currency.KRW).reserved == 0


def test_the_closing_auction_fills_at_its_one_price():
    venue = venue_on({"A": QUIET}, at=minute(200), auction=(9_900, 9_900, 9_900, 9_900, 1000))
    venue.place(buy(10, 10_000))
    venue.advance_to(minute(389))
    assert venue.fills("1") == []
    (fill,) = venue.advance_to(CLOSE)
    assert (fill.price, fill.at) == (9_900, CLOSE)


def test_in_the_closing_auction_nothing_fills_at_once():
    venue = venue_on({"A": flat(10_000, 1000, 390)}, at=minute(381))
    assert venue.place(buy(10, 10_100)).filled_quantity == 0


def test_a_cancel_is_a_row_of_its_own_and_takes_only_what_it_names():
    venue = venue_on({"A": QUIET}, at=minute(2))
    venue.place(buy(10, 9_000))
    part = venue.cancel("1", 1, quantity=4)
    assert (part.kind, part.original_no, part.order_no) == (RowKind.CANCEL, 1, 2)
    assert part.remaining_quantity == 0
    assert row_of(venue, 1).remaining_quantity == 6
    venue.cancel("1", 1, quantity=None)
    assert row_of(venue, 1).remaining_quantity == 0
    assert refusal(lambda: venue.cancel("1", 1, quantity=None)) is RefusalKind.NOTHING_LEFT


def test_a_modify_moves_what_remains_to_a_new_number_with_its_own_reserve():
    venue = venue_on({"A": QUIET}, at=minute(2))
    venue.place(buy(10, 9_000))
    before = venue.account("1", Currency.KRW).reserved
    moved = venue.modify("1", 1, limit_price=Decimal(9_100), quantity=4)
    assert (moved.order_no, moved.original_no, moved.remaining_quantity) == (2, 1, 4)
    assert row_of(venue, 1).remaining_quantity == 6
    assert venue.account("1", Currency.KRW).reserved == before + 400
    kind = refusal(lambda: venue.modify("1", 1, limit_price=Decimal(9_100), quantity=7))
    assert kind is RefusalKind.QUANTITY_TOO_LARGE


def test_a_modified_order_loses_its_place_in_the_queue():
    bars = [*flat(10_000, 1000, 2), (10_000, 10_000, 9_800, 9_900, 1000)]
    venue = venue_on({"A": bars}, at=minute(2))
    venue.place(buy(80, 9_900))
    venue.place(buy(80, 9_900, who="2"))
    venue.modify("1", 1, limit_price=Decimal(9_900), quantity=None)
    fills = venue.advance_to(minute(3))
    assert [(f.order_no, f.quantity) for f in fills] == [(2, 80), (3, 20)]


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        (buy(1, 10_005), RefusalKind.PRICE_INCREMENT),
        (buy(1, -10), RefusalKind.PRICE_INCREMENT),
        (buy(1, 13_010), RefusalKind.PRICE_LIMIT),
        (buy(1, 6_990), RefusalKind.PRICE_LIMIT),
        (buy(0, 10_000), RefusalKind.QUANTITY),
        (buy(10_000, 10_000), RefusalKind.CASH),
        (buy(1, 10_000, symbol="ZZZ"), RefusalKind.UNKNOWN_SYMBOL),
        (buy(1, 10_000, symbol="H"), RefusalKind.HALTED),
        (buy(1, 10_000, who="9"), RefusalKind.UNKNOWN_ACCOUNT),
        (sell(1, 10_000), RefusalKind.NO_POSITION),
    ],
)
def test_an_order_that_breaks_a_rule_is_refused_and_changes_nothing(order, kind):
    venue = venue_on({"A": QUIET, "H": flat(10_000, 0, 5)}, at=minute(2), halted=["H"])
    before = venue.account("1", Currency.KRW)
    assert refusal(lambda: venue.place(order)) is kind
    assert venue.account("1", Currency.KRW) == before
    assert venue.state().orders == 0


def test_a_market_buy_needs_cash_for_the_upper_limit_price():
    venue = venue_on({"A": QUIET}, at=minute(2))
    assert refusal(lambda: venue.place(buy(7_700, None))) is RefusalKind.CASH
    assert venue.place(buy(7_600, None)).order_no == 1


def test_more_than_the_sellable_quantity_is_refused():
    venue = venue_on({"A": flat(10_000, 1000, 9)}, at=minute(2))
    venue.place(buy(20, 10_010))
    venue.place(sell(15, 11_000))
    (holding,) = venue.account("1", Currency.KRW).holdings
    assert (holding.quantity, holding.sellable) == (20, 5)
    assert refusal(lambda: venue.place(sell(6, 11_000))) is RefusalKind.QUANTITY


def test_orders_are_taken_from_the_opening_auction_to_the_close_of_a_session_only():
    venue = venue_on({"A": QUIET}, at=minute(-31))
    assert refusal(lambda: venue.place(buy(1, 10_000))) is RefusalKind.BEFORE_OPEN
    venue.advance_to(OPEN)
    venue.place(buy(1, 9_000))
    venue.advance_to(CLOSE)
    assert refusal(lambda: venue.place(buy(1, 10_000))) is RefusalKind.AFTER_CLOSE
    assert refusal(lambda: venue.cancel("1", 1, quantity=None)) is RefusalKind.AFTER_CLOSE
    venue.advance_to(CLOSE.replace(day=6))
    assert refusal(lambda: venue.place(buy(1, 10_000))) is RefusalKind.NOT_A_SESSION


def test_another_accounts_order_cannot_be_cancelled():
    venue = venue_on({"A": QUIET}, at=minute(2))
    venue.place(buy(1, 9_000))
    kind = refusal(lambda: venue.cancel("2", 1, quantity=None))
    assert kind is RefusalKind.ORIGINAL_NOT_FOUND


def test_before_the_first_bar_the_last_price_is_the_previous_close():
    quote = venue_on({"A": QUIET}, at=OPEN).quote("A")
    assert (quote.last, quote.open, quote.high, quote.volume) == (10_000, 0, 0, 0)


def test_a_quote_at_a_full_minute_shows_the_bar_that_just_ended():
    bars = [(10_000, 10_100, 9_900, 10_050, 10), (10_060, 10_200, 10_060, 10_150, 20)]
    venue = venue_on({"A": bars}, at=minute(1))
    quote = venue.quote("A")
    assert (quote.last, quote.high, quote.low, quote.volume) == (10_050, 10_100, 9_900, 10)
    venue.advance_to(minute(2).replace(second=0) - (minute(1) - OPEN) / 60)
    assert venue.quote("A").last == 10_050
    venue.advance_to(minute(2))
    assert (venue.quote("A").last, venue.quote("A").volume) == (10_150, 30)


def test_a_halted_symbol_is_listed_with_its_previous_close():
    venue = venue_on({"H": []}, at=minute(5), halted=["H"])
    quote = venue.quote("H")
    assert (quote.last, quote.halted, quote.usable) == (10_000, True, False)


def test_the_ranking_counts_all_instruments_best_first():
    venue = venue_on(
        {"A": flat(9_000, 5), "B": flat(11_000, 1), "C": flat(10_000, 9)}, at=minute(2)
    )
    market = MarketGroup.KR.markets[0]
    rows = venue.ranking(Ranking.FLUCTUATION, market)
    assert [(r.instrument.symbol, r.rank) for r in rows] == [("B", 1), ("C", 2), ("A", 3)]
    rows = venue.ranking(Ranking.VOLUME, market, descending=False)
    assert [r.instrument.symbol for r in rows] == ["B", "A", "C"]


def test_the_order_book_is_the_same_each_time_and_inside_the_daily_limits():
    venue = venue_on({"A": flat(12_950, 1000, 5)}, at=minute(2))
    book = venue.order_book("A")
    assert book == venue.order_book("A")
    assert [level.price for level in book.asks] == [12_960, 12_970, 12_980, 12_990, 13_000]
    assert len(book.bids) == 10
    assert book.bids[0].price == 12_940


def test_the_clock_never_goes_back():
    venue = venue_on({"A": QUIET}, at=minute(3))
    assert venue.advance_to(minute(1)) == []
    assert venue.now == minute(3)
