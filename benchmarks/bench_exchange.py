"""What a simulated exchange costs, and that orders of the past cost nothing.

pytest benchmarks/bench_exchange.py
pytest benchmarks/bench_exchange.py -k "not million"      without the minutes it takes to make them
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from trading_core.model.market import Currency, Market, MarketGroup
from trading_core.model.order import OrderType, Side
from trading_core.model.price import Ranking
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec, NewOrder

DAY = date(2025, 9, 3)
CASH = AccountSpec("1", {Currency.KRW: Decimal(10_000_000_000)})


@pytest.fixture(scope="module")
def tape():
    return synthetic_tape(MarketGroup.KR, DAY)


def at_noon(tape) -> SimulatedExchange:
    return SimulatedExchange(tape, [CASH], at=tape.hours.open_at + timedelta(hours=3))


def test_make_a_synthetic_session(benchmark):
    benchmark(synthetic_tape, MarketGroup.KR, DAY)


def test_open_an_exchange(benchmark, tape):
    benchmark(SimulatedExchange, tape, [CASH])


def test_quotes_of_all_symbols_each_in_a_new_minute(benchmark, tape):
    def walk() -> int:
        venue = SimulatedExchange(tape, [CASH])
        count = 0
        for minute in range(1, 11):
            venue.advance_to(tape.hours.open_at + timedelta(minutes=minute))
            count += sum(venue.quote(item.symbol) is not None for item in tape.instruments)
        return count

    assert benchmark(walk) == 2_000


def test_quotes_of_all_symbols_in_one_minute(benchmark, tape):
    venue = at_noon(tape)
    benchmark(lambda: [venue.quote(item.symbol) for item in tape.instruments])


def test_an_order_book(benchmark, tape):
    venue = at_noon(tape)
    benchmark(venue.order_book, tape.instruments[0].symbol)


def test_a_ranking(benchmark, tape):
    venue = at_noon(tape)
    benchmark(venue.ranking, Ranking.FLUCTUATION, Market.KR)


def test_a_session_with_an_order_a_minute(benchmark, tape):
    names = [item.symbol for item, halt in zip(tape.instruments, tape.halted, strict=True)
             if not halt]  # fmt: skip

    def play() -> int:
        venue = SimulatedExchange(tape, [CASH])
        for minute in range(1, 380):
            venue.advance_to(tape.hours.open_at + timedelta(minutes=minute))
            symbol = names[minute % len(names)]
            venue.place(NewOrder("1", symbol, Side.BUY, OrderType.MARKET, 10, None))
        venue.advance_to(tape.hours.close_at)
        return len(venue.fills("1"))

    assert benchmark(play) > 300


# --- after many orders --------------------------------------------------------------------------


def crowded(tape, rows: int) -> SimulatedExchange:
    """An exchange with so many rows of account 1, one order in twenty of them still working."""
    venue = SimulatedExchange(tape, [CASH, *OTHERS], at=tape.hours.open_at + timedelta(minutes=9))
    names = traded(tape)
    lowest = {name: venue.quote(name).lower_limit for name in names}
    number = 0
    while venue.state().orders < rows:
        name = names[number % len(names)]
        row = venue.place(NewOrder("1", name, Side.BUY, OrderType.LIMIT, 1, lowest[name]))
        if number % 20:
            venue.cancel("1", row.order_no, quantity=None)
        number += 1
    for name in names[:10]:
        venue.place(NewOrder("3", name, Side.BUY, OrderType.LIMIT, 1, lowest[name]))
    return venue


def traded(tape) -> list[str]:
    return [i.symbol for i, halt in zip(tape.instruments, tape.halted, strict=True) if not halt]


OTHERS = [AccountSpec(number, dict(CASH.cash)) for number in ("2", "3")]


@pytest.fixture(scope="module", params=[1_000, 1_000_000], ids=["thousand", "million"])
def venue(request, tape) -> SimulatedExchange:
    return crowded(tape, request.param)


def test_place_and_cancel_after_many_orders(benchmark, tape, venue):
    name = traded(tape)[3]
    price = venue.quote(name).lower_limit

    def one() -> None:
        row = venue.place(NewOrder("2", name, Side.BUY, OrderType.LIMIT, 1, price))
        venue.cancel("2", row.order_no, quantity=None)

    benchmark.pedantic(one, rounds=300, warmup_rounds=20)


def test_a_fill_at_once_after_many_orders(benchmark, tape, venue):
    names = traded(tape)

    def one() -> None:
        for name in names[:20]:
            venue.place(NewOrder("2", name, Side.BUY, OrderType.MARKET, 1, None))

    benchmark.pedantic(one, rounds=20, warmup_rounds=1)


def test_the_ten_orders_of_an_account_after_many_orders(benchmark, venue):
    rows = benchmark.pedantic(
        venue.orders, ("3",), {"start": DAY, "end": DAY}, rounds=300, warmup_rounds=20
    )
    assert len(rows) == 10


def test_an_account_after_many_orders(benchmark, venue):
    benchmark.pedantic(venue.account, ("3", Currency.KRW), rounds=300, warmup_rounds=20)


def test_quotes_after_many_orders(benchmark, tape, venue):
    names = traded(tape)
    benchmark.pedantic(lambda: [venue.quote(name) for name in names], rounds=200, warmup_rounds=5)


def test_a_minute_after_many_orders(benchmark, venue):
    """All those that still work are there, at prices the market does not reach."""

    def one() -> None:
        venue.advance_to(venue.now + timedelta(minutes=1))

    benchmark.pedantic(one, rounds=200, warmup_rounds=5)
