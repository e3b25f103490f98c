"""Look at the market once: prices of everything planned or held, as one columnar frame."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from trading_core.errors import BrokerError
from trading_core.model.decision import TradeDecision
from trading_core.model.journal import ObservationRow
from trading_core.model.market import Instrument
from trading_core.model.playbook import Playbook
from trading_core.model.price import ObservationFrame, OrderBook, Quote
from trading_core.ports import MarketData
from trading_core.rules import risk
from trading_core.rules.calendar import Session
from trading_core.rules.compiled import ScenarioMatch
from trading_core.rules.exits_view import unrealized_pct
from trading_core.rules.indicators import Floats
from trading_core.rules.observation import observe_quotes
from trading_core.rules.scenarios import MatchResult, match
from trading_core.steps.opening import TradingDay
from trading_core.steps.reconcile import Books

NOTHING: Mapping[str, Instrument] = {}


@dataclass(frozen=True, slots=True)
class View:
    """Everything one decision stands on, at one moment.

    ``order_books`` are only those of what does not fill (``steps.unfilled``), by symbol.
    ``instead`` is acted on instead of the first matches of the playbook, where a model was asked
    during the session (``steps.decide``); ``made`` are the decisions in it, by symbol.
    """

    session: Session
    at: datetime
    playbook: Playbook
    books: Books
    quotes: Mapping[str, Quote]
    frame: ObservationFrame
    matches: MatchResult
    order_books: Mapping[str, OrderBook] = field(default_factory=dict)
    instead: Mapping[str, ScenarioMatch] | None = None
    made: Mapping[str, TradeDecision] = field(default_factory=dict)

    @property
    def wanted(self) -> Mapping[str, ScenarioMatch]:
        """What is asked for of each symbol."""
        return self.matches.first if self.instead is None else self.instead


async def observe(
    market_data: MarketData,
    *,
    books: Books,
    day: TradingDay,
    at: datetime,
    also: Mapping[str, Instrument] = NOTHING,
) -> View:
    """Quotes of every planned symbol, of every holding and of ``also``, as one columnar frame.

    A symbol that gives no quote is NaN throughout. Order books are only read when a scenario asks
    for the spread.

    Raises:
        BrokerUnavailable: not one quote could be had.
    """
    held = {holding.instrument.symbol: holding.instrument for holding in books.account.holdings}
    known, compiled = day.instruments, day.compiled
    wanted = {**{s: known[s] for s in compiled.symbols if s in known}, **also, **held}
    quotes = await market_data.quotes(list(wanted.values()), held=held)
    spreads: dict[str, Floats] = {}
    if "spread_pct" in compiled.fields_used:
        spreads["spread_pct"] = await _spreads(market_data, wanted)
    return view_of(tuple(wanted), quotes, books=books, day=day, at=at, more=spreads)


def view_of(
    symbols: Sequence[str],
    quotes: Mapping[str, Quote],
    *,
    books: Books,
    day: TradingDay,
    at: datetime,
    more: Mapping[str, Floats] | None = None,
) -> View:
    """These symbols at these quotes, as one columnar frame matched against the playbook. Pure.

    Args:
        symbols: The rows of the frame; one without a quote is NaN throughout.
        quotes: By symbol.
        books: Store and broker in agreement.
        day: The session with its playbook and history.
        at: Now, aware UTC.
        more: Further columns, one value per symbol.
    """
    session, compiled = day.session, day.compiled
    columns = observe_quotes(
        day.history.select(symbols), quotes, elapsed_fraction=session.elapsed_fraction(at)
    )
    columns |= _position_columns(symbols, books, quotes, session, at)
    columns |= more or {}
    frame = ObservationFrame(
        at=at, symbols=tuple(symbols), columns=columns, market_fields=_market_fields(books)
    )
    return View(session, at, compiled.playbook, books, quotes, frame, match(compiled, frame))


def _position_columns(
    symbols: Sequence[str],
    books: Books,
    quotes: Mapping[str, Quote],
    session: Session,
    at: datetime,
) -> dict[str, Floats]:
    pnl = np.full(len(symbols), np.nan)
    days = np.full(len(symbols), np.nan)
    for row, symbol in enumerate(symbols):
        holding, quote = books.account.holding(symbol), quotes.get(symbol)
        if holding is None or quote is None or not quote.usable:
            continue
        pnl[row] = unrealized_pct(holding.average_price, quote.last)
        position = books.positions.get(symbol)
        if position is not None:
            days[row] = (session.date - position.opened_on).days
    left = np.full(len(symbols), session.minutes_to_close(at), dtype=np.float64)
    return {"unrealized_pnl_pct": pnl, "holding_days": days, "minutes_to_close": left}


async def _spreads(market_data: MarketData, wanted: Mapping[str, Instrument]) -> Floats:
    async def one(instrument: Instrument) -> float:
        try:
            return (await market_data.order_book(instrument)).spread_pct
        except BrokerError:
            return float("nan")

    return np.array(await asyncio.gather(*map(one, wanted.values())), dtype=np.float64)


def _market_fields(books: Books) -> dict[str, float]:
    """Fields of the global rules; one that cannot be known is left out and never matches."""
    fields: dict[str, float] = {}
    if books.session_open_equity is None:
        return fields
    equity = books.account.equity
    pnl = risk.day_pnl_pct(books.session_open_equity, equity)
    if pnl is not None:
        fields["day_pnl_pct"] = float(pnl)
    if equity > 0:
        fields["cash_pct"] = float(books.account.cash / equity * 100)
        fields["exposure_pct"] = 100.0 - fields["cash_pct"]
    return fields


def observation_rows(view: View) -> tuple[ObservationRow, ...]:
    """The frame as journal rows; NaN becomes None."""
    names = list(view.frame.columns)
    table = np.column_stack([view.frame.columns[name] for name in names]).tolist()
    return tuple(
        ObservationRow(
            market=view.books.group.value,
            session=view.session.date,
            at=view.at,
            symbol=symbol,
            values={n: None if v != v else round(v, 6) for n, v in zip(names, row, strict=True)},
        )
        for symbol, row in zip(view.frame.symbols, table, strict=True)
    )
