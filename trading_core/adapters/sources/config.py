"""Which sources are wanted, and whether what they need is there. Loads no HTTP client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from trading_core.errors import ConfigError

FINNHUB = "finnhub"
NEWSAPI = "newsapi"
ALPHA_VANTAGE = "alphavantage"
RSS = "rss"
KIS = "kis"
FRED = "fred"
YAHOO = "yahoo"
FILE = "file"
NEWS = (FINNHUB, NEWSAPI, ALPHA_VANTAGE, RSS, KIS)
MARKET = (FRED, YAHOO, ALPHA_VANTAGE)
CALENDARS = (FINNHUB, FILE)
_KEYED = (FINNHUB, NEWSAPI, ALPHA_VANTAGE)


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """What the settings say, as plain values.

    ``news_key`` is the key of the one keyed provider, or ``name:key`` pairs parted by commas.
    ``feeds`` and ``calendar_file`` bring in their providers by themselves, and so does
    ``market_key`` where no market provider is named.
    """

    news: tuple[str, ...] = ()
    news_key: str = field(default="", repr=False)
    feeds: tuple[str, ...] = field(default=(), repr=False)
    market: tuple[str, ...] = ()
    market_key: str = field(default="", repr=False)
    calendars: tuple[str, ...] = ()
    calendar_file: Path | None = None
    limit: timedelta = timedelta(seconds=15)
    cache: timedelta = timedelta(minutes=10)
    base_urls: Mapping[str, str] = field(default_factory=dict)

    @property
    def news_names(self) -> tuple[str, ...]:
        return _with(self.news, RSS if self.feeds else "")

    @property
    def market_names(self) -> tuple[str, ...]:
        implied = ALPHA_VANTAGE if self.market_key and not self.market else ""
        return _with(self.market, implied)

    @property
    def calendar_names(self) -> tuple[str, ...]:
        return _with(self.calendars, FILE if self.calendar_file else "")

    @property
    def is_empty(self) -> bool:
        return not (self.news_names or self.market_names or self.calendar_names or self.news_key)

    def keys_by_provider(self) -> dict[str, str]:
        """The keys for news and events, once everything that is named is known and complete.

        Raises:
            ConfigError: a provider that is not known, or what it needs is not set.
        """
        _check(self)
        return _keys(self)


def _with(names: tuple[str, ...], more: str) -> tuple[str, ...]:
    return names if not more or more in names else (*names, more)


def _check(config: SourceConfig) -> None:
    for setting, names, known in (
        ("NEWS_API_PROVIDER", config.news_names, NEWS),
        ("MARKET_DATA_PROVIDER", config.market_names, MARKET),
        ("ECONOMIC_CALENDAR_PROVIDER", config.calendar_names, CALENDARS),
    ):
        for name in names:
            if name not in known:
                raise ConfigError(f"{setting}={name}: not known; use {', '.join(known)}")
    for name in config.base_urls:
        if name not in (*NEWS, *MARKET):
            raise ConfigError(f"SOURCES_BASE_URLS: {name} is no provider")
    if RSS in config.news and not config.feeds:
        raise ConfigError("NEWS_API_PROVIDER=rss: name the feeds in NEWS_RSS_FEEDS")
    if FILE in config.calendars and config.calendar_file is None:
        raise ConfigError("ECONOMIC_CALENDAR_PROVIDER=file: name it in ECONOMIC_CALENDAR_FILE")
    if ALPHA_VANTAGE in config.market_names and not config.market_key:
        raise ConfigError("MARKET_DATA_PROVIDER=alphavantage: MARKET_DATA_API_KEY is not set")


def _keys(config: SourceConfig) -> dict[str, str]:
    wanted = [n for n in _KEYED if n in (*config.news_names, *config.calendar_names)]
    pairs = [pair.strip().partition(":") for pair in config.news_key.split(",") if pair.strip()]
    if len(pairs) == 1 and not pairs[0][1] and len(wanted) == 1:
        return {wanted[0]: pairs[0][0]}
    if pairs and not wanted:
        raise ConfigError(
            f"NEWS_API_KEY is set, but not whose it is: NEWS_API_PROVIDER={'|'.join(_KEYED)}"
        )
    given = {name.strip().lower(): key.strip() for name, sign, key in pairs if sign}
    if missing := [name for name in wanted if not given.get(name)]:
        several = ", as name:key pairs parted by commas" if len(wanted) > 1 else ""
        raise ConfigError(f"NEWS_API_KEY: the key of {', '.join(missing)} is not set{several}")
    return given
