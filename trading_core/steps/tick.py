"""The heart of the trading loop: from what was seen to what is wanted.

``decide`` is pure, and the same function serves live trading, paper, the demo and any replay.
What it wants is carried out by ``steps.execute``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from trading_core.model.journal import Halt, MatchRow, ObservationRow, ProtectionRow
from trading_core.model.limits import Policy
from trading_core.model.order import (
    ApprovedOrder,
    IntentReason,
    Refusal,
    Side,
)
from trading_core.model.playbook import Action, GlobalAction
from trading_core.model.portfolio import Holding
from trading_core.model.price import Quote
from trading_core.rules import risk, scanner, sizing
from trading_core.rules.blackout import blackout_words
from trading_core.rules.chase import Cancel, Chain, Key, bought_before, chains_due
from trading_core.rules.compiled import ScenarioMatch
from trading_core.rules.markets import lot_size
from trading_core.rules.pricing import limit_price
from trading_core.steps import unfilled
from trading_core.steps.desk import Desk, Verdict, plain
from trading_core.steps.guard import GuardAlert, Guarded, guard_holdings, usable_quote
from trading_core.steps.observe import View, observation_rows


@dataclass(frozen=True, slots=True)
class TickPlan:
    """What one tick wants done. ``verdicts`` are only those that differ from the last tick's."""

    at: datetime
    verdicts: tuple[Verdict, ...] = ()
    cancels: tuple[Cancel, ...] = ()
    halts: tuple[Halt, ...] = ()
    guards: tuple[ProtectionRow, ...] = ()
    alerts: tuple[GuardAlert, ...] = ()
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

    Order of business: the breaker, guards of what is held, the global rule, orders that did not
    fill, then the scenarios, exits before entries and the most confident entry first.
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
        history=books.history,
        unknown=books.unknown,
        accepted_pnl_pct=books.accepted_pnl_pct,
        bought=bought_before(books.orders),
        blackout=blackout_words(policy.blackouts, view.at),
        no_entries=f"global rule: {rule.rationale or rule.condition.field}"
        if rule and (no_entries or reduce_all)
        else "",
    )
    halt = risk.breaker(state, policy.risk, session=view.session.date, at=view.at)
    halts = (halt,) if halt else ()
    state = replace(state, halts=(*state.halts, *halts))
    why = state.no_entries if reduce_all else ""
    guarded = guard_holdings(view, policy.exits, reduce_all=why)
    desk = Desk(view, policy, state)
    chains = {} if books.unknown else chains_due(books.orders, books.book, session=books.session)
    trader = _Trader(view, policy, desk, chains)
    trader.follow_guards(guarded, reduce_all=why)
    trader.follow_unfilled()
    trader.follow_scenarios()
    return TickPlan(
        at=view.at,
        verdicts=tuple(desk.verdicts),
        cancels=unfilled.given_up(view, policy, stop_all=bool(state.halts)),
        halts=halts,
        guards=guarded.rows,
        alerts=guarded.alerts,
        observations=observation_rows(view),
        matches=tuple(view.matches.rows(books.group.value, view.session.date)),
    )


@dataclass(slots=True)
class _Trader:
    """Goes through holdings and scenarios and says at the desk what it wants of each."""

    view: View
    policy: Policy
    desk: Desk
    chains: Mapping[Key, Chain]
    leaving: set[str] = field(default_factory=set)

    def follow_guards(self, guarded: Guarded, *, reduce_all: str) -> None:
        """Sell what the guards give up."""
        for item in guarded.leaving:
            self._sell(item.holding, item.quote, item.reason, item.detail)
        if reduce_all:
            for holding in guarded.unseen:
                self.desk.cannot_sell(holding)

    def follow_unfilled(self) -> None:
        """Sell and buy the rest of what was cancelled because it did not fill."""
        for (symbol, side), chain in sorted(self.chains.items(), reverse=True):
            if side is Side.BUY:
                unfilled.chase_entry(self.desk, chain)
            elif symbol not in self.leaving:
                self._chase_exit(chain)

    def _chase_exit(self, chain: Chain) -> None:
        last = chain.last.intent
        holding = self.view.books.account.holding(last.instrument.symbol)
        quote = usable_quote(self.view, last.instrument.symbol, self.policy.exits)
        if holding is None or quote is None:
            return
        decided = self.view.books.decided.get(last.decision_id)
        self._sell(
            holding,
            quote,
            last.reason,
            f"{chain.remaining} of {last.quantity} did not fill at {last.limit_price}",
            at_most=chain.remaining,
            confidence=decided.confidence if decided else 100,
            scenario_id=decided.scenario_id if decided else "",
        )

    def follow_scenarios(self) -> None:
        """Exits first, then entries by falling confidence, then in playbook order."""
        found = [m for m in self.view.wanted.values() if m.symbol not in self.leaving]
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
        if (item.symbol, Side.BUY) in self.chains:
            return
        quote = usable_quote(self.view, item.symbol, self.policy.exits)
        if quote is None:
            return
        if books.account.holding(item.symbol) is not None:
            self.desk.hold(item, "already held")
            return
        unsure = risk.too_unsure(scenario.confidence, self.policy.risk)
        if unsure:
            self.desk.hold(item, unsure)
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
        quote = usable_quote(self.view, item.symbol, self.policy.exits)
        if holding is None or quote is None:
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
        at_most: int | None = None,
        confidence: int = 100,
        scenario_id: str = "",
    ) -> None:
        self.leaving.add(holding.instrument.symbol)
        quantity = holding.sellable
        if at_most is not None:
            quantity = min(quantity, at_most)
        if half:
            lot = lot_size(quote.instrument.market, Side.SELL)
            quantity = max(quantity // 2 // lot * lot, min(lot, quantity))
        usual = limit_price(quote, Side.SELL, reason, self.view.session.date)
        price: Decimal | None = usual
        chain = self.chains.get((quote.instrument.symbol, Side.SELL))
        if chain is not None:
            after = unfilled.exit_terms(self.view, chain, quote, self.policy).limit_price
            price = None if after is None else min(usual, after)
        self.desk.want(
            quote,
            side=Side.SELL,
            quantity=quantity,
            price=price,
            reason=reason,
            confidence=confidence,
            rationale=rationale,
            scenario_id=scenario_id,
            extra={
                "average_price": str(holding.average_price),
                "held": holding.quantity,
                "sellable": holding.sellable,
            },
            chases=chain.last.intent.intent_id if chain else "",
            refused=unfilled.not_sellable(self.view.books, holding),
        )
