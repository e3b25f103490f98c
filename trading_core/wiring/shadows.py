"""The shadow planners that are configured, and what became of them, for whoever only reads.

Nothing of them is loaded where none is configured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trading_core import policies
from trading_core.clock import SystemClock
from trading_core.errors import ConfigError
from trading_core.model.limits import LlmBudget
from trading_core.model.market import MarketGroup
from trading_core.model.shadow import ShadowKind, ShadowSpec
from trading_core.policies import budget_of
from trading_core.ports import Planner, Store
from trading_core.settings import Settings, load_settings
from trading_core.wiring.mind import gemini_of, openai_of, planner_of
from trading_core.wiring.reading import open_store

if TYPE_CHECKING:
    from trading_core.steps.shadow_plan import ShadowPlanner


def shadows_of(settings: Settings, store: Store) -> tuple[ShadowPlanner, ...]:
    """The shadows of this process. Raises ``ConfigError`` for one without the key it needs."""
    if not settings.shadow_planners:
        return ()
    from trading_core.steps.shadow_plan import ShadowPlanner

    return tuple(
        ShadowPlanner(spec.name, _planner(settings, store, spec))
        for spec in settings.shadow_planners
    )


def _planner(settings: Settings, store: Store, spec: ShadowSpec) -> Planner | None:
    if spec.kind is ShadowKind.RULES:
        return None
    from trading_core.steps.ask import AccountedModel
    from trading_core.steps.shadow_plan import Instructed

    make = gemini_of if spec.kind is ShadowKind.GEMINI else openai_of
    model = make(settings, spec.model)
    if model is None:
        raise ConfigError(f"SHADOW_PLANNERS={spec.name}: GEMINI_API_KEY is not set")
    accounted = AccountedModel(
        model,
        store,
        # Quotas and bills run on real time, whatever time the market plays in.
        SystemClock(),
        budget=_share(budget_of(settings)),
        prices=policies.prices_of(settings, spec.kind.value),
    )
    planner = planner_of(settings, accounted)
    assert planner is not None
    return planner if spec.instructions is None else Instructed(planner, spec.instructions)


def _share(budget: LlmBudget) -> LlmBudget:
    """The last quarter of every limit is left to the real planner."""
    calls = budget.calls_per_day
    return replace(
        budget,
        calls_per_day=max(1, calls * 3 // 4) if calls else 0,
        usd_per_day=budget.usd_per_day * 3 / 4,
        usd_per_month=budget.usd_per_month * 3 / 4,
    )


def read_shadows(market: str | None, days: int) -> dict[str, Any]:
    """What every planner earned or would have earned in the last days, by market, as JSON.

    Raises:
        UnknownMarket: ``market`` names none.
    """
    from trading_core.steps.shadow_plan import instructions_problem
    from trading_core.steps.shadow_review import comparison_report

    settings = load_settings()
    groups = [MarketGroup.parse(market)] if market else list(settings.enabled_markets)
    at = SystemClock().now()
    return {
        "configured": [
            {"planner": spec.name, "problem": instructions_problem(spec.instructions)}
            for spec in settings.shadow_planners
        ],
        "days": days,
        "markets": comparison_report(open_store(settings), groups, at=at, days=days),
    }
