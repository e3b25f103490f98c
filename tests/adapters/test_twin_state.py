"""The state file: what is written, what comes back, and what is refused."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading_core.errors import ConfigError, NotASession
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import OrderType, Side
from trading_core.twin.launch import Stage, TwinPlan, make_tape
from trading_core.twin.state import StateFile, StateLost
from trading_core.twin.state_replay import fingerprint, order_as_json, order_from_json, replay
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.tape import Tape, day_history
from trading_core.twin.venue import (
    AccountSpec,
    NewOrder,
    OrderFate,
    Pricing,
    TimeInForce,
    VenueRefusal,
)

DAY = date(2026, 9, 10)
ACCOUNT = "12345678-01"
AT = datetime(2026, 9, 10, 1, 0, tzinfo=UTC)
IDENTITY = {"market": "KR", "seed": 0}


@pytest.fixture(autouse=True)
def few_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    def small(group: MarketGroup, session: date, **more: Any) -> Tape:
        return synthetic_tape(group, session, **({"symbols": 6} | more))

    monkeypatch.setattr("trading_core.twin.synthetic.synthetic_tape", small)


def plan_of(*groups: MarketGroup, **more: Any) -> TwinPlan:
    cash = {Currency.KRW: Decimal(50_000_000), Currency.USD: Decimal(50_000)}
    accounts = (AccountSpec(ACCOUNT, cash),)
    return TwinPlan(groups or (MarketGroup.KR,), DAY, accounts, **more)


def opened(path: Path, plan: TwinPlan) -> tuple[Stage, StateFile, int, list[Any]]:
    """A stage as the file says it was left."""
    stage = Stage.build(plan)
    journal = StateFile(path, stage.identity())
    try:
        count, others = replay(journal, stage.exchanges, stage.replay_session)
    except BaseException:
        journal.close()
        raise
    return stage, journal, count, others


def standing(stage: Stage) -> list[Any]:
    """Everything that can be seen of the exchanges."""
    seen: list[Any] = []
    for venue in stage.exchanges:
        seen.append(asdict(venue.state()))
        seen.append([asdict(row) for row in venue.orders(ACCOUNT, start=date.min, end=date.max)])
        seen.append([asdict(fill) for fill in venue.fills(ACCOUNT)])
        currency = Currency.KRW if venue.group is MarketGroup.KR else Currency.USD
        seen.append(asdict(venue.account(ACCOUNT, currency)))
    return seen


def order(stage: Stage, symbol: int = 0, **more: Any) -> NewOrder:
    venue = stage.exchanges[0]
    item = venue.instruments()[symbol]
    quote = venue.quote(item.symbol)
    assert quote is not None
    fields: dict[str, Any] = {"limit_price": quote.last, "quantity": 3} | more
    return NewOrder(ACCOUNT, item.symbol, Side.BUY, OrderType.LIMIT, **fields)


# --- the file ------------------------------------------------------------------------------------


def test_a_clock_that_only_runs_does_not_grow_the_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    journal = StateFile(path, IDENTITY)
    for second in range(5_000):
        journal.clock(AT + timedelta(seconds=second))
    assert path.stat().st_size < 400
    last = [event for _, event in journal.events()][-1]
    assert datetime.fromisoformat(last["at"]) == AT + timedelta(seconds=4_999)


def test_the_clock_keeps_a_line_of_its_own_around_every_effect(tmp_path: Path) -> None:
    journal = StateFile(tmp_path / "state", IDENTITY)
    for minute in range(4):
        journal.clock(AT + timedelta(minutes=minute))
    journal.append({"do": "x"})
    for minute in range(4, 8):
        journal.clock(AT + timedelta(minutes=minute))
    told = [event.get("at", event["do"])[-21:] for _, event in journal.events()]
    assert [text[:9] for text in told] == [
        "01:00:00.", "01:03:00.", "x", "01:04:00.", "01:07:00.",
    ]  # fmt: skip


@given(effects=st.lists(st.integers(0, 6), min_size=1, max_size=300))
@settings(max_examples=25, deadline=None)
def test_the_last_reading_of_the_clock_is_always_on_the_file(
    tmp_path_factory: pytest.TempPathFactory, effects: list[int]
) -> None:
    path = tmp_path_factory.mktemp("clock") / "state"
    journal = StateFile(path, IDENTITY)
    at = AT
    for appended, moves in enumerate(effects):
        for _ in range(moves):
            at += timedelta(microseconds=1)
            journal.clock(at)
        journal.append({"do": "x", "n": appended})
        at += timedelta(seconds=1)
        journal.clock(at)
        events = [event for _, event in journal.events()]
        assert [e["n"] for e in events if e["do"] == "x"] == list(range(appended + 1))
        assert datetime.fromisoformat(events[-1]["at"]) == at
        readings = [datetime.fromisoformat(e["at"]) for e in events if e["do"] == "clock"]
        assert readings == sorted(readings)
    journal.close()


@pytest.mark.parametrize("torn", [1, 5, 17])
def test_a_line_that_was_being_written_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, torn: int
) -> None:
    path = tmp_path / "state"
    journal = StateFile(path, IDENTITY)
    journal.append({"do": "one"})
    whole = path.read_bytes()
    journal.append({"do": "another thing"})
    journal.close()
    path.write_bytes(whole + path.read_bytes()[len(whole) :][:torn])

    with caplog.at_level(logging.WARNING):
        again = StateFile(path, IDENTITY)
    again.append({"do": "two"})

    assert "was not finished" in caplog.text
    assert [event["do"] for _, event in again.events()] == ["one", "two"]


@pytest.mark.parametrize("content", [b"", b'{"twin_st'])
def test_a_file_killed_at_its_first_line_is_as_good_as_new(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    journal = StateFile(path, IDENTITY)
    assert list(journal.events()) == []
    assert json.loads(path.read_text())["of"] == IDENTITY


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state"
    journal = StateFile(path, IDENTITY)
    journal.append({"do": "one"})
    with path.open("ab") as file:
        file.write(b"!!\n")
    with pytest.raises(ConfigError, match=r"state: line 3 is damaged"):
        list(journal.events())


@pytest.mark.parametrize("content", ["{}\n", "ODNO\n", '{"twin_state": 99, "of": {}}\n'])
def test_another_kind_of_file_is_not_touched(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes"
    path.write_text(content)
    with pytest.raises(ConfigError, match="not a twin's state file"):
        StateFile(path, IDENTITY)
    assert path.read_text() == content


def test_two_twins_cannot_share_a_file(tmp_path: Path) -> None:
    first = StateFile(tmp_path / "state", IDENTITY)
    with pytest.raises(ConfigError, match="another twin is using it"):
        StateFile(tmp_path / "state", IDENTITY)
    first.close()
    StateFile(tmp_path / "state", IDENTITY).close()


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="folder: cannot be used: Is a directory"):
        StateFile(tmp_path / "folder", IDENTITY)


def test_only_the_owner_reads_the_file(tmp_path: Path) -> None:
    StateFile(tmp_path / "state", IDENTITY)
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


# --- the exchange --------------------------------------------------------------------------------


def test_everything_is_where_it_was(tmp_path: Path) -> None:
    path, plan = tmp_path / "state", plan_of()
    stage, journal, _, _ = opened(path, plan)
    (venue,) = stage.exchanges
    venue.advance_to(AT)
    bought = venue.place(order(stage))
    resting = venue.place(order(stage, 1, limit_price=low(stage, 1)))
    venue.advance_to(AT + timedelta(minutes=7))
    venue.modify(ACCOUNT, resting.order_no, limit_price=low(stage, 1), quantity=1)
    venue.cancel(ACCOUNT, resting.order_no, quantity=1)
    with pytest.raises(VenueRefusal):
        venue.place(order(stage, quantity=10_000_000))
    venue.advance_to(AT + timedelta(minutes=9, seconds=3))
    before = standing(stage)
    journal.close()

    again, _, count, others = opened(path, plan)

    assert standing(again) == before
    assert again.now == AT + timedelta(minutes=9, seconds=3)
    assert (count, others) == (4 + 3, [])
    assert bought.order_no == 1
    following = again.exchanges[0].place(order(again))
    assert following.order_no == 5


def low(stage: Stage, symbol: int) -> Decimal:
    quote = stage.exchanges[0].quote(stage.exchanges[0].instruments()[symbol].symbol)
    assert quote is not None and quote.lower_limit is not None
    return quote.lower_limit


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "market", "modify", "cancel", "wait", "fate"]),
        st.integers(0, 5),
        st.integers(1, 400),
    ),
    max_size=25,
)


@given(moves=MOVES)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_course_of_events_comes_back(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, int, int]]
) -> None:
    path, plan = tmp_path_factory.mktemp("course") / "state", plan_of()
    stage, journal, _, _ = opened(path, plan)
    (venue,) = stage.exchanges
    venue.advance_to(AT)
    for what, symbol, amount in moves:
        try:
            act(stage, what, symbol, amount)
        except VenueRefusal:
            continue
    before = standing(stage)
    journal.close()
    again, journal, _, _ = opened(path, plan)
    journal.close()
    assert standing(again) == before


def act(stage: Stage, what: str, symbol: int, amount: int) -> None:
    (venue,) = stage.exchanges
    match what:
        case "wait":
            # In steps, as a running clock moves; brought back in one.
            for step in range(5):
                venue.advance_to(venue.now + timedelta(seconds=amount * step / 4))
        case "modify":
            venue.modify(ACCOUNT, amount % 7 + 1, limit_price=low(stage, symbol), quantity=None)
        case "cancel":
            venue.cancel(ACCOUNT, amount % 7 + 1, quantity=None)
        case "fate":
            venue.place(order(stage, symbol, quantity=amount, fate=OrderFate(fill_at_most=5)))
            venue.place(order(stage, symbol, quantity=1, fate=OrderFate(reject_later=True)))
        case "market":
            wanted = order(stage, symbol, quantity=amount, limit_price=None)
            venue.place(replace(wanted, order_type=OrderType.MARKET))
        case "sell":
            venue.place(replace(order(stage, symbol, quantity=amount), side=Side.SELL))
        case _:
            venue.place(order(stage, symbol, quantity=amount))


PRICES = st.none() | st.decimals(1, 10**6, places=2)


@given(
    st.builds(
        NewOrder,
        account_no=st.just(ACCOUNT),
        symbol=st.sampled_from(["005930", "BRK.B"]),
        side=st.sampled_from(Side),
        order_type=st.sampled_from(OrderType),
        quantity=st.integers(1, 10**9),
        limit_price=PRICES,
        pricing=st.sampled_from(Pricing),
        time_in_force=st.sampled_from(TimeInForce),
        trigger_price=PRICES,
        fate=st.builds(OrderFate, st.booleans(), st.none() | st.integers(0, 10**6)),
    )
)
def test_an_order_keeps_its_terms_and_its_fate(wanted: NewOrder) -> None:
    assert order_from_json(json.loads(json.dumps(order_as_json(wanted)))) == wanted


def test_several_sessions_and_markets_come_back(tmp_path: Path) -> None:
    path, plan = tmp_path / "state", plan_of(MarketGroup.KR, MarketGroup.US)
    stage, journal, _, _ = opened(path, plan)
    korea, america = stage.exchanges
    for exchange in stage.exchanges:
        exchange.advance_to(AT)
    korea.place(order(stage))
    stage.begin_session(None)
    assert [e.tape.session for e in stage.exchanges] == [date(2026, 9, 11)] * 2
    assert stage.now == korea.tape.hours.open_at - plan.lead
    for exchange in stage.exchanges:
        exchange.advance_to(america.tape.hours.open_at + timedelta(hours=1))
    item = america.instruments()[0]
    quote = america.quote(item.symbol)
    assert quote is not None
    america.place(NewOrder(ACCOUNT, item.symbol, Side.BUY, OrderType.LIMIT, 2, quote.last))
    before = standing(stage)
    journal.close()

    again, _, _, _ = opened(path, plan)

    assert standing(again) == before


@pytest.mark.parametrize("group", [MarketGroup.KR, MarketGroup.US])
def test_the_made_up_market_goes_on_where_it_closed(group: MarketGroup) -> None:
    plan = plan_of(group)
    first = make_tape(plan, group, DAY)
    closes = [row[np.isfinite(row)][-1] for row in first.bars.close]
    second = make_tape(plan, group, date(2026, 9, 11), after=first)
    third = make_tape(plan, group, date(2026, 9, 14), after=second)
    assert [asdict(i) for i in third.instruments] == [asdict(i) for i in first.instruments]
    assert second.previous_close.tolist() == closes
    # The same whether the days are played one by one or skipped.
    assert fingerprint(make_tape(plan, group, date(2026, 9, 14), after=first)) == fingerprint(third)
    days = day_history(third.history, 0)
    assert days.dates[-2:].tolist() == [DAY, date(2026, 9, 11)]
    assert len(days.dates) == len(day_history(first.history, 0).dates)
    assert days.prices[3, -2] == closes[0]
    assert days.prices[1, -2] == np.nanmax(first.bars.high[0])
    moves = np.abs(second.bars.close[:, -1] / second.previous_close - 1)
    assert moves.max() <= 0.3


def test_the_made_up_market_goes_on_past_halted_and_locked_symbols() -> None:
    first = synthetic_tape(MarketGroup.KR, DAY, symbols=40)
    assert first.halted.any()
    names = [item.symbol for item in first.instruments]
    second = synthetic_tape(MarketGroup.KR, date(2026, 9, 11), symbols=names, after=first)
    kept = second.previous_close[first.halted]
    assert kept.tolist() == first.previous_close[first.halted].tolist()
    ratio = second.bars.high.max(axis=1) / second.previous_close
    assert np.nanmax(ratio) <= 1.3


def test_nobody_goes_a_year_ahead_at_once() -> None:
    with pytest.raises(ConfigError, match="go on by 60 at most"):
        Stage.build(plan_of()).begin_session(date(2027, 9, 10))


def test_a_market_that_is_shut_stays_where_it_is() -> None:
    # Labor Day: New York is shut on 2026-09-07, Seoul is not.
    cash = {Currency.KRW: Decimal(1), Currency.USD: Decimal(1)}
    groups = (MarketGroup.KR, MarketGroup.US)
    stage = Stage.build(TwinPlan(groups, date(2026, 9, 4), (AccountSpec(ACCOUNT, cash),)))
    stage.begin_session(None)
    assert [e.tape.session for e in stage.exchanges] == [date(2026, 9, 7), date(2026, 9, 4)]
    assert len({e.now for e in stage.exchanges}) == 1
    stage.begin_session(None)
    assert [e.tape.session for e in stage.exchanges] == [date(2026, 9, 8)] * 2


@pytest.mark.parametrize(
    ("day", "error"),
    [(DAY, ConfigError), (date(2026, 9, 9), ConfigError), (date(2026, 9, 12), NotASession)],
)
def test_a_session_that_cannot_follow_changes_nothing(day: date, error: type[Exception]) -> None:
    stage = Stage.build(plan_of())
    before = standing(stage)
    with pytest.raises(error):
        stage.begin_session(day)
    assert standing(stage) == before


OTHERS: list[tuple[str, Callable[[TwinPlan], TwinPlan]]] = [
    ("market", lambda p: replace(p, groups=(MarketGroup.US,))),
    ("session", lambda p: replace(p, session=date(2026, 9, 11))),
    ("seed", lambda p: replace(p, seed=1)),
    ("accounts", lambda p: replace(p, accounts=(AccountSpec("1" * 8 + "-01", {}),))),
    ("first clock", lambda p: replace(p, lead=timedelta(0))),
]


@pytest.mark.parametrize(("key", "other"), OTHERS)
def test_the_file_of_another_twin_is_refused_and_kept(
    tmp_path: Path, key: str, other: Callable[[TwinPlan], TwinPlan]
) -> None:
    path, plan = tmp_path / "state", plan_of()
    opened(path, plan)[1].close()
    content = path.read_bytes()
    with pytest.raises(ConfigError, match=f"was written with {key} ") as caught:
        opened(path, other(plan))
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_other_prices_of_the_same_day_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plan = tmp_path / "state", plan_of()
    opened(path, plan)[1].close()
    monkeypatch.setattr(
        "trading_core.twin.synthetic.synthetic_tape",
        lambda group, session, **more: synthetic_tape(group, session, symbols=6, seed=9),
    )
    with pytest.raises(ConfigError, match="was written with price data"):
        opened(path, plan)


def test_a_line_that_cannot_be_played_again_is_named(tmp_path: Path) -> None:
    path, plan = tmp_path / "state", plan_of()
    opened(path, plan)[1].close()
    with path.open("a") as file:
        file.write('{"do":"cancel","group":"KR","no":9,"account":"x","of":4,"quantity":null}\n')
    with pytest.raises(ConfigError, match="line 2 cannot be played again"):
        opened(path, plan)


def test_an_exchange_whose_file_is_lost_takes_no_further_order(tmp_path: Path) -> None:
    stage, journal, _, _ = opened(tmp_path / "state", plan_of())
    (venue,) = stage.exchanges
    venue.advance_to(AT)
    os.close(journal._file)
    with pytest.raises(StateLost):
        venue.place(order(stage))
    rows = len(venue.orders(ACCOUNT, start=DAY, end=DAY))
    with pytest.raises(StateLost, match="start the twin again"):
        venue.place(order(stage))
    assert len(venue.orders(ACCOUNT, start=DAY, end=DAY)) == rows
