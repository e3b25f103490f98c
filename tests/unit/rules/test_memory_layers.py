"""The layers of memory: their names, timeframes and how long they are kept."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_core.adapters.duck import DuckStore
from trading_core.model.journal import ContextLayer
from trading_core.rules.memory_layers import (
    LAYERS,
    first_kept,
    iso_week,
    market_of,
    month,
    timeframe_of,
)

DAYS = st.dates(date(2000, 1, 1), date(2100, 12, 31))


def test_there_are_seven_and_the_store_describes_the_same() -> None:
    assert [layer.layer for layer in LAYERS] == list(ContextLayer)
    with DuckStore(":memory:").read() as db:
        assert tuple(db.context_layers()) == LAYERS


def test_the_page_about_memory_shows_the_same() -> None:
    page = (Path(__file__).parents[3] / "docs" / "memory.md").read_text()
    for layer in LAYERS:
        cells = (
            f"{layer.layer} {layer.name}",
            f"`{layer.timeframe_format}`",
            layer.keys,
            str(layer.retention_days or "for good"),
            layer.aggregates_from,
            layer.description,
        )
        assert f"| {' | '.join(cells)} |" in page


@pytest.mark.parametrize(
    ("day", "week"),
    [
        (date(2024, 12, 29), "2024-W52"),
        (date(2024, 12, 30), "2025-W01"),
        (date(2024, 12, 31), "2025-W01"),
        (date(2025, 1, 5), "2025-W01"),
        (date(2025, 1, 6), "2025-W02"),
        (date(2026, 12, 31), "2026-W53"),
        (date(2027, 1, 3), "2026-W53"),
        (date(2027, 1, 4), "2027-W01"),
        (date(2026, 11, 20), "2026-W47"),
    ],
)
def test_the_iso_year_goes_with_the_iso_week(day: date, week: str) -> None:
    assert iso_week(day) == week


@given(DAYS)
def test_a_week_is_monday_to_sunday(day: date) -> None:
    monday = day - timedelta(days=day.weekday())
    days = [monday + timedelta(days=offset) for offset in range(7)]
    assert {iso_week(other) for other in days} == {iso_week(day)}


@given(st.sampled_from(ContextLayer), DAYS, DAYS)
def test_timeframes_of_a_layer_sort_as_text(layer: ContextLayer, one: date, other: date) -> None:
    earlier, later = sorted((one, other))
    assert timeframe_of(layer, earlier) <= timeframe_of(layer, later)


def test_a_month_is_written_with_two_digits() -> None:
    assert month(date(2026, 1, 31)) == "2026-01"


def test_a_timeframe_is_kept_until_the_last_of_its_days_is_too_old() -> None:
    assert first_kept(ContextLayer.L2, date(2026, 11, 20)) == "2026-08-22"
    assert first_kept(ContextLayer.L4, date(2026, 11, 20)) == "2024-W47"
    assert first_kept(ContextLayer.L5, date(2026, 11, 20)) == "2023-11"
    assert first_kept(ContextLayer.L7, date(2026, 11, 20)) == ""


@pytest.mark.parametrize(
    ("key", "market"),
    [
        ("day_KR_KRW", "KR"),
        ("scorecard_US", "US"),
        ("tick_KR_KR1_X", "KR"),
        ("rolling20_CN_CNY", "CN"),
        ("note", ""),
    ],
)
def test_a_key_names_its_market(key: str, market: str) -> None:
    assert market_of(key) == market
