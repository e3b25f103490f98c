"""A person's word reaches a session that runs in a process of its own, on a twin that runs."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.telegram_stand_in import CHAT, TOKEN, TelegramStandIn, telegram_stand_in
from tests.trading_fakes import busy, playbook, still, when
from tests.unit.twin.handmade_tape import SESSION, make_tape, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.clock import SystemClock
from trading_core.model.market import Currency
from trading_core.model.order import OrderState, Side
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.faults import FaultPlan
from trading_core.twin.server import serve
from trading_core.twin.venue import AccountSpec, VenueOrder
from trading_core.wiring import TWIN_ACCOUNT, configure
from trading_core.wiring.telegram import open_listener

RESTING, TRADED = "005930", "000660"
PATIENCE = 60.0
LONGEST_WAIT = 5.0
"""Real seconds, on a machine that is busy; on an idle one it takes about one. The next tick of the
session would come an hour later."""

pytestmark = pytest.mark.slow

logger = logging.getLogger(__name__)

PROGRAM = "import asyncio; from flows.session import session; asyncio.run(session.fn('KR'))"


class Floor:
    """The twin with its one account."""

    def __init__(self) -> None:
        prices = {RESTING: still(10_000, 200), TRADED: busy(*[10_000] * 200)}
        account = AccountSpec(TWIN_ACCOUNT, {Currency.KRW: Decimal(100_000_000)})
        self.venue = SimulatedExchange(make_tape(prices), [account], at=minute(2))

    def orders(self, symbol: str, side: Side) -> list[VenueOrder]:
        found = self.venue.orders(TWIN_ACCOUNT, start=SESSION, end=SESSION)
        return [row for row in found if (row.instrument.symbol, row.side) == (symbol, side)]


async def until(true: Any, seconds: float = PATIENCE) -> float:
    """How long it took to become so."""
    begun = time.perf_counter()
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return time.perf_counter() - begun


@asynccontextmanager
async def session_process(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def listener(api: TelegramStandIn, **settings: Any) -> AsyncIterator[None]:
    async def nothing(at: object) -> None:
        return None

    configured = configure(
        telegram_bot_token=TOKEN,
        telegram_chat_id=str(CHAT),
        telegram_base_url=api.base_url,
        **settings,
    )
    async with open_listener(configured, halts_changed=nothing) as made:
        task = asyncio.create_task(made.run())
        try:
            await api.wait_for("setMyCommands")
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_stop_and_close_reach_a_session_that_runs_in_another_process(
    tmp_path: Path,
) -> None:
    floor = Floor()
    twin = await serve(floor.venue, faults=FaultPlan(), clock="running", speed=1.0)
    store = DuckStore(tmp_path / "trades.db")
    stocks = {s: [when("price > 9900", "BUY")] for s in (RESTING, TRADED)}
    with store.write() as tx:
        tx.append([playbook(stocks)])
    common = {
        "ouroboros_home": str(tmp_path),
        "lock_dir": str(tmp_path),
        "twin_url": twin.base_url,
        "enabled_markets": "KR",
        "rescan_interval_seconds": "3600",
        "confidence_threshold": "50",
    }
    environment = {name.upper(): value for name, value in common.items()}
    try:
        async with telegram_stand_in() as api, session_process(environment) as process:
            api.clock = SystemClock().now().timestamp
            await until(lambda: floor.orders(RESTING, Side.BUY) or process.returncode is not None)
            await until(lambda: _filled(floor) or process.returncode is not None)
            await _known(store, OrderState.FILLED)
            async with listener(api, **common):
                await api.say("/stop")
                stopped = await until(lambda: _none_works(floor))
                await _close_what_is_held(api, floor)
            assert process.returncode is None, "the session goes on"
        logger.info("%.2f s from /stop to the cancel at the exchange", stopped)
        assert stopped < LONGEST_WAIT
        assert not any(row.filled_quantity for row in floor.orders(RESTING, Side.BUY))
        assert len(floor.orders(TRADED, Side.SELL)) == 1
    finally:
        await twin.stop()
    _left_in_order(store, SESSION)


def _filled(floor: Floor) -> bool:
    return any(row.filled_quantity for row in floor.orders(TRADED, Side.BUY))


def _none_works(floor: Floor) -> bool:
    return not any(row.remaining_quantity for row in floor.orders(RESTING, Side.BUY))


async def _known(store: DuckStore, state: OrderState) -> None:
    """Once the session has seen in the broker's book what became of its order."""

    def seen() -> bool:
        with store.read() as reader:
            return any(record.state is state for record in reader.orders("KR"))

    await until(seen)


async def _close_what_is_held(api: TelegramStandIn, floor: Floor) -> None:
    """Asked, confirmed twice, sold once."""
    await api.say(f"/close {TRADED}")
    question = await api.wait_for("sendMessage", having="Sell")
    for _ in range(2):
        await api.tap(question.button("Sell"))
    await api.wait_for("editMessageText", having="1 sale accepted")
    await api.wait_for("editMessageText", having="done before")
    await until(lambda: floor.orders(TRADED, Side.SELL)[0].filled_quantity > 0)


def _left_in_order(store: DuckStore, day: date) -> None:
    with store.read() as reader:
        names = [(c.name, c.state.value) for c in reader.operator_commands()]
        halts = reader.open_halts()
        (sale,) = [r for r in reader.orders("KR", day) if r.intent.side is Side.SELL]
        decided = [
            d for d in reader.decisions("KR", day) if d.decision_id == sale.intent.decision_id
        ]
    assert names == [("stop", "done"), ("close", "begun"), ("close", "done")]
    assert [halt.scope for halt in halts] == ["ALL"]
    assert f"/close {TRADED} by telegram:{CHAT}" in decided[0].rationale
