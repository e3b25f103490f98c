"""RSS and Atom feeds that a person named, read with ``feedparser``.

A feed tells of the market as a whole and scores nothing. Entries without a date are left out: news
of unknown age is not news. A document that declares entities is refused unread.
"""

from __future__ import annotations

import asyncio
import calendar
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from trading_core.adapters.sources import parts
from trading_core.adapters.sources.config import RSS as NAME
from trading_core.adapters.sources.web import Service, Web
from trading_core.errors import ConfigError, SourceError
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.sources import Headline

MOST_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed; ``group`` None is for every market."""

    url: str
    group: MarketGroup | None = None

    @classmethod
    def parse(cls, text: str) -> Feed:
        """``https://...`` or ``KR=https://...``. Raises ``ConfigError``."""
        code, sign, url = text.strip().partition("=")
        group = None
        if sign and "/" not in code:
            group = MarketGroup.parse(code)
        else:
            url = text.strip()
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            # Addresses of private feeds hold keys, so the text itself is not shown.
            raise ConfigError("NEWS_RSS_FEEDS: an entry does not look like https://... or KR=...")
        return cls(url, group)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


class FeedNews:
    """Implements ``NewsSource``. One feed that fails does not keep the next from being read."""

    name = NAME

    def __init__(self, web: Web, feeds: Sequence[Feed]) -> None:
        self._web = web
        self._feeds = tuple(feeds)
        for feed in self._feeds:
            web.hide(urlsplit(feed.url).query)

    async def headlines(
        self,
        group: MarketGroup,
        instruments: Sequence[Instrument],
        *,
        since: datetime,
        at: datetime,
    ) -> AsyncIterator[Sequence[Headline]]:
        problems: list[str] = []
        for feed in self._feeds:
            if feed.group not in (None, group):
                continue
            try:
                yield await self._read(feed, group, at)
            except SourceError as error:
                problems.append(str(error))
        if problems:
            raise SourceError("; ".join(problems))

    async def _read(self, feed: Feed, group: MarketGroup, at: datetime) -> list[Headline]:
        service = Service(f"{NAME} {feed.host}", feed.url, follows=True)
        body = await self._web.body(service, "")
        # Parsing is not for the loop that also keeps the time limit.
        entries = await asyncio.to_thread(_entries, service.name, body)
        return [
            Headline(
                market=group.value,
                source=NAME,
                title=title,
                published_at=published,
                fetched_at=at,
                url=parts.text(entry.get("link")),
                publisher=feed.host,
            )
            for entry in entries[:MOST_ENTRIES]
            if (title := parts.text(entry.get("title"))) and (published := _published(entry))
        ]


def _entries(name: str, body: bytes) -> list[Any]:
    import feedparser

    # In UTF-16 every other byte of the mark is zero.
    if b"<!ENTITY" in body.replace(b"\0", b"").upper():
        raise SourceError(f"{name} answered a document that declares entities")
    # From a file object: a mere text could be taken for the name of a local file.
    try:
        found = feedparser.parse(io.BytesIO(body))
    except Exception:
        # It takes most things for a feed, and stumbles over some that are none.
        found = {}
    entries = found.get("entries") or []
    if not entries and (found.get("bozo") or not found.get("version")):
        raise SourceError(f"{name} answered something that is no feed")
    return list(entries)


def _published(entry: Any) -> datetime | None:
    # Past feedparser's own lookup, which warns when it takes the one for the other.
    moment = dict.get(entry, "published_parsed") or dict.get(entry, "updated_parsed")
    try:
        return datetime.fromtimestamp(calendar.timegm(moment), UTC) if moment else None
    except (ValueError, OverflowError, TypeError):
        return None
