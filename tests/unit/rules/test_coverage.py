"""Which scenarios were alive, and what moved without one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.record_factories import AT, MINUTE, make_observation, make_screened
from tests.trading_fakes import playbook, when
from trading_core.model.journal import ObservationRow
from trading_core.model.market import Instrument, Market
from trading_core.model.playbook import Playbook
from trading_core.model.price import RankRow
from trading_core.rules.coverage import Fate, coverage_summary, missed_movers, scenario_fates


def seen(*values: dict[str, float | None], symbol: str = "A") -> list[ObservationRow]:
    return [
        make_observation(symbol=symbol, at=AT + n * MINUTE, values=row)
        for n, row in enumerate(values)
    ]


def fates(book: Playbook, rows: list[ObservationRow]) -> list[Fate]:
    return [found.fate for found in scenario_fates(book, rows)]


CALM = seen({"price": 100.0, "rsi": 50.0}, {"price": 104.0, "rsi": 40.0})


@pytest.mark.parametrize(
    ("scenario", "fate"),
    [
        ("price > 103", Fate.MATCHED),
        ("price > 104 and rsi < 45", Fate.NEAR),
        ("price >= 104 and rsi < 45", Fate.MATCHED),
        ("price > 105", Fate.NEAR),
        ("price > 150", Fate.OUT_OF_RANGE),
        ("price < 101 and rsi < 41", Fate.NEVER_TOGETHER),
        ("price < 101 and rsi < 10", Fate.OUT_OF_RANGE),
        ("volume_ratio > 1", Fate.NO_DATA),
        ("unrealized_pnl_pct < -3", Fate.NOT_HELD),
    ],
)
def test_the_fate_of_a_scenario(scenario: str, fate: Fate) -> None:
    rows = seen({"price": 100.0, "rsi": 60.0}, {"price": 104.0, "rsi": 40.0})
    if fate is Fate.NEVER_TOGETHER:
        rows = seen({"price": 100.0, "rsi": 60.0}, {"price": 140.0, "rsi": 40.0})
    assert fates(playbook({"A": [when(scenario)]}), rows) == [fate]


def test_a_scenario_whose_stock_was_never_observed_is_unseen() -> None:
    assert fates(playbook({"B": [when("price > 1")]}), CALM) == [Fate.UNSEEN]


def test_a_match_behind_an_earlier_one_at_every_moment_is_behind_another() -> None:
    plan = [when("price > 103"), when("price > 102"), when("price >= 100")]
    # The third is first in line at the first moment.
    assert fates(playbook({"A": plan}), CALM) == [Fate.MATCHED, Fate.BEHIND_ANOTHER, Fate.MATCHED]


def test_the_nearest_moment_is_told_with_the_condition_that_failed_by_the_most() -> None:
    rows = seen({"price": 90.0, "rsi": 31.0}, {"price": 99.0, "rsi": 32.0}, {"price": 99.0})
    [found] = scenario_fates(playbook({"A": [when("price >= 100 and rsi < 30")]}), rows)
    closest = found.closest
    assert closest is not None
    assert (closest.condition.field, closest.value, closest.at) == ("rsi", 32.0, AT + MINUTE)
    assert closest.distance == pytest.approx(2 / 30)
    [(condition, low, high), _] = found.impossible
    assert (condition.field, low, high) == ("price", 90.0, 99.0)


def test_a_value_on_its_bound_is_near_and_no_match() -> None:
    [found] = scenario_fates(playbook({"A": [when("price > 104")]}), CALM)
    assert found.fate is Fate.NEAR
    assert found.closest is not None and found.closest.distance == 0.0


def test_the_summary_counts_names_the_nearest_and_what_blocked() -> None:
    plan = [when("price > 150"), when("price > 106"), when("price > 101"), when("price > 900")]
    found = coverage_summary(scenario_fates(playbook({"A": plan}), CALM))
    assert found["scenarios"] == 4
    assert found["fates"] == {"matched": 1, "near": 1, "out_of_range": 2}
    assert [row["scenario_id"] for row in found["nearest"]] == ["A#1", "A#0", "A#3"]
    assert found["blocked_by"] == [{"condition": "price >", "scenarios": 3}]


def ranked(symbol: str, change: float) -> RankRow:
    return RankRow(Instrument(symbol, Market.KR), 1, Decimal(100), change, 1)


def test_large_moves_without_a_scenario_are_told_with_what_the_scan_made_of_them() -> None:
    rows = [
        ranked("A", 29.0),
        ranked("FALL", -12.0),
        ranked("OUT", 9.0),
        ranked("LATE", 7.0),
        ranked("NEW", 6.0),
        ranked("SMALL", 4.9),
        ranked("NAN", float("nan")),
    ]
    screened = {
        "OUT": make_screened(symbol="OUT", chosen=False, place=None, reason="low_volatility"),
        "LATE": make_screened(symbol="LATE", chosen=False, place=31),
        "FALL": make_screened(symbol="FALL"),
    }
    found = missed_movers(rows, playbook({"A": [when("price > 1")]}), screened)
    assert [(row["symbol"], row["change_pct"], row["why"]) for row in found] == [
        ("FALL", -12.0, "chosen, but not planned"),
        ("OUT", 9.0, "low volatility"),
        ("LATE", 7.0, "place 31 of the scan"),
        ("NEW", 6.0, "not in the scanner's universe"),
    ]
