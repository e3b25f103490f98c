"""Every print of a held symbol against its guard, between two looks at the broker.

The sentinel decides nothing for good: it says that a pass is due (``steps.protect``), which asks
the broker again and decides by the rules of every tick. What the prints move in a guard (a peak, a
promotion) is kept here until it is written down.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from trading_core.model.journal import ProtectionRow
from trading_core.model.limits import ExitPolicy
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.order import Side
from trading_core.model.portfolio import Holding, Protection
from trading_core.model.price import Quote
from trading_core.rules import exits
from trading_core.rules.calendar import Session
from trading_core.rules.exits_view import ExitView
from trading_core.steps.execute import Sent
from trading_core.steps.guard import exit_view_of, usable_quote
from trading_core.steps.observe import View
from trading_core.steps.reconcile import Books
from trading_core.steps.tick import TickPlan

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
"""Between two tries to leave the same position, doubled from the first to the longest."""


@dataclass(slots=True)
class _Post:
    """One symbol that is watched; without a ``holding`` an entry of it is on its way.

    ``seen`` is the position as the last look found it; only the price in it moves with the prints.
    ``breach`` is the quote that asks for an exit, ``quiet_until`` (monotonic seconds) when it may
    be tried again. ``leaving`` says that an exit is working, ``near`` that the price has come close
    to the stop and nobody was told.
    """

    instrument: Instrument
    holding: Holding | None = None
    guard: Protection | None = None
    stored: Protection | None = None
    seen: ExitView | None = None
    newest: Quote | None = None
    heard_at: datetime | None = None
    breach: Quote | None = None
    by_stop: bool = False
    leaving: bool = False
    near: bool = False
    failures: int = 0
    quiet_until: float = 0.0

    @property
    def needs_look(self) -> bool:
        """Whether it is held and has a price, but was never looked at."""
        return self.guard is not None and self.seen is None and self.newest is not None


class Sentinel:
    """Watches the positions of one market and session. Times are aware UTC."""

    def __init__(self, group: MarketGroup, session: Session, policy: ExitPolicy) -> None:
        self._group = group
        self._session = session
        self._policy = policy
        self._posts: dict[str, _Post] = {}
        self.order_works = False

    @property
    def followed(self) -> tuple[Instrument, ...]:
        """What is to be followed: what is held, then what an entry may still fill."""
        posts = sorted(self._posts.values(), key=lambda post: post.holding is None)
        return tuple(post.instrument for post in posts)

    @property
    def held(self) -> frozenset[str]:
        return frozenset(s for s, post in self._posts.items() if post.holding is not None)

    def unheard(self, at: datetime, since: timedelta) -> list[Instrument]:
        """Of what nothing was heard for so long, the longest silence first."""
        silent = [p for p in self._posts.values() if not p.heard_at or at - p.heard_at >= since]
        silent.sort(key=lambda post: (post.heard_at is not None, post.heard_at))
        return [post.instrument for post in silent]

    def hear(self, quote: Quote, at: datetime) -> bool:
        """Take a price in; whether a pass over its symbol is wanted now."""
        post = self._posts.get(quote.instrument.symbol)
        if post is None or not quote.usable or at - quote.at > self._policy.quote_max_age:
            return False
        post.newest, post.heard_at = quote, at
        if post.guard is None or post.leaving:
            return False
        if post.seen is None:
            return True
        outcome = self._watch(post, post.seen, quote)
        if outcome.signal is None:
            post.near = bool(outcome.near) and (post.near or post.guard.approached_at is None)
            post.guard = outcome.protection
            return False
        if post.breach is None or not outcome.signal.is_stop or quote.last < post.breach.last:
            post.breach, post.by_stop = quote, outcome.signal.is_stop
        return self._due(post, time.monotonic())

    def _watch(self, post: _Post, seen: ExitView, quote: Quote) -> exits.Guard:
        assert post.guard is not None
        left = self._session.minutes_to_close(quote.at)
        now = replace(seen, last=quote.last, at=quote.at, minutes_to_close=left)
        return exits.watch(post.guard, now, self._policy)

    @staticmethod
    def _due(post: _Post, now: float) -> bool:
        return (post.breach is not None or post.needs_look) and now >= post.quiet_until

    def due(self) -> bool:
        """Whether some symbol waits for a pass, and not for its next try."""
        now = time.monotonic()
        return any(self._due(post, now) for post in self._posts.values())

    def next_try(self) -> float | None:
        """Seconds until something is due; None when nothing waits."""
        now = time.monotonic()
        waits = [p.quiet_until - now for p in self._posts.values() if p.breach or p.needs_look]
        return max(min(waits), 0.0) if waits else None

    def decisive(self, at: datetime) -> dict[str, Quote]:
        """The fresh quote that each held symbol is to be judged by.

        A stop that was touched is judged by the lowest price since, whatever came after.
        """
        found = {}
        for symbol, post in self._posts.items():
            quotes = [post.newest] if post.breach is None else [post.breach, post.newest]
            fresh = [q for q in quotes if q and at - q.at <= self._policy.quote_max_age]
            if post.holding is not None and fresh:
                found[symbol] = min(fresh, key=lambda q: q.last) if post.by_stop else fresh[0]
        return found

    def moved(self, at: datetime) -> tuple[ProtectionRow, ...]:
        """The guards that the prints moved since they were last written down."""
        rows = []
        for post in self._posts.values():
            if post.guard is not None and _marks(post.guard) != _marks(post.stored):
                guard = replace(post.guard, updated_at=at)
                rows.append(ProtectionRow(self._group.value, self._session.date, guard))
        return tuple(rows)

    def promoted(self) -> bool:
        """Whether a print has moved a guard to a higher state that is not written down."""
        return any(
            post.guard is not None and post.stored is not None
            and post.guard.armed is not post.stored.armed
            for post in self._posts.values()
        )  # fmt: skip

    def approached(self) -> bool:
        """Whether a price has come close to a stop since the last look, so that it is to be told.

        A price that has gone away again is not told, and what follows is a new approach.
        """
        return any(post.near for post in self._posts.values())

    def wrote(self, rows: Collection[ProtectionRow]) -> None:
        """These rows of :meth:`moved` are in the store."""
        for row in rows:
            post = self._posts.get(row.protection.symbol)
            if post is not None:
                post.stored = row.protection

    def take_over(self, view: View, plan: TickPlan, sent: Sequence[Sent]) -> None:
        """Watch what a tick or a pass has just found, wanted and sent."""
        books, leaving = view.books, _leaving(view.books, sent)
        guards = dict(books.protections) | {r.protection.symbol: r.protection for r in plan.guards}
        before, self._posts = self._posts, {}
        self.order_works = bool(books.working) or any(one.state.is_working for one in sent)
        for holding in books.account.holdings:
            symbol = holding.instrument.symbol
            post = before.get(symbol) or _Post(holding.instrument)
            if symbol in guards:
                post.guard, post.stored = _merged(guards[symbol], post.guard), guards[symbol]
            same = post.holding is not None and _size(post.holding) == _size(holding)
            post.holding = holding
            if usable_quote(view, symbol, self._policy) is not None:
                post.seen = exit_view_of(view, holding, view.quotes[symbol], self._policy)
            elif not same:
                post.seen = None
            if not same:
                post.failures = 0
            self._posts[symbol] = post
            self._after_try(post, leaving=symbol in leaving)
        for item in _entering(books, sent):
            self._posts.setdefault(item.symbol, _entry(before.get(item.symbol), item))
        for symbol, quote in view.quotes.items():
            newest = self._posts[symbol].newest if symbol in self._posts else None
            if newest is None or quote.at >= newest.at:
                self.hear(quote, view.at)

    def _after_try(self, post: _Post, *, leaving: bool) -> None:
        post.leaving, post.near = leaving, False
        if post.breach is not None and not leaving and post.guard and post.seen:
            if self._watch(post, post.seen, post.breach).signal is None:
                post.breach = None
            else:
                self._pause(post)
        elif leaving or post.guard is None:
            post.breach = None
        elif post.needs_look:
            self._pause(post)
        if post.breach is None:
            post.by_stop = False

    @staticmethod
    def _pause(post: _Post) -> None:
        pause = pause_seconds(post.failures)
        post.failures += 1
        post.quiet_until = time.monotonic() + pause


def pause_seconds(failures: int, longest: float = LONGEST_PAUSE_SECONDS) -> float:
    """How long to wait after that many failures in a row, doubled each time, up to ``longest``."""
    return float(min(longest, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 10)))


def _entry(before: _Post | None, instrument: Instrument) -> _Post:
    """The post of a symbol that is not held yet; only its price is known."""
    if before is None:
        return _Post(instrument)
    return _Post(instrument, newest=before.newest, heard_at=before.heard_at)


def _leaving(books: Books, sent: Sequence[Sent]) -> set[str]:
    """Symbols of which an exit is working."""
    found = {symbol for symbol, side in books.working if side is Side.SELL}
    return found | {
        one.order.intent.instrument.symbol
        for one in sent
        if one.order.intent.side is Side.SELL and one.state.is_working
    }


def _entering(books: Books, sent: Sequence[Sent]) -> list[Instrument]:
    """What a working entry may still buy."""
    intents = [r.intent for r in books.orders if r.state.is_working]
    intents += [one.order.intent for one in sent if one.state.is_working]
    return [intent.instrument for intent in intents if intent.side is Side.BUY]


def _size(holding: Holding) -> tuple[object, ...]:
    return holding.quantity, holding.average_price


def _marks(guard: Protection | None) -> tuple[object, ...] | None:
    """What of a guard must not be forgotten."""
    if guard is None:
        return None
    return (
        guard.opened_at, guard.stop_loss_pct, guard.stop_basis, guard.armed, guard.trail_atr,
        guard.peak_price, guard.approached_at,
    )  # fmt: skip


def _merged(stored: Protection, moved: Protection | None) -> Protection:
    """The stored guard with what the prints since have moved in it; a guard never goes down."""
    if moved is None or moved.opened_at != stored.opened_at:
        return stored
    return replace(
        stored,
        armed=stored.armed.promoted(moved.armed),
        state=stored.state.promoted(moved.armed),
        trail_atr=stored.trail_atr or moved.trail_atr,
        peak_price=max(stored.peak_price, moved.peak_price),
    )
