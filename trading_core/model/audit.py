"""The trail around a decision: what was screened before it, what became of it, who looked at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from trading_core.model.journal import Decision, DecisionOutcome, Json


@dataclass(frozen=True, slots=True)
class ScreenedRow:
    """One instrument of the scanner's universe at one plan, chosen or not.

    ``place`` counts those that qualified from 1, by score, and is None for one that did not;
    ``reason`` then says why (``rules.scanner.Exclusion``). ``chosen`` are the first N.
    ``selection`` is what was measured, and for an exclusion ``value`` and ``bound``.
    """

    market: str
    session: date
    at: datetime
    symbol: str
    chosen: bool
    place: int | None = None
    score: float | None = None
    reason: str = ""
    selection: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecisionReview:
    """A person looked at a decision and left a remark; the newest one of a decision counts."""

    decision_id: str
    at: datetime
    by: str
    note: str


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """A decision with what is known of it by now; None while it is open, or nobody looked."""

    decision: Decision
    outcome: DecisionOutcome | None = None
    review: DecisionReview | None = None


class DecisionResult(StrEnum):
    """What became of a decision: made money after costs, or not, or is not known yet."""

    WON = "won"
    LOST = "lost"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions are asked for; what is left empty is not looked at.

    ``market`` is a market group code, ``since`` and ``until`` the first and last session,
    ``name`` how the decision's id begins, ``ids`` whole ids. ``settled`` are those with an
    outcome, ``unreviewed`` those without a remark. ``words`` are looked for in symbol, name,
    scenario, rationale and id, whatever their case. ``skip`` leaves out the newest ones.
    """

    market: str = ""
    since: date | None = None
    until: date | None = None
    symbol: str = ""
    action: str = ""
    name: str = ""
    ids: tuple[str, ...] | None = None
    settled: bool = False
    unreviewed: bool = False
    result: DecisionResult | None = None
    words: str = ""
    limit: int = 0
    skip: int = 0
