"""Shares that were split overnight: no lot is adopted, no stop fires, no guard is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from tests.trading_fakes import KR, MakeFloor, busy, playbook, still, when
from tests.unit.twin.handmade_tape import SESSION, make_tape, minute
from trading_core.model.difference import DifferenceKind
from trading_core.model.journal import ProtectionRow
from trading_core.model.order import Side
from trading_core.model.portfolio import ExitState, PositionOrigin

NEXT = date(2025, 9, 4)
CHEAP = [when("price <= 10000")]


class SplitBroker:
    """Shows the holdings of ``inner`` as they look after a split by ``by`` of symbol A."""

    def __init__(self, inner, by, *, held=None, price=None):
        self.inner, self.by, self.held, self.price = inner, by, held, price

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def account(self, group):
        account = await self.inner.account(group)
        return replace(account, holdings=tuple(map(self._shown, account.holdings)))

    def _shown(self, holding):
        if holding.instrument.symbol != "A":
            return holding
        held = self.held or int(holding.quantity * self.by)
        price = self.price or self._new(holding.average_price)
        return replace(
            holding,
            quantity=held,
            sellable=held,
            average_price=price,
            last_price=self._new(holding.last_price),
        )

    def _new(self, price):
        return (price * self.by.denominator / self.by.numerator).quantize(Decimal("0.0001"))

    async def quotes(self, instruments, *, held=()):
        found = await self.inner.quotes(instruments, held=held)
        return {
            symbol: quote
            if symbol != "A"
            else replace(
                quote,
                **{
                    name: self._new(getattr(quote, name))
                    for name in ("last", "open", "high", "low", "previous_close")
                },
            )
            for symbol, quote in found.items()
        }


@pytest.fixture
async def held(tmp_path):
    """99 shares of A bought for 10,010 each, and the morning after."""
    desk = MakeFloor(tmp_path)({"A": busy(*[10_000] * 60), "B": still(10_000, 60)}, {"A": CHEAP})
    await desk.tick(minute(2))
    await desk.tick(minute(3))
    desk.venue.start_session(make_tape({"A": busy(*[10_400] * 60)}, session=NEXT))
    desk.book = playbook({"A": [when("price < 0.5")]}, session=NEXT)
    return desk


def splits(desk):
    with desk.store.read() as reader:
        return list(reader.splits(KR))


def lots(desk):
    with desk.store.read() as reader:
        return list(reader.adopted_lots(KR))


def trailing(desk):
    """The guard has seen the price rise and holds a distance of its range."""
    guard = replace(
        desk.protections()["A"],
        state=ExitState.TRAILING,
        armed=ExitState.TRAILING,
        peak_price=Decimal(10_500),
        trail_atr=Decimal(300),
    )
    with desk.store.write() as tx:
        tx.append([ProtectionRow(KR.value, SESSION, guard)])


@pytest.mark.parametrize("by", [Fraction(5), Fraction(1, 3), Fraction(4, 3)])
async def test_a_split_is_booked_as_one_and_sells_nothing(held, by):
    before = (await held.books(held.session.open_at)).positions["A"]
    trailing(held)
    held.broker = SplitBroker(held.broker, by)
    tick = await held.tick(held.session.open_at.replace(minute=2))
    assert tick.view.frame.row("A")["price"] == pytest.approx(10_400 / by)
    (split,) = splits(held)
    assert Fraction(split.numerator, split.denominator) == by
    assert split.added == before.quantity * by - before.quantity
    assert lots(held) == []
    position = tick.books.positions["A"]
    assert position.origin is PositionOrigin.STRATEGY
    assert position.quantity == before.quantity * by
    assert abs(float(position.average_price) * by - 10_010) < 0.01
    assert (position.opened_on, position.opened_at) == (SESSION, split.at)
    assert tick.sent == ()
    guard = held.protections()["A"]
    assert abs(float(guard.peak_price) * by - 10_500) < 0.01
    assert abs(float(guard.trail_atr) * by - 300) < 0.01
    assert guard.armed is ExitState.TRAILING
    told = [note.text for note in held.notifier.told if note.kind == "reconciliation"]
    assert len(told) == 1
    assert "split" in told[0]


async def test_a_fall_after_a_split_is_still_sold(held):
    held.broker = SplitBroker(held.broker, Fraction(5))
    await held.tick(held.session.open_at)
    held.broker.inner.quote_changes["A"] = {"last": Decimal(9_600)}
    tick = await held.tick(held.session.open_at.replace(minute=30))
    assert [(item.order.intent.side, item.order.intent.quantity) for item in tick.sent] == [
        (Side.SELL, tick.books.positions["A"].quantity)
    ]


async def test_a_split_is_found_once(held):
    held.broker = SplitBroker(held.broker, Fraction(2))
    for n in range(3):
        await held.tick(held.session.open_at.replace(minute=n))
    assert len(splits(held)) == 1
    assert held.notifier.kinds().count("reconciliation") == 1


async def test_what_a_process_saw_before_the_split_cannot_move_the_guard_back(held):
    old = replace(held.protections()["A"], peak_price=Decimal(11_000))
    held.broker = SplitBroker(held.broker, Fraction(5))
    await held.tick(held.session.open_at)
    with held.store.write() as tx:
        tx.append([ProtectionRow(KR.value, NEXT, replace(old, updated_at=minute(59)))])
    assert held.protections()["A"].peak_price < 2_100


async def test_a_part_of_a_share_that_was_paid_out_is_adopted_away(held):
    before = (await held.books(held.session.open_at)).positions["A"]
    assert before.quantity % 4
    held.broker = SplitBroker(held.broker, Fraction(1, 4), held=before.quantity // 4)
    books = await held.books(held.session.open_at)
    (split,) = splits(held)
    assert split.added == -(-before.quantity // 4) - before.quantity
    (lot,) = lots(held)
    assert lot.quantity == -1
    assert "paid out in cash" in lot.note
    assert lot.krw_rate == 1
    assert books.positions["A"].quantity == before.quantity // 4
    kinds = {item.kind for item in books.differences}
    assert kinds == {DifferenceKind.SPLIT, DifferenceKind.SHARES_DIFFER}


async def test_twice_the_shares_at_the_same_price_were_bought_by_hand(held):
    before = (await held.books(held.session.open_at)).positions["A"]
    held.broker = SplitBroker(
        held.broker, Fraction(1), held=2 * before.quantity, price=before.average_price
    )
    await held.books(held.session.open_at)
    assert splits(held) == []
    assert [lot.quantity for lot in lots(held)] == [before.quantity]


async def test_fills_lots_and_equity_keep_the_rate_the_broker_told(tmp_path):
    desk = MakeFloor(tmp_path)({"A": busy(*[10_000] * 60), "B": busy(*[10_000] * 60)}, {"A": CHEAP})
    rate = Decimal("1398.25")
    ask = desk.broker.account

    async def account(group):
        return replace(await ask(group), krw_rate=rate)

    desk.broker.account = account
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 3, 10_010, "B")
    await desk.tick(minute(2))
    await desk.tick(minute(3))
    with desk.store.read() as reader:
        assert [fill.krw_rate for fill in reader.fills(KR)] == [rate]
        assert [lot.krw_rate for lot in reader.adopted_lots(KR)] == [rate]
        assert {point.krw_rate for point in reader.equity_curve(KR, SESSION)} == {rate}


async def test_a_fill_seen_a_day_late_has_the_rate_of_its_own_day(tmp_path):
    desk = MakeFloor(tmp_path)({"A": busy(*[10_000] * 60)}, {"A": CHEAP})
    ask, rates = desk.broker.account, [Decimal(1300), Decimal(1400)]

    async def account(group):
        rate = rates[desk.session.date == NEXT]
        return replace(await ask(group), krw_rate=rate)

    desk.broker.account = account
    await desk.tick(minute(2))
    desk.venue.start_session(make_tape({"A": still(10_000, 3)}, session=NEXT))
    await desk.books(desk.session.open_at)
    with desk.store.read() as reader:
        (fill,) = reader.fills(KR)
    assert (fill.session, fill.krw_rate) == (SESSION, 1300)
