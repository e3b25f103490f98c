"""The task that keeps memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tasks.policy import step_task
from trading_core.model.market import MarketGroup
from trading_core.steps import memory
from trading_core.steps.memory import Remembered
from trading_core.wiring import Runtime


@step_task("remember", retries=2, timeout_seconds=300)
async def remember(runtime: Runtime, groups: Sequence[MarketGroup], at: datetime) -> Remembered:
    """Days, weeks, months and the long run, computed from what was traded."""
    return memory.remember(runtime.store, groups, at=at)
