"""When the broker takes no orders."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_core.errors import ConfigError
from trading_core.model.limits import DAILY_BATCH, BlackoutWindow
from trading_core.rules.blackout import blackout_until, blackout_words

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def seoul(text: str) -> datetime:
    """``2026-01-05 23:40`` on Seoul's clock, which is nine hours ahead all year."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) - timedelta(hours=9)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-01-05 23:39:59", None),
        ("2026-01-05 23:40:00", "2026-01-06 00:10"),
        ("2026-01-06 00:00:00", "2026-01-06 00:10"),
        ("2026-01-06 00:09:59.999999", "2026-01-06 00:10"),
        ("2026-01-06 00:10:00", None),
        ("2026-07-06 00:05:00", "2026-07-06 00:10"),
    ],
)
def test_the_daily_batch_goes_over_midnight_and_its_end_is_outside(
    at: str, until: str | None
) -> None:
    assert blackout_until([DAILY_BATCH], seoul(at)) == (until and seoul(until))


def test_windows_that_touch_or_overlap_are_one() -> None:
    windows = BlackoutWindow.parse("00:05-00:30,23:40-00:10,00:30-00:45")
    assert blackout_until(windows, seoul("2026-01-05 23:50")) == seoul("2026-01-06 00:45")


def test_windows_that_cover_the_whole_day_end_somewhere() -> None:
    windows = BlackoutWindow.parse("00:00-12:00,12:00-00:00")
    until = blackout_until(windows, seoul("2026-01-05 09:00"))
    assert until is not None
    assert until > seoul("2026-01-05 09:00")


def test_the_words_name_the_end_on_the_clock_of_the_window() -> None:
    assert blackout_words([DAILY_BATCH], seoul("2026-01-05 23:45")) == "blackout until 00:10 KST"
    assert blackout_words([DAILY_BATCH], seoul("2026-01-05 12:00")) == ""
    assert blackout_words([], seoul("2026-01-05 23:45")) == ""


minutes = st.integers(0, 24 * 60 - 1).map(lambda n: time(n // 60, n % 60))
windows_of_a_day = st.lists(
    st.tuples(minutes, minutes).filter(lambda ends: ends[0] != ends[1]), max_size=4
).map(lambda pairs: [BlackoutWindow(*ends) for ends in pairs])


def is_in(window: BlackoutWindow, clock: time) -> bool:
    """The plain words of what a window is, on the clock alone."""
    if window.start < window.end:
        return window.start <= clock < window.end
    return clock >= window.start or clock < window.end


@given(windows_of_a_day, st.integers(0, 3 * 24 * 60))
def test_it_holds_exactly_inside_a_window_and_ends_at_the_first_minute_outside_all(
    windows: list[BlackoutWindow], offset: int
) -> None:
    at = seoul("2026-01-05 00:00") + offset * MINUTE

    def closed(moment: datetime) -> bool:
        clock = (moment + timedelta(hours=9)).time()
        return any(is_in(window, clock) for window in windows)

    until = blackout_until(windows, at)
    assert (until is not None) == closed(at)
    if until is None or all(closed(at + n * MINUTE) for n in range(DAY // MINUTE)):
        return
    assert not closed(until)
    assert all(closed(at + n * MINUTE) for n in range((until - at) // MINUTE))


@pytest.mark.parametrize("text", ["23:40-23:40", "24:00-00:10", "23:40", "9:00-10:00", "a-b", ","])
def test_what_is_no_window_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="not a window of Seoul's clock"):
        BlackoutWindow.parse(text)


def test_two_equal_ends_are_no_window() -> None:
    with pytest.raises(ConfigError):
        BlackoutWindow(time(9), time(9))


@pytest.mark.parametrize("text", ["none", " NONE ", ""])
def test_no_window_at_all_can_be_said(text: str) -> None:
    assert BlackoutWindow.parse(text) == ()
