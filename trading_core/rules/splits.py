"""Splits, reverse splits and stock dividends, as a holding at the broker shows them.

The broker tells no corporate action. What it shows is another number of shares at another average
price, with the money paid for them unchanged. Nothing a person does looks like that: shares bought
raise the cost, shares sold lower it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from trading_core.model.portfolio import Protection, Split

COST_TOLERANCE = Decimal("0.01")
"""By this share the broker's average price may differ from ours, which leaves out its rounding."""

_SMALL = 21
_LARGEST = 1000


def split_ratio(
    *, held: int, average_price: Decimal, broker_held: int, broker_average_price: Decimal
) -> Fraction | None:
    """New shares for one old share, when a split explains what the broker shows; else None.

    Ratios are n for 1 and 1 for n (up to 20, then multiples of 5 up to 1000), and n for m up to
    21, which is a stock dividend of 5 %. The broker may hold a part of a share less or more than
    the ratio gives, which it settles in cash.

    Args:
        held: Shares of our books.
        average_price: What one of them cost on average, before costs.
        broker_held: Shares at the broker.
        broker_average_price: What one of those cost, in the same currency.
    """
    if min(held, broker_held) <= 0 or min(average_price, broker_average_price) <= 0:
        return None
    if held == broker_held:
        return None
    whole = Fraction(broker_held, held)
    told = Fraction(average_price) / Fraction(broker_average_price)
    near = told.limit_denominator(_SMALL)
    one_for = Fraction(1, max(1, round(1 / told)))
    found = [
        ratio
        for ratio in dict.fromkeys((whole, near, Fraction(round(told)), one_for))
        if _is_usual(ratio)
        and abs(broker_held - held * ratio) < 1
        and abs(told / ratio - 1) <= COST_TOLERANCE
    ]
    return min(found, key=lambda ratio: abs(told / ratio - 1), default=None)


def _is_usual(ratio: Fraction) -> bool:
    large, small = max(ratio.numerator, ratio.denominator), min(ratio.numerator, ratio.denominator)
    if ratio <= 0 or ratio == 1:
        return False
    if large <= _SMALL:
        return True
    return small == 1 and large <= _LARGEST and large % 5 == 0


def rebased(guard: Protection, split: Split) -> Protection:
    """The guard of the same position in the shares after the split.

    It is the guard of a position that opened at the split: prices seen before it, which another
    process may still write down, are never mixed with those after. Percentages stay as they are.
    """
    atr = guard.trail_atr
    return replace(
        guard,
        peak_price=split.price_of(guard.peak_price),
        trail_atr=None if atr is None else split.price_of(atr),
        opened_at=split.at,
        updated_at=split.at,
    )


def price_after(
    price: Decimal, symbol: str, *, since: datetime, splits: Iterable[Split]
) -> Decimal:
    """A price of ``since`` in the shares of today; one of the very moment is from before."""
    for split in splits:
        if split.instrument.symbol == symbol and split.at >= since:
            price = split.price_of(price)
    return price
