"""Positions between two ticks: what a print leads to, and what it must not lead to."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.trading_fakes import MakeFloor, busy, still, when
from tests.unit.twin.handmade_tape import OPEN, minute
from trading_core.errors import CircuitBreakerTripped, NotOffered
from trading_core.model.journal import HaltKind
from trading_core.model.order import IntentReason, NoticeKind, OrderNotice, OrderState, Side
from trading_core.model.portfolio import ExitState
from trading_core.ports import StreamGap
from trading_core.steps import execute, operate, protect, sentinel
from trading_core.steps.lookout import Lookout, beside
from trading_core.steps.reconcile import reconcile
from trading_core.steps.sentinel import Sentinel
from trading_core.steps.watchdog import Progress, WatchPolicy

BUY = [when("price <= 10000 and minutes_to_close > 385")]


@pytest.fixture
def floor(tmp_path):
    return MakeFloor(tmp_path)


@pytest.fixture
def seconds(monkeypatch):
    """Real seconds, moved by hand."""
    now = [1000.0]
    monkeypatch.setattr(sentinel.time, "monotonic", lambda: now[0])
    return now


class Desk:
    """A floor with the sentinel of its session."""

    def __init__(self, stage, symbols=("A",)):
        self.stage, self.symbols = stage, symbols
        self.sentinel = Sentinel(stage.group, stage.session, stage.policy.exits)

    async def tick(self, n):
        done = await self.stage.tick(minute(n))
        self.sentinel.take_over(done.view, done.plan, done.sent)
        return done

    async def held(self):
        """Bought at the first tick, filled and guarded at the second."""
        await self.tick(1)
        await self.tick(3)
        assert self.sentinel.held == set(self.symbols)

    async def prints(self, price, *, at=None, symbol="A", **more):
        at = at or self.stage.venue.now
        quote = replace(self.stage.venue.quote(symbol), last=Decimal(price), at=at, **more)
        return self.sentinel.hear(quote, at)

    async def one_pass(self, at):
        stage = self.stage
        stage.venue.advance_to(at)
        protect.write_down(stage.store, self.sentinel, at)
        books = await reconcile(
            stage.broker, stage.store, group=stage.group, session=stage.session.date, at=at
        )
        view = await protect.look(
            stage.broker, self.sentinel, books=books, day=await stage.day(), at=at
        )
        plan = protect.decide_exits(view, stage.policy)
        sent = await stage.act(books, plan)
        self.sentinel.take_over(view, plan, sent)
        return plan, sent


def sells(stage):
    return [order for order in stage.broker.submitted if order.intent.side is Side.SELL]


async def bought(floor, *, prices=(10_000,) * 20, **more):
    desk = Desk(floor({"A": busy(*prices)}, {"A": BUY}, **more))
    await desk.held()
    return desk


async def test_a_print_at_the_stop_leads_to_one_exit_however_many_follow(floor):
    desk = await bought(floor)
    assert not await desk.prints(9_720)
    assert await desk.prints(9_700)
    assert await desk.prints(9_690)
    plan, sent = await desk.one_pass(minute(3) + timedelta(seconds=1))
    assert [one.state for one in sent] == [OrderState.ACCEPTED]
    assert [v.decision.scenario_id for v in plan.verdicts] == ["hard_stop"]
    for price in (9_680, 9_500, 9_000):
        assert not await desk.prints(price)
    await desk.one_pass(minute(3) + timedelta(seconds=2))
    assert len(sells(desk.stage)) == 1


async def test_a_stop_that_was_touched_is_a_stop_even_when_the_price_is_back(floor):
    desk = await bought(floor)
    assert await desk.prints(9_650)
    await desk.prints(9_900)
    _, sent = await desk.one_pass(minute(3) + timedelta(seconds=1))
    assert [one.state for one in sent] == [OrderState.ACCEPTED]
    assert sells(desk.stage)[0].intent.decided_price == 9_650


async def test_a_rejected_exit_is_tried_again_after_a_pause_that_grows(floor, seconds):
    desk = await bought(floor)
    desk.stage.broker.script = ["reject", "reject"]
    assert await desk.prints(9_600)
    _, sent = await desk.one_pass(minute(3) + timedelta(seconds=1))
    assert [one.state for one in sent] == [OrderState.REJECTED]
    assert not await desk.prints(9_590)
    assert desk.sentinel.next_try() == 1.0
    seconds[0] += 1.0
    assert await desk.prints(9_590)
    await desk.one_pass(minute(3) + timedelta(seconds=2))
    assert desk.sentinel.next_try() == 2.0
    seconds[0] += 2.0
    assert desk.sentinel.due()
    await desk.one_pass(minute(3) + timedelta(seconds=4))
    states = [r.state for r in desk.stage.orders() if r.intent.side is Side.SELL]
    assert states == [OrderState.REJECTED, OrderState.REJECTED, OrderState.ACCEPTED]


async def test_an_exit_that_was_cancelled_is_decided_anew(floor):
    desk = await bought(floor, prices=(10_000, 10_000, 10_000, 10_000, *(9_500,) * 9))
    desk.stage.venue.advance_to(minute(5))
    # The exit waits above the market.
    assert await desk.prints(9_700)
    await desk.one_pass(minute(5) + timedelta(seconds=1))
    number = int(desk.stage.order("A", Side.SELL).order_no)
    desk.stage.venue.cancel("1", number, quantity=None)
    await desk.one_pass(minute(5) + timedelta(seconds=2))
    assert not await desk.prints(9_600)
    states = [r.state for r in desk.stage.orders() if r.intent.side is Side.SELL]
    assert states == [OrderState.CANCELLED, OrderState.ACCEPTED]


@pytest.mark.parametrize(
    "more", [{"halted": True}, {"at": minute(3) - timedelta(seconds=121)}], ids=["halted", "old"]
)
async def test_a_print_that_is_no_price_asks_for_nothing(floor, more):
    desk = await bought(floor)
    at = more.pop("at", minute(3))
    quote = replace(desk.stage.venue.quote("A"), last=Decimal(9_000), at=at, **more)
    assert not desk.sentinel.hear(quote, minute(3))
    zero = replace(quote, last=Decimal(0), halted=False, at=minute(3))
    assert not desk.sentinel.hear(zero, minute(3))
    assert not desk.sentinel.due()


async def test_a_promotion_between_two_ticks_is_written_down_and_holds_after_a_restart(floor):
    desk = await bought(floor)
    assert not await desk.prints(10_250)
    assert desk.sentinel.promoted()
    protect.write_down(desk.stage.store, desk.sentinel, minute(3))
    assert not desk.sentinel.promoted()
    assert desk.sentinel.moved(minute(3)) == ()
    guard = desk.stage.protections()["A"]
    assert (guard.armed, guard.peak_price) == (ExitState.BREAK_EVEN, 10_250)

    # No tick has ever seen more than 10 000.
    done = await Desk(desk.stage).tick(4)
    assert [v.intent.reason for v in done.plan.verdicts] == [IntentReason.BREAK_EVEN]


async def test_a_tick_does_not_forget_the_peak_that_a_print_made_meanwhile(floor):
    desk = await bought(floor)
    await desk.prints(10_250)
    await desk.tick(4)
    assert desk.sentinel.promoted()
    assert await desk.prints(10_000)


async def test_a_pass_enters_nothing_and_writes_no_observation(floor):
    stage = floor({"A": busy(*(10_000,) * 9), "B": busy(*(10_000,) * 9)}, {"A": BUY})
    desk = Desk(stage)
    await desk.held()
    stage.book = stage.book.model_copy(
        update={"stocks": (*stage.book.stocks, stage.book.stocks[0].model_copy(
            update={"symbol": "B"}))}
    )  # fmt: skip
    plan, sent = await desk.one_pass(minute(4))
    assert (plan.verdicts, plan.observations, plan.matches, sent) == ((), (), (), ())
    assert (await desk.tick(4)).sent


async def test_a_pass_over_one_holding_counts_no_blind_look_of_another(floor):
    prices = {"A": busy(*(10_000,) * 20), "B": busy(*(10_000,) * 20)}
    desk = Desk(floor(prices, {"A": BUY, "B": BUY}), ("A", "B"))
    await desk.held()
    desk.stage.broker.silent = {"B"}
    for n in range(4):
        await desk.one_pass(minute(6) + timedelta(seconds=n))
    assert desk.stage.protections()["B"].blind_looks == 0


async def test_a_pass_asks_for_the_price_of_what_was_bought_since_and_guards_it(floor):
    desk = Desk(floor({"A": busy(*(10_000,) * 9)}, {"A": BUY}))
    await desk.tick(1)
    assert [item.symbol for item in desk.sentinel.followed] == ["A"]
    assert desk.sentinel.held == set()
    plan, _ = await desk.one_pass(minute(2))
    assert desk.sentinel.held == {"A"}
    assert [row.protection.symbol for row in plan.guards] == ["A"]
    assert desk.stage.protections()["A"].stop_loss_pct == -3.0
    assert await desk.prints(9_700)


async def test_a_pass_measures_the_whole_accounts_loss(floor):
    stage = floor({"A": busy(*(10_000,) * 4, *(6_000,) * 9)}, {})
    stage.by_hand(Side.BUY, 2_000, None)
    desk = Desk(stage)
    await desk.tick(1)
    await desk.tick(3)
    plan, sent = await desk.one_pass(minute(6))
    assert [halt.kind for halt in plan.halts] == [HaltKind.BREAKER]
    assert [one.order.intent.side for one in sent] == [Side.SELL]


async def test_no_price_of_anything_leaves_a_pass_without_a_decision(floor):
    desk = await bought(floor)
    desk.stage.broker.silent = {"A"}
    plan, sent = await desk.one_pass(minute(8))
    assert (plan.verdicts, sent) == ((), ())
    assert desk.stage.protections()["A"].blind_looks == 0


async def test_a_submit_that_is_cancelled_is_unknown_and_not_sent_twice(floor):
    stage = floor({"A": busy(*(10_000,) * 9)}, {"A": BUY})
    books, plan = await stage.plan(minute(1))
    let_go, inner = asyncio.Event(), stage.broker.submit

    async def slow(order):
        await let_go.wait()
        return await inner(order)

    stage.broker.submit = slow
    lock = stage.lock
    execute.journal(stage.store, plan)
    task = asyncio.create_task(execute.send_all(stage.broker, stage.store, lock, books, plan))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert stage.states()[-1] == "sending"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.states() == ["intended", "sending", "unknown"]
    with lock.hold():
        pass
    # The request was left on its way, and it does arrive.
    let_go.set()
    await asyncio.sleep(0.01)
    assert len(stage.broker.submitted) == 1
    stage.broker.submit = inner
    await stage.tick(minute(3))
    assert stage.order().state is OrderState.FILLED
    assert len(stage.broker.submitted) == 1


async def test_an_answer_that_came_with_the_cancel_is_kept(floor):
    stage = floor({"A": busy(*(10_000,) * 9)}, {"A": BUY})
    books, plan = await stage.plan(minute(1))
    execute.journal(stage.store, plan)
    task = asyncio.create_task(execute.send_all(stage.broker, stage.store, stage.lock, books, plan))
    stage.broker.on_submit = lambda order: task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.states()[-1] in ("accepted", "unknown")
    assert len(stage.broker.submitted) == 1


async def test_what_went_out_before_the_breaker_tripped_is_told(floor):
    prices = {"A": busy(*(10_000,) * 9), "B": busy(*(10_000,) * 9)}
    stage = floor(prices, {"A": BUY, "B": BUY})
    books, plan = await stage.plan(minute(1))
    execute.journal(stage.store, plan)
    assert len(plan.approved) == 2

    def trip(order):
        operate.halt(stage.store, scope="KRW", reason="lost", at=minute(1), kind=HaltKind.BREAKER)

    stage.broker.on_submit = trip
    with pytest.raises(CircuitBreakerTripped) as tripped:
        await execute.send_all(stage.broker, stage.store, stage.lock, books, plan)
    assert [one.state for one in tripped.value.sent] == [OrderState.ACCEPTED]


class QuickClock:
    """Runs a thousand times as fast as the machine's."""

    runs = True

    def __init__(self, at):
        self._at, self._begun = at, asyncio.get_running_loop().time()

    def now(self):
        passed = asyncio.get_running_loop().time() - self._begun
        return self._at + timedelta(seconds=1000 * passed)

    async def sleep_until(self, at):
        while (left := (at - self.now()).total_seconds() / 1000) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)


