"""The venue seen through the broker's ports."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.unit.twin.handmade_tape import SESSION, flat, minute, venue_on
from trading_core.adapters.simulated import SimulatedBroker
from trading_core.errors import NotOffered, OrderRejected
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import ApprovedOrder, IntentReason, OrderIntent, OrderType, Side
from trading_core.model.price import Ranking
from trading_core.ports import Broker, MarketData

A = Instrument("A", Market.KR)
KR = MarketGroup.KR


def approved(quantity: int, price: int, side: Side = Side.BUY) -> ApprovedOrder:
    at = minute(2)
    intent = OrderIntent(
        intent_id="i", decision_id="d", instrument=A, session=SESSION, side=side,
        quantity=quantity, order_type=OrderType.LIMIT, limit_price=Decimal(price),
        decided_price=Decimal(price), currency=Currency.KRW, reason=IntentReason.ENTRY,
        created_at=at,
    )  # fmt: skip
    return ApprovedOrder(intent, at)


@pytest.fixture
def venue():
    return venue_on({"A": flat(10_000, 1000, 9), "B": flat(11_000, 10, 9)}, at=minute(2))


@pytest.fixture
def broker(venue):
    return SimulatedBroker(venue, "1")


def test_it_fills_both_ports(broker):
    ports: tuple[Broker, MarketData] = (broker, broker)
    assert ports[0] is ports[1]


async def test_an_accepted_order_shows_in_the_orders_and_the_account(broker):
    ack = await broker.submit(approved(30, 10_010))
    assert (ack.order_no, ack.accepted_at) == ("0000000001", minute(2))
    (row,) = await broker.orders(KR, SESSION)
    assert (row.filled_quantity, row.filled_amount, row.is_open) == (30, 300_300, False)
    account = await broker.account(KR)
    assert account.holding("A").quantity == 30
    assert account.cash == account.orderable < 100_000_000
    assert account.at == minute(2)


async def test_only_an_approved_order_is_sent(broker):
    with pytest.raises(TypeError):
        await broker.submit(approved(1, 10_000).intent)
    assert await broker.orders(KR, SESSION) == []


async def test_a_refusal_of_the_venue_is_a_rejection_with_its_code(broker):
    with pytest.raises(OrderRejected) as caught:
        await broker.submit(approved(1, 10_001))
    assert caught.value.code == "price_increment"


async def test_modify_and_cancel_make_rows_that_name_the_original(broker):
    await broker.submit(approved(5, 9_000))
    (row,) = await broker.orders(KR, SESSION)
    await broker.modify(row, limit_price="9100")
    rows = await broker.orders(KR, SESSION)
    assert [(r.order_no[-1], r.original_no[-1:], r.remaining_quantity) for r in rows] == [
        ("1", "", 0),
        ("2", "1", 5),
    ]
    await broker.cancel(rows[1])
    with pytest.raises(OrderRejected) as caught:
        await broker.cancel(rows[1])
    assert caught.value.code == "nothing_left"
    assert len(await broker.orders(KR, SESSION)) == 3
    with pytest.raises(OrderRejected):
        await broker.modify(rows[1], limit_price="a lot")


async def test_prices_come_from_the_venue(broker, venue):
    assert await broker.quote(A) == venue.quote("A")
    assert await broker.order_book(A) == venue.order_book("A")
    bars = await broker.minute_bars(A, until=minute(60), count=1)
    assert [b.start_at for b in bars] == [minute(1)]
    days = await broker.daily_bars(A, until=SESSION, count=5)
    assert [d.session for d in days] == [SESSION - timedelta(days=1), SESSION]
    assert [d.session for d in await broker.daily_bars(A, until=SESSION, count=1)] == [SESSION]
    rows = await broker.ranking(KR, Ranking.FLUCTUATION)
    assert [(r.rank, r.instrument.symbol) for r in rows] == [(1, "B"), (2, "A")]
    assert [r.rank for r in await broker.ranking(KR, Ranking.VOLUME)] == [1, 2]


async def test_what_the_venue_does_not_trade_is_not_offered(broker):
    with pytest.raises(NotOffered):
        await broker.quote(Instrument("ZZZ", Market.KR))
    with pytest.raises(NotOffered):
        await broker.daily_bars(Instrument("ZZZ", Market.KR), until=SESSION, count=1)
    with pytest.raises(NotOffered):
        await broker.account(MarketGroup.US)


async def test_trading_days_of_every_group_are_known(broker):
    assert await broker.is_trading_day(KR, SESSION)
    assert not await broker.is_trading_day(KR, date(2025, 9, 6))
    assert not await broker.is_trading_day(MarketGroup.US, date(2025, 9, 1))
