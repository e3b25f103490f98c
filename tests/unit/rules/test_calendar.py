import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_core.errors import DataError, NotASession
from trading_core.model.market import Market, MarketGroup
from trading_core.rules import calendar
from trading_core.rules.calendar import (
    Phase,
    Session,
    get_next_market_open,
    get_open_markets,
    is_market_open,
    next_session,
    phase_at,
    previous_session,
    require_session,
    session_at,
    session_on,
    sessions_between,
)
from trading_core.rules.markets import zone_of

G = MarketGroup


def at(group: MarketGroup, day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone_of(group)))


def hours(group: MarketGroup, day: date) -> str:
    session = require_session(group, day)
    zone = ZoneInfo(zone_of(group))
    moments = (session.open_at, session.break_start_at, session.break_end_at, session.close_at)
    return " ".join(f"{moment.astimezone(zone):%H:%M}" for moment in moments if moment)


@pytest.mark.parametrize(
    ("group", "day", "expected"),
    [
        (G.KR, date(2026, 3, 4), "09:00 15:30"),
        (G.KR, date(2026, 1, 2), "10:00 15:30"),
        (G.KR, date(2016, 7, 29), "09:00 15:00"),
        *(
            (G.KR, day, "10:00 16:30")
            for day in (
                date(2021, 11, 18),
                date(2022, 11, 17),
                date(2023, 11, 16),
                date(2024, 11, 14),
                date(2025, 11, 13),
                date(2026, 11, 19),
            )
        ),
        (G.US, date(2026, 3, 4), "09:30 16:00"),
        (G.US, date(2024, 7, 3), "09:30 13:00"),
        (G.US, date(2024, 11, 29), "09:30 13:00"),
        (G.JP, date(2024, 11, 1), "09:00 11:30 12:30 15:00"),
        (G.JP, date(2024, 11, 5), "09:00 11:30 12:30 15:30"),
        (G.JP, date(2011, 11, 18), "09:00 11:00 12:30 15:00"),
        (G.HK, date(2026, 3, 4), "09:30 12:00 13:00 16:00"),
        (G.HK, date(2024, 12, 24), "09:30 12:00"),
        (G.HK, date(2020, 8, 19), "13:30 16:00"),
        (G.HK, date(2010, 6, 1), "10:00 12:30 14:30 16:00"),
        (G.HK, date(2011, 6, 1), "09:30 12:00 13:30 16:00"),
        (G.CN, date(2026, 3, 4), "09:30 11:30 13:00 15:00"),
        (G.VN, date(2026, 3, 4), "09:00 11:30 13:00 14:45"),
    ],
)
def test_the_hours_of_a_session(group: MarketGroup, day: date, expected: str) -> None:
    assert hours(group, day) == expected


@pytest.mark.parametrize(
    ("group", "day"),
    [
        (G.KR, date(2024, 10, 1)),
        (G.KR, date(2025, 6, 3)),
        (G.KR, date(2026, 6, 3)),
        (G.KR, date(2026, 7, 17)),
        (G.KR, date(2026, 12, 31)),
        (G.US, date(2025, 1, 9)),
        (G.HK, date(2023, 9, 1)),
        (G.HK, date(2023, 9, 8)),
        (G.VN, date(2025, 1, 29)),
        (G.VN, date(2026, 8, 31)),
        (G.CN, date(2026, 2, 23)),
        (G.JP, date(2026, 5, 6)),
    ],
)
def test_an_exchange_is_shut_on_its_odd_holidays(group: MarketGroup, day: date) -> None:
    assert session_on(group, day) is None


def test_constitution_day_was_a_session_before_2026() -> None:
    assert session_on(G.KR, date(2025, 7, 17)) is not None


def test_new_york_moves_against_utc_with_daylight_saving() -> None:
    opens = [
        require_session(G.US, day).open_at
        for day in (date(2026, 3, 6), date(2026, 3, 9), date(2026, 10, 30), date(2026, 11, 2))
    ]
    assert [(o.hour, o.minute) for o in opens] == [(14, 30), (13, 30), (13, 30), (14, 30)]
    assert all(o.tzinfo is UTC for o in opens)


def test_a_session_is_half_open_and_pauses_for_lunch() -> None:
    day = date(2026, 3, 4)
    session = require_session(G.JP, day)
    for hour, minute, trades in (
        (8, 59, False), (9, 0, True), (11, 29, True), (11, 30, False), (12, 29, False),
        (12, 30, True), (15, 29, True), (15, 30, False),
    ):  # fmt: skip
        assert session.contains(at(G.JP, day, hour, minute)) is trades
    assert session.minutes == 330


