"""The settings of orders that do not fill: what is allowed, and that they arrive at the rules."""

from __future__ import annotations

from datetime import timedelta

import pytest

from trading_core.errors import ConfigError
from trading_core.model.limits import UnfilledPolicy
from trading_core.settings import Settings, load_settings
from trading_core.wiring import policy_of


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


def test_the_defaults_are_those_of_the_rules() -> None:
    policy = policy_of(load_settings())
    assert policy.unfilled == UnfilledPolicy()
    assert policy.guards.pause_after_unfilled == timedelta(minutes=10)


def test_every_setting_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "UNFILLED_ENTRY_SECONDS": "60",
        "UNFILLED_EXIT_SECONDS": "15",
        "UNFILLED_MAX_GAP_PCT": "1.5",
        "UNFILLED_PAUSE_MINUTES": "20",
        "KIS_ROUTE": "NXT",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    policy = policy_of(load_settings())
    assert policy.unfilled == UnfilledPolicy(
        entry_wait=timedelta(seconds=60),
        exit_wait=timedelta(seconds=15),
        max_gap_pct=1.5,
        market_orders=False,
    )
    assert policy.guards.pause_after_unfilled == timedelta(minutes=20)


def test_a_route_that_lets_the_broker_choose_takes_market_orders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KIS_ROUTE", "SOR")
    assert policy_of(load_settings()).unfilled.market_orders


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UNFILLED_ENTRY_SECONDS", "4"),
        ("UNFILLED_EXIT_SECONDS", "0"),
        ("UNFILLED_MAX_GAP_PCT", "-1"),
        ("UNFILLED_MAX_GAP_PCT", "31"),
        ("UNFILLED_PAUSE_MINUTES", "-5"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        load_settings()
