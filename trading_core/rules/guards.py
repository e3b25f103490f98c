"""Promises about entries that hold whatever a plan says; ``rules.risk`` asks them all.

Every promise is a pure function of one :class:`Wish`. It answers the sentence it refuses with, or
None. Bounds themselves are allowed: a pause is over when its time has passed, and a cap may be
reached. Orders that reduce risk are asked about the last promise alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache

from trading_core.model.limits import GuardLimits
from trading_core.model.market import Currency, Market, MarketGroup
from trading_core.model.order import OrderIntent, Refusal, RefusalCode, Side
from trading_core.model.price import Quote
from trading_core.rules.trade_history import TradeHistory

MINUTE = timedelta(minutes=1)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Wish:
    """An order somebody wants, and everything the guards judge it by.

    ``cash_after`` is the cash that would be left in the order's currency, its costs paid.
    ``quote`` is what the decision stood on; without one no entry passes.
    """

    intent: OrderIntent
    quote: Quote | None
    history: TradeHistory
    limits: GuardLimits
    cash_after: Decimal
    at: datetime

    @property
    def symbol(self) -> str:
        return self.intent.instrument.symbol


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise, the code of its refusal, and whether it binds exits too."""

    code: RefusalCode
    says: str
    broken: Callable[[Wish], str | None]
    binds_exits: bool = False


def refuse(wish: Wish) -> Refusal | None:
    """The refusal of the first promise this order would break; None when it breaks none."""
    exits_only = wish.intent.side is Side.SELL
    for promise in PROMISES:
        if exits_only and not promise.binds_exits:
            continue
        why = promise.broken(wish)
        if why is not None:
            return Refusal(wish.intent, promise.code, why, wish.at)
    return None


@cache
def _pct(value: float) -> Decimal:
    return Decimal(str(value))


@cache
def _group_of(market: Market) -> MarketGroup:
    return market.group


def _lost_lately(wish: Wish) -> str | None:
    lost_at = wish.history.losing_exits.get(wish.symbol)
    pause = wish.limits.reentry_after_loss
    if lost_at is None or wish.at - lost_at >= pause:
        return None
    return f"was sold at a loss at {lost_at:%H:%M} UTC; no entry until {lost_at + pause:%H:%M} UTC"


def _tried(wish: Wish) -> str | None:
    if wish.intent.chases:
        return None
    tries, allowed = wish.history.tries.get(wish.symbol, 0), wish.limits.entry_tries_per_session
    if not allowed or tries < allowed:
        return None
    return f"{tries} of {allowed} entries of this session ended without a fill"


def _above_sale(wish: Wish) -> str | None:
    sale = wish.history.sales.get(wish.symbol)
    if sale is None or wish.at - sale.at >= wish.limits.not_above_sale:
        return None
    price = wish.intent.decided_price
    if price <= sale.price:
        return None
    return f"was sold at {sale.price:f} at {sale.at:%H:%M:%S} UTC; {price:f} is above that"


def _chasing(wish: Wish) -> str | None:
    limits, quote = wish.limits, wish.quote
    if not limits.chase_gain_pct:
        return None
    if quote is None or quote.previous_close <= 0:
        return "the day's gain is not known"
    price = wish.intent.decided_price
    gained = (price - quote.previous_close) * 100
    if gained < quote.previous_close * _pct(limits.chase_gain_pct):
        return None
    # A feed may give the price before it gives the high that the price makes.
    high = max(quote.high, price)
    if (high - price) * 100 > high * _pct(limits.chase_near_high_pct):
        return None
    gain = gained / quote.previous_close
    return f"up {gain:.2f} % today and within {limits.chase_near_high_pct} % of its high {high:f}"


def _too_cheap(wish: Wish) -> str | None:
    least = wish.limits.min_prices.get(_group_of(wish.intent.instrument.market), _ZERO)
    price = wish.intent.decided_price
    if price >= least:
        return None
    return f"a price of {price:f} is below {least:f}, the lowest for an entry in this market"


def _paused_for_cash(wish: Wish) -> str | None:
    refused_at = wish.history.no_cash.get(wish.symbol)
    pause = wish.limits.pause_after_no_cash
    if refused_at is None or wish.at - refused_at >= pause:
        return None
    until = refused_at + pause
    return f"the broker said there is not enough cash; no entry until {until:%H:%M:%S} UTC"


def _unfilled_lately(wish: Wish) -> str | None:
    ended_at = wish.history.unfilled.get(wish.symbol)
    pause = wish.limits.pause_after_unfilled
    if wish.intent.chases or ended_at is None or wish.at - ended_at >= pause:
        return None
    return f"an entry did not fill; no other one until {ended_at + pause:%H:%M:%S} UTC"


