"""The ledger by day, model and purpose, and what the limits leave."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tests.record_factories import AT, make_llm_call, make_llm_reservation
from trading_core.adapters.duck.store import DuckStore
from trading_core.model.limits import LlmBudget
from trading_core.steps.costs import cost_report

LATER = AT + timedelta(hours=1)
BUDGET = LlmBudget(5, Decimal("0.5"), Decimal(0))


def a_store() -> DuckStore:
    store = DuckStore(":memory:")
    day = timedelta(days=1)
    with store.write() as tx:
        for name, at in (("ok", AT), ("bad", AT), ("lost", AT), ("old", AT - 3 * day)):
            tx.append([make_llm_reservation(call_id=name, at=at, until=at)])
        tx.append(
            [
                make_llm_call(call_id="ok", cost_usd=Decimal("0.02")),
                make_llm_call(call_id="bad", outcome="PlannerTimeout", cost_usd=Decimal("0.1")),
                make_llm_call(call_id="again", outcome="reused", cost_usd=Decimal(0)),
                make_llm_call(call_id="old", at=AT - 3 * day, purpose="review"),
            ]
        )
    return store


def test_a_row_is_a_day_a_model_and_a_purpose() -> None:
    report = cost_report(a_store(), BUDGET, at=LATER, days=7)
    newest, oldest = report["rows"]
    # One in the morning in UTC is the day before in California.
    assert (newest["day"], newest["model"], newest["purpose"]) == ("2026-11-19", "a-model", "plan")
    assert (oldest["day"], oldest["purpose"], oldest["calls"]) == ("2026-11-16", "review", 1)
    assert (newest["calls"], newest["reused"], newest["failed"], newest["lost"]) == (3, 1, 1, 1)
    assert (newest["input_tokens"], newest["thinking_tokens"]) == (2 * 4321, 2 * 234)
    assert newest["usd"] == "0.43"
    assert report["total"]["calls"] == 4


def test_the_limits_say_what_is_used_and_what_is_left() -> None:
    limits = cost_report(a_store(), BUDGET, at=LATER, days=1)["limits"]
    assert limits["calls_per_day"] == {"limit": 5, "used": 3, "left": 2}
    assert limits["usd_per_day"] == {"limit": "0.5", "used": "0.43", "left": "0.07"}
    assert limits["usd_per_month"]["limit"] is limits["usd_per_month"]["left"] is None


def test_only_the_days_asked_for_are_shown() -> None:
    report = cost_report(a_store(), BUDGET, at=LATER, days=3)
    assert [row["day"] for row in report["rows"]] == ["2026-11-19"]
    assert len(cost_report(a_store(), BUDGET, at=LATER, days=4)["rows"]) == 2


def test_what_is_overspent_leaves_nothing() -> None:
    limits = cost_report(a_store(), LlmBudget(2), at=LATER, days=1)["limits"]
    assert limits["calls_per_day"]["left"] == 0
