"""What a playbook is drafted from: memory from the store, prices and holdings from the broker.

A ranking, or the bars of a symbol, may fail and the plan goes on without; the account may not.
The store is read before the network is asked, never during.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from trading_core.errors import BrokerError, DataError
from trading_core.model.audit import ScreenedRow
from trading_core.model.journal import ContextEntry, ContextLayer, Scorecard
from trading_core.model.limits import LossGuardLimits, Policy
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.playbook import Playbook
from trading_core.model.portfolio import Holding
from trading_core.model.price import Candidate, DailyBar, Ranking, RankRow
from trading_core.model.sources import Gathered
from trading_core.ports import Broker, MarketData, Store, StoreReader
from trading_core.rules.calendar import (
    previous_session,
    require_session,
    session_on,
    sessions_between,
)
from trading_core.rules.indicators import ANY_OPEN, PLAUSIBLE_OPEN, BarPanel
from trading_core.rules.loss_guard import LossGuard, loss_guard
from trading_core.rules.markets import zone_of
from trading_core.rules.positions import ClosedTrade, PositionBook, fold_positions
from trading_core.rules.prompt_sections import HeldFacts, SessionFacts
from trading_core.rules.scanner import dynamic_universe, scan_closed

BARS = 120
CONCURRENT_READS = 8
RECENT_DAYS = 14
MEMORY_LAYERS = tuple(layer for layer in reversed(ContextLayer) if layer is not ContextLayer.L1)
OWN_SCORECARDS = 5
OTHER_SCORECARDS = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Universe:
    """Where candidates may come from.

    ``watchlist`` is used when the broker ranks nothing, ``always`` is looked at besides what it
    ranks. At most ``max_candidates`` instruments are looked at (holdings besides);
    ``minimum_price`` is in the market's currency.
    """

    watchlist: tuple[Instrument, ...] = ()
    always: tuple[Instrument, ...] = ()
    max_candidates: int = 60
    minimum_price: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Recalled:
    """What the store knew before planning began.

    ``scorecards`` are the newest of the market, and the newest one of each other market.
    ``trades_problem`` says why past trades could not be read; then there are none here.
    """

    stored: Playbook | None = None
    previous: Playbook | None = None
    recently_traded: tuple[Instrument, ...] = ()
    opened_on: Mapping[str, date] = field(default_factory=dict)
    scorecards: tuple[Scorecard, ...] = ()
    memory: tuple[ContextEntry, ...] = ()
    closed: tuple[ClosedTrade, ...] = ()
    trades_problem: str = ""


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """Everything a playbook is drafted from.

    ``skipped`` counts instruments whose bars could not be had, ``excluded`` why others are no
    candidates; ``instruments`` holds everything a playbook may name, by symbol, and ``bars`` the
    daily bars of those of them that could be read. ``screened`` is the whole scan for the journal,
    ``outside`` what sources other than the broker told.
    """

    group: MarketGroup
    facts: SessionFacts
    at: datetime
    candidates: tuple[Candidate, ...]
    holdings: tuple[Holding, ...]
    held: tuple[HeldFacts, ...]
    universe_source: str
    bars: Mapping[Instrument, Sequence[DailyBar]]
    skipped: int = 0
    excluded: Mapping[str, int] = field(default_factory=dict)
    screened: tuple[ScreenedRow, ...] = ()
    scorecards: tuple[Scorecard, ...] = ()
    memory: tuple[ContextEntry, ...] = ()
    outside: Gathered = field(default_factory=Gathered)
    guard: LossGuard = field(default_factory=LossGuard)

    @property
    def instruments(self) -> dict[str, Instrument]:
        found = {c.instrument.symbol: c.instrument for c in self.candidates}
        return found | {h.instrument.symbol: h.instrument for h in self.holdings}

    @property
    def by_importance(self) -> list[Instrument]:
        """What is held, then the candidates, best first."""
        held = (holding.instrument for holding in self.holdings)
        return list(dict.fromkeys([*held, *(c.instrument for c in self.candidates)]))

    @property
    def prices(self) -> dict[str, float]:
        """The last price of each symbol, in the market's currency; unusable ones are left out."""
        known = {c.instrument.symbol: c.price for c in self.candidates}
        known |= {h.instrument.symbol: h.last_price for h in self.holdings if h.last_price > 0}
        return {symbol: float(price) for symbol, price in known.items() if price > 0}


