"""Real money is traded only after a person confirmed the account and the limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_core.errors import ConfigError
from trading_core.wiring import (
    CONFIRMATION,
    configure,
    confirm_live,
    live_limits,
    open_runtime,
    require_confirmation,
)

AT = datetime(2026, 11, 23, 0, 30, tzinfo=UTC)
KEYS: dict[str, Any] = {
    "mode": "live",
    "kis_app_key": "app-key-000",
    "kis_app_secret": "app-secret-000",
    "kis_account_no": "12345678-01",
    "enabled_markets": "KR",
}


@pytest.fixture
def live(tmp_path: Path) -> Callable[..., Any]:
    return lambda **changes: configure(ouroboros_home=tmp_path / "home", **{**KEYS, **changes})


async def test_nothing_is_opened_for_real_money_that_nobody_confirmed(live: Any) -> None:
    with pytest.raises(ConfigError, match="nobody has confirmed") as refusal:
        async with open_runtime(live()):
            pass

    said = str(refusal.value)
    assert "live account ****78-01" in said
    assert "MAX_LOSS_PCT=3" in said
    assert "MAX_ORDER_PCT=30" in said
    assert "ouroboros go-live" in said
    assert "12345678" not in said


async def test_once_confirmed_it_opens(live: Any) -> None:
    settings = live()
    confirm_live(settings, AT)

    async with open_runtime(settings) as runtime:
        assert runtime.venue == "live"


async def test_what_stops_trading_needs_no_confirmation(live: Any) -> None:
    async with open_runtime(live(), unconfirmed=True) as runtime:
        assert runtime.venue == "live"


def test_paper_needs_none(tmp_path: Path) -> None:
    require_confirmation(configure(ouroboros_home=tmp_path))


def test_the_file_names_the_masked_account_and_the_limits(live: Any) -> None:
    path = confirm_live(live(), AT)
    written = json.loads(path.read_text())

    assert path.name == CONFIRMATION
    assert path.stat().st_mode & 0o777 == 0o600
    assert written["account"] == "live account ****78-01"
    assert written["limits"]["MAX_LOSS_PCT"] == 3.0
    assert written["confirmed_at"] == "2026-11-23T00:30:00+00:00"
    assert "12345678" not in path.read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kis_account_no": "87654321-01"}, "another account was confirmed"),
        ({"enabled_markets": "KR,US"}, "US was not confirmed"),
        ({"max_loss_pct": 2.6}, "MAX_LOSS_PCT=2.6 is looser"),
        ({"guard_max_exposure_pct": 0}, "GUARD_MAX_EXPOSURE_PCT=0 is looser"),
        ({"guard_max_orders_per_session": 201}, "GUARD_MAX_ORDERS_PER_SESSION=201 is looser"),
    ],
)
def test_another_account_or_a_looser_limit_needs_a_new_one(
    live: Any, changes: dict[str, Any], said: str
) -> None:
    confirm_live(live(max_loss_pct=2.5), AT)

    with pytest.raises(ConfigError, match=said):
        require_confirmation(live(**{"max_loss_pct": 2.5, **changes}))


def test_stricter_limits_need_none(live: Any) -> None:
    confirm_live(live(guard_max_orders_per_session=0), AT)

    require_confirmation(live(max_loss_pct=1.0, max_order_pct=5, guard_max_orders_per_session=9))


@pytest.mark.parametrize("text", ["", "[]", '{"account": "x"}', '{"account":1,"markets":2}'])
def test_a_file_that_says_nothing_confirms_nothing(live: Any, text: str) -> None:
    settings = live()
    settings.ouroboros_home.mkdir()
    (settings.ouroboros_home / CONFIRMATION).write_text(text)

    with pytest.raises(ConfigError, match="cannot be read"):
        require_confirmation(settings)


def test_every_limit_that_can_cost_money_is_shown(live: Any) -> None:
    shown = live_limits(live())["limits"]

    assert {"MAX_LOSS_PCT", "MAX_ORDER_PCT", "GUARD_MAX_EXPOSURE_PCT"} <= set(shown)
