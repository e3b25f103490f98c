"""How many shares an entry buys.

``pct = base x target / volatility score x confidence / 100``, held between the minimum and the
maximum percent, never above the scenario's own allocation nor the fat-finger cap, then cut down
to whole lots. A higher volatility never makes an order larger.
"""

from __future__ import annotations

from decimal import Decimal

from trading_core.model.limits import RiskLimits, SizingPolicy


def volatility_score(*, change_pct: float, range_pct: float, atr_pct: float) -> float:
    """0-100 from the largest of the three daily move measures: 10 % or more is 100.

    NaN inputs are left out; without any the score is 100, the most careful answer.
    """
    moves = [abs(value) for value in (change_pct, range_pct, atr_pct) if value == value]
    if not moves:
        return 100.0
    return min(max(moves) * 10.0, 100.0)


def allocation_pct(
    *, score: float, confidence: int, scenario_pct: float, policy: SizingPolicy
) -> float:
    """Percent of the cash an entry may use, before lots and cash are looked at.

    Args:
        score: Volatility score, 0-100; below 1 counts as 1.
        confidence: The scenario's, 0-100.
        scenario_pct: The scenario's own allocation; 0 means it names none.
        policy: With sizing switched off the scenario's allocation is used as it is.
    """
    ceiling = min(scenario_pct, policy.max_allocation_pct) if scenario_pct > 0 else None
    if not policy.enabled:
        return ceiling if ceiling is not None else policy.min_allocation_pct
    scaled = policy.base_allocation_pct * policy.volatility_target_score / max(score, 1.0)
    scaled *= confidence / 100
    sized = min(max(scaled, policy.min_allocation_pct), policy.max_allocation_pct)
    return min(sized, ceiling) if ceiling is not None else sized


def entry_quantity(
    *,
    cash: Decimal,
    available: Decimal,
    price: Decimal,
    lot: int,
    pct: float,
    limits: RiskLimits,
) -> int:
    """Whole lots that ``pct`` of ``cash`` buys at ``price``; 0 when not even one fits.

    Args:
        cash: Cash of the currency at the start of the tick; what ``pct`` is taken of.
        available: What is left of it after the orders already wanted in this tick.
        price: The limit price the order will carry, above zero.
        lot: Shares per lot.
        pct: From :func:`allocation_pct`.
        limits: The fat-finger cap is applied to ``available``, as the risk gate will.
    """
    if price <= 0 or available <= 0 or cash <= 0:
        return 0
    budget = min(
        cash * Decimal(str(pct)) / 100,
        available * Decimal(str(limits.max_order_pct)) / 100,
    )
    return int(budget // (price * lot)) * lot
