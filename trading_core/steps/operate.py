"""What a person may do by hand, and the answers to their questions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

from trading_core.errors import ConfigError
from trading_core.model.journal import Decision, Halt, HaltKind, MatchRow, ObservationRow
from trading_core.model.market import MarketGroup
from trading_core.model.order import OrderRecord, OrderState
from trading_core.ports import Store
from trading_core.rules import risk
from trading_core.rules.order_life import event


def halt(
    store: Store,
    *,
    scope: str,
    reason: str,
    at: datetime,
    kind: HaltKind = HaltKind.OPERATOR,
) -> Halt:
    """Stop entries of one market group (``KR``), one currency (``KRW``) or everything (``ALL``)."""
    raised = Halt(
        halt_id=f"{kind}-{scope}-{at:%Y%m%dT%H%M%S.%fZ}",
        kind=kind,
        scope=scope,
        reason=reason,
        raised_at=at,
    )
    with store.write() as tx:
        tx.append([raised])
    return raised


def resume(store: Store, *, scope: str, by: str, at: datetime) -> list[Halt]:
    """Lift the halts of a scope; every one of them for ``ALL``. Answers what was lifted.

    Raises:
        ConfigError: no reason was given; a halt is lifted by a person who says why.
    """
    if not by.strip():
        raise ConfigError("resume needs a reason: say why it is safe to trade again")
    with store.write() as tx:
        lifted = [h for h in tx.open_halts() if scope in (risk.ALL, h.scope)]
        for standing in lifted:
            tx.lift_halt(standing.halt_id, at=at, by=by)
    return lifted


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
        if record is None or record.state not in (OrderState.SENDING, OrderState.UNKNOWN):
            raise ConfigError(f"{intent_id}: there is no order of unknown fate with this id")
        owner = [r for r in orders if order_no and r.order_no == order_no]
        if any(r.intent.session == record.intent.session for r in owner):
            raise ConfigError(f"{order_no} is the number of another order")
        state = OrderState.ACCEPTED if order_no else OrderState.NOT_SENT
        settled = event(record, state, at, order_no=order_no, note=f"settled by hand: {by}")
        tx.append([settled])
    return replace(record, state=state, events=(*record.events, settled))


@dataclass(frozen=True, slots=True)
class Why:
    """Everything known of one symbol in one session, newest last."""

    symbol: str
    session: date
    observations: tuple[ObservationRow, ...]
    matches: tuple[MatchRow, ...]
    decisions: tuple[Decision, ...]
    orders: tuple[OrderRecord, ...]


def why(store: Store, *, group: MarketGroup, session: date, symbol: str) -> Why:
    """The funnel of one symbol: what was seen, what nearly matched, what was decided and sent."""
    with store.read() as reader:
        return Why(
            symbol=symbol,
            session=session,
            observations=tuple(reader.observations(group, session, symbol)),
            matches=tuple(reader.matches(group, session, symbol)),
            decisions=tuple(reader.decisions(group, session, symbol)),
            orders=tuple(
                record
                for record in reader.orders(group, session)
                if record.intent.instrument.symbol == symbol
            ),
        )
