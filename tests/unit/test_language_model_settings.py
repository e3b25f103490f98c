"""Which model plans, what it may cost, and what of that is not allowed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trading_core.adapters.duck.store import DuckStore
from trading_core.adapters.gemini import GeminiModel
from trading_core.adapters.openai_compatible import OpenAiCompatibleModel
from trading_core.errors import ConfigError
from trading_core.model.limits import LlmBudget
from trading_core.model.playbook import RefreshCause
from trading_core.policies import budget_of, prices_of, refreshes_of
from trading_core.rules.llm_prices import GEMINI_PRICES, OPENAI_PRICES
from trading_core.settings import Settings, load_settings
from trading_core.wiring.mind import language_model_of, planner_of


def model_of(settings: Settings) -> object:
    made = language_model_of(settings, DuckStore(":memory:"))
    return None if made is None else made._model  # type: ignore[attr-defined]


def test_without_a_key_there_is_no_model_and_no_planner() -> None:
    assert model_of(load_settings()) is None
    assert planner_of(load_settings(), None) is None


def test_a_key_of_gemini_is_enough() -> None:
    made = model_of(load_settings(gemini_api_key="AIza-none"))
    assert isinstance(made, GeminiModel)
    assert made.model == "gemini-3.5-flash"


def test_a_model_on_this_machine_needs_no_key() -> None:
    settings = load_settings(
        planner_provider="openai",
        openai_base_url="http://127.0.0.1:11434/v1",
        openai_model="qwen3:30b",
    )
    made = model_of(settings)
    assert isinstance(made, OpenAiCompatibleModel)
    assert (made.provider, made.model) == ("openai", "qwen3:30b")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"planner_provider": "openai"}, "OPENAI_MODEL"),
        ({"planner_provider": "ollama"}, "PLANNER_PROVIDER"),
        ({"openai_input_usd": "1"}, "OPENAI_OUTPUT_USD"),
        ({"llm_calls_per_day": -1}, "LLM_CALLS_PER_DAY"),
        ({"llm_usd_per_day": "-0.01"}, "LLM_USD_PER_DAY"),
        ({"openai_base_url": "localhost:11434"}, "OPENAI_BASE_URL"),
    ],
)
def test_what_cannot_be_meant_does_not_load(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_settings(**wrong)


def test_the_limits_are_those_of_the_free_tier_and_small_change() -> None:
    assert budget_of(load_settings()) == LlmBudget(20, Decimal(2), Decimal(30))


def test_ones_own_price_is_taken_before_the_list() -> None:
    assert prices_of(load_settings()) is GEMINI_PRICES
    openai = {"planner_provider": "openai", "openai_model": "gpt-5"}
    assert prices_of(load_settings(**openai)) is OPENAI_PRICES
    own = prices_of(load_settings(**openai, openai_input_usd=0, openai_output_usd=0))
    assert [(p.input_usd, p.output_usd) for p in own if p.model == "gpt-5"] == [(0, 0)]


def test_nothing_is_refreshed_unless_it_is_wanted() -> None:
    assert refreshes_of(load_settings()) == frozenset()
    wanted = load_settings(plan_refresh_midday=True, plan_refresh_after_stop=True)
    assert refreshes_of(wanted) == set(RefreshCause)


def test_no_key_is_shown() -> None:
    settings = load_settings(openai_api_key="sk-hush-one", gemini_api_key="AIza-hush-two")
    assert "hush" not in repr(settings) + str(settings.model_dump())
