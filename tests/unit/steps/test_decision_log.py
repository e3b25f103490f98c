"""The log of decisions: written on change, found under its market, remarked on by people."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.record_factories import AT, make_decision
from tests.trading_fakes import MakeFloor, busy, playbook, still, when
from tests.unit.twin.handmade_tape import minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.errors import ConfigError
from trading_core.model.audit import DecisionFilter
from trading_core.model.market import MarketGroup
from trading_core.model.order import Side
from trading_core.steps.decision_log import MAX_NOTE, decision_log, review
from trading_core.steps.reduce import way_out

US = MarketGroup.US
US_SESSION = date(2025, 9, 3)


@pytest.fixture
def store():
    store = DuckStore(":memory:")
    with store.write() as tx:
        tx.append([make_decision(decision_id="abc1"), make_decision(decision_id="abd2")])
    return store


def say(store, name="abc", note="  too early ", by="me", at=AT):
    return review(store, name=name, note=note, by=by, at=at)


def test_a_remark_is_kept_under_the_decision_its_name_begins(store):
    said = say(store)
    assert (said.decision.decision_id, said.review.note, said.review.by) == (
        "abc1",
        "too early",
        "me",
    )
    [found] = decision_log(store, DecisionFilter(name="abc1"))
    assert found.review == said.review
    assert [d.decision.decision_id for d in decision_log(store, DecisionFilter(unreviewed=True))]
    assert decision_log(store, DecisionFilter(name="abc1", unreviewed=True)) == []


def test_a_second_remark_is_added_and_the_first_is_kept(store):
    say(store)
    say(store, note="or too late", at=AT + timedelta(minutes=1))
    [found] = decision_log(store, DecisionFilter(name="abc1"))
    assert found.review.note == "or too late"
    with store.read() as reader:
        assert reader._rows("SELECT count(*) FROM decision_reviews") == [(2,)]


@pytest.mark.parametrize(
    ("name", "note", "message"),
    [
        ("ab", "x", "more than one"),
        ("zz", "x", "no decision's id begins"),
        ("", "x", "which decision"),
        ("abc1", "  ", "needs a note"),
        ("abc1", "x" * (MAX_NOTE + 1), "needs a note"),
        ("%", "x", "no decision's id begins"),
    ],
)
def test_a_remark_needs_one_decision_and_something_to_say(store, name, note, message):
    with pytest.raises(ConfigError, match=message):
        say(store, name, note)
    assert not any(item.review for item in decision_log(store, DecisionFilter()))


async def test_a_decision_knows_the_prompt_its_playbook_answered(tmp_path):
    book = playbook({"A": [when("price <= 10000", confidence=70)]})
    book = book.model_copy(update={"prompt_id": "0f" * 8})
    desk = MakeFloor(tmp_path)({"A": still(10_000, 9)}, book)
    await desk.tick(minute(2))
    [decision] = desk.decisions("A")
    assert decision.prompt_id == "0f" * 8
    assert decision.playbook_id == book.playbook_id
    assert decision.input_data["price"] == 10_000


async def test_the_decisions_of_a_session_are_its_changes_and_not_its_ticks(tmp_path):
    stocks = {s: still(10_000, 99) for s in "ABCDEF"}
    plans = {s: [when("price <= 10000", confidence=70)] for s in stocks}
    desk = MakeFloor(tmp_path)(stocks, plans)
    for n in range(2, 42):
        await desk.tick(minute(n))
    assert len(desk.decisions()) == len(stocks)


async def test_the_same_is_true_of_a_group_of_several_exchanges(tmp_path):
    book = playbook({"A": [when("price <= 100", confidence=70)]}, session=US_SESSION, group=US)
    desk = MakeFloor(tmp_path)(
        {"A": still(100, 99)}, book, group=US, session=US_SESSION, base=100.0
    )
    opened = desk.session.open_at
    for n in range(2, 12):
        await desk.tick(opened + timedelta(minutes=n))
    [decision] = desk.decisions("A")
    assert (decision.market, decision.instrument.market.value) == ("US", "US_NASDAQ")


async def test_a_sale_that_gets_out_of_everything_is_logged_under_the_group_too(tmp_path):
    desk = MakeFloor(tmp_path)(
        {"A": busy(*[100] * 99)}, playbook({}, group=US), group=US, session=US_SESSION, base=100.0
    )
    venue = desk.venue
    venue.advance_to(desk.session.open_at + timedelta(minutes=1))
    desk.by_hand(Side.BUY, 3, 101)
    at = desk.session.open_at + timedelta(minutes=5)
    venue.advance_to(at)
    books, quotes = await desk.books(at), {"A": venue.quote("A")}
    out = way_out(books, quotes, (), desk.policy, because="enough", at=at)
    [decision] = [verdict.decision for verdict in out.plan.verdicts]
    assert (decision.market, decision.instrument.market.value) == ("US", "US_NASDAQ")
