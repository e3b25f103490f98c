"""What the steps need from the outside, as Protocols; adapters fill them, tests fake them.

Ports that cross the network are async. Values only: no vendor word appears here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol, TypeAlias

from trading_core.memory_ports import MemoryReader, MemoryWriter
from trading_core.model.audit import (
    DecisionFilter,
    DecisionReview,
    LoggedDecision,
    ScreenedRow,
)
from trading_core.model.decision import DecisionCycle
from trading_core.model.difference import Difference
from trading_core.model.journal import (
    BackupRecord,
    ContextEntry,
    Decision,
    DecisionOutcome,
    DeploymentSwitch,
    EquityPoint,
    Halt,
    KillRow,
    LlmCall,
    MatchRow,
    Notification,
    ObservationRow,
    ProtectionRow,
    Scorecard,
)
from trading_core.model.language import (
    LlmReservation,
    LlmSpend,
    LlmText,
    ModelReply,
    ModelRequest,
)
from trading_core.model.language import PlanReply as PlanReply
from trading_core.model.language import PlanRequest as PlanRequest
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.order import (
    ApprovedOrder,
    BrokerOrder,
    Fill,
    OrderAck,
    OrderEvent,
    OrderIntent,
    OrderNotice,
    OrderRecord,
)
from trading_core.model.playbook import Playbook
from trading_core.model.portfolio import Account, AdoptedLot, Protection, Split
from trading_core.model.price import DailyBar, MinuteBar, OrderBook, Quote, Ranking, RankRow
from trading_core.source_ports import SourceReader, SourceRecord

Record: TypeAlias = (
    Playbook
    | OrderIntent
    | OrderEvent
    | Fill
    | AdoptedLot
    | Split
    | ObservationRow
    | MatchRow
    | Decision
    | DecisionOutcome
    | DecisionReview
    | ScreenedRow
    | EquityPoint
    | Halt
    | Difference
    | DecisionCycle
    | KillRow
    | DeploymentSwitch
    | LlmReservation
    | LlmText
    | LlmCall
    | Scorecard
    | ContextEntry
    | BackupRecord
    | Notification
    | ProtectionRow
    | SourceRecord
)


class MarketData(Protocol):
    """Prices. Every method raises ``BrokerUnavailable`` (after its retries) or ``NotOffered``."""

    async def quote(self, instrument: Instrument) -> Quote: ...

    async def quotes(
        self, instruments: Sequence[Instrument], *, held: Collection[str] = ()
    ) -> dict[str, Quote]:
        """Quotes by symbol. A symbol that fails is left out and logged; all failing raises.

        The symbols in ``held`` are asked first where calls are scarce.
        """
        ...

    async def order_book(self, instrument: Instrument) -> OrderBook: ...

    async def daily_bars(
        self, instrument: Instrument, *, until: date, count: int
    ) -> Sequence[DailyBar]:
        """Up to ``count`` adjusted bars, oldest first, the last one on or before ``until``."""
        ...

    async def minute_bars(
        self, instrument: Instrument, *, until: datetime, count: int
    ) -> Sequence[MinuteBar]:
        """Up to ``count`` bars of the session, oldest first, none starting after ``until``."""
        ...

    async def ranking(self, group: MarketGroup, ranking: Ranking) -> Sequence[RankRow]:
        """The broker's ranking over all exchanges of the group, best first."""
        ...

    async def is_trading_day(self, group: MarketGroup, day: date) -> bool:
        """What the broker's own holiday query says."""
        ...


class Broker(Protocol):
    """The account and its orders.

    ``submit``, ``modify`` and ``cancel`` are sent once, by no layer ever twice. They raise
    ``OrderRejected`` (nothing is working), ``NotOffered`` (refused before sending) or
    ``OrderOutcomeUnknown`` (ask ``orders``).
    """

    async def account(self, group: MarketGroup) -> Account: ...

    async def orders(self, group: MarketGroup, session: date) -> Sequence[BrokerOrder]:
        """Every order of the session, open, filled, cancelled and rejected, oldest first.

        Rows of modifies and cancels are included with ``original_no`` set.
        """
        ...

    async def submit(self, order: ApprovedOrder) -> OrderAck: ...

    async def cancel(self, order: BrokerOrder) -> OrderAck: ...

    async def modify(self, order: BrokerOrder, *, limit_price: str) -> OrderAck:
        """Reprice what remains of an order; ``limit_price`` as the decimal text to send."""
        ...


