"""Prices behind the ``MarketData`` port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TypeAlias

from trading_core.adapters.kis.codes import Unreachable
from trading_core.adapters.kis.domestic_prices import BATCH as DOMESTIC_BATCH
from trading_core.adapters.kis.domestic_prices import DomesticPrices
from trading_core.adapters.kis.domestic_rankings import domestic_ranking
from trading_core.adapters.kis.overseas_prices import BATCH as OVERSEAS_BATCH
from trading_core.adapters.kis.overseas_prices import OverseasPrices
from trading_core.adapters.kis.rate_limit import Priority
from trading_core.adapters.kis.transport import KisTransport
from trading_core.clock import Clock
from trading_core.errors import BrokerError, NotOffered
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.price import DailyBar, MinuteBar, OrderBook, Quote, Ranking, RankRow

_log = logging.getLogger(__name__)

Prices: TypeAlias = DomesticPrices | OverseasPrices

_WORKERS = 4
_OUTAGE = 3


class KisMarketData:
    """Quotes, books, bars, rankings and market days; raises as ``KisTransport.read``."""

    def __init__(
        self, transport: KisTransport, clock: Clock, instruments: Mapping[str, Instrument]
    ) -> None:
        self._transport = transport
        self._one_by_one: set[Prices] = set()
        self._domestic = DomesticPrices(transport, clock)
        self._overseas = OverseasPrices(transport, clock, instruments)

    def _prices(self, instrument: Instrument) -> Prices:
        return self._domestic if instrument.market is Market.KR else self._overseas

    async def quote(self, instrument: Instrument) -> Quote:
        """The present price; ``last`` is 0 when the broker shows none."""
        return await self._prices(instrument).quote(instrument)

    async def quotes(
        self, instruments: Sequence[Instrument], *, held: Collection[str] = ()
    ) -> dict[str, Quote]:
        """Quotes by symbol. A symbol that fails is left out and logged; all failing raises.

        Many symbols are asked for in one request where the broker offers that (the real host), and
        one by one where it does not or what came back is not good enough. After three symbols in a
        row without any answer the rest is not asked: each would wait out all its retries.

        Args:
            held: Symbols whose quotes go before all others, in every process.
        """
        batch = _Batch(instruments, held)
        await asyncio.gather(*(self._ask_together(batch, *chunk) for chunk in self._chunks(batch)))
        batch.todo = iter([i for i in batch.in_order if i.symbol not in batch.quotes])
        await asyncio.gather(*(self._ask_alone(batch) for _ in range(_WORKERS)))
        if batch.error is not None and not batch.quotes:
            raise batch.error
        order = (instrument.symbol for instrument in instruments)
        return {symbol: batch.quotes[symbol] for symbol in order if symbol in batch.quotes}

    def _chunks(self, batch: _Batch) -> Iterator[tuple[Prices, list[Instrument]]]:
        """Requests for several quotes at once, each about held symbols or about others alone."""
        if self._transport.personality == "paper":
            return
        for prices, size in ((self._domestic, DOMESTIC_BATCH), (self._overseas, OVERSEAS_BATCH)):
            if prices in self._one_by_one:
                continue
            for urgent in (True, False):
                part = [
                    i
                    for i in batch.in_order
                    if self._prices(i) is prices and (i.symbol in batch.held) is urgent
                ]
                chunks = (part[start : start + size] for start in range(0, len(part), size))
                # The single quote of one symbol tells more for the same cost.
                yield from ((prices, chunk) for chunk in chunks if len(chunk) > 1)

    async def _ask_together(
        self, batch: _Batch, prices: Prices, instruments: Sequence[Instrument]
    ) -> None:
        try:
            batch.quotes |= await prices.quotes(instruments, batch.priority(instruments[0]))
        except NotOffered as error:
            self._one_by_one.add(prices)
            _log.warning("quotes one by one: %s", error)
        except BrokerError as error:
            _log.warning("no quotes of %s together: %s", len(instruments), error)

    async def _ask_alone(self, batch: _Batch) -> None:
        for instrument in batch.todo:
            if batch.silent >= _OUTAGE:
                _log.warning("no quote of %s: the broker does not answer", instrument.symbol)
                continue
            try:
                batch.quotes[instrument.symbol] = await self._prices(instrument).quote(
                    instrument, batch.priority(instrument)
                )
            except BrokerError as error:
                batch.error = error
                batch.silent = batch.silent + 1 if isinstance(error, Unreachable) else 0
                _log.warning("no quote of %s: %s", instrument.symbol, error)
            else:
                batch.silent = 0

    async def order_book(self, instrument: Instrument) -> OrderBook:
        """Up to ten levels a side outside Asia's delayed feeds, which show one."""
        return await self._prices(instrument).order_book(instrument)

    async def daily_bars(
        self, instrument: Instrument, *, until: date, count: int, adjusted: bool = True
    ) -> Sequence[DailyBar]:
        """Bars, oldest first, adjusted for splits and the like or as they were traded.

        During a session the last one is still forming.
        """
        prices = self._prices(instrument)
        return await prices.daily_bars(instrument, until=until, count=count, adjusted=adjusted)

    async def minute_bars(
        self, instrument: Instrument, *, until: datetime, count: int
    ) -> Sequence[MinuteBar]:
        """One-minute bars of the session that ``until`` falls in, oldest first."""
        return await self._prices(instrument).minute_bars(instrument, until=until, count=count)

    async def ranking(self, group: MarketGroup, ranking: Ranking) -> Sequence[RankRow]:
        """The broker's ranking, best first; rows without a price are left out."""
        if group is MarketGroup.KR:
            return await domestic_ranking(self._transport, ranking)
        return await self._overseas.ranking(group, ranking)

    async def is_trading_day(self, group: MarketGroup, day: date) -> bool:
        """What the broker's own holiday query says."""
        if group is MarketGroup.KR:
            return await self._domestic.is_trading_day(day)
        return await self._overseas.is_trading_day(group, day)


class _Batch:
    """What the requests of one call of ``quotes`` share; what is held comes first."""

    def __init__(self, instruments: Sequence[Instrument], held: Collection[str]) -> None:
        self.held = frozenset(held)
        self.in_order = sorted(instruments, key=lambda i: i.symbol not in self.held)
        self.todo: Iterator[Instrument] = iter(())
        self.quotes: dict[str, Quote] = {}
        self.error: BrokerError | None = None
        self.silent = 0

    def priority(self, instrument: Instrument) -> Priority:
        return Priority.HOLDING if instrument.symbol in self.held else Priority.CANDIDATE
