"""What stands still stops the entries, and goes on by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.trading_fakes import FakeNotifier
from tests.unit.twin.handmade_tape import OPEN, SESSION, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.clock import FixedClock
from trading_core.model.journal import HaltKind
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import require_session
from trading_core.steps import operate
from trading_core.steps.watchdog import Progress, Watchdog, WatchPolicy, stalled

KR = MarketGroup.KR
DAY = require_session(KR, SESSION)
QUIET, QUIET_HELD = timedelta(minutes=15), timedelta(seconds=30)
SECOND = timedelta(seconds=1)


def all_at(at):
    return Progress(at, at, at, at)


def why(progress, at, *, since=OPEN, held=False):
    return stalled(progress, at=at, since=since, quiet=QUIET, quiet_held=QUIET_HELD, held=held)


class Stage:
    def __init__(self, group=KR):
        self.store, self.notifier, self.clock = (
            DuckStore(":memory:"),
            FakeNotifier(),
            FixedClock(OPEN),
        )
        self.dog = Watchdog(
            self.store, self.notifier, self.clock, group=group, session=DAY,
            quiet=QUIET, quiet_held=QUIET_HELD,
        )  # fmt: skip

    def moved(self, at):
        marks = self.dog.progress
        marks.quoted_at = marks.held_quoted_at = marks.reconciled_at = marks.decided_at = at

    def halts(self):
        with self.store.read() as reader:
            return list(reader.open_halts())


def test_exactly_the_limit_is_not_too_long():
    assert why(all_at(minute(1)), minute(16)) == ""
    assert why(all_at(minute(1)), minute(16) + SECOND)


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("quoted_at", "no price came in"),
        ("reconciled_at", "the broker's book was not read"),
        ("decided_at", "nothing was decided"),
    ],
)
def test_each_thing_that_stands_still_is_named(mark, words):
    progress = all_at(minute(20))
    setattr(progress, mark, minute(1))
    assert why(progress, minute(20)) == f"{words} since 00:01:00 UTC"


def test_what_never_moved_counts_from_the_open():
    assert why(Progress(), OPEN + QUIET) == ""
    assert why(Progress(), OPEN + QUIET + SECOND)


def test_prices_of_a_holding_may_be_silent_for_a_shorter_time():
    progress = all_at(minute(1))
    later = minute(1) + QUIET_HELD + SECOND
    assert why(progress, later, held=False) == ""
    assert why(progress, later, held=True).startswith("no price of a holding")


def test_the_times_follow_the_interval_of_the_ticks():
    policy = WatchPolicy()
    assert policy.quiet_for(timedelta(seconds=300)) == timedelta(seconds=900)
    assert policy.quiet_for(timedelta(seconds=10)) == timedelta(seconds=60)
    assert policy.quiet_held_for(timedelta(seconds=300)) == timedelta(seconds=30)
    slow = WatchPolicy(poll_every=timedelta(seconds=60))
    assert slow.quiet_held_for(timedelta(seconds=300)) == timedelta(seconds=180)
    # A tick that comes on time must be enough.
    eager = WatchPolicy(quiet=timedelta(seconds=1))
    assert eager.quiet_for(timedelta(seconds=300)) == timedelta(seconds=360)


async def test_a_session_that_stands_still_is_halted_once_and_told_once():
    stage = Stage()
    await stage.dog.look(OPEN)
    for seconds in (1, 2, 3):
        await stage.dog.look(OPEN + QUIET + seconds * SECOND)
    [halt] = stage.halts()
    assert (halt.kind, halt.scope) == (HaltKind.WATCHDOG, "KR")
    assert stage.notifier.kinds() == ["watchdog"]


async def test_it_goes_on_by_itself_once_everything_has_moved_and_that_is_told():
    stage = Stage()
    await stage.dog.look(OPEN)
    await stage.dog.look(minute(16))
    stage.dog.progress.quoted_at = minute(17)
    await stage.dog.look(minute(17))
    assert stage.halts()
    stage.moved(minute(18))
    await stage.dog.look(minute(18))
    assert stage.halts() == []
    assert stage.notifier.kinds() == ["watchdog", "recovered"]
    await stage.dog.look(minute(19))
    assert len(stage.notifier.told) == 2


async def test_a_halt_that_a_dead_run_left_behind_is_lifted_by_the_next_one():
    stage = Stage()
    operate.watchdog_halt(stage.store, scope="KR", reason="before", at=OPEN)
    await stage.dog.look(minute(1))
    assert stage.halts(), "nothing has moved yet"
    stage.moved(minute(2))
    await stage.dog.look(minute(2))
    assert stage.halts() == []


async def test_halts_of_others_are_left_alone():
    stage = Stage()
    operate.halt(stage.store, scope="KR", reason="by hand", at=OPEN)
    operate.watchdog_halt(stage.store, scope="US", reason="another market", at=OPEN)
    stage.moved(minute(1))
    await stage.dog.look(minute(1))
    assert {halt.reason for halt in stage.halts()} == {"by hand", "another market"}


async def test_a_market_that_is_shut_may_stand_still():
    stage = Stage()
    await stage.dog.look(DAY.close_at - SECOND)
    assert await stage.dog.look(DAY.close_at + timedelta(hours=5)) == ""
    assert await Stage().dog.look(OPEN - timedelta(hours=1)) == ""
    assert stage.halts() == []
