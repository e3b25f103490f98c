"""The settings of the exits: what is allowed, and that they arrive at the rules."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from trading_core.errors import ConfigError
from trading_core.model.limits import ExitPolicy, SessionEnd
from trading_core.settings import Settings, load_settings
from trading_core.wiring import policy_of


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


def test_the_defaults_are_those_of_the_rules() -> None:
    assert policy_of(load_settings()).exits == ExitPolicy()


def test_every_setting_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "EXIT_ATR_STOP_MULTIPLE": "1.5",
        "EXIT_ATR_STOP_TIGHTEST_PCT": "-1",
        "EXIT_ATR_STOP_LOOSEST_PCT": "-5",
        "EXIT_TAKE_PROFIT_PCT": "8",
        "EXIT_TRAIL_AFTER_TAKE_PROFIT": "true",
        "EXIT_BREAK_EVEN_ARM_PCT": "1.2",
        "EXIT_TRAIL_ARM_PCT": "3.5",
        "EXIT_TRAIL_ATR_MULTIPLE": "2.2",
        "EXIT_TIME_STOP_SESSIONS": "7",
        "EXIT_AT_SESSION_END": "close_losers",
        "EXIT_SESSION_END_MINUTES": "20",
        "EXIT_BLIND_LOOKS": "5",
        "EXIT_QUOTE_MAX_AGE_SECONDS": "90",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert policy_of(load_settings()).exits == ExitPolicy(
        atr_stop_multiple=1.5,
        atr_stop_tightest_pct=-1.0,
        atr_stop_loosest_pct=-5.0,
        take_profit_pct=8.0,
        trail_after_take_profit=True,
        break_even_arm_pct=1.2,
        trail_arm_pct=3.5,
        trail_atr_multiple=2.2,
        time_stop_sessions=7,
        at_session_end=SessionEnd.CLOSE_LOSERS,
        session_end_minutes=20.0,
        blind_looks=5,
        quote_max_age=timedelta(seconds=90),
    )


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"exit_break_even_arm_pct": 4.0}, "EXIT_TRAIL_ARM_PCT=4.0"),
        ({"exit_trail_arm_pct": 2.0}, "EXIT_BREAK_EVEN_ARM_PCT=2.0"),
        ({"exit_break_even_arm_pct": 0.0}, "EXIT_BREAK_EVEN_ARM_PCT"),
        ({"exit_break_even_arm_pct": -1.0}, "EXIT_BREAK_EVEN_ARM_PCT"),
        ({"exit_atr_stop_loosest_pct": -1.9}, "EXIT_ATR_STOP_TIGHTEST_PCT=-2.0"),
        ({"exit_atr_stop_loosest_pct": 7.0}, "EXIT_ATR_STOP_LOOSEST_PCT"),
        ({"exit_atr_stop_tightest_pct": 0.0}, "EXIT_ATR_STOP_TIGHTEST_PCT"),
        ({"exit_atr_stop_multiple": 0}, "EXIT_ATR_STOP_MULTIPLE"),
        ({"exit_take_profit_pct": -1}, "EXIT_TAKE_PROFIT_PCT"),
        ({"exit_trail_atr_multiple": math.nan}, "EXIT_TRAIL_ATR_MULTIPLE"),
        ({"exit_time_stop_sessions": -1}, "EXIT_TIME_STOP_SESSIONS"),
        ({"exit_at_session_end": "sell"}, "EXIT_AT_SESSION_END"),
        ({"exit_session_end_minutes": 0}, "EXIT_SESSION_END_MINUTES"),
        ({"exit_blind_looks": 0}, "EXIT_BLIND_LOOKS"),
        ({"exit_quote_max_age_seconds": 0}, "EXIT_QUOTE_MAX_AGE_SECONDS"),
    ],
)
def test_what_makes_no_sense_does_not_load(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load_settings(**values)


def test_a_band_of_one_width_is_a_fixed_stop() -> None:
    settings = load_settings(exit_atr_stop_loosest_pct=-3.0, exit_atr_stop_tightest_pct=-3.0)
    assert policy_of(settings).exits.atr_stop_loosest_pct == -3.0


@pytest.mark.parametrize(
    "values",
    [
        {"atr_stop_multiple": 0.0},
        {"atr_stop_tightest_pct": 0.0},
        {"atr_stop_loosest_pct": -100.0},
        {"atr_stop_loosest_pct": -1.0},
        {"atr_stop_loosest_pct": math.nan},
        {"take_profit_pct": 0.0},
        {"break_even_arm_pct": -0.1},
        {"break_even_arm_pct": 4.0},
        {"trail_arm_pct": math.nan},
        {"trail_arm_pct": math.inf},
        {"trail_atr_multiple": math.inf},
        {"time_stop_sessions": -1},
        {"session_end_minutes": 0.0},
        {"blind_looks": 0},
        {"quote_max_age": timedelta(0)},
    ],
    ids=str,
)
def test_a_policy_that_makes_no_sense_cannot_be_made(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        ExitPolicy(**values)
