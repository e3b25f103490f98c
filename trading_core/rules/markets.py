"""The ten markets: codes, lots, price increments and daily price limits, by date.

Prices are in the market's own currency. Every table that an exchange has changed carries the
first session it was in force; a date before the first row is refused, not guessed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import TypeVar

from trading_core.errors import DataError, UnknownMarket
from trading_core.model.market import Currency, Market, MarketGroup
from trading_core.model.order import Side
from trading_core.rules.market_tables import (
    CN_WIDE_BOARDS,
    INCREMENTS,
    JP_LIMIT_BOUNDS,
    JP_LIMIT_WIDTHS,
    LIMIT_PCT,
    Steps,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MarketInfo:
    """What does not change from day to day about a market.

    ``calendar`` is the name in the exchange_calendars library, None where it has no calendar;
    Shenzhen keeps Shanghai's sessions. ``quote_code`` is the broker's EXCD (the market division
    code for Korea), ``order_code`` its OVRS_EXCG_CD, ``product_type`` its PRDT_TYPE_CD.
    ``data_codes`` are the market codes of price files. ``default_fee`` is the broker's online
    commission as a fraction of the amount. ``lot_varies`` means that the lot is set per symbol
    and the two lots here are only the smallest.
    """

    market: Market
    calendar: str | None
    zone: str
    currency: Currency
    buy_lot: int
    sell_lot: int
    quote_code: str
    order_code: str
    product_type: str
    data_codes: tuple[str, ...]
    default_fee: Decimal
    lot_varies: bool = False


_NEW_YORK = "America/New_York"
_HCMC = "Asia/Ho_Chi_Minh"
_SHANGHAI = "Asia/Shanghai"
_US_FEE = Decimal("0.0025")
_ASIA_FEE = Decimal("0.003")
_VN_FEE = Decimal("0.004")
_C = Currency
_M = Market

# Codes: KIS developers portal, overseas order and quote pages. Fees: KIS price list for accounts
# opened online (0.0140527 % in Korea, 0.25 % in the US, 0.3 % in Japan, Hong Kong and China,
# 0.4 % in Vietnam); an account with an agreed rate passes its own to ``costs.trade_costs``.
_INFO: Mapping[Market, MarketInfo] = {
    info.market: info
    for info in (
        MarketInfo(
            _M.KR, "XKRX", "Asia/Seoul", _C.KRW, 1, 1, "J", "KRX", "300", ("KRX", "XKRX", "XKOS"),
            Decimal("0.000140527"),
        ),
        MarketInfo(
            _M.US_NASDAQ, "XNAS", _NEW_YORK, _C.USD, 1, 1, "NAS", "NASD", "512", ("XNAS",), _US_FEE
        ),
        MarketInfo(
            _M.US_NYSE, "XNYS", _NEW_YORK, _C.USD, 1, 1, "NYS", "NYSE", "513", ("XNYS",), _US_FEE
        ),
        MarketInfo(
            _M.US_AMEX, "XASE", _NEW_YORK, _C.USD, 1, 1, "AMS", "AMEX", "529",
            ("XASE", "ARCX", "BATS"), _US_FEE,
        ),
        MarketInfo(
            _M.JP, "XTKS", "Asia/Tokyo", _C.JPY, 100, 100, "TSE", "TKSE", "515", ("XTKS",),
            _ASIA_FEE,
        ),
        MarketInfo(
            _M.HK, "XHKG", "Asia/Hong_Kong", _C.HKD, 1, 1, "HKS", "SEHK", "501", ("XHKG",),
            _ASIA_FEE, lot_varies=True,
        ),
        MarketInfo(
            _M.CN_SHA, "XSHG", _SHANGHAI, _C.CNY, 100, 1, "SHS", "SHAA", "551", ("XSHG",),
            _ASIA_FEE,
        ),
        MarketInfo(
            _M.CN_SZA, "XSHG", _SHANGHAI, _C.CNY, 100, 1, "SZS", "SZAA", "552", ("XSHE",),
            _ASIA_FEE,
        ),
        MarketInfo(
            _M.VN_HNX, None, _HCMC, _C.VND, 100, 100, "HNX", "HASE", "507", ("HSTC",), _VN_FEE
        ),
        MarketInfo(
            _M.VN_HSX, None, _HCMC, _C.VND, 100, 100, "HSX", "VNSE", "508", ("XSTC",), _VN_FEE
        ),
    )
}  # fmt: skip

_MARKET_OF_DATA_CODE = {code: info.market for info in _INFO.values() for code in info.data_codes}


def market_info(market: Market) -> MarketInfo:
    """The standing facts of a market."""
    return _INFO[market]


def currency_of(group: MarketGroup) -> Currency:
    """The one currency of a group."""
    return _INFO[group.markets[0]].currency


def zone_of(group: MarketGroup) -> str:
    """The IANA time zone whose calendar date names the group's sessions."""
    return _INFO[group.markets[0]].zone


