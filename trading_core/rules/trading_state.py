"""Whether a market may trade, as it follows from the halts that stand. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum

from trading_core.model.journal import (
    DeploymentSwitch,
    Halt,
    HaltKind,
    HaltLevel,
    SwitchAction,
)
from trading_core.model.limits import RiskLimits
from trading_core.model.market import Currency

ALL = "ALL"

FURTHER_STEPS = 3
"""A loss that a person accepted may grow by MAX_LOSS_PCT / 3 before the breaker trips again."""


class TradingState(StrEnum):
    """``ACTIVE``: entries and exits. ``REDUCING``: exits only. ``HALTED``: nothing new is sent."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


_STRICTNESS = tuple(TradingState)


def halts_for(halts: Iterable[Halt], *, group: str, currency: Currency) -> tuple[Halt, ...]:
    """The halts that stand for a market group: its own, its currency's and those of everything."""
    scopes: Collection[str] = {ALL, group, currency.value}
    return tuple(halt for halt in halts if halt.lifted_at is None and halt.scope in scopes)


def trading_state(halts: Iterable[Halt], *, group: str, currency: Currency) -> TradingState:
    """The state of one market group: that of the strictest halt that stands for it."""
    standing = halts_for(halts, group=group, currency=currency)
    return strictest(TradingState(halt.level.value) for halt in standing)


def strictest(states: Iterable[TradingState]) -> TradingState:
    """The strictest of several states; ACTIVE when there is none."""
    return max(states, key=_STRICTNESS.index, default=TradingState.ACTIVE)


def stops_everything(halts: Iterable[Halt]) -> Halt | None:
    """The first standing halt under which exits are not sent either."""
    return next((h for h in halts if h.lifted_at is None and h.level is HaltLevel.HALTED), None)


def accepted_pnl_pct(halts: Sequence[Halt], *, currency: str, session: date) -> Decimal | None:
    """The day's P&L in percent at which a person last lifted the breaker of this session.

    Args:
        halts: All halts, lifted ones too.
        currency: The breaker's scope.
        session: The session in progress; what was accepted in another one does not count.
    """
    lifted = [
        (halt.lifted_at, halt.accepted_pnl_pct)
        for halt in halts
        if halt.kind is HaltKind.BREAKER
        and halt.scope == currency
        and halt.accepted_on == session
        and halt.lifted_at is not None
        and halt.accepted_pnl_pct is not None
    ]
    return max(lifted)[1] if lifted else None


def breaker_floor_pct(limits: RiskLimits, accepted: Decimal | None) -> Decimal:
    """The day's P&L in percent below which the breaker trips.

    -MAX_LOSS_PCT, until a person lifts the breaker over a loss that stands: then a third of
    MAX_LOSS_PCT below that loss, where that is lower. Never above what was accepted, so lifting
    has an effect, and never lower without a person's word.
    """
    limit = Decimal(str(limits.max_loss_pct))
    if accepted is None:
        return -limit
    return min(-limit, accepted - limit / FURTHER_STEPS)


def planning_stopped_by(
    halts: Iterable[Halt], *, group: str, currency: Currency
) -> tuple[Halt, ...]:
    """The standing halts under which nothing need be planned for a market group.

    A watchdog's is not among them: it lifts itself, within the session.
    """
    standing = halts_for(halts, group=group, currency=currency)
    return tuple(halt for halt in standing if halt.kind is not HaltKind.WATCHDOG)


def paused_deployments(switches: Iterable[DeploymentSwitch]) -> tuple[DeploymentSwitch, ...]:
    """The deployments that the system paused and has not restored: their last switch each."""
    last = {switch.deployment_id: switch for switch in switches}
    return tuple(s for s in last.values() if s.action is SwitchAction.PAUSED)
