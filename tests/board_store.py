"""A store with many sessions in it, for pages that must be quick when there is much to show.

``python -m tests.board_store HOME [SESSIONS]`` makes ``HOME/trades.db`` with a year of sessions:
50 stocks a day, looked at every five minutes, four bought a day and sold two sessions later. Rows
that are few go through the store's own writer, the three large tables are filled in bulk. Prices
are a seeded random walk.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from tests.record_factories import (
    make_decision,
    make_event,
    make_fill,
    make_intent,
    make_llm_call,
    make_outcome,
    make_playbook,
    make_reading,
    make_scenario,
    make_scorecard,
    make_screened,
)
from trading_core.adapters.duck.store import DuckStore
from trading_core.model.journal import ProtectionRow
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import IntentReason, OrderState, OrderType, Side
from trading_core.model.playbook import Action, Condition, Playbook, PlaybookSource, StockPlan
from trading_core.model.portfolio import ExitState, Protection
from trading_core.rules.calendar import Session, sessions_between

LAST = date(2026, 11, 20)
EVERY = timedelta(minutes=5)
BOUGHT_A_DAY, HELD_SESSIONS = 4, 2
_FEE, _TAX = Decimal("0.00015"), Decimal("0.0018")

_OBSERVATIONS = """
    INSERT INTO observations
    SELECT market, session::DATE, make_timestamptz(micros), symbol, json_object(
        'price', price, 'change_pct', change_pct, 'gap_pct', gap_pct, 'range_pct', range_pct,
        'volume_ratio', volume_ratio, 'rsi', rsi, 'atr_pct', atr_pct, 'return_5d_pct', 1.5,
        'return_20d_pct', -2.5, 'momentum', 55.0, 'breakout_pct', -3.0, 'spread_pct', 0.1,
        'unrealized_pnl_pct', NULL, 'holding_days', NULL, 'minutes_to_close', 100.0
    ) FROM frame"""
_MATCHES = """
    INSERT INTO matches
    SELECT market, session::DATE, make_timestamptz(micros), symbol, symbol || '#1', 'near',
        'SELL', 70, 'rsi', '>', 78.0, rsi, abs(rsi - 78.0) / 78.0
    FROM frame"""
_EQUITY = """
    INSERT INTO equity (market, session, observed_at, currency, cash, holdings_value, equity)
    SELECT market, session::DATE, make_timestamptz(micros), 'KRW', cash::DECIMAL(38, 10),
        holdings::DECIMAL(38, 10), (cash + holdings)::DECIMAL(38, 10)
    FROM frame"""


@dataclass
class _Year:
    """One account over many sessions."""

    sessions: Sequence[Session]
    symbols: int
    random: np.random.Generator
    prices: np.ndarray = field(init=False)
    cash: Decimal = Decimal(100_000_000)
    held: list[tuple[int, int, int]] = field(default_factory=list)
    """Place in ``sessions``, stock, shares."""
    book: Playbook = field(init=False)

    def __post_init__(self) -> None:
        self.prices = np.round(self.random.uniform(5_000, 300_000, self.symbols))

    def instrument(self, stock: int) -> Instrument:
        return Instrument(f"{100_000 + stock * 10:06d}", Market.KR, f"종목 {stock + 1}")


def make_year(
    path: Path, *, sessions: int = 250, symbols: int = 50, last: date = LAST, seed: int = 1
) -> DuckStore:
    """Fill a new store; the account starts with 100 million won.

    Args:
        path: The file; it must not exist.
        sessions: How many, the last of them at ``last`` or before.
        symbols: Stocks that are planned and observed in each.
        last: Date of the last session.
        seed: Of the random walk.
    """
    known = sessions_between(MarketGroup.KR, last - timedelta(days=sessions * 2 + 20), last)
    year = _Year(known[-sessions:], symbols, np.random.default_rng(seed))
    store = DuckStore(path)
    observed, worth = [], []
    for place, session in enumerate(year.sessions):
        ticks = _ticks(session)
        walk = _walk(year, len(ticks))
        records, equity = _trade(year, place, ticks, walk)
        with store.write() as tx:
            tx.append(records)
        observed.append(_observed(year, session, ticks, walk))
        worth.append(equity)
        year.prices = walk[-1]
    # The large tables, in one go.
    with duckdb.connect(str(path)) as connection:
        for sql, frames in (
            (_OBSERVATIONS, observed), (_MATCHES, observed), (_EQUITY, worth),
        ):  # fmt: skip
            connection.register("frame", pd.concat(frames, ignore_index=True))
            connection.execute(sql)
            connection.unregister("frame")
    return store


def _ticks(session: Session) -> list[datetime]:
    count = (session.close_at - session.open_at) // EVERY
    return [session.open_at + n * EVERY for n in range(1, count + 1)]


def _walk(year: _Year, ticks: int) -> np.ndarray:
    """Prices by tick and stock, in whole won."""
    steps = year.random.normal(0.00002, 0.0022, (ticks, year.symbols))
    return np.round(year.prices * np.exp(np.cumsum(steps, axis=0)))


def _observed(
    year: _Year, session: Session, ticks: list[datetime], walk: np.ndarray
) -> pd.DataFrame:
    micros = [int(at.timestamp() * 1_000_000) for at in ticks]
    rows, count = walk.shape
    noise = year.random.uniform(0, 1, walk.size)
    change = (walk / year.prices - 1).ravel() * 100
    return pd.DataFrame(
        {
            "market": "KR",
            "session": session.date.isoformat(),
            "micros": np.repeat(micros, count),
            "symbol": [year.instrument(stock).symbol for stock in range(count)] * rows,
            "price": walk.ravel(),
            "change_pct": change.round(4),
            "gap_pct": 0.1,
            "range_pct": (np.abs(change) + noise).round(4),
            "volume_ratio": (0.5 + noise * 2).round(3),
            "rsi": np.clip(50 + change * 6 + noise * 8, 1, 99).round(2),
            "atr_pct": 2.5,
        }
    )


def _trade(
    year: _Year, place: int, ticks: list[datetime], walk: np.ndarray
) -> tuple[list[Any], pd.DataFrame]:
    """Sell what was bought two sessions ago, buy something else; the records and the curve."""
    session = year.sessions[place]
    records: list[Any] = [*_planned(year, place), _card(year, place)]
    moves: list[tuple[int, int, Decimal]] = []
    due = [lot for lot in year.held if lot[0] <= place - HELD_SESSIONS]
    year.held = [lot for lot in year.held if lot not in due]
    orders = [(n * 3 + 1, stock, -shares) for n, (_, stock, shares) in enumerate(due)]
    for n in range(BOUGHT_A_DAY):
        stock = (place * BOUGHT_A_DAY + n) % year.symbols
        tick = 5 + n * 12 + place % 3
        shares = int(5_000_000 // walk[tick][stock])
        if shares:
            orders.append((tick, stock, shares))
            year.held.append((place, stock, shares))
    for n, (tick, stock, shares) in enumerate(orders):
        price = Decimal(int(walk[tick][stock]))
        made, moved = _order(year, place, n, ticks[tick], stock, shares, price)
        records += made
        moves.append((tick, shares, moved))
    at_start = year.cash
    cash = [
        at_start + sum((m for t, _, m in moves if t < tick), Decimal(0))
        for tick in range(len(ticks))
    ]
    year.cash = at_start + sum((moved for _, _, moved in moves), Decimal(0))
    shares_at = np.zeros(walk.shape)
    for _, stock, shares in (lot for lot in [*due, *year.held] if lot[0] < place):
        shares_at[:, stock] += shares
    for tick, stock, shares in orders:
        shares_at[tick + 1 :, stock] += shares
    frame = pd.DataFrame(
        {
            "market": "KR",
            "session": session.date.isoformat(),
            "micros": [int(at.timestamp() * 1_000_000) for at in ticks],
            "cash": [float(amount) for amount in cash],
            "holdings": (shares_at * walk).sum(axis=1),
        }
    )
    return records, frame


def _order(
    year: _Year, place: int, number: int, at: datetime, stock: int, shares: int, price: Decimal
) -> tuple[list[Any], Decimal]:
    """Decision, order and fill, and what the cash moved by."""
    session, instrument = year.sessions[place].date, year.instrument(stock)
    name, side = f"{session}-{number}", Side.BUY if shares > 0 else Side.SELL
    quantity = abs(shares)
    amount = quantity * price
    fee = (amount * _FEE).quantize(Decimal(1))
    tax = (amount * _TAX).quantize(Decimal(1)) if side is Side.SELL else Decimal(0)
    states = (OrderState.INTENDED, OrderState.SENDING, OrderState.ACCEPTED, OrderState.FILLED)
    records: list[Any] = [
        make_decision(
            decision_id=f"d-{name}",
            at=at,
            session=session,
            instrument=instrument,
            action=side.value,
            confidence=80 + (stock + place) % 20,
            scenario_id=f"{instrument.symbol}#{0 if side is Side.BUY else 1}",
            playbook_id=year.book.playbook_id,
            rationale=f"rsi 28.1 < 30 and price {price:,}",
        ),
        make_intent(
            intent_id=f"i-{name}",
            decision_id=f"d-{name}",
            instrument=instrument,
            session=session,
            side=side,
            quantity=quantity,
            order_type=OrderType.LIMIT,
            limit_price=price,
            decided_price=price,
            reason=IntentReason.ENTRY if side is Side.BUY else IntentReason.SCENARIO_EXIT,
            created_at=at,
        ),
        *(
            make_event(
                intent_id=f"i-{name}",
                sequence=n,
                state=state,
                at=at + timedelta(seconds=n),
                order_no=f"{place:05d}{number:03d}" if n > 1 else "",
            )
            for n, state in enumerate(states)
        ),
        make_fill(
            fill_id=f"f-{name}",
            intent_id=f"i-{name}",
            order_no=f"{place:05d}{number:03d}",
            instrument=instrument,
            session=session,
            side=side,
            quantity=quantity,
            price=price,
            fee=fee,
            tax=tax,
            filled_at=at + timedelta(seconds=3),
        ),
    ]
    if side is Side.BUY:
        guard = Protection(
            symbol=instrument.symbol,
            stop_loss_pct=-4.0,
            take_profit_pct=9.0,
            state=ExitState.HOLDING,
            peak_price=price,
            updated_at=at + EVERY,
            opened_at=at + timedelta(seconds=3),
        )
        records.append(ProtectionRow("KR", session, guard))
        return records, -amount - fee
    pnl = Decimal(-1000 if (stock + place) % 3 else 1500)
    outcome = make_outcome(
        decision_id=f"d-{name}",
        outcome_pnl=pnl,
        outcome_accuracy=float(pnl > 0),
        at=year.sessions[place].close_at + timedelta(minutes=20),
    )
    return [*records, outcome], amount - fee - tax


def _playbook_of(year: _Year, place: int) -> Playbook:
    session = year.sessions[place]
    plans = []
    for stock in range(year.symbols):
        price = float(year.prices[stock])
        buy = make_scenario(
            conditions=(
                Condition(field="rsi", op="<", value=42.0),
                Condition(field="price", op="<", value=round(price * 0.995)),
            )
        )
        sell = make_scenario(
            conditions=(Condition(field="rsi", op=">", value=78.0),),
            action=Action.SELL,
            confidence=70,
            allocation_pct=0.0,
            stop_loss_pct=None,
            take_profit_pct=None,
        )
        symbol = year.instrument(stock).symbol
        plans.append(StockPlan(symbol=symbol, scenarios=(buy, sell)))
    return make_playbook(
        session=session.date,
        source=PlaybookSource.RULES if place % 5 == 0 else PlaybookSource.GEMINI,
        stocks=tuple(plans),
        generated_at=session.open_at - timedelta(minutes=30),
    )


def _planned(year: _Year, place: int) -> list[Any]:
    session = year.sessions[place]
    at = session.open_at - timedelta(minutes=31)
    year.book = _playbook_of(year, place)
    return [
        year.book,
        make_llm_call(call_id=f"c-{session.date}", at=at, session=session.date),
        make_reading(value=4000 + place * 1.5, at=at, fetched_at=at),
        *(
            make_screened(
                session=session.date,
                at=at,
                symbol=year.instrument(stock).symbol,
                place=stock + 1,
                selection={"rsi": 40.0, "name": year.instrument(stock).name},
            )
            for stock in range(year.symbols)
        ),
    ]


def _card(year: _Year, place: int) -> Any:
    session = year.sessions[place]
    return make_scorecard(
        session=session.date,
        at=session.close_at + timedelta(minutes=20),
        net_pnl={Currency.KRW.value: Decimal(50_000 * ((place * 7) % 11 - 5))},
    )


if __name__ == "__main__":
    home = Path(sys.argv[1])
    home.mkdir(parents=True, exist_ok=True)
    make_year(home / "trades.db", sessions=int(sys.argv[2]) if len(sys.argv) > 2 else 250)
