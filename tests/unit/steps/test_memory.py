"""Memory follows the facts: it catches up, repairs, changes nothing twice, and forgets in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path

import pytest

from tests.memory_ledger import Ledger, busy_ledger, weekdays
from tests.record_factories import make_context, make_difference, make_lot, make_playbook
from tests.trading_fakes import all_rows
from trading_core.adapters.duck import DuckStore
from trading_core.model.difference import DifferenceKind
from trading_core.model.journal import ContextEntry, ContextLayer
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import Side
from trading_core.model.playbook import PlaybookSource
from trading_core.ports import Record
from trading_core.rules.aggregate import COMPUTED
from trading_core.rules.memory_layers import LAYERS
from trading_core.steps import memory
from trading_core.steps.memory import remember

KR, US, JP = MarketGroup.KR, MarketGroup.US, MarketGroup.JP
MON, TUE, WED, THU = weekdays(date(2026, 11, 16), 4)
AT = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
LATER = AT + timedelta(days=1)


@pytest.fixture
def store() -> DuckStore:
    return DuckStore(":memory:")


def append(store: DuckStore, records: Iterable[Record]) -> None:
    with store.write() as tx:
        tx.append(records)


def everything(store: DuckStore) -> dict[tuple[str, str, str], ContextEntry]:
    with store.read() as db:
        found = [e for layer in COMPUTED for e in db.context_history(layer)]
    return {(e.layer.value, e.timeframe, e.key): e for e in found}


def values(store: DuckStore) -> dict[tuple[str, str, str], object]:
    return {name: entry.value for name, entry in everything(store).items()}


def net(store: DuckStore, layer: str, timeframe: str, key: str) -> D:
    return D(everything(store)[layer, timeframe, key].value["pnl"]["net"])


def trading(*gains: int, first: date = MON) -> Ledger:
    """A ledger with a round trip a weekday; a gain of g brings 10 g - 40 after costs."""
    ledger = Ledger()
    for session, gain in zip(weekdays(first, len(gains)), gains, strict=True):
        ledger.round_trip(session, gain)
    return ledger


def test_every_layer_is_computed_from_what_was_traded(store: DuckStore) -> None:
    append(store, trading(10, -5).records)
    done = remember(store, [KR], at=AT)
    assert done.sessions == {KR: (MON, TUE)}
    assert net(store, "L3", "2026-11-16", "day_KR_KRW") == 60
    assert net(store, "L3", "2026-11-17", "day_KR_KRW") == -90
    for layer, timeframe, key in (
        ("L4", "2026-W47", "week_KR_KRW"),
        ("L5", "2026-11", "month_KR_KRW"),
        ("L7", "2026", "year_KR_KRW"),
        ("L7", "all", "total_KR_KRW"),
    ):
        assert net(store, layer, timeframe, key) == -30
    week = everything(store)["L4", "2026-W47", "week_KR_KRW"].value
    assert (week["wins"], week["losses"], week["average_holding_minutes"]) == (1, 1, 30.0)
    assert week["hit_rates"][0]["confidence"] == "80-89"
    assert done.written == len(everything(store))
    assert "sessions computed: KR 2;" in done.line()


def test_the_planner_behind_a_trade_is_remembered(store: DuckStore) -> None:
    book = make_playbook(source=PlaybookSource.RULES)
    records = [
        replace(r, playbook_id=book.playbook_id) if hasattr(r, "playbook_id") else r
        for r in trading(10).records
    ]
    append(store, [book, *records])
    remember(store, [KR], at=AT)
    sources = everything(store)["L7", "all", "sources_KR_KRW"].value
    assert list(sources) == ["rules"]
    assert list(everything(store)["L7", "all", "scenarios_KR_KRW"].value) == ["A#0"]


def test_a_second_run_writes_nothing(store: DuckStore, tmp_path: Path) -> None:
    append(store, trading(10, -5).records)
    remember(store, [KR], at=AT)
    before = all_rows(store, tmp_path / "copy.duckdb")
    again = remember(store, [KR], at=LATER)
    assert (again.written, again.forgotten, again.sessions) == (0, 0, {KR: ()})
    assert again.line() == "memory was up to date"
    assert all_rows(store, tmp_path / "copy.duckdb") == before


def test_a_rebuild_finds_the_same_and_changes_nothing(store: DuckStore) -> None:
    append(store, busy_ledger(KR, weekdays(MON, 30), trades=4, looks=5).records)
    remember(store, [KR], at=AT)
    before = everything(store)
    again = remember(store, [KR], at=LATER, rebuild=True)
    assert (again.written, again.forgotten, len(again.sessions[KR])) == (0, 0, 30)
    assert everything(store) == before


def test_missed_days_are_caught_up_and_the_end_is_the_same_as_day_by_day() -> None:
    ledger = busy_ledger(KR, weekdays(date(2026, 10, 26), 25), trades=4, looks=5)
    daily, late = DuckStore(":memory:"), DuckStore(":memory:")
    for session in weekdays(date(2026, 10, 26), 25):
        append(daily, [r for r in ledger.records if getattr(r, "session", None) == session])
        assert remember(daily, [KR], at=AT).sessions == {KR: (session,)}
    append(late, ledger.records)
    assert len(remember(late, [KR], at=AT).sessions[KR]) == 25
    # A decision's row carries no other order of facts: values are the same, marks included.
    assert values(daily) == values(late)


def test_only_what_changed_is_written_again(store: DuckStore) -> None:
    ledger = trading(10, -5)
    append(store, ledger.records)
    remember(store, [KR], at=AT)
    ledger.round_trip(WED, 3)
    append(store, ledger.records)
    done = remember(store, [KR], at=LATER)
    assert done.sessions == {KR: (WED,)}
    touched = {name for name, entry in everything(store).items() if entry.at == LATER}
    assert ("L3", "2026-11-18", "day_KR_KRW") in touched
    assert ("L4", "2026-W47", "week_KR_KRW") in touched
    assert not {timeframe for _, timeframe, _ in touched} & {"2026-11-16", "2026-11-17"}


def test_a_session_that_is_still_on_is_remembered_so_far(store: DuckStore) -> None:
    ledger = Ledger()
    ledger.look(MON, 0)
    append(store, ledger.records)
    remember(store, [KR], at=AT)
    ledger.trade(MON, 5, Side.BUY, "A", 10, 1_000)
    ledger.look(MON, 6)
    append(store, ledger.records)
    assert remember(store, [KR], at=AT).sessions == {KR: (MON,)}
    assert net(store, "L3", "2026-11-16", "day_KR_KRW") == -10


def test_a_fill_that_came_late_corrects_that_day_and_all_after_it(store: DuckStore) -> None:
    ledger = Ledger()
    for session in (MON, TUE, WED):
        ledger.look(session, 0)
        ledger.trade(session, 10, Side.BUY, "A", 10, 1_000)
        ledger.look(session, 20)
    ledger.look(THU, 0)
    ledger.trade(THU, 10, Side.SELL, "A", 30, 1_000)
    ledger.look(THU, 20)
    late = ledger.fills[1]
    append(store, [r for r in ledger.records if r is not late])
    remember(store, [KR], at=AT)
    # Of the 30 shares sold only 20 are known: their costs, and two thirds of the sale's.
    day = everything(store)["L3", "2026-11-19", "day_KR_KRW"].value
    assert day["realized"]["net"] == "-26.6666666667"
    append(store, [late])
    assert remember(store, [KR], at=LATER).sessions == {KR: (TUE, WED, THU)}
    assert everything(store)["L3", "2026-11-19", "day_KR_KRW"].value["realized"]["net"] == "-40"


@pytest.mark.parametrize("name", ["lot", "move", "decision"])
def test_any_other_fact_that_came_late_is_noticed_too(store: DuckStore, name: str) -> None:
    ledger = trading(10, 10)
    append(store, ledger.records)
    remember(store, [KR], at=AT)
    facts: dict[str, Record] = {
        "lot": make_lot(session=TUE, adopted_at=ledger.at(TUE, 41)),
        "move": make_difference(
            kind=DifferenceKind.CASH_MOVED, session=TUE, subject="KRW", amount=D(5)
        ),
        "decision": replace(
            next(r for r in ledger.records if getattr(r, "session", None) == TUE
                 and hasattr(r, "rationale")), decision_id="another"
        ),
    }  # fmt: skip
    append(store, [facts[name]])
    assert remember(store, [KR], at=LATER).sessions == {KR: (TUE,)}
    assert remember(store, [KR], at=LATER).sessions == {KR: ()}


@pytest.mark.parametrize(
    "name",
    [
        ("L2", "2026-11-16", "session_KR_KRW"),
        ("L3", "2026-11-16", "day_KR_KRW"),
        ("L4", "2026-W47", "week_KR_KRW"),
        ("L5", "2026-11", "month_KR_KRW"),
        ("L7", "2026", "year_KR_KRW"),
        ("L7", "all", "total_KR_KRW"),
    ],
)
def test_an_entry_that_is_missing_is_made_again(
    store: DuckStore, name: tuple[str, str, str]
) -> None:
    append(store, trading(10, -5).records)
    remember(store, [KR], at=AT)
    before = values(store)
    gone = [entry for key, entry in everything(store).items() if key[:2] == name[:2]]
    with store.write() as tx:
        tx.forget(gone, at=AT)
    assert name not in everything(store)
    remember(store, [KR], at=LATER)
    assert values(store) == before


def test_an_entry_with_no_fact_behind_it_is_forgotten_and_others_words_are_not(
    store: DuckStore,
) -> None:
    append(store, trading(10, -5).records)
    ghost = make_context(timeframe="2026-11-17", key="day_KR_USD", value={"facts": "none"})
    word = make_context(layer=ContextLayer.L7, timeframe="2026-11-17", key="evolution_KR")
    append(store, [ghost, word])
    done = remember(store, [KR], at=AT)
    assert ("L3", "2026-11-17", "day_KR_USD") not in everything(store)
    assert ("L7", "2026-11-17", "evolution_KR") in everything(store)
    assert done.forgotten == 1
    assert remember(store, [KR], at=AT).written == 0


def test_a_day_of_an_older_formula_is_computed_anew(
    store: DuckStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, trading(10).records)
    remember(store, [KR], at=AT)
    monkeypatch.setattr(memory, "FORMULA", "another")
    assert remember(store, [KR], at=LATER).sessions == {KR: (MON,)}
    assert remember(store, [KR], at=LATER).sessions == {KR: ()}


def test_markets_and_currencies_are_kept_apart(store: DuckStore) -> None:
    apart = Ledger(US, cash=D("1000.50"))
    apart.round_trip(MON, D("0.25"))
    append(store, [*trading(10).records, *apart.records])
    remember(store, [KR, US, JP], at=AT)
    assert net(store, "L5", "2026-11", "month_KR_KRW") == 60
    assert net(store, "L5", "2026-11", "month_US_USD") == D("-37.5")
    keys = {key for _, _, key in everything(store)}
    assert not {key for key in keys if "_JP_" in key or key.endswith(("KR_USD", "US_KRW"))}


def test_facts_that_do_not_add_up_leave_their_market_as_it_is_and_say_why(
    store: DuckStore,
) -> None:
    apart = Ledger(US, cash=D(1_000))
    apart.round_trip(MON, 1)
    bought = trading(10).fills[0]
    wrong = replace(bought, fill_id="wrong", currency=Currency.USD)
    append(store, [bought, wrong, *apart.records])
    done = remember(store, [KR, US], at=AT)
    assert "was traded in KRW and in USD" in done.failed[KR]
    assert "KR was left as it is: A was traded" in done.line()
    assert done.sessions == {US: (MON,)}
    assert {key[2].split("_")[1] for key in everything(store)} == {"US"}


def test_what_has_expired_is_forgotten_and_does_not_come_back(store: DuckStore) -> None:
    first = date(2026, 1, 5)
    ledger = trading(*[1] * 10, first=first)
    append(store, ledger.records)
    review = make_context(layer=ContextLayer.L6, timeframe="2016-01-04", key="scorecard_KR")
    other = replace(review, key="scorecard_US")
    kept = replace(review, timeframe="2026-01-05")
    append(store, [review, other, kept])
    remember(store, [KR], at=AT)
    with store.read() as db:
        names = {(e.timeframe, e.key) for e in db.context_history(ContextLayer.L6)}
    # The other market's review expires by its own sessions.
    assert names == {("2016-01-04", "scorecard_US"), ("2026-01-05", "scorecard_KR")}
    ledger.round_trip(date(2026, 12, 31), 1)
    append(store, ledger.records)
    done = remember(store, [KR], at=AT)
    layers = {(layer, timeframe) for layer, timeframe, _ in everything(store)}
    assert done.forgotten == 10
    assert [t for layer, t in layers if layer == "L2"] == ["2026-12-31"]
    assert sum(layer == "L3" for layer, _ in layers) == 11
    assert remember(store, [KR], at=AT).written == 0
    ledger.round_trip(date(2028, 12, 29), 1)
    append(store, ledger.records)
    remember(store, [KR], at=AT)
    timeframes = {
        layer: [t for found, t in layers_of(store) if found == layer]
        for layer in ("L3", "L4", "L5")
    }
    assert timeframes == {
        "L3": ["2028-12-29"],
        "L4": ["2026-W53", "2028-W52"],
        "L5": ["2026-01", "2026-12", "2028-12"],
    }
    assert net(store, "L7", "all", "total_KR_KRW") == -30 * 12
    assert remember(store, [KR], at=AT).sessions == {KR: ()}
    with store.read() as db:
        assert len(db.fills("KR")) == 24


def layers_of(store: DuckStore) -> list[tuple[str, str]]:
    return sorted({(layer, timeframe) for layer, timeframe, _ in everything(store)})


def test_a_market_that_is_ahead_does_not_make_another_forget(store: DuckStore) -> None:
    behind = Ledger(US, cash=D(1_000))
    behind.round_trip(date(2026, 1, 5), 1)
    append(store, [*trading(10).records, *behind.records])
    remember(store, [KR, US], at=AT)
    assert ("L2", "2026-01-05", "session_US_USD") in everything(store)


def test_a_day_that_is_played_again_years_later_is_kept(store: DuckStore) -> None:
    append(store, trading(10).records)
    remember(store, [KR], at=AT + timedelta(days=5_000))
    assert ("L2", "2026-11-16", "session_KR_KRW") in everything(store)


def test_without_any_fact_there_is_nothing_to_remember(store: DuckStore) -> None:
    done = remember(store, list(MarketGroup), at=AT)
    assert (done.written, done.sessions, done.failed) == (0, {}, {})


def test_every_layer_that_is_computed_is_described(store: DuckStore) -> None:
    append(store, trading(10).records)
    remember(store, [KR], at=AT)
    for layer in LAYERS:
        for name in COMPUTED.get(layer.layer, ()):
            assert f"{name}_" in layer.keys
            with store.read() as db:
                assert any(e.key == f"{name}_KR_KRW" for e in db.context(layer.layer)), name
