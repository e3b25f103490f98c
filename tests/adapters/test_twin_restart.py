"""A twin that is killed in mid-work and started again on its state file; real processes."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import ClientError, ClientSession

from tests.twin_client import ACCOUNT, APP_KEY, DOMESTIC, TwinClient
from trading_core.twin.server import RunningTwin

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from trading_core.model.market import Currency, MarketGroup
from trading_core.twin import launch, synthetic
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec

def small(group, session, **more):
    return synthetic_tape(group, session, **({"symbols": 8} | more))

synthetic.synthetic_tape = small
account = AccountSpec("12345678-01", {Currency.KRW: Decimal(10_000_000_000)})
plan = launch.TwinPlan(
    (MarketGroup.KR,), date(2026, 9, 10), (account,), lead=timedelta(0), state=Path(sys.argv[1])
)
options = {"clock": "running", "speed": float(sys.argv[2])} if sys.argv[2] != "0" else {}
launch.run_twin(plan, on_listening=lambda o: print(o.url, flush=True), options=options)
"""


@asynccontextmanager
async def process_on(
    state: Path, speed: float = 0
) -> AsyncIterator[tuple[TwinClient, asyncio.subprocess.Process]]:
    """A twin of its own process and a client of it; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT, str(state), str(speed)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 120)).decode().strip()
        assert url, (await process.communicate())[1].decode()
        async with ClientSession() as session:
            yield TwinClient(session, cast(RunningTwin, SimpleNamespace(base_url=url))), process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def told(client: TwinClient, path: str) -> dict[str, Any]:
    return (await client.send("GET", path)).body


async def move(client: TwinClient, minutes: float) -> None:
    at = datetime.fromisoformat((await told(client, "/twin/state"))["now"])
    at += timedelta(minutes=minutes)
    answer = await client.send("POST", "/twin/clock", data={"advance_to": at.isoformat()})
    assert answer.status == 200


async def symbols(client: TwinClient) -> list[str]:
    listed = (await told(client, "/twin/instruments"))["instruments"]
    return [row["symbol"] for row in listed]


async def price(client: TwinClient, symbol: str, field: str = "stck_prpr") -> str:
    params = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": symbol}
    path = f"{DOMESTIC}/quotations/inquire-price"
    return str((await client.get(path, "FHKST01010100", **params)).body["output"][field])


async def test_a_killed_twin_comes_back_as_it_was_and_goes_on(tmp_path: Path) -> None:
    state = tmp_path / "twin.state"
    async with process_on(state) as (client, process):
        await client.log_in()
        token = client.token
        approval = {"grant_type": "client_credentials", "appkey": APP_KEY, "secretkey": "s"}
        key = (await client.send("POST", "/oauth2/Approval", data=approval)).body["approval_key"]
        await move(client, 60)
        first, second = (await symbols(client))[:2]
        assert (await client.buy(await price(client, first), "5", PDNO=first)).code == "APBK0013"
        deep = await price(client, second, "stck_llam")
        resting = await client.buy(deep, "5", PDNO=second)
        await move(client, 3)
        before, state_before = await told(client, "/twin/book"), await told(client, "/twin/state")
        process.send_signal(signal.SIGKILL)
        await process.wait()

    async with process_on(state) as (client, _):
        assert await told(client, "/twin/book") == before
        state_after = await told(client, "/twin/state")
        assert state_after["now"] == state_before["now"]
        assert state_after["venues"] == state_before["venues"]
        client.token = token
        cancel = ACCOUNT | {
            "KRX_FWDG_ORD_ORGNO": "", "ORGN_ODNO": resting.body["output"]["ODNO"],
            "ORD_DVSN": "00", "RVSE_CNCL_DVSN_CD": "02", "ORD_QTY": "0", "ORD_UNPR": "0",
            "QTY_ALL_ORD_YN": "Y",
        }  # fmt: skip
        cancelled = await client.post(f"{DOMESTIC}/trading/order-rvsecncl", "TTTC0013U", **cancel)
        assert cancelled.body["output"]["ODNO"] == "0000000003"
        await client.log_in()
        assert client.token == token
    lines = [json.loads(line) for line in state.read_text().splitlines()]
    assert [line["key"] for line in lines[1:] if line["do"] == "approval"] == [key]
    assert APP_KEY not in state.read_text()


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_was_answered_before_a_kill_is_there_after_it(
    tmp_path: Path, seed: int
) -> None:
    draw, state = random.Random(seed), tmp_path / "twin.state"
    answered: dict[int, tuple[str, int]] = {}
    seen = [""]
    for _ in range(3):
        async with process_on(state, speed=60) as (client, process):
            if seen[0]:
                await check(client, answered, seen[0])
            await client.log_in()
            prices = {name: await price(client, name) for name in (await symbols(client))[2:6]}
            enough = len(answered) + draw.randint(5, 60)
            workers = [
                asyncio.create_task(trade(client, prices, random.Random(n), answered, seen))
                for n in range(4)
            ]
            async with asyncio.timeout(60):
                while len(answered) < enough:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
            await asyncio.gather(*workers)
    async with process_on(state) as (client, _):
        await check(client, answered, seen[0])


async def trade(
    client: TwinClient,
    prices: dict[str, str],
    draw: random.Random,
    answered: dict[int, tuple[str, int]],
    seen: list[str],
) -> None:
    """Buy until the twin is gone; notes the number of every order that was answered."""
    with suppress(ClientError, ConnectionError, json.JSONDecodeError):
        while True:
            symbol, quantity = draw.choice(list(prices)), draw.randint(1, 9)
            body = (await client.buy(prices[symbol], str(quantity), PDNO=symbol)).body
            if body["rt_cd"] == "0":
                answered[int(body["output"]["ODNO"])] = (symbol, quantity)
            seen[0] = max(seen[0], (await told(client, "/twin/state"))["now"])


async def check(client: TwinClient, answered: dict[int, tuple[str, int]], seen: str) -> None:
    book = await told(client, "/twin/book")
    rows = {row["order_no"]: row for row in book["orders"]}
    for number, (symbol, quantity) in answered.items():
        assert rows[number]["instrument"]["symbol"] == symbol
        assert rows[number]["quantity"] == quantity
    # Orders that were taken and whose answers the kill cut off may be there besides.
    assert sorted(rows) == list(range(1, len(rows) + 1))
    assert len(answered) <= len(rows) <= len(answered) + 4 * 3
    assert book["now"] >= seen
