"""NewsAPI (newsapi.org/docs): ``top-headlines`` for the US, ``everything`` by words elsewhere.

The developer plan allows 100 requests a day and tells articles a day late, so only the first few
instruments are asked for. It scores nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from trading_core.adapters.sources import parts
from trading_core.adapters.sources.config import NEWSAPI as NAME
from trading_core.adapters.sources.web import Service, Web
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.sources import Headline

URL = "https://newsapi.org"
PAUSE_SECONDS = 0.2
MOST_INSTRUMENTS = 8
_PAGE = "30"
_REMOVED = "[Removed]"
_WORDS: Mapping[MarketGroup, str] = {
    MarketGroup.KR: "KOSPI OR KOSDAQ OR 코스피",
    MarketGroup.JP: "Nikkei OR TOPIX OR 日経平均",
    MarketGroup.HK: '"Hang Seng"',
    MarketGroup.CN: '"Shanghai Composite" OR "CSI 300"',
    MarketGroup.VN: '"VN-Index"',
}


def newsapi(key: str, base_url: str = URL) -> Service:
    return Service(
        NAME,
        base_url,
        headers={"X-Api-Key": key},
        key_setting="NEWS_API_KEY",
        pause_seconds=PAUSE_SECONDS,
    )


class NewsApiNews:
    """Implements ``NewsSource``. An instrument is asked for by its name, else by its symbol."""

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
        if group is MarketGroup.US:
            found = await self._web.json(
                self._service,
                "/v2/top-headlines",
                country="us",
                category="business",
                pageSize=_PAGE,
            )
        else:
            found = await self._everything(_WORDS[group], since, at)
        yield _headlines(found, group, None, at)
        for instrument in instruments[:MOST_INSTRUMENTS]:
            words = '"' + (instrument.name or instrument.symbol).replace('"', " ") + '"'
            found = await self._everything(words, since, at)
            yield _headlines(found, group, instrument.symbol, at)

    async def _everything(self, words: str, since: datetime, at: datetime) -> object:
        # Whole hours, so that asking again soon is the same request.
        span = {"from": f"{since:%Y-%m-%dT%H}:00:00", "to": f"{at:%Y-%m-%dT%H}:59:59"}
        return await self._web.json(
            self._service,
            "/v2/everything",
            q=words,
            sortBy="publishedAt",
            pageSize=_PAGE,
            **span,
        )


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
            publisher=parts.text(parts.row(row.get("source")).get("name")),
        )
        for row in parts.rows(parts.row(found).get("articles"))
        if (title := parts.text(row.get("title"))) not in ("", _REMOVED)
        and (published := parts.from_iso(row.get("publishedAt")))
    ]
