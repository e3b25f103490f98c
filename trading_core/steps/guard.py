"""One look at everything held: what its guards give up, how they moved, what a person must know."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from trading_core.model.journal import ProtectionRow
from trading_core.model.limits import ExitPolicy
from trading_core.model.order import IntentReason
from trading_core.model.portfolio import Holding, Protection
from trading_core.model.price import Quote
from trading_core.rules import exits
from trading_core.rules.calendar import sessions_between
from trading_core.rules.exits_view import ExitView, exit_view, is_price
from trading_core.steps.observe import View


class AlertKind(StrEnum):
    """``NEAR``: the price is close to a stop. ``BREACHED``: it is at or through it. ``BLIND``:
    there was no usable price for so long that nothing guards the position."""

    NEAR = "near"
    BREACHED = "breached"
    BLIND = "blind"


@dataclass(frozen=True, slots=True)
class GuardAlert:
    """What a person is to know about a guarded position.

    ``since`` (aware UTC) is when the approach, or the silence, began: alerts of one kind and
    ``since`` are about the same event.
    """

    kind: AlertKind
    symbol: str
    since: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """A holding to be sold whole, and why."""

    holding: Holding
    quote: Quote
    reason: IntentReason
    detail: str


@dataclass(frozen=True, slots=True)
class Guarded:
    """The outcome of a look at all holdings, in the order of their symbols.

    ``rows`` are the guards that moved, ``unseen`` the holdings without a usable price.
    """

    leaving: tuple[Leaving, ...]
    unseen: tuple[Holding, ...]
    rows: tuple[ProtectionRow, ...]
    alerts: tuple[GuardAlert, ...]


def guard_holdings(view: View, policy: ExitPolicy, *, reduce_all: str = "") -> Guarded:
    """Look at every holding, whatever the playbook says. Pure.

    Args:
        view: What was seen.
        policy: How positions are guarded.
        reduce_all: Why everything is to be sold, empty when it is not.
    """
    watchman = _Watchman(view, policy, reduce_all)
    for holding in sorted(view.books.account.holdings, key=lambda h: h.instrument.symbol):
        watchman.look(holding)
    return Guarded(
        tuple(watchman.leaving),
        tuple(watchman.unseen),
        tuple(watchman.rows),
        tuple(watchman.alerts),
    )


def usable_quote(view: View, symbol: str, policy: ExitPolicy) -> Quote | None:
    """The quote a decision may stand on; None for one that is missing, halted, too old or not
    above zero."""
    quote = view.quotes.get(symbol)
    return quote if quote is not None and is_usable(quote, policy, view.at) else None


def is_usable(quote: Quote, policy: ExitPolicy, at: datetime) -> bool:
    """Whether it says what a share is worth at ``at``: traded, priced, and young enough."""
    is_young = at - quote.at <= policy.quote_max_age
    return is_young and not quote.halted and is_price(quote.last)


def exit_view_of(
    view: View, holding: Holding, quote: Quote, policy: ExitPolicy, *, reduce_all: str = ""
) -> ExitView:
    """What a guard looks at: a holding at the price of a quote, with what the view knows of it."""
    symbol, session = holding.instrument.symbol, view.session
    position = view.books.positions.get(symbol)
    opened_on = position.opened_on if position else session.date
    held = 0
    if policy.time_stop_sessions:
        held = len(sessions_between(session.group, opened_on, session.date)) - 1
    return exit_view(
        holding,
        last=quote.last,
        at=view.at,
        on=session.date,
        opened_on=opened_on,
        atr_pct=view.frame.row(symbol)["atr_pct"],
        minutes_to_close=session.minutes_to_close(view.at),
        sessions_held=held,
        reduce_all=reduce_all,
    )


@dataclass(slots=True)
class _Watchman:
    view: View
    policy: ExitPolicy
    reduce_all: str
    leaving: list[Leaving] = field(default_factory=list)
    unseen: list[Holding] = field(default_factory=list)
    rows: list[ProtectionRow] = field(default_factory=list)
    alerts: list[GuardAlert] = field(default_factory=list)

    def look(self, holding: Holding) -> None:
        quote = usable_quote(self.view, holding.instrument.symbol, self.policy)
        guard = self.view.books.protections.get(holding.instrument.symbol)
        seen = quote and guard and self._seen(holding, quote)
        if quote is None:
            self.unseen.append(holding)
        elif seen and guard and seen.usable:
            self._watch(holding, guard, quote, seen)
            return
        elif self.reduce_all:
            self.leaving.append(Leaving(holding, quote, IntentReason.REDUCE_ALL, self.reduce_all))
        if guard is not None:
            self._look_in_vain(guard)

    def _watch(self, holding: Holding, guard: Protection, quote: Quote, seen: ExitView) -> None:
        outcome = exits.watch(guard, seen, self.policy)
        self._keep(guard, outcome.protection)
        signal, since = outcome.signal, outcome.protection.approached_at
        if signal is not None:
            self.leaving.append(Leaving(holding, quote, signal.reason, signal.detail))
            if signal.is_stop and since is not None:
                self._alert(AlertKind.BREACHED, guard.symbol, since, signal.detail)
        elif outcome.near and since is not None:
            self._alert(AlertKind.NEAR, guard.symbol, since, outcome.near)

    def _look_in_vain(self, guard: Protection) -> None:
        after = exits.look_in_vain(guard, self.view.at)
        self._keep(guard, after)
        if after.blind_since is not None and after.blind_looks >= self.policy.blind_looks:
            detail = f"no usable price since {after.blind_since:%H:%M:%S} UTC: nothing guards it"
            self._alert(AlertKind.BLIND, guard.symbol, after.blind_since, detail)

    def _seen(self, holding: Holding, quote: Quote) -> ExitView:
        return exit_view_of(self.view, holding, quote, self.policy, reduce_all=self.reduce_all)

    def _keep(self, before: Protection, after: Protection) -> None:
        if replace(before, updated_at=after.updated_at) != after:
            books = self.view.books
            self.rows.append(ProtectionRow(books.group.value, self.view.session.date, after))

    def _alert(self, kind: AlertKind, symbol: str, since: datetime, detail: str) -> None:
        self.alerts.append(GuardAlert(kind, symbol, since, detail))
