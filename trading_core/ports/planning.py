"""Who drafts the playbook, and the bars it is drafted from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

from trading_core.model.language import (
    ModelReply,
    ModelRequest,
)
from trading_core.model.language import PlanReply as PlanReply
from trading_core.model.language import PlanRequest as PlanRequest
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.price import DailyBar


class LanguageModel(Protocol):
    """One model of one provider.

    ``ask`` makes one attempt, cut off at the request's limit. Raises ``PlannerTimeout`` or
    ``PlannerUnavailable``, and ``BudgetExhausted`` where a ledger is kept.
    """

    @property
    def provider(self) -> str: ...

    @property
    def model(self) -> str: ...

    async def ask(self, request: ModelRequest) -> ModelReply: ...


class Planner(Protocol):
    """Writes a draft. Raises ``PlannerError`` with the paid calls in ``error.calls``."""

    async def draft(self, request: PlanRequest) -> PlanReply: ...


class History(Protocol):
    """Daily bars of a session's universe, kept from the plan for the ticks of that session."""

    def load(self, group: MarketGroup, session: date) -> dict[Instrument, list[DailyBar]]:
        """Empty when nothing was kept."""
        ...

    def save(
        self, group: MarketGroup, session: date, bars: Mapping[Instrument, Sequence[DailyBar]]
    ) -> None: ...
