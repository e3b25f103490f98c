"""A day's review as a page: everything it promises, and nothing that somebody else wrote in it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tasks.review_page import review_page
from tests.record_factories import make_scorecard
from trading_core.steps.lessons import NO_MODEL, ModelLessons

DETAILS: dict[str, Any] = {
    "expectancy": {"KRW": "-245.1250"},
    "slippage": {
        "BUY": {
            "orders": 21,
            "cost": "46960",
            "cost_bps": 12.92,
            "worst_bps": 24.27,
            "worst_symbol": "030470",
            "accepted_after_s": 0.0,
            "filled_after_s": 300.0,
        }
    },
    "stops": {
        "exits": {"hard_stop": 2, "session_end": 1},
        "hard_stops": 2,
        "worst_overshoot_pct": 0.18,
        "worst_symbol": "266690",
    },
    "coverage": {
        "scenarios": 714,
        "fates": {"matched": 27, "not_held": 528, "out_of_range": 159},
        "nearest": [
            {
                "scenario_id": "186170#3",
                "action": "BUY",
                "field": "rsi",
                "op": "<",
                "threshold": 70.0,
                "value": 70.06462,
                "distance": 0.000923,
                "at": "2026-11-20T00:55:00+00:00",
            }
        ],
        "blocked_by": [],
    },
    "calibration": {
        "samples": 8,
        "hit_rate_pct": 12.5,
        "brier": 0.6486,
        "base_brier": 0.1094,
        "bins": [
            {"confidence": "80-89", "trades": 7, "stated_pct": 86.0, "realized_pct": 0.0},
        ],
    },
    "llm": {
        "calls": 2,
        "failed": 1,
        "tokens": 5555,
        "cost_usd": "0.0123",
        "trades": 3,
        "earned": {"KRW": "-1961"},
    },
    "movers": [{"symbol": "000001", "change_pct": 12.3, "why": "low volatility"}],
}
BEST = {"symbol": "005930", "quantity": 3, "net": "129549", "currency": "KRW"}
NONE = ModelLessons(reason=NO_MODEL)


def page(said: ModelLessons = NONE, **changes: Any) -> str:
    values: dict[str, Any] = {"details": DETAILS, "net_pnl": {"KRW": Decimal(-1961)}}
    values |= {"gross_pnl": {"KRW": Decimal(32320)}, "fees": {"KRW": Decimal(7018)}}
    values |= {"taxes": {"KRW": Decimal(27263)}, "worst": [], "best": [BEST]} | changes
    return review_page(make_scorecard(**values), said)


def test_the_page_holds_every_part_of_the_review() -> None:
    text = page()
    for part in (
        "# KR 2026-11-20",
        "| net P&L KRW | -1,961 (gross +32,320, fees 7,018, taxes 27,263) |",
        "| best | 005930 +129,549 KRW |",
        "| expectancy | -245 KRW a trade |",
        "- the stop was never near",
        "| BUY | 21 | +12.9 | +46,960 | 030470 +24.3 | 300 |",
        "Exits: 2 hard stop, 1 session end.",
        "went 0.18 points beyond its level (266690)",
        "Of 714 scenarios",
        "- 159 asked for what the session never showed",
        "| 186170#3 | BUY | rsi < 70 | 70.0646 | 09:55 |",
        "| 000001 | +12.3 % | low volatility |",
        "Brier score 0.649",
        "| 80-89 | 7 | 86.0 % | 0.0 % |",
        "2 calls, 1 failed, 5,555 tokens, 0.0123 USD. 3 closed trades were planned by a model: "
        "-1,961 KRW",
        "No lessons from a model: no language model is configured.",
    ):
        assert part in text


def test_what_could_not_be_had_is_called_no_data() -> None:
    bare = {
        **DETAILS,
        "movers": None,
        "slippage": {},
        "expectancy": {},
        "calibration": {"samples": 0, "bins": []},
        "stops": {"exits": {}, "hard_stops": 0},
        "reviewed_late_on": "2026-11-23",
    }
    text = page(details=bare, win_rate_pct=None, lessons=[], best=[], worst=[])
    for part in (
        "Reviewed late, on 2026-11-23.",
        "| win rate | no data |",
        "| expectancy | no data |",
        "Nothing was filled.",
        "Exits: none.",
        "What moved without a scenario: no data",
        "No entry of the last sessions is settled yet.",
        "- nothing stood out",
    ):
        assert part in text
    assert "Nothing the broker ranks moved far" in page(details={**DETAILS, "movers": []})


def test_a_card_from_before_the_parts_had_names_is_shown_too() -> None:
    assert "| win rate |" in page(details={})


def test_what_a_model_says_is_quoted_with_its_name_and_draws_nothing() -> None:
    said = ModelLessons(("# Big ![x](http://evil/a.png) <b>buy</b>",), "a-model")
    text = page(said)
    assert "What a\\-model says (unchecked):" in text
    [quoted] = [line for line in text.splitlines() if "evil" in line]
    assert quoted.startswith("> \\# Big \\!\\[x\\]\\(")
    assert "<b>" not in text.replace("\\<b\\>", "")
