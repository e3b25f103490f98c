"""Near and breached are told once per approach, by prints between two ticks as by ticks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.trading_fakes import MakeFloor, busy, when
from tests.unit.twin.handmade_tape import minute
from trading_core.steps import protect
from trading_core.steps.reconcile import reconcile
from trading_core.steps.sentinel import Sentinel
from trading_core.steps.tell import of_plan, tell

BUY = [when("price <= 10000 and minutes_to_close > 385")]
SECOND = timedelta(seconds=1)
NEAR, AWAY, BETWEEN, BREACH = 9_750, 9_900, 9_820, 9_690
"""The stop is at 9,700: near from 9,760 on, away again above 9,850."""


class Desk:
    """A held position, watched by prints that come a second apart."""

    def __init__(self, stage):
        self.stage = stage
        self.at = minute(3)
        self.sentinel = Sentinel(stage.group, stage.session, stage.policy.exits)

    async def tick(self, n):
        self.at = minute(n)
        protect.write_down(self.stage.store, self.sentinel, self.at)
        done = await self.stage.tick(self.at)
        self.sentinel.take_over(done.view, done.plan, done.sent)

    async def prints(self, *prices):
        """Each as the lookout takes it: what is wanted is looked at with a pass at once."""
        for price in prices:
            self.at += SECOND
            self.stage.venue.advance_to(self.at)
            quote = self.stage.venue.quote("A")
            quote = replace(quote, last=Decimal(price), at=self.at)
            if self.sentinel.hear(quote, self.at) or self.sentinel.approached():
                await self.one_pass()

    async def one_pass(self):
        stage = self.stage
        protect.write_down(stage.store, self.sentinel, self.at)
        books = await reconcile(
            stage.broker, stage.store, group=stage.group, session=stage.session.date, at=self.at
        )
        view = await protect.look(
            stage.broker, self.sentinel, books=books, day=await stage.day(), at=self.at
        )
        plan = protect.decide_exits(view, stage.policy)
        sent = await stage.act(books, plan)
        self.sentinel.take_over(view, plan, sent)
        await tell(stage.notifier, stage.store, of_plan(plan, stage.group))

    def told(self):
        return [kind for kind in self.stage.notifier.kinds() if kind.startswith("stop_")]


@pytest.fixture
async def desk(tmp_path):
    made = Desk(MakeFloor(tmp_path)({"A": busy(*[10_000] * 30)}, {"A": BUY}))
    await made.tick(1)
    await made.tick(3)
    assert made.sentinel.held == {"A"}
    return made


async def test_a_price_that_comes_near_between_two_ticks_is_told_at_once_and_once(desk):
    await desk.prints(AWAY, NEAR)
    assert desk.told() == ["stop_near"]
    await desk.prints(NEAR, NEAR - 10, NEAR + 5, BETWEEN, NEAR)
    assert desk.told() == ["stop_near"]


async def test_once_the_price_was_away_the_next_approach_is_told_again(desk):
    await desk.prints(NEAR, AWAY, NEAR, AWAY, NEAR)
    assert desk.told() == ["stop_near"] * 3


async def test_an_approach_that_ended_between_two_ticks_has_ended_for_the_next_tick_too(desk):
    desk.stage.broker.quote_changes["A"] = {"last": Decimal(NEAR)}
    await desk.tick(5)
    assert desk.told() == ["stop_near"]
    await desk.prints(AWAY)
    await desk.tick(7)
    assert desk.told() == ["stop_near"] * 2


async def test_an_approach_that_goes_on_is_not_told_again_by_ticks_or_prints(desk):
    desk.stage.broker.quote_changes["A"] = {"last": Decimal(NEAR)}
    await desk.prints(NEAR)
    for n in (5, 7, 9):
        await desk.tick(n)
        await desk.prints(NEAR, BETWEEN)
    assert desk.told() == ["stop_near"]


async def test_a_breach_after_an_approach_is_told_once_while_no_exit_is_taken(desk):
    desk.stage.broker.script = ["reject"] * 9
    await desk.prints(NEAR, BREACH, BREACH - 10)
    desk.stage.broker.quote_changes["A"] = {"last": Decimal(BREACH)}
    for n in (5, 7):
        await desk.tick(n)
    assert desk.told() == ["stop_near", "stop_breached"]


async def test_a_session_that_is_started_again_does_not_tell_the_same_approach_again(desk):
    await desk.prints(NEAR)
    again = Desk(desk.stage)
    desk.stage.broker.quote_changes["A"] = {"last": Decimal(NEAR)}
    await again.tick(5)
    await again.prints(NEAR)
    assert desk.told() == ["stop_near"]
