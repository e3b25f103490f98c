"""The log of decisions, and the remarks people leave on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from trading_core.errors import ConfigError
from trading_core.model.audit import DecisionFilter, DecisionReview, LoggedDecision
from trading_core.ports import Store

MAX_NOTE = 2_000


def decision_log(store: Store, wanted: DecisionFilter) -> Sequence[LoggedDecision]:
    """Decisions with their newest outcome and remark, newest first."""
    with store.read() as reader:
        return reader.decision_log(wanted)


def review(store: Store, *, name: str, note: str, by: str, at: datetime) -> LoggedDecision:
    """Leave a remark on a decision and mark it as reviewed; earlier remarks are kept.

    Args:
        name: How the decision's id begins, as far as it takes to tell it from others.
        note: The remark, up to :data:`MAX_NOTE` characters.
        by: Who says so.

    Raises:
        ConfigError: no decision, or more than one, begins so; or the remark is empty or too long.
    """
    remark = note.strip()
    if not remark or len(remark) > MAX_NOTE:
        raise ConfigError(f"a review needs a note of 1 to {MAX_NOTE} characters")
    if not name.strip():
        raise ConfigError("which decision? name the beginning of its id")
    with store.write() as tx:
        found = tx.decision_log(DecisionFilter(name=name.strip(), limit=2))
        if not found:
            raise ConfigError(f"no decision's id begins with {name!r}; see: ouroboros decisions")
        if len(found) > 1:
            raise ConfigError(f"more than one decision's id begins with {name!r}; write more of it")
        made = DecisionReview(found[0].decision.decision_id, at, by.strip(), remark)
        tx.append([made])
    return replace(found[0], review=made)
