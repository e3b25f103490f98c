"""What one tick did, in numbers, for logs, run messages and progress displays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from trading_core.model.market import MarketGroup
from trading_core.model.order import Fill, OrderState
from trading_core.steps.execute import Sent
from trading_core.steps.observe import View
from trading_core.steps.reconcile import Books
from trading_core.steps.tick import TickPlan


@dataclass(frozen=True, slots=True)
class TickReport:
    """One tick. ``halted`` is the reason of a standing halt, empty while trading."""

    group: MarketGroup
    at: datetime
    observed: int
    priced: int
    matched: int
    fills: tuple[Fill, ...]
    sent: tuple[Sent, ...]
    refused: int
    halted: str

    @classmethod
    def of(cls, books: Books, view: View, plan: TickPlan, sent: Sequence[Sent]) -> TickReport:
        """Summarise a finished tick."""
        standing = [*books.halts, *plan.halts]
        return cls(
            group=books.group,
            at=plan.at,
            observed=len(view.frame.symbols),
            priced=sum(quote.usable for quote in view.quotes.values()),
            matched=len(view.matches.first),
            fills=books.new_fills,
            sent=tuple(sent),
            refused=len(plan.refused),
            halted=standing[0].reason if standing else "",
        )

    def line(self) -> str:
        """One line for a person."""
        accepted = sum(item.state is OrderState.ACCEPTED for item in self.sent)
        return (
            f"{self.priced} of {self.observed} priced, {self.matched} matched, "
            f"{len(self.fills)} fills, {accepted} of {len(self.sent)} orders accepted"
        )
