"""``ouroboros memory``, and the flows that keep memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.memory import memory
from flows.review import review
from tests.memory_ledger import Ledger, weekdays
from tests.record_factories import AT, make_observation
from tests.trading_fakes import POLICY, MakeFloor, busy, when
from tests.unit.twin.handmade_tape import minute
from trading_core.adapters.duck import DuckStore
from trading_core.clock import FixedClock
from trading_core.model.journal import ContextLayer
from trading_core.model.market import Currency, MarketGroup
from trading_core.wiring import shared

Run = Callable[..., tuple[int, str, str]]
MON, TUE = weekdays(date(2026, 11, 16), 2)


@pytest.fixture
def store() -> DuckStore:
    """A KR market of two sessions and a US market of one, and nothing remembered."""
    korea, america = Ledger(), Ledger(MarketGroup.US)
    korea.round_trip(MON, 10)
    korea.round_trip(TUE, -5)
    america.round_trip(MON, 1)
    store = DuckStore(Path(os.environ["OUROBOROS_HOME"]) / "trades.db")
    with store.write() as tx:
        tx.append([*korea.records, *america.records, make_observation(values={"price": 7.5})])
    return store


def as_json(run_cli: Run, *arguments: str) -> dict[str, Any]:
    code, out, err = run_cli("memory", *arguments, "--json")
    assert (code, err) == (0, "")
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_without_a_layer_it_says_what_the_layers_are(run_cli: Run, store: DuckStore) -> None:
    layers = as_json(run_cli)["layers"]
    assert [item["layer"] for item in layers] == list(ContextLayer)
    assert [item["newest"] for item in layers] == [["2026-11-20"], [], [], [], [], [], []]
    code, out, _ = run_cli("memory")
    assert code == 0
    for text in ("Weekly", "nothing yet", "for good", "365 days"):
        assert text in out


def test_a_rebuild_computes_all_from_what_was_traded(run_cli: Run, store: DuckStore) -> None:
    answer = as_json(run_cli, "--rebuild")
    assert answer["sessions"] == {"KR": 2, "US": 1}
    assert answer["written"] > 0
    assert as_json(run_cli, "--rebuild")["written"] == 0
    layers = {item["layer"]: item["newest"] for item in as_json(run_cli)["layers"]}
    assert (layers["L3"], layers["L4"]) == (["2026-11-17", "2026-11-16"], ["2026-W47"])
    assert layers["L7"] == ["all", "2026"]


def test_a_layer_is_shown_of_one_market_and_one_timeframe(run_cli: Run, store: DuckStore) -> None:
    run_cli("memory", "--rebuild", "--market", "KR")
    assert [e["key"] for e in as_json(run_cli, "l3")["entries"]] == ["day_KR_KRW"]
    run_cli("memory", "--rebuild")
    newest = as_json(run_cli, "L3")["entries"]
    assert [(e["timeframe"], e["key"]) for e in newest] == [
        ("2026-11-17", "day_KR_KRW"),
        ("2026-11-16", "day_US_USD"),
    ]
    [monday] = as_json(run_cli, "L3", "--timeframe", "2026-11-16", "-m", "KR")["entries"]
    assert monday["value"]["pnl"]["net"] == "60"
    code, out, _ = run_cli("memory", "L3", "--market", "US_NASDAQ")
    assert code == 0
    assert out.startswith("2026-11-16 day_US_USD\n  pnl gross 10; pnl fees 20;")
    assert "day_KR" not in out


def test_the_newest_ticks_are_there_before_anything_is_computed(
    run_cli: Run, store: DuckStore
) -> None:
    [tick] = as_json(run_cli, "L1")["entries"]
    assert (tick["key"], tick["value"]) == ("tick_KR_005930", {"price": 7.5})


def test_an_empty_layer_and_a_wrong_one_are_told_apart(run_cli: Run, store: DuckStore) -> None:
    assert run_cli("memory", "L6")[1] == "L6 holds nothing of that yet\n"
    code, _, err = run_cli("memory", "L9")
    assert (code, err) == (2, "error: L9: not a layer of memory; they are L1 to L7\n")
    assert run_cli("memory", "L3", "--market", "MARS")[0] == 2


async def test_the_flow_catches_up_every_market(store: DuckStore) -> None:
    runtime: Any = SimpleNamespace(store=store, clock=FixedClock(AT), groups=list(MarketGroup))
    with shared(runtime):
        first, second = await memory.fn(), await memory.fn()
    assert first.is_completed()
    assert "sessions computed: KR 2, US 1;" in str(first.message)
    assert second.message == "memory was up to date"


async def test_the_flow_says_which_market_was_left_as_it_is_and_why(store: DuckStore) -> None:
    with store.write() as tx:
        [bought, *_] = tx.fills("KR")
        tx.append([replace(bought, fill_id="wrong", currency=Currency.USD)])
    runtime: Any = SimpleNamespace(store=store, clock=FixedClock(AT), groups=list(MarketGroup))
    with shared(runtime):
        state = await memory.fn()
    assert (state.name, state.is_failed()) == ("Incomplete", True)
    assert "KR was left as it is: A was traded in" in str(state.message)
    assert "sessions computed: US 1;" in str(state.message)


async def test_the_review_remembers_its_day(tmp_path: Path) -> None:
    floor = MakeFloor(tmp_path)({"A": busy(*[10_000] * 60)}, {"A": [when("price <= 10000")]})
    await floor.tick(minute(2))
    close = floor.session.close_at + timedelta(minutes=20)
    floor.venue.advance_to(close)
    runtime: Any = SimpleNamespace(
        store=floor.store,
        clock=FixedClock(close),
        broker=floor.broker,
        market_data=floor.broker,
        shadows=(),
        notifier=floor.notifier,
        policy=POLICY,
        language_model=None,
    )
    with shared(runtime):
        state = await review.fn("KR")
    assert state.is_completed()
    with floor.store.read() as db:
        for layer in ContextLayer:
            assert db.context(layer), layer