def _into_buffer(wish: Wish) -> str | None:
    currency = wish.intent.currency
    if currency is Currency.KRW:
        return None
    least = wish.limits.cash_buffers.get(currency, _ZERO)
    share = _pct(wish.limits.cash_buffer_pct)
    if share:
        least = max(least, wish.history.equity * share / 100)
    if not least or wish.cash_after >= least:
        return None
    left, buffer = currency.round(wish.cash_after), currency.round(least)
    return f"{left:f} {currency} would be left, less than the buffer of {buffer:f}"


def _over_cap(wish: Wish, exposed: Decimal, cap: float, what: str) -> str | None:
    if not cap:
        return None
    equity, after = wish.history.equity, exposed + wish.intent.notional
    if equity <= 0:
        return "no equity to measure the order against"
    if after * 100 <= equity * _pct(cap):
        return None
    return f"{what} would be {after / equity * 100:.2f} % of equity, more than {cap} %"


def _symbol_over_cap(wish: Wish) -> str | None:
    exposed = wish.history.exposed.get(wish.symbol, _ZERO)
    return _over_cap(wish, exposed, wish.limits.max_symbol_pct, wish.symbol)


def _sector_over_cap(wish: Wish) -> str | None:
    if not wish.limits.sectors:
        return None
    sectors = wish.limits.sectors.get(_group_of(wish.intent.instrument.market), {})
    sector = sectors.get(wish.symbol)
    if sector is None:
        return None
    together = _ZERO
    for symbol, value in wish.history.exposed.items():
        if sectors.get(symbol) == sector:
            together += value
    return _over_cap(wish, together, wish.limits.max_sector_pct, f"the sector {sector}")


def _exposure_over_cap(wish: Wish) -> str | None:
    return _over_cap(wish, wish.history.exposure, wish.limits.max_exposure_pct, "all positions")


def _day_is_full(wish: Wish) -> str | None:
    sent, most = len(wish.history.sent_at), wish.limits.max_orders_per_session
    return f"{sent} orders were sent in this session" if most and sent >= most else None


def _minute_is_full(wish: Wish) -> str | None:
    times, most = wish.history.sent_at, wish.limits.max_orders_per_minute
    sent = len(times) - bisect_right(times, wish.at - MINUTE)
    return f"{sent} orders were sent within a minute" if most and sent >= most else None


def _sent_just_now(wish: Wish) -> str | None:
    side, pause = wish.intent.side, wish.limits.repeat_after
    sent_at = wish.history.last_sent.get(side, {}).get(wish.symbol)
    if wish.intent.chases or sent_at is None or wish.at - sent_at >= pause:
        # A chase has waited for its own time.
        return None
    return f"a {side} order went out at {sent_at:%H:%M:%S} UTC; the next {pause.seconds} s later"


_C = RefusalCode
PROMISES: tuple[Promise, ...] = (
    Promise(_C.REENTRY, "no entry for a while after an exit at a loss", _lost_lately),
    Promise(_C.ENTRY_TRIED, "no more tries to enter than the session allows", _tried),
    Promise(_C.ABOVE_LAST_SALE, "not bought back dearer right after a sale", _above_sale),
    Promise(_C.CHASING_HIGH, "no entry at the high of a day of large gains", _chasing),
    Promise(_C.PRICE_TOO_LOW, "no penny stocks", _too_cheap),
    Promise(_C.CASH_PAUSE, "no entry right after the broker missed the cash", _paused_for_cash),
    Promise(_C.UNFILLED_PAUSE, "no entry right after one that did not fill", _unfilled_lately),
    Promise(_C.CASH_BUFFER, "a foreign entry leaves a buffer of its currency", _into_buffer),
    Promise(_C.SYMBOL_CAP, "no more of the equity in one stock than allowed", _symbol_over_cap),
    Promise(_C.SECTOR_CAP, "no more of the equity in one sector than allowed", _sector_over_cap),
    Promise(_C.EXPOSURE_CAP, "no more of the equity in stocks than allowed", _exposure_over_cap),
    Promise(_C.ORDERS_PER_SESSION, "no more orders a session than allowed", _day_is_full),
    Promise(_C.ORDERS_PER_MINUTE, "no more orders a minute than allowed", _minute_is_full),
    Promise(_C.TOO_SOON, "no order of the same kind right after another", _sent_just_now, True),
)
"""In the order they are asked; a symbol that is held or has an order at work is refused before."""
