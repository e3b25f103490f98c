"""The commands that read and steer: help, status, why, halt, resume, doctor; and their errors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer

from flows import cli
from tests.record_factories import (
    AT,
    SESSION,
    make_decision,
    make_halt,
    make_intent,
    make_order_life,
    one_of_each,
)
from trading_core.adapters.duck import DuckStore
from trading_core.errors import CircuitBreakerTripped, ConfigError, StoreBusy
from trading_core.model.order import OrderState

Run = Callable[..., tuple[int, str, str]]

COMMANDS = (
    *("demo", "plan", "session", "tick", "review", "backup", "status", "why", "halt", "resume"),
    *("kill", "settle", "doctor", "twin serve", "decisions review", "memory", "book"),
    *("up", "down", "logs", "dashboard", "go-live"),
    *("backup health", "backup list", "restore", "export"),
)


def all_commands() -> dict[str, Any]:
    root: Any = typer.main.get_command(cli.app)
    found: dict[str, Any] = {}
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            found |= {f"{name} {inner}": item for inner, item in command.commands.items()}
        if getattr(command, "invoke_without_command", True):
            found[name] = command
    return found


def as_json(run_cli: Run, *arguments: str, code: int = 0) -> dict[str, Any]:
    ended, out, err = run_cli(*arguments, "--json")
    assert (ended, err) == (code, "")
    [line] = out.splitlines()
    answer: dict[str, Any] = json.loads(line)
    return answer


def refused(run_cli: Run, *arguments: str, code: int = 2) -> str:
    """The one line that a refused command says."""
    ended, out, err = run_cli(*arguments)
    assert (ended, out) == (code, "")
    [line] = err.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


@pytest.fixture
def store() -> DuckStore:
    """A small store in the home, with a record of every kind and a halt that stands."""
    home = Path(os.environ["OUROBOROS_HOME"])
    home.mkdir(parents=True)
    store = DuckStore(home / "trades.db")
    with store.write() as tx:
        tx.append(one_of_each())
    return store


# --- Help ----------------------------------------------------------------------------------------


def test_all_commands_are_there() -> None:
    assert set(COMMANDS) <= set(all_commands())


@pytest.mark.parametrize("name", all_commands())
def test_help_teaches_the_command_and_every_option_of_it(run_cli: Run, name: str) -> None:
    code, out, err = run_cli(*name.split(), "--help")

    assert (code, err) == (0, "")
    command = all_commands()[name]
    assert len((command.help or "").split()) >= 4
    assert (command.help or "").split(".")[0].split()[0] in out
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_without_a_command_it_says_where_to_begin(run_cli: Run) -> None:
    code, out, err = run_cli()

    assert code in (0, 2)
    assert "ouroboros demo" in " ".join((out + err).split())


def test_an_unknown_command_is_refused(run_cli: Run) -> None:
    code, _, err = run_cli("trade")

    assert code == 2
    assert "trade" in err


# --- An empty home -------------------------------------------------------------------------------


def test_status_of_an_empty_home_says_what_comes_next(run_cli: Run) -> None:
    code, out, err = run_cli("status")

    assert (code, err) == (0, "")
    assert "KR: nothing yet" in out
    answer = as_json(run_cli, "status")
    assert answer["nothing_yet"] == ["KR", "US"]
    assert answer["markets"] == answer["halts"] == []
    assert answer["store"] == f"{os.environ['OUROBOROS_HOME']}/trades.db"


def test_nothing_is_known_of_a_symbol_in_an_empty_home(run_cli: Run) -> None:
    assert "nothing is known of 005930 in KR, US" in refused(run_cli, "why", "005930")


def test_there_is_nothing_to_lift_in_an_empty_home(run_cli: Run) -> None:
    code, out, _ = run_cli("resume", "--reason", "looked at it")

    assert code == 0
    assert "nothing to lift" in out


def test_doctor_names_what_is_missing_and_goes_on_with_the_rest(run_cli: Run) -> None:
    answer = as_json(run_cli, "doctor", code=1)

    results = {check["name"]: check["result"] for check in answer["checks"]}
    assert results.pop("broker") == "failed"
    assert {"settings", "disk", "store", "calendars", "planner"} <= set(results)
    assert set(results.values()) <= {"ok", "warning"}
    [broker] = [check for check in answer["checks"] if check["name"] == "broker"]
    assert "KIS_APP_KEY" in broker["detail"]
    assert "ouroboros twin serve" in broker["detail"]


def test_doctor_says_which_setting_is_wrong(run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_ORDER_PCT", "31")

    answer = as_json(run_cli, "doctor", code=1)

    [check] = answer["checks"]
    assert check["result"] == "failed"
    assert "MAX_ORDER_PCT=31" in check["detail"]


def test_doctor_does_not_hang_on_a_twin_that_is_gone(run_cli: Run) -> None:
    home = Path(os.environ["OUROBOROS_HOME"])
    home.mkdir(parents=True)
    (home / "twin.json").write_text('{"url": "http://127.0.0.1:9", "pid": 1}')

    code, out, err = run_cli("doctor")

    assert (code, err) == (1, "")
    assert "failed   broker" in out


# --- A store with something in it ----------------------------------------------------------------


def test_status_sums_the_newest_session_up(run_cli: Run, store: DuckStore) -> None:
    answer = as_json(run_cli, "status")

    [market] = answer["markets"]
    assert (market["market"], market["session"]) == ("KR", SESSION.isoformat())
    assert market["playbook"]["source"] == "gemini"
    assert market["orders"]["intended"] == 1
    assert answer["nothing_yet"] == ["US"]
    assert [halt["scope"] for halt in answer["halts"]] == ["KRW"]
    # Ten were bought by the strategy; the three found at the broker were split into six.
    assert {(row["symbol"], row["quantity"]) for row in market["positions"]} == {
        ("005930", 10),
        ("005930", 6),
    }


def test_money_in_json_is_text_and_never_a_float(run_cli: Run, store: DuckStore) -> None:
    [market] = as_json(run_cli, "status")["markets"]

    for amount in (
        *market["pnl"]["KRW"].values(),
        *market["equity"]["KRW"].values(),
        *market["scorecard"]["net_pnl"].values(),
        market["llm"]["cost"],
    ):
        assert isinstance(amount, str)
        assert Decimal(amount).is_finite()
        assert "E" not in amount.upper()


def test_status_shows_the_halt_and_how_to_lift_it_on_one_line(
    run_cli: Run, store: DuckStore
) -> None:
    code, out, err = run_cli("status")

    assert (code, err) == (0, "")
    [line] = [line for line in out.splitlines() if "halted (KRW)" in line]
    assert "ouroboros resume KRW" in line
    assert "005930" in out


def test_why_tells_the_funnel_of_a_symbol(run_cli: Run, store: DuckStore) -> None:
    answer = as_json(run_cli, "why", "005930")

    assert (answer["market"], answer["symbol"]) == ("KR", "005930")
    assert [stage["name"] for stage in answer["stages"]][:3] == [
        *("candidate", "playbook", "observation"),
    ]
    assert answer["decisions"][0]["decision_id"] == "decision-1"
    assert answer["orders"][0]["intent"]["intent_id"] == "intent-1"

    code, out, _ = run_cli("why", "005930")
    assert code == 0
    shown = " ".join(out.split())
    assert "005930#0 (BUY) at 10:00: rsi 31, needed < 30.5" in shown
    assert "BUY at 10:00, confidence 85: rsi 28.1 < 30.5" in shown
    assert "BUY 10 at 70,500" in shown


def test_why_takes_a_time_of_the_exchange_or_an_iso_time(run_cli: Run, store: DuckStore) -> None:
    for at in ("10:00", "2026-11-20T10:00", "2026-11-20T01:00:00+00:00"):
        answer = as_json(run_cli, "why", "005930", "--at", at)
        assert (answer["session"], answer["at"]) == ("2026-11-20", AT.isoformat())
    assert as_json(run_cli, "why", "005930", "--at", "09:59")["at"] is None
    for wrong in ("noon", "25:00", "2026-13-01T10:00"):
        assert f"--at {wrong}" in refused(run_cli, "why", "005930", "--at", wrong)


def test_decisions_are_listed_narrowed_and_reviewed(run_cli: Run, store: DuckStore) -> None:
    with store.write() as tx:
        tx.append([make_decision(decision_id="fedcba98", action="HOLD")])
    both = as_json(run_cli, "decisions")["decisions"]
    assert [item["decision"]["decision_id"] for item in both] == ["fedcba98", "decision-1"]
    assert both[1]["outcome"]["outcome_pnl"] == "-1234.5"
    [hold] = as_json(run_cli, "decisions", "--market", "kr", "--action", "hold")["decisions"]
    [fresh] = as_json(run_cli, "decisions", "--unreviewed", "--symbol", "005930")["decisions"]
    assert hold == fresh
    made = as_json(run_cli, "decisions", "review", "fed", "--note", "too early", "--by", "me")
    assert made["reviewed"]["review"]["note"] == "too early"
    assert as_json(run_cli, "decisions", "--unreviewed")["decisions"] == []
    code, out, _ = run_cli("decisions", "--date", SESSION.isoformat(), "--limit", "1")
    assert code == 0
    assert "reviewed (me): too early" in out and "the newest 1" in out
    assert "no decision's id" in refused(run_cli, "decisions", "review", "zz", "--note", "x")


def test_why_finds_a_symbol_written_small_and_in_a_named_market(
    run_cli: Run, store: DuckStore
) -> None:
    code, _, _ = run_cli("why", "005930", "--market", "kr", "--date", SESSION.isoformat())

    assert code == 0
    assert "nothing is known" in refused(run_cli, "why", "005930", "--market", "US")
    assert "on 2026-11-19" in refused(run_cli, "why", "005930", "--date", "2026-11-19")


def test_a_halt_stands_until_it_is_lifted_with_a_reason(run_cli: Run, store: DuckStore) -> None:
    raised = as_json(run_cli, "halt", "kr", "--reason", "earnings today")["raised"]
    assert [(item["scope"], item["kind"]) for item in raised] == [("KR", "operator")]
    assert {h["scope"] for h in as_json(run_cli, "status")["halts"]} == {"KR", "KRW"}

    lifted = as_json(run_cli, "resume", "KR", "--reason", "earnings are out")["lifted"]

    assert [item["scope"] for item in lifted] == ["KR"]
    assert {h["scope"] for h in as_json(run_cli, "status")["halts"]} == {"KRW"}
    with store.read() as reader:
        lifted_by = {halt.halt_id: halt.lifted_by for halt in reader.halts()}
    assert "earnings are out" in lifted_by[raised[0]["halt_id"]]


def test_resume_of_everything_lifts_the_breaker_too(run_cli: Run, store: DuckStore) -> None:
    with store.write() as tx:
        tx.append([make_halt(halt_id="halt-2", scope="US", raised_at=AT)])

    lifted = as_json(run_cli, "resume", "--reason", "loss understood")["lifted"]

    assert {item["scope"] for item in lifted} == {"KRW", "US"}
    assert as_json(run_cli, "status")["halts"] == []


@pytest.mark.parametrize("reason", ["", "   "])
def test_resume_without_a_reason_lifts_nothing(run_cli: Run, store: DuckStore, reason: str) -> None:
    assert "say why it is safe" in refused(run_cli, "resume", "--reason", reason)

    assert len(as_json(run_cli, "status")["halts"]) == 1


def test_resume_with_nobody_to_ask_for_the_reason_lifts_nothing(
    run_cli: Run, store: DuckStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        code, _, _ = run_cli("resume")

    assert code != 0
    assert len(as_json(run_cli, "status")["halts"]) == 1


@pytest.mark.parametrize("reason", ["[/red]", "[bold]", "a [link", "back\\slash [/", "한글 [/]"])
def test_a_reason_is_shown_as_it_was_written(run_cli: Run, reason: str) -> None:
    for command in (("halt", "KR", "--reason", reason), ("status",)):
        code, out, err = run_cli(*command)
        assert (code, err) == (0, "")
        assert reason in out


# --- How a command ends ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (StoreBusy("held by another"), 1, "error: held by another\n"),
        (ConfigError("not set"), 2, "error: not set\n"),
        (CircuitBreakerTripped("day P&L -3.2 %"), 1, "error: day P&L -3.2 %\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: /x: Permission denied\n"),
        (SystemExit(), 0, ""),
        (SystemExit(3), 3, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_known_end_is_one_line_and_its_exit_code(
    run_cli: Run, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, line: str
) -> None:
    def app() -> None:
        raise raised

    monkeypatch.setattr(cli, "app", app)

    assert run_cli("status") == (code, "", line)


def test_an_error_nobody_foresaw_shows_where_it_came_from(
    run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def app() -> None:
        raise ZeroDivisionError("a fault in the program")

    monkeypatch.setattr(cli, "app", app)

    with pytest.raises(ZeroDivisionError):
        run_cli("status")


# --- Wrong input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        *[(name, "MARS") for name in ("plan", "session", "tick", "review", "halt")],
        ("resume", "MARS", "--reason", "x"),
        ("why", "005930", "--market", "MARS"),
        ("demo", "--market", "MARS"),
        ("twin", "serve", "--market", "MARS"),
    ],
    ids=" ".join,
)
def test_an_unknown_market_is_refused_with_those_that_are_known(
    run_cli: Run, arguments: tuple[str, ...]
) -> None:
    line = refused(run_cli, *arguments)

    assert "unknown market 'MARS'" in line
    assert "KR, US, JP, HK, CN, VN" in line


@pytest.mark.parametrize("text", ["2026-13-01", "2026-02-30", "yesterday", "", "20/11/2026"])
@pytest.mark.parametrize("command", [("why", "005930"), ("demo",), ("twin", "serve")], ids=" ".join)
def test_a_wrong_date_is_refused(run_cli: Run, command: tuple[str, ...], text: str) -> None:
    line = refused(run_cli, *command, "--date", text)

    assert line == f"--date {text}: not a date; write it as YYYY-MM-DD"


@pytest.mark.parametrize("text", ["-5", "0", "nan", "inf", "lots", ""])
@pytest.mark.parametrize("command", [("demo",), ("twin", "serve")], ids=" ".join)
def test_a_wrong_capital_is_refused(run_cli: Run, command: tuple[str, ...], text: str) -> None:
    assert refused(run_cli, *command, "--capital", text).startswith(f"--capital {text}: ")


def test_a_home_that_is_a_file_is_refused(
    run_cli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("OUROBOROS_HOME", str(tmp_path / "file"))

    assert refused(run_cli, "status").startswith(f"OUROBOROS_HOME={tmp_path}/file: cannot be used")


def test_a_store_that_is_another_programs_file_is_refused_and_left_alone(
    run_cli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("my notes")
    monkeypatch.setenv("DB_PATH", str(tmp_path / "notes.txt"))

    assert str(tmp_path / "notes.txt") in refused(run_cli, "status", code=1)
    assert (tmp_path / "notes.txt").read_text() == "my notes"


def test_settle_says_where_an_order_of_unknown_fate_stands_now(run_cli: Run) -> None:
    home = Path(os.environ["OUROBOROS_HOME"])
    home.mkdir(parents=True)
    states = (OrderState.INTENDED, OrderState.SENDING, OrderState.UNKNOWN)
    with DuckStore(home / "trades.db").write() as tx:
        tx.append([make_intent(), *make_order_life(*states)])

    code, out, err = run_cli("settle", "intent-1", "0000000042", "--reason", "saw it in the app")

    assert (code, err) == (0, "")
    assert "accepted" in out
    assert run_cli("settle", "intent-1", "0000000042", "--reason", "again")[0] == 2
    assert run_cli("settle", "nothing", "NONE", "--reason", "looked")[0] == 2


# --- Levels and the kill switch -------------------------------------------------------------------


def test_a_halt_of_everything_says_that_exits_are_stopped_too(run_cli: Run) -> None:
    as_json(run_cli, "halt", "KR", "--reason", "a doubt", "--everything")

    answer = as_json(run_cli, "status")
    assert answer["states"] == {"KR": "halted", "US": "active"}
    assert answer["state"] == "halted"
    [halt] = answer["halts"]
    assert (halt["level"], halt["lift_with"]) == ("halted", "ouroboros resume KR")
    out = run_cli("status")[1]
    assert "KR: halted" in out
    assert "exits are stopped too" in out


def test_status_shows_the_state_of_every_market(run_cli: Run, store: DuckStore) -> None:
    answer = as_json(run_cli, "status")

    assert answer["states"] == {"KR": "reducing", "US": "active"}
    assert answer["paused_deployments"] == ["plan/KR"]


def test_kill_blocks_even_where_no_broker_can_be_reached(run_cli: Run) -> None:
    answer = as_json(run_cli, "kill", "kr", "--reason", "a doubt", code=1)

    assert answer["failed"] == ["cancel"]
    assert "no broker" in answer["line"]
    assert as_json(run_cli, "status")["states"]["KR"] == "halted"
    code, out, _ = run_cli("kill", "KR", "--reason", "a doubt")
    assert code == 1
    assert out.splitlines()[0].startswith("kill KR: cancel failed: no broker")
    assert "ouroboros resume KR" in out
    assert len(as_json(run_cli, "status")["halts"]) == 1


@pytest.mark.parametrize("scope", ["MARS", "KRW"])
def test_kill_takes_a_market_or_all(run_cli: Run, scope: str) -> None:
    assert "unknown market" in refused(run_cli, "kill", scope, "--reason", "x")
    assert as_json(run_cli, "status")["halts"] == []


def test_kill_without_a_reason_does_nothing(run_cli: Run) -> None:
    assert "kill needs a reason" in refused(run_cli, "kill", "--reason", " ")
    assert as_json(run_cli, "status")["halts"] == []