class ScriptedStream:
    """Tells the events of a script, then nothing more."""

    def __init__(self, *script, left=()):
        self.script, self.left, self.followed, self.opened = list(script), left, [], 0

    @asynccontextmanager
    async def open(self):
        self.opened += 1
        yield self

    async def follow(self, instruments):
        self.followed.append(tuple(item.symbol for item in instruments))
        return self.left

    async def events(self):
        while self.script:
            event = self.script.pop(0)
            if isinstance(event, Exception):
                raise event
            yield event
        await asyncio.Event().wait()


def lookout_of(desk, stream, clock, one_pass, *, market_data=None, policy=None):
    return Lookout(
        desk.sentinel,
        Progress(),
        session=desk.stage.session,
        clock=clock,
        market_data=market_data or desk.stage.broker,
        open_stream=stream.open,
        protect=one_pass,
        write_down=lambda: None,
        policy=policy or WatchPolicy(poll_every=timedelta(hours=2)),
    )


async def watched(desk, stream, passes, *, policy=None, market_data=None, seconds=0.2):
    """Let a lookout run for so many real seconds; ``passes`` are the moments of its passes."""
    clock = QuickClock(desk.stage.venue.now)

    async def one_pass():
        passes.append(clock.now())

    out = lookout_of(desk, stream, clock, one_pass, market_data=market_data, policy=policy)
    async with beside(*out.works):
        await asyncio.sleep(seconds)
    return out


