"""Store and broker brought into agreement, whatever happened in between."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.trading_fakes import (
    KR,
    PATIENT,
    Died,
    MakeFloor,
    all_rows,
    an_entry,
    busy,
    playbook,
    rule,
    still,
    when,
)
from tests.unit.twin.handmade_tape import CLOSE, SESSION, flat, make_tape, minute
from trading_core.adapters.duck.rows import PROTECTIONS
from trading_core.errors import BrokerUnavailable
from trading_core.model.journal import HaltKind
from trading_core.model.market import Currency, Instrument, Market
from trading_core.model.order import OrderEvent, OrderState, RefusalCode, Side
from trading_core.model.portfolio import ExitState, PositionOrigin
from trading_core.rules.positions import fold_positions
from trading_core.steps import operate
from trading_core.steps.execute import journal

CHEAP = [when("price <= 10000")]
NEXT = date(2025, 9, 4)


@pytest.fixture
def floor(tmp_path):
    return MakeFloor(tmp_path)


@pytest.fixture
def rests(floor):
    rows = still(10_000, 60)
    plans = {"A": CHEAP, "B": [when("price < 0.5")]}
    return floor({"A": rows, "B": rows}, plans, policy=PATIENT)


@pytest.fixture
def fills(floor):
    rows = busy(*[10_000] * 60)
    return floor({"A": rows, "B": rows}, {"A": CHEAP})


def fill_rows(desk):
    with desk.store.read() as reader:
        return list(reader.fills(KR))


def lots(desk):
    with desk.store.read() as reader:
        return list(reader.adopted_lots(KR))


def leave_sending(desk, intent):
    """An order whose sender died, and who knew of no number before."""
    with desk.store.write() as tx:
        tx.append([intent])
        tx.append(
            [
                OrderEvent(intent.intent_id, 0, OrderState.INTENDED, intent.created_at),
                OrderEvent(
                    intent.intent_id, 1, OrderState.SENDING, intent.created_at, note="known:"
                ),
            ]
        )


def guard_rows(desk):
    with desk.store.read() as reader:
        return reader._select(PROTECTIONS)


def curve(desk, session=SESSION):
    with desk.store.read() as reader:
        return list(reader.equity_curve(KR, session))


# --- an order whose answer was lost --------------------------------------------------------------


@pytest.mark.parametrize("word", ["lost reply", "die"])
async def test_an_order_whose_answer_was_lost_is_found_in_the_book_with_its_fills(fills, word):
    fills.broker.script = [word]
    with suppress(Died):
        await fills.tick(minute(2))
    books = await fills.books(minute(3))
    assert fills.states()[2:] == ["unknown", "accepted", "filled"]
    assert fills.order().order_no == "0000000001"
    assert not books.unknown
    (fill,) = fill_rows(fills)
    assert fill.quantity == await fills.holding() == books.positions["A"].quantity
    assert books.positions["A"].origin is PositionOrigin.STRATEGY
    assert lots(fills) == []


async def test_an_unfilled_order_whose_answer_was_lost_goes_on_as_accepted(rests):
    rests.broker.script = ["lost reply"]
    await rests.tick(minute(2))
    await rests.books(minute(3))
    assert rests.states()[2:] == ["unknown", "accepted"]
    assert fill_rows(rests) == []
    await rests.tick(minute(4))
    assert len(rests.broker.submitted) == 1


@pytest.mark.parametrize("word", ["lost request", "die before"])
async def test_an_order_looked_for_twice_and_absent_after_a_minute_was_not_sent(rests, word):
    rests.broker.script = [word]
    with suppress(Died):
        await rests.tick(minute(2))
    await rests.books(minute(2) + timedelta(seconds=10))
    await rests.books(minute(2) + timedelta(seconds=30))
    assert rests.order().state is OrderState.UNKNOWN
    await rests.books(minute(4))
    assert rests.order().state is OrderState.NOT_SENT
    assert len(rests.broker.submitted) == 1


async def test_an_order_is_not_given_up_at_the_first_look_however_late_it_is(rests):
    rests.broker.script = ["die before"]
    with pytest.raises(Died):
        await rests.tick(minute(2))
    await rests.books(minute(50))
    assert rests.order().state is OrderState.UNKNOWN


async def test_an_order_not_yet_in_the_book_is_found_at_a_later_look(rests):
    rests.broker.script = ["lost reply"]
    rests.broker.hidden = {"0000000001"}
    await rests.tick(minute(2))
    await rests.books(minute(2) + timedelta(seconds=20))
    assert rests.order().state is OrderState.UNKNOWN
    rests.broker.hidden = set()
    await rests.books(minute(4))
    assert rests.states()[-1] == "accepted"


async def test_after_not_sent_the_same_wish_may_be_sent_anew(rests):
    rests.broker.script = ["lost request"]
    for n in (2, 3, 4, 5):
        await rests.tick(minute(n))
    assert len(rests.broker.submitted) == 2
    assert rests.states() == ["intended", "sending", "accepted"]


async def test_while_an_order_is_unknown_nothing_else_is_sent_not_even_an_exit(floor):
    desk = floor(
        {"A": still(10_000, 60), "B": busy(10_000, 10_000, *[9_000] * 57)},
        {"A": CHEAP},
    )
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 10, 10_010, "B")
    desk.broker.script = ["lost request"]
    await desk.tick(minute(2))
    tick = await desk.tick(minute(3))  # B is far below its stop by now
    assert (tick.books.unknown, tick.sent) == (True, ())
    assert {(r.intent.instrument.symbol, r.code) for r in tick.plan.refused} == {
        ("A", RefusalCode.UNKNOWN_ORDER),
        ("B", RefusalCode.UNKNOWN_ORDER),
    }
    assert len(desk.broker.submitted) == 1
    tick = await desk.tick(minute(4))
    assert [item.order.intent.side for item in tick.sent] == [Side.SELL, Side.BUY]


async def test_while_an_order_of_another_market_is_unknown_nothing_is_sent(rests):
    lost = an_entry(minute(1)).intent
    lost = replace(lost, instrument=Instrument("KO", Market.US_NYSE), currency=Currency.USD)
    leave_sending(rests, lost)
    with rests.store.write() as tx:
        tx.append([OrderEvent(lost.intent_id, 2, OrderState.UNKNOWN, minute(1))])
    tick = await rests.tick(minute(2))
    assert (tick.books.unknown, tick.sent) == (True, ())
    assert [refusal.code for refusal in tick.plan.refused] == [RefusalCode.UNKNOWN_ORDER]


async def test_two_orders_that_look_alike_halt_everything_and_send_nothing(rests):
    rests.broker.script = ["lost reply"]
    await rests.tick(minute(2))
    twin = rests.order().intent
    rests.by_hand(Side.BUY, twin.quantity, int(twin.limit_price))
    tick = await rests.tick(minute(3))
    (halt,) = rests.halts()
    assert (halt.kind, halt.scope) == (HaltKind.UNKNOWN_ORDER, "ALL")
    assert "0000000001, 0000000002" in halt.reason
    assert tick.report.halted == halt.reason
    assert rests.order().state is OrderState.UNKNOWN
    for n in (10, 30, 59):
        await rests.tick(minute(n))
    assert len(rests.broker.submitted) == 1
    assert len(rests.halts()) == 1
    assert rests.notifier.kinds().count("halt") == 1


async def test_an_order_that_was_there_before_is_not_taken_for_ours(rests):
    quantity = 98  # what the entry will be, with this order's cash put aside
    rests.by_hand(Side.BUY, quantity, 10_020)
    rests.broker.script = ["lost request"]
    await rests.tick(minute(2))
    assert rests.order().intent.quantity == quantity
    assert rests.order().intent.limit_price == 10_020
    for n in (3, 4):
        await rests.books(minute(n))
    assert rests.order().state is OrderState.NOT_SENT


async def test_a_number_that_one_order_of_ours_has_is_not_given_to_another(rests):
    await rests.tick(minute(2))
    first = rests.order()
    leave_sending(rests, replace(first.intent, intent_id="other"))
    await rests.books(minute(3))
    assert rests.order().intent.intent_id == "other"
    assert rests.states() == ["intended", "sending", "unknown"]
    assert rests.halts() == []


async def test_a_person_settles_an_order_nobody_can_tell_apart(rests):
    rests.broker.script = ["lost reply"]
    await rests.tick(minute(2))
    twin = rests.order().intent
    rests.by_hand(Side.BUY, twin.quantity, int(twin.limit_price))
    await rests.tick(minute(3))
    operate.settle(
        rests.store, intent_id=twin.intent_id, order_no="0000000001", by="seen it", at=minute(4)
    )
    operate.resume(rests.store, scope="ALL", by="settled", at=minute(4))
    tick = await rests.tick(minute(5))
    assert rests.order().order_no == "0000000001"
    assert rests.order().state is OrderState.ACCEPTED
    assert (tick.books.unknown, tick.report.halted) == (False, "")


# --- numbers begin anew every session ------------------------------------------------------------


async def test_an_order_left_from_another_session_does_not_hide_todays_of_the_same_number(rests):
    await rests.tick(minute(2))
    rests.venue.start_session(
        make_tape({"A": still(10_000, 60), "B": still(10_000, 60)}, session=NEXT)
    )
    morning = rests.session.open_at
    rests.book = playbook({"B": CHEAP}, session=NEXT)
    rests.broker.script = ["lost reply"]
    await rests.tick(morning)
    assert rests.order("A").state is OrderState.EXPIRED
    assert rests.order("A").order_no == "0000000001"
    await rests.books(morning + timedelta(minutes=1))
    assert rests.order("B").state is OrderState.ACCEPTED
    assert rests.order("B").order_no == "0000000001"


async def test_todays_lost_order_is_found_while_yesterdays_of_the_same_number_is_open(rests):
    await rests.tick(minute(2))
    tape = make_tape({"A": still(10_000, 60), "B": still(10_000, 60)}, session=NEXT)
    rests.venue.start_session(tape)
    morning = rests.session.open_at
    lost = an_entry(morning, symbol="B")
    lost = replace(lost, intent=replace(lost.intent, session=NEXT))
    leave_sending(rests, lost.intent)
    await rests.broker.inner.submit(lost)
    ask, looks = rests.broker.orders, []

    async def orders(group, session):
        looks.append(session)
        return await ask(group, session) if len(looks) > 1 else []

    rests.broker.orders = orders  # the book lags behind at the first look
    books = await rests.books(morning + timedelta(seconds=1))
    assert looks == [NEXT, SESSION, NEXT]
    assert rests.order("B").order_no == rests.order("A").order_no == "0000000001"
    assert rests.order("B").state is OrderState.ACCEPTED
    assert rests.order("A").state is OrderState.EXPIRED
    assert not books.unknown


async def test_an_order_lost_on_a_day_without_any_other_is_given_up_the_day_after(rests):
    rests.broker.script = ["lost request"]
    await rests.tick(minute(2))
    rests.venue.start_session(make_tape({"A": still(10_000, 60)}, session=NEXT))
    rests.book = playbook({"A": CHEAP}, session=NEXT)
    for n in (0, 2, 4):
        tick = await rests.tick(rests.session.open_at + timedelta(minutes=n))
    assert not tick.books.unknown
    assert [r.state.value for r in rests.orders() if r.state is not OrderState.REFUSED] == [
        "not_sent",
        "accepted",
    ]


async def test_orders_left_working_expire_with_their_session(rests):
    await rests.tick(minute(2))
    rests.venue.advance_to(CLOSE)
    rests.venue.start_session(make_tape({"A": still(10_000, 3)}, session=NEXT))
    books = await rests.books(rests.session.open_at)
    assert rests.order().state is OrderState.EXPIRED
    assert books.session == NEXT
    assert books.working == frozenset()
    assert books.history.tries == {}


async def test_fills_of_a_day_nobody_reconciled_are_booked_the_day_after(fills):
    await fills.tick(minute(2))
    assert fill_rows(fills) == []
    fills.venue.start_session(make_tape({"A": still(10_000, 3)}, session=NEXT))
    books = await fills.books(fills.session.open_at)
    (fill,) = fill_rows(fills)
    assert fill.session == SESSION
    assert books.positions["A"].origin is PositionOrigin.STRATEGY
    assert books.positions["A"].opened_on == SESSION
    assert lots(fills) == []


# --- holdings nobody planned ---------------------------------------------------------------------


async def test_shares_bought_by_hand_are_adopted_at_the_brokers_price_and_guarded(fills):
    fills.venue.advance_to(minute(1))
    fills.by_hand(Side.BUY, 30, 10_010, "B")
    tick = await fills.tick(minute(2))
    (lot,) = tick.books.adopted
    assert (lot.quantity, lot.price) == (30, Decimal(10_010))
    position = tick.books.positions["B"]
    assert (position.origin, position.quantity) == (PositionOrigin.ADOPTED, 30)
    assert fills.protections()["B"].stop_loss_pct == -3.0
    assert fills.notifier.kinds().count("reconciliation") == 1
    await fills.tick(minute(3))
    assert len(lots(fills)) == 1


async def test_adopted_shares_are_kept_apart_from_our_own_of_the_same_stock(fills):
    await fills.tick(minute(2))
    fills.by_hand(Side.BUY, 30, 10_010)
    await fills.books(minute(3))
    with fills.store.read() as reader:
        book = fold_positions(reader.fills(KR), reader.adopted_lots(KR))
    by_origin = {p.origin: p.quantity for p in book.open_positions}
    ours = fills.order().filled_quantity
    assert by_origin == {PositionOrigin.STRATEGY: ours, PositionOrigin.ADOPTED: 30}
    assert await fills.holding() == ours + 30


async def test_shares_sold_by_hand_leave_the_books_and_are_no_fill_of_ours(fills):
    await fills.tick(minute(2))
    await fills.books(minute(3))
    fills.by_hand(Side.SELL, await fills.holding(), 9_990)
    books = await fills.books(minute(4))
    assert books.positions == {}
    assert len(fill_rows(fills)) == 1
    assert lots(fills)[0].quantity < 0


async def test_shares_of_a_working_order_are_not_adopted_while_its_fills_arrive(floor):
    desk = floor({"A": [*still(10_000, 3), *flat(10_000, 100, 20)]}, {"A": CHEAP})
    await desk.tick(minute(2))
    for n in range(3, 20):
        books = await desk.books(minute(n))
        held = books.account.holding("A")
        ours = books.positions.get("A")
        assert (held.quantity if held else 0) == (ours.quantity if ours else 0)
    assert lots(desk) == []
    assert len(fill_rows(desk)) > 2


async def test_shares_the_book_does_not_show_yet_are_not_adopted_while_their_order_works(fills):
    await fills.tick(minute(2))
    ask = fills.broker.orders

    async def lagging(group, session):
        return [
            replace(
                row, filled_quantity=0, filled_amount=Decimal(0), remaining_quantity=row.quantity
            )
            for row in await ask(group, session)
        ]

    fills.broker.orders = lagging
    books = await fills.books(minute(3))
    assert books.account.holding("A").quantity > 0
    assert (lots(fills), books.positions) == ([], {})
    fills.broker.orders = ask
    books = await fills.books(minute(4))
    assert books.positions["A"].origin is PositionOrigin.STRATEGY
    assert lots(fills) == []


async def test_a_fill_between_the_two_questions_is_not_adopted(floor):
    desk = floor({"A": [*still(10_000, 3), *busy(*[10_000] * 9)]}, {"A": CHEAP})
    await desk.tick(minute(2))
    ask = desk.broker.account

    async def account(group):
        desk.venue.advance_to(minute(5))  # the order fills after the book was read
        return await ask(group)

    desk.broker.account = account
    books = await desk.books(minute(3))
    assert books.account.holding("A") is not None
    assert lots(desk) == []
    desk.broker.account = ask
    books = await desk.books(minute(6))
    assert books.positions["A"].origin is PositionOrigin.STRATEGY
    assert lots(desk) == []


async def test_a_fill_after_the_account_was_read_is_not_taken_for_a_sale_by_hand(floor):
    rows = [*still(10_000, 3), *busy(*[10_000] * 9)]
    desk = floor({"A": rows, "B": busy(*[10_000] * 9)}, {"A": CHEAP})
    await desk.tick(minute(2))
    desk.by_hand(Side.BUY, 30, 10_010, "B")  # so that there is a second look
    ask = desk.broker.account

    async def account(group):
        seen = await ask(group)
        desk.venue.advance_to(minute(5))
        return seen

    desk.broker.account = account
    books = await desk.books(minute(3))
    assert [fill.instrument.symbol for fill in books.new_fills] == ["A"]
    assert lots(desk) == []
    desk.broker.account = ask
    await desk.books(minute(6))
    assert [(lot.instrument.symbol, lot.quantity) for lot in lots(desk)] == [("B", 30)]


# --- guards --------------------------------------------------------------------------------------


async def test_the_stop_of_the_scenario_guards_the_position_right_after_its_fill(floor):
    plan = [when("price <= 10000", stop_loss_pct=-1.5, take_profit_pct=4.0)]
    desk = floor({"A": busy(*[10_000] * 9)}, {"A": plan})
    await desk.tick(minute(2))
    await desk.books(minute(2))
    guard = desk.protections()["A"]
    assert (guard.stop_loss_pct, guard.take_profit_pct) == (-1.5, 4.0)
    assert guard.peak_price == Decimal(10_010)


async def test_a_stock_bought_again_is_guarded_by_its_new_entry(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {"A": [when("price <= 10000", stop_loss_pct=-1.5)]})
    await desk.tick(minute(2))
    await desk.books(minute(3))
    desk.by_hand(Side.SELL, await desk.holding(), 9_990)
    await desk.books(minute(4))
    desk.venue.start_session(make_tape({"A": busy(*[10_000] * 9)}, session=NEXT))
    desk.book = playbook({"A": [when("price <= 10000", stop_loss_pct=-2.5)]}, session=NEXT)
    at = desk.session.open_at + timedelta(minutes=2)
    await desk.tick(at)
    await desk.books(at + timedelta(minutes=1))
    assert desk.protections()["A"].stop_loss_pct == -2.5


async def test_a_guard_is_not_made_anew_by_later_fills_or_looks(floor):
    plan = [when("price <= 10000", stop_loss_pct=-1.5)]
    desk = floor({"A": [*still(10_000, 3), *flat(10_000, 100, 20)]}, {"A": plan})
    await desk.tick(minute(2))
    await desk.books(minute(5))
    first = desk.protections()["A"]
    for n in range(6, 20):
        await desk.books(minute(n))
    assert desk.protections()["A"] == first


async def test_a_guard_from_before_positions_were_named_goes_on_in_its_state(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {})
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 30, 10_010)
    await desk.books(minute(2))
    (row,) = guard_rows(desk)
    older = replace(
        row.protection,
        opened_at=None,
        state=ExitState.TRAILING,
        armed=ExitState.TRAILING,
        peak_price=Decimal(10_400),
    )
    with desk.store.write() as tx:
        tx._rows("DELETE FROM protections")
        tx.append([replace(row, protection=older)])
    books = await desk.books(minute(3))
    named = replace(older, opened_at=books.positions["A"].opened_at, updated_at=minute(3))
    assert books.protections["A"] == desk.protections()["A"] == named


# --- the account ---------------------------------------------------------------------------------


async def test_the_first_equity_of_the_session_is_the_breakers_base(floor):
    desk = floor({"A": busy(10_000, 10_000, 10_000, 9_900, 9_900)}, {"A": CHEAP})
    first = (await desk.tick(minute(2))).books
    later = (await desk.tick(minute(4))).books
    assert later.session_open_equity == first.account.equity == Decimal(100_000_000)
    assert later.account.equity < first.account.equity
    assert [point.at for point in curve(desk)] == [minute(2), minute(4)]


async def test_a_holding_without_a_price_is_no_loss_and_no_basis(floor):
    desk = floor({"A": busy(*[10_000] * 9), "B": busy(*[10_000] * 9)}, {"B": CHEAP})
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 5_000, 10_010)
    desk.broker.unpriced = {"A"}
    tick = await desk.tick(minute(2))
    assert curve(desk) == []
    assert tick.books.session_open_equity is None
    assert [refusal.code for refusal in tick.plan.refused] == [RefusalCode.CASH_UNKNOWN]
    desk.broker.unpriced = set()
    await desk.tick(minute(3))
    assert curve(desk)[0].equity > Decimal(99_000_000)
    desk.broker.unpriced = {"A"}
    await desk.tick(minute(4))
    assert desk.halts() == []


async def test_a_rule_over_the_market_never_matches_while_a_holding_has_no_price(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {}, rule("exposure_pct > -1", "REDUCE_ALL"))
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 5_000, 10_010)
    desk.broker.unpriced = {"A"}
    assert (await desk.tick(minute(2))).sent == ()
    desk.broker.unpriced = set()
    assert len((await desk.tick(minute(3))).sent) == 1


async def test_a_broker_that_does_not_answer_changes_nothing(fills, tmp_path):
    await fills.tick(minute(2))
    before = all_rows(fills.store, tmp_path / "copy.duckdb")

    async def down(group):
        raise BrokerUnavailable("no answer")

    fills.broker.account = down
    with pytest.raises(BrokerUnavailable):
        await fills.books(minute(3))
    assert all_rows(fills.store, tmp_path / "copy.duckdb") == before


# --- again ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["", "lost reply", "reject"])
async def test_reconciling_twice_at_one_moment_changes_nothing_the_second_time(
    fills, tmp_path, word
):
    fills.broker.script = [word]
    await fills.tick(minute(2))
    fills.by_hand(Side.BUY, 30, 10_010, "B")
    first = await fills.books(minute(3))
    before = all_rows(fills.store, tmp_path / "copy.duckdb")
    second = await fills.books(minute(3))
    assert all_rows(fills.store, tmp_path / "copy.duckdb") == before
    assert (second.new_fills, second.adopted, second.new_halts) == ((), (), ())
    assert second.positions == first.positions
    assert second.protections == first.protections


async def test_an_intent_that_never_left_the_house_is_not_sent(fills):
    _, plan = await fills.plan(minute(2))
    journal(fills.store, plan)  # and the process dies here
    await fills.books(minute(3))
    assert fills.states() == ["intended", "not_sent"]
    assert fills.broker.submitted == []
