"""The settings of the guards: what is allowed, and that they arrive at the rules."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from trading_core.errors import ConfigError
from trading_core.model.limits import DEFAULT_MIN_PRICES, GuardLimits
from trading_core.model.market import Currency, MarketGroup
from trading_core.settings import Settings, load_settings
from trading_core.wiring import policy_of


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


def test_the_defaults_are_those_of_the_rules() -> None:
    assert policy_of(load_settings()).guards == GuardLimits()


def test_every_setting_arrives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sectors = tmp_path / "sectors.csv"
    sectors.write_text("market,symbol,sector\nUS_NASDAQ,AAPL,Technology\nKR,005930, Chips\n")
    given = {
        "ENTRY_TRIES_PER_SESSION": "3",
        "REENTRY_AFTER_LOSS_MINUTES": "60",
        "NOT_ABOVE_SALE_SECONDS": "30",
        "CHASE_GAIN_PCT": "6",
        "CHASE_NEAR_HIGH_PCT": "1",
        "MIN_PRICES": "US:3, kr:0",
        "CASH_BUFFERS": "usd:1000,HKD:500.5",
        "CASH_BUFFER_PCT": "5",
        "PAUSE_AFTER_NO_CASH_MINUTES": "20",
        "MAX_SYMBOL_PCT": "12",
        "MAX_SECTOR_PCT": "25",
        "MAX_EXPOSURE_PCT": "80",
        "MAX_ORDERS_PER_SESSION": "50",
        "MAX_ORDERS_PER_MINUTE": "5",
        "REPEAT_AFTER_SECONDS": "15",
        "SECTORS_FILE": str(sectors),
    }
    for name, value in given.items():
        monkeypatch.setenv(f"GUARD_{name}", value)
    assert policy_of(load_settings()).guards == GuardLimits(
        entry_tries_per_session=3,
        reentry_after_loss=timedelta(minutes=60),
        not_above_sale=timedelta(seconds=30),
        chase_gain_pct=6.0,
        chase_near_high_pct=1.0,
        min_prices={**DEFAULT_MIN_PRICES, MarketGroup.US: D(3), MarketGroup.KR: D(0)},
        cash_buffers={Currency.USD: D(1000), Currency.HKD: D("500.5")},
        cash_buffer_pct=5.0,
        pause_after_no_cash=timedelta(minutes=20),
        max_symbol_pct=12.0,
        max_sector_pct=25.0,
        max_exposure_pct=80.0,
        max_orders_per_session=50,
        max_orders_per_minute=5,
        repeat_after=timedelta(seconds=15),
        sectors={MarketGroup.US: {"AAPL": "Technology"}, MarketGroup.KR: {"005930": "Chips"}},
    )


def test_nothing_said_is_the_default_and_zero_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_MIN_PRICES", "")
    monkeypatch.setenv("GUARD_REENTRY_AFTER_LOSS_MINUTES", "0")
    guards = policy_of(load_settings()).guards
    assert guards.min_prices == DEFAULT_MIN_PRICES
    assert guards.reentry_after_loss == timedelta(0)


@pytest.mark.parametrize(
    "values",
    [
        {"guard_entry_tries_per_session": -1},
        {"guard_reentry_after_loss_minutes": 10_081},
        {"guard_not_above_sale_seconds": -1},
        {"guard_chase_gain_pct": "nan"},
        {"guard_chase_near_high_pct": 101},
        {"guard_min_prices": "US"},
        {"guard_min_prices": "US:"},
        {"guard_min_prices": "MARS:5"},
        {"guard_min_prices": "US:-1"},
        {"guard_min_prices": "US:NaN"},
        {"guard_cash_buffers": "EUR:5"},
        {"guard_cash_buffers": "USD=5"},
        {"guard_cash_buffer_pct": 100.5},
        {"guard_pause_after_no_cash_minutes": -1},
        {"guard_max_symbol_pct": 101},
        {"guard_max_sector_pct": -1},
        {"guard_max_exposure_pct": 120},
        {"guard_max_orders_per_session": -1},
        {"guard_max_orders_per_minute": 1.5},
        {"guard_repeat_after_seconds": 601},
    ],
    ids=str,
)
def test_what_makes_no_sense_does_not_load(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values)).upper()):
        load_settings(**values)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (None, "cannot be read"),
        ("market,symbol\nUS,AAPL\n", "no column sector"),
        ("market,symbol,sector\nUS,AAPL,Tech\nMARS,X,Tech\n", "line 3"),
        ("market,symbol,sector\nUS,AAPL\n", "line 2"),
    ],
)
def test_a_file_of_sectors_that_is_no_use_is_named(
    tmp_path: Path, text: str | None, named: str
) -> None:
    path = tmp_path / "sectors.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=named):
        policy_of(load_settings(guard_sectors_file=path))
