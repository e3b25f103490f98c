"""Outside information made fit to use: no doubles, sums of scores, and lines for a prompt.

No score is "no data" and stays out of every mean; it is never taken for zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from trading_core.model.sources import (
    EconomicEvent,
    Gathered,
    Headline,
    MarketReading,
    Sentiment,
    SourceKind,
)

_WORDS = re.compile(r"\w+")
_NO_SCORE = "no score"
PER_SYMBOL = 2
MARKET_WIDE = 6


def same_story(title: str) -> str:
    """A title's letters and digits in lower case: what two tellings of one story share."""
    return " ".join(_WORDS.findall(title.casefold()))


def unique(headlines: Iterable[Headline]) -> list[Headline]:
    """One of each story, newest first: of one title, or one address, within one symbol.

    A scored telling is kept before one without a score, then the oldest one.
    """
    kept: list[Headline] = []
    seen: set[tuple[str | None, str]] = set()
    best_first = sorted(
        headlines, key=lambda h: (h.sentiment is None, h.published_at, h.headline_id)
    )
    for headline in best_first:
        title = same_story(headline.title) or headline.title
        marks = {(headline.symbol, title)}
        if headline.url:
            marks.add((headline.symbol, headline.url))
        if not marks & seen:
            kept.append(headline)
        seen |= marks
    return sorted(kept, key=lambda h: (h.published_at, h.headline_id), reverse=True)


def sentiment_of(headlines: Iterable[Headline]) -> dict[str, Sentiment]:
    """Scores by symbol, ``""`` for the market as a whole; the mean is over the scored ones."""
    by_symbol: dict[str, list[float | None]] = {}
    for headline in headlines:
        by_symbol.setdefault(headline.symbol or "", []).append(headline.sentiment)
    found = {}
    for symbol, scores in by_symbol.items():
        given = [score for score in scores if score is not None]
        mean = sum(given) / len(given) if given else None
        found[symbol] = Sentiment(mean, len(given), len(scores))
    return found


def headline_lines(gathered: Gathered, at: datetime, symbols: Sequence[str]) -> list[str]:
    """The newest headlines of the market, then of each symbol in order, each with age and score.

    Where headlines were asked for and none is known, one line says so.
    """
    if SourceKind.NEWS in gathered.missing:
        return ["news: no data, which is not good news and not bad news"]
    lines: list[str] = []
    for symbol, most in ((None, MARKET_WIDE), *((s, PER_SYMBOL) for s in symbols)):
        mine = [h for h in gathered.headlines if h.symbol == symbol]
        if symbol is not None and len(mine) > 1:
            lines.append(f"{symbol} | all {_summed(gathered.sentiment.get(symbol))}")
        lines += [_headline_line(headline, at) for headline in mine[:most]]
    return lines


def _headline_line(headline: Headline, at: datetime) -> str:
    score = headline.sentiment
    judged = _NO_SCORE if score is None else f"score {score:+.2f}"
    told = (headline.symbol or "market", age(at - headline.published_at), judged, headline.title)
    return " | ".join(told)


def _summed(sentiment: Sentiment | None) -> str:
    if sentiment is None or sentiment.mean is None:
        return f"{sentiment.of if sentiment else 0} headlines: {_NO_SCORE}"
    return f"{sentiment.of} headlines: mean score {sentiment.mean:+.2f} of {sentiment.scored}"


def event_lines(gathered: Gathered, zone: str) -> list[str]:
    """Events in order of time, on the wall clock of ``zone``."""
    if SourceKind.CALENDAR in gathered.missing:
        return ["events: no data; there may be some"]
    return [_event_line(event, ZoneInfo(zone)) for event in gathered.events]


def _event_line(event: EconomicEvent, zone: ZoneInfo) -> str:
    figures = (("forecast", event.forecast), ("previous", event.previous), ("actual", event.actual))
    said = ", ".join(f"{name} {text}" for name, text in figures if text)
    when = event.at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    return " | ".join(
        [when, event.country, f"importance {event.importance.value}", event.name]
        + ([said] if said else [])
    )


def reading_lines(gathered: Gathered, at: datetime) -> list[str]:
    """Levels with their change and age, by name."""
    if SourceKind.MARKET in gathered.missing:
        return ["markets: no data"]
    return [_reading_line(reading, at) for reading in gathered.readings]


def _reading_line(reading: MarketReading, at: datetime) -> str:
    change = reading.change_pct
    moved = "change: no data" if change is None else f"change {change:+.2f} %"
    return f"{reading.name} {reading.value:g} | {moved} | {age(at - reading.at)}"


def age(span: timedelta) -> str:
    """``25 min ago``, ``7 h ago``, ``3 d ago``."""
    minutes = max(0, round(span.total_seconds() / 60))
    if minutes < 90:
        return f"{minutes} min ago"
    hours = round(minutes / 60)
    return f"{hours} h ago" if hours < 48 else f"{round(hours / 24)} d ago"
