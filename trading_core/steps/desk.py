"""Where decisions are written and intents pass the risk gate, one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from trading_core.model.decision import REALTIME
from trading_core.model.journal import Decision, Halt
from trading_core.model.limits import Policy
from trading_core.model.market import Instrument
from trading_core.model.order import (
    ApprovedOrder,
    IntentReason,
    OrderIntent,
    OrderType,
    Refusal,
    RefusalCode,
    Side,
)
from trading_core.model.playbook import Action
from trading_core.model.portfolio import Holding
from trading_core.model.price import Quote
from trading_core.rules import risk
from trading_core.rules.compiled import ScenarioMatch
from trading_core.rules.markets import lot_size
from trading_core.steps.observe import View


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision, the intent it led to (if any) and what the risk gate said of it."""

    decision: Decision
    intent: OrderIntent | None = None
    gate: ApprovedOrder | Refusal | None = None


@dataclass(slots=True)
class Desk:
    """Collects the verdicts of one tick; ``state`` moves on with every approved order."""

    view: View
    policy: Policy
    state: risk.RiskState
    verdicts: list[Verdict] = field(default_factory=list)

    def want(
        self,
        quote: Quote,
        *,
        side: Side,
        quantity: int,
        price: Decimal | None,
        reason: IntentReason,
        confidence: int,
        rationale: str,
        scenario_id: str,
        extra: Mapping[str, object],
        chases: str = "",
        refused: tuple[RefusalCode, str] | None = None,
    ) -> None:
        """Decide for an order and put its intent before the risk gate.

        Args:
            quote: What the decision stands on.
            price: The limit; None for a market order.
            chases: The intent whose unfilled rest this order is for.
            refused: Why it must not go out, where the gate need not be asked.
        """
        view = self.view
        name = scenario_id or reason.value
        decision = self._decision(
            quote.instrument, side.value, confidence, rationale, name, extra, chases=chases
        )
        intent = OrderIntent(
            intent_id=OrderIntent.make_id(
                view.books.group,
                view.session.date,
                view.at,
                quote.instrument.symbol,
                side,
                decision.decision_id,
            ),
            decision_id=decision.decision_id,
            instrument=quote.instrument,
            session=view.session.date,
            side=side,
            quantity=quantity,
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            limit_price=price,
            decided_price=quote.last,
            currency=view.books.account.currency,
            reason=reason,
            created_at=view.at,
            chases=chases,
        )
        if any(record.intent.intent_id == intent.intent_id for record in view.books.orders):
            # The same tick run again: this very wish was journaled before.
            return
        answer: ApprovedOrder | Refusal | Halt
        if refused is not None:
            answer = Refusal(intent, *refused, view.at)
        else:
            answer = risk.check(
                intent,
                self.state,
                self.policy.risk,
                confidence=confidence,
                lot=lot_size(quote.instrument.market, side),
                at=view.at,
                quote=quote,
                guards=self.policy.guards,
            )
        assert not isinstance(answer, Halt), "the breaker was looked at before any intent"
        if isinstance(answer, ApprovedOrder):
            self.state = self.state.after(answer)
            self.verdicts.append(Verdict(decision, answer.intent, answer))
        else:
            self._note(Verdict(decision, intent, answer), f"{side}:{answer.code}")

    def hold(self, item: ScenarioMatch, why: str) -> None:
        """Decide against what a scenario asks for, and say why."""
        quote = self.view.quotes.get(item.symbol)
        if quote is None:
            return
        decision = self._decision(
            quote.instrument,
            Action.HOLD.value,
            item.scenario.confidence,
            why,
            item.scenario_id,
            {"wanted": item.scenario.action.value},
        )
        self._note(Verdict(decision), f"HOLD:{why}")

    def cannot_sell(self, holding: Holding) -> None:
        """A holding that should be sold and has no price to sell it at."""
        why, wanted = "no usable price to sell at", IntentReason.REDUCE_ALL.value
        decision = self._decision(
            holding.instrument, Action.HOLD.value, 100, why, wanted, {"wanted": Side.SELL.value}
        )
        self._note(Verdict(decision), f"HOLD:{why}")

    def _note(self, verdict: Verdict, outcome: str) -> None:
        """Keep a verdict only when it differs from the last one of its symbol."""
        decision = verdict.decision
        mark = f"{decision.scenario_id}|{outcome}"
        if self.view.books.last_decisions.get(decision.instrument.symbol) == mark:
            return
        marked = replace(
            decision, context_snapshot={**decision.context_snapshot, "fingerprint": mark}
        )
        self.verdicts.append(replace(verdict, decision=marked))

    def _decision(
        self,
        instrument: Instrument,
        action: str,
        confidence: int,
        rationale: str,
        scenario_id: str,
        extra: Mapping[str, object],
        *,
        chases: str = "",
    ) -> Decision:
        view = self.view
        key = f"{view.books.group}|{view.session.date}|{view.at.isoformat()}"
        key += f"|{instrument.symbol}|{action}|{scenario_id}|{view.playbook.playbook_id}"
        if chases:
            key += f"|{chases}"
        source, prompt_id = view.playbook.source.value, view.playbook.prompt_id
        if scenario_id == REALTIME:
            made = view.made.get(instrument.symbol)
            source, prompt_id = REALTIME, made.prompt_id if made else ""
            extra = {**extra, "model": made.model if made else ""}
        return Decision(
            decision_id=hashlib.sha256(key.encode()).hexdigest()[:32],
            at=view.at,
            market=view.books.group.value,
            session=view.session.date,
            instrument=instrument,
            action=action,
            confidence=confidence,
            rationale=rationale,
            scenario_id=scenario_id,
            playbook_id=view.playbook.playbook_id,
            context_snapshot={
                "outlook": view.playbook.outlook.value,
                "source": source,
                "cash": str(view.books.account.orderable),
                "equity": str(view.books.account.equity),
                **extra,
            },
            input_data=plain(view.frame.row(instrument.symbol)),
            prompt_id=prompt_id,
        )


def plain(row: Mapping[str, float]) -> dict[str, float | None]:
    """Fields as JSON values, NaN as None."""
    return {name: None if value != value else round(value, 6) for name, value in row.items()}
