"""What a store says of outside sources: only what was known at the moment that is asked about."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.record_factories import AT, make_ask, make_event_due, make_headline, make_reading
from trading_core.adapters.duck import DuckStore
from trading_core.model.sources import SourceKind
from trading_core.ports import Store

HOUR = timedelta(hours=1)
LONG_AGO = AT - timedelta(days=9)
FAR = AT + timedelta(days=9)


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return DuckStore(":memory:" if request.param == "memory" else tmp_path / "state.duckdb")


def append(store: Store, *records: Any) -> None:
    with store.write() as tx:
        tx.append(records)


def headlines(store: Store, at: Any = AT, **changes: Any) -> list[str]:
    asked = {"market": "KR", "symbols": ["005930"], "since": LONG_AGO} | changes
    with store.read() as db:
        return [headline.title for headline in db.headlines_known(at, **asked)]


def events(store: Store, at: Any = AT, **changes: Any) -> list[Any]:
    asked = {"country": "KR", "since": LONG_AGO, "until": FAR} | changes
    with store.read() as db:
        return list(db.events_known(at, **asked))


def test_every_record_comes_back_equal_and_under_the_same_id(store: Store) -> None:
    written = (make_headline(), make_reading(), make_event_due(), make_ask())
    append(store, *written)
    with store.read() as db:
        [headline] = db.headlines_known(AT, market="KR", symbols=["005930"], since=LONG_AGO)
        [reading] = db.readings_known(AT, since=LONG_AGO)
        [event] = db.events_known(AT, country="KR", since=LONG_AGO, until=FAR)
        [ask] = db.source_asks(since=LONG_AGO)
    assert (headline, reading, event, ask) == written
    assert headline.headline_id == written[0].headline_id
    assert event.event_id == written[2].event_id


def test_no_score_comes_back_as_none_and_a_zero_as_zero(store: Store) -> None:
    append(store, make_headline("a", sentiment=None, sentiment_by=""))
    append(store, make_headline("b", sentiment=0.0))
    with store.read() as db:
        found = db.headlines_known(AT, market="KR", symbols=["005930"], since=LONG_AGO)
    assert {h.title: h.sentiment for h in found} == {"a": None, "b": 0.0}


def test_what_was_fetched_later_is_not_known_yet(store: Store) -> None:
    append(store, make_headline("early", published_at=AT - HOUR * 2))
    append(store, make_headline("late", fetched_at=AT + HOUR, published_at=AT - HOUR))
    assert headlines(store, AT - timedelta(microseconds=1)) == []
    assert headlines(store, AT) == ["early"]
    assert headlines(store, AT + HOUR) == ["late", "early"]


def test_a_headline_fetched_again_keeps_the_time_it_became_known(store: Store) -> None:
    append(store, make_headline())
    append(store, make_headline(fetched_at=AT + HOUR))
    with store.read() as db:
        [found] = db.headlines_known(FAR, market="KR", symbols=["005930"], since=LONG_AGO)
    assert found.fetched_at == AT


def test_the_markets_headlines_are_told_with_those_of_the_symbols_asked_for(store: Store) -> None:
    append(store, make_headline("its own"), make_headline("another's", symbol="000660"))
    append(store, make_headline("all", symbol=None, published_at=AT - HOUR))
    append(store, make_headline("abroad", market="US", symbol=None))
    assert headlines(store) == ["all", "its own"]
    assert headlines(store, symbols=[]) == ["all"]
    assert headlines(store, since=AT - HOUR * 2) == ["all"]


def test_the_newest_reading_of_each_name_that_was_known_is_told(store: Store) -> None:
    append(store, make_reading(value=1.0))
    append(store, make_reading(value=2.0, at=AT + HOUR, fetched_at=AT + HOUR * 2))
    append(store, make_reading("VIX", 20.0, source="fred"))
    # An older level that came later takes the place of nothing.
    append(store, make_reading(value=3.0, at=AT - HOUR * 9, fetched_at=AT + HOUR * 3, source="b"))

    def levels(at: Any, since: Any = LONG_AGO) -> dict[str, float]:
        with store.read() as db:
            return {r.name: r.value for r in db.readings_known(at, since=since)}

    assert levels(AT) == {"KOSPI": 1.0, "VIX": 20.0}
    assert levels(AT + HOUR * 4) == {"KOSPI": 2.0, "VIX": 20.0}
    assert levels(AT + HOUR * 4, since=AT) == {"KOSPI": 2.0}


def test_the_revision_that_was_known_is_the_one_that_is_told(store: Store) -> None:
    append(store, make_event_due(forecast="2.5 %"))
    append(store, make_event_due(forecast="2.75 %", fetched_at=AT + HOUR))
    assert [e.forecast for e in events(store)] == ["2.5 %"]
    assert [e.forecast for e in events(store, AT + HOUR)] == ["2.75 %"]
    assert events(store, AT - HOUR) == []


def test_what_was_withdrawn_is_due_no_longer_but_was_before(store: Store) -> None:
    append(store, make_event_due())
    append(store, make_event_due(is_withdrawn=True, fetched_at=AT + HOUR))
    assert [e.name for e in events(store, AT)] == ["Rate decision"]
    assert events(store, AT + HOUR) == []


def test_events_are_told_by_country_and_time(store: Store) -> None:
    append(
        store, make_event_due("b"), make_event_due("a", at=AT), make_event_due("us", country="US")
    )
    assert [e.name for e in events(store)] == ["a", "b"]
    assert [e.name for e in events(store, since=AT + HOUR)] == ["b"]
    assert [e.name for e in events(store, until=AT + HOUR * 4)] == ["a"]


def test_asks_are_told_from_a_moment_on_in_order(store: Store) -> None:
    late = make_ask(at=AT + HOUR, kind=SourceKind.MARKET, source="fred", count=0, problem="no")
    append(store, late, make_ask(), make_ask())
    with store.read() as db:
        assert db.source_asks(since=LONG_AGO) == [make_ask(), late]
        assert db.source_asks(since=AT + HOUR) == [late]
