"""Makes the sources that are configured, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from trading_core.adapters.kis.news import KisNews
from trading_core.adapters.kis.transport import KisTransport
from trading_core.adapters.sources import alpha_vantage, finnhub, fred, newsapi, yahoo
from trading_core.adapters.sources.calendar_file import FileCalendar
from trading_core.adapters.sources.config import (
    ALPHA_VANTAGE,
    FINNHUB,
    FRED,
    KIS,
    NEWSAPI,
    RSS,
    YAHOO,
    SourceConfig,
)
from trading_core.adapters.sources.feeds import Feed, FeedNews
from trading_core.adapters.sources.web import BodyCache, Service, Web
from trading_core.clock import Clock
from trading_core.ports.sources import EconomicCalendar, MarketContextSource, NewsSource, Sources


@asynccontextmanager
async def open_sources(
    config: SourceConfig, home: Path, clock: Clock, broker: KisTransport
) -> AsyncIterator[Sources]:
    """The sources, with one HTTP client that is closed at the end of the block.

    Args:
        home: Where answers are kept for a while.
        clock: Real time, which quotas run on whatever time the market plays in.
        broker: The connection that also trades, for the broker's own news.

    Raises:
        ConfigError: a provider that is not known, or what it needs is not set.
    """
    keys = config.keys_by_provider()
    cache = BodyCache(home / "cache" / "sources", clock, config.cache)
    limit = config.limit
    async with Web(cache=cache, timeout_seconds=limit.total_seconds()) as web:
        make = _Maker(config, web, keys, broker)
        yield Sources(
            news=tuple(map(make.news, config.news_names)),
            market=tuple(map(make.market, config.market_names)),
            calendar=tuple(map(make.calendar, config.calendar_names)),
            limit=limit,
        )


class _Maker:
    """Makes one source by its name."""

    def __init__(
        self, config: SourceConfig, web: Web, keys: Mapping[str, str], broker: KisTransport
    ) -> None:
        self._config = config
        self._web = web
        self._keys = keys
        self._broker = broker

    def news(self, name: str) -> NewsSource:
        if name == KIS:
            return KisNews(self._broker)
        if name == RSS:
            return FeedNews(self._web, [Feed.parse(text) for text in self._config.feeds])
        if name == FINNHUB:
            return finnhub.FinnhubNews(self._web, self._finnhub())
        if name == NEWSAPI:
            service = newsapi.newsapi(self._keys[name], self._url(name, newsapi.URL))
            return newsapi.NewsApiNews(self._web, self._web.register(service))
        return alpha_vantage.AlphaVantageNews(
            self._web, self._alpha_vantage(self._keys[name], "NEWS_API_KEY")
        )

    def market(self, name: str) -> MarketContextSource:
        if name == FRED:
            service = self._web.register(fred.fred(self._url(name, fred.URL)))
            return fred.FredMarket(self._web, service)
        if name == YAHOO:
            service = self._web.register(yahoo.yahoo(self._url(name, yahoo.URL)))
            return yahoo.YahooMarket(self._web, service)
        return alpha_vantage.AlphaVantageMarket(
            self._web, self._alpha_vantage(self._config.market_key, "MARKET_DATA_API_KEY")
        )

    def calendar(self, name: str) -> EconomicCalendar:
        if name == FINNHUB:
            return finnhub.FinnhubCalendar(self._web, self._finnhub())
        assert self._config.calendar_file is not None
        return FileCalendar(self._config.calendar_file)

    def _finnhub(self) -> Service:
        url = self._url(FINNHUB, finnhub.URL)
        return self._web.register(finnhub.finnhub(self._keys[FINNHUB], url))

    def _alpha_vantage(self, key: str, setting: str) -> Service:
        url = self._url(ALPHA_VANTAGE, alpha_vantage.URL)
        return self._web.register(alpha_vantage.alpha_vantage(key, url, key_setting=setting))

    def _url(self, name: str, default: str) -> str:
        return self._config.base_urls.get(name, default)
