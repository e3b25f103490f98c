"""What is asked of a language model, what it answers, and how both are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from trading_core.model.journal import LlmCall
from trading_core.model.market import MarketGroup
from trading_core.model.playbook import LintNote, PlaybookDraft, PlaybookSource

STOPPED = "STOP"
"""How a model ends that has said all it wanted to."""
CUT_OFF = "MAX_TOKENS"
"""How it ends when there was no room for more."""

OK = "ok"
REUSED = "reused"
UNDER_WAY = "under way"
LOST = "lost"
"""Outcomes of calls; any other is the name of an error."""


class Role(StrEnum):
    USER = "user"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said in a conversation."""

    role: Role
    text: str


def any_reply(reply: ModelReply) -> None:
    """The check of a request that can use whatever comes back."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question to a language model.

    ``purpose`` is a word for the ledger, such as ``plan``; ``market`` (a group code) and
    ``session`` are what the question is about. ``schema`` is the JSON schema that the reply is
    bound to. ``check`` raises ``ReplyInvalid`` for a reply that is of no use: it is recorded as
    such and never used again, and returned all the same.
    """

    purpose: str
    market: str
    session: date
    turns: tuple[Turn, ...]
    timeout_seconds: float
    max_output_tokens: int
    schema: Mapping[str, Any] | None = None
    check: Callable[[ModelReply], object] = any_reply


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What came back; ``text`` is empty when there was none, and ``ending`` says why.

    ``input_tokens`` include the cached ones and ``output_tokens`` the thinking. ``call`` is the
    row of the ledger, where one is kept.
    """

    text: str
    ending: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
    latency_ms: int = 0
    call: LlmCall | None = None


@dataclass(frozen=True, slots=True)
class LlmReservation:
    """A call that is about to be made, written down first: it counts until its outcome is known.

    ``most_usd`` is the most it may cost, None where the price is not known; ``input_tokens`` is an
    estimate. Without an outcome by ``until`` the call is lost, and stays counted as it stands.
    """

    call_id: str
    at: datetime
    until: datetime
    market: str
    session: date
    provider: str
    model: str
    purpose: str
    prompt_id: str
    input_tokens: int
    most_usd: Decimal | None


class TextKind(StrEnum):
    PROMPT = "prompt"
    REPLY = "reply"


@dataclass(frozen=True, slots=True)
class LlmText:
    """A prompt (the JSON of its turns and schema) or a reply, under the hash of what it says."""

    text_id: str
    kind: TextKind
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LlmSpend:
    """Calls that were begun, and what they cost in USD; where that is not known yet, at most."""

    calls: int = 0
    usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a planner is given: the prompt for a model, and the same facts for rules.

    ``known_symbols`` are the only symbols a playbook may name (candidates and holdings).
    ``purpose`` is ``plan``, or which refresh it is.
    """

    group: MarketGroup
    session: date
    at: datetime
    prompt: str
    prompt_hash: str
    known_symbols: frozenset[str]
    purpose: str = "plan"


@dataclass(frozen=True, slots=True)
class PlanReply:
    """A draft and the calls that were made for it (one, or two after a repair).

    ``notes`` say what of the reply could not be used.
    """

    draft: PlaybookDraft
    model: str
    calls: tuple[LlmCall, ...]
    notes: tuple[LintNote, ...] = ()
    source: PlaybookSource = PlaybookSource.GEMINI
