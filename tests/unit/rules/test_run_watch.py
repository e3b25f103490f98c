"""What hangs is found, what is missing is started once, and what lives is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import require_session
from trading_core.rules.run_watch import (
    MarketView,
    RunPhase,
    RunView,
    Start,
    hanging,
    missing,
    missing_review,
    outdated,
)
from trading_core.rules.schedules import BookedFlow, SchedulePolicy

KR = MarketGroup.KR
SESSION = require_session(KR, date(2026, 11, 20))
OPEN, CLOSE = SESSION.open_at, SESSION.close_at
NOON = OPEN + timedelta(hours=3)
MINUTE = timedelta(minutes=1)
POLICY = SchedulePolicy()
BARE = MarketView(SESSION, is_held=False, has_playbook=True)


def run(
    phase: RunPhase, flow: str = "session", *, since: datetime = NOON - 20 * MINUTE, **more: object
) -> RunView:
    seen = RunView(
        run_id=f"{flow}-{phase}-{since}",
        name="x",
        flow=flow,
        market=KR,
        phase=phase,
        since=since,
        due=since,
    )
    return replace(seen, **more)  # type: ignore[arg-type]


def look(
    view: MarketView = BARE, *runs: RunView, at: datetime = NOON, now: datetime | None = None
) -> Start | None:
    return missing(view, runs, at=at, now=now or at, policy=POLICY)


# --- What hangs ----------------------------------------------------------------------------------


def test_a_run_that_starts_for_minutes_hangs() -> None:
    fresh = run(RunPhase.STARTING, since=NOON - 2 * MINUTE)
    old = run(RunPhase.STARTING, since=NOON - 4 * MINUTE)

    assert hanging([fresh, old], [], NOON) == [(old, "it has been starting for 4 minutes")]


def test_a_run_that_says_nothing_hangs_unless_its_process_is_seen() -> None:
    silent = run(RunPhase.RUNNING, "plan")
    talks = run(RunPhase.RUNNING, "plan", heard_at=NOON - MINUTE)
    seen = run(RunPhase.RUNNING, "plan", has_process=True)
    gone = run(RunPhase.RUNNING, "plan", has_process=False)
    just_begun = run(RunPhase.RUNNING, "plan", since=NOON - MINUTE, has_process=False)

    assert [item for item, _ in hanging([silent, talks, seen, gone, just_begun], [], NOON)] == [
        silent,
        gone,
    ]


@pytest.mark.parametrize("phase", [RunPhase.STARTING, RunPhase.RUNNING])
def test_a_session_whose_lease_is_held_never_hangs(phase: RunPhase) -> None:
    silent = run(phase, has_process=False)

    assert hanging([silent], [KR], NOON) == []
    assert [found for found, _ in hanging([silent], [MarketGroup.US], NOON)] == [silent]


def test_a_session_that_died_and_left_its_lease_is_given_up_at_once() -> None:
    dead = run(RunPhase.RUNNING, since=NOON - MINUTE, has_process=False)
    heir = run(RunPhase.RUNNING, since=NOON - MINUTE, has_process=True)
    elsewhere = run(RunPhase.RUNNING, since=NOON - MINUTE / 6, has_process=False)
    plan = run(RunPhase.RUNNING, "plan", since=NOON - MINUTE, has_process=False)

    found = hanging([dead, heir, elsewhere, plan], [], NOON, [KR])

    assert found == [(dead, "its process died and left the lease of its market")]


def test_what_waits_or_has_ended_does_not_hang() -> None:
    phases = set(RunPhase) - {RunPhase.STARTING, RunPhase.RUNNING}

    assert hanging([run(phase) for phase in phases], [], NOON + timedelta(days=1)) == []


def test_what_would_skip_by_itself_need_not_be_started_for_that() -> None:
    tick = run(RunPhase.WAITING, "tick", since=NOON - 10 * MINUTE)
    plan = run(RunPhase.WAITING, "plan", since=OPEN - 30 * MINUTE)
    yesterday = run(RunPhase.WAITING, "session", since=OPEN - timedelta(days=1))
    coming = run(RunPhase.WAITING, "tick", since=NOON + MINUTE)
    by_hand = run(RunPhase.WAITING, "kill", market=None, since=NOON - timedelta(hours=5))

    found = outdated([tick, plan, yesterday, coming, by_hand], at=NOON, now=NOON, policy=POLICY)

    assert [item for item, _ in found] == [tick, yesterday]


# --- Sessions ------------------------------------------------------------------------------------


def test_an_open_market_without_a_session_gets_one() -> None:
    start = look()

    assert start is not None
    assert start.deployment == "session/KR"
    assert start.key == "session-KR-2026-11-20-1"
    assert start.why == "KR is open and no session run is alive"


def test_whoever_looks_at_the_same_time_asks_for_the_same_run() -> None:
    dead = run(RunPhase.FAILED)

    assert look(BARE, dead) == look(BARE, dead, at=NOON, now=NOON + MINUTE)


@pytest.mark.parametrize(
    "there",
    [
        run(RunPhase.RUNNING),
        run(RunPhase.STARTING),
        run(RunPhase.WAITING, since=NOON - MINUTE),
        run(RunPhase.WAITING, since=NOON + 5 * MINUTE),
        run(RunPhase.COMPLETED),
        run(RunPhase.CANCELLED),
    ],
    ids=lambda there: f"{there.phase}",
)
def test_never_a_second_one_and_none_that_a_person_ended(there: RunView) -> None:
    assert look(BARE, there) is None


def test_none_while_a_living_process_holds_the_lease_or_the_deployment_is_paused() -> None:
    assert look(replace(BARE, is_held=True)) is None
    assert look(replace(BARE, is_paused=True)) is None


@pytest.mark.parametrize(
    ("at", "wanted"),
    [
        (OPEN - 4 * MINUTE, False),
        (OPEN - 3 * MINUTE, True),
        (CLOSE - MINUTE, True),
        (CLOSE, False),
    ],
)
def test_only_from_shortly_before_the_open_to_the_close(at: datetime, wanted: bool) -> None:
    assert (look(at=at) is not None) is wanted


def test_yesterdays_runs_are_not_todays() -> None:
    yesterday = run(RunPhase.CANCELLED, since=OPEN - timedelta(hours=20))

    start = look(BARE, yesterday)

    assert start is not None
    assert start.attempt == 1


def test_a_session_that_dies_at_once_every_time_is_tried_less_and_less_often() -> None:
    dead: list[RunView] = []
    pauses = []
    for minutes in range(6):
        start = look(BARE, *dead)
        assert start is not None
        assert start.attempt == minutes + 1
        pauses.append(start.pause / MINUTE)
        dead.append(run(RunPhase.FAILED, since=NOON - (10 - minutes) * MINUTE))

    assert pauses == [0, 0, 0, 1, 5, 5]
    long_ago = [replace(each, since=NOON - timedelta(hours=2)) for each in dead]
    after = look(BARE, *long_ago)
    assert after is not None
    assert after.pause == timedelta(0)


def test_an_exchange_with_a_clock_of_its_own_is_judged_by_it() -> None:
    """A twin plays another day; the runs are dated by the real one."""
    real = NOON + timedelta(days=70)
    mine = run(RunPhase.FAILED, since=real - 10 * MINUTE)
    before = run(RunPhase.FAILED, since=real - timedelta(hours=20))

    start = look(BARE, before, mine, at=NOON, now=real)

    assert start is not None
    assert start.attempt == 2


@given(
    st.lists(st.sampled_from([*RunPhase]), max_size=5),
    st.integers(-60, 500),
    st.booleans(),
)
def test_no_session_is_started_beside_one_that_lives(
    phases: list[RunPhase], minutes: int, held: bool
) -> None:
    at = OPEN + minutes * MINUTE
    runs = [run(phase, since=at - 10 * MINUTE) for phase in phases]

    start = look(replace(BARE, is_held=held), *runs, at=at)

    lives = {RunPhase.WAITING, RunPhase.STARTING, RunPhase.RUNNING} & set(phases)
    if held or lives or not OPEN - 5 * MINUTE <= at < CLOSE:
        assert start is None or start.flow is not BookedFlow.SESSION


# --- Plans and reviews ---------------------------------------------------------------------------

UNPLANNED = MarketView(SESSION, is_held=False, has_playbook=False)


def test_a_missed_plan_runs_at_once_and_not_when_there_is_one() -> None:
    at = OPEN - 20 * MINUTE

    start = look(UNPLANNED, at=at)

    assert start is not None
    assert start.key == "plan-KR-2026-11-20-1"
    assert look(BARE, at=at) is None
    assert look(UNPLANNED, at=OPEN - 29 * MINUTE) is None


@pytest.mark.parametrize("phase", [RunPhase.WAITING, RunPhase.STARTING, RunPhase.RUNNING])
def test_a_plan_that_is_on_its_way_is_not_missed(phase: RunPhase) -> None:
    at = OPEN - 20 * MINUTE

    assert look(UNPLANNED, run(phase, "plan", since=at - 9 * MINUTE), at=at) is None


def test_a_plan_is_tried_three_times_and_then_left_to_the_session() -> None:
    at = OPEN - 10 * MINUTE
    failed = [run(RunPhase.FAILED, "plan", since=at - n * MINUTE) for n in (3, 2, 1)]

    assert look(UNPLANNED, *failed[:2], at=at) is not None
    assert look(UNPLANNED, *failed, at=at) is None
    assert look(UNPLANNED, *failed, at=NOON).flow is BookedFlow.SESSION  # type: ignore[union-attr]


def test_a_market_that_is_open_without_a_plan_gets_a_session_which_plans() -> None:
    start = look(UNPLANNED)

    assert start is not None
    assert start.flow is BookedFlow.SESSION


def review(*runs: RunView, at: datetime, days: int = 2) -> Start | None:
    closed = [SESSION, require_session(KR, date(2026, 11, 23))][:days]
    return missing_review(KR, closed, runs, at=at, now=at)


def test_missed_reviews_are_one_run_once_the_booked_one_had_its_time() -> None:
    monday = require_session(KR, date(2026, 11, 23)).close_at

    assert review(at=CLOSE + 34 * MINUTE, days=1) is None
    start = review(at=monday + 35 * MINUTE)
    assert start is not None
    assert start.key == "review-KR-2026-11-23-1"
    assert start.why == "KR was not reviewed on 2026-11-20, 2026-11-23"
    early = review(at=monday)
    assert early is not None
    assert early.session == date(2026, 11, 20)


def test_a_review_that_runs_or_failed_three_times_is_not_started_again() -> None:
    at = CLOSE + timedelta(hours=1)
    failed = [run(RunPhase.FAILED, "review", since=at - n * MINUTE) for n in (30, 20, 10)]

    assert review(run(RunPhase.RUNNING, "review", since=at - MINUTE), at=at, days=1) is None
    assert review(*failed[:2], at=at, days=1) is not None
    assert review(*failed, at=at, days=1) is None
    assert review(run(RunPhase.CANCELLED, "review", since=at), at=at, days=1) is None
