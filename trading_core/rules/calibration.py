"""Whether stated confidence came true: bins against realised hit rates, and the Brier score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trading_core.model.journal import Json

BIN_WIDTH = 10
ENOUGH = 10
"""Fewer trades than this in a bin say nothing about it."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Trades whose stated confidence was in [low, high), or in [90, 100]; all in percent."""

    low: int
    high: int
    count: int
    stated_pct: float
    realized_pct: float

    @property
    def gap(self) -> float:
        """Stated less realised, in points: above zero is overconfidence."""
        return self.stated_pct - self.realized_pct


@dataclass(frozen=True, slots=True)
class Calibration:
    """Stated confidence against outcomes; None where there is nothing to measure.

    ``brier`` is the mean of (p - o)^2 with p the stated chance in 0-1 and o 1 for a trade that
    made money, else 0 (Brier, Monthly Weather Review 78, 1950): 0 is perfect. ``base_brier`` is
    what stating the hit rate itself for every trade would have scored.
    """

    samples: int
    bins: tuple[Bin, ...] = ()
    hit_rate_pct: float | None = None
    brier: float | None = None
    base_brier: float | None = None

    def summary(self) -> Json:
        return {
            "samples": self.samples,
            "hit_rate_pct": _rounded(self.hit_rate_pct, 2),
            "brier": _rounded(self.brier, 4),
            "base_brier": _rounded(self.base_brier, 4),
            "bins": [
                {
                    "confidence": f"{b.low}-{b.high if b.high == 100 else b.high - 1}",
                    "trades": b.count,
                    "stated_pct": round(b.stated_pct, 2),
                    "realized_pct": round(b.realized_pct, 2),
                }
                for b in self.bins
            ],
        }


def calibrate(samples: Iterable[tuple[float, bool]]) -> Calibration:
    """The calibration of (stated confidence 0-100, whether the trade made money after costs)."""
    known = list(samples)
    if not known:
        return Calibration(0)
    count = len(known)
    rate = sum(won for _, won in known) / count
    brier = sum((stated / 100 - won) ** 2 for stated, won in known) / count
    by_bin: dict[int, list[tuple[float, bool]]] = {}
    for stated, won in known:
        low = min(int(stated // BIN_WIDTH) * BIN_WIDTH, 100 - BIN_WIDTH)
        by_bin.setdefault(low, []).append((stated, won))
    bins = tuple(
        Bin(
            low=low,
            high=low + BIN_WIDTH,
            count=len(members),
            stated_pct=sum(stated for stated, _ in members) / len(members),
            realized_pct=sum(won for _, won in members) / len(members) * 100,
        )
        for low, members in sorted(by_bin.items())
    )
    return Calibration(count, bins, rate * 100, brier, rate * (1 - rate))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
