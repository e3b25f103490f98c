"""The kill switch: its order, what fails on the way, and what a crash leaves to the next run."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from tests.trading_fakes import KR, Died, FakeNotifier, MakeFloor, busy, playbook, still, when
from tests.unit.twin.handmade_tape import CLOSE, minute
from trading_core.adapters.duck.store import DuckStore, count_rows
from trading_core.adapters.local_archive import LocalArchive
from trading_core.clock import FixedClock
from trading_core.errors import BrokerUnavailable, ConfigError, StoreBusy, StoreError, UnknownMarket
from trading_core.model.journal import HaltKind, HaltLevel, KillStep, StepOutcome
from trading_core.model.market import MarketGroup
from trading_core.model.order import OrderState, Side
from trading_core.steps import operate
from trading_core.steps.kill import KillPorts, block, kill

CHEAP = [when("price <= 10000")]
NO_PAUSES = (0.0, 0.0)
WHOLE = ["block", "cancel KR", "refresh KR", "reduce KR", "snapshot", "notify"]


@dataclass
class MortalStore:
    """A store whose process dies right before, or right after, its n-th commit."""

    inner: DuckStore
    dies_at: int = 0
    after: bool = False
    commits: int = 0
    broken: set[int] = field(default_factory=set)

    def read(self, *, as_of=None):
        return self.inner.read(as_of=as_of)

    def fingerprint(self):
        return self.inner.fingerprint()

    def snapshot(self, target):
        return self.inner.snapshot(target)

    @contextmanager
    def write(self):
        self.commits += 1
        if self.commits in self.broken:
            raise StoreBusy("held by another")
        with self.inner.write() as tx:
            yield tx
            if self.commits == self.dies_at and not self.after:
                raise Died
        if self.commits == self.dies_at:
            raise Died


class Archive:
    """A real archive that breaks down or dies as it is told."""

    def __init__(self, desk, script=()):
        self.inner = LocalArchive(desk.home / "backups", count_rows)
        self.script = list(script)
        self.kept = []

    def keep(self, store, *, at):
        word = self.script.pop(0) if self.script else ""
        if word == "full":
            raise StoreError("the disk is full")
        if word == "bug":
            raise ZeroDivisionError("a fault in the program")
        if word == "die":
            raise Died
        self.kept.append(self.inner.keep(store, at=at))
        return self.kept[-1]


class MortalNotifier(FakeNotifier):
    async def send(self, notification):
        await super().send(notification)
        raise Died


@pytest.fixture
async def desk(tmp_path):
    """Shares of A are held, an entry of B rests in the book."""
    tape = {"A": busy(*[10_000] * 60), "B": still(10_000, 60), "C": still(10_000, 60)}
    floor = MakeFloor(tmp_path)(tape, {"A": CHEAP, "B": CHEAP})
    await floor.tick(minute(2))
    await floor.books(minute(3))
    assert await floor.holding("A") > 0
    assert floor.order("B").state is OrderState.ACCEPTED
    floor.broker.submitted.clear()
    return floor


def ports(desk, at, **changes):
    desk.venue.advance_to(at)
    made = KillPorts(
        store=desk.store,
        broker=desk.broker,
        market_data=desk.broker,
        lock=desk.lock,
        archive=Archive(desk),
        notifier=desk.notifier,
        clock=FixedClock(at),
        policy=desk.policy,
        groups=(KR,),
    )
    return replace(made, **changes)


async def throw(desk, at=None, *, reduce=True, scope="KR", **changes):
    made = ports(desk, at or minute(4), **changes)
    return await kill(made, scope=scope, reason="a doubt", reduce=reduce, pauses=NO_PAUSES)


def outcomes(report):
    return {row.label: row.outcome.value for row in report.rows}


def stored(desk):
    with desk.store.read() as reader:
        return [(row.label, row.attempt, row.outcome.value) for row in reader.kill_rows()]


def kill_halts(desk):
    return [halt for halt in desk.halts() if halt.kind is HaltKind.KILL]


# --- the sequence ---------------------------------------------------------------------------------


async def test_the_steps_come_in_their_order_and_each_is_written_down(desk):
    held = await desk.holding("A")
    archive = Archive(desk)

    report = await throw(desk, archive=archive)

    assert report.failed == ()
    assert [row.label for row in report.rows] == WHOLE
    assert stored(desk) == [(label, 1, "done") for label in WHOLE]
    assert desk.states("B") == ["intended", "sending", "accepted", "cancel_requested", "cancelled"]
    [sale] = desk.broker.submitted
    assert (sale.intent.side, sale.intent.quantity) == (Side.SELL, held)
    assert desk.order("A", Side.SELL).state is OrderState.ACCEPTED
    [copy] = archive.kept
    assert copy.verified
    note = desk.notifier.told[-1]
    assert (note.kind, note.level) == ("kill", "critical")
    assert "every step is done" in note.text
    assert "ouroboros resume KR" in note.text


async def test_entries_are_blocked_before_anything_else_is_asked_of_the_broker(desk):
    seen = []
    orders = desk.broker.inner.orders

    async def ask(group, session):
        seen.append([halt.kind for halt in desk.halts()])
        return await orders(group, session)

    desk.broker.inner.orders = ask
    await throw(desk)
    assert seen[0] == [HaltKind.KILL]


async def test_a_sale_is_decided_journaled_and_gated_as_any_other_order(desk):
    seen = []
    desk.broker.on_submit = lambda order: seen.append(desk.states("A", Side.SELL))
    await throw(desk)
    assert seen == [["intended", "sending"]]
    record = desk.order("A", Side.SELL)
    [decision] = [d for d in desk.decisions("A") if d.decision_id == record.intent.decision_id]
    assert (decision.action, decision.rationale) == ("SELL", "kill switch: a doubt")
    await desk.books(minute(6))
    assert await desk.holding("A") == 0


async def test_without_reduce_nothing_is_sold_and_exits_are_stopped_too(desk):
    report = await throw(desk, reduce=False)

    assert [row.label for row in report.rows] == [step for step in WHOLE if "reduce" not in step]
    assert desk.broker.submitted == []
    [halt] = desk.halts()
    assert (halt.kind, halt.level, halt.scope) == (HaltKind.KILL, HaltLevel.HALTED, "KR")


async def test_with_reduce_protective_exits_go_on(desk):
    await throw(desk)
    [halt] = desk.halts()
    assert halt.level is HaltLevel.REDUCING


async def test_all_goes_through_every_market(desk):
    groups = (KR, MarketGroup.US)
    report = await throw(desk, scope="ALL", reduce=False, groups=groups)
    assert [row.label for row in report.rows] == [
        *("block", "cancel KR", "cancel US", "refresh KR", "refresh US", "snapshot", "notify")
    ]
    assert [halt.scope for halt in desk.halts()] == ["ALL"]


@pytest.mark.parametrize(
    ("scope", "reason", "error"),
    [("KR", " ", ConfigError), ("KRW", "x", UnknownMarket), ("MARS", "x", UnknownMarket)],
)
async def test_without_a_reason_or_a_market_nothing_happens(desk, scope, reason, error):
    with pytest.raises(error):
        await kill(ports(desk, minute(4)), scope=scope, reason=reason)
    with pytest.raises(error):
        block(desk.store, scope=scope, reason=reason, reduce=False, at=minute(4))
    assert (desk.halts(), stored(desk), desk.broker.cancelled) == ([], [], [])


async def test_what_was_blocked_before_the_broker_was_reached_goes_on_from_there(desk):
    halt = block(desk.store, scope="KR", reason="a doubt", reduce=True, at=minute(3))
    assert block(desk.store, scope="KR", reason="x", reduce=True, at=minute(4)) == halt
    report = await throw(desk)
    assert report.kill_id == halt.halt_id
    assert kill_halts(desk) == [halt]
    assert stored(desk) == [(label, 1, "done") for label in WHOLE]


# --- steps that fail -----------------------------------------------------------------------


async def unreachable(*_, **__):
    raise BrokerUnavailable("down")


async def test_with_the_broker_down_the_rest_is_done_and_all_of_it_is_told(desk):
    desk.broker.orders = unreachable

    report = await throw(desk)

    assert outcomes(report) == {
        "block": "done",
        "cancel KR": "failed",
        "refresh KR": "failed",
        "reduce KR": "failed",
        "snapshot": "done",
        "notify": "done",
    }
    line = report.line()
    assert line.startswith("kill KR --reduce: cancel KR failed: down")
    assert "refresh KR failed" in desk.notifier.told[-1].text
    del desk.broker.orders
    again = await throw(desk, minute(5))
    assert again.failed == ()
    assert again.kill_id == report.kill_id
    assert [row for row in stored(desk) if row[1] == 2] == [
        (label, 2, "done") for label in ("cancel KR", "refresh KR", "reduce KR", "notify")
    ]


async def test_refreshing_is_tried_three_times(desk):
    tries = []

    async def account(group):
        tries.append(group)
        raise BrokerUnavailable("down")

    desk.broker.account = account
    report = await throw(desk, reduce=False)
    assert outcomes(report)["refresh KR"] == "failed"
    assert len(tries) == 3


async def test_the_third_try_of_refreshing_counts(desk):
    inner, tries = desk.broker.account, []

    async def account(group):
        tries.append(group)
        if len(tries) < 3:
            raise BrokerUnavailable("down")
        return await inner(group)

    desk.broker.account = account
    assert (await throw(desk, reduce=False)).failed == ()


async def test_an_entry_that_comes_to_light_while_refreshing_is_cancelled_too(desk):
    # Its answer was lost, so it has no number to cancel until the broker's book is read.
    desk.broker.script = ["lost reply"]
    desk.book = playbook({"C": CHEAP})
    await desk.tick(minute(3))
    assert desk.order("C").state is OrderState.UNKNOWN
    report = await throw(desk)
    assert report.failed == ()
    assert desk.order("C").state is OrderState.CANCELLED


async def test_a_cancel_that_is_not_taken_is_tried_again_by_the_refresh(desk):
    desk.broker.cancel_script = ["down"]
    report = await throw(desk, reduce=False)
    assert outcomes(report)["cancel KR"] == "failed"
    assert outcomes(report)["refresh KR"] == "done"
    assert desk.order("B").state is OrderState.CANCELLED


async def test_a_sale_that_was_not_taken_is_tried_again_in_the_next_round(desk):
    desk.broker.script = ["rate limit", "reject"]
    report = await throw(desk)
    assert report.failed == ()
    assert len(desk.broker.submitted) == 3
    assert len({order.intent.intent_id for order in desk.broker.submitted}) == 3
    await desk.books(minute(6))
    assert await desk.holding("A") == 0


@pytest.mark.parametrize(
    ("price", "why"),
    [({"halted": True}, "no usable price"), ({"at": minute(-10)}, "no usable price")],
)
async def test_a_holding_without_a_usable_price_is_named_and_not_sold(desk, price, why):
    desk.broker.quote_changes["A"] = price
    report = await throw(desk)
    assert outcomes(report)["reduce KR"] == "failed"
    assert f"A ({why})" in report.line()
    assert desk.broker.submitted == []


async def test_a_halt_that_stops_exits_is_named_and_kept(desk):
    operate.halt(desk.store, scope="KR", reason="no", at=minute(3), level=HaltLevel.HALTED)
    report = await throw(desk)
    assert "operator-KR" in report.line()
    assert "forbids sales too" in report.line()
    assert desk.broker.submitted == []


async def test_after_the_close_nothing_is_sold_and_it_says_so(desk):
    report = await throw(desk, CLOSE + timedelta(minutes=5))
    assert [row.label for row in report.failed] == ["reduce KR"]
    assert "the exchange is shut" in report.line()
    assert desk.broker.submitted == []


@pytest.mark.parametrize("word", ["full", "bug"])
async def test_a_backup_that_fails_does_not_keep_it_from_telling(desk, word):
    report = await throw(desk, archive=Archive(desk, [word]))
    assert [row.label for row in report.failed] == ["snapshot"]
    assert "snapshot failed" in desk.notifier.told[-1].text


async def test_a_message_nobody_took_is_a_failed_step(desk):
    desk.notifier.takes = False
    report = await throw(desk)
    assert [row.label for row in report.failed] == ["notify"]


async def test_a_store_that_is_busy_for_the_halt_does_not_keep_the_entries_working(desk):
    store = MortalStore(desk.store, broken={1, 2})
    report = await throw(desk, store=store)
    assert [row.label for row in report.failed] == ["block"]
    assert desk.order("B").state is OrderState.CANCELLED
    assert await throw(desk, minute(6)) is not None
    assert len(kill_halts(desk)) == 1


# --- crashes ------------------------------------------------------------------------------------


async def finish(desk, start=5):
    """Throw it again, a minute later each time, until every step is done."""
    for n in range(start, start + 6):
        report = await throw(desk, minute(n))
        if not report.failed:
            return report
    raise AssertionError(report.line())


async def all_is_well(desk, held, halts=1):
    """One halt, no entry, and what was held was sold once."""
    await desk.books(minute(20))
    assert len(kill_halts(desk)) == halts
    assert await desk.holding("A") == 0
    sold = [r for r in desk.orders() if r.intent.side is Side.SELL and r.filled_quantity]
    assert sum(record.filled_quantity for record in sold) == held
    book = await desk.broker.inner.orders(KR, desk.session.date)
    assert sum(row.quantity for row in book if row.side is Side.SELL) == held
    assert not [row for row in book if row.is_open]
    assert desk.order("B").state is OrderState.CANCELLED


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("number", range(1, 16))
async def test_a_crash_at_any_commit_is_made_up_for_by_the_next_run(desk, number, after):
    held = await desk.holding("A")
    store = MortalStore(desk.store, dies_at=number, after=after)
    try:
        report = await throw(desk, store=store)
    except Died:
        assert store.commits == number
    else:
        assert store.commits < number
        assert report.failed == ()
        return
    last = stored(desk)[-1:] == [("notify", 1, "done")]
    await finish(desk)
    await all_is_well(desk, held, halts=2 if last else 1)


async def test_the_crashes_reach_to_the_last_commit(desk):
    store = MortalStore(desk.store)
    await throw(desk, store=store)
    assert 12 <= store.commits < 16


@pytest.mark.parametrize("word", ["die", "die before"])
@pytest.mark.parametrize("script", ["script", "cancel_script"])
async def test_a_crash_while_the_broker_is_asked_doubles_nothing(desk, word, script):
    held = await desk.holding("A")
    setattr(desk.broker, script, [word])
    with pytest.raises(Died):
        await throw(desk)
    await finish(desk)
    await all_is_well(desk, held)


async def test_a_crash_in_the_backup_or_the_message_leaves_only_those_to_the_next_run(desk):
    held = await desk.holding("A")
    with pytest.raises(Died):
        await throw(desk, archive=Archive(desk, ["die"]))
    assert [label for label, _, _ in stored(desk)] == WHOLE[:4]
    asked = len(desk.broker.submitted), len(desk.broker.cancelled)
    with pytest.raises(Died):
        await throw(desk, minute(5), notifier=MortalNotifier())
    assert [label for label, _, _ in stored(desk)] == WHOLE[:5]
    await finish(desk, 6)
    assert (len(desk.broker.submitted), len(desk.broker.cancelled)) == asked
    assert stored(desk) == [(label, 1, "done") for label in WHOLE]
    await all_is_well(desk, held)


async def test_a_switch_whose_halt_was_lifted_is_not_gone_on_with(desk):
    with pytest.raises(Died):
        await throw(desk, archive=Archive(desk, ["die"]), reduce=False)
    operate.resume(desk.store, scope="KR", by="a false alarm", at=minute(5))
    report = await throw(desk, minute(6), reduce=False)
    assert {row.attempt for row in report.rows} == {1}
    assert len(stored(desk)) == 3 + 5
    assert [halt.raised_at for halt in desk.halts()] == [minute(6)]


async def test_a_finished_switch_thrown_again_sells_nothing_that_is_being_sold(tmp_path):
    tape = {"A": [*busy(*[10_000] * 3), *still(10_000, 60)]}
    desk = MakeFloor(tmp_path)(tape, {"A": CHEAP})
    await desk.tick(minute(2))
    first = await throw(desk)
    again = await throw(desk, minute(5))
    assert (first.failed, again.failed) == ((), ())
    assert again.kill_id != first.kill_id
    assert [order.intent.side for order in desk.broker.submitted] == [Side.BUY, Side.SELL]
    assert desk.order("A", Side.SELL).state is OrderState.ACCEPTED


async def test_while_the_fate_of_a_sale_is_unknown_selling_is_not_done(desk):
    desk.broker.script = ["lost request"]
    report = await throw(desk)
    assert "the fate of an order is unknown" in report.line()
    assert len(desk.broker.submitted) == 1
    held = await desk.holding("A")
    await finish(desk)
    await all_is_well(desk, held)


async def test_two_switches_at_once_sell_once(desk):
    """The second runs from start to end while the first is about to send its sale."""
    held = await desk.holding("A")
    inner = desk.broker.quotes
    second = []

    async def quotes(instruments, *, held=()):
        desk.broker.quotes = inner
        second.append(await throw(desk))
        return await inner(instruments, held=held)

    desk.broker.quotes = quotes
    report = await throw(desk)
    assert second[0].failed == ()
    assert report.rows[-1].outcome is StepOutcome.DONE
    await desk.books(minute(6))
    assert await desk.holding("A") == 0
    book = await desk.broker.inner.orders(KR, desk.session.date)
    assert sum(row.quantity for row in book if row.side is Side.SELL) == held


def test_the_steps_are_these_and_in_this_order():
    assert [step.value for step in KillStep] == [name.split()[0] for name in WHOLE]
