"""Settings as the frozen values that rules and steps may know."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from trading_core.adapters.sector_file import read_sectors
from trading_core.adapters.sources.config import SourceConfig
from trading_core.model.decision import RealtimePolicy
from trading_core.model.limits import (
    ExitPolicy,
    GuardLimits,
    LlmBudget,
    LossGuardLimits,
    PlanLimits,
    Policy,
    RiskLimits,
    ScanLimits,
    SizingPolicy,
    UnfilledPolicy,
)
from trading_core.model.playbook import RefreshCause
from trading_core.model.sources import SourceKind
from trading_core.rules.llm_prices import GEMINI_PRICES, OPENAI_PRICES, TokenPrice, flat_price
from trading_core.rules.schedules import SchedulePolicy
from trading_core.settings import Settings
from trading_core.steps.watchdog import WatchPolicy

DECISION_TOKENS = 4096
"""Room for one decision with the thinking before it; every call is reserved at what it may cost."""


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
            max_new_positions=settings.planner_max_new_positions,
            prompt_tokens=settings.prompt_token_budget,
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
        blackouts=settings.blackout_windows,
        losses=LossGuardLimits(
            sessions=settings.loss_guard_sessions,
            losses=settings.loss_guard_losses,
            loss_pct=settings.loss_guard_loss_pct,
            losing_sessions=settings.loss_guard_losing_sessions,
        ),
    )


def budget_of(settings: Settings) -> LlmBudget:
    """What the calls of language models may cost."""
    return LlmBudget(
        calls_per_day=settings.llm_calls_per_day,
        usd_per_day=settings.llm_usd_per_day,
        usd_per_month=settings.llm_usd_per_month,
    )


def prices_of(settings: Settings, provider: str = "") -> tuple[TokenPrice, ...]:
    """The price list of a provider, the planner's by default; one's own price for one's own model
    comes first."""
    if (provider or settings.planner_provider) == "gemini":
        return GEMINI_PRICES
    own_in, own_out, model = (
        settings.openai_input_usd,
        settings.openai_output_usd,
        settings.openai_model,
    )
    if model is None or own_in is None or own_out is None:
        return OPENAI_PRICES
    others = tuple(price for price in OPENAI_PRICES if price.model != model)
    return (flat_price(model, input_usd=own_in, output_usd=own_out), *others)


def realtime_of(settings: Settings) -> RealtimePolicy:
    """How a model is asked while a session is on: three quarters of a cycle at most, and for one
    answer no longer than a third of one."""
    on = settings.trade_mode == "realtime"
    seconds = settings.realtime_cycle_seconds if on else settings.rescan_interval_seconds
    cycle = min(seconds, settings.realtime_cycle_seconds)
    return RealtimePolicy(
        is_on=on,
        every=timedelta(seconds=seconds),
        top_n=settings.scanner_top_n,
        call_seconds=min(settings.planner_timeout_seconds, cycle / 3),
        cycle_seconds=cycle * 0.75,
        max_output_tokens=min(settings.llm_max_output_tokens, DECISION_TOKENS),
    )


def schedule_policy_of(settings: Settings) -> SchedulePolicy:
    """When the flows of a session run; only daily mode has rounds."""
    return SchedulePolicy(
        pre_market=timedelta(minutes=settings.pre_market_minutes),
        rounds=settings.daily_sessions if settings.trade_mode == "daily" else 0,
        round_every=timedelta(hours=settings.session_interval_hours),
        tick_every=timedelta(seconds=settings.rescan_interval_seconds),
    )


def refreshes_of(settings: Settings) -> frozenset[RefreshCause]:
    """What makes a session draft its playbook once more."""
    wanted = {
        RefreshCause.MIDDAY: settings.plan_refresh_midday,
        RefreshCause.STOP: settings.plan_refresh_after_stop,
    }
    return frozenset(cause for cause, is_wanted in wanted.items() if is_wanted)


def source_config_of(settings: Settings) -> SourceConfig:
    """Which sources to ask, with which keys, and how patiently."""
    news, market = settings.news_api_key, settings.market_data_api_key
    return SourceConfig(
        news=settings.news_api_provider,
        news_key=news.get_secret_value() if news else "",
        feeds=tuple(feed.get_secret_value() for feed in settings.news_rss_feeds),
        market=settings.market_data_provider,
        market_key=market.get_secret_value() if market else "",
        calendars=settings.economic_calendar_provider,
        calendar_file=settings.economic_calendar_file,
        limit=timedelta(seconds=settings.sources_timeout_seconds),
        cache=timedelta(minutes=settings.sources_cache_minutes),
        base_urls=settings.sources_base_urls,
    )


def source_names(settings: Settings) -> list[tuple[SourceKind, str]]:
    """The sources that are configured. Raises ``ConfigError`` as asking them would."""
    config = source_config_of(settings)
    config.keys_by_provider()
    return [
        *((SourceKind.NEWS, name) for name in config.news_names),
        *((SourceKind.MARKET, name) for name in config.market_names),
        *((SourceKind.CALENDAR, name) for name in config.calendar_names),
    ]


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
