"""What a guard looks at, and the price at which a sale loses nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.record_factories import APPLE, AT, SAMSUNG
from trading_core.model.market import Market
from trading_core.model.order import Side
from trading_core.model.portfolio import Holding
from trading_core.rules.costs import trade_costs
from trading_core.rules.exits_view import break_even_price, exit_view, is_price, unrealized_pct
from trading_core.rules.markets import is_on_increment, price_increment

BOUGHT, SOLD = date(2025, 9, 3), date(2026, 3, 4)
NO_PRICES = [D(0), D(-1), D("NaN"), D("sNaN"), D("Infinity"), D("-Infinity")]


def result(market: Market, average: D, quantity: int, price: D, *, etf: bool = False) -> D:
    """What is left after selling everything at ``price``, both ends' costs paid."""

    def costs(side: Side, amount: D, on: date) -> D:
        return trade_costs(market, side, amount, on, quantity=quantity, etf=etf).total

    paid, got = average * quantity, price * quantity
    return got - costs(Side.SELL, got, SOLD) - paid - costs(Side.BUY, paid, BOUGHT)


@given(
    st.sampled_from([Market.KR, Market.US_NASDAQ, Market.JP, Market.HK, Market.CN_SHA]),
    st.decimals("2", "900000", places=2),
    st.integers(1, 100_000),
    st.booleans(),
)
def test_an_exit_at_break_even_never_loses_and_one_step_lower_does(
    market: Market, average: D, quantity: int, etf: bool
) -> None:
    price = break_even_price(market, average, quantity, bought_on=BOUGHT, on=SOLD, etf=etf)
    assert is_on_increment(market, price, SOLD, etf=etf)
    assert result(market, average, quantity, price, etf=etf) >= 0
    step = price_increment(market, price - D("0.0001"), SOLD, etf=etf)
    if price > step:
        assert result(market, average, quantity, price - step, etf=etf) < 0


def test_break_even_knows_the_tax_of_the_day_and_spares_a_fund() -> None:
    def of(on: date, etf: bool = False) -> D:
        return break_even_price(Market.KR, D(50_000), 1000, bought_on=BOUGHT, on=on, etf=etf)

    assert of(BOUGHT) < of(SOLD)
    assert D(50_000) <= of(SOLD, etf=True) < of(BOUGHT)


def test_break_even_of_one_cheap_lot_pays_its_stamp() -> None:
    price = break_even_price(Market.HK, D(5), 1, bought_on=BOUGHT, on=SOLD)
    assert price >= 7  # a dollar of stamp duty on each side


@pytest.mark.parametrize("average", NO_PRICES)
def test_without_a_cost_there_is_no_break_even(average: D) -> None:
    assert break_even_price(Market.KR, average, 10, bought_on=BOUGHT, on=SOLD).is_nan()
    assert break_even_price(Market.KR, D(100), 0, bought_on=BOUGHT, on=SOLD).is_nan()


def test_a_view_of_a_holding_has_its_costs_and_its_range() -> None:
    holding = Holding(SAMSUNG, 10, 10, D(70_000), D(71_000))
    view = exit_view(holding, last=D(71_000), at=AT, on=SOLD, opened_on=BOUGHT, atr_pct=2.0)
    assert view.atr == D(1_420)
    assert view.atr_stop
    assert view.break_even == break_even_price(Market.KR, D(70_000), 10, bought_on=BOUGHT, on=SOLD)
    assert view.usable
    fund = replace(holding, instrument=replace(SAMSUNG, is_fund=True))
    spared = exit_view(fund, last=D(71_000), at=AT, on=SOLD, opened_on=BOUGHT)
    assert spared.break_even < view.break_even


@pytest.mark.parametrize("atr_pct", [math.nan, 0.0, -1.0, math.inf])
def test_a_range_that_is_none_is_not_known(atr_pct: float) -> None:
    holding = Holding(APPLE, 10, 10, D(200), D(210))
    view = exit_view(holding, last=D(210), at=AT, on=SOLD, opened_on=BOUGHT, atr_pct=atr_pct)
    assert view.atr is None
    assert not view.atr_stop


@pytest.mark.parametrize("average", NO_PRICES)
def test_a_view_without_a_cost_is_not_usable(average: D) -> None:
    holding = Holding(APPLE, 10, 10, average, D(210))
    assert not exit_view(holding, last=D(210), at=AT, on=SOLD, opened_on=BOUGHT).usable


def test_the_unrealized_result_is_in_percent_of_the_average_price() -> None:
    assert unrealized_pct(D(200), D(190)) == -5.0
    assert unrealized_pct(D("68000.5"), D("68000.5")) == 0.0
    for none in NO_PRICES:
        assert not is_price(none)
        assert math.isnan(unrealized_pct(none, D(100)))
        assert math.isnan(unrealized_pct(D(100), none))
