"""``ouroboros costs`` on a ledger with everything in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.record_factories import make_llm_call, make_llm_reservation
from trading_core.clock import SystemClock
from trading_core.wiring import open_store

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def a_ledger() -> None:
    now = SystemClock().now()
    with open_store().write() as tx:
        for name, ago in (("ok", 0), ("lost", 0), ("old", 40)):
            at = now - timedelta(days=ago, seconds=1)
            tx.append([make_llm_reservation(call_id=name, at=at, until=at, model="[bold]m[/]")])
        tx.append(
            [
                make_llm_call(call_id="ok", at=now, cost_usd=Decimal("0.02"), model="[bold]m[/]"),
                make_llm_call(call_id="again", at=now, outcome="reused", cost_usd=Decimal(0)),
            ]
        )


@pytest.mark.usefixtures("a_ledger")
def test_it_shows_the_ledger_and_what_is_left(
    run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run_cli("costs")
    assert code == 0
    assert "[bold]m[/]" in out
    assert "LLM_CALLS_PER_DAY: 2 used, 18 left of 20" in out
    assert "LLM_USD_PER_DAY: 0.33 used, 1.67 left of 2" in out
    assert "America/Los_Angeles" in out


@pytest.mark.usefixtures("a_ledger")
def test_json_carries_the_same_and_days_reach_further_back(run_cli: Run) -> None:
    code, out, _ = run_cli("costs", "--json", "--days", "60")
    answer = json.loads(out)
    assert code == 0
    assert {key: answer["total"][key] for key in ("calls", "reused", "lost")} == {
        "calls": 3,
        "reused": 1,
        "lost": 2,
    }
    assert (answer["model"], answer["price_known"]) == (None, False)
    assert len(json.loads(run_cli("costs", "--json")[1])["rows"]) == 2


def test_a_model_without_a_price_is_named(run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-none")
    assert "no price" not in run_cli("costs")[1]
    monkeypatch.setenv("GEMINI_MODEL", "gemini-99")
    assert "no price is known for gemini-99" in run_cli("costs")[1]


def test_no_limit_is_said_so(run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_USD_PER_MONTH", "0")
    assert "LLM_USD_PER_MONTH: 0 used, no limit" in run_cli("costs")[1]
