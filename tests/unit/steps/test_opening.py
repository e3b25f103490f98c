"""What a session needs before its first tick."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.trading_fakes import KR, MakeFloor, busy, playbook, when
from tests.unit.twin.handmade_tape import CLOSE, OPEN, SESSION
from trading_core.errors import NotOffered
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.price import DailyBar
from trading_core.rules.calendar import Session, previous_session, require_session
from trading_core.steps.opening import BARS, open_day, tick_times

PLAN = {"A": [when("price < 1")], "B": [when("price < 1")]}


@pytest.fixture
def desk(tmp_path):
    rows = busy(*[10_000] * 5)
    return MakeFloor(tmp_path)({"A": rows, "B": rows, "C": rows}, PLAN)


async def test_bars_the_plan_has_kept_are_not_asked_for_again(desk):
    bar = DailyBar(previous_session(KR, SESSION).date, *[Decimal(10_000)] * 4, 1000)
    kept = {Instrument(s, Market.KR, f"name of {s}"): [bar] for s in "AB"}
    desk.history.save(KR, SESSION, kept)
    day = await desk.day()
    assert desk.broker.bars_asked == []
    assert day.instruments["A"].name == "name of A"


async def test_without_kept_bars_they_are_asked_for_once_and_kept(desk):
    await desk.day()
    assert sorted(desk.broker.bars_asked) == ["A", "B"]
    await desk.day()
    assert len(desk.broker.bars_asked) == 2


async def test_only_what_is_missing_from_the_kept_bars_is_asked_for(desk):
    bar = DailyBar(previous_session(KR, SESSION).date, *[Decimal(10_000)] * 4, 1000)
    desk.history.save(KR, SESSION, {Instrument("C", Market.KR): [bar]})
    day = await desk.day()
    assert sorted(desk.broker.bars_asked) == ["A", "B"]
    assert set(day.instruments) == {"A", "B", "C"}
    await desk.day()
    assert len(desk.broker.bars_asked) == 2


async def test_no_bar_of_the_session_itself_is_asked_for(desk):
    asked = []

    async def daily_bars(instrument, *, until, count):
        asked.append((until, count))
        return []

    desk.broker.daily_bars = daily_bars
    await desk.day()
    assert asked == [(previous_session(KR, SESSION).date, BARS)] * 2


class Listing:
    """Daily bars of one symbol on one exchange; everything else is not offered."""

    def __init__(self, symbol: str, market: Market) -> None:
        self.home = Instrument(symbol, market)
        self.asked: list[Instrument] = []

    async def daily_bars(self, instrument, *, until, count):
        self.asked.append(instrument)
        if instrument != self.home:
            raise NotOffered("not here")
        return [DailyBar(until, *[Decimal(10)] * 4, 100)]


async def test_a_symbol_is_looked_for_on_every_exchange_of_its_group(desk):
    data = Listing("KO", Market.US_NYSE)
    session = require_session(MarketGroup.US, date(2025, 9, 3))
    book = playbook({"KO": [when("price < 1")], "NONE": [when("price < 1")]}, group=MarketGroup.US)
    day = await open_day(data, desk.history, group=MarketGroup.US, session=session, playbook=book)
    # Which exchange the other one is on nobody knows, so it can be neither priced nor ordered.
    assert day.instruments == {"KO": Instrument("KO", Market.US_NYSE)}
    assert [i.market for i in data.asked if i.symbol == "KO"] == [
        Market.US_NASDAQ,
        Market.US_NYSE,
    ]


async def test_an_empty_playbook_opens(desk):
    desk.book = playbook({})
    day = await desk.day()
    assert (day.instruments, day.playbook.symbols) == ({}, ())


def test_ticks_run_from_the_open_to_before_the_close():
    times = list(tick_times(require_session(KR, SESSION), timedelta(minutes=5)))
    assert (times[0], times[-1]) == (OPEN, CLOSE - timedelta(minutes=5))
    assert len(times) == 78


def test_no_tick_falls_into_the_break():
    opened = datetime(2025, 9, 3, 1, 0, tzinfo=UTC)
    hours = [opened + timedelta(hours=n) for n in range(5)]
    session = Session(MarketGroup.HK, SESSION, hours[0], hours[4], hours[1], hours[2])
    times = list(tick_times(session, timedelta(minutes=20)))
    assert len(times) == 9
    assert hours[1] not in times
    assert hours[2] in times
