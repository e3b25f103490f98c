"""What a trade costs: the broker's fee, and taxes with the levies that go with them, by date.

Costs are a function of an order's total, not of its single executions, because the broker rounds
once per order: the costs of a growing order are ``costs(total) - costs(before)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import TypeAlias, TypeVar

from trading_core.errors import DataError
from trading_core.model.market import Currency, Market, MarketGroup
from trading_core.model.order import Side
from trading_core.rules.markets import in_force, market_info

T = TypeVar("T")
_NONE = Decimal(0)
Rates: TypeAlias = tuple[tuple[date, Decimal], ...]


def _percent(*rows: tuple[date, str]) -> Rates:
    return tuple((since, Decimal(text) / 100) for since, text in rows)


def _per_million(*rows: tuple[date, str]) -> Rates:
    return tuple((since, Decimal(text) / 1_000_000) for since, text in rows)


# Securities Transaction Tax Act, article 8 and its decree, article 5, with the special tax for
# rural development (KOSPI: split between the two taxes, KOSDAQ: one tax, the totals are equal).
# The law counts the day of transfer, which is two sessions after the trade; these are trade dates.
# In force for transfers from 2019-06-03, 2021-01-01, 2023-, 2024-, 2025- and 2026-01-01.
_KR_SALES_TAX = _percent(
    (date(1996, 4, 1), "0.30"),
    (date(2019, 5, 30), "0.25"),
    (date(2020, 12, 29), "0.23"),
    (date(2022, 12, 28), "0.20"),
    (date(2023, 12, 27), "0.18"),
    (date(2024, 12, 27), "0.15"),
    (date(2025, 12, 29), "0.20"),
)

# Section 31 of the Securities Exchange Act (15 U.S.C. 78ee): dollars per million sold, by trade
# date, from the Commission's yearly fee rate advisories and FINRA's information notices.
_US_SECTION_31 = _per_million(
    (date(2014, 3, 18), "22.10"),
    (date(2015, 2, 14), "18.40"),
    (date(2016, 2, 16), "21.80"),
    (date(2017, 7, 4), "23.10"),
    (date(2018, 5, 22), "13.00"),
    (date(2019, 4, 16), "20.70"),
    (date(2020, 2, 18), "22.10"),
    (date(2021, 2, 25), "5.10"),
    (date(2022, 5, 14), "22.90"),
    (date(2023, 2, 27), "8.00"),
    (date(2024, 5, 22), "27.80"),
    (date(2025, 5, 14), "0.00"),
    (date(2026, 4, 4), "20.60"),
)

# FINRA trading activity fee, By-Laws schedule A section 1: (dollars a share sold, most per trade).
_US_TRADING_ACTIVITY: tuple[tuple[date, tuple[Decimal, Decimal]], ...] = (
    (date(2012, 7, 1), (Decimal("0.000119"), Decimal("5.95"))),
    (date(2022, 1, 1), (Decimal("0.000130"), Decimal("6.49"))),
    (date(2023, 1, 1), (Decimal("0.000145"), Decimal("7.27"))),
    (date(2024, 1, 1), (Decimal("0.000166"), Decimal("8.30"))),
    (date(2026, 1, 1), (Decimal("0.000195"), Decimal("9.79"))),
)

# Stamp Duty Ordinance (cap. 117), head 2(1), each side; funds are exempt since 2015-02-13.
_HK_STAMP = _percent(
    (date(2001, 9, 1), "0.10"), (date(2021, 8, 1), "0.13"), (date(2023, 11, 17), "0.10")
)
_HK_FUNDS_EXEMPT_SINCE = date(2015, 2, 13)
# Each side: SFC transaction levy + AFRC levy (from 2022) + exchange trading fee.
_HK_LEVIES = _percent(
    (date(2006, 12, 1), "0.0090"),
    (date(2010, 10, 1), "0.0080"),
    (date(2014, 11, 1), "0.0077"),
    (date(2022, 1, 1), "0.00785"),
    (date(2023, 1, 1), "0.0085"),
)

# Stamp tax: sellers only since 2008-09-19; halved by notice 2023 no. 39 of the Ministry of Finance
# and the tax administration. Buyers paid too before 2008-09-19.
_CN_STAMP_SELL = _percent(
    (date(2007, 5, 30), "0.30"), (date(2008, 4, 24), "0.10"), (date(2023, 8, 28), "0.05")
)
_CN_STAMP_BUY = _percent(
    (date(2007, 5, 30), "0.30"), (date(2008, 4, 24), "0.10"), (date(2008, 9, 19), "0")
)
# Each side: exchange handling fee + CSRC management fee (0.002 %) + ChinaClear transfer fee.
_CN_LEVIES = _percent(
    (date(2007, 5, 30), "0"),
    (date(2015, 8, 1), "0.00887"),
    (date(2022, 4, 29), "0.00787"),
    (date(2023, 8, 28), "0.00641"),
)

# Personal income tax on securities transfers, withheld from every sale whether at a gain or not:
# circular 111/2013/TT-BTC article 11, circular 92/2015/TT-BTC article 16.
_VN_SALES_TAX = _percent((date(2010, 1, 1), "0.10"))

# Fractions of a won are dropped from fee and tax alike.
_TRUNCATED = frozenset({Currency.KRW})


@dataclass(frozen=True, slots=True)
class Costs:
    """Both >= 0, in the market's currency, in whole smallest units.

    ``fee`` is the broker's commission; ``tax`` is everything the state and the exchange take.
    """

    fee: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        return self.fee + self.tax

    def __sub__(self, before: Costs) -> Costs:
        return Costs(self.fee - before.fee, self.tax - before.tax)


def trade_costs(
    market: Market,
    side: Side,
    amount: Decimal,
    on: date,
    fee_rate: Decimal | None = None,
    quantity: int = 0,
    *,
    etf: bool = False,
) -> Costs:
    """Costs of one order that has traded ``amount`` (quantity x price) in all on a session date.

    Never falls when ``amount`` or ``quantity`` grows. ``fee_rate`` is a fraction (0.0025 is
    0.25 %) and defaults to the market's online rate. ``quantity`` is only needed for the US
    levy per share; 0 leaves it out. ``etf`` frees from the taxes that spare funds (Korea, Hong
    Kong, China).

    Rounding: Korean won are cut off; other fees are rounded half up to the smallest unit, the US
    pass-through fees up to the next cent and Hong Kong stamp duty up to the next dollar.

    A session older than a table is charged as on the first day the table knows.

    Raises:
        DataError: the amount, quantity or rate is negative.
    """
    rate = market_info(market).default_fee if fee_rate is None else fee_rate
    if amount < 0 or quantity < 0 or rate < 0:
        raise DataError(f"costs need amounts of at least zero: {amount}, {quantity}, {rate}")
    currency = market_info(market).currency
    return Costs(
        _rounded(amount * rate, currency), _tax(market.group, side, amount, on, quantity, etf)
    )


def _rounded(value: Decimal, currency: Currency) -> Decimal:
    if currency in _TRUNCATED:
        return value.quantize(Decimal(1), rounding=ROUND_DOWN)
    return currency.round(value)


def _rate(table: Sequence[tuple[date, T]], on: date, what: str) -> T:
    """The row of a date; a session older than the table is charged as on the first day it knows."""
    return in_force(table, max(on, table[0][0]), what)


def _tax(
    group: MarketGroup, side: Side, amount: Decimal, on: date, quantity: int, etf: bool
) -> Decimal:
    if group is MarketGroup.US:
        return _us_tax(side, amount, on, quantity)
    if group is MarketGroup.HK:
        return _hk_tax(amount, on, etf)
    rates: Mapping[tuple[MarketGroup, Side], Rates] = {
        (MarketGroup.KR, Side.SELL): _KR_SALES_TAX,
        (MarketGroup.CN, Side.SELL): _CN_STAMP_SELL,
        (MarketGroup.CN, Side.BUY): _CN_STAMP_BUY,
        (MarketGroup.VN, Side.SELL): _VN_SALES_TAX,
    }
    table = rates.get((group, side))
    currency = market_info(group.markets[0]).currency
    spared = etf and group is not MarketGroup.VN
    tax = _NONE if table is None or spared else amount * _rate(table, on, "the trade tax")
    if group is MarketGroup.CN:
        levies = amount * _rate(_CN_LEVIES, on, "the trade levy")
        return currency.round(tax) + currency.round(levies)
    return _rounded(tax, currency)


def _us_tax(side: Side, amount: Decimal, on: date, quantity: int) -> Decimal:
    if side is Side.BUY:
        return _NONE
    cent = Decimal("0.01")
    section_31 = amount * _rate(_US_SECTION_31, on, "the section 31 fee")
    per_share, most = _rate(_US_TRADING_ACTIVITY, on, "the trading activity fee")
    activity = min(quantity * per_share, most)
    return section_31.quantize(cent, ROUND_UP) + activity.quantize(cent, ROUND_UP)


def _hk_tax(amount: Decimal, on: date, etf: bool) -> Decimal:
    stamp = _NONE
    if not (etf and on >= _HK_FUNDS_EXEMPT_SINCE):
        stamp = amount * _rate(_HK_STAMP, on, "the stamp duty")
    levies = amount * _rate(_HK_LEVIES, on, "the trade levy")
    return stamp.quantize(Decimal(1), ROUND_UP) + Currency.HKD.round(levies)
