"""Limits and policies, split out of the settings into small frozen values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from decimal import Decimal
from enum import StrEnum

from trading_core.errors import ConfigError
from trading_core.model.market import Currency, MarketGroup

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
    """Bounds on a playbook and on the call that writes it; 0 new positions or tokens is no limit.

    ``prompt_tokens`` bounds the prompt as far as its required facts allow.
    """

    max_scenarios_per_stock: int = 5
    max_allocation_pct: float = 10.0
    timeout_seconds: float = 60.0
    rules_on_failure: bool = True
    max_new_positions: int = 20
    prompt_tokens: int = 6_000


@dataclass(frozen=True, slots=True)
class LossGuardLimits:
    """When recent losses stop entries, see ``rules.loss_guard``; 0 switches a part off.

    Trades that closed in the last ``sessions`` count: ``losses`` losing ones of a symbol, or one
    that lost ``loss_pct`` of its cost, stop the symbol; ``losing_sessions`` in a row the market.
    """

    sessions: int = 5
    losses: int = 2
    loss_pct: float = 8.0
    losing_sessions: int = 3


class SessionEnd(StrEnum):
    """What becomes of positions in the last minutes of a session. A loser is a position whose
    sale would lose after the costs of both ends."""

    HOLD = "hold"
    CLOSE_LOSERS = "close_losers"
    CLOSE_ALL = "close_all"


@dataclass(frozen=True, slots=True)
class ExitPolicy:
    """How positions are guarded; see ``rules.exits``. Percentages are of the average price.

    ``atr_stop_tightest_pct`` and ``atr_stop_loosest_pct`` (both < 0) bound a hard stop that is
    ``atr_stop_multiple`` average true ranges away. ``take_profit_pct`` is for positions whose plan
    names none; None is off, as 0 ``time_stop_sessions`` are. After ``blind_looks`` looks in a row
    without a usable price a person is told. A quote older than ``quote_max_age`` is no price.

    Raises:
        ConfigError: a value is out of its range, or two of them are in the wrong order.
    """

    atr_stop_multiple: float = 2.0
    atr_stop_tightest_pct: float = -2.0
    atr_stop_loosest_pct: float = -7.0
    take_profit_pct: float | None = None
    trail_after_take_profit: bool = False
    break_even_arm_pct: float = 2.0
    trail_arm_pct: float = 4.0
    trail_atr_multiple: float = 2.0
    time_stop_sessions: int = 0
    at_session_end: SessionEnd = SessionEnd.HOLD
    session_end_minutes: float = 15.0
    blind_looks: int = 3
    quote_max_age: timedelta = timedelta(seconds=120)

    def __post_init__(self) -> None:
        above_zero = {
            "atr_stop_multiple": self.atr_stop_multiple,
            "take_profit_pct": 1.0 if self.take_profit_pct is None else self.take_profit_pct,
            "break_even_arm_pct": self.break_even_arm_pct,
            "trail_atr_multiple": self.trail_atr_multiple,
            "session_end_minutes": self.session_end_minutes,
            "blind_looks": self.blind_looks,
            "quote_max_age": self.quote_max_age.total_seconds(),
        }
        for name, value in above_zero.items():
            if not 0 < value < math.inf:
                raise ConfigError(f"{name}={value}: must be above 0")
        if not self.break_even_arm_pct < self.trail_arm_pct < math.inf:
            raise ConfigError(
                f"trail_arm_pct={self.trail_arm_pct}: must be above "
                f"break_even_arm_pct={self.break_even_arm_pct}"
            )
        if not -100 < self.atr_stop_loosest_pct <= self.atr_stop_tightest_pct < 0:
            raise ConfigError(
                f"atr_stop_loosest_pct={self.atr_stop_loosest_pct}: must be above -100 and at "
                f"most atr_stop_tightest_pct={self.atr_stop_tightest_pct}, which is below 0"
            )
        if self.time_stop_sessions < 0:
            raise ConfigError(f"time_stop_sessions={self.time_stop_sessions}: must not be negative")


DEFAULT_MIN_PRICES: Mapping[MarketGroup, Decimal] = {
    MarketGroup.KR: Decimal(1_000),
    MarketGroup.US: Decimal(5),
    MarketGroup.JP: Decimal(100),
    MarketGroup.HK: Decimal(1),
    MarketGroup.CN: Decimal(2),
    MarketGroup.VN: Decimal(5_000),
}
"""Below these prices a stock is a penny stock in its market, in the market's currency."""

