"""The model behind its ledger, the planner that asks it, and the sources of what it reads."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from trading_core import policies
from trading_core.clock import SystemClock
from trading_core.policies import budget_of
from trading_core.ports import LanguageModel, Planner, Store
from trading_core.ports.sources import Sources
from trading_core.settings import Settings
from trading_core.steps.ask import AccountedModel
from trading_core.steps.model_planner import ModelPlanner


def language_model_of(settings: Settings, store: Store) -> LanguageModel | None:
    """The provider's model behind the ledger; None where nothing says which one."""
    model = provider_of(settings)
    if model is None:
        return None
    return AccountedModel(
        model,
        store,
        # Quotas and bills run on real time, whatever time the market plays in.
        SystemClock(),
        budget=budget_of(settings),
        prices=policies.prices_of(settings),
    )


def provider_of(settings: Settings) -> LanguageModel | None:
    if settings.planner_provider == "openai":
        return openai_of(settings, settings.openai_model or "")
    return gemini_of(settings, settings.gemini_model)


def openai_of(settings: Settings, model: str) -> LanguageModel:
    """A model behind OpenAI's wire."""
    from trading_core.adapters.openai_compatible import OpenAiCompatibleModel

    return OpenAiCompatibleModel(
        base_url=str(settings.openai_base_url),
        model=model,
        api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else None,
    )


def gemini_of(settings: Settings, model: str) -> LanguageModel | None:
    """A model of Gemini; None without a key."""
    if settings.gemini_api_key is None:
        return None
    from trading_core.adapters.gemini import GeminiModel

    return GeminiModel(
        api_key=settings.gemini_api_key.get_secret_value(),
        model=model,
        base_url=str(settings.gemini_base_url) if settings.gemini_base_url else None,
    )


def planner_of(settings: Settings, model: LanguageModel | None) -> Planner | None:
    if model is None:
        return None
    seconds, tokens = settings.planner_timeout_seconds, settings.llm_max_output_tokens
    return ModelPlanner(model, timeout_seconds=seconds, max_output_tokens=tokens)


def sources_of(settings: Settings, connection: Any) -> AbstractAsyncContextManager[Sources]:
    config = policies.source_config_of(settings)
    if config.is_empty:
        return nullcontext(Sources())
    from trading_core.adapters.sources.assembly import open_sources

    return open_sources(config, settings.ouroboros_home, SystemClock(), connection.transport)
