"""Asking a language model about each candidate and holding, cycle after cycle of a session.

What it says goes the way of every scenario: desk, sizing, risk gate, journal, broker
(:func:`with_decisions`). Exits of the playbook stand whatever it says, guards stand whatever
anybody says. While no model answers, the playbook is matched as in daily mode.

A cycle sends no order and changes no books, so it runs beside the protective passes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from trading_core.errors import (
    BrokerError,
    BrokerUnavailable,
    ConfigError,
    StoreError,
)
from trading_core.model.audit import ScreenedRow
from trading_core.model.decision import (
    DecidedBy,
    DecisionCycle,
    DecisionInputs,
    Opinion,
    RealtimePolicy,
    TradeDecision,
)
from trading_core.model.journal import Decision
from trading_core.model.limits import Policy
from trading_core.model.market import Instrument
from trading_core.model.playbook import Action, Playbook, PlaybookSource
from trading_core.model.portfolio import Account
from trading_core.ports import Broker, History, LanguageModel, MarketData, Record, Store
from trading_core.rules.compiled import ScenarioMatch
from trading_core.rules.decision_inputs import is_unchanged, moved_pct
from trading_core.rules.decision_replies import (
    MAX_REASON,
    as_match,
)
from trading_core.rules.loss_guard import LossGuard
from trading_core.rules.markets import currency_of
from trading_core.rules.scanner import ScanResult
from trading_core.rules.trading_state import planning_stopped_by
from trading_core.steps.decision_round import Round
from trading_core.steps.gather import RECENT_DAYS, Universe, guard_of_losses
from trading_core.steps.live_scan import Fallback, decision_inputs, scan_now
from trading_core.steps.observe import View
from trading_core.steps.opening import TradingDay, widen
from trading_core.steps.plan import NO_CANDIDATES, NO_MODEL

PURPOSE = "decide"
_EXITS = (Action.SELL, Action.REDUCE)


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one round of asking came to.

    ``opinions`` are by symbol; ``day`` knows every instrument in them. ``screened`` are the rows
    of a scan that chose other candidates than the one before it.
    """

    row: DecisionCycle
    day: TradingDay
    opinions: Mapping[str, Opinion] = field(default_factory=dict)
    screened: tuple[ScreenedRow, ...] = ()

    @property
    def instruments(self) -> dict[str, Instrument]:
        """What must be observed besides what is planned and held."""
        return {s: opinion.inputs.instrument for s, opinion in self.opinions.items()}


def is_wanted(realtime: RealtimePolicy, playbook: Playbook, model: LanguageModel | None) -> bool:
    """Whether the model is asked during a session: in realtime mode, and as the last resort where
    nothing but exits could be planned although there is a model."""
    if realtime.is_on:
        return True
    unplanned = playbook.source is PlaybookSource.EXIT_ONLY
    return unplanned and model is not None and playbook.fallback_reason != NO_CANDIDATES


def with_decisions(view: View, cycle: Cycle, realtime: RealtimePolicy) -> View:
    """The view in which decisions of the model are what is asked for. Pure.

    Entries are the model's alone while it answers, and the playbook's while it does not; exits
    of the playbook always stand. A decision at a price that is no longer there is HOLD.
    """
    by_model = cycle.row.decided_by is DecidedBy.MODEL
    first = view.matches.first
    planned = {s: m for s, m in first.items() if not by_model or m.scenario.action in _EXITS}
    made = {
        symbol: _still_good(opinion, view, realtime) for symbol, opinion in cycle.opinions.items()
    }
    if not by_model:
        # What could not be asked is written down where the playbook says nothing.
        made = {s: d for s, d in made.items() if d.reason and s not in planned}
    instead: dict[str, ScenarioMatch] = {
        symbol: as_match(decision) for symbol, decision in made.items() if symbol not in planned
    }
    return replace(view, instead={**planned, **instead}, made=made)


