"""What the guards of the risk gate cost a tick: the facts of the day, then every candidate.

    pytest benchmarks/bench_guards.py --benchmark-only -o python_files='bench_*.py'

The day has so many orders of 250 stocks, 7 of 10 of them filled, and 20 holdings; the tick checks
50 candidates of which none breaks a promise, so each is asked about all of them and moves the facts
on. ``facts`` is what is made once per tick, ``guards`` that and the promises of every candidate,
``gate`` that and the whole risk gate, costs and all.
Made-up numbers throughout.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.guard_books import make_quote, make_record
from tests.record_factories import AT, SESSION, make_fill, make_intent
from trading_core.model.limits import GuardLimits, RiskLimits
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import ApprovedOrder, OrderIntent, OrderState, Side
from trading_core.model.portfolio import Account, Holding
from trading_core.model.price import Quote
from trading_core.rules import risk
from trading_core.rules.guards import Wish, refuse
from trading_core.rules.positions import fold_positions
from trading_core.rules.trade_history import TradeHistory, trade_history

PRICE = Decimal(70_000)
ENDS = (
    *[OrderState.FILLED] * 7,
    OrderState.CANCELLED,
    OrderState.REJECTED,
    OrderState.ACCEPTED,
)
STOCKS = [Instrument(f"{number:06d}", Market.KR) for number in range(250)]
LIMITS = GuardLimits(
    max_orders_per_session=0,
    max_orders_per_minute=0,
    sectors={MarketGroup.KR: {i.symbol: f"sector {n % 11}" for n, i in enumerate(STOCKS)}},
)


def make_day(orders: int) -> dict[str, Any]:
    """Arguments of ``trade_history``: a day of round trips, one order every few seconds."""
    records, fills = [], []
    for number in range(orders):
        stock, end = STOCKS[number % 200], ENDS[number % 10]
        side = Side.BUY if number // 200 % 2 == 0 else Side.SELL
        sent = AT - timedelta(hours=6) + number * timedelta(hours=5) / orders
        record = make_record(
            end, sent=sent, ended=sent, filled=10 * (end is OrderState.FILLED),
            instrument=stock, side=side, limit_price=PRICE, decided_price=PRICE,
        )  # fmt: skip
        name = f"order-{number}"
        records.append(replace(record, intent=replace(record.intent, intent_id=name)))
        if end is OrderState.FILLED:
            fills.append(
                make_fill(
                    fill_id=name, intent_id=name, instrument=stock, side=side, price=PRICE + number,
                    filled_at=sent,
                )
            )  # fmt: skip
    holdings = tuple(Holding(stock, 10, 10, PRICE, PRICE) for stock in STOCKS[180:200])
    cash = Decimal(10_000_000_000)
    return {
        "account": Account(Currency.KRW, cash, cash, holdings, AT),
        "session": SESSION,
        "at": AT,
        "orders": records,
        "fills": fills,
        "closed": fold_positions(fills).closed,
    }


def make_wishes() -> list[tuple[OrderIntent, Quote]]:
    """An entry of each of the 50 stocks that nobody has traded today."""
    wanted = []
    for number, stock in enumerate(STOCKS[200:]):
        intent = make_intent(
            intent_id=f"wish-{number}", instrument=stock, quantity=10, limit_price=PRICE,
            decided_price=PRICE,
        )  # fmt: skip
        wanted.append((intent, make_quote(PRICE, before=PRICE, of=stock)))
    return wanted


def facts(day: dict[str, Any]) -> TradeHistory:
    return trade_history(**day)


def kept(day: dict[str, Any], wishes: list[tuple[OrderIntent, Quote]]) -> int:
    """How many wishes break no promise."""
    history, cash = facts(day), day["account"].orderable
    return sum(
        refuse(Wish(intent, quote, history, LIMITS, cash, AT)) is None for intent, quote in wishes
    )


def candidates(
    account: Account, history: TradeHistory, wishes: list[tuple[OrderIntent, Quote]]
) -> int:
    """Put every wish before the gate, as a tick does; how many it approved."""
    state = risk.RiskState(account=account, session_open_equity=account.equity, history=history)
    approved = 0
    for intent, quote in wishes:
        answer = risk.check(
            intent, state, RiskLimits(), confidence=90, lot=1, at=AT, quote=quote, guards=LIMITS
        )
        if isinstance(answer, ApprovedOrder):
            approved += 1
            state = state.after(answer)
    return approved


@pytest.mark.parametrize("orders", [100, 1_000])
class TestGuards:
    """Every part for a quiet and for a busy day."""

    def test_facts(self, benchmark: BenchmarkFixture, orders: int) -> None:
        made = benchmark(facts, make_day(orders))
        assert len(made.sent_at) == orders

    def test_guards(self, benchmark: BenchmarkFixture, orders: int) -> None:
        day, wishes = make_day(orders), make_wishes()
        assert benchmark(lambda: kept(day, wishes)) == 50

    def test_gate(self, benchmark: BenchmarkFixture, orders: int) -> None:
        day, wishes = make_day(orders), make_wishes()
        assert benchmark(lambda: candidates(day["account"], facts(day), wishes)) == 50
