"""Which model plans, what it may cost, and what a plan is shown; part of ``Settings``."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AnyHttpUrl, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from trading_core.model.shadow import ShadowSpec


class PlannerSettings(BaseSettings):
    """Zero switches a limit off."""

    planner_provider: Literal["gemini", "openai"] = "gemini"
    gemini_api_key: SecretStr | None = None
    gemini_model: str = "gemini-3.5-flash"
    gemini_base_url: AnyHttpUrl | None = None
    openai_base_url: AnyHttpUrl = AnyHttpUrl("https://api.openai.com/v1")
    openai_api_key: SecretStr | None = None
    openai_model: str | None = None
    openai_input_usd: Annotated[Decimal, Field(ge=0, le=10_000)] | None = None
    openai_output_usd: Annotated[Decimal, Field(ge=0, le=10_000)] | None = None
    llm_calls_per_day: Annotated[int, Field(ge=0, le=1_000_000)] = 20
    llm_usd_per_day: Annotated[Decimal, Field(ge=0, le=1_000_000)] = Decimal(2)
    llm_usd_per_month: Annotated[Decimal, Field(ge=0, le=1_000_000)] = Decimal(30)
    llm_max_output_tokens: Annotated[int, Field(ge=256, le=1_000_000)] = 32_768

    planner_max_new_positions: Annotated[int, Field(ge=0, le=500)] = 20
    prompt_token_budget: Annotated[int, Field(ge=0, le=1_000_000)] = 6_000
    loss_guard_sessions: Annotated[int, Field(ge=0, le=60)] = 5
    loss_guard_losses: Annotated[int, Field(ge=0, le=100)] = 2
    loss_guard_loss_pct: Annotated[float, Field(ge=0, le=100)] = 8.0
    loss_guard_losing_sessions: Annotated[int, Field(ge=0, le=60)] = 3
    shadow_planners: Annotated[tuple[ShadowSpec, ...], NoDecode] = ()

    @field_validator("shadow_planners", mode="before")
    @classmethod
    def _shadows(cls, value: object) -> object:
        return ShadowSpec.parse(value) if isinstance(value, str) else value
