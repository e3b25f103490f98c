"""One look at the market: what is in the frame, and what is "no data"."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.trading_fakes import MakeFloor, busy, playbook, still, when
from tests.unit.twin.handmade_tape import make_tape, minute
from trading_core.errors import BrokerUnavailable
from trading_core.model.order import Side
from trading_core.steps.observe import observation_rows

PLAN = {"A": [when("price < 1")], "B": [when("price < 1")]}


@pytest.fixture
def floor(tmp_path):
    return MakeFloor(tmp_path)


@pytest.fixture
def desk(floor):
    rows = busy(10_000, 10_000, 10_200, 10_100, *[10_100] * 20)
    return floor({"A": rows, "B": rows, "C": rows, "D": rows}, PLAN)


async def test_the_frame_holds_everything_planned_and_everything_held_and_no_more(desk):
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 10, 10_010, "C")
    view = await desk.look(minute(2))
    assert set(view.frame.symbols) == {"A", "B", "C"}
    assert all(len(column) == 3 for column in view.frame.columns.values())


async def test_prices_of_the_day_are_in_percent_of_the_previous_close(desk):
    row = (await desk.look(minute(3))).frame.row("A")
    assert row["price"] == 10_200
    assert row["change_pct"] == pytest.approx(2.0)
    assert row["range_pct"] == pytest.approx(200 / 10_200 * 100)
    assert row["minutes_to_close"] == 387


async def test_a_position_has_profit_and_days_and_nothing_else_has(desk):
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 10, 10_010, "C")
    await desk.books(minute(1))
    desk.venue.start_session(make_tape({"C": busy(*[10_100] * 5)}, session=date(2025, 9, 8)))
    desk.book = playbook({"C": [when("price < 1")]}, session=date(2025, 9, 8))
    view = await desk.look(desk.session.open_at + timedelta(minutes=2))
    row = view.frame.row("C")
    assert row["unrealized_pnl_pct"] == pytest.approx((10_100 / 10_010 - 1) * 100)
    assert row["holding_days"] == 5


async def test_a_symbol_without_a_holding_has_no_profit(desk):
    row = (await desk.look(minute(2))).frame.row("A")
    assert math.isnan(row["unrealized_pnl_pct"])
    assert math.isnan(row["holding_days"])


@pytest.mark.parametrize(
    "change", [{"last": Decimal(0)}, {"last": Decimal(-1)}, {"halted": True}, None]
)
async def test_a_symbol_without_a_usable_quote_is_no_data_throughout(desk, change):
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 10, 10_010)
    if change is None:
        desk.broker.silent = {"A"}
    else:
        desk.broker.quote_changes = {"A": change}
    row = (await desk.look(minute(2))).frame.row("A")
    assert row.pop("minutes_to_close") == 388
    assert all(math.isnan(value) for value in row.values())


async def test_no_data_is_written_down_as_none(desk):
    desk.broker.silent = {"A"}
    rows = {row.symbol: row for row in observation_rows(await desk.look(minute(2)))}
    assert rows["A"].values["price"] is None
    assert rows["B"].values["price"] == 10_000
    assert (rows["B"].session, rows["B"].at) == (desk.session.date, minute(2))


async def test_order_books_are_read_only_when_a_scenario_asks_for_the_spread(desk):
    await desk.look(minute(2))
    assert desk.broker.books_asked == []
    desk.book = playbook({"A": [when("spread_pct < 1")]})
    row = (await desk.look(minute(2))).frame.row("A")
    assert desk.broker.books_asked == ["A"]
    assert row["spread_pct"] == pytest.approx(20 / 10_000 * 100)


async def test_an_order_book_that_cannot_be_had_is_no_data(desk):
    desk.book = playbook({"A": [when("spread_pct < 1")], "B": [when("spread_pct < 1")]})
    ask = desk.broker.inner.order_book

    async def order_book(instrument):
        if instrument.symbol == "A":
            raise BrokerUnavailable("no answer")
        return await ask(instrument)

    desk.broker.inner.order_book = order_book
    view = await desk.look(minute(2))
    assert math.isnan(view.frame.row("A")["spread_pct"])
    assert set(view.matches.first) == {"B"}


async def test_the_fields_of_the_market_come_from_the_account(desk):
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 1000, 10_010)
    fields = (await desk.look(minute(2))).frame.market_fields
    assert fields["day_pnl_pct"] == 0.0
    assert fields["cash_pct"] + fields["exposure_pct"] == pytest.approx(100)
    assert fields["exposure_pct"] == pytest.approx(10, abs=0.1)
    fields = (await desk.look(minute(3))).frame.market_fields
    assert fields["day_pnl_pct"] == pytest.approx(0.2, abs=0.01)
    assert "index_change_pct" not in fields


async def test_an_account_with_nothing_in_it_has_no_shares_of_anything(desk):
    desk.venue.advance_to(minute(2))
    ask = desk.broker.account

    async def account(group):
        return replace(await ask(group), cash=Decimal(0), orderable=Decimal(0))

    desk.broker.account = account
    assert (await desk.look(minute(2))).frame.market_fields == {}


async def test_nothing_planned_and_nothing_held_is_an_empty_frame(floor):
    desk = floor({"A": still(10_000, 5)}, {})
    view = await desk.look(minute(2))
    assert view.frame.symbols == ()
    assert observation_rows(view) == ()
    tick = await desk.tick(minute(3))
    assert (tick.report.observed, tick.sent) == (0, ())


async def test_a_market_that_gives_no_quote_at_all_fails_the_tick_before_anything_is_wanted(desk):
    async def quotes(instruments, *, held):
        raise BrokerUnavailable("no answer")

    desk.broker.quotes = quotes
    with pytest.raises(BrokerUnavailable):
        await desk.tick(minute(2))
    assert desk.decisions() == []


async def test_a_planned_symbol_without_history_is_matched_on_its_price(floor):
    desk = floor({"A": busy(*[10_000] * 5)}, {"A": [when("price <= 10000")]})
    ask = desk.broker.daily_bars

    async def no_bars(instrument, *, until, count):
        await ask(instrument, until=until, count=count)
        raise BrokerUnavailable("no bars")

    desk.broker.daily_bars = no_bars
    view = await desk.look(minute(2))
    assert view.frame.row("A")["price"] == 10_000
    assert math.isnan(view.frame.row("A")["rsi"])
    assert set(view.matches.first) == {"A"}
