"""A trading floor for the tests of the steps.

The simulated exchange behind a broker that misbehaves on request, a store in memory, and one call
that runs a whole tick.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from tests.unit.twin.handmade_tape import SESSION, Row, flat, minute, venue_on
from trading_core.adapters.duck.store import DuckStore
from trading_core.adapters.history_cache import HistoryCache
from trading_core.adapters.order_lock import FileOrderLock
from trading_core.adapters.simulated import SimulatedBroker
from trading_core.errors import (
    BrokerUnavailable,
    CircuitBreakerTripped,
    OrderOutcomeUnknown,
    OrderRejected,
    RateLimited,
)
from trading_core.model.journal import Notification
from trading_core.model.limits import (
    PlanLimits,
    Policy,
    RiskLimits,
    ScanLimits,
    SizingPolicy,
    UnfilledPolicy,
)
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.order import (
    ApprovedOrder,
    BrokerOrder,
    IntentReason,
    OrderAck,
    OrderIntent,
    OrderRecord,
    OrderType,
    Side,
)
from trading_core.model.playbook import (
    Action,
    Condition,
    GlobalAction,
    GlobalRule,
    MarketCondition,
    Outlook,
    Playbook,
    PlaybookSource,
    Scenario,
    StockPlan,
)
from trading_core.model.portfolio import Account
from trading_core.model.price import OrderBook, Quote, Ranking, RankRow
from trading_core.rules.calendar import Session, require_session
from trading_core.rules.markets import currency_of
from trading_core.steps import execute
from trading_core.steps.observe import View, observe
from trading_core.steps.opening import TradingDay, open_day
from trading_core.steps.reconcile import Books, reconcile
from trading_core.steps.report import TickReport
from trading_core.steps.tell import of_pass, tell
from trading_core.steps.tick import TickPlan, decide
from trading_core.steps.unfilled import look_closer
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.venue import NewOrder

KR = MarketGroup.KR
POLICY = Policy(RiskLimits(), SizingPolicy(), ScanLimits(), PlanLimits())
PATIENT = replace(
    POLICY, unfilled=UnfilledPolicy(entry_wait=timedelta(minutes=15), max_gap_pct=0.0)
)
"""An entry is cancelled after a quarter of an hour and is not chased to a dearer price."""


class Died(BaseException):
    """The process ends here: no ``except Exception`` sees it."""


class ScriptedBroker:
    """A :class:`SimulatedBroker` that fails as it is told.

    ``script`` holds one word per coming ``submit``: ``""`` does as it should, ``lost reply`` takes
    the order and loses the answer, ``lost request`` loses it before the exchange saw it,
    ``reject``, ``no balance``, ``rate limit`` and ``down`` refuse, ``die`` and ``die before`` end
    the process after and before the exchange took the order. ``cancel_script`` does the same for
    ``cancel``.
    """

    def __init__(self, venue: SimulatedExchange, account_no: str = "1") -> None:
        self.venue = venue
        self.inner = SimulatedBroker(venue, account_no)
        self.script: list[str] = []
        self.cancel_script: list[str] = []
        self.submitted: list[ApprovedOrder] = []
        self.cancelled: list[BrokerOrder] = []
        self.on_submit: Callable[[ApprovedOrder], None] = lambda order: None
        self.hidden: set[str] = set()
        self.quote_changes: dict[str, dict[str, Any]] = {}
        self.silent: set[str] = set()
        self.unpriced: set[str] = set()
        self.bars_asked: list[str] = []
        self.books_asked: list[str] = []
        self.order_books: dict[str, OrderBook] = {}

    async def account(self, group: MarketGroup) -> Account:
        account = await self.inner.account(group)
        holdings = tuple(
            replace(h, last_price=Decimal(0)) if h.instrument.symbol in self.unpriced else h
            for h in account.holdings
        )
        return replace(account, holdings=holdings)

    async def quote(self, instrument: Instrument) -> Quote:
        return (await self.quotes([instrument]))[instrument.symbol]

    async def minute_bars(self, instrument: Instrument, *, until: datetime, count: int) -> Any:
        return await self.inner.minute_bars(instrument, until=until, count=count)

    async def ranking(self, group: MarketGroup, ranking: Ranking) -> Sequence[RankRow]:
        return await self.inner.ranking(group, ranking)

    async def is_trading_day(self, group: MarketGroup, day: date) -> bool:
        return await self.inner.is_trading_day(group, day)

    async def orders(self, group: MarketGroup, session: date) -> Sequence[BrokerOrder]:
        rows = await self.inner.orders(group, session)
        return [row for row in rows if row.order_no not in self.hidden]

    async def submit(self, order: ApprovedOrder) -> OrderAck:
        self.submitted.append(order)
        self.on_submit(order)
        return await self._play(self.script, lambda: self.inner.submit(order))

    async def cancel(self, order: BrokerOrder) -> OrderAck:
        self.cancelled.append(order)
        return await self._play(self.cancel_script, lambda: self.inner.cancel(order))

    async def modify(self, order: BrokerOrder, *, limit_price: str) -> OrderAck:
        raise AssertionError("no step modifies an order")

    async def _play(self, script: list[str], call: Callable[[], Any]) -> OrderAck:
        match script.pop(0) if script else "":
            case "reject":
                raise OrderRejected("as told", "APBK0919")
            case "no balance":
                raise OrderRejected("as told", "APBK0400")
            case "rate limit":
                raise RateLimited("as told", "EGW00201")
            case "down":
                raise BrokerUnavailable("as told")
            case "lost request":
                raise OrderOutcomeUnknown("as told")
            case "die before":
                raise Died
            case "lost reply":
                await call()
                raise OrderOutcomeUnknown("as told")
            case "die":
                await call()
                raise Died
            case "":
                ack: OrderAck = await call()
                return ack
            case word:
                raise AssertionError(f"no such script: {word}")

    async def quotes(
        self, instruments: Sequence[Instrument], *, held: Collection[str] = ()
    ) -> dict[str, Quote]:
        found = await self.inner.quotes(instruments, held=held)
        return {
            symbol: replace(quote, **self.quote_changes.get(symbol, {}))
            for symbol, quote in found.items()
            if symbol not in self.silent
        }

    async def order_book(self, instrument: Instrument) -> OrderBook:
        self.books_asked.append(instrument.symbol)
        if instrument.symbol in self.order_books:
            return self.order_books[instrument.symbol]
        return await self.inner.order_book(instrument)

    async def daily_bars(self, instrument: Instrument, *, until: date, count: int) -> Any:
        self.bars_asked.append(instrument.symbol)
        return await self.inner.daily_bars(instrument, until=until, count=count)


@dataclass
class FakeNotifier:
    """Remembers what it was told; ``takes`` says whether it delivers."""

    told: list[Notification] = field(default_factory=list)
    takes: bool = True
    channels: tuple[str, ...] = ()

    async def send(self, notification: Notification) -> bool:
        self.told.append(notification)
        return self.takes

    def kinds(self) -> list[str]:
        return [note.kind for note in self.told]


def when(
    text: str, action: str = "BUY", *, confidence: int = 90, allocation: float = 1.0, **more: Any
) -> Scenario:
    """``when("price < 9900", "BUY", stop_loss_pct=-2)``; an entry has a stop of 3 %."""
    conditions = []
    for part in text.split(" and "):
        name, op, value = part.split()
        conditions.append(Condition(field=name, op=op, value=float(value)))
    if action == "BUY":
        more = {"stop_loss_pct": -3.0, "allocation_pct": allocation} | more
    return Scenario(
        conditions=tuple(conditions), action=Action(action), confidence=confidence, **more
    )


def rule(text: str, action: str) -> GlobalRule:
    name, op, value = text.split()
    condition = MarketCondition(field=name, op=op, value=float(value))
    return GlobalRule(condition=condition, action=GlobalAction(action))


ALWAYS = "cash_pct >= 0"
"""A condition of a global rule that holds whatever happens."""


def playbook(
    stocks: Mapping[str, Sequence[Scenario]],
    *rules: GlobalRule,
    session: date = SESSION,
    group: MarketGroup = KR,
) -> Playbook:
    return Playbook(
        session=session,
        market=group.value,
        source=PlaybookSource.GEMINI,
        outlook=Outlook.NEUTRAL,
        global_rules=rules,
        stocks=tuple(StockPlan(symbol=s, scenarios=tuple(plan)) for s, plan in stocks.items()),
        generated_at=require_session(group, session).open_at,
    )


@dataclass
class Tick:
    """One tick as it went: what was known, wanted and done."""

    books: Books
    view: View
    plan: TickPlan
    sent: tuple[execute.Sent, ...]
    report: TickReport


@dataclass
class Floor:
    """One account of one exchange, and everything a tick needs."""

    venue: SimulatedExchange
    broker: ScriptedBroker
    store: DuckStore
    home: Path
    book: Playbook
    policy: Policy = POLICY
    notifier: FakeNotifier = field(default_factory=FakeNotifier)

    @property
    def group(self) -> MarketGroup:
        return self.venue.group

    @property
    def session(self) -> Session:
        return self.venue.tape.hours

    @property
    def lock(self) -> FileOrderLock:
        """A lock object of its own, as every process has one; the file is the same."""
        return FileOrderLock(self.home / "orders.lock", timeout_seconds=0.2)

    @property
    def history(self) -> HistoryCache:
        return HistoryCache(self.home / "cache")

    async def day(self) -> TradingDay:
        return await open_day(
            self.broker,
            self.history,
            group=self.group,
            session=self.session,
            playbook=self.book,
        )

    async def books(self, at: datetime, *, over: bool = False) -> Books:
        self.venue.advance_to(at)
        return await reconcile(
            self.broker,
            self.store,
            group=self.group,
            session=self.session.date,
            at=at,
            session_over=over,
        )

    async def look(self, at: datetime) -> View:
        books = await self.books(at)
        view = await observe(self.broker, books=books, day=await self.day(), at=at)
        return await look_closer(self.broker, view, self.policy)

    async def plan(self, at: datetime) -> tuple[Books, TickPlan]:
        """Reconcile, observe and decide; nothing is journaled or sent."""
        view = await self.look(at)
        return view.books, decide(view, self.policy)

    async def act(self, books: Books, plan: TickPlan) -> tuple[execute.Sent, ...]:
        """Journal, cancel and send, as the flow does."""
        lock = self.lock
        execute.journal(self.store, plan)
        await execute.cancel_all(self.broker, self.store, lock, books, plan)
        return await execute.send_all(self.broker, self.store, lock, books, plan)

    async def tick(self, at: datetime) -> Tick:
        """A whole tick, in the order of the flow."""
        view = await self.look(at)
        books, plan = view.books, decide(view, self.policy)
        try:
            sent = await self.act(books, plan)
        except CircuitBreakerTripped:
            sent = ()
        await tell(self.notifier, self.store, of_pass(books, plan, sent))
        return Tick(books, view, plan, sent, TickReport.of(books, view, plan, sent))

    def by_hand(self, side: Side, quantity: int, price: int | None, symbol: str = "A") -> int:
        """Somebody orders in the same account past us; answers the order number."""
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
        limit = None if price is None else Decimal(price)
        return self.venue.place(NewOrder("1", symbol, side, kind, quantity, limit)).order_no

    def orders(self) -> list[OrderRecord]:
        with self.store.read() as reader:
            return list(reader.orders(self.group))

    def order(self, symbol: str = "A", side: Side = Side.BUY) -> OrderRecord:
        """The newest order of a symbol and side that was not refused."""
        return [
            r
            for r in self.orders()
            if (r.intent.instrument.symbol, r.intent.side) == (symbol, side)
            and r.state.value != "refused"
        ][-1]

    def states(self, symbol: str = "A", side: Side = Side.BUY) -> list[str]:
        return [event.state.value for event in self.order(symbol, side).events]

    def halts(self) -> list[Any]:
        with self.store.read() as reader:
            return list(reader.open_halts())

    def decisions(self, symbol: str | None = None) -> list[Any]:
        with self.store.read() as reader:
            return list(reader.decisions(self.group, symbol=symbol))

    def protections(self) -> dict[str, Any]:
        with self.store.read() as reader:
            return dict(reader.protections(self.group))

    async def holding(self, symbol: str = "A") -> int:
        held = (await self.broker.account(self.group)).holding(symbol)
        return held.quantity if held else 0


@dataclass
class MakeFloor:
    """``floor({"A": rows}, {"A": [scenario]})`` gives a floor at the session's first minute."""

    home: Path

    def __call__(
        self,
        minutes: Mapping[str, Sequence[Row]],
        plans: Mapping[str, Sequence[Scenario]] | Playbook | None = None,
        *rules: GlobalRule,
        policy: Policy = POLICY,
        **tape: Any,
    ) -> Floor:
        venue = venue_on(minutes, at=minute(0), **tape)
        book = plans if isinstance(plans, Playbook) else playbook(plans or {}, *rules)
        return Floor(
            venue, ScriptedBroker(venue), DuckStore(":memory:"), self.home, book, policy=policy
        )


