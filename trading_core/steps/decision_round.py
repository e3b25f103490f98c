"""The questions of one cycle to a language model, and what a failure of one of them means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from trading_core.errors import BudgetExhausted, PlannerUnavailable, ReplyInvalid
from trading_core.model.decision import (
    DecisionInputs,
    Opinion,
    RealtimePolicy,
    TradeDecision,
    no_decision,
)
from trading_core.model.language import ModelReply, ModelRequest, Role, Turn
from trading_core.model.limits import Policy
from trading_core.ports import LanguageModel
from trading_core.rules.decision_prompts import decision_prompt
from trading_core.rules.decision_replies import (
    MAX_REASON,
    decision_schema,
    parse_decision,
    settled,
)
from trading_core.rules.loss_guard import LossGuard
from trading_core.rules.prompt_budget import prompt_hash
from trading_core.steps.opening import TradingDay

PURPOSE = "decide"


class Round:
    """The questions of one cycle: a few at a time, until its time or the budget is over.

    ``failed`` are the symbols without a usable decision, ``unanswered`` those of them that no
    reply came for.
    """

    def __init__(
        self,
        model: LanguageModel,
        day: TradingDay,
        policy: Policy,
        realtime: RealtimePolicy,
        *,
        guard: LossGuard,
        ends: float,
    ) -> None:
        self._model = model
        self._guard = guard
        self._day = day
        self._policy = policy
        self._realtime = realtime
        self._ends = ends
        self._gate = asyncio.Semaphore(realtime.at_once)
        self.opinions: dict[str, Opinion] = {}
        self.failed: set[str] = set()
        self.unanswered: set[str] = set()
        self.asked = 0
        self.is_out_of_budget = False
        self.reason = ""
        self._stopped = ""

    @property
    def is_down(self) -> bool:
        """Whether nothing of what was asked was answered."""
        return self.asked > 0 and len(self.unanswered) == len(self.opinions)

    async def ask(self, inputs: Sequence[DecisionInputs]) -> None:
        """Fill ``opinions``, one of each; holdings come first where they stand first."""
        made = await asyncio.gather(*map(self._opinion, inputs))
        self.opinions = {opinion.inputs.instrument.symbol: opinion for opinion in made}

    async def _opinion(self, inputs: DecisionInputs) -> Opinion:
        symbol = inputs.instrument.symbol
        async with self._gate:
            left = self._ends - time.perf_counter()
            if left <= 0:
                self._stopped = self._stopped or "the time of the cycle is over"
            if self._stopped:
                return Opinion(inputs, self._none(symbol, self._stopped))
            try:
                decision = await self._decision(inputs, min(left, self._realtime.call_seconds))
            except ReplyInvalid as error:
                self.failed.add(symbol)
                decision = no_decision(symbol, f"no usable reply: {error}"[:MAX_REASON])
            except BudgetExhausted as error:
                self.is_out_of_budget = True
                self.asked -= 1
                self._stopped = f"{type(error).__name__}: {error}"[:MAX_REASON]
                decision = self._none(symbol, self._stopped)
            except Exception as error:
                # Whatever a provider raises: a stock nobody decided about is held.
                reason = f"{type(error).__name__}: {error}"[:MAX_REASON]
                if isinstance(error, PlannerUnavailable):
                    # A quota or a network that is gone is gone for the others too.
                    self._stopped = reason
                decision = self._none(symbol, reason)
        return Opinion(inputs, decision)

    def _none(self, symbol: str, reason: str) -> TradeDecision:
        self.failed.add(symbol)
        self.unanswered.add(symbol)
        self.reason = self.reason or reason
        return no_decision(symbol, reason)

    async def _decision(self, inputs: DecisionInputs, seconds: float) -> TradeDecision:
        symbol, day = inputs.instrument.symbol, self._day
        prompt = decision_prompt(
            day.group, inputs, limits=self._policy.risk, plan=self._policy.plan
        )

        def check(reply: ModelReply) -> TradeDecision:
            return parse_decision(reply, symbol=symbol)

        request = ModelRequest(
            purpose=PURPOSE,
            market=day.group.value,
            session=day.session.date,
            turns=(Turn(Role.USER, prompt),),
            timeout_seconds=seconds,
            max_output_tokens=self._realtime.max_output_tokens,
            schema=decision_schema(),
            check=check,
        )
        self.asked += 1
        async with asyncio.timeout(seconds + 1):
            decision = check(await self._model.ask(request))
        decision = replace(decision, prompt_hash=prompt_hash(prompt))
        return settled(
            decision,
            held=inputs.held,
            limits=self._policy.risk,
            plan=self._policy.plan,
            outlook=day.playbook.outlook,
            banned=self._guard.reason(symbol),
        )
