"""What a person may do by hand, and the answers to their questions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from trading_core.errors import ConfigError, TradingHalted
from trading_core.model.journal import (
    EquityPoint,
    Halt,
    HaltKind,
    HaltLevel,
)
from trading_core.model.limits import RiskLimits
from trading_core.model.market import MarketGroup
from trading_core.model.order import OrderRecord, OrderState
from trading_core.ports import Broker, Store, StoreReader, StoreWriter
from trading_core.rules import risk
from trading_core.rules.markets import currency_of
from trading_core.rules.order_life import event
from trading_core.rules.trading_state import (
    ALL,
    TradingState,
    accepted_pnl_pct,
    halts_for,
    trading_state,
)


def halt(
    store: Store,
    *,
    scope: str,
    reason: str,
    at: datetime,
    kind: HaltKind = HaltKind.OPERATOR,
    level: HaltLevel = HaltLevel.REDUCING,
) -> Halt:
    """Stop entries of one market group (``KR``), one currency (``KRW``) or everything (``ALL``).

    With the level HALTED nothing new is sent there at all, stops neither.
    """
    raised = new_halt(kind, scope, reason, at, level)
    with store.write() as tx:
        tx.append([raised])
    return raised


def new_halt(
    kind: HaltKind, scope: str, reason: str, at: datetime, level: HaltLevel = HaltLevel.REDUCING
) -> Halt:
    """A halt that is not stored yet."""
    return Halt(
        halt_id=f"{kind}-{scope}-{at:%Y%m%dT%H%M%S.%fZ}",
        kind=kind,
        scope=scope,
        reason=reason,
        raised_at=at,
        level=level,
    )


def resume(store: Store, *, scope: str, by: str, at: datetime) -> list[Halt]:
    """Lift the halts of a scope; every one of them for ``ALL``. Answers what was lifted.

    With a breaker the loss that stands is accepted, as it was last measured: the breaker trips
    again once it has grown further (``rules.trading_state.breaker_floor_pct``).

    Raises:
        ConfigError: no reason was given; a halt is lifted by a person who says why.
        TradingHalted: the state was restored from a backup and not yet compared with the broker,
            which alone lifts that halt; nothing is lifted before.
    """
    if not by.strip():
        raise ConfigError("resume needs a reason: say why it is safe to trade again")
    with store.write() as tx:
        standing = [h for h in tx.open_halts() if scope in (ALL, h.scope)]
        for unseen in (halt for halt in standing if halt.kind is HaltKind.RESTORE):
            raise TradingHalted(f"{unseen.scope}: {unseen.reason}")
        return [_lift(tx, halt, by=by, at=at) for halt in standing]


def lift_by_hand(
    tx: StoreWriter, *, scope: str, by: str, at: datetime, asked_at: datetime
) -> list[Halt]:
    """Lift what a person had raised in a scope by ``asked_at``, and nothing else; within a
    transaction."""
    mine = [h for h in tx.open_halts() if h.kind is HaltKind.OPERATOR and scope in (ALL, h.scope)]
    return [_lift(tx, halt, by=by, at=at) for halt in mine if halt.raised_at <= asked_at]


def _lift(tx: StoreWriter, standing: Halt, *, by: str, at: datetime) -> Halt:
    pnl = _last_pnl(tx, standing.scope) if standing.kind is HaltKind.BREAKER else None
    on, pct = pnl if pnl is not None else (None, None)
    tx.lift_halt(standing.halt_id, at=at, by=by, accepted_pnl_pct=pct, accepted_on=on)
    return replace(standing, lifted_at=at, lifted_by=by, accepted_pnl_pct=pct, accepted_on=on)


def _last_pnl(reader: StoreReader, currency: str) -> tuple[date, Decimal] | None:
    """The newest measured session and day P&L in percent of the market in this currency."""
    found = []
    for group in MarketGroup:
        day = reader.newest_session(group) if currency_of(group) == currency else None
        curve = reader.equity_curve(group, day) if day is not None else ()
        if day is not None and curve:
            pnl = risk.day_pnl_pct(curve[0].equity, curve[-1].equity)
            found.append((curve[-1].at, day, pnl))
    measured = [(day, pnl) for _, day, pnl in sorted(found, key=lambda item: item[0]) if pnl]
    return measured[-1] if measured else None


async def check_breaker(
    broker: Broker,
    store: Store,
    *,
    group: MarketGroup,
    session: date,
    at: datetime,
    limits: RiskLimits,
) -> Halt | None:
    """Look at the day's loss outside of any tick; a trip is stored and answered.

    One question to the broker. None while the loss is within its limit, a breaker stands already,
    the session has no equity to measure from yet, or a holding has no price.

    Raises:
        BrokerUnavailable: the broker gave no usable answer.
        StoreBusy: the store could not be opened in time.
    """
    account = await broker.account(group)
    if not all(holding.last_price > 0 for holding in account.holdings):
        return None
    with store.write() as tx:
        curve, halts = tx.equity_curve(group, session), tx.halts()
        standing = [halt for halt in halts if halt.lifted_at is None]
        state = risk.RiskState(
            account=account,
            session_open_equity=curve[0].equity if curve else None,
            halts=halts_for(standing, group=group, currency=account.currency),
            accepted_pnl_pct=accepted_pnl_pct(halts, currency=account.currency, session=session),
        )
        tripped = risk.breaker(state, limits, session=session, at=at)
        if tripped is not None:
            # The loss itself too: it is what a person accepts who lifts this.
            tx.append([tripped, EquityPoint.of(account, group.value, session, at)])
    return tripped


def watchdog_halt(store: Store, *, scope: str, reason: str, at: datetime) -> Halt:
    """No entries while what the watchdog of ``scope`` watches is not well.

    The one that stands already is answered instead of a second one.
    """
    with store.write() as tx:
        standing = _watchdogs(tx, scope)
        if standing:
            return standing[0]
        raised = new_halt(HaltKind.WATCHDOG, scope, reason, at)
        tx.append([raised])
    return raised


def watchdog_recovered(store: Store, *, scope: str, how: str, at: datetime) -> list[Halt]:
    """Lift the watchdog halts of ``scope``, and of no other kind; answers what was lifted.

    Args:
        how: What is well again; recorded with the halt.
    """
    with store.read() as reader:
        if not _watchdogs(reader, scope):
            return []
    with store.write() as tx:
        by = f"watchdog: {how}"
        return [_lift(tx, halt, by=by, at=at) for halt in _watchdogs(tx, scope)]


def _watchdogs(reader: StoreReader, scope: str) -> list[Halt]:
    found = (halt for halt in reader.open_halts() if halt.kind is HaltKind.WATCHDOG)
    return [halt for halt in found if halt.scope == scope]


def resume_command(halt: Halt) -> str:
    """What to type to lift a halt; it asks for the reason."""
    if halt.kind is HaltKind.RESTORE:
        return "ouroboros restore --reconcile"
    return f"ouroboros resume {halt.scope}"


def states(store: Store, groups: Iterable[MarketGroup]) -> dict[MarketGroup, TradingState]:
    """Whether each of these market groups may trade now."""
    with store.read() as reader:
        standing = reader.open_halts()
    return {
        group: trading_state(standing, group=group, currency=currency_of(group)) for group in groups
    }


def settle(store: Store, *, intent_id: str, order_no: str, by: str, at: datetime) -> OrderRecord:
    """Say by hand what became of an order whose fate is unknown.

    Args:
        intent_id: The order, as ``why`` and the halt's reason name it.
        order_no: The broker's number of it; empty when the broker never had it.
        by: Who says so, and why.

    Raises:
        ConfigError: no reason was given, there is no such order, its fate is known, or the number
            belongs to another order of ours.
    """
    if not by.strip():
        raise ConfigError("settling an order needs a reason: say where you looked")
    with store.write() as tx:
        orders = tx.orders()
        record = next((r for r in orders if r.intent.intent_id == intent_id), None)
        if record is None or not record.state.is_unsure:
            raise ConfigError(f"{intent_id}: there is no order of unknown fate with this id")
        owner = [r for r in orders if order_no and r.order_no == order_no]
        if any(r.intent.session == record.intent.session for r in owner):
            raise ConfigError(f"{order_no} is the number of another order")
        state = OrderState.ACCEPTED if order_no else OrderState.NOT_SENT
        settled = event(record, state, at, order_no=order_no, note=f"settled by hand: {by}")
        tx.append([settled])
    return replace(record, state=state, events=(*record.events, settled))
