"""The settings of what a plan is shown and what it may ask for; ``settings`` takes them in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class PlannerSettings(BaseSettings):
    """Zero switches a limit off."""

    planner_max_new_positions: Annotated[int, Field(ge=0, le=500)] = 20
    prompt_token_budget: Annotated[int, Field(ge=0, le=1_000_000)] = 6_000
    loss_guard_sessions: Annotated[int, Field(ge=0, le=60)] = 5
    loss_guard_losses: Annotated[int, Field(ge=0, le=100)] = 2
    loss_guard_loss_pct: Annotated[float, Field(ge=0, le=100)] = 8.0
    loss_guard_losing_sessions: Annotated[int, Field(ge=0, le=60)] = 3
