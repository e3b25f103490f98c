"""The trader under test: the real session flow in a process that may be killed.

Each function here is the whole life of a forked child. Only the ports are wrapped; the flow, its
steps, the store, the lock and the HTTP client are those of production.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from flows.review import review
from flows.session import session
from flows.tick import tick
from tests.crash.broken import BrokenBroker, BrokenLock, BrokenMarketData, BrokenStore, Killer
from tests.crash.schedule import Kill
from tests.trading_fakes import playbook, when
from trading_core.adapters.duck.store import DuckStore
from trading_core.adapters.kis.connection import open_kis
from trading_core.adapters.notifiers import LogNotifier
from trading_core.model.market import Instrument, MarketGroup
from trading_core.rules.calendar import Session
from trading_core.settings import Settings
from trading_core.steps import operate
from trading_core.wiring import Runtime, configure, open_runtime, shared

KR = MarketGroup.KR
INTERVAL_SECONDS = 560
HTTP_TIMEOUT_SECONDS = 0.4
BY = "crash bench"


def settings(home: Path, url: str) -> Settings:
    """Of every process of one schedule; nothing of the environment gets in."""
    return configure(
        ouroboros_home=home,
        lock_dir=home,
        twin_url=url,
        enabled_markets="KR",
        rescan_interval_seconds=INTERVAL_SECONDS,
        confidence_threshold=50,
    )


def write_playbook(home: Path, instruments: list[Instrument], day: date) -> None:
    """One entry and one exit for every symbol, spread over the session by the clock."""
    stocks = {}
    for turn, instrument in enumerate(instruments):
        buy_from = 385 - turn * 9
        sell_from = buy_from - 60
        stocks[instrument.symbol] = [
            when(f"unrealized_pnl_pct > -99 and minutes_to_close < {sell_from}", "SELL"),
            when(
                f"minutes_to_close < {buy_from} and minutes_to_close > {sell_from}",
                "BUY",
                stop_loss_pct=-6.0,
            ),
        ]
    with DuckStore(home / "trades.db").write() as tx:
        tx.append([playbook(stocks, session=day)])


@asynccontextmanager
async def _opened(home: Path, url: str, killer: Killer, started: float) -> AsyncIterator[Runtime]:
    def first_quotes() -> None:
        line = {"recovered_seconds": time.monotonic() - started}
        with (home / "recoveries.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    async with open_runtime(settings(home, url)) as runtime:
        connection = open_kis(
            base_url=url,
            app_key="twin-app-key",
            app_secret="twin-app-secret",
            account_no="50000000-01",
            personality="real",
            home=home,
            clock=runtime.clock,
            rate_limit_rps=None,
            timeout_seconds=HTTP_TIMEOUT_SECONDS,
            retry_base_seconds=0.01,
        )
        async with connection:
            broken = replace(
                runtime,
                store=BrokenStore(runtime.store, killer),
                lock=BrokenLock(runtime.lock, killer),
                broker=BrokenBroker(connection.broker, killer),
                market_data=BrokenMarketData(connection.market_data, killer, first_quotes),
                notifier=LogNotifier(),
            )
            with shared(broken):
                yield broken


async def trade(home: Path, url: str, kill: Kill | None) -> None:
    """The session flow, from now to the close or to its death."""
    async with _opened(home, url, Killer(kill), time.monotonic()):
        await session.fn("KR")


async def tick_once(home: Path, url: str) -> None:
    """A tick somebody runs by hand while the session runs."""
    async with _opened(home, url, Killer(None), time.monotonic()):
        await tick.fn("KR")


async def close_the_day(home: Path, url: str, hours: Session) -> None:
    """What comes after the close, twice, and in between the person who answers the halts."""
    async with _opened(home, url, Killer(None), time.monotonic()) as runtime:
        await runtime.clock.sleep_until(hours.close_at)
        await review.fn("KR")
        at = runtime.clock.now()
        with runtime.store.read() as reader:
            lost = ("sending", "unknown")
            unsure = [r for r in reader.unsettled_orders(KR) if r.state.value in lost]
            claimed = {r.order_no for r in reader.orders(KR)}
        book = await runtime.broker.orders(KR, hours.date)
        for record in unsure:
            mine = [
                row.order_no
                for row in book
                if row.order_no not in claimed
                and not row.original_no
                and row.instrument.symbol == record.intent.instrument.symbol
                and (row.side, row.quantity) == (record.intent.side, record.intent.quantity)
            ]
            number = mine[0] if mine else ""
            claimed.add(number)
            operate.settle(
                runtime.store,
                intent_id=record.intent.intent_id,
                order_no=number,
                by=BY,
                at=at,
            )
        await review.fn("KR")
