"""The providers of news, readings and events over real HTTP with a stand-in on loopback."""

from __future__ import annotations

import gzip
import json
import logging
import os
import time
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.sources_stand_in import (
    AT,
    SINCE,
    Said,
    SourcesStandIn,
    article,
    feed,
    sources_at,
    sources_stand_in,
)
from trading_core.adapters.sources import alpha_vantage, finnhub, fred, newsapi, web, yahoo
from trading_core.adapters.sources.config import SourceConfig
from trading_core.adapters.sources.feeds import Feed
from trading_core.clock import FixedClock
from trading_core.errors import ConfigError, SourceError
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.sources import Headline, Importance
from trading_core.ports.sources import Sources

AAPL = Instrument("AAPL", Market.US_NASDAQ, "Apple")
MSFT = Instrument("MSFT", Market.US_NASDAQ, "Microsoft")
SAMSUNG = Instrument("005930", Market.KR, "삼성전자")
GENERAL, COMPANY = "/api/v1/news", "/api/v1/company-news"
KEY = "k3y-nobody-may-see"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (alpha_vantage, finnhub, fred, newsapi, yahoo):
        monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)


@pytest.fixture
async def server() -> AsyncIterator[SourcesStandIn]:
    async with sources_stand_in() as running:
        yield running


async def all_of(answer: AsyncIterator[Sequence[Any]]) -> list[Any]:
    return [record async for batch in answer for record in batch]


async def news(
    sources: Sources, group: MarketGroup = MarketGroup.US, *instruments: Instrument
) -> list[Headline]:
    return await all_of(sources.news[0].headlines(group, instruments, since=SINCE, at=AT))


