"""What the store must answer about shadow planners; ``ports`` takes these in.

No query of the real planner sees any of it, and no query here sees anything of the real one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol, TypeAlias

from trading_core.model.portfolio import Protection
from trading_core.model.shadow import ShadowGuard, ShadowMark, ShadowPlan, ShadowTrade

ShadowRecord: TypeAlias = ShadowPlan | ShadowTrade | ShadowMark | ShadowGuard


class ShadowReader(Protocol):
    """``market`` is a market group code."""

    def shadow_plans(self, market: str, *, since: date, until: date) -> Sequence[ShadowPlan]:
        """The newest plan of each shadow and session from ``since`` to ``until``, by session."""
        ...

    def shadow_trades(self, market: str) -> Sequence[ShadowTrade]:
        """All trades of all shadows, oldest first."""
        ...

    def shadow_marks(self, market: str, session: date) -> Sequence[ShadowMark]:
        """What each shadow was worth through a session, oldest first."""
        ...

    def last_shadow_marks(
        self, market: str, *, before: date | None = None
    ) -> Mapping[str, ShadowMark]:
        """The newest mark of each shadow; of a session earlier than ``before`` when given."""
        ...

    def shadow_guards(self, market: str) -> Mapping[tuple[str, str], Protection]:
        """The newest guard by shadow and symbol."""
        ...
