"""What store and broker agree on at one moment; every decision of a tick stands on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from trading_core.model.difference import Difference
from trading_core.model.journal import Decision, Halt
from trading_core.model.market import MarketGroup
from trading_core.model.order import (
    BrokerOrder,
    Fill,
    IntentReason,
    OrderRecord,
    OrderState,
    Side,
)
from trading_core.model.portfolio import Account, AdoptedLot, Position, Protection
from trading_core.rules.trade_history import TradeHistory

IN_FLIGHT = timedelta(seconds=30)
"""After this long a sender that has written down no answer is taken for dead."""


@dataclass(frozen=True, slots=True)
class Books:
    """Store and broker in agreement at one moment.

    ``positions`` are the open ones by symbol. ``session_open_equity`` is the breaker's base in the
    account's currency; None while the account's worth is not known, because a holding has no
    price. ``book`` is the broker's own list of orders, of this session and of those left over.
    ``accepted_pnl_pct`` is the day's P&L at which a person lifted the breaker in this session.
    ``differences`` are those this look was the first to see, ``answered`` the orders whose answer
    was lost and that it found or gave up.
    ``elsewhere`` are the unsettled orders of the account's other market groups, ``decided`` the
    decisions behind the session's orders, by id.
    """

    group: MarketGroup
    session: date
    at: datetime
    account: Account
    session_open_equity: Decimal | None
    positions: Mapping[str, Position]
    protections: Mapping[str, Protection]
    orders: tuple[OrderRecord, ...]
    halts: tuple[Halt, ...]
    book: tuple[BrokerOrder, ...]
    last_decisions: Mapping[str, str]
    new_fills: tuple[Fill, ...] = ()
    adopted: tuple[AdoptedLot, ...] = ()
    new_halts: tuple[Halt, ...] = ()
    accepted_pnl_pct: Decimal | None = None
    history: TradeHistory = field(default_factory=TradeHistory)
    elsewhere: tuple[OrderRecord, ...] = ()
    decided: Mapping[str, Decision] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    answered: tuple[OrderRecord, ...] = ()

    @property
    def unknown(self) -> bool:
        """Whether the fate of any order of the account is unknown; nothing is sent while one is.

        What another market sent a moment ago is on its way, not unknown.
        """
        return any(record.state.is_unsure for record in self.orders) or any(
            record.state is OrderState.UNKNOWN
            or (record.state is OrderState.SENDING and self.at - record.events[-1].at >= IN_FLIGHT)
            for record in self.elsewhere
        )

    @property
    def working(self) -> frozenset[tuple[str, Side]]:
        """(symbol, side) of every order that may still fill."""
        return frozenset(
            (record.intent.instrument.symbol, record.intent.side)
            for record in self.orders
            if record.state.is_working
        )

    @property
    def reduced_today(self) -> frozenset[str]:
        """Symbols of which a scenario sold shares in this session."""
        return frozenset(
            record.intent.instrument.symbol
            for record in self.orders
            if record.intent.session == self.session
            and record.intent.reason is IntentReason.SCENARIO_EXIT
            and record.filled_quantity > 0
        )

    @property
    def known_numbers(self) -> frozenset[str]:
        """All order numbers of the session that the broker's book shows."""
        return frozenset(row.order_no for row in self.book if row.session == self.session)

    def row(self, record: OrderRecord) -> BrokerOrder | None:
        """The broker's row of an order; numbers begin anew with every session."""
        wanted = (record.intent.session, record.order_no)
        return next((row for row in self.book if (row.session, row.order_no) == wanted), None)