def recall(store: Store, group: MarketGroup, session: date) -> Recalled:
    """One short read of everything the plan needs from the store."""
    market = group.value
    with store.read() as db:
        book, problem = _trades(db, market)
        own = db.scorecards(market, limit=OWN_SCORECARDS)
        return Recalled(
            stored=db.playbook(market, session),
            previous=db.latest_playbook(market, before=session),
            recently_traded=tuple(
                db.recently_traded(market, since=session - timedelta(days=RECENT_DAYS))
            ),
            opened_on={p.instrument.symbol: p.opened_on for p in book.open_positions}
            if book
            else {},
            scorecards=(*own, *_of_others(db.scorecards(limit=OTHER_SCORECARDS), market)),
            memory=tuple(entry for layer in MEMORY_LAYERS for entry in db.context(layer)),
            closed=tuple(book.closed) if book else (),
            trades_problem=problem,
        )


def _trades(db: StoreReader, market: str) -> tuple[PositionBook | None, str]:
    """The market's position book, or why it could not be made."""
    try:
        return fold_positions(db.fills(market), db.adopted_lots(market), db.splits(market)), ""
    except Exception as error:
        # Planning goes on without past trades; the order path reads them for itself and stops.
        _log.warning("past trades of %s could not be read", market, exc_info=error)
        return None, f"loss guard: no data ({type(error).__name__}); nothing is kept from buying"


def _of_others(cards: Sequence[Scorecard], market: str) -> list[Scorecard]:
    """The newest scorecard of each other market; ``cards`` are newest first."""
    found: dict[str, Scorecard] = {}
    for card in cards:
        if card.market != market:
            found.setdefault(card.market, card)
    return list(found.values())


async def gather(
    market_data: MarketData,
    broker: Broker,
    recalled: Recalled,
    *,
    group: MarketGroup,
    session: date,
    at: datetime,
    policy: Policy,
    universe: Universe,
) -> PlanInputs:
    """Candidates with their indicators at the last close, holdings, calendar and memory.

    Raises:
        NotASession: the exchange is shut on that date.
        BrokerUnavailable: the account could not be read. Rankings and bars may fail: then the
            watchlist, recent trades and holdings are the universe, and a symbol is skipped.
    """
    facts = session_facts(group, session)
    last_session = previous_session(group, session).date
    account = await broker.account(group)
    holdings = tuple(h for h in account.holdings if h.quantity > 0)
    held = [h.instrument for h in holdings]
    fluctuation, unranked = await read_ranking(market_data, group, Ranking.FLUCTUATION)
    volume, _ = await read_ranking(market_data, group, Ranking.VOLUME)
    fluctuation = with_always(fluctuation, universe.always)[: universe.max_candidates]
    fallback = dynamic_universe(universe.watchlist, recalled.recently_traded, held)
    fallback = fallback[: universe.max_candidates]
    wanted = [row.instrument for row in fluctuation] or list(fallback)
    bars, skipped = await _daily_bars(market_data, [*wanted, *held], until=last_session)
    panel = BarPanel.from_bars(
        bars,
        BARS,
        last_session=last_session,
        open_bounds=PLAUSIBLE_OPEN.get(group, ANY_OPEN),
    )
    scan = scan_closed(
        group,
        fluctuation=fluctuation,
        volume=volume,
        panel=panel,
        limits=policy.scan,
        minimum_price=universe.minimum_price,
        fallback=fallback,
        # An account without rankings (paper trading) still deserves a plan.
        allow_domestic_fallback=unranked,
    )
    named = [*(candidate.instrument for candidate in scan.candidates), *held]
    return PlanInputs(
        group=group,
        facts=facts,
        at=at,
        candidates=scan.candidates,
        holdings=holdings,
        held=tuple(_held_facts(h, session, recalled.opened_on) for h in holdings),
        universe_source=scan.universe_source,
        bars={i: bars[i.symbol] for i in named if i.symbol in bars},
        skipped=skipped,
        excluded=Counter(reason for _, reason in scan.excluded),
        screened=tuple(scan.rows(group, session, at)),
        scorecards=recalled.scorecards,
        memory=recalled.memory,
        guard=_guard(recalled.closed, recalled.trades_problem, group, session, policy.losses),
    )