def _still_good(opinion: Opinion, view: View, realtime: RealtimePolicy) -> TradeDecision:
    decision, quote = opinion.decision, view.quotes.get(opinion.decision.symbol)
    if decision.action is Action.HOLD or quote is None or not quote.usable:
        return decision
    moved = moved_pct(opinion.inputs, float(quote.last))
    if moved <= realtime.moved_pct:
        return decision
    return decision.held_back(f"the price has moved by more than {realtime.moved_pct:g} % since")


def journal_cycle(store: Store, cycle: Cycle) -> None:
    """Write a round down."""
    records: list[Record] = [cycle.row, *cycle.screened]
    with store.write() as tx:
        tx.append(records)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store knows when a cycle begins."""

    stopped: str
    recent: Mapping[str, Sequence[Decision]]
    recently_traded: Sequence[Instrument]
    guard: LossGuard


class Decider:
    """Asks about the candidates of one market and session, and remembers the answers.

    Args:
        model: None where none is configured: then every cycle says so.
        universe: Where candidates may come from.
    """

    def __init__(
        self,
        model: LanguageModel | None,
        store: Store,
        market_data: MarketData,
        broker: Broker,
        history: History,
        *,
        policy: Policy,
        realtime: RealtimePolicy,
        universe: Universe,
    ) -> None:
        self._model = model
        self._store = store
        self._market_data = market_data
        self._broker = broker
        self._history = history
        self._policy = policy
        self._realtime = realtime
        self._universe = universe
        self._opinions: dict[str, Opinion] = {}
        self._chosen: frozenset[str] = frozenset()
        self._was_down = False
        self._guarded: tuple[date, LossGuard] | None = None

    async def cycle(self, day: TradingDay, at: datetime) -> Cycle:
        """One round. Never raises for a broker, store or model that fails: it says so instead.

        Nothing is asked under a halt, because nothing could be bought.
        """
        begun = time.perf_counter()
        if self._model is None:
            return self._without(day, at, NO_MODEL, begun)
        try:
            async with asyncio.timeout(self._realtime.cycle_seconds):
                known = self._recall(day, at)
                if known.stopped:
                    row = self._row(day, at, DecidedBy.PLAYBOOK, known.stopped, begun)
                    return Cycle(row, day)
                day, scanned, inputs = await self._look(day, known, at)
        except (BrokerError, StoreError, TimeoutError) as error:
            # No entries are better than entries on a market nobody could look at.
            reason = f"the market could not be looked at: {type(error).__name__}: {error}"
            row = self._row(day, at, DecidedBy.MODEL, reason[:MAX_REASON], begun)
            return Cycle(row, day)
        round_ = Round(
            self._model,
            day,
            self._policy,
            self._realtime,
            guard=known.guard,
            ends=begun + self._realtime.cycle_seconds,
        )
        reused = self._unchanged(inputs, at)
        await round_.ask([one for one in inputs if one.instrument.symbol not in reused])
        return self._finish(round_, reused, scanned, inputs, day, at, begun)

    async def one(self, day: TradingDay, listed: Sequence[Instrument], at: datetime) -> Opinion:
        """One decision now, whatever the scanner says of it.

        Args:
            listed: One symbol at the exchanges where it may be listed, the likeliest first.

        Raises:
            ConfigError: no model is configured.
            BrokerUnavailable: there is no usable price, or no account to decide on.
        """
        if self._model is None:
            raise ConfigError(f"{NO_MODEL}: set GEMINI_API_KEY, or PLANNER_PROVIDER=openai")
        account = await self._broker.account(day.group)
        known, symbol = self._recall(day, at), listed[0].symbol
        inputs: list[DecisionInputs] = []
        for instrument in listed:
            there = await widen(self._market_data, self._history, day, [instrument])
            try:
                inputs = await self._inputs(there, [instrument], account, known, at)
            except BrokerError:
                continue
            if inputs:
                break
        if not inputs:
            raise BrokerUnavailable(f"{symbol} has no usable price now")
        ends = time.perf_counter() + self._realtime.cycle_seconds
        round_ = Round(self._model, day, self._policy, self._realtime, guard=known.guard, ends=ends)
        await round_.ask(inputs)
        return round_.opinions[symbol]

    def _recall(self, day: TradingDay, at: datetime) -> _Known:
        group, session = day.group, day.session.date
        with self._store.read() as db:
            halts = planning_stopped_by(db.open_halts(), group=group, currency=currency_of(group))
            decided = db.decisions(group, session)
            traded = db.recently_traded(group, since=session - timedelta(days=RECENT_DAYS))
        recent: dict[str, list[Decision]] = {}
        for decision in decided:
            recent.setdefault(decision.instrument.symbol, []).append(decision)
        # What closed before today does not change while the session lasts.
        if self._guarded is None or self._guarded[0] != session:
            limits = self._policy.losses
            self._guarded = session, guard_of_losses(self._store, group, session, limits)
        stopped = f"halted: {halts[0].reason}" if halts else ""
        return _Known(stopped, recent, traded, self._guarded[1])

    async def _look(
        self, day: TradingDay, known: _Known, at: datetime
    ) -> tuple[TradingDay, ScanResult, list[DecisionInputs]]:
        account = await self._broker.account(day.group)
        held = [h.instrument for h in account.holdings if h.quantity > 0]
        scanned = await scan_now(
            self._market_data,
            day=day,
            at=at,
            limits=self._policy.scan,
            top_n=self._realtime.top_n,
            universe=self._universe,
            fallback=Fallback(known.recently_traded, held),
        )
        chosen = [candidate.instrument for candidate in scanned.candidates]
        wanted = list({item.symbol: item for item in (*held, *chosen)}.values())
        day = await widen(self._market_data, self._history, day, wanted)
        return day, scanned, await self._inputs(day, wanted, account, known, at)

    async def _inputs(
        self,
        day: TradingDay,
        wanted: Sequence[Instrument],
        account: Account,
        known: _Known,
        at: datetime,
    ) -> list[DecisionInputs]:
        return await decision_inputs(
            self._market_data,
            wanted,
            day=day,
            account=account,
            recent=known.recent,
            max_age=self._policy.exits.quote_max_age,
            at=at,
        )

    def _unchanged(self, inputs: Sequence[DecisionInputs], at: datetime) -> dict[str, Opinion]:
        found = {}
        for one in inputs:
            before = self._opinions.get(one.instrument.symbol)
            if before is None or at - before.inputs.at > self._realtime.keep:
                continue
            if is_unchanged(before.inputs, one):
                found[one.instrument.symbol] = before
        return found

    def _finish(
        self,
        round_: Round,
        reused: Mapping[str, Opinion],
        scanned: ScanResult,
        inputs: Sequence[DecisionInputs],
        day: TradingDay,
        at: datetime,
        begun: float,
    ) -> Cycle:
        opinions = {**reused, **round_.opinions}
        self._opinions = {s: o for s, o in opinions.items() if s not in round_.unanswered}
        # One bad answer holds what was asked; a model that stays away is the playbook's turn.
        absent = round_.is_down and self._was_down
        self._was_down = round_.is_down or (self._was_down and not round_.asked)
        by = DecidedBy.PLAYBOOK if round_.is_out_of_budget or absent else DecidedBy.MODEL
        row = replace(
            self._row(day, at, by, round_.reason, begun),
            candidates=len(inputs),
            asked=round_.asked,
            reused=len(reused),
            failed=len(round_.failed),
        )
        chosen = frozenset(candidate.instrument.symbol for candidate in scanned.candidates)
        rows = scanned.rows(day.group, day.session.date, at) if chosen != self._chosen else ()
        self._chosen = chosen
        return Cycle(row, day, opinions, tuple(rows))

    def _without(self, day: TradingDay, at: datetime, reason: str, begun: float) -> Cycle:
        return Cycle(self._row(day, at, DecidedBy.PLAYBOOK, reason, begun), day)

    @staticmethod
    def _row(
        day: TradingDay, at: datetime, by: DecidedBy, reason: str, begun: float
    ) -> DecisionCycle:
        seconds = round(time.perf_counter() - begun, 3)
        return DecisionCycle(
            day.group.value, day.session.date, at, by, reason=reason, seconds=seconds
        )
