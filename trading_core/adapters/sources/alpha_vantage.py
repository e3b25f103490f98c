"""Alpha Vantage (alphavantage.co/documentation): scored news, quotes of funds, currencies.

Its free plan takes 25 requests a day, one a second. It has no index levels, so exchange-traded
funds stand for the markets. Failures come with status 200 and a sentence that quotes the key, so
the sentence is not passed on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, time

from trading_core.adapters.sources import parts
from trading_core.adapters.sources.config import ALPHA_VANTAGE as NAME
from trading_core.adapters.sources.web import Service, Web
from trading_core.errors import SourceError
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.sources import Headline, MarketReading

URL = "https://www.alphavantage.co"
PAUSE_SECONDS = 1.1
MOST_INSTRUMENTS = 5
_FUNDS: Mapping[MarketGroup, str] = {
    MarketGroup.KR: "EWY",
    MarketGroup.US: "QQQ",
    MarketGroup.JP: "EWJ",
    MarketGroup.HK: "EWH",
    MarketGroup.CN: "MCHI",
    MarketGroup.VN: "VNM",
}
_CURRENCY: Mapping[MarketGroup, str] = {
    MarketGroup.KR: "KRW",
    MarketGroup.JP: "JPY",
    MarketGroup.HK: "HKD",
    MarketGroup.CN: "CNY",
    MarketGroup.VN: "VND",
}
_REFUSALS = ("Information", "Note", "Error Message")


def alpha_vantage(key: str, base_url: str = URL, *, key_setting: str) -> Service:
    return Service(
        NAME,
        base_url,
        secret_params={"apikey": key},
        key_setting=key_setting,
        pause_seconds=PAUSE_SECONDS,
    )


async def _ask(web: Web, service: Service, function: str, **params: str) -> parts.Row:
    found = parts.row(await web.json(service, "/query", function=function, **params))
    if not found or any(mark in found for mark in _REFUSALS):
        raise SourceError(
            f"{NAME} refused {function}: the quota is used up, or check {service.key_setting}"
        )
    return found


class AlphaVantageNews:
    """Implements ``NewsSource``, for US symbols; each article is scored per symbol it is about."""

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
        span = {"time_from": f"{since:%Y%m%dT%H}00", "limit": "50"}
        found = await _ask(
            self._web, self._service, "NEWS_SENTIMENT", topics="financial_markets", **span
        )
        yield _headlines(found, group, None, at)
        if group is not MarketGroup.US:
            return
        for instrument in instruments[:MOST_INSTRUMENTS]:
            found = await _ask(
                self._web, self._service, "NEWS_SENTIMENT", tickers=instrument.symbol, **span
            )
            yield _headlines(found, group, instrument.symbol, at)


def _headlines(
    found: parts.Row, group: MarketGroup, symbol: str | None, at: datetime
) -> list[Headline]:
    made = []
    for row in parts.rows(found.get("feed")):
        title = parts.text(row.get("title"))
        published = parts.from_iso(row.get("time_published"), "%Y%m%dT%H%M%S")
        if not title or published is None:
            continue
        judged = _score(row, symbol)
        made.append(
            Headline(
                market=group.value,
                source=NAME,
                title=title,
                published_at=published,
                fetched_at=at,
                symbol=symbol,
                url=parts.text(row.get("url")),
                sentiment=judged,
                sentiment_by="" if judged is None else NAME,
                publisher=parts.text(row.get("source")),
            )
        )
    return made


def _score(row: parts.Row, symbol: str | None) -> float | None:
    if symbol is None:
        return parts.score(row.get("overall_sentiment_score"))
    mine = (t for t in parts.rows(row.get("ticker_sentiment")) if t.get("ticker") == symbol)
    return parts.score(next(mine, {}).get("ticker_sentiment_score"))


class AlphaVantageMarket:
    """Implements ``MarketContextSource``: a fund of the US, one of the market, and its currency."""

    name = NAME

    def __init__(self, web: Web, service: Service) -> None:
        self._web = web
        self._service = service

    async def readings(
        self, group: MarketGroup, *, at: datetime
    ) -> AsyncIterator[Sequence[MarketReading]]:
        for fund in ("SPY", _FUNDS[group]):
            found = await _ask(self._web, self._service, "GLOBAL_QUOTE", symbol=fund)
            yield _fund_reading(parts.row(found.get("Global Quote")), fund, at)
        if (code := _CURRENCY.get(group)) is not None:
            found = await _ask(
                self._web,
                self._service,
                "CURRENCY_EXCHANGE_RATE",
                from_currency="USD",
                to_currency=code,
            )
            rate = parts.row(found.get("Realtime Currency Exchange Rate"))
            yield _rate_reading(rate, code, at)


def _fund_reading(quote: parts.Row, fund: str, at: datetime) -> list[MarketReading]:
    value = parts.number(quote.get("05. price"))
    day = parts.from_iso(quote.get("07. latest trading day"), "%Y-%m-%d")
    if value is None or value <= 0 or day is None:
        return []
    change = parts.number(quote.get("10. change percent"))
    end = min(datetime.combine(day.date(), time(23, 59), UTC), at)
    return [MarketReading(f"{fund} (fund)", value, change, end, NAME, at)]


def _rate_reading(rate: parts.Row, code: str, at: datetime) -> list[MarketReading]:
    value = parts.number(rate.get("5. Exchange Rate"))
    seen = parts.from_iso(rate.get("6. Last Refreshed"), "%Y-%m-%d %H:%M:%S")
    if value is None or value <= 0 or seen is None or rate.get("7. Time Zone") != "UTC":
        return []
    return [MarketReading(f"{code} per USD", value, None, seen, NAME, at)]
