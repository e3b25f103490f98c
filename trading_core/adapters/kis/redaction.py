"""Keeps keys, tokens and account numbers out of errors and log lines."""

from __future__ import annotations

import logging
import re

MASK = "***"
# Tokens that this process never saw, as a server might quote them.
_TOKEN_LIKE = re.compile(r"eyJ[\w-]{8,}(\.[\w-]*)*")


class Redactor(logging.Filter):
    """Masks every secret it was told of, in texts and, as a logging filter, in log records.

    The HTTP client logs whole request addresses, and the broker wants the account number in them,
    so the filter sits on that client's logger.
    """

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def add(self, *secrets: str) -> None:
        """Remember values that must never be shown."""
        self._secrets.update(secret for secret in secrets if secret)

    def clean(self, text: str) -> str:
        """``text`` with every secret masked; the longest first, so that no tail remains."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return _TOKEN_LIKE.sub(MASK, text)

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self.clean(record.getMessage()), ()
        return True
