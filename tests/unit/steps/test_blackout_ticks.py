"""New York's session through the broker's daily batch, 23:40 to 00:10 in Seoul."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.trading_fakes import (
    PATIENT,
    POLICY,
    FakeNotifier,
    Floor,
    ScriptedBroker,
    busy,
    playbook,
    still,
    when,
)
from tests.unit.twin.handmade_tape import venue_on
from trading_core.adapters.closed_hours import ClosedHoursBroker
from trading_core.adapters.duck.store import DuckStore, count_rows
from trading_core.adapters.local_archive import LocalArchive
from trading_core.clock import FixedClock
from trading_core.errors import OrdersClosed
from trading_core.model.limits import DAILY_BATCH, UnfilledPolicy
from trading_core.model.market import MarketGroup
from trading_core.model.order import OrderState, RefusalCode, Side
from trading_core.rules.calendar import require_session
from trading_core.steps import execute, operate
from trading_core.steps.kill import KillPorts, kill, kill_again
from trading_core.steps.summary import summarize
from trading_core.steps.watchdog import Watchdog

US = MarketGroup.US
SESSION = date(2025, 12, 3)
OPEN = require_session(US, SESSION).open_at
"""23:30 in Seoul."""
CLOSED = range(10, 40)
"""The minutes of the session in which no order is taken."""


def minute(n: float) -> datetime:
    return OPEN + timedelta(minutes=n)


@pytest.fixture
def floor(tmp_path):
    def make(rows, plans, policy=POLICY):
        venue = venue_on(rows, at=OPEN, base=100.0, group=US, session=SESSION)
        return Floor(
            venue, ScriptedBroker(venue), DuckStore(":memory:"), tmp_path,
            playbook(plans, session=SESSION, group=US),
            policy=replace(policy, blackouts=(DAILY_BATCH,)),
        )  # fmt: skip

    return make


def codes(desk):
    return [
        record.events[-1].code for record in desk.orders() if record.state is OrderState.REFUSED
    ]


async def run(desk, *minutes):
    for n in minutes:
        await desk.tick(minute(n))


async def test_an_entry_is_put_off_and_sent_at_the_price_of_the_first_tick_after(floor):
    desk = floor(
        {"A": [*busy(*[100] * 8), *busy(*[90] * 26), *busy(*[95] * 30)]},
        {"A": [when("price < 98")]},
    )
    await run(desk, 2, 12, 17, 22, 39)
    assert desk.broker.submitted == []
    assert codes(desk) == [RefusalCode.BLACKOUT], "written once, not with every tick"
    assert desk.orders()[0].events[-1].note == "blackout until 00:10 KST"
    await run(desk, 40)
    (order,) = desk.broker.submitted
    assert order.intent.decided_price == 95
    assert Decimal(95) <= order.intent.limit_price < Decimal(96)
    assert summarize(desk.store, group=US, session=SESSION, account=None)["refusals"] == {
        "blackout": 1
    }


async def test_an_entry_whose_scenario_holds_no_more_is_not_sent_after(floor):
    desk = floor({"A": [*busy(*[90] * 20), *busy(*[100] * 40)]}, {"A": [when("price < 98")]})
    await run(desk, 12, 15, 30, 41, 45)
    assert codes(desk) == [RefusalCode.BLACKOUT]
    assert desk.broker.submitted == []


async def test_a_stop_breached_meanwhile_is_repriced_and_sent_by_the_first_tick_after(floor):
    desk = floor(
        {"A": [*busy(*[100] * 12), *busy(*[95] * 18), *busy(*[90] * 30)]},
        {"A": [when("price >= 100")]},
    )
    await run(desk, 2, 3)
    held = await desk.holding()
    assert held > 0
    await run(desk, 14, 19, 24, 29, 34, 39)
    assert [o.intent.side for o in desk.broker.submitted] == [Side.BUY]
    assert codes(desk) == [RefusalCode.BLACKOUT]
    assert "stop_breached" in desk.notifier.kinds()
    (told,) = (note for note in desk.notifier.told if note.kind == "blackout")
    assert told.level == "warning"
    assert "blackout until 00:10 KST" in told.text
    await run(desk, 40)
    sale = desk.broker.submitted[-1].intent
    assert (sale.side, sale.quantity) == (Side.SELL, held)
    assert sale.limit_price < Decimal(90)
    await run(desk, 42)
    assert await desk.holding() == 0


async def test_what_works_at_the_exchange_is_left_there_and_given_up_afterwards(floor):
    unfilled = UnfilledPolicy(entry_wait=timedelta(minutes=2))
    desk = floor(
        {"A": still(100, 60)}, {"A": [when("price >= 100")]}, replace(POLICY, unfilled=unfilled)
    )
    await run(desk, 9)
    assert desk.order().state is OrderState.ACCEPTED
    await run(desk, *CLOSED[1::5])
    assert desk.broker.cancelled == []
    await run(desk, 40)
    assert len(desk.broker.cancelled) == 1


async def test_the_chase_of_an_entry_is_put_off_too_and_not_taken_for_decided(floor):
    unfilled = UnfilledPolicy(entry_wait=timedelta(minutes=2))
    desk = floor(
        {"A": still(100, 60)}, {"A": [when("price >= 100")]}, replace(POLICY, unfilled=unfilled)
    )
    desk.policy = replace(desk.policy, blackouts=())
    await run(desk, 5, 8)
    assert len(desk.broker.cancelled) == 1
    desk.policy = replace(desk.policy, blackouts=(DAILY_BATCH,))
    before = codes(desk)
    await run(desk, 11, 16, 21)
    assert codes(desk) == [*before, RefusalCode.BLACKOUT]
    desk.policy = replace(desk.policy, blackouts=())
    await run(desk, 26)
    first, chase = (order.intent for order in desk.broker.submitted)
    assert chase.chases == first.intent_id


async def test_what_was_decided_before_the_blackout_and_comes_in_it_does_not_leave(floor):
    desk = floor({"A": busy(*[100] * 60)}, {"A": [when("price >= 100")]})
    books, plan = await desk.plan(minute(9.9))
    assert len(plan.approved) == 1
    guarded = ClosedHoursBroker(desk.broker, [DAILY_BATCH], FixedClock(minute(10)))
    execute.journal(desk.store, plan)
    (one,) = await execute.send_all(guarded, desk.store, desk.lock, books, plan)
    assert (one.state, one.code) == (OrderState.NOT_SENT, "blackout")
    assert desk.broker.submitted == []
    await run(desk, 40)
    assert len(desk.broker.submitted) == 1


async def test_a_cancel_that_comes_in_it_leaves_the_order_as_it_was(floor):
    desk = floor({"A": still(100, 60)}, {"A": [when("price >= 100")]}, PATIENT)
    await run(desk, 9)
    row = (await desk.books(minute(9))).row(desk.order())
    guarded = ClosedHoursBroker(desk.broker, [DAILY_BATCH], FixedClock(minute(10)))
    state = await execute.cancel(
        guarded, desk.store, desk.lock, desk.order(), row, at=minute(9.9), code="unfilled"
    )
    assert (state, desk.order().state) == (OrderState.ACCEPTED, OrderState.ACCEPTED)
    assert desk.broker.cancelled == []


async def test_reads_are_answered_and_a_modify_is_not_sent(floor):
    desk = floor({"A": still(100, 60)}, {"A": [when("price >= 100")]})
    guarded = ClosedHoursBroker(desk.broker, [DAILY_BATCH], FixedClock(minute(20)))
    await run(desk, 9)
    (row,) = await guarded.orders(US, SESSION)
    assert (await guarded.account(US)).equity > 0
    with pytest.raises(OrdersClosed, match="blackout until 00:10 KST"):
        await guarded.modify(row, limit_price="99")


# --- the kill switch -----------------------------------------------------------------------------


def ports(desk, at):
    desk.venue.advance_to(at)
    return KillPorts(
        store=desk.store,
        broker=desk.broker,
        market_data=desk.broker,
        lock=desk.lock,
        archive=LocalArchive(desk.home / "backups", count_rows),
        notifier=desk.notifier,
        clock=VenueClock(desk.venue, at),
        policy=desk.policy,
        groups=(US,),
    )


class VenueClock(FixedClock):
    """Sleeping moves the exchange along."""

    def __init__(self, venue, at):
        super().__init__(at)
        self.venue = venue

    async def sleep_until(self, at):
        await super().sleep_until(at)
        self.venue.advance_to(self.now())


async def traded(floor):
    """Shares of A are held and an entry of B rests in the book."""
    desk = floor(
        {"A": busy(*[100] * 60), "B": still(100, 60)},
        {"A": [when("price >= 100")], "B": [when("price >= 100")]},
        PATIENT,
    )
    await run(desk, 2, 3)
    assert await desk.holding("A") > 0
    assert desk.order("B").state is OrderState.ACCEPTED
    desk.broker.submitted.clear()
    return desk


async def test_the_kill_switch_says_until_when_and_goes_on_afterwards(floor):
    desk = await traded(floor)
    made = ports(desk, minute(12))
    report = await kill(made, scope="US", reason="a doubt", reduce=True, pauses=(0.0, 0.0))
    failed = {row.label: row.detail for row in report.failed}
    assert set(failed) == {"cancel US", "refresh US", "reduce US"}
    assert "blackout until 00:10 KST; tried again then" in failed["cancel US"]
    assert "blackout until 00:10 KST" in desk.notifier.told[-1].text
    assert (desk.broker.cancelled, desk.broker.submitted) == ([], [])
    report = await kill_again(made, report, reason="a doubt", pauses=(0.0, 0.0))
    assert report.failed == ()
    assert made.clock.now() == minute(40)
    assert [row.remaining_quantity for row in desk.broker.cancelled] != []
    assert [o.intent.side for o in desk.broker.submitted] == [Side.SELL]


async def test_a_halt_lifted_during_the_blackout_is_not_raised_again(floor):
    desk = await traded(floor)
    made = ports(desk, minute(12))
    report = await kill(made, scope="US", reason="a doubt", reduce=True, pauses=(0.0, 0.0))
    operate.resume(desk.store, scope="US", by="no doubt", at=minute(13))
    assert await kill_again(made, report, reason="a doubt") is report
    assert desk.halts() == []
    assert (desk.broker.cancelled, desk.broker.submitted) == ([], [])


async def test_a_kill_switch_with_nothing_to_cancel_is_done_in_a_blackout(floor):
    desk = floor({"A": still(100, 60)}, {"A": [when("price < 1")]})
    await run(desk, 2)
    report = await kill(ports(desk, minute(12)), scope="US", reason="a doubt")
    assert (report.failed, report.again_at) == ((), None)


# --- the watchdog --------------------------------------------------------------------------------


async def test_a_broker_that_answers_nothing_in_its_blackout_is_no_standstill():
    store, quiet = DuckStore(":memory:"), timedelta(minutes=15)
    dog = Watchdog(
        store, FakeNotifier(), FixedClock(OPEN), group=US, session=require_session(US, SESSION),
        quiet=quiet, quiet_held=timedelta(seconds=30), blackouts=(DAILY_BATCH,),
    )  # fmt: skip
    marks = dog.progress
    marks.quoted_at = marks.reconciled_at = marks.decided_at = minute(9)
    for n in range(9, 56):
        assert await dog.look(minute(n)) == "", n
    # Nothing has moved since: now it is one.
    assert "no price came in" in await dog.look(minute(56))
    with store.read() as reader:
        assert len(reader.open_halts()) == 1
