"""One tick of the shadow planners: the same look at the market, the same rules, no order.

Runs after the orders of the real planner are on their way. A shadow is given prices and the store,
never a broker: there is nothing here that could send an order. ``steps.tick.decide`` says what it
wants of books of its own; what passes the risk gate is traded on paper (``rules.shadow``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from trading_core.errors import BrokerError
from trading_core.model.limits import Policy
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.order import ApprovedOrder
from trading_core.model.playbook import Playbook
from trading_core.model.price import DailyBar, OrderBook, Quote
from trading_core.model.shadow import ShadowGuard, ShadowPlan, ShadowTrade
from trading_core.ports import History, MarketData, Record, Store, StoreReader
from trading_core.rules.compiled import compile_playbook
from trading_core.rules.indicators import Floats
from trading_core.rules.shadow import virtual_trade
from trading_core.steps.observe import View, view_of
from trading_core.steps.opening import TradingDay, open_day, widen
from trading_core.steps.shadow_books import (
    ShadowState,
    account_of,
    books_of,
    mark_of,
    moved_at,
    read_states,
)
from trading_core.steps.splits import AFTERWARDS
from trading_core.steps.tick import TickPlan, decide

logger = logging.getLogger(__name__)


class Prices:
    """Quotes and order books of one moment: those the real tick saw, and what is asked besides.

    Everything is asked once, however many shadows want it.
    """

    def __init__(self, market_data: MarketData, quotes: Mapping[str, Quote]) -> None:
        self._market_data = market_data
        self._books: dict[str, OrderBook | None] = {}
        self.quotes: dict[str, Quote] = dict(quotes)

    async def ask(self, instruments: Iterable[Instrument]) -> None:
        """Quotes of what was not seen yet; what cannot be had is left out."""
        missing = {i.symbol: i for i in instruments if i.symbol not in self.quotes}
        if missing:
            try:
                self.quotes |= await self._market_data.quotes(list(missing.values()))
            except BrokerError as error:
                logger.info("no prices for shadow planners: %s", error)

    async def book(self, instrument: Instrument) -> OrderBook | None:
        """The order book; None when the broker gives none."""
        symbol = instrument.symbol
        if symbol not in self._books:
            try:
                self._books[symbol] = await self._market_data.order_book(instrument)
            except BrokerError:
                self._books[symbol] = None
        return self._books[symbol]

    async def spreads(self, instruments: Sequence[Instrument]) -> Floats:
        """Spreads in percent; NaN where there is no book."""
        books = await asyncio.gather(*map(self.book, instruments))
        return np.array([book.spread_pct if book else np.nan for book in books], dtype=np.float64)


class Shadows:
    """The shadow planners of one session.

    Args:
        store: Where their rows are.
        market_data: Prices.
        history: The daily bars of the session; nothing is written to it.
        planners: Their names.
        policy: The real planner's.
    """

    def __init__(
        self,
        store: Store,
        market_data: MarketData,
        history: History,
        planners: Sequence[str],
        policy: Policy,
    ) -> None:
        self._store = store
        self._market_data = market_data
        self._history = _Unwritten(history)
        self._planners = tuple(planners)
        self._policy = policy
        self._plans: dict[str, ShadowPlan] = {}
        self._days: dict[str, TradingDay] = {}
        self._nothing: Playbook | None = None
        self._told: set[tuple[str, str]] = set()

    async def follow(self, day: TradingDay, seen: View) -> None:
        """Match every shadow against what a tick saw, and write down what it would have done.

        A moment that was looked at before is left as it is. Never raises: what goes wrong is
        logged, each kind of it once.
        """
        try:
            await self._follow(day, seen)
        except Exception as error:
            self._tell("shadow planners", error)

    async def _follow(self, day: TradingDay, seen: View) -> None:
        group, session = day.group, day.session.date
        with self._store.read() as reader:
            self._recall(reader, group, session)
            states = read_states(reader, self._planners, group, session, self._plans)
        states = [state for state in states if _is_due(state, seen)]
        prices = Prices(self._market_data, seen.quotes)
        days: dict[str, TradingDay] = {}
        for state in states:
            try:
                days[state.planner] = await self._day(day, state)
            except Exception as error:
                self._tell(state.planner, error)
        await prices.ask(
            instrument
            for state in states
            if state.planner in days
            for instrument in _wanted(days[state.planner], state).values()
        )
        outcomes: dict[str, list[Record]] = {}
        for state in states:
            if state.planner not in days:
                continue
            try:
                outcomes[state.planner] = await self._one(days[state.planner], state, seen, prices)
            except Exception as error:
                self._tell(state.planner, error)
        if not outcomes:
            return
        stood_on = {state.planner: state.moved_at for state in states}
        with self._store.write() as tx:
            # Another run may have looked meanwhile; its rows stand, and these were made without.
            moved = moved_at(tx, group)
            tx.append(
                row
                for planner, rows in outcomes.items()
                if moved.get(planner) == stood_on[planner]
                for row in rows
            )

    async def _one(
        self, day: TradingDay, state: ShadowState, seen: View, prices: Prices
    ) -> list[Record]:
        """The rows of one shadow at one moment."""
        at, session = seen.at, day.session.date
        account = account_of(state, seen.books.account, prices.quotes, at)
        books = books_of(state, account, seen.books, at=at, limits=self._policy.risk)
        wanted = _wanted(day, state)
        more: dict[str, Floats] = {}
        if "spread_pct" in day.compiled.fields_used:
            more["spread_pct"] = await prices.spreads(list(wanted.values()))
        view = view_of(tuple(wanted), prices.quotes, books=books, day=day, at=at, more=more)
        plan = decide(view, self._policy)
        trades = await _trades(state.planner, plan, view, prices)
        rows: list[Record] = [*trades]
        rows += [ShadowGuard(state.planner, day.group, session, g.protection) for g in plan.guards]
        observed, matched = len(view.frame.symbols), len(view.matches.first)
        before = mark_of(
            state.planner, account, day.group, session, observed=observed, matched=matched
        )
        if before is not None:
            rows.append(before)
        if before is not None and trades:
            # What the trades cost shows at once, and not only at a next look that may never come.
            traded = replace(state, trades=(*state.trades, *trades), last=before)
            after = account_of(traded, seen.books.account, prices.quotes, at + AFTERWARDS)
            mark = mark_of(state.planner, after, day.group, session)
            rows += [mark] if mark else []
        return rows

    def _recall(self, reader: StoreReader, group: MarketGroup, session: date) -> None:
        """Read the plans, while one is missing or could be made again; none is ever changed."""
        known = (self._plans.get(name) for name in self._planners)
        if any(plan is None or plan.session != session or plan.problem for plan in known):
            found = reader.shadow_plans(group, since=session, until=session)
            self._plans = {plan.planner: plan for plan in found}

    async def _day(self, day: TradingDay, state: ShadowState) -> TradingDay:
        """The session with the shadow's playbook; without a plan its holdings are guarded alone."""
        made = self._days.get(state.planner)
        playbook = state.plan.playbook if state.plan else self._bare(day)
        known = made.instruments.keys() if made else set()
        if made is None or made.playbook is not playbook or not state.held.keys() <= known:
            wanted = {*playbook.symbols, *state.held}
            if wanted <= day.instruments.keys():
                made = replace(day, compiled=compile_playbook(playbook))
            else:
                made = await open_day(
                    self._market_data,
                    self._history,
                    group=day.group,
                    session=day.session,
                    playbook=playbook,
                )
                made = await widen(
                    self._market_data, self._history, made, list(state.held.values())
                )
            self._days[state.planner] = made
        return made

    def _bare(self, day: TradingDay) -> Playbook:
        if self._nothing is None:
            self._nothing = day.playbook.model_copy(update={"stocks": (), "global_rules": ()})
        return self._nothing

    def _tell(self, planner: str, error: Exception) -> None:
        kind = (planner, type(error).__name__)
        if kind not in self._told:
            self._told.add(kind)
            logger.warning("%s: not followed: %s: %s", planner, *kind[1:], error, exc_info=error)


