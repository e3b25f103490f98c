"""How many requests a second one twin answers: one core for the server, another for the client.

Run ``python benchmarks/bench_twin_server.py [seconds]``. Numbers are for comparison within one run.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

from aiohttp import ClientSession

ROOT = Path(__file__).parents[1]
WORKERS = 8
SERVER = """
from datetime import date, timedelta
from decimal import Decimal
from trading_core.model.market import Currency, MarketGroup
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import run_forever
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec
tape = synthetic_tape(MarketGroup.KR, date(2026, 11, 20), symbols=200, seed=1)
account = AccountSpec("12345678-01", {Currency.KRW: Decimal(10_000_000)})
venue = SimulatedExchange(tape, [account])
venue.advance_to(venue.now + timedelta(hours=2))
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
    path, tr_id, params = CASES[case]
    headers = await log_in(session) | {"tr_id": tr_id}
    waits: list[float] = []
    end = time.perf_counter() + seconds

    async def worker(offset: int) -> None:
        turn = offset
        while time.perf_counter() < end:
            begun = time.perf_counter()
            query = params | {"FID_INPUT_ISCD": symbols[turn % len(symbols)]}
            async with session.get(path, params=query, headers=headers) as reply:
                body = await reply.read()
            assert reply.status == 200, body
            waits.append(time.perf_counter() - begun)
            turn += WORKERS

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


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            asyncio.run(run(server.stdout.readline().strip(), seconds, server.pid))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
