"""How many requests a second one twin answers: one core for the server, another for the client.

Run ``python benchmarks/bench_twin_server.py [seconds]``. Three twins take turns: a fresh one, one
that has taken 100,000 orders before, and one that writes a state file. Numbers are for comparison
within one run; what a processor second of the server answers is the steadier one.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import ClientSession

ROOT = Path(__file__).parents[1]
WORKERS = 8
SERVER = """
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import OrderType, Side
from trading_core.twin.launch import Stage, TwinPlan
from trading_core.twin.server import run_forever
from trading_core.twin.state import StateFile
from trading_core.twin.state_replay import replay
from trading_core.twin.venue import AccountSpec, NewOrder
orders, state = int(sys.argv[1]), sys.argv[2]
account = AccountSpec("12345678-01", {Currency.KRW: Decimal(10) ** 15})
stage = Stage.build(TwinPlan((MarketGroup.KR,), date(2026, 11, 20), (account,)))
(venue,) = stage.exchanges
if state:
    replay(StateFile(Path(state), stage.identity()), stage.exchanges, stage.replay_session)
venue.advance_to(venue.now + timedelta(hours=2))
names = [item.symbol for item in venue.instruments()]
quotes = [q for q in map(venue.quote, names) if not q.halted]
for number in range(orders):
    quote = quotes[number % len(quotes)]
    limit = quote.last if number % 3 else quote.lower_limit
    symbol = quote.instrument.symbol
    venue.place(NewOrder("12345678-01", symbol, Side.BUY, OrderType.LIMIT, 1, limit))
run_forever(venue, on_listening=lambda url: print(url, flush=True))
"""
QUOTES = "/uapi/domestic-stock/v1/quotations"
TRADING = "/uapi/domestic-stock/v1/trading"
J = {"FID_COND_MRKT_DIV_CODE": "J"}
ACCOUNT = {"CANO": "12345678", "ACNT_PRDT_CD": "01"}
CASES = {
    "inquire-price": (f"{QUOTES}/inquire-price", "FHKST01010100", J),
    "order book": (f"{QUOTES}/inquire-asking-price-exp-ccn", "FHKST01010200", J),
    "100 daily bars": (
        f"{QUOTES}/inquire-daily-itemchartprice",
        "FHKST03010100",
        J
        | {
            "FID_INPUT_DATE_1": "20260101",
            "FID_INPUT_DATE_2": "20261120",
            "FID_PERIOD_DIV_CODE": "D",
            "FID_ORG_ADJ_PRC": "0",
        },
    ),
    "inquire-balance": (f"{TRADING}/inquire-balance", "TTTC8434R", ACCOUNT),
}

ORDER = (
    f"{TRADING}/order-cash",
    "TTTC0012U",
    ACCOUNT | {"ORD_DVSN": "01", "ORD_QTY": "1", "ORD_UNPR": "0"},
)


async def log_in(session: ClientSession) -> dict[str, str]:
    body = {"grant_type": "client_credentials", "appkey": "k", "appsecret": "s"}
    async with session.post("/oauth2/tokenP", json=body) as reply:
        token = (await reply.json())["access_token"]
    return {"authorization": f"Bearer {token}", "appkey": "k", "appsecret": "s"}


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(
    session: ClientSession, case: str, symbols: list[str], seconds: float, pid: int
) -> None:
    path, tr_id, params = CASES.get(case, ORDER)
    headers = await log_in(session) | {"tr_id": tr_id}
    waits: list[float] = []

    def ask(symbol: str) -> Any:
        if case in CASES:
            query = params | {"FID_INPUT_ISCD": symbol}
            return session.get(path, params=query, headers=headers)
        return session.post(path, json=params | {"PDNO": symbol}, headers=headers)

    async def worker(offset: int) -> None:
        turn = offset
        while time.perf_counter() < end:
            begun = time.perf_counter()
            async with ask(symbols[turn % len(symbols)]) as reply:
                body = await reply.read()
            assert reply.status == 200 and b'"rt_cd":"0"' in body, body.decode()
            waits.append(time.perf_counter() - begun)
            turn += WORKERS

    # What is worked out once a session and symbol is worked out before the measurement.
    for symbol in symbols:
        async with ask(symbol) as reply:
            await reply.read()
    end = time.perf_counter() + seconds
    started, used = time.perf_counter(), processor_seconds(pid)
    await asyncio.gather(*(worker(n) for n in range(WORKERS)))
    took, used = time.perf_counter() - started, processor_seconds(pid) - used
    waits.sort()
    p50, p99 = (waits[int(len(waits) * share)] * 1000 for share in (0.5, 0.99))
    print(
        f"{case:16} {len(waits) / took:6.0f}/s, or {len(waits) / used:6.0f} a processor second;"
        f"  p50 {p50:6.2f} ms  p99 {p99:6.2f} ms"
    )


async def run(url: str, seconds: float, pid: int) -> None:
    async with ClientSession(url) as session:
        async with session.get("/twin/instruments") as reply:
            listed = (await reply.json())["instruments"]
        symbols = [item["symbol"] for item in listed]
        for case in CASES:
            await measure(session, case, symbols, seconds, pid)
        live = [symbol for symbol in symbols if await trades(session, symbol)]
        await measure(session, "market order", live, seconds, pid)


async def trades(session: ClientSession, symbol: str) -> bool:
    """Whether the symbol is not halted."""
    path, tr_id, params = CASES["inquire-price"]
    headers = await log_in(session) | {"tr_id": tr_id}
    query = params | {"FID_INPUT_ISCD": symbol}
    async with session.get(path, params=query, headers=headers) as reply:
        output = (await reply.json())["output"]
    return bool(output["temp_stop_yn"] == "N")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    with TemporaryDirectory() as folder:
        state = Path(folder, "twin.state")
        plays = [("fresh", 0, ""), ("100,000 orders", 100_000, ""), ("state file", 0, str(state))]
        for name, orders, path in plays:
            print(name)
            command = [sys.executable, "-c", SERVER, str(orders), path]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout is not None
                try:
                    asyncio.run(run(server.stdout.readline().strip(), seconds, server.pid))
                finally:
                    server.terminate()
        size, lines = state.stat().st_size, state.read_bytes().count(b"\n")
        print(f"the state file has {size / lines:.0f} bytes a line")


if __name__ == "__main__":
    main()
