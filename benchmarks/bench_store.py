"""What one tick costs at the store: open, one transaction, close; and one read.

pytest benchmarks/bench_store.py
pytest benchmarks/bench_store.py -k large      with two million observations in the file
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.record_factories import (
    AT,
    SESSION,
    make_decision,
    make_equity,
    make_fill,
    make_intent,
    make_match,
    make_observation,
    make_order_life,
)
from trading_core.adapters.duck import DuckStore
from trading_core.model.order import OrderState
from trading_core.ports import Record

FIELDS = (
    "price",
    "change_pct",
    "gap_pct",
    "range_pct",
    "volume_ratio",
    "rsi",
    "atr_pct",
    "return_5d_pct",
    "return_20d_pct",
    "momentum",
    "breakout_pct",
    "spread_pct",
    "unrealized_pnl_pct",
    "holding_days",
    "minutes_to_close",
)
ROUNDS = 40


def tick(number: int) -> Sequence[Record]:
    """200 observations, 20 matches, two orders that were filled, one equity point."""
    at = AT + timedelta(minutes=number)
    records: list[Record] = [
        make_observation(
            at=at,
            symbol=f"{symbol:06d}",
            values={name: (symbol * 31 + n * 7 + number) / 13 for n, name in enumerate(FIELDS)},
        )
        for symbol in range(200)
    ]
    records += [make_match(at=at, symbol=f"{symbol:06d}") for symbol in range(20)]
    for order in range(2):
        name = f"{number}-{order}"
        records += [
            make_decision(decision_id=name, at=at),
            make_intent(intent_id=name, decision_id=name, created_at=at),
            *make_order_life(
                OrderState.INTENDED,
                OrderState.SENDING,
                OrderState.ACCEPTED,
                OrderState.FILLED,
                intent_id=name,
                at=at,
            ),
            make_fill(fill_id=name, intent_id=name, filled_at=at),
        ]
    records.append(make_equity(at=at, equity=Decimal(number)))
    return records


@pytest.fixture(scope="module", params=["empty", "large"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DuckStore:
    store = DuckStore(tmp_path_factory.mktemp("bench") / "state.duckdb")
    if request.param == "large":
        with store.write() as tx:
            tx._connection.execute(_TWO_MILLION)
    return store


_TWO_MILLION = """
    INSERT INTO observations
    SELECT 'KR', DATE '2026-01-02' + (n // 78000)::INTEGER,
        TIMESTAMPTZ '2026-01-02 00:00:00+00' + (n // 200) * INTERVAL 1 MINUTE,
        (n % 200)::VARCHAR, json_object('price', n / 7, 'rsi', n % 100, 'momentum', n % 37)
    FROM range(2000000) t(n)"""


def test_append_one_tick(benchmark: BenchmarkFixture, store: DuckStore) -> None:
    numbers = count()

    def append(records: Sequence[Record]) -> None:
        with store.write() as tx:
            tx.append(records)

    benchmark.pedantic(
        append, setup=lambda: ((tick(next(numbers)),), {}), rounds=ROUNDS, warmup_rounds=2
    )


def test_append_one_record(benchmark: BenchmarkFixture, store: DuckStore) -> None:
    numbers = count()

    def append(at: timedelta) -> None:
        with store.write() as tx:
            tx.append([make_equity(at=AT + at)])

    benchmark.pedantic(
        append, setup=lambda: ((timedelta(seconds=next(numbers)),), {}), rounds=ROUNDS
    )


def test_read_what_a_tick_needs(benchmark: BenchmarkFixture, store: DuckStore) -> None:
    def read() -> None:
        with store.read() as db:
            db.playbook("KR", SESSION)
            db.open_halts()
            db.unsettled_orders("KR")
            db.fills("KR")
            db.adopted_lots("KR")
            db.protections("KR")
            db.equity_curve("KR", SESSION)

    benchmark.pedantic(read, rounds=ROUNDS, warmup_rounds=2)


def test_open_and_close(benchmark: BenchmarkFixture, store: DuckStore) -> None:
    def read() -> None:
        with store.read():
            pass

    benchmark.pedantic(read, rounds=ROUNDS, warmup_rounds=2)


def test_snapshot(benchmark: BenchmarkFixture, store: DuckStore, tmp_path: Path) -> None:
    targets = (tmp_path / f"{number}.duckdb" for number in count())
    benchmark.pedantic(store.snapshot, setup=lambda: ((next(targets),), {}), rounds=5)
