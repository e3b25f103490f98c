"""Limits can be made stricter, never looser."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from trading_core.errors import ConfigError
from trading_core.model.limits import RiskLimits

NAN, INF = float("nan"), float("inf")


def test_the_standing_limits_are_three_thirty_and_eighty() -> None:
    limits = RiskLimits()
    assert (limits.max_loss_pct, limits.max_order_pct) == (3.0, 30.0)
    assert limits.confidence_threshold == 80


@pytest.mark.parametrize("value", [0.1, 1.5, 2.999, 3.0])
def test_a_loss_limit_up_to_three_percent_loads(value: float) -> None:
    assert RiskLimits(max_loss_pct=value).max_loss_pct == value


@pytest.mark.parametrize("value", [3.0000001, 3.01, 5, 50, INF, NAN, 0, -3.0, -0.1])
def test_a_looser_or_senseless_loss_limit_does_not_load(value: float) -> None:
    with pytest.raises(ConfigError, match="MAX_LOSS_PCT"):
        RiskLimits(max_loss_pct=value)


@pytest.mark.parametrize("value", [0.1, 29.9, 30.0])
def test_an_order_limit_up_to_thirty_percent_loads(value: float) -> None:
    assert RiskLimits(max_order_pct=value).max_order_pct == value


@pytest.mark.parametrize("value", [30.0000001, 31, 100, INF, NAN, 0, -30.0])
def test_a_looser_or_senseless_order_limit_does_not_load(value: float) -> None:
    with pytest.raises(ConfigError, match="MAX_ORDER_PCT"):
        RiskLimits(max_order_pct=value)


@pytest.mark.parametrize("value", [-1, 101])
def test_a_confidence_threshold_is_a_percentage(value: int) -> None:
    with pytest.raises(ConfigError, match="CONFIDENCE_THRESHOLD"):
        RiskLimits(confidence_threshold=value)
    assert RiskLimits(confidence_threshold=0).confidence_threshold == 0
    assert RiskLimits(confidence_threshold=100).confidence_threshold == 100


def test_limits_cannot_be_loosened_after_they_were_loaded() -> None:
    limits = RiskLimits()
    with pytest.raises(FrozenInstanceError):
        limits.max_loss_pct = 50.0  # type: ignore[misc]
    with pytest.raises(ConfigError):
        replace(limits, max_loss_pct=50.0)
