"""Finnhub (finnhub.io/docs/api): general news, news of US companies, the economic calendar.

Times of news are Unix seconds, times of events UTC without saying so. There is no score of a
single headline, so the sentiment stays None. The calendar needs a paid plan: a free key gets 403.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from trading_core.adapters.sources import parts
from trading_core.adapters.sources.config import FINNHUB as NAME
from trading_core.adapters.sources.web import Service, Web
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.sources import EconomicEvent, Headline, Importance

URL = "https://finnhub.io"
# 30 requests a second for everyone, 60 a minute on the free plan, of which a plan needs few.
PAUSE_SECONDS = 0.1
_TIME = "%Y-%m-%d %H:%M:%S"


def finnhub(key: str, base_url: str = URL) -> Service:
    return Service(
        NAME,
        base_url,
        headers={"X-Finnhub-Token": key},
        key_setting="NEWS_API_KEY",
        pause_seconds=PAUSE_SECONDS,
    )


class FinnhubNews:
    """Implements ``NewsSource``. Companies outside North America need a plan we do not assume."""

    name = NAME

    def __init__(self, web: Web, service: Service) -> None:
        self._web = web
        self._service = service

    async def headlines(
        self,
        group: MarketGroup,
        instruments: Sequence[Instrument],
        *,
        since: datetime,
        at: datetime,
    ) -> AsyncIterator[Sequence[Headline]]:
        found = await self._web.json(self._service, "/api/v1/news", category="general")
        yield _headlines(found, group, None, at)
        if group is not MarketGroup.US:
            return
        days = {"from": f"{since.date()}", "to": f"{at.date()}"}
        for instrument in instruments:
            found = await self._web.json(
                self._service, "/api/v1/company-news", symbol=instrument.symbol, **days
            )
            yield _headlines(found, group, instrument.symbol, at)


def _headlines(
    found: object, group: MarketGroup, symbol: str | None, at: datetime
) -> list[Headline]:
    return [
        Headline(
            market=group.value,
            source=NAME,
            title=title,
            published_at=published,
            fetched_at=at,
            symbol=symbol,
            url=parts.text(row.get("url")),
            publisher=parts.text(row.get("source")),
        )
        for row in parts.rows(found)
        if (title := parts.text(row.get("headline")))
        and (published := parts.from_epoch(row.get("datetime")))
    ]


class FinnhubCalendar:
    """Implements ``EconomicCalendar``."""

    name = NAME

    def __init__(self, web: Web, service: Service) -> None:
        self._web = web
        self._service = service

    async def events(
        self, country: str, *, since: datetime, until: datetime, at: datetime
    ) -> AsyncIterator[Sequence[EconomicEvent]]:
        days = {"from": f"{since.date()}", "to": f"{until.date()}"}
        found = await self._web.json(self._service, "/api/v1/calendar/economic", **days)
        yield [
            EconomicEvent(
                at=due,
                country=country,
                name=name,
                source=NAME,
                fetched_at=at,
                importance=_importance(row.get("impact")),
                forecast=_figure(row, "estimate"),
                previous=_figure(row, "prev"),
                actual=_figure(row, "actual"),
            )
            for row in parts.rows(parts.row(found).get("economicCalendar"))
            if parts.text(row.get("country")).upper() == country
            and (name := parts.text(row.get("event")))
            and (due := parts.from_iso(row.get("time"), _TIME))
            and since <= due < until
        ]


def _importance(value: object) -> Importance:
    try:
        return Importance(parts.text(value).lower())
    except ValueError:
        return Importance.UNKNOWN


def _figure(row: parts.Row, key: str) -> str | None:
    value = parts.number(row.get(key))
    return None if value is None else f"{value:g} {parts.text(row.get('unit'))}".strip()
