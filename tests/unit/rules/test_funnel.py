"""Conditions with their distance, and the words for the smallest change."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.record_factories import make_screened
from tests.trading_fakes import playbook, when
from trading_core.model.order import RefusalCode
from trading_core.model.playbook import Condition
from trading_core.rules.funnel import (
    ConditionLook,
    look_at,
    missing_change,
    nearest,
    refusal_change,
    scenario_looks,
    standing_in_scan,
)


def look(text: str, **values: float | None) -> ConditionLook:
    field, op, value = text.split()
    return look_at(Condition(field=field, op=op, value=float(value)), values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value", "met"),
    [
        ("rsi < 30", 30.0, False),
        ("rsi <= 30", 30.0, True),
        ("rsi > 30", 30.0, False),
        ("rsi >= 30", 30.0, True),
        ("rsi < 30", math.nan, False),
        ("rsi < 30", None, False),
    ],
)
def test_a_condition_holds_exactly_as_its_operator_says(
    text: str, value: float | None, met: bool
) -> None:
    assert look(text, rsi=value).met is met


def test_a_failing_condition_says_what_was_seen_what_was_needed_and_by_how_much() -> None:
    found = look("rsi < 30", rsi=31.2)
    assert found.distance == pytest.approx(0.04)
    assert found.needed == "rsi 31.2, needed below 30 (-3.8 %)"
    assert look("rsi < 30", rsi=None).needed == "rsi had no data, needed below 30"
    assert look("breakout_pct > 0", breakout_pct=0.0).needed == "breakout_pct 0, needed above 0"


def looks(*scenarios: str, actions: str = "BUY", **values: float) -> list[object]:
    plan = [when(text, actions) for text in scenarios]
    return list(scenario_looks(playbook({"A": plan}), "A", values))


def test_the_nearest_is_the_one_whose_worst_condition_is_closest() -> None:
    found = looks("price > 110 and rsi < 30", "price > 101 and rsi < 20", price=100.0, rsi=31.0)
    near = nearest(found, held=False)  # type: ignore[arg-type]
    assert near is not None
    assert near.scenario_id == "A#0"
    assert near.distance == pytest.approx(10 / 110)


def test_a_scenario_without_data_is_further_away_than_any_with() -> None:
    found = looks("momentum > 1", "price > 900", price=100.0)
    near = nearest(found, held=False)  # type: ignore[arg-type]
    assert near is not None and near.scenario_id == "A#1"


def test_what_is_held_is_measured_against_exits_and_what_is_not_against_entries() -> None:
    book = playbook({"A": [when("price > 200"), when("price < 50", "SELL")]})
    found = scenario_looks(book, "A", {"price": 100.0})
    entry, leave = nearest(found, held=False), nearest(found, held=True)
    assert entry is not None and leave is not None
    assert (entry.action, leave.action) == ("BUY", "SELL")
    assert nearest(found[:1], held=True) is None


def test_a_low_confidence_is_said_on_top_of_the_missing_condition() -> None:
    [found] = scenario_looks(
        playbook({"A": [when("price > 200", confidence=70)]}), "A", {"price": 100.0}
    )
    words = missing_change(found, confidence_threshold=80)
    assert "price 100, needed above 200 (+100.0 %)" in words
    assert "confidence 70 is below the threshold 80" in words
    assert "confidence" not in missing_change(found, confidence_threshold=70)


@given(
    st.floats(-1e6, 1e6, allow_nan=False),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.sampled_from(["<", "<=", ">", ">="]),
)
def test_a_condition_has_a_distance_if_and_only_if_it_fails(
    value: float, bound: float, op: str
) -> None:
    found = look(f"price {op} {bound!r}", price=value)
    assert found.met is (found.distance is None)


@pytest.mark.parametrize("code", RefusalCode)
def test_every_refusal_has_words(code: RefusalCode) -> None:
    words = refusal_change(code.value, "35.20 % of available cash")
    assert "35.20 %" in words and code.value.replace("_", " ") in words


def test_a_code_of_a_broker_has_words_too() -> None:
    assert refusal_change("APBK0919", "no") == "the risk gate refused it as APBK0919: no"


def test_the_scan_says_what_a_symbol_lacked() -> None:
    out = make_screened(
        chosen=False,
        place=None,
        score=None,
        reason="low_volatility",
        selection={"value": 0.614, "bound": 0.8},
    )
    assert standing_in_scan(out, scanned=9, last_score=30.0) == (
        "excluded as low volatility: 0.614, needed at least 0.8"
    )
    late = make_screened(chosen=False, place=31, score=29.94)
    assert standing_in_scan(late, scanned=99, last_score=30.0) == (
        "qualified at place 31 with score 29.9 and was not taken, the last one taken had 30.0"
    )
    assert "chosen at place 1" in standing_in_scan(make_screened(), scanned=9, last_score=30.0)
    assert "not among the 9" in standing_in_scan(None, scanned=9, last_score=None)
    assert "no scan" in standing_in_scan(None, scanned=0, last_score=None)
