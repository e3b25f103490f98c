"""How the reply of a language model becomes one decision. Any doubt is HOLD."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trading_core.errors import ReplyInvalid
from trading_core.model.decision import REALTIME, TradeDecision
from trading_core.model.language import STOPPED, ModelReply
from trading_core.model.limits import PlanLimits, RiskLimits
from trading_core.model.playbook import (
    Action,
    Condition,
    Outlook,
    Scenario,
    StopLossPct,
    TakeProfitPct,
)
from trading_core.rules import risk
from trading_core.rules.compiled import ScenarioMatch
from trading_core.rules.exits import DEFAULT_STOP_LOSS_PCT
from trading_core.rules.lint import LOOSEST_STOP_LOSS_PCT
from trading_core.rules.plan_review import entry_confidence
from trading_core.rules.replies import json_object, plain_schema

MAX_REASON = 300
MAX_RATIONALE = 300

_PRICED = Condition(field="price", op=">", value=0.0)
"""What a decision is bound to: it is about a stock that has a price."""


class _Said(BaseModel):
    """What the model is to answer. ``symbol`` repeats the one it was asked about."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False, strict=True)

    symbol: str
    action: Literal["BUY", "SELL", "HOLD"]
    confidence: Annotated[int, Field(ge=0, le=100)]
    rationale: str
    stop_loss_pct: StopLossPct | None = None
    take_profit_pct: TakeProfitPct | None = None
    allocation_pct: Annotated[float, Field(ge=0, le=100)] | None = None


def decision_schema() -> dict[str, Any]:
    """The JSON schema of a decision, in the keywords of ``replies.response_schema``."""
    return plain_schema(_Said.model_json_schema())


def parse_decision(reply: ModelReply, *, symbol: str) -> TradeDecision:
    """The decision in a reply, as the model wants it.

    Raises:
        ReplyInvalid: there is no text, the model was stopped before its end, or the text is not
            one object with a known action, a confidence from 0 to 100 and the symbol that was
            asked about; a BUY with a stop or target of the wrong sign is none either.
    """
    if not reply.text:
        raise ReplyInvalid(_short(f"the model gave no text ({reply.ending})"))
    if reply.ending != STOPPED:
        raise ReplyInvalid(_short(f"the model ended with {reply.ending}"))
    raw = _tidy(json_object(reply.text))
    try:
        said = _Said.model_validate(raw)
    except ValidationError as error:
        raise ReplyInvalid(_short(_problems(error))) from None
    if said.symbol != symbol:
        raise ReplyInvalid(_short(f"the reply is about {said.symbol!r}, not about {symbol}"))
    return TradeDecision(
        symbol=symbol,
        action=Action(said.action),
        confidence=said.confidence,
        rationale=" ".join(said.rationale.split())[:MAX_RATIONALE],
        stop_loss_pct=said.stop_loss_pct,
        take_profit_pct=said.take_profit_pct,
        allocation_pct=said.allocation_pct or 0.0,
        model=reply.model,
        prompt_id=reply.call.prompt_id if reply.call else "",
    )


def settled(
    decision: TradeDecision,
    *,
    held: int,
    limits: RiskLimits,
    plan: PlanLimits,
    outlook: Outlook = Outlook.NEUTRAL,
    banned: str = "",
) -> TradeDecision:
    """What may be acted on of a decision.

    Below the confidence threshold, and for a SELL of what is not held or a BUY of what is, it is
    HOLD. A BUY also needs what an entry of a playbook needs: enough confidence for the ``outlook``
    and no reason in ``banned``. It gets a stop where it has none or one that is too loose, and its
    allocation is cut to the cap; nothing ever gets looser.
    """
    if decision.action is Action.HOLD:
        return decision
    unsure = risk.too_unsure(decision.confidence, limits)
    if unsure:
        return decision.held_back(unsure)
    if decision.action is Action.SELL:
        return decision if held > 0 else decision.held_back("nothing is held")
    if held > 0:
        return decision.held_back("already held")
    if banned:
        return decision.held_back(f"not bought after recent losses: {banned}")
    needed = entry_confidence(outlook, limits.confidence_threshold)
    if decision.confidence < needed:
        return decision.held_back(
            f"confidence {decision.confidence} is below the {needed} of an entry, {outlook} outlook"
        )
    stop = decision.stop_loss_pct
    return replace(
        decision,
        stop_loss_pct=DEFAULT_STOP_LOSS_PCT if stop is None else max(stop, LOOSEST_STOP_LOSS_PCT),
        allocation_pct=min(decision.allocation_pct, plan.max_allocation_pct),
    )


def as_match(decision: TradeDecision) -> ScenarioMatch:
    """The decision as the one scenario of its symbol that matched."""
    scenario = Scenario(
        conditions=(_PRICED,),
        action=decision.action,
        confidence=decision.confidence,
        allocation_pct=decision.allocation_pct,
        stop_loss_pct=decision.stop_loss_pct,
        take_profit_pct=decision.take_profit_pct,
        rationale=decision.reason or decision.rationale,
    )
    return ScenarioMatch(decision.symbol, 0, scenario, REALTIME)


def _tidy(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Harmless deviations put right: letter case, blanks, null, and a zero where nothing is bought.

    A stop or target of 0 says "none" for a HOLD or SELL; for a BUY it is doubt.
    """
    tidy = {key: value for key, value in raw.items() if value is not None}
    for name in ("action", "symbol"):
        if isinstance(tidy.get(name), str):
            tidy[name] = tidy[name].strip().upper()
    if isinstance(tidy.get("confidence"), float) and tidy["confidence"].is_integer():
        tidy["confidence"] = int(tidy["confidence"])
    if tidy.get("action") != Action.BUY.value:
        for name in ("stop_loss_pct", "take_profit_pct", "allocation_pct"):
            tidy.pop(name, None)
    return tidy


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)[:3]
    )


def _short(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:MAX_REASON]
