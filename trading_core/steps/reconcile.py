"""The start of every tick: make the store agree with the broker, or stop and say so.

The broker is asked first, the store is opened after, once. What differs is repaired by appending:
fills that happened, orders whose fate was unknown, holdings nobody planned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from trading_core.model.audit import DecisionFilter
from trading_core.model.journal import Decision, EquityPoint, Json, ProtectionRow
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.order import (
    BrokerOrder,
    Side,
)
from trading_core.model.portfolio import (
    Account,
    AdoptedLot,
    PositionOrigin,
    Protection,
    Split,
)
from trading_core.ports import Broker, Store, StoreReader, StoreWriter
from trading_core.rules import exits, risk
from trading_core.rules.chase import stood_on
from trading_core.rules.evidence import Evidence, is_ghost
from trading_core.rules.trade_history import trade_history
from trading_core.rules.trading_state import accepted_pnl_pct
from trading_core.steps.books import Books as Books
from trading_core.steps.differences import write_differences
from trading_core.steps.settling import Known, Repairs, settle_orders
from trading_core.steps.splits import AFTERWARDS, PART_PAID_OUT, book_splits


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
        known = Known.read(tx, group, session)
        known, first = settle_orders(tx, known, days, book, account, at, session_over=session_over)
        others = {r.intent.session for r in known.unsettled} - {session}
        if not others and not _mismatches(known, account):
            return _close(tx, known, account, at, book, first)
    # Rare: orders left over from other sessions, or shares no order explains. A fill may also have
    # fallen between the two questions above, so only what a second look confirms is adopted.
    days += sorted(others)
    for day in [*days[1:], session]:
        book += await broker.orders(group, day)
    with store.write() as tx:
        known = Known.read(tx, group, session)
        known, second = settle_orders(tx, known, days, book, account, at, session_over=session_over)
        if second.fills:
            return _close(tx, known, account, at, book, first.plus(second))
        differing = _mismatches(known, account)
        splits = book_splits(
            tx, known.shares, account, differing, group=group, session=session, at=at
        )
        if splits:
            known = Known.read(tx, group, session)
        lots = _adopt(tx, known, account, at, splits)
        if lots:
            known = Known.read(tx, group, session)
        return _close(tx, known, account, at, book, first.plus(second), lots, splits)


def _mismatches(known: Known, account: Account) -> dict[Instrument, int]:
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


def _adopt(
    tx: StoreWriter, known: Known, account: Account, at: datetime, splits: Iterable[Split]
) -> list[AdoptedLot]:
    lots = []
    halved = {split.instrument.symbol for split in splits}
    for instrument, quantity in _mismatches(known, account).items():
        symbol = instrument.symbol
        holding = account.holding(symbol)
        lots.append(
            AdoptedLot(
                lot_id=f"{known.group}-{symbol}-{at:%Y%m%dT%H%M%SZ}",
                instrument=instrument,
                session=known.session,
                quantity=quantity,
                price=holding.average_price if holding else _left_at(known, symbol),
                currency=account.currency,
                adopted_at=at + AFTERWARDS if symbol in halved else at,
                note=PART_PAID_OUT if symbol in halved else _note(known, symbol, quantity),
                krw_rate=account.krw_rate,
            )
        )
    tx.append(lots)
    return lots


def _note(known: Known, symbol: str, quantity: int) -> str:
    if quantity > 0:
        return "found at the broker"
    if is_ghost(symbol, known.orders.values(), known.session):
        return "a ghost: the broker had none of it to sell"
    return "gone from the broker"


def _left_at(known: Known, symbol: str) -> Decimal:
    """What shares cost that are gone: nobody said what they went for, so no profit is booked."""
    position = known.positions().get(symbol)
    return position.average_price if position else Decimal(0)


def _close(
    tx: StoreWriter,
    known: Known,
    account: Account,
    at: datetime,
    book: Sequence[BrokerOrder],
    repairs: Repairs,
    adopted: Iterable[AdoptedLot] = (),
    splits: Sequence[Split] = (),
) -> Books:
    """Write where the account stands and read everything the tick decides on."""
    group, session = known.group, known.session
    # A holding without a price would look like a loss of all it is worth.
    priced = all(holding.last_price > 0 for holding in account.holdings)
    if priced:
        tx.append([EquityPoint.of(account, group.value, session, at)])
    curve = tx.equity_curve(group, session) if priced else ()
    decisions = tx.decisions(group, session)
    adopted, orders = tuple(adopted), tuple(known.orders.values())
    # A day may have been asked for twice; what was said last is what holds.
    book = tuple({(row.session, row.order_no): row for row in book}.values())
    differences, raised = write_differences(
        tx,
        Evidence(
            group,
            session,
            at,
            account,
            book=book,
            orders=orders,
            fills=[fill for fill in known.fills if fill.session == session],
            uncovered=known.shares.uncovered,
            curve=curve,
            held_then=stood_on(decisions),
            lots=adopted,
            splits=splits,
            late_fills=repairs.late,
            settled=repairs.answered,
        ),
    )
    ordered = {record.intent.decision_id for record in orders}
    positions = known.positions()
    held = {*positions, *(holding.instrument.symbol for holding in account.holdings)}
    halts = tx.halts()
    open_halts = [halt for halt in halts if halt.lifted_at is None]
    books = Books(
        group=group,
        session=session,
        at=at,
        account=account,
        session_open_equity=curve[0].equity if curve else None,
        positions=positions,
        protections=tx.protections(group, held),
        orders=orders,
        halts=risk.halts_for(open_halts, group=group, currency=account.currency),
        book=book,
        last_decisions={
            d.instrument.symbol: str(d.context_snapshot.get("fingerprint", "")) for d in decisions
        },
        new_fills=repairs.fills,
        new_halts=(*repairs.halts, *raised),
        adopted=adopted,
        differences=differences,
        answered=repairs.answered,
        accepted_pnl_pct=accepted_pnl_pct(halts, currency=account.currency, session=session),
        history=trade_history(
            account,
            session=session,
            at=at,
            orders=orders,
            fills=known.fills,
            closed=known.shares.closed,
            splits=known.splits,
        ),
        elsewhere=tuple(
            record
            for record in tx.unsettled_orders()
            if record.intent.instrument.market.group is not group
        ),
        decided={d.decision_id: d for d in decisions if d.decision_id in ordered},
    )
    guards = _guard_new_positions(tx, known, books, decisions)
    if guards:
        tx.append(ProtectionRow(group.value, session, guard) for guard in guards)
    return replace(books, protections={**books.protections, **{g.symbol: g for g in guards}})


def _guard_new_positions(
    tx: StoreReader, known: Known, books: Books, decisions: Iterable[Decision]
) -> list[Protection]:
    """Every open position has a guard: from its entry's plan, or the default one."""
    unguarded, guards = {}, []
    for symbol, position in books.positions.items():
        guard = books.protections.get(symbol)
        if guard is None or (guard.opened_at or guard.updated_at) < position.opened_at:
            unguarded[symbol] = position
        elif guard.opened_at is None:
            guards.append(replace(guard, opened_at=position.opened_at, updated_at=books.at))
    planned = [s for s, p in unguarded.items() if p.origin is PositionOrigin.STRATEGY]
    plans = _entry_plans(tx, known, planned, decisions) if planned else {}
    for symbol, position in unguarded.items():
        plan = plans.get(symbol, {})
        guards.append(
            exits.new_protection(
                symbol,
                price=position.average_price,
                at=books.at,
                opened_at=position.opened_at,
                stop_loss_pct=plan.get("stop_loss_pct"),
                take_profit_pct=plan.get("take_profit_pct"),
            )
        )
    return guards


def _entry_plans(
    tx: StoreReader, known: Known, symbols: Collection[str], decisions: Iterable[Decision]
) -> dict[str, Json]:
    """What was decided with the last entry of each symbol; nothing where it is not known."""
    bought = {
        fill.instrument.symbol: fill.intent_id
        for fill in known.fills
        if fill.side is Side.BUY and fill.instrument.symbol in symbols
    }
    entries = {
        symbol: known.orders.get(intent_id) or tx.order(intent_id)
        for symbol, intent_id in bought.items()
    }
    ids = {symbol: order.intent.decision_id for symbol, order in entries.items() if order}
    plans = {decision.decision_id: decision.context_snapshot for decision in decisions}
    older = tuple(sorted(set(ids.values()) - plans.keys()))
    if older:
        logged = tx.decision_log(DecisionFilter(ids=older))
        plans |= {row.decision.decision_id: row.decision.context_snapshot for row in logged}
    return {symbol: plans.get(decision_id, {}) for symbol, decision_id in ids.items()}
