"""What is kept of many backups, and what never goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from trading_core.rules.retention import DAILY, WEEKLY, Aged, Tier, expired, tiers

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
DAY = timedelta(days=1)

ages = st.lists(
    st.tuples(st.integers(0, 900 * 24 * 60), st.booleans()), max_size=60, unique_by=lambda x: x[0]
)


def aged(found: list[tuple[int, bool]]) -> list[Aged]:
    return [Aged(str(minutes), NOW - timedelta(minutes=minutes), good) for minutes, good in found]


def kept(backups: list[Aged], now: datetime = NOW) -> list[Aged]:
    gone = expired(backups, now=now)
    return [item for item in backups if item.backup_id not in gone]


@given(ages)
def test_the_newest_good_backup_never_goes(found):
    backups = aged(found)
    good = [item for item in backups if item.good]

    if good:
        assert max(good, key=lambda item: item.at) in kept(backups)
    else:
        assert kept(backups) == backups


@given(ages)
def test_pruning_again_at_the_same_moment_removes_nothing_more(found):
    left = kept(aged(found))

    assert kept(left) == left


@given(ages)
def test_every_day_week_and_month_that_had_a_good_backup_still_has_one(found):
    backups = aged(found)
    good = [item for item in backups if item.good]
    left = [item for item in kept(backups) if item.good]

    for item in good:
        assert any(
            (other.at.year, other.at.month) == (item.at.year, item.at.month) for other in left
        )
        newest_of_week = max(
            (o for o in good if o.at.isocalendar()[:2] == item.at.isocalendar()[:2]),
            key=lambda o: o.at,
        )
        if NOW - newest_of_week.at <= WEEKLY:
            assert newest_of_week in left
        newest_of_day = max((o for o in good if o.at.date() == item.at.date()), key=lambda o: o.at)
        if NOW - newest_of_day.at <= DAILY:
            assert newest_of_day in left


@given(st.lists(st.integers(0, 5), min_size=30, max_size=200))
def test_pruned_after_each_backup_of_a_long_life_it_keeps_what_one_look_back_would(per_day):
    """Nothing that is needed later is thrown away earlier."""
    start = NOW - timedelta(days=len(per_day))
    left: list[Aged] = []
    made: list[Aged] = []
    for number, count in enumerate(per_day):
        for turn in range(count):
            at = start + number * DAY + timedelta(hours=3 * turn)
            made.append(Aged(f"{number}-{turn}", at))
            left = kept([*left, made[-1]], at)

    end = start + len(per_day) * DAY
    assert kept(left, end) == kept(made, end)


def test_a_year_of_nightly_backups_leaves_thirty_days_a_year_of_weeks_and_every_month():
    backups = [Aged(f"{day}", NOW - day * DAY) for day in range(800)]
    found = tiers(backups, now=NOW)

    count = {tier: sum(tier in kinds for kinds in found.values()) for tier in Tier}
    assert count == {Tier.RECENT: 2, Tier.DAILY: 31, Tier.WEEKLY: 53, Tier.MONTHLY: 27}
    assert len(kept(backups)) < 110


def test_a_bad_backup_stands_for_nothing_and_goes_after_thirty_days():
    good = Aged("good", NOW - 3 * DAY)
    bad = [Aged("young", NOW - 2 * DAY, good=False), Aged("old", NOW - 31 * DAY, good=False)]

    assert expired([good, *bad], now=NOW) == {"old"}
    assert Tier.DAILY not in tiers([good, *bad], now=NOW)["young"]


def test_where_no_backup_is_good_none_goes():
    bad = [Aged("a", NOW - 900 * DAY, good=False), Aged("b", NOW - 800 * DAY, good=False)]

    assert expired(bad, now=NOW) == frozenset()
