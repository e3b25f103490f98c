"""Yahoo's chart wire: ``/v8/finance/chart/SYMBOL?range=10d&interval=1d``, without a key.

It is public and widely used, but not documented and not promised; where that matters, use FRED.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

from trading_core.adapters.sources import parts
from trading_core.adapters.sources.config import YAHOO as NAME
from trading_core.adapters.sources.web import Service, Web
from trading_core.errors import SourceError
from trading_core.model.market import MarketGroup
from trading_core.model.sources import MarketReading

URL = "https://query1.finance.yahoo.com"
PAUSE_SECONDS = 0.3
_EVERYWHERE = {"^GSPC": "S&P 500", "^VIX": "VIX"}
_OF: Mapping[MarketGroup, Mapping[str, str]] = {
    MarketGroup.KR: {"^KS11": "KOSPI", "^KQ11": "KOSDAQ", "KRW=X": "KRW per USD"},
    MarketGroup.US: {"^IXIC": "NASDAQ Composite", "^TNX": "US 10-year yield, percent"},
    MarketGroup.JP: {"^N225": "Nikkei 225", "JPY=X": "JPY per USD"},
    MarketGroup.HK: {"^HSI": "Hang Seng", "HKD=X": "HKD per USD"},
    MarketGroup.CN: {"000001.SS": "Shanghai Composite", "CNY=X": "CNY per USD"},
    MarketGroup.VN: {"VND=X": "VND per USD"},
}


def yahoo(base_url: str = URL) -> Service:
    return Service(NAME, base_url, pause_seconds=PAUSE_SECONDS)


class YahooMarket:
    """Implements ``MarketContextSource``."""

    name = NAME

    def __init__(self, web: Web, service: Service) -> None:
        self._web = web
        self._service = service

    async def readings(
        self, group: MarketGroup, *, at: datetime
    ) -> AsyncIterator[Sequence[MarketReading]]:
        for symbol, name in {**_EVERYWHERE, **_OF.get(group, {})}.items():
            path = f"/v8/finance/chart/{quote(symbol, safe='')}"
            found = await self._web.json(self._service, path, range="10d", interval="1d")
            yield _reading(found, symbol, name, at)


def _reading(found: object, symbol: str, name: str, at: datetime) -> list[MarketReading]:
    charts = parts.rows(parts.row(parts.row(found).get("chart")).get("result"))
    meta = parts.row(charts[0].get("meta")) if charts else {}
    if meta.get("symbol") != symbol:
        raise SourceError(f"{NAME} answered something that is not the chart of {symbol}")
    value = parts.number(meta.get("regularMarketPrice"))
    seen = parts.from_epoch(meta.get("regularMarketTime"))
    if value is None or value <= 0 or seen is None or seen > at:
        return []
    shift = timedelta(seconds=parts.number(meta.get("gmtoffset")) or 0)
    before = _close_before(charts[0], seen, shift)
    change = (value / before - 1) * 100 if before else None
    return [MarketReading(name, value, change, seen, NAME, at)]


def _close_before(chart: parts.Row, seen: datetime, shift: timedelta) -> float | None:
    """The last close of a day before the one of ``seen``, on the exchange's own calendar."""
    stamps = chart.get("timestamp")
    quotes = parts.rows(parts.row(chart.get("indicators")).get("quote"))
    closes = quotes[0].get("close") if quotes else None
    if not isinstance(stamps, list) or not isinstance(closes, list):
        return None
    today = (seen + shift).date()
    for stamp, close in zip(reversed(stamps), reversed(closes), strict=False):
        day, value = parts.from_epoch(stamp), parts.number(close)
        if day is not None and value and value > 0 and (day + shift).date() < today:
            return value
    return None
