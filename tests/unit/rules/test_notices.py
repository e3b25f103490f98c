"""Which message goes out next, out of what waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_core.model.journal import Notification
from trading_core.model.notice import KINDS, NotifyKind, NotifyLevel, QuietHours
from trading_core.rules.notices import (
    BODY_CHARACTERS,
    LISTED,
    Manner,
    next_batch,
    switched_off,
)

AT = datetime(2026, 11, 20, 0, 31, tzinfo=UTC)
SEOUL = ZoneInfo("Asia/Seoul")
MANNER = Manner(chosen={}, now=AT, zone=SEOUL)


def note(
    n: int = 0, kind: str = "order_filled", level: str = "info", **more: object
) -> Notification:
    at = AT + timedelta(seconds=n)
    text = str(more.pop("text", f"text {n}"))
    return Notification(f"{kind}-{n}", at, kind, level, text, **more)  # type: ignore[arg-type]


def manner(**changes: object) -> Manner:
    values = {"chosen": {}, "now": AT, "zone": SEOUL}
    return Manner(**(values | changes))  # type: ignore[arg-type]


def test_a_single_message_is_headed_by_its_kind_and_time() -> None:
    batch = next_batch([note(text="filled: BUY 3 A at 10,010 KRW")], MANNER)
    assert batch is not None
    assert batch.message.title == "Filled 09:31 KST"
    assert batch.message.body == "filled: BUY 3 A at 10,010 KRW"
    assert not batch.message.silent
    assert batch.counted == ()


def test_a_message_of_another_day_says_which() -> None:
    batch = next_batch([note()], manner(now=AT + timedelta(days=3)))
    assert batch is not None
    assert batch.message.title == "Filled 2026-11-20 09:31 KST"


def test_nothing_waits_and_nothing_goes_out() -> None:
    assert next_batch([], MANNER) is None


def test_a_burst_is_one_message_that_lists_the_newest_and_counts_the_rest() -> None:
    waiting = [note(n) for n in range(25)]
    batch = next_batch(waiting, MANNER)
    assert batch is not None
    assert batch.told == tuple(waiting[-LISTED:])
    assert batch.counted == tuple(waiting[:-LISTED])
    lines = batch.message.body.splitlines()
    assert lines[0] == "09:31 KST text 15"
    assert lines[-1] == "and 15 more before, since 09:31 KST"
    assert batch.message.title == "Filled (25)"


def test_only_messages_of_one_kind_are_merged_and_the_oldest_kind_comes_first() -> None:
    waiting = [note(0, "playbook"), note(1), note(2, "playbook"), note(3)]
    batch = next_batch(waiting, MANNER)
    assert batch is not None
    assert [each.kind for each in batch.told] == ["playbook", "playbook"]


def test_what_is_critical_comes_before_everything_that_is_older() -> None:
    batch = next_batch([note(0), note(1, "breaker", "critical")], MANNER)
    assert batch is not None
    assert batch.is_critical
    assert batch.message.title.startswith("Circuit breaker")


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30))
def test_no_critical_text_is_ever_counted_or_left_out(sizes: list[int]) -> None:
    waiting = [
        note(n, "stop_blind", "critical", text=f"{n}:" + "x" * size) for n, size in enumerate(sizes)
    ]
    seen: list[Notification] = []
    while waiting:
        batch = next_batch(waiting, MANNER)
        assert batch is not None
        assert not batch.counted
        assert len(batch.message.body) <= BODY_CHARACTERS
        for each in batch.told:
            fits = len(each.text) <= BODY_CHARACTERS
            assert each.text in batch.message.body or (not fits and len(batch.told) == 1)
        seen += batch.told
        gone = {each.notification_id for each in batch.told}
        waiting = [each for each in waiting if each.notification_id not in gone]
    assert len(seen) == len(sizes)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*(kind.value for kind in NotifyKind), "of another version"]),
            st.sampled_from(["info", "warning", "critical", "odd"]),
        ),
        max_size=60,
    ),
    st.dictionaries(st.sampled_from([*NotifyKind]), st.sampled_from([*NotifyLevel])),
    st.booleans(),
)
def test_everything_that_waits_ends_told_counted_or_switched_off(
    drawn: list[tuple[str, str]], chosen: dict[NotifyKind, NotifyLevel], one_by_one: bool
) -> None:
    waiting = [note(n, kind, level) for n, (kind, level) in enumerate(drawn)]
    how = manner(chosen=chosen, one_by_one=one_by_one)
    off = {each.notification_id for each in switched_off(waiting, how)}
    assert not any(each.level == "critical" for each in waiting if each.notification_id in off)
    left = [each for each in waiting if each.notification_id not in off]
    while left:
        batch = next_batch(left, how)
        assert batch is not None
        assert {each.kind for each in (*batch.told, *batch.counted)} == {batch.told[0].kind}
        gone = {each.notification_id for each in (*batch.told, *batch.counted)}
        assert gone <= {each.notification_id for each in left}
        left = [each for each in left if each.notification_id not in gone]
    assert next_batch([each for each in waiting if each.notification_id in off], how) is None


def test_a_kind_that_is_silent_makes_no_sound_and_one_that_is_off_is_not_sent() -> None:
    silent = next_batch([note()], manner(chosen={"order_filled": NotifyLevel.SILENT}))
    assert silent is not None
    assert silent.message.silent
    off = manner(chosen={"order_filled": NotifyLevel.OFF})
    assert next_batch([note()], off) is None
    assert switched_off([note()], off) == [note()]


def test_what_is_critical_has_a_sound_whatever_was_chosen() -> None:
    how = manner(chosen={"halt": NotifyLevel.OFF}, is_quiet=True, has_silence=False)
    batch = next_batch([note(0, "halt", "critical")], how)
    assert batch is not None
    assert not batch.message.silent
    assert switched_off([note(0, "halt", "critical")], how) == []


def test_in_quiet_hours_the_rest_comes_without_a_sound_or_waits() -> None:
    silent = next_batch([note()], manner(is_quiet=True))
    assert silent is not None
    assert silent.message.silent
    assert next_batch([note()], manner(is_quiet=True, has_silence=False)) is None


def test_what_has_a_picture_goes_alone_unless_many_wait() -> None:
    few = [note(n, "review", picture="equity KR 2026-11-20") for n in range(3)]
    batch = next_batch(few, MANNER)
    assert batch is not None
    assert (batch.told, batch.picture) == ((few[0],), "equity KR 2026-11-20")
    many = [note(n, "review", picture="equity KR 2026-11-20") for n in range(9)]
    merged = next_batch(many, MANNER)
    assert merged is not None
    assert (len(merged.told), merged.picture) == (9, "")


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("23:00-07:00", ["23:00", "00:30", "06:59"], ["07:00", "22:59", "12:00"]),
        ("12:30-13:00 UTC", ["21:30", "21:59"], ["21:29", "22:00", "12:45"]),
    ],
)
def test_quiet_hours_go_over_midnight_and_have_a_zone(
    text: str, inside: list[str], outside: list[str]
) -> None:
    hours = QuietHours.parse(text, "Asia/Seoul")

    def seoul(clock: str) -> datetime:
        return datetime.fromisoformat(f"2026-11-20T{clock}").replace(tzinfo=SEOUL)

    assert all(hours.contains(seoul(each)) for each in inside)
    assert not any(hours.contains(seoul(each)) for each in outside)


@pytest.mark.parametrize(
    "text", ["", "23:00", "23:00-", "25:00-07:00", "7-8", "23:00-23:00", "23:00-07:00 Moon/Base"]
)
def test_quiet_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 23:00-07:00"):
        QuietHours.parse(text, "Asia/Seoul")


def test_every_kind_has_a_title_and_says_what_it_is_about() -> None:
    assert set(KINDS) == set(NotifyKind)
    assert all(each.title and each.about for each in KINDS.values())
    assert len({each.title for each in KINDS.values()}) == len(KINDS)