class TestFinnhub:
    async def test_the_market_is_asked_for_first_and_then_each_company(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        server.on(GENERAL, Said([article("Markets calm")]))
        server.on(COMPANY, Said([article("Apple ships")]), Said([article("Microsoft builds")]))
        async with sources_at(server, tmp_path, news=("finnhub",), news_key=KEY) as sources:
            found = await news(sources, MarketGroup.US, AAPL, MSFT)
        told = [(h.symbol, h.title, h.sentiment, h.source, h.publisher) for h in found]
        assert told == [
            (None, "Markets calm", None, "finnhub", "Wire"),
            ("AAPL", "Apple ships", None, "finnhub", "Wire"),
            ("MSFT", "Microsoft builds", None, "finnhub", "Wire"),
        ]
        assert found[0].published_at == AT - timedelta(hours=2)
        assert found[0].fetched_at == AT
        [first, second] = server.asked_at(COMPANY)
        assert dict(first.query) == {"symbol": "AAPL", "from": "2026-11-18", "to": "2026-11-20"}
        assert second.query["symbol"] == "MSFT"
        assert {r.headers["X-Finnhub-Token"] for r in server.asked} == {KEY}
        assert not any(KEY in r.path_qs for r in server.asked)

    async def test_companies_outside_america_are_not_asked_for(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        server.on(GENERAL, Said([article("Markets calm")]))
        async with sources_at(server, tmp_path, news=("finnhub",), news_key=KEY) as sources:
            found = await news(sources, MarketGroup.KR, SAMSUNG)
        assert [h.market for h in found] == ["KR"]
        assert not server.asked_at(COMPANY)

    async def test_rows_that_are_no_headlines_are_left_out(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        rows = [
            "text",
            {"headline": "", "datetime": 1},
            article("no time", datetime="soon"),
            article("no time either", datetime=0),
            article("\u0000\u202e\ud800"),
            {"headline": 5, "datetime": 1_795_000_000},
            article("Good <b>one</b> &amp; only\u0007"),
        ]
        server.on(GENERAL, Said(rows))
        async with sources_at(server, tmp_path, news=("finnhub",), news_key=KEY) as sources:
            found = await news(sources)
        assert [h.title for h in found] == ["Good one & only"]

    async def test_events_of_the_country_inside_the_days_are_kept_with_their_figures(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        def row(**changes: Any) -> dict[str, Any]:
            base = {
                "country": "US",
                "event": "CPI MoM",
                "time": "2026-11-20 13:30:00",
                "impact": "high",
                "estimate": 0.2,
                "prev": 0,
                "actual": None,
                "unit": "%",
            }
            return base | changes

        rows = [
            row(),
            row(country="KR"),
            row(event="Later", time="2026-11-22 13:30:00"),
            row(event="No impact", impact="huge"),
            row(event="No time", time=""),
        ]
        server.on("/api/v1/calendar/economic", Said({"economicCalendar": rows}))
        config = {"calendars": ("finnhub",), "news_key": KEY}
        async with sources_at(server, tmp_path, **config) as sources:
            answer = sources.calendar[0].events(
                "US", since=AT - timedelta(hours=8), until=AT + timedelta(hours=40), at=AT
            )
            first, second = await all_of(answer)
        assert (first.name, first.importance) == ("CPI MoM", Importance.HIGH)
        assert first.at == datetime(2026, 11, 20, 13, 30, tzinfo=UTC)
        assert (first.forecast, first.previous, first.actual) == ("0.2 %", "0 %", None)
        assert (second.name, second.importance) == ("No impact", Importance.UNKNOWN)


class TestNewsApi:
    async def test_the_us_gets_top_headlines_and_a_name_is_asked_for_in_quotes(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        def row(title: str) -> dict[str, Any]:
            source = {"id": None, "name": "Paper"}
            return {"title": title, "publishedAt": "2026-11-20T10:00:00Z", "source": source}

        server.on("/v2/top-headlines", Said({"articles": [row("Stocks rise"), row("[Removed]")]}))
        server.on("/v2/everything", Said({"articles": [row("Apple rises")]}))
        async with sources_at(server, tmp_path, news=("newsapi",), news_key=KEY) as sources:
            found = await news(sources, MarketGroup.US, AAPL)
        assert [(h.symbol, h.title) for h in found] == [
            (None, "Stocks rise"),
            ("AAPL", "Apple rises"),
        ]
        assert found[0].publisher == "Paper"
        [asked] = server.asked_at("/v2/everything")
        assert asked.query["q"] == '"Apple"'
        assert asked.query["from"] == "2026-11-18T13:00:00"
        assert asked.headers["X-Api-Key"] == KEY

    async def test_korean_titles_come_whole_and_without_a_score(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        row = {"title": "삼성전자, 신제품 공개", "publishedAt": "2026-11-20T10:00:00+09:00"}
        server.on("/v2/everything", Said({"articles": [row]}))
        async with sources_at(server, tmp_path, news=("newsapi",), news_key=KEY) as sources:
            found = await news(sources, MarketGroup.KR)
        assert [(h.title, h.sentiment) for h in found] == [("삼성전자, 신제품 공개", None)]
        assert found[0].published_at == datetime(2026, 11, 20, 1, 0, tzinfo=UTC)


class TestAlphaVantage:
    def story(self, **changes: Any) -> dict[str, Any]:
        base = {
            "title": "Apple beats",
            "url": "https://news.test/a",
            "time_published": "20261120T110000",
            "source": "Desk",
            "overall_sentiment_score": 0.2,
            "ticker_sentiment": [
                {"ticker": "MSFT", "ticker_sentiment_score": "-0.5"},
                {"ticker": "AAPL", "ticker_sentiment_score": "0.31"},
            ],
        }
        return base | changes

    async def test_the_score_is_the_symbols_own_and_zero_is_a_score(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        stories = [
            self.story(),
            self.story(title="Flat", overall_sentiment_score=0, ticker_sentiment=[]),
            self.story(title="Odd scale", overall_sentiment_score=85),
        ]
        server.on("/query", Said({"feed": stories}))
        async with sources_at(server, tmp_path, news=("alphavantage",), news_key=KEY) as sources:
            found = await news(sources, MarketGroup.US, AAPL)
        scores = [(h.symbol, h.title, h.sentiment, h.sentiment_by) for h in found]
        assert scores == [
            (None, "Apple beats", 0.2, "alphavantage"),
            (None, "Flat", 0.0, "alphavantage"),
            (None, "Odd scale", None, ""),
            ("AAPL", "Apple beats", 0.31, "alphavantage"),
            ("AAPL", "Flat", None, ""),
            ("AAPL", "Odd scale", 0.31, "alphavantage"),
        ]

    async def test_a_refusal_with_status_200_is_one_and_does_not_repeat_the_key(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        server.on("/query", Said({"Information": f"We have detected your API key as {KEY}"}))
        async with sources_at(server, tmp_path, news=("alphavantage",), news_key=KEY) as sources:
            with pytest.raises(SourceError, match="check NEWS_API_KEY") as caught:
                await news(sources)
        assert KEY not in str(caught.value)

    async def test_the_key_in_the_address_is_in_no_log_line(
        self, server: SourcesStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        server.on("/query", Said({"feed": []}))
        async with sources_at(server, tmp_path, news=("alphavantage",), news_key=KEY) as sources:
            await news(sources)
        [asked] = server.asked
        assert asked.query["apikey"] == KEY
        assert "/query" in caplog.text
        ours = [r.getMessage() for r in caplog.records if r.name.startswith("http")]
        assert ours
        assert not any(KEY in line for line in ours)

    async def test_funds_and_the_currency_become_readings(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        quote = {
            "01. symbol": "SPY",
            "05. price": "601.50",
            "07. latest trading day": "2026-11-19",
            "10. change percent": "-0.4500%",
        }
        rate = {
            "5. Exchange Rate": "1391.2",
            "6. Last Refreshed": "2026-11-20 12:00:00",
            "7. Time Zone": "UTC",
        }
        server.on(
            "/query",
            Said({"Global Quote": quote}),
            Said({"Global Quote": {}}),
            Said({"Realtime Currency Exchange Rate": rate}),
        )
        async with sources_at(server, tmp_path, market_key=KEY) as sources:
            [market] = sources.market
            found = await all_of(market.readings(MarketGroup.KR, at=AT))
        assert [(r.name, r.value, r.change_pct) for r in found] == [
            ("SPY (fund)", 601.5, -0.45),
            ("KRW per USD", 1391.2, None),
        ]
        assert found[0].at == datetime(2026, 11, 19, 23, 59, tzinfo=UTC)


class TestFred:
    async def test_the_newest_value_is_set_against_the_one_before_and_dots_are_no_values(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:

        table = b"observation_date,SP500\n2026-11-17,6000\n2026-11-18,6060\n2026-11-19,.\n"
        server.on("/graph/fredgraph.csv", Said(raw=table), Said(raw=b"<html>blocked</html>"))
        async with sources_at(server, tmp_path, market=("fred",)) as sources:
            answer = sources.market[0].readings(MarketGroup.KR, at=AT)
            [reading] = await anext(answer)
            with pytest.raises(SourceError, match="not the series VIXCLS"):
                await anext(answer)
        assert (reading.name, reading.value) == ("S&P 500", 6060)
        assert reading.change_pct == pytest.approx(1.0)
        assert reading.at == datetime(2026, 11, 18, 23, 59, tzinfo=UTC)
        assert dict(server.asked[0].query) == {"id": "SP500", "cosd": "2026-11-06"}

    async def test_a_day_that_has_not_ended_is_not_known_yet(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        table = b"DATE,SP500\n2026-11-19,6000\n2026-11-20,6100\n"
        server.on("/graph/fredgraph.csv", Said(raw=table))
        async with sources_at(server, tmp_path, market=("fred",)) as sources:
            [reading] = await anext(sources.market[0].readings(MarketGroup.US, at=AT))
        assert (reading.value, reading.change_pct) == (6000, None)


class TestYahoo:
    def chart(self, symbol: str = "^GSPC", **meta: Any) -> dict[str, Any]:
        seen = datetime(2026, 11, 19, 21, 0, tzinfo=UTC)
        days = [seen - timedelta(days=2), seen - timedelta(days=1), seen - timedelta(hours=6)]
        about = {
            "symbol": symbol,
            "regularMarketPrice": 6120.0,
            "regularMarketTime": int(seen.timestamp()),
            "gmtoffset": -18000,
        }
        closes = [5900.0, 6000.0, None]
        result = {
            "meta": about | meta,
            "timestamp": [int(day.timestamp()) for day in days],
            "indicators": {"quote": [{"close": closes}]},
        }
        return {"chart": {"result": [result], "error": None}}

    async def test_the_level_is_set_against_the_last_close_of_an_earlier_day(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        server.on("/v8/finance/chart/^GSPC", Said(self.chart()))
        async with sources_at(server, tmp_path, market=("yahoo",)) as sources:
            [reading] = await anext(sources.market[0].readings(MarketGroup.US, at=AT))
        assert (reading.name, reading.value) == ("S&P 500", 6120.0)
        assert reading.change_pct == pytest.approx(2.0)

    async def test_the_chart_of_something_else_is_refused(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        server.on("/v8/finance/chart/^GSPC", Said(self.chart("^DJI")))
        async with sources_at(server, tmp_path, market=("yahoo",)) as sources:
            with pytest.raises(SourceError, match="not the chart"):
                await anext(sources.market[0].readings(MarketGroup.US, at=AT))


class TestFeeds:
    async def read(self, server: SourcesStandIn, home: Path, *said: Said) -> list[Headline]:
        server.on("/feed", *said)
        async with sources_at(server, home, feeds=(f"{server.base_url}/feed",)) as sources:
            return await news(sources, MarketGroup.KR)

    async def test_rss_becomes_headlines_of_the_market(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        found = await self.read(server, tmp_path, Said(raw=feed("One &amp; two", "Three")))
        assert [(h.title, h.symbol, h.url) for h in found] == [
            ("One & two", None, "https://news.test/0"),
            ("Three", None, "https://news.test/1"),
        ]
        assert found[0].published_at == datetime(2026, 11, 20, 10, 0, tzinfo=UTC)

    async def test_atom_becomes_headlines_too(self, server: SourcesStandIn, tmp_path: Path) -> None:
        atom = (
            '<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title><entry>'
            '<title type="html">&lt;b&gt;Bold&lt;/b&gt; move</title>'
            '<link href="https://news.test/x"/><updated>2026-11-20T09:00:00+09:00</updated>'
            "</entry></feed>"
        )
        [found] = await self.read(server, tmp_path, Said(raw=atom.encode()))
        assert (found.title, found.url) == ("Bold move", "https://news.test/x")
        assert found.published_at == datetime(2026, 11, 20, tzinfo=UTC)

    @pytest.mark.parametrize("encoding", ["utf-8", "euc-kr", "cp949", "utf-16"])
    async def test_korean_text_is_read_in_the_encodings_it_comes_in(
        self, server: SourcesStandIn, tmp_path: Path, encoding: str
    ) -> None:
        [found] = await self.read(
            server, tmp_path, Said(raw=feed("코스피 사상 최고", encoding=encoding))
        )
        assert found.title == "코스피 사상 최고"

    async def test_an_entry_without_a_date_is_not_news(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        assert not await self.read(server, tmp_path, Said(raw=feed("When?", published="soon")))

    @pytest.mark.parametrize("body", [b"", b"<html><p>sorry", b"\x00\x01\x02", b"/etc/passwd"])
    async def test_what_is_no_feed_says_so(
        self, server: SourcesStandIn, tmp_path: Path, body: bytes
    ) -> None:
        with pytest.raises(SourceError, match="no feed"):
            await self.read(server, tmp_path, Said(raw=body))

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    async def test_a_bomb_of_entities_is_refused_at_once(
        self, server: SourcesStandIn, tmp_path: Path, encoding: str
    ) -> None:
        levels = "".join(
            f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' if n else '<!ENTITY a0 "boom">'
            for n in range(12)
        )
        item = "<item><title>&a11;</title></item>"
        bomb = f"<!DOCTYPE rss [{levels}]><rss><channel>{item}</channel></rss>"
        started = time.perf_counter()
        with pytest.raises(SourceError, match="entities"):
            await self.read(server, tmp_path, Said(raw=bomb.encode(encoding)))
        assert time.perf_counter() - started < 2

    async def test_one_feed_that_fails_does_not_hide_the_next(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        server.on("/good", Said(raw=feed("News")))
        server.on("/bad", Said(status=500))
        feeds = (f"{server.base_url}/bad", f"US={server.base_url}/us", f"{server.base_url}/good")
        async with sources_at(server, tmp_path, feeds=feeds) as sources:
            answer = sources.news[0].headlines(MarketGroup.KR, (), since=SINCE, at=AT)
            [headline] = await anext(answer)
            with pytest.raises(SourceError, match="answered 500: its server failed"):
                await anext(answer)
        assert headline.title == "News"
        assert not server.asked_at("/us")

    async def test_a_redirect_is_followed(self, server: SourcesStandIn, tmp_path: Path) -> None:
        server.on("/new", Said(raw=feed("Moved")))
        moved = Said(status=301, headers={"location": "/new"})
        assert [h.title for h in await self.read(server, tmp_path, moved)] == ["Moved"]

    def test_an_address_that_is_none_is_refused_without_being_shown(self) -> None:
        for text in ("file:///etc/passwd?key=1", "XX", "KR=", "ftp://host/x?key=1"):
            with pytest.raises(ConfigError) as caught:
                Feed.parse(text)
            assert "key=1" not in str(caught.value)
        assert Feed.parse("KR=https://a.test/x?y=1") == Feed("https://a.test/x?y=1", MarketGroup.KR)
        assert Feed.parse("https://a.test/x?y=1").group is None


class TestWhatGoesWrong:
    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            (Said(status=401), "finnhub answered 401, check NEWS_API_KEY"),
            (Said(status=403), "finnhub answered 403: it refuses this request, check NEWS_API_KEY"),
            (Said(status=429), "finnhub answered 429: asked too often, the quota is used up"),
            (Said(status=500), "finnhub answered 500: its server failed"),
            (Said(status=302, headers={"location": "http://127.0.0.1:1/"}), "finnhub answered 302"),
            (Said(raw=b'{"headline": '), "finnhub answered something that is not JSON"),
            (Said(raw=b"[" * 100_000), "finnhub answered something that is not JSON"),
            (Said(raw=b"\xff\xfe\x00"), "finnhub answered something that is not JSON"),
            (Said(raw=b"x" * (web.MAX_BYTES + 1)), "finnhub answered more than 2000 kB"),
            (
                Said(raw=b"[]", headers={"content-encoding": "br"}),
                "finnhub answered in an encoding that was not asked for",
            ),
            (
                Said(raw=b"[]", headers={"content-encoding": "gzip"}),
                "finnhub answered something that cannot be unpacked",
            ),
            (
                Said(
                    raw=gzip.compress(b"[" + b" " * 5000)[:-9], headers={"content-encoding": "gzip"}
                ),
                "finnhub answered a part only",
            ),
        ],
    )
    async def test_each_failure_has_a_reason_that_says_what_to_look_at(
        self, server: SourcesStandIn, tmp_path: Path, said: Said, reason: str
    ) -> None:
        server.on(GENERAL, said)
        async with sources_at(server, tmp_path, news=("finnhub",), news_key=KEY) as sources:
            with pytest.raises(SourceError) as caught:
                await news(sources)
        assert str(caught.value) == reason
        assert len(server.asked) == 1

    async def test_json_that_is_something_else_holds_no_news(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        for body in (None, 5, "text", {"error": "no"}, [[]], [None]):
            server.on(GENERAL, Said(body))
            async with sources_at(server, tmp_path, news=("finnhub",), news_key=KEY) as sources:
                assert await news(sources) == []

    async def test_nobody_there_is_a_reason_without_the_address(self, tmp_path: Path) -> None:
        nobody = SourcesStandIn(base_url="http://127.0.0.1:1")
        async with sources_at(nobody, tmp_path, news=("finnhub",), news_key=KEY) as sources:
            with pytest.raises(
                SourceError, match=r"^finnhub could not be reached \(ConnectError\)$"
            ):
                await news(sources)

    async def test_an_answer_that_does_not_come_is_given_up(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        server.on(GENERAL, Said([], delay_seconds=30))
        config = {"news": ("finnhub",), "news_key": KEY, "limit": timedelta(seconds=0.2)}
        async with sources_at(server, tmp_path, **config) as sources:
            with pytest.raises(SourceError, match=r"finnhub gave no answer within 0\.2 s"):
                await news(sources)

    async def test_an_endless_answer_is_cut_off_early(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        server.on(GENERAL, Said(endless=True))
        async with sources_at(server, tmp_path, news=("finnhub",), news_key=KEY) as sources:
            with pytest.raises(SourceError, match="more than 2000 kB"):
                await news(sources)
        assert server.sent_bytes < 30_000_000

    async def test_a_packed_answer_is_not_unpacked_beyond_the_limit(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        bomb = gzip.compress(b" " * 200_000_000, compresslevel=1)
        assert len(bomb) < web.MAX_BYTES
        server.on(GENERAL, Said(raw=bomb, headers={"content-encoding": "gzip"}))
        async with sources_at(server, tmp_path, news=("finnhub",), news_key=KEY) as sources:
            tracemalloc.start()
            try:
                with pytest.raises(SourceError, match="more than 2000 kB"):
                    await news(sources)
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert most < 12_000_000

    async def test_a_packed_answer_is_read(self, server: SourcesStandIn, tmp_path: Path) -> None:
        packed = gzip.compress(json.dumps([article("Packed")]).encode())
        server.on(GENERAL, Said(raw=packed, headers={"content-encoding": "gzip"}))
        async with sources_at(server, tmp_path, news=("finnhub",), news_key=KEY) as sources:
            assert [h.title for h in await news(sources)] == ["Packed"]

    async def test_what_came_before_a_failure_is_kept(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        server.on(GENERAL, Said([article("First")]))
        server.on(COMPANY, Said(status=429))
        async with sources_at(server, tmp_path, news=("finnhub",), news_key=KEY) as sources:
            answer = sources.news[0].headlines(MarketGroup.US, [AAPL, MSFT], since=SINCE, at=AT)
            [first] = await anext(answer)
            with pytest.raises(SourceError, match="429"):
                await anext(answer)
        assert first.title == "First"
        assert len(server.asked_at(COMPANY)) == 1


class TestManners:
    async def test_a_provider_is_asked_one_thing_at_a_time_with_a_pause_between(
        self, server: SourcesStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(finnhub, "PAUSE_SECONDS", 0.15)
        server.on(GENERAL, Said([]))
        server.on(COMPANY, Said([]))
        started = time.perf_counter()
        async with sources_at(server, tmp_path, news=("finnhub",), news_key=KEY) as sources:
            await news(sources, MarketGroup.US, AAPL, MSFT)
        assert time.perf_counter() - started >= 0.3


class TestCache:
    async def test_an_answer_is_used_again_for_a_while_by_every_process(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        server.on(GENERAL, Said([article("Once")]), Said([article("Twice")]))
        clock = FixedClock(AT)
        config = {"news": ("finnhub",), "news_key": KEY, "cache": timedelta(minutes=10)}
        titles = []
        for minutes in (0, 9, 2):
            clock.advance(timedelta(minutes=minutes))
            async with sources_at(server, tmp_path, clock=clock, **config) as sources:
                titles += [h.title for h in await news(sources)]
        assert titles == ["Once", "Once", "Twice"]
        assert len(server.asked) == 2

    async def test_failures_are_not_kept_and_no_file_holds_the_key(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        server.on("/query", Said(status=500), Said({"feed": []}))
        config = {"news": ("alphavantage",), "news_key": KEY, "cache": timedelta(minutes=10)}
        async with sources_at(server, tmp_path, **config) as sources:
            with pytest.raises(SourceError):
                await news(sources)
            assert await news(sources) == []
        kept = [Path(folder, name) for folder, _, names in os.walk(tmp_path) for name in names]
        assert kept
        assert not any(KEY.encode() in path.read_bytes() or KEY in path.name for path in kept)

    async def test_old_and_damaged_files_are_no_answers_and_are_cleared_away(
        self, server: SourcesStandIn, tmp_path: Path
    ) -> None:
        server.on(GENERAL, Said([article("Fresh")]))
        clock = FixedClock(AT)
        cache = web.BodyCache(tmp_path / "c", clock, timedelta(minutes=10))
        cache.put("https://a.test/", b"body")
        [file] = (tmp_path / "c").iterdir()
        assert cache.get("https://a.test/") == b"body"
        file.write_bytes(b"rubbish")
        assert cache.get("https://a.test/") is None
        clock.advance(timedelta(hours=1))
        cache.put("https://b.test/", b"other")
        assert not file.exists()


class TestConfiguration:
    @pytest.mark.parametrize(
        ("config", "reason"),
        [
            ({"news": ("bloomberg",)}, "NEWS_API_PROVIDER=bloomberg: not known; use finnhub"),
            ({"market": ("stooq",)}, "MARKET_DATA_PROVIDER=stooq: not known; use fred"),
            ({"calendars": ("rss",)}, "ECONOMIC_CALENDAR_PROVIDER=rss: not known"),
            ({"news": ("finnhub",)}, "NEWS_API_KEY: the key of finnhub is not set"),
            ({"news": ("newsapi", "finnhub"), "news_key": "k"}, "as name:key pairs"),
            ({"news": ("newsapi",), "calendars": ("finnhub",), "news_key": "newsapi:k"}, "finnhub"),
            ({"news_key": "k"}, "NEWS_API_KEY is set, but not whose it is"),
            ({"market": ("alphavantage",)}, "MARKET_DATA_API_KEY is not set"),
            ({"news": ("rss",)}, "NEWS_RSS_FEEDS"),
            ({"calendars": ("file",)}, "ECONOMIC_CALENDAR_FILE"),
            ({"market": ("fred",), "base_urls": {"frod": "http://x"}}, "frod is no provider"),
        ],
    )
    def test_what_is_wrong_is_named_with_its_setting(
        self, config: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(ConfigError, match=reason):
            SourceConfig(**config).keys_by_provider()

    def test_keys_go_to_the_providers_they_are_named_for(self) -> None:
        several = SourceConfig(news=("finnhub", "newsapi"), news_key="newsapi:n, finnhub:f")
        assert several.keys_by_provider() == {"newsapi": "n", "finnhub": "f"}
        assert SourceConfig(
            news=("rss", "newsapi"), feeds=("x",), news_key="n"
        ).keys_by_provider() == {"newsapi": "n"}
        assert "secret" not in repr(SourceConfig(news_key="secret", market_key="secret"))

    @pytest.mark.parametrize("url", ["http://news.test", "ftp://127.0.0.1", "nonsense"])
    async def test_no_key_travels_without_tls(self, tmp_path: Path, url: str) -> None:
        elsewhere = SourcesStandIn(base_url=url)
        with pytest.raises(ConfigError, match=r"without TLS|https://"):
            async with sources_at(elsewhere, tmp_path, news=("finnhub",), news_key=KEY):
                pass

    async def test_nothing_configured_is_no_source_at_all(self, tmp_path: Path) -> None:
        assert SourceConfig().is_empty
        assert not Sources()


class TestCalendarFile:
    WINDOW = {"since": AT - timedelta(hours=8), "until": AT + timedelta(hours=40), "at": AT}

    async def events(self, path: Path) -> tuple[list[Any], str]:
        async with sources_at(SourcesStandIn("http://127.0.0.1:1"), path, calendar_file=path) as s:
            answer = s.calendar[0].events("US", **self.WINDOW)
            found: list[Any] = []
            try:
                async for batch in answer:
                    found += batch
            except SourceError as error:
                return found, str(error)
        return found, ""

    async def test_csv_with_zones_offsets_and_a_mark_at_its_head(self, tmp_path: Path) -> None:
        path = tmp_path / "events.csv"
        path.write_text(
            "at,zone,country,name,importance,forecast\n"
            "2026-11-20T08:30:00,America/New_York,us,CPI,high,3.1%\n"
            "2026-11-20T15:00:00+00:00,,US,Housing,,\n"
            "2026-11-20T15:00:00+00:00,,KR,Rates,high,\n"
            "2026-12-20T15:00:00+00:00,,US,Later,high,\n",
            encoding="utf-8-sig",
        )
        found, problem = await self.events(path)
        assert problem == ""
        assert [
            (e.name, e.at.hour, e.at.minute, e.importance.value, e.forecast) for e in found
        ] == [
            ("CPI", 13, 30, "high", "3.1%"),
            ("Housing", 15, 0, "unknown", None),
        ]

    async def test_json_is_read_too(self, tmp_path: Path) -> None:
        path = tmp_path / "events.json"
        entry = {"at": "2026-11-20T13:30:00Z", "country": "US", "name": "고용", "forecast": 4}
        path.write_text(json.dumps([entry]))
        found, _ = await self.events(path)
        assert [(e.name, e.forecast) for e in found] == [("고용", "4")]

    async def test_lines_that_cannot_be_read_are_named_and_the_others_kept(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "events.json"
        good = {"at": "2026-11-20T13:30:00Z", "country": "US", "name": "CPI"}
        wrong = [
            good | {"at": "2026-11-20T13:30:00"},
            good | {"at": "2026-11-20T13:30:00", "zone": "Mars/Base"},
            {"country": "US"},
            7,
            good | {"importance": "vital"},
        ]
        path.write_text(json.dumps([*wrong, good]))
        found, problem = await self.events(path)
        assert [e.name for e in found] == ["CPI"]
        assert problem == (
            "events.json: not read: entry 1 (at has no offset and there is no zone), "
            "entry 2 (no such zone), entry 3 (no at) and 2 more"
        )

    async def test_a_file_that_is_not_there_or_not_text_says_so(self, tmp_path: Path) -> None:
        _, problem = await self.events(tmp_path / "none.csv")
        assert problem == "none.csv cannot be read: No such file or directory"
        bad = tmp_path / "bad.json"
        for body in (b"\xff\xff", b"{", b"{}"):
            bad.write_bytes(body)
            _, problem = await self.events(bad)
            assert problem.startswith("bad.json is ")
