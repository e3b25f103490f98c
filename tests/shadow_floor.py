"""A trading floor with shadow planners behind the real one, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.trading_fakes import Floor, Tick, playbook
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.model.playbook import Scenario
from trading_core.model.shadow import ShadowMark, ShadowPlan, ShadowTrade
from trading_core.steps.shadow import Shadows

Plans = Mapping[str, Sequence[Scenario]]


def shadow_plan(plans: Plans, *rules: Any, planner: str = "rules", **values: Any) -> ShadowPlan:
    book = playbook(plans, *rules)
    return ShadowPlan(planner, "KR", SESSION, minute(0), book, **values)


@dataclass
class ShadowFloor:
    """Ticks of the real planner, each followed by the shadows."""

    desk: Floor
    planners: tuple[str, ...] = ("rules",)
    shadows: Shadows = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A process of its own from here on."""
        desk = self.desk
        self.shadows = Shadows(desk.store, desk.broker, desk.history, self.planners, desk.policy)

    def append(self, *records: Any) -> None:
        with self.desk.store.write() as tx:
            tx.append(records)

    async def tick(self, at: datetime) -> Tick:
        made = await self.desk.tick(at)
        await self.shadows.follow(await self.desk.day(), made.view)
        return made

    def trades(self, planner: str = "rules") -> list[ShadowTrade]:
        with self.desk.store.read() as db:
            return [trade for trade in db.shadow_trades("KR") if trade.planner == planner]

    def marks(self, planner: str = "rules") -> list[ShadowMark]:
        with self.desk.store.read() as db:
            return [mark for mark in db.shadow_marks("KR", SESSION) if mark.planner == planner]

    def said(self, planner: str = "rules") -> list[tuple[str, str, int, str]]:
        """Side, symbol, quantity and reason of each trade."""
        return [
            (t.side.value, t.instrument.symbol, t.quantity, t.reason.value)
            for t in self.trades(planner)
        ]
