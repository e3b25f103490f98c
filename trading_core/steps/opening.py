"""What a session needs before its first tick: the compiled playbook and the history."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from trading_core.errors import BrokerError
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.playbook import Playbook
from trading_core.model.price import DailyBar
from trading_core.ports import History, MarketData
from trading_core.rules.calendar import Session, previous_session
from trading_core.rules.compiled import CompiledPlaybook, compile_playbook
from trading_core.rules.indicators import ANY_OPEN, PLAUSIBLE_OPEN, BarPanel
from trading_core.rules.observation import IndicatorState

BARS = 120


@dataclass(frozen=True, slots=True)
class TradingDay:
    """One session of one market group, ready to be traded.

    Nothing in it changes during the session; what does change is read from the store and the
    broker at every tick.
    """

    group: MarketGroup
    session: Session
    compiled: CompiledPlaybook
    history: IndicatorState
    instruments: Mapping[str, Instrument]

    @property
    def playbook(self) -> Playbook:
        return self.compiled.playbook


async def open_day(
    market_data: MarketData,
    history: History,
    *,
    group: MarketGroup,
    session: Session,
    playbook: Playbook,
) -> TradingDay:
    """Compile the playbook and load the daily bars of its symbols.

    Bars come from the history kept by the plan; those of symbols it lacks are asked for. A symbol
    without bars has no indicators, so only conditions on price can match it; where the group has
    several exchanges nobody knows which one it is on, and it is left out.
    """
    bars = history.load(group, session.date)
    known = {instrument.symbol for instrument in bars}
    lacking = [symbol for symbol in playbook.symbols if symbol not in known]
    found = await _fetch(market_data, group, session, lacking)
    if found:
        bars = {**bars, **found}
        history.save(group, session.date, bars)
    instruments = {instrument.symbol: instrument for instrument in bars}
    if len(group.markets) == 1:
        instruments |= {s: Instrument(s, group.markets[0]) for s in lacking if s not in instruments}
    return TradingDay(
        group=group,
        session=session,
        compiled=compile_playbook(playbook),
        history=_indicators(group, session, bars),
        instruments=instruments,
    )


async def widen(
    market_data: MarketData, history: History, day: TradingDay, more: Sequence[Instrument]
) -> TradingDay:
    """The day with the history of further instruments; one without bars has no indicators."""
    lacking = [item for item in more if item.symbol not in day.instruments]
    if not lacking:
        return day
    group, session = day.group, day.session
    last = previous_session(group, session.date).date

    async def one(instrument: Instrument) -> list[DailyBar]:
        try:
            return list(await market_data.daily_bars(instrument, until=last, count=BARS))
        except BrokerError:
            return []

    series = await asyncio.gather(*map(one, lacking))
    found = {item: bars for item, bars in zip(lacking, series, strict=True) if bars}
    instruments = {**day.instruments, **{item.symbol: item for item in lacking}}
    if not found:
        return replace(day, instruments=instruments)
    bars = {**history.load(group, session.date), **found}
    history.save(group, session.date, bars)
    return replace(day, instruments=instruments, history=_indicators(group, session, bars))


def _indicators(
    group: MarketGroup, session: Session, bars: Mapping[Instrument, Sequence[DailyBar]]
) -> IndicatorState:
    panel = BarPanel.from_bars(
        {instrument.symbol: series for instrument, series in bars.items()},
        BARS,
        last_session=previous_session(group, session.date).date,
        open_bounds=PLAUSIBLE_OPEN.get(group, ANY_OPEN),
    )
    return IndicatorState.from_panel(panel)


async def _fetch(
    market_data: MarketData, group: MarketGroup, session: Session, symbols: Sequence[str]
) -> dict[Instrument, list[DailyBar]]:
    """Daily bars of these symbols; on several exchanges the first that knows it."""
    last = previous_session(group, session.date).date

    async def one(symbol: str) -> tuple[Instrument, list[DailyBar]] | None:
        for market in group.markets:
            instrument = Instrument(symbol, market)
            try:
                series = await market_data.daily_bars(instrument, until=last, count=BARS)
            except BrokerError:
                continue
            if series:
                return instrument, list(series)
        return None

    found = await asyncio.gather(*map(one, symbols))
    return dict(item for item in found if item is not None)


def tick_times(session: Session, every: timedelta) -> Iterator[datetime]:
    """The moments a session is looked at: from the open, every ``every``, never in a break."""
    at = session.open_at
    while at < session.close_at:
        if session.contains(at):
            yield at
        at += every
