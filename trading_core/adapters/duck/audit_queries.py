"""Queries about the trail of decisions, over the rows that a connection answers with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, TypeAlias

from trading_core.adapters.duck import audit_rows, rows
from trading_core.model.audit import DecisionFilter, DecisionResult, LoggedDecision, ScreenedRow

_SEARCHED = "concat_ws(' ', d.symbol, d.name, d.scenario_id, d.rationale, d.decision_id)"
_RESULTS = {
    DecisionResult.WON: "o.outcome_pnl > 0",
    DecisionResult.LOST: "o.outcome_pnl <= 0",
    DecisionResult.OPEN: "o.decision_id IS NULL",
}

Ask: TypeAlias = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


def screened(ask: Ask, market: str, session: date) -> list[ScreenedRow]:
    """The newest scan of a session: the chosen first, best first, then the rest by symbol."""
    found = ask(
        f"SELECT {audit_rows.SCREENED.select('t')} FROM screened t"
        " WHERE market = ? AND session = ? AND screened_at ="
        " (SELECT max(screened_at) FROM screened WHERE market = ? AND session = ?)"
        " ORDER BY t.place NULLS LAST, t.symbol",
        [market, session, market, session],
    )
    return [audit_rows.SCREENED.decode(row) for row in found]


def unreviewed_sessions(ask: Ask, market: str, since: date, before: date) -> list[date]:
    """Sessions with a playbook or an equity point and without a scorecard, oldest first."""
    found = ask(
        "SELECT session FROM equity WHERE market = ? AND session >= ? AND session < ?"
        " UNION SELECT session FROM playbook_versions"
        " WHERE market = ? AND session >= ? AND session < ?"
        " EXCEPT SELECT session FROM scorecards WHERE market = ? ORDER BY session",
        [market, since, before, market, since, before, market],
    )
    return [day for (day,) in found]


def decision_log(ask: Ask, wanted: DecisionFilter) -> list[LoggedDecision]:
    """Decisions with their newest outcome and remark, newest first."""
    terms, parameters = _terms(wanted)
    outcome, review = rows.DECISION_OUTCOMES, audit_rows.DECISION_REVIEWS
    sql = (
        f"SELECT {rows.DECISIONS.select('d')}, {outcome.select('o')}, {review.select('r')}"
        f" FROM decisions d LEFT JOIN {audit_rows.NEWEST_OUTCOMES} o USING (decision_id)"
        f" LEFT JOIN {audit_rows.NEWEST_REVIEWS} r USING (decision_id)"
    )
    sql += f" WHERE {' AND '.join(terms)}" if terms else ""
    sql += " ORDER BY d.decided_at DESC, d.id DESC"
    sql += f" LIMIT {int(wanted.limit)}" if wanted.limit else ""
    sql += f" OFFSET {int(wanted.skip)}" if wanted.skip else ""
    return [_logged(row) for row in ask(sql, parameters)]


def _terms(wanted: DecisionFilter) -> tuple[list[str], list[Any]]:
    given: list[tuple[str, Any]] = [
        ("d.market = ?", wanted.market),
        ("d.session >= ?", wanted.since),
        ("d.session <= ?", wanted.until),
        ("d.symbol = ?", wanted.symbol),
        ("d.action = ?", wanted.action),
        ("starts_with(d.decision_id, ?)", wanted.name),
        (f"contains(lower({_SEARCHED}), lower(?))", wanted.words.strip()),
    ]
    if wanted.ids is not None:
        given.append(("list_contains(?::VARCHAR[], d.decision_id)", list(wanted.ids)))
    terms = [term for term, value in given if value or value == []]
    if wanted.result is not None:
        terms.append(_RESULTS[wanted.result])
    if wanted.settled:
        terms.append("o.decision_id IS NOT NULL")
    if wanted.unreviewed:
        terms.append("r.decision_id IS NULL")
    return terms, [value for _, value in given if value or value == []]


def _logged(row: Sequence[Any]) -> LoggedDecision:
    outcome, review = rows.DECISION_OUTCOMES, audit_rows.DECISION_REVIEWS
    first = len(rows.DECISIONS.read_columns)
    second = first + len(outcome.read_columns)
    return LoggedDecision(
        decision=rows.DECISIONS.decode(row[:first]),
        outcome=outcome.decode(row[first:second]) if row[first] is not None else None,
        review=review.decode(row[second:]) if row[second] is not None else None,
    )
