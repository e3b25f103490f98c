"""How often and how long a model is asked, as the settings say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from trading_core.errors import ConfigError
from trading_core.policies import realtime_of
from trading_core.settings import load_settings


@pytest.mark.parametrize("seconds", [10, 60, 600])
def test_asking_leaves_room_in_a_cycle_and_one_call_in_asking(seconds: int) -> None:
    made = realtime_of(load_settings(trade_mode="realtime", realtime_cycle_seconds=seconds))
    assert (made.is_on, made.every) == (True, timedelta(seconds=seconds))
    assert made.call_seconds < made.cycle_seconds < seconds


def test_as_a_last_resort_the_model_is_asked_at_the_pace_of_daily_mode() -> None:
    made = realtime_of(load_settings(rescan_interval_seconds=300))
    assert (made.is_on, made.every) == (False, timedelta(seconds=300))
    assert made.cycle_seconds < 60
    assert realtime_of(load_settings(rescan_interval_seconds=10)).cycle_seconds < 10


def test_the_scanner_says_how_many_are_asked_about() -> None:
    assert realtime_of(load_settings(scanner_top_n=5)).top_n == 5


def test_a_cycle_below_ten_seconds_is_refused() -> None:
    with pytest.raises(ConfigError, match="REALTIME_CYCLE_SECONDS"):
        load_settings(realtime_cycle_seconds=9)
