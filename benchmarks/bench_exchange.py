"""What a simulated exchange costs. Run: pytest benchmarks/bench_exchange.py"""

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