def guard_of_losses(
    store: Store, group: MarketGroup, session: date, limits: LossGuardLimits
) -> LossGuard:
    """What recent losses keep from buying in a session. Raises ``StoreBusy``."""
    with store.read() as db:
        book, problem = _trades(db, group.value)
    return _guard(book.closed if book else (), problem, group, session, limits)


def _guard(
    closed: Sequence[ClosedTrade],
    problem: str,
    group: MarketGroup,
    session: date,
    limits: LossGuardLimits,
) -> LossGuard:
    """What recent losses keep from buying; without data nothing, and it says so."""
    if problem or not limits.sessions:
        return LossGuard(problem=problem)
    # Holidays come in rows, so twice the days and a fortnight hold as many sessions in any market.
    first = session - timedelta(days=2 * limits.sessions + 14)
    try:
        days = sessions_between(group, first, session - timedelta(days=1))
        return loss_guard(closed, [day.date for day in days], limits)
    except (DataError, ArithmeticError, ValueError) as error:
        _log.warning("the loss guard of %s failed", group, exc_info=error)
        return LossGuard(problem=f"loss guard: failed ({type(error).__name__})")


def with_always(rows: Sequence[RankRow], always: Sequence[Instrument]) -> Sequence[RankRow]:
    """The ranking, followed by the instruments that are always looked at and are not in it."""
    if not always:
        return rows
    ranked = {row.instrument.symbol for row in rows}
    missing = [instrument for instrument in always if instrument.symbol not in ranked]
    extra = [
        RankRow(instrument, rank, last=Decimal(0), change_pct=float("nan"), volume=0)
        for rank, instrument in enumerate(missing, start=len(rows) + 1)
    ]
    return [*rows, *extra]


def session_facts(group: MarketGroup, session: date) -> SessionFacts:
    """The hours of a session, whether it ends early, and the next weekday without one.

    Raises:
        NotASession: the exchange is shut on that date.
    """
    today = require_session(group, session)
    zone = ZoneInfo(zone_of(group))
    before = sessions_between(group, session - timedelta(days=30), session - timedelta(days=1))
    closes = Counter(s.close_at.astimezone(zone).time() for s in before)
    usual = closes.most_common(1)[0][0] if closes else None
    return SessionFacts(
        session=session,
        zone=zone.key,
        opens_at=today.open_at,
        closes_at=today.close_at,
        early_close=usual is not None and today.close_at.astimezone(zone).time() < usual,
        next_holiday=_next_holiday(group, session),
    )


def _next_holiday(group: MarketGroup, session: date) -> date | None:
    for days in range(1, 15):
        day = session + timedelta(days=days)
        try:
            if day.weekday() < 5 and session_on(group, day) is None:
                return day
        except DataError:
            return None
    return None


async def read_ranking(
    market_data: MarketData, group: MarketGroup, ranking: Ranking
) -> tuple[Sequence[RankRow], bool]:
    """The ranking, and whether the broker had none to give."""
    try:
        return await market_data.ranking(group, ranking), False
    except BrokerError:
        return (), True


async def _daily_bars(
    market_data: MarketData, instruments: Sequence[Instrument], *, until: date
) -> tuple[dict[str, Sequence[DailyBar]], int]:
    """Bars by symbol, and how many symbols had to be skipped."""
    gate = asyncio.Semaphore(CONCURRENT_READS)

    async def read(instrument: Instrument) -> Sequence[DailyBar] | None:
        async with gate:
            try:
                bars = await market_data.daily_bars(instrument, until=until, count=BARS)
            except (BrokerError, DataError):
                return None
        is_ordered = all(a.session < b.session for a, b in pairwise(bars))
        return bars if is_ordered else None

    unique = {instrument.symbol: instrument for instrument in instruments}
    series = await asyncio.gather(*map(read, unique.values()))
    found = {s: bars for s, bars in zip(unique, series, strict=True) if bars is not None}
    return found, len(unique) - len(found)


def _held_facts(holding: Holding, session: date, opened_on: Mapping[str, date]) -> HeldFacts:
    symbol = holding.instrument.symbol
    opened = opened_on.get(symbol)
    return HeldFacts(
        symbol=symbol,
        name=holding.instrument.name,
        quantity=holding.quantity,
        average_price=holding.average_price,
        last_price=holding.last_price,
        days_held=None if opened is None else (session - opened).days,
    )
