"""The tables of what is asked of language models: reservations, calls, texts."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import date, datetime

from trading_core.adapters.duck.codecs import (
    DATE,
    DECIMAL,
    INTEGER,
    TEXT,
    TIME,
    Codec,
    enum_of,
    tidy,
    to_micros,
)
from trading_core.adapters.duck.queries import Queries, Where
from trading_core.adapters.duck.tables import table
from trading_core.model.journal import LlmCall
from trading_core.model.language import LlmReservation, LlmSpend, LlmText, TextKind


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode(), level=9)


def _unpacked(packed: bytes) -> str:
    return zlib.decompress(packed).decode()


PACKED_TEXT = Codec(_packed, _unpacked, "unnest(?::BLOB[])")

LLM_RESERVATIONS = table(
    "llm_reservations",
    LlmReservation,
    {
        "call_id": TEXT,
        "reserved_at": (TIME, "at"),
        "lost_at": (TIME, "until"),
        "market": TEXT,
        "session": DATE,
        "provider": TEXT,
        "model": TEXT,
        "purpose": TEXT,
        "prompt_id": TEXT,
        "input_tokens": INTEGER,
        "most_usd": DECIMAL,
    },
    "call_id",
)

LLM_CALLS = table(
    "llm_calls",
    LlmCall,
    {
        "call_id": TEXT,
        "called_at": (TIME, "at"),
        "market": TEXT,
        "session": DATE,
        "model": TEXT,
        "purpose": TEXT,
        "outcome": TEXT,
        "input_tokens": INTEGER,
        "output_tokens": INTEGER,
        "cost_usd": DECIMAL,
        "latency_ms": INTEGER,
        "prompt_hash": TEXT,
        "detail": TEXT,
        "provider": TEXT,
        "cached_tokens": INTEGER,
        "thinking_tokens": INTEGER,
        "prompt_id": TEXT,
        "reply_id": TEXT,
    },
    "call_id",
)

LLM_TEXTS = table(
    "llm_texts",
    LlmText,
    {
        "text_id": TEXT,
        "kind": enum_of(TextKind),
        "bytes": (PACKED_TEXT, "text"),
        "stored_at": (TIME, "at"),
    },
    "text_id",
)

_SPEND = """
    SELECT count(*), coalesce(sum(coalesce(c.cost_usd, r.most_usd)), 0)::DECIMAL(38, 10)
    FROM llm_reservations r LEFT JOIN llm_calls c USING (call_id)
    WHERE r.reserved_at >= make_timestamptz(?::BIGINT)"""


class LlmQueries(Queries):
    """The queries about language models of the ``StoreReader`` port."""

    def llm_calls(
        self,
        market: str | None = None,
        session: date | None = None,
        *,
        since: datetime | None = None,
        prompt_id: str | None = None,
    ) -> Sequence[LlmCall]:
        wanted = Where(market=market, session=session, prompt_id=prompt_id)
        if since is not None:
            wanted.also("called_at >= make_timestamptz(?::BIGINT)", to_micros(since))
        return self._select(LLM_CALLS, wanted, "t.called_at, t.call_id")

    def llm_reservations(self, *, since: datetime | None = None) -> Sequence[LlmReservation]:
        wanted = Where()
        if since is not None:
            wanted.also("reserved_at >= make_timestamptz(?::BIGINT)", to_micros(since))
        return self._select(LLM_RESERVATIONS, wanted, "t.reserved_at, t.call_id")

    def llm_spend(self, *, since: datetime) -> LlmSpend:
        [(calls, usd)] = self._rows(_SPEND, [to_micros(since)])
        return LlmSpend(calls, tidy(usd))

    def llm_text(self, text_id: str) -> str | None:
        found = self._select(LLM_TEXTS, Where(text_id=text_id))
        return found[0].text if found else None


LLM_TABLES: tuple[str, ...] = (
    # Gemini was the only provider there was.
    "ALTER TABLE llm_calls ADD COLUMN provider TEXT DEFAULT 'gemini'",
    "ALTER TABLE llm_calls ADD COLUMN cached_tokens BIGINT DEFAULT 0",
    "ALTER TABLE llm_calls ADD COLUMN thinking_tokens BIGINT DEFAULT 0",
    "ALTER TABLE llm_calls ADD COLUMN prompt_id TEXT DEFAULT ''",
    "ALTER TABLE llm_calls ADD COLUMN reply_id TEXT DEFAULT ''",
    """
    CREATE TABLE llm_reservations (
        call_id TEXT PRIMARY KEY,
        reserved_at TIMESTAMPTZ NOT NULL,
        lost_at TIMESTAMPTZ NOT NULL,
        market TEXT NOT NULL,
        session DATE NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        purpose TEXT NOT NULL,
        prompt_id TEXT NOT NULL,
        input_tokens BIGINT NOT NULL,
        most_usd DECIMAL(38, 10)
    )""",
    """
    CREATE TABLE llm_texts (
        text_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        bytes BLOB NOT NULL,
        stored_at TIMESTAMPTZ NOT NULL
    )""",
    """
    INSERT INTO llm_reservations
    SELECT call_id, called_at, called_at, market, session, 'gemini', model, purpose, '',
        input_tokens, cost_usd
    FROM llm_calls""",
)
"""Frozen, as all schema statements are: a change is a new migration."""
