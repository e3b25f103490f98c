"""Scenario matching: the compiled engine beside the plain loop over pydantic models, in one run.

    pytest benchmarks/bench_scenarios.py --benchmark-only -o python_files='bench_*.py'

A tick is 1,000 symbols with 5 scenarios of 3 conditions each, over 8 fields; about 6 % of the
scenarios match. ``acted on`` is what the tick needs to trade; ``journal`` adds all other
matches, near misses, missing data and the rows that are stored. Made-up numbers throughout. Every
round after the first observes the same symbols, as the ticks of a session mostly do; the first
tick pays for finding their places.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.plain_matcher import first_matches, plain_match, rows_by_symbol
from trading_core.model.playbook import (
    Action,
    Condition,
    Outlook,
    Playbook,
    PlaybookSource,
    Scenario,
    StockPlan,
)
from trading_core.model.price import ObservationFrame
from trading_core.rules.scenarios import MatchResult, compile_playbook, match

AT = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
SESSION = date(2026, 11, 20)
FIELDS = (
    "price",
    "change_pct",
    "volume_ratio",
    "rsi",
    "atr_pct",
    "momentum",
    "spread_pct",
    "gap_pct",
)
# Three independent conditions, each true with this chance, hold together 6 times in 100.
CHANCE = 0.06 ** (1 / 3)


def make_day(symbols: int, scenarios: int = 5) -> tuple[Playbook, ObservationFrame]:
    """A playbook over uniform values from 0 to 100, and one frame of them in another order."""
    random = np.random.default_rng(20261120)
    names = [f"S{index:05d}" for index in range(symbols)]

    def condition(name: str) -> Condition:
        below = random.random() < 0.5
        op = ("<", "<=") if below else (">", ">=")
        bound = 100 * (CHANCE if below else 1 - CHANCE) + random.normal(0, 3)
        return Condition(field=name, op=op[random.integers(2)], value=bound)

    def plan(symbol: str) -> StockPlan:
        return StockPlan(
            symbol=symbol,
            scenarios=tuple(
                Scenario(
                    conditions=tuple(
                        condition(FIELDS[i]) for i in random.choice(len(FIELDS), 3, replace=False)
                    ),
                    action=Action.BUY,
                    confidence=85,
                )
                for _ in range(scenarios)
            ),
        )

    playbook = Playbook(
        session=SESSION,
        market="KR",
        source=PlaybookSource.GEMINI,
        outlook=Outlook.NEUTRAL,
        stocks=tuple(plan(symbol) for symbol in names),
        generated_at=AT,
    )
    columns = {name: random.uniform(0, 100, symbols) for name in FIELDS}
    return playbook, ObservationFrame(AT, tuple(random.permutation(names).tolist()), columns)


DAY = make_day(1_000)
tick = pytest.mark.benchmark(group="tick: 1,000 symbols x 5 scenarios x 3 conditions")


def everything(result: MatchResult) -> MatchResult:
    """Ask for all that the journal needs."""
    result.rows("KR", SESSION)
    _ = result.missing
    return result


@tick
def test_compiled_acted_on(benchmark: BenchmarkFixture) -> None:
    playbook, frame = DAY
    result = benchmark(match, compile_playbook(playbook), frame)
    expected = plain_match(playbook, frame).first
    assert {symbol: found.index for symbol, found in result.first.items()} == expected


@tick
def test_plain_loop_acted_on(benchmark: BenchmarkFixture) -> None:
    playbook, frame = DAY
    assert benchmark(lambda: first_matches(playbook, rows_by_symbol(frame)))


@tick
def test_plain_loop_acted_on_rows_ready(benchmark: BenchmarkFixture) -> None:
    """The same with the rows as dicts beforehand, which flatters the loop."""
    playbook, frame = DAY
    rows = rows_by_symbol(frame)
    assert benchmark(first_matches, playbook, rows)


@tick
def test_compiled_near_misses(benchmark: BenchmarkFixture) -> None:
    playbook, frame = DAY
    compiled = compile_playbook(playbook)
    nearest = benchmark(lambda: match(compiled, frame).nearest)
    assert len(nearest) == len(plain_match(playbook, frame).nearest)


@tick
def test_compiled_journal(benchmark: BenchmarkFixture) -> None:
    playbook, frame = DAY
    compiled = compile_playbook(playbook)
    result = benchmark(lambda: everything(match(compiled, frame)))
    assert len(result.nearest) > 900


@tick
def test_plain_loop_journal(benchmark: BenchmarkFixture) -> None:
    """All matches and near misses, but without making the rows."""
    playbook, frame = DAY
    assert benchmark(plain_match, playbook, frame).nearest


@pytest.fixture(scope="module")
def large_day() -> tuple[Playbook, ObservationFrame]:
    return make_day(20_000)


@pytest.mark.benchmark(group="100,000 scenarios of 20,000 symbols")
def test_compiled_100_000(
    benchmark: BenchmarkFixture, large_day: tuple[Playbook, ObservationFrame]
) -> None:
    playbook, frame = large_day
    result = benchmark(match, compile_playbook(playbook), frame)
    assert len(result.first) > 1_000


@pytest.mark.benchmark(group="100,000 scenarios of 20,000 symbols")
def test_compiled_100_000_near_misses(
    benchmark: BenchmarkFixture, large_day: tuple[Playbook, ObservationFrame]
) -> None:
    playbook, frame = large_day
    compiled = compile_playbook(playbook)
    assert len(benchmark(lambda: match(compiled, frame).nearest)) > 10_000


@pytest.mark.benchmark(group="100,000 scenarios of 20,000 symbols")
def test_plain_loop_100_000_rows_ready(
    benchmark: BenchmarkFixture, large_day: tuple[Playbook, ObservationFrame]
) -> None:
    playbook, frame = large_day
    rows = rows_by_symbol(frame)
    assert benchmark.pedantic(first_matches, args=(playbook, rows), rounds=5)


@pytest.mark.benchmark(group="compile once a day")
def test_compile_5_000_scenarios(benchmark: BenchmarkFixture) -> None:
    assert benchmark(compile_playbook, DAY[0]).scenarios
