"""What the pages that follow a session ask of the store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.record_factories import (
    AT,
    MINUTE,
    SESSION,
    make_decision,
    make_fill,
    make_lot,
    make_match,
    make_observation,
    make_playbook,
    make_protection,
    make_reading,
    make_split,
)
from trading_core.adapters.duck import DuckStore
from trading_core.model.board import MatchTotal
from trading_core.model.market import Instrument, Market
from trading_core.model.order import Side
from trading_core.rules.positions import fold_positions

HYNIX = Instrument("000660", Market.KR, "SK하이닉스")
DAY = timedelta(days=1)


@pytest.fixture
def store() -> DuckStore:
    return DuckStore(":memory:")


def test_held_trades_are_those_of_what_is_held(store: DuckStore) -> None:
    sold = Instrument("035420", Market.KR)
    with store.write() as tx:
        tx.append(
            [
                make_fill(),
                make_fill(fill_id="f2", instrument=sold),
                make_fill(fill_id="f3", instrument=sold, side=Side.SELL),
                make_lot(instrument=HYNIX),
                make_fill(fill_id="f4", instrument=Instrument("AAPL", Market.US_NASDAQ)),
            ]
        )
    with store.read() as db:
        assert db.held_symbols("KR") == ["000660", "005930"]
        held = db.trade_history("KR", ["000660", "005930"])()
        assert [fill.fill_id for fill in held.fills] == ["fill-1"]
        assert [lot.instrument.symbol for lot in held.lots] == ["000660"]
        everything = db.trade_history("KR")
    # Made of copies, after the store was let go.
    assert [fill.fill_id for fill in everything().fills] == ["fill-1", "f2", "f3"]


def test_a_position_that_a_split_keeps_open_is_held(store: DuckStore) -> None:
    """Sold as many as were bought, of which there were twice as many by then."""
    with store.write() as tx:
        tx.append(
            [
                make_fill(filled_at=AT),
                make_split(at=AT + MINUTE),
                make_fill(fill_id="f2", side=Side.SELL, filled_at=AT + 2 * MINUTE),
            ]
        )
    with store.read() as db:
        assert db.held_symbols("KR") == ["005930"]
        held = db.trade_history("KR", ["005930"])()
    book = fold_positions(held.fills, held.lots, held.splits)
    assert [line.quantity for line in book.open_positions] == [10]


def test_the_newest_look_at_each_symbol(store: DuckStore) -> None:
    rows = [
        make_observation(values={"price": 1.0}),
        make_observation(at=AT + MINUTE, values={"price": 2.0}),
        make_observation(at=AT + MINUTE, symbol="000660", values={"price": None}),
        make_observation(session=SESSION - DAY, at=AT - DAY, values={"price": 9.0}),
    ]
    with store.write() as tx:
        tx.append(rows)
    with store.read() as db:
        assert db.last_observations("KR", SESSION) == [rows[2], rows[1]]
        path = db.price_path("KR", SESSION, "005930")
        assert [(point.at, point.price) for point in path] == [(AT, 1.0), (AT + MINUTE, 2.0)]
        assert db.price_path("KR", SESSION, "000660") == []


def test_matches_are_counted_by_scenario_and_kind(store: DuckStore) -> None:
    with store.write() as tx:
        tx.append(
            [
                make_match(distance=0.5),
                make_match(at=AT + MINUTE, distance=0.2),
                make_match(at=AT + 2 * MINUTE, kind="first", distance=None, field=""),
            ]
        )
    with store.read() as db:
        first, near = db.match_totals("KR", SESSION)
    assert first == MatchTotal(
        "005930", "005930#0", "first", "BUY", 1, AT + 2 * MINUTE, AT + 2 * MINUTE
    )
    assert near == MatchTotal("005930", "005930#0", "near", "BUY", 2, AT, AT + MINUTE, 0.2)


def test_versions_of_a_playbook_guards_names_and_indices(store: DuckStore) -> None:
    older, newer = make_playbook(), make_playbook(generated_at=AT, model="another")
    earlier = make_protection(updated_at=AT, stop_loss_pct=-4.0)
    later = make_protection(updated_at=AT + MINUTE)
    with store.write() as tx:
        tx.append([newer, older, later, earlier, make_decision()])
        tx.append(
            [
                make_reading(at=AT, fetched_at=AT, value=4000.0),
                make_reading(at=AT + MINUTE, fetched_at=AT + MINUTE, value=4001.0),
                make_reading(at=AT + DAY, fetched_at=AT + DAY, value=4100.0),
            ]
        )
    with store.read() as db:
        assert db.playbook_versions("KR", SESSION) == [newer, older]
        guards = db.guard_history("KR", SESSION, "005930")
        assert [guard.stop_loss_pct for guard in guards] == [-4.0, -3.0]
        assert db.instrument_names("KR") == {"005930": "삼성전자"}
        levels = db.index_levels(["KOSPI", "NOBODY"])
    assert levels == {"KOSPI": [(AT.date(), 4001.0), ((AT + DAY).date(), 4100.0)]}
