"""Every screen draws what it is given: full answers, empty ones and odd ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from flows import audit_screens, screens

Json = dict[str, Any]

SESSION: Json = {
    "market": "KR",
    "session": "2026-11-20",
    "playbook": {
        "source": "rules",
        "outlook": "neutral",
        "stocks": 30,
        "scenarios": 90,
        "dropped": 2,
        "reviewed": 0,
        "fallback_reason": "PlannerTimeout: no reply in 60 s",
    },
    "realtime": {
        "cycles": 30,
        "asked": 12,
        "reused": 70,
        "failed": 2,
        "decided_by": "playbook",
        "reason": "BudgetExhausted: 20 of 20 calls",
        "at": "2025-09-10T01:35:00+00:00",
    },
    "ticks": 78,
    "observations": 2340,
    "matches": 120,
    "orders": {
        "intended": 9,
        "accepted": 7,
        "partially_filled": 1,
        "cancelled": 1,
        "rejected": 0,
        "refused": 2,
        "unknown": 0,
        "not_sent": 0,
        "filled": 5,
    },
    "refusals": {"fat_finger": 1, "below_lot": 1},
    "fills": 6,
    "pnl": {"KRW": {"gross": "15000", "fees": "210", "tax": "1080", "net": "13710"}},
    "positions": [
        {
            "symbol": "005930",
            "quantity": 13,
            "average_price": "70500.5",
            "last_price": "71000",
            "unrealized": "-6493.5",
            "origin": "strategy",
        }
    ],
    "equity": {"KRW": {"start": "10000000", "end": "10013710"}},
    "differences": [
        {
            "kind": "foreign_order",
            "subject": "0000000007",
            "expected": "an order of ours, or nothing",
            "found": "BUY 3 A at market, placed by hand or by another program",
            "severity": "warning",
            "repaired_by": "none",
        }
    ],
    "halts": [
        {
            "halt_id": "h",
            "kind": "breaker",
            "scope": "KRW",
            "reason": "day P&L -3.01 % is below -3.0 %",
            "raised_at": "2026-11-20T01:00:00+00:00",
            "lifted_at": None,
            "lifted_by": "",
            "level": "reducing",
        }
    ],
    "llm": {"calls": 1, "tokens": 5555, "cost": "0.0123"},
    "scorecard": {
        "wins": 3,
        "losses": 1,
        "win_rate_pct": 75.0,
        "average_confidence": 84.5,
        "match_rate_pct": 41.2,
        "best": [{"symbol": "000660", "net": "9000"}],
        "worst": [],
        "lessons": ["the stop was never near"],
    },
    "backup": {"path": "/somewhere/backups/2026-11-20.duckdb", "verified": True},
    "decisions_digest": "0123456789abcdef0123",
}
SILENT: Json = {
    **SESSION,
    "playbook": {
        "source": None,
        "outlook": None,
        "stocks": 0,
        "scenarios": 0,
        "dropped": 0,
        "reviewed": 0,
        "fallback_reason": "",
    },
    "realtime": None,
    "ticks": 0,
    "observations": 0,
    "matches": 0,
    "orders": dict.fromkeys(SESSION["orders"], 0),
    "refusals": {},
    "pnl": {},
    "positions": [],
    "equity": {},
    "differences": [],
    "halts": [],
    "scorecard": None,
    "backup": None,
}
DEMO: Json = {
    **SESSION,
    "data_notes": {"bars": 1000, "gaps": 3},
    "wall_seconds": 12.3,
    "kept": "/somewhere/day",
}
HALT: Json = {**SESSION["halts"][0], "lift_with": "ouroboros resume KRW"}
STATUS: Json = {
    "mode": "paper",
    "store": "/somewhere/trades.db",
    "state": "halted",
    "states": {"KR": "reducing", "US": "halted", "JP": "active"},
    "halts": [HALT, {**HALT, "scope": "US", "kind": "kill", "level": "halted"}],
    "paused_deployments": ["plan/KR"],
    "markets": [SESSION, SILENT],
    "nothing_yet": ["US"],
}
WHY: Json = {
    "market": "US",
    "symbol": "AAPL",
    "session": "2026-11-20",
    "at": "2026-11-20T15:00:00+00:00",
    "stages": [
        {"name": "candidate", "passed": None, "text": "no scan of this session was written down"},
        {"name": "match", "passed": False, "text": "no scenario matched"},
        {"name": "gate", "passed": True, "text": "BUY 3 at 270.55 (entry) at 10:10: passed"},
    ],
    "scenarios": [
        {
            "scenario_id": "AAPL#1",
            "action": "BUY",
            "confidence": 85,
            "conditions": [
                {
                    "field": "rsi",
                    "op": "<",
                    "threshold": 27.0,
                    "value": 28.0,
                    "met": False,
                    "distance": 0.037,
                },
                {
                    "field": "momentum",
                    "op": ">",
                    "threshold": 60.0,
                    "value": None,
                    "met": False,
                    "distance": None,
                },
            ],
        }
    ],
    "conclusion": "AAPL#1 (BUY) was the nearest: rsi 28, needed below 27 (-3.6 %).",
}
NO_WHY: Json = {**WHY, "at": None, "stages": [], "scenarios": [], "conclusion": "A playbook."}
LOGGED: Json = {
    "decision": {
        "decision_id": "0123456789abcdef",
        "session": "2026-11-20",
        "market": "US",
        "at": "2026-11-20T15:10:00+00:00",
        "action": "BUY",
        "confidence": 85,
        "instrument": {"symbol": "AAPL"},
        "scenario_id": "AAPL#1",
        "rationale": "[bold]loud[/]",
    },
    "outcome": {"outcome_pnl": "-12.5", "outcome_accuracy": 0.0},
    "review": {"by": "me", "note": "too early"},
}
OPEN: Json = {**LOGGED, "outcome": None, "review": None}
HALTED: Json = {"raised": SESSION["halts"], "lifted": []}
LIFTED: Json = {"raised": [], "lifted": SESSION["halts"]}
KILLED: Json = {
    "line": "kill KR: cancel KR failed: the broker is down",
    "steps": [
        {"step": "block", "market": "", "outcome": "done", "detail": "KR is halted"},
        {"step": "cancel", "market": "KR", "outcome": "failed", "detail": "the broker is down"},
    ],
    "failed": ["cancel KR"],
    "lift_with": "ouroboros resume KR",
}
DOCTOR: Json = {
    "checks": [
        {"name": "settings", "result": "ok", "detail": "mode paper"},
        {"name": "disk", "result": "warning", "detail": "1.0 GB free"},
        {"name": "broker", "result": "failed", "detail": "start it: ouroboros twin serve " * 4},
    ]
}
FLOW: Json = {"flow": "tick", "market": "KR", "state": "Completed", "message": "30 priced"}
TWIN: Json = {
    "url": "http://127.0.0.1:40001",
    "ws_url": "ws://127.0.0.1:40002",
    "mode": "real",
    "layout": "2026-09",
    "accounts": [{"account_no": "50000000-01", "cash": {"KRW": "50000000"}}],
    "sessions": [
        {
            "market": "KR",
            "session": "2026-09-10",
            "open_at": "2026-09-10T00:00:00+00:00",
            "close_at": "2026-09-10T06:30:00+00:00",
            "symbols": 200,
        }
    ],
    "now": "2026-09-09T23:15:00+00:00",
    "clock": "stepped",
    "speed": 0,
    "rate_limit": 20,
    "faults": 2,
    "state": "/somewhere/twin.db",
    "restored": 12,
    "data_notes": {"gaps": 3},
}

CASES: list[tuple[str, Callable[[Json], None], Json, list[str]]] = [
    ("demo", screens.demo_summary, DEMO, ["KR 2026-11-20", "+13,710 net", "ouroboros why 005930"]),
    ("demo, nothing kept", screens.demo_summary, {**DEMO, "kept": None}, ["nothing was kept"]),
    (
        "demo, a day without a trade",
        screens.demo_summary,
        {**DEMO, **SILENT, "data_notes": {}},
        ["playbook by  none", "why SYMBOL"],
    ),
    (
        "demo, everything was sold",
        screens.demo_summary,
        {**DEMO, "positions": []},
        ["ouroboros why 000660"],
    ),
    (
        "status",
        screens.status,
        STATUS,
        [
            *("KR: reducing", "US: halted", "JP: active", "paused in Prefect: plan/KR"),
            "halted (KRW) by breaker, exits go on, since 2026-11-20T01:00",
            "halted (US) by kill, exits are stopped too",
            *("US: nothing yet", "005930", "foreign order"),
        ],
    ),
    (
        "status, nothing at all",
        screens.status,
        {**STATUS, "halts": [], "markets": [], "nothing_yet": [], "paused_deployments": []},
        ["mode paper"],
    ),
    (
        "why",
        audit_screens.why,
        WHY,
        ["AAPL on US 2026-11-20 at 10:00", "no data", "3.7%", "rsi < 27", "needed below 27"],
    ),
    ("why, nothing is known", audit_screens.why, NO_WHY, ["A playbook."]),
    (
        "decisions",
        audit_screens.decisions,
        {"decisions": [LOGGED, OPEN], "limit": 2},
        [
            *("01234567  2026-11-20 10:10  BUY  AAPL", "[bold]loud[/]; made -12.5"),
            *("reviewed (me): too early", "the newest 2"),
        ],
    ),
    ("decisions, none", audit_screens.decisions, {"decisions": [], "limit": 50}, ["no decision"]),
    ("reviewed", audit_screens.reviewed, {"reviewed": LOGGED}, ["too early"]),
    ("halt", screens.halts, HALTED, ["halted KRW", "ouroboros resume KRW"]),
    ("resume", screens.halts, LIFTED, ["lifted KRW"]),
    (
        "resume, with deployments",
        screens.halts,
        {**LIFTED, "paused": [], "restored": ["plan/KR"]},
        ["restored in Prefect: plan/KR"],
    ),
    (
        "kill",
        screens.kill,
        KILLED,
        ["kill KR: cancel KR failed", "done     block", "failed   cancel KR", "resume KR"],
    ),
    ("resume, nothing", screens.halts, {"raised": [], "lifted": []}, ["nothing to lift"]),
    ("doctor", screens.doctor, DOCTOR, ["ok       settings", "failed   broker"]),
    ("doctor, no checks", screens.doctor, {"checks": []}, []),
    ("flow", screens.flow_state, FLOW, ["tick KR: Completed - 30 priced"]),
    ("flow of no market", screens.flow_state, {**FLOW, "market": None}, ["tick: Completed"]),
    ("twin", screens.twin, TWIN, ["http://127.0.0.1:40001", "50000000-01"]),
]
ANSWERS = [pytest.param(show, answer, wanted, id=name) for name, show, answer, wanted in CASES]


def drawn(show: Callable[[Json], None], answer: Json, capsys: pytest.CaptureFixture[str]) -> str:
    before = copy.deepcopy(answer)
    show(answer)
    assert answer == before, "a screen does not change what it shows"
    return capsys.readouterr().out


@pytest.mark.parametrize(("show", "answer", "wanted"), ANSWERS)
def test_a_screen_shows_what_matters(
    show: Callable[[Json], None],
    answer: Json,
    wanted: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = drawn(show, answer, capsys)

    for text in wanted:
        assert text in out


@pytest.mark.parametrize(("show", "answer", "wanted"), ANSWERS)
def test_text_that_looks_like_markup_is_shown_and_not_obeyed(
    show: Callable[[Json], None],
    answer: Json,
    wanted: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd = "[/red] [bold]x[/bold] [z 한글"
    answer = copy.deepcopy(answer)
    planted = _plant(answer, odd)

    out = drawn(show, answer, capsys)

    assert not planted or odd in " ".join(out.split())


def _plant(value: Any, text: str) -> bool:
    """Replace every free text in an answer; whether there was one."""
    free = ("reason", "rationale", "note", "message", "detail")
    found = False
    if isinstance(value, dict):
        for key, item in value.items():
            if key in free and isinstance(item, str):
                value[key], found = text, True
            else:
                found |= _plant(item, text)
    elif isinstance(value, list):
        found = sum(_plant(item, text) for item in value) > 0
    return found


def test_numbers_that_are_not_there_are_said_to_be_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {**SESSION["positions"][0], "last_price": None, "unrealized": None}
    card = {
        **SESSION["scorecard"],
        "win_rate_pct": None,
        "average_confidence": None,
        "match_rate_pct": None,
    }
    market = {**SESSION, "positions": [row], "scorecard": card}

    out = drawn(screens.status, {**STATUS, "markets": [market]}, capsys)

    assert "no data" in out
    assert "no closed trades" in out


def test_a_backup_that_was_not_verified_is_said_to_be_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    backup = {"path": "b.duckdb", "verified": False}

    out = drawn(screens.status, {**STATUS, "markets": [{**SESSION, "backup": backup}]}, capsys)

    assert "NOT verified" in out


def test_a_command_to_copy_is_never_broken_over_two_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    halt = {**HALT, "reason": "a long reason " * 12}

    status = drawn(screens.status, {**STATUS, "halts": [halt]}, capsys)
    raised = drawn(screens.halts, {"raised": [halt], "lifted": []}, capsys)

    assert "ouroboros resume KRW\n" in status
    assert "ouroboros resume KRW\n" in raised
