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
    OrderRecord,
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
from trading_core.rules.positions import PositionBook, fold_positions
from trading_core.rules.trade_history import trade_history
from trading_core.rules.trading_state import accepted_pnl_pct
from trading_core.steps.books import Books as Books


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
    days = [session]
    with store.write() as tx:
        known = _Known.read(tx, group, session)
        known, first = _settle_orders(tx, known, days, book, at, session_over=session_over)
        others = {r.intent.session for r in known.unsettled} - {session}
        if not others and not _mismatches(known, account):
            return _close(tx, known, account, at, book, first)
    # Rare: orders left over from other sessions, or shares no order explains. A fill may also have
    # fallen between the two questions above, so only what a second look confirms is adopted.
    days += sorted(others)
    for day in [*days[1:], session]:
        book += await broker.orders(group, day)
    with store.write() as tx:
        known = _Known.read(tx, group, session)
        known, second = _settle_orders(tx, known, days, book, at, session_over=session_over)
        lots = [] if second.fills else _adopt(tx, known, account, at)
        if lots:
            known = _Known.read(tx, group, session)
        return _close(tx, known, account, at, book, first.plus(second), lots)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store knows, read once and again only after it was changed.

    ``orders`` are those of the session and every unsettled one, by intent.
    """

    group: MarketGroup
    session: date
    orders: Mapping[str, OrderRecord]
    fills: Sequence[Fill]
    shares: PositionBook

    @classmethod
    def read(cls, tx: StoreReader, group: MarketGroup, session: date) -> _Known:
        orders = tx.live_orders(group, session)
        fills = tx.fills(group)
        shares = fold_positions(fills, tx.adopted_lots(group))
        return cls(group, session, {r.intent.intent_id: r for r in orders}, fills, shares)

    @property
    def unsettled(self) -> list[OrderRecord]:
        """Orders that are not final, in order of creation."""
        left = [record for record in self.orders.values() if not record.state.is_final]
        return sorted(left, key=lambda record: record.intent.created_at)

    def positions(self) -> dict[str, Position]:
        """Open positions; where a symbol has shares of both origins, the strategy's."""
        found = self.shares.open_positions
        ours_last = sorted(found, key=lambda p: p.origin is PositionOrigin.STRATEGY)
        return {position.instrument.symbol: position for position in ours_last}


@dataclass(frozen=True, slots=True)
class _Repairs:
    fills: tuple[Fill, ...] = ()
    halts: tuple[Halt, ...] = ()

    def plus(self, other: _Repairs) -> _Repairs:
        return _Repairs(self.fills + other.fills, self.halts + other.halts)


def _settle_orders(
    tx: StoreWriter,
    known: _Known,
    days: Sequence[date],
    book: Sequence[BrokerOrder],
    at: datetime,
    *,
    session_over: bool,
) -> tuple[_Known, _Repairs]:
    """Settle what the book can settle; a later row of the same number replaces an earlier one.

    ``days`` are the sessions the book was asked for. One without any row was asked for all the
    same: what was lost in it is not there.
    """
    newest = list({(row.session, row.order_no): row for row in book}.values())
    claimed = {day: _claimed(tx, known, day) for day in days}
    fills: list[Fill] = []
    halts: list[Halt] = []
    events = 0
    for record in known.unsettled:
        day = record.intent.session
        if day not in days:
            continue
        rows = [row for row in newest if row.session == day]
        over = session_over or day < known.session
        outcome = settle(record, rows, claimed=claimed[day], at=at, session_over=over)
        claimed[day] |= {item.order_no for item in outcome.events if item.order_no}
        if outcome.ambiguous and not _stands(tx, record):
            halts.append(_ambiguous_halt(record, outcome, at))
        if outcome.fill is not None:
            fills.append(outcome.fill)
        events += len(outcome.events)
        tx.append([*outcome.events, *([outcome.fill] if outcome.fill else [])])
    if halts:
        tx.append(halts)
    if events:
        known = _Known.read(tx, known.group, known.session)
    return known, _Repairs(tuple(fills), tuple(halts))


def _claimed(tx: StoreReader, known: _Known, day: date) -> set[str]:
    """Numbers of a session's book that belong to orders of ours; they begin anew every session."""
    records = tx.orders(known.group, day) if day != known.session else known.orders.values()
    return {r.order_no for r in records if r.order_no and r.intent.session == day}


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
            f"lost; it may be any of {', '.join(outcome.ambiguous)}. Look at the broker, then: "
            f"ouroboros settle {intent.intent_id} ORDER_NO"
        ),
        raised_at=at,
    )