LONGEST_PAUSE = timedelta(days=7)
"""How far back trades are looked at for the guards."""


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """When an entry is refused whatever its plan says, see ``rules.guards``.

    0 switches a guard off. Percentages are 0-100; the ``max_*_pct`` are of the currency's equity.
    ``min_prices`` and ``cash_buffers`` are in the currency of their market; a foreign entry leaves
    the larger of the buffer's amount and ``cash_buffer_pct`` of the equity. ``sectors`` names the
    sector of an instrument by market group and symbol; where it is not known the cap of a sector
    says nothing. Orders are counted per market group and session, exits too.

    Raises:
        ConfigError: a value is out of its range.
    """

    entry_tries_per_session: int = 1
    reentry_after_loss: timedelta = timedelta(minutes=120)
    not_above_sale: timedelta = timedelta(seconds=120)
    chase_gain_pct: float = 4.0
    chase_near_high_pct: float = 0.5
    min_prices: Mapping[MarketGroup, Decimal] = field(
        default_factory=lambda: dict(DEFAULT_MIN_PRICES)
    )
    cash_buffers: Mapping[Currency, Decimal] = field(default_factory=dict)
    cash_buffer_pct: float = 2.0
    pause_after_no_cash: timedelta = timedelta(minutes=10)
    pause_after_unfilled: timedelta = timedelta(minutes=10)
    max_symbol_pct: float = 30.0
    max_sector_pct: float = 40.0
    max_exposure_pct: float = 95.0
    max_orders_per_session: int = 200
    max_orders_per_minute: int = 20
    repeat_after: timedelta = timedelta(seconds=10)
    sectors: Mapping[MarketGroup, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        percents = {
            "chase_gain_pct": self.chase_gain_pct,
            "chase_near_high_pct": self.chase_near_high_pct,
            "cash_buffer_pct": self.cash_buffer_pct,
            "max_symbol_pct": self.max_symbol_pct,
            "max_sector_pct": self.max_sector_pct,
            "max_exposure_pct": self.max_exposure_pct,
        }
        for name, value in percents.items():
            if not 0 <= value <= 100:
                raise ConfigError(f"{name}={value}: must be from 0 to 100")
        pauses = {
            "reentry_after_loss": self.reentry_after_loss,
            "not_above_sale": self.not_above_sale,
            "pause_after_no_cash": self.pause_after_no_cash,
            "pause_after_unfilled": self.pause_after_unfilled,
            "repeat_after": self.repeat_after,
        }
        for name, pause in pauses.items():
            if not timedelta(0) <= pause <= LONGEST_PAUSE:
                raise ConfigError(f"{name}={pause}: must be from 0 to {LONGEST_PAUSE}")
        counts = {
            "entry_tries_per_session": self.entry_tries_per_session,
            "max_orders_per_session": self.max_orders_per_session,
            "max_orders_per_minute": self.max_orders_per_minute,
        }
        for name, count in counts.items():
            if count < 0:
                raise ConfigError(f"{name}={count}: must not be negative")
        for where, amount in (*self.min_prices.items(), *self.cash_buffers.items()):
            if not amount.is_finite() or amount < 0:
                raise ConfigError(f"guard of {where}={amount}: must not be negative")


@dataclass(frozen=True, slots=True)
class UnfilledPolicy:
    """What becomes of orders that do not fill; see ``rules.chase``.

    An order is cancelled once it has waited for so long. An entry is then chased once, to a price
    at most ``max_gap_pct`` above the one it was decided at (a percentage of that). An exit goes on
    until it is out; ``market_orders`` says whether the broker takes market orders where it goes.

    Raises:
        ConfigError: a value is out of its range.
    """

    entry_wait: timedelta = timedelta(seconds=120)
    exit_wait: timedelta = timedelta(seconds=30)
    max_gap_pct: float = 2.0
    market_orders: bool = True

    def __post_init__(self) -> None:
        for name, wait in (("entry_wait", self.entry_wait), ("exit_wait", self.exit_wait)):
            if not timedelta(0) < wait <= timedelta(days=1):
                raise ConfigError(f"{name}={wait}: must be above 0 and at most a day")
        if not 0 <= self.max_gap_pct <= 100:
            raise ConfigError(f"max_gap_pct={self.max_gap_pct}: must be from 0 to 100")


@dataclass(frozen=True, slots=True)
class LlmBudget:
    """How often language models may be called and what that may cost; 0 is no limit."""

    calls_per_day: int = 20
    usd_per_day: Decimal = Decimal(2)
    usd_per_month: Decimal = Decimal(30)


@dataclass(frozen=True, slots=True)
class BlackoutWindow:
    """The broker takes no orders every day from ``start`` until just before ``end``, both on
    Seoul's clock; over midnight when ``end`` is the earlier of the two.

    Raises:
        ConfigError: both ends are the same time of day, or one of them names a zone.
    """

    start: time
    end: time

    def __post_init__(self) -> None:
        if self.start == self.end or self.start.tzinfo or self.end.tzinfo:
            raise ConfigError(f"blackout {self}: must be two different times of day in Seoul")

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    @classmethod
    def parse(cls, text: str) -> tuple[BlackoutWindow, ...]:
        """Read ``23:40-00:10,06:00-06:30``; no window at all is ``none``.

        Raises:
            ValueError: one of them is not two different times of day with a dash between.
        """
        if text.strip().lower() in ("", "none"):
            return ()
        return tuple(cls._parse(part.strip()) for part in text.split(","))

    @classmethod
    def _parse(cls, text: str) -> BlackoutWindow:
        found = re.fullmatch(r"(\d\d:\d\d) *- *(\d\d:\d\d)", text)
        try:
            if found is not None:
                return cls(time.fromisoformat(found[1]), time.fromisoformat(found[2]))
        except (ValueError, ConfigError):
            pass
        raise ValueError(f"{text!r} is not a window of Seoul's clock such as 23:40-00:10")


DAILY_BATCH = BlackoutWindow(time(23, 40), time(0, 10))
"""About when KIS runs its daily batch, in which overseas orders fail."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything a person decided beforehand, as one value for the steps."""

    risk: RiskLimits
    sizing: SizingPolicy
    scan: ScanLimits
    plan: PlanLimits
    exits: ExitPolicy = ExitPolicy()
    guards: GuardLimits = GuardLimits()
    unfilled: UnfilledPolicy = UnfilledPolicy()
    blackouts: tuple[BlackoutWindow, ...] = ()
    losses: LossGuardLimits = LossGuardLimits()