@dataclass(frozen=True, slots=True)
class StreamGap:
    """Nothing was heard from ``since`` to ``until`` (aware UTC): the connection was cut or silent.

    The stream has asked for the present quotes since; notices of orders may have been missed, so
    the account's orders are to be read again.
    """

    since: datetime
    until: datetime
    reason: str


StreamEvent: TypeAlias = Quote | OrderBook | OrderNotice | StreamGap


class MarketStream(Protocol):
    """Prices as they are made and the account's own order notices, over one connection."""

    async def follow(self, instruments: Sequence[Instrument]) -> Sequence[Instrument]:
        """Follow these instead of the ones before, first things first.

        Returns:
            Those there was no room for, or that the broker does not stream here; poll them.
        """
        ...

    def events(self) -> AsyncIterator[StreamEvent]:
        """Everything that arrives, until the stream is closed. A cut connection is made again."""
        ...

    async def aclose(self) -> None: ...


class LanguageModel(Protocol):
    """One model of one provider.

    ``ask`` makes one attempt, cut off at the request's limit. Raises ``PlannerTimeout`` or
    ``PlannerUnavailable``, and ``BudgetExhausted`` where a ledger is kept.
    """

    @property
    def provider(self) -> str: ...

    @property
    def model(self) -> str: ...

    async def ask(self, request: ModelRequest) -> ModelReply: ...


class Planner(Protocol):
    """Writes a draft. Raises ``PlannerError`` with the paid calls in ``error.calls``."""

    async def draft(self, request: PlanRequest) -> PlanReply: ...


class StoreReader(SourceReader, MemoryReader, Protocol):
    """Queries over what was appended; each is one short read."""

    def playbook(self, market: str, session: date) -> Playbook | None:
        """The newest playbook of that session."""
        ...

    def latest_playbook(self, market: str, *, before: date) -> Playbook | None: ...

    def orders(
        self, market: str | None = None, session: date | None = None
    ) -> Sequence[OrderRecord]:
        """Intents with their events, in order of creation; all markets and sessions by default.

        ``market`` is a market group code.
        """
        ...

    def order(self, intent_id: str) -> OrderRecord | None:
        """One intent with its events; None when nobody wrote it down."""
        ...

    def unsettled_orders(self, market: str | None = None) -> Sequence[OrderRecord]:
        """Orders whose state is not final, of any session; of all markets by default."""
        ...

    def live_orders(self, market: str | None, session: date) -> Sequence[OrderRecord]:
        """All orders of a session date, and those of any other that are not final."""
        ...

    def fills(self, market: str | None = None, session: date | None = None) -> Sequence[Fill]:
        """Fills in the order they were observed."""
        ...

    def adopted_lots(self, market: str) -> Sequence[AdoptedLot]: ...

    def splits(self, market: str) -> Sequence[Split]:
        """Oldest first."""
        ...

    def protections(
        self, market: str, symbols: Collection[str] | None = None
    ) -> dict[str, Protection]:
        """The newest guard of each symbol; of all that ever had one by default."""
        ...

    def open_halts(self) -> Sequence[Halt]: ...

    def halts(self, session_from: datetime | None = None) -> Sequence[Halt]: ...

    def differences(self, market: str, session: date) -> Sequence[Difference]:
        """What store and broker did not agree on in a session, in the order it was seen."""
        ...

    def decision_cycles(self, market: str, session: date) -> Sequence[DecisionCycle]:
        """The rounds of asking a model in a session, oldest first."""
        ...

    def kill_rows(self, kill_id: str | None = None) -> Sequence[KillRow]:
        """What became of the steps of a kill switch, or of all of them, oldest first."""
        ...

    def deployment_switches(self) -> Sequence[DeploymentSwitch]:
        """Every deployment that was paused or restored, oldest first."""
        ...

    def equity_curve(self, market: str, session: date) -> Sequence[EquityPoint]: ...

    def decisions(
        self, market: str | None = None, session: date | None = None, symbol: str | None = None
    ) -> Sequence[Decision]: ...

    def outcomes(self, market: str, session: date) -> Sequence[DecisionOutcome]: ...

    def decision_log(self, wanted: DecisionFilter) -> Sequence[LoggedDecision]:
        """Decisions with their newest outcome and remark, newest first."""
        ...

    def screened(self, market: str, session: date) -> Sequence[ScreenedRow]:
        """The newest scan of a session: what qualified by place, then the rest by symbol."""
        ...

    def unreviewed_sessions(self, market: str, *, since: date, before: date) -> Sequence[date]:
        """Sessions that left a trace and have no scorecard, oldest first."""
        ...

    def matches(
        self, market: str, session: date, symbol: str | None = None
    ) -> Sequence[MatchRow]: ...

    def observations(
        self, market: str, session: date, symbol: str | None = None
    ) -> Sequence[ObservationRow]: ...

    def counts(self, market: str, session: date) -> dict[str, int]:
        """Row counts of a session: ticks, observations, matches, first_matches."""
        ...

    def llm_calls(
        self,
        market: str | None = None,
        session: date | None = None,
        *,
        since: datetime | None = None,
        prompt_id: str | None = None,
    ) -> Sequence[LlmCall]:
        """Calls whose outcome is known, oldest first."""
        ...

    def llm_reservations(self, *, since: datetime | None = None) -> Sequence[LlmReservation]:
        """Calls that were begun, oldest first."""
        ...

    def llm_spend(self, *, since: datetime) -> LlmSpend:
        """The sum of the calls begun since then."""
        ...

    def llm_text(self, text_id: str) -> str | None:
        """A stored prompt or reply; None when it is not there."""
        ...

    def scorecard(self, market: str, session: date) -> Scorecard | None: ...

    def scorecards(self, market: str | None = None, limit: int = 30) -> Sequence[Scorecard]:
        """Newest first."""
        ...

    def backups(self) -> Sequence[BackupRecord]:
        """Newest first."""
        ...

    def notified(self, notification_ids: Collection[str]) -> set[str]:
        """Which of these notifications were written down before."""
        ...

    def undelivered(self, *, since: datetime) -> Sequence[Notification]:
        """Notifications from then on that nobody took and that were not sent again since, oldest
        first. One that was sent again has a second row, with ``+again`` after its id."""
        ...

    def last_prices(self, market: str, session: date) -> dict[str, float]:
        """The newest observed price of each symbol in a session, in the market's currency."""
        ...

    def newest_session(self, market: str) -> date | None:
        """The newest session that has a playbook or an equity point; None without any."""
        ...

    def recently_traded(self, market: str, *, since: date) -> Sequence[Instrument]: ...

    def lease_holder(self, name: str, *, at: datetime) -> str | None:
        """Who holds a lease at that moment; None when it is free or has run out."""
        ...


