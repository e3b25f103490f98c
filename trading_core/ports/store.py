"""The store: what is kept in it, and every question that it answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol, TypeAlias

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
    ObservationRow,
    ProtectionRow,
    Scorecard,
)
from trading_core.model.language import (
    LlmReservation,
    LlmSpend,
    LlmText,
)
from trading_core.model.language import PlanReply as PlanReply
from trading_core.model.language import PlanRequest as PlanRequest
from trading_core.model.market import Instrument
from trading_core.model.operator import OperatorCommand
from trading_core.model.order import (
    Fill,
    OrderEvent,
    OrderIntent,
    OrderRecord,
)
from trading_core.model.playbook import Playbook
from trading_core.model.portfolio import AdoptedLot, Protection, Split
from trading_core.model.safekeeping import BackupCheck, BackupUpload, Restore
from trading_core.ports.board import BoardReader
from trading_core.ports.ledger import LedgerReader
from trading_core.ports.memory import MemoryReader, MemoryWriter
from trading_core.ports.notices import NoticeReader, NoticeRecord
from trading_core.ports.safekeeping import SafekeepingReader
from trading_core.ports.shadows import ShadowReader, ShadowRecord
from trading_core.ports.sources import SourceReader, SourceRecord

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
    | OperatorCommand
    | DeploymentSwitch
    | LlmReservation
    | LlmText
    | LlmCall
    | Scorecard
    | ContextEntry
    | BackupRecord
    | BackupUpload
    | BackupCheck
    | Restore
    | NoticeRecord
    | ProtectionRow
    | SourceRecord
    | ShadowRecord
)


class StoreReader(
    SourceReader,
    MemoryReader,
    SafekeepingReader,
    LedgerReader,
    BoardReader,
    ShadowReader,
    NoticeReader,
    Protocol,
):
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

    def operator_commands(
        self, command_id: str | None = None, *, since: datetime | None = None
    ) -> Sequence[OperatorCommand]:
        """What people asked for from a distance and what came of it, in the order it was
        written."""
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

    def newest_matches(self, market: str, session: date) -> Sequence[MatchRow]:
        """The newest row of each symbol and kind."""
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

    def read(self, *, as_of: datetime | None = None) -> AbstractContextManager[StoreReader]:
        """The present, or what was known at ``as_of`` (aware): every query answers as it would
        have answered then. Who held a lease then is not known."""
        ...

    def write(self) -> AbstractContextManager[StoreWriter]: ...

    def fingerprint(self) -> str:
        """Another text once something was written. Cheap, takes no lock and raises nothing."""
        ...

    def snapshot(self, target: Path) -> int:
        """Write a consistent copy to ``target`` (which must not exist); returns its row count."""
        ...


class Archive(Protocol):
    """Where backups are kept."""

    def keep(self, store: Store, *, at: datetime) -> BackupRecord:
        """A verified copy of the store. Raises ``StoreError``; leaves nothing half-written."""
        ...
