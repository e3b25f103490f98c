"""A store read as of a moment answers as it answered then."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from tests.record_factories import (
    AT,
    MINUTE,
    SESSION,
    make_ask,
    make_backup,
    make_check,
    make_context,
    make_cycle,
    make_decision,
    make_decision_review,
    make_difference,
    make_equity,
    make_event,
    make_event_due,
    make_fill,
    make_halt,
    make_headline,
    make_intent,
    make_kill_row,
    make_level,
    make_llm_call,
    make_llm_reservation,
    make_llm_text,
    make_lot,
    make_match,
    make_notification,
    make_observation,
    make_operator_command,
    make_outcome,
    make_playbook,
    make_protection,
    make_reading,
    make_restore,
    make_scorecard,
    make_screened,
    make_send,
    make_shadow_guard,
    make_shadow_mark,
    make_shadow_plan,
    make_shadow_trade,
    make_split,
    make_switch,
    make_upload,
)
from tests.trading_fakes import KR, MakeFloor, busy, playbook, when
from tests.unit.twin.handmade_tape import SESSION as DAY
from tests.unit.twin.handmade_tape import minute
from trading_core.adapters.duck import DuckStore
from trading_core.adapters.duck.as_known import TIMELESS, VERSIONED, WRITTEN, look_back
from trading_core.adapters.duck.migrations import migrate
from trading_core.adapters.past_store import PastStore
from trading_core.errors import StoreError
from trading_core.model.audit import DecisionFilter
from trading_core.model.journal import ContextLayer
from trading_core.model.order import OrderState, Side
from trading_core.ports import Record, StoreReader, StoreWriter
from trading_core.steps import operate
from trading_core.steps.memory import remember

HOUR = timedelta(hours=1)
EARLY = datetime(2000, 1, 1, tzinfo=UTC)
LATE = datetime(2100, 1, 1, tzinfo=UTC)

QUESTIONS: dict[str, Callable[[StoreReader, Any], Any]] = {
    "playbook": lambda db, day: db.playbook("KR", day),
    "latest_playbook": lambda db, day: db.latest_playbook("KR", before=day + timedelta(days=1)),
    "orders": lambda db, day: db.orders(),
    "order": lambda db, day: [db.order(r.intent.intent_id) for r in db.orders()],
    "unsettled_orders": lambda db, day: db.unsettled_orders(),
    "live_orders": lambda db, day: db.live_orders("KR", day),
    "fills": lambda db, day: db.fills(),
    "adopted_lots": lambda db, day: db.adopted_lots("KR"),
    "splits": lambda db, day: db.splits("KR"),
    "protections": lambda db, day: db.protections("KR"),
    "open_halts": lambda db, day: db.open_halts(),
    "halts": lambda db, day: db.halts(),
    "differences": lambda db, day: db.differences("KR", day),
    "decision_cycles": lambda db, day: db.decision_cycles("KR", day),
    "kill_rows": lambda db, day: db.kill_rows(),
    "operator_commands": lambda db, day: db.operator_commands(),
    "deployment_switches": lambda db, day: db.deployment_switches(),
    "equity_curve": lambda db, day: db.equity_curve("KR", day),
    "decisions": lambda db, day: db.decisions(),
    "outcomes": lambda db, day: db.outcomes("KR", day),
    "decision_log": lambda db, day: db.decision_log(DecisionFilter()),
    "screened": lambda db, day: db.screened("KR", day),
    "unreviewed_sessions": lambda db, day: db.unreviewed_sessions(
        "KR", since=day, before=day + timedelta(days=9)
    ),
    "matches": lambda db, day: db.matches("KR", day),
    "newest_matches": lambda db, day: db.newest_matches("KR", day),
    "observations": lambda db, day: db.observations("KR", day),
    "counts": lambda db, day: db.counts("KR", day),
    "llm_calls": lambda db, day: db.llm_calls(),
    "llm_reservations": lambda db, day: db.llm_reservations(),
    "llm_spend": lambda db, day: db.llm_spend(since=EARLY),
    "llm_text": lambda db, day: db.llm_text("prompt-1"),
    "scorecard": lambda db, day: db.scorecard("KR", day),
    "scorecards": lambda db, day: db.scorecards(),
    "backups": lambda db, day: db.backups(),
    "notified": lambda db, day: db.notified([f"note-{n}" for n in range(20)]),
    "unsent": lambda db, day: db.unsent("telegram"),
    "notifications": lambda db, day: db.notifications(),
    "sends": lambda db, day: db.sends([f"note-{n}" for n in range(20)]),
    "notification_levels": lambda db, day: db.notification_levels(),
    "last_prices": lambda db, day: db.last_prices("KR", day),
    "newest_session": lambda db, day: db.newest_session("KR"),
    "recently_traded": lambda db, day: db.recently_traded("KR", since=day),
    "context": lambda db, day: [db.context(layer) for layer in ContextLayer],
    "context_history": lambda db, day: [db.context_history(layer) for layer in ContextLayer],
    "context_layers": lambda db, day: db.context_layers(),
    "fact_marks": lambda db, day: db.fact_marks("KR"),
    "memory_facts": lambda db, day: db.memory_facts("KR"),
    "held_symbols": lambda db, day: db.held_symbols("KR"),
    "trade_history": lambda db, day: db.trade_history("KR")(),
    "instrument_names": lambda db, day: db.instrument_names("KR"),
    "last_observations": lambda db, day: db.last_observations("KR", day),
    "price_path": lambda db, day: db.price_path("KR", day, "005930"),
    "match_totals": lambda db, day: db.match_totals("KR", day),
    "playbook_versions": lambda db, day: db.playbook_versions("KR", day),
    "guard_history": lambda db, day: db.guard_history("KR", day, "005930"),
    "index_levels": lambda db, day: db.index_levels(["KOSPI"]),
    "headlines_known": lambda db, day: db.headlines_known(
        LATE, market="KR", symbols=["005930"], since=EARLY
    ),
    "readings_known": lambda db, day: db.readings_known(LATE, since=EARLY),
    "events_known": lambda db, day: db.events_known(LATE, country="KR", since=EARLY, until=LATE),
    "source_asks": lambda db, day: db.source_asks(since=EARLY),
    "shadow_plans": lambda db, day: db.shadow_plans("KR", since=day, until=day),
    "shadow_trades": lambda db, day: db.shadow_trades("KR"),
    "shadow_marks": lambda db, day: db.shadow_marks("KR", day),
    "last_shadow_marks": lambda db, day: db.last_shadow_marks("KR"),
    "shadow_guards": lambda db, day: db.shadow_guards("KR"),
    "backup_checks": lambda db, day: db.backup_checks(),
    "backup_uploads": lambda db, day: db.backup_uploads(),
    "restores": lambda db, day: db.restores(),
    "traded_sessions": lambda db, day: db.traded_sessions("KR"),
    "trading_costs": lambda db, day: db.trading_costs(since=day),
    "slippage": lambda db, day: db.slippage(since=day),
}
"""Every query of the port but that for the holder of a lease, which nobody keeps."""


def answers(db: StoreReader, day: Any = SESSION) -> dict[str, Any]:
    return {name: ask(db, day) for name, ask in QUESTIONS.items()}


def test_every_query_of_the_port_is_asked() -> None:
    names = {
        name
        for kind in StoreReader.__mro__
        for name, member in vars(kind).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }
    assert names - {"lease_holder"} == set(QUESTIONS)


def test_every_table_says_when_its_rows_were_written() -> None:
    connection = duckdb.connect(":memory:")
    migrate(connection)
    tables = {
        name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    }
    assert tables == WRITTEN.keys() | TIMELESS | VERSIONED.keys()
    look_back(connection, AT)


# What may be written in a minute, by kind: the n-th minute, its time, and what is there already.
KINDS: dict[str, Callable[[int, datetime], list[Record]]] = {
    "playbook": lambda n, at: [make_playbook(generated_at=at, token_count=n)],
    "decision": lambda n, at: [make_decision(decision_id=f"decision-{n}", at=at)],
    "outcome": lambda n, at: [make_outcome(at=at, outcome_pnl=Decimal(n))],
    "review": lambda n, at: [make_decision_review(at=at, note=str(n))],
    "screened": lambda n, at: [make_screened(at=at, score=float(n))],
    "order": lambda n, at: [
        make_intent(intent_id=f"intent-{n}", created_at=at),
        make_event(intent_id=f"intent-{n}", at=at),
    ],
    "fill": lambda n, at: [
        make_fill(fill_id=f"fill-{n}", filled_at=at, side=Side.SELL if n % 2 else Side.BUY)
    ],
    "lot": lambda n, at: [make_lot(lot_id=f"lot-{n}", adopted_at=at)],
    "split": lambda n, at: [make_split(split_id=f"split-{n}", at=at)],
    "observation": lambda n, at: [make_observation(at=at, values={"price": float(n)})],
    "match": lambda n, at: [make_match(at=at), make_match(at=at, kind="first", confidence=n)],
    "equity": lambda n, at: [make_equity(at=at, equity=Decimal(n))],
    "halt": lambda n, at: [make_halt(halt_id=f"halt-{n}", raised_at=at)],
    "difference": lambda n, at: [make_difference(difference_id=f"difference-{n}", at=at)],
    "cycle": lambda n, at: [make_cycle(at=at)],
    "kill": lambda n, at: [make_kill_row(attempt=n, at=at)],
    "switch": lambda n, at: [make_switch(at=at)],
    "command": lambda n, at: [make_operator_command(command_id=f"telegram-{n}", at=at)],
    "call": lambda n, at: [
        make_llm_reservation(call_id=f"call-{n}", at=at - MINUTE / 4),
        make_llm_call(call_id=f"call-{n}", at=at - MINUTE / 4, latency_ms=15_000),
        make_llm_text(at=at),
    ],
    "scorecard": lambda n, at: [make_scorecard(at=at, wins=n)],
    "context": lambda n, at: [make_context(at=at, value=n)],
    "backup": lambda n, at: [
        make_backup(backup_id=f"backup-{n}", at=at),
        make_upload(backup_id=f"backup-{n}", at=at),
        make_check(at=at, restored_rows=n),
        make_restore(restore_id=f"restore-{n}", at=at),
    ],
    "note": lambda n, at: [
        make_notification(notification_id=f"note-{n}", at=at, channels=("telegram",)),
        make_send(notification_id=f"note-{n // 2}", at=at),
        make_level(level=("on", "silent", "off")[n % 3], at=at),
    ],
    "guard": lambda n, at: [make_protection(updated_at=at, peak_price=Decimal(70_000 + n))],
    "news": lambda n, at: [make_headline(f"title {n}", fetched_at=at), make_reading(fetched_at=at)],
    "due": lambda n, at: [
        make_event_due(fetched_at=at, forecast=str(n), is_withdrawn=n % 3 == 2),
        make_ask(at=at),
    ],
    "shadow": lambda n, at: [
        make_shadow_plan(at=at, problem=str(n)),
        make_shadow_trade(intent_id=f"intent-{n}", at=at),
        make_shadow_mark(at=at, observed=n),
        make_shadow_guard(updated_at=at, peak_price=Decimal(70_000 + n)),
    ],
}


def lift(tx: StoreWriter, at: datetime) -> None:
    for halt in tx.open_halts()[:1]:
        tx.lift_halt(halt.halt_id, at=at, by="somebody", accepted_pnl_pct=Decimal("-3.1"))


def forget(tx: StoreWriter, at: datetime) -> None:
    tx.forget([make_context()], at=at)


def go_on(tx: StoreWriter, at: datetime) -> None:
    for record in tx.unsettled_orders()[:1]:
        following = {
            OrderState.INTENDED: OrderState.SENDING,
            OrderState.SENDING: OrderState.ACCEPTED,
            OrderState.ACCEPTED: OrderState.FILLED,
        }
        tx.append(
            [
                make_event(
                    intent_id=record.intent.intent_id,
                    sequence=record.next_sequence,
                    state=following.get(record.state, OrderState.NOT_SENT),
                    at=at,
                )
            ]
        )


CHANGES = {"lift": lift, "forget": forget, "order goes on": go_on}


@settings(max_examples=1, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@example([[*KINDS, *CHANGES]] * 3)
@given(
    st.lists(
        st.lists(st.sampled_from([*KINDS, *CHANGES]), min_size=1, max_size=14),
        min_size=2,
        max_size=4,
    )
)
def test_any_past_reads_as_it_read_when_it_was_the_present(day: list[list[str]]) -> None:
    store = DuckStore(":memory:")
    told = []
    for n, kinds in enumerate(day):
        at = AT + n * MINUTE
        with store.write() as tx:
            for kind in kinds:
                if kind in CHANGES:
                    CHANGES[kind](tx, at)
                else:
                    tx.append(KINDS[kind](n, at))
        with store.read() as db:
            told.append((at, answers(db)))
    for at, before in told:
        with store.read(as_of=at + MINUTE / 2) as db:
            assert answers(db) == before
    with store.read(as_of=LATE) as db:
        assert answers(db) == told[-1][1]


@contextmanager
def recorded(store: Any, told: dict[datetime, Any], at: datetime) -> Iterator[None]:
    yield
    with store.read() as db:
        told[at] = answers(db, DAY)


async def test_a_day_of_ticks_halts_and_memory_can_be_looked_back_at(tmp_path: Path) -> None:
    plan = playbook({"A": [when("price <= 10000")], "B": [when("price > 1")]})
    desk = MakeFloor(tmp_path)(
        {"A": busy(*[10_000] * 9), "B": busy(*range(9_000, 9_900, 100))}, plan
    )
    told: dict[datetime, Any] = {}
    with recorded(desk.store, told, minute(0)), desk.store.write() as tx:
        tx.append([desk.book])
    for n in (1, 2, 3, 4):
        with recorded(desk.store, told, minute(n)):
            await desk.tick(minute(n))
    with recorded(desk.store, told, minute(5)):
        halt = operate.halt(desk.store, scope="KR", reason="a look", at=minute(5))
        remember(desk.store, [KR], at=minute(5))
    with recorded(desk.store, told, minute(6)):
        await desk.tick(minute(6))
        remember(desk.store, [KR], at=minute(6))
    with recorded(desk.store, told, minute(7)), desk.store.write() as tx:
        tx.lift_halt(halt.halt_id, at=minute(7), by="somebody")
        tx.forget(tx.context_history(ContextLayer.L3), at=minute(7))
    assert told[minute(4)]["fills"] and told[minute(6)]["open_halts"]
    assert told[minute(5)]["context"] != told[minute(6)]["context"] != told[minute(7)]["context"]
    for at, before in told.items():
        with desk.store.read(as_of=at) as db:
            assert answers(db, DAY) == before, at


@pytest.fixture
def file(tmp_path: Path) -> DuckStore:
    return DuckStore(tmp_path / "state.duckdb")


def test_a_file_is_looked_back_at_without_a_trace(file: DuckStore) -> None:
    with file.write() as tx:
        tx.append([make_halt(), make_halt(halt_id="later", raised_at=AT + MINUTE)])
        tx.lift_halt("halt-1", at=AT + 2 * MINUTE, by="somebody")
    with file.read(as_of=AT) as db:
        assert db.open_halts() == [make_halt()]
        then = db.total_rows()
    with file.read() as db:
        assert db.total_rows() == then + 1
        assert [halt.halt_id for halt in db.open_halts()] == ["later"]
        assert [halt.lifted_by for halt in db.halts()] == ["somebody", ""]


def test_the_stores_views_are_those_of_that_time(file: DuckStore) -> None:
    sold = make_fill(fill_id="f2", side=Side.SELL, filled_at=AT + 5 * MINUTE)
    with file.write() as tx:
        tx.append([make_fill(), sold, make_context(), make_observation(at=AT + MINUTE)])
    with file.read(as_of=AT + 2 * MINUTE) as db:
        held = db._connection.execute("SELECT quantity FROM positions").fetchall()
        assert held == [(10,)]
        assert len(db.context(ContextLayer.L1)) == 1
    with file.read(as_of=AT) as db:
        assert db._connection.execute("SELECT * FROM positions").fetchall() == []
        assert db.context(ContextLayer.L1) == []


def test_a_store_of_the_past_goes_no_further_than_its_moment_and_is_not_written(
    file: DuckStore,
) -> None:
    with file.write() as tx:
        tx.append([make_halt(), make_halt(halt_id="later", raised_at=AT + MINUTE)])
    past = PastStore(file, AT)
    for asked in (None, AT, AT + HOUR):
        with past.read(as_of=asked) as db:
            assert len(db.open_halts()) == 1
    with past.read(as_of=AT - MINUTE) as db:
        assert db.open_halts() == []
    with pytest.raises(StoreError, match="never written"):
        past.write()
    with pytest.raises(StoreError):
        past.snapshot(Path("nowhere"))


def test_a_moment_without_a_zone_is_no_moment(file: DuckStore) -> None:
    with (
        pytest.raises(ValueError, match="no time zone"),
        file.read(as_of=AT.replace(tzinfo=None)),
    ):
        pass
