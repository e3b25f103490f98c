"""Candidates, holdings, and small fakes of the ports a plan needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from trading_core.errors import BrokerUnavailable, NotOffered, PlannerError
from trading_core.model.journal import ContextEntry, ContextLayer, LlmCall, Scorecard
from trading_core.model.language import PlanReply, PlanRequest
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import Fill
from trading_core.model.playbook import LintNote, Playbook, PlaybookDraft
from trading_core.model.portfolio import Account, AdoptedLot, Holding, Split
from trading_core.model.price import Candidate, DailyBar, Ranking, RankRow, Signal
from trading_core.rules.calendar import Session, SessionTable, sessions_between

SESSION = date(2026, 3, 3)  # a Tuesday; Monday 2026-03-02 is a Korean holiday
LAST_SESSION = date(2026, 2, 27)
AT = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)  # 08:30 in Seoul, half an hour before the open


def small_calendar(group: MarketGroup) -> SessionTable:
    """A few months of weekdays with one holiday and one early close; made in no time."""
    first, last = date(2025, 9, 1), date(2026, 12, 31)
    hours = ((0, 0), (6, 30)) if group is MarketGroup.KR else ((14, 30), (21, 0))
    shut = {MarketGroup.KR: date(2026, 3, 2)}.get(group, date(2026, 12, 25))
    sessions = []
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        opened, closed = (datetime(day.year, day.month, day.day, *t, tzinfo=UTC) for t in hours)
        if group is not MarketGroup.KR and day == date(2026, 12, 24):
            closed = closed.replace(hour=18)
        if day.weekday() < 5 and day != shut:
            sessions.append(Session(group, day, opened, closed))
    return SessionTable(group, first, last, tuple(sessions))


def instrument(symbol: str, name: str = "") -> Instrument:
    return Instrument(symbol, Market.KR, name)


def candidate(symbol: str = "005930", **values: Any) -> Candidate:
    """A strong one near its high, unless ``values`` say otherwise."""
    base: dict[str, Any] = {
        "price": Decimal("70000"),
        "change_pct": 2.0,
        "range_pct": 3.0,
        "volume_ratio": 1.5,
        "rsi": 62.0,
        "atr_pct": 2.5,
        "return_5d_pct": 4.0,
        "return_20d_pct": 9.0,
        "momentum": 80.0,
        "breakout_pct": -0.5,
        "score": 40.0,
        "signal": Signal.MOMENTUM,
        "volume_rank": 3,
    }
    name = values.pop("name", "")
    return Candidate(instrument=instrument(symbol, name), **(base | values))


def holding(symbol: str, average: str = "100", last: str = "110", quantity: int = 10) -> Holding:
    return Holding(instrument(symbol), quantity, quantity, Decimal(average), Decimal(last))


def bars(count: int = 60, *, start: float = 100.0, drift: float = 0.01) -> list[DailyBar]:
    """Korean sessions up to the last closed one, rising by ``drift`` with small swings."""
    days = sessions_between(MarketGroup.KR, date(2025, 9, 1), LAST_SESSION)[-count:]
    rows = []
    close = start
    for index, day in enumerate(days):
        opened, close = close, close * (1 + drift + (0.03 if index % 3 == 0 else -0.02))
        high, low = max(opened, close) * 1.02, min(opened, close) * 0.98
        prices = (Decimal(f"{p:.2f}") for p in (opened, high, low, close))
        rows.append(DailyBar(day.date, *prices, volume=10_000 + 100 * index))
    return rows


@dataclass
class FakeMarketData:
    """Bars by symbol and rankings; what is missing raises as a broker adapter does."""

    bars_of: dict[str, Sequence[DailyBar]] = field(default_factory=dict)
    ranked: Sequence[str] = ()
    offers_rankings: bool = True
    asked: list[str] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0

    async def ranking(self, group: MarketGroup, ranking: Ranking) -> Sequence[RankRow]:
        if not self.offers_rankings:
            raise NotOffered("no rankings on a paper account")
        return [
            RankRow(instrument(symbol), rank, Decimal(100), 2.0, 1000)
            for rank, symbol in enumerate(self.ranked, start=1)
        ]

    async def daily_bars(
        self, instrument: Instrument, *, until: date, count: int
    ) -> Sequence[DailyBar]:
        import asyncio

        self.asked.append(instrument.symbol)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        if instrument.symbol not in self.bars_of:
            raise BrokerUnavailable("no bars")
        return [bar for bar in self.bars_of[instrument.symbol] if bar.session <= until][-count:]


@dataclass
class FakeBroker:
    holdings: tuple[Holding, ...] = ()
    is_down: bool = False

    async def account(self, group: MarketGroup) -> Account:
        if self.is_down:
            raise BrokerUnavailable("down")
        cash = Decimal(1_000_000)
        return Account(Currency.KRW, cash, cash, self.holdings, AT)


@dataclass
class FakeHistory:
    saved: list[Any] = field(default_factory=list)

    def load(self, group: MarketGroup, session: date) -> dict[Instrument, list[DailyBar]]:
        return {}

    def save(
        self, group: MarketGroup, session: date, bars: Mapping[Instrument, Sequence[DailyBar]]
    ) -> None:
        self.saved.append((group, session, bars))


@dataclass
class FakePlanner:
    """Gives ``draft``, or raises ``error``; counts how often it was asked."""

    draft_to_give: PlaybookDraft | None = None
    error: PlannerError | None = None
    notes: tuple[LintNote, ...] = ()
    requests: list[PlanRequest] = field(default_factory=list)
    store: FakeStore | None = None

    async def draft(self, request: PlanRequest) -> PlanReply:
        self.requests.append(request)
        if self.store is not None:
            assert not self.store.is_open, "the store was held across a model call"
        calls = (llm_call(len(self.requests), "ok" if self.error is None else "failed"),)
        if self.error is not None:
            self.error.calls = calls
            raise self.error
        assert self.draft_to_give is not None
        return PlanReply(self.draft_to_give, "a-model", calls, self.notes)


def llm_call(number: int, outcome: str) -> LlmCall:
    return LlmCall(
        call_id=f"call-{number}",
        at=AT,
        market="KR",
        session=SESSION,
        model="a-model",
        purpose="plan",
        outcome=outcome,
        input_tokens=100,
        output_tokens=20,
        cost_usd=Decimal("0.001"),
        latency_ms=5,
        prompt_hash="abc",
    )


@dataclass
class FakeStore:
    """Enough of the store for planning; ``is_open`` while a read or write is under way."""

    records: list[Any] = field(default_factory=list)
    recent: tuple[Instrument, ...] = ()
    fill_rows: tuple[Fill, ...] = ()
    entries: Mapping[ContextLayer, Sequence[ContextEntry]] = field(default_factory=dict)
    cards: tuple[Scorecard, ...] = ()
    is_open: bool = False
    writes: int = 0

    @contextmanager
    def read(self) -> Iterator[FakeStore]:
        self.is_open = True
        yield self
        self.is_open = False

    @contextmanager
    def write(self) -> Iterator[FakeStore]:
        self.writes += 1
        self.is_open = True
        yield self
        self.is_open = False

    def append(self, records: Iterable[Any]) -> None:
        self.records.extend(records)

    @property
    def playbooks(self) -> list[Playbook]:
        return [row for row in self.records if isinstance(row, Playbook)]

    @property
    def calls(self) -> list[LlmCall]:
        return [row for row in self.records if isinstance(row, LlmCall)]

    def playbook(self, market: str, session: date) -> Playbook | None:
        found = [p for p in self.playbooks if (p.market, p.session) == (market, session)]
        return found[-1] if found else None

    def latest_playbook(self, market: str, *, before: date) -> Playbook | None:
        found = [p for p in self.playbooks if p.market == market and p.session < before]
        return max(found, key=lambda p: p.session, default=None)

    def recently_traded(self, market: str, *, since: date) -> Sequence[Instrument]:
        return self.recent

    def fills(self, market: str | None = None, session: date | None = None) -> Sequence[Fill]:
        return self.fill_rows

    def adopted_lots(self, market: str) -> Sequence[AdoptedLot]:
        return ()

    def splits(self, market: str) -> Sequence[Split]:
        return ()

    def scorecards(self, market: str | None = None, limit: int = 30) -> Sequence[Scorecard]:
        return self.cards[:limit]

    def context(self, layer: ContextLayer, timeframe: str | None = None) -> Sequence[ContextEntry]:
        return self.entries.get(layer, ())


def scorecard(session: date, lessons: Sequence[str] = ()) -> Scorecard:
    return Scorecard(
        market="KR",
        session=session,
        at=AT - timedelta(days=1),
        decisions=5,
        buys=2,
        sells=1,
        holds=2,
        orders=3,
        filled_orders=3,
        refused=0,
        gross_pnl={"KRW": Decimal(1200)},
        fees={"KRW": Decimal(10)},
        taxes={"KRW": Decimal(5)},
        net_pnl={"KRW": Decimal(1185)},
        wins=1,
        losses=0,
        win_rate_pct=100.0,
        average_confidence=84.0,
        match_rate_pct=None,
        best=[],
        worst=[],
        lessons=list(lessons),
        playbook_source="gemini",
    )
