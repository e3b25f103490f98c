"""FRED of the Federal Reserve Bank of St. Louis: daily series as CSV, without a key.

The wire is the download behind each chart, ``/graph/fredgraph.csv?id=SERIES&cosd=DATE``: a head
line, then date and value, a dot or nothing where a day has none. A value appears the day after.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta

from trading_core.adapters.sources import parts
from trading_core.adapters.sources.config import FRED as NAME
from trading_core.adapters.sources.web import Service, Web
from trading_core.errors import SourceError
from trading_core.model.market import MarketGroup
from trading_core.model.sources import MarketReading

URL = "https://fred.stlouisfed.org"
PAUSE_SECONDS = 0.3
_DAYS = 14
_EVERYWHERE = {
    "SP500": "S&P 500",
    "VIXCLS": "VIX",
    "DGS10": "US 10-year yield, percent",
}
_OF: Mapping[MarketGroup, Mapping[str, str]] = {
    MarketGroup.KR: {"DEXKOUS": "KRW per USD"},
    MarketGroup.US: {"NASDAQCOM": "NASDAQ Composite"},
    MarketGroup.JP: {"NIKKEI225": "Nikkei 225", "DEXJPUS": "JPY per USD"},
    MarketGroup.HK: {"DEXHKUS": "HKD per USD"},
    MarketGroup.CN: {"DEXCHUS": "CNY per USD"},
}


def fred(base_url: str = URL) -> Service:
    return Service(NAME, base_url, pause_seconds=PAUSE_SECONDS)


class FredMarket:
    """Implements ``MarketContextSource``."""

    name = NAME

    def __init__(self, web: Web, service: Service) -> None:
        self._web = web
        self._service = service

    async def readings(
        self, group: MarketGroup, *, at: datetime
    ) -> AsyncIterator[Sequence[MarketReading]]:
        start = f"{(at - timedelta(days=_DAYS)).date()}"
        for series, name in {**_EVERYWHERE, **_OF.get(group, {})}.items():
            body = await self._web.body(
                self._service, "/graph/fredgraph.csv", id=series, cosd=start
            )
            yield _newest(body, series, name, at)


def _newest(body: bytes, series: str, name: str, at: datetime) -> list[MarketReading]:
    """The last value by ``at``, against the one before; nothing when there is none.

    Raises:
        SourceError: it is not the table that was asked for.
    """
    try:
        table = list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error):
        table = []
    if not table or len(table[0]) != 2 or table[0][1].strip() != series:
        raise SourceError(f"{NAME} answered something that is not the series {series}")
    found: list[tuple[datetime, float]] = []
    for line in table[1:]:
        day = parts.from_iso(line[0], "%Y-%m-%d") if len(line) == 2 else None
        value = parts.number(line[1]) if day else None
        if day is not None and value is not None:
            end = datetime.combine(day.date(), time(23, 59), UTC)
            if end <= at:
                found.append((end, value))
    if not found:
        return []
    found.sort()
    end, value = found[-1]
    before = found[-2][1] if len(found) > 1 else 0.0
    change = (value / before - 1) * 100 if before > 0 else None
    return [MarketReading(name, value, change, end, NAME, at)]
