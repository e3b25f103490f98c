"""A session between its ticks, over a real WebSocket of a twin whose clock runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flows.session import session
from tests.trading_fakes import FakeNotifier, busy, playbook, when
from tests.unit.twin.handmade_tape import SESSION, Row, make_tape, minute
from trading_core.model.journal import Halt, HaltKind
from trading_core.model.market import Currency
from trading_core.model.order import OrderRecord, OrderState, Side
from trading_core.model.portfolio import Protection
from trading_core.steps.watchdog import WatchPolicy
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.faults import FaultAction, FaultPlan, FaultRule
from trading_core.twin.server import serve
from trading_core.twin.venue import AccountSpec, VenueOrder
from trading_core.wiring import TWIN_ACCOUNT, Runtime, configure, no_stream, open_runtime, shared

SYMBOL = "005930"
SPEED = 60.0
PATIENCE = 60.0
LONGEST_WAIT = 5.0
"""Real seconds; about 0.3 on an idle machine. The next tick would come a minute later."""

# Every test here waits for a clock that runs.
pytestmark = pytest.mark.slow


@dataclass
class Floor:
    """A twin that runs, a home, and what a session would be told."""

    venue: SimulatedExchange
    faults: FaultPlan
    home: Path
    url: str
    notifier: FakeNotifier

    @asynccontextmanager
    async def runtime(self, interval: int = 3600, **changes: Any) -> AsyncIterator[Runtime]:
        settings = configure(
            ouroboros_home=self.home,
            twin_url=self.url,
            enabled_markets="KR",
            rescan_interval_seconds=interval,
            confidence_threshold=50,
        )
        async with open_runtime(settings, notifier=self.notifier) as runtime:
            with shared(replace(runtime, **changes)):
                yield replace(runtime, **changes)

    def sells(self) -> list[VenueOrder]:
        return [row for row in self._rows() if row.side is Side.SELL]

    def bought(self) -> int:
        return sum(row.filled_quantity for row in self._rows() if row.side is Side.BUY)

    def _rows(self) -> list[VenueOrder]:
        return self.venue.orders(TWIN_ACCOUNT, start=SESSION, end=SESSION)


@asynccontextmanager
async def floor(
    home: Path, prices: Mapping[str, Sequence[Row]], *, at: datetime, speed: float = SPEED
) -> AsyncIterator[Floor]:
    venue = SimulatedExchange(
        make_tape(prices), [AccountSpec(TWIN_ACCOUNT, {Currency.KRW: Decimal(100_000_000)})], at=at
    )
    faults = FaultPlan()
    twin = await serve(venue, faults=faults, clock="running", speed=speed)
    try:
        yield Floor(venue, faults, home, twin.base_url, FakeNotifier())
    finally:
        await twin.stop()


@asynccontextmanager
async def running() -> AsyncIterator[asyncio.Task[Any]]:
    """The session flow, until the block ends."""
    task = asyncio.create_task(session.fn("KR"))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(true: Any, seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def plan(runtime: Runtime, *symbols: str, text: str = "price > 9900") -> None:
    with runtime.store.write() as tx:
        tx.append([playbook({symbol: [when(text, "BUY")] for symbol in symbols or (SYMBOL,)})])


def orders(runtime: Runtime, side: Side) -> list[OrderRecord]:
    with runtime.store.read() as reader:
        return [r for r in reader.orders("KR") if r.intent.side is side]


def guards(runtime: Runtime) -> dict[str, Protection]:
    with runtime.store.read() as reader:
        return reader.protections("KR")


def halts(runtime: Runtime) -> Sequence[Halt]:
    with runtime.store.read() as reader:
        return reader.open_halts()


def equity(runtime: Runtime) -> Sequence[Any]:
    with runtime.store.read() as reader:
        return reader.equity_curve("KR", SESSION)


def falling_at(n: int) -> list[Row]:
    """10 000, and from minute ``n`` on 9 500, below a stop of 3 %."""
    # The prices of a minute are known at its end.
    return [*busy(*[10_000] * (n - 1)), *busy(*[9_500] * (90 - n))]


async def test_a_price_that_falls_through_the_stop_between_two_ticks_is_sold_at_once(
    tmp_path: Path,
) -> None:
    symbols = ("005930", "000660", "035720", "051910", "068270")
    falls = {symbol: 8 + 2 * i for i, symbol in enumerate(symbols)}
    prices = {symbol: falling_at(n) for symbol, n in falls.items()}
    async with floor(tmp_path, prices, at=minute(2)) as stage, stage.runtime() as runtime:
        plan(runtime, *symbols)
        async with running():
            await until(lambda: len(stage.sells()) == len(symbols))
            await until(
                lambda: all(r.state is OrderState.FILLED for r in orders(runtime, Side.SELL))
            )
            await asyncio.sleep(0.5)
        sells = stage.sells()
        waits = sorted(
            (row.ordered_at - minute(falls[row.instrument.symbol])).total_seconds() / SPEED
            for row in sells
        )
        print(f"from the print to the exchange, s: {[round(wait, 3) for wait in waits]}")
        assert waits[0] >= 0
        assert waits[-1] < LONGEST_WAIT
        assert sorted(row.instrument.symbol for row in sells) == sorted(symbols)
        assert sum(row.quantity for row in sells) == stage.bought() > 0
        assert {"order_accepted", "stop_breached"} <= set(stage.notifier.kinds())


NO_POLLS = WatchPolicy(poll_every=timedelta(hours=2))
"""What happens happens because the stream told of it."""


async def test_a_fill_between_two_ticks_gets_its_guard_from_the_notice_alone(
    tmp_path: Path,
) -> None:
    prices = {SYMBOL: falling_at(60)}
    async with (
        floor(tmp_path, prices, at=minute(2)) as stage,
        stage.runtime(watch=NO_POLLS) as runtime,
    ):
        plan(runtime)
        async with running():
            await until(stage.bought)
            filled_at = stage.venue.now
            await until(lambda: guards(runtime))
            waited = (stage.venue.now - filled_at).total_seconds() / SPEED
            await until(lambda: "order_filled" in stage.notifier.kinds())
        [guard] = guards(runtime).values()
        print(f"from the fill to the stored guard: {waited:.3f} s")
        assert waited < LONGEST_WAIT
        assert guard.stop_loss_pct == -3.0


async def test_the_stream_alone_leads_to_the_exit(tmp_path: Path) -> None:
    async with floor(tmp_path, {SYMBOL: falling_at(8)}, at=minute(2)) as stage:
        async with stage.runtime(watch=NO_POLLS) as runtime:
            plan(runtime)
            async with running():
                await until(stage.sells)
        assert (stage.sells()[0].ordered_at - minute(8)).total_seconds() / SPEED < LONGEST_WAIT


async def test_while_the_socket_is_cut_polls_protect_and_sell_once(tmp_path: Path) -> None:
    async with floor(tmp_path, {SYMBOL: falling_at(12)}, at=minute(2)) as stage:
        async with stage.runtime() as runtime:
            plan(runtime)
            async with running():
                await until(lambda: guards(runtime))
                stage.faults.install([FaultRule(FaultAction.SOCKET_CUT, every=1)], replace=True)
                await until(stage.sells)
                waited = (stage.sells()[0].ordered_at - minute(12)).total_seconds() / SPEED
                await until(lambda: orders(runtime, Side.SELL)[0].state is OrderState.FILLED)
                stage.faults.install([], replace=True)
                await asyncio.sleep(1.0)
        print(f"from the price to the exchange without a stream: {waited:.3f} s")
        # A poll every ten seconds of the market's time, which runs sixty times as fast here.
        assert waited < LONGEST_WAIT
        assert len(stage.sells()) == 1


async def test_where_nothing_is_streamed_polls_protect(tmp_path: Path) -> None:
    async with floor(tmp_path, {SYMBOL: falling_at(8)}, at=minute(2)) as stage:
        async with stage.runtime(open_stream=no_stream) as runtime:
            plan(runtime)
            async with running():
                await until(stage.sells)
                await until(lambda: orders(runtime, Side.SELL)[0].state is OrderState.FILLED)
        assert len(stage.sells()) == 1


async def test_a_session_that_is_started_again_protects_what_the_first_one_bought(
    tmp_path: Path,
) -> None:
    async with floor(tmp_path, {SYMBOL: falling_at(16)}, at=minute(2)) as stage:
        async with stage.runtime() as runtime:
            plan(runtime)
            async with running():
                await until(lambda: guards(runtime))
            before = guards(runtime)[SYMBOL]
        # Another process: nothing of the first is left but the store and the broker.
        async with stage.runtime() as runtime, running():
            await until(stage.sells)
            [order] = orders(runtime, Side.BUY)
            assert order.state is OrderState.FILLED
            after = guards(runtime)[SYMBOL]
            assert (after.opened_at, after.stop_loss_pct) == (before.opened_at, -3.0)
            await until(lambda: orders(runtime, Side.SELL)[0].state is OrderState.FILLED)
        assert len(stage.sells()) == 1
        assert stage.sells()[0].quantity == stage.bought()


class SlowBroker:
    """Takes every order at once and answers the first one only when it is let go."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.let_go = asyncio.Event()
        self.posts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def submit(self, order: Any) -> Any:
        self.posts += 1
        ack = await self._inner.submit(order)
        await self.let_go.wait()
        return ack


