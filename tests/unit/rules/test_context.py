"""Memory: what a session leaves behind and how it is rolled up."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.record_factories import AT, make_equity, make_scorecard
from trading_core.model.journal import ContextEntry, ContextLayer, Scorecard
from trading_core.rules.context import iso_week, month, roll_up, session_entries

LATER = AT + timedelta(days=1)


def make_card(day: date, net: str = "0", wins: int = 0, losses: int = 0) -> Scorecard:
    return make_scorecard(session=day, net_pnl={"KRW": D(net)}, wins=wins, losses=losses)


def of_layer(entries: list[ContextEntry], layer: ContextLayer) -> ContextEntry:
    (found,) = (entry for entry in entries if entry.layer is layer)
    return found


def net_of(entry: ContextEntry) -> D:
    return D(entry.value["net_pnl"]["KRW"])


@pytest.mark.parametrize(
    ("day", "week"),
    [
        (date(2024, 12, 29), "2024-W52"),
        (date(2024, 12, 30), "2025-W01"),
        (date(2024, 12, 31), "2025-W01"),
        (date(2025, 1, 5), "2025-W01"),
        (date(2025, 1, 6), "2025-W02"),
        (date(2026, 12, 31), "2026-W53"),
        (date(2027, 1, 1), "2026-W53"),
        (date(2027, 1, 3), "2026-W53"),
        (date(2027, 1, 4), "2027-W01"),
        (date(2026, 11, 20), "2026-W47"),
    ],
)
def test_the_iso_year_goes_with_the_iso_week(day: date, week: str) -> None:
    assert iso_week(day) == week


@given(st.dates(date(2000, 1, 1), date(2100, 12, 31)))
def test_a_week_is_monday_to_sunday_and_weeks_sort_as_text(day: date) -> None:
    monday = day - timedelta(days=day.weekday())
    days = [monday + timedelta(days=offset) for offset in range(7)]
    assert {iso_week(other) for other in days} == {iso_week(day)}
    assert iso_week(monday - timedelta(days=1)) < iso_week(day)
    assert iso_week(monday + timedelta(days=7)) > iso_week(day)


def test_a_month_is_written_with_two_digits() -> None:
    assert month(date(2026, 1, 31)) == "2026-01"
    assert month(date(2026, 12, 1)) == "2026-12"


def test_a_session_leaves_its_shape_its_result_and_its_scorecard() -> None:
    curve = [
        make_equity(at=AT + timedelta(minutes=number), equity=D(equity))
        for number, equity in enumerate([10_000_000, 9_900_000, 10_200_000, 10_100_000])
    ]
    card = make_scorecard(wins=2, losses=1)
    entries = session_entries(card, curve, LATER)
    assert [entry.timeframe for entry in entries] == ["2026-11-20"] * 3
    assert all(entry.at == LATER for entry in entries)
    shape = of_layer(entries, ContextLayer.L2)
    assert shape.key == "session_KR"
    assert shape.value == {
        "open_equity": "10000000",
        "low_equity": "9900000",
        "high_equity": "10200000",
        "close_equity": "10100000",
        "ticks": 4,
    }
    result = of_layer(entries, ContextLayer.L3)
    assert result.key == "day_KR"
    assert result.value["trades"] == 3
    assert result.value["net_pnl"] == {"KRW": "13709.5"}
    review = of_layer(entries, ContextLayer.L6)
    assert review.key == "scorecard_KR"
    assert review.value["lessons"] == card.lessons


def test_a_session_without_a_single_tick_leaves_an_empty_shape_not_zeros() -> None:
    shape = of_layer(session_entries(make_scorecard(), [], AT), ContextLayer.L2)
    assert shape.value["open_equity"] is None
    assert shape.value["ticks"] == 0


def test_a_week_holds_the_days_of_that_week_alone_even_across_new_year() -> None:
    cards = [
        make_card(date(2024, 12, 27), "1"),
        make_card(date(2024, 12, 30), "10", wins=1),
        make_card(date(2024, 12, 31), "100", losses=1),
        make_card(date(2025, 1, 2), "1000", wins=2),
        make_card(date(2025, 1, 6), "10000"),
        make_card(date(2025, 12, 30), "100000"),
    ]
    week = of_layer(roll_up(cards, session=date(2025, 1, 2), at=AT), ContextLayer.L4)
    assert (week.timeframe, week.key) == ("2025-W01", "summary_KR")
    assert week.value == {
        "sessions": 3,
        "net_pnl": {"KRW": "1110"},
        "wins": 3,
        "losses": 1,
        "win_rate_pct": 75.0,
    }


def test_a_month_holds_its_own_days_alone() -> None:
    cards = [
        make_card(date(2024, 12, 31), "1"),
        make_card(date(2025, 1, 1), "10"),
        make_card(date(2025, 1, 31), "100"),
        make_card(date(2025, 2, 3), "1000"),
        make_card(date(2026, 1, 5), "10000"),
    ]
    of_month = of_layer(roll_up(cards, session=date(2025, 1, 31), at=AT), ContextLayer.L5)
    assert of_month.timeframe == "2025-01"
    assert net_of(of_month) == 110


def test_without_a_closed_trade_a_period_has_no_win_rate() -> None:
    entries = roll_up([make_card(date(2026, 11, 20))], session=date(2026, 11, 20), at=AT)
    assert [entry.value["win_rate_pct"] for entry in entries] == [None, None]


def test_currencies_are_summed_apart() -> None:
    day = date(2026, 11, 20)
    won = make_scorecard(session=day, net_pnl={"KRW": D(5)})
    both = make_scorecard(session=day, net_pnl={"KRW": D(7), "USD": D("0.10")})
    week = of_layer(roll_up([won, both], session=day, at=AT), ContextLayer.L4)
    assert week.value["net_pnl"] == {"KRW": "12", "USD": "0.10"}


def test_a_period_without_scorecards_leaves_nothing() -> None:
    assert roll_up([], session=date(2026, 11, 20), at=AT) == []
    elsewhere = [make_card(date(2026, 9, 1))]
    assert roll_up(elsewhere, session=date(2026, 11, 20), at=AT) == []


def test_running_a_roll_up_again_gives_the_same_and_repairs_a_missed_day() -> None:
    monday, friday = make_card(date(2026, 11, 16), "5"), make_card(date(2026, 11, 20), "7")
    session = date(2026, 11, 20)
    assert roll_up([monday, friday], session=session, at=AT) == roll_up(
        iter([monday, friday]), session=session, at=AT
    )
    missed = make_card(date(2026, 11, 18), "100")
    again = roll_up([friday, missed, monday], session=session, at=LATER)
    assert [net_of(entry) for entry in again] == [112, 112]


@given(
    st.dictionaries(
        st.dates(date(2026, 1, 1), date(2026, 12, 31)),
        st.decimals(-(10**6), 10**6, places=2),
        min_size=1,
        max_size=40,
    )
)
def test_the_months_of_a_year_add_up_to_the_year_and_the_weeks_to_their_days(
    days: dict[date, D],
) -> None:
    cards = [make_card(day, str(net)) for day, net in days.items()]
    months: dict[str, D] = {}
    weeks: dict[str, D] = {}
    by_week: dict[str, D] = defaultdict(D)
    for day, net in days.items():
        entries = roll_up(cards, session=day, at=AT)
        months[month(day)] = net_of(of_layer(entries, ContextLayer.L5))
        weeks[iso_week(day)] = net_of(of_layer(entries, ContextLayer.L4))
        by_week[iso_week(day)] += net
    assert sum(months.values()) == sum(days.values())
    assert weeks == by_week