def notice(desk, kind):
    item = desk.stage.venue.instrument("A")
    return OrderNotice(kind, "1", item, Side.BUY, 1, Decimal(10_000), desk.stage.venue.now)


@pytest.mark.parametrize("kind", list(NoticeKind))
async def test_a_notice_calls_for_a_pass_at_once_unless_it_says_nothing_new(floor, kind):
    desk, passes = await bought(floor), []
    await watched(desk, ScriptedStream(notice(desk, kind)), passes)
    assert len(passes) == (0 if kind is NoticeKind.ACCEPTED else 1)


async def test_a_gap_calls_for_a_pass_and_a_burst_of_notices_for_two(floor):
    desk, passes = await bought(floor), []
    await watched(desk, ScriptedStream(StreamGap(OPEN, minute(3), "cut")), passes)
    assert len(passes) == 1
    passes = []
    burst = [notice(desk, NoticeKind.FILLED) for _ in range(20)]
    await watched(desk, ScriptedStream(*burst), passes, seconds=0.5)
    assert len(passes) <= 2


async def test_a_print_through_the_stop_calls_for_a_pass_and_one_above_it_does_not(floor):
    desk, passes = await bought(floor), []
    quote = desk.stage.venue.quote("A")
    await watched(desk, ScriptedStream(replace(quote, last=Decimal(9_800))), passes)
    assert passes == []
    await watched(desk, ScriptedStream(replace(quote, last=Decimal(9_600))), passes)
    assert passes


