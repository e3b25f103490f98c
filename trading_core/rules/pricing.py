"""Limit prices of the orders we send, on the exchange's grid and within the day's limits.

Every order says its worst price, but for an exit that missed twice (``rules.chase``)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from trading_core.model.order import IntentReason, Side
from trading_core.model.price import OrderBook, Quote
from trading_core.rules.markets import Rounding, price_increment, round_to_increment

# How far through the last price an order may trade, as a fraction. What must get out may pay more.
ENTRY_SLACK = Decimal("0.002")
EXIT_SLACK = Decimal("0.005")
PROTECTIVE_SLACK = Decimal("0.02")
DEEP_INCREMENTS = 5

_PROTECTIVE = frozenset({IntentReason.HARD_STOP, IntentReason.REDUCE_ALL, IntentReason.TRAIL})


def slack_of(reason: IntentReason) -> Decimal:
    """The fraction of the last price an order of this kind may give away."""
    if reason.is_entry:
        return ENTRY_SLACK
    return PROTECTIVE_SLACK if reason in _PROTECTIVE else EXIT_SLACK


def limit_price(quote: Quote, side: Side, reason: IntentReason, on: date) -> Decimal:
    """The worst price an order may trade at, in the market's currency.

    The last price moved by the slack of ``reason``, but by at least one increment so that it can
    meet the other side of the book; then onto the grid (a buy down, a sell up, so never beyond
    what was allowed) and inside the day's price limits.

    Args:
        quote: A usable quote; its ``last`` must be above zero.
        side: BUY or SELL.
        reason: Why the order is wanted.
        on: The session date, which decides the price grid.
    """
    market, etf = quote.instrument.market, quote.instrument.is_fund
    step = price_increment(market, quote.last, on, etf=etf)
    room = max(quote.last * slack_of(reason), step)
    if side is Side.BUY:
        price = round_to_increment(market, quote.last + room, on, Rounding.DOWN, etf=etf)
        return min(price, quote.upper_limit) if quote.upper_limit else price
    floor = max(quote.last - room, step)
    price = round_to_increment(market, floor, on, Rounding.UP, etf=etf)
    return max(price, quote.lower_limit) if quote.lower_limit else price


def executable_price(quote: Quote, side: Side, book: OrderBook | None, on: date) -> Decimal:
    """The price at which an order can trade now: the best one of the other side.

    Without an order book, or with nobody on that side, it is the last price and one increment.

    Args:
        quote: A usable quote; its ``last`` must be above zero.
        side: Of the order.
        book: The broker's order book, None when it gave none.
        on: The session date, which decides the price grid.
    """
    market, etf = quote.instrument.market, quote.instrument.is_fund
    levels = () if book is None else (book.asks if side is Side.BUY else book.bids)
    best = next((level.price for level in levels if level.price.is_finite()), Decimal(0))
    if best <= 0:
        step = price_increment(market, quote.last, on, etf=etf)
        best = quote.last + step if side is Side.BUY else max(quote.last - step, step)
    if side is Side.BUY:
        price = round_to_increment(market, best, on, Rounding.UP, etf=etf)
        return min(price, quote.upper_limit) if quote.upper_limit else price
    price = round_to_increment(market, best, on, Rounding.DOWN, etf=etf)
    return max(price, quote.lower_limit) if quote.lower_limit else price


def deep_price(quote: Quote, book: OrderBook | None, on: date) -> Decimal:
    """The limit of a sale that must trade: 2 % below the best bid, five increments at least.

    Arguments as for :func:`executable_price`.
    """
    market, etf = quote.instrument.market, quote.instrument.is_fund
    bid = executable_price(quote, Side.SELL, book, on)
    step = price_increment(market, bid, on, etf=etf)
    floor = max(bid - max(bid * PROTECTIVE_SLACK, DEEP_INCREMENTS * step), step)
    price = round_to_increment(market, floor, on, Rounding.UP, etf=etf)
    return max(price, quote.lower_limit) if quote.lower_limit else price
