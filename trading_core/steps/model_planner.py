"""A language model as the planner: one question a session, and a second only to repair a reply."""

from __future__ import annotations

import asyncio

from trading_core.errors import PlannerError, PlannerTimeout, ReplyInvalid
from trading_core.model.journal import LlmCall
from trading_core.model.language import (
    CUT_OFF,
    STOPPED,
    ModelReply,
    ModelRequest,
    PlanReply,
    PlanRequest,
    Role,
    Turn,
)
from trading_core.model.playbook import LintNote, PlaybookDraft, PlaybookSource
from trading_core.ports import LanguageModel
from trading_core.rules.replies import parse_draft, response_schema

_REPAIR_QUOTE = 20_000
_LONGEST_MESSAGE = 500


class ModelPlanner:
    """Drafts a playbook with any language model. Implements ``ports.Planner``.

    Args:
        timeout_seconds: For the whole draft, the repair included.
        max_output_tokens: Of one reply, thinking included.
    """

    def __init__(
        self, model: LanguageModel, *, timeout_seconds: float, max_output_tokens: int
    ) -> None:
        self._model = model
        self._timeout_seconds = timeout_seconds
        self._max_output_tokens = max_output_tokens

    async def draft(self, request: PlanRequest) -> PlanReply:
        """One playbook draft.

        Raises:
            PlannerTimeout: no reply within the time limit.
            PlannerUnavailable: quota, key, network or server failure.
            BudgetExhausted: no call is left, or none for the repair.
            ReplyInvalid: no usable reply, even after the repair. An empty or blocked reply is not
                asked for again: there is nothing to repair.
        """
        conversation = _Conversation(self, request)
        reply = await conversation.ask(request.purpose)
        try:
            return conversation.read(reply)
        except ReplyInvalid as error:
            if not reply.text:
                raise
            conversation.turns += _repair_turns(reply, str(error))
        return conversation.read(await conversation.ask(f"{request.purpose}_repair"))


class _Conversation:
    """The turns of one draft so far, its calls, and the time that is left for it."""

    def __init__(self, planner: ModelPlanner, request: PlanRequest) -> None:
        self._model = planner._model
        self._limit_seconds = planner._timeout_seconds
        self._max_output_tokens = planner._max_output_tokens
        self._request = request
        self._deadline = asyncio.get_running_loop().time() + self._limit_seconds
        self.calls: tuple[LlmCall, ...] = ()
        self.turns = [Turn(Role.USER, request.prompt)]

    async def ask(self, purpose: str) -> ModelReply:
        """The reply to all that was said so far. Raises as the model does, with all calls."""
        left = self._deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise PlannerTimeout(self._late(), self.calls)
        try:
            reply = await self._model.ask(self._question(purpose, left))
        except PlannerTimeout as error:
            raise PlannerTimeout(self._late(), (*self.calls, *error.calls)) from None
        except PlannerError as error:
            error.calls = (*self.calls, *error.calls)
            raise
        self.calls += () if reply.call is None else (reply.call,)
        return reply

    def _question(self, purpose: str, left: float) -> ModelRequest:
        return ModelRequest(
            purpose=purpose,
            market=self._request.group.value,
            session=self._request.session,
            turns=tuple(self.turns),
            timeout_seconds=left,
            max_output_tokens=self._max_output_tokens,
            schema=response_schema(),
            check=self._parse,
        )

    def read(self, reply: ModelReply) -> PlanReply:
        """The draft in a reply. Raises ``ReplyInvalid`` with all calls."""
        try:
            draft, notes = self._parse(reply)
        except ReplyInvalid as error:
            error.calls = self.calls
            raise
        return PlanReply(
            draft=draft,
            model=reply.model,
            calls=self.calls,
            notes=notes,
            source=PlaybookSource(self._model.provider),
        )

    def _parse(self, reply: ModelReply) -> tuple[PlaybookDraft, tuple[LintNote, ...]]:
        try:
            if not reply.text:
                raise ReplyInvalid(f"the model gave no text ({reply.ending})")
            return parse_draft(reply.text, known_symbols=self._request.known_symbols)
        except ReplyInvalid as error:
            message = str(error)
        if reply.ending != STOPPED and reply.text:
            message += f" (the model ended with {reply.ending})"
        raise ReplyInvalid(" ".join(message.split())[:_LONGEST_MESSAGE])

    def _late(self) -> str:
        limit = f"within {self._limit_seconds:g} s"
        return f"{self._model.model} gave no usable reply {limit}; raise PLANNER_TIMEOUT_SECONDS?"


def _repair_turns(reply: ModelReply, problem: str) -> list[Turn]:
    shorter = " Write fewer scenarios." if reply.ending == CUT_OFF else ""
    ask = (
        f"That reply could not be used: {problem}.{shorter} Answer again with one complete JSON "
        "object that fits the schema, and nothing else."
    )
    return [Turn(Role.MODEL, reply.text[:_REPAIR_QUOTE]), Turn(Role.USER, ask)]
