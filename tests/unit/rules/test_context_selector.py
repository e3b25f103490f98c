"""Which memories a plan is shown, by the condition of the market."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.planning_fakes import scorecard
from trading_core.model.journal import ContextEntry, ContextLayer
from trading_core.model.sources import EconomicEvent, Gathered, Importance, MarketReading
from trading_core.rules.context_selector import (
    RELEVANCE,
    Chosen,
    MarketCondition,
    choose,
    condition_before,
)
from trading_core.rules.prompt_budget import estimate_tokens
from trading_core.rules.prompt_sections import SessionFacts

SESSION = date(2026, 3, 12)  # a Thursday
AT = datetime(2026, 3, 11, 23, 30, tzinfo=UTC)
FACTS = SessionFacts(
    SESSION, "Asia/Seoul", AT + timedelta(minutes=30), AT + timedelta(hours=7), False
)
QUIET = Gathered()


def condition(facts: SessionFacts = FACTS, told: Gathered = QUIET, **given: Any) -> Any:
    base: dict[str, Any] = {"previous": date(2026, 3, 11), "scorecards": (), "market": "KR"}
    return condition_before(facts, told, **(base | given))


def event(importance: Importance, at: datetime = AT + timedelta(hours=2)) -> Gathered:
    return Gathered(events=(EconomicEvent(at, "KR", "Rate decision", "x", AT, importance),))


def reading(name: str, value: float, change: float | None) -> Gathered:
    return Gathered(readings=(MarketReading(name, value, change, AT, "x", AT),))


def test_an_ordinary_day_is_normal() -> None:
    assert condition().kind is MarketCondition.NORMAL
    assert condition(told=event(Importance.MEDIUM)).kind is MarketCondition.NORMAL
    assert condition(told=reading("KOSPI", 2600, -1.9)).kind is MarketCondition.NORMAL
    assert condition(told=reading("VIX", 20, None)).kind is MarketCondition.NORMAL


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (event(Importance.HIGH), "1 important economic event today"),
        (reading("KOSPI", 2600, -2.0), "KOSPI moved -2.0 %"),
        (reading("VIX", 31, 0.0), "VIX at 31"),
        (reading("VIX", 22, 16.0), "VIX moved +16 %"),
    ],
)
def test_events_and_moves_make_a_major_event(told: Gathered, why: str) -> None:
    found = condition(told=told, previous=date(2026, 2, 27))
    assert (found.kind, found.reasons) == (MarketCondition.MAJOR_EVENT, (why,))


def test_an_event_of_tomorrow_is_not_one_of_today() -> None:
    tomorrow = event(Importance.HIGH, AT + timedelta(hours=20))
    assert condition(told=tomorrow).kind is MarketCondition.NORMAL


def test_an_early_close_and_a_holiday_tomorrow_are_major_events() -> None:
    assert condition(replace(FACTS, early_close=True)).reasons == ("an early close",)
    friday = replace(FACTS, next_holiday=date(2026, 3, 13))
    assert condition(friday).reasons == ("a holiday tomorrow",)
    assert condition(replace(FACTS, next_holiday=date(2026, 3, 16))).reasons == ()


@pytest.mark.parametrize(
    ("previous", "count"), [(date(2026, 3, 6), 1), (date(2026, 2, 27), 2), (date(2026, 3, 11), 0)]
)
def test_a_new_month_or_week_is_strategic(previous: date, count: int) -> None:
    found = condition(previous=previous)
    assert len(found.reasons) == count
    assert (found.kind is MarketCondition.STRATEGIC) is bool(count)


def test_a_losing_week_of_this_market_is_strategic() -> None:
    lost = replace(scorecard(date(2026, 3, 10)), net_pnl={"KRW": Decimal(-1)})
    assert condition(scorecards=[lost]).reasons == ("a losing week",)
    won = replace(lost, session=date(2026, 3, 9), net_pnl={"KRW": Decimal(5)})
    assert condition(scorecards=[lost, won]).reasons == ()
    assert condition(scorecards=[lost], market="US").reasons == ()
    assert condition(scorecards=[replace(lost, session=date(2026, 3, 1))]).reasons == ()


def entry(
    layer: ContextLayer, timeframe: str, key: str, value: Any = 1.5, at: datetime = AT
) -> ContextEntry:
    return ContextEntry(layer, timeframe, key, value, at)


DAY = entry(ContextLayer.L3, "2026-03-11", "day_KR_KRW")
MONTH = entry(ContextLayer.L5, "2026-02", "month_KR_KRW")
TOTAL = entry(ContextLayer.L7, "all", "total_KR_KRW")


def chosen(entries: list[ContextEntry], kind: MarketCondition, **given: Any) -> tuple[Chosen, ...]:
    base: dict[str, Any] = {"market": "KR", "session": SESSION, "at": AT}
    return choose(entries, kind, **(base | given))


def test_every_layer_has_a_relevance_in_every_condition() -> None:
    for kind in MarketCondition:
        assert set(RELEVANCE[kind]) == set(ContextLayer)


def test_strategic_days_read_the_long_layers_and_events_the_short_ones() -> None:
    entries = [DAY, MONTH, TOTAL]
    by_kind = {kind: [c.entry for c in chosen(entries, kind)] for kind in MarketCondition}
    assert by_kind[MarketCondition.NORMAL][0] == DAY
    assert by_kind[MarketCondition.STRATEGIC][-1] == DAY
    assert by_kind[MarketCondition.MAJOR_EVENT] == [DAY, TOTAL, MONTH]


def test_older_memories_and_those_of_other_markets_score_lower() -> None:
    older = replace(DAY, timeframe="2026-03-03")
    other = replace(DAY, key="day_US_USD")
    best = chosen([older, other, DAY], MarketCondition.NORMAL)
    assert best[0].entry == DAY
    assert best[0].score > max(c.score for c in best[1:])
    assert best[0].score == pytest.approx(0.8 * 0.5 ** (1 / 4) * 0.8)
    assert best[0].why == "L3 2026-03-11 day_KR_KRW: 0.54 = 0.80 x 0.84 x 0.80"


def test_a_memory_from_later_is_not_known_yet() -> None:
    assert chosen([replace(DAY, at=AT + timedelta(seconds=1))], MarketCondition.NORMAL) == ()


def test_the_choice_fits_its_budget_and_does_not_depend_on_the_order() -> None:
    rng = random.Random(3)
    entries = [
        entry(ContextLayer.L6, f"2026-02-{n + 1:02}", "lessons_KR", ["late entries lost " * 5])
        for n in range(28)
    ]
    seen = set()
    for _ in range(4):
        rng.shuffle(entries)
        some = chosen(entries, MarketCondition.NORMAL, budget=200)
        assert 1 < len(some) < 28
        assert sum(estimate_tokens(c.line) for c in some) <= 200
        seen.add(tuple(c.entry.timeframe for c in some))
    assert len(seen) == 1
    assert chosen(entries, MarketCondition.NORMAL, budget=0) == ()
