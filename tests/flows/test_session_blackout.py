"""A session of New York on a running twin, through a blackout of its broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from flows.session import session
from tests.trading_fakes import FakeNotifier, busy, playbook, when
from tests.unit.twin.handmade_tape import make_tape
from trading_core.model.limits import BlackoutWindow
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import OrderRecord, OrderState, Side
from trading_core.rules.calendar import require_session
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.faults import FaultAction, FaultPlan, FaultRule
from trading_core.twin.server import serve
from trading_core.twin.venue import AccountSpec, VenueOrder
from trading_core.wiring import TWIN_ACCOUNT, Runtime, configure, open_runtime

US = MarketGroup.US
SESSION = date(2025, 12, 3)
OPEN = require_session(US, SESSION).open_at
"""23:30 in Seoul."""
SPEED = 60.0
PATIENCE = 60.0

pytestmark = pytest.mark.slow


def minute(n: float) -> datetime:
    return OPEN + timedelta(minutes=n)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def refused(runtime: Runtime) -> set[tuple[str, str, str]]:
    """(symbol, side, code) of every order that was refused."""
    with runtime.store.read() as reader:
        records: list[OrderRecord] = list(reader.orders("US"))
    return {
        (r.intent.instrument.symbol, r.intent.side.value, r.events[-1].code)
        for r in records
        if r.state is OrderState.REFUSED
    }


async def test_nothing_leaves_in_the_blackout_and_what_was_wanted_goes_afterwards(
    tmp_path: Path,
) -> None:
    # The prices of a minute are known at its end.
    prices = {
        "HELD": [*busy(*[100] * 5), *busy(*[95] * 60)],
        "WANTED": [*busy(*[100] * 5), *busy(*[90] * 2), *busy(*[92] * 60)],
    }
    tape = make_tape(prices, base=100.0, group=US, session=SESSION)
    account = AccountSpec(TWIN_ACCOUNT, {Currency.USD: Decimal(1_000_000)})
    venue = SimulatedExchange(tape, [account], at=minute(-4))
    counter = FaultRule(FaultAction.REJECT, nth=1_000_000)
    twin = await serve(venue, faults=FaultPlan([counter]), clock="running", speed=SPEED)
    settings = configure(
        ouroboros_home=tmp_path,
        twin_url=twin.base_url,
        enabled_markets="US",
        rescan_interval_seconds=60,
        # A busy machine is no standstill of the market.
        quote_poll_seconds=60,
        confidence_threshold=50,
        blackout_windows="23:34-23:38",
    )

    def rows(symbol: str, side: Side) -> list[VenueOrder]:
        found = venue.orders(TWIN_ACCOUNT, start=SESSION, end=SESSION)
        return [r for r in found if (r.instrument.symbol, r.side) == (symbol, side)]

    notifier = FakeNotifier()
    async with open_runtime(settings, notifier=notifier) as runtime:
        assert runtime.policy.blackouts == BlackoutWindow.parse("23:34-23:38")
        plans = {"HELD": [when("price >= 100")], "WANTED": [when("price < 98")]}
        with runtime.store.write() as tx:
            tx.append([playbook(plans, session=SESSION, group=US)])
        task = asyncio.create_task(session.fn("US"))
        try:
            await until(lambda: any(r.filled_quantity for r in rows("HELD", Side.BUY)))
            await until(lambda: venue.now >= minute(4))
            before = counter.seen
            assert before > 0
            await until(lambda: venue.now >= minute(7.9))
            assert counter.seen == before, "an order or a cancel left in the blackout"
            assert {("HELD", "SELL", "blackout"), ("WANTED", "BUY", "blackout")} <= refused(runtime)
            await until(lambda: any(r.filled_quantity for r in rows("HELD", Side.SELL)))
            await until(lambda: any(r.filled_quantity for r in rows("WANTED", Side.BUY)))
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await twin.stop()
    [sale], [entry] = rows("HELD", Side.SELL), rows("WANTED", Side.BUY)
    assert sale.ordered_at >= minute(8)
    assert entry.ordered_at >= minute(8)
    assert sale.quantity == sum(r.filled_quantity for r in rows("HELD", Side.BUY))
    assert entry.limit_price is not None
    assert Decimal(92) <= entry.limit_price < Decimal(93)
    kinds = notifier.kinds()
    assert (kinds.count("stop_breached"), kinds.count("blackout")) == (1, 1)
