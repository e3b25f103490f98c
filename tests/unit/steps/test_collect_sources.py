"""Asking all sources at once: time, failures, what is stored, and what a replay sees of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest

from tests.record_factories import AT, make_event_due, make_headline, make_reading
from trading_core.adapters.duck import DuckStore
from trading_core.errors import BrokerUnavailable, SourceError, StoreBusy
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.sources import Gathered, SourceKind
from trading_core.ports import Store
from trading_core.ports.sources import Sources
from trading_core.steps.sources import collect, event_window, listing

HOUR = timedelta(hours=1)
SAMSUNG = Instrument("005930", Market.KR, "삼성전자")
SESSION = date(2026, 11, 20)


@dataclass
class Provider:
    """Every kind of source at once: gives ``batches``, then waits, then raises."""

    name: str = "wire"
    batches: Sequence[Sequence[Any]] = ()
    error: Exception | None = None
    delay_seconds: float = 0.0
    store: Store | None = None
    asked: list[Any] = field(default_factory=list)

    async def headlines(self, group: Any, instruments: Any, **span: Any) -> AsyncIterator[Any]:
        self.asked.append((group, tuple(instruments), span))
        async for batch in self._tell():
            yield batch

    async def readings(self, group: Any, **span: Any) -> AsyncIterator[Any]:
        self.asked.append((group, span))
        async for batch in self._tell():
            yield batch

    async def events(self, country: Any, **span: Any) -> AsyncIterator[Any]:
        self.asked.append((country, span))
        async for batch in self._tell():
            yield batch

    async def _tell(self) -> AsyncIterator[Any]:
        for batch in self.batches:
            yield batch
        await asyncio.sleep(self.delay_seconds)
        if self.error is not None:
            raise self.error


@pytest.fixture
def store() -> Store:
    return DuckStore(":memory:")


async def gathered(store: Store, at: Any = AT, **kinds: Any) -> Gathered:
    limit = timedelta(seconds=kinds.pop("seconds", 5))
    return await collect(
        store,
        Sources(**kinds, limit=limit),
        group=MarketGroup.KR,
        session=SESSION,
        at=at,
        instruments=[SAMSUNG],
    )


async def test_without_sources_nothing_is_asked_and_nothing_is_written(store: Store) -> None:
    @dataclass
    class Untouched:
        def read(self) -> Any:
            raise AssertionError("opened")

        write = read

    nothing: Any = Untouched()
    assert await gathered(nothing) == Gathered()


async def test_what_comes_is_stored_and_told(store: Store) -> None:
    news, levels, book = (
        Provider("finnhub", [[make_headline()], [make_headline("More", url="")]]),
        Provider("yahoo", [[make_reading()]]),
        Provider("file", [[make_event_due()]]),
    )
    told = await gathered(store, news=(news,), market=(levels,), calendar=(book,))
    assert {h.title for h in told.headlines} == {"Samsung ships", "More"}
    assert (told.readings, told.events) == ((make_reading(),), (make_event_due(),))
    assert told.sentiment["005930"].mean == 0.25
    assert (told.reasons, told.missing) == ((), ())
    group, instruments, span = news.asked[0]
    assert (group, instruments) == (MarketGroup.KR, (SAMSUNG,))
    assert span == {"since": AT - 48 * HOUR, "at": AT}
    since, until = event_window(MarketGroup.KR, SESSION)
    assert book.asked == [("KR", {"since": since, "until": until, "at": AT})]
    assert (since.isoformat(), until.isoformat()) == (
        "2026-11-20T00:00:00+09:00",
        "2026-11-22T00:00:00+09:00",
    )
    with store.read() as db:
        asks = [(a.kind, a.source, a.count) for a in db.source_asks(since=AT)]
    assert asks == [
        (SourceKind.CALENDAR, "file", 1),
        (SourceKind.MARKET, "yahoo", 1),
        (SourceKind.NEWS, "finnhub", 2),
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            SourceError("finnhub answered 401, check NEWS_API_KEY"),
            "news: finnhub answered 401, check NEWS_API_KEY",
        ),
        (BrokerUnavailable("no answer"), "news: finnhub: no answer"),
        (ZeroDivisionError("bug"), "news: finnhub failed: ZeroDivisionError"),
        (SourceError("bad\x00\u202e text\n" + "x" * 999), None),
    ],
)
async def test_a_source_that_fails_fails_alone_and_keeps_what_it_gave(
    store: Store, error: Exception, reason: str | None
) -> None:
    broken = Provider("finnhub", [[make_headline("Before")]], error)
    fine = Provider("rss", [[make_headline("Fine", source="rss", symbol=None, url="")]])
    told = await gathered(
        store, news=(broken, fine), market=(Provider("fred", [[make_reading()]]),)
    )
    assert {h.title for h in told.headlines} == {"Before", "Fine"}
    [given] = told.reasons
    assert given.isprintable()
    assert len(given) <= 310
    if reason is not None:
        assert given == reason
    assert told.missing == ()


async def test_all_of_them_together_take_no_longer_than_the_limit(store: Store) -> None:
    slow = [Provider(f"s{n}", [[make_headline(f"h{n}", url="")]], None, 60) for n in range(3)]
    started = time.perf_counter()
    told = await gathered(
        store, seconds=0.3, news=tuple(slow), calendar=(Provider("c", (), None, 60),)
    )
    assert time.perf_counter() - started < 2
    assert len(told.headlines) == 3
    assert told.reasons == (
        "news: s0 had not finished after 0.3 s",
        "news: s1 had not finished after 0.3 s",
        "news: s2 had not finished after 0.3 s",
        "calendar: c had not finished after 0.3 s",
    )
    assert told.missing == (SourceKind.CALENDAR,)


async def test_being_cancelled_from_outside_is_not_taken_for_a_slow_source(store: Store) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await gathered(store, news=(Provider("s", (), None, 60),))


async def test_the_store_is_shut_while_the_network_is_asked() -> None:
    real = DuckStore(":memory:")

    @dataclass
    class Watched:
        is_open: bool = False

        @contextmanager
        def write(self) -> Iterator[Any]:
            self.is_open = True
            with real.write() as tx:
                yield tx
            self.is_open = False

    watched: Any = Watched()

    class Nosy(Provider):
        async def _tell(self) -> AsyncIterator[Any]:
            assert not watched.is_open
            await asyncio.sleep(0.01)
            assert not watched.is_open
            yield [make_headline()]

    told = await gathered(watched, news=(Nosy(), Nosy("b")))
    assert told.reasons == ()
    assert len(told.headlines) == 1


async def test_a_store_that_cannot_be_opened_costs_the_news_and_not_the_plan() -> None:
    class Busy:
        def write(self) -> Any:
            raise StoreBusy("held by another process")

    busy: Any = Busy()
    told = await gathered(busy, news=(Provider("s", [[make_headline()]]),))
    assert told.reasons == ("sources: not stored: held by another process",)
    assert told.missing == (SourceKind.NEWS,)


async def test_what_is_too_old_is_dropped_and_what_is_from_the_future_is_refused(
    store: Store,
) -> None:
    batches = [
        [
            make_headline("old", published_at=AT - 49 * HOUR),
            make_headline("soon", published_at=AT + timedelta(minutes=4), url="2"),
            make_headline("future", published_at=AT + timedelta(minutes=6), url="3"),
        ]
    ]
    ahead = make_reading("VIX", at=AT + HOUR)
    told = await gathered(
        store,
        news=(Provider("wire", batches),),
        market=(Provider("fred", [[make_reading(), ahead]]),),
    )
    assert [h.title for h in told.headlines] == ["soon"]
    assert [r.name for r in told.readings] == ["KOSPI"]
    stamp = f"{AT:%Y-%m-%d %H:%M}"
    assert told.reasons == (
        f"news: wire told 1 things from after {stamp} UTC",
        f"market: fred told 1 things from after {stamp} UTC",
    )


async def test_doubles_within_one_answer_are_stored_once(store: Store) -> None:
    twice = [[make_headline("Same"), make_headline("SAME!", url="")], [make_headline("Same")]]
    told = await gathered(store, news=(Provider("wire", twice),))
    assert len(told.headlines) == 1


async def test_nothing_known_is_missing_and_an_empty_calendar_is_an_answer(store: Store) -> None:
    nothing = {"news": (Provider("n"),), "market": (Provider("m"),), "calendar": (Provider("c"),)}
    told = await gathered(store, **nothing)
    assert told.missing == (SourceKind.NEWS, SourceKind.MARKET)
    assert told.sentiment == {}
    failing = Provider("c", (), SourceError("c answered 500"))
    assert (await gathered(store, calendar=(failing,))).missing == (SourceKind.CALENDAR,)


async def test_what_was_known_before_is_still_known_when_a_source_fails(store: Store) -> None:
    await gathered(store, news=(Provider("wire", [[make_headline()]]),))
    told = await gathered(
        store, AT + HOUR, news=(Provider("wire", (), SourceError("wire answered 429")),)
    )
    assert [h.title for h in told.headlines] == ["Samsung ships"]
    assert told.reasons == ("news: wire answered 429",)
    assert told.missing == ()


async def test_a_replay_sees_what_was_known_then_and_no_later_word(store: Store) -> None:
    later = AT + HOUR
    await gathered(store, news=(Provider("wire", [[make_headline()]]),))
    second = [[make_headline("Later news", fetched_at=later, url="2")]]
    now = await gathered(store, later, news=(Provider("wire", second),))
    assert len(now.headlines) == 2
    again = await gathered(store, AT, news=(Provider("wire"),))
    assert [h.title for h in again.headlines] == ["Samsung ships"]


async def test_revisions_are_rows_and_the_same_again_is_none(store: Store) -> None:
    async def say(at: Any, *events: Any, error: Exception | None = None) -> list[tuple[str, Any]]:
        told = await gathered(store, at, calendar=(Provider("file", [list(events)], error),))
        return [(e.name, e.forecast) for e in told.events]

    def rate(at: Any, **values: Any) -> Any:
        return make_event_due(fetched_at=at, **values)

    jobs = make_event_due("Jobs")
    assert len(await say(AT, rate(AT), jobs)) == 2
    assert len(await say(AT + HOUR, rate(AT + HOUR), jobs)) == 2
    revised = await say(AT + 2 * HOUR, rate(AT + 2 * HOUR, forecast="9 %"), jobs)
    assert ("Rate decision", "9 %") in revised
    # Half an answer does not say that the rest is gone; a whole one does.
    broken = SourceError("file: not read")
    assert len(await say(AT + 3 * HOUR, rate(AT + 3 * HOUR, forecast="9 %"), error=broken)) == 2
    assert await say(AT + 4 * HOUR, rate(AT + 4 * HOUR, forecast="9 %")) == [
        ("Rate decision", "9 %")
    ]
    with store.read() as db:
        total = db._connection.execute("SELECT count(*) FROM economic_events").fetchone()  # type: ignore[attr-defined]
    assert total == (4,)


async def test_the_listing_tells_each_sources_last_success_and_last_failure(store: Store) -> None:
    await gathered(store, news=(Provider("wire", [[make_headline()]]),))
    failing = Provider("wire", (), SourceError("wire answered 500"))
    await gathered(store, AT + HOUR, news=(failing,))
    named = [(SourceKind.NEWS, "wire"), (SourceKind.MARKET, "fred")]
    wire, fred = listing(store, named, AT + 2 * HOUR)
    assert wire == {
        "kind": "news",
        "source": "wire",
        "asked": 2,
        "last_success_at": AT,
        "last_success_market": "KR",
        "count": 1,
        "age_minutes": 120,
        "last_failure_at": AT + HOUR,
        "problem": "wire answered 500",
    }
    assert (fred["asked"], fred["last_success_at"], fred["problem"]) == (0, None, None)
