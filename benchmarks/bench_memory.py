"""What it costs to remember: a year of six markets from nothing, one more day, and nothing new.

pytest benchmarks/bench_memory.py
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.memory_ledger import busy_ledger, weekdays
from trading_core.adapters.duck import DuckStore
from trading_core.model.market import MarketGroup
from trading_core.steps.memory import remember

AT = datetime(2026, 12, 31, tzinfo=UTC)
GROUPS = list(MarketGroup)
SESSIONS = weekdays(date(2026, 1, 5), 250)
TRADES, LOOKS = 20, 80


@pytest.fixture(scope="session")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """250 sessions of six markets: 30,000 fills, 120,000 equity points, nothing remembered."""
    path = tmp_path_factory.mktemp("memory") / "year.duckdb"
    with DuckStore(path).write() as tx:
        for group in GROUPS:
            tx.append(busy_ledger(group, SESSIONS, trades=TRADES, looks=LOOKS).records)
    return path


@pytest.fixture
def stores(year: Path, tmp_path: Path) -> Iterator[DuckStore]:
    """Copies of the year, a fresh one for every round."""
    return (DuckStore(shutil.copy(year, tmp_path / f"{n}.duckdb")) for n in count())


def test_a_year_of_six_markets_from_nothing(
    benchmark: BenchmarkFixture, stores: Iterator[DuckStore]
) -> None:
    def run(store: DuckStore) -> None:
        assert len(remember(store, GROUPS, at=AT).sessions) == 6

    benchmark.pedantic(run, setup=lambda: ((next(stores),), {}), rounds=3)


def test_one_more_day_of_one_market(
    benchmark: BenchmarkFixture, stores: Iterator[DuckStore]
) -> None:
    store = next(stores)
    remember(store, GROUPS, at=AT)
    days = enumerate(weekdays(date(2026, 12, 21), 8), start=1)

    def another_day() -> None:
        number, day = next(days)
        more = busy_ledger(GROUPS[0], [day], trades=TRADES, looks=LOOKS, orders=number * 100_000)
        with store.write() as tx:
            tx.append(more.records)

    def run() -> None:
        assert len(remember(store, GROUPS[:1], at=AT).sessions[GROUPS[0]]) == 1

    benchmark.pedantic(run, setup=another_day, rounds=5)


def test_nothing_new_in_six_markets(
    benchmark: BenchmarkFixture, stores: Iterator[DuckStore]
) -> None:
    store = next(stores)
    remember(store, GROUPS, at=AT)
    benchmark(lambda: remember(store, GROUPS, at=AT))