def test_elapsed_fraction_stands_still_at_lunch() -> None:
    day = date(2026, 3, 4)
    session = require_session(G.CN, day)
    assert session.minutes == 240
    assert session.elapsed_fraction(at(G.CN, day, 8)) == 0
    assert session.elapsed_fraction(at(G.CN, day, 10, 30)) == 0.25
    assert session.elapsed_fraction(at(G.CN, day, 11, 30)) == 0.5
    assert session.elapsed_fraction(at(G.CN, day, 12, 45)) == 0.5
    assert session.elapsed_fraction(at(G.CN, day, 14)) == 0.75
    assert session.elapsed_fraction(at(G.CN, day, 15)) == 1
    assert session.elapsed_fraction(at(G.CN, day, 20)) == 1


def test_minutes_to_close_are_minutes_on_the_clock() -> None:
    day = date(2026, 3, 4)
    session = require_session(G.CN, day)
    assert session.minutes_to_close(at(G.CN, day, 11)) == 240
    assert session.minutes_to_close(at(G.CN, day, 14, 59)) == 1
    assert session.minutes_to_close(at(G.CN, day, 15, 1)) == 0


@pytest.mark.parametrize(
    ("group", "day", "clock", "phase"),
    [
        (G.KR, date(2026, 3, 4), (8, 29), Phase.PRE_OPEN),
        (G.KR, date(2026, 3, 4), (8, 30), Phase.OPENING_AUCTION),
        (G.KR, date(2026, 3, 4), (9, 0), Phase.CONTINUOUS),
        (G.KR, date(2026, 3, 4), (15, 19), Phase.CONTINUOUS),
        (G.KR, date(2026, 3, 4), (15, 20), Phase.CLOSING_AUCTION),
        (G.KR, date(2026, 3, 4), (15, 30), Phase.AFTER_CLOSE),
        (G.KR, date(2026, 11, 19), (9, 15), Phase.PRE_OPEN),
        (G.KR, date(2026, 11, 19), (15, 30), Phase.CONTINUOUS),
        (G.KR, date(2026, 11, 19), (16, 20), Phase.CLOSING_AUCTION),
        (G.KR, date(2026, 3, 7), (10, 0), Phase.CLOSED),
        (G.JP, date(2026, 3, 4), (12, 0), Phase.LUNCH),
        (G.JP, date(2026, 3, 4), (15, 25), Phase.CLOSING_AUCTION),
        (G.JP, date(2024, 11, 1), (14, 59), Phase.CONTINUOUS),
        (G.US, date(2026, 3, 4), (9, 29), Phase.PRE_OPEN),
        (G.VN, date(2026, 3, 4), (14, 30), Phase.CLOSING_AUCTION),
    ],
)
def test_the_phase_of_the_local_day(
    group: MarketGroup, day: date, clock: tuple[int, int], phase: Phase
) -> None:
    assert phase_at(group, at(group, day, *clock)) is phase


def test_a_closed_date_is_refused_with_reason_and_next_session() -> None:
    with pytest.raises(NotASession, match=r"a Saturday.*2026-03-09"):
        require_session(G.KR, date(2026, 3, 7))
    with pytest.raises(NotASession, match=r"local elections.*2026-06-04"):
        require_session(G.KR, date(2026, 6, 3))
    with pytest.raises(NotASession, match=r"an exchange holiday.*2026-12-28"):
        require_session(G.US, date(2026, 12, 25))
    with pytest.raises(NotASession, match=r"no later session is known"):
        require_session(G.KR, date(2027, 12, 31))


def test_neighbouring_sessions_skip_weekends_and_holidays() -> None:
    assert next_session(G.KR, date(2026, 2, 13)).date == date(2026, 2, 19)
    assert previous_session(G.KR, date(2026, 2, 19)).date == date(2026, 2, 13)
    days = [
        session.date.day for session in sessions_between(G.VN, date(2026, 2, 13), date(2026, 2, 24))
    ]
    assert days == [13, 23, 24]


@pytest.mark.parametrize(
    ("group", "day"),
    [
        (G.KR, date(2006, 12, 29)),
        (G.KR, date(2028, 1, 3)),
        (G.CN, date(2028, 1, 3)),
        (G.VN, date(2022, 12, 30)),
        (G.VN, date(2027, 1, 4)),
    ],
)
def test_a_date_beyond_the_known_years_is_an_error_not_a_holiday(
    group: MarketGroup, day: date
) -> None:
    with pytest.raises(DataError, match=rf"known from .* not for {day}"):
        session_on(group, day)


