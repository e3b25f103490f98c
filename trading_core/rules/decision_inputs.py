"""Whether anything about a stock has changed so much that the model should be asked again."""

from __future__ import annotations

import math
from collections.abc import Mapping

from trading_core.model.decision import DecisionInputs

PRICE_PCT = 0.5
VOLUME_SHARE = 0.25

TOLERANCES: Mapping[str, float] = {
    "change_pct": 0.5,
    "gap_pct": 0.5,
    "range_pct": 0.5,
    "rsi": 5.0,
    "atr_pct": 0.5,
    "return_5d_pct": 0.5,
    "return_20d_pct": 0.5,
    "momentum": 10.0,
    "breakout_pct": 0.5,
    "unrealized_pnl_pct": 0.5,
}
"""By how much a field may differ, in its own units; fields that are not named here move all the
time, or follow from others."""


def is_unchanged(before: DecisionInputs, now: DecisionInputs) -> bool:
    """Whether an answer to ``before`` is an answer to ``now``.

    The price may differ by 0.5 %, the volume ratio by a quarter, other fields by ``TOLERANCES``,
    each up to and including the bound. A field that got or lost its value has changed, and so has
    a holding of another size.
    """
    if (before.instrument, before.held) != (now.instrument, now.held):
        return False
    if not math.isclose(before.price, now.price, rel_tol=PRICE_PCT / 100):
        return False
    old, new = _of(before, "volume_ratio"), _of(now, "volume_ratio")
    if not _is_near(old, new, VOLUME_SHARE * max(abs(old), abs(new))):
        return False
    return all(
        _is_near(_of(before, name), _of(now, name), bound) for name, bound in TOLERANCES.items()
    )


def moved_pct(decided: DecisionInputs, price: float) -> float:
    """By how many percent a price lies off the one that was decided on, without a sign."""
    return abs(price / float(decided.price) - 1) * 100


def _of(inputs: DecisionInputs, name: str) -> float:
    return inputs.fields.get(name, math.nan)


def _is_near(old: float, new: float, bound: float) -> bool:
    if math.isnan(old) or math.isnan(new):
        return math.isnan(old) and math.isnan(new)
    return abs(new - old) <= bound
