"""``up``, ``logs``, ``go-live`` and the parts in ``status``, where nothing is up."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {
        "MODE": "live",
        "KIS_APP_KEY": "app-key-000",
        "KIS_APP_SECRET": "app-secret-000",
        "KIS_ACCOUNT_NO": "12345678-01",
        "ENABLED_MARKETS": "KR",
    }.items():
        monkeypatch.setenv(name, value)
    return Path(os.environ["OUROBOROS_HOME"]) / "live.confirmed"


def test_real_money_does_not_come_up_before_it_was_confirmed(run_cli: Run, live: Path) -> None:
    code, out, err = run_cli("up")

    assert (code, out) == (2, "")
    assert "nobody has confirmed that real money may be traded" in err
    assert not live.exists()


def test_a_flow_refuses_too(run_cli: Run, live: Path) -> None:
    code, _, err = run_cli("plan", "KR", "--show-prompt")

    assert code == 2
    assert "nobody has confirmed" in err


def test_go_live_asks_for_the_words_and_shows_the_limits(
    run_cli: Run, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = iter(["yes", "I trade real money"])
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(words))
    code, out, err = run_cli("go-live")

    assert code == 2
    assert "not confirmed" in err
    assert "****78-01" in out
    assert "MAX_LOSS_PCT" in out
    assert not live.exists()
    code, out, _ = run_cli("go-live")
    assert code == 0
    assert json.loads(live.read_text())["markets"] == ["KR"]


def test_go_live_without_a_question_for_machines(run_cli: Run, live: Path) -> None:
    code, out, _ = run_cli("go-live", "--i-know", "--json")

    assert code == 0
    assert json.loads(out)["limits"]["MAX_ORDER_PCT"] == 30.0
    assert live.exists()


def test_there_is_nothing_to_confirm_on_paper(run_cli: Run) -> None:
    code, _, err = run_cli("go-live", "--i-know")

    assert code == 2
    assert "set MODE=live" in err


def test_status_says_nothing_of_parts_where_nothing_is_up(run_cli: Run) -> None:
    code, out, _ = run_cli("status", "--json")

    assert code == 0
    assert json.loads(out)["up"] is None


def test_logs_where_nothing_was_written(run_cli: Run) -> None:
    code, _, err = run_cli("logs")

    assert code == 2
    assert "start it with: ouroboros up" in err


def test_logs_of_a_part_that_there_is_not(run_cli: Run) -> None:
    logs = Path(os.environ["OUROBOROS_HOME"]) / "logs"
    logs.mkdir(parents=True)
    (logs / "worker.log").write_text("one\n[red]two[/]\n")

    code, _, err = run_cli("logs", "wurker")
    assert code == 2
    assert "there are worker" in err
    code, out, _ = run_cli("logs")
    assert out.splitlines() == ["worker     one", "worker     [red]two[/]"]
