"""What outside sources say: headlines, economic events, readings of markets. Data, never orders.

All text comes from strangers, so it is cut and cleaned here, whoever makes the value. A score that
nobody gave is None; zero is a score.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

MAX_TITLE = 300
MAX_NAME = 120
MAX_TEXT = 40
MAX_URL = 1000
# Controls, invisible format marks, halves of surrogate pairs, private and unassigned characters.
_NOT_TEXT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def plain_text(text: str, longest: int) -> str:
    """One line of at most ``longest`` visible characters in composed form (Unicode NFC)."""
    # Much longer texts are cut first, so that cleaning takes no time worth attacking.
    rough = unicodedata.normalize("NFC", text[: longest * 4])
    kept = "".join(" " if unicodedata.category(c) in _NOT_TEXT else c for c in rough)
    return " ".join(kept.split())[:longest].rstrip()


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone")
    return at.astimezone(UTC)


def _set(record: object, **values: object) -> None:
    """Write the cleaned parts of a frozen value that is being made."""
    for name, value in values.items():
        object.__setattr__(record, name, value)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Headline:
    """One line of news, as one source told it about a market or one of its symbols.

    ``market`` is a market group code; ``symbol`` None means the market as a whole. ``sentiment``
    is -1 (bad) to 1 (good) as ``sentiment_by`` judged it, None when nobody did. ``headline_id`` is
    made of what it says, so the same line fetched twice is one record.

    Raises:
        ValueError: no title, a time without a zone, or a sentiment outside of its range.
    """

    market: str
    source: str
    title: str
    published_at: datetime
    fetched_at: datetime
    symbol: str | None = None
    url: str = ""
    sentiment: float | None = None
    sentiment_by: str = ""
    publisher: str = ""
    headline_id: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        title, url = plain_text(self.title, MAX_TITLE), plain_text(self.url, MAX_URL)
        if not title:
            raise ValueError("a headline without a title")
        if self.sentiment is not None and not -1 <= self.sentiment <= 1:
            raise ValueError(f"a sentiment of {self.sentiment} is not from -1 to 1")
        _set(
            self,
            title=title,
            url=url,
            publisher=plain_text(self.publisher, MAX_TEXT),
            published_at=_utc(self.published_at),
            fetched_at=_utc(self.fetched_at),
            headline_id=_digest(self.market, self.symbol or "", self.source, title.casefold(), url),
        )


class Importance(StrEnum):
    """How much an event usually moves a market; UNKNOWN when the source does not say."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class EconomicEvent:
    """An announcement that is due, as it was known at ``fetched_at``; a revision is a new row.

    ``country`` is an ISO 3166 code of two letters. ``forecast``, ``previous`` and ``actual`` are
    the source's own texts (``3.2%``), None while it gives none. ``is_withdrawn`` says that its
    source no longer lists it. ``event_id`` stays the same through revisions of one day's event.

    Raises:
        ValueError: no name, or a time without a zone.
    """

    at: datetime
    country: str
    name: str
    source: str
    fetched_at: datetime
    importance: Importance = Importance.UNKNOWN
    forecast: str | None = None
    previous: str | None = None
    actual: str | None = None
    is_withdrawn: bool = False
    event_id: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        name, at = plain_text(self.name, MAX_NAME), _utc(self.at)
        country = plain_text(self.country, 2).upper()
        if not name:
            raise ValueError("an event without a name")
        _set(
            self,
            at=at,
            country=country,
            name=name,
            fetched_at=_utc(self.fetched_at),
            forecast=_figure(self.forecast),
            previous=_figure(self.previous),
            actual=_figure(self.actual),
            event_id=_digest(self.source, country, name.casefold(), f"{at.date()}"),
        )

    @property
    def says(self) -> tuple[object, ...]:
        """Everything a revision can change."""
        figures = (self.forecast, self.previous, self.actual)
        return (self.at, self.importance, *figures, self.is_withdrawn)


def _figure(text: str | None) -> str | None:
    return None if text is None else plain_text(text, MAX_TEXT) or None


@dataclass(frozen=True, slots=True)
class MarketReading:
    """The level of an index, a volatility gauge, a rate or a currency pair.

    ``name`` is made of plain words (``S&P 500``, ``KRW per USD``); ``change_pct`` is against the
    close before, in percent, None when it is not known. ``at`` is the moment the level is of, which
    for a daily series is the end of that day; ``fetched_at`` is when it became known here.

    Raises:
        ValueError: a level that is no number, or a time without a zone.
    """

    name: str
    value: float
    change_pct: float | None
    at: datetime
    source: str
    fetched_at: datetime

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"the level of {self.name} is no number")
        change = self.change_pct
        _set(
            self,
            name=plain_text(self.name, MAX_TEXT),
            change_pct=change if change is not None and math.isfinite(change) else None,
            at=_utc(self.at),
            fetched_at=_utc(self.fetched_at),
        )


class SourceKind(StrEnum):
    NEWS = "news"
    MARKET = "market"
    CALENDAR = "calendar"


@dataclass(frozen=True, slots=True)
class SourceAsk:
    """One time a source was asked about a market: how many records came, and what went wrong.

    ``problem`` is empty when all went well; with a count above 0 a part of the answer came.
    """

    kind: SourceKind
    source: str
    market: str
    at: datetime
    count: int
    problem: str = ""

    @property
    def reason(self) -> str:
        """``news: finnhub answered 401, check NEWS_API_KEY``."""
        return f"{self.kind.value}: {self.problem}" if self.problem else ""


@dataclass(frozen=True, slots=True)
class Sentiment:
    """The scores of some headlines: ``mean`` over the ``scored`` ones, None when there is none."""

    mean: float | None
    scored: int
    of: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the sources said by some moment, and why some of it is missing.

    ``sentiment`` is by symbol, ``""`` for the market as a whole; a symbol without headlines is not
    in it. ``missing`` names the kinds that were asked and of which nothing is known.
    """

    headlines: tuple[Headline, ...] = ()
    events: tuple[EconomicEvent, ...] = ()
    readings: tuple[MarketReading, ...] = ()
    sentiment: Mapping[str, Sentiment] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    missing: tuple[SourceKind, ...] = ()