class StoreWriter(StoreReader, MemoryWriter, Protocol):
    """One transaction. All of it is committed when the ``with`` block ends, or none."""

    def append(self, records: Iterable[Record]) -> None:
        """Append rows; a row whose id is already there is left as it was.

        Raises:
            IllegalTransition: an order event does not follow from the order's state.
        """
        ...

    def lift_halt(
        self,
        halt_id: str,
        *,
        at: datetime,
        by: str,
        accepted_pnl_pct: Decimal | None = None,
        accepted_on: date | None = None,
    ) -> None:
        """Lift it, once; of a breaker also say which loss of which session was accepted."""
        ...

    def acquire_lease(self, name: str, owner: str, at: datetime, ttl: timedelta) -> bool:
        """Take or renew the lease ``name`` until ``at + ttl``; False while it is another's."""
        ...

    def release_lease(self, name: str, owner: str) -> None:
        """Give it back; nothing happens when another owner holds it."""
        ...


class Store(Protocol):
    """The only door to the state. Never held open across a network or model call.

    Raises:
        StoreBusy: another process held it for longer than the waiting time.
        SchemaTooNew: the file was written by a newer version.
    """

    def read(self) -> AbstractContextManager[StoreReader]: ...

    def write(self) -> AbstractContextManager[StoreWriter]: ...

    def snapshot(self, target: Path) -> int:
        """Write a consistent copy to ``target`` (which must not exist); returns its row count."""
        ...


class Archive(Protocol):
    """Where backups are kept."""

    def keep(self, store: Store, *, at: datetime) -> BackupRecord:
        """A verified copy of the store. Raises ``StoreError``; leaves nothing half-written."""
        ...


class History(Protocol):
    """Daily bars of a session's universe, kept from the plan for the ticks of that session."""

    def load(self, group: MarketGroup, session: date) -> dict[Instrument, list[DailyBar]]:
        """Empty when nothing was kept."""
        ...

    def save(
        self, group: MarketGroup, session: date, bars: Mapping[Instrument, Sequence[DailyBar]]
    ) -> None: ...


class OrderLock(Protocol):
    """One holder per account across every process; freed by the system when its holder dies."""

    def hold(self) -> AbstractContextManager[None]: ...


class Notifier(Protocol):
    """Tells a person. Never raises: a failure is logged and answered with False."""

    async def send(self, notification: Notification) -> bool: ...
