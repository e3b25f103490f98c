"""Price steps and daily limits of the exchanges, with the first session each was in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeAlias

from trading_core.model.market import Market


@dataclass(frozen=True, slots=True)
class Steps:
    """A ladder of increments: ``increments[i]`` applies below ``bounds[i]``, the last above all.

    ``top_included`` puts a price equal to a bound into the lower band ("up to and including").
    Every bound is a multiple of the increments on both of its sides, so rounding inside a band
    never leaves the grid of its neighbour.
    """

    bounds: tuple[Decimal, ...]
    increments: tuple[Decimal, ...]
    top_included: bool = False


DatedSteps: TypeAlias = tuple[tuple[date, Steps], ...]


def _ladder(bounds: str, increments: str, *, top_included: bool = False) -> Steps:
    return Steps(
        tuple(Decimal(text) for text in bounds.split()),
        tuple(Decimal(text) for text in increments.split()),
        top_included,
    )


# KRX KOSPI Market Business Regulation, enforcement rules, quotation price units.
_KR: DatedSteps = (
    (date(1998, 12, 7), _ladder("5000 10000 50000 100000 500000", "5 10 50 100 500 1000")),
    (date(2010, 10, 4), _ladder("1000 5000 10000 50000 100000 500000", "1 5 10 50 100 500 1000")),
    (date(2023, 1, 25), _ladder("2000 5000 20000 50000 200000 500000", "1 5 10 50 100 500 1000")),
)
# The one-won step of cheap funds came in December 2023; of the days reported the latest is taken,
# because prices of the older five-won grid are valid under both.
_KR_FUND: DatedSteps = (
    (date(2002, 10, 14), _ladder("", "5")),
    (date(2023, 12, 18), _ladder("2000", "1 5")),
)
# SEC rule 612 (17 CFR 242.612), in force since 2006-01-31.
_US: DatedSteps = ((date(2006, 1, 31), _ladder("1", "0.0001 0.01")),)
# Tokyo Stock Exchange, table for all issues outside its narrow-step list, since arrowhead.
_JP: DatedSteps = (
    (
        date(2010, 1, 4),
        _ladder(
            "3000 5000 30000 50000 300000 500000 3000000 5000000 30000000 50000000",
            "1 5 10 50 100 500 1000 5000 10000 50000 100000",
            top_included=True,
        ),
    ),
)
# HKEX second schedule, part A. The first phase of narrower spreads began on 2025-08-04. The
# second (half a cent from 0.50 to 10) is left out: the whole-cent grid is valid under both.
_HK: DatedSteps = (
    (
        date(2006, 7, 24),
        _ladder(
            "0.25 0.5 10 20 100 200 500 1000 2000 5000",
            "0.001 0.005 0.01 0.02 0.05 0.1 0.2 0.5 1 2 5",
            top_included=True,
        ),
    ),
    (
        date(2025, 8, 4),
        _ladder(
            "0.25 0.5 20 50 100 200 500 1000 2000 5000",
            "0.001 0.005 0.01 0.02 0.05 0.1 0.2 0.5 1 2 5",
            top_included=True,
        ),
    ),
)
# HKEX spread table for exchange traded products, since 2020-06-01.
_HK_FUND: DatedSteps = (
    _HK[0],
    (
        date(2020, 6, 1),
        _ladder(
            "1 5 10 20 100 200 500 1000 2000",
            "0.001 0.002 0.005 0.01 0.02 0.05 0.1 0.2 0.5 1",
            top_included=True,
        ),
    ),
)
# Trading rules of the Shanghai and Shenzhen exchanges: A shares 0.01, funds 0.001.
_CN: DatedSteps = ((date(2003, 1, 1), _ladder("", "0.01")),)
_CN_FUND: DatedSteps = ((date(2003, 3, 3), _ladder("", "0.001")),)
# HOSE trading rules; the ten-dong step began on 2016-09-12.
_VN_HSX: DatedSteps = (
    (date(2007, 1, 1), _ladder("50000 100000", "100 500 1000")),
    (date(2016, 9, 12), _ladder("10000 50000", "10 50 100")),
)
_VN_HSX_FUND: DatedSteps = (_VN_HSX[0], (date(2016, 9, 12), _ladder("", "10")))
_VN_HNX: DatedSteps = ((date(2007, 1, 1), _ladder("", "100")),)
_VN_HNX_FUND: DatedSteps = ((date(2016, 9, 12), _ladder("", "1")),)

INCREMENTS: Mapping[Market, tuple[DatedSteps, DatedSteps | None]] = {
    Market.KR: (_KR, _KR_FUND),
    Market.US_NASDAQ: (_US, None),
    Market.US_NYSE: (_US, None),
    Market.US_AMEX: (_US, None),
    Market.JP: (_JP, None),
    Market.HK: (_HK, _HK_FUND),
    Market.CN_SHA: (_CN, _CN_FUND),
    Market.CN_SZA: (_CN, _CN_FUND),
    Market.VN_HNX: (_VN_HNX, _VN_HNX_FUND),
    Market.VN_HSX: (_VN_HSX, _VN_HSX_FUND),
}
"""Per market: the ladder of stocks, and that of funds where it differs."""

LIMIT_PCT: Mapping[Market, tuple[tuple[date, Decimal], ...]] = {
    Market.KR: ((date(1998, 12, 7), Decimal(15)), (date(2015, 6, 15), Decimal(30))),
    Market.CN_SHA: ((date(1996, 12, 16), Decimal(10)),),
    Market.CN_SZA: ((date(1996, 12, 16), Decimal(10)),),
    Market.VN_HSX: ((date(2008, 8, 18), Decimal(5)), (date(2013, 1, 15), Decimal(7))),
    Market.VN_HNX: ((date(2008, 8, 18), Decimal(7)), (date(2013, 1, 15), Decimal(10))),
}
"""Daily limit in percent of the base price."""

CN_WIDE_BOARDS: tuple[tuple[str, date, Decimal], ...] = (
    ("688", date(2019, 7, 22), Decimal(20)),
    ("689", date(2019, 7, 22), Decimal(20)),
    ("300", date(2020, 8, 24), Decimal(20)),
    ("301", date(2020, 8, 24), Decimal(20)),
    ("302", date(2020, 8, 24), Decimal(20)),
)
"""Symbol prefixes of China's boards with a wider limit: (prefix, since, percent)."""

_JP_LIMITS = """
100 30, 200 50, 500 80, 700 100, 1000 150, 1500 300, 2000 400, 3000 500, 5000 700, 7000 1000,
10000 1500, 15000 3000, 20000 4000, 30000 5000, 50000 7000, 70000 10000, 100000 15000,
150000 30000, 200000 40000, 300000 50000, 500000 70000, 700000 100000, 1000000 150000,
1500000 300000, 2000000 400000, 3000000 500000, 5000000 700000, 7000000 1000000,
10000000 1500000, 15000000 3000000, 20000000 4000000, 30000000 5000000, 50000000 7000000
"""
_JP_PAIRS = tuple(pair.split() for pair in _JP_LIMITS.split(","))

JP_LIMIT_BOUNDS = tuple(Decimal(bound) for bound, _ in _JP_PAIRS)
"""Base prices in yen; a price equal to a bound belongs to the band above it."""

JP_LIMIT_WIDTHS = (*(Decimal(width) for _, width in _JP_PAIRS), Decimal(10_000_000))
"""The width in yen of each band, one more than there are bounds."""
