"""Splits as they look in an account, and what they do to a guard."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.record_factories import APPLE, AT, MINUTE, make_fill, make_protection, make_split
from trading_core.model.market import Currency
from trading_core.model.order import Side
from trading_core.model.portfolio import Account
from trading_core.rules.splits import price_after, rebased, split_ratio
from trading_core.rules.trade_history import trade_history

D = Decimal


def ratio(held: int, price: str, broker_held: int, broker_price: str) -> Fraction | None:
    return split_ratio(
        held=held,
        average_price=D(price),
        broker_held=broker_held,
        broker_average_price=D(broker_price),
    )


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        ((10, "100", 20, "50"), Fraction(2)),
        ((10, "100", 30, "33.3333"), Fraction(3)),
        ((10, "71000", 500, "1420"), Fraction(50)),
        ((10, "100", 15, "66.6667"), Fraction(3, 2)),
        ((100, "10", 105, "9.5238"), Fraction(21, 20)),
        ((300, "2", 100, "6"), Fraction(1, 3)),
        ((1000, "0.5", 4, "125"), Fraction(1, 250)),
        # Half a share was paid out in cash, or made whole.
        ((7, "100", 3, "200"), Fraction(1, 2)),
        ((7, "100", 4, "200"), Fraction(1, 2)),
        ((333, "10", 499, "6.6667"), Fraction(3, 2)),
    ],
)
def test_other_shares_for_the_same_money_are_a_split(
    shown: tuple[int, str, int, str], wanted: Fraction
) -> None:
    assert ratio(*shown) == wanted


@pytest.mark.parametrize(
    "shown",
    [
        (10, "100", 10, "50"),  # the number of shares is the same
        (10, "100", 20, "100"),  # as many bought by hand at that price
        (10, "100", 20, "75"),  # and at half of it
        (10, "100", 5, "100"),  # half of them sold by hand
        (100, "100", 101, "99.0099"),  # one for nothing: no ratio anybody splits by
        (10, "100", 20, "51"),  # 2 % more was paid than ours cost
        (10, "100", 230, "4.3478"),  # 23 for 1
        (10, "100", 0, "0"),
        (0, "0", 10, "100"),
        (10, "0", 20, "0"),
        (10, "100", 20, "0"),
    ],
)
def test_what_costs_something_or_is_no_usual_ratio_is_none(
    shown: tuple[int, str, int, str],
) -> None:
    assert ratio(*shown) is None


usual = st.one_of(
    st.integers(2, 20).map(Fraction),
    st.integers(2, 20).map(lambda n: Fraction(1, n)),
    st.integers(5, 200).map(lambda n: Fraction(5 * n)),
    st.builds(Fraction, st.integers(1, 21), st.integers(1, 21)).filter(lambda r: r != 1),
)
prices = st.decimals("0.5", "900000", places=2)


@given(usual, st.integers(1, 5000), prices)
def test_every_usual_split_is_recognised(by: Fraction, lots: int, price: Decimal) -> None:
    held = lots * by.denominator
    shown = (price * by.denominator / by.numerator).quantize(D("1e-8"))
    found = split_ratio(
        held=held,
        average_price=price,
        broker_held=lots * by.numerator,
        broker_average_price=shown,
    )
    assert found == by


@given(st.integers(1, 5000), prices, st.integers(1, 5000), prices)
def test_shares_bought_for_money_are_never_a_split(
    held: int, price: Decimal, more: int, paid: Decimal
) -> None:
    """As long as what was paid is more than the tolerance of all that ours have cost."""
    total = held * price + more * paid
    found = split_ratio(
        held=held,
        average_price=price,
        broker_held=held + more,
        broker_average_price=total / (held + more),
    )
    if more * paid > held * price * D("0.011"):
        assert found is None


@given(usual, st.integers(1, 10**6), prices)
def test_a_split_keeps_what_a_holding_is_worth(by: Fraction, held: int, price: Decimal) -> None:
    split = make_split(numerator=by.numerator, denominator=by.denominator)
    after = split.quantity_of(held)
    assert 0 <= after - held * by < 1
    worth = split.price_of(price) * by.numerator / by.denominator
    assert abs(worth - price) < D("1e-15") * price
    assert split.adding([held, held]).added == 2 * (after - held)


def test_a_guard_is_moved_to_the_new_share_and_keeps_all_else() -> None:
    guard = make_protection(peak_price=D(120), trail_atr=D(3)).protection
    split = make_split(numerator=3, denominator=1, at=AT + 5 * MINUTE)
    moved = rebased(guard, split)
    assert (moved.peak_price, moved.trail_atr) == (40, 1)
    assert (moved.opened_at, moved.updated_at) == (split.at, split.at)
    kept = ("symbol", "stop_loss_pct", "take_profit_pct", "state", "armed", "stop_basis")
    assert [getattr(moved, name) for name in kept] == [getattr(guard, name) for name in kept]
    assert rebased(make_protection(trail_atr=None).protection, split).trail_atr is None


def test_a_price_is_taken_through_the_splits_since_and_no_other() -> None:
    splits = [
        make_split(at=AT),
        make_split(split_id="2", instrument=APPLE, at=AT + MINUTE),
        make_split(split_id="3", numerator=1, denominator=10, at=AT + MINUTE),
    ]
    assert price_after(D(100), "005930", since=AT - MINUTE, splits=splits) == 500
    assert price_after(D(100), "005930", since=AT, splits=splits) == 500
    assert price_after(D(100), "005930", since=AT + MINUTE / 2, splits=splits) == 1000
    assert price_after(D(100), "005930", since=AT + 2 * MINUTE, splits=splits) == 100


def test_the_last_sale_is_remembered_in_shares_of_today() -> None:
    sold = make_fill(side=Side.SELL, price=D(100), filled_at=AT)
    account = Account(Currency.KRW, D(1), D(1), (), AT)

    def last_sale(*splits: object) -> Decimal:
        history = trade_history(
            account, session=sold.session, at=AT + 3 * MINUTE, fills=[sold], splits=splits
        )
        return history.sales["005930"].price

    assert last_sale() == 100
    assert last_sale(make_split(at=AT + MINUTE)) == 50