async def test_a_tick_that_hangs_in_a_submit_ends_unknown_and_the_order_is_found_again(
    tmp_path: Path,
) -> None:
    quick = WatchPolicy(least_tick_seconds=0.3)
    async with (
        floor(tmp_path, {SYMBOL: falling_at(80)}, at=minute(2)) as stage,
        stage.runtime(interval=60) as runtime,
    ):
        broker = SlowBroker(runtime.broker)
        plan(runtime)
        with shared(replace(runtime, broker=broker, watch=quick)):
            async with running():
                await until(
                    lambda: (
                        (found := orders(runtime, Side.BUY)) and found[0].state is OrderState.FILLED
                    )
                )
        [order] = orders(runtime, Side.BUY)
        states = [event.state for event in order.events]
        assert OrderState.UNKNOWN in states
        assert OrderState.NOT_SENT not in states
        assert broker.posts == 1
        assert stage.bought() == order.filled_quantity


class HangingPrices:
    """Market data whose quotes do not come while it hangs."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.flows = asyncio.Event()
        self.flows.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def quotes(self, instruments: Any, **more: Any) -> Any:
        await self.flows.wait()
        return await self._inner.quotes(instruments, **more)


async def test_a_session_that_stands_still_stops_entries_and_goes_on_by_itself(
    tmp_path: Path,
) -> None:
    quick = WatchPolicy(least_tick_seconds=0.1)
    async with (
        floor(tmp_path, {SYMBOL: falling_at(80)}, at=minute(2)) as stage,
        stage.runtime(interval=60, open_stream=no_stream) as runtime,
    ):
        prices = HangingPrices(runtime.market_data)
        plan(runtime, text="price > 99000")
        with shared(replace(runtime, market_data=prices, watch=quick)):
            async with running():
                await until(lambda: len(equity(runtime)) > 1)
                assert not halts(runtime)
                prices.flows.clear()
                await until(lambda: halts(runtime))
                [halt] = halts(runtime)
                assert (halt.kind, halt.scope) == (HaltKind.WATCHDOG, "KR")
                assert "no price came in" in halt.reason
                prices.flows.set()
                await until(lambda: not halts(runtime))
        assert {"watchdog", "recovered"} <= set(stage.notifier.kinds())


async def test_the_day_s_loss_is_looked_at_between_two_ticks_that_are_far_apart(
    tmp_path: Path,
) -> None:
    # Neither streamed nor polled, so that no protective pass sees the loss first.
    prices = [*busy(*[10_000] * 5), *busy(*[9_850] * 85)]
    async with (
        floor(tmp_path, {SYMBOL: prices}, at=minute(0)) as stage,
        stage.runtime(open_stream=no_stream, watch=NO_POLLS) as runtime,
    ):
        plan(runtime, SYMBOL)
        strict = replace(runtime.policy.risk, max_loss_pct=0.01)
        changed = replace(runtime, policy=replace(runtime.policy, risk=strict))
        with shared(changed):
            async with running():
                await until(lambda: stage.bought() > 0)
                await until(lambda: halts(runtime))
    (halt,) = halts(runtime)
    assert (halt.kind, halt.scope) == (HaltKind.BREAKER, "KRW")
    assert stage.sells() == []
    assert "breaker" in stage.notifier.kinds()
