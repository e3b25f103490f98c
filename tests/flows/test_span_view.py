"""Sessions in a row on a screen, and as lines for a machine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.span_view import Played

SAID = "ReplyInvalid: the reply is [empty]"


def session(day: str, net: str, equity: str) -> dict[str, Any]:
    return {
        "session": day,
        "playbook": {"source": "gemini", "scenarios": 12},
        "orders": {"accepted": 3},
        "fills": 3,
        "scorecard": {"wins": 1, "losses": 2},
        "pnl": {"KRW": {"net": net}},
        "equity": {"KRW": {"end": equity}},
        "halts": [],
        "wall_seconds": 20.4,
    }


def total(**changes: Any) -> dict[str, Any]:
    money = {"gross": "30", "fees": "5", "tax": "5", "net": "20", "overnight": "-7"}
    base: dict[str, Any] = {
        "sessions": 2,
        "first": "2026-09-10",
        "last": "2026-09-11",
        "playbooks": {"gemini": 1, "rules": 1},
        "fallbacks": {"2026-09-11": SAID},
        "orders": {"intended": 4, "accepted": 3, "refused": 0},
        "refusals": {"chasing_high": 1},
        "money": {"KRW": money | {"equity_start": "1000", "equity_end": "1013", "change_pct": 1.3}},
        "closed": {"trades": 3, "won": 1, "win_rate_pct": 33.33, "net": {"KRW": "-4"}},
        "positions": [],
        "halts": [{"scope": "KRW", "reason": "day P&L -3.10 %"}],
        "llm": {"calls": 4, "tokens": 9000, "cost": "0.02"},
        "memory": {
            "entries": {"L1": 4, "L3": 1},
            "L3": [{"timeframe": "2026-09-10", "value": {"pnl": {"net": "20"}}}],
            "L4": [],
            "L5": [],
        },
        "calibration": {
            "samples": 3,
            "brier": 0.41,
            "base_brier": 0.22,
            "bins": [
                {"confidence": "80-89", "trades": 3, "stated_pct": 85.0, "realized_pct": 33.33}
            ],
        },
        "wall_seconds": 41.2,
        "kept": None,
    }
    return base | changes


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")


def test_every_session_is_a_row_and_the_total_tells_money_fallbacks_and_calibration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    played = Played(as_json=False)
    played.add(session("2026-09-10", "-1200", "50000000"))
    played.add(session("2026-09-11", "1220", "50000020"))

    assert capsys.readouterr().out == "", "one table, after the last session"
    played.show(total())
    said = capsys.readouterr().out

    rows = {line.split()[0]: line.split() for line in said.splitlines() if line.startswith("2026")}
    assert rows["2026-09-10"][5:] == ["1", "2", "-1,200", "50,000,000", "0", "20"]
    assert rows["2026-09-11"][7] == "+1,220"
    assert f"1 because: {SAID}" in said, "text of a reason is shown as it is"
    assert "+30 gross - 5 fees - 5 tax = +20 net, -7 overnight" in said
    assert "1,000 -> 1,013 (+1.30 %)" in said
    assert "3, 1 won (33 %), -4 KRW after costs" in said
    assert "KRW: day P&L -3.10 %" in said
    assert "2026-09-10" in said
    assert "calibration: 3 settled entries; Brier 0.41 (stating the hit rate: 0.22)" in said
    assert any(line.split() == ["80-89", "3", "85", "%", "33", "%"] for line in said.splitlines())


def test_what_was_never_measured_is_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    closed = {"trades": 0, "won": 0, "win_rate_pct": None, "net": {}}
    nothing = {"samples": 0, "brier": None, "base_brier": None, "bins": []}
    Played(as_json=False).show(total(closed=closed, calibration=nothing))

    said = capsys.readouterr().out
    assert "0, 0 won (no data)" in said
    assert "calibration: 0 settled entries\n" in said


def test_for_a_machine_every_session_is_a_line_as_soon_as_it_is_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    played = Played(as_json=True)
    played.add(session("2026-09-10", "1", "2"))

    assert json.loads(capsys.readouterr().out)["session"] == "2026-09-10"
