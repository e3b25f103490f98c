"""What store and broker did not agree on, as values: one row each, appended, never edited."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

UNREPAIRED = "none"


class DifferenceKind(StrEnum):
    """What does not hold; ``rules.invariants`` says each in a sentence."""

    STRAY_FILL = "stray_fill"
    OVERFILLED = "overfilled"
    SHARED_NUMBER = "shared_number"
    FILLS_DIFFER = "fills_differ"
    SHARES_DIFFER = "shares_differ"
    GHOST = "ghost"
    UNCOVERED_SALE = "uncovered_sale"
    CASH_MOVED = "cash_moved"
    NO_STATE = "no_state"
    ANSWER_LOST = "answer_lost"
    NOT_IN_BOOK = "not_in_book"
    FOREIGN_ORDER = "foreign_order"
    NOTHING_TO_SELL = "nothing_to_sell"
    SPLIT = "split"


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Its place from the mildest, from 0."""
        return tuple(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that store and broker of a market group did not agree on in a session.

    ``subject`` is a symbol, an intent, an order number or a currency. ``expected`` is what the
    books said and ``found`` what was there, for a person. ``amount`` is what was found less what
    was expected where both are quantities: shares, or money of the market's currency.
    ``repaired_by`` names the row that was appended because of it, ``none`` when none was.
    """

    difference_id: str
    kind: DifferenceKind
    market: str
    session: date
    at: datetime
    subject: str
    expected: str
    found: str
    severity: Severity
    repaired_by: str = UNREPAIRED
    amount: Decimal | None = None

    @staticmethod
    def make_id(kind: DifferenceKind, market: str, session: date, about: str) -> str:
        """The same difference always gets the same id, so that it is written down once."""
        text = f"{kind}|{market}|{session}|{about}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]
