"""Which planners plan in shadow, and what they are made of."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trading_core.adapters.duck.store import DuckStore
from trading_core.errors import ConfigError
from trading_core.model.limits import LlmBudget
from trading_core.model.shadow import ShadowSpec
from trading_core.settings import load_settings
from trading_core.steps.shadow_plan import Instructed
from trading_core.wiring.shadows import _share, shadows_of


def names(text: str) -> list[str]:
    return [spec.name for spec in load_settings(shadow_planners=text).shadow_planners]


def test_none_is_configured_by_default() -> None:
    assert (
        load_settings().shadow_planners == () == load_settings(shadow_planners=" ").shadow_planners
    )


def test_a_list_names_rules_models_and_variants() -> None:
    listed = "rules, gemini:gemini-3.5-pro,openai:qwen3:8b@~/careful.md"
    home = Path("~/careful.md").expanduser()
    assert names(listed) == ["rules", "gemini:gemini-3.5-pro", f"openai:qwen3:8b@{home}"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rule", "'rule' is not rules"),
        ("gemini", "'gemini' is not rules"),
        ("gemini:", "'gemini:' is not rules"),
        ("claude:x", "'claude:x' is not rules"),
        ("rules:fast", "'rules:fast' is not rules"),
        ("openai:a b", "'openai:a b' is not rules"),
        ("openai:a@", "'openai:a@' is not rules"),
        ("rules,rules", "'rules' is named twice"),
    ],
)
def test_a_bad_entry_is_one_clear_error(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(shadow_planners=text)
    message = str(caught.value)
    assert message.startswith(f"settings not allowed: SHADOW_PLANNERS={text}: {says}")
    assert "\n" not in message


def made(text: str, **settings: Any) -> Any:
    return shadows_of(load_settings(shadow_planners=text, **settings), DuckStore(":memory:"))


def test_a_model_without_the_key_it_needs_is_one_clear_error() -> None:
    with pytest.raises(ConfigError, match="SHADOW_PLANNERS=gemini:x: GEMINI_API_KEY is not set"):
        made("rules,gemini:x")


def test_each_is_made_of_its_own_provider_and_model() -> None:
    shadows = made("rules,gemini:g-1,openai:o-1@f.md", gemini_api_key="none")
    assert [shadow.name for shadow in shadows] == ["rules", "gemini:g-1", "openai:o-1@f.md"]
    rules, gemini, openai = (shadow.planner for shadow in shadows)
    assert rules is None
    assert (gemini._model.provider, gemini._model.model) == ("gemini", "g-1")
    assert isinstance(openai, Instructed)
    model = openai._planner._model  # type: ignore[attr-defined]
    assert (model.provider, model.model) == ("openai", "o-1")


def test_the_last_quarter_of_every_limit_is_the_real_planners() -> None:
    budget = LlmBudget(calls_per_day=20, usd_per_day=Decimal(2), usd_per_month=Decimal(30))
    assert _share(budget) == LlmBudget(15, Decimal("1.5"), Decimal("22.5"))
    assert _share(LlmBudget(0, Decimal(0), Decimal(0))) == LlmBudget(0, Decimal(0), Decimal(0))
    assert _share(LlmBudget(1, Decimal(1), Decimal(1))).calls_per_day == 1


def test_a_spec_reads_what_it_writes() -> None:
    text = "rules,gemini:a,openai:b:c@/d e.md"
    assert ",".join(spec.name for spec in ShadowSpec.parse(text)) == text
