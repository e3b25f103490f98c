"""A whole session on a clock that moves only when the session waits for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from flows.session import session
from tests.trading_fakes import FakeNotifier, busy, playbook, when
from tests.unit.twin.handmade_tape import make_tape, minute
from trading_core.model.market import Currency
from trading_core.model.order import ApprovedOrder
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import serve
from trading_core.twin.venue import AccountSpec
from trading_core.wiring import TWIN_ACCOUNT, Runtime, configure, open_runtime, shared

SYMBOL = "005930"


@asynccontextmanager
async def runtime_at(at: datetime, home: Path, plan: str) -> AsyncIterator[Runtime]:
    """A stock at 10 000 won, a playbook that buys it when ``plan`` holds, a tick an hour."""
    account = AccountSpec(TWIN_ACCOUNT, {Currency.KRW: Decimal(100_000_000)})
    tape = make_tape({SYMBOL: busy(*[10_000] * 200)})
    twin = await serve(SimulatedExchange(tape, [account], at=at))
    settings = configure(
        ouroboros_home=home,
        twin_url=twin.base_url,
        enabled_markets="KR",
        rescan_interval_seconds=3600,
    )
    try:
        async with open_runtime(settings, notifier=FakeNotifier()) as runtime:
            with runtime.store.write() as tx:
                tx.append([playbook({SYMBOL: [when(plan)]})])
            yield runtime
    finally:
        await twin.stop()


async def test_a_session_that_starts_late_leaves_out_the_ticks_that_are_over(
    tmp_path: Path,
) -> None:
    ticks: list[datetime] = []
    async with runtime_at(minute(150), tmp_path, "price < 1") as runtime:
        told = FakeNotifier()
        watched = replace(runtime, on_tick=lambda report: ticks.append(report.at), notifier=told)
        with shared(watched):
            await session.fn("KR")
    # Those at the open and an hour later are over; the one of the second hour is only late.
    assert ticks == [minute(150), *map(minute, (180, 240, 300, 360))]
    assert told.kinds() == ["market_open", "market_close"]
    assert "is open until 15:30 KST: 1 stocks planned by" in told.told[0].text
    assert told.told[1].text.endswith(
        "closed: 5 ticks, 0 failed; equity 100,000,000 -> 100,000,000 KRW"
    )


async def test_what_a_tick_decided_is_stored_before_its_order_leaves(tmp_path: Path) -> None:
    seen = []
    async with runtime_at(minute(2), tmp_path, "price > 1") as runtime:

        class Watched:
            """The broker of the runtime, and what the store held when an order reached it."""

            async def submit(self, order: ApprovedOrder) -> Any:
                with runtime.store.read() as reader:
                    record = reader.order(order.intent.intent_id)
                    decisions = {decision.decision_id for decision in reader.decisions("KR")}
                assert record is not None
                decided = order.intent.decision_id in decisions
                seen.append((record.intent == order.intent, decided, record.state.value))
                return await runtime.broker.submit(order)

            def __getattr__(self, name: str) -> Any:
                return getattr(runtime.broker, name)

        with shared(replace(runtime, broker=Watched())):
            await session.fn("KR")
    assert seen == [(True, True, "sending")]