def _mismatches(known: _Known, account: Account) -> dict[Instrument, int]:
    """Shares at the broker less shares we account for, where they differ.

    Symbols with an order that may still fill are left out: their fills are still arriving.
    """
    positions = known.shares.open_positions
    instruments = {p.instrument.symbol: p.instrument for p in positions}
    instruments |= {h.instrument.symbol: h.instrument for h in account.holdings}
    difference: Counter[str] = Counter()
    for holding in account.holdings:
        difference[holding.instrument.symbol] += holding.quantity
    for position in positions:
        difference[position.instrument.symbol] -= position.quantity
    busy = {
        record.intent.instrument.symbol for record in known.unsettled if record.state.is_working
    }
    return {
        instruments[symbol]: quantity
        for symbol, quantity in sorted(difference.items())
        if quantity and symbol not in busy
    }


def _adopt(tx: StoreWriter, known: _Known, account: Account, at: datetime) -> list[AdoptedLot]:
    lots = []
    for instrument, quantity in _mismatches(known, account).items():
        holding = account.holding(instrument.symbol)
        lots.append(
            AdoptedLot(
                lot_id=f"{known.group}-{instrument.symbol}-{at:%Y%m%dT%H%M%SZ}",
                instrument=instrument,
                session=known.session,
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
    known: _Known,
    account: Account,
    at: datetime,
    book: Sequence[BrokerOrder],
    repairs: _Repairs,
    adopted: Iterable[AdoptedLot] = (),
) -> Books:
    """Write where the account stands and read everything the tick decides on."""
    group, session = known.group, known.session
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
    decisions = tx.decisions(group, session)
    ordered = {record.intent.decision_id for record in known.orders.values()}
    books = Books(
        group=group,
        session=session,
        at=at,
        account=account,
        session_open_equity=curve[0].equity if curve else None,
        positions=known.positions(),
        protections=tx.protections(group),
        orders=tuple(known.orders.values()),
        halts=risk.halts_for(tx.open_halts(), group=group, currency=account.currency),
        book=tuple({(r.session, r.order_no): r for r in book}.values()),
        last_decisions={
            d.instrument.symbol: str(d.context_snapshot.get("fingerprint", "")) for d in decisions
        },
        new_fills=repairs.fills,
        new_halts=repairs.halts,
        adopted=tuple(adopted),
        accepted_pnl_pct=accepted_pnl_pct(tx.halts(), currency=account.currency, session=session),
        history=trade_history(
            account,
            session=session,
            at=at,
            orders=known.orders.values(),
            fills=known.fills,
            closed=known.shares.closed,
        ),
        elsewhere=tuple(
            record
            for record in tx.unsettled_orders()
            if record.intent.instrument.market.group is not group
        ),
        decided={d.decision_id: d for d in decisions if d.decision_id in ordered},
    )
    guards = _guard_new_positions(tx, books, at)
    if guards:
        tx.append(ProtectionRow(group.value, session, guard) for guard in guards)
    return replace(books, protections={**books.protections, **{g.symbol: g for g in guards}})


def _guard_new_positions(tx: StoreReader, books: Books, at: datetime) -> list[Protection]:
    """Every open position has a guard: from its entry's plan, or the default one."""
    unguarded, guards = {}, []
    for symbol, position in books.positions.items():
        guard = books.protections.get(symbol)
        if guard is None or (guard.opened_at or guard.updated_at) < position.opened_at:
            unguarded[symbol] = position
        elif guard.opened_at is None:
            guards.append(replace(guard, opened_at=position.opened_at, updated_at=at))
    if not unguarded:
        return guards
    entries = {
        record.intent.instrument.symbol: record.intent.decision_id
        for record in tx.orders(books.group)
        if record.intent.side is Side.BUY and record.filled_quantity
    }
    plans = {d.decision_id: d.context_snapshot for d in tx.decisions(books.group)}
    for symbol, position in unguarded.items():
        planned = position.origin is PositionOrigin.STRATEGY
        plan = plans.get(entries.get(symbol, ""), {}) if planned else {}
        guards.append(
            exits.new_protection(
                symbol,
                price=position.average_price,
                at=at,
                opened_at=position.opened_at,
                stop_loss_pct=plan.get("stop_loss_pct"),
                take_profit_pct=plan.get("take_profit_pct"),
            )
        )
    return guards
