"""Prices behind the ``MarketData`` port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from trading_core.adapters.kis.codes import Unreachable
from trading_core.adapters.kis.domestic_prices import DomesticPrices
from trading_core.adapters.kis.overseas_prices import OverseasPrices
from trading_core.adapters.kis.transport import KisTransport
from trading_core.clock import Clock
from trading_core.errors import BrokerError
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.price import DailyBar, MinuteBar, OrderBook, Quote, Ranking, RankRow

_log = logging.getLogger(__name__)

_WORKERS = 4
_OUTAGE = 3


class KisMarketData:
    """Quotes, books, bars, rankings and market days; raises as ``KisTransport.read``."""

    def __init__(
        self, transport: KisTransport, clock: Clock, instruments: Mapping[str, Instrument]
    ) -> None:
        self._domestic = DomesticPrices(transport, clock)
        self._overseas = OverseasPrices(transport, clock, instruments)

    def _prices(self, instrument: Instrument) -> DomesticPrices | OverseasPrices:
        return self._domestic if instrument.market is Market.KR else self._overseas

    async def quote(self, instrument: Instrument) -> Quote:
        """The present price; ``last`` is 0 when the broker shows none."""
        return await self._prices(instrument).quote(instrument)

    async def quotes(self, instruments: Sequence[Instrument]) -> dict[str, Quote]:
        """Quotes by symbol. A symbol that fails is left out and logged; all failing raises.

        After three symbols in a row without any answer the rest is not asked: each would wait out
        all its retries.
        """
        batch = _Batch(instruments)
        await asyncio.gather(*(self._work(batch) for _ in range(_WORKERS)))
        if batch.error is not None and not batch.quotes:
            raise batch.error
        order = (instrument.symbol for instrument in instruments)
        return {symbol: batch.quotes[symbol] for symbol in order if symbol in batch.quotes}

    async def _work(self, batch: _Batch) -> None:
        for instrument in batch.todo:
            if batch.silent >= _OUTAGE:
                _log.warning("no quote of %s: the broker does not answer", instrument.symbol)
                continue
            try:
                batch.quotes[instrument.symbol] = await self.quote(instrument)
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
        self, instrument: Instrument, *, until: date, count: int
    ) -> Sequence[DailyBar]:
        """Adjusted bars, oldest first; during a session the last one is still forming."""
        return await self._prices(instrument).daily_bars(instrument, until=until, count=count)

    async def minute_bars(
        self, instrument: Instrument, *, until: datetime, count: int
    ) -> Sequence[MinuteBar]:
        """One-minute bars of the session that ``until`` falls in, oldest first."""
        return await self._prices(instrument).minute_bars(instrument, until=until, count=count)

    async def ranking(self, group: MarketGroup, ranking: Ranking) -> Sequence[RankRow]:
        """The broker's ranking, best first; rows without a price are left out."""
        if group is MarketGroup.KR:
            return await self._domestic.ranking(ranking)
        return await self._overseas.ranking(group, ranking)

    async def is_trading_day(self, group: MarketGroup, day: date) -> bool:
        """What the broker's own holiday query says."""
        if group is MarketGroup.KR:
            return await self._domestic.is_trading_day(day)
        return await self._overseas.is_trading_day(group, day)


class _Batch:
    """What the workers of one call of ``quotes`` share."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.todo: Iterator[Instrument] = iter(instruments)
        self.quotes: dict[str, Quote] = {}
        self.error: BrokerError | None = None
        self.silent = 0
