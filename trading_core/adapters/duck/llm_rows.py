"""The tables of what is asked of language models: reservations, calls, texts."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from duckdb import DuckDBPyConnection

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
from trading_core.adapters.duck.tables import Table, table
from trading_core.model.journal import LlmCall
from trading_core.model.language import LlmReservation, LlmSpend, LlmText, TextKind

T = TypeVar("T")


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


class LlmQueries:
    """The queries about language models of the ``StoreReader`` port."""

    _connection: DuckDBPyConnection

    def llm_calls(
        self,
        market: str | None = None,
        session: date | None = None,
        *,
        since: datetime | None = None,
        prompt_id: str | None = None,
    ) -> Sequence[LlmCall]:
        filters = {
            "market = ?": market,
            "session = ?": session,
            "prompt_id = ?": prompt_id,
            "called_at >= make_timestamptz(?::BIGINT)": None if since is None else to_micros(since),
        }
        return self._of(LLM_CALLS, filters, "called_at")

    def llm_reservations(self, *, since: datetime | None = None) -> Sequence[LlmReservation]:
        moment = None if since is None else to_micros(since)
        filters = {"reserved_at >= make_timestamptz(?::BIGINT)": moment}
        return self._of(LLM_RESERVATIONS, filters, "reserved_at")

    def llm_spend(self, *, since: datetime) -> LlmSpend:
        [(calls, usd)] = self._connection.execute(_SPEND, [to_micros(since)]).fetchall()
        return LlmSpend(calls, tidy(usd))

    def llm_text(self, text_id: str) -> str | None:
        found = self._of(LLM_TEXTS, {"text_id = ?": text_id}, "stored_at")
        return found[0].text if found else None

    def _of(self, table: Table[T], filters: dict[str, Any], moment: str) -> list[T]:
        """Rows of a table, oldest first; a filter without a value says nothing."""
        given = {term: value for term, value in filters.items() if value is not None}
        where = f"WHERE {' AND '.join(given)}" if given else ""
        sql = f"SELECT {table.select('t')} FROM {table.name} t {where} ORDER BY t.{moment}"
        found = self._connection.execute(f"{sql}, t.{table.key[0]}", list(given.values()))
        return [table.decode(row) for row in found.fetchall()]


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
