"""Closing positions by hand, and cancelling entries as soon as a halt is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import pytest

from tests.trading_fakes import KR, MakeFloor, busy, still, when
from tests.unit.twin.handmade_tape import CLOSE, minute
from trading_core.adapters.local_archive import LocalArchive
from trading_core.clock import FixedClock
from trading_core.errors import BrokerUnavailable
from trading_core.model.journal import HaltLevel
from trading_core.model.limits import BlackoutWindow
from trading_core.model.order import OrderState, Side
from trading_core.steps import operate
from trading_core.steps.cancel_entries import heed_halts
from trading_core.steps.close import close_positions
from trading_core.steps.kill_steps import KillPorts

CHEAP = [when("price <= 10000")]
BECAUSE = "closed by hand: /close A by telegram:42"


@pytest.fixture
async def desk(tmp_path):
    """Shares of A and D are held, entries of B and C rest in the book."""
    traded, resting = busy(*[10_000] * 60), still(10_000, 60)
    # Of D nothing is traded any more once it is held.
    tape = {"A": traded, "B": resting, "C": resting, "D": [*traded[:4], *resting[4:]]}
    floor = MakeFloor(tmp_path)(tape, dict.fromkeys(tape, CHEAP))
    await floor.tick(minute(2))
    await floor.books(minute(3))
    assert await floor.holding("A") > 0
    floor.broker.submitted.clear()
    return floor


def ports(desk, at=None):
    at = at or minute(4)
    desk.venue.advance_to(at)
    return KillPorts(
        store=desk.store,
        broker=desk.broker,
        market_data=desk.broker,
        lock=desk.lock,
        archive=LocalArchive(desk.home / "backups", lambda path: 0),
        notifier=desk.notifier,
        clock=FixedClock(at),
        policy=desk.policy,
        groups=(KR,),
    )


async def close(desk, *symbols, at=None, made=None):
    wanted = set(symbols) or None
    return await close_positions(
        made or ports(desk, at), groups=(KR,), symbols=wanted, because=BECAUSE
    )


async def heed(desk, at=None):
    desk.venue.advance_to(at or minute(4))
    return await heed_halts(
        desk.broker,
        desk.store,
        desk.lock,
        group=KR,
        session=minute(0).date(),
        clock=FixedClock(at or minute(4)),
        policy=desk.policy,
    )


async def test_one_symbol_is_sold_and_the_others_are_left_alone(desk):
    held = await desk.holding("A")
    closed = await close(desk, "A")
    [sale] = desk.broker.submitted
    assert (sale.intent.instrument.symbol, sale.intent.side) == ("A", Side.SELL)
    assert sale.intent.quantity == held
    assert [item.order.intent.instrument.symbol for item in closed.accepted] == ["A"]
    assert closed.stuck == {}
    assert desk.broker.cancelled == []
    [decision] = [d for d in desk.decisions("A") if d.action == "SELL"]
    assert decision.rationale == BECAUSE


async def test_its_entry_that_works_is_cancelled_first(desk):
    closed = await close(desk, "B")
    assert desk.states("B")[-1] in ("cancel_requested", "cancelled")
    assert desk.order("C").state is OrderState.ACCEPTED
    assert (closed.sent, closed.stuck) == ((), {})


async def test_all_sells_everything_and_cancels_every_entry(desk):
    closed = await close(desk)
    assert {item.order.intent.instrument.symbol for item in closed.accepted} == {"A", "D"}
    assert desk.order("B").state is not OrderState.ACCEPTED
    assert desk.order("C").state is not OrderState.ACCEPTED


async def test_a_second_close_leaves_it_to_the_sale_that_works(desk):
    assert await desk.holding("D") > 0
    await close(desk, "D", at=minute(10))
    again = await close(desk, "D", at=minute(11))
    assert len(desk.broker.submitted) == 1
    assert again.working == ("D",)


async def test_after_it_filled_nothing_is_sold_again(desk):
    await close(desk, "A")
    await desk.books(minute(6))
    assert await desk.holding("A") == 0
    again = await close(desk, "A", at=minute(7))
    assert (len(desk.broker.submitted), again.sent, again.stuck) == (1, (), {})


async def test_a_shut_exchange_sells_nothing(desk):
    shut = await close(desk, "A", at=CLOSE)
    assert shut.stuck == {"KR": "the exchange is shut"}
    assert desk.broker.submitted == []


async def test_a_halt_of_everything_forbids_it_and_says_so(desk):
    at = minute(4)
    operate.halt(desk.store, scope="KR", reason="a doubt", at=at, level=HaltLevel.HALTED)
    closed = await close(desk, "A")
    assert "forbids sales too (a doubt)" in closed.stuck["KR"]
    assert desk.broker.submitted == []


async def test_a_stop_of_entries_does_not_forbid_it(desk):
    operate.halt(desk.store, scope="ALL", reason="a doubt", at=minute(4))
    assert len((await close(desk, "A")).accepted) == 1


async def test_while_an_order_is_of_unknown_fate_nothing_is_sold(desk):
    desk.broker.script = ["lost request"]
    await close(desk, "D")
    closed = await close(desk, "A", at=minute(4))
    assert "fate of an order is unknown" in closed.stuck["KR"]


async def test_a_broker_that_does_not_answer_is_said_by_market(desk):
    made = ports(desk)

    async def down(group, session):
        raise BrokerUnavailable("no answer")

    desk.broker.inner.orders = down
    assert (await close(desk, "A", made=made)).stuck == {"KR": "no answer"}


# --- halts ---------------------------------------------------------------------------------------


async def test_without_a_halt_entries_work_on_and_the_broker_is_not_asked(desk):
    asked = desk.broker.cancelled
    assert await heed(desk) == 0
    assert asked == []
    assert desk.order("B").state is OrderState.ACCEPTED


@pytest.mark.parametrize("scope", ["ALL", "KR", "KRW"])
async def test_a_halt_cancels_the_entries_of_its_scope_once(desk, scope):
    operate.halt(desk.store, scope=scope, reason="a doubt", at=minute(4))
    assert await heed(desk) == 2
    assert await heed(desk) == 0, "what was asked for a moment ago is not asked for again"
    assert len(desk.broker.cancelled) == 2
    await desk.books(minute(6))
    assert desk.order("B").state is OrderState.CANCELLED
    assert await heed(desk, minute(7)) == 0


async def test_a_halt_of_another_market_cancels_nothing(desk):
    operate.halt(desk.store, scope="US", reason="a doubt", at=minute(4))
    assert await heed(desk) == 0


async def test_in_a_blackout_nothing_is_cancelled(desk):
    operate.halt(desk.store, scope="ALL", reason="a doubt", at=minute(4))
    desk.policy = replace(desk.policy, blackouts=(BlackoutWindow(time(9), time(10)),))
    assert await heed(desk) == 0
    assert desk.broker.cancelled == []
    assert "KR" in (await close(desk, "A")).stuck
    assert desk.broker.submitted == []
