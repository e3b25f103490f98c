"""A second process that would trade the same account does not start. Real processes, one twin."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from tests.trading_fakes import playbook, still, when
from tests.unit.twin.handmade_tape import SESSION, make_tape, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.model.market import Currency
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import serve
from trading_core.twin.venue import AccountSpec
from trading_core.wiring import TWIN_ACCOUNT

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0

pytestmark = pytest.mark.slow

_TRADER = """
import asyncio, importlib, sys
from trading_core.errors import TradingError

flow, market = sys.argv[1:]
try:
    asyncio.run(getattr(importlib.import_module(f"flows.{flow}"), flow).fn(market))
except TradingError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@asynccontextmanager
async def trader(home: Path, url: str, flow: str = "session") -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _TRADER, flow, "KR"),
        env=os.environ | {"OUROBOROS_HOME": str(home), "TWIN_URL": url, "ENABLED_MARKETS": "KR"},
        cwd=ROOT,
        stdout=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def refused(home: Path, url: str, flow: str = "session") -> str:
    async with trader(home, url, flow) as process:
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 1, out
    return out.decode()


def holder_of(home: Path) -> str | None:
    with DuckStore(home / "trades.db").read() as reader:
        return reader.lease_holder(f"session-KR-{SESSION}", at=minute(10))


async def test_neither_from_the_same_home_nor_from_another_one(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("first", "second")]
    for home in homes:
        home.mkdir()
        with DuckStore(home / "trades.db").write() as tx:
            tx.append([playbook({"005930": [when("price < 1")]})])
    account = AccountSpec(TWIN_ACCOUNT, {Currency.KRW: Decimal(100_000_000)})
    venue = SimulatedExchange(make_tape({"005930": still(10_000, 90)}), [account], at=minute(10))
    twin = await serve(venue, clock="running", speed=1.0)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(twin.stop)
        first = await stack.enter_async_context(trader(homes[0], twin.base_url))
        async with asyncio.timeout(PATIENCE):
            while holder_of(homes[0]) is None:
                assert first.returncode is None
                await asyncio.sleep(0.1)
        who = f"process {first.pid} on "
        for flow in ("session", "tick"):
            text = await refused(homes[1], twin.base_url, flow)
            assert "is traded already by" in text
            assert who in text
            assert str(homes[0] / "trades.db") in text
        same_home = await refused(homes[0], twin.base_url)
        assert "another session trades KR-2025-09-03" in same_home
        assert who in same_home
        assert " since 2025-09-03 00:1" in same_home
        assert first.returncode is None
        first.kill()
        await first.wait()
        # The kernel has let go: the second home may trade now.
        heir = await stack.enter_async_context(trader(homes[1], twin.base_url))
        async with asyncio.timeout(PATIENCE):
            while holder_of(homes[1]) is None:
                assert heir.returncode is None
                await asyncio.sleep(0.1)
