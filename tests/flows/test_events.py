"""What happened becomes events of Prefect, and nothing waits for them."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prefect.events import Event
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks import events
from tasks.deployments import follow_halts
from tests.flows.test_deployments_follow_halts import Api
from tests.record_factories import AT, make_backup, make_halt, make_playbook
from tests.trading_fakes import MakeFloor, busy, still, when
from tests.unit.twin.handmade_tape import minute
from trading_core.adapters.duck import DuckStore
from trading_core.steps import operate

CHEAP = [when("price <= 10000")]
LATER = AT + timedelta(hours=1)


@pytest.fixture
def floor(tmp_path: Path) -> MakeFloor:
    return MakeFloor(tmp_path)


async def test_a_trade_is_accepted_and_then_filled(floor: MakeFloor) -> None:
    desk = floor({"A": busy(*[10_000] * 9)}, {"A": CHEAP})
    ticks = [await desk.tick(minute(n)) for n in (2, 3, 4)]

    facts = [fact for t in ticks for fact in events.of_pass(t.books, t.plan, t.sent)]

    accepted, filled = facts
    assert [fact.name for fact in facts] == ["order.accepted", "order.filled"]
    assert accepted.subject == filled.subject == f"order.{desk.order().intent.intent_id}"
    assert accepted.labels == {
        "market": "KR",
        "symbol": "A",
        "session": desk.session.date.isoformat(),
        "side": "BUY",
    }
    assert accepted.payload["limit_price"] == "10020"
    assert accepted.payload["order_no"] == desk.order().order_no
    assert (filled.payload["quantity"], filled.payload["price"]) == (99, "10010")
    assert Decimal(filled.payload["fee"]) > 0


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("reject", ["order.rejected"]),
        ("lost request", []),
        ("lost reply", ["order.accepted"]),
    ],
)
async def test_only_what_the_broker_said_is_an_event(
    floor: MakeFloor, word: str, names: list[str]
) -> None:
    desk = floor({"A": still(10_000, 9)}, {"A": CHEAP})
    desk.broker.script = [word]
    ticks = [await desk.tick(minute(n)) for n in (2, 3)]

    facts = [fact for t in ticks for fact in events.of_pass(t.books, t.plan, t.sent)]

    assert [fact.name for fact in facts] == names


def test_the_same_fact_is_the_same_event_and_another_is_another() -> None:
    raised = make_halt(lifted_at=None, lifted_by="")
    lifted = make_halt(lifted_at=LATER, lifted_by="looked")

    first, again, other = (fact.as_event() for fact in events.of_halts([raised, raised, lifted]))

    assert first == again
    assert first["id"] != other["id"]
    assert (first["event"], other["event"]) == ("ouroboros.halt.raised", "ouroboros.halt.lifted")
    assert other["payload"]["by"] == "looked"


def test_every_event_is_one_that_prefect_takes() -> None:
    record = make_backup()
    facts = [
        *events.of_halts([make_halt()]),
        events.of_playbook(make_playbook()),
        events.of_backup(record, []),
        events.of_backup(record, ["the bucket is full"]),
        events.of_failed_backup(OSError("no space left"), AT),
    ]

    names = [Event(**fact.as_event()).event.removeprefix("ouroboros.") for fact in facts]

    assert names[1:] == ["playbook.made", "backup.done", "backup.degraded", "backup.failed"]
    assert facts[3].payload["why"] == ["the bucket is full"]
    assert facts[4].payload["why"] == "OSError: no space left"


async def test_new_halts_are_stated_and_old_ones_are_not() -> None:
    store, api = DuckStore(":memory:"), Api()
    operate.halt(store, scope="KR", reason="x", at=AT)

    await follow_halts(store, AT, api.connect)
    operate.resume(store, scope="KR", by="looked", at=LATER)
    await follow_halts(store, LATER, api.connect)
    await follow_halts(store, LATER + timedelta(hours=1), api.connect)
    await follow_halts(store, AT, api.connect, announce=False)

    assert [event["event"] for event in api.stated] == [
        "ouroboros.halt.raised",
        "ouroboros.halt.lifted",
    ]


async def test_a_server_that_takes_no_events_still_gets_its_deployments_paused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, api = DuckStore(":memory:"), Api(broken="events")
    api.add("plan", "KR")
    operate.halt(store, scope="KR", reason="x", at=AT)

    with caplog.at_level(logging.WARNING):
        done = await follow_halts(store, AT, api.connect)

    assert done.paused == ("plan/KR",)
    assert "events are not sent: ConnectionError" in caplog.text


def test_nothing_is_sent_and_no_server_started_where_there_is_no_api(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr("prefect.events.emit_event", lambda **event: sent.append(event))

    with temporary_settings(updates={PREFECT_API_URL: None}):
        events.emit(events.of_halts([make_halt()]))
    assert sent == []
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        events.emit(events.of_halts([make_halt()]))
    assert len(sent) == 1


def test_a_dead_server_delays_nobody() -> None:
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        events.emit(events.of_halts([make_halt()]))
        begun = time.perf_counter()
        for number in range(100):
            events.emit(events.of_halts([make_halt(halt_id=f"h{number}")]))
        took = time.perf_counter() - begun

    assert took < 1.0


def test_an_error_of_prefect_is_nobody_elses(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**event: Any) -> None:
        raise RuntimeError("no thread")

    monkeypatch.setattr("prefect.events.emit_event", broken)
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        events.emit(events.of_halts([make_halt()]))

    assert "events are not sent: RuntimeError" in caplog.text
