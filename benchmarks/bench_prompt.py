"""Tokens of a plan's prompt before and after it was made compact, with every fact read back.

    pytest benchmarks/bench_prompt.py -o python_files='bench_*.py' -s --benchmark-disable

30 candidates of the last session in the data, three holdings, five weeks of a made-up ledger as
memory and scorecards, 30 headlines and 4 events. The names of real stocks are made up, because the
price files have none. Tokens are estimates (``prompt_budget.estimate_tokens``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.plain_prompt import plain_prompt
from tests.memory_ledger import busy_ledger, weekdays
from tests.planning_fakes import scorecard
from tests.prompt_reader import read_back
from trading_core.adapters.duck import DuckStore
from trading_core.model.journal import ContextEntry, ContextLayer
from trading_core.model.limits import PlanLimits, ScanLimits
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.price import Candidate, DailyBar, RankRow
from trading_core.rules.context_selector import MarketCondition, choose
from trading_core.rules.indicators import BarPanel
from trading_core.rules.prompt_budget import Composed, estimate_tokens
from trading_core.rules.prompt_sections import HeldFacts, SessionFacts
from trading_core.rules.prompts import compose_prompt
from trading_core.rules.scanner import scan_closed
from trading_core.steps.memory import remember
from trading_core.twin.synthetic import synthetic_tape

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
NAMES = "# Names and news"
SESSION = date(2026, 11, 20)
AT = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
FACTS = SessionFacts(
    SESSION, "Asia/Seoul", AT + timedelta(minutes=30), AT + timedelta(hours=7), False
)
FILES = {MarketGroup.KR: "krx_daily", MarketGroup.US: "us_daily"}
LISTED_AT = {MarketGroup.KR: Market.KR, MarketGroup.US: Market.US_NASDAQ}
WORDS = {
    MarketGroup.KR: ("한국산업홀딩스", "{} 3분기 영업이익 시장 예상치 상회, 외국인 순매수 지속"),
    MarketGroup.US: ("Example Holdings Inc", "{} beats third-quarter estimates and raises outlook"),
}


def real_bars(group: MarketGroup) -> dict[str, list[DailyBar]]:
    """120 bars of the 60 stocks that moved most on the file's last day."""
    path = DATA / f"{FILES[group]}.parquet"
    if not path.is_file():
        pytest.skip("no real prices in ../shared/data")
    rows = pl.read_parquet(path).filter(pl.col("close") > 0).sort("symbol", "date")
    last = rows["date"].max()
    rows = rows.filter(pl.col("date") > last - timedelta(days=200))
    moves = rows.with_columns(move=pl.col("close").pct_change().over("symbol").abs())
    top = moves.filter(pl.col("date") == last).top_k(60, by="move")["symbol"].to_list()
    bars: dict[str, list[DailyBar]] = {}
    wanted = rows.filter(pl.col("symbol").is_in(top))
    for symbol, day, *prices, volume in wanted.select(
        "symbol", "date", "open", "high", "low", "close", "volume"
    ).iter_rows():
        ohlc = (Decimal(str(round(price, 2))) for price in prices)
        bars.setdefault(symbol, []).append(DailyBar(day, *ohlc, int(volume)))
    return {symbol: series[-120:] for symbol, series in bars.items()}


def synthetic_bars(group: MarketGroup) -> dict[str, list[DailyBar]]:
    tape = synthetic_tape(group, SESSION, symbols=60, seed=1)
    past, bars = tape.history, {}
    for index, instrument in enumerate(tape.instruments):
        rows = range(past.offsets[index], past.offsets[index + 1])
        bars[instrument.symbol] = [
            DailyBar(
                past.dates[row].astype("datetime64[D]").item(),
                *(
                    Decimal(str(round(float(prices[row]), 2)))
                    for prices in (past.open, past.high, past.low, past.close)
                ),
                int(past.volume[row]),
            )
            for row in rows
        ]
    return bars