def test_there_is_nothing_known_before_the_first_or_after_the_last_session() -> None:
    with pytest.raises(DataError):
        next_session(G.VN, date(2026, 12, 31))
    with pytest.raises(DataError):
        previous_session(G.VN, date(2023, 1, 3))


@pytest.mark.parametrize("group", MarketGroup)
def test_every_calendar_reaches_the_end_of_2026(group: MarketGroup) -> None:
    assert sessions_between(group, date(2026, 12, 28), date(2026, 12, 31))


def test_open_markets_keep_their_order_and_kind() -> None:
    moment = at(G.KR, date(2026, 3, 4), 10)
    assert get_open_markets([Market.US_NYSE, Market.JP, Market.KR], moment) == [
        Market.JP,
        Market.KR,
    ]
    assert get_open_markets(list(MarketGroup), moment) == [G.KR, G.JP]


def test_the_next_open_is_that_of_the_first_market_to_open() -> None:
    moment = at(G.KR, date(2026, 3, 4), 16)
    market, opens = get_next_market_open([Market.KR, Market.US_NASDAQ, Market.US_NYSE], moment)
    assert market is Market.US_NASDAQ
    assert opens == datetime(2026, 3, 4, 14, 30, tzinfo=UTC)


def test_the_moment_of_an_open_looks_for_the_following_one() -> None:
    opens = require_session(G.KR, date(2026, 3, 4)).open_at
    assert get_next_market_open([G.KR], opens)[1] == require_session(G.KR, date(2026, 3, 5)).open_at


def test_a_market_whose_calendar_ends_does_not_hide_the_others() -> None:
    moment = at(G.VN, date(2026, 12, 31), 20)
    assert get_next_market_open([G.VN, G.KR], moment)[0] is G.KR
    with pytest.raises(DataError):
        get_next_market_open([G.VN], moment)
    with pytest.raises(DataError, match="no market"):
        get_next_market_open(list[Market](), moment)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        is_market_open(Market.KR, datetime(2026, 3, 4, 10))  # noqa: DTZ001


def test_importing_the_calendar_loads_neither_pandas_nor_the_library() -> None:
    code = (
        "import sys; import trading_core.rules.calendar, trading_core.rules.costs;"
        "sys.exit('pandas' in sys.modules or 'exchange_calendars' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_installed_table_is_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar, "_tables", {})
    opens = datetime(2026, 3, 7, 1, tzinfo=UTC)
    only = Session(G.KR, date(2026, 3, 7), opens, opens + timedelta(hours=1))
    calendar.install_sessions(
        calendar.SessionTable(G.KR, date(2026, 3, 1), date(2026, 3, 31), (only,))
    )
    assert session_on(G.KR, date(2026, 3, 7)) is only


moments = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1450)).map(
    lambda since: datetime(2023, 1, 3, tzinfo=UTC) + since
)


@given(st.sampled_from(MarketGroup), moments)
@settings(deadline=None)
def test_open_means_inside_the_session_of_the_local_date(
    group: MarketGroup, moment: datetime
) -> None:
    session = session_on(group, moment.astimezone(ZoneInfo(zone_of(group))).date())
    inside = session is not None and session.contains(moment)
    assert is_market_open(group, moment) is inside
    assert (session_at(group, moment) is not None) is (
        session is not None and session.open_at <= moment < session.close_at
    )
    phase = phase_at(group, moment)
    assert (phase in (Phase.CONTINUOUS, Phase.CLOSING_AUCTION)) is inside


@given(st.lists(st.sampled_from(Market), min_size=1, unique=True), moments)
@settings(deadline=None)
def test_the_next_open_is_later_and_open_then_and_nothing_opens_before(
    markets: list[Market], moment: datetime
) -> None:
    market, opens = get_next_market_open(markets, moment)
    assert opens > moment
    assert is_market_open(market, opens)
    assert not is_market_open(market, opens - timedelta(seconds=1))
    for other in markets:
        group = other.group
        day = moment.astimezone(ZoneInfo(zone_of(group))).date()
        until = opens.astimezone(ZoneInfo(zone_of(group))).date()
        for session in sessions_between(group, day, until):
            assert not moment < session.open_at < opens
