"""Limits and policies, split out of the settings into small frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from trading_core.errors import ConfigError

LOOSEST_LOSS_PCT = 3.0
LOOSEST_ORDER_PCT = 30.0


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Limits that can be made stricter than 3.0 and 30.0, never looser.

    Raises:
        ConfigError: a limit is looser than allowed, or not above zero.
    """

    max_loss_pct: float = LOOSEST_LOSS_PCT
    max_order_pct: float = LOOSEST_ORDER_PCT
    confidence_threshold: int = 80

    def __post_init__(self) -> None:
        for name, value, loosest in (
            ("MAX_LOSS_PCT", self.max_loss_pct, LOOSEST_LOSS_PCT),
            ("MAX_ORDER_PCT", self.max_order_pct, LOOSEST_ORDER_PCT),
        ):
            if not 0 < value <= loosest:
                raise ConfigError(f"{name}={value}: must be above 0 and at most {loosest}")
        if not 0 <= self.confidence_threshold <= 100:
            raise ConfigError(
                f"CONFIDENCE_THRESHOLD={self.confidence_threshold}: must be from 0 to 100"
            )


@dataclass(frozen=True, slots=True)
class SizingPolicy:
    """How large an entry is, in percent of the cash of the currency; see ``rules.sizing``."""

    enabled: bool = True
    base_allocation_pct: float = 5.0
    min_allocation_pct: float = 1.0
    max_allocation_pct: float = 10.0
    volatility_target_score: float = 50.0


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """What qualifies a candidate; RSI bounds and volume multiple feed the rule-based planner."""

    top_n: int = 3
    rsi_oversold: float = 30.0
    rsi_momentum: float = 70.0
    volume_multiplier: float = 2.0
    min_volatility_pct: float = 0.8


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """Bounds on a playbook and on the call that writes it."""

    max_scenarios_per_stock: int = 5
    max_allocation_pct: float = 10.0
    timeout_seconds: float = 60.0
    rules_on_failure: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything a person decided beforehand, as one value for the steps."""

    risk: RiskLimits
    sizing: SizingPolicy
    scan: ScanLimits
    plan: PlanLimits
