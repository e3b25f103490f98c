"""The heart of the trading loop: from what was seen to what is wanted.

``decide`` is pure, and the same function serves live trading, paper, the demo and any replay.
What it wants is carried out by ``steps.execute``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from trading_core.model.journal import Halt, MatchRow, ObservationRow, ProtectionRow
from trading_core.model.limits import Policy
from trading_core.model.order import (
    ApprovedOrder,
    IntentReason,
    OrderRecord,
    OrderState,
    Refusal,
    Side,
)
from trading_core.model.playbook import Action, GlobalAction
from trading_core.model.portfolio import Holding, Protection
from trading_core.model.price import Quote
from trading_core.rules import exits, risk, scanner, sizing
from trading_core.rules.compiled import ScenarioMatch
from trading_core.rules.markets import lot_size
from trading_core.rules.pricing import limit_price
from trading_core.steps.desk import Desk, Verdict, plain
from trading_core.steps.observe import View, observation_rows

ENTRY_LIFE = timedelta(minutes=15)
"""How long an entry may wait for its fill before it is cancelled."""

CANCELLABLE = frozenset(
    {OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED, OrderState.CANCEL_REQUESTED}
)
"""A cancel that was asked for before may never have arrived, so it is asked for again."""


@dataclass(frozen=True, slots=True)
class TickPlan:
    """What one tick wants done. ``verdicts`` are only those that differ from the last tick's."""

    at: datetime
    verdicts: tuple[Verdict, ...] = ()
    cancels: tuple[OrderRecord, ...] = ()
    halts: tuple[Halt, ...] = ()
    guards: tuple[ProtectionRow, ...] = ()
    near_stops: tuple[str, ...] = ()
    observations: tuple[ObservationRow, ...] = ()
    matches: tuple[MatchRow, ...] = ()

    @property
    def approved(self) -> tuple[ApprovedOrder, ...]:
        return tuple(v.gate for v in self.verdicts if isinstance(v.gate, ApprovedOrder))

    @property
    def refused(self) -> tuple[Refusal, ...]:
        return tuple(v.gate for v in self.verdicts if isinstance(v.gate, Refusal))


def decide(view: View, policy: Policy) -> TickPlan:
    """What to do now. Pure: the same view and policy always give the same plan.

    Order of business: the breaker, guards of what is held, the global rule, then the scenarios,
    exits before entries and the most confident entry first.
    """
    books = view.books
    rule = view.matches.global_rule
    no_entries = rule is not None and rule.action is GlobalAction.NO_ENTRIES
    reduce_all = rule is not None and rule.action is GlobalAction.REDUCE_ALL
    state = risk.RiskState(
        account=books.account,
        session_open_equity=books.session_open_equity,
        halts=books.halts,
        working=books.working,
        tried_today=books.tried_today,
        unknown=books.unknown,
        no_entries=f"global rule: {rule.rationale or rule.condition.field}"
        if rule and (no_entries or reduce_all)
        else "",
    )
    halt = risk.breaker(state, policy.risk, session=view.session.date, at=view.at)
    halts = (halt,) if halt else ()
    state = replace(state, halts=(*state.halts, *halts))
    desk = Desk(view, policy, state)
    trader = _Trader(view, policy, desk)
    guards, near = trader.guard_holdings(reduce_all=reduce_all)
    trader.follow_scenarios()
    return TickPlan(
        at=view.at,
        verdicts=tuple(desk.verdicts),
        cancels=_given_up(view, stop_all=bool(state.halts)),
        halts=halts,
        guards=guards,
        near_stops=near,
        observations=observation_rows(view),
        matches=tuple(view.matches.rows(books.group.value, view.session.date)),
    )


