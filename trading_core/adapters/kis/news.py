"""The broker's own news: titles alone, of its real host alone, by market or by security.

Times are taken for Korean time, at home and abroad. Nothing is scored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from trading_core.adapters.kis import wire
from trading_core.adapters.kis.tr_table import Query
from trading_core.adapters.kis.transport import KisTransport
from trading_core.errors import BrokerUnavailable
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.sources import Headline, plain_text
from trading_core.rules.markets import market_info

NAME = "kis"
# At the default two calls a second these take half of the time that sources have.
MOST_INSTRUMENTS = 15
_KST = ZoneInfo("Asia/Seoul")
_SECURITIES = tuple(f"iscd{n}" for n in range(1, 6))
# Every field must be there, and all but the security's code are left empty.
_DOMESTIC = (
    "FID_NEWS_OFER_ENTP_CODE",
    "FID_COND_MRKT_CLS_CODE",
    "FID_INPUT_ISCD",
    "FID_TITL_CNTT",
    "FID_INPUT_DATE_1",
    "FID_INPUT_HOUR_1",
    "FID_RANK_SORT_CLS_CODE",
    "FID_INPUT_SRNO",
)
_OVERSEAS = ("INFO_GB", "CLASS_CD", "NATION_CD", "EXCHANGE_CD", "SYMB", "DATA_DT", "DATA_TM", "CTS")


class KisNews:
    """Implements ``NewsSource`` over the connection that also trades, behind everything else."""

    name = NAME

    def __init__(self, transport: KisTransport) -> None:
        self._transport = transport

    async def headlines(
        self,
        group: MarketGroup,
        instruments: Sequence[Instrument],
        *,
        since: datetime,
        at: datetime,
    ) -> AsyncIterator[Sequence[Headline]]:
        """Raises as ``KisTransport.read``; ``NotOffered`` on the paper host."""
        wanted = frozenset(instrument.symbol for instrument in instruments)
        yield await self._page(group, None, at, wanted)
        for instrument in instruments[:MOST_INSTRUMENTS]:
            yield await self._page(group, instrument, at, wanted)

    async def _page(
        self,
        group: MarketGroup,
        instrument: Instrument | None,
        at: datetime,
        wanted: frozenset[str],
    ) -> list[Headline]:
        if group is MarketGroup.KR:
            asked = dict.fromkeys(_DOMESTIC, "")
            asked["FID_INPUT_ISCD"] = instrument.symbol if instrument else ""
            body = await self._transport.read(Query.KR_NEWS, asked)
            return [
                headline
                for row in wire.rows(body.get("output"))
                if (headline := _domestic(row, instrument, at, wanted))
            ]
        asked = dict.fromkeys(_OVERSEAS, "")
        asked["NATION_CD"] = group.value
        if instrument is not None:
            # Without the exchange the broker finds nothing of a security.
            asked["EXCHANGE_CD"] = market_info(instrument.market).quote_code
            asked["SYMB"] = instrument.symbol
        body = await self._transport.read(Query.NEWS, asked)
        return [
            headline
            for row in wire.rows(body.get("outblock1"))
            if (headline := _overseas(row, group, instrument, at))
        ]


def _domestic(
    row: wire.Row, instrument: Instrument | None, at: datetime, wanted: frozenset[str]
) -> Headline | None:
    about = {wire.text(row, key) for key in _SECURITIES}
    named = instrument.symbol if instrument else next(iter(sorted(about & wanted)), None)
    return _headline(row, MarketGroup.KR, named, at, "hts_pbnt_titl_cntt", "dorg")


def _overseas(
    row: wire.Row, group: MarketGroup, instrument: Instrument | None, at: datetime
) -> Headline | None:
    symbol = instrument.symbol if instrument else None
    if symbol is not None and wire.text(row, "symb") not in (symbol, ""):
        return None
    return _headline(row, group, symbol, at, "title", "source")


def _headline(
    row: wire.Row, group: MarketGroup, symbol: str | None, at: datetime, title: str, by: str
) -> Headline | None:
    """A row as a headline; None for one without a title or a time that can be read."""
    try:
        day, hour = wire.day(row, "data_dt"), wire.clock_time(row, "data_tm")
        said = plain_text(wire.text(row, title), 1000)
        publisher = wire.text(row, by)
    except BrokerUnavailable:
        return None
    if day is None or hour is None or not said:
        return None
    return Headline(
        market=group.value,
        source=NAME,
        title=said,
        published_at=wire.instant(day, hour, _KST),
        fetched_at=at,
        symbol=symbol,
        publisher=publisher,
    )
