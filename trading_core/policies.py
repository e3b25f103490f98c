"""Settings as the frozen values that rules and steps may know."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from trading_core.adapters.sector_file import read_sectors
from trading_core.model.limits import (
    ExitPolicy,
    GuardLimits,
    PlanLimits,
    Policy,
    RiskLimits,
    ScanLimits,
    SizingPolicy,
    UnfilledPolicy,
)
from trading_core.settings import Settings
from trading_core.steps.watchdog import WatchPolicy


def policy_of(settings: Settings) -> Policy:
    """The settings that steps and rules may know, as frozen values."""
    return Policy(
        risk=RiskLimits(
            max_loss_pct=settings.max_loss_pct,
            max_order_pct=settings.max_order_pct,
            confidence_threshold=settings.confidence_threshold,
        ),
        sizing=SizingPolicy(
            enabled=settings.position_sizing_enabled,
            base_allocation_pct=settings.position_base_allocation_pct,
            min_allocation_pct=settings.position_min_allocation_pct,
            max_allocation_pct=settings.position_max_allocation_pct,
            volatility_target_score=settings.position_volatility_target_score,
        ),
        scan=ScanLimits(
            top_n=settings.planner_max_stocks
            if settings.trade_mode == "daily"
            else settings.scanner_top_n,
            rsi_oversold=settings.rsi_oversold_threshold,
            rsi_momentum=settings.rsi_momentum_threshold,
            volume_multiplier=settings.vol_multiplier,
        ),
        plan=PlanLimits(
            max_scenarios_per_stock=settings.max_scenarios_per_stock,
            max_allocation_pct=settings.position_max_allocation_pct,
            timeout_seconds=settings.planner_timeout_seconds,
            rules_on_failure=settings.defensive_playbook_on_failure,
        ),
        exits=ExitPolicy(
            atr_stop_multiple=settings.exit_atr_stop_multiple,
            atr_stop_tightest_pct=settings.exit_atr_stop_tightest_pct,
            atr_stop_loosest_pct=settings.exit_atr_stop_loosest_pct,
            take_profit_pct=settings.exit_take_profit_pct or None,
            trail_after_take_profit=settings.exit_trail_after_take_profit,
            break_even_arm_pct=settings.exit_break_even_arm_pct,
            trail_arm_pct=settings.exit_trail_arm_pct,
            trail_atr_multiple=settings.exit_trail_atr_multiple,
            time_stop_sessions=settings.exit_time_stop_sessions,
            at_session_end=settings.exit_at_session_end,
            session_end_minutes=settings.exit_session_end_minutes,
            blind_looks=settings.exit_blind_looks,
            quote_max_age=timedelta(seconds=settings.exit_quote_max_age_seconds),
        ),
        guards=_guards(settings),
        unfilled=UnfilledPolicy(
            entry_wait=timedelta(seconds=settings.unfilled_entry_seconds),
            exit_wait=timedelta(seconds=settings.unfilled_exit_seconds),
            max_gap_pct=settings.unfilled_max_gap_pct,
            market_orders=settings.kis_route != "NXT",
        ),
    )


def watch_policy_of(settings: Settings) -> WatchPolicy:
    """How a session watches its positions between two ticks."""
    quiet = settings.watchdog_seconds
    return WatchPolicy(
        stream=settings.stream_enabled,
        poll_every=timedelta(seconds=settings.quote_poll_seconds),
        quiet=timedelta(seconds=quiet) if quiet else None,
    )


def _guards(settings: Settings) -> GuardLimits:
    path = settings.guard_sectors_file
    return replace(settings.guards, sectors=read_sectors(path)) if path else settings.guards