def busy(*prices: float, volume: int = 1_000_000) -> list[Row]:
    """One minute at each price, each with enough volume to fill any order of these tests."""
    return [row for price in prices for row in flat(price, volume)]


def still(price: float, count: int = 1) -> list[Row]:
    """Minutes in which the price is known and nothing trades."""
    return flat(price, 0, count)


def an_entry(
    at: datetime, *, symbol: str = "A", quantity: int = 10, price: int = 10_000, name: str = "hand"
) -> ApprovedOrder:
    """An approved entry that no tick decided."""
    instrument = Instrument(symbol, KR.markets[0])
    intent = OrderIntent(
        intent_id=OrderIntent.make_id(KR, SESSION, at, symbol, Side.BUY, name),
        decision_id=name,
        instrument=instrument,
        session=SESSION,
        side=Side.BUY,
        quantity=quantity,
        order_type=OrderType.LIMIT,
        limit_price=Decimal(price),
        decided_price=Decimal(price),
        currency=currency_of(KR),
        reason=IntentReason.ENTRY,
        created_at=at,
    )
    return ApprovedOrder(intent, at)


def all_rows(store: DuckStore, place: Path, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Every row of every table, sorted, from a snapshot written to ``place``."""
    place.unlink(missing_ok=True)
    store.snapshot(place)
    with duckdb.connect(str(place), read_only=True) as db:
        names = db.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
        rows = {
            name: sorted(map(repr, db.execute(f'SELECT * FROM "{name}"').fetchall()))
            for (name,) in names
            if name not in without
        }
    place.unlink()
    return rows
