"""A backup takes the place of the state; then nothing is sent until it agrees with the broker.

Two halts see to it. One per market, which stops everything, is lifted by
:func:`agree_with_broker` alone, once two looks in a row found nothing to repair: then stops go on
by themselves. One over everything stops entries until a person lifts it who has looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from trading_core.errors import BackupError, BrokerError, TradingHalted
from trading_core.model.journal import Halt, HaltKind, HaltLevel
from trading_core.model.market import MarketGroup
from trading_core.model.order import (
    BrokerOrder,
    IntentReason,
    OrderEvent,
    OrderIntent,
    OrderRecord,
    OrderState,
    OrderType,
    Side,
)
from trading_core.model.safekeeping import BackupManifest, Restore
from trading_core.ports import Broker, Store, StoreReader, StoreWriter
from trading_core.ports.safekeeping import BackupFolder, StorePlace
from trading_core.rules.backup_health import age
from trading_core.rules.calendar import local_date, session_on
from trading_core.rules.order_life import known_numbers_note
from trading_core.rules.trading_state import ALL
from trading_core.steps.books import Books
from trading_core.steps.kill_steps import newest_session
from trading_core.steps.lease import living_words
from trading_core.steps.reconcile import reconcile

FURTHEST_BACK = timedelta(days=80)
"""KIS shows the orders of the last three months."""

RECONCILE = "ouroboros restore --reconcile"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was, or would be, brought back. ``rows_before`` is None where no store opens now."""

    backup: BackupManifest
    source: str
    rows_before: int | None
    lost: timedelta
    restore: Restore | None = None
    halts: tuple[Halt, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the books of one market stand after a restore; ``problem`` is empty when they agree."""

    group: MarketGroup
    sessions: tuple[date, ...] = ()
    orders: int = 0
    fills: int = 0
    adopted: int = 0
    problem: str = ""


def choose(backups: Sequence[BackupManifest], at: datetime | None) -> BackupManifest:
    """The newest backup made at or before ``at``; the newest of all when it is None.

    Raises:
        BackupError: there is none.
    """
    found = [item for item in backups if at is None or item.at <= at]
    if not found:
        when = f" from {at:%Y-%m-%d %H:%M} UTC or before" if at else ""
        raise BackupError(f"there is no backup{when}; see: ouroboros restore --list")
    return max(found, key=lambda item: item.at)


def refuse_while_trading(place: StorePlace, at: datetime) -> None:
    """Raise ``TradingHalted`` while a session holds a market in the store that is there."""
    for name, owner in place.session_owners(at):
        who = living_words(owner)
        if who:
            raise TradingHalted(
                f"{name} is held by {who}; stop it first (one whose machine is gone runs out "
                "within 30 minutes)"
            )


def bring_back(
    place: StorePlace,
    folder: BackupFolder,
    backup: BackupManifest,
    *,
    source: str,
    groups: Iterable[MarketGroup],
    scratch: Path,
    safety_copy: Path,
    at: datetime,
    dry_run: bool = False,
) -> Restored:
    """Verify a backup and put it in the place of the store, halted.

    The halts are in the copy before it is put there, so there is no moment without them. With
    ``dry_run`` everything is verified and nothing is put anywhere.

    Args:
        scratch: A folder on the disk of the store.
        safety_copy: Where the store that is there now goes.

    Raises:
        TradingHalted: a session trades.
        BackupError: the backup is not what it was, or cannot be put there; the store is as it was.
        StoreBusy: a process keeps the store.
    """
    refuse_while_trading(place, at)
    before, lost = place.rows(), at - backup.at
    copy = scratch / "restored.db"
    try:
        folder.unpack(backup, copy)
        if dry_run:
            return Restored(backup, source, before, lost)
        made = Restore(
            restore_id=f"restore-{at:%Y%m%dT%H%M%S.%fZ}",
            at=at,
            backup_id=backup.backup_id,
            backup_at=backup.at,
            source=source,
            sha256=backup.sha256,
            rows=backup.rows,
            safety_copy=str(safety_copy) if place.exists() else "",
        )
        halts = _halts(backup, groups, at)
        place.forget_leases(copy)
        with place.open_copy(copy).write() as tx:
            tx.append([made, *halts])
        place.replace(copy, safety_copy)
    finally:
        copy.unlink(missing_ok=True)
    if place.rows() is None:
        raise BackupError(f"the restored store does not open; what was there is {safety_copy}")
    return Restored(backup, source, before, lost, made, halts)


def require_agreement(store: Store) -> None:
    """Raise ``TradingHalted`` while a restored state has not been compared with the broker."""
    with store.read() as reader:
        waiting = [halt.scope for halt in _waiting(reader)]
    if waiting:
        raise TradingHalted(
            f"{', '.join(waiting)}: the state was restored from a backup and has not been "
            f"compared with the broker yet; first: {RECONCILE}"
        )


async def agree_with_broker(broker: Broker, store: Store, *, at: datetime) -> tuple[Agreement, ...]:
    """Bring back from the broker's records what the backup does not know; markets that agree after
    it are freed of their halt, the others keep it.

    Orders that nobody knows, of every session since the backup, are taken over with their fills;
    then the books are reconciled twice, and the second time must find nothing. Doing it again
    changes nothing.
    """
    with store.read() as reader:
        waiting = {halt.scope: halt for halt in _waiting(reader)}
        since = min((r.backup_at for r in reader.restores()[:1]), default=at)
    return tuple(
        [await _agree(broker, store, MarketGroup(scope), since, at) for scope in sorted(waiting)]
    )


async def _agree(
    broker: Broker, store: Store, group: MarketGroup, since: datetime, at: datetime
) -> Agreement:
    session = newest_session(group, at)
    over = at >= session.close_at
    days = _sessions(group, since, session.date, at)
    orders = 0
    try:
        for day in days:
            book = await broker.orders(group, day)
            with store.write() as tx:
                taken = _taken_over(tx, book, group, day, at)
                tx.append(taken)
            orders += sum(isinstance(item, OrderIntent) for item in taken)
        first = await reconcile(
            broker, store, group=group, session=session.date, at=at, session_over=over
        )
        second = await reconcile(
            broker, store, group=group, session=session.date, at=at, session_over=over
        )
    except BrokerError as error:
        return Agreement(group, tuple(days), orders, problem=f"the broker gave no answer: {error}")
    problem = _disagreement(second)
    if not problem:
        _free(store, group, at)
    return Agreement(
        group,
        tuple(days),
        orders,
        fills=len(first.new_fills) + len(second.new_fills),
        adopted=len(first.adopted) + len(second.adopted),
        problem=problem,
    )


def _disagreement(books: Books) -> str:
    """What the second look still had to repair; empty for nothing."""
    if books.unknown:
        return "the fate of an order is not known yet; try again in a minute"
    if books.new_halts:
        return books.new_halts[0].reason
    if books.new_fills or books.adopted:
        return "shares are still changing hands; try again in a minute"
    return ""


def _free(store: Store, group: MarketGroup, at: datetime) -> None:
    with store.write() as tx:
        for halt in _waiting(tx):
            if halt.scope == group:
                tx.lift_halt(halt.halt_id, at=at, by="books agree with the broker after a restore")


def _taken_over(
    tx: StoreReader, book: Sequence[BrokerOrder], group: MarketGroup, day: date, at: datetime
) -> list[OrderIntent | OrderEvent]:
    """Orders of the broker's book that the store does not know, as accepted orders of ours.

    Their fills follow when the books are reconciled. One that an order of unknown fate may be is
    left to that; of one that neither filled nor works nothing is left to know.
    """
    known = tx.orders(group, day)
    claimed = {record.order_no for record in known if record.order_no}
    unsure = {_shape(record) for record in known if record.state.is_unsure}
    found: list[OrderIntent | OrderEvent] = []
    for row in book:
        shape = (row.instrument.symbol, row.side, row.quantity)
        if row.order_no in claimed or row.original_no or shape in unsure:
            continue
        if row.filled_quantity or row.remaining_quantity:
            found += _as_ours(row, group, at)
    return found


def _shape(record: OrderRecord) -> tuple[str, Side, int]:
    intent = record.intent
    return intent.instrument.symbol, intent.side, intent.quantity


def _as_ours(row: BrokerOrder, group: MarketGroup, at: datetime) -> list[OrderIntent | OrderEvent]:
    name = f"recovered-{group}-{row.session}-{row.order_no}"
    average = row.filled_amount / row.filled_quantity if row.filled_quantity else Decimal(0)
    intent = OrderIntent(
        intent_id=name,
        decision_id=name,
        instrument=row.instrument,
        session=row.session,
        side=row.side,
        quantity=row.quantity,
        order_type=OrderType.LIMIT if row.limit_price else OrderType.MARKET,
        limit_price=row.limit_price or None,
        decided_price=row.limit_price or average,
        currency=row.currency,
        reason=IntentReason.ENTRY if row.side is Side.BUY else IntentReason.SCENARIO_EXIT,
        created_at=row.ordered_at,
    )
    numbers = {"order_no": row.order_no, "branch_no": row.branch_no}
    note = "taken over from the broker's book after a restore"
    return [
        intent,
        OrderEvent(name, 0, OrderState.INTENDED, row.ordered_at, note=note),
        OrderEvent(name, 1, OrderState.SENDING, row.ordered_at, note=known_numbers_note(())),
        OrderEvent(name, 2, OrderState.ACCEPTED, row.ordered_at, note=note, **numbers),
    ]


def _sessions(group: MarketGroup, since: datetime, last: date, at: datetime) -> list[date]:
    """Session dates from the backup to the newest one, as far back as the broker remembers."""
    day = max(local_date(group, since), local_date(group, at - FURTHEST_BACK))
    days = []
    while day < last:
        if session_on(group, day) is not None:
            days.append(day)
        day += timedelta(days=1)
    return [*days, last]


def _halts(backup: BackupManifest, groups: Iterable[MarketGroup], at: datetime) -> tuple[Halt, ...]:
    what = f"restored from the backup of {backup.at:%Y-%m-%d %H:%M} UTC, {age(at - backup.at)} old"
    stamp = f"{at:%Y%m%dT%H%M%S.%fZ}"
    until_agreed = [
        Halt(
            halt_id=f"{HaltKind.RESTORE}-{group}-{stamp}",
            kind=HaltKind.RESTORE,
            scope=group,
            reason=f"{what}; nothing is sent until it agrees with the broker: {RECONCILE}",
            raised_at=at,
            level=HaltLevel.HALTED,
        )
        for group in groups
    ]
    until_seen = Halt(
        halt_id=f"{HaltKind.OPERATOR}-{ALL}-{stamp}",
        kind=HaltKind.OPERATOR,
        scope=ALL,
        reason=f"{what}; look at the positions and at today's loss, which counts anew",
        raised_at=at,
    )
    return (*until_agreed, until_seen)


def _waiting(reader: StoreReader | StoreWriter) -> list[Halt]:
    return [halt for halt in reader.open_halts() if halt.kind is HaltKind.RESTORE]
