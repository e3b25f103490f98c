"""Orders that do not fill: cancelled, followed once or until out, and never more than decided."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trading_fakes import (
    ALWAYS,
    KR,
    POLICY,
    MakeFloor,
    busy,
    rule,
    still,
    when,
)
from tests.unit.twin.handmade_tape import CLOSE, SESSION, flat, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.errors import CircuitBreakerTripped
from trading_core.model.journal import HaltLevel
from trading_core.model.limits import GuardLimits, UnfilledPolicy
from trading_core.model.market import Instrument, Market
from trading_core.model.order import IntentReason, OrderState, OrderType, RefusalCode, Side
from trading_core.model.price import BookLevel, OrderBook
from trading_core.steps import execute, operate
from trading_core.steps.unfilled import look_closer

CHEAP = [when("price <= 10000")]
SECOND = timedelta(seconds=1)


def policy(*, tries=1, pause=10, **unfilled):
    """Entries wait two minutes and exits one and a half: a look a minute sees each of it."""
    waits = {"exit_wait": timedelta(seconds=90)} | unfilled
    guards = GuardLimits(
        entry_tries_per_session=tries, pause_after_unfilled=timedelta(minutes=pause)
    )
    return replace(POLICY, unfilled=UnfilledPolicy(**waits), guards=guards)


@pytest.fixture
def floor(tmp_path):
    return MakeFloor(tmp_path)


def held(desk, quantity=1000):
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, quantity, 10_010)


def sent(desk, side):
    return [o.intent for o in desk.broker.submitted if o.intent.side is side]


def refusals(desk):
    return [r.events[0].code for r in desk.orders() if r.state is OrderState.REFUSED]


def book(*, bid, ask):
    levels = [(BookLevel(Decimal(price), 10),) for price in (ask, bid)]
    return OrderBook(Instrument("A", Market.KR), *levels, at=minute(0))


def entry_floor(floor, rows, **changes):
    return floor({"A": rows}, {"A": CHEAP}, policy=policy(**changes))


async def run(desk, first, last):
    for n in range(first, last + 1):
        await desk.tick(minute(n))


# --- entries --------------------------------------------------------------------------------------


async def test_an_unfilled_entry_is_cancelled_and_its_rest_ordered_once_at_the_ask(floor):
    desk = entry_floor(floor, [*still(10_000, 3), *still(10_100, 20)])
    await run(desk, 2, 4)
    assert sent(desk, Side.BUY)[0].limit_price == 10_020
    assert desk.states()[-1] == "cancel_requested"
    assert len(desk.broker.submitted) == 1
    await desk.tick(minute(5))
    first, chase = sent(desk, Side.BUY)
    assert (chase.limit_price, chase.quantity) == (10_110, first.quantity)
    assert (chase.chases, chase.decided_price) == (first.intent_id, 10_100)
    assert chase.decision_id != first.decision_id
    assert desk.broker.books_asked == ["A"]


async def test_the_chase_carries_the_plan_of_the_entry_so_its_position_is_guarded_by_it(floor):
    rows = [*still(10_000, 4), *busy(*[10_000] * 9)]
    desk = floor({"A": rows}, {"A": [when("price <= 10000", stop_loss_pct=-1.5)]}, policy=policy())
    desk.broker.script = [""]
    await run(desk, 2, 3)
    # Whatever trades now, the first order must not have a part in it.
    desk.venue.cancel("1", 1, quantity=None)
    record = desk.order()
    with desk.store.write() as tx:
        tx.append([execute.event(record, OrderState.CANCEL_REQUESTED, minute(3), code="unfilled")])
    await run(desk, 4, 7)
    assert await desk.holding() == sent(desk, Side.BUY)[1].quantity
    assert desk.protections()["A"].stop_loss_pct == -1.5


async def test_only_what_did_not_fill_is_ordered_again(floor):
    rows = [*flat(10_000, 50, 3), *still(10_000, 20)]
    desk = entry_floor(floor, rows)
    await run(desk, 2, 6)
    first, chase = sent(desk, Side.BUY)
    filled = desk.orders()[0].filled_quantity
    assert 0 < filled < first.quantity
    assert chase.quantity == first.quantity - filled
    assert desk.order().state is OrderState.ACCEPTED


async def test_the_chase_pays_the_best_ask_of_the_order_book(floor):
    desk = entry_floor(floor, [*still(10_000, 3), *still(10_100, 20)])
    desk.broker.order_books["A"] = book(bid=10_100, ask=10_150)
    await run(desk, 2, 5)
    assert sent(desk, Side.BUY)[1].limit_price == 10_150


@pytest.mark.parametrize(("price", "chased"), [(10_190, True), (10_200, False)])
async def test_a_gap_of_two_percent_is_paid_and_more_is_given_up_with_a_reason(
    floor, price, chased
):
    desk = entry_floor(floor, [*still(10_000, 3), *still(price, 20)])
    await run(desk, 2, 9)
    assert (len(sent(desk, Side.BUY)) == 2) is chased
    assert (RefusalCode.CHASE_GAP in refusals(desk)) is not chased
    if not chased:
        (given_up,) = [r for r in desk.orders() if r.events[0].code == RefusalCode.CHASE_GAP]
        assert given_up.intent.chases == sent(desk, Side.BUY)[0].intent_id
        assert "2.10 % above 10000" in given_up.events[0].note


async def test_what_was_given_up_is_not_chased_when_the_price_comes_back(floor):
    desk = entry_floor(floor, [*still(10_000, 3), *still(10_500, 3), *still(10_000, 20)])
    await run(desk, 2, 12)
    assert len(desk.broker.submitted) == 1


async def test_a_chase_that_does_not_fill_is_cancelled_and_not_chased(floor):
    desk = entry_floor(floor, still(10_000, 40), tries=0, pause=0)
    await run(desk, 2, 8)
    orders = [r for r in desk.orders() if r.state is not OrderState.REFUSED]
    assert [r.state for r in orders[:2]] == [OrderState.CANCELLED] * 2
    # The scenario still holds and nothing forbids another try: that one is no chase.
    assert [bool(intent.chases) for intent in sent(desk, Side.BUY)] == [False, True, False]


async def test_after_a_chase_in_vain_the_symbol_is_left_alone_for_ten_minutes(floor):
    desk = entry_floor(floor, still(10_000, 60), tries=0)
    await run(desk, 2, 17)
    assert len(desk.broker.submitted) == 2
    assert refusals(desk).count(RefusalCode.UNFILLED_PAUSE) == 1
    assert desk.order().events[-1].at == minute(8)
    await desk.tick(minute(18))
    assert len(desk.broker.submitted) == 3


async def test_an_entry_and_its_chase_are_one_try(floor):
    desk = entry_floor(floor, still(10_000, 60), tries=2, pause=0)
    await run(desk, 2, 20)
    assert [bool(i.chases) for i in sent(desk, Side.BUY)] == [False, True, False, True]
    assert RefusalCode.ENTRY_TRIED in refusals(desk)


async def test_a_tick_run_twice_chases_once(floor):
    desk = entry_floor(floor, still(10_000, 20))
    await run(desk, 2, 5)
    await desk.tick(minute(5))
    await desk.tick(minute(5) + SECOND)
    assert len(desk.broker.submitted) == 2


async def test_two_runs_that_decided_the_chase_at_once_send_it_once(floor):
    desk = entry_floor(floor, still(10_000, 20))
    await run(desk, 2, 4)
    plans = [await desk.plan(minute(5).replace(microsecond=n)) for n in range(2)]
    for _, plan in plans:
        execute.journal(desk.store, plan)
    answers = [
        await execute.send_all(desk.broker, desk.store, desk.lock, books, plan)
        for books, plan in plans
    ]
    assert [item.state for (item,) in answers] == [OrderState.ACCEPTED, OrderState.REFUSED]
    assert len(desk.broker.submitted) == 2


async def test_a_chase_does_not_go_out_when_the_order_before_it_has_filled_more(floor):
    desk = entry_floor(floor, still(10_000, 20))
    await run(desk, 2, 4)
    books, plan = await desk.plan(minute(5))
    execute.journal(desk.store, plan)
    (order,) = plan.approved
    more = replace(order, intent=replace(order.intent, quantity=order.intent.quantity + 1))
    answer = await execute.send(
        desk.broker, desk.store, desk.lock, more,
        group=KR, known_numbers=books.known_numbers, at=minute(5),
    )  # fmt: skip
    assert (answer.state, answer.code) == (OrderState.REFUSED, RefusalCode.ALREADY_WORKING)
    assert "filled since" in answer.detail


async def test_nothing_is_chased_while_the_cancel_is_not_known_to_have_worked(floor):
    desk = entry_floor(floor, still(10_000, 40))
    desk.broker.cancel_script = ["lost request"]
    await run(desk, 2, 5)
    assert len(desk.broker.submitted) == 1
    assert desk.states()[-1] == "cancel_requested"
    assert len(desk.broker.cancelled) == 2
    await desk.tick(minute(6))
    assert len(desk.broker.submitted) == 2


async def test_a_cancel_on_its_way_is_not_asked_for_again_at_once(floor):
    desk = entry_floor(floor, still(10_000, 40))
    desk.broker.cancel_script = ["lost request"]
    await run(desk, 2, 4)
    await desk.tick(minute(4) + 5 * SECOND)
    assert len(desk.broker.cancelled) == 1
    await desk.tick(minute(4) + 10 * SECOND)
    assert len(desk.broker.cancelled) == 2


async def test_a_fill_that_wins_the_race_against_the_cancel_is_not_chased(floor):
    desk = entry_floor(floor, [*still(10_000, 4), *busy(*[10_000] * 9)])
    await run(desk, 2, 3)
    books, plan = await desk.plan(minute(4))
    desk.venue.advance_to(minute(6))
    await desk.act(books, plan)
    await run(desk, 7, 12)
    assert len(sent(desk, Side.BUY)) == 1
    assert await desk.holding() == sent(desk, Side.BUY)[0].quantity


async def test_what_a_person_cancelled_or_modified_at_the_broker_is_not_chased(floor):
    desk = entry_floor(floor, still(10_000, 40))
    await run(desk, 2, 3)
    desk.venue.cancel("1", 1, quantity=None)
    await run(desk, 4, 9)
    assert desk.order().state is OrderState.CANCELLED
    assert len(desk.broker.submitted) == 1


async def test_what_a_halt_cancelled_is_not_chased_after_it(floor):
    desk = entry_floor(floor, still(10_000, 40))
    await run(desk, 2, 2)
    operate.halt(desk.store, scope="KR", reason="a doubt", at=minute(2))
    await desk.tick(minute(3))
    assert desk.order().events[-1].code == "halted"
    operate.resume(desk.store, scope="KR", by="fine", at=minute(3))
    await run(desk, 4, 9)
    assert len(desk.broker.submitted) == 1


async def test_a_halt_before_the_chase_gives_it_up(floor):
    desk = entry_floor(floor, still(10_000, 40))
    await run(desk, 2, 4)
    operate.halt(desk.store, scope="KR", reason="a doubt", at=minute(4))
    await desk.tick(minute(5))
    assert RefusalCode.HALTED in refusals(desk)
    operate.resume(desk.store, scope="KR", by="fine", at=minute(5))
    await run(desk, 6, 9)
    assert len(desk.broker.submitted) == 1


async def test_a_restart_in_the_middle_of_a_chase_goes_on_with_it(floor, tmp_path):
    desk = entry_floor(floor, [*still(10_000, 3), *still(10_100, 40)])
    desk.store = DuckStore(tmp_path / "state.duckdb")
    await run(desk, 2, 4)
    desk.store = DuckStore(tmp_path / "state.duckdb")
    await desk.tick(minute(5))
    desk.store = DuckStore(tmp_path / "state.duckdb")
    await run(desk, 6, 12)
    first, chase = sent(desk, Side.BUY)
    assert chase.chases == first.intent_id
    ended = [r.state for r in desk.orders() if r.state is not OrderState.REFUSED]
    assert ended == [OrderState.CANCELLED] * 2


async def test_an_entry_is_not_chased_half_an_hour_after_its_decision(floor):
    desk = entry_floor(floor, still(10_000, 60))
    await run(desk, 2, 4)
    await desk.tick(minute(33))
    assert RefusalCode.CHASE_TOO_LATE in refusals(desk)
    assert len(desk.broker.submitted) == 1


async def test_a_chase_that_was_not_taken_is_tried_again(floor):
    desk = entry_floor(floor, still(10_000, 40))
    desk.broker.script = ["", "rate limit"]
    await run(desk, 2, 6)
    assert len(desk.broker.submitted) == 3
    assert desk.order().state is OrderState.ACCEPTED


# --- exits ----------------------------------------------------------------------------------------


def falling(*, after=()):
    """Two busy minutes at 10,000 won, then the price falls without anybody buying."""
    prices = [9_650, 9_650, 9_300, 9_300, 9_000, 9_000, 8_800, 8_800, 8_600, 8_600]
    return [*busy(10_000, 10_000), *(row for p in prices for row in still(p)), *after]


async def test_an_exit_is_chased_at_the_bid_and_then_goes_out_as_a_market_order(floor):
    desk = floor({"A": falling(after=busy(*[8_600] * 9))}, {}, policy=policy())
    held(desk, 100)
    await run(desk, 3, 20)
    sells = sent(desk, Side.SELL)
    assert [(s.order_type, s.limit_price) for s in sells] == [
        (OrderType.LIMIT, 9_460),
        (OrderType.LIMIT, 9_120),
        (OrderType.MARKET, None),
    ]
    assert [s.chases for s in sells] == ["", sells[0].intent_id, sells[1].intent_id]
    assert await desk.holding() == 0


async def test_an_exit_that_was_no_stop_is_chased_at_the_best_bid(floor):
    rows = [*busy(10_000, 10_000), *still(10_000, 1), *still(9_950, 30)]
    desk = floor({"A": rows}, {"A": [when("price > 1", "SELL")]}, policy=policy())
    held(desk, 100)
    desk.venue.advance_to(minute(3))
    desk.broker.quote_changes = {"A": {"last": Decimal(10_000)}}
    await desk.tick(minute(3))
    desk.broker.quote_changes = {}
    assert sent(desk, Side.SELL)[0].limit_price == 9_950
    desk.broker.order_books["A"] = book(bid=9_890, ask=9_960)
    await run(desk, 4, 6)
    assert sent(desk, Side.SELL)[1].limit_price == 9_890


async def test_the_rest_of_an_exit_is_sold_though_its_scenario_is_over(floor):
    plan = [when("price >= 10100", "SELL")]
    rows = [*busy(10_000, 10_000), *still(10_100, 1), *still(9_990, 30)]
    desk = floor({"A": rows}, {"A": plan}, policy=policy())
    held(desk, 100)
    await run(desk, 3, 6)
    assert [s.reason for s in sent(desk, Side.SELL)] == [IntentReason.SCENARIO_EXIT] * 2


async def test_half_a_position_that_did_not_sell_is_chased_as_half(floor):
    plan = [when("price >= 10100", "REDUCE")]
    rows = [*busy(10_000, 10_000), *still(10_100, 1), *still(9_990, 30)]
    desk = floor({"A": rows}, {"A": plan}, policy=policy())
    held(desk, 100)
    await run(desk, 3, 6)
    assert [s.quantity for s in sent(desk, Side.SELL)] == [50, 50]


async def test_a_stop_that_is_hit_while_half_is_chased_sells_all_of_it(floor):
    plan = [when("price >= 10100", "REDUCE")]
    rows = [*busy(10_000, 10_000), *still(10_100, 1), *still(9_600, 30)]
    desk = floor({"A": rows}, {"A": plan}, policy=policy())
    held(desk, 100)
    await run(desk, 3, 6)
    half, all_of_it = sent(desk, Side.SELL)
    assert (half.quantity, all_of_it.quantity) == (50, 100)
    assert (all_of_it.reason, all_of_it.chases) == (IntentReason.HARD_STOP, half.intent_id)


async def test_never_are_two_exits_of_one_position_at_the_exchange(floor):
    desk = floor({"A": falling(after=busy(*[8_600] * 9))}, {}, policy=policy())
    held(desk, 100)
    for n in range(3, 20):
        await desk.tick(minute(n))
        rows = await desk.broker.inner.orders(KR, SESSION)
        assert sum(row.is_open and row.side is Side.SELL for row in rows) <= 1
        if await desk.holding():
            assert desk.protections()["A"].stop_loss_pct < 0


async def test_no_exit_is_cancelled_when_nothing_may_take_its_place(floor):
    desk = floor({"A": falling()}, {}, policy=policy())
    held(desk, 100)
    await desk.tick(minute(3))
    operate.halt(desk.store, scope="KR", reason="stand still", at=minute(3), level=HaltLevel.HALTED)
    await run(desk, 4, 9)
    assert desk.broker.cancelled == []


async def test_shortly_before_the_close_an_exit_is_left_to_work(floor):
    desk = floor({"A": falling()}, {}, policy=policy())
    held(desk, 100)
    await desk.tick(minute(3))
    desk.broker.quote_changes = {"A": {"last": Decimal(9_000)}}
    late = await desk.tick(CLOSE - timedelta(minutes=2))
    assert late.plan.cancels == ()
    early = await desk.plan(CLOSE - timedelta(minutes=2))
    assert early[1].cancels == ()


async def test_in_the_closing_auction_the_strongest_order_is_a_limit_through_the_book(floor):
    desk = floor({"A": falling()}, {}, policy=policy())
    held(desk, 100)
    await run(desk, 3, 8)
    assert sent(desk, Side.SELL)[-1].limit_price == 9_120
    at = CLOSE - timedelta(minutes=9)
    desk.broker.quote_changes = {"A": {"last": Decimal(8_600)}}
    await desk.tick(at)
    await desk.tick(at + timedelta(minutes=1))
    last = sent(desk, Side.SELL)[-1]
    assert last.order_type is OrderType.LIMIT
    assert last.limit_price is not None
    assert last.limit_price < 8_600


async def test_a_market_order_that_was_refused_is_followed_by_a_limit_through_the_book(floor):
    desk = floor({"A": falling(after=busy(*[8_600] * 9))}, {}, policy=policy())
    held(desk, 100)
    desk.broker.script = ["", "", "reject"]
    await run(desk, 3, 20)
    kinds = [s.order_type for s in sent(desk, Side.SELL)]
    assert kinds[:4] == [OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET, OrderType.LIMIT]
    assert kinds.count(OrderType.MARKET) == 1
    assert await desk.holding() == 0


async def test_where_the_route_takes_no_market_orders_none_is_sent(floor):
    desk = floor({"A": falling(after=busy(*[8_600] * 9))}, {}, policy=policy(market_orders=False))
    held(desk, 100)
    await run(desk, 3, 20)
    assert {s.order_type for s in sent(desk, Side.SELL)} == {OrderType.LIMIT}
    assert await desk.holding() == 0


async def test_a_sale_without_balance_is_not_sent_again_until_the_holding_changes(floor):
    desk = floor({"A": busy(10_000, 10_000, *[9_600] * 30)}, {}, policy=policy())
    held(desk, 100)
    desk.broker.script = ["no balance"]
    await run(desk, 3, 9)
    assert len(desk.broker.submitted) == 1
    assert refusals(desk) == [RefusalCode.NO_BALANCE]
    desk.by_hand(Side.SELL, 40, 9_590)
    await desk.tick(minute(10))
    assert [s.quantity for s in sent(desk, Side.SELL)] == [100, 60]


async def test_reduce_all_stops_at_a_sale_without_balance_too(floor):
    desk = floor({"A": busy(*[10_000] * 30)}, {}, rule(ALWAYS, "REDUCE_ALL"), policy=policy())
    held(desk, 100)
    desk.broker.script = ["no balance", "no balance", "no balance"]
    await run(desk, 3, 9)
    assert len(desk.broker.submitted) == 1


async def test_a_closer_look_asks_for_nothing_while_everything_fills(floor):
    desk = entry_floor(floor, busy(*[10_000] * 9))
    await run(desk, 2, 6)
    assert desk.broker.books_asked == []


async def test_an_order_book_that_cannot_be_had_leaves_the_last_price(floor):
    desk = entry_floor(floor, [*still(10_000, 3), *still(10_100, 20)])
    await run(desk, 2, 4)
    view = await desk.look(minute(5))

    class NoBooks:
        async def order_book(self, instrument):
            raise execute.BrokerUnavailable("no book")

    seen = await look_closer(NoBooks(), replace(view, order_books={}), desk.policy)
    assert seen.order_books == {}


# --- whatever happens, never more than was decided ------------------------------------------------

WORDS = st.sampled_from(["", "", "", "lost reply", "lost request", "reject", "rate limit"])
MINUTES = st.lists(
    st.tuples(
        st.sampled_from([9_960, 9_990, 10_000, 10_010, 10_030, 10_150]),
        st.sampled_from([0, 0, 40, 200, 1_000_000]),
    ),
    min_size=14,
    max_size=14,
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([10, 30, 60]),  # seconds to the next tick
        st.sampled_from([0, 0, 45]),  # seconds that pass between the look and what it leads to
        st.booleans(),  # whether a second run decides on the same look
    ),
    min_size=8,
    max_size=14,
)


def open_rows(rows, side):
    return [row for row in rows if row.side is side and row.is_open]


async def play(desk, steps):
    """Looks and what follows them, a second run in between; checks the exchange after each."""
    at, decided = minute(2), 0
    for wait, late, twice in steps:
        at += timedelta(seconds=wait)
        books, plan = await desk.plan(at)
        other = await desk.plan(at + timedelta(milliseconds=1)) if twice else None
        desk.venue.advance_to(at + timedelta(seconds=late))
        for wanted_by, wanted in filter(None, ((books, plan), other)):
            try:
                await desk.act(wanted_by, wanted)
            except CircuitBreakerTripped:
                continue
        at += timedelta(seconds=late)
        firsts = [i for i in sent(desk, Side.BUY) if not i.chases]
        decided = max([decided, *(i.quantity for i in firsts)])
        rows = await desk.broker.inner.orders(KR, SESSION)
        bought = sum(row.filled_quantity for row in rows if row.side is Side.BUY)
        sold = sum(row.filled_quantity for row in rows if row.side is Side.SELL)
        may_still = sum(row.remaining_quantity for row in open_rows(rows, Side.BUY))
        assert bought + may_still <= decided
        assert len(open_rows(rows, Side.BUY)) <= 1
        assert len(open_rows(rows, Side.SELL)) <= 1
        assert sold <= bought


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(MINUTES, STEPS, st.lists(WORDS, max_size=6), st.lists(WORDS, max_size=6))
def test_no_race_of_fills_cancels_and_lost_replies_buys_more_than_was_decided(
    minutes, steps, submits, cancels
):
    rows = [row for price, volume in minutes for row in flat(price, volume)]
    plan = [when("price <= 9970", "SELL"), when("price <= 10010", allocation=10.0)]
    waits = UnfilledPolicy(entry_wait=timedelta(seconds=40), exit_wait=timedelta(seconds=20))
    with tempfile.TemporaryDirectory() as home:
        desk = MakeFloor(Path(home))(
            {"A": rows}, {"A": plan}, policy=replace(policy(), unfilled=waits)
        )
        desk.broker.script, desk.broker.cancel_script = list(submits), list(cancels)
        asyncio.run(play(desk, steps))