def candidates_of(group: MarketGroup, bars: dict[str, list[DailyBar]]) -> tuple[Candidate, ...]:
    ranking = [
        RankRow(Instrument(s, LISTED_AT[group], WORDS[group][0]), n, Decimal(1), 1.0, 1)
        for n, s in enumerate(bars, start=1)
    ]
    scan = scan_closed(
        group,
        fluctuation=ranking,
        volume=ranking[:20],
        panel=BarPanel.from_bars(bars, 120),
        limits=ScanLimits(top_n=30),
        minimum_price=Decimal(1),
    )
    return scan.candidates


@pytest.fixture(scope="module")
def memory() -> list[ContextEntry]:
    """What is remembered after five weeks of KR and US."""
    store, days = DuckStore(":memory:"), weekdays(date(2026, 10, 19), 24)
    groups = [MarketGroup.KR, MarketGroup.US]
    with store.write() as tx:
        for group in groups:
            tx.append(busy_ledger(group, days, trades=20, looks=40).records)
    remember(store, groups, at=AT)
    with store.read() as db:
        return [entry for layer in ContextLayer for entry in db.context(layer)]


@pytest.mark.parametrize("data", ["real", "synthetic"])
@pytest.mark.parametrize("group", [MarketGroup.KR, MarketGroup.US])
def test_the_prompt_is_shorter_and_says_the_same(
    group: MarketGroup, data: str, memory: list[ContextEntry], benchmark: BenchmarkFixture
) -> None:
    bars = real_bars(group) if data == "real" else synthetic_bars(group)
    candidates = candidates_of(group, bars)
    assert candidates
    held = [
        HeldFacts(c.instrument.symbol, c.instrument.name, 10, c.price, c.price, 3)
        for c in candidates[:3]
    ]
    template = WORDS[group][1]
    headlines = [
        f"{c.instrument.symbol} | {n + 2} h ago | score +0.35 | {template.format(WORDS[group][0])}"
        for n, c in enumerate(candidates)
    ]
    events = [f"2026-11-20 {h}:30 | US | importance medium | CPI, forecast 3.1 %" for h in (9, 13)]
    readings = ["KOSPI 2650.25 | change -1.25 % | 8 h ago", "VIX 18.2 | change +3.00 % | 8 h ago"]
    cards = [scorecard(SESSION - timedelta(days=n), ["late entries lost"]) for n in (1, 2, 3, 4)]
    cards.append(replace(cards[0], market="US"))
    facts = {"candidates": candidates, "holdings": held, "scorecards": cards, "events": events}
    facts |= {"headlines": headlines, "readings": readings}
    own = [e for e in memory if e.layer in (ContextLayer.L4, ContextLayer.L5, ContextLayer.L7)]
    before = plain_prompt(group, FACTS, limits=PlanLimits(), memory=own, **facts)
    chosen = choose(memory, MarketCondition.NORMAL, market=group.value, session=SESSION, at=AT)

    def compact(budget: int) -> Composed:
        return compose_prompt(
            group,
            FACTS,
            limits=replace(PlanLimits(), prompt_tokens=budget),
            memory=[c.line for c in chosen],
            **facts,
        )

    whole, after = compact(0), compact(PlanLimits().prompt_tokens)
    found = read_back(after.text)
    assert {r["symbol"]: Decimal(r["price"]) for r in found.tables["candidates"]} == {
        c.instrument.symbol: c.price for c in candidates
    }
    assert len(found.tables["holdings"]) == 3
    print(f"\n{group} {data}: {len(candidates)} candidates, {len(chosen)} memories")
    print(f"  names and news before: {estimate_tokens(before.partition(NAMES)[2])}")
    print(f"  before {estimate_tokens(before)}, after {whole.tokens}, in budget {after.tokens}")
    for share in after.shares:
        print(f"    {share.title[:40]:40} {share.tokens:5} tokens, {share.cut} cut")
    assert whole.tokens < estimate_tokens(before)
    benchmark(compact, PlanLimits().prompt_tokens)
