"""What a person may do by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.record_factories import make_intent
from tests.trading_fakes import KR, MakeFloor, all_rows, busy, still, when
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.errors import ConfigError, StoreError
from trading_core.model.journal import Halt, HaltKind
from trading_core.model.order import OrderEvent, OrderState
from trading_core.steps import operate

AT = minute(5)


@pytest.fixture
def store():
    return DuckStore(":memory:")


def open_halts(store):
    with store.read() as reader:
        return [(halt.scope, halt.kind) for halt in reader.open_halts()]


def breaker(scope="KRW"):
    return Halt(f"breaker-{scope}", HaltKind.BREAKER, scope, "a loss", AT)


def test_a_halt_by_hand_is_stored(store):
    raised = operate.halt(store, scope="KR", reason="a doubt", at=AT)
    assert open_halts(store) == [("KR", HaltKind.OPERATOR)]
    assert (raised.reason, raised.raised_at, raised.lifted_at) == ("a doubt", AT, None)


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_nothing_is_lifted_without_a_reason(store, reason):
    operate.halt(store, scope="KR", reason="a doubt", at=AT)
    with pytest.raises(ConfigError, match="reason"):
        operate.resume(store, scope="ALL", by=reason, at=AT)
    assert len(open_halts(store)) == 1


def test_a_scope_lifts_its_own_halts_and_no_others(store):
    for scope in ("KR", "US", "KRW", "ALL"):
        operate.halt(store, scope=scope, reason="a doubt", at=AT)
    lifted = operate.resume(store, scope="KR", by="looked", at=AT)
    assert [halt.scope for halt in lifted] == ["KR"]
    assert sorted(scope for scope, _ in open_halts(store)) == ["ALL", "KRW", "US"]


def test_all_lifts_every_halt_the_breakers_too_and_keeps_who_and_when(store):
    with store.write() as tx:
        tx.append([breaker()])
    operate.halt(store, scope="US", reason="a doubt", at=AT)
    operate.resume(store, scope="ALL", by="looked", at=AT + timedelta(minutes=1))
    assert open_halts(store) == []
    with store.read() as reader:
        assert {(h.lifted_by, h.lifted_at) for h in reader.halts()} == {
            ("looked", AT + timedelta(minutes=1))
        }


def test_a_breaker_lifted_by_hand_stays_lifted_for_a_new_store_object(tmp_path):
    path = tmp_path / "state.duckdb"
    with DuckStore(path).write() as tx:
        tx.append([breaker()])
    assert open_halts(DuckStore(path)) == [("KRW", HaltKind.BREAKER)]
    operate.resume(DuckStore(path), scope="KRW", by="looked", at=AT)
    assert open_halts(DuckStore(path)) == []


def test_two_halts_within_one_second_are_two(store):
    for micros in (1, 2):
        operate.halt(store, scope="KR", reason="a doubt", at=AT + timedelta(microseconds=micros))
    assert len(open_halts(store)) == 2


def unsure(store, state=OrderState.UNKNOWN, name="intent-1"):
    states = [OrderState.INTENDED, OrderState.SENDING]
    states += [state] if state is not OrderState.SENDING else []
    with store.write() as tx:
        tx.append([make_intent(intent_id=name)])
        tx.append([OrderEvent(name, n, s, AT) for n, s in enumerate(states)])
    return name


@pytest.mark.parametrize("state", [OrderState.UNKNOWN, OrderState.SENDING])
@pytest.mark.parametrize(
    ("number", "settled"), [("0000000007", OrderState.ACCEPTED), ("", OrderState.NOT_SENT)]
)
def test_an_order_of_unknown_fate_is_settled_by_a_person(store, state, number, settled):
    name = unsure(store, state)
    answer = operate.settle(store, intent_id=name, order_no=number, by="asked them", at=AT)
    with store.read() as reader:
        (record,) = reader.orders()
    assert record == answer
    assert (record.state, record.order_no) == (settled, number)
    assert record.events[-1].note == "settled by hand: asked them"


def test_settling_needs_a_reason_an_order_in_doubt_and_a_free_number(store, tmp_path):
    name = unsure(store)
    unsure(store, OrderState.ACCEPTED, "other")
    with store.write() as tx:
        tx.append([OrderEvent("other", 3, OrderState.PARTIALLY_FILLED, AT, order_no="0000000007")])
    before = all_rows(store, tmp_path / "copy.duckdb")
    for wrong, message in (
        ({"by": " "}, "reason"),
        ({"intent_id": "nobody"}, "no order of unknown fate"),
        ({"intent_id": "other"}, "no order of unknown fate"),
        ({"order_no": "0000000007"}, "another order"),
    ):
        right = {"intent_id": name, "order_no": "0000000008", "by": "me", "at": AT}
        with pytest.raises(ConfigError, match=message):
            operate.settle(store, **(right | wrong))
    assert all_rows(store, tmp_path / "copy.duckdb") == before


async def test_why_tells_the_whole_story_of_one_symbol(tmp_path):
    rows = busy(*[10_000] * 5)
    plan = {"A": [when("price <= 10000")], "B": [when("price < 9900")]}
    desk = MakeFloor(tmp_path)({"A": rows, "B": still(10_000, 5)}, plan)
    for n in (2, 3):
        await desk.tick(minute(n))
    story = operate.why(desk.store, group=KR, session=SESSION, symbol="A")
    assert [row.at for row in story.observations] == [minute(2), minute(3)]
    assert {row.kind for row in story.matches} == {"first"}
    assert [d.action for d in story.decisions] == ["BUY", "HOLD"]
    assert [record.state for record in story.orders] == [OrderState.FILLED]
    other = operate.why(desk.store, group=KR, session=SESSION, symbol="B")
    assert {row.kind for row in other.matches} == {"near"}
    assert (other.decisions, other.orders) == ((), ())
    assert operate.why(desk.store, group=KR, session=SESSION, symbol="X").observations == ()


def test_a_halt_that_is_not_there_cannot_be_lifted(store):
    with pytest.raises(StoreError), store.write() as tx:
        tx.lift_halt("nothing", at=AT, by="me")
