"""Sessions as facts that add up, with what came from outside taken out."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.memory_ledger import Ledger, busy_ledger, weekdays
from tests.record_factories import make_lot
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.memory import EntryOrigin, EquityDay, MemoryFacts
from trading_core.model.order import Side
from trading_core.model.portfolio import AdoptedLot
from trading_core.rules.positions import fold_positions
from trading_core.rules.trading_days import TradingDay, judge, trading_days

MON, TUE, WED = weekdays(date(2026, 11, 16), 3)


def equity_days(ledger: Ledger) -> tuple[EquityDay, ...]:
    found = []
    for session in dict.fromkeys(point.session for point in ledger.points):
        points = [point for point in ledger.points if point.session == session]
        worth = [point.equity for point in points]
        found.append(
            EquityDay(
                session=session,
                currency=ledger.currency,
                open=worth[0],
                low=min(worth),
                high=max(worth),
                close=worth[-1],
                open_cash=points[0].cash,
                close_cash=points[-1].cash,
                opened_at=points[0].at,
                closed_at=points[-1].at,
                points=len(points),
            )
        )
    return tuple(found)


def days_of(
    ledger: Ledger, lots: tuple[AdoptedLot, ...] = (), moved: D | None = None
) -> list[TradingDay]:
    known = MemoryFacts(
        equity=equity_days(ledger),
        cash_moved={} if moved is None else {(TUE, ledger.currency): moved},
    )
    book = fold_positions(ledger.fills, lots)
    return trading_days(
        ledger.group, fills=ledger.fills, lots=lots, closed=book.closed, known=known
    )


def lot_of(ledger: Ledger, quantity: int, price: int, minute: float = 5) -> AdoptedLot:
    return make_lot(
        instrument=Instrument("HAND", Market.KR),
        quantity=quantity,
        price=D(price),
        session=TUE,
        adopted_at=ledger.at(TUE, minute),
    )


def two_days_with(change: int = 0) -> Ledger:
    """A gain of 60 on Monday; on Tuesday only the cash changes, by so much."""
    ledger = Ledger()
    ledger.round_trip(MON, 10)
    ledger.cash += change
    ledger.look(TUE, 0)
    ledger.look(TUE, 10)
    return ledger


def test_a_session_is_measured_from_the_close_before() -> None:
    ledger = Ledger()
    ledger.look(MON, 0)
    ledger.trade(MON, 10, Side.BUY, "A", 10, 1_000)
    ledger.look(MON, 20)
    ledger.prices["A"] = D(1_100)
    ledger.look(TUE, 0)
    ledger.look(TUE, 20)
    monday, tuesday = days_of(ledger)
    assert (monday.net, monday.fees, monday.bought, monday.sold) == (-10, 10, 10_000, 0)
    # The gap over night is Tuesday's, though nothing moved while it was open.
    assert (tuesday.base, tuesday.net, tuesday.fills) == (9_999_990, 1_000, 0)
    assert tuesday.fraction == pytest.approx(1_000 / 9_999_990)


@pytest.mark.parametrize("moved", [5_000_000, -5_000_000, 20_000])
def test_a_deposit_or_withdrawal_is_not_profit(moved: int) -> None:
    _, tuesday = days_of(two_days_with(moved))
    assert (tuesday.cash_flow, tuesday.net, tuesday.fraction) == (moved, 0, 0.0)


@pytest.mark.parametrize("moved", [9_000, -9_000])
def test_a_small_change_of_cash_is_a_dividend_or_a_cost(moved: int) -> None:
    _, tuesday = days_of(two_days_with(moved))
    assert (tuesday.cash_flow, tuesday.net) == (0, moved)


def test_a_deposit_on_a_day_of_trading_leaves_the_trades_their_profit() -> None:
    ledger = Ledger()
    ledger.round_trip(MON, 10)
    ledger.look(TUE, 0)
    ledger.trade(TUE, 10, Side.BUY, "A", 10, 1_000)
    ledger.cash += 1_000_000
    ledger.trade(TUE, 20, Side.SELL, "A", 10, 1_100)
    ledger.look(TUE, 30)
    _, tuesday = days_of(ledger)
    assert (tuesday.cash_flow, tuesday.net) == (1_000_000, 980)
    # Money that came in was at work too.
    assert tuesday.fraction == pytest.approx(980 / 11_000_060)


def test_shares_bought_by_hand_are_no_flow_and_shares_moved_in_are_one() -> None:
    for paid, flow in ((50_000, 0), (0, 50_000)):
        ledger = Ledger()
        ledger.round_trip(MON, 10)
        ledger.cash -= paid
        ledger.prices["HAND"], ledger.shares["HAND"] = D(1_000), 50
        ledger.look(TUE, 5)
        _, tuesday = days_of(ledger, (lot_of(ledger, 50, 1_000),))
        assert (tuesday.cash_flow, tuesday.net) == (flow, 0)


def test_when_shares_were_sold_by_hand_only_what_reconciliation_reported_is_a_flow() -> None:
    sold = two_days_with(50_000)
    assert days_of(sold, (lot_of(sold, -50, 0),))[1].cash_flow == 0
    assert days_of(sold, (lot_of(sold, -50, 0),), moved=D(30_000))[1].cash_flow == 30_000


def test_what_was_held_before_the_first_look_is_no_flow() -> None:
    ledger = Ledger()
    ledger.prices["HAND"], ledger.shares["HAND"] = D(1_000), 50
    ledger.look(TUE, 5)
    ledger.look(TUE, 10)
    [tuesday] = days_of(ledger, (lot_of(ledger, 50, 1_000),))
    assert (tuesday.cash_flow, tuesday.net) == (0, 0)


def test_a_session_nobody_could_value_is_no_data_and_its_profit_comes_with_the_next() -> None:
    ledger = Ledger()
    ledger.round_trip(MON, 10)
    ledger.trade(TUE, 10, Side.BUY, "A", 10, 1_000)
    ledger.trade(TUE, 20, Side.SELL, "A", 10, 1_020)
    ledger.look(WED, 0)
    _, tuesday, wednesday = days_of(ledger)
    assert (tuesday.net, tuesday.fraction, tuesday.fees, len(tuesday.trades)) == (None, None, 20, 1)
    assert (wednesday.net, wednesday.cash_flow) == (180, 0)


def test_a_session_of_decisions_alone_is_a_session_of_the_markets_own_currency() -> None:
    known = MemoryFacts(decisions={MON: {"HOLD": 3}})
    [day] = trading_days(MarketGroup.US, fills=(), lots=(), closed=(), known=known)
    assert (day.session, day.currency, day.decisions) == (MON, Currency.USD, {"HOLD": 3})


def test_a_trade_is_judged_by_its_entry_and_how_long_it_was_held() -> None:
    ledger = Ledger()
    ledger.trade(MON, 0, Side.BUY, "A", 10, 1_000)
    ledger.trade(MON, 30, Side.BUY, "A", 30, 1_000)
    ledger.trade(MON, 60, Side.SELL, "A", 20, 1_010)
    ledger.trade(TUE, 0, Side.SELL, "A", 20, 1_010)
    ledger.trade(TUE, 10, Side.BUY, "A", 5, 1_000)
    ledger.trade(TUE, 12, Side.SELL, "A", 5, 1_000)
    origins = {"KR-1": EntryOrigin(70, "A#0", "rules"), "KR-2": EntryOrigin(90, "A#1", "gemini")}
    book = fold_positions(ledger.fills)
    verdicts = [verdict for _, verdict in judge(book.closed, ledger.fills, origins)]
    # Bought at 22.5 minutes on average.
    assert [v.holding for v in verdicts] == [
        timedelta(minutes=37.5),
        timedelta(days=1, minutes=-22.5),
        timedelta(minutes=2),
    ]
    assert [(v.confidence, v.scenario_id, v.source) for v in verdicts] == [
        (90, "A#1", "gemini"),
        (90, "A#1", "gemini"),
        (None, "", ""),
    ]


def test_adopted_shares_have_no_entry_and_are_counted_apart() -> None:
    ledger = two_days_with()
    lots = (lot_of(ledger, 10, 900), lot_of(ledger, -10, 1_000, minute=6))
    _, tuesday = days_of(ledger, lots)
    assert (tuesday.trades, tuesday.adopted_net) == ((), 1_000)


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 6))
@settings(max_examples=30)
def test_the_sessions_add_up_to_the_change_of_the_equity(
    seed: int, count: int, trades: int
) -> None:
    ledger = busy_ledger(MarketGroup.KR, weekdays(MON, count), trades=trades, looks=4, seed=seed)
    days = days_of(ledger)
    first, last = ledger.points[0], ledger.points[-1]
    assert sum(day.net or D(0) for day in days) == last.equity - first.equity
    assert {day.cash_flow for day in days} == {D(0)}
    closed = fold_positions(ledger.fills).closed
    assert sum((t.net for day in days for t in day.trades), D(0)) == sum(t.net for t in closed)
