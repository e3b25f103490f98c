"""What stops continuous trading: auctions, breaks, halts and volatility interruptions."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.twin.handmade_tape import (
    CLOSE,
    SESSION,
    buy,
    flat,
    make_tape,
    minute,
    sell,
    venue_on,
)
from trading_core.model.market import Currency, MarketGroup
from trading_core.rules.calendar import Phase
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.interruptions import Interruptions
from trading_core.twin.phases import SessionPhases
from trading_core.twin.tape import load_tape
from trading_core.twin.venue import AccountSpec, RefusalKind, TimeInForce, VenueRefusal

DATA = Path(__file__).parents[4] / "shared" / "data"
# Up 12 % within the fourth minute; five minutes later it trades at 11,500.
JUMP = [
    *flat(10_000, 1000, 3),
    (10_000, 11_200, 10_000, 11_200, 1000),
    *flat(11_200, 1000, 2),
    (11_300, 11_300, 11_250, 11_250, 1000),
    *flat(11_250, 1000, 5),
]


def test_a_move_of_ten_percent_stops_trading_for_two_minutes():
    venue = venue_on({"A": JUMP}, at=minute(3))
    assert venue.trading_state("A").continuous
    assert venue.trading_state("A").reference_price == 10_000
    venue.advance_to(minute(4))
    state = venue.trading_state("A")
    assert (state.interrupted, state.continuous) == (True, False)
    assert (state.interrupted_until, state.reference_price) == (minute(6), 10_000)
    assert venue.order_book("A").asks == ()
    assert venue.quote("A").last == 11_200
    venue.advance_to(minute(6))
    assert venue.trading_state("A").continuous


def test_orders_of_an_interruption_trade_at_one_price_which_is_the_next_reference():
    venue = venue_on({"A": JUMP}, at=minute(4))
    assert venue.place(buy(10, 11_500)).filled_quantity == 0
    venue.place(buy(10, 11_310, who="2"))
    assert venue.advance_to(minute(6)) == []
    venue.place(buy(10, 11_500))
    assert venue.fills("1")[0].price == 11_210
    fills = venue.advance_to(minute(7))
    assert [(f.order_no, f.price, f.at) for f in fills] == [
        (1, 11_300, minute(7)),
        (2, 11_300, minute(7)),
    ]
    assert venue.trading_state("A").reference_price == 11_300


def test_immediate_orders_are_not_taken_in_an_interruption_and_cancels_are():
    venue = venue_on({"A": JUMP}, at=minute(4))
    with pytest.raises(VenueRefusal) as caught:
        venue.place(buy(1, 11_500, time_in_force=TimeInForce.IOC))
    assert caught.value.kind is RefusalKind.NOT_SUPPORTED
    venue.place(buy(5, 11_500))
    assert venue.cancel("1", 1, quantity=None).cancelled_quantity == 5


def test_an_auction_tells_the_last_price_and_the_collected_shares_it_would_let_trade():
    venue = venue_on({"A": JUMP}, at=minute(-5))
    venue.place(buy(7, 10_500))
    venue.place(buy(9, 9_900))
    state = venue.trading_state("A")
    assert (state.phase, state.expected_price) == (Phase.OPENING_AUCTION, 10_000)
    assert state.expected_quantity == 7
    venue.cancel("1", 1, quantity=3)
    assert venue.trading_state("A").expected_quantity == 4
    venue.advance_to(minute(2))
    assert venue.trading_state("A").expected_price is None


def test_a_pause_that_the_prices_made_themselves_is_not_stopped_again():
    bars = [*flat(10_000, 1000, 4), *flat(10_000, 0), (11_100, 11_200, 11_100, 11_200, 1000)]
    venue = venue_on({"A": [*bars, *flat(11_200, 1000, 5)]}, at=minute(2))
    venue.place(buy(10, 10_010))
    venue.place(sell(10, 11_000))
    (fill,) = venue.advance_to(minute(6))
    assert fill.price == 11_100
    state = venue.trading_state("A")
    assert (state.continuous, state.reference_price) == (True, 11_100)


def test_an_interruption_of_the_last_minutes_ends_in_the_closing_auction():
    bars = [*flat(10_000, 1000, 378), (10_000, 11_000, 10_000, 11_000, 1000)]
    venue = venue_on({"A": bars}, at=minute(379), auction=(11_100, 11_100, 11_100, 11_100, 1000))
    assert venue.trading_state("A").interrupted_until == minute(380)
    venue.place(buy(10, 11_200))
    venue.advance_to(minute(380))
    assert venue.trading_state("A").phase is Phase.CLOSING_AUCTION
    (fill,) = venue.advance_to(CLOSE)
    assert fill.price == 11_100


def test_before_the_rule_of_2015_and_elsewhere_nothing_is_interrupted():
    old = date(2015, 6, 1)
    venue = SimulatedExchange(
        make_tape({"A": JUMP}, session=old), [AccountSpec("1", {Currency.KRW: Decimal(10**8)})]
    )
    venue.advance_to(venue.now + timedelta(minutes=5))
    assert venue.trading_state("A").continuous
    assert venue.trading_state("A").reference_price is None
    tape = make_tape({"A": [(100, 130, 100, 130, 9), *flat(130, 9, 5)]}, group=MarketGroup.US)
    new_york = SimulatedExchange(tape, [AccountSpec("1", {})])
    new_york.advance_to(new_york.now + timedelta(minutes=2))
    assert new_york.trading_state("A").continuous


def test_the_phases_of_a_korean_day():
    venue = venue_on({"A": JUMP, "H": []}, at=minute(-60), halted=["H"])
    seen = []
    for at in (-31, -30, 0, 379, 380, 389):
        venue.advance_to(minute(at))
        seen.append(venue.trading_state("A").phase)
    venue.advance_to(CLOSE)
    seen.append(venue.trading_state("A").phase)
    venue.advance_to(CLOSE + timedelta(days=1))
    seen.append(venue.trading_state("A").phase)
    p = Phase
    assert seen == [
        p.PRE_OPEN, p.OPENING_AUCTION, p.CONTINUOUS, p.CONTINUOUS, p.CLOSING_AUCTION,
        p.CLOSING_AUCTION, p.AFTER_CLOSE, p.CLOSED,
    ]  # fmt: skip
    assert venue.trading_state("H").halted and not venue.trading_state("H").continuous
    assert venue.trading_state("ZZZ") is None


@pytest.mark.parametrize(
    ("group", "price"),
    [(MarketGroup.JP, 1000), (MarketGroup.HK, 1001), (MarketGroup.CN, None)],
)
def test_at_lunch_orders_are_collected_and_trade_afterwards(group, price):
    tape = make_tape(
        {"A": flat(1000, 10_000, 200)}, base=1000, group=group, session=date(2025, 9, 3)
    )
    spec = AccountSpec("1", {c: Decimal(10**9) for c in Currency})
    venue = SimulatedExchange(tape, [spec], at=tape.hours.break_start_at + timedelta(minutes=5))
    assert venue.trading_state("A").phase is Phase.LUNCH
    assert venue.place(buy(100, 1001)).filled_quantity == 0
    assert venue.advance_to(tape.hours.break_end_at) == []
    (fill,) = venue.advance_to(tape.hours.break_end_at + timedelta(minutes=1))
    # Tokyo reopens with an auction, the others with a spread.
    assert fill.price == (price or Decimal("1000.01"))


def test_on_an_early_close_what_is_left_is_taken_out_at_that_close():
    tape = make_tape(
        {"A": flat(100, 1000, 400)[:210]},
        base=100,
        group=MarketGroup.US,
        session=date(2025, 11, 28),
    )
    venue = SimulatedExchange(tape, [AccountSpec("1", {Currency.USD: Decimal(10_000)})])
    venue.place(buy(10, 90))
    venue.advance_to(tape.hours.close_at)
    assert tape.hours.close_at.hour == 18
    assert venue.trading_state("A").phase is Phase.AFTER_CLOSE
    (row,) = venue.orders("1", start=tape.session, end=tape.session)
    assert row.cancelled_quantity == 10


def test_at_the_lower_limit_nobody_buys_and_buys_go_through():
    bars = [*flat(8_000, 1000, 3), *flat(7_000, 100_000, 9)]
    venue = venue_on({"A": bars}, at=minute(2))
    venue.place(buy(20, 8_010))
    venue.advance_to(minute(7))
    assert venue.quote("A").lower_limit == 7_000
    assert venue.order_book("A").bids == ()
    assert venue.place(sell(10, 7_000)).filled_quantity == 0
    assert venue.place(buy(10, 7_010)).filled_quantity == 10
    assert venue.advance_to(minute(9)) == []
    assert [row.session for row in venue.orders("1", start=SESSION, end=SESSION)] == [SESSION] * 3


@pytest.mark.skipif(
    not (DATA / "krx_minute.parquet").is_file(), reason="no real prices in ../shared/data"
)
def test_the_pauses_of_a_real_session_are_its_own_interruptions():
    """Real minutes stopped where the exchange stopped them, so hardly any stop is added."""
    tape = load_tape([DATA / "krx_minute.parquet"], group=MarketGroup.KR, session=SESSION)
    found = Interruptions(tape, SessionPhases(tape.hours).quiet_from)
    row = [item.symbol for item in tape.instruments].index("097230")
    assert tape.bars.volume[row, 49] == 0
    assert tape.bars.high[row, 50] > 1.1 * tape.bars.open[row, 0]
    assert found.day(row).stops == ()
    assert found.day(row).singles == (0, 50)
    rows = range(len(tape.instruments))
    assert sum(len(found.day(row).stops) for row in rows) <= len(rows) / 50