async def test_the_stream_follows_what_is_held(floor):
    desk, stream = await bought(floor), ScriptedStream()
    await watched(desk, stream, [])
    assert stream.followed == [("A",)]


async def test_a_stream_that_breaks_is_opened_again(floor, monkeypatch):
    monkeypatch.setattr(sentinel, "FIRST_PAUSE_SECONDS", 0.01)
    desk, passes = await bought(floor), []
    stream = ScriptedStream(ValueError("odd"), OSError("cut"), notice(desk, NoticeKind.FILLED))
    await watched(desk, stream, passes)
    assert (stream.opened, len(passes)) == (3, 1)


async def test_where_nothing_is_streamed_the_poll_finds_the_breach(floor):
    desk, passes = await bought(floor, prices=(10_000,) * 4 + (9_600,) * 9), []
    desk.stage.venue.advance_to(minute(5))

    class Nothing:
        def open(self):
            raise NotOffered("not here")

    await watched(desk, Nothing(), passes, policy=WatchPolicy())
    assert passes


class ClockOfPrints:
    """Goes on only after the stream has told one more price; ``goes`` times, then it stands.

    Whatever the machine is busy with, there is a print a second before each moment waited for.
    """

    runs = True

    def __init__(self, at, quote, goes):
        self._at, self._quote, self._left = at, quote, goes
        self._prints, self.stands = asyncio.Queue(), asyncio.Event()

    def now(self):
        return self._at

    async def sleep_until(self, at):
        self._at = at - timedelta(seconds=1)
        self._prints.put_nowait(replace(self._quote, at=self._at))
        await self._prints.join()
        self._at, self._left = at, self._left - 1
        if not self._left:
            self.stands.set()
            await asyncio.Event().wait()

    @asynccontextmanager
    async def open(self):
        yield self

    async def follow(self, instruments):
        return ()

    async def events(self):
        while True:
            yield await self._prints.get()
            self._prints.task_done()


