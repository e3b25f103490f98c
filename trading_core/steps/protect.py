"""A protective pass: what was asked of the broker again, and which exits that leaves to send.

A pass is a tick without entries: the same reconciliation, the same ``steps.tick.decide``, the same
way to the broker. Only what it looks at is less, so that it is fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from trading_core.errors import BrokerError
from trading_core.model.limits import Policy
from trading_core.model.price import Quote
from trading_core.ports import MarketData, Store
from trading_core.rules.compiled import compile_playbook
from trading_core.steps.execute import Sent
from trading_core.steps.observe import View, view_of
from trading_core.steps.opening import TradingDay
from trading_core.steps.reconcile import Books
from trading_core.steps.report import TickReport
from trading_core.steps.sentinel import Sentinel
from trading_core.steps.tick import TickPlan, decide


@dataclass(frozen=True, slots=True)
class Pass:
    """What a tick or a protective pass saw, wanted and sent, and whether it was told."""

    view: View
    plan: TickPlan
    sent: tuple[Sent, ...]
    told: bool = True

    @property
    def report(self) -> TickReport:
        return TickReport.of(self.view.books, self.view, self.plan, self.sent)


def write_down(store: Store, sentinel: Sentinel, at: datetime) -> None:
    """Store the guards that prints have moved; a peak that was seen survives a crash."""
    rows = sentinel.moved(at)
    if rows:
        with store.write() as tx:
            tx.append(rows)
        sentinel.wrote(rows)


async def look(
    market_data: MarketData, sentinel: Sentinel, *, books: Books, day: TradingDay, at: datetime
) -> View:
    """The holdings at the prices the sentinel heard.

    The broker is asked for the price of a holding of which none was heard lately; one that cannot
    be had is left to the next tick.
    """
    instruments = {h.instrument.symbol: h.instrument for h in books.account.holdings}
    heard = sentinel.decisive(at)
    quotes: dict[str, Quote] = {s: quote for s, quote in heard.items() if s in instruments}
    silent = [item for symbol, item in instruments.items() if symbol not in quotes]
    if silent:
        try:
            quotes |= await market_data.quotes(silent, held=set(instruments))
        except BrokerError:
            if not quotes:
                return _view(day, books, {}, at)
    return _view(day, books, quotes, at)


def _view(day: TradingDay, books: Books, quotes: Mapping[str, Quote], at: datetime) -> View:
    nothing_planned = day.playbook.model_copy(update={"stocks": (), "global_rules": ()})
    bare = replace(day, compiled=compile_playbook(nothing_planned))
    return replace(
        view_of(tuple(quotes), quotes, books=books, day=bare, at=at), playbook=day.playbook
    )


def decide_exits(view: View, policy: Policy) -> TickPlan:
    """What a tick would decide on this view, less what only a tick may say.

    A holding that this pass has no price of was not looked at in vain, it was not looked at.
    """
    plan = decide(view, policy)
    return replace(
        plan,
        guards=tuple(row for row in plan.guards if row.protection.symbol in view.quotes),
        alerts=tuple(alert for alert in plan.alerts if alert.symbol in view.quotes),
        observations=(),
        matches=(),
    )


def is_empty(plan: TickPlan) -> bool:
    """Whether there is nothing to write down or to do."""
    return not (plan.verdicts or plan.cancels or plan.halts or plan.guards)
