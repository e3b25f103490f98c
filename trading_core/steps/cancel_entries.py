"""Cancelling working entries outside of any tick: by the kill switch, and once a halt is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date

from trading_core.clock import Clock
from trading_core.errors import TradingError
from trading_core.model.limits import Policy
from trading_core.model.market import MarketGroup
from trading_core.model.order import BrokerOrder, OrderRecord, OrderState, Side
from trading_core.ports import Broker, OrderLock, Store
from trading_core.rules import chase
from trading_core.rules.blackout import blackout_until
from trading_core.rules.chase import CancelCode
from trading_core.rules.markets import currency_of
from trading_core.rules.trading_state import halts_for
from trading_core.steps import execute
from trading_core.steps.unfilled import CANCELLABLE


def working_entries(
    orders: Iterable[OrderRecord], symbols: Collection[str] | None = None
) -> list[OrderRecord]:
    """The entries that may be cancelled; of all symbols by default."""
    return [
        record
        for record in orders
        if record.intent.side is Side.BUY
        and record.state in CANCELLABLE
        and (symbols is None or record.intent.instrument.symbol in symbols)
    ]


async def open_in_book(
    broker: Broker, group: MarketGroup, orders: Sequence[OrderRecord]
) -> list[tuple[OrderRecord, BrokerOrder]]:
    """Those of our orders that the broker's book shows open, with their rows of it.

    Raises:
        BrokerUnavailable: the broker gave no usable answer.
    """
    book = {
        (row.session, row.order_no): row
        for day in sorted({record.intent.session for record in orders})
        for row in await broker.orders(group, day)
    }
    found = [(r, book.get((r.intent.session, r.order_no))) for r in orders]
    return [(record, row) for record, row in found if row is not None and row.is_open]


async def cancel_each(
    broker: Broker,
    store: Store,
    lock: OrderLock,
    found: Iterable[tuple[OrderRecord, BrokerOrder]],
    *,
    clock: Clock,
) -> dict[str, str]:
    """Ask for the cancel of each; answers by symbol why one could not be had."""
    failed = {}
    code = CancelCode.HALTED.value
    for record, row in found:
        symbol = record.intent.instrument.symbol
        try:
            state = await execute.cancel(
                broker, store, lock, record, row, at=clock.now(), code=code
            )
        except TradingError as error:
            failed[symbol] = str(error)
        else:
            if state in (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED):
                failed[symbol] = "the broker did not take it"
    return failed


async def heed_halts(
    broker: Broker,
    store: Store,
    lock: OrderLock,
    *,
    group: MarketGroup,
    session: date,
    clock: Clock,
    policy: Policy,
) -> int:
    """Cancel the working entries of a market while a halt stands for it; how many were asked for.

    The broker is asked only when there is something to cancel. What was asked for a moment ago,
    and what a blackout forbids, is left to the next look.

    Raises:
        BrokerUnavailable: the broker gave no usable answer.
        StoreBusy: the store or the order lock could not be had in time.
    """
    at = clock.now()
    with store.read() as reader:
        if not halts_for(reader.open_halts(), group=group, currency=currency_of(group)):
            return 0
        entries = working_entries(reader.live_orders(group, session))
    due = [record for record in entries if chase.may_ask(record, at)]
    if not due or blackout_until(policy.blackouts, at) is not None:
        return 0
    found = await open_in_book(broker, group, due)
    await cancel_each(broker, store, lock, found, clock=clock)
    return len(found)
