"""Decisions as a list, and everything one of them stood on."""

from __future__ import annotations

from typing import Any

from trading_core.model.audit import DecisionFilter, DecisionResult, LoggedDecision
from trading_core.model.limits import Policy
from trading_core.model.market import MarketGroup
from trading_core.ports import Store, StoreReader
from trading_core.rules.markets import currency_of
from trading_core.steps.board.orders import order_row
from trading_core.steps.board.why import funnel
from trading_core.steps.summary import plain

Json = dict[str, Any]


def search(reader: StoreReader, wanted: DecisionFilter) -> list[Json]:
    """Newest first. ``outcome`` is a Decimal of ``currency`` after costs, None while it is not
    known, and ``result`` says which of the two in a word."""
    return [_row(found) for found in reader.decision_log(wanted)]


def _row(found: LoggedDecision) -> Json:
    decision, outcome, review = found.decision, found.outcome, found.review
    return {
        "id": decision.decision_id,
        "at": decision.at,
        "market": decision.market,
        "session": decision.session,
        "symbol": decision.instrument.symbol,
        "name": decision.instrument.name,
        "action": decision.action,
        "confidence": decision.confidence,
        "scenario": decision.scenario_id,
        "rationale": decision.rationale,
        "result": _result(found).value,
        "outcome": outcome.outcome_pnl if outcome else None,
        "currency": currency_of(MarketGroup.parse(decision.market)).value,
        "accuracy": outcome.outcome_accuracy if outcome else None,
        "remark": (review.note if review else outcome.note if outcome else "") or "",
        "reviewer": review.by if review else "",
    }


def _result(found: LoggedDecision) -> DecisionResult:
    if found.outcome is None:
        return DecisionResult.OPEN
    return DecisionResult.WON if found.outcome.outcome_pnl > 0 else DecisionResult.LOST


def one(store: Store, decision_id: str, policy: Policy) -> Json | None:
    """A decision with its funnel, orders, facts and prompt; None when there is no such decision.

    ``funnel`` is that of the moment it was decided; ``orders`` are as they stand now, with their
    fills. ``funnel`` is None where nothing else is known of the symbol in that session.
    """
    with store.read() as reader:
        found = reader.decision_log(DecisionFilter(ids=(decision_id,), limit=1))
        if not found:
            return None
        decision = found[0].decision
        fills = reader.fills(decision.market, decision.session)
        orders = [
            order_row(record, [f for f in fills if f.intent_id == record.intent.intent_id])
            for record in reader.orders(decision.market, decision.session)
            if record.intent.decision_id == decision_id
        ]
        prompt = reader.llm_text(decision.prompt_id) if decision.prompt_id else None
    group = MarketGroup.parse(decision.market)
    return {
        "decision": _row(found[0]),
        "orders": orders,
        "snapshot": plain(decision.context_snapshot),
        "facts": plain(decision.input_data),
        "playbook_id": decision.playbook_id,
        "prompt_id": decision.prompt_id,
        "prompt": prompt,
        "funnel": funnel(
            store,
            group=group,
            session=decision.session,
            symbol=decision.instrument.symbol,
            policy=policy,
            at=decision.at,
        ),
    }
