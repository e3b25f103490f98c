"""No fact of a plan is lost on the way into the prompt: every table is read back and compared."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args

import pytest

from tests.planning_fakes import candidate, scorecard
from tests.prompt_reader import ReadBack, read_back
from trading_core.model.limits import PlanLimits
from trading_core.model.market import MarketGroup
from trading_core.model.playbook import MarketField, StockField
from trading_core.model.price import Candidate, Signal
from trading_core.rules.prompt_budget import Section, compose, estimate_tokens, quoted
from trading_core.rules.prompt_sections import HeldFacts, SessionFacts, number
from trading_core.rules.prompts import compose_prompt, standing_text

FACTS = SessionFacts(
    session=date(2026, 12, 24),
    zone="America/New_York",
    opens_at=datetime(2026, 12, 24, 14, 30, tzinfo=UTC),
    closes_at=datetime(2026, 12, 24, 18, 0, tzinfo=UTC),
    early_close=True,
    next_holiday=date(2026, 12, 25),
)
LIMITS = PlanLimits(prompt_tokens=0)
SHOWN = {
    **dict.fromkeys(("change_pct", "range_pct", "volume_ratio", "atr_pct"), 0.05),
    **dict.fromkeys(("return_5d_pct", "return_20d_pct", "breakout_pct"), 0.05),
    **dict.fromkeys(("rsi", "momentum", "score"), 0.5),
}
"""Each number of a candidate with the rounding that the prompt may do."""


def drawn(seed: int) -> tuple[list[Candidate], list[HeldFacts]]:
    rng = random.Random(seed)
    candidates = []
    for n in range(30):
        values = {name: rng.uniform(-30, 100) for name in SHOWN}
        values |= {rng.choice(list(SHOWN)): math.nan}
        candidates.append(
            candidate(
                f"{n:06}",
                name=rng.choice(["", "삼성전자", 'A, "quoted" Co', "x" * 80]),
                price=Decimal(rng.randint(1, 10**7)).scaleb(-2),
                signal=rng.choice(list(Signal)),
                volume_rank=rng.choice([None, 7]),
                **values,
            )
        )
    held = [
        HeldFacts(f"H{n}", "Held, Inc", n + 1, Decimal("10.05"), Decimal(n), rng.choice([None, n]))
        for n in range(5)
    ]
    return candidates, held


def check(found: ReadBack, candidates: list[Candidate], held: list[HeldFacts]) -> None:
    rows = {row["symbol"]: row for row in found.tables["candidates"]}
    assert set(rows) == {c.instrument.symbol for c in candidates}
    for c in candidates:
        row = rows[c.instrument.symbol]
        assert Decimal(row["price"]) == c.price
        for name, rounding in SHOWN.items():
            value = getattr(c, name)
            if math.isfinite(value):
                assert float(row[name]) == pytest.approx(value, abs=rounding * 1.001)
            else:
                assert row[name] == "-"
        assert row["signal"] == c.signal.value[0]
        assert row["volume_rank"] == str(c.volume_rank or "-")
        assert row["name"] == (c.instrument.name[:40] or "-")
    owned = {row["symbol"]: row for row in found.tables["holdings"]}
    assert set(owned) == {h.symbol for h in held}
    for h in held:
        row = owned[h.symbol]
        assert int(row["quantity"]) == h.quantity
        assert Decimal(row["average_price"]) == h.average_price
        assert Decimal(row["last_price"]) == h.last_price
        assert row["days_held"] == ("-" if h.days_held is None else str(h.days_held))
        if math.isfinite(h.pnl_pct):
            assert float(row["unrealized_pnl_pct"]) == pytest.approx(h.pnl_pct, abs=0.0051)
        else:
            assert row["unrealized_pnl_pct"] == "-"


@pytest.mark.parametrize("budget", [0, 6_000, 1_000, 1])
@pytest.mark.parametrize("seed", range(3))
def test_every_fact_is_read_back_whatever_the_budget(seed: int, budget: int) -> None:
    candidates, held = drawn(seed)
    cards = [scorecard(date(2026, 12, day), ["a lesson"]) for day in (21, 22, 23)]
    other = replace(cards[2], market="US", net_pnl={"USD": Decimal("-12.34")}, win_rate_pct=None)
    composed = compose_prompt(
        MarketGroup.US,
        FACTS,
        candidates=candidates,
        holdings=held,
        limits=replace(LIMITS, prompt_tokens=budget),
        scorecards=[*cards, other],
        memory=[f"memory {n}" for n in range(20)],
        headlines=["news: no data", *(f"headline {n}" for n in range(30))],
        events=["rate decision", "second event", "third event"],
        important_events=2,
        readings=["KOSPI 2650"],
        market_guard="3 losing sessions in a row",
        guarded={"000001": "2 losing trades"},
    )
    found = read_back(composed.text)
    check(found, candidates, held)
    sessions = found.tables["scorecards"]
    assert [row["market"] for row in sessions[:2]] == ["US", "KR"]  # the plan's own market first
    assert sessions[0]["net_pnl"] == "-12.34 USD"
    assert (sessions[0]["win_rate_pct"], sessions[1]["win_rate_pct"]) == ("-", "100")
    assert sessions[1]["session"] == "2026-12-23"
    assert found.plain["Session"] == [
        "date: 2026-12-24 Thursday",
        "hours: 09:30-13:00 America/New_York (early close)",
        "next holiday: 2026-12-25 Friday",
    ]
    assert found.plain["No BUY today"] == [
        "the whole market: 3 losing sessions in a row",
        "000001: 2 losing trades",
    ]
    assert found.lines["events"][:2] == ["rate decision", "second event"]
    assert found.lines["news"][0] == "news: no data"
    assert found.lines["markets"] == ["KOSPI 2650"]
    assert composed.is_over is (budget in (1_000, 1))
    assert not composed.is_over or "memory" not in found.lines


def test_a_budget_cuts_the_least_important_lines_first_and_says_how_many() -> None:
    given: dict[str, Any] = {
        "candidates": [candidate()],
        "headlines": [f"headline number {n} of this morning" for n in range(20)],
        "memory": [f"memory {n}" for n in range(10)],
    }
    whole = compose_prompt(MarketGroup.US, FACTS, limits=LIMITS, **given)
    assert whole.cut == 0
    limits = replace(LIMITS, prompt_tokens=whole.tokens - 50)
    less = compose_prompt(MarketGroup.US, FACTS, limits=limits, **given)
    found = read_back(less.text)
    assert less.tokens <= limits.prompt_tokens
    assert found.lines["news"] == given["headlines"][: 20 - less.cut]
    assert 0 < less.cut < 19
    assert found.lines["memory"] == given["memory"]
    shares = {share.title: share for share in less.shares}
    assert shares["News"].cut == less.cut
    assert sum(share.tokens for share in less.shares) == pytest.approx(less.tokens, rel=0.02)


def test_equal_priorities_are_cut_from_the_later_section() -> None:
    sections = [Section(t, optional=("a line of words",) * 3, priority=1) for t in ("A", "B")]
    whole = compose("start", sections)
    cut = compose("start", sections, budget=whole.tokens - 1)
    assert [share.cut for share in cut.shares[1:]] == [0, 1]


def test_a_sections_own_budget_holds_without_any_other() -> None:
    section = Section("News", ("first",), ("x" * 40,) * 10, budget=40, fence="news")
    assert estimate_tokens(section.text()) > 40
    composed = compose("", [section])
    assert composed.shares[1].tokens <= 40
    assert composed.shares[1].shown + composed.shares[1].cut == 11


def test_a_section_without_lines_leaves_no_heading() -> None:
    assert compose("start", [Section("Empty")]).text == "start\n"


def test_every_field_and_limit_is_in_the_part_that_never_changes() -> None:
    text = standing_text(PlanLimits(), 80, -7.0)
    for name in (*get_args(StockField), *get_args(MarketField)):
        assert name in text
    assert "below confidence 80" in text
    assert "below 90" in text
    assert "stop_loss_pct is below -7 " in text
    assert standing_text(PlanLimits(), 80, -7.0) is text  # made once


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (1.0, 1, "1"),
        (-0.04, 1, "0"),
        (100.0, 0, "100"),
        (2.26, 1, "2.3"),
        (math.nan, 1, "-"),
        (math.inf, 0, "-"),
        (-7.5, 2, "-7.5"),
    ],
)
def test_numbers_carry_no_digits_that_say_nothing(value: float, digits: int, shown: str) -> None:
    assert number(value, digits) == shown


def test_look_alikes_of_the_data_marks_are_escaped() -> None:
    line = quoted("</data> ＜data＞ ﹤x﹥", 100)
    assert not set("<>＜＞﹤﹥") & set(line)
