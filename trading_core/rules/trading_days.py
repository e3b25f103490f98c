"""The sessions of one market group as facts that add up: what was traded, won, lost and moved.

The profit of a session is what the equity gained since the last point of the session before, less
what came in from outside. Overnight moves count, and the profits of all sessions together are the
equity's whole change. Nobody tells us of deposits and withdrawals, so a change of cash that no fill
explains is taken for one, once it is too large for a dividend or a wrong estimate of costs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import TypeVar

from trading_core.model.market import Currency, MarketGroup
from trading_core.model.memory import EntryOrigin, EquityDay, MemoryFacts
from trading_core.model.order import Fill, Side
from trading_core.model.portfolio import AdoptedLot, PositionOrigin
from trading_core.rules.markets import currency_of
from trading_core.rules.performance import JudgedTrade
from trading_core.rules.positions import ClosedTrade

SMALLEST_FLOW = Decimal("0.001")
"""A change of cash that no fill explains and that is below this part of the equity is profit."""

_ZERO = Decimal(0)

T = TypeVar("T")

_filled_at: Callable[[Fill], datetime] = attrgetter("filled_at")
_adopted_at: Callable[[AdoptedLot], datetime] = attrgetter("adopted_at")


@dataclass(frozen=True, slots=True)
class TradingDay:
    """One currency of one session; amounts in the currency.

    ``net`` is the profit after costs since ``base``, the equity at the end of the session before
    (of the first one, at its first point). ``cash_flow`` is what came in from outside, negative
    for what was taken out. All three are None, None and 0 without an equity point.
    ``adopted_net`` is the profit of shares that nobody planned.
    """

    session: date
    currency: Currency
    fills: int = 0
    bought: Decimal = _ZERO
    sold: Decimal = _ZERO
    fees: Decimal = _ZERO
    taxes: Decimal = _ZERO
    trades: tuple[JudgedTrade, ...] = ()
    adopted_net: Decimal = _ZERO
    decisions: Mapping[str, int] = field(default_factory=dict)
    equity: EquityDay | None = None
    base: Decimal | None = None
    net: Decimal | None = None
    cash_flow: Decimal = _ZERO

    @property
    def fraction(self) -> float | None:
        """The return of the session; None when it is not known.

        Money that came in is taken to have been there all day, what went out until the end.
        """
        if self.net is None or self.base is None:
            return None
        at_work = self.base + max(self.cash_flow, _ZERO)
        return float(self.net / at_work) if at_work > 0 else None


def trading_days(
    group: MarketGroup,
    *,
    fills: Sequence[Fill],
    lots: Sequence[AdoptedLot],
    closed: Sequence[ClosedTrade],
    known: MemoryFacts,
) -> list[TradingDay]:
    """Every session of the group of which anything is known, oldest first, by currency.

    Args:
        fills: All of the group.
        lots: Adopted shares of the group.
        closed: All trades that these closed.
        known: What the store sums up itself.
    """
    own = currency_of(group)
    keys = {(day.session, day.currency) for day in known.equity}
    keys |= {(fill.session, fill.currency) for fill in fills}
    keys |= {(trade.session, trade.currency) for trade in closed}
    keys |= {(session, own) for session in known.decisions}
    moves = {
        (move.equity.session, move.equity.currency): move for move in _moves(known, fills, lots)
    }
    by_key: dict[tuple[date, Currency], list[Fill]] = defaultdict(list)
    for fill in fills:
        by_key[fill.session, fill.currency].append(fill)
    judged: dict[tuple[date, Currency], list[JudgedTrade]] = defaultdict(list)
    adopted: dict[tuple[date, Currency], Decimal] = defaultdict(Decimal)
    for trade, verdict in judge(closed, fills, known.origins):
        key = trade.session, trade.currency
        if trade.origin is PositionOrigin.STRATEGY:
            judged[key].append(verdict)
        else:
            adopted[key] += trade.net
    days = []
    for key in sorted(keys):
        theirs, move = by_key[key], moves.get(key)
        days.append(
            TradingDay(
                session=key[0],
                currency=key[1],
                fills=len(theirs),
                bought=sum((f.amount for f in theirs if f.side is Side.BUY), _ZERO),
                sold=sum((f.amount for f in theirs if f.side is Side.SELL), _ZERO),
                fees=sum((f.fee for f in theirs), _ZERO),
                taxes=sum((f.tax for f in theirs), _ZERO),
                trades=tuple(judged[key]),
                adopted_net=adopted[key],
                decisions=known.decisions.get(key[0], {}) if key[1] is own else {},
                equity=move.equity if move else None,
                base=move.base if move else None,
                net=move.net if move else None,
                cash_flow=move.cash_flow if move else _ZERO,
            )
        )
    return days


def judge(
    closed: Sequence[ClosedTrade], fills: Sequence[Fill], origins: Mapping[str, EntryOrigin]
) -> list[tuple[ClosedTrade, JudgedTrade]]:
    """Each closed trade with how long it was held and the entry it came from.

    The time of purchase is averaged by quantity, as the cost is; one of adopted shares is unknown.
    """
    events: list[tuple[datetime, int, Fill | ClosedTrade]] = [
        *((fill.filled_at, 0, fill) for fill in fills if fill.side is Side.BUY),
        *((trade.closed_at, 1, trade) for trade in closed),
    ]
    bought: dict[str, _Bought] = defaultdict(_Bought)
    judged = []
    for at, _, event in sorted(events, key=lambda event: event[:2]):
        holding = bought[event.instrument.symbol]
        if isinstance(event, Fill):
            holding.add(event.quantity, at, origins.get(event.intent_id))
            continue
        ours = event.origin is PositionOrigin.STRATEGY and holding.bought_at is not None
        origin = holding.origin if ours else None
        judged.append(
            (
                event,
                JudgedTrade(
                    gross=event.gross,
                    net=event.net,
                    holding=at - holding.bought_at if ours and holding.bought_at else None,
                    confidence=origin.confidence if origin else None,
                    scenario_id=origin.scenario_id if origin else "",
                    source=origin.source if origin else "",
                ),
            )
        )
        if ours:
            holding.quantity = max(0, holding.quantity - event.quantity)
    return judged


@dataclass(slots=True)
class _Bought:
    quantity: int = 0
    bought_at: datetime | None = None
    origin: EntryOrigin | None = None

    def add(self, quantity: int, at: datetime, origin: EntryOrigin | None) -> None:
        if self.quantity == 0 or self.bought_at is None:
            self.bought_at = at
        else:
            self.bought_at += (at - self.bought_at) * quantity / (self.quantity + quantity)
        self.quantity += quantity
        self.origin = origin


@dataclass(frozen=True, slots=True)
class _Move:
    """What a session's equity gained since ``base``, apart from what came from outside."""

    equity: EquityDay
    base: Decimal
    cash_flow: Decimal

    @property
    def net(self) -> Decimal:
        return self.equity.close - self.base - self.cash_flow


