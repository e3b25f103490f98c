"""``ouroboros notify`` and what ``up`` and ``down`` say."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from flows.supervision.told import tell_of_start, tell_of_stop
from trading_core.model.notice import NotifyKind
from trading_core.wiring import configure, open_store

Run = Callable[..., tuple[int, str, str]]


def test_every_kind_is_listed_and_one_can_be_set(run_cli: Run) -> None:
    code, out, _ = run_cli("notify", "--json")
    answer = json.loads(out)
    assert (code, answer["channels"], answer["quiet_hours"]) == (0, {}, None)
    assert [row["kind"] for row in answer["kinds"]] == list(NotifyKind)
    code, out, _ = run_cli("notify", "order-filled", "silent", "--json")
    (row,) = json.loads(out)["kinds"]
    assert (code, row["kind"], row["level"], row["is_set"]) == (0, "order_filled", "silent", True)
    code, out, _ = run_cli("notify", "order_filled")
    assert code == 0
    assert "silent" in out
    assert "(default)" not in out
    assert "none, only the log" in out


@pytest.mark.parametrize("wrong", [("bell", "on"), ("halt", "loud"), ("bell",)])
def test_a_wrong_word_is_one_line_that_says_what_there_is(
    run_cli: Run, wrong: tuple[str, ...]
) -> None:
    code, _, err = run_cli("notify", *wrong)
    assert code != 0
    assert "there are:" in err


def test_a_test_message_needs_a_channel_and_says_what_became_of_it(
    run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run_cli("notify", "--test")
    assert code != 0
    assert "TELEGRAM_BOT_TOKEN" in err
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "123456789:AAE-not-a-real-token-of-anyone_0123456")
    monkeypatch.setenv("TELEGRAM_CHAT_ID", "42")
    monkeypatch.setenv("TELEGRAM_BASE_URL", "http://127.0.0.1:9/bot")
    code, out, _ = run_cli("notify", "--test", "--json")
    assert (code, json.loads(out)) == (0, {"channels": {"telegram": "waits"}})
    assert json.loads(run_cli("notify", "--json")[1])["channels"] == {"telegram": 1}


@pytest.mark.usefixtures("run_cli")
def test_the_start_and_the_stop_of_everything_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = configure()
    tell_of_start(settings, ["prefect", "worker"])
    tell_of_stop(settings)
    with open_store(settings).read() as db:
        stop, start = db.notifications()
    assert (start.kind, stop.kind) == ("system_start", "system_stop")
    assert start.text == "paper trading of KR, US: prefect, worker are up"

    def broken(settings: object) -> None:
        raise RuntimeError("no store")

    monkeypatch.setattr("trading_core.wiring.alerts.open_store", broken)
    tell_of_stop(settings)