def market_of_data_code(code: str) -> Market:
    """The market of a price file's code: ``KRX``, an ISO 10383 code such as ``XNYS``, or our own.

    Raises:
        UnknownMarket: no market has that code.
    """
    wanted = code.strip().upper()
    market = _MARKET_OF_DATA_CODE.get(wanted)
    if market is None and wanted in set(Market):
        return Market(wanted)
    if market is None:
        raise UnknownMarket(
            f"unknown data code {code!r}; known are {', '.join(sorted(_MARKET_OF_DATA_CODE))}"
        )
    return market


def lot_size(market: Market, side: Side, board_lot: int | None = None) -> int:
    """Shares an order must be a multiple of.

    China takes buys in hundreds and sells of any size. Hong Kong sets a board lot for each symbol:
    pass the broker's figure as ``board_lot``, which wins over the table everywhere.
    """
    if board_lot is not None and board_lot > 0:
        return board_lot
    info = _INFO[market]
    return info.buy_lot if side is Side.BUY else info.sell_lot


def in_force(table: Sequence[tuple[date, T]], on: date, what: str) -> T:
    """The row of a dated table (oldest first) that applies on a date.

    Raises:
        DataError: ``on`` is before the first row.
    """
    index = bisect_right(table, on, key=lambda row: row[0]) - 1
    if index < 0:
        raise DataError(f"{what} is known from {table[0][0]}, not for {on}")
    return table[index][1]


class Rounding(StrEnum):
    """Which way an off-grid price goes; NEAREST sends the exact middle up."""

    DOWN = "down"
    UP = "up"
    NEAREST = "nearest"

    @classmethod
    def never_worse(cls, side: Side) -> Rounding:
        """The way that never asks for more than was wanted: a buy down, a sell up."""
        return cls.DOWN if side is Side.BUY else cls.UP


def _steps(market: Market, on: date, etf: bool) -> Steps:
    stock, fund = INCREMENTS[market]
    table = fund if etf and fund is not None else stock
    return in_force(table, on, f"the price increment of {market}")


def _positive(price: Decimal) -> Decimal:
    if not price.is_finite() or price <= 0:
        raise DataError(f"a price must be above zero, not {price}")
    return price


def _increment(steps: Steps, price: Decimal) -> Decimal:
    find = bisect_left if steps.top_included else bisect_right
    return steps.increments[find(steps.bounds, price)]


def price_increment(market: Market, price: Decimal, on: date, *, etf: bool = False) -> Decimal:
    """The smallest price step at ``price`` on a session date.

    At a price where two steps meet it is the step of the band the exchange puts that price in
    (Korea: the upper band; Japan and Hong Kong: the lower one). Where an exchange has a finer
    table for some of its stocks (Tokyo's TOPIX 500, the half-cent list of the SEC's rule 612)
    the coarser one is used: its prices are valid on both. Korea's table before 2023-01-25 is
    KOSPI's, for the same reason.

    Raises:
        DataError: the price is not above zero, or the date is before the first known table.
    """
    return _increment(_steps(market, on, etf), _positive(price))


