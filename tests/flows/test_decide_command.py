"""``ouroboros decide``: one decision now, shown with its reason, and no order."""

from __future__ import annotations

from typing import Any

import pytest

from flows import decide_cli

ANSWER: dict[str, Any] = {
    "market": "KR",
    "session": "2025-09-03",
    "open": False,
    "at": "2025-09-03T01:00:00+00:00",
    "exchange": "KR",
    "price": "9500",
    "held": 0,
    "fields": {"rsi": None},
    "decision": {
        "symbol": "005930",
        "action": "HOLD",
        "confidence": 60,
        "rationale": "thin [bold] book",
        "stop_loss_pct": None,
        "take_profit_pct": None,
        "allocation_pct": 0.0,
        "reason": "confidence 60 is below 80",
        "model": "fake-1",
        "prompt_hash": "",
        "prompt_id": "",
    },
}


def test_a_decision_is_shown_with_why_it_was_held_back(capsys: pytest.CaptureFixture[str]) -> None:
    decide_cli.show(ANSWER)
    shown = capsys.readouterr().out
    assert "HOLD 005930 on KR at 9500, confidence 60" in shown
    assert "held back: confidence 60 is below 80" in shown
    assert "fake-1: thin [bold] book" in shown
    assert "the exchange is closed now" in shown
    assert "no order was sent" in shown


def test_a_buy_is_shown_with_its_stop(capsys: pytest.CaptureFixture[str]) -> None:
    bought = {"action": "BUY", "reason": "", "stop_loss_pct": -2.5, "allocation_pct": 4.0}
    decide_cli.show({**ANSWER, "decision": {**ANSWER["decision"], **bought}})
    assert "stop -2.5 %, target none, at most 4 % of cash" in capsys.readouterr().out