@dataclass(slots=True)
class _Trader:
    """Goes through holdings and scenarios and says at the desk what it wants of each."""

    view: View
    policy: Policy
    desk: Desk
    leaving: set[str] = field(default_factory=set)

    def guard_holdings(
        self, *, reduce_all: bool
    ) -> tuple[tuple[ProtectionRow, ...], tuple[str, ...]]:
        """Look at every holding, whatever the playbook says; sell what its guard gives up."""
        books, rows, near = self.view.books, [], []
        for holding in sorted(books.account.holdings, key=lambda h: h.instrument.symbol):
            symbol = holding.instrument.symbol
            quote = self.view.quotes.get(symbol)
            if quote is None or not quote.usable:
                if reduce_all:
                    self.desk.cannot_sell(holding)
                continue
            guard, signal = books.protections.get(symbol), None
            if guard is not None:
                seen = exits.watch(
                    guard, average_price=holding.average_price, last=quote.last, at=self.view.at
                )
                signal = seen.signal
                if _moved(guard, seen.protection):
                    rows.append(
                        ProtectionRow(books.group.value, self.view.session.date, seen.protection)
                    )
                if seen.near_stop:
                    near.append(symbol)
            if signal is not None:
                self._sell(holding, quote, signal.reason, signal.detail)
            elif reduce_all:
                self._sell(holding, quote, IntentReason.REDUCE_ALL, self.desk.state.no_entries)
        return tuple(rows), tuple(near)

    def follow_scenarios(self) -> None:
        """Exits first, then entries by falling confidence, then in playbook order."""
        found = [m for m in self.view.matches.first.values() if m.symbol not in self.leaving]
        for item in found:
            if item.scenario.action in (Action.SELL, Action.REDUCE):
                self._scenario_exit(item)
            elif item.scenario.action is Action.HOLD:
                self.desk.hold(item, item.scenario.rationale or "the scenario says hold")
        entries = [m for m in found if m.scenario.action is Action.BUY]
        for item in sorted(entries, key=lambda m: -m.scenario.confidence):
            self._enter(item)

    def _enter(self, item: ScenarioMatch) -> None:
        books, scenario = self.view.books, item.scenario
        quote = self.view.quotes.get(item.symbol)
        if quote is None or not quote.usable:
            return
        if books.account.holding(item.symbol) is not None:
            self.desk.hold(item, "already held")
            return
        if scenario.confidence < self.policy.risk.confidence_threshold:
            self.desk.hold(
                item,
                f"confidence {scenario.confidence} is below "
                f"{self.policy.risk.confidence_threshold}",
            )
            return
        row = self.view.frame.row(item.symbol)
        score = sizing.volatility_score(
            change_pct=row["change_pct"], range_pct=row["range_pct"], atr_pct=row["atr_pct"]
        )
        pct = sizing.allocation_pct(
            score=score,
            confidence=scenario.confidence,
            scenario_pct=scenario.allocation_pct,
            policy=self.policy.sizing,
        )
        price = limit_price(quote, Side.BUY, IntentReason.ENTRY, self.view.session.date)
        quantity = sizing.entry_quantity(
            cash=books.account.orderable,
            available=self.desk.state.available,
            price=price,
            lot=lot_size(quote.instrument.market, Side.BUY),
            pct=pct,
            limits=self.policy.risk,
        )
        self.desk.want(
            quote,
            side=Side.BUY,
            quantity=quantity,
            price=price,
            reason=IntentReason.ENTRY,
            confidence=scenario.confidence,
            rationale=scenario.rationale,
            scenario_id=item.scenario_id,
            extra={
                "stop_loss_pct": scenario.stop_loss_pct,
                "take_profit_pct": scenario.take_profit_pct,
                "allocation_pct": round(pct, 6),
                "selection_context": self._selection_context(row, score),
            },
        )

    def _selection_context(self, row: Mapping[str, float], score: float) -> dict[str, object]:
        seen = plain({name: row[name] for name in ("rsi", "volume_ratio")})
        signal = scanner.signal(row["change_pct"], row["rsi"], self.policy.scan)
        return {**seen, "signal": signal.value, "score": round(score, 6)}

    def _scenario_exit(self, item: ScenarioMatch) -> None:
        holding = self.view.books.account.holding(item.symbol)
        quote = self.view.quotes.get(item.symbol)
        if holding is None or quote is None or not quote.usable:
            return
        half = item.scenario.action is Action.REDUCE
        if half and item.symbol in self.view.books.reduced_today:
            self.desk.hold(item, "was reduced in this session")
            return
        self._sell(
            holding,
            quote,
            IntentReason.SCENARIO_EXIT,
            item.scenario.rationale,
            half=half,
            confidence=item.scenario.confidence,
            scenario_id=item.scenario_id,
        )

    def _sell(
        self,
        holding: Holding,
        quote: Quote,
        reason: IntentReason,
        rationale: str,
        *,
        half: bool = False,
        confidence: int = 100,
        scenario_id: str = "",
    ) -> None:
        self.leaving.add(holding.instrument.symbol)
        quantity = holding.sellable
        if half:
            lot = lot_size(quote.instrument.market, Side.SELL)
            quantity = max(quantity // 2 // lot * lot, min(lot, quantity))
        self.desk.want(
            quote,
            side=Side.SELL,
            quantity=quantity,
            price=limit_price(quote, Side.SELL, reason, self.view.session.date),
            reason=reason,
            confidence=confidence,
            rationale=rationale,
            scenario_id=scenario_id,
            extra={"average_price": str(holding.average_price)},
        )


def _moved(before: Protection, after: Protection) -> bool:
    return (before.state, before.peak_price) != (after.state, after.peak_price)


def _given_up(view: View, *, stop_all: bool) -> tuple[OrderRecord, ...]:
    """Working orders to cancel.

    Entries that waited too long, and all of them once trading is halted. Exits whose limit the
    price has fallen through: the next tick decides anew, at the price of then.
    """

    def has(record: OrderRecord) -> bool:
        intent = record.intent
        if intent.reason.is_entry:
            return stop_all or view.at - intent.created_at >= ENTRY_LIFE
        quote = view.quotes.get(intent.instrument.symbol)
        if quote is None or not quote.usable or intent.limit_price is None:
            return False
        return intent.limit_price > quote.last

    return tuple(r for r in view.books.orders if r.state in CANCELLABLE and has(r))
