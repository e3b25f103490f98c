"""How many frames a second one twin streams: one core for the server, another for the clients.

Ten sessions follow the same 41 symbols each: all trades, all order books, or both by halves. The
clock is moved a minute at a time; a frame counts when a client has read it. Run
``python benchmarks/bench_twin_stream.py [minutes]``. Numbers are for comparison within one run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

from aiohttp import ClientSession, ClientWebSocketResponse

ROOT = Path(__file__).parents[1]
SESSIONS, SYMBOLS = 10, 41
SERVER = """
from datetime import date
from decimal import Decimal
from trading_core.model.market import Currency, MarketGroup
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import run_forever
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec
tape = synthetic_tape(MarketGroup.KR, date(2026, 11, 20), symbols=60, seed=1)
account = AccountSpec("12345678-01", {Currency.KRW: Decimal(10_000_000)})
venue = SimulatedExchange(tape, [account], at=tape.hours.open_at)
run_forever(venue, on_listening=lambda url: print(url, flush=True))
"""
CASES = {
    "trades": ["H0STCNT0"],
    "order books": ["H0STASP0"],
    "trades and books": ["H0STCNT0", "H0STASP0"],
}


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def connect(
    session: ClientSession, number: int, wanted: list[tuple[str, str]]
) -> ClientWebSocketResponse:
    body = {"grant_type": "client_credentials", "appkey": f"k{number}", "secretkey": "s"}
    async with session.post("/oauth2/Approval", json=body) as reply:
        key = (await reply.json())["approval_key"]
    socket = await session.ws_connect("/tryitout", max_msg_size=0)
    header = {"approval_key": key, "custtype": "P", "tr_type": "1", "content-type": "utf-8"}
    for tr_id, symbol in wanted:
        await socket.send_json(
            {"header": header, "body": {"input": {"tr_id": tr_id, "tr_key": symbol}}}
        )
        assert (await socket.receive_json())["body"]["rt_cd"] == "0"
    return socket


async def measure(
    session: ClientSession, case: str, symbols: list[str], minutes: int, pid: int
) -> None:
    trs = CASES[case]
    wanted = [(trs[n % len(trs)], symbols[n // len(trs)]) for n in range(SYMBOLS)]
    sockets = [await connect(session, n, wanted) for n in range(SESSIONS)]
    counts = dict.fromkeys(("frames", "records", "bytes"), 0)
    last_read, heard = 0.0, asyncio.Event()

    async def read(socket: ClientWebSocketResponse) -> None:
        nonlocal last_read
        async for message in socket:
            if message.data.startswith("{"):
                await socket.send_str(message.data)
                continue
            counts["frames"] += 1
            counts["records"] += int(message.data.split("|", 3)[2])
            counts["bytes"] += len(message.data)
            last_read = time.perf_counter()
            heard.set()

    readers = [asyncio.create_task(read(socket)) for socket in sockets]
    async with session.get("/twin/state") as reply:
        at = datetime.fromisoformat((await reply.json())["now"])
    begun, used = time.perf_counter(), processor_seconds(pid)
    for _ in range(minutes):
        at += timedelta(minutes=1)
        async with session.post("/twin/clock", json={"advance_to": at.isoformat()}) as reply:
            assert reply.status == 200, await reply.text()
    with contextlib.suppress(TimeoutError):
        while True:
            heard.clear()
            await asyncio.wait_for(heard.wait(), 0.5)
    took, used = last_read - begun, processor_seconds(pid) - used
    for socket in sockets:
        await socket.close()
    await asyncio.gather(*readers)
    print(
        f"{case:17} {counts['frames'] / took:7.0f} frames/s read,"
        f" {counts['frames'] / used:7.0f} frames and {counts['records'] / used:7.0f} records"
        f" a processor second of the server; {counts['bytes'] / counts['frames']:5.0f} bytes each"
    )


async def run(url: str, minutes: int, pid: int) -> None:
    async with ClientSession(url) as session:
        async with session.get("/twin/instruments") as reply:
            listed = (await reply.json())["instruments"]
        symbols = [item["symbol"] for item in listed]
        for case in CASES:
            await measure(session, case, symbols, minutes, pid)


def main() -> None:
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            asyncio.run(run(server.stdout.readline().strip(), minutes, server.pid))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
