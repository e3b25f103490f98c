"""``ouroboros book``: the list of what is booked, and what it says without a server."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

Run = Callable[..., tuple[int, str, str]]

DAY = "--from", "2026-11-27", "--until", "2026-11-27"


def listed(run_cli: Run, *arguments: str) -> list[dict[str, str]]:
    code, out, _ = run_cli("book", *arguments, "--dry-run", "--json")
    assert code == 0
    return [json.loads(line) for line in out.splitlines()]


def test_a_dry_run_lists_one_object_a_line_in_order_of_time(
    run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENABLED_MARKETS", "US")
    monkeypatch.setenv("PRE_MARKET_MINUTES", "45")

    rows = listed(run_cli, *DAY)

    assert [(row["flow"], row["scheduled_at"]) for row in rows] == [
        ("plan", "2026-11-27T13:45:00+00:00"),
        ("session", "2026-11-27T14:25:00+00:00"),
        ("tick", "2026-11-27T14:30:00+00:00"),
        ("review", "2026-11-27T18:20:00+00:00"),
        ("backup", "2026-11-27T18:40:00+00:00"),
    ]
    assert {(row["market"], row["session"]) for row in rows} == {("US", "2026-11-27")}
    assert [row["deployment"] for row in rows][::4] == ["plan/US", "backup/after-review"]


def test_rounds_follow_the_settings_and_realtime_mode_has_none(
    run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENABLED_MARKETS", "KR")
    monkeypatch.setenv("DAILY_SESSIONS", "3")
    monkeypatch.setenv("SESSION_INTERVAL_HOURS", "2")
    ticks = [row["scheduled_at"][11:16] for row in listed(run_cli, *DAY) if row["flow"] == "tick"]
    assert ticks == ["00:00", "02:00", "04:00"]

    monkeypatch.setenv("TRADE_MODE", "realtime")
    assert "tick" not in {row["flow"] for row in listed(run_cli, *DAY)}


def test_a_calendar_that_ends_is_said(run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENABLED_MARKETS", "VN,KR")

    code, out, err = run_cli("book", "--from", "2026-12-31", "--until", "2027-01-04", "--dry-run")

    assert code == 0
    assert err == "warning: sessions of VN are known until 2026-12-31\n"
    assert out.count("session/KR") == 1
    assert out.count("session/VN") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "2026-11-27", "--until", "2026-11-26", "--dry-run"), "is before --from"),
        (("--from", "tomorrow", "--dry-run"), "not a date"),
        (("--from", "2026-11-27"), "go with --dry-run"),
        ((), "no Prefect server is configured"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    run_cli: Run, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = run_cli("book", *arguments)

    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
