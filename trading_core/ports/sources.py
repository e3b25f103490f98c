"""Ports to the sources of outside information, and the queries over what was known when."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.sources import EconomicEvent, Headline, MarketReading, SourceAsk

SourceRecord: TypeAlias = Headline | EconomicEvent | MarketReading | SourceAsk


class NewsSource(Protocol):
    """A provider of headlines.

    Like the other two below it hands over what it has as it comes, so that a failure or the end of
    the time loses only the rest, and raises ``SourceError`` or a ``BrokerError`` when it cannot go
    on. ``at`` stamps what it hands over; what is newer or older than was asked for is left to the
    caller to drop.
    """

    @property
    def name(self) -> str: ...

    def headlines(
        self,
        group: MarketGroup,
        instruments: Sequence[Instrument],
        *,
        since: datetime,
        at: datetime,
    ) -> AsyncIterator[Sequence[Headline]]:
        """News of the market, then of each instrument in the given order, from ``since`` on."""
        ...


class MarketContextSource(Protocol):
    """A provider of index levels, volatility gauges, rates and currencies."""

    @property
    def name(self) -> str: ...

    def readings(
        self, group: MarketGroup, *, at: datetime
    ) -> AsyncIterator[Sequence[MarketReading]]: ...


class EconomicCalendar(Protocol):
    """A provider of announcements that are due."""

    @property
    def name(self) -> str: ...

    def events(
        self, country: str, *, since: datetime, until: datetime, at: datetime
    ) -> AsyncIterator[Sequence[EconomicEvent]]:
        """All events of a country in ``[since, until)``; the end says that there are no more."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What is configured, and how much patience and memory there is for it.

    ``limit`` bounds the whole asking; news older than ``news_age`` is no news.
    """

    news: tuple[NewsSource, ...] = ()
    market: tuple[MarketContextSource, ...] = ()
    calendar: tuple[EconomicCalendar, ...] = ()
    limit: timedelta = timedelta(seconds=15)
    news_age: timedelta = timedelta(hours=48)

    def __bool__(self) -> bool:
        return bool(self.news or self.market or self.calendar)


class SourceReader(Protocol):
    """What was known at a moment: nothing that was fetched later is seen."""

    def headlines_known(
        self, at: datetime, *, market: str, symbols: Collection[str], since: datetime
    ) -> Sequence[Headline]:
        """Of the market as a whole and of these symbols, published from ``since`` on; newest
        first."""
        ...

    def readings_known(self, at: datetime, *, since: datetime) -> Sequence[MarketReading]:
        """The newest reading of each name, none of a moment before ``since``; by name."""
        ...

    def events_known(
        self, at: datetime, *, country: str, since: datetime, until: datetime
    ) -> Sequence[EconomicEvent]:
        """The newest revision of each event due in ``[since, until)``, in order of time; what was
        withdrawn is left out."""
        ...

    def source_asks(self, *, since: datetime) -> Sequence[SourceAsk]:
        """Every time a source was asked, oldest first."""
        ...
