"""Asking a language model within a budget, with every call written down before it is made.

The reservation is committed first, in the same store write that looks at the limits: the store
lets one process write at a time, so no two can take the last call. A process that dies before the
outcome is written leaves a reservation that stays counted as spent.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from trading_core.clock import Clock
from trading_core.errors import PlannerError, PlannerUnavailable, ReplyInvalid, StoreError
from trading_core.model.journal import LlmCall
from trading_core.model.language import (
    OK,
    REUSED,
    STOPPED,
    LlmReservation,
    LlmText,
    ModelReply,
    ModelRequest,
    TextKind,
)
from trading_core.model.limits import LlmBudget
from trading_core.model.shadow import is_shadow_call
from trading_core.ports import LanguageModel, Record, Store, StoreWriter
from trading_core.rules.llm_budget import budget_day, day_and_month, require_room, reusable
from trading_core.rules.llm_prices import TokenPrice, call_cost
from trading_core.rules.prompt_budget import estimate_tokens, prompt_hash

NO_PRICE = "no price is known for this model; only the number of calls is limited"
NOT_COUNTED = "the provider counted no tokens; it is taken to have cost the most it could"
GRACE = timedelta(seconds=60)
"""How long after its limit a call may still be writing down its outcome."""

logger = logging.getLogger(__name__)


class AccountedModel:
    """A language model with a ledger. Implements ``ports.LanguageModel``.

    The same prompt to the same model about the same session is asked once: later the stored reply
    is handed out, which costs nothing and is no call.

    Args:
        model: The model itself.
        clock: Real time, whatever time the market plays in, because bills run on it.
        prices: By model and date; for one that is not listed only the calls are counted.
    """

    def __init__(
        self,
        model: LanguageModel,
        store: Store,
        clock: Clock,
        *,
        budget: LlmBudget,
        prices: Sequence[TokenPrice],
    ) -> None:
        self._model = model
        self._store = store
        self._clock = clock
        self._budget = budget
        self._prices = tuple(prices)

    @property
    def provider(self) -> str:
        return self._model.provider

    @property
    def model(self) -> str:
        return self._model.model

    async def ask(self, request: ModelRequest) -> ModelReply:
        """The reply, with the row of the ledger as its ``call``.

        Raises:
            BudgetExhausted: a limit is reached; nothing was called.
            PlannerTimeout, PlannerUnavailable: as the model says; the row is in ``error.calls``.
                Also when the ledger cannot be written: then nothing was called either.
        """
        at = self._clock.now()
        prompt = _prompt_text(request, at)
        try:
            with self._store.write() as tx:
                found = self._recall(tx, request, prompt, at)
                if found is not None:
                    return found
                reserved = self._reserve(tx, request, prompt, at)
        except StoreError as error:
            raise PlannerUnavailable(
                f"the model is not asked because it cannot be written down: {error}", unbilled=True
            ) from error
        begun = time.perf_counter()
        try:
            reply = await self._model.ask(request)
        except PlannerError as error:
            call = self._failed(request, reserved, error, _since(begun))
            self._write([call])
            error.calls = (call,)
            raise
        call, text = self._answered(request, reserved, reply)
        self._write([call] if text is None else [text, call])
        return replace(reply, call=call)

    def _recall(
        self, tx: StoreWriter, request: ModelRequest, prompt: LlmText, at: datetime
    ) -> ModelReply | None:
        """The stored reply to the same question."""
        asked = [
            call
            for call in tx.llm_calls(request.market, request.session, prompt_id=prompt.text_id)
            # What a shadow was told is never an answer to the real planner, nor the other way.
            if is_shadow_call(call.purpose) is is_shadow_call(request.purpose)
        ]
        before = reusable(asked, provider=self.provider, model=self.model, prompt_id=prompt.text_id)
        text = tx.llm_text(before.reply_id) if before else None
        if before is None or text is None:
            return None
        call = replace(
            before,
            call_id=secrets.token_hex(8),
            at=at,
            purpose=request.purpose,
            outcome=REUSED,
            input_tokens=0,
            output_tokens=0,
            cached_tokens=0,
            thinking_tokens=0,
            cost_usd=Decimal(0),
            latency_ms=0,
            detail=f"the reply of {before.call_id}",
        )
        tx.append([call])
        return ModelReply(text, STOPPED, self.model, call=call)

    def _reserve(
        self, tx: StoreWriter, request: ModelRequest, prompt: LlmText, at: datetime
    ) -> LlmReservation:
        """Take one call off the budget. Raises ``BudgetExhausted``."""
        estimate = estimate_tokens(prompt.text)
        most = self._cost(at, estimate, request.max_output_tokens)
        day, month = day_and_month(at)
        require_room(
            self._budget,
            today=tx.llm_spend(since=day),
            month=tx.llm_spend(since=month),
            most_usd=most,
            at=at,
        )
        reserved = LlmReservation(
            call_id=secrets.token_hex(8),
            at=at,
            until=at + timedelta(seconds=request.timeout_seconds) + GRACE,
            market=request.market,
            session=request.session,
            provider=self.provider,
            model=self.model,
            purpose=request.purpose,
            prompt_id=prompt.text_id,
            input_tokens=estimate,
            most_usd=most,
        )
        tx.append([reserved, prompt])
        return reserved

    def _answered(
        self, request: ModelRequest, reserved: LlmReservation, reply: ModelReply
    ) -> tuple[LlmCall, LlmText | None]:
        cost = self._cost(reserved.at, reply.input_tokens, reply.output_tokens)
        outcome, detail = OK, "" if cost is not None else NO_PRICE
        if cost is not None and not reply.input_tokens + reply.output_tokens:
            cost, detail = reserved.most_usd, NOT_COUNTED
        try:
            request.check(reply)
        except ReplyInvalid as error:
            outcome, detail = ReplyInvalid.__name__, str(error)
        text = _reply_text(reply, reserved.at)
        call = replace(
            _row(request, reserved, outcome, cost, detail, reply.latency_ms),
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            cached_tokens=reply.cached_tokens,
            thinking_tokens=reply.thinking_tokens,
            reply_id=text.text_id if text else "",
        )
        return call, text

    def _failed(
        self,
        request: ModelRequest,
        reserved: LlmReservation,
        error: PlannerError,
        latency_ms: int,
    ) -> LlmCall:
        # A reply that was not waited for, or got lost on the way, may well be billed.
        cost = Decimal(0) if error.unbilled else reserved.most_usd
        return _row(request, reserved, type(error).__name__, cost, str(error), latency_ms)

    def _cost(self, at: datetime, input_tokens: int, output_tokens: int) -> Decimal | None:
        return call_cost(
            self._prices,
            self.model,
            budget_day(at),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
        )

    def _write(self, rows: Sequence[Record]) -> None:
        try:
            with self._store.write() as tx:
                tx.append(rows)
        except StoreError as error:
            # What was paid for is used all the same; the reservation stands for it.
            logger.warning("the outcome of a model call is not written down: %s", error)


def _row(
    request: ModelRequest,
    reserved: LlmReservation,
    outcome: str,
    cost: Decimal | None,
    detail: str,
    latency_ms: int,
) -> LlmCall:
    return LlmCall(
        call_id=reserved.call_id,
        at=reserved.at,
        market=request.market,
        session=request.session,
        model=reserved.model,
        purpose=request.purpose,
        outcome=outcome,
        input_tokens=0,
        output_tokens=0,
        cost_usd=Decimal(0) if cost is None else cost,
        latency_ms=latency_ms,
        prompt_hash=prompt_hash(request.turns[0].text),
        detail=detail,
        provider=reserved.provider,
        prompt_id=reserved.prompt_id,
    )


def _prompt_text(request: ModelRequest, at: datetime) -> LlmText:
    """Everything the model is told, in one text."""
    said = {
        "turns": [{"role": turn.role.value, "text": turn.text} for turn in request.turns],
        "schema": request.schema,
    }
    text = json.dumps(said, ensure_ascii=False, sort_keys=True)
    return LlmText(_text_id(TextKind.PROMPT, text), TextKind.PROMPT, text, at)


def _reply_text(reply: ModelReply, at: datetime) -> LlmText | None:
    if not reply.text:
        return None
    return LlmText(_text_id(TextKind.REPLY, reply.text), TextKind.REPLY, reply.text, at)


def _text_id(kind: TextKind, text: str) -> str:
    return hashlib.sha256(f"{kind.value}\n{text}".encode()).hexdigest()[:32]


def _since(begun: float) -> int:
    """Milliseconds."""
    return round((time.perf_counter() - begun) * 1000)
