"""After recent losses nothing more is bought: in the symbol, or in the market."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from trading_core.model.limits import LossGuardLimits
from trading_core.model.market import Currency, Instrument, Market
from trading_core.model.portfolio import PositionOrigin
from trading_core.rules.loss_guard import LossGuard, loss_guard
from trading_core.rules.position_book import ClosedTrade

DAYS = [date(2026, 3, day) for day in (2, 3, 4, 5, 6, 9)]
LIMITS = LossGuardLimits(sessions=5, losses=2, loss_pct=8.0, losing_sessions=3)
_numbers = iter(range(10_000))


def trade(
    symbol: str, session: date, net: str, *, exit_id: str = "", by_hand: bool = False
) -> ClosedTrade:
    """Shares that had cost 1000 and brought ``net`` after all costs."""
    name = exit_id or f"exit-{next(_numbers)}"
    return ClosedTrade(
        closing_id=f"fill-{next(_numbers)}",
        intent_id="" if by_hand else name,
        origin=PositionOrigin.STRATEGY,
        instrument=Instrument(symbol, Market.KR),
        session=session,
        quantity=1,
        proceeds=Decimal(1003) + Decimal(net),
        cost=Decimal(1000),
        entry_costs=Decimal(1),
        exit_costs=Decimal(2),
        currency=Currency.KRW,
        closed_at=datetime.combine(session, time(1), UTC),
    )


def guard(*trades: ClosedTrade, limits: LossGuardLimits = LIMITS) -> LossGuard:
    return loss_guard(trades, DAYS, limits)


def test_two_losing_trades_keep_a_symbol_from_being_bought_and_no_other() -> None:
    found = guard(trade("A", DAYS[2], "-5"), trade("A", DAYS[3], "-5"), trade("B", DAYS[3], "20"))
    assert found.reason("A") == "2 losing trades in the last 5 sessions"
    assert found.reason("B") == ""
    assert guard(trade("A", DAYS[2], "-5"), trade("B", DAYS[3], "20")) == LossGuard()


def test_a_loss_is_counted_after_the_costs_of_both_ends() -> None:
    assert not guard(trade("A", DAYS[3], "0"), trade("A", DAYS[4], "0")).symbols
    assert guard(trade("A", DAYS[3], "-0.01"), trade("A", DAYS[4], "-0.01")).symbols


def test_the_fills_of_one_exit_are_one_trade() -> None:
    parts = [trade("A", DAYS[3], "-5", exit_id="x"), trade("A", DAYS[3], "-5", exit_id="x")]
    assert not guard(*parts).symbols


@pytest.mark.parametrize(("net", "banned"), [("-79.9", False), ("-80", True)])
def test_one_large_loss_is_enough(net: str, banned: bool) -> None:
    assert bool(guard(trade("A", DAYS[4], net)).symbols) is banned


def test_losses_older_than_the_sessions_that_count_are_forgotten() -> None:
    assert not guard(trade("A", DAYS[0], "-500"), trade("A", DAYS[0], "-5")).symbols
    assert guard(trade("A", DAYS[1], "-500")).symbols


def test_losing_sessions_in_a_row_stop_the_whole_market() -> None:
    row = [trade(s, day, "-5") for s, day in zip("ABC", DAYS[2:5], strict=True)]
    assert guard(*row).reason("Z") == "3 losing sessions in a row within the last 5"
    assert guard(*row, trade("D", DAYS[5], "1")).reason("Z") == ""
    assert guard(*row[1:]).reason("Z") == ""
    assert guard(*row, trade("D", DAYS[4], "50")).reason("Z") == ""  # that session made money


def test_shares_that_went_by_hand_are_nobodys_loss() -> None:
    sold = [trade("A", day, "-900", by_hand=True) for day in DAYS[1:]]
    assert guard(*sold) == LossGuard()


def test_each_part_can_be_switched_off() -> None:
    losses = [trade("A", day, "-500") for day in DAYS[1:]]
    off = LossGuardLimits(sessions=5, losses=0, loss_pct=0, losing_sessions=0)
    assert guard(*losses, limits=off) == LossGuard()
    assert guard(*losses, limits=LossGuardLimits(sessions=0)) == LossGuard()


def test_a_guard_can_be_narrowed_to_the_symbols_of_a_plan() -> None:
    found = LossGuard(market="m", symbols={"A": "why", "B": "why"}).among(["B"])
    assert (found.market, dict(found.symbols)) == ("m", {"B": "why"})