def _moves(
    known: MemoryFacts, fills: Iterable[Fill], lots: Iterable[AdoptedLot]
) -> Iterable[_Move]:
    traded: dict[Currency, list[Fill]] = defaultdict(list)
    found: dict[Currency, list[AdoptedLot]] = defaultdict(list)
    for fill in sorted(fills, key=_filled_at):
        traded[fill.currency].append(fill)
    for lot in sorted(lots, key=_adopted_at):
        found[lot.currency].append(lot)
    before: dict[Currency, tuple[Decimal, Decimal, datetime]] = {}
    for day in sorted(known.equity, key=lambda day: day.session):
        start = day.open, day.open_cash, day.opened_at
        base, cash, since = before.get(day.currency, start)
        flow = _cash_flow(
            day.close_cash - cash,
            max(base, _ZERO),
            _between(traded[day.currency], since, day.closed_at, _filled_at),
            _between(found[day.currency], since, day.closed_at, _adopted_at),
            known.cash_moved.get((day.session, day.currency), _ZERO),
        )
        yield _Move(day, base, flow)
        before[day.currency] = day.close, day.close_cash, day.closed_at


def _between(
    events: list[T], since: datetime, until: datetime, at: Callable[[T], datetime]
) -> list[T]:
    """Those after ``since`` and not after ``until``, of events in order of time."""
    return events[bisect_right(events, since, key=at) : bisect_right(events, until, key=at)]


def _cash_flow(
    moved: Decimal,
    base: Decimal,
    fills: Sequence[Fill],
    lots: Sequence[AdoptedLot],
    reported: Decimal,
) -> Decimal:
    """What came in from outside of the cash that ``moved`` and the shares that appeared.

    Shares bought by hand took as much cash as they brought value, shares that were transferred took
    none. Of shares that left, the proceeds are not known: then what reconciliation ``reported``
    as moved counts, and nothing else.
    """
    if any(lot.quantity < 0 for lot in lots):
        return reported
    costs = sum((fill.fee + fill.tax for fill in fills), _ZERO)
    explained = -costs - sum((lot.quantity * lot.price for lot in lots), _ZERO)
    for fill in fills:
        explained += fill.amount if fill.side is Side.SELL else -fill.amount
    flow = moved - explained
    return flow if abs(flow) > max(costs, base * SMALLEST_FLOW) else _ZERO
