"""A small tape made by hand, whose every price is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np

from trading_core.model.market import Currency, Instrument, MarketGroup
from trading_core.model.order import OrderType, Side
from trading_core.rules.calendar import require_session
from trading_core.twin.bridge import Bars
from trading_core.twin.columns import minute_columns
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.levels import DayHistory
from trading_core.twin.tape import Tape, stack
from trading_core.twin.venue import AccountSpec, NewOrder

SESSION = date(2025, 9, 3)
OPEN = require_session(MarketGroup.KR, SESSION).open_at
CLOSE = require_session(MarketGroup.KR, SESSION).close_at
Row = tuple[float, float, float, float, int]


def minute(n: int) -> datetime:
    """``n`` minutes after the open."""
    return OPEN + timedelta(minutes=n)


def flat(price: float, volume: int, count: int = 1) -> list[Row]:
    return [(price, price, price, price, volume)] * count


def make_tape(
    minutes: Mapping[str, Sequence[Row]],
    *,
    base: float = 10_000.0,
    halted: Sequence[str] = (),
    auction: Row | None = None,
    group: MarketGroup = MarketGroup.KR,
    session: date = SESSION,
) -> Tape:
    """Bars per symbol from the open on; later minutes repeat the last close without volume."""
    hours = require_session(group, session)
    starts, ends = minute_columns(hours, auction=auction is not None)
    shape = (len(minutes), len(starts))
    grids = [np.full(shape, np.nan) for _ in range(4)]
    volume = np.zeros(shape, dtype=np.int64)
    for i, rows in enumerate(minutes.values()):
        for grid_no, grid in enumerate(grids):
            for m, row in enumerate(rows):
                grid[i, m] = row[grid_no]
            if rows:
                grid[i, len(rows) :] = rows[-1][3]
            if auction is not None:
                grid[i, -1] = auction[grid_no]
        volume[i, : len(rows)] = [row[4] for row in rows]
        if auction is not None:
            volume[i, -1] = auction[4]
    yesterday = DayHistory(
        np.array([np.datetime64(session - timedelta(days=1), "D")]),
        np.full((4, 1), base),
        np.array([1000]),
    )
    return Tape(
        hours=hours,
        instruments=tuple(Instrument(s, group.markets[0]) for s in minutes),
        starts=starts,
        ends=ends,
        bars=Bars(grids[0], grids[1], grids[2], grids[3], volume),
        previous_close=np.full(len(minutes), base),
        halted=np.array([s in halted for s in minutes]),
        etf=np.zeros(len(minutes), dtype=bool),
        history=stack([yesterday] * len(minutes)),
    )


def account(number: str = "1", cash: str = "100000000") -> AccountSpec:
    return AccountSpec(number, {Currency.KRW: Decimal(cash), Currency.USD: Decimal(cash)})


def venue_on(
    minutes: Mapping[str, Sequence[Row]], *, at: datetime | None = None, **tape: object
) -> SimulatedExchange:
    """An exchange with accounts 1 and 2."""
    made = make_tape(minutes, **tape)  # type: ignore[arg-type]
    return SimulatedExchange(made, [account("1"), account("2")], at=at)


def buy(
    quantity: int, price: int | None, symbol: str = "A", who: str = "1", **terms: object
) -> NewOrder:
    return _order(Side.BUY, quantity, price, symbol, who, terms)


def sell(
    quantity: int, price: int | None, symbol: str = "A", who: str = "1", **terms: object
) -> NewOrder:
    return _order(Side.SELL, quantity, price, symbol, who, terms)


def _order(
    side: Side, quantity: int, price: int | None, symbol: str, who: str, terms: dict[str, object]
) -> NewOrder:
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    limit = None if price is None else Decimal(price)
    return NewOrder(who, symbol, side, kind, quantity, limit, **terms)  # type: ignore[arg-type]
