"""Memory as short text: within its budget, whole numbers only, what counts most first."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trading_core.model.journal import ContextEntry, ContextLayer
from trading_core.rules.prompt_budget import estimate_tokens
from trading_core.rules.summarise import MAX_WORDS, clauses, summarise

AT = datetime(2026, 11, 20, tzinfo=UTC)
DAY = {
    "pnl": {"gross": "150.25", "fees": "12", "taxes": "8", "net": "130.25"},
    "return_pct": 1.3025,
    "cash_flow": "0",
    "trades": 3,
    "wins": 2,
    "win_rate_pct": 66.6667,
    "sharpe": None,
    "facts": "1 fills:4:9",
}


def entry(
    layer: str = "L3", timeframe: str = "2026-11-20", key: str = "day_KR_KRW", value: Any = None
) -> ContextEntry:
    return ContextEntry(ContextLayer(layer), timeframe, key, DAY if value is None else value, AT)


def test_a_line_says_the_result_first_and_leaves_out_what_is_not_known() -> None:
    text = summarise([entry()], budget=500).text
    assert text == (
        "L3 2026-11-20 day_KR_KRW: pnl net 130.25; return_pct 1.302; trades 3; win_rate_pct 66.67;"
        " wins 2; pnl gross 150.25; pnl fees 12; pnl taxes 8; cash_flow 0"
    )


def test_the_long_view_comes_first_and_in_a_layer_the_newest() -> None:
    entries = [
        entry("L3", "2026-11-19"),
        entry("L3", "2026-11-20"),
        entry("L4", "2026-W46", "week_KR_KRW"),
        entry("L4", "2026-W47", "week_KR_KRW"),
        entry("L7", "all", "scenarios_KR_KRW"),
        entry("L7", "all", "total_KR_KRW"),
    ]
    heads = [line.split(":")[0] for line in summarise(entries, budget=5_000).text.splitlines()]
    assert heads == [
        "L7 all total_KR_KRW",
        "L7 all scenarios_KR_KRW",
        "L4 2026-W47 week_KR_KRW",
        "L4 2026-W46 week_KR_KRW",
        "L3 2026-11-20 day_KR_KRW",
        "L3 2026-11-19 day_KR_KRW",
    ]


def test_every_entry_is_short_before_any_is_long() -> None:
    entries = [entry("L3", f"2026-11-{day}") for day in range(10, 20)]
    full = summarise(entries, budget=5_000)
    assert (full.shown, full.left_out) == (10, 0)
    tight = summarise(entries, budget=full.tokens * 7 // 10)
    assert tight.shown == 10
    counts = [line.count(";") for line in tight.text.splitlines()]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] >= 3


def test_the_oldest_are_left_out_and_counted() -> None:
    entries = [entry("L3", f"2026-11-{day}") for day in range(10, 20)]
    found = summarise(entries, budget=150)
    assert 0 < found.shown < 10
    assert found.left_out == 10 - found.shown
    assert found.text.startswith("L3 2026-11-19")


def test_nothing_fits_into_nothing() -> None:
    assert summarise([entry()], budget=0).text == ""
    assert summarise([], budget=100).text == ""
    assert summarise([entry(value={})], budget=100).text == "L3 2026-11-20 day_KR_KRW: no data"


def test_lessons_are_one_bounded_line_without_control_characters() -> None:
    words = "sold\ntoo \x1b[31mearly\u2028 " * 30
    value = {"lessons": [words, "short"]}
    text = summarise([entry("L6", key="scorecard_KR", value=value)], budget=900).text
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert text.endswith(" | short")
    assert len(text) < MAX_WORDS + 60


def test_a_long_number_without_a_space_is_left_out_rather_than_cut() -> None:
    assert dict(clauses({"a": "9" * 400, "b": 1})) == {"b": "1"}


def test_an_amount_with_a_long_fraction_is_rounded_to_cents() -> None:
    value = {"net": "-1614.8463637555", "gross": "12.3456", "day": "2026-11-20"}
    assert dict(clauses(value)) == {"net": "-1614.85", "gross": "12.3456", "day": "2026-11-20"}


def test_hit_rates_are_read_from_their_bins() -> None:
    bins = [{"confidence": "80-89", "trades": 2}, {"confidence": "90-100", "trades": 1}]
    assert list(clauses({"hit_rates": bins})) == [
        ("hit_rates", "confidence 80-89; trades 2 | confidence 90-100; trades 1")
    ]


VALUES = st.recursive(
    st.none() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
ENTRIES = st.lists(
    st.builds(
        entry,
        st.sampled_from(ContextLayer).map(str),
        st.sampled_from(["2026-11-19", "2026-11-20", "2026-W47", "all"]),
        st.sampled_from(["day_KR_KRW", "total_US_USD", "scorecard_KR"]),
        VALUES.filter(lambda value: value is not None),
    ),
    max_size=8,
    unique_by=lambda e: (e.layer, e.timeframe, e.key),
)


@given(ENTRIES, st.integers(0, 400))
def test_the_budget_is_kept_in_whatever_order_the_entries_come(
    entries: list[ContextEntry], budget: int
) -> None:
    found = summarise(entries, budget=budget)
    assert estimate_tokens(found.text) == found.tokens <= budget
    assert found.shown + found.left_out == len(entries)
    assert len(found.text.splitlines()) == found.shown
    mixed = random.Random(1).sample(entries, len(entries))
    assert summarise(mixed, budget=budget) == found


@given(st.lists(st.integers(10**3, 10**14), min_size=1, max_size=30), st.integers(10, 300))
def test_no_number_is_cut_in_two(numbers: list[int], budget: int) -> None:
    value = {f"n{index}": number for index, number in enumerate(numbers)}
    text = summarise([entry(value=value)], budget=budget).text
    assert set(map(int, re.findall(r"n\d+ (\d+)", text))) <= set(numbers)