async def test_what_the_stream_told_lately_is_not_polled(floor):
    desk = await bought(floor)
    clock = ClockOfPrints(desk.stage.venue.now, desk.stage.venue.quote("A"), goes=20)
    asked = []

    class Counting:
        async def quotes(self, instruments, *, held=()):
            asked.append([item.symbol for item in instruments])
            return {}

    async def no_pass():
        pass

    out = lookout_of(desk, clock, clock, no_pass, market_data=Counting(), policy=WatchPolicy())
    async with beside(*out.works), asyncio.timeout(30):
        await clock.stands.wait()
    assert asked == []


async def test_a_pass_that_fails_is_made_again(floor, monkeypatch):
    monkeypatch.setattr(sentinel, "FIRST_PAUSE_SECONDS", 0.01)
    desk, tries = await bought(floor), []
    clock = QuickClock(desk.stage.venue.now)

    async def failing():
        tries.append(1)
        if len(tries) < 3:
            raise OSError("no broker")

    stream = ScriptedStream(notice(desk, NoticeKind.FILLED))
    out = Lookout(
        desk.sentinel, Progress(), session=desk.stage.session, clock=clock,
        market_data=desk.stage.broker, open_stream=stream.open, protect=failing,
        write_down=lambda: None, policy=WatchPolicy(poll_every=timedelta(hours=2)),
    )  # fmt: skip
    async with beside(*out.works):
        await asyncio.sleep(0.2)
    assert len(tries) == 3


async def test_nothing_is_asked_of_a_market_that_is_shut(floor):
    stage = floor({"A": still(10_000, 9)}, {"A": BUY})
    desk, passes = Desk(stage), []
    await desk.tick(1)
    stage.venue.advance_to(stage.session.close_at + timedelta(minutes=1))
    await watched(desk, ScriptedStream(notice(desk, NoticeKind.FILLED)), passes)
    assert passes == []
