"""What the broker's book says about our orders, written down: fills, fates, and open questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from trading_core.model.journal import Halt, HaltKind
from trading_core.model.market import MarketGroup
from trading_core.model.order import BrokerOrder, Fill, OrderEvent, OrderRecord
from trading_core.model.portfolio import Account, AdoptedLot, Position, PositionOrigin, Split
from trading_core.ports import StoreReader, StoreWriter
from trading_core.rules import risk
from trading_core.rules.order_life import Settlement, fill_of_row, settle
from trading_core.rules.positions import PositionBook, fold_positions


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows, read once and again only after it was changed.

    ``orders`` are those of the session and every unsettled one, by intent.
    """

    group: MarketGroup
    session: date
    orders: Mapping[str, OrderRecord]
    fills: Sequence[Fill]
    lots: Sequence[AdoptedLot]
    splits: Sequence[Split]
    shares: PositionBook

    @classmethod
    def read(cls, tx: StoreReader, group: MarketGroup, session: date) -> Known:
        orders = {r.intent.intent_id: r for r in tx.live_orders(group, session)}
        fills, lots, splits = tx.fills(group), tx.adopted_lots(group), tx.splits(group)
        shares = fold_positions(fills, lots, splits)
        return cls(group, session, orders, fills, lots, splits, shares)

    def after(self, orders: Mapping[str, OrderRecord], fills: Sequence[Fill]) -> Known:
        """The same once these orders and fills are written down."""
        known = replace(self, orders={**self.orders, **orders})
        if not fills:
            return known
        together = [*self.fills, *fills]
        shares = fold_positions(together, self.lots, self.splits)
        return replace(known, fills=together, shares=shares)

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
class Repairs:
    """What settling appended; ``late`` are those of ``fills`` whose order was over, ``answered``
    the orders whose answer was lost and is known now."""

    fills: tuple[Fill, ...] = ()
    halts: tuple[Halt, ...] = ()
    late: tuple[Fill, ...] = ()
    answered: tuple[OrderRecord, ...] = ()

    def plus(self, other: Repairs) -> Repairs:
        return Repairs(
            self.fills + other.fills,
            self.halts + other.halts,
            self.late + other.late,
            self.answered + other.answered,
        )


def settle_orders(
    tx: StoreWriter,
    known: Known,
    days: Sequence[date],
    book: Sequence[BrokerOrder],
    account: Account,
    at: datetime,
    *,
    session_over: bool,
) -> tuple[Known, Repairs]:
    """Settle what the book can settle; a later row of the same number replaces an earlier one.

    ``days`` are the sessions the book was asked for. One without any row was asked for all the
    same: what was lost in it is not there.
    """
    newest = list({(row.session, row.order_no): row for row in book}.values())
    claimed = {day: _claimed(tx, known, day) for day in days}
    rates = {day: _krw_rate(tx, known, account, day) for day in days}
    settled: dict[str, OrderRecord] = {}
    events: list[OrderEvent] = []
    fills: list[Fill] = []
    halts: list[Halt] = []
    for record in known.unsettled:
        day = record.intent.session
        if day not in days:
            continue
        rows = [row for row in newest if row.session == day]
        over = session_over or day < known.session
        outcome = settle(
            record, rows, claimed=claimed[day], at=at, session_over=over, krw_rate=rates[day]
        )
        claimed[day] |= {item.order_no for item in outcome.events if item.order_no}
        if outcome.ambiguous and not _stands(tx, record):
            halts.append(_ambiguous_halt(record, outcome, at))
        if outcome.fill is not None:
            fills.append(outcome.fill)
        if outcome.events or outcome.fill:
            events += outcome.events
            settled[record.intent.intent_id] = record.after(outcome.events, outcome.fill)
    answered = [
        after
        for name, after in settled.items()
        if known.orders[name].state.is_unsure and not after.state.is_unsure
    ]
    late = _late_fills(known, newest, rates, at)
    settled |= {name: known.orders[name].after((), fill) for name, fill in late.items()}
    fills += late.values()
    if settled or halts:
        tx.append([*events, *fills, *halts])
        known = known.after(settled, fills)
    return known, Repairs(tuple(fills), tuple(halts), tuple(late.values()), tuple(answered))


def _krw_rate(tx: StoreReader, known: Known, account: Account, day: date) -> Decimal | None:
    """The won rate of a session: the broker's of now, or the last one that was seen in it."""
    if day == known.session:
        return account.krw_rate
    seen = (point.krw_rate for point in reversed(tx.equity_curve(known.group, day)))
    return next((rate for rate in seen if rate is not None), None)


def _late_fills(
    known: Known,
    book: Sequence[BrokerOrder],
    rates: Mapping[date, Decimal | None],
    at: datetime,
) -> dict[str, Fill]:
    """By intent, what the book shows as filled of orders that were taken for over."""
    rows = {(row.session, row.order_no): row for row in book}
    found = {}
    for name, record in known.orders.items():
        row = rows.get((record.intent.session, record.order_no))
        if row is None or not record.state.is_final:
            continue
        fill = fill_of_row(record, row, at=at, krw_rate=rates.get(row.session))
        if fill is not None:
            found[name] = fill
    return found


def _claimed(tx: StoreReader, known: Known, day: date) -> set[str]:
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
