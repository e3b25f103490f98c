"""When no orders are sent and where accounts are locked, as a person sets it."""

from __future__ import annotations

import pytest

from trading_core.errors import ConfigError
from trading_core.model.limits import DAILY_BATCH, BlackoutWindow
from trading_core.settings import Settings, load_settings
from trading_core.wiring import policy_of


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


def test_the_daily_batch_is_the_blackout_where_nothing_is_said() -> None:
    assert policy_of(load_settings()).blackouts == (DAILY_BATCH,)
    assert str(DAILY_BATCH) == "23:40-00:10"


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("none", ()),
        ("", (DAILY_BATCH,)),
        ("23:40-00:10, 06:00-06:30", BlackoutWindow.parse("23:40-00:10,06:00-06:30")),
    ],
)
def test_windows_arrive_at_the_rules(
    monkeypatch: pytest.MonkeyPatch, text: str, windows: tuple[BlackoutWindow, ...]
) -> None:
    monkeypatch.setenv("BLACKOUT_WINDOWS", text)
    assert policy_of(load_settings()).blackouts == windows


@pytest.mark.parametrize("text", ["23:40", "23:40-25:10", "10:00-10:00", "23:40-00:10,"])
def test_what_is_no_window_is_refused_by_the_name_of_the_setting(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("BLACKOUT_WINDOWS", text)
    with pytest.raises(ConfigError, match=r"BLACKOUT_WINDOWS.*such as 23:40-00:10"):
        load_settings()
