"""What store and broker do not agree on is classified, repaired, written down and told, once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.record_factories import make_fill
from tests.trading_fakes import (
    KR,
    POLICY,
    Died,
    MakeFloor,
    all_rows,
    an_entry,
    busy,
    still,
    when,
)
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.adapters.duck.reader import DuckReader
from trading_core.model.difference import DifferenceKind, Severity
from trading_core.model.journal import HaltKind
from trading_core.model.limits import UnfilledPolicy
from trading_core.model.order import OrderEvent, OrderState, RefusalCode, Side
from trading_core.rules.order_life import event
from trading_core.steps import operate, tell
from trading_core.steps.reduce import sell_held

K = DifferenceKind
CHEAP = [when("price <= 10000")]


@pytest.fixture
def floor(tmp_path):
    return MakeFloor(tmp_path)


@pytest.fixture
def fills(floor):
    rows = busy(*[10_000] * 60)
    return floor({"A": rows, "B": rows}, {"A": CHEAP})


@pytest.fixture
def rests(floor):
    return floor({"A": still(10_000, 60)}, {"A": CHEAP})


def stored(desk):
    with desk.store.read() as reader:
        return list(reader.differences(KR, SESSION))


def kinds(desk):
    return [item.kind for item in stored(desk)]


def told(desk, kind="reconciliation"):
    return [note.text for note in desk.notifier.told if note.kind == kind]


def add_cash(desk, amount):
    """Somebody pays money in, or takes some out."""
    ask = desk.broker.account

    async def account(group):
        seen = await ask(group)
        return replace(seen, cash=seen.cash + amount, orderable=seen.orderable + amount)

    desk.broker.account = account


async def hold_a(desk):
    """Shares of A, bought by the plan and booked."""
    await desk.tick(minute(2))
    await desk.tick(minute(3))
    assert await desk.holding() > 0


# --- agreement -----------------------------------------------------------------------------------


async def test_where_everything_agrees_nothing_is_written_told_or_asked(fills, monkeypatch):
    def never(self, market, session):
        raise AssertionError("asked for differences where there are none")

    monkeypatch.setattr(DuckReader, "differences", never)
    for n in range(2, 8):
        await fills.tick(minute(n))
    assert await fills.holding() > 0
    assert told(fills) == []


@pytest.mark.parametrize("mishap", ["", "lost reply", "lost request", "no balance", "by hand"])
async def test_a_second_look_at_the_same_moment_adds_no_row_to_any_table(fills, tmp_path, mishap):
    await hold_a(fills)
    fills.by_hand(Side.BUY, 30, 10_010, "B")
    add_cash(fills, 5_000_000)
    fills.broker.script = [mishap] if mishap not in ("", "by hand") else []
    if mishap == "by hand":
        fills.by_hand(Side.SELL, 1, None)
    fills.book = fills.book.model_copy(update={"stocks": ()})
    with suppress(Died):
        await fills.tick(minute(4))
    for n in (5, 9):
        books = await fills.books(minute(n))
        before = all_rows(fills.store, tmp_path / "copy.duckdb")
        again = await fills.books(minute(n))
        assert all_rows(fills.store, tmp_path / "copy.duckdb") == before
        assert (again.differences, again.answered, again.new_halts) == ((), (), ())
        assert again.orders == books.orders
    assert K.CASH_MOVED in kinds(fills)
    assert K.FOREIGN_ORDER in kinds(fills)


# --- what is found -------------------------------------------------------------------------------


async def test_an_order_placed_by_hand_is_told_once_with_the_shares_it_left(fills):
    fills.venue.advance_to(minute(1))
    fills.by_hand(Side.BUY, 30, 10_010, "B")
    for n in (2, 3, 4):
        await fills.tick(minute(n))
    assert sorted(kinds(fills)) == [K.FOREIGN_ORDER, K.SHARES_DIFFER]
    (text,) = told(fills)
    assert "BUY 30 B at 10010, placed by hand" in text
    assert "expected 0 shares, repaired" in text
    assert fills.halts() == []


async def test_what_an_order_by_hand_costs_is_no_unexplained_cash(fills):
    await fills.tick(minute(1))
    fills.by_hand(Side.BUY, 3_000, 10_010, "B")
    for n in (2, 3, 4, 5):
        await fills.tick(minute(n))
    assert K.CASH_MOVED not in kinds(fills)


async def test_a_deposit_is_reported_once_and_the_next_one_again(fills):
    await hold_a(fills)
    add_cash(fills, 5_000_000)
    for n in (4, 5, 6):
        await fills.tick(minute(n))
    assert [item.amount for item in stored(fills)] == [5_000_000]
    add_cash(fills, -2_000_000)
    for n in (7, 8, 9):
        await fills.tick(minute(n))
    assert [item.amount for item in stored(fills)] == [5_000_000, -2_000_000]
    assert len(told(fills)) == 2
    assert fills.halts() == []


async def test_more_fills_of_an_order_that_was_over_are_booked_as_its_own(fills):
    await fills.tick(minute(2))
    sent = fills.order()
    with fills.store.write() as tx:
        tx.append([event(sent, OrderState.EXPIRED, minute(2), note="taken for over")])
    books = await fills.books(minute(3))
    (fill,) = books.new_fills
    assert (fill.intent_id, fill.quantity) == (sent.intent.intent_id, sent.intent.quantity)
    (found,) = books.differences
    assert (found.kind, found.repaired_by) == (K.FILLS_DIFFER, fill.fill_id)
    assert books.adopted == ()
    assert fills.order().state is OrderState.EXPIRED


async def test_two_orders_with_one_number_stop_entries_until_a_person_has_looked(rests):
    await rests.tick(minute(2))
    other = an_entry(minute(2), name="other").intent
    number = rests.order().order_no
    states = (OrderState.INTENDED, OrderState.SENDING, OrderState.ACCEPTED)
    with rests.store.write() as tx:
        tx.append([other])
        tx.append(
            OrderEvent(other.intent_id, n, state, minute(2), number if n == 2 else "")
            for n, state in enumerate(states)
        )
    tick = await rests.tick(minute(3))
    (halt,) = rests.halts()
    assert (halt.kind, halt.scope) == (HaltKind.INVARIANT, "KR")
    assert halt in tick.books.halts
    assert rests.notifier.kinds().count("halt") == 1
    operate.resume(rests.store, scope="KR", by="looked", at=minute(4))
    await rests.tick(minute(5))
    assert rests.halts() == []


async def test_a_fill_without_an_order_stops_entries(fills):
    await fills.tick(minute(1))
    instrument = fills.venue.instrument("B")
    stray = make_fill(intent_id="nobody", session=SESSION, instrument=instrument, quantity=1)
    with fills.store.write() as tx:
        tx.append([replace(stray, filled_at=minute(1))])
    books = await fills.books(minute(2))
    assert K.STRAY_FILL in {item.kind for item in books.differences}
    assert [halt.kind for halt in books.halts] == [HaltKind.INVARIANT]


# --- ghosts --------------------------------------------------------------------------------------


async def test_a_ghost_is_closed_with_a_marked_record_and_sold_no_more(floor):
    """The broker refuses the sale for want of shares, and shows none from then on."""
    exits = [when("price <= 10000"), when("price <= 9900", "SELL")]
    desk = floor({"A": busy(*[10_000] * 4, *[9_900] * 30)}, {"A": exits[::-1]})
    await hold_a(desk)
    desk.broker.script = ["no balance"]
    await desk.tick(minute(5))
    assert desk.order(side=Side.SELL).state is OrderState.REJECTED
    ask = desk.broker.account

    async def without(group):
        return replace(await ask(group), holdings=())

    desk.broker.account = without
    sales = len(desk.broker.submitted)
    for n in (6, 7, 8):
        tick = await desk.tick(minute(n))
    assert tick.books.positions == {}
    (ghost,) = [item for item in stored(desk) if item.kind is K.GHOST]
    with desk.store.read() as reader:
        (lot,) = reader.adopted_lots(KR)
    assert (ghost.subject, ghost.repaired_by) == ("A", lot.lot_id)
    assert "ghost" in lot.note
    assert [o for o in desk.broker.submitted[sales:] if o.intent.side is Side.SELL] == []
    assert sum("ghost A" in text for text in told(desk)) == 1


async def test_shares_that_are_gone_book_no_profit_that_nobody_made(fills):
    await hold_a(fills)
    cost = (await fills.books(minute(3))).positions["A"].average_price
    fills.by_hand(Side.SELL, await fills.holding(), 9_990)
    await fills.books(minute(4))
    with fills.store.read() as reader:
        (lot,) = reader.adopted_lots(KR)
    assert lot.price == cost


async def test_getting_out_of_everything_sends_no_second_sale_without_balance(fills):
    await hold_a(fills)

    async def out(at):
        books = await fills.books(at)
        return await sell_held(
            books, fills.broker, fills.broker, fills.store, fills.lock, POLICY, because="x", at=at
        )

    sent = len(fills.broker.submitted)
    fills.broker.script = ["no balance"]
    assert (await out(minute(4))).accepted == 0
    sold = await out(minute(5))
    assert sold.accepted == 0
    assert "nothing to sell" in sold.stuck["A"]
    assert len(fills.broker.submitted) == sent + 1
    assert fills.orders()[-1].events[-1].code == RefusalCode.NO_BALANCE
    fills.by_hand(Side.SELL, 1, None)
    assert (await out(minute(6))).accepted == 1
    assert K.NOTHING_TO_SELL in kinds(fills)


# --- what people are told of orders --------------------------------------------------------------


@pytest.mark.parametrize("word", ["lost reply", "die"])
async def test_an_order_found_in_the_book_is_told_as_accepted_once(fills, word):
    fills.broker.script = [word]
    with suppress(Died):
        await fills.tick(minute(2))
    for n in (3, 4):
        await fills.tick(minute(n))
    (text,) = told(fills, "order_accepted")
    assert "found in the broker's book" in text
    (found,) = stored(fills)
    assert (found.kind, found.severity) == (K.ANSWER_LOST, Severity.INFO)
    assert told(fills) == []


async def test_an_order_the_broker_never_took_is_told_as_not_sent(rests):
    rests.broker.script = ["lost request"]
    await rests.tick(minute(2))
    rests.book = rests.book.model_copy(update={"stocks": ()})
    for n in (3, 4, 5):
        await rests.tick(minute(n))
    (text,) = told(rests, "order_not_sent")
    assert "never taken" in text


async def test_what_a_run_sent_and_could_not_tell_of_is_told_by_the_next_one(rests):
    books, plan = await rests.plan(minute(2))
    await rests.act(books, plan)  # and the process dies here
    for _ in range(2):
        await tell.tell(rests.notifier, rests.store, tell.of_accepted(rests.orders(), minute(3)))
    assert len(told(rests, "order_accepted")) == 1


async def test_a_chase_that_costs_too_much_is_told_as_given_up_once(floor):
    rows = [*still(10_000, 3), *still(10_500, 20)]
    unfilled = UnfilledPolicy(entry_wait=timedelta(seconds=60), max_gap_pct=2.0)
    desk = floor({"A": rows}, {"A": CHEAP}, policy=replace(POLICY, unfilled=unfilled))
    for n in range(2, 10):
        await desk.tick(minute(n))
    (text,) = told(desk, "given_up")
    assert "above 10000" in text


async def test_a_chase_that_does_not_fill_either_is_told_as_given_up_once(floor):
    unfilled = UnfilledPolicy(entry_wait=timedelta(seconds=60), max_gap_pct=2.0)
    desk = floor({"A": still(10_000, 40)}, {"A": CHEAP}, policy=replace(POLICY, unfilled=unfilled))
    for n in range(2, 12):
        await desk.tick(minute(n))
    assert len([r for r in desk.orders() if r.intent.chases and r.order_no]) == 1
    (text,) = told(desk, "given_up")
    assert "did not fill either" in text
