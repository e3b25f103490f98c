"""What every store says about decisions, scans and sessions nobody reviewed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.record_factories import (
    APPLE,
    AT,
    MINUTE,
    SESSION,
    make_decision,
    make_decision_review,
    make_equity,
    make_outcome,
    make_playbook,
    make_scorecard,
    make_screened,
)
from trading_core.adapters.duck import DuckStore
from trading_core.model.audit import DecisionFilter
from trading_core.ports import Store

DAY = timedelta(days=1)


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return DuckStore(":memory:" if request.param == "memory" else tmp_path / "state.duckdb")


@pytest.fixture
def decided(store: Store) -> Store:
    """Four decisions: a settled and reviewed one, a settled one, a HOLD, and one elsewhere."""
    us = {"market": "US", "instrument": APPLE}
    with store.write() as tx:
        tx.append(
            [
                make_decision(decision_id="aa1"),
                make_decision(decision_id="aa2", at=AT + MINUTE, session=SESSION + DAY),
                make_decision(decision_id="bb", at=AT + 2 * MINUTE, action="HOLD"),
                make_decision(decision_id="cc", at=AT + 3 * MINUTE, **us),
                make_outcome(decision_id="aa1", outcome_accuracy=0.0),
                make_outcome(decision_id="aa1", outcome_accuracy=1.0, at=AT + 9 * DAY),
                make_outcome(decision_id="aa2"),
                make_decision_review(decision_id="aa1", note="older"),
                make_decision_review(decision_id="aa1", note="newer", at=AT + 9 * DAY),
            ]
        )
    return store


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (DecisionFilter(), ["cc", "bb", "aa2", "aa1"]),
        (DecisionFilter(market="KR"), ["bb", "aa2", "aa1"]),
        (DecisionFilter(since=SESSION + DAY), ["aa2"]),
        (DecisionFilter(until=SESSION, market="KR"), ["bb", "aa1"]),
        (DecisionFilter(symbol="AAPL"), ["cc"]),
        (DecisionFilter(action="HOLD"), ["bb"]),
        (DecisionFilter(name="aa"), ["aa2", "aa1"]),
        (DecisionFilter(ids=("cc", "aa1", "nobody")), ["cc", "aa1"]),
        (DecisionFilter(ids=()), []),
        (DecisionFilter(settled=True), ["aa2", "aa1"]),
        (DecisionFilter(unreviewed=True), ["cc", "bb", "aa2"]),
        (DecisionFilter(limit=2), ["cc", "bb"]),
    ],
)
def test_the_log_is_newest_first_and_every_filter_narrows_it(
    decided: Store, wanted: DecisionFilter, found: list[str]
) -> None:
    with decided.read() as db:
        assert [item.decision.decision_id for item in db.decision_log(wanted)] == found


def test_the_newest_outcome_and_the_newest_remark_count(decided: Store) -> None:
    with decided.read() as db:
        aa1, bb = db.decision_log(DecisionFilter(ids=("aa1", "bb")))[::-1]
    assert aa1.outcome is not None and aa1.review is not None
    assert (aa1.outcome.outcome_accuracy, aa1.review.note) == (1.0, "newer")
    assert (bb.outcome, bb.review) == (None, None)


def test_the_newest_scan_of_a_session_is_told_by_place_then_by_symbol(store: Store) -> None:
    excluded = {"chosen": False, "place": None, "score": None, "reason": "low_volatility"}
    new = {"at": AT, "symbol": "9"}
    rows = [
        make_screened(symbol="old"),
        make_screened(**{**new, "place": 2, "chosen": False}),
        make_screened(**{**new, "symbol": "5"}),
        make_screened(**{**new, "symbol": "7", **excluded}),
        make_screened(**{**new, "symbol": "6", **excluded}),
        make_screened(**{**new, "market": "US"}),
    ]
    with store.write() as tx:
        tx.append(rows)
        tx.append(rows)
    with store.read() as db:
        assert [row.symbol for row in db.screened("KR", SESSION)] == ["5", "9", "6", "7"]
        assert db.screened("KR", SESSION + DAY) == []


def test_a_session_with_a_trace_and_without_a_scorecard_was_missed(store: Store) -> None:
    with store.write() as tx:
        tx.append(
            [
                make_playbook(session=SESSION - 9 * DAY),
                make_playbook(session=SESSION - 2 * DAY),
                make_equity(session=SESSION - 2 * DAY),
                make_equity(session=SESSION - DAY),
                make_equity(session=SESSION),
                make_equity(session=SESSION - 3 * DAY, market="US"),
                make_scorecard(session=SESSION - DAY),
            ]
        )
    with store.read() as db:
        found = db.unreviewed_sessions("KR", since=SESSION - 5 * DAY, before=SESSION)
    assert found == [SESSION - 2 * DAY]


def test_decisions_kept_under_an_exchange_are_found_under_their_group_after_the_migration(
    tmp_path: Path,
) -> None:
    from trading_core.adapters.duck import migrations
    from trading_core.adapters.duck.engine import attached

    place = tmp_path / "old.duckdb"
    before = migrations.MIGRATIONS[: migrations.MIGRATIONS.index(migrations.trail_of_decisions)]
    with attached(place, read_only=False) as connection:
        migrations.migrate(connection, before)
        connection.execute(
            "INSERT INTO decisions (id, decision_id, decided_at, market, session, symbol, exchange,"
            " name, is_fund, action, confidence, rationale, scenario_id, playbook_id,"
            " context_snapshot, input_data) VALUES (1, 'd', now(), 'US_NASDAQ', '2026-11-20',"
            " 'AAPL', 'US_NASDAQ', '', false, 'BUY', 80, '', '', '', '{}', '{}')"
        )
    with DuckStore(place).write() as tx:
        [decision] = tx.decisions("US")
    assert (decision.market, decision.prompt_id) == ("US", "")
