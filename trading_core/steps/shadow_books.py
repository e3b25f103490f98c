"""The books of a shadow planner at one moment, made of its own rows: what a tick decides on.

Nothing is remembered between two looks, so a process that dies forgets nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from trading_core.model.journal import EquityPoint, Halt, HaltKind
from trading_core.model.limits import RiskLimits
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.order import Side
from trading_core.model.portfolio import Account, Holding, Position, Protection, Split
from trading_core.model.price import Quote
from trading_core.model.shadow import ShadowMark, ShadowPlan, ShadowTrade
from trading_core.ports import StoreReader
from trading_core.rules import exits
from trading_core.rules.exits_view import is_price
from trading_core.rules.positions import PositionBook, fold_positions
from trading_core.rules.shadow import cash_after, lost_too_much
from trading_core.rules.trade_history import trade_history
from trading_core.steps.books import Books

_OF_A_PERSON = frozenset({HaltKind.OPERATOR, HaltKind.KILL})
"""Halts that bind shadows too. The others tell of the real account, which is not theirs."""


@dataclass(frozen=True, slots=True)
class ShadowState:
    """What the store holds of one shadow: its plan of the session, all it traded, its newest
    guards by symbol, its marks of the session (oldest first) and its newest mark of all."""

    planner: str
    plan: ShadowPlan | None = None
    trades: tuple[ShadowTrade, ...] = ()
    guards: Mapping[str, Protection] = field(default_factory=dict)
    marks: tuple[ShadowMark, ...] = ()
    last: ShadowMark | None = None
    splits: Sequence[Split] = ()

    @property
    def moved_at(self) -> datetime | None:
        """When it was last looked at; None when it never was."""
        times = [self.last.at] if self.last else []
        times += [trade.at for trade in self.trades[-1:]]
        return max(times, default=None)

    @property
    def book(self) -> PositionBook:
        return fold_positions([trade.fill for trade in self.trades], (), self.splits)

    @property
    def positions(self) -> dict[str, Position]:
        """What it holds, by symbol."""
        return {p.instrument.symbol: p for p in self.book.open_positions}

    @property
    def held(self) -> dict[str, Instrument]:
        return {symbol: position.instrument for symbol, position in self.positions.items()}


def read_states(
    reader: StoreReader,
    planners: Sequence[str],
    group: MarketGroup,
    session: date,
    plans: Mapping[str, ShadowPlan],
) -> list[ShadowState]:
    """What the store holds of these shadows; ``plans`` are those of the session."""
    trades = reader.shadow_trades(group)
    guards = reader.shadow_guards(group)
    marks = reader.shadow_marks(group, session)
    last = reader.last_shadow_marks(group)
    splits = tuple(reader.splits(group)) if trades else ()
    return [
        ShadowState(
            planner=name,
            plan=plans.get(name),
            trades=tuple(trade for trade in trades if trade.planner == name),
            guards={s: guard for (planner, s), guard in guards.items() if planner == name},
            marks=tuple(mark for mark in marks if mark.planner == name),
            last=last.get(name),
            splits=splits,
        )
        for name in planners
    ]


def moved_at(reader: StoreReader, group: MarketGroup) -> dict[str, datetime]:
    """When each shadow was last looked at, as ``ShadowState.moved_at`` of all of them."""
    found = {planner: mark.at for planner, mark in reader.last_shadow_marks(group).items()}
    for trade in reader.shadow_trades(group):
        found[trade.planner] = max(trade.at, found.get(trade.planner, trade.at))
    return found


def account_of(
    state: ShadowState, real: Account, quotes: Mapping[str, Quote], at: datetime
) -> Account:
    """What it owns. A shadow that never traded begins each session with the cash that the real
    account may spend then.

    A holding without a quote has a last price of 0, which is "no data".
    """
    cash = real.orderable
    if state.last is not None and (state.trades or state.marks):
        cash = cash_after(state.last, state.trades)
    return Account(
        currency=real.currency,
        cash=cash,
        orderable=cash,
        holdings=tuple(
            Holding(
                p.instrument, p.quantity, p.quantity, p.average_price, _last(quotes.get(symbol))
            )
            for symbol, p in state.positions.items()
        ),
        at=at,
        krw_rate=real.krw_rate,
    )


def _last(quote: Quote | None) -> Decimal:
    return quote.last if quote is not None and is_price(quote.last) else Decimal(0)


def mark_of(
    planner: str,
    account: Account,
    group: MarketGroup,
    session: date,
    *,
    observed: int = 0,
    matched: int = 0,
) -> ShadowMark | None:
    """What an account of a shadow is worth; None while a holding has no price."""
    if any(holding.last_price <= 0 for holding in account.holdings):
        return None
    point = EquityPoint.of(account, group.value, session, account.at)
    return ShadowMark(planner, point, observed, matched)


def books_of(
    state: ShadowState, account: Account, real: Books, *, at: datetime, limits: RiskLimits
) -> Books:
    """The books a tick decides on, as ``steps.reconcile`` makes them of a real account.

    Args:
        state: What the store holds.
        account: From :func:`account_of`.
        real: The real books of the same moment, for what a person has halted.
        at: Now, aware UTC.
        limits: The day's loss after which there are no more entries.
    """
    group, session = real.group, real.session
    book = state.book
    positions = {p.instrument.symbol: p for p in book.open_positions}
    curve = [mark.point for mark in state.marks]
    now = mark_of(state.planner, account, group, session)
    orders = tuple(trade.order for trade in state.trades if trade.session == session)
    base = (curve[0] if curve else now.point).equity if now else None
    halts = tuple(halt for halt in real.halts if halt.kind in _OF_A_PERSON)
    tripped = lost_too_much(curve, limits)
    if tripped:
        halts += (Halt("shadow", HaltKind.BREAKER, account.currency.value, tripped, at),)
    return Books(
        group=group,
        session=session,
        at=at,
        account=account,
        session_open_equity=base,
        positions=positions,
        protections={symbol: _guard(state, position, at) for symbol, position in positions.items()},
        orders=orders,
        halts=halts,
        book=(),
        last_decisions={},
        history=trade_history(
            account,
            session=session,
            at=at,
            orders=orders,
            fills=[trade.fill for trade in state.trades],
            closed=book.closed,
            splits=state.splits,
        ),
    )


def _guard(state: ShadowState, position: Position, at: datetime) -> Protection:
    """The stored guard of this very position, or a new one from the plan of its entry."""
    symbol = position.instrument.symbol
    guard = state.guards.get(symbol)
    if guard is not None and guard.opened_at == position.opened_at:
        return guard
    entries = (t for t in reversed(state.trades) if t.side is Side.BUY)
    entry = next((t for t in entries if t.instrument.symbol == symbol), None)
    return exits.new_protection(
        symbol,
        price=position.average_price,
        at=at,
        opened_at=position.opened_at,
        stop_loss_pct=entry.stop_loss_pct if entry else None,
        take_profit_pct=entry.take_profit_pct if entry else None,
    )