def is_on_increment(market: Market, price: Decimal, on: date, *, etf: bool = False) -> bool:
    """Whether an order may carry this price. Raises as :func:`price_increment`."""
    return price % price_increment(market, price, on, etf=etf) == 0


_DECIMAL_ROUNDING = {
    Rounding.DOWN: ROUND_FLOOR,
    Rounding.UP: ROUND_CEILING,
    Rounding.NEAREST: ROUND_HALF_UP,
}


def _snap(steps: Steps, price: Decimal, rounding: Rounding) -> Decimal:
    increment = _increment(steps, price)
    count = (price / increment).to_integral_value(_DECIMAL_ROUNDING[rounding])
    return count * increment


def round_to_increment(
    market: Market, price: Decimal, on: date, rounding: Rounding, *, etf: bool = False
) -> Decimal:
    """``price`` moved onto the grid of allowed prices; a price on the grid stays.

    A limit is sent with :meth:`Rounding.never_worse`: a buy never above, a sell never below what
    was asked.

    Raises:
        DataError: as :func:`price_increment`, or rounding down would leave no price at all.
    """
    snapped = _snap(_steps(market, on, etf), _positive(price), rounding)
    if snapped <= 0:
        raise DataError(f"{price} is below the smallest price of {market}")
    return snapped


def daily_limits(
    market: Market, base_price: Decimal, on: date, *, etf: bool = False, symbol: str = ""
) -> tuple[Decimal, Decimal] | None:
    """The (highest, lowest) price of a session, or None where no daily limit exists (US, HK).

    ``base_price`` is the previous close, adjusted for corporate actions of that day. Not covered:
    first days of a listing, leveraged funds, and stocks under special treatment in China, which
    have limits of their own.

    Korea: +-30 % since 2015-06-15 (15 % before). The width is cut down to the base price's step,
    then the upper limit to its own step (KRX KOSPI Market Business Regulation, article 20).
    China: +-10 %, rounded half up; ``symbol`` tells the 20 % boards (STAR from 2019-07-22,
    ChiNext from 2020-08-24). Vietnam: 7 % in Ho Chi Minh City, 10 % in Hanoi since 2013-01-15,
    cut inwards. Japan: the yen table of the Tokyo exchange since 2010-01-04.

    Raises:
        DataError: as :func:`price_increment`.
    """
    group = market.group
    if group in (MarketGroup.US, MarketGroup.HK):
        return None
    steps, base = _steps(market, on, etf), _positive(base_price)
    if group is MarketGroup.JP:
        width = JP_LIMIT_WIDTHS[bisect_right(JP_LIMIT_BOUNDS, base)]
        return base + width, max(base - width, _increment(steps, base))
    percent = in_force(LIMIT_PCT[market], on, f"the price limit of {market}")
    if group is MarketGroup.CN:
        percent = _china_percent(percent, symbol, on)
    width = base * percent / 100
    increment = _increment(steps, base)
    if group is MarketGroup.CN:
        upper, lower = (_snap(steps, base + sign * width, Rounding.NEAREST) for sign in (1, -1))
    elif group is MarketGroup.KR:
        width = max(width // increment * increment, increment)
        upper = _snap(steps, base + width, Rounding.DOWN)
        lower = _snap(steps, max(base - width, increment), Rounding.UP)
    else:
        upper = max(_snap(steps, base + width, Rounding.DOWN), base + increment)
        lower = min(_snap(steps, base - width, Rounding.UP), base - increment)
    return upper, max(lower, increment)


def _china_percent(percent: Decimal, symbol: str, on: date) -> Decimal:
    for prefix, since, wider in CN_WIDE_BOARDS:
        if symbol.startswith(prefix) and on >= since:
            return wider
    return percent
