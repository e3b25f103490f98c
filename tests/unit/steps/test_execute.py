"""The order protocol: journal, lock, sending, one POST, the answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.trading_fakes import (
    KR,
    PATIENT,
    POLICY,
    Died,
    MakeFloor,
    an_entry,
    busy,
    still,
    when,
)
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.errors import CircuitBreakerTripped, StoreBusy
from trading_core.model.journal import Halt, HaltKind
from trading_core.model.limits import UnfilledPolicy
from trading_core.model.market import Instrument, Market
from trading_core.model.order import OrderEvent, OrderState, RefusalCode, Side
from trading_core.steps import execute, operate

CHEAP = [when("price <= 10000")]


@pytest.fixture
def floor(tmp_path):
    return MakeFloor(tmp_path)


@pytest.fixture
def fills(floor):
    """One stock at 10,000 won in which every order fills at once."""
    return floor({"A": busy(*[10_000] * 30)}, {"A": CHEAP})


@pytest.fixture
def rests(floor):
    """One stock at 10,000 won in which nothing trades, so every order rests for long."""
    return floor({"A": still(10_000, 30)}, {"A": CHEAP}, policy=PATIENT)


def journaled(desk, order):
    """Commit the intent of an order as a tick does."""
    with desk.store.write() as tx:
        tx.append([order.intent])
        tx.append([OrderEvent(order.intent.intent_id, 0, OrderState.INTENDED, order.approved_at)])


async def send(desk, order, known=(), at=None):
    return await execute.send(
        desk.broker, desk.store, desk.lock, order,
        group=KR, known_numbers=known, at=at or order.approved_at,
    )  # fmt: skip


async def test_an_order_is_journaled_before_it_leaves_and_its_answer_after(fills):
    seen = []
    fills.broker.on_submit = lambda order: seen.append(fills.states())
    tick = await fills.tick(minute(2))
    assert seen == [["intended", "sending"]]
    assert [item.state for item in tick.sent] == [OrderState.ACCEPTED]
    assert fills.states() == ["intended", "sending", "accepted"]
    assert fills.order().order_no == "0000000001"


async def test_the_order_lock_is_held_while_the_order_is_under_way(fills):
    refused = []

    def try_to_send(order):
        with pytest.raises(StoreBusy), fills.lock.hold():
            pass
        refused.append(True)

    fills.broker.on_submit = try_to_send
    await fills.tick(minute(2))
    assert refused == [True]
    with fills.lock.hold():
        pass


async def test_the_store_is_not_held_open_while_the_broker_is_asked(fills):
    def write(order):
        with fills.store.write() as tx:
            assert tx.orders(KR, SESSION)

    fills.broker.on_submit = write
    await fills.tick(minute(2))
    assert fills.states()[-1] == "accepted"


async def test_the_decision_of_an_order_is_stored_with_it(fills):
    await fills.tick(minute(2))
    (decision,) = fills.decisions("A")
    assert decision.decision_id == fills.order().intent.decision_id
    assert (decision.action, decision.confidence, decision.scenario_id) == ("BUY", 90, "A#0")
    assert decision.context_snapshot["stop_loss_pct"] == -3.0
    assert decision.input_data["price"] == 10_000


async def test_the_numbers_the_broker_knew_before_are_written_with_sending(rests):
    rests.by_hand(Side.BUY, 7, 9_900)
    await rests.tick(minute(2))
    sending = rests.order().events[1]
    assert (sending.state, sending.note) == (OrderState.SENDING, "known:0000000001")


async def test_a_tick_run_twice_at_the_same_moment_sends_one_order(rests):
    await rests.tick(minute(2))
    again = await rests.tick(minute(2))
    assert len(rests.broker.submitted) == 1
    assert again.sent == ()
    assert rests.states() == ["intended", "sending", "accepted"]


async def test_a_tick_run_twice_whose_order_filled_sends_one_order(fills):
    await fills.tick(minute(2))
    await fills.tick(minute(2))
    assert len(fills.broker.submitted) == 1
    assert await fills.holding() == fills.order().filled_quantity > 0


async def test_sending_the_same_plan_again_sends_nothing(rests):
    books, plan = await rests.plan(minute(2))
    assert len(await rests.act(books, plan)) == 1
    (again,) = await rests.act(books, plan)
    assert again.state is OrderState.ACCEPTED
    assert len(rests.broker.submitted) == 1


@pytest.mark.parametrize("desk", ["rests", "fills"])
async def test_of_two_runs_that_decided_the_same_at_once_only_the_first_sends(desk, request):
    desk = request.getfixturevalue(desk)
    first = await desk.plan(minute(2))
    second = await desk.plan(minute(2).replace(microsecond=1))
    (one,), (two,) = await desk.act(*first), await desk.act(*second)
    assert one.state is OrderState.ACCEPTED
    assert two.state in (OrderState.REFUSED, OrderState.NOT_SENT)
    assert len(desk.broker.submitted) == 1


@pytest.mark.parametrize("late", [False, True])
async def test_two_runs_that_both_want_half_of_a_position_out_sell_half_once(floor, late):
    desk = floor({"A": busy(*[10_000] * 30)}, {"A": [when("price > 1", "REDUCE")]})
    desk.by_hand(Side.BUY, 100, 10_010)
    first = await desk.plan(minute(3))
    if late:
        second = await desk.plan(minute(3).replace(microsecond=1))
        await desk.act(*first)
    else:
        await desk.act(*first)
        second = await desk.plan(minute(3).replace(microsecond=1))
    await desk.act(*second)
    assert [order.intent.quantity for order in desk.broker.submitted] == [50]
    assert await desk.holding() == 50


async def test_an_exit_that_went_out_and_filled_since_the_decision_is_not_sent_again(floor):
    desk = floor({"A": busy(*[10_000] * 30)}, {"A": [when("price > 1", "REDUCE")]})
    desk.by_hand(Side.BUY, 100, 10_010)
    first, second = [await desk.plan(minute(3).replace(microsecond=n)) for n in range(2)]
    await desk.act(*first)
    await desk.books(minute(3).replace(microsecond=2))
    assert desk.order(side=Side.SELL).state is OrderState.FILLED
    (late,) = await desk.act(*second)
    assert (late.state, late.code) == (OrderState.REFUSED, RefusalCode.ALREADY_WORKING)
    assert await desk.holding() == 50


async def test_both_runs_journaled_before_either_sent_and_one_order_leaves(rests):
    plans = [await rests.plan(minute(2).replace(microsecond=n)) for n in range(2)]
    for _, plan in plans:
        execute.journal(rests.store, plan)
    sent = [
        await execute.send_all(rests.broker, rests.store, rests.lock, books, plan)
        for books, plan in plans
    ]
    assert [item.state for (item,) in sent] == [OrderState.ACCEPTED, OrderState.REFUSED]
    assert sent[1][0].code == RefusalCode.ALREADY_WORKING
    assert len(rests.broker.submitted) == 1


async def test_an_entry_filled_and_gone_since_the_decision_is_not_repeated(fills):
    plans = [await fills.plan(minute(2).replace(microsecond=n)) for n in range(2)]
    for _, plan in plans:
        execute.journal(fills.store, plan)
    await execute.send_all(fills.broker, fills.store, fills.lock, *plans[0])
    await fills.books(minute(2))  # books the fill, so the first order is final
    second = plans[1][1].approved[0]
    record = next(r for r in fills.orders() if r.intent.intent_id == second.intent.intent_id)
    assert record.state is OrderState.NOT_SENT
    assert (await send(fills, second)).state is OrderState.NOT_SENT
    assert len(fills.broker.submitted) == 1


async def test_an_entry_is_refused_under_the_lock_when_its_symbol_had_one(fills):
    await fills.tick(minute(2))
    await fills.books(minute(3))
    order = an_entry(minute(4))
    journaled(fills, order)
    answer = await send(fills, order, known={"0000000001"})
    assert (answer.state, answer.code) == (OrderState.REFUSED, RefusalCode.REENTRY)
    assert len(fills.broker.submitted) == 1


async def test_an_order_that_was_never_journaled_does_not_leave(fills):
    with pytest.raises(Exception):  # noqa: B017 - whatever stops it, it must not be sent
        await send(fills, an_entry(minute(2)))
    assert fills.broker.submitted == []


@pytest.mark.parametrize(
    ("word", "state", "code"),
    [
        ("reject", OrderState.REJECTED, "APBK0919"),
        ("rate limit", OrderState.NOT_SENT, "EGW00201"),
        ("down", OrderState.NOT_SENT, ""),
        ("lost reply", OrderState.UNKNOWN, ""),
        ("lost request", OrderState.UNKNOWN, ""),
    ],
)
async def test_every_answer_is_recorded_and_nothing_is_sent_a_second_time(fills, word, state, code):
    fills.broker.script = [word]
    (item,) = (await fills.tick(minute(2))).sent
    assert (item.state, item.code) == (state, code)
    assert fills.states() == ["intended", "sending", state.value]
    assert fills.order().events[-1].code == code
    assert len(fills.broker.submitted) == 1


async def test_an_order_not_taken_for_too_many_calls_is_wanted_again_by_the_next_tick(fills):
    fills.broker.script = ["rate limit"]
    await fills.tick(minute(2))
    await fills.tick(minute(3))
    assert len(fills.broker.submitted) == 2
    assert fills.states() == ["intended", "sending", "accepted"]


async def test_a_rejected_entry_is_not_tried_again_in_the_session(fills):
    fills.broker.script = ["reject"]
    await fills.tick(minute(2))
    await fills.tick(minute(3))
    assert len(fills.broker.submitted) == 1


async def test_once_one_fate_is_unknown_nothing_else_of_the_plan_leaves(floor):
    rows = busy(*[10_000] * 30)
    desk = floor({"A": rows, "B": rows}, {"A": CHEAP, "B": CHEAP})
    desk.broker.script = ["lost reply"]
    tick = await desk.tick(minute(2))
    assert [item.state for item in tick.sent] == [OrderState.UNKNOWN]
    assert len(tick.plan.approved) == 2
    assert len(desk.broker.submitted) == 1
    assert desk.states("B") == ["intended"]


async def test_while_an_order_is_unknown_no_other_one_leaves_the_lock(floor):
    rows = still(10_000, 30)
    desk = floor({"A": rows, "B": rows}, {"A": CHEAP})
    books, plan = await desk.plan(minute(2))
    other = an_entry(minute(2), symbol="B")
    journaled(desk, other)  # another run decided it before this one lost its answer
    desk.broker.script = ["lost request"]
    await desk.act(books, plan)
    answer = await send(desk, other)
    assert (answer.state, answer.code) == (OrderState.REFUSED, RefusalCode.UNKNOWN_ORDER)
    assert len(desk.broker.submitted) == 1


async def test_an_order_lost_in_another_market_since_the_decision_keeps_this_one_back(rests):
    books, plan = await rests.plan(minute(2))
    lost = an_entry(minute(2))
    abroad = replace(lost.intent, instrument=Instrument("KO", Market.US_NYSE))
    journaled(rests, replace(lost, intent=abroad))
    with rests.store.write() as tx:
        tx.append([OrderEvent(abroad.intent_id, 1, OrderState.SENDING, minute(2))])
    (answer,) = await rests.act(books, plan)
    assert (answer.state, answer.code) == (OrderState.REFUSED, RefusalCode.UNKNOWN_ORDER)
    assert rests.broker.submitted == []


@pytest.mark.parametrize("word", ["die", "die before"])
async def test_a_process_that_dies_while_sending_leaves_sending_and_a_free_lock(fills, word):
    fills.broker.script = [word]
    with pytest.raises(Died):
        await fills.tick(minute(2))
    assert fills.states() == ["intended", "sending"]
    with fills.lock.hold():
        pass


async def test_a_halt_stored_after_the_decision_stops_the_entry_on_its_way_out(fills):
    books, plan = await fills.plan(minute(2))
    operate.halt(fills.store, scope="KR", reason="a doubt", at=minute(2))
    (item,) = await fills.act(books, plan)
    assert (item.state, item.code, item.detail) == (
        OrderState.REFUSED,
        RefusalCode.HALTED,
        "a doubt",
    )
    assert fills.broker.submitted == []


async def test_a_breaker_tripped_meanwhile_stops_the_run_with_the_halt_already_stored(fills):
    books, plan = await fills.plan(minute(2))
    operate.halt(fills.store, scope="KR", reason="a doubt", at=minute(2))
    tripped = Halt("b", HaltKind.BREAKER, "KRW", "a loss", minute(3))
    with fills.store.write() as tx:
        tx.append([tripped])
    with pytest.raises(CircuitBreakerTripped, match="a loss") as caught:
        await fills.act(books, plan)
    assert isinstance(caught.value, SystemExit)
    assert not isinstance(caught.value, Exception)
    assert [record.state for record in fills.orders()] == [OrderState.REFUSED]
    assert fills.broker.submitted == []


async def test_a_halt_of_another_market_or_currency_stops_nothing_here(fills):
    for scope in ("US", "USD", "JP"):
        operate.halt(fills.store, scope=scope, reason="elsewhere", at=minute(1))
    (item,) = (await fills.tick(minute(2))).sent
    assert item.state is OrderState.ACCEPTED


async def test_another_run_that_finds_the_order_in_the_book_first_does_no_harm(fills):
    _, plan = await fills.plan(minute(2))
    order = plan.approved[0]
    execute.journal(fills.store, plan)
    place = fills.broker.inner.submit

    async def submit(wanted):
        ack = await place(wanted)
        await fills.books(minute(2))  # the other run, while our answer is still on its way
        return ack

    fills.broker.inner.submit = submit
    answer = await send(fills, order)
    assert (answer.state, answer.order_no) == (OrderState.ACCEPTED, "0000000001")
    assert fills.states() == ["intended", "sending", "unknown", "accepted", "filled"]
    with fills.store.read() as reader:
        assert sum(fill.quantity for fill in reader.fills(KR)) == await fills.holding()


# --- cancelling ---------------------------------------------------------------------------------


async def test_an_entry_that_waited_long_enough_is_cancelled(rests):
    await rests.tick(minute(2))
    await rests.tick(minute(16))
    assert rests.states()[-1] == "accepted"
    await rests.tick(minute(17))
    assert rests.states()[-1] == "cancel_requested"
    await rests.tick(minute(18))
    assert rests.states()[-1] == "cancelled"
    assert len(rests.broker.cancelled) == 1
    assert len(rests.broker.submitted) == 1


@pytest.mark.parametrize("word", ["reject", "rate limit", "down"])
async def test_a_cancel_that_was_not_taken_leaves_the_order_working_and_is_tried_again(rests, word):
    await rests.tick(minute(2))
    rests.broker.cancel_script = [word]
    await rests.tick(minute(17))
    assert rests.states()[-2:] == ["cancel_requested", "accepted"]
    await rests.tick(minute(18))
    await rests.tick(minute(19))
    assert rests.states()[-1] == "cancelled"


async def test_a_cancel_that_never_arrived_is_asked_for_again(rests):
    await rests.tick(minute(2))
    rests.broker.cancel_script = ["lost request"]
    await rests.tick(minute(17))
    assert rests.states()[-1] == "cancel_requested"
    await rests.tick(minute(18))
    await rests.tick(minute(19))
    assert rests.states()[-1] == "cancelled"
    assert len(rests.broker.cancelled) == 2


async def test_a_cancel_whose_answer_was_lost_is_read_from_the_book(rests):
    await rests.tick(minute(2))
    rests.broker.cancel_script = ["lost reply"]
    await rests.tick(minute(17))
    await rests.tick(minute(18))
    assert rests.states()[-1] == "cancelled"
    assert len(rests.broker.cancelled) == 1


async def test_an_order_settled_since_the_decision_is_not_cancelled(rests):
    await rests.tick(minute(2))
    books, plan = await rests.plan(minute(17))
    other_books, other_plan = await rests.plan(minute(17).replace(microsecond=1))
    await rests.act(other_books, other_plan)
    await rests.books(minute(17).replace(microsecond=2))
    assert rests.states()[-1] == "cancelled"
    await rests.act(books, plan)
    assert rests.states()[-1] == "cancelled"
    assert len(rests.broker.cancelled) == 1


async def test_a_fill_that_wins_the_race_against_the_cancel_is_booked(floor):
    rows = [*still(10_000, 17), *busy(10_000)]
    desk = floor({"A": rows}, {"A": CHEAP})
    await desk.tick(minute(2))
    desk.broker.cancel_script = ["lost request"]
    await desk.tick(minute(17))
    await desk.tick(minute(19))
    assert desk.states()[-2:] == ["cancel_requested", "filled"]
    assert await desk.holding() == desk.order().filled_quantity > 0


# --- exits that do not fill ----------------------------------------------------------------------


async def test_a_stop_the_price_ran_away_from_is_cancelled_and_sent_again_lower(floor):
    rows = [*busy(10_000, 10_000), *still(9_600, 2), *still(9_000, 5), *busy(9_000, 9_000)]
    desk = floor({"A": rows}, {"A": CHEAP})
    await desk.tick(minute(2))
    await desk.tick(minute(3))
    assert desk.states(side=Side.SELL) == ["intended", "sending", "accepted"]
    assert desk.order(side=Side.SELL).intent.limit_price == 9_410
    for n in range(5, 12):
        await desk.tick(minute(n))
    sells = [o.intent for o in desk.broker.submitted if o.intent.side is Side.SELL]
    assert [intent.limit_price for intent in sells] == [9_410, 8_820, None]
    assert await desk.holding() == 0
    assert desk.order(side=Side.SELL).state is OrderState.FILLED


async def test_an_exit_that_can_still_fill_is_left_alone_for_twice_the_wait(floor):
    rows = [*busy(10_000, 10_000), *still(9_600, 20)]
    policy = replace(POLICY, unfilled=UnfilledPolicy(exit_wait=timedelta(minutes=2)))
    desk = floor({"A": rows}, {"A": CHEAP}, policy=policy)
    for n in (2, 3, 5, 6):
        await desk.tick(minute(n))
    assert desk.broker.cancelled == []
    assert desk.states(side=Side.SELL) == ["intended", "sending", "accepted"]
    await desk.tick(minute(7))
    assert desk.order(side=Side.SELL).events[-1].code == "stuck"
