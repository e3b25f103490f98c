"""What a person may do by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.record_factories import make_intent
from tests.trading_fakes import KR, MakeFloor, all_rows, busy, still, when
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.errors import ConfigError, StoreError
from trading_core.model.journal import Halt, HaltKind, HaltLevel
from trading_core.model.market import MarketGroup
from trading_core.model.order import ApprovedOrder, OrderEvent, OrderState, RefusalCode, Side
from trading_core.rules.trading_state import TradingState
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


def test_a_halt_that_is_not_there_cannot_be_lifted(store):
    with pytest.raises(StoreError), store.write() as tx:
        tx.lift_halt("nothing", at=AT, by="me")


# --- levels, the breaker and the watchdog ---------------------------------------------------------


async def lose(desk, pct):
    """Make the account's equity at the next look ``pct`` percent below the session's first."""
    with desk.store.read() as reader:
        base = reader.equity_curve(KR, SESSION)[0].equity
    inner = desk.broker.inner.account

    async def account(group):
        found = await inner(group)
        gone = found.equity - base * (100 - Decimal(pct)) / 100
        return replace(found, cash=found.cash - gone, orderable=found.orderable - gone)

    desk.broker.account = account


async def check(desk, at):
    return await operate.check_breaker(
        desk.broker, desk.store, group=KR, session=SESSION, at=at, limits=desk.policy.risk
    )


@pytest.fixture
async def desk(tmp_path):
    floor = MakeFloor(tmp_path)({"A": busy(*[10_000] * 60)}, {"A": [when("price <= 10000")]})
    await floor.tick(minute(2))
    await floor.books(minute(3))
    return floor


async def test_the_breaker_trips_between_two_ticks_and_once(desk):
    await lose(desk, "3")
    assert await check(desk, minute(4)) is None
    await lose(desk, "3.01")
    tripped = await check(desk, minute(5))
    assert (tripped.kind, tripped.scope, tripped.level) == (
        HaltKind.BREAKER,
        "KRW",
        HaltLevel.REDUCING,
    )
    assert desk.halts() == [tripped]
    assert await check(desk, minute(6)) is None


async def test_without_a_base_or_a_price_there_is_no_breaker(desk, tmp_path):
    await lose(desk, "5")
    del desk.broker.account
    desk.broker.unpriced = {"A"}
    assert await check(desk, minute(4)) is None
    fresh = MakeFloor(tmp_path / "fresh")({"A": busy(10_000)})
    assert await check(fresh, minute(1)) is None


async def trip(desk, pct, at):
    await lose(desk, pct)
    tripped = await check(desk, at)
    assert tripped is not None
    return tripped


async def test_a_breaker_lifted_over_a_standing_loss_is_not_raised_again_by_the_next_tick(desk):
    await trip(desk, "3.2", minute(5))
    (lifted,) = operate.resume(desk.store, scope="KRW", by="looked", at=minute(6))
    assert (round(lifted.accepted_pnl_pct, 4), lifted.accepted_on) == (Decimal("-3.2"), SESSION)
    tick = await desk.tick(minute(7))
    assert (tick.plan.halts, desk.halts()) == ((), [])
    assert await check(desk, minute(8)) is None


@pytest.mark.parametrize(("pct", "trips"), [("4.2", False), ("4.21", True), ("2", False)])
async def test_it_trips_again_once_the_loss_has_grown_by_a_third_of_the_limit(desk, pct, trips):
    await trip(desk, "3.2", minute(5))
    operate.resume(desk.store, scope="KRW", by="looked", at=minute(6))
    await lose(desk, pct)
    again = (await desk.tick(minute(7))).plan.halts
    assert bool(again) is trips
    if trips:
        assert "accepted" in again[0].reason
        (lifted,) = operate.resume(desk.store, scope="ALL", by="looked", at=minute(8))
        assert round(lifted.accepted_pnl_pct, 4) == Decimal("-4.21")


async def test_lifting_other_halts_accepts_no_loss(desk):
    operate.halt(desk.store, scope="KRW", reason="a doubt", at=minute(4))
    await lose(desk, "2.9")
    (lifted,) = operate.resume(desk.store, scope="KRW", by="looked", at=minute(5))
    assert (lifted.accepted_pnl_pct, lifted.accepted_on) == (None, None)
    await lose(desk, "3.01")
    assert await check(desk, minute(6)) is not None


async def test_a_loss_that_was_accepted_yesterday_gives_no_room_today(desk):
    with desk.store.write() as tx:
        tx.append([replace(breaker(), raised_at=minute(0))])
        tx.lift_halt(
            "breaker-KRW",
            at=minute(1),
            by="looked",
            accepted_pnl_pct=Decimal("-5"),
            accepted_on=SESSION - timedelta(days=1),
        )
    await lose(desk, "3.01")
    assert len((await desk.tick(minute(5))).plan.halts) == 1


def exits_wanted(tick):
    return [v.gate for v in tick.plan.verdicts if v.decision.action == "SELL"]


@pytest.mark.parametrize("level", list(HaltLevel))
async def test_halted_keeps_exits_back_and_reducing_does_not(tmp_path, level):
    rows = [*busy(*[10_000] * 4), *busy(*[9_000] * 40)]
    desk = MakeFloor(tmp_path)({"A": rows}, {"A": [when("price <= 10000")]})
    await desk.tick(minute(2))
    operate.halt(desk.store, scope="KR", reason="a doubt", at=minute(3), level=level)
    (gate,) = exits_wanted(await desk.tick(minute(6)))
    sold = desk.broker.submitted[1:]
    if level is HaltLevel.REDUCING:
        assert [order.intent.side for order in sold] == [Side.SELL]
        assert isinstance(gate, ApprovedOrder)
    else:
        assert sold == []
        assert (gate.code, gate.detail) == (RefusalCode.HALTED, "nothing is sent: a doubt")
        operate.resume(desk.store, scope="KR", by="looked", at=minute(7))
        await desk.tick(minute(8))
        assert [order.intent.side for order in desk.broker.submitted[1:]] == [Side.SELL]


async def test_an_exit_meets_a_later_halt_of_everything_on_its_way_out(tmp_path):
    rows = [*busy(*[10_000] * 4), *busy(*[9_000] * 40)]
    desk = MakeFloor(tmp_path)({"A": rows}, {"A": [when("price <= 10000")]})
    await desk.tick(minute(2))
    books, plan = await desk.plan(minute(6))
    operate.halt(desk.store, scope="ALL", reason="x", at=minute(6), level=HaltLevel.HALTED)
    with desk.store.write() as tx:
        tx.append([breaker()])
    (item,) = await desk.act(books, plan)
    assert (item.state, item.code) == (OrderState.REFUSED, RefusalCode.HALTED)
    assert len(desk.broker.submitted) == 1


async def test_a_working_exit_is_left_where_nothing_could_take_its_place(tmp_path):
    rows = [*busy(*[10_000] * 4), *still(9_600, 3), *still(9_000, 40)]
    desk = MakeFloor(tmp_path)({"A": rows}, {"A": [when("price <= 10000")]})
    await desk.tick(minute(2))
    await desk.tick(minute(6))
    assert desk.order("A", Side.SELL).state is OrderState.ACCEPTED
    operate.halt(desk.store, scope="KR", reason="x", at=minute(7), level=HaltLevel.HALTED)
    await desk.tick(minute(10))
    assert desk.order("A", Side.SELL).state is OrderState.ACCEPTED
    assert desk.broker.cancelled == []


def test_a_watchdog_raises_one_halt_and_lifts_only_its_own(store):
    first = operate.watchdog_halt(store, scope="KR", reason="no price", at=AT)
    again = operate.watchdog_halt(store, scope="KR", reason="no fill", at=AT + timedelta(minutes=1))
    assert again == first
    operate.watchdog_halt(store, scope="US", reason="no price", at=AT)
    operate.halt(store, scope="KR", reason="a doubt", at=AT)
    with store.write() as tx:
        tx.append([breaker()])
    later = AT + timedelta(minutes=2)
    (lifted,) = operate.watchdog_recovered(store, scope="KR", how="prices again", at=later)
    assert (lifted.halt_id, lifted.lifted_by) == (first.halt_id, "watchdog: prices again")
    assert sorted(open_halts(store)) == [
        ("KR", HaltKind.OPERATOR),
        ("KRW", HaltKind.BREAKER),
        ("US", HaltKind.WATCHDOG),
    ]
    assert operate.watchdog_recovered(store, scope="KR", how="again", at=later) == []
    assert operate.watchdog_halt(store, scope="KR", reason="x", at=later).raised_at == later


def test_the_state_of_each_market_follows_the_halts(store):
    groups = (KR, MarketGroup.US)
    assert operate.states(store, groups) == dict.fromkeys(groups, TradingState.ACTIVE)
    operate.watchdog_halt(store, scope="KR", reason="x", at=AT)
    operate.halt(store, scope="USD", reason="x", at=AT, level=HaltLevel.HALTED)
    assert operate.states(store, groups) == {
        KR: TradingState.REDUCING,
        MarketGroup.US: TradingState.HALTED,
    }
