"""What a shadow's order would have traded at, and what a shadow earned."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.record_factories import (
    AT,
    MINUTE,
    SAMSUNG,
    SESSION,
    make_decision,
    make_equity,
    make_intent,
    make_shadow_mark,
    make_shadow_plan,
    make_shadow_trade,
)
from trading_core.model.limits import RiskLimits
from trading_core.model.market import Market
from trading_core.model.order import Side
from trading_core.model.price import BookLevel, OrderBook, Quote
from trading_core.model.shadow import ShadowTrade
from trading_core.rules.costs import trade_costs
from trading_core.rules.positions import fold_positions
from trading_core.rules.shadow import cash_after, lost_too_much, score_shadow, virtual_trade

LAST = Decimal(70_400)
QUOTE = Quote(SAMSUNG, LAST, LAST, LAST, LAST, LAST, 1000, AT)
YESTERDAY = date(2026, 11, 19)


def book(ask: int | None = 70_500, bid: int | None = 70_300) -> OrderBook:
    def levels(price: int | None) -> tuple[BookLevel, ...]:
        return () if price is None else (BookLevel(Decimal(price), 5),)

    return OrderBook(SAMSUNG, levels(ask), levels(bid), AT)


def trade(side: Side, orders: OrderBook | None, **intent: Any) -> ShadowTrade | None:
    limit = Decimal(70_500 if side is Side.BUY else 70_100)
    wish = make_intent(**({"side": side, "limit_price": limit} | intent))
    plan = {"stop_loss_pct": -2.5, "take_profit_pct": None}
    return virtual_trade("rules", wish, make_decision(context_snapshot=plan), QUOTE, orders)


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, 70_500), (Side.SELL, 70_300)])
def test_it_trades_whole_at_the_best_price_of_the_other_side(side: Side, price: int) -> None:
    made = trade(side, book())
    assert made is not None
    assert (made.price, made.quantity) == (price, 10)
    costs = trade_costs(Market.KR, side, Decimal(price * 10), SESSION, quantity=10)
    assert (made.fee, made.tax) == (costs.fee, costs.tax)
    sign = 1 if side is Side.SELL else -1
    assert made.cash_moved == sign * 10 * price - costs.total
    assert (made.stop_loss_pct, made.take_profit_pct) == (-2.5, None)


def test_without_a_book_it_is_the_last_price_and_one_increment() -> None:
    bought, sold = trade(Side.BUY, None), trade(Side.SELL, None)
    assert bought and sold and (bought.price, sold.price) == (70_500, 70_300)


def test_nothing_trades_against_an_empty_side() -> None:
    assert trade(Side.BUY, book(ask=None)) is None
    assert trade(Side.SELL, book(bid=None)) is None


def test_a_purchase_pays_no_more_than_its_limit_and_a_sale_gets_out_at_any_price() -> None:
    assert trade(Side.BUY, book(ask=70_600)) is None
    out = trade(Side.SELL, book(bid=69_000))
    assert out is not None and out.price == 69_000


def test_a_trade_is_a_fill_and_a_filled_order_of_the_same_moment() -> None:
    made = make_shadow_trade()
    assert made.fill.amount == made.amount == 705_000
    assert made.order.filled_quantity == made.order.intent.quantity == 10
    # The guards count an order as sent when its second event says so.
    assert [event.state.value for event in made.order.events] == ["intended", "sending", "filled"]


def test_cash_is_that_of_the_newest_mark_and_what_was_traded_since() -> None:
    mark = make_shadow_mark(at=AT, cash=Decimal(1_000_000))
    before = make_shadow_trade(at=AT - MINUTE)
    then = make_shadow_trade(intent_id="2")
    later = make_shadow_trade(intent_id="3", at=AT + MINUTE, side=Side.SELL, tax=Decimal(10))
    assert cash_after(mark, [before]) == 1_000_000
    assert cash_after(mark, [before, then]) == 1_000_000 - 705_000 - 98
    assert cash_after(mark, [then, later]) == 1_000_000 - 98 - 98 - 10


@pytest.mark.parametrize(("worst", "stops"), [("9700000", False), ("9699999", True)])
def test_the_loss_of_any_moment_of_the_day_counts_and_the_bound_itself_is_allowed(
    worst: str, stops: bool
) -> None:
    curve = [make_equity(equity=Decimal(e)) for e in ("10000000", worst, "9990000")]
    assert bool(lost_too_much(curve, RiskLimits())) is stops
    assert lost_too_much([], RiskLimits()) == ""


def scored(*trades: ShadowTrade, marks: list[Any], before: Any = None, plan: Any = None) -> Any:
    return score_shadow(
        "rules",
        SESSION,
        plan=plan,
        trades=trades,
        book=fold_positions([t.fill for t in trades]),
        marks=marks,
        before=before,
    )


def test_profit_counts_from_the_close_before_once_there_was_a_trade() -> None:
    before = make_shadow_mark(session=YESTERDAY, at=AT - timedelta(days=1), equity=Decimal(900))
    marks = [
        make_shadow_mark(equity=Decimal(e), at=AT + n * MINUTE) for n, e in ((0, 950), (1, 1000))
    ]
    old = make_shadow_trade(session=YESTERDAY, at=AT - timedelta(days=1))
    assert scored(old, marks=marks, before=before).net == 100
    # Cash it was only lent for the day is no profit.
    assert scored(marks=marks, before=before).net == 50
    assert scored(marks=[], before=before).net is None


def test_rates_are_of_what_there_was_to_count() -> None:
    bought = make_shadow_trade(quantity=20)
    sold = replace(bought, side=Side.SELL, quantity=10)
    won = replace(sold, intent_id="2", price=Decimal(72_000), at=AT + MINUTE)
    lost = replace(sold, intent_id="3", price=Decimal(70_000), at=AT + 2 * MINUTE)
    marks = [make_shadow_mark(observed=30, matched=3), make_shadow_mark(observed=0, matched=0)]
    score = scored(bought, won, lost, marks=marks, plan=make_shadow_plan(problem=""))
    assert (score.trades, score.won, score.lost, score.win_rate_pct) == (3, 1, 1, 50.0)
    assert (score.match_rate_pct, score.costs, score.positions) == (10.0, 3 * 98, 0)
    assert (score.source, score.cost_usd) == ("gemini", Decimal("0.0123"))
    nothing = scored(marks=[])
    assert (nothing.win_rate_pct, nothing.match_rate_pct) == (None, None)
    assert nothing.problem == "it has no plan for this session"
    assert score.as_json()["costs"] == "294" and nothing.as_json()["net"] is None
