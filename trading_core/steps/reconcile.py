"""The start of every tick: make the store agree with the broker, or stop and say so.

The broker is asked first, the store is opened after, once. What differs is repaired by appending:
fills that happened, orders whose fate was unknown, holdings nobody planned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from trading_core.model.journal import EquityPoint, Halt, HaltKind, ProtectionRow
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.order import (
    BrokerOrder,
    Fill,
    IntentReason,
    OrderRecord,
    OrderState,
    Side,
)
from trading_core.model.portfolio import (
    Account,
    AdoptedLot,
    Position,
    PositionOrigin,
    Protection,
)
from trading_core.ports import Broker, Store, StoreReader, StoreWriter
from trading_core.rules import exits, risk
from trading_core.rules.order_life import Settlement, settle
from trading_core.rules.positions import fold_positions


@dataclass(frozen=True, slots=True)
class Books:
    """Store and broker in agreement at one moment.

    ``positions`` are the open ones by symbol. ``session_open_equity`` is the breaker's base in the
    account's currency; None while the account's worth is not known, because a holding has no
    price. ``book`` is the broker's own list of orders, of this session and of those left over.
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

    @property
    def unknown(self) -> bool:
        """Whether the fate of any order is unknown; nothing else is sent while one is."""
        return any(record.state in _UNSURE for record in self.orders)

    @property
    def working(self) -> frozenset[tuple[str, Side]]:
        """(symbol, side) of every order that may still fill."""
        return frozenset(
            (record.intent.instrument.symbol, record.intent.side)
            for record in self.orders
            if record.state.is_working
        )

    @property
    def tried_today(self) -> frozenset[str]:
        """Symbols that had their entry in this session, or were sold in it."""
        return frozenset(
            record.intent.instrument.symbol
            for record in self.orders
            if record.intent.session == self.session
            and record.state not in _NEVER_LEFT
            and (record.intent.side is Side.BUY or record.filled_quantity > 0)
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


_UNSURE = frozenset({OrderState.SENDING, OrderState.UNKNOWN})
_NEVER_LEFT = frozenset({OrderState.INTENDED, OrderState.NOT_SENT, OrderState.REFUSED})


async def reconcile(
    broker: Broker,
    store: Store,
    *,
    group: MarketGroup,
    session: date,
    at: datetime,
    session_over: bool = False,
) -> Books:
    """Ask the broker, repair the store, and hand both back as one value.

    Running it twice at the same moment changes nothing the second time.

    Raises:
        BrokerUnavailable: the broker gave no usable answer; nothing was written.
        StoreBusy: the store could not be opened in time.
    """
    book = list(await broker.orders(group, session))
    account = await broker.account(group)
    with store.write() as tx:
        first = _settle_orders(tx, group, session, book, at, session_over=session_over)
        others = sorted({r.intent.session for r in tx.unsettled_orders(group)} - {session})
        doubtful = _mismatches(tx, group, account)
        if not others and not doubtful:
            return _close(tx, group, session, account, at, book, first)
    # Rare: orders left over from other sessions, or shares no order explains. A fill may also have
    # fallen between the two questions above, so only what a second look confirms is adopted.
    for day in others:
        book += await broker.orders(group, day)
    book += await broker.orders(group, session)
    with store.write() as tx:
        second = _settle_orders(tx, group, session, book, at, session_over=session_over)
        lots = [] if second.fills else _adopt(tx, group, session, account, at)
        return _close(tx, group, session, account, at, book, first.plus(second), lots)


@dataclass(frozen=True, slots=True)
class _Repairs:
    fills: tuple[Fill, ...] = ()
    halts: tuple[Halt, ...] = ()

    def plus(self, other: _Repairs) -> _Repairs:
        return _Repairs(self.fills + other.fills, self.halts + other.halts)


def _settle_orders(
    tx: StoreWriter,
    group: MarketGroup,
    session: date,
    book: Sequence[BrokerOrder],
    at: datetime,
    *,
    session_over: bool,
) -> _Repairs:
    """Settle what the book can settle; a later row of the same number replaces an earlier one."""
    newest = list({(row.session, row.order_no): row for row in book}.values())
    asked = {row.session for row in newest} | {session}
    claimed = {day: {r.order_no for r in tx.orders(group, day) if r.order_no} for day in asked}
    fills: list[Fill] = []
    halts: list[Halt] = []
    for record in tx.unsettled_orders(group):
        day = record.intent.session
        if day not in asked:
            continue
        rows = [row for row in newest if row.session == day]
        over = session_over or day < session
        outcome = settle(record, rows, claimed=claimed[day], at=at, session_over=over)
        claimed[day] |= {item.order_no for item in outcome.events if item.order_no}
        if outcome.ambiguous and not _stands(tx, record):
            halts.append(_ambiguous_halt(record, outcome, at))
        if outcome.fill is not None:
            fills.append(outcome.fill)
        tx.append([*outcome.events, *([outcome.fill] if outcome.fill else [])])
    tx.append(halts)
    return _Repairs(tuple(fills), tuple(halts))


def _stands(tx: StoreReader, record: OrderRecord) -> bool:
    """Whether a halt over this order is open already; a lifted one is raised again."""
    name = f"unknown-{record.intent.intent_id}"
    return any(halt.halt_id.startswith(name) for halt in tx.open_halts())


def _ambiguous_halt(record: OrderRecord, outcome: Settlement, at: datetime) -> Halt:
    intent = record.intent
    return Halt(
        halt_id=f"unknown-{intent.intent_id}-{at:%Y%m%dT%H%M%SZ}",
        kind=HaltKind.UNKNOWN_ORDER,
        scope=risk.ALL,
        reason=(
            f"{intent.side} {intent.quantity} {intent.instrument.symbol} was sent and its answer "
            f"lost; it may be any of {', '.join(outcome.ambiguous)}: settle it by hand"
        ),
        raised_at=at,
    )


def _mismatches(tx: StoreReader, group: MarketGroup, account: Account) -> dict[Instrument, int]:
    """Shares at the broker less shares we account for, where they differ.

    Symbols with an order that may still fill are left out: their fills are still arriving.
    """
    positions = fold_positions(tx.fills(group), tx.adopted_lots(group)).open_positions
    instruments = {p.instrument.symbol: p.instrument for p in positions}
    instruments |= {h.instrument.symbol: h.instrument for h in account.holdings}
    difference: Counter[str] = Counter()
    for holding in account.holdings:
        difference[holding.instrument.symbol] += holding.quantity
    for position in positions:
        difference[position.instrument.symbol] -= position.quantity
    busy = {
        record.intent.instrument.symbol
        for record in tx.unsettled_orders(group)
        if record.state.is_working
    }
    return {
        instruments[symbol]: quantity
        for symbol, quantity in sorted(difference.items())
        if quantity and symbol not in busy
    }


def _adopt(
    tx: StoreWriter, group: MarketGroup, session: date, account: Account, at: datetime
) -> list[AdoptedLot]:
    lots = []
    for instrument, quantity in _mismatches(tx, group, account).items():
        holding = account.holding(instrument.symbol)
        lots.append(
            AdoptedLot(
                lot_id=f"{group}-{instrument.symbol}-{at:%Y%m%dT%H%M%SZ}",
                instrument=instrument,
                session=session,
                quantity=quantity,
                price=holding.average_price if holding else Decimal(0),
                currency=account.currency,
                adopted_at=at,
                note="found at the broker" if quantity > 0 else "gone from the broker",
            )
        )
    tx.append(lots)
    return lots


def _close(
    tx: StoreWriter,
    group: MarketGroup,
    session: date,
    account: Account,
    at: datetime,
    book: Sequence[BrokerOrder],
    repairs: _Repairs,
    adopted: Iterable[AdoptedLot] = (),
) -> Books:
    """Write where the account stands and read everything the tick decides on."""
    # A holding without a price would look like a loss of all it is worth.
    priced = all(holding.last_price > 0 for holding in account.holdings)
    if priced:
        tx.append(
            [
                EquityPoint(
                    market=group.value,
                    session=session,
                    at=at,
                    currency=account.currency,
                    cash=account.cash,
                    holdings_value=account.equity - account.cash,
                    equity=account.equity,
                )
            ]
        )
    curve = tx.equity_curve(group, session) if priced else ()
    orders = {r.intent.intent_id: r for r in tx.orders(group, session)}
    orders |= {r.intent.intent_id: r for r in tx.unsettled_orders(group)}
    books = Books(
        group=group,
        session=session,
        at=at,
        account=account,
        session_open_equity=curve[0].equity if curve else None,
        positions=_by_symbol(tx, group),
        protections=tx.protections(group),
        orders=tuple(orders.values()),
        halts=risk.halts_for(tx.open_halts(), group=group, currency=account.currency),
        book=tuple({(r.session, r.order_no): r for r in book}.values()),
        last_decisions={
            d.instrument.symbol: str(d.context_snapshot.get("fingerprint", ""))
            for d in tx.decisions(group, session)
        },
        new_fills=repairs.fills,
        new_halts=repairs.halts,
        adopted=tuple(adopted),
    )
    guards = _guard_new_positions(tx, books, at)
    tx.append(ProtectionRow(group.value, session, guard) for guard in guards)
    return replace(books, protections={**books.protections, **{g.symbol: g for g in guards}})


def _by_symbol(tx: StoreReader, group: MarketGroup) -> dict[str, Position]:
    """Open positions; where a symbol has shares of both origins, the strategy's."""
    book = fold_positions(tx.fills(group), tx.adopted_lots(group))
    ours_last = sorted(book.open_positions, key=lambda p: p.origin is PositionOrigin.STRATEGY)
    return {position.instrument.symbol: position for position in ours_last}


def _guard_new_positions(tx: StoreReader, books: Books, at: datetime) -> list[Protection]:
    """Every open position has a guard: from its entry's plan, or the default one."""
    unguarded = {
        symbol: position
        for symbol, position in books.positions.items()
        if symbol not in books.protections
        or books.protections[symbol].updated_at < position.opened_at
    }
    if not unguarded:
        return []
    entries = {
        record.intent.instrument.symbol: record.intent.decision_id
        for record in tx.orders(books.group)
        if record.intent.side is Side.BUY and record.filled_quantity
    }
    plans = {d.decision_id: d.context_snapshot for d in tx.decisions(books.group)}
    guards = []
    for symbol, position in unguarded.items():
        planned = position.origin is PositionOrigin.STRATEGY
        plan = plans.get(entries.get(symbol, ""), {}) if planned else {}
        guards.append(
            exits.new_protection(
                symbol,
                price=position.average_price,
                at=at,
                stop_loss_pct=plan.get("stop_loss_pct"),
                take_profit_pct=plan.get("take_profit_pct"),
            )
        )
    return guards