def _is_due(state: ShadowState, seen: View) -> bool:
    """Whether there is anything to follow, and nobody has looked at this moment or later."""
    if state.moved_at is not None and state.moved_at >= seen.at:
        return False
    return state.plan is not None or bool(state.positions)


def _wanted(day: TradingDay, state: ShadowState) -> dict[str, Instrument]:
    """What a shadow looks at: what it planned and what it holds, by symbol."""
    known = day.instruments
    return {**{s: known[s] for s in day.compiled.symbols if s in known}, **state.held}


async def _trades(
    planner: str, plan: TickPlan, view: View, prices: Prices
) -> tuple[ShadowTrade, ...]:
    """What would have traded of the orders that the risk gate let pass."""
    made = []
    for verdict in plan.verdicts:
        if not isinstance(verdict.gate, ApprovedOrder):
            continue
        intent = verdict.gate.intent
        quote = view.quotes[intent.instrument.symbol]
        book = await prices.book(intent.instrument)
        trade = virtual_trade(
            planner, intent, verdict.decision, quote, book, krw_rate=view.books.account.krw_rate
        )
        if trade is not None:
            made.append(trade)
    return tuple(made)


class _Unwritten:
    """The session's daily bars, with what shadows need besides kept here alone."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._more: dict[Instrument, list[DailyBar]] = {}

    def load(self, group: MarketGroup, session: date) -> dict[Instrument, list[DailyBar]]:
        return {**self._history.load(group, session), **self._more}

    def save(
        self, group: MarketGroup, session: date, bars: Mapping[Instrument, Sequence[DailyBar]]
    ) -> None:
        self._more = {instrument: list(series) for instrument, series in bars.items()}
