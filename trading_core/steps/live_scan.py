"""The market of now, while a session is on: the scanner over the rankings, and what a model is told
of each candidate."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from trading_core.errors import BrokerError
from trading_core.model.decision import DecisionInputs
from trading_core.model.journal import Decision
from trading_core.model.limits import ScanLimits
from trading_core.model.market import Instrument
from trading_core.model.portfolio import Account
from trading_core.model.price import OrderBook, Ranking
from trading_core.ports import MarketData
from trading_core.rules.exits_view import unrealized_pct
from trading_core.rules.observation import observe_quotes
from trading_core.rules.scanner import ScanResult, dynamic_universe, scan
from trading_core.steps.gather import Universe, read_ranking, with_always
from trading_core.steps.opening import TradingDay


@dataclass(frozen=True, slots=True)
class Fallback:
    """Where candidates come from when the broker ranks nothing."""

    recently_traded: Sequence[Instrument] = ()
    held: Sequence[Instrument] = ()


async def scan_now(
    market_data: MarketData,
    *,
    day: TradingDay,
    at: datetime,
    limits: ScanLimits,
    top_n: int,
    universe: Universe,
    fallback: Fallback,
) -> ScanResult:
    """The best ``top_n`` instruments of a group by today's prices.

    Without a ranking the universe is dynamic: what is planned and watched, was traded lately, or
    is held.

    Raises:
        BrokerUnavailable: not one quote could be had.
    """
    fluctuation, unranked = await read_ranking(market_data, day.group, Ranking.FLUCTUATION)
    volume, _ = await read_ranking(market_data, day.group, Ranking.VOLUME)
    ranked = with_always(fluctuation, universe.always)[: universe.max_candidates]
    planned = [day.instruments[s] for s in day.playbook.symbols if s in day.instruments]
    others = dynamic_universe(
        (*planned, *universe.watchlist), fallback.recently_traded, fallback.held
    )[: universe.max_candidates]
    wanted = [row.instrument for row in ranked] or list(others)
    held = {instrument.symbol for instrument in fallback.held}
    quotes = await market_data.quotes(wanted, held=held) if wanted else {}
    return scan(
        day.group,
        fluctuation=ranked,
        volume=volume,
        quotes=quotes,
        state=day.history,
        limits=replace(limits, top_n=top_n),
        minimum_price=universe.minimum_price,
        elapsed_fraction=day.session.elapsed_fraction(at),
        fallback=others,
        # An account without rankings (paper trading) still deserves candidates.
        allow_domestic_fallback=unranked,
        at=at,
    )


async def decision_inputs(
    market_data: MarketData,
    wanted: Sequence[Instrument],
    *,
    day: TradingDay,
    account: Account,
    recent: Mapping[str, Sequence[Decision]],
    max_age: timedelta,
    at: datetime,
) -> list[DecisionInputs]:
    """What a model is told of each of these that has a usable price, in the same order.

    Args:
        recent: Decisions of the session by symbol, oldest first.
        max_age: An older quote is no price.

    Raises:
        BrokerUnavailable: not one quote could be had.
    """
    if not wanted:
        return []
    held = {h.instrument.symbol for h in account.holdings}
    quotes = await market_data.quotes(wanted, held=held)
    freshest = at - max_age
    usable = [
        item
        for item in wanted
        if item.symbol in quotes
        and quotes[item.symbol].usable
        and quotes[item.symbol].at >= freshest
    ]
    books = await asyncio.gather(*(_order_book(market_data, item) for item in usable))
    symbols = [item.symbol for item in usable]
    columns = observe_quotes(
        day.history.select(symbols), quotes, elapsed_fraction=day.session.elapsed_fraction(at)
    )
    equity = account.equity
    cash_pct = float(account.cash / equity * 100) if equity > 0 else float("nan")
    minutes_left = day.session.minutes_to_close(at)
    inputs = []
    for row, (item, book) in enumerate(zip(usable, books, strict=True)):
        fields = {name: float(column[row]) for name, column in columns.items()}
        fields["minutes_to_close"] = minutes_left
        one = DecisionInputs(
            instrument=item,
            at=at,
            price=quotes[item.symbol].last,
            fields=fields,
            cash_pct=cash_pct,
            recent=tuple(map(_line, recent.get(item.symbol, ()))),
        )
        inputs.append(_with_position(_with_book(one, book), account))
    return inputs


def _with_book(inputs: DecisionInputs, book: OrderBook | None) -> DecisionInputs:
    if book is None:
        return inputs
    return replace(
        inputs,
        fields={**inputs.fields, "spread_pct": book.spread_pct},
        ask=book.asks[0] if book.asks else None,
        bid=book.bids[0] if book.bids else None,
    )


def _with_position(inputs: DecisionInputs, account: Account) -> DecisionInputs:
    holding = account.holding(inputs.instrument.symbol)
    if holding is None:
        return inputs
    gain = unrealized_pct(holding.average_price, inputs.price)
    return replace(
        inputs,
        fields={**inputs.fields, "unrealized_pnl_pct": gain},
        held=holding.quantity,
        average_price=holding.average_price,
    )


async def _order_book(market_data: MarketData, instrument: Instrument) -> OrderBook | None:
    try:
        return await market_data.order_book(instrument)
    except BrokerError:
        return None


def _line(decision: Decision) -> str:
    return f"{decision.at:%H:%M} UTC {decision.action} {decision.confidence}: {decision.rationale}"
