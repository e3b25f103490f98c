"""Serve twins for clients that are not ours; for a process of its own.

Takes one argument, an object of runs with the options of their twins, and prints one line of JSON
when all listen: for each run the addresses of a real and a paper host, the account and the symbols
to trade. Ends with its standard input, so that no twin outlives the tests.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from trading_core.model.market import Currency, Market, MarketGroup
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import serve
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.tape import Tape
from trading_core.twin.venue import AccountSpec
from trading_core.twin.wire.desk import Personality

SESSION = date(2026, 11, 20)
ACCOUNT = "12345678-01"
CASH = {
    MarketGroup.KR: {Currency.KRW: Decimal(50_000_000)},
    MarketGroup.US: {Currency.USD: Decimal(50_000)},
}
PERSONALITIES: tuple[Personality, ...] = ("real", "paper")
SYMBOLS = 30
INTO_SESSION = timedelta(hours=1)


def open_venues(tapes: dict[MarketGroup, Tape]) -> list[SimulatedExchange]:
    """Both markets on one clock, an hour into the Korean session."""
    begin = tapes[MarketGroup.KR].hours.open_at + INTO_SESSION
    return [
        SimulatedExchange(tape, [AccountSpec(ACCOUNT, CASH[group])], at=begin)
        for group, tape in tapes.items()
    ]


def traded_symbol(venue: SimulatedExchange, market: Market, at_least: int) -> str:
    """The busiest share of a market above a price, so that there are prices between increments."""
    turnover = {}
    for item in venue.instruments():
        last = venue.daily_bars(item.symbol, start=None, end=SESSION - timedelta(days=1))[-1]
        if item.market is market and not item.is_fund and last.close >= at_least:
            turnover[item.symbol] = last.close * last.volume
    return max(turnover, key=lambda symbol: turnover[symbol])


async def main(runs: dict[str, dict[str, Any]]) -> None:
    tapes = {
        group: synthetic_tape(group, SESSION, symbols=SYMBOLS, seed=11)
        for group in (MarketGroup.KR, MarketGroup.US)
    }
    korea, america = open_venues(tapes)
    korean = traded_symbol(korea, Market.KR, 5_000)
    american = traded_symbol(america, Market.US_NASDAQ, 10)
    twins, settings = [], {}
    for name, options in runs.items():
        # A client on the paper host still asks the real one for prices: each run has both.
        urls = {}
        for personality in PERSONALITIES:
            twin = await serve(open_venues(tapes), personality=personality, **options)
            twins.append(twin)
            urls[personality] = twin.base_url
        settings[name] = {
            "urls": urls,
            "account": ACCOUNT,
            "session": SESSION.isoformat(),
            "kr": korean,
            "us": american,
            "us_market": Market.US_NASDAQ.value,
            "us_open_at": tapes[MarketGroup.US].hours.open_at.isoformat(),
        }
    print(json.dumps(settings), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for twin in twins:
        await twin.stop()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
