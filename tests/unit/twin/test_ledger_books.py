"""Cash, holdings, costs and settlement."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from tests.unit.twin.handmade_tape import (
    CLOSE,
    SESSION,
    account,
    buy,
    flat,
    make_tape,
    minute,
    sell,
    venue_on,
)
from trading_core.model.market import Currency, Market, MarketGroup
from trading_core.model.order import Side
from trading_core.rules.costs import trade_costs
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.ledger import settlement_sessions
from trading_core.twin.venue import AccountSpec

KRW = Currency.KRW


def test_korean_cash_settles_two_sessions_later():
    venue = venue_on({"A": flat(10_000, 1000, 9)}, at=minute(2))
    order = venue.place(buy(10, 10_010))
    view = venue.account("1", KRW)
    assert view.deposit == view.next_day == 100_000_000
    assert view.settled == 100_000_000 - 100_100 - order.fee
    venue.advance_to(CLOSE.replace(day=4))
    view = venue.account("1", KRW)
    assert (view.deposit, view.next_day) == (100_000_000, view.settled)
    venue.advance_to(CLOSE.replace(day=5))
    assert venue.account("1", KRW).deposit == view.settled


def test_new_york_settles_in_one_session_since_the_change_of_2024():
    assert settlement_sessions(MarketGroup.US, date(2024, 5, 24)) == 2
    assert settlement_sessions(MarketGroup.US, date(2024, 5, 28)) == 1
    assert settlement_sessions(MarketGroup.US, date(2013, 10, 8)) == 3


@pytest.mark.parametrize(
    ("group", "on", "lag"),
    [
        (MarketGroup.KR, date(2007, 1, 2), 2),
        (MarketGroup.JP, date(2019, 7, 12), 3),
        (MarketGroup.JP, date(2019, 7, 16), 2),
        (MarketGroup.HK, date(2025, 9, 3), 2),
        (MarketGroup.CN, date(2025, 9, 3), 1),
        (MarketGroup.VN, date(2025, 9, 3), 2),
    ],
)
def test_other_exchanges_settle_by_their_own_dates(group, on, lag):
    assert settlement_sessions(group, on) == lag


def test_a_dollar_trade_leaves_the_won_of_the_same_account_alone_and_settles_next_day():
    tape = make_tape({"A": flat(100, 10_000, 9)}, base=100, group=MarketGroup.US)
    venue = SimulatedExchange(tape, [account()], at=tape.hours.open_at.replace(minute=32))
    order = venue.place(buy(10, 101))
    paid = order.filled_amount + order.fee
    view = venue.account("1", Currency.USD)
    assert order.filled_quantity == 10 and order.fee > 0
    assert (view.deposit, view.next_day) == (100_000_000, 100_000_000 - paid)
    assert view.settled == view.next_day
    won = venue.account("1", KRW)
    assert (won.orderable, won.holdings) == (100_000_000, ())


def test_two_accounts_share_the_prices_and_nothing_else():
    venue = venue_on({"A": flat(10_000, 1000, 9)}, at=minute(2))
    venue.place(buy(60, 10_010))
    venue.place(buy(60, 10_010, who="2"))
    venue.advance_to(minute(3))
    first, second = (venue.account(who, KRW) for who in "12")
    assert [h.quantity for h in (*first.holdings, *second.holdings)] == [60, 60]
    assert first.settled == second.settled
    venue.place(sell(60, 9_000))
    assert venue.account("2", KRW).holdings[0].sellable == 60


def test_costs_do_not_depend_on_how_the_fills_were_sliced():
    venue = venue_on({"A": flat(10_000, 100, 60)}, at=minute(2))
    venue.place(buy(200, 10_010))
    venue.advance_to(minute(30))
    row = venue.orders("1", start=SESSION, end=SESSION)[0]
    assert len(venue.fills("1")) > 10
    assert row.filled_quantity == 200
    whole = trade_costs(Market.KR, Side.BUY, row.filled_amount, SESSION)
    assert (row.fee, row.tax) == (whole.fee, whole.tax)


def test_a_sale_pays_tax_and_realises_against_the_average_cost():
    bars = [*flat(10_000, 1000, 3), *flat(10_900, 1000, 9)]
    venue = venue_on({"A": bars}, at=minute(2))
    venue.place(buy(30, 10_010))
    venue.advance_to(minute(5))
    sold = venue.place(sell(10, 10_890))
    assert sold.filled_amount == 108_900
    assert sold.tax == trade_costs(Market.KR, Side.SELL, Decimal(108_900), SESSION).tax > 0
    balance = venue.balance("1")
    assert balance.realised == 10 * (10_890 - 10_010)
    assert balance.is_even
    (holding,) = venue.account("1", KRW).holdings
    assert (holding.average_price, holding.sold_today) == (10_010, 10)


def test_a_position_sold_out_is_listed_with_nothing_until_the_session_ends():
    venue = venue_on({"A": flat(10_000, 1000, 9)}, at=minute(2))
    venue.place(buy(10, 10_010))
    venue.advance_to(minute(3))
    venue.place(sell(10, 9_990))
    (holding,) = venue.account("1", KRW).holdings
    assert (holding.quantity, holding.bought_today, holding.sold_today) == (0, 10, 10)
    assert venue.account("1", KRW).bought_amount_today == 100_100


def test_a_currency_the_venue_does_not_trade_is_just_its_cash():
    view = venue_on({"A": []}).account("1", Currency.USD)
    assert view.orderable == view.deposit == 100_000_000
    assert view.holdings == ()


def test_a_later_session_keeps_holdings_and_past_orders_and_settles_cash():
    venue = SimulatedExchange(make_tape({"A": flat(10_000, 1000, 9)}), [account()], at=minute(2))
    venue.place(buy(10, 10_010))
    venue.place(buy(10, 9_000))
    cash = venue.account("1", KRW).settled
    for day in (4, 5):
        venue.start_session(make_tape({"A": flat(10_500, 1000, 9)}, session=date(2025, 9, day)))
    view = venue.account("1", KRW)
    assert (view.deposit, view.settled, view.reserved) == (cash, cash, 0)
    assert (view.holdings[0].quantity, view.holdings[0].bought_today) == (10, 0)
    rows = venue.orders("1", start=SESSION, end=SESSION)
    assert [row.remaining_quantity for row in rows] == [0, 0]
    venue.advance_to(venue.now.replace(minute=2))
    assert venue.place(buy(1, 10_000)).order_no == 1
    assert venue.balance("1").is_even


def test_china_sells_nothing_that_was_bought_the_same_day():
    tape = make_tape(
        {"600000": flat(10, 10_000, 9)}, base=10, group=MarketGroup.CN, session=date(2025, 9, 3)
    )
    venue = SimulatedExchange(tape, [AccountSpec("1", {Currency.CNY: Decimal(1_000_000)})])
    venue.advance_to(tape.hours.open_at.replace(minute=35))
    venue.place(buy(100, 11, symbol="600000"))
    (holding,) = venue.account("1", Currency.CNY).holdings
    assert (holding.quantity, holding.sellable) == (100, 0)


def test_vietnam_sells_from_the_second_session_after_the_purchase():
    def day(number: int):
        return make_tape(
            {"A": flat(20_000, 10_000, 9)}, base=20_000, group=MarketGroup.VN,
            session=date(2025, 9, number),
        )  # fmt: skip

    tape = day(8)
    venue = SimulatedExchange(tape, [AccountSpec("1", {Currency.VND: Decimal(10**9)})])
    venue.advance_to(tape.hours.open_at.replace(minute=5))
    venue.place(buy(100, 20_100))
    sellable = []
    for number in (9, 10):
        sellable.append(venue.account("1", Currency.VND).holdings[0].sellable)
        venue.start_session(day(number))
    sellable.append(venue.account("1", Currency.VND).holdings[0].sellable)
    assert sellable == [0, 0, 100]
